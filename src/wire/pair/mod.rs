//! What the two nodes of a pair say to each other, as bytes.

pub mod flow;
pub mod heartbeat;

pub use heartbeat::{Health, Heartbeat};
