//! Fragments are put together before policy looks at them.
//!
//! Invariant: a datagram comes out only when every byte of it came exactly once; an overlap loses the whole datagram
//! (RFC 5722; for IPv4 the same, since two readings of one datagram are an attack). Memory is bounded in datagrams,
//! in bytes and in fragments per datagram.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use foldhash::HashMap;

use super::{Drop, FlowKey, Fragment, FrameBuf, Layout, Packet, Parsed, checksum};
use crate::types::{Instant, Seed};

/// Bounds.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Half-received datagrams.
    pub datagrams: usize,
    /// Half-received datagrams of one source.
    pub per_source: usize,
    /// Bytes of all of them.
    pub bytes: usize,
    /// Fragments of one datagram.
    pub fragments: usize,
    /// How long a datagram may take.
    pub timeout: Duration,
}

/// What came of the fragments.
#[derive(Default)]
pub struct Outbox {
    /// Whole datagrams.
    pub packets: Vec<Packet>,
    /// First fragments of datagrams whose rest did not come (RFC 792: code 1 of "time exceeded").
    pub expired: Vec<Packet>,
    /// Lost fragments.
    pub dropped: Vec<(Drop, u64)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Name {
    src: IpAddr,
    dst: IpAddr,
    id: u32,
    protocol: u8,
}

struct Datagram {
    began: Instant,
    /// Sorted by offset.
    pieces: Vec<Piece>,
    bytes: usize,
    largest: u16,
    /// Length of the payload, known once the last fragment came.
    total: Option<usize>,
    /// Spoilt by an overlap: kept until it expires, so that the rest of it is dropped too.
    spoilt: bool,
}

struct Piece {
    offset: usize,
    len: usize,
    packet: Packet,
}

/// The engine.
pub struct Reassembly {
    limits: Limits,
    datagrams: HashMap<Name, Datagram>,
    sources: HashMap<IpAddr, usize>,
    /// In the order in which they began; names that are gone are skipped.
    order: VecDeque<(Instant, Name)>,
    bytes: usize,
}

impl Reassembly {
    /// An engine without datagrams.
    pub fn new(limits: Limits, _seed: Seed) -> Self {
        Reassembly {
            limits,
            datagrams: HashMap::default(),
            sources: HashMap::default(),
            order: VecDeque::new(),
            bytes: 0,
        }
    }

    /// New bounds; what is held stays.
    pub fn configure(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// A fragment. A packet that is none comes out as it is.
    pub fn handle_fragment(&mut self, now: Instant, packet: Packet, out: &mut Outbox) {
        let Fragment::Part { offset, more, id, header: _, protocol } = packet.layout.fragment else {
            return out.packets.push(packet);
        };
        let key = &packet.layout.key;
        let name = Name { src: key.src(), dst: key.dst(), id, protocol };
        let Some(len) = payload_len(&packet.layout, usize::from(offset), more) else {
            return out.dropped.push((Drop::FragmentShort, 1));
        };
        if !self.make_room(now, &name, len, out) {
            return out.dropped.push((Drop::FragmentLimit, 1));
        }
        let piece = Piece { offset: usize::from(offset), len, packet: shrink(packet) };
        match self.add(&name, piece, more) {
            Ok(false) => {}
            Ok(true) => {
                if let Some(datagram) = self.remove(&name) {
                    match assemble(datagram) {
                        Some(packet) => out.packets.push(packet),
                        None => out.dropped.push((Drop::FragmentShort, 1)),
                    }
                }
            }
            Err(drop) => {
                let lost = self.spoil(&name);
                out.dropped.push((drop, lost + 1));
            }
        }
    }

    /// Gives up on what took too long.
    pub fn handle_timeout(&mut self, now: Instant, out: &mut Outbox) {
        while let Some((began, name)) = self.order.front().copied() {
            if now < began + self.limits.timeout {
                break;
            }
            self.order.pop_front();
            self.expire(&name, began, out);
        }
    }

    /// When [`Reassembly::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.order.front().map(|(began, _)| *began + self.limits.timeout)
    }

    /// How many datagrams are half received.
    pub fn len(&self) -> usize {
        self.datagrams.len()
    }

    /// True when nothing is half received.
    pub fn is_empty(&self) -> bool {
        self.datagrams.is_empty()
    }

    fn expire(&mut self, name: &Name, began: Instant, out: &mut Outbox) {
        if self.datagrams.get(name).is_none_or(|datagram| datagram.began != began) {
            return;
        }
        if let Some(datagram) = self.remove(name) {
            out.dropped.push((Drop::FragmentTimeout, datagram.pieces.len() as u64));
            out.expired
                .extend(datagram.pieces.into_iter().next().filter(|p| p.offset == 0).map(|p| p.packet));
        }
    }

    /// Room for one more fragment of `name`; the oldest datagram goes when all are too many.
    fn make_room(&mut self, now: Instant, name: &Name, len: usize, out: &mut Outbox) -> bool {
        if !self.datagrams.contains_key(name) {
            if self.sources.get(&name.src).copied().unwrap_or(0) >= self.limits.per_source {
                return false;
            }
            if self.datagrams.len() >= self.limits.datagrams {
                self.drop_oldest(out);
            }
            *self.sources.entry(name.src).or_default() += 1;
            self.order.push_back((now, *name));
            let fresh =
                Datagram { began: now, pieces: Vec::new(), bytes: 0, largest: 0, total: None, spoilt: false };
            self.datagrams.insert(*name, fresh);
        }
        while self.bytes + len > self.limits.bytes && self.datagrams.len() > 1 {
            self.drop_oldest(out);
            if !self.datagrams.contains_key(name) {
                return false;
            }
        }
        true
    }

    fn drop_oldest(&mut self, out: &mut Outbox) {
        while let Some((began, name)) = self.order.pop_front() {
            if self.datagrams.get(&name).is_some_and(|datagram| datagram.began == began)
                && let Some(datagram) = self.remove(&name)
            {
                return out.dropped.push((Drop::FragmentLimit, datagram.pieces.len() as u64));
            }
        }
    }

    /// Puts the piece in its place; true when the datagram is whole.
    fn add(&mut self, name: &Name, piece: Piece, more: bool) -> Result<bool, Drop> {
        let Some(datagram) = self.datagrams.get_mut(name) else { return Err(Drop::FragmentLimit) };
        if datagram.spoilt {
            return Err(Drop::FragmentOverlap);
        }
        if datagram.pieces.len() >= self.limits.fragments {
            return Err(Drop::FragmentLimit);
        }
        let end = piece.offset + piece.len;
        let at = datagram.pieces.partition_point(|other| other.offset < piece.offset);
        let duplicate = datagram.pieces.get(at).is_some_and(|other| {
            other.offset == piece.offset && other.len == piece.len && body(other) == body(&piece)
        });
        if duplicate {
            return Ok(false);
        }
        let before = at.checked_sub(1).and_then(|index| datagram.pieces.get(index));
        let overlaps = before.is_some_and(|other| other.offset + other.len > piece.offset)
            || datagram.pieces.get(at).is_some_and(|other| end > other.offset);
        let past_end = match (datagram.total, more) {
            (Some(total), true) => end > total,
            (Some(total), false) => end != total,
            (None, true) => false,
            (None, false) => datagram.pieces.last().is_some_and(|last| last.offset + last.len > end),
        };
        if overlaps || past_end {
            return Err(Drop::FragmentOverlap);
        }
        if !more {
            datagram.total = Some(end);
        }
        datagram.bytes += piece.len;
        self.bytes += piece.len;
        datagram.largest =
            datagram.largest.max((piece.packet.layout.end - u32::from(piece.packet.layout.l3)) as u16);
        datagram.pieces.insert(at, piece);
        Ok(datagram.total == Some(datagram.bytes))
    }

    /// Frees the pieces of a datagram that can never be whole, but remembers its name. Returns how many there were.
    fn spoil(&mut self, name: &Name) -> u64 {
        let Some(datagram) = self.datagrams.get_mut(name) else { return 0 };
        self.bytes -= std::mem::take(&mut datagram.bytes);
        datagram.spoilt = true;
        datagram.pieces.drain(..).count() as u64
    }

    fn remove(&mut self, name: &Name) -> Option<Datagram> {
        let datagram = self.datagrams.remove(name)?;
        self.bytes -= datagram.bytes;
        if let Some(count) = self.sources.get_mut(&name.src) {
            *count -= 1;
            if *count == 0 {
                self.sources.remove(&name.src);
            }
        }
        Some(datagram)
    }
}

/// A right-sized copy: fragments may wait long, and full-size buffers are dear.
fn shrink(packet: Packet) -> Packet {
    Packet { frame: packet.frame.shrunk(), layout: packet.layout }
}

/// Offset in the frame of the data that a fragment carries.
fn data_at(layout: &Layout) -> usize {
    match layout.fragment {
        Fragment::Part { header, .. } if header > 0 => usize::from(header) + 8,
        Fragment::Part { .. } | Fragment::Whole => usize::from(layout.l4),
    }
}

fn body(piece: &Piece) -> &[u8] {
    &piece.packet.frame.bytes()[data_at(&piece.packet.layout)..piece.packet.layout.end as usize]
}

/// Length of a fragment's data, when it is a sane one: RFC 1858 and RFC 3128 against tiny fragments, multiples of
/// eight but for the last, nothing past 65535.
fn payload_len(layout: &Layout, offset: usize, more: bool) -> Option<usize> {
    let len = (layout.end as usize).checked_sub(data_at(layout))?;
    let sane = len > 0 && (!more || len % 8 == 0) && offset + len <= 65_535 && (offset == 0 || offset >= 16);
    sane.then_some(len)
}

/// Joins the pieces behind the first one's headers.
fn assemble(datagram: Datagram) -> Option<Packet> {
    let Datagram { pieces, largest, total, .. } = datagram;
    let total = total?;
    let first = pieces.first()?;
    let l3 = usize::from(first.packet.layout.l3);
    let data = data_at(&first.packet.layout);
    // IPv6: the fragment header disappears, and its "next header" takes its place in the chain.
    let headers = match first.packet.layout.fragment {
        Fragment::Part { header, .. } if header > 0 => data - 8,
        Fragment::Part { .. } | Fragment::Whole => data,
    };
    if headers - l3 + total > 65_535 {
        return None;
    }
    let mut frame = FrameBuf::with_room(headers + total);
    frame.set_len(headers + total);
    let bytes = frame.bytes_mut();
    bytes[..headers].copy_from_slice(&first.packet.frame.bytes()[..headers]);
    for piece in &pieces {
        bytes[headers + piece.offset..headers + piece.offset + piece.len].copy_from_slice(body(piece));
    }
    close_headers(bytes, l3, headers, &first.packet.layout)?;
    match Packet::parse(frame) {
        Ok(Parsed::Ip(mut packet)) => {
            packet.layout.reassembled = Some(largest);
            Some(packet)
        }
        Ok(Parsed::Arp(_)) | Err(_) => None,
    }
}

fn close_headers(bytes: &mut [u8], l3: usize, headers: usize, layout: &Layout) -> Option<()> {
    let total = bytes.len();
    match layout.key {
        FlowKey::V4(_) => {
            bytes[l3 + 2..l3 + 4].copy_from_slice(&((total - l3) as u16).to_be_bytes());
            bytes[l3 + 6..l3 + 8].fill(0);
            bytes[l3 + 10..l3 + 12].fill(0);
            let sum = !checksum::sum(&bytes[l3..headers]);
            bytes[l3 + 10..l3 + 12].copy_from_slice(&sum.to_be_bytes());
        }
        FlowKey::V6(_) => {
            let Fragment::Part { header, protocol, .. } = layout.fragment else { return None };
            // Only the fixed header before the fragment header: then the chain's link is its own field.
            if usize::from(header) != l3 + 40 {
                return None;
            }
            bytes[l3 + 6] = protocol;
            bytes[l3 + 4..l3 + 6].copy_from_slice(&((total - l3 - 40) as u16).to_be_bytes());
        }
    }
    Some(())
}
