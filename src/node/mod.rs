//! The whole router as one value.
//!
//! [`Shard`] is the router (or one worker's share of it), [`Compiled`] the configuration that it obeys, [`Outbox`]
//! what it hands to the edge. `forward.rs` is the packet path.
//!
//! Invariant: nothing here reads a clock, a file or a socket; the same calls give the same bytes.

mod apply;
mod arrival;
mod command;
mod compiled;
mod departure;
mod drops;
mod forward;
mod local;
mod notice;
mod outbox;
mod rate;
mod refusal;
mod related;
mod replication;
mod report;
mod shard;
mod size;
pub mod snapshot;
mod traffic;

pub use command::{CaptureSink, Command, Imported, Replication, Reply};
pub use compiled::{Compiled, Link, RouteOrigin};
pub use notice::Notice;
pub use outbox::Outbox;
pub use replication::CHUNK;
pub use shard::{Shard, Why};

pub use crate::wire::Offload;
