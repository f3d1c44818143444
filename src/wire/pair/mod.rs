//! What the two nodes of a pair say to each other.

pub mod heartbeat;

pub use heartbeat::{Health, Heartbeat};
