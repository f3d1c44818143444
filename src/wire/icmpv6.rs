//! The frame around an ICMPv6 message of the link: Ethernet, IPv6, checksum.

use std::net::Ipv6Addr;

use super::{FrameBuf, checksum, ethertype, protocol};
use crate::types::MacAddr;

/// Who sends a message to whom.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Envelope {
    /// Source MAC address.
    pub from_mac: MacAddr,
    /// Destination MAC address.
    pub to_mac: MacAddr,
    /// Source address.
    pub from: Ipv6Addr,
    /// Destination address.
    pub to: Ipv6Addr,
}

impl Envelope {
    /// To everybody in a group.
    pub fn to_group(from_mac: MacAddr, from: Ipv6Addr, group: Ipv6Addr) -> Self {
        Envelope { from_mac, to_mac: group_mac(group), from, to: group }
    }
}

/// The two ways in which a message stays on its link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HopLimit {
    /// 255, which no router could have left (neighbour discovery, RFC 4861 section 7.1).
    Neighbours,
    /// 1 and a router alert (multicast listener discovery, RFC 3810 section 5).
    Listeners,
}

/// Hop-by-hop options: router alert for multicast listener discovery (RFC 2711), padding.
const ROUTER_ALERT: [u8; 8] = [protocol::ICMPV6, 0, 5, 2, 0, 0, 1, 0];

/// The MAC address of a group (RFC 2464 section 7).
pub fn group_mac(group: Ipv6Addr) -> MacAddr {
    let o = group.octets();
    MacAddr([0x33, 0x33, o[12], o[13], o[14], o[15]])
}

/// The link-local address that goes with a MAC address (RFC 4291 appendix A).
pub fn link_local(mac: MacAddr) -> Ipv6Addr {
    let mut octets = [0u8; 16];
    octets[..2].copy_from_slice(&[0xfe, 0x80]);
    octets[8..].copy_from_slice(&mac.eui64());
    Ipv6Addr::from(octets)
}

/// The whole frame; fills in the checksum at bytes 2 and 3 of `icmp`, which holds at least a header.
pub(crate) fn frame(envelope: Envelope, hop_limit: HopLimit, mut icmp: Vec<u8>) -> FrameBuf {
    let Envelope { from_mac, to_mac, from, to } = envelope;
    let pseudo = checksum::pseudo_header(from.into(), to.into(), protocol::ICMPV6, icmp.len() as u32);
    let sum = !checksum::add(pseudo, checksum::sum(&icmp));
    icmp[2..4].copy_from_slice(&sum.to_be_bytes());
    let (next, hops, extension): (u8, u8, &[u8]) = match hop_limit {
        HopLimit::Neighbours => (protocol::ICMPV6, 255, &[]),
        HopLimit::Listeners => (0, 1, &ROUTER_ALERT),
    };
    let mut bytes = Vec::with_capacity(54 + extension.len() + icmp.len());
    bytes.extend_from_slice(&to_mac.0);
    bytes.extend_from_slice(&from_mac.0);
    bytes.extend_from_slice(&ethertype::IPV6.to_be_bytes());
    bytes.extend_from_slice(&[0x60, 0, 0, 0]);
    bytes.extend_from_slice(&((extension.len() + icmp.len()) as u16).to_be_bytes());
    bytes.extend_from_slice(&[next, hops]);
    bytes.extend_from_slice(&from.octets());
    bytes.extend_from_slice(&to.octets());
    bytes.extend_from_slice(extension);
    bytes.extend_from_slice(&icmp);
    FrameBuf::copy_of(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_the_standards() {
        let group: Ipv6Addr = "ff02::1:ff28:9c5a".parse().unwrap();
        assert_eq!(group_mac(group).to_string(), "33:33:ff:28:9c:5a");
        let mac: MacAddr = "34:56:78:9a:bc:de".parse().unwrap();
        assert_eq!(link_local(mac), "fe80::3656:78ff:fe9a:bcde".parse::<Ipv6Addr>().unwrap());
    }
}
