//! An echo request of the router's own (RFC 792, RFC 4443 section 4.1).

use std::net::IpAddr;

use super::packet::ETHERNET_LEN;
use super::{FrameBuf, Pool, checksum, ethertype, protocol};

/// The router's own TTL.
const TTL: u8 = 64;
/// ICMP's header.
const HEADER: usize = 8;

/// Makes an echo request with so many bytes behind its header: a frame without MAC addresses, all else complete. `None`
/// for addresses of two families.
pub fn request(
    [from, to]: [IpAddr; 2],
    (identifier, sequence): (u16, u16),
    payload: u16,
    pool: &mut Pool,
) -> Option<FrameBuf> {
    let (header_len, kind, number) = match (from, to) {
        (IpAddr::V4(_), IpAddr::V4(_)) => (20, ethertype::IPV4, protocol::ICMP),
        (IpAddr::V6(_), IpAddr::V6(_)) => (40, ethertype::IPV6, protocol::ICMPV6),
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return None,
    };
    let message_len = HEADER + usize::from(payload);
    let mut frame = pool.take();
    frame.clear();
    frame.set_len(ETHERNET_LEN + header_len + message_len);
    let bytes = frame.bytes_mut();
    bytes.fill(0);
    bytes[12..14].copy_from_slice(&kind.to_be_bytes());
    let (ip, message) = bytes[ETHERNET_LEN..].split_at_mut(header_len);
    message[0] = if from.is_ipv4() { 8 } else { 128 };
    message[4..6].copy_from_slice(&identifier.to_be_bytes());
    message[6..8].copy_from_slice(&sequence.to_be_bytes());
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            ip[0] = 0x45;
            ip[2..4].copy_from_slice(&((20 + message_len) as u16).to_be_bytes());
            ip[8] = TTL;
            ip[9] = number;
            ip[12..16].copy_from_slice(&from.octets());
            ip[16..20].copy_from_slice(&to.octets());
            let sum = !checksum::sum(ip);
            ip[10..12].copy_from_slice(&sum.to_be_bytes());
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            ip[0] = 0x60;
            ip[4..6].copy_from_slice(&(message_len as u16).to_be_bytes());
            ip[6] = number;
            ip[7] = TTL;
            ip[8..24].copy_from_slice(&from.octets());
            ip[24..40].copy_from_slice(&to.octets());
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => {}
    }
    let mut sum = checksum::sum(message);
    if from.is_ipv6() {
        sum = checksum::add(sum, checksum::pseudo_header(from, to, number, message_len as u32));
    }
    message[2..4].copy_from_slice(&(!sum).to_be_bytes());
    Some(frame)
}

#[cfg(test)]
mod tests {
    use super::super::{Transport, sample};
    use super::*;

    #[test]
    fn a_request_is_whole_and_says_who_asks() {
        for (from, to) in [("198.51.100.2", "9.9.9.9"), ("2001:db8::2", "2001:db8:9::9")] {
            for payload in [0, 1, 512] {
                let ends = [from, to].map(|address| address.parse().unwrap());
                let frame = request(ends, (0x4b07, 65_535), payload, &mut Pool::new(1)).unwrap();
                let packet = sample::parse_frame(frame);
                assert!(packet.transport_checksum_ok());
                assert_eq!(packet.layout.transport, Transport::IcmpQuery { request: true });
                assert_eq!([packet.layout.key.src(), packet.layout.key.dst()], ends);
                assert_eq!(packet.transport()[4..8], [0x4b, 7, 255, 255]);
            }
        }
        let mixed = ["198.51.100.2".parse().unwrap(), "2001:db8::1".parse().unwrap()];
        assert!(request(mixed, (1, 1), 1, &mut Pool::new(1)).is_none());
    }
}
