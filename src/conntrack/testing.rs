//! Packets and flows for tests, here and in `nat`.

use std::net::IpAddr;

use super::table::{ConntrackConfig, NO_HOP, Pending, Table};
use super::witness::Via;
use crate::config::model::Timeouts;
use crate::rules::Pass;
use crate::types::{Instant, InterfaceId, RuleId, Seed};
use crate::wire::{FlowKey, FrameBuf, Packet, Parsed, checksum, protocol};

pub(crate) const LAN: InterfaceId = InterfaceId(0);
pub(crate) const WAN: InterfaceId = InterfaceId(1);

/// A TCP segment.
#[derive(Clone, Debug)]
pub(crate) struct TcpText {
    pub(crate) flags: u8,
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) window: u16,
    pub(crate) scale: Option<u8>,
}

/// What a packet carries.
#[derive(Clone, Debug)]
pub(crate) enum Text {
    Tcp(TcpText),
    Udp,
    Query { request: bool },
    Other,
}

pub(crate) fn key(protocol: u8, src: &str, src_port: u16, dst: &str, dst_port: u16) -> FlowKey {
    let address = |text: &str| text.parse::<IpAddr>().unwrap();
    FlowKey::new(protocol, address(src), src_port, address(dst), dst_port).unwrap()
}

/// The transport part, checksum zero.
fn transport(key: &FlowKey, text: &Text, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    match text {
        Text::Tcp(TcpText { flags, seq, ack, window, scale }) => {
            bytes.extend(key.src_port().to_be_bytes());
            bytes.extend(key.dst_port().to_be_bytes());
            bytes.extend(seq.to_be_bytes());
            bytes.extend(ack.to_be_bytes());
            bytes.extend([if scale.is_some() { 0x60 } else { 0x50 }, *flags]);
            bytes.extend(window.to_be_bytes());
            bytes.extend([0; 4]);
            bytes.extend(scale.iter().flat_map(|shift| [1, 3, 3, *shift]));
        }
        Text::Udp => {
            bytes.extend(key.src_port().to_be_bytes());
            bytes.extend(key.dst_port().to_be_bytes());
            bytes.extend((8 + payload.len() as u16).to_be_bytes());
            bytes.extend([0; 2]);
        }
        Text::Query { request } => {
            let (id, asked) =
                if *request { (key.src_port(), key.dst_port()) } else { (key.dst_port(), key.src_port()) };
            let answer = match asked as u8 {
                8 => 0,
                other => other + 1,
            };
            bytes.extend([if *request { asked as u8 } else { answer }, 0, 0, 0]);
            bytes.extend(id.to_be_bytes());
            bytes.extend([0, 1]);
        }
        Text::Other => {}
    }
    bytes.extend(payload);
    bytes
}

/// The offset of the checksum in the transport part, and whether the pseudo header counts.
fn checksum_place(number: u8) -> Option<(usize, bool)> {
    match number {
        protocol::TCP => Some((16, true)),
        protocol::UDP => Some((6, true)),
        protocol::ICMP => Some((2, false)),
        protocol::ICMPV6 => Some((2, true)),
        _ => None,
    }
}

/// An IP packet.
pub(crate) fn ip(key: &FlowKey, mut segment: Vec<u8>) -> Vec<u8> {
    if let Some((at, pseudo)) = checksum_place(key.protocol()) {
        segment[at..at + 2].fill(0);
        let mut total = checksum::sum(&segment);
        if pseudo {
            let header = checksum::pseudo_header(key.src(), key.dst(), key.protocol(), segment.len() as u32);
            total = checksum::add(total, header);
        }
        let field = if total == 0xffff && key.protocol() == protocol::UDP { 0xffff } else { !total };
        segment[at..at + 2].copy_from_slice(&field.to_be_bytes());
    }
    let mut bytes = Vec::new();
    match (key.src(), key.dst()) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            let len = 20 + segment.len() as u16;
            bytes.extend([0x45, 0]);
            bytes.extend(len.to_be_bytes());
            bytes.extend([0, 1, 0x40, 0, 64, key.protocol(), 0, 0]);
            bytes.extend(src.octets());
            bytes.extend(dst.octets());
            let field = !checksum::sum(&bytes);
            bytes[10..12].copy_from_slice(&field.to_be_bytes());
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            bytes.extend([0x60, 0, 0, 0]);
            bytes.extend((segment.len() as u16).to_be_bytes());
            bytes.extend([key.protocol(), 64]);
            bytes.extend(src.octets());
            bytes.extend(dst.octets());
        }
        other => panic!("mixed families {other:?}"),
    }
    bytes.extend(segment);
    bytes
}

/// Parses an IP packet in an Ethernet frame.
pub(crate) fn parse(ip: &[u8]) -> Packet {
    let mut frame = vec![2; 12];
    frame.extend(if ip[0] >> 4 == 4 { [0x08, 0x00] } else { [0x86, 0xdd] });
    frame.extend(ip);
    match Packet::parse(FrameBuf::copy_of(&frame)) {
        Ok(Parsed::Ip(packet)) => packet,
        Ok(Parsed::Arp(_)) => panic!("not ARP"),
        Err((drop, _)) => panic!("{drop}"),
    }
}

pub(crate) fn packet(key: &FlowKey, text: &Text, payload: &[u8]) -> Packet {
    let packet = parse(&ip(key, transport(key, text, payload)));
    assert_eq!(packet.layout.key, *key);
    packet
}

/// A packet of the key's protocol; of TCP a SYN.
pub(crate) fn first(key: &FlowKey) -> Packet {
    let text = match key.protocol() {
        protocol::TCP => Text::Tcp(TcpText { flags: 2, seq: 1000, ack: 0, window: 65535, scale: Some(7) }),
        protocol::UDP => Text::Udp,
        protocol::ICMP | protocol::ICMPV6 => Text::Query { request: true },
        _ => Text::Other,
    };
    packet(key, &text, b"payload")
}

/// True when every checksum of a packet is right, by full computation.
pub(crate) fn is_sound(packet: &Packet) -> bool {
    let ip = packet.ip();
    let header = ip[0] >> 4 != 4 || checksum::sum(&ip[..usize::from(ip[0] & 15) * 4]) == 0xffff;
    header && packet.transport_checksum_ok() && parse(ip).layout.key == packet.layout.key
}

pub(crate) fn table(limit: u32) -> Table {
    let config = ConntrackConfig::new(limit, Timeouts::default());
    Table::new(ConntrackConfig { half_open_per_source: limit, ..config }, Seed([7, 11]), Instant::ZERO)
}

pub(crate) fn pending(original: FlowKey, reply: FlowKey) -> Pending {
    Pending {
        original,
        reply,
        pass_in: Pass::forged(RuleId(1)),
        pass_out: Pass::forged(RuleId(2)),
        via: Via::default(),
        ingress: LAN,
        egress: WAN,
        next_hop: [3, NO_HOP],
        epoch: 9,
        ends_here: false,
    }
}

/// An ICMP error (port unreachable) that quotes `quotation`.
pub(crate) fn icmp_error(src: &str, dst: &str, quotation: &[u8]) -> Packet {
    let v4 = src.contains('.');
    let key = key(if v4 { protocol::ICMP } else { protocol::ICMPV6 }, src, 0, dst, 0);
    let mut segment = if v4 { vec![3, 3, 0, 0, 0, 0, 0, 0] } else { vec![1, 4, 0, 0, 0, 0, 0, 0] };
    segment.extend(quotation);
    parse(&ip(&key, segment))
}
