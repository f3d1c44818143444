//! Takeovers that nothing forces, clocks that jump, actors that starve.

use std::time::Duration;

use koi::cluster::role::Request;

use crate::for_some_seeds;
use crate::pair::Pair;

const SEEDS: u64 = 20;

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn the_role_goes_there_and_back_twice_by_hand() {
    for_some_seeds(SEEDS, |seed| {
        let mut pair = Pair::new(seed);
        pair.traffic.take_gap(pair.world.now);
        for round in 0..4 {
            let active = pair.leader().unwrap();
            match (seed + round).is_multiple_of(2) {
                true => pair.request(active, Request::Resign),
                false => pair.request(1 - active, Request::TakeOver),
            }
            pair.run_for(millis(400));
            assert_eq!(pair.leader(), Some(1 - active));
            pair.settle();
        }
        let gap = pair.traffic.take_gap(pair.world.now);
        assert!(gap <= millis(20), "silence of {gap:?}");
        pair.finish();
    });
}

#[test]
fn a_calendar_that_is_set_costs_no_datagrams() {
    for_some_seeds(SEEDS, |seed| {
        let mut pair = Pair::new(seed);
        pair.traffic.take_gap(pair.world.now);
        for node in [0, 1] {
            pair.set_calendar(node, 3_600_000_000_000);
            pair.run_for(millis(300));
            pair.set_calendar(node, 0);
            pair.run_for(millis(300));
        }
        let gap = pair.traffic.take_gap(pair.world.now);
        assert!(gap <= millis(100), "silence of {gap:?}");
        pair.finish();
    });
}

#[test]
fn a_node_that_stood_still_after_its_takeover_says_nothing_without_a_lease() {
    for_some_seeds(SEEDS, |seed| {
        let mut pair = Pair::new(seed);
        let active = pair.leader().unwrap();
        pair.power_off(active);
        pair.run_until(millis(200), "a takeover", |pair| pair.leader() == Some(1 - active));
        pair.freeze(1 - active, millis(2500), seed.is_multiple_of(2));
        pair.run_for(millis(3000));
        pair.heal();
        pair.finish();
    });
}

#[test]
fn a_forward_thread_that_gets_no_processor_for_a_while_costs_no_role() {
    for_some_seeds(SEEDS, |seed| {
        let mut pair = Pair::new(seed);
        let active = pair.leader().unwrap();
        for node in [active, 1 - active, active] {
            // Long enough for its ways to be called silent, and short of being called stuck.
            pair.hang(node, true);
            pair.run_for(millis(60 + seed % 35));
            pair.hang(node, false);
            pair.run_for(millis(1500));
            assert_eq!(pair.leader(), Some(active), "node {node} stood still");
        }
        pair.finish();
    });
}

#[test]
fn starved_actors_delay_and_break_nothing() {
    for_some_seeds(SEEDS, |seed| {
        let mut pair = Pair::new(seed);
        let most = 1_000_000 * (1 + seed % 30);
        pair.starve(0, [most / 2, most * 4, most]);
        pair.starve(1, [most, most, most / 2]);
        pair.run_for(millis(1500));
        pair.heal();
        pair.finish();
    });
}
