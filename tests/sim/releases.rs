//! A node of this release and one of the release before: in either order they are a pair, and one takes the other's place.

use std::time::Duration;

use koi::cluster::role::Request;
use koi::types::{Random, Seed};
use koi::wire::pair::Version;

use crate::cable::Quality;
use crate::for_some_seeds;
use crate::hardships::bad;
use crate::pair::{Pair, SYNC};
use crate::world::End;

const SEEDS: u64 = 10;

fn mixed(seed: u64, old: usize) -> Pair {
    let mut pair = Pair::cold(seed, Quality::CLEAN);
    pair.speaks[old] = Version::OLDEST;
    (0..2).for_each(|node| pair.start(node, true));
    pair.settle();
    pair.traffic.begin(&mut pair.world);
    pair.run_until(Duration::from_secs(5), "an answer", |pair| pair.traffic.flows());
    pair.run_for(Duration::from_millis(50));
    pair
}

fn speaks(pair: &Pair, node: usize) -> bool {
    pair.world.routers[node].crew.as_ref().unwrap().helm.peer_speaks(Version::NEWEST)
}

#[test]
fn a_pair_of_two_releases_fails_over_in_both_orders() {
    for_some_seeds(SEEDS, |seed| {
        let mut pair = mixed(seed, seed as usize % 2);
        assert!((0..2).all(|node| !speaks(&pair, node)), "both say what the older one knows");
        let active = pair.leader().unwrap();
        pair.power_off(active);
        pair.run_until(Duration::from_millis(300), "a takeover", |pair| pair.leader() == Some(1 - active));
        pair.heal();
        pair.finish();
    });
}

#[test]
fn the_older_node_is_upgraded_and_both_speak_the_newer_release() {
    for_some_seeds(SEEDS, |seed| {
        let old = seed as usize % 2;
        let mut pair = mixed(seed, old);
        pair.power_off(old);
        pair.run_until(Duration::from_millis(300), "its peer serves", |pair| pair.leader() == Some(1 - old));
        pair.speaks[old] = Version::NEWEST;
        pair.start(old, false);
        pair.settle();
        // What a node says of its health counts when it has held for a second.
        pair.run_for(Duration::from_millis(1500));
        assert!((0..2).all(|node| speaks(&pair, node)));
        // And back: a node of the release before is never told what it does not know.
        pair.power_off(1 - old);
        pair.run_until(Duration::from_millis(300), "its peer serves", |pair| pair.leader() == Some(old));
        pair.speaks[1 - old] = Version::OLDEST;
        pair.start(1 - old, false);
        pair.settle();
        pair.run_for(Duration::from_millis(1500));
        assert!((0..2).all(|node| !speaks(&pair, node)));
        pair.finish();
    });
}

/// What an upgrade does to the pair, one after the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// The standby starts again with the newer release.
    Standby,
    /// The active node hands over to it.
    Handover,
    /// The other one starts again with the newer release.
    Other,
}

impl Stage {
    const ALL: [Stage; 3] = [Stage::Standby, Stage::Handover, Stage::Other];

    /// Begins it; says which node may die meanwhile without taking the only copy of the flows along.
    fn begin(self, pair: &mut Pair, first: usize, seed: u64) -> usize {
        match self {
            Stage::Standby => {
                restart(pair, 1 - first);
                1 - first
            }
            Stage::Handover => {
                pair.request(first, Request::HandOver);
                seed as usize % 2
            }
            Stage::Other => {
                restart(pair, first);
                first
            }
        }
    }

    fn end(self, pair: &mut Pair, first: usize) {
        if self == Stage::Handover {
            pair.run_until(Duration::from_millis(500), "a handover", |pair| pair.leader() == Some(1 - first));
        }
        pair.settle();
        // What a node says of its health counts when it has held for a second.
        pair.run_for(Duration::from_millis(2500));
    }
}

/// A process ends, and its parent starts the newer program.
fn restart(pair: &mut Pair, node: usize) {
    pair.crash(node);
    pair.speaks[node] = Version::NEWEST;
    pair.start(node, false);
}

#[test]
fn an_upgrade_over_a_bad_cable_loses_no_flow() {
    for_some_seeds(SEEDS, |seed| {
        let mut pair = mixed(seed, 0);
        let first = pair.leader().unwrap();
        pair.world.degrade(End::Router(0, SYNC), bad(seed));
        // Of a node of the release before nobody can take over without a gap: the standby is the older one.
        pair.speaks = [Version::NEWEST; 2];
        for stage in [Stage::Standby, Stage::Other] {
            stage.begin(&mut pair, first, seed);
            pair.run_for(Duration::from_millis(300));
            assert!(pair.leader().is_some(), "{stage:?}: one leads");
            pair.settle();
            pair.run_for(Duration::from_millis(2500));
        }
        assert!((0..2).all(|node| speaks(&pair, node)));
        let active = pair.leader().unwrap();
        // While a datagram is told again the standby is behind, and it is refused.
        for _ in 0..20 {
            if pair.leader() == Some(active) {
                pair.request(active, Request::HandOver);
            }
            pair.run_for(Duration::from_millis(100));
        }
        assert_eq!(pair.leader(), Some(1 - active), "handed over");
        pair.run_for(Duration::from_secs(1));
        pair.world.degrade(End::Router(0, SYNC), Quality::CLEAN);
        pair.finish();
    });
}

#[test]
fn a_crash_at_every_step_of_an_upgrade_leaves_one_active_node_and_all_flows() {
    for_some_seeds(SEEDS, |seed| {
        for struck in Stage::ALL {
            // Of a node of the release before nobody can take over without a gap: both are of the newer one here.
            let mut pair = Pair::new(seed);
            let first = pair.leader().unwrap();
            let mut random: Random = Seed([seed, 23]).random();
            for stage in Stage::ALL {
                let victim = stage.begin(&mut pair, first, seed);
                if stage == struck {
                    pair.run_for(Duration::from_micros(random.below(40_000)));
                    match seed % 3 {
                        0 => pair.power_off(victim),
                        _ => pair.crash(victim),
                    }
                    pair.run_for(Duration::from_millis(300));
                    assert!(pair.leader().is_some(), "{stage:?}: one leads");
                    break;
                }
                stage.end(&mut pair, first);
            }
            pair.heal();
            pair.finish();
        }
    });
}
