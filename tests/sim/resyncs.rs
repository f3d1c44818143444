//! Whether both nodes have the same states: proven again and again, also over a cable that loses, repeats and reorders;
//! what differs is found and heals.

use std::net::Ipv4Addr;
use std::time::Duration;

use koi::node::ReplicationRow;
use koi::types::MacAddr;

use crate::cable::Quality;
use crate::for_some_seeds;
use crate::forge::{self, Ends, Stations};
use crate::pair::{Pair, SYNC};
use crate::spoil::Spoil;
use crate::world::End;

const SEEDS: u64 = 10;
const FLOWS: u16 = 600;

/// A client of the LAN begins flows.
fn begin_flows(pair: &mut Pair, count: u16) {
    let stations = Stations { from: MacAddr([2, 0, 0, 0, 0, 2]), to: MacAddr([0, 0, 0x5e, 0, 1, 2]) };
    for number in 0..count {
        let from = (Ipv4Addr::new(192, 168, 1, 10), 10_000 + number);
        let ends = Ends { from, to: (Ipv4Addr::new(203, 0, 113, 1), 7) };
        pair.world.emit(End::Host(1), forge::udp(stations, ends, b"koi"));
        if number % 50 == 0 {
            pair.run_for(Duration::from_millis(1));
        }
    }
    pair.run_for(Duration::from_millis(20));
}

fn row(pair: &Pair, node: usize) -> ReplicationRow {
    let router = &pair.world.routers[node];
    router.crew.as_ref().unwrap().courier.snapshot(router.clock.local(pair.world.now))
}

/// What the standby has found to be other than the active's, since it started.
fn found(pair: &Pair, node: usize) -> u64 {
    let router = &pair.world.routers[node];
    let counters = router.shard.snapshot(router.clock.local(pair.world.now)).counters;
    let strays = counters.iter().find(|row| row.name == "import-strays").unwrap().value;
    different(pair, node) + strays
}

/// Digests that the standby has found to be others, since it started.
fn different(pair: &Pair, node: usize) -> u64 {
    let router = &pair.world.routers[node];
    let counters = router.crew.as_ref().unwrap().courier.counters(router.clock.local(pair.world.now));
    counters.iter().find(|row| row.name == "digest-different").unwrap().value
}

#[test]
fn a_spoilt_record_of_the_standby_is_found_and_healed_within_five_seconds() {
    for_some_seeds(SEEDS, |seed| {
        for spoil in Spoil::ALL {
            let mut pair = Pair::new(seed);
            pair.settle();
            let standby = 1 - pair.leader().unwrap();
            let before = found(&pair, standby);
            pair.world.routers[standby].spoil = spoil;
            begin_flows(&mut pair, 3);
            assert_eq!(pair.world.routers[standby].spoil, Spoil::Nothing, "it has happened");
            pair.look_until(Duration::from_secs(5), &format!("{spoil:?} healed"), |pair| {
                let differing = row(pair, standby).digests.differing;
                found(pair, standby) > before && differing == 0
            });
            pair.run_for(Duration::from_millis(10));
            pair.check_tables();
            pair.finish();
        }
    });
}

#[test]
fn over_a_bad_cable_a_cold_standby_is_proven_equal_and_nothing_is_said_to_differ() {
    for_some_seeds(SEEDS, |seed| {
        let mut pair = Pair::new(seed);
        pair.world.degrade(End::Router(0, SYNC), Quality::ROUGH);
        let active = pair.leader().unwrap();
        begin_flows(&mut pair, FLOWS);
        for _ in 0..2 {
            pair.power_off(1 - active);
            pair.run_for(Duration::from_millis(500));
            pair.start(1 - active, true);
            pair.settle();
            // While flows begin and end.
            pair.run_for(Duration::from_secs(7));
            assert_eq!(different(&pair, 1 - active), 0);
            let row = row(&pair, 1 - active);
            assert!(row.digests.equal && row.digests.rounds > 1, "{row:?}");
            assert!(row.walk.full >= u32::from(FLOWS) && row.walk.by_name == 0, "{row:?}");
        }
        pair.finish();
    });
}

#[test]
fn after_a_change_of_roles_only_what_differs_is_told() {
    for_some_seeds(SEEDS, |seed| {
        let mut pair = Pair::new(seed);
        if seed % 2 == 1 {
            pair.world.degrade(End::Router(0, SYNC), Quality::ROUGH);
        }
        begin_flows(&mut pair, FLOWS);
        pair.settle();
        for round in 0..3 {
            let active = pair.leader().unwrap();
            pair.request(active, koi::cluster::role::Request::Resign);
            pair.run_until(Duration::from_secs(2), "a takeover", |pair| pair.leader() == Some(1 - active));
            begin_flows(&mut pair, 10 * round);
            pair.settle();
            let row = row(&pair, active);
            assert!(row.walk.by_name >= u32::from(FLOWS) / 2, "{row:?}");
            assert!(row.walk.full < u32::from(FLOWS) / 2, "{row:?}");
        }
        pair.finish();
    });
}

#[test]
fn an_operator_at_either_node_gets_everything_told_anew() {
    for_some_seeds(SEEDS, |seed| {
        let mut pair = Pair::new(seed);
        begin_flows(&mut pair, FLOWS);
        pair.settle();
        pair.traffic.take_gap(pair.world.now);
        for node in 0..2 {
            let before = row(&pair, node).stream;
            pair.tell_again(node);
            pair.look_until(Duration::from_secs(3), "a proof", |pair| {
                let row = row(pair, node);
                row.stream != before && row.digests.equal && row.synced
            });
            let row = row(&pair, 1 - pair.leader().unwrap());
            assert!(row.walk.full >= u32::from(FLOWS) && row.walk.by_name == 0, "{row:?}");
        }
        let gap = pair.traffic.take_gap(pair.world.now);
        assert!(gap <= Duration::from_millis(20), "silence of {gap:?}");
        pair.finish();
    });
}
