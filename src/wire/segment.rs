//! Software segmentation: what a superpacket becomes for a port without offloads.
//!
//! Invariant: the segments carry, in order, exactly the bytes of the superpacket, each with complete checksums.
//! FIN and PSH stay on the last segment, CWR on the first (RFC 3168 section 6.1.2); IPv4 identifications count up.

use super::{
    ChecksumState, FlowKey, FrameBuf, Gso, GsoKind, Layout, Packet, Pool, Transport, checksum, protocol,
    tcp_flags,
};

/// Puts a complete transport checksum in place of a partial one.
pub fn finish_checksum(packet: &mut Packet) {
    if let ChecksumState::Partial { start, offset } = packet.frame.checksum {
        let end = packet.layout.end as usize;
        let is_udp = packet.layout.key.protocol() == protocol::UDP;
        finish(&mut packet.frame.bytes_mut()[..end], usize::from(start), usize::from(offset), is_udp);
        packet.frame.checksum = ChecksumState::Valid;
    }
}

/// Sums from `start` to the end; the field already holds the sum of the pseudo header.
fn finish(bytes: &mut [u8], start: usize, offset: usize, is_udp: bool) {
    let mut sum = !checksum::sum(&bytes[start..]);
    // RFC 768: a computed zero is sent as all ones, since zero means that there is no checksum.
    if sum == 0 && is_udp {
        sum = 0xffff;
    }
    bytes[start + offset..start + offset + 2].copy_from_slice(&sum.to_be_bytes());
}

/// Cuts a superpacket into segments of its `gso.size`. A packet that is none becomes one frame.
pub fn split(mut packet: Packet, pool: &mut Pool, into: &mut Vec<FrameBuf>) {
    let Some(Gso { kind, ecn: _, size }) = packet.frame.gso else {
        finish_checksum(&mut packet);
        return into.push(packet.frame);
    };
    let Layout { l4, end, transport, .. } = packet.layout;
    let transport_len = match transport {
        Transport::Tcp { header_len, .. } => usize::from(header_len),
        Transport::Udp => 8,
        Transport::IcmpQuery { .. }
        | Transport::IcmpError { .. }
        | Transport::IcmpOther { .. }
        | Transport::Other => {
            return pool.give(packet.frame);
        }
    };
    let headers = usize::from(l4) + transport_len;
    let size = usize::from(size.max(1));
    let payload = end as usize - headers;
    let count = payload.div_ceil(size).max(1);
    for index in 0..count {
        let from = headers + index * size;
        let upto = (from + size).min(end as usize);
        let mut frame = pool.take();
        frame.clear();
        frame.set_len(headers + upto - from);
        frame.bytes_mut()[..headers].copy_from_slice(&packet.frame.bytes()[..headers]);
        frame.bytes_mut()[headers..].copy_from_slice(&packet.frame.bytes()[from..upto]);
        let place = Place { index, last: index + 1 == count, advance: (index * size) as u32 };
        write_headers(frame.bytes_mut(), &packet.layout, kind, place);
        frame.checksum = ChecksumState::Valid;
        into.push(frame);
    }
    pool.give(packet.frame);
}

/// Which segment of the superpacket.
struct Place {
    index: usize,
    last: bool,
    /// Payload bytes before it.
    advance: u32,
}

/// Adapts the copied headers to one segment.
fn write_headers(bytes: &mut [u8], layout: &Layout, kind: GsoKind, place: Place) {
    let (l3, l4) = (usize::from(layout.l3), usize::from(layout.l4));
    let total = bytes.len();
    match layout.key {
        FlowKey::V4(_) => {
            bytes[l3 + 2..l3 + 4].copy_from_slice(&((total - l3) as u16).to_be_bytes());
            let id = u16::from_be_bytes([bytes[l3 + 4], bytes[l3 + 5]]).wrapping_add(place.index as u16);
            bytes[l3 + 4..l3 + 6].copy_from_slice(&id.to_be_bytes());
            bytes[l3 + 10..l3 + 12].fill(0);
            let sum = !checksum::sum(&bytes[l3..l4]);
            bytes[l3 + 10..l3 + 12].copy_from_slice(&sum.to_be_bytes());
        }
        FlowKey::V6(_) => bytes[l3 + 4..l3 + 6].copy_from_slice(&((total - l3 - 40) as u16).to_be_bytes()),
    }
    let (field, is_udp) = match kind {
        GsoKind::Tcp4 | GsoKind::Tcp6 => {
            let at = l4 + 4;
            let seq = u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
            bytes[at..at + 4].copy_from_slice(&seq.wrapping_add(place.advance).to_be_bytes());
            if !place.last {
                bytes[l4 + 13] &= !(tcp_flags::FIN | tcp_flags::PSH);
            }
            if place.index > 0 {
                bytes[l4 + 13] &= !tcp_flags::CWR;
            }
            (16, false)
        }
        GsoKind::Udp => {
            bytes[l4 + 4..l4 + 6].copy_from_slice(&((total - l4) as u16).to_be_bytes());
            (6, true)
        }
    };
    let key = &layout.key;
    let pseudo = checksum::pseudo_header(key.src(), key.dst(), key.protocol(), (total - l4) as u32);
    bytes[l4 + field..l4 + field + 2].copy_from_slice(&pseudo.to_be_bytes());
    finish(bytes, l4, field, is_udp);
}
