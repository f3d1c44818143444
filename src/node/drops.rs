//! The count of every lost packet, and a bounded ring of the recent ones.

use std::collections::VecDeque;

use crate::types::{Instant, InterfaceId, RuleId};
use crate::wire::{Drop, FlowKey};

/// How many recent drops are kept.
const RING: usize = 1024;

/// A lost packet.
#[derive(Clone, Copy, Debug)]
pub struct Dropped {
    /// When.
    pub at: Instant,
    /// Why.
    pub reason: Drop,
    /// The interface by which it came in; [`InterfaceId::SELF`] for the router's own.
    pub interface: InterfaceId,
    /// The flow as the packet showed it, when it could be parsed.
    pub key: Option<FlowKey>,
    /// The rule that decided, when one did.
    pub rule: Option<RuleId>,
}

/// Counters and ring.
pub struct Drops {
    counts: [u64; Drop::COUNT],
    recent: VecDeque<Dropped>,
}

impl Drops {
    /// None so far.
    pub fn new() -> Self {
        Drops { counts: [0; Drop::COUNT], recent: VecDeque::with_capacity(RING) }
    }

    /// Notes a lost packet.
    pub fn note(&mut self, dropped: Dropped) {
        self.counts[dropped.reason as usize] += 1;
        if self.recent.len() == RING {
            self.recent.pop_front();
        }
        self.recent.push_back(dropped);
    }

    /// Counts without a place in the ring, for losses that have no single packet.
    pub fn count(&mut self, reason: Drop, packets: u64) {
        self.counts[reason as usize] += packets;
    }

    /// How many packets were lost for `reason`.
    pub fn of(&self, reason: Drop) -> u64 {
        self.counts[reason as usize]
    }

    /// The recent ones, newest first.
    pub fn recent(&self) -> impl Iterator<Item = &Dropped> {
        self.recent.iter().rev()
    }
}

impl Default for Drops {
    fn default() -> Self {
        Self::new()
    }
}
