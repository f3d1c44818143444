//! The datagrams of the pair: UDP over IPv6 link-local, between the two nodes' own MAC addresses.
//!
//! Invariant: [`frame`] makes exactly what [`payload`] takes. Addresses follow from MAC addresses, and those from the
//! document, so nothing has to be resolved; a hop limit of 255 proves that no router stood in between (RFC 5082).
//! Who sent a datagram is proven by the channel alone.

pub mod digest;
mod envelope;
pub mod flow;
#[cfg(test)]
pub(crate) mod frozen_v1;
mod heartbeat;
pub mod relay;
mod version;

use std::net::Ipv6Addr;

pub use envelope::{Envelope, Kind, Space};
pub use heartbeat::{Handover, Health, Heartbeat};
pub use version::Version;

use super::packet::ETHERNET_LEN;
use super::{ChecksumState, FlowKey, Fragment, FrameBuf, Packet, Transport, checksum, ethertype, protocol};
use crate::types::MacAddr;

/// The port on both sides.
pub const PORT: u16 = 3640;
/// The longest payload that [`frame`] takes.
pub const PAYLOAD_MAX: usize = 65_000;

const IPV6_LEN: usize = 40;
const UDP_LEN: usize = 8;
const HEADERS_LEN: usize = ETHERNET_LEN + IPV6_LEN + UDP_LEN;
const HOP_LIMIT: u8 = 255;

/// The link-local address that a MAC address gives (RFC 4291 section 2.5.6).
pub fn link_local(mac: MacAddr) -> Ipv6Addr {
    let id = mac.eui64();
    Ipv6Addr::from([0xfe, 0x80, 0, 0, 0, 0, 0, 0, id[0], id[1], id[2], id[3], id[4], id[5], id[6], id[7]])
}

/// A whole frame from one node to the other; `None` when `payload` is too long.
pub fn frame(src: MacAddr, dst: MacAddr, payload: &[u8]) -> Option<FrameBuf> {
    frame_to(src, dst, link_local(dst), payload)
}

/// The same to every node on the link (ff02::1), for a peer whose address is not known yet.
pub fn frame_to_all(src: MacAddr, payload: &[u8]) -> Option<FrameBuf> {
    frame_to(src, MacAddr([0x33, 0x33, 0, 0, 0, 1]), Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1), payload)
}

fn frame_to(src: MacAddr, dst: MacAddr, address: Ipv6Addr, payload: &[u8]) -> Option<FrameBuf> {
    if payload.len() > PAYLOAD_MAX {
        return None;
    }
    let length = (UDP_LEN + payload.len()) as u16;
    let source = link_local(src);
    let mut frame = FrameBuf::with_room(HEADERS_LEN + payload.len());
    frame.set_len(HEADERS_LEN + payload.len());
    let bytes = frame.bytes_mut();
    bytes[..6].copy_from_slice(&dst.0);
    bytes[6..12].copy_from_slice(&src.0);
    bytes[12..14].copy_from_slice(&ethertype::IPV6.to_be_bytes());
    // Traffic class CS6 (RFC 4594 section 3.1: network control).
    bytes[14..18].copy_from_slice(&[0x6c, 0, 0, 0]);
    bytes[18..20].copy_from_slice(&length.to_be_bytes());
    bytes[20..22].copy_from_slice(&[protocol::UDP, HOP_LIMIT]);
    bytes[22..38].copy_from_slice(&source.octets());
    bytes[38..54].copy_from_slice(&address.octets());
    bytes[54..56].copy_from_slice(&PORT.to_be_bytes());
    bytes[56..58].copy_from_slice(&PORT.to_be_bytes());
    bytes[58..60].copy_from_slice(&length.to_be_bytes());
    bytes[HEADERS_LEN..].copy_from_slice(payload);
    let pseudo = checksum::pseudo_header(source.into(), address.into(), protocol::UDP, u32::from(length));
    // A computed zero is sent as all ones (RFC 8200 section 8.1).
    let sum = match !checksum::add(pseudo, checksum::sum(&bytes[54..])) {
        0 => 0xffff,
        sum => sum,
    };
    bytes[60..62].copy_from_slice(&sum.to_be_bytes());
    Some(frame)
}

/// True for what may be a datagram of the pair; [`payload`] looks closely.
#[inline]
pub fn is_pair_datagram(packet: &Packet) -> bool {
    match (packet.layout.transport, packet.layout.key) {
        (Transport::Udp, FlowKey::V6(key)) => {
            key.dst_port == PORT && packet.layout.fragment == Fragment::Whole && on_link(key.dst)
        }
        (
            Transport::Udp
            | Transport::Tcp { .. }
            | Transport::IcmpQuery { .. }
            | Transport::IcmpError { .. }
            | Transport::IcmpOther { .. }
            | Transport::Other,
            _,
        ) => false,
    }
}

/// Who claims to have sent a datagram of the pair, and what stands in it.
pub fn payload(frame: &FrameBuf) -> Option<(MacAddr, Ipv6Addr, &[u8])> {
    let bytes = frame.bytes();
    let headers = bytes.get(..HEADERS_LEN)?;
    let word = |at: usize| u16::from_be_bytes([headers[at], headers[at + 1]]);
    let address = |at: usize| {
        let mut octets = [0; 16];
        octets.copy_from_slice(&headers[at..at + 16]);
        Ipv6Addr::from(octets)
    };
    let length = usize::from(word(58));
    let (src, dst) = (address(22), address(38));
    let ours = word(12) == ethertype::IPV6
        && headers[14] >> 4 == 6
        && headers[20] == protocol::UDP
        && headers[21] == HOP_LIMIT
        && word(56) == PORT
        && src.is_unicast_link_local()
        && on_link(dst)
        && frame.gso.is_none();
    if !ours || length < UDP_LEN || length != usize::from(word(18)) {
        return None;
    }
    let datagram = bytes.get(ETHERNET_LEN + IPV6_LEN..ETHERNET_LEN + IPV6_LEN + length)?;
    let sound = match frame.checksum {
        ChecksumState::Valid | ChecksumState::Partial { .. } => true,
        ChecksumState::Unverified => {
            let pseudo = checksum::pseudo_header(src.into(), dst.into(), protocol::UDP, length as u32);
            word(60) != 0 && checksum::add(pseudo, checksum::sum(datagram)) == 0xffff
        }
    };
    let mac = MacAddr([headers[6], headers[7], headers[8], headers[9], headers[10], headers[11]]);
    sound.then(|| (mac, src, &datagram[UDP_LEN..]))
}

fn on_link(address: Ipv6Addr) -> bool {
    address.is_unicast_link_local() || address == Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Parsed;
    use proptest::prelude::*;

    const ALPHA: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
    const BETA: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);

    #[test]
    fn a_frame_is_recognised_and_is_sound_to_everybody() {
        for made in [frame(ALPHA, BETA, b"hello"), frame_to_all(ALPHA, b"hello")] {
            let made = made.unwrap();
            assert_eq!(payload(&made), Some((ALPHA, "fe80::ff:fe00:1".parse().unwrap(), &b"hello"[..])));
            let Ok(Parsed::Ip(packet)) = Packet::parse(made) else { panic!("it is a packet") };
            assert!(is_pair_datagram(&packet) && packet.transport_checksum_ok());
        }
        assert!(frame(ALPHA, BETA, &[0; PAYLOAD_MAX]).is_some());
        assert!(frame(ALPHA, BETA, &[0; PAYLOAD_MAX + 1]).is_none());
    }

    #[test]
    fn what_is_not_ours_is_refused() {
        let good = frame(ALPHA, BETA, b"hello").unwrap();
        // EtherType, IP version, length, next header, hop limit, source, destination, port, UDP length, payload.
        for at in [12, 14, 19, 20, 21, 22, 38, 57, 59, 60, 62] {
            let mut bytes = good.bytes().to_vec();
            bytes[at] ^= 0x10;
            assert_eq!(payload(&FrameBuf::copy_of(&bytes)), None, "byte {at}");
        }
        for len in 0..good.len() {
            assert_eq!(payload(&FrameBuf::copy_of(&good.bytes()[..len])), None, "{len} bytes");
        }
    }

    proptest! {
        #[test]
        fn every_payload_arrives_behind_any_padding(bytes in proptest::collection::vec(any::<u8>(), 0..200), padding in 0usize..40) {
            let made = frame(ALPHA, BETA, &bytes).unwrap();
            let mut padded = made.bytes().to_vec();
            padded.resize(padded.len() + padding, 0xee);
            prop_assert_eq!(payload(&FrameBuf::copy_of(&padded)).map(|(_, _, payload)| payload.to_vec()), Some(bytes));
        }
    }
}
