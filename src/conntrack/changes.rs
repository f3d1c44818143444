//! What the peer has to be told of a table.
//!
//! A flow that begins or whose state changes stands in line, by its slot, once; it is told as it is when its turn
//! comes, so what changes often is told rarely. A flow that was told and ends leaves its slot and generation. Both lines
//! are bounded: what finds no place makes its range of 256 slots dirty, and a dirty range is walked, each of its flows
//! told between its beginning and its end. So too much to tell is a delay and never a loss. A peer that knows nothing
//! is told everything the same way: all ranges are dirty.
//!
//! Counters and TCP's edges are told with every change, and of flows with traffic again every [`REFRESH`], by a slow
//! walk. Nothing needs the edges sooner: whoever takes over learns them from the first segment.
//!
//! A peer that once told this node of its own flows, and still has them, is told a flow by the slot that it has there;
//! only what it does not find the same is told in full. When all is told, digests follow, range by range, each at a
//! moment when nothing of its range waits: so what the peer computes at that place in the stream must be the same.
//!
//! Invariants: ends are told before anything else, so that nothing told of a slot is followed by the end of a flow
//! that was there before; flows that end on the router itself are never told; what a call does is bounded by its budget.

use std::collections::VecDeque;

use super::index::{Hit, Slot};
use super::ranges::Ranges;
use super::rounds::Rounds;
use super::slab::Store;
use super::table::Table;
use super::timer::Tick;
use super::writer::Writer;
use crate::types::{Duration, Family, Instant, Random, Seed};
use crate::wire::pair::flow::{self, Change, RANGE, Walked};

/// The most flows in line, and the most ends.
const LINE: usize = 1 << 16;
/// A flow with traffic is told again after this long.
pub(super) const REFRESH: Duration = Duration::from_secs(30);
/// Slots looked at in one step of that walk.
pub(super) const STEP: u32 = 32;
/// Slots of a dirty range looked at by one call.
pub(super) const VISITS: usize = 256;

/// What waits to be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Backlog {
    /// Flows in line.
    pub flows: usize,
    /// Ends of flows in line.
    pub ends: usize,
    /// Ranges to be walked.
    pub ranges: usize,
    /// How often a line was full.
    pub overflows: u64,
}

/// What waits to be told.
pub(super) struct Changes {
    pub(super) line: VecDeque<u32>,
    ends: VecDeque<(u32, u16)>,
    pub(super) dirty: Ranges,
    pub(super) walk: Option<Walk>,
    /// The end of the first walk was not told yet.
    pub(super) incomplete: bool,
    /// The peer has the flows that the mirror knows by its slots.
    by_name: bool,
    /// What the first walk has told, until that is said.
    walked: Option<Walked>,
    pub(super) rounds: Rounds,
    /// Where the slow walk is, and when it goes on.
    pub(super) refresh: (Option<Slot>, Instant),
    line_limit: usize,
    overflows: u64,
}

/// A range on its way.
pub(super) struct Walk {
    pub(super) next: u32,
    pub(super) last: u32,
}

impl Changes {
    /// Everything is to be told.
    fn new(store: &Store, now: Instant, line_limit: usize, by_name: bool, keys: Random) -> Self {
        let mut dirty = Ranges::default();
        for (family, grown) in [Family::Inet, Family::Inet6].into_iter().zip(store.grown()) {
            for first in (0..grown).step_by(RANGE as usize) {
                dirty.insert(Slot::new(family, first));
            }
        }
        Changes {
            line: VecDeque::new(),
            ends: VecDeque::new(),
            dirty,
            walk: None,
            incomplete: true,
            by_name,
            walked: Some(Walked::default()),
            rounds: Rounds::new(now, keys),
            refresh: (None, now + REFRESH),
            line_limit,
            overflows: 0,
        }
    }

    fn enqueue(&mut self, slot: Slot) {
        if self.line.len() < self.line_limit {
            self.line.push_back(slot.raw());
        } else {
            self.overflows += 1;
            self.dirty.insert(slot);
        }
    }

    fn end(&mut self, slot: Slot, generation: u16) {
        if self.ends.len() < self.line_limit {
            self.ends.push_back((slot.raw(), generation));
        } else {
            self.overflows += 1;
            self.dirty.insert(slot);
        }
    }

    /// `proves`: digests are told as well.
    fn is_waiting(&self, proves: bool) -> bool {
        let told = self.ends.is_empty() && self.line.is_empty() && !self.is_walking();
        !told || self.incomplete || proves && self.rounds.hurries()
    }

    /// When all is told for the first time: what was told, then that it was all.
    fn completion(&mut self, proves: bool) -> Option<Change> {
        if !self.incomplete || self.is_walking() {
            return None;
        }
        if let Some(walked) = self.walked.take().filter(|_| proves) {
            return Some(Change::Walked(walked));
        }
        (self.incomplete, self.by_name) = (false, false);
        Some(Change::Complete)
    }

    const fn is_walking(&self) -> bool {
        self.walk.is_some() || self.dirty.count > 0
    }
}

impl Table {
    /// Begins to keep, anew, what a peer has to be told, which knows nothing yet; or ends it.
    pub fn keep_changes(&mut self, now: Instant, on: bool) {
        self.changes = None;
        if on {
            self.keep_changes_in(now, LINE, false);
        }
    }

    /// Whether the peer knows what a digest is; at first it does.
    pub const fn set_proves(&mut self, proves: bool) {
        self.proves = proves;
    }

    /// Begins anew with a peer that has the flows that it last told of.
    pub fn keep_changes_by_name(&mut self, now: Instant) {
        self.keep_changes_in(now, LINE, true);
    }

    /// With so many places in line.
    pub(super) fn keep_changes_in(&mut self, now: Instant, limit: usize, by_name: bool) {
        let keys = Seed([self.random.next(), self.random.next()]).random();
        self.changes = Some(Box::new(Changes::new(&self.store, now, limit, by_name, keys)));
    }

    /// The peer has found a range of ours, which begins here, to be another one: it is told again.
    pub fn tell_range(&mut self, first: u32) {
        let slot = self.store.slot(first & !(RANGE - 1));
        if let Some((changes, slot)) = self.changes.as_mut().zip(slot) {
            // What is being told at this moment ends with a digest of its own.
            let begun = changes.walk.as_ref().is_some_and(|walk| walk.last & !(RANGE - 1) == slot.raw());
            if begun || changes.dirty.contains(slot) {
                return;
            }
            changes.dirty.insert(slot);
            self.counters.corrected += 1;
        }
    }

    /// The peer does not have the flow of this slot.
    pub fn tell_flow(&mut self, slot: u32) {
        let Some(slot) = self.store.slot(slot).filter(|_| self.changes.is_some()) else { return };
        // Nor will it under that name, however often the walk comes by.
        if let Some(mirror) = &mut self.mirror {
            mirror.forget(slot);
        }
        self.note(slot);
    }

    /// True when what changes is kept for a peer.
    pub const fn keeps_changes(&self) -> bool {
        self.changes.is_some()
    }

    /// True when the peer has yet to be told of this flow as it is.
    pub fn is_untold(&self, hit: Hit) -> bool {
        self.keeps_changes() && self.store.common(hit.slot).is_dirty()
    }

    /// True when [`Table::take_changes`] has something to tell.
    #[inline]
    pub fn has_changes(&self) -> bool {
        self.changes.as_ref().is_some_and(|changes| changes.is_waiting(self.proves))
    }

    /// True when it has, or when flows with traffic may be told again.
    #[inline]
    pub fn has_news(&self, now: Instant) -> bool {
        let due = |changes: &Changes| changes.refresh.1 <= now || self.proves && changes.rounds.due() <= now;
        self.changes.as_ref().is_some_and(|changes| changes.is_waiting(self.proves) || due(changes))
    }

    /// When the next digests are due.
    pub fn poll_changes(&self) -> Option<Instant> {
        let complete = self.changes.as_ref().filter(|changes| self.proves && !changes.incomplete);
        complete.map(|changes| changes.rounds.due())
    }

    /// Fills a chunk of at most `budget` bytes with what is to be told, in its newest state, first come first told. False when
    /// there is nothing to send (yet: a walk through empty ranges takes several calls).
    pub fn take_changes(&mut self, now: Instant, budget: usize, into: &mut Vec<u8>) -> bool {
        let Some(mut changes) = self.changes.take() else { return false };
        into.clear();
        flow::begin(into);
        let begun = into.len();
        let (store, witnesses, counters) = (&mut self.store, &self.witnesses, &mut self.counters);
        let known = self.mirror.as_deref().filter(|_| changes.by_name);
        let (walked, tick) = (Walked::default(), Tick::of(now));
        let proves = self.proves;
        let mut writer =
            Writer { store, witnesses, counters, known, proves, walked, now: tick, into, budget };
        while writer.has_room(budget)
            && let Some((slot, generation)) = changes.ends.pop_front()
        {
            flow::encode(&Change::Close { slot, generation }, writer.into);
        }
        if changes.ends.is_empty() {
            // A walk gets its share, however much there is in line.
            let share = if changes.is_walking() { budget / 4 * 3 } else { budget };
            writer.line(&mut changes, share);
            writer.walk(&mut changes);
            writer.line(&mut changes, budget);
            if changes.line.is_empty() && !changes.is_walking() {
                writer.compare(&mut changes, now);
                writer.refresh(&mut changes, now);
            }
        }
        if let Some(walked) = &mut changes.walked {
            walked.full += writer.walked.full;
            walked.known += writer.walked.known;
        }
        if into.len() == begun {
            match changes.completion(self.proves) {
                Some(change) => flow::encode(&change, into),
                None => into.clear(),
            }
        }
        self.changes = Some(changes);
        !into.is_empty()
    }

    /// What waits to be told.
    pub fn backlog(&self) -> Backlog {
        self.changes.as_ref().map_or(Backlog::default(), |changes| Backlog {
            flows: changes.line.len(),
            ends: changes.ends.len(),
            ranges: changes.dirty.count + usize::from(changes.walk.is_some()),
            overflows: changes.overflows,
        })
    }

    /// The peer has to be told of this flow.
    #[inline]
    pub(super) fn note(&mut self, slot: Slot) {
        if let Some(changes) = &mut self.changes {
            let common = self.store.common_mut(slot);
            if !common.is_dirty() && !common.ends_here() {
                common.set_dirty(true);
                changes.enqueue(slot);
            }
        }
    }

    /// The flow of this slot is about to end.
    #[inline]
    pub(super) fn note_end(&mut self, slot: Slot) {
        let common = self.store.common(slot);
        if let Some(changes) = &mut self.changes
            && common.is_told()
        {
            changes.end(slot, common.generation);
        }
        if let Some(mirror) = &mut self.mirror {
            mirror.forget(slot);
        }
    }
}
