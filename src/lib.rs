//! Koi: a userspace router and firewall that runs as a pair.

pub mod config;
pub mod node;
pub mod types;
pub mod wire;
