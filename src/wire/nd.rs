//! Neighbour discovery (RFC 4861) and the listener reports that it needs (RFC 3810).

use std::net::Ipv6Addr;

use super::{checksum, ethertype, protocol};
use crate::types::{Ipv6Net, MacAddr};

/// All nodes on the link.
pub const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
/// All routers on the link.
pub const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
/// All routers that listen to MLDv2 reports.
const ALL_MLD_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x16);

/// A sensible neighbour discovery message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Message {
    /// Type 133.
    RouterSolicitation,
    /// Type 135.
    Solicitation {
        /// Who is looked for.
        target: Ipv6Addr,
        /// The asker's MAC address.
        source_mac: Option<MacAddr>,
    },
    /// Type 136.
    Advertisement {
        /// Whose address this is.
        target: Ipv6Addr,
        /// Its MAC address.
        target_mac: Option<MacAddr>,
        /// Sent by a router.
        router: bool,
        /// Answers a solicitation.
        solicited: bool,
        /// Replaces what is known.
        overriding: bool,
    },
    /// Type 134, from another router.
    RouterAdvertisement,
}

impl Message {
    /// Reads an ICMPv6 message; `None` when it is none of neighbour discovery's, or malformed.
    pub fn parse(icmp: &[u8]) -> Option<Self> {
        let target = || -> Option<Ipv6Addr> {
            let octets: [u8; 16] = icmp.get(8..24)?.try_into().ok()?;
            let target = Ipv6Addr::from(octets);
            (!target.is_multicast()).then_some(target)
        };
        if *icmp.get(1)? != 0 {
            return None;
        }
        match icmp.first()? {
            133 => Some(Message::RouterSolicitation),
            134 => Some(Message::RouterAdvertisement),
            135 => Some(Message::Solicitation {
                target: target()?,
                source_mac: link_layer_option(icmp.get(24..)?, 1)?,
            }),
            136 => {
                let flags = *icmp.get(4)?;
                Some(Message::Advertisement {
                    target: target()?,
                    target_mac: link_layer_option(icmp.get(24..)?, 2)?,
                    router: flags & 0x80 != 0,
                    solicited: flags & 0x40 != 0,
                    overriding: flags & 0x20 != 0,
                })
            }
            _ => None,
        }
    }
}

/// The link-layer address option of this type; the outer `None` for malformed options (RFC 4861 section 4.6).
fn link_layer_option(mut options: &[u8], wanted: u8) -> Option<Option<MacAddr>> {
    let mut found = None;
    while !options.is_empty() {
        let length = usize::from(*options.get(1)?) * 8;
        if length == 0 || length > options.len() {
            return None;
        }
        if options[0] == wanted && length == 8 {
            found = Some(MacAddr([options[2], options[3], options[4], options[5], options[6], options[7]]));
        }
        options = &options[length..];
    }
    Some(found)
}

/// The group that a node with this address listens to (RFC 4291 section 2.7.1).
pub fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let o = address.octets();
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(o[13]), u16::from_be_bytes([o[14], o[15]]))
}

/// The MAC address of a group (RFC 2464 section 7).
pub fn group_mac(group: Ipv6Addr) -> MacAddr {
    let o = group.octets();
    MacAddr([0x33, 0x33, o[12], o[13], o[14], o[15]])
}

/// Who sends a message to whom.
#[derive(Clone, Copy, Debug)]
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

/// A solicitation for `target`. From the unspecified address (duplicate address detection) it names no sender.
pub fn solicitation(envelope: Envelope, target: Ipv6Addr) -> Vec<u8> {
    let mut message = vec![135, 0, 0, 0, 0, 0, 0, 0];
    message.extend_from_slice(&target.octets());
    if !envelope.from.is_unspecified() {
        message.extend_from_slice(&[1, 1]);
        message.extend_from_slice(&envelope.from_mac.0);
    }
    emit(envelope, &[], message)
}

/// An advertisement of `target`, by a router, overriding.
pub fn advertisement(envelope: Envelope, target: Ipv6Addr, solicited: bool) -> Vec<u8> {
    let flags = 0x80 | 0x20 | if solicited { 0x40 } else { 0 };
    let mut message = vec![136, 0, 0, 0, flags, 0, 0, 0];
    message.extend_from_slice(&target.octets());
    message.extend_from_slice(&[2, 1]);
    message.extend_from_slice(&envelope.from_mac.0);
    emit(envelope, &[], message)
}

/// A router advertisement (RFC 4861 section 4.2) with its prefixes, all on-link and for autoconfiguration.
pub fn router_advertisement(envelope: Envelope, lifetime: u16, mtu: u16, prefixes: &[Ipv6Net]) -> Vec<u8> {
    let mut message = vec![134, 0, 0, 0, 64, 0];
    message.extend_from_slice(&lifetime.to_be_bytes());
    message.extend_from_slice(&[0; 8]);
    message.extend_from_slice(&[1, 1]);
    message.extend_from_slice(&envelope.from_mac.0);
    message.extend_from_slice(&[5, 1, 0, 0]);
    message.extend_from_slice(&u32::from(mtu).to_be_bytes());
    for prefix in prefixes {
        message.extend_from_slice(&[3, 4, prefix.prefix_len(), 0xc0]);
        // RFC 4861 section 6.2.1: 30 days valid, 7 days preferred.
        message.extend_from_slice(&2_592_000u32.to_be_bytes());
        message.extend_from_slice(&604_800u32.to_be_bytes());
        message.extend_from_slice(&[0; 4]);
        message.extend_from_slice(&prefix.network().octets());
    }
    emit(envelope, &[], message)
}

/// An MLDv2 report that joins `groups`, with the router alert that RFC 3810 section 5 asks for.
pub fn join(from_mac: MacAddr, from: Ipv6Addr, groups: &[Ipv6Addr]) -> Vec<u8> {
    let mut message = vec![143, 0, 0, 0, 0, 0];
    message.extend_from_slice(&(groups.len() as u16).to_be_bytes());
    for group in groups {
        // CHANGE_TO_EXCLUDE_MODE without sources.
        message.extend_from_slice(&[4, 0, 0, 0]);
        message.extend_from_slice(&group.octets());
    }
    let envelope = Envelope { from_mac, to_mac: group_mac(ALL_MLD_ROUTERS), from, to: ALL_MLD_ROUTERS };
    let mut frame = emit(envelope, &[protocol::ICMPV6, 0, 5, 2, 0, 0, 1, 0], message);
    // RFC 3810 section 5: hop limit 1.
    frame[21] = 1;
    frame
}

/// The frame: Ethernet, IPv6 (hop limit 255), an optional extension header, the message with its checksum.
fn emit(envelope: Envelope, extension: &[u8], mut message: Vec<u8>) -> Vec<u8> {
    let Envelope { from_mac, to_mac, from, to } = envelope;
    let pseudo = checksum::pseudo_header(from.into(), to.into(), protocol::ICMPV6, message.len() as u32);
    let sum = !checksum::add(pseudo, checksum::sum(&message));
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    let mut frame = Vec::with_capacity(54 + extension.len() + message.len());
    frame.extend_from_slice(&to_mac.0);
    frame.extend_from_slice(&from_mac.0);
    frame.extend_from_slice(&ethertype::IPV6.to_be_bytes());
    frame.extend_from_slice(&[0x60, 0, 0, 0]);
    frame.extend_from_slice(&((extension.len() + message.len()) as u16).to_be_bytes());
    frame.extend_from_slice(&[if extension.is_empty() { protocol::ICMPV6 } else { 0 }, 255]);
    frame.extend_from_slice(&from.octets());
    frame.extend_from_slice(&to.octets());
    frame.extend_from_slice(extension);
    frame.extend_from_slice(&message);
    frame
}
