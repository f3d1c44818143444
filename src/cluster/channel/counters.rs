//! What an end of the channel counts.

use serde::Serialize;

/// What the channel has counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Counters {
    /// Sealed messages that were opened.
    pub opened: u64,
    /// Datagrams beyond the budget of their path, not looked at.
    pub over_budget: u64,
    /// Datagrams that are no message of the pair.
    pub malformed: u64,
    /// Sealed messages that were not the peer's, or were changed.
    pub forged: u64,
    /// Sealed messages that came before, or too late to know. A confirmation goes over every path and counts once: so a
    /// new session adds a few.
    pub replayed: u64,
    /// Heartbeats that came over another path than their own.
    pub misplaced: u64,
    /// Messages for another reader (replication, pairing).
    pub elsewhere: u64,
    /// Sealed messages of no session that is known.
    pub unknown_session: u64,
    /// Handshake messages that were not the peer's, or were changed.
    pub handshakes_forged: u64,
    /// Handshake messages that came before, or are of no use any more.
    pub handshakes_stale: u64,
    /// Handshake messages beyond what may be computed in a second.
    pub handshakes_over_budget: u64,
    /// Handshakes answered.
    pub handshakes_answered: u64,
    /// Sessions that stood.
    pub sessions: u64,
}
