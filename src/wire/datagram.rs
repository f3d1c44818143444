//! UDP datagrams of the router's own: written whole, and read from a packet.

use std::net::{IpAddr, SocketAddr};

use super::packet::ETHERNET_LEN;
use super::{Fragment, FrameBuf, Packet, Pool, Transport, checksum, ethertype, protocol};

/// The longest payload that is sent: with its headers it fits the least link of IPv6, so it is never cut.
pub const PAYLOAD_MAX: usize = 1280 - 40 - HEADER;
/// Bytes of a UDP header.
const HEADER: usize = 8;
/// The router's own TTL.
const TTL: u8 = 64;

/// The payload of a whole UDP packet whose checksum is right.
pub fn payload(packet: &Packet) -> Option<&[u8]> {
    if packet.layout.transport != Transport::Udp
        || packet.layout.fragment != Fragment::Whole
        || !packet.transport_checksum_ok()
    {
        return None;
    }
    let udp = packet.transport();
    let length = usize::from(u16::from_be_bytes([*udp.get(4)?, *udp.get(5)?]));
    udp.get(HEADER..length)
}

/// A datagram as a frame without MAC addresses, all else complete; `None` when it is too long, or of two families.
pub fn build(from: SocketAddr, to: SocketAddr, payload: &[u8], pool: &mut Pool) -> Option<FrameBuf> {
    if payload.len() > PAYLOAD_MAX {
        return None;
    }
    let length = HEADER + payload.len();
    let (header_len, kind) = match (from.ip(), to.ip()) {
        (IpAddr::V4(_), IpAddr::V4(_)) => (20, ethertype::IPV4),
        (IpAddr::V6(_), IpAddr::V6(_)) => (40, ethertype::IPV6),
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return None,
    };
    let mut frame = pool.take();
    frame.clear();
    frame.set_len(ETHERNET_LEN + header_len + length);
    let bytes = frame.bytes_mut();
    bytes.fill(0);
    bytes[12..14].copy_from_slice(&kind.to_be_bytes());
    let (ip, udp) = bytes[ETHERNET_LEN..].split_at_mut(header_len);
    match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            ip[0] = 0x45;
            ip[2..4].copy_from_slice(&((header_len + length) as u16).to_be_bytes());
            // It is never cut, so it needs no number (RFC 6864).
            ip[6] = 0x40;
            ip[8] = TTL;
            ip[9] = protocol::UDP;
            ip[12..16].copy_from_slice(&from.octets());
            ip[16..20].copy_from_slice(&to.octets());
            let sum = !checksum::sum(ip);
            ip[10..12].copy_from_slice(&sum.to_be_bytes());
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            ip[0] = 0x60;
            ip[4..6].copy_from_slice(&(length as u16).to_be_bytes());
            ip[6] = protocol::UDP;
            ip[7] = TTL;
            ip[8..24].copy_from_slice(&from.octets());
            ip[24..40].copy_from_slice(&to.octets());
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => {}
    }
    udp[0..2].copy_from_slice(&from.port().to_be_bytes());
    udp[2..4].copy_from_slice(&to.port().to_be_bytes());
    udp[4..6].copy_from_slice(&(length as u16).to_be_bytes());
    udp[HEADER..].copy_from_slice(payload);
    let pseudo = checksum::pseudo_header(from.ip(), to.ip(), protocol::UDP, length as u32);
    let sum = match !checksum::add(pseudo, checksum::sum(udp)) {
        // Zero would say that there is none.
        0 => u16::MAX,
        sum => sum,
    };
    udp[6..8].copy_from_slice(&sum.to_be_bytes());
    Some(frame)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::Parsed;

    proptest! {
        #[test]
        fn what_is_written_is_read(
            from in any::<IpAddr>(),
            to in any::<IpAddr>(),
            ports in any::<(u16, u16)>(),
            content in proptest::collection::vec(any::<u8>(), 0..PAYLOAD_MAX),
        ) {
            let (from, to) = (SocketAddr::new(from, ports.0), SocketAddr::new(to, ports.1));
            let frame = build(from, to, &content, &mut Pool::new(1));
            prop_assert_eq!(frame.is_some(), from.is_ipv4() == to.is_ipv4());
            if let Some(Ok(Parsed::Ip(packet))) = frame.map(Packet::parse) {
                prop_assert_eq!(payload(&packet), Some(&content[..]));
                let key = packet.layout.key;
                prop_assert_eq!((key.src(), key.src_port()), (from.ip(), from.port()));
                prop_assert_eq!((key.dst(), key.dst_port()), (to.ip(), to.port()));
            }
        }
    }

    #[test]
    fn nothing_too_long_is_written() {
        let (from, to) = ("192.0.2.1:1".parse().unwrap(), "192.0.2.2:2".parse().unwrap());
        assert!(build(from, to, &[0; PAYLOAD_MAX + 1], &mut Pool::new(1)).is_none());
        let frame = build(from, to, b"hello", &mut Pool::new(1)).unwrap();
        let Ok(Parsed::Ip(mut packet)) = Packet::parse(frame) else { panic!() };
        packet.frame.bytes_mut()[44] ^= 1;
        assert_eq!(payload(&packet), None, "a broken checksum");
    }
}
