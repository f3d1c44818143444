//! What the elector refused or suffered, under names that an operator understands.

use serde::Serialize;

/// Counted since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct RoleCounters {
    /// Leases that lapsed.
    pub fences: u64,
    /// Jumps of the machine's clock.
    pub clock_jumps: u64,
    /// Takeovers by this node.
    pub takeovers: u64,
    /// Planned moves of the role to the other node, begun by this one.
    pub handovers: u64,
    /// Times that both nodes were active in one epoch.
    pub conflicts: u64,
    /// Heartbeats older than one that came before.
    pub late_heartbeats: u64,
    /// Heartbeats on paths that are none of ours.
    pub unknown_paths: u64,
    /// Resignations of an epoch that is over.
    pub stale_resignations: u64,
    /// Transitions that the timeline has forgotten.
    pub forgotten_transitions: u64,
}
