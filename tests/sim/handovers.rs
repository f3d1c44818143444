//! Planned moves of the role under ten thousand datagrams a second each way: none is lost, none comes twice, all come
//! in order. And whatever happens in the middle of it, one node leads in the end, and no flow is lost.

use std::time::Duration;

use koi::cluster::role::{Refusal, Request};
use koi::types::{Ceding, Random, Role, Seed};

use crate::cable::Quality;
use crate::for_some_seeds;
use crate::pair::{Pair, SYNC};
use crate::router::Router;
use crate::stream::Stream;
use crate::world::End;

const SEEDS: u64 = 20;
/// Each seed takes every so-many-th order of what happens.
const SLICES: u64 = 5;

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A pair with a stream, and the node that leads it.
fn pair_with_stream(seed: u64) -> (Pair, usize) {
    let mut pair = Pair::new(seed);
    pair.begin_stream();
    pair.run_for(Duration::from_micros(seed * 37 % 1000));
    let active = pair.leader().unwrap();
    (pair, active)
}

impl Pair {
    /// Both nodes have been well for long enough, and datagrams come back.
    pub fn begin_stream(&mut self) {
        self.run_until(Duration::from_secs(15), "a redundant pair", Pair::is_redundant);
        let stream = Stream::begin(&mut self.world);
        self.stream = Some(stream);
        self.run_for(millis(20));
    }

    /// The stream ends; what came of it must be perfect.
    pub fn expect_perfection(&mut self) {
        self.end_stream();
        let counts = self.stream.as_ref().unwrap().counts();
        if !counts.iter().all(|count| count.is_perfect() && count.sent > 100) {
            self.tell_of_drops();
            panic!("{counts:?}");
        }
    }

    fn expect_no_repetition(&mut self) {
        self.end_stream();
        let counts = self.stream.as_ref().unwrap().counts();
        assert!(counts.iter().all(|count| count.twice == 0), "{counts:?}");
    }

    fn end_stream(&mut self) {
        self.stream.as_mut().unwrap().stop();
        self.run_for(millis(200));
    }

    fn tell_of_drops(&self) {
        self.tell();
        for (node, router) in self.world.routers.iter().enumerate() {
            for drop in koi::wire::Drop::ALL {
                let count = router.shard.drops_of(*drop);
                if count > 0 {
                    eprintln!("node {node}: {} {count}", drop.name());
                }
            }
            for row in router.shard.snapshot(self.world.now).counters {
                if row.name.starts_with("handover") {
                    eprintln!("node {node}: {} {}", row.name, row.value);
                }
            }
        }
    }

    pub fn is_redundant(&self) -> bool {
        let says = |router: &Router| router.crew.as_ref().is_some_and(|crew| crew.helm.is_redundant());
        self.leader().is_some() && self.world.routers.iter().all(says)
    }

    fn ceding(&self, node: usize) -> Ceding {
        self.world.routers[node].crew.as_ref().unwrap().standing().cedes
    }
}

#[test]
fn a_handover_loses_nothing_repeats_nothing_and_keeps_the_order() {
    for_some_seeds(8, |seed| {
        let (mut pair, mut active) = pair_with_stream(seed);
        for round in 0..4 {
            pair.run_until(Duration::from_secs(15), "a redundant pair", Pair::is_redundant);
            match (seed + round) % 4 {
                0 => pair.request(active, Request::HandOver),
                1 => pair.request(1 - active, Request::TakeOver),
                2 => pair.request(active, Request::Maintenance(true)),
                _ => pair.request(active, Request::Disable(true)),
            }
            pair.run_until(millis(150), "the move", |pair| pair.leader() == Some(1 - active));
            pair.run_for(millis(300));
            pair.request(active, Request::Maintenance(false));
            pair.request(active, Request::Disable(false));
            active = 1 - active;
        }
        pair.expect_perfection();
        pair.finish();
    });
}

#[test]
fn a_handover_is_over_within_a_few_milliseconds() {
    for_some_seeds(SEEDS, |seed| {
        let (mut pair, active) = pair_with_stream(seed);
        pair.traffic.take_gap(pair.world.now);
        pair.request(active, Request::HandOver);
        pair.run_for(millis(300));
        assert_eq!(pair.leader(), Some(1 - active));
        let gap = pair.traffic.take_gap(pair.world.now);
        assert!(gap <= millis(20), "silence of {gap:?}");
        pair.expect_perfection();
    });
}

/// Where every thread waits for the processor, as on a machine with more to do than it can.
#[test]
fn a_handover_between_busy_nodes_loses_nothing() {
    for_some_seeds(SEEDS * 2, |seed| {
        let (mut pair, active) = pair_with_stream(seed);
        let most = 250_000 * (1 + seed % 40);
        pair.starve(active, [most / 2, most, most]);
        pair.starve(1 - active, [most / 2, most, most / 2]);
        pair.run_for(millis(50 + seed % 10));
        pair.request(active, if seed.is_multiple_of(2) { Request::HandOver } else { Request::Disable(true) });
        pair.run_until(millis(300), "the move", |pair| pair.leader() == Some(1 - active));
        pair.run_for(millis(700));
        assert_eq!(pair.leader(), Some(1 - active));
        pair.expect_perfection();
    });
}

#[test]
fn a_node_that_died_returns_by_the_same_way() {
    for_some_seeds(SEEDS, |seed| {
        let mut pair = Pair::new(seed);
        let active = pair.leader().unwrap();
        pair.power_off(active);
        pair.run_for(millis(500));
        pair.start(active, true);
        pair.settle();
        pair.begin_stream();
        pair.request(1 - active, Request::HandOver);
        pair.run_for(millis(300));
        if pair.leader() != Some(active) {
            pair.tell_of_drops();
            panic!("it does not lead again");
        }
        pair.expect_perfection();
        pair.finish();
    });
}

#[test]
fn a_bad_cable_between_the_nodes_costs_no_datagrams() {
    for_some_seeds(SEEDS, |seed| {
        let (mut pair, active) = pair_with_stream(seed);
        pair.world.change(End::Router(0, SYNC), Quality::ROUGH);
        pair.run_for(millis(100));
        pair.request(active, Request::HandOver);
        pair.run_for(millis(700));
        assert_eq!(pair.leader(), Some(1 - active));
        pair.world.change(End::Router(0, SYNC), Quality::CLEAN);
        pair.end_stream();
        let counts = pair.stream.as_ref().unwrap().counts();
        if !counts.iter().all(|count| count.sent == count.came && count.twice == 0) {
            pair.tell_of_drops();
            panic!("{counts:?}");
        }
        pair.finish();
    });
}

#[test]
fn a_standby_that_lacks_something_is_not_handed_over_to() {
    for_some_seeds(3, |seed| {
        let (mut pair, active) = pair_with_stream(seed);
        let refusals = |pair: &mut Pair, node: usize| {
            std::mem::take(&mut pair.world.routers[node].crew.as_mut().unwrap().refused)
        };
        pair.request(1 - active, Request::HandOver);
        pair.run_for(millis(50));
        assert_eq!(refusals(&mut pair, 1 - active), [Refusal::NotActive]);
        pair.unplug(active, SYNC, true);
        pair.run_for(millis(200));
        pair.request(active, Request::HandOver);
        pair.run_for(millis(50));
        assert_eq!(refusals(&mut pair, active), [Refusal::SyncDown]);
        pair.unplug(active, SYNC, false);
        pair.settle();
        pair.power_off(1 - active);
        pair.run_for(millis(200));
        pair.request(active, Request::HandOver);
        pair.run_for(millis(50));
        assert_eq!((refusals(&mut pair, active), pair.leader()), (vec![Refusal::PeerSilent], Some(active)));
        pair.heal();
        pair.expect_perfection();
    });
}

/// A step of a handover, in their order.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// The giver has stepped down.
    Begun,
    /// The taker has met the end of the changes.
    Met,
    /// The taker leads.
    Taken,
    /// The giver knows that.
    Known,
    /// The giver has said its last word.
    Over,
}

impl Step {
    const ALL: [Step; 5] = [Step::Begun, Step::Met, Step::Taken, Step::Known, Step::Over];

    fn is_reached(self, pair: &Pair, giver: usize) -> bool {
        let crew = |node: usize| pair.world.routers[node].crew.as_ref().unwrap();
        let taken = crew(1 - giver).standing().role == Role::Active;
        match self {
            Step::Begun => pair.ceding(giver) == Ceding::Relays,
            Step::Met => crew(1 - giver).courier.frozen().is_some(),
            Step::Taken => taken,
            Step::Known => pair.ceding(giver) == Ceding::Drains,
            Step::Over => taken && crew(giver).courier.snapshot(pair.world.now).direction != "sends",
        }
    }
}

/// A handover that comes to this step; then it happens.
fn in_the_middle(seed: u64, step: Step, happens: impl Fn(&mut Pair, usize)) -> Pair {
    let (mut pair, active) = pair_with_stream(seed);
    pair.request(active, Request::HandOver);
    pair.run_until(millis(300), "a step", |pair| step.is_reached(pair, active));
    let mut random: Random = Seed([seed, 17]).random();
    pair.run_for(Duration::from_micros(random.below(800)));
    eprintln!("{} {step:?}", pair.world.now);
    happens(&mut pair, active);
    pair
}

#[test]
fn a_crash_at_every_step_leaves_one_active_node_and_all_flows() {
    for_some_seeds(SEEDS, |seed| {
        // Each seed takes some of them.
        let all = [(0, true), (1, true), (0, false), (1, false)];
        let orders = Step::ALL.into_iter().flat_map(|step| all.map(|how| (step, how)));
        for (step, (victim, crash)) in orders.skip((seed % SLICES) as usize).step_by(SLICES as usize) {
            {
                eprintln!("{step:?}: the {} dies", ["giver", "taker"][victim]);
                let mut pair = in_the_middle(seed, step, |pair, giver| {
                    let node = if victim == 0 { giver } else { 1 - giver };
                    match crash {
                        true => pair.crash(node),
                        false => pair.power_off(node),
                    }
                });
                pair.run_for(millis(300));
                pair.stream.as_mut().unwrap().stop();
                pair.run_for(millis(1200));
                assert!(pair.leader().is_some(), "one leads");
                pair.expect_no_repetition();
                pair.heal();
                pair.finish();
            }
        }
    });
}

#[test]
fn a_cut_cable_at_every_step_leaves_one_active_node_and_all_flows() {
    for_some_seeds(SEEDS, |seed| {
        let orders = Step::ALL.into_iter().flat_map(|step| [(step, true), (step, false)]);
        for (step, silent) in orders.skip((seed % SLICES) as usize).step_by(SLICES as usize) {
            {
                let mut pair = in_the_middle(seed, step, |pair, giver| match silent {
                    true => pair.mute(giver, SYNC, true),
                    false => pair.unplug(giver, SYNC, true),
                });
                pair.run_for(millis(300));
                pair.stream.as_mut().unwrap().stop();
                pair.run_for(millis(1200));
                assert!(pair.leader().is_some(), "one leads");
                pair.expect_no_repetition();
                pair.heal();
                pair.finish();
            }
        }
    });
}

/// The host of a virtual machine takes its processors away for less than the peer waits: no role moves, and though the
/// lease is over, nothing is lost.
#[test]
fn a_node_that_stands_still_for_a_moment_loses_nothing() {
    for_some_seeds(SEEDS, |seed| {
        let (mut pair, active) = pair_with_stream(seed);
        pair.invariants.takeovers = 0;
        for turn in 0..5 {
            pair.run_until(millis(50), "an old lease", |pair| {
                let router = &pair.world.routers[active];
                let standing = router.crew.as_ref().unwrap().standing();
                standing.until.since(router.clock.local(pair.world.now)) <= millis(17)
            });
            pair.freeze(active, Duration::from_micros(17_500 + (seed + turn) * 7919 % 1000), false);
            pair.run_for(millis(300));
            assert_eq!(pair.leader(), Some(active));
        }
        let notices = &pair.world.routers[active].crew.as_ref().unwrap().notices;
        let lapses = notices.iter().filter(|(_, notice)| notice.text.contains("lapsed")).count();
        assert!(lapses >= 5, "{lapses} leases lapsed");
        assert_eq!(pair.invariants.takeovers, 0);
        pair.expect_perfection();
        pair.finish();
    });
}
