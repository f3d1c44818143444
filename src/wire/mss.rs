//! The maximum segment size of a TCP handshake, made smaller in passing (pf's `max-mss`, pfSense's MSS clamping).
//!
//! Invariant: the option is only ever lowered, never added (RFC 9293 section 3.7.1: absent means 536, which fits
//! every link), and the checksum stays as right or as wrong as it was.

use super::{ChecksumState, Packet, Transport, checksum, tcp_flags};

/// Lowers the MSS that a SYN announces to `max`. True when something changed.
pub fn clamp(packet: &mut Packet, max: u16) -> bool {
    match packet.layout.transport {
        Transport::Tcp { flags, header_len, .. } if flags & tcp_flags::SYN != 0 => {
            clamp_options(packet, usize::from(header_len), max)
        }
        Transport::Tcp { .. }
        | Transport::Udp
        | Transport::IcmpQuery { .. }
        | Transport::IcmpError { .. }
        | Transport::IcmpOther { .. }
        | Transport::Other => false,
    }
}

fn clamp_options(packet: &mut Packet, header_len: usize, max: u16) -> bool {
    // What a partial checksum covers is summed later; only the pseudo header stands in the field, and it is the same.
    let complete = !matches!(packet.frame.checksum, ChecksumState::Partial { .. });
    let Some(header) = packet.transport_mut().get_mut(..header_len) else { return false };
    let (mut at, mut changed) = (20, false);
    while let Some(&kind) = header.get(at) {
        let length = match (kind, header.get(at + 1)) {
            (0, _) => break,
            (1, _) => 1,
            (_, Some(&length)) if length >= 2 => usize::from(length),
            (_, _) => break,
        };
        if kind == 2 && length == 4 && at + 4 <= header.len() {
            changed |= lower(header, at + 2, max, complete);
        }
        at += length;
    }
    changed
}

fn lower(header: &mut [u8], at: usize, max: u16, complete: bool) -> bool {
    let old = u16::from_be_bytes([header[at], header[at + 1]]);
    if old <= max {
        return false;
    }
    header[at..at + 2].copy_from_slice(&max.to_be_bytes());
    if complete {
        // At an odd offset the two bytes stand in two words; swapping them gives the same sum (RFC 1071 section 2B).
        let change = if at & 1 == 0 {
            checksum::difference(old, max)
        } else {
            checksum::difference(old.swap_bytes(), max.swap_bytes())
        };
        let field = checksum::patch(u16::from_be_bytes([header[16], header[17]]), change);
        header[16..18].copy_from_slice(&field.to_be_bytes());
    }
    true
}

#[cfg(test)]
mod tests {
    use super::super::sample::{self, Sample};
    use super::*;
    use proptest::prelude::*;

    /// A SYN with these option bytes (a multiple of four).
    fn syn(options: &[u8], flags: u8, v6: bool) -> Packet {
        let mut frame = Sample { v6, flags, payload: vec![], ..Sample::default() }.frame();
        let l4 = if v6 { 54 } else { 34 };
        frame.extend_from_slice(options);
        frame[l4 + 12] = ((5 + options.len() / 4) as u8) << 4;
        let at = if v6 { 18 } else { 16 };
        let length = (frame.len() - if v6 { 54 } else { 14 }) as u16;
        frame[at..at + 2].copy_from_slice(&length.to_be_bytes());
        if !v6 {
            frame[24..26].fill(0);
            let sum = !checksum::sum(&frame[14..34]);
            frame[24..26].copy_from_slice(&sum.to_be_bytes());
        }
        frame[l4 + 16..l4 + 18].fill(0);
        let addresses = if v6 { 22..54 } else { 26..34 };
        let pseudo = checksum::add(checksum::sum(&frame[addresses]), 6 + (frame.len() - l4) as u16);
        let sum = !checksum::add(pseudo, checksum::sum(&frame[l4..]));
        frame[l4 + 16..l4 + 18].copy_from_slice(&sum.to_be_bytes());
        sample::parse(&frame)
    }

    #[test]
    fn options_of_many_shapes() {
        const MSS: [u8; 4] = [2, 4, 5, 0xb4];
        let [a, b, c, d] = MSS;
        type Case<'a> = (&'a str, &'a [u8], u16, Option<&'a [u8]>);
        let table: [Case; 10] = [
            ("alone", &MSS, 1_400, Some(&[2, 4, 5, 0x78])),
            ("already small", &MSS, 1_460, None),
            ("at an odd offset", &[1, a, b, c, d, 1, 1, 0], 1_300, Some(&[1, 2, 4, 5, 0x14, 1, 1, 0])),
            ("behind others", &[3, 3, 7, 1, 2, 4, 5, 0xb4], 536, Some(&[3, 3, 7, 1, 2, 4, 2, 0x18])),
            ("twice", &[2, 4, 9, 9, 2, 4, 8, 8], 1_000, Some(&[2, 4, 3, 0xe8, 2, 4, 3, 0xe8])),
            ("behind the end", &[0, 0, 0, 0, 2, 4, 9, 9], 536, None),
            ("behind a zero length", &[8, 0, 2, 4, 9, 9, 1, 1], 536, None),
            ("cut off by the header", &[1, 1, 2, 4], 536, None),
            ("wrong length", &[2, 3, 9, 1], 536, None),
            ("none", &[], 536, None),
        ];
        for (name, options, max, expected) in table {
            for v6 in [false, true] {
                let mut packet = syn(options, tcp_flags::SYN, v6);
                assert!(packet.transport_checksum_ok());
                assert_eq!(clamp(&mut packet, max), expected.is_some(), "{name}");
                assert_eq!(&packet.transport()[20..], expected.unwrap_or(options), "{name}");
                assert!(packet.transport_checksum_ok(), "{name}");
            }
        }
    }

    #[test]
    fn only_in_a_handshake() {
        let options = [2, 4, 5, 0xb4];
        assert!(!clamp(&mut syn(&options, tcp_flags::ACK, false), 536));
        assert!(clamp(&mut syn(&options, tcp_flags::ACK | tcp_flags::SYN, false), 536));
        assert!(!clamp(&mut Sample { tcp: false, ..Sample::default() }.packet(), 536));
    }

    #[test]
    fn a_partial_checksum_is_not_touched() {
        let mut packet = syn(&[2, 4, 5, 0xb4], tcp_flags::SYN, false);
        packet.frame.checksum = ChecksumState::Partial { start: 34, offset: 16 };
        let before = packet.transport()[16..18].to_vec();
        assert!(clamp(&mut packet, 536));
        assert_eq!(packet.transport()[16..18], before);
    }

    proptest! {
        #[test]
        fn total_and_the_checksum_holds(words in proptest::collection::vec(any::<[u8; 4]>(), 0..10), max: u16, v6: bool) {
            let mut packet = syn(&words.concat(), tcp_flags::SYN, v6);
            clamp(&mut packet, max);
            prop_assert!(packet.transport_checksum_ok());
            prop_assert!(!clamp(&mut packet, max), "once is enough");
        }
    }
}
