//! A map of a bounded size, whose memory is reserved once.
//!
//! Invariant: nothing allocates but [`Bounded::new`]; what finds no room is refused. Keys come from strangers, so the hash is
//! seeded.

use std::hash::{Hash, Hasher};

use foldhash::SharedSeed;
use foldhash::quality::FoldHasher;

use crate::types::Seed;

const NONE: u32 = u32::MAX;

struct Place<K, V> {
    key: K,
    value: V,
    /// The next one of the same bucket, or the next vacant one.
    next: u32,
    taken: bool,
}

/// See the module's documentation.
pub(super) struct Bounded<K, V> {
    buckets: Box<[u32]>,
    places: Vec<Place<K, V>>,
    capacity: usize,
    vacant: u32,
    len: usize,
    seed: Seed,
    shared: SharedSeed,
}

impl<K: Copy + Eq + Hash, V: Copy> Bounded<K, V> {
    /// With room for so many.
    pub(super) fn new(capacity: usize, seed: Seed) -> Self {
        let buckets = if capacity == 0 { 0 } else { capacity.next_power_of_two() };
        Bounded {
            buckets: vec![NONE; buckets].into_boxed_slice(),
            places: Vec::with_capacity(capacity),
            capacity,
            vacant: NONE,
            len: 0,
            seed,
            shared: SharedSeed::from_u64(seed.0[1]),
        }
    }

    /// Reserves room for so many; what is there stays. It never becomes less.
    pub(super) fn reserve(&mut self, capacity: usize) {
        if capacity <= self.capacity {
            return;
        }
        let mut larger = Bounded::new(capacity, self.seed);
        for (key, value) in self.iter() {
            larger.insert(key, value);
        }
        *self = larger;
    }

    #[cfg(test)]
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) const fn is_full(&self) -> bool {
        self.len >= self.capacity
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.find(key).map(|at| &self.places[at as usize].value)
    }

    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.find(key).map(|at| &mut self.places[at as usize].value)
    }

    /// Puts a value in, in the place of another one of its key; false when there is no room.
    pub(super) fn insert(&mut self, key: K, value: V) -> bool {
        if let Some(known) = self.get_mut(&key) {
            *known = value;
            return true;
        }
        if self.is_full() {
            return false;
        }
        let bucket = self.bucket(&key);
        let place = Place { key, value, next: self.buckets[bucket], taken: true };
        let at = match self.vacant {
            NONE => {
                self.places.push(place);
                self.places.len() as u32 - 1
            }
            at => {
                self.vacant = self.places[at as usize].next;
                self.places[at as usize] = place;
                at
            }
        };
        self.buckets[bucket] = at;
        self.len += 1;
        true
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        let at = self.find(key)?;
        let bucket = self.bucket(key);
        let after = self.places[at as usize].next;
        let mut before = self.buckets[bucket];
        if before == at {
            self.buckets[bucket] = after;
        } else {
            while self.places[before as usize].next != at {
                before = self.places[before as usize].next;
            }
            self.places[before as usize].next = after;
        }
        let place = &mut self.places[at as usize];
        (place.taken, place.next) = (false, self.vacant);
        self.vacant = at;
        self.len -= 1;
        Some(self.places[at as usize].value)
    }

    /// All of them, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (K, V)> + '_ {
        self.places.iter().filter(|place| place.taken).map(|place| (place.key, place.value))
    }

    fn find(&self, key: &K) -> Option<u32> {
        if self.len == 0 {
            return None;
        }
        let mut at = self.buckets[self.bucket(key)];
        while at != NONE {
            let place = &self.places[at as usize];
            if place.key == *key {
                return Some(at);
            }
            at = place.next;
        }
        None
    }

    fn bucket(&self, key: &K) -> usize {
        let mut hasher = FoldHasher::with_seed(self.seed.0[0], &self.shared);
        key.hash(&mut hasher);
        hasher.finish() as usize & (self.buckets.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against a map without a bound.
        #[test]
        fn it_is_a_map_until_it_is_full(steps in proptest::collection::vec((0u8..40, any::<u16>(), 0u8..3), 0..300)) {
            let (mut map, mut model) = (Bounded::new(16, Seed([3, 4])), HashMap::new());
            for (key, value, what) in steps {
                match what {
                    0 => prop_assert_eq!(map.remove(&key), model.remove(&key)),
                    1 if model.len() == 16 && !model.contains_key(&key) => prop_assert!(!map.insert(key, value)),
                    1 => {
                        prop_assert!(map.insert(key, value));
                        model.insert(key, value);
                    }
                    _ => prop_assert_eq!(map.get(&key), model.get(&key)),
                }
                prop_assert_eq!(map.len(), model.len());
            }
            map.reserve(64);
            let mut all: Vec<_> = map.iter().collect();
            all.sort_unstable();
            let mut expected: Vec<_> = model.into_iter().collect();
            expected.sort_unstable();
            prop_assert_eq!(all, expected);
        }
    }
}
