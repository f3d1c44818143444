//! ICMP and ICMPv6 errors: what they quote, and how to make one (RFC 792, RFC 1812 section 4.3.2, RFC 4443).

use std::net::IpAddr;

use super::{
    Drop, FlowKey, FlowKey4, FlowKey6, Fragment, FrameBuf, Packet, Pool, Transport, checksum, ethertype,
    protocol,
};

/// What went wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ErrorCause {
    /// TTL or hop limit ran out in transit.
    TtlExceeded,
    /// Larger than the next link takes.
    FragmentNeeded {
        /// What the next link takes.
        mtu: u16,
    },
    /// No route to the destination.
    NoRoute,
    /// The destination, or the next hop to it, does not answer.
    HostUnreachable,
    /// Nothing listens on that port.
    PortUnreachable,
    /// Policy forbids it.
    AdminProhibited,
    /// The other fragments did not come in time.
    ReassemblyTimeout,
}

/// The packet that an error quotes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Quoted {
    /// Its flow key, as it was when the error's sender saw it.
    pub key: FlowKey,
    /// Offset in the frame of the quoted IP header.
    pub l3: u16,
    /// Offset in the frame of the quoted transport header.
    pub l4: u16,
    /// How many bytes of the quoted transport header and payload are there.
    pub transport_len: usize,
    /// The quoted TCP sequence number.
    pub tcp_seq: Option<u32>,
}

/// Reads the packet that the ICMP error `packet` quotes.
///
/// # Errors
/// [`Drop::IcmpUnmatched`] when the quote is too short to name a flow, or is a later fragment.
pub fn quoted(packet: &Packet) -> Result<Quoted, Drop> {
    let frame = &packet.frame.bytes()[..packet.layout.end as usize];
    let l3 = usize::from(packet.layout.l4) + 8;
    let inner = frame.get(l3..).ok_or(Drop::IcmpUnmatched)?;
    match packet.layout.key {
        FlowKey::V4(_) => quoted_ipv4(inner, l3),
        FlowKey::V6(_) => quoted_ipv6(inner, l3),
    }
    .ok_or(Drop::IcmpUnmatched)
}

fn quoted_ipv4(inner: &[u8], l3: usize) -> Option<Quoted> {
    let header_len = usize::from(inner.first()? & 0x0f) * 4;
    let fragment = u16::from_be_bytes([*inner.get(6)?, *inner.get(7)?]) & 0x1fff;
    if inner[0] >> 4 != 4 || header_len < 20 || fragment != 0 {
        return None;
    }
    let number = *inner.get(9)?;
    let transport = inner.get(header_len..)?;
    let octets = |at: usize| -> Option<[u8; 4]> { inner.get(at..at + 4)?.try_into().ok() };
    let (src_port, dst_port, tcp_seq) = ports(number, transport)?;
    let key =
        FlowKey4 { src: octets(12)?.into(), dst: octets(16)?.into(), src_port, dst_port, protocol: number };
    let l4 = (l3 + header_len) as u16;
    Some(Quoted { key: FlowKey::V4(key), l3: l3 as u16, l4, transport_len: transport.len(), tcp_seq })
}

fn quoted_ipv6(inner: &[u8], l3: usize) -> Option<Quoted> {
    if inner.len() < 40 || inner[0] >> 4 != 6 {
        return None;
    }
    let (mut number, mut at) = (inner[6], 40);
    // Options that the sender of the quoted packet had put in; a quoted fragment names no flow.
    for _ in 0..8 {
        if !matches!(number, 0 | 43 | 60) {
            break;
        }
        number = *inner.get(at)?;
        at += usize::from(*inner.get(at + 1)?) * 8 + 8;
    }
    let transport = inner.get(at..)?;
    let octets = |at: usize| -> Option<[u8; 16]> { inner.get(at..at + 16)?.try_into().ok() };
    let (src_port, dst_port, tcp_seq) = ports(number, transport)?;
    let key =
        FlowKey6 { src: octets(8)?.into(), dst: octets(24)?.into(), src_port, dst_port, protocol: number };
    let l4 = (l3 + at) as u16;
    Some(Quoted { key: FlowKey::V6(key), l3: l3 as u16, l4, transport_len: transport.len(), tcp_seq })
}

/// Ports (or query identifier, as in [`FlowKey`]) and TCP sequence number of a quoted transport header.
fn ports(number: u8, transport: &[u8]) -> Option<(u16, u16, Option<u32>)> {
    let word = |at: usize| Some(u16::from_be_bytes([*transport.get(at)?, *transport.get(at + 1)?]));
    match number {
        protocol::TCP => {
            let seq = transport.get(4..8).map(|seq| u32::from_be_bytes([seq[0], seq[1], seq[2], seq[3]]));
            Some((word(0)?, word(2)?, Some(seq?)))
        }
        protocol::UDP => Some((word(0)?, word(2)?, None)),
        protocol::ICMP | protocol::ICMPV6 => {
            let id = word(4)?;
            match (number, *transport.first()?) {
                (protocol::ICMP, kind @ (8 | 13 | 15 | 17)) => Some((id, u16::from(kind), None)),
                (protocol::ICMP, 0) => Some((8, id, None)),
                (protocol::ICMP, kind @ (14 | 16 | 18)) => Some((u16::from(kind) - 1, id, None)),
                (protocol::ICMPV6, 128) => Some((id, 128, None)),
                (protocol::ICMPV6, 129) => Some((128, id, None)),
                // RFC 1812 section 4.3.2.7: nobody sends errors about errors.
                _ => None,
            }
        }
        _ => Some((0, 0, None)),
    }
}

/// Makes an error about `offending`, from the address `from`. MAC addresses are left zero.
///
/// `None` when the RFCs forbid one: about an error, a group, a later fragment, or a source that is nobody.
pub fn build(cause: &ErrorCause, offending: &Packet, from: IpAddr, pool: &mut Pool) -> Option<FrameBuf> {
    let layout = &offending.layout;
    let (source, destination) = (layout.key.src(), layout.key.dst());
    let about_error = matches!(layout.transport, Transport::IcmpError { .. });
    let later = matches!(layout.fragment, Fragment::Part { offset, .. } if offset > 0);
    if about_error
        || later
        || is_nobody(source)
        || is_group(destination)
        || offending.dst_mac().is_multicast()
    {
        return None;
    }
    let quote = offending.ip();
    let mut frame = pool.take();
    match (from, source) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let (kind, code, word) = numbers_v4(*cause);
            // RFC 1812 section 4.3.2.3: as much as fits into 576 bytes.
            let message = message(kind, code, word, &quote[..quote.len().min(576 - 28)]);
            // Section 4.3.2.5: precedence "internetwork control".
            let total = (20 + message.len()) as u16;
            let mut ip = [0x45, 0xc0, 0, 0, 0, 0, 0, 0, 64, protocol::ICMP, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            ip[2..4].copy_from_slice(&total.to_be_bytes());
            ip[12..16].copy_from_slice(&from.octets());
            ip[16..20].copy_from_slice(&to.octets());
            let sum = !checksum::sum(&ip);
            ip[10..12].copy_from_slice(&sum.to_be_bytes());
            fill(&mut frame, ethertype::IPV4, &ip, &message, 0);
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let (kind, code, word) = numbers_v6(*cause);
            // RFC 4443 section 2.4 (c): the minimum IPv6 MTU.
            let message = message(kind, code, word, &quote[..quote.len().min(1280 - 48)]);
            let mut ip = [0u8; 40];
            ip[0] = 0x60;
            ip[4..6].copy_from_slice(&(message.len() as u16).to_be_bytes());
            ip[6..8].copy_from_slice(&[protocol::ICMPV6, 64]);
            ip[8..24].copy_from_slice(&from.octets());
            ip[24..40].copy_from_slice(&to.octets());
            let pseudo =
                checksum::pseudo_header(from.into(), to.into(), protocol::ICMPV6, message.len() as u32);
            fill(&mut frame, ethertype::IPV6, &ip, &message, pseudo);
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return None,
    }
    Some(frame)
}

fn is_nobody(source: IpAddr) -> bool {
    match source {
        IpAddr::V4(v4) => v4.is_unspecified() || v4.is_broadcast() || v4.is_multicast() || v4.is_loopback(),
        IpAddr::V6(v6) => v6.is_unspecified() || v6.is_multicast() || v6.is_loopback(),
    }
}

fn is_group(destination: IpAddr) -> bool {
    match destination {
        IpAddr::V4(v4) => v4.is_broadcast() || v4.is_multicast(),
        IpAddr::V6(v6) => v6.is_multicast(),
    }
}

/// Type, code and second word (RFC 792, RFC 1191, RFC 1812 section 5.2.7).
fn numbers_v4(cause: ErrorCause) -> (u8, u8, u32) {
    match cause {
        ErrorCause::TtlExceeded => (11, 0, 0),
        ErrorCause::ReassemblyTimeout => (11, 1, 0),
        ErrorCause::FragmentNeeded { mtu } => (3, 4, u32::from(mtu)),
        ErrorCause::NoRoute => (3, 0, 0),
        ErrorCause::HostUnreachable => (3, 1, 0),
        ErrorCause::PortUnreachable => (3, 3, 0),
        ErrorCause::AdminProhibited => (3, 13, 0),
    }
}

/// Type, code and second word (RFC 4443 section 3).
fn numbers_v6(cause: ErrorCause) -> (u8, u8, u32) {
    match cause {
        ErrorCause::TtlExceeded => (3, 0, 0),
        ErrorCause::ReassemblyTimeout => (3, 1, 0),
        ErrorCause::FragmentNeeded { mtu } => (2, 0, u32::from(mtu)),
        ErrorCause::NoRoute => (1, 0, 0),
        ErrorCause::HostUnreachable => (1, 3, 0),
        ErrorCause::PortUnreachable => (1, 4, 0),
        ErrorCause::AdminProhibited => (1, 1, 0),
    }
}

fn message(kind: u8, code: u8, word: u32, quote: &[u8]) -> Vec<u8> {
    let mut message = vec![kind, code, 0, 0];
    message.extend_from_slice(&word.to_be_bytes());
    message.extend_from_slice(quote);
    message
}

fn fill(frame: &mut FrameBuf, ethertype: u16, ip: &[u8], message: &[u8], pseudo: u16) {
    let mut bytes = vec![0; 12];
    bytes.extend_from_slice(&ethertype.to_be_bytes());
    bytes.extend_from_slice(ip);
    bytes.extend_from_slice(message);
    let at = 14 + ip.len();
    let sum = !checksum::add(pseudo, checksum::sum(message));
    bytes[at + 2..at + 4].copy_from_slice(&sum.to_be_bytes());
    frame.set(&bytes);
    frame.checksum = super::ChecksumState::Valid;
}
