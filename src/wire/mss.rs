//! The maximum segment size option of a SYN, clamped (RFC 9293 section 3.7.1).

use super::{ChecksumState, Packet, Transport, checksum, tcp_flags};

/// Lowers the MSS option of a SYN to `max`; anything else is left alone.
pub fn clamp(packet: &mut Packet, max: u16) {
    let Transport::Tcp { flags, header_len, .. } = packet.layout.transport else { return };
    if flags & tcp_flags::SYN == 0 {
        return;
    }
    let partial = matches!(packet.frame.checksum, ChecksumState::Partial { .. });
    let header = &mut packet.transport_mut()[..usize::from(header_len)];
    let Some(at) = find(header) else { return };
    let old = u16::from_be_bytes([header[at], header[at + 1]]);
    if old <= max {
        return;
    }
    let before = sum_around(header, at);
    header[at..at + 2].copy_from_slice(&max.to_be_bytes());
    // A partial checksum covers the options later, when it is completed.
    if !partial {
        let difference = checksum::difference(before, sum_around(header, at));
        let field = u16::from_be_bytes([header[16], header[17]]);
        header[16..18].copy_from_slice(&checksum::patch(field, difference).to_be_bytes());
    }
}

/// The MSS that a SYN announces.
pub fn announced(packet: &Packet) -> Option<u16> {
    let Transport::Tcp { flags, header_len, .. } = packet.layout.transport else { return None };
    if flags & tcp_flags::SYN == 0 {
        return None;
    }
    let header = &packet.transport()[..usize::from(header_len)];
    find(header).map(|at| u16::from_be_bytes([header[at], header[at + 1]]))
}

/// The sum of the aligned words that hold the two bytes at `at`, which an odd padding may have shifted.
fn sum_around(header: &[u8], at: usize) -> u16 {
    let from = at & !1;
    checksum::sum(&header[from..(at + 3) & !1])
}

/// Offset of the value of the MSS option.
fn find(header: &[u8]) -> Option<usize> {
    let mut at = 20;
    while at < header.len() {
        match header[at] {
            0 => return None,
            1 => at += 1,
            2 => return (header.get(at + 1) == Some(&4) && at + 4 <= header.len()).then_some(at + 2),
            _ => at += usize::from(*header.get(at + 1)?).max(2),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::{FrameBuf, Parsed};
    use super::*;
    use etherparse::PacketBuilder;

    fn syn(options: &[u8]) -> Packet {
        let mut bytes = Vec::new();
        PacketBuilder::ethernet2([2; 6], [4; 6])
            .ipv4([192, 0, 2, 1], [198, 51, 100, 2], 64)
            .tcp(1000, 80, 7, 1024)
            .syn()
            .options_raw(options)
            .unwrap()
            .write(&mut bytes, &[])
            .unwrap();
        match Packet::parse(FrameBuf::copy_of(&bytes)) {
            Ok(Parsed::Ip(packet)) => packet,
            Ok(Parsed::Arp(_)) | Err(_) => panic!("a SYN"),
        }
    }

    #[test]
    fn clamped_at_any_alignment_with_a_right_checksum() {
        for options in [
            &[2, 4, 5, 180][..],
            &[1, 2, 4, 5, 180, 1, 1, 1],
            &[1, 1, 2, 4, 5, 180, 1, 1],
            &[3, 3, 7, 2, 4, 5, 180, 0],
        ] {
            let mut packet = syn(options);
            clamp(&mut packet, 1360);
            assert!(packet.transport_checksum_ok(), "{options:?}");
            let at = find(&packet.transport()[..packet.transport().len()]).unwrap();
            assert_eq!(packet.transport()[at..at + 2], 1360u16.to_be_bytes());
        }
    }

    #[test]
    fn smaller_or_broken_options_stay_as_they_are() {
        for options in [&[2, 4, 2, 0][..], &[1, 1, 1, 2], &[2, 3, 5, 180], &[0, 2, 4, 5], &[9, 0, 9, 0]] {
            let mut packet = syn(options);
            let before = packet.frame.bytes().to_vec();
            clamp(&mut packet, 1360);
            assert_eq!(packet.frame.bytes(), before, "{options:?}");
        }
    }
}
