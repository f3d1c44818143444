//! ICMP and ICMPv6 errors: what they quote, and how the router makes its own (RFC 792, RFC 1812 section 4.3,
//! RFC 4443 section 2.4).
//!
//! Invariant: no error is ever made about an error, about a packet that went to many, or towards an address that
//! names no single host.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::headers::{parse_icmp, walk_extensions};
use super::packet::ETHERNET_LEN;
use super::{
    Drop, FlowKey, Fragment, FrameBuf, Layout, Packet, Pool, Transport, checksum, ethertype, protocol,
};

/// RFC 1812 section 4.3.2.3: as much of the packet as fits into 576 bytes.
const LIMIT_V4: usize = 576;
/// RFC 4443 section 2.4 (c): as much as fits into the smallest MTU.
const LIMIT_V6: usize = 1_280;
/// The router's own TTL.
const TTL: u8 = 64;

/// The packet that an ICMP error quotes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Quoted {
    /// Key of the quoted packet as it was sent (ICMP queries by the convention of [`Layout::key`]).
    pub key: FlowKey,
    /// Offset in the frame of the quoted IP header.
    pub l3: u16,
    /// Offset in the frame of the quoted transport header.
    pub l4: u16,
    /// Bytes of the quoted transport header and payload that are there (at least eight where there are ports).
    pub transport_len: usize,
    /// The quoted TCP sequence number.
    pub tcp_seq: Option<u32>,
}

/// Why the router sends an error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ErrorCause {
    /// TTL or hop limit ran out here.
    TtlExceeded,
    /// Too big for the next link, which takes `mtu` bytes (IPv4 3/4, IPv6 packet too big).
    FragmentNeeded {
        /// What the next link takes.
        mtu: u16,
    },
    /// No route to the destination.
    NoRoute,
    /// The next hop does not answer.
    HostUnreachable,
    /// Nothing listens there.
    PortUnreachable,
    /// A rule forbids it.
    AdminProhibited,
    /// The other fragments did not arrive.
    ReassemblyTimeout,
    /// A field of the IP header has a value that cannot be.
    ParameterProblem {
        /// The byte where it begins.
        pointer: u8,
    },
}

impl ErrorCause {
    const fn v4(self) -> (u8, u8) {
        match self {
            ErrorCause::NoRoute => (3, 0),
            ErrorCause::HostUnreachable => (3, 1),
            ErrorCause::PortUnreachable => (3, 3),
            ErrorCause::FragmentNeeded { .. } => (3, 4),
            ErrorCause::AdminProhibited => (3, 13),
            ErrorCause::TtlExceeded => (11, 0),
            ErrorCause::ReassemblyTimeout => (11, 1),
            ErrorCause::ParameterProblem { .. } => (12, 0),
        }
    }

    const fn v6(self) -> (u8, u8) {
        match self {
            ErrorCause::NoRoute => (1, 0),
            ErrorCause::AdminProhibited => (1, 1),
            ErrorCause::HostUnreachable => (1, 3),
            ErrorCause::PortUnreachable => (1, 4),
            ErrorCause::FragmentNeeded { .. } => (2, 0),
            ErrorCause::TtlExceeded => (3, 0),
            ErrorCause::ReassemblyTimeout => (3, 1),
            ErrorCause::ParameterProblem { .. } => (4, 0),
        }
    }
}

/// Looks into an ICMP error.
///
/// # Errors
/// RFC 5508 section 4.2: a wrong ICMP checksum, then a wrong checksum of the quoted IPv4 header. Then whatever
/// leaves no flow to look for: a later fragment, a quoted error, less than eight bytes of a header with ports.
pub fn quoted(packet: &Packet) -> Result<Quoted, Drop> {
    let Layout { l4, key, transport, fragment, .. } = packet.layout;
    let Transport::IcmpError { kind, .. } = transport else { return Err(Drop::IcmpUnmatched) };
    if fragment != Fragment::Whole {
        return Err(Drop::IcmpUnmatched);
    }
    if !packet.transport_checksum_ok() {
        return Err(Drop::TransportChecksum);
    }
    let l3 = usize::from(l4) + 8;
    let message = packet.transport();
    // RFC 4884: the length of the quoted packet, when something else stands behind it.
    let attribute = match (key, kind) {
        (FlowKey::V4(_), 3 | 11 | 12) => usize::from(message[5]) * 4,
        (FlowKey::V6(_), 1 | 3) => usize::from(message[4]) * 8,
        (FlowKey::V4(_) | FlowKey::V6(_), _) => 0,
    };
    let quote = &message[8..];
    let quote = if attribute > 0 { &quote[..attribute.min(quote.len())] } else { quote };
    match key {
        FlowKey::V4(_) => quoted_v4(quote, l3),
        FlowKey::V6(_) => quoted_v6(quote, l3),
    }
}

fn quoted_v4(quote: &[u8], l3: usize) -> Result<Quoted, Drop> {
    let header_len = usize::from(quote.first().ok_or(Drop::IpHeader)? & 0x0f) * 4;
    if quote[0] >> 4 != 4 || header_len < 20 || header_len > quote.len() {
        return Err(Drop::IpHeader);
    }
    let (header, rest) = quote.split_at(header_len);
    if checksum::sum(header) != 0xffff {
        return Err(Drop::IpChecksum);
    }
    let total_len = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let there = total_len.checked_sub(header_len).ok_or(Drop::IpHeader)?.min(rest.len());
    if u16::from_be_bytes([header[6], header[7]]) & 0x1fff != 0 {
        return Err(Drop::IcmpUnmatched);
    }
    let src = Ipv4Addr::new(header[12], header[13], header[14], header[15]);
    let dst = Ipv4Addr::new(header[16], header[17], header[18], header[19]);
    quoted_transport(header[9], (src.into(), dst.into()), &rest[..there], (l3, l3 + header_len))
}

fn quoted_v6(quote: &[u8], l3: usize) -> Result<Quoted, Drop> {
    if quote.len() < 40 || quote[0] >> 4 != 6 {
        return Err(Drop::IpHeader);
    }
    let total_len = 40 + usize::from(u16::from_be_bytes([quote[4], quote[5]]));
    let quote = &quote[..total_len.min(quote.len())];
    let address = |at: usize| {
        let mut octets = [0u8; 16];
        octets.copy_from_slice(&quote[at..at + 16]);
        IpAddr::from(Ipv6Addr::from(octets))
    };
    let chain = walk_extensions(quote, l3)?;
    if matches!(chain.fragment, Fragment::Part { offset, .. } if offset > 0) {
        return Err(Drop::IcmpUnmatched);
    }
    quoted_transport(chain.protocol, (address(8), address(24)), &quote[chain.at..], (l3, l3 + chain.at))
}

fn quoted_transport(
    number: u8,
    (src, dst): (IpAddr, IpAddr),
    segment: &[u8],
    (l3, l4): (usize, usize),
) -> Result<Quoted, Drop> {
    let word = |at: usize| u16::from_be_bytes([segment[at], segment[at + 1]]);
    let icmp = if src.is_ipv4() { protocol::ICMP } else { protocol::ICMPV6 };
    if (matches!(number, protocol::TCP | protocol::UDP) || number == icmp) && segment.len() < 8 {
        return Err(Drop::TransportHeader);
    }
    let (src_port, dst_port, tcp_seq) = match number {
        protocol::TCP => {
            let seq = u32::from_be_bytes([segment[4], segment[5], segment[6], segment[7]]);
            (word(0), word(2), Some(seq))
        }
        protocol::UDP => (word(0), word(2), None),
        number if number == icmp => match parse_icmp(number, segment[0], segment[1], word(4)) {
            (Transport::IcmpQuery { .. }, src_port, dst_port) => (src_port, dst_port, None),
            // An error about an error, or about neighbour discovery: nobody's flow.
            (_, _, _) => return Err(Drop::IcmpUnmatched),
        },
        _ => (0, 0, None),
    };
    let key = FlowKey::new(number, src, src_port, dst, dst_port).ok_or(Drop::IpHeader)?;
    Ok(Quoted { key, l3: l3 as u16, l4: l4 as u16, transport_len: segment.len(), tcp_seq })
}

/// Makes the error about `offending` that goes back to its source: a frame without MAC addresses, all else
/// complete. `None` where the RFCs forbid an error, or when `from` is of another family. The quote is the packet
/// as it stands in its frame; rate limits are the caller's.
pub fn build(cause: &ErrorCause, offending: &Packet, from: IpAddr, pool: &mut Pool) -> Option<FrameBuf> {
    if !deserves_error(cause, offending) {
        return None;
    }
    let ip = offending.ip();
    match (offending.layout.key.src(), from) {
        (IpAddr::V4(to), IpAddr::V4(from)) => Some(build_v4(*cause, ip, from, to, pool)),
        (IpAddr::V6(to), IpAddr::V6(from)) => Some(build_v6(*cause, ip, from, to, pool)),
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => None,
    }
}

/// RFC 1812 section 4.3.2.7 and RFC 4443 section 2.4 (e).
fn deserves_error(cause: &ErrorCause, offending: &Packet) -> bool {
    let Layout { key, transport, fragment, .. } = offending.layout;
    let to_many_on_link = offending.dst_mac().0[0] & 1 != 0;
    let is_error = matches!(transport, Transport::IcmpError { .. });
    match (key.src(), key.dst()) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            let first = src.octets()[0];
            let one_host = first != 0 && first != 127 && first < 224;
            let to_one = !to_many_on_link && !dst.is_multicast() && !dst.is_broadcast();
            let later = matches!(fragment, Fragment::Part { offset, .. } if offset > 0);
            one_host && to_one && !later && !is_error
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            let one_host = !src.is_unspecified() && !src.is_multicast() && !src.is_loopback();
            // Path MTU discovery works for multicast too.
            let too_big = matches!(cause, ErrorCause::FragmentNeeded { .. });
            let to_one = too_big || !(to_many_on_link || dst.is_multicast());
            // Types below 128 are errors, known or not; 137 is the redirect.
            let is_icmp = key.protocol() == protocol::ICMPV6;
            let unknown_error =
                matches!(transport, Transport::IcmpOther { kind } if is_icmp && (kind < 128 || kind == 137));
            one_host && to_one && !is_error && !unknown_error
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

fn start(pool: &mut Pool, ip_len: usize, ethertype: u16) -> FrameBuf {
    let mut frame = pool.take();
    frame.clear();
    frame.set_len(ETHERNET_LEN + ip_len);
    let bytes = frame.bytes_mut();
    bytes.fill(0);
    bytes[12..14].copy_from_slice(&ethertype.to_be_bytes());
    frame
}

fn build_v4(cause: ErrorCause, quote: &[u8], from: Ipv4Addr, to: Ipv4Addr, pool: &mut Pool) -> FrameBuf {
    let quote = &quote[..quote.len().min(LIMIT_V4 - 28)];
    let mut frame = start(pool, 28 + quote.len(), ethertype::IPV4);
    let ip = &mut frame.bytes_mut()[ETHERNET_LEN..];
    ip[0] = 0x45;
    // Section 4.3.2.5: the packet's own type of service, precedence 6; ECN belongs to nobody here.
    ip[1] = 0xc0 | (quote[1] & 0x1c);
    let total_len = ip.len() as u16;
    ip[2..4].copy_from_slice(&total_len.to_be_bytes());
    ip[6] = 0x40;
    ip[8] = TTL;
    ip[9] = protocol::ICMP;
    ip[12..16].copy_from_slice(&from.octets());
    ip[16..20].copy_from_slice(&to.octets());
    let sum = !checksum::sum(&ip[..20]);
    ip[10..12].copy_from_slice(&sum.to_be_bytes());

    let icmp = &mut ip[20..];
    (icmp[0], icmp[1]) = cause.v4();
    if let ErrorCause::FragmentNeeded { mtu } = cause {
        icmp[6..8].copy_from_slice(&mtu.to_be_bytes());
    }
    if let ErrorCause::ParameterProblem { pointer } = cause {
        icmp[4] = pointer;
    }
    icmp[8..].copy_from_slice(quote);
    let sum = !checksum::sum(icmp);
    icmp[2..4].copy_from_slice(&sum.to_be_bytes());
    frame
}

fn build_v6(cause: ErrorCause, quote: &[u8], from: Ipv6Addr, to: Ipv6Addr, pool: &mut Pool) -> FrameBuf {
    let quote = &quote[..quote.len().min(LIMIT_V6 - 48)];
    let mut frame = start(pool, 48 + quote.len(), ethertype::IPV6);
    let ip = &mut frame.bytes_mut()[ETHERNET_LEN..];
    ip[0] = 0x60;
    let length = (8 + quote.len()) as u16;
    ip[4..6].copy_from_slice(&length.to_be_bytes());
    ip[6] = protocol::ICMPV6;
    ip[7] = TTL;
    ip[8..24].copy_from_slice(&from.octets());
    ip[24..40].copy_from_slice(&to.octets());

    let icmp = &mut ip[40..];
    (icmp[0], icmp[1]) = cause.v6();
    if let ErrorCause::FragmentNeeded { mtu } = cause {
        icmp[4..8].copy_from_slice(&u32::from(mtu).to_be_bytes());
    }
    if let ErrorCause::ParameterProblem { pointer } = cause {
        icmp[7] = pointer;
    }
    icmp[8..].copy_from_slice(quote);
    let pseudo = checksum::pseudo_header(from.into(), to.into(), protocol::ICMPV6, u32::from(length));
    let sum = !checksum::add(pseudo, checksum::sum(icmp));
    icmp[2..4].copy_from_slice(&sum.to_be_bytes());
    frame
}

#[cfg(test)]
mod tests {
    use super::super::sample::{self, Sample};
    use super::*;
    use proptest::prelude::*;

    const V4: &str = "192.0.2.254";
    const V6: &str = "2001:db8::fe";
    const ALL: [ErrorCause; 8] = [
        ErrorCause::TtlExceeded,
        ErrorCause::FragmentNeeded { mtu: 1_400 },
        ErrorCause::NoRoute,
        ErrorCause::HostUnreachable,
        ErrorCause::PortUnreachable,
        ErrorCause::AdminProhibited,
        ErrorCause::ReassemblyTimeout,
        ErrorCause::ParameterProblem { pointer: 8 },
    ];

    fn error(cause: ErrorCause, offending: &Packet) -> Option<Packet> {
        let from = if matches!(offending.layout.key, FlowKey::V4(_)) { V4 } else { V6 };
        let frame = build(&cause, offending, from.parse().unwrap(), &mut Pool::new(1))?;
        assert_eq!(frame.bytes()[..12], [0; 12]);
        Some(sample::parse_frame(frame))
    }

    /// A frame whose IPv4 header checksum is right again.
    fn with_ip_checksum(mut frame: Vec<u8>) -> Vec<u8> {
        if frame[12] == 8 {
            let end = 14 + usize::from(frame[14] & 15) * 4;
            frame[24..26].fill(0);
            let sum = !checksum::sum(&frame[14..end]);
            frame[24..26].copy_from_slice(&sum.to_be_bytes());
        }
        frame
    }

    #[test]
    fn every_error_is_a_packet_that_quotes_the_offender() {
        for (tcp, v6) in [(true, false), (true, true), (false, false), (false, true)] {
            let offending = Sample { tcp, v6, payload: sample::bytes(1_452), ..Sample::default() }.packet();
            for cause in ALL {
                let error = error(cause, &offending).unwrap();
                assert!(error.transport_checksum_ok(), "{cause:?}");
                assert_eq!(error.layout.key.dst(), offending.layout.key.src());
                assert_eq!(error.ip().len(), if v6 { LIMIT_V6 } else { LIMIT_V4 });
                let quoted = quoted(&error).unwrap();
                assert_eq!(quoted.key, offending.layout.key);
                assert_eq!(quoted.tcp_seq, tcp.then_some(0xffff_f000));
                let (l3, l4) = (usize::from(quoted.l3), usize::from(quoted.l4));
                assert!(offending.ip().starts_with(&error.frame.bytes()[l3..]));
                assert_eq!(error.frame.len() - l4, quoted.transport_len);
                let Transport::IcmpError { kind, code } = error.layout.transport else { panic!() };
                assert_eq!((kind, code), if v6 { cause.v6() } else { cause.v4() });
            }
            let too_big = error(ErrorCause::FragmentNeeded { mtu: 1_400 }, &offending).unwrap();
            assert_eq!(too_big.transport()[6..8], 1_400u16.to_be_bytes());
        }
    }

    #[test]
    fn echo_is_quoted_by_the_convention_of_its_key() {
        let mut frame = Vec::new();
        etherparse::PacketBuilder::ethernet2([2; 6], [4; 6])
            .ipv4([192, 0, 2, 1], [198, 51, 100, 2], 1)
            .icmpv4_echo_request(77, 1)
            .write(&mut frame, b"ping")
            .unwrap();
        let offending = sample::parse(&frame);
        let quoted = quoted(&error(ErrorCause::TtlExceeded, &offending).unwrap()).unwrap();
        assert_eq!(quoted.key, offending.layout.key);
        assert_eq!((quoted.key.src_port(), quoted.transport_len), (77, 12));
    }

    #[test]
    fn type_of_service_follows_the_offender() {
        let mut frame = Sample::default().frame();
        frame[15] = 0xff;
        let error = error(ErrorCause::NoRoute, &sample::parse(&with_ip_checksum(frame))).unwrap();
        assert_eq!(error.layout.traffic_class, 0xdc);
    }

    #[test]
    fn where_the_rfcs_forbid_an_error_there_is_none() {
        type Spoil = fn(&mut Vec<u8>);
        let table: [(&str, bool, Spoil); 14] = [
            ("broadcast on the link", false, |f| f[..6].fill(0xff)),
            ("multicast", false, |f| f[30..34].copy_from_slice(&[224, 0, 0, 9])),
            ("limited broadcast", false, |f| f[30..34].fill(0xff)),
            ("unspecified source", false, |f| f[26..30].fill(0)),
            ("source of network zero", false, |f| f[26] = 0),
            ("loopback source", false, |f| f[26] = 127),
            ("multicast source", false, |f| f[26] = 230),
            ("class E source", false, |f| f[26] = 250),
            ("later fragment", false, |f| f[21] = 100),
            ("ICMP error", false, |f| (f[23], f[34]) = (protocol::ICMP, 3)),
            ("redirect", false, |f| (f[23], f[34]) = (protocol::ICMP, 5)),
            ("IPv6 multicast", true, |f| f[38] = 0xff),
            ("IPv6 unspecified source", true, |f| f[22..38].fill(0)),
            ("IPv6 unknown error", true, |f| (f[20], f[54]) = (protocol::ICMPV6, 100)),
        ];
        for (name, v6, spoil) in table {
            let mut frame = Sample { v6, ..Sample::default() }.frame();
            spoil(&mut frame);
            let offending = sample::parse(&with_ip_checksum(frame));
            assert!(error(ErrorCause::AdminProhibited, &offending).is_none(), "{name}");
        }
        let mut frame = Sample { v6: true, ..Sample::default() }.frame();
        frame[38] = 0xff;
        assert!(error(ErrorCause::FragmentNeeded { mtu: 1_280 }, &sample::parse(&frame)).is_some());
        let other_family =
            build(&ALL[0], &Sample::default().packet(), V6.parse().unwrap(), &mut Pool::new(1));
        assert!(other_family.is_none());
    }

    /// An error whose quote was spoilt and whose ICMP checksum is right all the same.
    fn spoilt(v6: bool, spoil: impl FnOnce(&mut Vec<u8>)) -> Packet {
        let offending = Sample { v6, ..Sample::default() }.packet();
        let mut frame = error(ErrorCause::NoRoute, &offending).unwrap().frame.bytes().to_vec();
        let l4 = if v6 { 54 } else { 34 };
        let mut message = frame.split_off(l4);
        spoil(&mut message);
        let length = message.len() as u16 + if v6 { 0 } else { 20 };
        let at = if v6 { 18 } else { 16 };
        frame[at..at + 2].copy_from_slice(&length.to_be_bytes());
        message[2..4].fill(0);
        let pseudo = checksum::add(checksum::sum(&frame[22..54.min(frame.len())]), 58 + message.len() as u16);
        let sum = !checksum::add(checksum::sum(&message), if v6 { pseudo } else { 0 });
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        frame.extend(message);
        sample::parse(&with_ip_checksum(frame))
    }

    #[test]
    fn quotes_that_name_no_flow_are_refused() {
        type Spoil = fn(&mut Vec<u8>);
        let table: [(&str, bool, Spoil, Drop); 9] = [
            ("empty quote", false, |m| m.truncate(8), Drop::IpHeader),
            ("truncated header", false, |m| m.truncate(20), Drop::IpHeader),
            ("wrong version", false, |m| m[8] = 0x55, Drop::IpHeader),
            ("wrong header checksum", false, |m| m[18] ^= 1, Drop::IpChecksum),
            ("truncated ports", false, |m| m.truncate(35), Drop::TransportHeader),
            ("quote cut by RFC 4884", false, |m| m[5] = 6, Drop::TransportHeader),
            (
                "later fragment",
                false,
                |m| (m[15], m[18], m[19]) = (8, m[18], m[19].wrapping_sub(8)),
                Drop::IcmpUnmatched,
            ),
            ("truncated IPv6 header", true, |m| m.truncate(47), Drop::IpHeader),
            ("quoted ICMPv6 error", true, |m| (m[14], m[48]) = (58, 1), Drop::IcmpUnmatched),
        ];
        for (name, v6, spoil, expected) in table {
            assert_eq!(quoted(&spoilt(v6, spoil)), Err(expected), "{name}");
        }
        let mut unverified = spoilt(false, |_| ());
        unverified.transport_mut()[2] ^= 1;
        assert_eq!(quoted(&unverified), Err(Drop::TransportChecksum));
        assert_eq!(quoted(&Sample::default().packet()), Err(Drop::IcmpUnmatched));
        assert!(quoted(&spoilt(true, |_| ())).is_ok());
    }

    proptest! {
        #[test]
        fn total_on_arbitrary_quotes(v6: bool, quote in proptest::collection::vec(any::<u8>(), 0..120), version: bool) {
            let packet = spoilt(v6, |message| {
                message.truncate(8);
                message.extend_from_slice(&quote);
                if version && message.len() > 8 {
                    message[8] = if v6 { 0x60 } else { 0x45 };
                }
            });
            if let Ok(quoted) = quoted(&packet) {
                prop_assert!(usize::from(quoted.l4) + quoted.transport_len <= packet.layout.end as usize);
            }
        }
    }
}
