//! The neighbours by address and by number, their deadlines, and who makes room for whom.
//!
//! Invariant: an entry has one deadline, stands in the index, and is either resolved or in the line of the silent,
//! in the order in which they fell silent. The silent have a room of their own and only ever displace each other;
//! a resolved neighbour makes room only for another one, and only when nobody sends to it.
//!
//! The indexes are trees: their cost does not depend on keys that a stranger may choose.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;

use super::entry::{Entry, IN_USE, NeighbourId, State};
use crate::types::{Instant, InterfaceId, MacAddr};

/// How many entries are looked at to find one that may go.
const SEARCH: usize = 64;

/// The bounds of the tables.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// The most neighbours that have answered.
    pub resolved: usize,
    /// The most neighbours that have not answered (yet).
    pub silent: usize,
    /// The most packets that wait for one neighbour.
    pub parked_each: usize,
    /// The most packets that wait for all of them.
    pub parked: usize,
}

impl Limits {
    /// What a router has room for.
    pub const ROUTER: Limits = Limits { resolved: 16_384, silent: 1024, parked_each: 16, parked: 2048 };
}

pub(super) type Key = (InterfaceId, IpAddr);

pub(super) struct Table<P> {
    pub entries: Vec<Entry<P>>,
    pub limits: Limits,
    /// Free slots, the longest free first, so that a number comes back as late as possible.
    free: VecDeque<u16>,
    index: BTreeMap<Key, u16>,
    deadlines: BTreeSet<(Instant, u16)>,
    silent: BTreeSet<(Instant, u16)>,
    hand: usize,
    /// Packets that wait, over all entries.
    pub parked: usize,
}

impl<P> Table<P> {
    pub fn new(limits: Limits) -> Self {
        Table {
            entries: Vec::new(),
            limits,
            free: VecDeque::new(),
            index: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            silent: BTreeSet::new(),
            hand: 0,
            parked: 0,
        }
    }

    pub fn find(&self, key: &Key) -> Option<u16> {
        self.index.get(key).copied()
    }

    pub fn entry(&mut self, index: u16) -> &mut Entry<P> {
        &mut self.entries[usize::from(index)]
    }

    pub fn id(&self, index: u16) -> NeighbourId {
        NeighbourId::new(index, self.entries[usize::from(index)].generation)
    }

    /// The slot that `id` names, while it lives.
    #[inline]
    pub fn living(&self, id: NeighbourId) -> Option<u16> {
        let entry = self.entries.get(id.index())?;
        (entry.generation == id.generation() && entry.state != State::Free).then_some(id.index() as u16)
    }

    /// All entries that are in use, by slot.
    pub fn iter(&self) -> impl Iterator<Item = (u16, &Entry<P>)> {
        let numbered = self.entries.iter().enumerate().map(|(index, entry)| (index as u16, entry));
        numbered.filter(|(_, entry)| entry.state != State::Free)
    }

    /// When the first state has had its time.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// An entry whose state has had its time.
    pub fn due(&self, now: Instant) -> Option<u16> {
        self.deadlines.first().filter(|(at, _)| *at <= now).map(|(_, index)| *index)
    }

    pub fn is_full_of_silent(&self) -> bool {
        self.silent.len() >= self.limits.silent
    }

    pub fn is_full_of_resolved(&self) -> bool {
        self.index.len() - self.silent.len() >= self.limits.resolved
    }

    /// The one that has been silent for longest and is not watched.
    pub fn longest_silent(&self) -> Option<u16> {
        let silent = self.silent.iter().map(|(_, index)| *index);
        silent.into_iter().find(|index| !self.entries[usize::from(*index)].watched)
    }

    /// The one, among the longest silent, for which packets wait.
    pub fn longest_awaited(&self) -> Option<u16> {
        let silent = self.silent.iter().take(SEARCH).map(|(_, index)| *index);
        silent.into_iter().find(|index| !self.entries[usize::from(*index)].parked.is_empty())
    }

    /// A resolved neighbour that nobody sends to: the longest unused of the next few.
    pub fn longest_unused(&mut self, now: Instant) -> Option<u16> {
        let count = self.entries.len();
        let mut oldest: Option<usize> = None;
        for step in 0..SEARCH.min(count) {
            let index = (self.hand + step) % count;
            let entry = &self.entries[index];
            let may_go = entry.state.is_usable() && !entry.watched && entry.used + IN_USE <= now;
            if may_go && oldest.is_none_or(|oldest| entry.used < self.entries[oldest].used) {
                oldest = Some(index);
            }
        }
        self.hand = (self.hand + SEARCH) % count.max(1);
        oldest.map(|index| index as u16)
    }

    /// A new entry; the caller has seen to it that there is room.
    pub fn insert(&mut self, now: Instant, key: Key, state: State, mac: MacAddr, deadline: Instant) -> u16 {
        let (interface, address) = key;
        let index = self.free.pop_front().unwrap_or(self.entries.len() as u16);
        let generation = self.entries.get(usize::from(index)).map_or(0, |old| old.generation.wrapping_add(1));
        let entry = Entry {
            generation,
            state,
            mac,
            // Nobody sends to it yet.
            used: now - IN_USE,
            interface,
            address,
            deadline,
            silent: now,
            told: None,
            heard: None,
            watched: false,
            parked: Vec::new(),
        };
        match self.entries.get_mut(usize::from(index)) {
            Some(slot) => *slot = entry,
            None => self.entries.push(entry),
        }
        self.index.insert(key, index);
        self.deadlines.insert((deadline, index));
        if !state.is_usable() {
            self.silent.insert((now, index));
        }
        index
    }

    /// The entry goes into another state.
    pub fn set(&mut self, now: Instant, index: u16, state: State, deadline: Instant) {
        let entry = &mut self.entries[usize::from(index)];
        if entry.deadline != deadline {
            self.deadlines.remove(&(entry.deadline, index));
            self.deadlines.insert((deadline, index));
            entry.deadline = deadline;
        }
        match (entry.state.is_usable(), state.is_usable()) {
            (true, false) => {
                entry.silent = now;
                self.silent.insert((now, index));
            }
            (false, true) => {
                self.silent.remove(&(entry.silent, index));
            }
            (true, true) | (false, false) => {}
        }
        entry.state = state;
    }

    /// Frees the slot; the packets that waited are the caller's.
    pub fn remove(&mut self, index: u16) -> Vec<P> {
        let parked = self.take_parked(index);
        let entry = &mut self.entries[usize::from(index)];
        self.deadlines.remove(&(entry.deadline, index));
        self.silent.remove(&(entry.silent, index));
        self.index.remove(&(entry.interface, entry.address));
        entry.state = State::Free;
        self.free.push_back(index);
        parked
    }

    /// The packets that wait for a neighbour.
    pub fn take_parked(&mut self, index: u16) -> Vec<P> {
        let parked = std::mem::take(&mut self.entries[usize::from(index)].parked);
        self.parked -= parked.len();
        parked
    }

    /// The oldest packet that waits for a neighbour.
    pub fn take_oldest(&mut self, index: u16) -> Option<P> {
        let entry = &mut self.entries[usize::from(index)];
        (!entry.parked.is_empty()).then(|| {
            self.parked -= 1;
            entry.parked.remove(0)
        })
    }
}
