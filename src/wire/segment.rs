//! Superpackets cut into what a link without offloads takes (TSO and USO in software), and checksums finished.
//!
//! Invariant: every segment is a packet that its sender might have sent: its lengths, sequence number, IPv4
//! identification and checksums are its own, FIN and PSH are on the last one only (RFC 9293 section 3.9.1) and
//! CWR is on the first one only (RFC 3168 section 6.1.2).

use super::{
    ChecksumState, Drop, FlowKey, FrameBuf, Gso, GsoKind, Packet, Pool, Transport, checksum, tcp_flags,
};

/// A superpacket of more segments than this is refused. 64 KiB in segments of TCP's smallest useful size (48 bytes).
pub const SEGMENT_LIMIT: usize = 1_366;

/// Turns a partial checksum into a complete one. A superpacket is left alone: its checksum belongs to no segment.
pub fn finish_checksum(packet: &mut Packet) {
    let ChecksumState::Partial { start, offset } = packet.frame.checksum else { return };
    if packet.frame.gso.is_some() {
        return;
    }
    let (start, end, at) = (usize::from(start), packet.layout.end as usize, usize::from(offset));
    let never_zero = matches!(packet.layout.transport, Transport::Udp);
    let Some(covered) = packet.frame.bytes_mut().get_mut(start..end).filter(|bytes| bytes.len() >= at + 2)
    else {
        return;
    };
    // The field holds the sum of the pseudo header and is covered itself.
    let value = complement(checksum::sum(covered), never_zero);
    covered[at..at + 2].copy_from_slice(&value.to_be_bytes());
    packet.frame.checksum = ChecksumState::Valid;
}

/// Cuts a superpacket into segments behind what stands in `out`, and gives its buffer to `pool`. Any other packet
/// goes to `out` as it is, with its checksum finished. Answers how many frames that made.
///
/// # Errors
/// [`Drop::Gso`] when the offload header contradicts the packet; the buffer goes to `pool`.
pub fn split(mut packet: Packet, pool: &mut Pool, out: &mut Vec<FrameBuf>) -> Result<usize, Drop> {
    let Some(gso) = packet.frame.gso else {
        finish_checksum(&mut packet);
        out.push(packet.frame);
        return Ok(1);
    };
    let cuts = Cuts::of(&packet, gso);
    if let Some(cuts) = &cuts {
        out.reserve(cuts.count);
        let source = packet.frame.bytes();
        out.extend((0..cuts.count).map(|index| cuts.segment(source, index, pool)));
    }
    pool.give(packet.frame);
    cuts.map(|cuts| cuts.count).ok_or(Drop::Gso)
}

/// The complement of a sum, as UDP wants it: zero would mean "none computed" (RFC 768).
#[inline]
fn complement(sum: u16, never_zero: bool) -> u16 {
    let value = !sum;
    if never_zero && value == 0 { 0xffff } else { value }
}

/// Where a superpacket is cut.
struct Cuts {
    l3: usize,
    l4: usize,
    /// Where the payload begins.
    payload: usize,
    end: usize,
    size: usize,
    count: usize,
    tcp: bool,
    ipv4: bool,
    /// Sum of the pseudo header without its length.
    pseudo: u16,
}

impl Cuts {
    fn of(packet: &Packet, gso: Gso) -> Option<Self> {
        let (key, layout) = (&packet.layout.key, &packet.layout);
        let (l4, end, size) = (usize::from(layout.l4), layout.end as usize, usize::from(gso.size));
        let header_len = match (gso.kind, layout.transport) {
            (GsoKind::Tcp4 | GsoKind::Tcp6, Transport::Tcp { header_len, .. }) => usize::from(header_len),
            (GsoKind::Udp, Transport::Udp) => 8,
            (GsoKind::Tcp4 | GsoKind::Tcp6 | GsoKind::Udp, _) => return None,
        };
        let (tcp, payload) = (gso.kind != GsoKind::Udp, l4 + header_len);
        let count = end.checked_sub(payload)?.div_ceil(size.max(1)).max(1);
        if size == 0 || count > SEGMENT_LIMIT || end > packet.frame.len() {
            return None;
        }
        let bytes = packet.frame.bytes();
        let pseudo = match packet.frame.checksum {
            ChecksumState::Partial { .. } => {
                let at = l4 + if tcp { 16 } else { 6 };
                let length = (end - l4) as u32;
                let whole = checksum::add((length >> 16) as u16, length as u16);
                checksum::add(u16::from_be_bytes([bytes[at], bytes[at + 1]]), !whole)
            }
            ChecksumState::Unverified | ChecksumState::Valid => {
                checksum::pseudo_header(key.src(), key.dst(), key.protocol(), 0)
            }
        };
        let ipv4 = matches!(key, FlowKey::V4(_));
        Some(Cuts { l3: usize::from(layout.l3), l4, payload, end, size, count, tcp, ipv4, pseudo })
    }

    fn segment(&self, source: &[u8], index: usize, pool: &mut Pool) -> FrameBuf {
        let from = self.payload + index * self.size;
        let to = (from + self.size).min(self.end);
        let mut frame = pool.take();
        frame.clear();
        frame.set_len(self.payload + to - from);
        let bytes = frame.bytes_mut();
        bytes[..self.payload].copy_from_slice(&source[..self.payload]);
        bytes[self.payload..].copy_from_slice(&source[from..to]);
        self.finish_ip(&mut bytes[self.l3..], index);
        self.finish_transport(&mut bytes[self.l4..], index);
        frame.checksum = ChecksumState::Valid;
        frame
    }

    #[inline]
    fn finish_ip(&self, ip: &mut [u8], index: usize) {
        if !self.ipv4 {
            let length = (ip.len() - 40) as u16;
            ip[4..6].copy_from_slice(&length.to_be_bytes());
            return;
        }
        let word = |at: usize| u16::from_be_bytes([ip[at], ip[at + 1]]);
        let (length, id) = (ip.len() as u16, word(4).wrapping_add(index as u16));
        let change = checksum::add(checksum::difference(word(2), length), checksum::difference(word(4), id));
        let sum = checksum::patch(word(10), change);
        for (at, word) in [(2, length), (4, id), (10, sum)] {
            ip[at..at + 2].copy_from_slice(&word.to_be_bytes());
        }
    }

    #[inline]
    fn finish_transport(&self, segment: &mut [u8], index: usize) {
        let length = segment.len() as u16;
        let at = if self.tcp { 16 } else { 6 };
        if self.tcp {
            let seq = u32::from_be_bytes([segment[4], segment[5], segment[6], segment[7]]);
            let seq = seq.wrapping_add((index * self.size) as u32);
            segment[4..8].copy_from_slice(&seq.to_be_bytes());
            if index > 0 {
                segment[13] &= !tcp_flags::CWR;
            }
            if index + 1 < self.count {
                segment[13] &= !(tcp_flags::FIN | tcp_flags::PSH);
            }
        } else {
            segment[4..6].copy_from_slice(&length.to_be_bytes());
        }
        segment[at..at + 2].copy_from_slice(&checksum::add(self.pseudo, length).to_be_bytes());
        let value = complement(checksum::sum(segment), !self.tcp);
        segment[at..at + 2].copy_from_slice(&value.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{self, Sample};
    use super::*;

    fn superpacket(mut sample: Sample, size: u16, flags: u8) -> Packet {
        sample.flags = flags;
        let mut packet = sample.partial();
        let kind = match (sample.tcp, sample.v6) {
            (true, false) => GsoKind::Tcp4,
            (true, true) => GsoKind::Tcp6,
            (false, _) => GsoKind::Udp,
        };
        packet.frame.gso = Some(Gso { kind, ecn: false, size });
        packet
    }

    fn split_all(packet: Packet) -> Vec<Packet> {
        let (mut pool, mut out) = (Pool::new(4), Vec::new());
        let count = split(packet, &mut pool, &mut out).unwrap();
        assert_eq!(count, out.len());
        out.into_iter().map(sample::parse_frame).collect()
    }

    /// As if the frame had come from a wire.
    fn verifies(packet: &Packet) -> bool {
        let mut copy = sample::parse(packet.frame.bytes());
        copy.frame.checksum = ChecksumState::Unverified;
        copy.transport_checksum_ok()
    }

    #[test]
    fn segments_are_packets_of_their_own() {
        for (tcp, v6) in [(true, false), (true, true), (false, false), (false, true)] {
            let sample = Sample { tcp, v6, payload: sample::bytes(4_000), ..Sample::default() };
            let segments = split_all(superpacket(sample.clone(), 1_400, sample.flags));
            assert_eq!(segments.len(), 3);
            let mut payload = Vec::new();
            for (index, segment) in segments.iter().enumerate() {
                assert!(verifies(segment), "tcp {tcp} v6 {v6} segment {index}");
                assert_eq!(segment.frame.gso, None);
                let header = segment.transport().len() - segment.payload_len() as usize;
                payload.extend_from_slice(&segment.transport()[header..]);
                if let Transport::Tcp { seq, .. } = segment.layout.transport {
                    assert_eq!(seq, sample.seq.wrapping_add(index as u32 * 1_400));
                }
                if !v6 {
                    let id = u16::from_be_bytes([segment.ip()[4], segment.ip()[5]]);
                    assert_eq!(id, sample.id.wrapping_add(index as u16));
                }
            }
            assert_eq!(payload, sample.payload);
        }
    }

    #[test]
    fn flags_stand_on_the_segment_they_belong_to() {
        use tcp_flags::{ACK, CWR, ECE, FIN, PSH};
        let sample = Sample { payload: sample::bytes(250), ..Sample::default() };
        let all = ACK | CWR | ECE | FIN | PSH;
        let flags: Vec<u8> = split_all(superpacket(sample, 100, all))
            .iter()
            .map(|packet| match packet.layout.transport {
                Transport::Tcp { flags, .. } => flags,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(flags, [ACK | CWR | ECE, ACK | ECE, ACK | ECE | FIN | PSH]);
    }

    #[test]
    fn contradictions_are_refused_and_the_buffer_returns() {
        let sample = Sample { payload: sample::bytes(3_000), ..Sample::default() };
        for (size, kind) in [(0, GsoKind::Tcp4), (1, GsoKind::Tcp4), (1_000, GsoKind::Udp)] {
            let mut packet = superpacket(sample.clone(), size, sample.flags);
            packet.frame.gso = Some(Gso { kind, ecn: false, size });
            let mut full_size = FrameBuf::new();
            full_size.set(packet.frame.bytes());
            (full_size.checksum, full_size.gso) = (packet.frame.checksum, packet.frame.gso);
            packet.frame = full_size;
            let (mut pool, mut out) = (Pool::new(1), Vec::new());
            assert_eq!(split(packet, &mut pool, &mut out), Err(Drop::Gso));
            assert!(out.is_empty());
            assert!(!pool.take().is_empty(), "the buffer that came back still holds the frame");
        }
    }

    #[test]
    fn a_partial_checksum_is_finished() {
        for (tcp, v6) in [(true, false), (true, true), (false, false), (false, true)] {
            let sample = Sample { tcp, v6, payload: sample::bytes(33), ..Sample::default() };
            let mut packet = sample.partial();
            finish_checksum(&mut packet);
            assert_eq!(packet.frame.checksum, ChecksumState::Valid);
            assert!(verifies(&packet));
            assert_eq!(packet.frame.bytes(), sample.packet().frame.bytes());
        }
    }

    #[test]
    fn udp_never_sends_zero() {
        // A payload word chosen so that the sum is 0xffff, whose complement would be zero.
        let mut sample = Sample { tcp: false, payload: vec![0, 0], ..Sample::default() };
        let sum = u16::from_be_bytes([sample.packet().transport()[6], sample.packet().transport()[7]]);
        sample.payload = sum.to_be_bytes().to_vec();
        let mut packet = sample.partial();
        finish_checksum(&mut packet);
        assert_eq!(packet.transport()[6..8], [0xff, 0xff]);
    }
}
