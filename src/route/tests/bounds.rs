//! What a hostile link can do to the tables: fill the room of the silent, and nothing else.

use super::*;
use proptest::prelude::*;

const SMALL: Limits = Limits { resolved: 8, silent: 4, parked_each: 3, parked: 6 };

fn bench(limits: Limits) -> Bench {
    let mut bench = Bench::down(&["10.0.0.1/8", "2001:db8::1/64"], limits);
    bench.up();
    bench
}

#[test]
fn a_scan_displaces_only_the_silent() {
    let mut bench = bench(Limits::ROUTER);
    bench.send("10.0.0.9", 0);
    bench.answer(THEIRS, "10.0.0.9");
    let mut refused = 0;
    for number in 0..5000u32 {
        let address = IpAddr::V4((0x0a01_0000 + number).into());
        match bench.engine.entry(bench.now, LAN, address) {
            Ok(id) => bench.engine.park(bench.now, id, number + 1, &mut bench.out),
            Err(drop) => refused += u32::from(drop == Drop::NeighbourRate),
        }
        bench.wait(1);
    }
    assert!((1500..3000).contains(&refused), "{refused}: 512 a second and 512 at once");
    assert!(bench.engine.rows().len() <= 1025);
    assert!(bench.send("10.0.0.9", 1), "who answered stays");
}

#[test]
fn the_longest_silent_makes_room_and_its_packet_comes_out_dropped() {
    let mut bench = bench(SMALL);
    for number in 1..=5u32 {
        bench.send(&format!("10.0.0.{}", 10 + number), number);
        bench.wait(10);
    }
    assert_eq!((bench.state("10.0.0.11"), bench.state("10.0.0.12")), ("absent", "incomplete"));
    assert_eq!(bench.out.dropped, [(Drop::NeighbourPending, 1)]);
}

#[test]
fn of_those_that_wait_for_one_the_latest_stay() {
    let mut bench = bench(SMALL);
    for number in 1..=5 {
        bench.send("10.0.0.9", number);
    }
    assert_eq!(bench.out.dropped, [(Drop::NeighbourPending, 1), (Drop::NeighbourPending, 2)]);
    bench.answer(THEIRS, "10.0.0.9");
    assert_eq!(bench.ready(), [(THEIRS, 3), (THEIRS, 4), (THEIRS, 5)]);
}

#[test]
fn stations_that_ask_for_us_cannot_push_out_those_in_use() {
    let mut bench = bench(SMALL);
    for number in 0..8 {
        let address = format!("10.0.0.{}", 10 + number);
        bench.send(&address, number);
        bench.answer(THEIRS, &address);
    }
    bench.arp(Operation::Request, OTHERS, "10.0.0.99", "10.0.0.1");
    assert_eq!((bench.state("10.0.0.99"), bench.counted()), ("absent", vec![Drop::NeighbourLimit]));
    bench.wait(61_000);
    bench.arp(Operation::Request, OTHERS, "10.0.0.99", "10.0.0.1");
    assert_eq!(bench.state("10.0.0.99"), "stale", "one that nobody sends to has made room");
    assert_eq!(bench.engine.rows().len(), 8);
}

/// What may happen.
#[derive(Clone, Debug)]
enum Step {
    Send(u8),
    Answer(u8),
    Ask(u8),
    Wait(u16),
    Link(bool),
    Flush,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0u8..24).prop_map(Step::Send),
        3 => (0u8..24).prop_map(Step::Answer),
        2 => (0u8..24).prop_map(Step::Ask),
        3 => any::<u16>().prop_map(Step::Wait),
        1 => any::<bool>().prop_map(Step::Link),
        1 => Just(Step::Flush),
    ]
}

proptest! {
    #[test]
    fn every_packet_comes_out_exactly_once_and_the_bounds_hold(steps in proptest::collection::vec(step(), 1..80)) {
        let mut bench = bench(SMALL);
        let (mut sent, mut seen) = (0u32, Vec::new());
        for step in steps {
            let address = |number: u8| match number % 2 {
                0 => format!("10.0.0.{}", 10 + number),
                _ => format!("2001:db8::{:x}", 0x10 + number),
            };
            match step {
                Step::Send(number) => {
                    if let Ok(id) = bench.engine.entry(bench.now, LAN, ip(&address(number)))
                        && bench.engine.mac(id, bench.now).is_none()
                    {
                        bench.engine.park(bench.now, id, sent, &mut bench.out);
                        sent += 1;
                    }
                }
                Step::Answer(number) if number % 2 == 0 => {
                    bench.arp(Operation::Reply, THEIRS, &address(number), "10.0.0.1");
                }
                Step::Answer(number) => bench.answer(THEIRS, &address(number)),
                Step::Ask(number) => {
                    let sender = format!("10.0.0.{}", 10 + number);
                    bench.arp(Operation::Request, OTHERS, &sender, "10.0.0.1");
                }
                Step::Wait(millis) => bench.wait(millis.into()),
                Step::Link(up) => bench.engine.handle_link(bench.now, LAN, up, &mut bench.out),
                Step::Flush => bench.engine.flush(bench.now, LAN, &mut bench.out),
            }
            seen.extend(bench.out.ready.drain(..).map(|(_, _, packet)| packet));
            seen.extend(bench.out.failed.drain(..).map(|(_, _, packet)| packet));
            seen.extend(bench.out.dropped.drain(..).map(|(_, packet)| packet));
            let rows = bench.engine.rows();
            let resolved = rows.iter().filter(|row| row.mac.is_some()).count();
            prop_assert!(resolved <= SMALL.resolved && rows.len() - resolved <= SMALL.silent);
            prop_assert!(bench.engine.table.parked <= SMALL.parked);
            prop_assert_eq!(bench.engine.table.parked, sent as usize - seen.len() - bench.engine.displaced.len());
        }
        bench.wait(10_000);
        bench.engine.flush(bench.now, LAN, &mut bench.out);
        bench.engine.handle_timeout(bench.now, &mut bench.out);
        seen.extend(bench.out.ready.drain(..).map(|(_, _, packet)| packet));
        seen.extend(bench.out.failed.drain(..).map(|(_, _, packet)| packet));
        seen.extend(bench.out.dropped.drain(..).map(|(_, packet)| packet));
        seen.sort_unstable();
        prop_assert_eq!(seen, (0..sent).collect::<Vec<_>>());
    }

    #[test]
    fn total_on_arbitrary_frames(frames in proptest::collection::vec(
        (proptest::collection::vec(any::<u8>(), 0..120), 130u8..140), 1..20,
    )) {
        let mut bench = bench(SMALL);
        for (bytes, kind) in frames {
            bench.engine.handle_arp(bench.now, LAN, &bytes, &mut bench.out);
            let mut icmp = vec![kind, 0, 0, 0];
            icmp.extend_from_slice(&bytes);
            let to = nd::ALL_NODES;
            let envelope = Envelope { from_mac: THEIRS, to_mac: OURS, from: v6("fe80::9"), to };
            let frame = icmpv6::frame(envelope, icmpv6::HopLimit::Neighbours, icmp);
            if let Ok(Parsed::Ip(packet)) = Packet::parse(frame) {
                bench.engine.handle_nd(bench.now, LAN, &packet, &mut bench.out);
            }
            bench.wait(u64::from(kind));
        }
        prop_assert!(bench.engine.rows().len() <= 12 && bench.out.frames.len() < 200);
    }
}
