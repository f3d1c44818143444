//! Adaptive timers: when there are many flows, idle ones are forgotten sooner (pf's `adaptive.start` and `adaptive.end`).
//!
//! Above the start, each timer is multiplied by what is left to the end. Flows wait in buckets that were chosen when there
//! were fewer, so while there are many the table is walked, all of it once in [`ROUND`], and those whose shortened time is
//! over end. Flows of rules with timers of their own are in no queue; which of them might make room in a full table is
//! remembered here.

use std::collections::VecDeque;

use super::index::Slot;
use super::record::Common;
use super::slab::Store;
use super::table::Table;
use super::timer::{Class, Tick};
use crate::types::{Duration, Instant};

/// pf's interval: the whole table is looked at once in this time.
const ROUND: Duration = Duration::from_secs(10);
/// Slots looked at in one step.
const STEP: u32 = 256;
/// Unanswered flows with timers of their own that are remembered.
const YOUNG: usize = 1 << 14;

/// Where the walk is, and what may make room.
pub(super) struct Pressure {
    at: Option<Slot>,
    due: Instant,
    young: VecDeque<(Slot, u16)>,
}

impl Pressure {
    pub(super) fn new(now: Instant) -> Self {
        Pressure { at: None, due: now, young: VecDeque::new() }
    }

    /// An unanswered flow whose rule has timers of its own.
    pub(super) fn note(&mut self, slot: Slot, generation: u16) {
        if self.young.len() == YOUNG {
            self.young.pop_front();
        }
        self.young.push_back((slot, generation));
    }

    /// The oldest of these that nobody has answered yet.
    pub(super) fn oldest(&mut self, store: &Store) -> Option<Slot> {
        while let Some((slot, generation)) = self.young.pop_front() {
            let common = store.common(slot);
            if common.generation == generation && common.class.embryonic().is_some() {
                return Some(slot);
            }
        }
        None
    }
}

impl Table {
    /// True when the flow's rule has timers of its own.
    #[inline]
    pub(super) fn is_timed(&self, slot: Slot) -> bool {
        self.witnesses.get(self.store.common(slot).witness())[0].is_timed()
    }

    /// How long a flow of this class may be idle at present.
    #[inline]
    pub(super) fn seconds(&self, slot: Slot, class: Class) -> u32 {
        let pass = self.witnesses.get(self.store.common(slot).witness())[0];
        let own = if pass.is_timed() { self.timers.get(&pass.rule()) } else { None };
        self.pressed(class.seconds(own.unwrap_or(&self.config.timeouts)))
    }

    /// A timer as it is with so many flows.
    #[inline]
    pub(super) fn pressed(&self, seconds: u32) -> u32 {
        match self.config.adaptive {
            Some([start, end]) if self.len > start => {
                let left = u64::from(end.saturating_sub(self.len));
                (u64::from(seconds) * left / u64::from(end - start)) as u32
            }
            Some(_) | None => seconds,
        }
    }

    fn is_pressed(&self) -> bool {
        self.config.adaptive.is_some_and(|[start, _]| self.len > start)
    }

    /// When the walk goes on.
    pub(super) fn poll_pressure(&self) -> Option<Instant> {
        self.is_pressed().then_some(self.pressure.due)
    }

    /// Ends flows whose shortened time is over.
    pub(super) fn press(&mut self, now: Instant) {
        if !self.is_pressed() || now < self.pressure.due {
            return;
        }
        let tick = Tick::of(now);
        for _ in 0..STEP {
            let next = self.store.walk(self.pressure.at);
            self.pressure.at = next;
            let Some(slot) = next else { break };
            let Common { class, seen, .. } = *self.store.common(slot);
            let idle_since = seen.max(self.floor);
            let over = class != Class::Vacant
                && !self.is_kept_alive(slot)
                && idle_since.after(self.seconds(slot, class)) <= tick;
            if over {
                self.remove(slot);
                self.counters.expired += 1;
            }
        }
        let steps = self.store.grown().iter().sum::<u32>().div_ceil(STEP).max(1);
        self.pressure.due = now + ROUND / steps;
    }
}
