//! Giving an ICMP error, and the packet that it quotes, the addresses of the other side (RFC 5508 section 4.2).
//!
//! Three checksums: the quoted IPv4 header's, the quoted transport's (when the quotation is long enough to have it)
//! and the error's own, which covers both and, in ICMPv6, its own addresses. The quoted checksums are patched, not
//! verified: the sender of the error may have quoted less than they cover. Type, code and length stay.

use super::rewrite::{Ports, put, rewrite_addresses_4, rewrite_addresses_6, rewrite_transport};
use crate::conntrack::Related;
use crate::wire::checksum::{add, difference, patch, patch_partial, sum};
use crate::wire::icmp_error::Quoted;
use crate::wire::{ChecksumState, FlowKey, Packet, protocol};

/// Translates an ICMP error about a flow, as [`Related`] says.
pub fn rewrite_error(packet: &mut Packet, quoted: &Quoted, related: &Related) {
    let Related { quoted: before, src, dst, shift, .. } = related;
    let inner = rewrite_quoted(packet, quoted, before, *shift);
    let key = packet.layout.key;
    let Some(to) = FlowKey::new(key.protocol(), *src, key.src_port(), *dst, key.dst_port()) else { return };
    let l3 = usize::from(packet.layout.l3);
    let bytes = packet.frame.bytes_mut();
    let outer = match (&key, &to) {
        (FlowKey::V4(old), FlowKey::V4(new)) => {
            rewrite_addresses_4(bytes, l3, old, new);
            0
        }
        (FlowKey::V6(old), FlowKey::V6(new)) => rewrite_addresses_6(bytes, l3, old, new).addresses,
        (FlowKey::V4(_), FlowKey::V6(_)) | (FlowKey::V6(_), FlowKey::V4(_)) => 0,
    };
    packet.layout.key = to;
    let partial = matches!(packet.frame.checksum, ChecksumState::Partial { .. });
    let icmp = packet.transport_mut();
    let field = u16::from_be_bytes([icmp[2], icmp[3]]);
    // A partial checksum sums the message later; only the addresses are in it yet.
    let field = if partial { patch_partial(field, outer) } else { patch(field, add(outer, inner)) };
    put(icmp, 2, field);
}

/// Rewrites the quotation; returns the difference that this makes to the sum over it.
fn rewrite_quoted(packet: &mut Packet, quoted: &Quoted, before: &FlowKey, shift: u32) -> u16 {
    let (icmp, end) = (usize::from(packet.layout.l4), packet.layout.end as usize);
    let (l3, l4) = (usize::from(quoted.l3), usize::from(quoted.l4));
    let bytes = &mut packet.frame.bytes_mut()[..end];
    // What may change: both headers, as far as the transport's checksum. They begin eight bytes behind the ICMP
    // header, so summing them apart keeps the pairing of the bytes.
    let until = (l4 + 18).min(end).min(l4 + quoted.transport_len);
    if l3 != icmp + 8 || until < l4 {
        return 0;
    }
    let old = sum(&bytes[l3..until]);
    let change = match (&quoted.key, before) {
        (FlowKey::V4(old), FlowKey::V4(new)) => rewrite_addresses_4(bytes, l3, old, new),
        (FlowKey::V6(old), FlowKey::V6(new)) => rewrite_addresses_6(bytes, l3, old, new),
        (FlowKey::V4(_), FlowKey::V6(_)) | (FlowKey::V6(_), FlowKey::V4(_)) => return 0,
    };
    if let Some(at) = quoted_ports(&bytes[l4..until], &quoted.key) {
        rewrite_transport(&mut bytes[l4..until], at, before, change, false);
    }
    take_back_shift(&mut bytes[l4..until], shift);
    difference(old, sum(&bytes[l3..until]))
}

/// The quoted segment gets back the sequence number that it was sent with.
fn take_back_shift(segment: &mut [u8], shift: u32) {
    let Some(&[a, b, c, d]) = segment.get(4..8).filter(|_| shift != 0) else { return };
    let seq = u32::from_be_bytes([a, b, c, d]).wrapping_sub(shift);
    let before = sum(&segment[4..8]);
    segment[4..8].copy_from_slice(&seq.to_be_bytes());
    let change = difference(before, sum(&segment[4..8]));
    if let Some(&[high, low]) = segment.get(16..18) {
        put(segment, 16, patch(u16::from_be_bytes([high, low]), change));
    }
}

/// Where the quoted transport header has its ports.
fn quoted_ports(transport: &[u8], key: &FlowKey) -> Option<Ports> {
    let kind = *transport.first()?;
    match (key.protocol(), kind) {
        (protocol::TCP, _) => Some(Ports::Both(16)),
        (protocol::UDP, _) => Some(Ports::Both(6)),
        (protocol::ICMP, 8 | 13 | 15 | 17) | (protocol::ICMPV6, 128) => {
            Some(Ports::Identifier { request: true })
        }
        (protocol::ICMP, 0 | 14 | 16 | 18) | (protocol::ICMPV6, 129) => {
            Some(Ports::Identifier { request: false })
        }
        _ => None,
    }
}
