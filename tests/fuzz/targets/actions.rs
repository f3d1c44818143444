//! Whatever is done to the two nodes of a pair, the simulator's invariants hold after each step, and once all is mended
//! there is one active node, and the traffic flows.
//!
//! Input: a byte for the seed of links and clocks; then three bytes an action, as `tests/sim/swarm.rs` reads them: what,
//! how, and how many milliseconds pass.
#![no_main]
#![allow(dead_code, unused_imports, missing_docs, reason = "these files are the simulator's; its scenarios are not used")]

#[path = "../../sim/audit.rs"]
mod audit;
#[path = "../../sim/cable.rs"]
mod cable;
#[path = "../../sim/clock.rs"]
mod clock;
#[path = "../../sim/crew.rs"]
mod crew;
#[path = "../../sim/host.rs"]
mod host;
#[path = "../../sim/invariants.rs"]
mod invariants;
#[path = "../../sim/ledger.rs"]
mod ledger;
#[path = "../../sim/orders.rs"]
mod orders;
#[path = "../../sim/pair.rs"]
mod pair;
#[path = "../../sim/path_mtu.rs"]
mod path_mtu;
#[path = "../../sim/router.rs"]
mod router;
#[path = "../../sim/seeds.rs"]
mod seeds;
#[path = "../../sim/spoil.rs"]
mod spoil;
#[path = "../../sim/stack.rs"]
mod stack;
#[path = "../../sim/story.rs"]
mod story;
#[path = "../../sim/stream.rs"]
mod stream;
#[path = "../../sim/swarm.rs"]
mod swarm;
#[path = "../../sim/switch.rs"]
mod switch;
#[path = "../../sim/traffic.rs"]
mod traffic;
#[path = "../../sim/transfers.rs"]
mod transfers;
#[path = "../../sim/world.rs"]
mod world;

use std::time::Duration;

use koi_fuzz::Input;
use libfuzzer_sys::fuzz_target;
use seeds::{for_each_seed, for_some_seeds};

/// More would take longer than an input may.
const ACTIONS: usize = 8;

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let seed = u64::from(input.byte());
    let quality = if seed % 3 == 2 { cable::Quality::ROUGH } else { cable::Quality::CLEAN };
    let mut pair = pair::Pair::with(seed, quality);
    for _ in 0..ACTIONS {
        if input.is_empty() {
            break;
        }
        let (what, how, wait) = (input.byte(), input.byte(), input.byte());
        swarm::act(&mut pair, what, how);
        pair.run_for(Duration::from_millis(wait.into()));
    }
    pair.heal();
    pair.finish();
});
