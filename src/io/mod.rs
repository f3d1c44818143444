//! The edge: TAPs, io_uring, clock, randomness, threads. The only module that touches the machine.
//!
//! Invariant: this is the only module with `unsafe`, and nearly all of it stands in `sys` and `uring`, each block
//! with the reason why it is sound. Everything above is pure and is driven from here.

#![expect(unsafe_code, reason = "system calls and io_uring; every block says why it is sound")]

mod adaptive;
mod almanac;
pub mod archive;
pub mod arrivals;
mod attachment;
mod backoff;
pub mod both;
pub mod capture;
mod channel;
pub mod child;
pub mod clock;
mod colleague;
pub mod config_request;
pub mod control;
pub mod control_client;
mod council;
mod courier_link;
mod courier_thread;
mod crier;
#[cfg(test)]
mod crier_tests;
mod desk;
mod devices;
pub mod drill;
pub mod echo_socket;
pub mod engine;
pub mod entropy;
mod errands;
mod favoured;
pub mod files;
pub mod flow_filter;
pub mod forward;
pub mod guestinfo;
mod handle;
mod helm_link;
mod helm_thread;
mod herald;
pub mod host_link;
pub mod host_listener;
#[cfg(test)]
mod host_tests;
pub mod host_thread;
pub mod inquiry;
pub mod keys;
mod link_request;
pub mod links;
mod lists;
pub mod log;
mod log_file;
pub mod log_ring;
pub mod machine;
pub mod memory;
mod mirror;
pub mod netlink;
pub mod netns;
pub mod nic;
#[cfg(test)]
pub mod office;
mod orders;
pub mod pace;
pub mod pair_threads;
mod pairing;
pub mod parent;
mod parent_config;
pub mod peer_log;
pub mod places;
pub mod plain;
mod plain_http;
pub mod poller;
pub mod port;
pub mod post;
pub mod power;
pub mod privilege;
pub mod prober;
pub mod process;
pub mod program;
mod reloads;
pub mod request;
pub mod rotated;
pub mod router;
mod sabotage;
pub mod sandbox;
pub mod signals;
mod single;
mod spec;
pub mod stamped;
mod standing;
mod steward;
mod sys;
mod sys_precedence;
mod sys_process;
mod tally;
pub mod tap;
pub mod terminal;
#[cfg(test)]
mod testbed;
mod token_exchange;
pub mod token_request;
pub mod token_store;
pub mod upgrade;
mod upgrader;
mod upkeep;
mod uring;
