//! Whatever comes to the seed's mind, one thing after the other.

use std::time::Duration;

use koi::cluster::role::Request;
use koi::types::Seed;

use crate::cable::Quality;
use crate::for_some_seeds;
use crate::orders::Failure;
use crate::pair::{LAN, Pair, SYNC, WAN};

const SEEDS: u64 = 200;
const ACTIONS: u64 = 10;

/// One action, as two bytes choose it.
pub fn act(pair: &mut Pair, what: u8, how: u8) {
    let node = usize::from(how & 1);
    let on = how & 2 != 0;
    let time = Duration::from_millis(u64::from(how) * 2);
    let port = [WAN, LAN, SYNC][usize::from(how >> 2) % 3];
    let failures = Failure::ALL.len() as u8;
    match what % 32 {
        number if number < failures => Failure::ALL[usize::from(number)].happen(pair, node, time),
        12 => pair.start(node, true),
        13 => pair.start(node, false),
        14 => pair.unplug(node, port, on),
        15 => pair.mute(node, port, on),
        16 => pair.part(on),
        17 => pair.lose_gateway(node, on),
        18 => pair.hang(node, on),
        19 => pair.request(node, Request::Resign),
        20 => pair.request(node, Request::TakeOver),
        21 => pair.request(node, Request::Maintenance(on)),
        22 => pair.request(node, Request::Disable(on)),
        23 => pair.set_calendar(node, u64::from(how) * 1_000_000),
        24 => pair.starve(node, [u64::from(how) * 40_000, u64::from(how) * 100_000, u64::from(how) * 40_000]),
        25 => pair.starve(node, [100_000; 3]),
        26 => pair.request(node, Request::HandOver),
        _ => pair.run_for(time),
    }
}

#[test]
fn whatever_happens_the_invariants_hold_and_the_pair_recovers() {
    for_some_seeds(SEEDS, |seed| {
        let mut random = Seed([seed, 13]).random();
        let quality = if seed % 3 == 2 { Quality::ROUGH } else { Quality::CLEAN };
        let mut pair = Pair::with(seed, quality);
        for _ in 0..ACTIONS {
            let [what, how, wait, ..] = random.next().to_le_bytes();
            println!("{} {} {how}", pair.world.now, what % 32);
            act(&mut pair, what, how);
            pair.run_for(Duration::from_millis(u64::from(wait)));
        }
        println!("{} all is well again", pair.world.now);
        pair.heal();
        pair.finish();
    });
}
