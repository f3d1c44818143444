//! Giving a packet another key, in place.
//!
//! Checksums are patched (RFC 1624), never computed. A partial checksum covers only the pseudo header so far: there
//! the addresses count and the ports do not. A UDP checksum of zero means "none" and stays (RFC 768).

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::wire::checksum::{add, difference, patch, patch_partial, sum};
use crate::wire::{ChecksumState, FlowKey, FlowKey4, FlowKey6, Packet, Transport, protocol};

/// What a translation changes in sums: of addresses, and of ports or query identifier.
#[derive(Clone, Copy)]
pub(super) struct Change {
    pub(super) addresses: u16,
    pub(super) ports: u16,
}

/// Gives a packet the key `to`, which must be of its own family and protocol (otherwise nothing happens).
#[inline]
pub fn rewrite(packet: &mut Packet, to: &FlowKey) {
    let from = packet.layout.key;
    let change = match (&from, to) {
        (FlowKey::V4(old), FlowKey::V4(new)) if old.protocol == new.protocol => {
            rewrite_addresses_4(packet.frame.bytes_mut(), usize::from(packet.layout.l3), old, new)
        }
        (FlowKey::V6(old), FlowKey::V6(new)) if old.protocol == new.protocol => {
            rewrite_addresses_6(packet.frame.bytes_mut(), usize::from(packet.layout.l3), old, new)
        }
        (FlowKey::V4(_) | FlowKey::V6(_), FlowKey::V4(_) | FlowKey::V6(_)) => return,
    };
    let partial = matches!(packet.frame.checksum, ChecksumState::Partial { .. });
    let l4 = usize::from(packet.layout.l4);
    if let Some(query) = ports(packet.layout.transport, to.protocol()) {
        let end = packet.layout.end as usize;
        rewrite_transport(&mut packet.frame.bytes_mut()[l4..end], query, to, change, partial);
    }
    packet.layout.key = *to;
}

/// Where a key's ports are in the transport header.
#[derive(Clone, Copy)]
pub(super) enum Ports {
    /// Both in the first four bytes; the checksum at this offset.
    Both(usize),
    /// An ICMP query's identifier, in the source port of a request and the destination port of an answer.
    Identifier { request: bool },
    /// None, but a checksum at this offset that covers the pseudo header.
    None(usize),
}

/// `None` for what has neither ports nor a checksum over addresses, and for later fragments.
const fn ports(transport: Transport, number: u8) -> Option<Ports> {
    match transport {
        Transport::Tcp { .. } => Some(Ports::Both(16)),
        Transport::Udp => Some(Ports::Both(6)),
        Transport::IcmpQuery { request } => Some(Ports::Identifier { request }),
        Transport::IcmpError { .. } | Transport::IcmpOther { .. } if number == protocol::ICMPV6 => {
            Some(Ports::None(2))
        }
        Transport::IcmpError { .. } | Transport::IcmpOther { .. } | Transport::Other => None,
    }
}

/// Rewrites the addresses of an IPv4 header and its checksum.
#[inline]
pub(super) fn rewrite_addresses_4(bytes: &mut [u8], l3: usize, old: &FlowKey4, new: &FlowKey4) -> Change {
    let words = |address: Ipv4Addr| {
        let [a, b, c, d] = address.octets();
        add(u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))
    };
    let addresses = difference(add(words(old.src), words(old.dst)), add(words(new.src), words(new.dst)));
    let header = &mut bytes[l3..l3 + 20];
    header[12..16].copy_from_slice(&new.src.octets());
    header[16..20].copy_from_slice(&new.dst.octets());
    let field = patch(u16::from_be_bytes([header[10], header[11]]), addresses);
    header[10..12].copy_from_slice(&field.to_be_bytes());
    Change { addresses, ports: ports_change(old.src_port, old.dst_port, new.src_port, new.dst_port) }
}

/// Rewrites the addresses of an IPv6 header.
pub(super) fn rewrite_addresses_6(bytes: &mut [u8], l3: usize, old: &FlowKey6, new: &FlowKey6) -> Change {
    let words = |a: Ipv6Addr, b: Ipv6Addr| add(sum(&a.octets()), sum(&b.octets()));
    let header = &mut bytes[l3..l3 + 40];
    header[8..24].copy_from_slice(&new.src.octets());
    header[24..40].copy_from_slice(&new.dst.octets());
    Change {
        addresses: difference(words(old.src, old.dst), words(new.src, new.dst)),
        ports: ports_change(old.src_port, old.dst_port, new.src_port, new.dst_port),
    }
}

#[inline]
fn ports_change(old_src: u16, old_dst: u16, new_src: u16, new_dst: u16) -> u16 {
    difference(add(old_src, old_dst), add(new_src, new_dst))
}

/// Rewrites ports and checksum of a transport header, of which `bytes` may be only the beginning.
#[inline]
pub(super) fn rewrite_transport(bytes: &mut [u8], at: Ports, to: &FlowKey, change: Change, partial: bool) {
    let checksum = match at {
        Ports::Both(checksum) => {
            put(bytes, 0, to.src_port());
            put(bytes, 2, to.dst_port());
            checksum
        }
        Ports::Identifier { request } => {
            put(bytes, 4, if request { to.src_port() } else { to.dst_port() });
            2
        }
        Ports::None(checksum) => checksum,
    };
    let Some(&[high, low]) = bytes.get(checksum..checksum + 2) else { return };
    let field = u16::from_be_bytes([high, low]);
    let covered = match to.protocol() {
        protocol::ICMP => change.ports,
        _ if partial => change.addresses,
        _ => add(change.addresses, change.ports),
    };
    let field = match to.protocol() {
        _ if partial => patch_partial(field, covered),
        protocol::UDP if field == 0 => return,
        protocol::UDP => match patch(field, covered) {
            0 => 0xffff,
            other => other,
        },
        _ => patch(field, covered),
    };
    put(bytes, checksum, field);
}

/// Writes a word where it is present.
#[inline]
pub(super) fn put(bytes: &mut [u8], at: usize, word: u16) {
    if let Some(place) = bytes.get_mut(at..at + 2) {
        place.copy_from_slice(&word.to_be_bytes());
    }
}
