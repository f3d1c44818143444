//! An IP packet in its frame, parsed once.
//!
//! Invariant: a [`Packet`]'s [`Layout`] agrees with its bytes; whoever rewrites the bytes keeps the layout true.

use super::headers::{parse_ipv4, parse_ipv6};
use super::{Drop, FlowKey, Fragment, FrameBuf, Layout, Transport, checksum, ethertype, protocol};
use crate::types::MacAddr;

/// Bytes of an untagged Ethernet header.
pub const ETHERNET_LEN: usize = 14;

/// What a frame turned out to be. The interface's 802.1Q tag has been taken off before.
pub enum Parsed {
    /// An ARP packet (not looked into yet).
    Arp(FrameBuf),
    /// An IP packet.
    Ip(Packet),
}

/// What a frame is, seen from outside: as [`Parsed`], while the frame stays where it is.
pub enum Seen {
    /// ARP.
    Arp,
    /// IP, laid out like this.
    Ip(Layout),
}

impl Seen {
    /// As [`Packet::parse`].
    pub fn of(frame: &FrameBuf) -> Result<Seen, Drop> {
        let bytes = frame.bytes();
        if bytes.len() < ETHERNET_LEN {
            return Err(Drop::ShortFrame);
        }
        let layout = match u16::from_be_bytes([bytes[12], bytes[13]]) {
            ethertype::IPV4 => parse_ipv4(bytes, ETHERNET_LEN)?,
            ethertype::IPV6 => parse_ipv6(bytes, ETHERNET_LEN)?,
            ethertype::ARP => return Ok(Seen::Arp),
            _ => return Err(Drop::UnknownEtherType),
        };
        check_offload(frame, &layout)?;
        Ok(Seen::Ip(layout))
    }
}

/// An IP packet in its frame.
#[derive(Debug)]
pub struct Packet {
    /// The frame, Ethernet header included.
    pub frame: FrameBuf,
    /// Where things are.
    pub layout: Layout,
}

impl Packet {
    /// Parses an untagged frame.
    ///
    /// Does not verify transport checksums (see [`Packet::transport_checksum_ok`]) nor any address.
    #[inline]
    pub fn parse(frame: FrameBuf) -> Result<Parsed, (Drop, FrameBuf)> {
        match Seen::of(&frame) {
            Ok(Seen::Ip(layout)) => Ok(Parsed::Ip(Packet { frame, layout })),
            Ok(Seen::Arp) => Ok(Parsed::Arp(frame)),
            Err(drop) => Err((drop, frame)),
        }
    }

    /// Destination MAC address.
    #[inline]
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
    #[inline]
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
    #[inline]
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

    /// Takes [`Packet::decrement_hop_limit`] back.
    pub fn restore_hop_limit(&mut self) {
        let l3 = usize::from(self.layout.l3);
        let bytes = self.frame.bytes_mut();
        match self.layout.key {
            FlowKey::V4(_) => {
                bytes[l3 + 8] = bytes[l3 + 8].saturating_add(1);
                let field = u16::from_be_bytes([bytes[l3 + 10], bytes[l3 + 11]]);
                let patched = checksum::patch(field, 0x0100);
                bytes[l3 + 10..l3 + 12].copy_from_slice(&patched.to_be_bytes());
            }
            FlowKey::V6(_) => bytes[l3 + 7] = bytes[l3 + 7].saturating_add(1),
        }
        self.layout.hop_limit = self.layout.hop_limit.saturating_add(1);
    }

    /// Verifies the transport checksum where the kernel did not vouch for it. Fragments are not covered.
    #[inline]
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

/// An offload header comes from the other side of the TAP and is as untrusted as the frame.
#[inline]
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

    #[test]
    fn a_hop_that_was_counted_can_be_taken_back() {
        for ttl in 1..=255 {
            let mut bytes = udp4();
            bytes[22] = ttl;
            seal(&mut bytes);
            let mut packet = parse(&bytes).unwrap();
            packet.decrement_hop_limit();
            packet.restore_hop_limit();
            assert_eq!((packet.frame.bytes(), packet.layout.hop_limit), (&bytes[..], ttl));
        }
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
