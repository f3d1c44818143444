//! A standby that knows nothing joins an active node with many flows, and takes over, perhaps in the middle.

use std::net::Ipv4Addr;
use std::time::Duration;

use koi::types::MacAddr;

use crate::cable::Quality;
use crate::for_some_seeds;
use crate::forge::{self, Ends, Stations};
use crate::pair::Pair;
use crate::world::End;

const SEEDS: u64 = 10;
const FLOWS: u16 = 2000;

/// One node, alone, with many flows.
fn alone(seed: u64) -> Pair {
    let mut pair = Pair::cold(seed, Quality::CLEAN);
    pair.start(0, true);
    pair.run_until(Duration::from_secs(6), "a node that serves alone", |pair| pair.leader() == Some(0));
    pair.traffic.begin(&mut pair.world);
    pair.run_until(Duration::from_secs(5), "an answer", |pair| pair.traffic.flows());
    let stations = Stations { from: MacAddr([2, 0, 0, 0, 0, 2]), to: MacAddr([0, 0, 0x5e, 0, 1, 2]) };
    for number in 0..FLOWS {
        let from = (Ipv4Addr::new(192, 168, 1, 10), 10_000 + number);
        let ends = Ends { from, to: (Ipv4Addr::new(203, 0, 113, 1), 7) };
        pair.world.emit(End::Host(1), forge::udp(stations, ends, b"koi"));
        if number % 50 == 0 {
            pair.run_for(Duration::from_millis(1));
        }
    }
    pair.run_for(Duration::from_millis(5));
    assert!(pair.world.routers[0].shard.states() > usize::from(FLOWS));
    pair
}

#[test]
fn a_cold_standby_learns_all_flows() {
    for_some_seeds(SEEDS, |seed| {
        let mut pair = alone(seed);
        pair.start(1, true);
        pair.settle();
        // In its first second a node waits longer for others.
        pair.run_for(Duration::from_millis(1200));
        assert!(pair.world.routers[1].shard.states() > usize::from(FLOWS));
        pair.power_off(0);
        pair.run_until(Duration::from_millis(300), "a takeover", |pair| pair.leader() == Some(1));
        pair.heal();
        pair.finish();
    });
}

#[test]
fn a_standby_that_takes_over_in_the_middle_of_the_walk_goes_on_with_what_it_has() {
    for_some_seeds(SEEDS, |seed| {
        let mut pair = alone(seed);
        pair.start(1, true);
        let some = 1 + usize::from(FLOWS) * (seed as usize % 10) / 10;
        pair.run_until(Duration::from_secs(10), "a part of the flows", |pair| {
            pair.world.routers[1].shard.states() >= some
        });
        pair.power_off(0);
        pair.run_for(Duration::from_millis(1500));
        assert_eq!(pair.leader(), Some(1), "whoever is alone serves");
        assert!(pair.world.routers[1].shard.states() >= some);
        pair.heal();
        pair.finish();
    });
}
