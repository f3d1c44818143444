//! Any frame, with or without an offload header, is parsed or refused; what is parsed stays within its frame.
//!
//! Input: a byte (lowest bits: repair; 8: ten bytes of offload header follow), then the frame.
#![no_main]

use koi::wire::{ChecksumState, FrameBuf, Packet, Parsed, Transport, arp, mss, nd};
use koi_fuzz::{Input, Repair, assert_layout, deviation, ip};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let control = input.byte();
    let offload = control & 8 != 0;
    let header = if offload { input.take(10) } else { &[] };
    let mut bytes = input.rest().to_vec();
    Repair::from_bits(control).apply(&mut bytes);
    let whole = [header, &bytes].concat();
    let mut frame = FrameBuf::with_room(bytes.len());
    let Some(area) = frame.receive_area(offload).get_mut(..whole.len()) else { return };
    area.copy_from_slice(&whole);
    if !frame.received(whole.len(), offload) {
        return;
    }
    assert_eq!(frame.bytes(), bytes);
    match Packet::parse(frame) {
        Ok(Parsed::Ip(packet)) => check(packet),
        Ok(Parsed::Arp(frame)) => {
            if let Some(repr) = arp::Repr::parse(frame.bytes()) {
                assert_eq!(arp::Repr::parse(&repr.emit(repr.target_mac)), Some(repr));
            }
        }
        Err((_, frame)) => assert_eq!(frame.bytes(), bytes, "a refused frame comes back as it was"),
    }
});

fn check(mut packet: Packet) {
    assert_layout(&packet);
    let layout = packet.layout;
    let l3_len = layout.end as usize - usize::from(layout.l3);
    assert!(packet.payload_len() as usize <= l3_len && packet.wire_len() <= l3_len);
    assert_eq!(layout.key.inverse().inverse(), layout.key);
    assert!(packet.layout.fragment == koi::wire::Fragment::Whole || packet.transport_checksum_ok());
    if let Transport::IcmpOther { .. } = layout.transport {
        let _ = nd::Message::parse(packet.transport());
    }
    if packet.frame.checksum == ChecksumState::Unverified && packet.transport_checksum_ok() {
        let (_, wrong) = deviation(&packet);
        assert_eq!(wrong, 0, "the naive sum agrees");
    }
    lower(&mut packet);
    offload_round_trip(packet);
}

/// One hop less and a smaller MSS change nothing else and keep sums as right or wrong as they were.
fn lower(packet: &mut Packet) {
    let before = deviation(packet);
    let (hops, announced) = (packet.layout.hop_limit, mss::announced(packet));
    if hops > 0 {
        packet.decrement_hop_limit();
        assert_eq!(packet.layout.hop_limit, hops - 1);
    }
    mss::clamp(packet, 1_000);
    assert_eq!(mss::announced(packet), announced.map(|mss| mss.min(1_000)));
    assert_eq!(deviation(packet), before);
    assert_layout(packet);
}

/// What a port writes, another port reads.
fn offload_round_trip(mut packet: Packet) {
    let sent = packet.frame.send_area(true).to_vec();
    let mut other = FrameBuf::with_room(packet.frame.len());
    other.receive_area(true)[..sent.len()].copy_from_slice(&sent);
    assert!(other.received(sent.len(), true));
    assert_eq!(
        (other.bytes(), other.checksum, other.gso),
        (packet.frame.bytes(), packet.frame.checksum, packet.frame.gso)
    );
    assert!(ip(other).is_some());
}
