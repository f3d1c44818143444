//! Consecutive segments of one flow joined into a superpacket before a port writes them (generic receive offload).
//!
//! A write costs the kernel about as much for 64 KiB as for 64 bytes, so joining what one batch happens to hold is
//! worth several times the throughput to a peer that sends without offloads. Nothing waits for the next batch.
//!
//! Invariant: cutting what comes out (`super::segment::split`, or the kernel) gives back the packets that went in,
//! byte for byte: same headers, options and flags, PSH on the last one only, sizes equal but for a shorter last
//! one. Only the identification of a packet with DF set may differ (RFC 6864 section 4.1: it means nothing there).
//! Frames of one flow keep their order. A segment is joined only after its checksum has been verified.

use super::packet::ETHERNET_LEN;
use super::{
    ChecksumState, FlowKey, Fragment, FrameBuf, Gso, GsoKind, Layout, Packet, Pool, Transport, checksum,
    tcp_flags,
};

/// Flows of one batch that are looked after; a power of two. Two that meet in one slot are just not joined.
const SLOTS: usize = 64;
/// The kernel takes no UDP superpacket of more segments.
const UDP_SEGMENTS: u16 = 64;
/// The largest IP packet.
const LARGEST: usize = 65_535;

/// Which superpackets a port takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Offload {
    /// TCP (TSO), and with it checksums that are still partial.
    pub tcp: bool,
    /// UDP (USO).
    pub udp: bool,
}

impl Offload {
    /// None: every frame must be finished in software.
    pub const NONE: Offload = Offload { tcp: false, udp: false };
    /// All.
    pub const ALL: Offload = Offload { tcp: true, udp: true };

    /// True when a frame can be given to such a port as it is.
    #[inline]
    pub fn takes(self, frame: &FrameBuf) -> bool {
        match frame.gso.map(|gso| gso.kind) {
            Some(GsoKind::Udp) => self.udp,
            Some(GsoKind::Tcp4 | GsoKind::Tcp6) | None => self.tcp,
        }
    }
}

/// The frames that a port is going to write, runs of segments joined.
pub struct Coalescer {
    joins: Offload,
    frames: Vec<FrameBuf>,
    /// Frames that became superpackets; their headers are finished by [`Coalescer::flush`].
    runs: Vec<Run>,
    slots: [Slot; SLOTS],
    batch: u64,
    joined: u64,
}

/// The frame at `frame` holds more than one segment.
#[derive(Clone, Copy)]
struct Run {
    frame: usize,
    shape: Shape,
}

/// The last frame of a flow, as long as the next segment may join it.
#[derive(Clone, Copy)]
struct Slot {
    /// The batch that this is about; any other number makes the slot empty.
    batch: u64,
    frame: usize,
    /// Index into `runs` once two segments are joined.
    run: Option<u32>,
    /// What the first segment is like.
    shape: Shape,
    segments: u16,
}

/// What joining asks of a segment.
#[derive(Clone, Copy)]
struct Shape {
    ipv4: bool,
    tcp: bool,
    /// Offsets in the frame of the transport header and of the payload.
    l4: usize,
    payload: usize,
    /// Payload bytes.
    size: usize,
    seq: u32,
    push: bool,
}

const EMPTY: Slot = Slot {
    batch: 0,
    frame: 0,
    run: None,
    shape: Shape { ipv4: false, tcp: false, l4: 0, payload: 0, size: 0, seq: 0, push: false },
    segments: 0,
};

impl Coalescer {
    /// Offload what `joins` allows.
    pub fn new(joins: Offload) -> Self {
        Coalescer {
            joins,
            frames: Vec::with_capacity(64),
            runs: Vec::with_capacity(SLOTS),
            slots: [EMPTY; SLOTS],
            batch: 1,
            joined: 0,
        }
    }

    /// Offload other things from now on: a kernel may refuse a superpacket after all.
    pub fn apply(&mut self, joins: Offload) {
        self.joins = joins;
    }

    /// Segments that left in the frame of another one, since the beginning.
    pub fn joined(&self) -> u64 {
        self.joined
    }

    /// Frames that wait for [`Coalescer::flush`].
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// True when no frame waits.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Takes a packet that is ready to be written. The buffer of a joined one goes to `pool`.
    #[inline]
    pub fn push(&mut self, packet: Packet, pool: &mut Pool) {
        let index = slot_of(&packet.layout.key);
        match shape(&packet, self.joins) {
            Some(shape) => self.push_segment(packet, shape, index, pool),
            None => {
                // What follows must not overtake it. Which flow a fragment belongs to is not known.
                if packet.layout.fragment == Fragment::Whole {
                    self.slots[index].batch = 0;
                } else {
                    self.batch += 1;
                }
                self.frames.push(packet.frame);
            }
        }
    }

    /// Takes a frame that is to be written as it is; what follows does not overtake it.
    pub fn push_frame(&mut self, frame: FrameBuf) {
        self.batch += 1;
        self.frames.push(frame);
    }

    /// Hands over the frames of the batch behind what stands in `out`, in the order of their first segments.
    pub fn flush(&mut self, out: &mut Vec<FrameBuf>) {
        for Run { frame, shape } in self.runs.drain(..) {
            if let Some(frame) = self.frames.get_mut(frame) {
                finish(frame, &shape);
            }
        }
        self.batch += 1;
        if out.is_empty() {
            std::mem::swap(out, &mut self.frames);
        } else {
            out.append(&mut self.frames);
        }
    }

    fn push_segment(&mut self, packet: Packet, shape: Shape, index: usize, pool: &mut Pool) {
        let slot = &self.slots[index];
        let follows = slot.batch == self.batch
            && slot.follows(&self.frames[slot.frame], &packet, &shape)
            && checksum_holds(&packet.frame, &shape)
            && (slot.run.is_some() || checksum_holds(&self.frames[slot.frame], &slot.shape));
        if follows {
            self.join(packet, &shape, index, pool);
        } else {
            // A segment with PSH ends here; a slot of no batch says so.
            let batch = if shape.push { 0 } else { self.batch };
            self.slots[index] = Slot { batch, frame: self.frames.len(), run: None, shape, segments: 1 };
            self.frames.push(packet.frame);
        }
    }

    fn join(&mut self, packet: Packet, shape: &Shape, index: usize, pool: &mut Pool) {
        let slot = &mut self.slots[index];
        let frame = &mut self.frames[slot.frame];
        if slot.run.is_none() {
            slot.run = Some(self.runs.len() as u32);
            self.runs.push(Run { frame: slot.frame, shape: slot.shape });
            // Off with the padding of a short frame.
            frame.set_len(slot.shape.payload + slot.shape.size);
        }
        let end = frame.len();
        if frame.room() < end + shape.size {
            let mut larger = pool.take();
            larger.set(frame.bytes());
            pool.give(std::mem::replace(frame, larger));
        }
        frame.set_len(end + shape.size);
        let segment = &packet.frame.bytes()[shape.payload..shape.payload + shape.size];
        let bytes = frame.bytes_mut();
        bytes[end..].copy_from_slice(segment);
        if shape.push {
            bytes[slot.shape.l4 + 13] |= tcp_flags::PSH;
        }
        slot.segments += 1;
        let full = !shape.tcp && slot.segments >= UDP_SEGMENTS;
        if full || shape.push || shape.size < slot.shape.size {
            slot.batch = 0;
        }
        self.joined += 1;
        pool.give(packet.frame);
    }
}

impl Slot {
    /// True when `packet` is what comes behind the segments that `frame` holds.
    fn follows(&self, frame: &FrameBuf, packet: &Packet, shape: &Shape) -> bool {
        let first = &self.shape;
        let before = first.size * usize::from(self.segments);
        if shape.tcp && shape.seq != first.seq.wrapping_add(before as u32) {
            return false;
        }
        let len = first.payload + before + shape.size;
        shape.size <= first.size
            && shape.payload == first.payload
            && shape.tcp == first.tcp
            && shape.ipv4 == first.ipv4
            && len <= LARGEST + ETHERNET_LEN
            && same_headers(frame.bytes(), packet.frame.bytes(), shape, self.segments)
    }
}

/// What joining asks of a packet, when it can be joined at all: a whole TCP segment with data and no flags but ACK,
/// PSH and ECN echo, or a UDP datagram with a checksum; no IP options.
#[inline]
fn shape(packet: &Packet, joins: Offload) -> Option<Shape> {
    let Layout { l3, l4, end, transport, fragment, options, ref key, .. } = packet.layout;
    if fragment != Fragment::Whole || options || packet.frame.gso.is_some() {
        return None;
    }
    let (l4, end) = (usize::from(l4), end as usize);
    let ipv4 = matches!(key, FlowKey::V4(_));
    // An atomic fragment header would be in the way.
    if l4 - usize::from(l3) != if ipv4 { 20 } else { 40 } {
        return None;
    }
    let (tcp, header_len, seq, push) = match transport {
        Transport::Tcp { flags, header_len, seq, .. } if joins.tcp => {
            if flags & !(tcp_flags::PSH | tcp_flags::ECE) != tcp_flags::ACK {
                return None;
            }
            (true, usize::from(header_len), seq, flags & tcp_flags::PSH != 0)
        }
        Transport::Udp if joins.udp => {
            let bytes = packet.frame.bytes();
            let length = usize::from(u16::from_be_bytes([bytes[l4 + 4], bytes[l4 + 5]]));
            let partial = matches!(packet.frame.checksum, ChecksumState::Partial { .. });
            let none = !partial && bytes[l4 + 6] == 0 && bytes[l4 + 7] == 0;
            if length != end - l4 || none {
                return None;
            }
            (false, 8, 0, false)
        }
        Transport::Tcp { .. }
        | Transport::Udp
        | Transport::IcmpQuery { .. }
        | Transport::IcmpError { .. }
        | Transport::IcmpOther { .. }
        | Transport::Other => return None,
    };
    let payload = l4 + header_len;
    (end > payload).then(|| Shape { ipv4, tcp, l4, payload, size: end - payload, seq, push })
}

/// True when everything but lengths, identification, sequence number, PSH and checksums is equal.
fn same_headers(first: &[u8], next: &[u8], shape: &Shape, distance: u16) -> bool {
    let same = |from: usize, to: usize| first[from..to] == next[from..to];
    let ip = if shape.ipv4 {
        // Version to type of service; flags to protocol; addresses.
        same(0, 16) && same(20, 24) && same(26, 34) && ids_follow(first, next, distance)
    } else {
        same(0, 18) && same(20, 54)
    };
    let l4 = shape.l4;
    if !ip || !same(l4, l4 + 4) {
        return false;
    }
    // Acknowledgement; header length and flags; window; urgent pointer and options.
    !shape.tcp
        || (same(l4 + 8, l4 + 13)
            && first[l4 + 13] == next[l4 + 13] & !tcp_flags::PSH
            && same(l4 + 14, l4 + 16)
            && same(l4 + 18, shape.payload))
}

/// The kernel counts identifications up when it cuts. With DF set they mean nothing.
fn ids_follow(first: &[u8], next: &[u8], distance: u16) -> bool {
    let id = |bytes: &[u8]| u16::from_be_bytes([bytes[18], bytes[19]]);
    first[20] & 0x40 != 0 || id(next) == id(first).wrapping_add(distance)
}

/// Sum of the addresses and the protocol, with the length of the transport part.
fn pseudo_header(bytes: &[u8], shape: &Shape, length: usize) -> u16 {
    let addresses = if shape.ipv4 { &bytes[26..34] } else { &bytes[22..54] };
    let protocol = if shape.tcp { super::protocol::TCP } else { super::protocol::UDP };
    checksum::add(checksum::sum(addresses), checksum::add(u16::from(protocol), length as u16))
}

/// The kernel will vouch for what it cuts, so somebody has to look before.
fn checksum_holds(frame: &FrameBuf, shape: &Shape) -> bool {
    match frame.checksum {
        ChecksumState::Valid | ChecksumState::Partial { .. } => true,
        ChecksumState::Unverified => {
            let bytes = frame.bytes();
            let segment = &bytes[shape.l4..shape.payload + shape.size];
            checksum::add(pseudo_header(bytes, shape, segment.len()), checksum::sum(segment)) == 0xffff
        }
    }
}

/// Makes the headers of the first segment those of the superpacket.
fn finish(frame: &mut FrameBuf, shape: &Shape) {
    let end = frame.len();
    let bytes = frame.bytes_mut();
    let length = end - shape.l4;
    if shape.ipv4 {
        let (old, new) = (u16::from_be_bytes([bytes[16], bytes[17]]), (end - ETHERNET_LEN) as u16);
        let sum = u16::from_be_bytes([bytes[24], bytes[25]]);
        let sum = checksum::patch(sum, checksum::difference(old, new));
        bytes[16..18].copy_from_slice(&new.to_be_bytes());
        bytes[24..26].copy_from_slice(&sum.to_be_bytes());
    } else {
        bytes[18..20].copy_from_slice(&(length as u16).to_be_bytes());
    }
    if !shape.tcp {
        bytes[shape.l4 + 4..shape.l4 + 6].copy_from_slice(&(length as u16).to_be_bytes());
    }
    let offset = if shape.tcp { 16 } else { 6 };
    let pseudo = pseudo_header(bytes, shape, length);
    bytes[shape.l4 + offset..shape.l4 + offset + 2].copy_from_slice(&pseudo.to_be_bytes());
    let kind = match (shape.tcp, shape.ipv4) {
        (true, true) => GsoKind::Tcp4,
        (true, false) => GsoKind::Tcp6,
        (false, _) => GsoKind::Udp,
    };
    frame.gso = Some(Gso { kind, ecn: false, size: shape.size as u16 });
    frame.checksum = ChecksumState::Partial { start: shape.l4 as u16, offset: offset as u16 };
}

/// A slot for a flow. Unseeded: whoever makes flows meet only loses the joining of his own batch.
#[inline]
fn slot_of(key: &FlowKey) -> usize {
    let ports = (u64::from(key.src_port()) << 16) | u64::from(key.dst_port());
    let addresses = match key {
        FlowKey::V4(key) => u64::from(key.src.to_bits() ^ key.dst.to_bits().rotate_left(16)),
        FlowKey::V6(key) => (key.src.to_bits() ^ key.dst.to_bits().rotate_left(32)) as u64,
    };
    ((ports << 32 ^ addresses).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58) as usize
}

#[cfg(test)]
mod tests;
