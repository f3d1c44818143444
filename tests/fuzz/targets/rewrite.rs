//! Translating a packet gives it the new key, keeps its sums as right (or wrong) as they were, and can be undone.
//!
//! Input: a byte (lowest bits: repair; 8: partial checksum), the new addresses and ports, then the frame.
#![no_main]

use koi::nat;
use koi::wire::{ChecksumState, Fragment, FrameBuf, Packet, protocol};
use koi_fuzz::{Input, Repair, assert_layout, checksum_at, deviation, ip, other_key};
use libfuzzer_sys::fuzz_target;

/// Room for two IPv6 addresses and two ports, whatever the family of the packet.
const KEY: usize = 36;

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let control = input.byte();
    let mut key = Input::new(input.take(KEY));
    let mut bytes = input.rest().to_vec();
    Repair::from_bits(control).apply(&mut bytes);
    let Some(mut packet) = ip(FrameBuf::copy_of(&bytes)) else { return };
    if control & 8 != 0
        && let Some(offset) = checksum_at(&packet)
        && packet.layout.key.protocol() != protocol::ICMP
        && packet.layout.fragment == Fragment::Whole
    {
        packet.frame.checksum = ChecksumState::Partial { start: packet.layout.l4, offset: offset as u16 };
    }
    let (before, from) = (deviation(&packet), packet.layout.key);
    let to = other_key(&packet, &mut key);
    nat::rewrite(&mut packet, &to);
    assert_eq!(packet.layout.key, to);
    assert_layout(&packet);
    assert_eq!(deviation(&packet), before);
    nat::rewrite(&mut packet, &from);
    assert_eq!(deviation(&packet), before);
    let original = ip(FrameBuf::copy_of(&bytes)).expect("parsed before");
    assert_eq!(without_sums(&packet), without_sums(&original), "there and back");
});

fn without_sums(packet: &Packet) -> Vec<u8> {
    let mut bytes = packet.frame.bytes().to_vec();
    if packet.layout.key.src().is_ipv4() {
        bytes[24..26].fill(0);
    }
    if let Some(at) = checksum_at(packet) {
        let at = usize::from(packet.layout.l4) + at;
        bytes[at..at + 2].fill(0);
    }
    bytes
}
