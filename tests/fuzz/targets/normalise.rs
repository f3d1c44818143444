//! Putting a header right changes what was asked for and nothing else: sums stay as right (or wrong) as they were. Options
//! are judged without a panic, and what is found in them agrees with a naive look.
//!
//! Input: a byte (lowest bits: repair), identification, hop limit, shifts of both numbers, then the frame.
#![no_main]

use koi::wire::handshake::Shift;
use koi::wire::{Drop, FlowKey, FrameBuf, Packet, Transport, normal, options};
use koi_fuzz::{Input, Repair, assert_layout, deviation, ip};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let control = input.byte();
    let (id, least) = (input.word(), input.byte());
    let long = |input: &mut Input<'_>| u32::from(input.word()) << 16 | u32::from(input.word());
    let shift = Shift { seq: long(&mut input), ack: long(&mut input) };
    let mut bytes = input.rest().to_vec();
    Repair::from_bits(control).apply(&mut bytes);
    let Some(mut packet) = ip(FrameBuf::copy_of(&bytes)) else { return };
    check_options(&packet);
    let (before, layout) = (deviation(&packet), packet.layout);
    normal::clear_dont_fragment(&mut packet);
    normal::identify(&mut packet, id);
    normal::raise_hop_limit(&mut packet, least);
    assert_eq!(deviation(&packet), before);
    assert_layout(&packet);
    assert_eq!(packet.layout.key, layout.key);
    assert_eq!(packet.layout.hop_limit, layout.hop_limit.max(least));
    if matches!(layout.key, FlowKey::V4(_)) {
        assert!(!packet.layout.dont_fragment);
        assert_eq!(packet.ip()[4..6], id.to_be_bytes());
    }
    if layout.fragment == koi::wire::Fragment::Whole {
        check_shift(&mut packet, shift);
    }
});

/// There and back again.
fn check_shift(packet: &mut Packet, shift: Shift) {
    let (before, frame) = (deviation(packet), packet.frame.bytes().to_vec());
    shift.apply(packet);
    assert_eq!(deviation(packet), before);
    assert_layout(packet);
    Shift { seq: shift.seq.wrapping_neg(), ack: shift.ack.wrapping_neg() }.apply(packet);
    assert_eq!(deviation(packet), before);
    let at = usize::from(packet.layout.l4);
    let sum = if matches!(packet.layout.transport, Transport::Tcp { .. }) { at + 16..at + 18 } else { 0..0 };
    for (index, (old, new)) in frame.iter().zip(packet.frame.bytes()).enumerate() {
        assert!(old == new || sum.contains(&index), "byte {index}");
    }
}

fn check_options(packet: &Packet) {
    let (present, checked) = (options::are_present(packet), options::check(packet));
    let FlowKey::V4(_) = packet.layout.key else { return };
    let header = &packet.ip()[20..usize::from(packet.ip()[0] & 15) * 4];
    assert_eq!(present, !header.is_empty());
    let mut at = 0;
    let expected = loop {
        match (header.get(at), header.get(at + 1)) {
            (None | Some(0), _) => break Ok(()),
            (Some(1), _) => at += 1,
            (Some(131 | 137), _) => break Err(Drop::SourceRoute),
            (Some(_), Some(&len)) if len >= 2 && at + usize::from(len) <= header.len() => at += usize::from(len),
            (Some(_), _) => break Err(Drop::OptionsInvalid),
        }
    };
    assert_eq!(checked, expected, "{header:02x?}");
}
