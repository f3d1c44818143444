//! Koi: a userspace router and firewall that runs as a pair.

pub mod cli;
pub mod config;
pub mod io;
pub mod node;
pub mod rules;
pub mod types;
pub mod wire;
