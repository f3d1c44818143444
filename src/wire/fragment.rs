//! Cutting an IP packet into fragments (RFC 791 section 3.2, RFC 8200 section 4.5).
//!
//! Invariant: the fragments carry exactly the packet's bytes, none is longer than the link takes, and all but the
//! last are multiples of eight bytes.

use super::{ChecksumState, FlowKey, FrameBuf, Packet, Pool, checksum};

/// Cuts `packet`, whose checksum is complete, into frames whose IP packets are at most `mtu` bytes.
///
/// Nothing comes out when `mtu` leaves no room for payload.
pub fn split(packet: &Packet, mtu: usize, id: u32, pool: &mut Pool, into: &mut Vec<FrameBuf>) {
    match packet.layout.key {
        FlowKey::V4(_) => split_ipv4(packet, mtu, id as u16, pool, into),
        FlowKey::V6(_) => split_ipv6(packet, mtu, id, pool, into),
    }
}

/// A frame that begins with `head` and goes on with `tail`.
fn frame(pool: &mut Pool, head: &[u8], tail: &[u8]) -> FrameBuf {
    let mut frame = pool.take();
    frame.clear();
    frame.set_len(head.len() + tail.len());
    let bytes = frame.bytes_mut();
    bytes[..head.len()].copy_from_slice(head);
    bytes[head.len()..].copy_from_slice(tail);
    frame.checksum = ChecksumState::Valid;
    frame
}

fn split_ipv4(packet: &Packet, mtu: usize, id: u16, pool: &mut Pool, into: &mut Vec<FrameBuf>) {
    let (l3, l4) = (usize::from(packet.layout.l3), usize::from(packet.layout.l4));
    let bytes = &packet.frame.bytes()[..packet.layout.end as usize];
    let room = mtu.saturating_sub(l4 - l3) & !7;
    if room == 0 {
        return;
    }
    let payload = &bytes[l4..];
    for (index, piece) in payload.chunks(room).enumerate() {
        let mut head = bytes[..l4].to_vec();
        let more = (index + 1) * room < payload.len();
        let field = (index * room / 8) as u16 | if more { 0x2000 } else { 0 };
        let ip = &mut head[l3..];
        ip[2..4].copy_from_slice(&((l4 - l3 + piece.len()) as u16).to_be_bytes());
        ip[4..6].copy_from_slice(&id.to_be_bytes());
        ip[6..8].copy_from_slice(&field.to_be_bytes());
        ip[10..12].fill(0);
        let sum = !checksum::sum(ip);
        ip[10..12].copy_from_slice(&sum.to_be_bytes());
        into.push(frame(pool, &head, piece));
    }
}

/// The fragment header goes behind what each fragment must repeat; here that is the fixed header alone, since a
/// packet with hop-by-hop or routing headers is not put together by this router.
fn split_ipv6(packet: &Packet, mtu: usize, id: u32, pool: &mut Pool, into: &mut Vec<FrameBuf>) {
    let l3 = usize::from(packet.layout.l3);
    let bytes = &packet.frame.bytes()[..packet.layout.end as usize];
    let room = mtu.saturating_sub(48) & !7;
    if room == 0 {
        return;
    }
    let payload = &bytes[l3 + 40..];
    for (index, piece) in payload.chunks(room).enumerate() {
        let mut head = bytes[..l3 + 40].to_vec();
        let more = (index + 1) * room < payload.len();
        let next = std::mem::replace(&mut head[l3 + 6], 44);
        head[l3 + 4..l3 + 6].copy_from_slice(&((piece.len() + 8) as u16).to_be_bytes());
        let field = (index * room) as u16 | u16::from(more);
        head.extend_from_slice(&[next, 0]);
        head.extend_from_slice(&field.to_be_bytes());
        head.extend_from_slice(&id.to_be_bytes());
        into.push(frame(pool, &head, piece));
    }
}
