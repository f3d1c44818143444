//! Koi: a userspace router and firewall that runs as a pair.

pub mod config;
pub mod conntrack;
pub mod io;
pub mod nat;
pub mod node;
pub mod rules;
pub mod types;
pub mod wire;
