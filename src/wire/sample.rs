//! Well-formed packets for the tests of this module.

use etherparse::PacketBuilder;

use super::{ChecksumState, FrameBuf, Packet, Parsed, Transport, checksum};

/// What a packet shall look like.
#[derive(Clone, Debug)]
pub struct Sample {
    pub tcp: bool,
    pub v6: bool,
    pub seq: u32,
    pub ack: u32,
    pub flags: u8,
    pub id: u16,
    pub dont_fragment: bool,
    pub ttl: u8,
    pub src_port: u16,
    pub timestamps: Option<u32>,
    pub payload: Vec<u8>,
}

impl Default for Sample {
    fn default() -> Self {
        Sample {
            tcp: true,
            v6: false,
            seq: 0xffff_f000,
            ack: 77,
            flags: super::tcp_flags::ACK,
            id: 0xfffe,
            dont_fragment: false,
            ttl: 64,
            src_port: 40_000,
            timestamps: None,
            payload: bytes(8),
        }
    }
}

impl Sample {
    /// The frame's bytes, all checksums complete.
    pub fn frame(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let link = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
        let ip = if self.v6 {
            let address = |last| [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last];
            link.ipv6(address(1), address(2), self.ttl)
        } else {
            link.ip(self.ipv4())
        };
        if self.tcp {
            let mut tcp = etherparse::TcpHeader::new(self.src_port, 443, self.seq, 1_000);
            tcp.acknowledgment_number = self.ack;
            if let Some(value) = self.timestamps {
                use etherparse::TcpOptionElement::{Noop, Timestamp};
                tcp.set_options(&[Noop, Noop, Timestamp(value, 9)]).unwrap();
            }
            ip.tcp_header(tcp).write(&mut out, &self.payload).unwrap();
            let l4 = if self.v6 { 54 } else { 34 };
            out[l4 + 13] = self.flags;
            let sum = complete(&out, l4, self.v6, 6, 16);
            out[l4 + 16..l4 + 18].copy_from_slice(&sum.to_be_bytes());
        } else {
            ip.udp(self.src_port, 53).write(&mut out, &self.payload).unwrap();
        }
        out
    }

    fn ipv4(&self) -> etherparse::IpHeaders {
        let mut header = etherparse::Ipv4Header {
            identification: self.id,
            dont_fragment: self.dont_fragment,
            time_to_live: self.ttl,
            source: [192, 0, 2, 1],
            destination: [198, 51, 100, 2],
            ..Default::default()
        };
        header.protocol = if self.tcp { etherparse::IpNumber::TCP } else { etherparse::IpNumber::UDP };
        etherparse::IpHeaders::Ipv4(header, Default::default())
    }

    /// As it comes from a wire.
    pub fn packet(&self) -> Packet {
        parse(&self.frame())
    }

    /// As it comes from a kernel that leaves the checksum to us.
    pub fn partial(&self) -> Packet {
        let mut packet = self.packet();
        let (start, length) = (packet.layout.l4, packet.transport().len() as u32);
        let key = packet.layout.key;
        let offset = if matches!(packet.layout.transport, Transport::Tcp { .. }) { 16 } else { 6 };
        let pseudo = checksum::pseudo_header(key.src(), key.dst(), key.protocol(), length);
        let at = usize::from(offset);
        packet.transport_mut()[at..at + 2].copy_from_slice(&pseudo.to_be_bytes());
        packet.frame.checksum = ChecksumState::Partial { start, offset };
        packet
    }
}

fn complete(frame: &[u8], l4: usize, v6: bool, protocol: u8, at: usize) -> u16 {
    let addresses = if v6 { &frame[22..54] } else { &frame[26..34] };
    let mut segment = frame[l4..].to_vec();
    segment[at..at + 2].fill(0);
    let length = checksum::add(u16::from(protocol), segment.len() as u16);
    !checksum::add(checksum::add(checksum::sum(addresses), length), checksum::sum(&segment))
}

/// `count` bytes that differ from their neighbours.
pub fn bytes(count: usize) -> Vec<u8> {
    (0..count).map(|at| (at * 7 + at / 251) as u8).collect()
}

/// Parses what must be an IP packet.
pub fn parse(frame: &[u8]) -> Packet {
    parse_frame(FrameBuf::copy_of(frame))
}

/// The same for a frame with its offload facts.
pub fn parse_frame(frame: FrameBuf) -> Packet {
    match Packet::parse(frame) {
        Ok(Parsed::Ip(packet)) => packet,
        Ok(Parsed::Arp(_)) => panic!("not ARP"),
        Err((drop, frame)) => panic!("{drop}: {:02x?}", frame.bytes()),
    }
}
