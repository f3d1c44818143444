//! The simulator: whole routers, hosts and cables in simulated time.
//!
//! Each scenario runs for many seeds (`KOI_SIM_SEEDS`, default 40); a failing seed prints itself, and
//! `KOI_SIM_SEED=N` runs that one alone.
//!
//! Actors: `world` (time, and all that happens in it), `router` (a shard and its queues), `stack` (the router's own
//! TCP stack), `host` with `path_mtu` (end hosts), `cable`. Networks: `story` (WAN, LAN, DMZ), `far` (the same
//! behind a provider's router), `pair` (two nodes and their switches; `crew` is a node's helm and courier, `clock` its
//! clock, `traffic` what goes on meanwhile, `stream` numbered datagrams of
//! which none may be missing). `forge` makes the frames that no host would send, `audit` watches every
//! frame that a router sends, `invariants` what must hold of two nodes. All other files are scenarios.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod audit;
mod cable;
mod chaos;
mod clock;
mod crew;
mod drills;
mod errors;
mod far;
mod floods;
mod forge;
mod fragments;
mod handovers;
mod host;
mod invariants;
mod joins;
mod links;
mod orders;
mod own_stack;
mod pair;
mod path_mtu;
mod policy;
mod router;
mod stack;
mod story;
mod stream;
mod swarm;
mod switch;
mod takeovers;
mod times;
mod traffic;
mod transfers;
mod translation;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Runs a scenario for every seed; names the seed that fails.
pub fn for_each_seed(scenario: impl Fn(u64)) {
    for_some_seeds(u64::MAX, scenario);
}

/// The same for at most `limit` seeds: for scenarios that take long.
pub fn for_some_seeds(limit: u64, scenario: impl Fn(u64)) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("KOI_SIM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("KOI_SIM_SEEDS").unwrap_or(40).min(limit),
    };
    for seed in seeds {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| scenario(seed))) {
            eprintln!("this was seed {seed}: run it alone with KOI_SIM_SEED={seed}");
            resume_unwind(panic);
        }
    }
}
