//! The wheel and the queues that remember when flows may end.
//!
//! Every flow is in exactly one chain, a ring of records around a sentinel. Flows that nobody has answered are in
//! a queue of their class, ordered by [`Common::seen`](super::record::Common), so that the head is the oldest: first
//! to expire, first to make room. All others are in a bucket of the wheel, found again when its tick comes: a
//! packet only writes `seen`, and a flow that proves alive moves on to the bucket of its new deadline. Joining and
//! leaving a chain are O(1), so a flow that changes its timer or is killed never waits for its old bucket.

use super::index::Slot;
use super::slab::Store;
use super::timer::{Class, Tick};

/// Buckets of the wheel, one a tick: a good half hour. Later deadlines wait in the last bucket and move on.
pub(super) const BUCKETS: u32 = 4096;
const QUEUES: u32 = Class::EMBRYONIC.len() as u32;
/// Links at or above this are sentinels, not slots. No slot has these two bits.
const SENTINEL: u32 = 0x6000_0000;
const NOWHERE: u32 = u32::MAX;

/// A record's neighbours in its chain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub(super) struct Link {
    prev: u32,
    next: u32,
}

impl Link {
    pub(super) const NONE: Link = Link { prev: NOWHERE, next: NOWHERE };

    /// Its last word.
    #[inline]
    pub(super) const fn end(&self) -> u32 {
        self.next
    }

    /// The link of a vacant record, to the number that was vacated before it.
    pub(super) fn to_free(number: Option<u32>) -> Link {
        Link { prev: NOWHERE, next: number.unwrap_or(NOWHERE) }
    }

    /// The number that was vacated before this one.
    pub(super) fn free(self) -> Option<u32> {
        (self.next != NOWHERE).then_some(self.next)
    }
}

/// A chain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Chain(u32);

impl Chain {
    /// The queue of an embryonic class, by its position.
    #[inline]
    pub(super) const fn queue(position: usize) -> Chain {
        Chain(BUCKETS + position as u32)
    }

    const fn bucket(tick: Tick) -> Chain {
        Chain(tick.0 % BUCKETS)
    }
}

/// The sentinels of all chains, and how far the wheel has turned.
pub(super) struct Chains {
    sentinels: Box<[Link]>,
    /// A bit for each bucket of the wheel that is not empty.
    occupied: [u64; BUCKETS as usize / 64],
    /// Everything before this tick has been dealt with.
    turned: Tick,
}

impl Chains {
    pub(super) fn new(now: Tick) -> Self {
        let ring = |chain| Link { prev: SENTINEL | chain, next: SENTINEL | chain };
        Chains {
            sentinels: (0..BUCKETS + QUEUES).map(ring).collect(),
            occupied: [0; BUCKETS as usize / 64],
            turned: now,
        }
    }

    /// The bucket for a deadline.
    pub(super) fn bucket(&self, deadline: Tick) -> Chain {
        Chain::bucket(Tick(deadline.0.clamp(self.turned.0, self.turned.0.saturating_add(BUCKETS - 1))))
    }

    /// Appends a flow to a chain.
    pub(super) fn push(&mut self, store: &mut Store, chain: Chain, slot: Slot) {
        let sentinel = SENTINEL | chain.0;
        let last = self.sentinels[chain.0 as usize].prev;
        store.common_mut(slot).link = Link { prev: last, next: sentinel };
        self.link(store, last).next = slot.raw();
        self.sentinels[chain.0 as usize].prev = slot.raw();
        if chain.0 < BUCKETS {
            self.occupied[chain.0 as usize / 64] |= 1 << (chain.0 % 64);
        }
    }

    /// Takes a flow out of its chain.
    pub(super) fn unlink(&mut self, store: &mut Store, slot: Slot) {
        let Link { prev, next } = store.common(slot).link;
        if prev == NOWHERE {
            return;
        }
        self.link(store, prev).next = next;
        self.link(store, next).prev = prev;
        store.common_mut(slot).link = Link::NONE;
        let bucket = prev & !SENTINEL;
        if prev == next && prev & SENTINEL == SENTINEL && bucket < BUCKETS {
            self.occupied[bucket as usize / 64] &= !(1 << (bucket % 64));
        }
    }

    /// The first flow of a chain.
    pub(super) fn head(&self, chain: Chain) -> Option<Slot> {
        let next = self.sentinels[chain.0 as usize].next;
        (next & SENTINEL != SENTINEL).then_some(Slot::from_raw(next))
    }

    /// The first flow in a bucket that is due by `now`; turns the wheel.
    pub(super) fn due(&mut self, now: Tick) -> Option<Slot> {
        loop {
            let tick = self.next_bucket().filter(|tick| *tick <= now);
            self.turned = tick.unwrap_or(now).max(self.turned);
            if let Some(slot) = self.head(Chain::bucket(tick?)) {
                return Some(slot);
            }
        }
    }

    /// The tick of the next bucket that is not empty.
    pub(super) fn next_bucket(&self) -> Option<Tick> {
        let start = self.turned.0 % BUCKETS;
        for step in 0..=BUCKETS / 64 {
            let word = (start / 64 + step) % (BUCKETS / 64);
            let mut bits = self.occupied[word as usize];
            if step == 0 {
                bits &= u64::MAX << (start % 64);
            } else if step == BUCKETS / 64 {
                bits &= !(u64::MAX << (start % 64));
            }
            if bits != 0 {
                let bucket = word * 64 + bits.trailing_zeros();
                return Some(Tick(self.turned.0 + (bucket + BUCKETS - start) % BUCKETS));
            }
        }
        None
    }

    fn link<'a>(&'a mut self, store: &'a mut Store, at: u32) -> &'a mut Link {
        if at & SENTINEL == SENTINEL {
            &mut self.sentinels[(at & !SENTINEL) as usize]
        } else {
            &mut store.common_mut(Slot::from_raw(at)).link
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conntrack::record::Common;
    use crate::conntrack::testing::key;
    use proptest::prelude::*;

    proptest! {
        /// The wheel against a list: what is due comes out, no later and no earlier, in any order of steps.
        #[test]
        fn what_is_due_comes_out(
            start in 0u32..10_000,
            events in proptest::collection::vec((prop_oneof![1u32..200, 1u32..BUCKETS], 0u32..3, any::<bool>()), 1..200),
        ) {
            let (mut store, mut chains) = (Store::new(), Chains::new(Tick(start)));
            let mut waiting: Vec<(Tick, Slot)> = Vec::new();
            let mut now = start;
            let some = key(17, "192.0.2.1", 1, "192.0.2.2", 2);
            for (ahead, pause, leave) in events {
                let deadline = Tick(now + ahead);
                let slot = store.insert(&some, &some, Common::VACANT).unwrap();
                let bucket = chains.bucket(deadline);
                chains.push(&mut store, bucket, slot);
                waiting.push((deadline, slot));
                if leave {
                    let (_, slot) = waiting.swap_remove(waiting.len() / 2);
                    chains.unlink(&mut store, slot);
                }
                now += pause * ahead;
                prop_assert_eq!(chains.next_bucket(), waiting.iter().map(|(deadline, _)| *deadline).min());
                while let Some(slot) = chains.due(Tick(now)) {
                    let at = waiting.iter().position(|(_, waiter)| *waiter == slot).unwrap();
                    prop_assert!(waiting.swap_remove(at).0 <= Tick(now));
                    chains.unlink(&mut store, slot);
                }
                prop_assert!(waiting.iter().all(|(deadline, _)| *deadline > Tick(now)));
            }
        }
    }
}
