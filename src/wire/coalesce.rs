//! Consecutive segments of one flow grow together before a write, when their sender had no offload.
//!
//! Invariant: order within a flow is kept, nothing waits beyond its batch, and cutting a grown packet again gives
//! back the segments that went in. Only the packet that was pushed last can grow, so a look at one header decides.

use super::{
    ChecksumState, FlowKey, FrameBuf, Gso, GsoKind, Layout, Packet, Pool, Transport, checksum, tcp_flags,
};

/// Payloads below this are not worth the copy.
const SMALLEST: usize = 256;
/// The largest IP packet.
const LARGEST: usize = 65_535;
/// The kernel's own bound for segments of one UDP superpacket.
const MOST_DATAGRAMS: usize = 64;

/// Packets of one batch for one port.
#[derive(Default)]
pub struct Coalescer {
    done: Vec<FrameBuf>,
    growing: Option<Growing>,
}

struct Growing {
    packet: Packet,
    headers: usize,
    /// Payload of each segment but the last.
    size: usize,
    segments: usize,
    next_seq: u32,
    /// A short segment, or one with PSH or FIN, is the last.
    closed: bool,
}

impl Coalescer {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The next packet of the batch. It must have a right checksum (or a partial one).
    #[inline]
    pub fn push(&mut self, packet: Packet, pool: &mut Pool) {
        match candidate(&packet) {
            None => {
                self.close();
                self.done.push(packet.frame);
            }
            Some(headers) => self.grow(packet, headers, pool),
        }
    }

    /// A frame that goes out as it is.
    pub fn push_frame(&mut self, frame: FrameBuf) {
        self.close();
        self.done.push(frame);
    }

    /// Ends the batch.
    pub fn flush(&mut self, into: &mut Vec<FrameBuf>) {
        self.close();
        into.append(&mut self.done);
    }

    fn grow(&mut self, packet: Packet, headers: usize, pool: &mut Pool) {
        if let Some(growing) = &mut self.growing
            && growing.continues(&packet, headers)
        {
            growing.append(&packet, headers);
            return pool.give(packet.frame);
        }
        self.close();
        self.growing = Some(Growing::begin(packet, headers));
    }

    fn close(&mut self) {
        if let Some(growing) = self.growing.take() {
            self.done.push(growing.finish());
        }
    }
}

/// Length of all headers, when the packet may be part of a superpacket.
#[inline]
fn candidate(packet: &Packet) -> Option<usize> {
    let layout = &packet.layout;
    if packet.frame.gso.is_some() || layout.options || layout.reassembled.is_some() {
        return None;
    }
    let transport = match layout.transport {
        Transport::Tcp { flags, header_len, .. } => {
            let plain = flags & !(tcp_flags::PSH | tcp_flags::FIN) == tcp_flags::ACK;
            plain.then_some(usize::from(header_len))?
        }
        // A datagram without a checksum must stay without one.
        Transport::Udp if packet.transport()[6..8] != [0, 0] => 8,
        Transport::Udp
        | Transport::IcmpQuery { .. }
        | Transport::IcmpError { .. }
        | Transport::IcmpOther { .. }
        | Transport::Other => return None,
    };
    let headers = usize::from(layout.l4) + transport;
    let payload = layout.end as usize - headers;
    (payload >= SMALLEST && packet.frame.room() > LARGEST).then_some(headers)
}

impl Growing {
    fn begin(packet: Packet, headers: usize) -> Self {
        let size = packet.layout.end as usize - headers;
        let (next_seq, closed) = match packet.layout.transport {
            Transport::Tcp { seq, flags, .. } => (seq.wrapping_add(size as u32), flags != tcp_flags::ACK),
            Transport::Udp
            | Transport::IcmpQuery { .. }
            | Transport::IcmpError { .. }
            | Transport::IcmpOther { .. }
            | Transport::Other => (0, false),
        };
        Growing { packet, headers, size, segments: 1, next_seq, closed }
    }

    /// The rules of Linux's own receive offload: same flow, same headers but for length, identification,
    /// checksum and sequence; same size but for the last; in order.
    fn continues(&self, packet: &Packet, headers: usize) -> bool {
        let (mine, its) = (&self.packet.layout, &packet.layout);
        if self.closed || headers != self.headers || mine.key != its.key || mine.l4 != its.l4 {
            return false;
        }
        let payload = its.end as usize - headers;
        let grown = mine.end as usize - usize::from(mine.l3) + payload;
        if payload > self.size || grown > LARGEST || !same_ip(&self.packet, packet, self.segments as u16) {
            return false;
        }
        match its.transport {
            Transport::Tcp { seq, .. } => seq == self.next_seq && same_tcp(&self.packet, packet, headers),
            Transport::Udp => self.segments < MOST_DATAGRAMS,
            Transport::IcmpQuery { .. }
            | Transport::IcmpError { .. }
            | Transport::IcmpOther { .. }
            | Transport::Other => false,
        }
    }

    fn append(&mut self, packet: &Packet, headers: usize) {
        let from = self.packet.layout.end as usize;
        let body = &packet.frame.bytes()[headers..packet.layout.end as usize];
        self.packet.frame.set_len(from + body.len());
        self.packet.frame.bytes_mut()[from..].copy_from_slice(body);
        self.packet.layout.end += body.len() as u32;
        self.segments += 1;
        self.next_seq = self.next_seq.wrapping_add(body.len() as u32);
        self.closed |= body.len() < self.size;
        if let Transport::Tcp { flags, .. } = packet.layout.transport {
            self.closed |= flags != tcp_flags::ACK;
            let at = usize::from(self.packet.layout.l4) + 13;
            self.packet.frame.bytes_mut()[at] |= flags & (tcp_flags::PSH | tcp_flags::FIN);
        }
    }

    /// One segment stays as it came; more become a superpacket with a partial checksum.
    fn finish(mut self) -> FrameBuf {
        if self.segments == 1 {
            return self.packet.frame;
        }
        let Layout { key, l3, l4, end, transport, .. } = self.packet.layout;
        let (kind, offset) = match (transport, key) {
            (Transport::Udp, _) => (GsoKind::Udp, 6u16),
            (_, FlowKey::V4(_)) => (GsoKind::Tcp4, 16),
            (_, FlowKey::V6(_)) => (GsoKind::Tcp6, 16),
        };
        let length = end - u32::from(l4);
        let bytes = self.packet.frame.bytes_mut();
        let (l3, l4) = (usize::from(l3), usize::from(l4));
        let total = end as usize - l3;
        match key {
            FlowKey::V4(_) => {
                let old = u16::from_be_bytes([bytes[l3 + 2], bytes[l3 + 3]]);
                bytes[l3 + 2..l3 + 4].copy_from_slice(&(total as u16).to_be_bytes());
                let field = u16::from_be_bytes([bytes[l3 + 10], bytes[l3 + 11]]);
                let sum = checksum::patch(field, checksum::difference(old, total as u16));
                bytes[l3 + 10..l3 + 12].copy_from_slice(&sum.to_be_bytes());
            }
            FlowKey::V6(_) => bytes[l3 + 4..l3 + 6].copy_from_slice(&((total - 40) as u16).to_be_bytes()),
        }
        if kind == GsoKind::Udp {
            bytes[l4 + 4..l4 + 6].copy_from_slice(&(length as u16).to_be_bytes());
        }
        let pseudo = checksum::pseudo_header(key.src(), key.dst(), key.protocol(), length);
        let field = l4 + usize::from(offset);
        bytes[field..field + 2].copy_from_slice(&pseudo.to_be_bytes());
        self.packet.frame.checksum = ChecksumState::Partial { start: l4 as u16, offset };
        self.packet.frame.gso = Some(Gso { kind, ecn: false, size: self.size as u16 });
        self.packet.frame
    }
}

/// Everything of the link and IP headers but length, identification and checksum is the same; an IPv4
/// identification counts up, or both are zero with DF.
fn same_ip(first: &Packet, next: &Packet, position: u16) -> bool {
    let (a, b) = (first.frame.bytes(), next.frame.bytes());
    let l3 = usize::from(first.layout.l3);
    if a[..l3] != b[..l3] {
        return false;
    }
    match first.layout.key {
        FlowKey::V4(_) => {
            let id = |bytes: &[u8]| u16::from_be_bytes([bytes[l3 + 4], bytes[l3 + 5]]);
            let counts = id(b) == id(a).wrapping_add(position);
            a[l3..l3 + 2] == b[l3..l3 + 2] && a[l3 + 6..l3 + 9] == b[l3 + 6..l3 + 9] && counts
        }
        FlowKey::V6(_) => a[l3..l3 + 4] == b[l3..l3 + 4] && a[l3 + 7] == b[l3 + 7],
    }
}

/// Acknowledgement, window, urgent pointer and options are the same.
fn same_tcp(first: &Packet, next: &Packet, headers: usize) -> bool {
    let (a, b) = (first.frame.bytes(), next.frame.bytes());
    let l4 = usize::from(first.layout.l4);
    a[l4 + 8..l4 + 13] == b[l4 + 8..l4 + 13]
        && a[l4 + 14..l4 + 16] == b[l4 + 14..l4 + 16]
        && a[l4 + 18..headers] == b[l4 + 18..headers]
}
