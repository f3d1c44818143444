//! The edge: TAPs, io_uring, clock, randomness, threads. The only module that touches the machine.
//!
//! Invariant: this is the only module with `unsafe`, and nearly all of it stands in `sys` and `uring`, each block
//! with the reason why it is sound. Everything above is pure and is driven from here.

#![expect(unsafe_code, reason = "system calls and io_uring; every block says why it is sound")]

mod adaptive;
mod attachment;
pub mod clock;
pub mod entropy;
pub mod host_link;
pub mod links;
pub mod netlink;
pub mod netns;
pub mod plain;
pub mod poller;
pub mod port;
mod single;
mod spec;
mod sys;
pub mod tap;
#[cfg(test)]
mod testbed;
mod uring;
