//! The simulator: whole routers, hosts and cables in simulated time.
//!
//! Each scenario runs for many seeds (`KOI_SIM_SEEDS`, default 40); a failing seed prints itself, and
//! `KOI_SIM_SEED=N` runs that one alone.
//!
//! Actors: `world` (time, and all that happens in it), `router` (a shard and its queues), `stack` (the router's own
//! TCP stack), `host` with `path_mtu` (end hosts), `cable`. Networks: `story` (WAN, LAN, DMZ), `far` (the same
//! behind a provider's router), `pair` (two nodes and their switches; `crew` is a node's helm and courier, `clock` its
//! clock, `traffic` what goes on meanwhile, `stream` numbered datagrams of which none may be missing).
//! `ledger` knows which flows the standby has acknowledged.
//! `spoil` damages what a standby is told, `forge` makes the frames that no host would send, `audit` watches every
//! frame that a router sends, `invariants` what must hold of two nodes. All other files are scenarios.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod audit;
mod cable;
mod changes;
mod chaos;
mod clock;
mod conformance;
mod crew;
mod defences;
mod detours;
mod drills;
mod errors;
mod far;
mod floods;
mod forge;
mod fragments;
mod gateways;
mod handovers;
mod hardships;
mod host;
mod invariants;
mod joins;
mod ledger;
mod links;
mod orders;
mod own_stack;
mod pair;
mod path_mtu;
mod policy;
mod releases;
mod renewals;
mod resyncs;
mod router;
mod seeds;
mod segments;
mod spoil;
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

use seeds::{for_each_seed, for_some_seeds};
