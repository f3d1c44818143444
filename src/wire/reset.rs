//! A RST in answer to a segment that is refused (RFC 9293 section 3.10.7.1).
//!
//! Invariant: a RST is never answered, nor is a segment that went to many.

use std::net::IpAddr;

use super::packet::ETHERNET_LEN;
use super::{
    FlowKey, Fragment, FrameBuf, Layout, Packet, Pool, Transport, checksum, ethertype, protocol, tcp_flags,
};

/// The router's own TTL.
const TTL: u8 = 64;

/// Makes the RST that goes back to the sender of `refused`, in the name of whom it was for: a frame without MAC
/// addresses, all else complete. With an acknowledgement in the segment the RST has its number; without, it
/// acknowledges all that the segment occupies.
pub fn build(refused: &Packet, pool: &mut Pool) -> Option<FrameBuf> {
    let Layout { key, transport, fragment, .. } = refused.layout;
    let Transport::Tcp { flags, seq, ack, .. } = transport else { return None };
    let to_many = refused.dst_mac().0[0] & 1 != 0 || key.dst().is_multicast();
    if flags & tcp_flags::RST != 0 || fragment != Fragment::Whole || to_many {
        return None;
    }
    let mut segment = [0u8; 20];
    segment[0..2].copy_from_slice(&key.dst_port().to_be_bytes());
    segment[2..4].copy_from_slice(&key.src_port().to_be_bytes());
    segment[12] = 5 << 4;
    if flags & tcp_flags::ACK != 0 {
        segment[4..8].copy_from_slice(&ack.to_be_bytes());
        segment[13] = tcp_flags::RST;
    } else {
        let taken = [tcp_flags::SYN, tcp_flags::FIN].iter().filter(|flag| flags & **flag != 0).count() as u32;
        let end = seq.wrapping_add(refused.payload_len()).wrapping_add(taken);
        segment[8..12].copy_from_slice(&end.to_be_bytes());
        segment[13] = tcp_flags::RST | tcp_flags::ACK;
    }
    let pseudo = checksum::pseudo_header(key.dst(), key.src(), protocol::TCP, 20);
    let sum = !checksum::add(pseudo, checksum::sum(&segment));
    segment[16..18].copy_from_slice(&sum.to_be_bytes());
    Some(frame(&key, &segment, pool))
}

/// From the destination of `key` to its source.
fn frame(key: &FlowKey, segment: &[u8; 20], pool: &mut Pool) -> FrameBuf {
    let (header_len, kind) = match key {
        FlowKey::V4(_) => (20, ethertype::IPV4),
        FlowKey::V6(_) => (40, ethertype::IPV6),
    };
    let mut frame = pool.take();
    frame.clear();
    frame.set_len(ETHERNET_LEN + header_len + segment.len());
    let bytes = frame.bytes_mut();
    bytes.fill(0);
    bytes[12..14].copy_from_slice(&kind.to_be_bytes());
    let ip = &mut bytes[ETHERNET_LEN..];
    match (key.dst(), key.src()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            ip[0] = 0x45;
            ip[2..4].copy_from_slice(&40u16.to_be_bytes());
            ip[6] = 0x40;
            ip[8] = TTL;
            ip[9] = protocol::TCP;
            ip[12..16].copy_from_slice(&from.octets());
            ip[16..20].copy_from_slice(&to.octets());
            let sum = !checksum::sum(&ip[..20]);
            ip[10..12].copy_from_slice(&sum.to_be_bytes());
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            ip[0] = 0x60;
            ip[4..6].copy_from_slice(&20u16.to_be_bytes());
            ip[6] = protocol::TCP;
            ip[7] = TTL;
            ip[8..24].copy_from_slice(&from.octets());
            ip[24..40].copy_from_slice(&to.octets());
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => {}
    }
    ip[header_len..].copy_from_slice(segment);
    frame
}

#[cfg(test)]
mod tests {
    use super::super::sample::{self, Sample};
    use super::*;

    #[test]
    fn a_rst_has_the_numbers_that_its_receiver_expects() {
        for v6 in [false, true] {
            let segment = |flags: u8| {
                let mut packet =
                    Sample { tcp: true, v6, payload: sample::bytes(7), ..Sample::default() }.packet();
                let Transport::Tcp { seq, ack, window, header_len, .. } = packet.layout.transport else {
                    panic!()
                };
                packet.layout.transport = Transport::Tcp { flags, seq, ack, window, header_len };
                (packet, seq, ack)
            };
            let answer = |packet: &Packet| build(packet, &mut Pool::new(1)).map(sample::parse_frame);
            let (syn, seq, _) = segment(tcp_flags::SYN);
            let rst = answer(&syn).unwrap();
            assert!(rst.transport_checksum_ok());
            assert_eq!(rst.layout.key, syn.layout.key.inverse());
            let Transport::Tcp { flags, seq: of, ack, .. } = rst.layout.transport else { panic!() };
            assert_eq!((flags, of, ack), (tcp_flags::RST | tcp_flags::ACK, 0, seq.wrapping_add(8)));
            let (data, _, number) = segment(tcp_flags::ACK | tcp_flags::PSH);
            let Transport::Tcp { flags, seq, .. } = answer(&data).unwrap().layout.transport else { panic!() };
            assert_eq!((flags, seq), (tcp_flags::RST, number));
            assert!(answer(&segment(tcp_flags::RST).0).is_none());
        }
    }
}
