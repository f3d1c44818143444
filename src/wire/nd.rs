//! Neighbour discovery (RFC 4861): messages as bytes, and what must hold of a message before it is believed.

use std::net::{IpAddr, Ipv6Addr};

use super::icmpv6::{self, Envelope, HopLimit};
use super::{Drop, Fragment, FrameBuf, Packet, protocol};
use crate::types::{Ipv6Net, MacAddr};

/// All nodes on the link.
pub const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
/// All routers on the link.
pub const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);

/// ICMPv6 types.
mod kind {
    pub const ROUTER_SOLICITATION: u8 = 133;
    pub const ROUTER_ADVERTISEMENT: u8 = 134;
    pub const SOLICITATION: u8 = 135;
    pub const ADVERTISEMENT: u8 = 136;
    pub const REDIRECT: u8 = 137;
}

/// Option types (RFC 4861 section 4.6, RFC 3971 section 5.3.2).
mod option {
    pub const SOURCE_LINK_LAYER_ADDRESS: u8 = 1;
    pub const TARGET_LINK_LAYER_ADDRESS: u8 = 2;
    pub const PREFIX_INFORMATION: u8 = 3;
    pub const MTU: u8 = 5;
    pub const NONCE: u8 = 14;
}

/// A well-formed neighbour discovery message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Message {
    /// Type 133: which routers are there?
    RouterSolicitation {
        /// The asker's MAC address.
        source_mac: Option<MacAddr>,
    },
    /// Type 134: a router tells of itself. Its prefixes: [`prefixes`].
    RouterAdvertisement(RouterAdvertisement),
    /// Type 135: who has the target?
    Solicitation {
        /// Who is looked for.
        target: Ipv6Addr,
        /// The asker's MAC address.
        source_mac: Option<MacAddr>,
        /// Tells one's own solicitation, looped back, from another's (RFC 7527).
        nonce: Option<[u8; 6]>,
    },
    /// Type 136: here is the target.
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
    /// Type 137: for hosts; a router ignores it.
    Redirect,
}

/// What a router tells of itself (RFC 4861 section 4.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RouterAdvertisement {
    /// Hop limit that hosts should use; zero for "unspecified".
    pub hop_limit: u8,
    /// Addresses come by DHCPv6.
    pub managed: bool,
    /// Other configuration comes by DHCPv6.
    pub other: bool,
    /// Seconds for which this is a default router; zero for "not one".
    pub lifetime: u16,
    /// The router's MAC address.
    pub source_mac: Option<MacAddr>,
    /// Largest packet on the link.
    pub mtu: Option<u32>,
}

/// A prefix that a router advertises (RFC 4861 section 4.6.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PrefixInformation {
    /// The network.
    pub prefix: Ipv6Net,
    /// Its hosts are on this link.
    pub on_link: bool,
    /// Hosts may make themselves an address of it (RFC 4862).
    pub autonomous: bool,
    /// Seconds for which such addresses are valid.
    pub valid: u32,
    /// Seconds for which they are preferred.
    pub preferred: u32,
}

impl Message {
    /// Reads the message in a packet.
    ///
    /// # Errors
    /// [`Drop::NdInvalid`] when something does not hold that RFC 4861 (sections 6.1 and 7.1) or RFC 6980 asks for,
    /// [`Drop::TransportChecksum`] when the checksum is wrong.
    pub fn read(packet: &Packet) -> Result<Self, Drop> {
        let key = &packet.layout.key;
        let (IpAddr::V6(source), IpAddr::V6(destination)) = (key.src(), key.dst()) else {
            return Err(Drop::NdInvalid);
        };
        // A hop limit of 255 proves that the message was sent on this link.
        if key.protocol() != protocol::ICMPV6 || packet.layout.hop_limit != 255 || is_fragment(packet) {
            return Err(Drop::NdInvalid);
        }
        if !packet.transport_checksum_ok() {
            return Err(Drop::TransportChecksum);
        }
        let message = Message::parse(packet.transport()).ok_or(Drop::NdInvalid)?;
        if message.may_travel(source, destination) { Ok(message) } else { Err(Drop::NdInvalid) }
    }

    /// Reads an ICMPv6 message; `None` when it is none of neighbour discovery's, or malformed.
    pub fn parse(icmp: &[u8]) -> Option<Self> {
        let [kind, 0, _, _, flags, ..] = *icmp else { return None };
        let target = || address(icmp, 8).filter(|target| !target.is_multicast());
        match kind {
            kind::ROUTER_SOLICITATION => {
                Some(Message::RouterSolicitation { source_mac: Options::read(icmp.get(8..)?)?.source_mac })
            }
            kind::ROUTER_ADVERTISEMENT => {
                let Options { source_mac, mtu, .. } = Options::read(icmp.get(16..)?)?;
                Some(Message::RouterAdvertisement(RouterAdvertisement {
                    hop_limit: flags,
                    managed: icmp[5] & 0x80 != 0,
                    other: icmp[5] & 0x40 != 0,
                    lifetime: u16::from_be_bytes([icmp[6], icmp[7]]),
                    source_mac,
                    mtu,
                }))
            }
            kind::SOLICITATION => {
                let Options { source_mac, nonce, .. } = Options::read(icmp.get(24..)?)?;
                Some(Message::Solicitation { target: target()?, source_mac, nonce })
            }
            kind::ADVERTISEMENT => Some(Message::Advertisement {
                target: target()?,
                target_mac: Options::read(icmp.get(24..)?)?.target_mac,
                router: flags & 0x80 != 0,
                solicited: flags & 0x40 != 0,
                overriding: flags & 0x20 != 0,
            }),
            kind::REDIRECT => Options::read(icmp.get(40..)?).map(|_| Message::Redirect),
            _ => None,
        }
    }

    /// Whether such a message may go from `source` to `destination`.
    fn may_travel(&self, source: Ipv6Addr, destination: Ipv6Addr) -> bool {
        if source.is_multicast() {
            return false;
        }
        match *self {
            // Sections 6.1.1 and 7.1.1: the unspecified address has no MAC address, and is for duplicate address
            // detection alone, which goes to the group of the address.
            Message::RouterSolicitation { source_mac } => !source.is_unspecified() || source_mac.is_none(),
            Message::Solicitation { target, source_mac, nonce: _ } => {
                !source.is_unspecified() || (source_mac.is_none() && destination == solicited_node(target))
            }
            // Section 7.1.2: a group has not asked.
            Message::Advertisement { solicited, .. } => {
                !source.is_unspecified() && (!destination.is_multicast() || !solicited)
            }
            // Sections 6.1.2 and 8.1: routers speak from their link-local address.
            Message::RouterAdvertisement(_) | Message::Redirect => source.is_unicast_link_local(),
        }
    }

    /// The frame of this message. A router advertisement takes its prefixes along; [`Message::Redirect`] has no body
    /// here, since this router sends none.
    pub fn frame(&self, envelope: Envelope, prefixes: &[PrefixInformation]) -> FrameBuf {
        let mut icmp = Vec::with_capacity(128);
        match *self {
            Message::RouterSolicitation { source_mac } => {
                icmp.extend_from_slice(&[kind::ROUTER_SOLICITATION, 0, 0, 0, 0, 0, 0, 0]);
                put_mac(&mut icmp, option::SOURCE_LINK_LAYER_ADDRESS, source_mac);
            }
            Message::RouterAdvertisement(advertisement) => advertisement.put(&mut icmp, prefixes),
            Message::Solicitation { target, source_mac, nonce } => {
                icmp.extend_from_slice(&[kind::SOLICITATION, 0, 0, 0, 0, 0, 0, 0]);
                icmp.extend_from_slice(&target.octets());
                put_mac(&mut icmp, option::SOURCE_LINK_LAYER_ADDRESS, source_mac);
                put_mac(&mut icmp, option::NONCE, nonce.map(MacAddr));
            }
            Message::Advertisement { target, target_mac, router, solicited, overriding } => {
                let flags = u8::from(router) << 7 | u8::from(solicited) << 6 | u8::from(overriding) << 5;
                icmp.extend_from_slice(&[kind::ADVERTISEMENT, 0, 0, 0, flags, 0, 0, 0]);
                icmp.extend_from_slice(&target.octets());
                put_mac(&mut icmp, option::TARGET_LINK_LAYER_ADDRESS, target_mac);
            }
            Message::Redirect => {
                icmp.extend_from_slice(&[kind::REDIRECT, 0, 0, 0]);
                icmp.resize(40, 0);
            }
        }
        icmpv6::frame(envelope, HopLimit::Neighbours, icmp)
    }
}

impl RouterAdvertisement {
    fn put(&self, icmp: &mut Vec<u8>, prefixes: &[PrefixInformation]) {
        let RouterAdvertisement { hop_limit, managed, other, lifetime, source_mac, mtu } = *self;
        let flags = u8::from(managed) << 7 | u8::from(other) << 6;
        icmp.extend_from_slice(&[kind::ROUTER_ADVERTISEMENT, 0, 0, 0, hop_limit, flags]);
        icmp.extend_from_slice(&lifetime.to_be_bytes());
        // Reachable time and retransmission timer: unspecified.
        icmp.extend_from_slice(&[0; 8]);
        put_mac(icmp, option::SOURCE_LINK_LAYER_ADDRESS, source_mac);
        if let Some(mtu) = mtu {
            icmp.extend_from_slice(&[option::MTU, 1, 0, 0]);
            icmp.extend_from_slice(&mtu.to_be_bytes());
        }
        for PrefixInformation { prefix, on_link, autonomous, valid, preferred } in prefixes {
            let flags = u8::from(*on_link) << 7 | u8::from(*autonomous) << 6;
            icmp.extend_from_slice(&[option::PREFIX_INFORMATION, 4, prefix.prefix_len(), flags]);
            icmp.extend_from_slice(&valid.to_be_bytes());
            icmp.extend_from_slice(&preferred.to_be_bytes());
            icmp.extend_from_slice(&[0; 4]);
            icmp.extend_from_slice(&prefix.network().octets());
        }
    }
}

/// The prefixes in the ICMPv6 message of a router advertisement; malformed ones are left out.
pub fn prefixes(icmp: &[u8]) -> impl Iterator<Item = PrefixInformation> + '_ {
    let options = icmp.get(16..).unwrap_or_default();
    each_option(options).map_while(|option| option).filter_map(|option| {
        let &[option::PREFIX_INFORMATION, 4, length, flags, ..] = option else { return None };
        let long =
            |at: usize| u32::from_be_bytes([option[at], option[at + 1], option[at + 2], option[at + 3]]);
        Some(PrefixInformation {
            prefix: Ipv6Net::new(address(option, 16)?, length).ok()?.trunc(),
            on_link: flags & 0x80 != 0,
            autonomous: flags & 0x40 != 0,
            valid: long(4),
            preferred: long(8),
        })
    })
}

/// The options that this router looks at. Of several of one type the last counts.
#[derive(Default)]
struct Options {
    source_mac: Option<MacAddr>,
    target_mac: Option<MacAddr>,
    mtu: Option<u32>,
    nonce: Option<[u8; 6]>,
}

impl Options {
    /// Unknown options are skipped; one without length, or that does not fit, spoils the message (section 4.6).
    fn read(bytes: &[u8]) -> Option<Self> {
        let mut options = Options::default();
        for option in each_option(bytes) {
            let option = option?;
            let &[kind, 1, a, b, c, d, e, f] = option else { continue };
            match kind {
                option::SOURCE_LINK_LAYER_ADDRESS => options.source_mac = station([a, b, c, d, e, f])?,
                option::TARGET_LINK_LAYER_ADDRESS => options.target_mac = station([a, b, c, d, e, f])?,
                option::MTU => options.mtu = Some(u32::from_be_bytes([c, d, e, f])),
                option::NONCE => options.nonce = Some([a, b, c, d, e, f]),
                _ => {}
            }
        }
        Some(options)
    }
}

/// A neighbour's MAC address; a group's makes the message implausible.
fn station(bytes: [u8; 6]) -> Option<Option<MacAddr>> {
    let mac = MacAddr(bytes);
    (!mac.is_multicast() && mac != MacAddr::default()).then_some(Some(mac))
}

/// The options one by one; `None`, and then no more, for a malformed one.
fn each_option(mut rest: &[u8]) -> impl Iterator<Item = Option<&[u8]>> {
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let length = rest.get(1).map_or(0, |units| usize::from(*units) * 8);
        if length == 0 || length > rest.len() {
            rest = &[];
            return Some(None);
        }
        let (option, behind) = rest.split_at(length);
        rest = behind;
        Some(Some(option))
    })
}

fn put_mac(icmp: &mut Vec<u8>, kind: u8, mac: Option<MacAddr>) {
    if let Some(mac) = mac {
        icmp.extend_from_slice(&[kind, 1]);
        icmp.extend_from_slice(&mac.0);
    }
}

fn address(bytes: &[u8], at: usize) -> Option<Ipv6Addr> {
    let octets: [u8; 16] = bytes.get(at..at + 16)?.try_into().ok()?;
    Some(Ipv6Addr::from(octets))
}

/// RFC 6980: neighbour discovery never needs a fragment header, not even an atomic one, and attackers do.
fn is_fragment(packet: &Packet) -> bool {
    if packet.layout.fragment != Fragment::Whole || packet.layout.reassembled.is_some() {
        return true;
    }
    // The parser has walked this chain, so that it is known to end inside the packet.
    let ip = packet.ip();
    let end = usize::from(packet.layout.l4 - packet.layout.l3);
    let (mut next, mut at) = (ip[6], 40);
    while at < end {
        if next == 44 {
            return true;
        }
        let length = if next == 51 { usize::from(ip[at + 1]) * 4 } else { usize::from(ip[at + 1]) * 8 };
        (next, at) = (ip[at], at + length + 8);
    }
    false
}

/// The group that a node with this address listens to (RFC 4291 section 2.7.1).
pub fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let o = address.octets();
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(o[13]), u16::from_be_bytes([o[14], o[15]]))
}

#[cfg(test)]
#[path = "nd_tests.rs"]
mod tests;
