//! One pass over a frame: offsets, flow key, and what the transport header says.
//!
//! Invariant: a [`Packet`]'s [`Layout`] agrees with its bytes; whoever rewrites the bytes keeps the layout true.
//! Header checks follow RFC 1812 section 5.2.2, RFC 8200 section 4 and RFC 7112.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{Drop, FlowKey, FlowKey4, FlowKey6, FrameBuf, checksum, ethertype, protocol};
use crate::types::MacAddr;

/// Bytes of an untagged Ethernet header.
pub const ETHERNET_LEN: usize = 14;
/// At most this many IPv6 extension headers are followed.
const EXTENSION_LIMIT: usize = 8;

/// What a frame turned out to be. The interface's 802.1Q tag has been taken off before.
pub enum Parsed {
    /// An ARP packet (not looked into yet).
    Arp(FrameBuf),
    /// An IP packet.
    Ip(Packet),
}

/// An IP packet in its frame.
#[derive(Debug)]
pub struct Packet {
    /// The frame, Ethernet header included.
    pub frame: FrameBuf,
    /// Where things are.
    pub layout: Layout,
}

/// Offsets from the beginning of the frame, and the facts that policy and tracking ask for.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// What names the flow.
    pub key: FlowKey,
    /// Offset of the IP header.
    pub l3: u16,
    /// Offset of the transport header. In a later fragment: of the fragment's data.
    pub l4: u16,
    /// End of the IP packet; the frame may be longer (padding).
    pub end: u32,
    /// The transport header.
    pub transport: Transport,
    /// Fragmentation.
    pub fragment: Fragment,
    /// TTL or hop limit as received.
    pub hop_limit: u8,
    /// DSCP and ECN byte (IPv4 TOS, IPv6 traffic class).
    pub traffic_class: u8,
    /// IPv4's DF; always true for IPv6.
    pub dont_fragment: bool,
    /// IPv4 options or IPv6 extension headers other than a fragment header are present.
    pub options: bool,
    /// Size of the largest fragment (IP header included) that this packet was put together from.
    pub reassembled: Option<u16>,
}

/// Place of a packet among the fragments of its datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fragment {
    /// Not a fragment (an IPv6 atomic fragment, RFC 6946, counts as one).
    Whole,
    /// A fragment. `offset` in bytes; `header` is the offset in the frame of IPv6's fragment header (0 in IPv4).
    Part {
        /// Byte offset in the datagram's payload.
        offset: u16,
        /// More fragments follow.
        more: bool,
        /// Identification.
        id: u32,
        /// Offset in the frame of the IPv6 fragment header; zero for IPv4.
        header: u16,
        /// Protocol of the first byte of the datagram's payload.
        protocol: u8,
    },
}

/// The transport header, as far as tracking needs it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    /// TCP.
    Tcp {
        /// Flag bits, see [`super::tcp_flags`].
        flags: u8,
        /// Sequence number.
        seq: u32,
        /// Acknowledgement number.
        ack: u32,
        /// Window, unscaled.
        window: u16,
        /// Header length with options.
        header_len: u8,
    },
    /// UDP.
    Udp,
    /// ICMP or ICMPv6 query: `request` tells question from answer. Echo, timestamp and the like.
    IcmpQuery {
        /// True for the question.
        request: bool,
    },
    /// ICMP or ICMPv6 error: it quotes another packet.
    IcmpError {
        /// ICMP type.
        kind: u8,
        /// ICMP code.
        code: u8,
    },
    /// Other ICMP or ICMPv6 (neighbour discovery, MLD, router messages).
    IcmpOther {
        /// ICMP type.
        kind: u8,
    },
    /// Any other protocol, or a later fragment.
    Other,
}

impl Transport {
    /// The transport of a flow's packets as far as the key alone tells; for questions about a flow, not a packet.
    pub fn of_flow(key: &FlowKey) -> Self {
        match key.protocol() {
            protocol::TCP => Transport::Tcp { flags: 0, seq: 0, ack: 0, window: 0, header_len: 20 },
            protocol::UDP => Transport::Udp,
            protocol::ICMP | protocol::ICMPV6 => Transport::IcmpQuery { request: true },
            _ => Transport::Other,
        }
    }
}

impl Packet {
    /// Parses an untagged frame.
    ///
    /// Does not verify transport checksums (see [`Packet::transport_checksum_ok`]) nor any address.
    pub fn parse(frame: FrameBuf) -> Result<Parsed, (Drop, FrameBuf)> {
        let bytes = frame.bytes();
        if bytes.len() < ETHERNET_LEN {
            return Err((Drop::ShortFrame, frame));
        }
        let layout = match u16::from_be_bytes([bytes[12], bytes[13]]) {
            ethertype::IPV4 => parse_ipv4(bytes, ETHERNET_LEN),
            ethertype::IPV6 => parse_ipv6(bytes, ETHERNET_LEN),
            ethertype::ARP => return Ok(Parsed::Arp(frame)),
            _ => Err(Drop::UnknownEtherType),
        };
        match layout {
            Ok(layout) => match check_offload(&frame, &layout) {
                Ok(()) => Ok(Parsed::Ip(Packet { frame, layout })),
                Err(drop) => Err((drop, frame)),
            },
            Err(drop) => Err((drop, frame)),
        }
    }

    /// Destination MAC address.
    pub fn dst_mac(&self) -> MacAddr {
        let b = self.frame.bytes();
        MacAddr([b[0], b[1], b[2], b[3], b[4], b[5]])
    }

    /// Source MAC address.
    pub fn src_mac(&self) -> MacAddr {
        let b = self.frame.bytes();
        MacAddr([b[6], b[7], b[8], b[9], b[10], b[11]])
    }

    /// The IP packet: header to end, without padding.
    pub fn ip(&self) -> &[u8] {
        &self.frame.bytes()[usize::from(self.layout.l3)..self.layout.end as usize]
    }

    /// The transport header and everything behind it.
    pub fn transport(&self) -> &[u8] {
        &self.frame.bytes()[usize::from(self.layout.l4)..self.layout.end as usize]
    }

    /// The transport header and everything behind it, to be changed in place.
    pub fn transport_mut(&mut self) -> &mut [u8] {
        let Layout { l4, end, .. } = self.layout;
        &mut self.frame.bytes_mut()[usize::from(l4)..end as usize]
    }

    /// Bytes behind the TCP header (or behind the transport offset, for others).
    pub fn payload_len(&self) -> u32 {
        let header = match self.layout.transport {
            Transport::Tcp { header_len, .. } => u32::from(header_len),
            Transport::Udp | Transport::IcmpQuery { .. } => 8,
            Transport::IcmpError { .. } | Transport::IcmpOther { .. } | Transport::Other => 0,
        };
        self.layout.end - u32::from(self.layout.l4) - header
    }

    /// Length of the IP packet as a link sees it; of a superpacket, the length of its largest segment.
    pub fn wire_len(&self) -> usize {
        let whole = self.layout.end as usize - usize::from(self.layout.l3);
        match self.frame.gso {
            None => whole,
            Some(gso) => {
                let header = match self.layout.transport {
                    Transport::Tcp { header_len, .. } => usize::from(header_len),
                    Transport::Udp => 8,
                    Transport::IcmpQuery { .. }
                    | Transport::IcmpError { .. }
                    | Transport::IcmpOther { .. }
                    | Transport::Other => 0,
                };
                whole.min(usize::from(self.layout.l4 - self.layout.l3) + header + usize::from(gso.size))
            }
        }
    }

    /// One hop less (RFC 1812 section 5.3.1, RFC 8200 section 3). The caller has seen that there is one left.
    pub fn decrement_hop_limit(&mut self) {
        let l3 = usize::from(self.layout.l3);
        let bytes = self.frame.bytes_mut();
        match self.layout.key {
            FlowKey::V4(_) => {
                bytes[l3 + 8] = bytes[l3 + 8].saturating_sub(1);
                let field = u16::from_be_bytes([bytes[l3 + 10], bytes[l3 + 11]]);
                // The TTL is the high byte of its word: one less is 0x0100 less.
                let patched = checksum::patch(field, !0x0100);
                bytes[l3 + 10..l3 + 12].copy_from_slice(&patched.to_be_bytes());
            }
            FlowKey::V6(_) => bytes[l3 + 7] = bytes[l3 + 7].saturating_sub(1),
        }
        self.layout.hop_limit = self.layout.hop_limit.saturating_sub(1);
    }

    /// Verifies the transport checksum where the kernel did not vouch for it. Fragments are not covered.
    pub fn transport_checksum_ok(&self) -> bool {
        use super::ChecksumState;
        match self.frame.checksum {
            ChecksumState::Valid | ChecksumState::Partial { .. } => return true,
            ChecksumState::Unverified => {}
        }
        if self.layout.fragment != Fragment::Whole {
            return true;
        }
        let key = &self.layout.key;
        let bytes = self.transport();
        let holds = |bytes: &[u8]| {
            let pseudo = checksum::pseudo_header(key.src(), key.dst(), key.protocol(), bytes.len() as u32);
            checksum::add(pseudo, checksum::sum(bytes)) == 0xffff
        };
        match (key.protocol(), key) {
            // RFC 768: zero means that the sender did not compute one; in IPv6 that is an error (RFC 8200 section 8.1).
            (protocol::UDP, _) if bytes[6] == 0 && bytes[7] == 0 => matches!(key, FlowKey::V4(_)),
            // What stands behind the datagram is not its own (RFC 9868). The length was checked by the parser.
            (protocol::UDP, _) => {
                holds(&bytes[..usize::from(u16::from_be_bytes([bytes[4], bytes[5]])).min(bytes.len())])
            }
            (protocol::TCP, _) | (protocol::ICMPV6, FlowKey::V6(_)) => holds(bytes),
            (protocol::ICMP, FlowKey::V4(_)) => checksum::sum(bytes) == 0xffff,
            _ => true,
        }
    }
}

/// Parses an IPv4 packet whose header begins at `l3` of `bytes`.
fn parse_ipv4(bytes: &[u8], l3: usize) -> Result<Layout, Drop> {
    let header = bytes.get(l3..).filter(|header| header.len() >= 20).ok_or(Drop::IpHeader)?;
    let header_len = usize::from(header[0] & 0x0f) * 4;
    let total_len = usize::from(u16::from_be_bytes([header[2], header[3]]));
    if header[0] >> 4 != 4 || header_len < 20 || total_len < header_len || total_len > header.len() {
        return Err(Drop::IpHeader);
    }
    if checksum::sum(&header[..header_len]) != 0xffff {
        return Err(Drop::IpChecksum);
    }
    let flags = u16::from_be_bytes([header[6], header[7]]);
    let (offset, more) = ((flags & 0x1fff) << 3, flags & 0x2000 != 0);
    let fragment = if offset != 0 || more {
        let id = u32::from(u16::from_be_bytes([header[4], header[5]]));
        Fragment::Part { offset, more, id, header: 0, protocol: header[9] }
    } else {
        Fragment::Whole
    };
    let src = Ipv4Addr::new(header[12], header[13], header[14], header[15]);
    let dst = Ipv4Addr::new(header[16], header[17], header[18], header[19]);
    let segment = &header[header_len..total_len];
    let (transport, src_port, dst_port) = parse_transport(header[9], protocol::ICMP, segment, fragment)?;
    Ok(Layout {
        key: FlowKey::V4(FlowKey4 { src, dst, src_port, dst_port, protocol: header[9] }),
        l3: l3 as u16,
        l4: (l3 + header_len) as u16,
        end: (l3 + total_len) as u32,
        transport,
        fragment,
        hop_limit: header[8],
        traffic_class: header[1],
        dont_fragment: flags & 0x4000 != 0,
        options: header_len > 20,
        reassembled: None,
    })
}

/// Parses an IPv6 packet whose header begins at `l3` of `bytes`.
fn parse_ipv6(bytes: &[u8], l3: usize) -> Result<Layout, Drop> {
    let header = bytes.get(l3..).filter(|header| header.len() >= 40).ok_or(Drop::IpHeader)?;
    let total_len = 40 + usize::from(u16::from_be_bytes([header[4], header[5]]));
    if header[0] >> 4 != 6 || total_len > header.len() {
        return Err(Drop::IpHeader);
    }
    let address = |at: usize| {
        let mut octets = [0u8; 16];
        octets.copy_from_slice(&header[at..at + 16]);
        Ipv6Addr::from(octets)
    };
    let packet = &header[..total_len];
    let Chain { protocol, at, fragment, options } = walk_extensions(packet, l3)?;
    let (transport, src_port, dst_port) =
        parse_transport(protocol, protocol::ICMPV6, &packet[at..], fragment)?;
    Ok(Layout {
        key: FlowKey::V6(FlowKey6 { src: address(8), dst: address(24), src_port, dst_port, protocol }),
        l3: l3 as u16,
        l4: (l3 + at) as u16,
        end: (l3 + total_len) as u32,
        transport,
        fragment,
        hop_limit: header[7],
        traffic_class: (header[0] << 4) | (header[1] >> 4),
        dont_fragment: true,
        options,
        reassembled: None,
    })
}

pub(super) struct Chain {
    pub(super) protocol: u8,
    pub(super) at: usize,
    pub(super) fragment: Fragment,
    options: bool,
}

/// Follows the extension headers of an IPv6 packet (RFC 8200 section 4).
pub(super) fn walk_extensions(packet: &[u8], l3: usize) -> Result<Chain, Drop> {
    let mut chain = Chain { protocol: packet[6], at: 40, fragment: Fragment::Whole, options: false };
    for position in 0..=EXTENSION_LIMIT {
        let length = match chain.protocol {
            // Hop-by-hop options come first or not at all; destination options; routing; mobility, HIP, shim6.
            0 if position > 0 => return Err(Drop::Ipv6Extension),
            0 | 43 | 60 | 135 | 139 | 140 => {
                let [_, length] = *packet.get(chain.at..chain.at + 2).ok_or(Drop::Ipv6Extension)? else {
                    return Err(Drop::Ipv6Extension);
                };
                // RFC 5095: type 0 routing headers are not processed and not forwarded.
                if chain.protocol == 43 && packet.get(chain.at + 2) == Some(&0) {
                    return Err(Drop::RoutingHeader);
                }
                chain.options = true;
                usize::from(length) * 8 + 8
            }
            // The authentication header counts in units of four.
            51 => {
                chain.options = true;
                usize::from(*packet.get(chain.at + 1).ok_or(Drop::Ipv6Extension)?) * 4 + 8
            }
            44 => {
                let header = packet.get(chain.at..chain.at + 8).ok_or(Drop::Ipv6Extension)?;
                if chain.fragment != Fragment::Whole {
                    return Err(Drop::Ipv6Extension);
                }
                let field = u16::from_be_bytes([header[2], header[3]]);
                let (offset, more) = (field & 0xfff8, field & 1 != 0);
                if offset != 0 || more {
                    let id = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
                    let fragment_header = (l3 + chain.at) as u16;
                    chain.fragment =
                        Fragment::Part { offset, more, id, header: fragment_header, protocol: header[0] };
                }
                8
            }
            _ => return Ok(chain),
        };
        let next = chain.at + length;
        if next > packet.len() {
            return Err(Drop::Ipv6Extension);
        }
        let was_fragment = chain.protocol == 44;
        chain.protocol = packet[chain.at];
        chain.at = next;
        if was_fragment && matches!(chain.fragment, Fragment::Part { offset, .. } if offset > 0) {
            return Ok(chain);
        }
    }
    Err(Drop::Ipv6Extension)
}

/// Parses the transport header: what it is, and the ports (or query identifier) of the flow key. `icmp` is the
/// family's own; the other family's is nothing that a host would read.
fn parse_transport(
    number: u8,
    icmp: u8,
    segment: &[u8],
    fragment: Fragment,
) -> Result<(Transport, u16, u16), Drop> {
    if matches!(fragment, Fragment::Part { offset, .. } if offset > 0) {
        return Ok((Transport::Other, 0, 0));
    }
    let word = |at: usize| u16::from_be_bytes([segment[at], segment[at + 1]]);
    let long =
        |at: usize| u32::from_be_bytes([segment[at], segment[at + 1], segment[at + 2], segment[at + 3]]);
    match number {
        protocol::TCP => {
            if segment.len() < 20 {
                return Err(Drop::TransportHeader);
            }
            let header_len = (segment[12] >> 4) * 4;
            if header_len < 20 || usize::from(header_len) > segment.len() {
                return Err(Drop::TransportHeader);
            }
            let tcp = Transport::Tcp {
                flags: segment[13],
                seq: long(4),
                ack: long(8),
                window: word(14),
                header_len,
            };
            Ok((tcp, word(0), word(2)))
        }
        protocol::UDP => {
            let whole = fragment == Fragment::Whole;
            if segment.len() < 8
                || (whole && (usize::from(word(4)) < 8 || usize::from(word(4)) > segment.len()))
            {
                return Err(Drop::TransportHeader);
            }
            Ok((Transport::Udp, word(0), word(2)))
        }
        number if number == icmp => {
            if segment.len() < 8 {
                return Err(Drop::TransportHeader);
            }
            Ok(parse_icmp(number, segment[0], segment[1], word(4)))
        }
        _ => Ok((Transport::Other, 0, 0)),
    }
}

/// Classifies an ICMP message; a query's identifier and the number of its request's type become the ports.
pub(super) fn parse_icmp(number: u8, kind: u8, code: u8, id: u16) -> (Transport, u16, u16) {
    let query = |request: bool, kind: u8| {
        let kind = u16::from(kind);
        let (src_port, dst_port) = if request { (id, kind) } else { (kind, id) };
        (Transport::IcmpQuery { request }, src_port, dst_port)
    };
    match (number, kind) {
        (protocol::ICMP, 8 | 13 | 15 | 17) => query(true, kind),
        (protocol::ICMP, 0) => query(false, 8),
        (protocol::ICMP, 14 | 16 | 18) => query(false, kind - 1),
        (protocol::ICMP, 3 | 4 | 5 | 11 | 12) => (Transport::IcmpError { kind, code }, 0, 0),
        (protocol::ICMPV6, 128) => query(true, 128),
        (protocol::ICMPV6, 129) => query(false, 128),
        (protocol::ICMPV6, 1..=4) => (Transport::IcmpError { kind, code }, 0, 0),
        (_, kind) => (Transport::IcmpOther { kind }, 0, 0),
    }
}

/// An offload header comes from the other side of the TAP and is as untrusted as the frame.
fn check_offload(frame: &FrameBuf, layout: &Layout) -> Result<(), Drop> {
    use super::{ChecksumState, GsoKind};
    if let ChecksumState::Partial { start, offset } = frame.checksum {
        let expected = match layout.transport {
            Transport::Tcp { .. } => 16,
            Transport::Udp => 6,
            Transport::IcmpQuery { .. }
            | Transport::IcmpError { .. }
            | Transport::IcmpOther { .. }
            | Transport::Other => {
                // A kernel that fragments after all, or ICMPv6 from a raw socket.
                if layout.key.protocol() == protocol::ICMPV6 { 2 } else { return Err(Drop::Gso) }
            }
        };
        if start != layout.l4 || offset != expected || layout.fragment != Fragment::Whole {
            return Err(Drop::Gso);
        }
    }
    match (frame.gso.map(|gso| gso.kind), layout.transport, layout.key) {
        (None, _, _)
        | (Some(GsoKind::Tcp4), Transport::Tcp { .. }, FlowKey::V4(_))
        | (Some(GsoKind::Tcp6), Transport::Tcp { .. }, FlowKey::V6(_))
        | (Some(GsoKind::Udp), Transport::Udp, _) => Ok(()),
        (Some(_), _, _) => Err(Drop::Gso),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::PacketBuilder;
    use proptest::prelude::*;

    fn parse(bytes: &[u8]) -> Result<Packet, Drop> {
        match Packet::parse(FrameBuf::copy_of(bytes)) {
            Ok(Parsed::Ip(packet)) => Ok(packet),
            Ok(Parsed::Arp(_)) => panic!("not ARP"),
            Err((drop, _)) => Err(drop),
        }
    }

    fn udp4() -> Vec<u8> {
        let mut bytes = Vec::new();
        PacketBuilder::ethernet2([2; 6], [4; 6])
            .ipv4([192, 0, 2, 1], [198, 51, 100, 2], 64)
            .udp(1000, 53)
            .write(&mut bytes, b"question")
            .unwrap();
        bytes
    }

    /// Puts an IPv4 header's checksum right.
    fn seal(bytes: &mut [u8]) {
        bytes[24..26].fill(0);
        let sum = !checksum::sum(&bytes[14..34]);
        bytes[24..26].copy_from_slice(&sum.to_be_bytes());
    }

    #[test]
    fn what_stands_behind_a_datagram_is_not_covered_by_its_checksum() {
        let mut bytes = udp4();
        bytes.extend_from_slice(b"surplus");
        let length = (bytes.len() - ETHERNET_LEN) as u16;
        bytes[16..18].copy_from_slice(&length.to_be_bytes());
        seal(&mut bytes);
        assert!(parse(&bytes).unwrap().transport_checksum_ok());
        bytes[42] ^= 1;
        assert!(!parse(&bytes).unwrap().transport_checksum_ok());
    }

    #[test]
    fn the_other_family_s_icmp_is_just_a_protocol() {
        let mut bytes = udp4();
        bytes[23] = protocol::ICMPV6;
        bytes[34] = 128;
        seal(&mut bytes);
        let packet = parse(&bytes).unwrap();
        assert_eq!(packet.layout.transport, Transport::Other);
        assert!(packet.transport_checksum_ok());
    }

    #[test]
    fn udp_over_ipv4_with_padding() {
        let mut bytes = udp4();
        let ip_len = bytes.len() - ETHERNET_LEN;
        bytes.resize(80, 0xee);
        let packet = parse(&bytes).unwrap();
        assert_eq!(packet.layout.key.to_string(), "udp 192.0.2.1:1000 -> 198.51.100.2:53");
        assert_eq!(packet.ip().len(), ip_len);
        assert_eq!(packet.payload_len(), 8);
        assert!(packet.transport_checksum_ok());
        bytes[45] ^= 1;
        assert!(!parse(&bytes).unwrap().transport_checksum_ok());
    }

    #[test]
    fn tcp_over_ipv6_behind_options() {
        let mut bytes = Vec::new();
        PacketBuilder::ethernet2([2; 6], [4; 6])
            .ipv6([1; 16], [2; 16], 64)
            .tcp(1, 2, 77, 1024)
            .syn()
            .write(&mut bytes, &[])
            .unwrap();
        // Insert an empty destination options header.
        let next = bytes[20];
        bytes[20] = 60;
        bytes[19] += 8;
        bytes.splice(54..54, [next, 0, 1, 4, 0, 0, 0, 0]);
        let packet = parse(&bytes).unwrap();
        assert!(packet.layout.options);
        assert!(matches!(packet.layout.transport, Transport::Tcp { flags: 2, seq: 77, .. }));
        assert!(packet.transport_checksum_ok());
    }

    #[test]
    fn broken_headers_have_names() {
        type Spoil = fn(&mut Vec<u8>);
        let table: [(Spoil, Drop); 6] = [
            (|b| b.truncate(13), Drop::ShortFrame),
            (|b| b[12] = 0x99, Drop::UnknownEtherType),
            (|b| b[14] = 0x44, Drop::IpHeader),
            (|b| b[17] = 19, Drop::IpHeader),
            (|b| b[25] ^= 0xff, Drop::IpChecksum),
            (|b| b[39] = 200, Drop::TransportHeader),
        ];
        for (spoil, expected) in table {
            let mut bytes = udp4();
            spoil(&mut bytes);
            assert_eq!(parse(&bytes).unwrap_err(), expected);
        }
    }

    #[test]
    fn a_hop_less_keeps_the_header_checksum_right() {
        for ttl in 1..=255 {
            let mut bytes = udp4();
            bytes[22] = ttl;
            bytes[24..26].fill(0);
            let sum = !checksum::sum(&bytes[14..34]);
            bytes[24..26].copy_from_slice(&sum.to_be_bytes());
            let mut packet = parse(&bytes).unwrap();
            packet.decrement_hop_limit();
            assert_eq!(parse(packet.frame.bytes()).unwrap().layout.hop_limit, ttl - 1);
        }
    }

    #[test]
    fn an_answer_has_the_inverse_key_of_its_query() {
        let echo = |request: bool| {
            let mut bytes = Vec::new();
            let (a, b) = ([192, 0, 2, 1], [198, 51, 100, 2]);
            if request {
                let builder = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4(a, b, 64);
                builder.icmpv4_echo_request(77, 1).write(&mut bytes, b"ping").unwrap();
            } else {
                let builder = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4(b, a, 64);
                builder.icmpv4_echo_reply(77, 1).write(&mut bytes, b"ping").unwrap();
            }
            parse(&bytes).unwrap().layout.key
        };
        assert_eq!(echo(true).inverse(), echo(false));
    }

    proptest! {
        #[test]
        fn total_on_arbitrary_bytes(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), kind in 0u8..4) {
            if bytes.len() > 40 {
                let (hi, lo, version) = if kind & 1 == 0 { (8, 0, 0x45) } else { (0x86, 0xdd, 0x60) };
                bytes[12] = hi;
                bytes[13] = lo;
                bytes[14] = version;
                if kind == 0 {
                    bytes[24..26].fill(0);
                    let sum = !checksum::sum(&bytes[14..34]);
                    bytes[24..26].copy_from_slice(&sum.to_be_bytes());
                }
            }
            if let Ok(packet) = parse(&bytes) {
                prop_assert!(packet.layout.end as usize <= bytes.len());
                packet.transport_checksum_ok();
                packet.payload_len();
            }
        }
    }
}
