//! The pair's own affairs under hardship: a change, an upgrade and new keys over a cable that loses, repeats and reorders;
//! both nodes started again; a session renewed under load; a machine that is put back in time.

use std::collections::HashMap;
use std::time::Duration;

use koi::cluster::role::Request;
use koi::types::{Random, Seed};
use koi::wire::FrameBuf;
use koi::wire::pair::{Envelope, Kind, payload};

use crate::cable::Quality;
use crate::crew::Change;
use crate::for_some_seeds;
use crate::pair::{HOST, LAN, Pair, SYNC};
use crate::world::{End, World};

const SEEDS: u64 = 10;
/// The switch of that network.
const DMZ: usize = 2;

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A cable that loses between a hundredth and a quarter of all frames.
pub fn bad(seed: u64) -> Quality {
    let mut random: Random = Seed([seed, 41]).random();
    Quality { loss: 10 + random.below(240), duplicate: 50, ..Quality::ROUGH }
}

/// What is sealed under one key with one number is sealed once: who repeats a frame repeats it as it was.
fn expect_no_number_twice(world: &World) {
    let mut sealed: HashMap<(usize, u8, u32, u64), Vec<u8>> = HashMap::new();
    for (at, from, frame) in &world.seen {
        let End::Router(node, _) = from else { continue };
        let frame = FrameBuf::copy_of(frame);
        let Some((_, _, bytes)) = payload(&frame) else { continue };
        let Some((envelope, _)) = Envelope::parse(bytes) else { continue };
        if envelope.kind == Kind::Sealed {
            let name = (*node, envelope.space, envelope.session, envelope.counter);
            let before = sealed.entry(name).or_insert_with(|| bytes.to_vec());
            assert!(before == bytes, "at {at} node {node} uses a number of space {} again", envelope.space);
        }
    }
    assert!(sealed.len() > 100);
}

/// Looks now and then: what a node shows to people is much to make.
fn await_redundancy(pair: &mut Pair) {
    let limit = pair.world.now + Duration::from_secs(20);
    while !pair.is_redundant() {
        assert!(pair.world.now < limit, "the pair does not become redundant");
        pair.run_for(millis(50));
    }
}

#[test]
fn both_nodes_are_started_again_and_nothing_is_lost() {
    for_some_seeds(SEEDS / 2, |seed| {
        let mut pair = Pair::new(seed);
        await_redundancy(&mut pair);
        let first = pair.leader().unwrap();
        pair.begin_stream();
        pair.run_for(millis(20 + seed % 7));
        for node in [1 - first, first] {
            // The node that serves hands over before it ends.
            if pair.leader() == Some(node) {
                pair.request(node, Request::Disable(true));
                pair.run_until(millis(300), "a handover", |pair| pair.leader() == Some(1 - node));
                pair.run_for(millis(100));
            }
            pair.crash(node);
            pair.run_for(millis(100 + seed % 50));
            pair.start(node, false);
            await_redundancy(&mut pair);
        }
        pair.request(1 - first, Request::HandOver);
        pair.run_until(millis(300), "the way back", |pair| pair.leader() == Some(first));
        pair.expect_perfection();
        pair.finish();
    });
}

/// Of a network without stations nothing can be learned while the peer is away: the role stays where it is.
#[test]
fn an_empty_network_moves_no_role_when_the_peer_returns() {
    for_some_seeds(SEEDS, |seed| {
        let mut pair = Pair::new(seed);
        await_redundancy(&mut pair);
        for node in 0..2 {
            pair.world.switches[DMZ].block(node, HOST, true);
        }
        // Long enough that the neighbours there are forgotten.
        pair.run_for(millis(200));
        for gone in [1 - pair.leader().unwrap(), pair.leader().unwrap()] {
            match seed % 3 {
                0 => pair.power_off(gone),
                1 => pair.crash(gone),
                _ => pair.freeze(gone, millis(1000), false),
            }
            pair.run_for(millis(1500 + seed % 100));
            if seed % 3 != 2 {
                pair.start(gone, seed % 3 == 0);
            }
            let leader = pair.leader();
            assert_eq!(leader, Some(1 - gone));
            pair.invariants.takeovers = 0;
            await_redundancy(&mut pair);
            pair.run_for(millis(3000));
            assert_eq!((pair.leader(), pair.invariants.takeovers), (leader, 0), "the role has moved");
        }
        pair.finish();
    });
}

/// What became silent while there was nobody to compare with is asked about when there is.
#[test]
fn a_cable_that_was_cut_while_the_peer_was_away_moves_the_role_at_its_return() {
    for_some_seeds(SEEDS, |seed| {
        let mut pair = Pair::new(seed);
        await_redundancy(&mut pair);
        let first = pair.leader().unwrap();
        pair.power_off(1 - first);
        pair.run_for(millis(500));
        pair.mute(first, LAN, true);
        pair.run_for(millis(500));
        assert_eq!(pair.leader(), Some(first));
        pair.start(1 - first, true);
        pair.run_until(millis(10_000), "the other one leads", |pair| pair.leader() == Some(1 - first));
        pair.heal();
        pair.finish();
    });
}

#[test]
fn the_hourly_handshake_costs_nothing() {
    for_some_seeds(SEEDS, |seed| {
        let mut pair = Pair::new(seed);
        await_redundancy(&mut pair);
        if seed % 2 == 1 {
            pair.world.degrade(End::Router(0, SYNC), Quality::ROUGH);
        }
        let session = |pair: &Pair| {
            let crew = pair.world.routers[0].crew.as_ref().unwrap();
            let rows = crew.helm.snapshot(pair.world.now).counters;
            rows.iter().find(|row| row.name == "channel-sessions").unwrap().value
        };
        let (leader, before) = (pair.leader(), session(&pair));
        pair.begin_stream();
        pair.invariants.takeovers = 0;
        // An hour that is short.
        (0..2).for_each(|node| pair.change(node, Change::Rekey(millis(400))));
        pair.run_for(millis(1500));
        assert!(session(&pair) >= before + 2, "{before} sessions, then {}", session(&pair));
        assert_eq!((pair.leader(), pair.invariants.takeovers), (leader, 0));
        pair.expect_perfection();
        let fences = pair.world.routers.iter().flat_map(|router| &router.crew.as_ref().unwrap().notices);
        assert!(!fences.into_iter().any(|(_, notice)| notice.text.contains("lapsed")), "nobody is fenced");
        expect_no_number_twice(&pair.world);
        pair.finish();
    });
}

#[test]
fn a_machine_that_is_put_back_in_time_seals_nothing_with_numbers_it_has_used() {
    for_some_seeds(SEEDS, |seed| {
        let run = || {
            let mut pair = Pair::new(seed);
            pair.run_for(Duration::from_micros(seed * 7919 % 50_000));
            pair
        };
        let snapshot = run();
        let mut pair = run();
        let active = pair.leader().unwrap();
        let victim = if seed % 2 == 0 { active } else { 1 - active };
        // It may have died meanwhile, or run until the very moment.
        pair.run_for(millis(200 + seed * 331 % 3000));
        if seed % 3 == 0 {
            pair.power_off(victim);
            pair.run_for(millis(1500));
            pair.start(victim, false);
        }
        pair.put_back(victim, snapshot);
        pair.run_for(millis(1500));
        expect_no_number_twice(&pair.world);
        assert!(pair.leader().is_some(), "one leads");
        pair.settle();
        pair.finish();
    });
}
