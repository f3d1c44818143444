//! One pass over a packet's IP and transport headers.
//!
//! Invariant: total on any bytes; what it returns lies inside them. Header checks follow RFC 1812 section 5.2.2,
//! RFC 8200 section 4 and RFC 7112.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{Drop, FlowKey, FlowKey4, FlowKey6, Fragment, Layout, Transport, checksum, protocol};

/// At most this many IPv6 extension headers are followed, as in pf.
const EXTENSION_LIMIT: usize = 19;

/// Parses an IPv4 packet whose header begins at `l3` of `bytes`.
#[inline]
pub(super) fn parse_ipv4(bytes: &[u8], l3: usize) -> Result<Layout, Drop> {
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
pub(super) fn parse_ipv6(bytes: &[u8], l3: usize) -> Result<Layout, Drop> {
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
#[inline]
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
