//! The heartbeat: what a node says of itself every ten milliseconds, on every path.

use serde::{Deserialize, Serialize};

use crate::types::{Epoch, PathId, Role};

/// What a node says of itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Heartbeat {
    /// The newest epoch that the sender knows.
    pub epoch: Epoch,
    /// Its role.
    pub role: Role,
    /// Its preference: higher wins ties.
    pub preference: u8,
    /// How well it can serve.
    pub health: Health,
    /// Counts the sender's heartbeats; the same on every path.
    pub sequence: u64,
    /// The sender's nanoseconds.
    pub sent: u64,
    /// The newest sequence heard, for each path.
    pub heard: Vec<(PathId, u64)>,
    /// The sender's worst own lateness in the last second.
    pub lateness_micros: u32,
    /// The sender has stopped its lease: take over.
    pub resigns: bool,
    /// The sender wants to stay standby.
    pub maintenance: bool,
    /// The hash of its document.
    pub config_hash: u64,
    /// Replication: the newest applied sequence.
    pub applied: u64,
    /// The version of its messages.
    pub version: u16,
}

/// How well a node can serve, in the order in which it counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Health {
    /// The forwarding loop turns.
    pub forwarding: bool,
    /// Critical links that are up.
    pub links: u8,
    /// Gateways that answer.
    pub gateways: u8,
    /// It has the peer's states.
    pub synced: bool,
}
