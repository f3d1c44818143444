//! Packets that ask whether somebody is there: a SYN, and any packet of ours that is to come only so far.

use std::net::{IpAddr, SocketAddr};

use etherparse::{PacketBuilder, TcpOptionElement};

use super::packet::ETHERNET_LEN;
use super::{FrameBuf, checksum};

/// The router's own TTL.
const TTL: u8 = 64;
/// The window that is announced; nothing is ever read.
const WINDOW: u16 = 1024;
/// What fits the least link of IPv6.
const SEGMENT: u16 = 1220;

/// Opens a TCP connection: a frame without MAC addresses, all else complete. `None` for addresses of two families.
pub fn syn(from: SocketAddr, to: SocketAddr, sequence: u32) -> Option<FrameBuf> {
    let link = PacketBuilder::ethernet2([0; 6], [0; 6]);
    let ip = match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => link.ipv4(from.octets(), to.octets(), TTL),
        (IpAddr::V6(from), IpAddr::V6(to)) => link.ipv6(from.octets(), to.octets(), TTL),
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return None,
    };
    let tcp = ip.tcp(from.port(), to.port(), sequence, WINDOW).syn();
    let tcp = tcp.options(&[TcpOptionElement::MaximumSegmentSize(SEGMENT)]).ok()?;
    let mut bytes = Vec::with_capacity(tcp.size(0));
    tcp.write(&mut bytes, &[]).ok()?;
    Some(FrameBuf::copy_of(&bytes))
}

/// Lets a frame of ours come only so many hops.
pub fn limit_hops(frame: &mut FrameBuf, hops: u8) {
    let Some(ip) = frame.bytes_mut().get_mut(ETHERNET_LEN..) else { return };
    match ip.first().map(|first| first >> 4) {
        Some(4) if ip.len() >= 20 => {
            let header = (usize::from(ip[0] & 15) * 4).min(ip.len());
            ip[8] = hops;
            ip[10..12].fill(0);
            let sum = !checksum::sum(&ip[..header]);
            ip[10..12].copy_from_slice(&sum.to_be_bytes());
        }
        Some(6) if ip.len() >= 40 => ip[7] = hops,
        Some(_) | None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Packet, Parsed, Pool, Transport, echo, tcp_flags};
    use super::*;

    fn parsed(frame: FrameBuf) -> Packet {
        let Ok(Parsed::Ip(packet)) = Packet::parse(frame) else { panic!("no packet") };
        packet
    }

    #[test]
    fn a_syn_is_one_in_both_families() {
        for (from, to) in [("192.0.2.1:4000", "192.0.2.9:443"), ("[2001:db8::1]:4000", "[2001:db8::9]:443")] {
            let packet = parsed(syn(from.parse().unwrap(), to.parse().unwrap(), 7).unwrap());
            let Transport::Tcp { flags, seq, .. } = packet.layout.transport else { panic!("no TCP") };
            assert_eq!((flags, seq), (tcp_flags::SYN, 7));
            assert!(packet.transport_checksum_ok());
            assert_eq!((packet.layout.key.src_port(), packet.layout.key.dst_port()), (4000, 443));
        }
        assert!(syn("192.0.2.1:1".parse().unwrap(), "[::1]:1".parse().unwrap(), 0).is_none());
    }

    #[test]
    fn hops_are_limited_and_the_header_stays_right() {
        let mut pool = Pool::new(1);
        for (from, to) in [("192.0.2.1", "192.0.2.9"), ("2001:db8::1", "2001:db8::9")] {
            let ends = [from.parse().unwrap(), to.parse().unwrap()];
            let mut frame = echo::request(ends, (1, 2), 8, &mut pool).unwrap();
            limit_hops(&mut frame, 3);
            let packet = parsed(frame);
            assert_eq!(packet.layout.hop_limit, 3);
            assert!(packet.transport_checksum_ok());
        }
        limit_hops(&mut FrameBuf::copy_of(&[0; 10]), 3);
        limit_hops(&mut FrameBuf::copy_of(&[0x45; 20]), 3);
    }
}
