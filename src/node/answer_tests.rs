//! What a node says for a virtual IP, and when.

use std::sync::Arc;

use super::*;
use crate::config;
use crate::types::{Ceding, Duration, Epoch, Instant, InterfaceId, MacAddr, PortId, Role, Seed, Standing};
use crate::wire::{Drop, FrameBuf, Offload, Packet, Parsed, arp, checksum, fragment};

const LAN: PortId = PortId(1);

/// The active node, asked by a host of LAN for an address; until when its lease runs.
fn asked(target: &str) -> (Shard, Outbox, Instant) {
    let valid = config::load(include_str!("../../configs/pair.toml")).unwrap();
    let node = valid.node(Some("alpha")).unwrap();
    let compiled = Arc::new(Compiled::new(Arc::new(valid), node, 1, vec![Offload::NONE; 4]));
    let now = Instant::from_secs(100);
    let mut shard = Shard::new(Arc::clone(&compiled), Seed([1, 2]), now);
    let mut out = Outbox::new(4);
    shard.handle_link(now, LAN, true, &mut out);
    // Until then an own address may turn out to be somebody else's.
    let mut now = now;
    for _ in 0..500 {
        now += Duration::from_millis(10);
        shard.handle_timeout(now, &mut out);
    }
    let until = now + Duration::from_millis(25);
    shard.set_standing(now, Standing { role: Role::Active, epoch: Epoch(1), until, ..Standing::ALONE });
    shard.release_answers(now, &mut out);
    out.frames(LAN).0.clear();
    let mac = MacAddr([2, 0, 0, 0, 0, 9]);
    let sender = "192.168.1.10".parse().unwrap();
    let (target_mac, target) = (MacAddr([0; 6]), target.parse().unwrap());
    let operation = arp::Operation::Request;
    let request = arp::Repr { operation, sender_mac: mac, sender, target_mac, target };
    let frame = FrameBuf::copy_of(&request.emit(MacAddr([0xff; 6])));
    shard.handle_frames(now, LAN, &mut vec![frame], &mut out);
    (shard, out, until)
}

fn answers(out: &mut Outbox) -> usize {
    let reply = |frame: &FrameBuf| {
        arp::Repr::parse(frame.bytes()).is_some_and(|arp| arp.operation == arp::Operation::Reply)
    };
    out.frames(LAN).0.iter().filter(|frame| reply(frame)).count()
}

#[test]
fn an_answer_for_a_virtual_ip_leaves_under_the_lease_or_not_at_all() {
    for (late, expected) in [(false, 1), (true, 0)] {
        let (mut shard, mut out, until) = asked("192.168.1.1");
        assert!(out.has_answers() && answers(&mut out) == 0, "it waits until the edge sends");
        let before = shard.drops_of(Drop::Standby);
        let at = if late { until } else { until - Duration::from_millis(1) };
        shard.release_answers(at, &mut out);
        assert_eq!((answers(&mut out), out.has_answers()), (expected, false));
        // It is not lost before it is known that there is no other lease.
        shard.handle_timeout(until + Duration::from_millis(59), &mut out);
        assert_eq!((answers(&mut out), shard.drops_of(Drop::Standby) - before), (expected, 0));
        shard.handle_timeout(until + Duration::from_millis(60), &mut out);
        assert_eq!((answers(&mut out), shard.drops_of(Drop::Standby) - before), (expected, u64::from(late)));
    }
}

#[test]
fn an_answer_that_came_too_late_for_one_lease_leaves_under_the_next() {
    let (mut shard, mut out, until) = asked("192.168.1.1");
    let holds = shard.standing();
    shard.release_answers(until, &mut out);
    assert_eq!(answers(&mut out), 0);
    let now = until + Duration::from_millis(5);
    shard.set_standing(now, Standing { until: now + Duration::from_millis(25), ..holds });
    shard.handle_timeout(now, &mut out);
    assert_eq!(answers(&mut out), 1);
}

#[test]
fn a_node_s_own_address_needs_no_lease() {
    let (_, mut out, _) = asked("192.168.1.2");
    assert_eq!((answers(&mut out), out.has_answers()), (1, false));
}

#[test]
fn a_batch_that_was_held_up_until_the_role_was_gone_is_withdrawn() {
    let (mut shard, mut out, until) = asked("192.168.1.2");
    let (began, later) = (until - Duration::from_millis(2), until + Duration::from_millis(2));
    let held = shard.standing();
    let standby = Standing { role: Role::Standby, until: Instant::ZERO, ..held };
    for (now, holds, overtaken) in [
        (began, held, false),
        (until, held, true),
        (later, Standing { until: later + Duration::from_millis(1), ..held }, false),
        (began, standby, true),
        (began, Standing { cedes: Ceding::Relays, ..standby }, false),
        (began, Standing::ALONE, false),
    ] {
        assert_eq!(shard.is_overtaken(began, now, holds), overtaken, "{holds:?}");
    }
    assert!(!shard.is_overtaken(later, later, standby), "made without a lease, as what needs none is");
    assert_eq!(answers(&mut out), 1);
    let before = shard.drops_of(Drop::Standby);
    shard.withdraw(later, standby, &mut out);
    assert!(out.is_empty());
    assert_eq!(shard.drops_of(Drop::Standby) - before, 1);
}

/// Also what has to leave in pieces.
#[test]
fn a_large_answer_waits_for_the_edge_as_a_small_one_does() {
    for (late, expected) in [(false, 2), (true, 0)] {
        let (mut shard, mut out, until) = asked("192.168.1.1");
        let now = until - Duration::from_millis(2);
        shard.release_answers(now, &mut out);
        out.frames(LAN).0.clear();
        let mut bytes = Vec::new();
        etherparse::PacketBuilder::ethernet2(
            [2, 0, 0, 0, 0, 9],
            shard.compiled.link(InterfaceId(1)).unwrap().mac.0,
        )
        .ipv4([192, 168, 1, 10], [192, 168, 1, 1], 64)
        .icmpv4_echo_request(7, 1)
        .write(&mut bytes, &[7; 2000])
        .unwrap();
        // The sender permits pieces: no DF, and the sum of the header is one that fits.
        bytes[20] &= !0x40;
        let sum = checksum::add(checksum::sum(&bytes[14..24]), checksum::sum(&bytes[26..34]));
        bytes[24..26].copy_from_slice(&(!sum).to_be_bytes());
        let Ok(Parsed::Ip(mut request)) = Packet::parse(FrameBuf::copy_of(&bytes)) else {
            panic!("no packet")
        };
        let mut pieces = Vec::new();
        fragment::split(&mut request, 1500, 77, &mut out.pool, &mut pieces).unwrap();
        assert_eq!(pieces.len(), 2);
        shard.handle_frames(now, LAN, &mut pieces, &mut out);
        assert!(out.has_answers() && out.frames(LAN).0.is_empty(), "it waits until the edge sends");
        shard.release_answers(if late { until } else { now }, &mut out);
        assert_eq!(out.frames(LAN).0.len(), expected);
        assert!(out.frames(LAN).0.iter().all(|frame| frame.bytes().len() <= 1514));
    }
}
