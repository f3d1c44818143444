//! The stream of changes from the active node's tables to the standby's.
//!
//! [`Sender`] numbers the chunks that the shards hand over and repeats what was lost; [`Receiver`] gives them out in
//! exactly that order. Neither looks into a chunk. A stream has a number (the session of the channel and the epoch);
//! a new one begins with everything that there is, so nothing of an old one needs to be kept.
//!
//! Whether the two tables are the same is proven by digests in the stream; [`Proof`] keeps what the standby has found.
//!
//! Invariant: what has been given out is a prefix of what was pushed, each chunk once; at most [`WINDOW`] chunks are
//! under way or wait to be applied.

mod datagram;
mod proof;
mod receiver;
mod sender;

#[cfg(test)]
mod tests;

pub use datagram::{Datagram, HEADER, SLOTS, Slots, StreamId};
pub use proof::{Evidence, Proof, ProofCounters, ProofSnapshot, Verdict};
pub use receiver::{Item, Receiver, ReceiverCounters, ReceiverOutbox, ReceiverSnapshot, Why as ReceiverWhy};
pub use sender::{Sender, SenderCounters, SenderOutbox, SenderSnapshot, Why as SenderWhy};

/// The most chunks that are not applied yet.
pub const WINDOW: u64 = 256;
