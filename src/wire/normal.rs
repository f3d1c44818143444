//! Putting right what networks cannot do without, or senders should not tell (pf's `scrub`).
//!
//! Checksums are patched (RFC 1624), never computed.

use super::{FlowKey, Packet, checksum};

/// May be fragmented: pf's `no-df`. IPv6 has no such bit.
pub fn clear_dont_fragment(packet: &mut Packet) {
    if packet.layout.dont_fragment && matches!(packet.layout.key, FlowKey::V4(_)) {
        set_word(packet, 6, |word| word & !0x4000);
        packet.layout.dont_fragment = false;
    }
}

/// Another identification: pf's `random-id`.
pub fn identify(packet: &mut Packet, id: u16) {
    if matches!(packet.layout.key, FlowKey::V4(_)) {
        set_word(packet, 4, |_| id);
    }
}

/// At least so many hops left: pf's `min-ttl`.
pub fn raise_hop_limit(packet: &mut Packet, least: u8) {
    if packet.layout.hop_limit < least {
        set_hop_limit(packet, least);
    }
}

/// Exactly so many hops left.
pub fn set_hop_limit(packet: &mut Packet, hops: u8) {
    match packet.layout.key {
        FlowKey::V4(_) => set_word(packet, 8, |word| u16::from(hops) << 8 | word & 0xff),
        FlowKey::V6(_) => {
            let at = usize::from(packet.layout.l3) + 7;
            packet.frame.bytes_mut()[at] = hops;
        }
    }
    packet.layout.hop_limit = hops;
}

/// Changes a word of the IPv4 header.
fn set_word(packet: &mut Packet, at: usize, change: impl FnOnce(u16) -> u16) {
    let l3 = usize::from(packet.layout.l3);
    let header = &mut packet.frame.bytes_mut()[l3..l3 + 20];
    let old = u16::from_be_bytes([header[at], header[at + 1]]);
    let new = change(old);
    header[at..at + 2].copy_from_slice(&new.to_be_bytes());
    let field = checksum::patch(u16::from_be_bytes([header[10], header[11]]), checksum::difference(old, new));
    header[10..12].copy_from_slice(&field.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::sample::{self, Sample};
    use super::*;

    proptest! {
        #[test]
        fn what_was_put_right_is_a_right_packet(v6: bool, id: u16, ttl in 1u8.., least: u8, dont_fragment: bool) {
            let mut packet = Sample { v6, ttl, dont_fragment, ..Sample::default() }.packet();
            let before = packet.layout;
            clear_dont_fragment(&mut packet);
            identify(&mut packet, id);
            raise_hop_limit(&mut packet, least);
            let mut frame = crate::wire::FrameBuf::new();
            frame.set(packet.frame.bytes());
            let again = sample::parse_frame(frame).layout;
            prop_assert_eq!(again.hop_limit, before.hop_limit.max(least));
            prop_assert_eq!((again.key, again.dont_fragment), (before.key, v6));
            prop_assert_eq!((packet.layout.hop_limit, packet.layout.dont_fragment), (again.hop_limit, v6));
            if !v6 {
                prop_assert_eq!(&packet.ip()[4..6], &id.to_be_bytes());
            }
        }
    }
}
