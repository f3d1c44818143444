//! Segments that the router makes in the name of an end: of a handshake that it completes for a server, or a challenge
//! (RFC 5961); and the numbers of a connection whose ends count from different beginnings.
//!
//! Invariant: what is built is complete but for its MAC addresses, and carries the MSS option alone: no window scale, no
//! selective acknowledgements, no timestamps (pf's simplification), so the connection has none of them.

use std::net::IpAddr;

use super::packet::ETHERNET_LEN;
use super::{ChecksumState, FlowKey, FrameBuf, Packet, Parsed, Transport, checksum, ethertype, protocol};

/// The router's own TTL.
const TTL: u8 = 64;

/// A segment without data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment {
    /// Its flags.
    pub flags: u8,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgement number.
    pub ack: u32,
    /// Window, unscaled.
    pub window: u16,
    /// The MSS option.
    pub mss: Option<u16>,
}

impl Segment {
    /// Writes it into an empty buffer, from the source of `key` to its destination; `None` when the buffer is too small.
    pub fn build(&self, key: &FlowKey, mut frame: FrameBuf) -> Option<Packet> {
        let header_len = match key {
            FlowKey::V4(_) => 20,
            FlowKey::V6(_) => 40,
        };
        let segment_len = if self.mss.is_some() { 24 } else { 20 };
        let len = ETHERNET_LEN + header_len + segment_len;
        frame.clear();
        frame.set_len(len);
        if frame.len() < len {
            return None;
        }
        let bytes = frame.bytes_mut();
        bytes.fill(0);
        let kind = if header_len == 20 { ethertype::IPV4 } else { ethertype::IPV6 };
        bytes[12..14].copy_from_slice(&kind.to_be_bytes());
        let (ip, segment) = bytes[ETHERNET_LEN..].split_at_mut(header_len);
        write_ip(key, segment_len as u16, ip);
        self.write(key, segment);
        match Packet::parse(frame) {
            Ok(Parsed::Ip(packet)) => Some(packet),
            Ok(Parsed::Arp(_)) | Err(_) => None,
        }
    }

    fn write(&self, key: &FlowKey, segment: &mut [u8]) {
        let Segment { flags, seq, ack, window, mss } = *self;
        segment[0..2].copy_from_slice(&key.src_port().to_be_bytes());
        segment[2..4].copy_from_slice(&key.dst_port().to_be_bytes());
        segment[4..8].copy_from_slice(&seq.to_be_bytes());
        segment[8..12].copy_from_slice(&ack.to_be_bytes());
        segment[12] = (segment.len() as u8 / 4) << 4;
        segment[13] = flags;
        segment[14..16].copy_from_slice(&window.to_be_bytes());
        if let Some(mss) = mss {
            let [high, low] = mss.to_be_bytes();
            segment[20..24].copy_from_slice(&[2, 4, high, low]);
        }
        let pseudo = checksum::pseudo_header(key.src(), key.dst(), protocol::TCP, segment.len() as u32);
        let sum = !checksum::add(pseudo, checksum::sum(segment));
        segment[16..18].copy_from_slice(&sum.to_be_bytes());
    }
}

fn write_ip(key: &FlowKey, payload: u16, ip: &mut [u8]) {
    match (key.src(), key.dst()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            ip[0] = 0x45;
            ip[2..4].copy_from_slice(&(20 + payload).to_be_bytes());
            ip[6] = 0x40;
            ip[8] = TTL;
            ip[9] = protocol::TCP;
            ip[12..16].copy_from_slice(&from.octets());
            ip[16..20].copy_from_slice(&to.octets());
            let sum = !checksum::sum(ip);
            ip[10..12].copy_from_slice(&sum.to_be_bytes());
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            ip[0] = 0x60;
            ip[4..6].copy_from_slice(&payload.to_be_bytes());
            ip[6] = protocol::TCP;
            ip[7] = TTL;
            ip[8..24].copy_from_slice(&from.octets());
            ip[24..40].copy_from_slice(&to.octets());
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => {}
    }
}

/// What is added to the numbers of segments that go one way.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Shift {
    /// To sequence numbers.
    pub seq: u32,
    /// To acknowledgement numbers.
    pub ack: u32,
}

impl Shift {
    /// Nothing.
    pub const NONE: Shift = Shift { seq: 0, ack: 0 };

    /// Changes a segment's numbers, and patches its checksum.
    #[inline]
    pub fn apply(self, packet: &mut Packet) {
        if self != Shift::NONE {
            self.change(packet);
        }
    }

    fn change(self, packet: &mut Packet) {
        let Transport::Tcp { flags, seq, ack, window, header_len } = packet.layout.transport else { return };
        let has_ack = flags & super::tcp_flags::ACK != 0;
        let (new_seq, new_ack) =
            (seq.wrapping_add(self.seq), if has_ack { ack.wrapping_add(self.ack) } else { ack });
        let partial = matches!(packet.frame.checksum, ChecksumState::Partial { .. });
        let segment = packet.transport_mut();
        let before = checksum::sum(&segment[4..12]);
        segment[4..8].copy_from_slice(&new_seq.to_be_bytes());
        segment[8..12].copy_from_slice(&new_ack.to_be_bytes());
        // A partial checksum covers the numbers later, when it is completed.
        if !partial {
            let difference = checksum::difference(before, checksum::sum(&segment[4..12]));
            let field = u16::from_be_bytes([segment[16], segment[17]]);
            segment[16..18].copy_from_slice(&checksum::patch(field, difference).to_be_bytes());
        }
        packet.layout.transport = Transport::Tcp { flags, seq: new_seq, ack: new_ack, window, header_len };
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::Sample;
    use super::super::{mss, tcp_flags};
    use super::*;

    #[test]
    fn what_is_built_is_what_was_asked_for() {
        for v6 in [false, true] {
            let key = Sample { tcp: true, v6, ..Sample::default() }.packet().layout.key;
            for size in [None, Some(1440)] {
                let wanted = Segment { flags: tcp_flags::SYN, seq: 7, ack: 9, window: 512, mss: size };
                let built = wanted.build(&key, FrameBuf::new()).unwrap();
                assert!(built.transport_checksum_ok() && built.layout.key == key);
                assert_eq!(mss::announced(&built), size);
                let Transport::Tcp { flags, seq, ack, window, .. } = built.layout.transport else { panic!() };
                assert_eq!((flags, seq, ack, window), (tcp_flags::SYN, 7, 9, 512));
                assert!(wanted.build(&key, FrameBuf::with_room(40)).is_none());
            }
        }
    }

    #[test]
    fn shifted_numbers_leave_the_checksum_right() {
        for (seq, ack) in [(1, 0), (0, u32::MAX), (0x8000_0001, 0xffff), (u32::MAX - 5, 3)] {
            let mut packet = Sample { tcp: true, ..Sample::default() }.packet();
            let Transport::Tcp { seq: a, ack: b, .. } = packet.layout.transport else { panic!() };
            Shift { seq, ack }.apply(&mut packet);
            assert!(packet.transport_checksum_ok());
            let Transport::Tcp { seq: c, ack: d, .. } = packet.layout.transport else { panic!() };
            assert_eq!((c, d), (a.wrapping_add(seq), b.wrapping_add(ack)));
        }
    }
}
