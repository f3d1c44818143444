//! With `defer`, a flow's first packet waits until the peer's node knows the flow: whoever has seen the packet can
//! then rely on it that the flow outlives this node.
//!
//! A packet waits for the chunk that tells of its flow. Chunks are counted from the beginning of the telling, as the
//! stream to the peer's node counts them, which acknowledges them by number.
//!
//! Invariant: nothing waits longer than [`LIMIT`], at most [`ROOM`] wait, and no later packet of a flow overtakes the
//! first. What could not wait for long enough goes on and is counted.

use std::collections::VecDeque;

use super::Shard;
use super::departure::Departure;
use super::outbox::Outbox;
use crate::conntrack::Hit;
use crate::types::{Duration, Instant, InterfaceId};
use crate::wire::FlowKey;

/// The longest wait.
const LIMIT: Duration = Duration::from_millis(10);
/// The most packets that wait.
const ROOM: usize = 128;

/// What waits.
#[derive(Default)]
pub(super) struct Deferral {
    held: VecDeque<Held>,
    /// Chunks made since the telling began.
    told: u64,
    /// Chunks that the peer's node has applied.
    acked: u64,
    pub counters: DeferralCounters,
}

/// What happened.
#[derive(Clone, Copy, Default)]
pub(super) struct DeferralCounters {
    /// Packets that waited.
    pub held: u64,
    /// Of these: the peer's node did not answer in time.
    pub late: u64,
    /// Packets that did not wait, since too many did.
    pub crowded: u64,
    /// Packets that waited until a later one of their flow came.
    pub hurried: u64,
}

struct Held {
    until: Instant,
    hit: Hit,
    /// The chunk that tells of the flow, once there is one.
    chunk: Option<u64>,
    departure: Departure,
}

impl Deferral {
    /// Another chunk was made.
    pub(super) fn count_chunk(&mut self) {
        self.told += 1;
    }

    /// When the first one has waited for long enough.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.held.front().map(|held| held.until)
    }

    /// True when something waits.
    #[inline]
    pub(super) fn is_in_use(&self) -> bool {
        !self.held.is_empty()
    }

    /// All that wait, in order.
    pub(super) fn take_all(&mut self) -> impl Iterator<Item = Departure> + use<> {
        self.take(|_| true).into_iter().map(|held| held.departure)
    }

    fn take(&mut self, ready: impl Fn(&Held) -> bool) -> Vec<Held> {
        let (ready, held) = self.held.drain(..).partition(ready);
        self.held = held;
        VecDeque::into(ready)
    }
}

impl Shard {
    /// Sends a flow's first packet, or lets it wait.
    pub(super) fn depart_first(&mut self, now: Instant, departure: Departure, out: &mut Outbox) {
        let wanted = self.compiled.pair.as_ref().is_some_and(|pair| pair.defer);
        let told = departure.ingress != InterfaceId::SELF && self.table.keeps_changes();
        match (wanted && told).then(|| self.table.look_up(&departure.original)).flatten() {
            Some(_) if self.deferral.held.len() >= ROOM => {
                self.deferral.counters.crowded += 1;
                self.depart(now, departure, out);
            }
            Some(hit) => {
                self.deferral.counters.held += 1;
                self.deferral.held.push_back(Held { until: now + LIMIT, hit, chunk: None, departure });
            }
            None => self.depart(now, departure, out),
        }
    }

    /// A later packet of a flow must not overtake the first.
    pub(super) fn hurry(&mut self, now: Instant, key: &FlowKey, out: &mut Outbox) {
        for held in self.deferral.take(|held| held.departure.original == *key) {
            self.deferral.counters.hurried += 1;
            self.let_go(now, held.departure, out);
        }
    }

    /// Chunks have been made: flows that nobody has to be told of any more are in them.
    pub(super) fn number_deferred(&mut self) {
        for held in self.deferral.held.iter_mut().filter(|held| held.chunk.is_none()) {
            if !self.table.is_untold(held.hit) {
                held.chunk = Some(self.deferral.told);
            }
        }
    }

    /// The peer's node has applied this many chunks of the present telling.
    pub fn handle_acked(&mut self, now: Instant, acked: u64, out: &mut Outbox) {
        self.take_up_duty(now);
        self.deferral.acked = self.deferral.acked.max(acked);
        let acked = self.deferral.acked;
        for held in self.deferral.take(|held| held.chunk.is_some_and(|chunk| chunk <= acked)) {
            self.let_go(now, held.departure, out);
        }
        self.finish(now, out);
    }

    /// Whether packets wait for [`Shard::handle_acked`].
    pub fn has_deferred(&self) -> bool {
        self.deferral.is_in_use()
    }

    /// What [`Shard::handle_acked`] was last told.
    pub fn acked(&self) -> u64 {
        self.deferral.acked
    }

    /// What has waited for long enough goes on.
    pub(super) fn end_deferral(&mut self, now: Instant, out: &mut Outbox) {
        for held in self.deferral.take(|held| held.until <= now) {
            self.deferral.counters.late += 1;
            self.let_go(now, held.departure, out);
        }
    }

    /// Another telling, or none: the chunks that are waited for will not be acknowledged.
    pub(super) fn renumber_chunks(&mut self, now: Instant, out: &mut Outbox) {
        for held in self.deferral.take(|_| true) {
            self.deferral.counters.late += 1;
            self.let_go(now, held.departure, out);
        }
        (self.deferral.told, self.deferral.acked) = (0, 0);
    }

    fn let_go(&mut self, now: Instant, departure: Departure, out: &mut Outbox) {
        // It may have waited past the end of the lease.
        match self.duty.leads {
            true => self.depart(now, departure, out),
            false => self.recall(now, departure, out),
        }
    }
}

#[cfg(test)]
#[path = "deferral_tests.rs"]
mod tests;
