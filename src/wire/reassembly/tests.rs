//! Fragments in every order, and the attacks of conformance lists: overlaps, floods, ends past the end.

use proptest::prelude::*;

use super::*;
use crate::wire::sample::{self, Sample};
use crate::wire::{Parsed, Pool, fragment};

const START: Instant = Instant::from_secs(5);

fn datagram(v6: bool, payload: usize) -> Packet {
    let mut packet = Sample { tcp: false, v6, payload: sample::bytes(payload), ..Sample::default() }.packet();
    packet.layout.reassembled = v6.then_some(u16::MAX);
    packet
}

/// The fragments of `packet`, as frames.
fn fragments(packet: &mut Packet, mtu: usize) -> Vec<Vec<u8>> {
    packet.layout.reassembled = packet.layout.reassembled.map(|_| mtu as u16);
    let mut out = Vec::new();
    fragment::split(packet, mtu, 0xdead_beef, &mut Pool::new(0), &mut out).unwrap();
    out.iter().map(|frame| frame.bytes().to_vec()).collect()
}

fn feed<'a>(engine: &mut Reassembly, frames: impl IntoIterator<Item = &'a Vec<u8>>) -> Outbox {
    let mut out = Outbox::default();
    for frame in frames {
        engine.handle_fragment(START, sample::parse(frame), &mut out);
    }
    out
}

fn counted(out: &Outbox, drop: Drop) -> u32 {
    out.dropped.iter().filter(|(reason, _)| *reason == drop).map(|(_, count)| count).sum()
}

/// One fragment of an IPv4 UDP datagram with any place and contents.
fn piece(offset: usize, data: &[u8], more: bool, id: u16) -> Vec<u8> {
    let mut frame = Sample { tcp: false, id, ..Sample::default() }.frame();
    frame.truncate(34);
    frame.extend_from_slice(data);
    let length = (20 + data.len()) as u16;
    frame[16..18].copy_from_slice(&length.to_be_bytes());
    let flags = (offset / 8) as u16 | if more { 0x2000 } else { 0 };
    frame[20..22].copy_from_slice(&flags.to_be_bytes());
    frame[24..26].fill(0);
    let sum = !crate::wire::checksum::sum(&frame[14..34]);
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    frame
}

#[test]
fn both_families_come_together_again() {
    for v6 in [false, true] {
        let mut packet = datagram(v6, 4_000);
        let mut frames = fragments(&mut packet, 1_300);
        for turn in 0..frames.len() {
            frames.rotate_left(turn);
            let mut engine = Reassembly::new(Limits::default());
            let out = feed(&mut engine, &frames);
            assert_eq!(out.whole.len(), 1, "v6 {v6} turn {turn}");
            assert_eq!(out.whole[0].ip(), packet.ip());
            let largest = frames.iter().map(|frame| frame.len() - 14).max().unwrap();
            assert_eq!(out.whole[0].layout.reassembled, Some(largest as u16));
            assert!(out.whole[0].transport_checksum_ok());
            assert_eq!((engine.len(), engine.bytes(), engine.poll_timeout()), (0, 0, None));
        }
    }
}

#[test]
fn the_buffer_of_the_last_fragment_is_used() {
    let mut packet = datagram(true, 4_000);
    let frames = fragments(&mut packet, 1_300);
    for last in 0..frames.len() {
        let (mut engine, mut out) = (Reassembly::new(Limits::default()), Outbox::default());
        let others = frames.iter().enumerate().filter(|(at, _)| *at != last).map(|(_, frame)| frame);
        for frame in others.chain([&frames[last]]) {
            let mut full_size = FrameBuf::new();
            full_size.set(frame);
            engine.handle_fragment(START, sample::parse_frame(full_size), &mut out);
        }
        assert_eq!(out.whole[0].ip(), packet.ip());
        assert!(out.whole[0].frame.room() > 65_535);
        assert_eq!(out.spent.len(), frames.len() - 1);
    }
}

#[test]
fn contradictions_condemn_the_datagram() {
    let data = sample::bytes(64);
    let first = piece(0, &[&[0, 1, 0, 2, 0, 80, 0, 0], &data[..]].concat(), true, 1);
    let good_end = piece(72, &data[..8], false, 1);
    let table = [
        ("inside the first (teardrop)", piece(8, &data[..16], true, 1)),
        ("over the tail", piece(64, &data[..16], true, 1)),
        ("over the whole", piece(0, &sample::bytes(128), true, 1)),
        ("the head again, other ports", piece(0, &[&[0, 9, 0, 9, 0, 80, 0, 0], &data[..]].concat(), true, 1)),
        ("flags rewritten at offset 8", piece(8, &data[..8], true, 1)),
        ("an end before what is here", piece(32, &data[..8], false, 1)),
    ];
    for (name, bad) in table {
        let mut engine = Reassembly::new(Limits::default());
        let out = feed(&mut engine, [&first, &bad, &good_end]);
        assert!(out.whole.is_empty(), "{name}");
        assert_eq!(counted(&out, Drop::FragmentOverlap), 3, "{name}");
        assert_eq!(engine.len(), 1, "{name}: remembered, so that the rest is dropped too");
    }
    let other_ends = [piece(72, &data[..16], false, 1), piece(80, &data[..8], true, 1)];
    for other in &other_ends {
        let mut engine = Reassembly::new(Limits::default());
        let out = feed(&mut engine, [&good_end, other, &first]);
        assert!(out.whole.is_empty());
        assert_eq!(counted(&out, Drop::FragmentOverlap), 3);
    }
}

#[test]
fn no_sender_makes_these() {
    let data = sample::bytes(64);
    let table = [
        ("not a multiple of eight", piece(8, &data[..15], true, 1)),
        ("nothing in it", piece(8, &[], false, 1)),
        ("past the end (ping of death)", piece(65_528, &data[..16], false, 1)),
    ];
    for (name, frame) in table {
        let mut engine = Reassembly::new(Limits::default());
        let out = feed(&mut engine, [&frame]);
        assert_eq!((counted(&out, Drop::FragmentShort), out.spent.len(), engine.len()), (1, 1, 0), "{name}");
    }
}

#[test]
fn too_many_fragments() {
    let mut engine = Reassembly::new(Limits::default());
    let fits = fragments(&mut datagram(false, 64 * 176 - 8), 196);
    assert_eq!((fits.len(), feed(&mut engine, &fits).whole.len()), (64, 1));
    let many = fragments(&mut datagram(false, 20_000), 200);
    let out = feed(&mut engine, &many);
    assert_eq!((out.whole.len(), counted(&out, Drop::FragmentLimit)), (0, many.len() as u32));
}

#[test]
fn floods_are_bounded_and_the_oldest_goes() {
    let limits = Limits { datagrams: 10, per_source: 4, bytes: 6_000, ..Limits::default() };
    let data = sample::bytes(800);
    let mut engine = Reassembly::new(limits);
    for id in 0..1_000 {
        feed(&mut engine, [&piece(8, &data, true, id)]);
        assert!(engine.len() <= 4 && engine.bytes() <= 6_000);
    }
    for source in 0..1_000u16 {
        let mut frame = piece(8, &data, true, 1);
        frame[28..30].copy_from_slice(&source.to_be_bytes());
        frame[24..26].fill(0);
        let sum = !crate::wire::checksum::sum(&frame[14..34]);
        frame[24..26].copy_from_slice(&sum.to_be_bytes());
        feed(&mut engine, [&frame]);
        assert!(engine.len() <= 10 && engine.bytes() <= 6_000);
    }
    // An honest datagram still gets through.
    let mut packet = datagram(false, 2_000);
    assert_eq!(feed(&mut engine, &fragments(&mut packet, 1_500)).whole.len(), 1);
    assert_eq!(engine.datagrams.len(), engine.ages.len());
    assert_eq!(engine.datagrams.len(), engine.sources.len());
}

#[test]
fn time_runs_out() {
    for v6 in [false, true] {
        let frames = fragments(&mut datagram(v6, 3_000), 1_300);
        for (kept, first) in [(&frames[..2], 1), (&frames[1..], 0)] {
            let mut engine = Reassembly::new(Limits::default());
            feed(&mut engine, kept);
            let (due, why) = engine.poll_timeout().unwrap();
            assert_eq!((due, why), (START + Duration::from_secs(30), Why::FragmentTimeout));
            let mut out = Outbox::default();
            engine.handle_timeout(due - Duration::from_nanos(1), &mut out);
            assert!(out.dropped.is_empty());
            engine.handle_timeout(due, &mut out);
            engine.handle_timeout(due, &mut out);
            assert_eq!((out.dropped, out.timed_out.len()), (vec![(Drop::FragmentTimeout, 2)], first));
            assert_eq!((engine.bytes(), engine.poll_timeout()), (0, None));
            if let Some(packet) = out.timed_out.first() {
                let cause = crate::wire::icmp_error::ErrorCause::ReassemblyTimeout;
                let from = packet.layout.key.dst();
                assert!(crate::wire::icmp_error::build(&cause, packet, from, &mut Pool::new(0)).is_some());
            }
        }
    }
}

#[test]
fn congestion_is_not_forgotten() {
    let data = sample::bytes(64);
    let mut frames = [
        piece(0, &[&[0, 1, 0, 2, 0, 80, 0, 0], &data[..]].concat(), true, 1),
        piece(72, &data[..8], false, 1),
    ];
    for (frame, tos) in frames.iter_mut().zip([2u8, 3]) {
        frame[15] = tos;
        frame[24..26].fill(0);
        let sum = !crate::wire::checksum::sum(&frame[14..34]);
        frame[24..26].copy_from_slice(&sum.to_be_bytes());
    }
    let out = feed(&mut Reassembly::new(Limits::default()), &frames);
    assert_eq!(out.whole[0].layout.traffic_class, 3);
}

#[test]
fn whole_packets_pass_through() {
    let out = feed(&mut Reassembly::new(Limits::default()), [&Sample::default().frame()]);
    assert_eq!(out.whole.len(), 1);
}

proptest! {
    /// Any order, some fragments twice: the packet comes out, and as it went in.
    #[test]
    fn split_and_put_together_is_identity(
        v6: bool,
        payload in 200usize..9_000,
        mtu in 300usize..1_500,
        order in proptest::collection::vec(any::<u64>(), 64),
        twice in proptest::collection::vec(any::<bool>(), 64),
    ) {
        let mut packet = datagram(v6, payload);
        let mut frames: Vec<(u64, Vec<u8>)> = order.iter().copied().zip(fragments(&mut packet, mtu)).collect();
        let again: Vec<_> = frames.iter().zip(&twice).filter(|(_, twice)| **twice)
            .map(|((order, frame), _)| (order.rotate_left(9), frame.clone())).collect();
        frames.extend(again);
        frames.sort();
        let mut engine = Reassembly::new(Limits::default());
        let out = feed(&mut engine, frames.iter().map(|(_, frame)| frame));
        prop_assert!(!out.whole.is_empty());
        for whole in &out.whole {
            prop_assert_eq!(whole.ip(), packet.ip());
        }
        prop_assert_eq!(counted(&out, Drop::FragmentOverlap), 0);
    }

    /// Whatever arrives, the books balance, and no byte of a packet comes from two fragments.
    #[test]
    fn total_and_bounded(pieces in proptest::collection::vec((0usize..12, 1usize..5, any::<bool>(), 0u16..3), 0..60)) {
        let limits = Limits { datagrams: 2, per_source: 2, fragments: 5, bytes: 4_000, ..Limits::default() };
        let mut engine = Reassembly::new(limits);
        let mut out = Outbox::default();
        let count = pieces.len() as u32;
        for (at, len, more, id) in pieces {
            let mut data = sample::bytes(len * 8);
            data[4..6].copy_from_slice(&64u16.to_be_bytes());
            // What is no fragment at all may have a transport header that makes no sense.
            let frame = FrameBuf::copy_of(&piece(at * 8, &data, more, id));
            let Ok(Parsed::Ip(packet)) = Packet::parse(frame) else { continue };
            engine.handle_fragment(START, packet, &mut out);
            prop_assert!(engine.len() <= 2 && engine.bytes() <= 4_000);
        }
        let before = out.dropped.len();
        engine.handle_timeout(START + Duration::from_secs(31), &mut out);
        prop_assert!(engine.is_empty() && engine.bytes() == 0);
        let lost: u32 = out.dropped.iter().map(|(_, count)| count).sum();
        prop_assert!(lost <= count && before <= out.dropped.len());
    }
}
