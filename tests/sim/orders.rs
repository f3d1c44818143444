//! Every order of two failures: the second comes while the first is being dealt with, or soon after, on either node.

use std::time::Duration;

use koi::types::{Random, Seed};

use crate::for_some_seeds;
use crate::pair::{LAN, Pair, SYNC, WAN};

/// Each seed takes every so-many-th order.
const SLICES: u64 = 40;
const SEEDS: u64 = 80;

/// What may fail.
#[derive(Clone, Copy, Debug)]
pub enum Failure {
    PowerOff,
    Crash,
    Freeze,
    Pause,
    UnplugWan,
    UnplugLan,
    MuteWan,
    UnplugSync,
    MuteSync,
    Gateway,
    Part,
    Hang,
}

impl Failure {
    pub const ALL: [Failure; 12] = [
        Failure::PowerOff,
        Failure::Crash,
        Failure::Freeze,
        Failure::Pause,
        Failure::UnplugWan,
        Failure::UnplugLan,
        Failure::MuteWan,
        Failure::UnplugSync,
        Failure::MuteSync,
        Failure::Gateway,
        Failure::Part,
        Failure::Hang,
    ];

    /// It happens to `node`; what stands still does so for `time`.
    pub fn happen(self, pair: &mut Pair, node: usize, time: Duration) {
        match self {
            Failure::PowerOff => pair.power_off(node),
            Failure::Crash => pair.crash(node),
            Failure::Freeze => pair.freeze(node, time, false),
            Failure::Pause => pair.freeze(node, time, true),
            Failure::UnplugWan => pair.unplug(node, WAN, true),
            Failure::UnplugLan => pair.unplug(node, LAN, true),
            Failure::MuteWan => pair.mute(node, WAN, true),
            Failure::UnplugSync => pair.unplug(node, SYNC, true),
            Failure::MuteSync => pair.mute(node, SYNC, true),
            Failure::Gateway => pair.lose_gateway(node, true),
            Failure::Part => pair.part(true),
            Failure::Hang => pair.hang(node, true),
        }
    }
}

#[test]
fn every_order_of_two_failures_is_survived() {
    for_some_seeds(SEEDS, |seed| {
        let all = Failure::ALL.len() as u64;
        for number in (seed % SLICES..all * all).step_by(SLICES as usize) {
            let first = Failure::ALL[(number / all) as usize];
            let second = Failure::ALL[(number % all) as usize];
            eprintln!("{first:?}, then {second:?}");
            both(seed, first, second);
        }
    });
}

fn both(seed: u64, first: Failure, second: Failure) {
    let mut random: Random = Seed([seed, 11]).random();
    let mut pair = Pair::new(seed);
    for failure in [first, second] {
        let active = pair.leader().unwrap_or_default();
        let node = if random.below(4) == 0 { 1 - active } else { active };
        eprintln!("{} {failure:?} of node {node}", pair.world.now);
        failure.happen(&mut pair, node, Duration::from_millis(20 + random.below(400)));
        let pause = if random.below(2) == 0 { 60 } else { 500 };
        pair.run_for(Duration::from_millis(random.below(pause)));
    }
    pair.run_for(Duration::from_millis(500));
    eprintln!("{} all is well again", pair.world.now);
    pair.heal();
    pair.finish();
}
