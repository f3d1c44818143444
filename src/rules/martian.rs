//! Addresses that no packet on a wire may have.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::wire::{Drop, FlowKey};

/// Judges a flow's addresses by themselves, whatever the interface: RFC 1812 sections 4.2.2.11 and 5.3.7,
/// RFC 6890, RFC 4291 section 2; source equal to destination is a land attack.
///
/// [`super::Ruleset::evaluate`] asks it first for everything that comes in.
#[inline]
pub fn martian(key: &FlowKey) -> Option<Drop> {
    match key {
        FlowKey::V4(key) if martian_v4(key.src, key.dst) => Some(Drop::Martian),
        FlowKey::V6(key) if martian_v6(key.src, key.dst) => Some(Drop::Martian),
        FlowKey::V4(key) if key.src == key.dst => Some(Drop::Land),
        FlowKey::V6(key) if key.src == key.dst => Some(Drop::Land),
        FlowKey::V4(_) | FlowKey::V6(_) => None,
    }
}

fn martian_v4(src: Ipv4Addr, dst: Ipv4Addr) -> bool {
    let (from, to) = (src.octets()[0], dst.octets()[0]);
    // A host without an address asks for one from 0.0.0.0 (RFC 1812 section 5.3.7, RFC 2131).
    let asks_for_address = src.is_unspecified() && dst.is_broadcast();
    // Multicast (224/4) and reserved (240/4, with the broadcast address) never stand as a source.
    let bad_source = (from == 0 && !asks_for_address) || from == 127 || from >= 224;
    let bad_destination = to == 0 || to == 127 || (to >= 240 && !dst.is_broadcast());
    bad_source || bad_destination
}

fn martian_v6(src: Ipv6Addr, dst: Ipv6Addr) -> bool {
    // :: is the source of duplicate address detection and of what precedes it (RFC 4862, RFC 3810).
    let nobody_yet = src.is_unspecified() && dst.is_multicast();
    // Loopback, unspecified, IPv4-compatible and IPv4-mapped addresses all begin with 80 zero bits.
    let low = |address: Ipv6Addr| u128::from(address) >> 48 == 0;
    let bad_source = (low(src) && !nobody_yet) || src.is_multicast();
    // Scopes 0 and 1 (interface-local) never leave a machine (RFC 4291 section 2.7).
    let bad_destination = low(dst) || (dst.is_multicast() && dst.octets()[1] & 0x0f <= 1);
    bad_source || bad_destination
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_of_martians() {
        for (src, dst, expected) in [
            ("192.0.2.1", "198.51.100.1", None),
            ("0.0.0.0", "255.255.255.255", None),
            ("0.0.0.0", "198.51.100.1", Some(Drop::Martian)),
            ("0.1.2.3", "255.255.255.255", Some(Drop::Martian)),
            ("127.0.0.1", "198.51.100.1", Some(Drop::Martian)),
            ("224.0.0.1", "198.51.100.1", Some(Drop::Martian)),
            ("240.0.0.1", "198.51.100.1", Some(Drop::Martian)),
            ("255.255.255.255", "198.51.100.1", Some(Drop::Martian)),
            ("192.0.2.1", "0.0.0.0", Some(Drop::Martian)),
            ("192.0.2.1", "127.0.0.1", Some(Drop::Martian)),
            ("192.0.2.1", "240.0.0.1", Some(Drop::Martian)),
            ("192.0.2.1", "255.255.255.255", None),
            ("192.0.2.1", "224.0.0.18", None),
            ("192.0.2.1", "192.0.2.1", Some(Drop::Land)),
            ("2001:db8::1", "2001:db8::2", None),
            ("::", "ff02::1:ff00:1", None),
            ("::", "2001:db8::2", Some(Drop::Martian)),
            ("::1", "2001:db8::2", Some(Drop::Martian)),
            ("::ffff:192.0.2.1", "2001:db8::2", Some(Drop::Martian)),
            ("::192.0.2.1", "2001:db8::2", Some(Drop::Martian)),
            ("ff02::1", "2001:db8::2", Some(Drop::Martian)),
            ("2001:db8::1", "::1", Some(Drop::Martian)),
            ("2001:db8::1", "::", Some(Drop::Martian)),
            ("2001:db8::1", "::ffff:192.0.2.1", Some(Drop::Martian)),
            ("2001:db8::1", "ff01::1", Some(Drop::Martian)),
            ("fe80::1", "ff02::1", None),
            ("2001:db8::1", "2001:db8::1", Some(Drop::Land)),
        ] {
            let key = FlowKey::new(17, src.parse().unwrap(), 1, dst.parse().unwrap(), 2).unwrap();
            assert_eq!(martian(&key), expected, "{src} -> {dst}");
        }
    }
}
