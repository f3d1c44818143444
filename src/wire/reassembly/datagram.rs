//! One half-received datagram: its fragments in order, and how they become a packet.
//!
//! Invariant: the pieces are sorted by offset, do not overlap, and lie below the total length once that is known.

use super::Outbox;
use crate::types::Instant;
use crate::wire::{ChecksumState, Drop, FlowKey, Fragment, FrameBuf, Packet, Parsed, checksum};

/// What a piece takes beside its bytes.
const OVERHEAD: usize = 256;
/// Congestion experienced, in the ECN bits.
const CE: u8 = 3;

/// Where a fragment's data stands: in its frame, and in the datagram.
#[derive(Clone, Copy)]
pub(super) struct Span {
    /// Offset in the frame of the data.
    data: usize,
    /// First byte in the datagram's payload, and the one behind the last.
    from: usize,
    to: usize,
    more: bool,
}

impl Span {
    /// Refuses what no sender makes (RFC 791 section 3.2, RFC 8200 section 4.5), and the end past 65,535 bytes
    /// that once crashed hosts.
    pub(super) fn of(packet: &Packet) -> Result<Self, Drop> {
        let Fragment::Part { offset, more, header, .. } = packet.layout.fragment else {
            return Err(Drop::FragmentShort);
        };
        // In a first fragment of IPv6 the transport header may stand behind further extension headers.
        let l3 = usize::from(packet.layout.l3);
        let (data, counted_head) = match packet.layout.key {
            FlowKey::V4(_) => (usize::from(packet.layout.l4), usize::from(packet.layout.l4) - l3),
            FlowKey::V6(_) => (usize::from(header) + 8, usize::from(header) - l3 - 40),
        };
        let len = packet.layout.end as usize - data;
        let (from, to) = (usize::from(offset), usize::from(offset) + len);
        if len == 0 || (more && !len.is_multiple_of(8)) || counted_head + to > 65_535 {
            return Err(Drop::FragmentShort);
        }
        Ok(Span { data, from, to, more })
    }

    const fn len(&self) -> usize {
        self.to - self.from
    }
}

struct Piece {
    span: Span,
    packet: Packet,
}

impl Piece {
    fn data(&self) -> &[u8] {
        &self.packet.frame.bytes()[self.span.data..self.span.data + self.span.len()]
    }

    fn bytes(&self) -> usize {
        self.packet.frame.len() + OVERHEAD
    }
}

/// What became of a fragment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Added {
    /// It went to the outbox as lost.
    Refused,
    /// It waits for others.
    Waits,
    /// It was the last one missing.
    Complete,
}

/// The fragments of one datagram.
pub(super) struct Datagram {
    pub(super) birth: u64,
    pub(super) deadline: Instant,
    pieces: Vec<Piece>,
    /// Payload bytes here, and in all once the last fragment came.
    received: usize,
    total: Option<usize>,
    bytes: usize,
    /// Two fragments disagreed or there were too many: all that still comes is dropped, for this reason.
    condemned: Option<Drop>,
}

impl Datagram {
    pub(super) fn new(birth: u64, deadline: Instant) -> Self {
        let pieces = Vec::with_capacity(4);
        Datagram { birth, deadline, pieces, received: 0, total: None, bytes: OVERHEAD, condemned: None }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Fragments that wait.
    pub(super) fn waiting(&self) -> usize {
        self.pieces.len()
    }

    /// The fragment at offset zero.
    pub(super) fn into_first(self) -> Option<Packet> {
        self.pieces.into_iter().next().filter(|piece| piece.span.from == 0).map(|piece| piece.packet)
    }

    pub(super) fn add(&mut self, packet: Packet, span: Span, limit: usize, out: &mut Outbox) -> Added {
        if let Some(drop) = self.condemned {
            out.lose(drop, 1, packet.frame);
            return Added::Refused;
        }
        let piece = Piece { span, packet };
        let at = self.pieces.partition_point(|other| other.span.from < span.from);
        if self.pieces.get(at).is_some_and(|other| same(other, &piece)) {
            out.lose(Drop::FragmentDuplicate, 1, piece.packet.frame);
            return Added::Refused;
        }
        if self.contradicts(at, &span) {
            return self.condemn(Drop::FragmentOverlap, piece, out);
        }
        if self.pieces.len() >= limit {
            return self.condemn(Drop::FragmentLimit, piece, out);
        }
        if !span.more {
            self.total = Some(span.to);
        }
        self.received += span.len();
        if self.total == Some(self.received) {
            self.pieces.insert(at, piece);
            return Added::Complete;
        }
        let Piece { span, packet } = piece;
        let kept = Piece { span, packet: Packet { frame: packet.frame.shrunk(), layout: packet.layout } };
        out.spent.push(packet.frame);
        self.bytes += kept.bytes();
        self.pieces.insert(at, kept);
        Added::Waits
    }

    /// True when `span`, about to stand at index `at`, overlaps a neighbour or disagrees about the end.
    fn contradicts(&self, at: usize, span: &Span) -> bool {
        let before = at.checked_sub(1).and_then(|at| self.pieces.get(at));
        let overlaps = before.is_some_and(|other| other.span.to > span.from)
            || self.pieces.get(at).is_some_and(|other| other.span.from < span.to);
        let end = match (self.total, span.more) {
            (None, true) => false,
            (None, false) => self.pieces.last().is_some_and(|last| last.span.to > span.to),
            (Some(total), true) => span.to >= total,
            (Some(_), false) => true,
        };
        overlaps || end
    }

    /// RFC 5722 section 4: all its fragments, those not yet received included, are silently dropped.
    fn condemn(&mut self, drop: Drop, piece: Piece, out: &mut Outbox) -> Added {
        out.lose(drop, self.pieces.len() as u32 + 1, piece.packet.frame);
        self.pieces = Vec::new();
        self.bytes = OVERHEAD;
        self.condemned = Some(drop);
        Added::Refused
    }

    /// Puts the packet together in the roomiest of the buffers, as a rule the one that came last.
    pub(super) fn assemble(mut self, out: &mut Outbox) {
        let count = self.pieces.len() as u32;
        let ecn = self.pieces.iter().any(|piece| piece.packet.layout.traffic_class & CE == CE);
        let largest = self.pieces.iter().map(|piece| piece.packet.ip().len()).max().unwrap_or(0);
        let Some(head) = self.pieces.first().and_then(|first| head(&first.packet, self.received, ecn)) else {
            out.dropped.push((Drop::FragmentShort, count));
            return;
        };
        let roomiest =
            (0..self.pieces.len()).max_by_key(|at| self.pieces[*at].packet.frame.room()).unwrap_or(0);
        let own = self.pieces.swap_remove(roomiest);
        let len = head.len() + self.received;
        let mut frame = if own.packet.frame.room() >= len {
            self.settle(own, head.len(), len)
        } else {
            self.pieces.push(own);
            let mut frame = FrameBuf::with_room(len);
            frame.set_len(len);
            frame
        };
        let bytes = frame.bytes_mut();
        bytes[..head.len()].copy_from_slice(&head);
        for piece in &self.pieces {
            bytes[head.len() + piece.span.from..head.len() + piece.span.to].copy_from_slice(piece.data());
        }
        frame.checksum = ChecksumState::Unverified;
        match Packet::parse(frame) {
            Ok(Parsed::Ip(mut packet)) => {
                packet.layout.reassembled = Some(largest as u16);
                out.whole.push(packet);
            }
            Ok(Parsed::Arp(frame)) => out.lose(Drop::FragmentShort, count, frame),
            Err((drop, frame)) => out.lose(drop, count, frame),
        }
    }

    /// Moves a piece's data to its final place in its own buffer; nothing else has been written there yet.
    fn settle(&self, own: Piece, head_len: usize, len: usize) -> FrameBuf {
        let Piece { span, packet } = own;
        let mut frame = packet.frame;
        frame.set_len(frame.len().max(len));
        frame.bytes_mut().copy_within(span.data..span.data + span.len(), head_len + span.from);
        frame.set_len(len);
        frame
    }
}

/// An exact duplicate is no contradiction: the network may deliver a packet twice.
fn same(one: &Piece, other: &Piece) -> bool {
    one.span.from == other.span.from && one.span.more == other.span.more && one.data() == other.data()
}

/// Ethernet and IP headers of the whole packet, made from the first fragment's.
fn head(first: &Packet, payload: usize, congested: bool) -> Option<Vec<u8>> {
    let l3 = usize::from(first.layout.l3);
    let Fragment::Part { offset: 0, header, protocol, .. } = first.layout.fragment else { return None };
    // RFC 3168 section 5.3: congestion met by one fragment was met by the packet, if its sender understands ECN.
    let mark = congested && first.layout.traffic_class & CE != 0;
    match first.layout.key {
        FlowKey::V4(_) => {
            let mut head = first.frame.bytes()[..usize::from(first.layout.l4)].to_vec();
            let ip = &mut head[l3..];
            let total_len = u16::try_from(ip.len() + payload).ok()?;
            ip[1] |= if mark { CE } else { 0 };
            ip[2..4].copy_from_slice(&total_len.to_be_bytes());
            (ip[6], ip[7]) = (ip[6] & 0xc0, 0);
            ip[10..12].fill(0);
            let sum = !checksum::sum(ip);
            ip[10..12].copy_from_slice(&sum.to_be_bytes());
            Some(head)
        }
        FlowKey::V6(_) => {
            let mut head = first.frame.bytes()[..usize::from(header)].to_vec();
            let ip = &mut head[l3..];
            let length = u16::try_from(ip.len() - 40 + payload).ok()?;
            ip[1] |= if mark { CE << 4 } else { 0 };
            ip[4..6].copy_from_slice(&length.to_be_bytes());
            let field = last_next_header(ip)?;
            ip[field] = protocol;
            Some(head)
        }
    }
}

/// Offset of the last next-header field of the extension headers that `ip` ends with.
fn last_next_header(ip: &[u8]) -> Option<usize> {
    let (mut field, mut at) = (6, 40);
    while at < ip.len() {
        let units = usize::from(*ip.get(at + 1)?);
        let length = if ip[field] == 51 { units * 4 + 8 } else { units * 8 + 8 };
        (field, at) = (at, at + length);
    }
    (at == ip.len()).then_some(field)
}
