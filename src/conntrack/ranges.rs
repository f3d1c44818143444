//! A set of ranges of slots.

use super::index::Slot;
use super::slab::Store;
use crate::types::Family;
use crate::wire::pair::flow::RANGE;

/// A set of ranges.
#[derive(Default)]
pub(super) struct Ranges {
    /// By family; a bit for each range.
    words: [Vec<u64>; 2],
    /// How many.
    pub(super) count: usize,
    /// Where the next one is looked for.
    hand: [usize; 2],
}

impl Ranges {
    pub(super) fn insert(&mut self, slot: Slot) {
        let range = slot.number() / RANGE as usize;
        let words = &mut self.words[slot.family() as usize];
        if words.len() <= range / 64 {
            words.resize(range / 64 + 1, 0);
        }
        let (word, bit) = (&mut words[range / 64], 1 << (range % 64));
        self.count += usize::from(*word & bit == 0);
        *word |= bit;
    }

    pub(super) fn contains(&self, slot: Slot) -> bool {
        let range = slot.number() / RANGE as usize;
        let word = self.words[slot.family() as usize].get(range / 64);
        word.is_some_and(|word| word >> (range % 64) & 1 != 0)
    }

    /// The first and last slot of a range that leaves the set.
    pub(super) fn take(&mut self, store: &Store) -> Option<(u32, u32)> {
        for family in [Family::Inet, Family::Inet6] {
            let (words, hand) = (&mut self.words[family as usize], &mut self.hand[family as usize]);
            let count = words.len();
            let place = (0..count).map(|step| (*hand + step) % count).find(|place| words[*place] != 0);
            let Some(place) = place else { continue };
            let bit = words[place].trailing_zeros();
            words[place] &= words[place] - 1;
            *hand = if words[place] == 0 { place + 1 } else { place };
            self.count -= 1;
            let first = (place as u32 * 64 + bit) * RANGE;
            let last = (first + RANGE - 1).min(store.grown()[family as usize].saturating_sub(1));
            return Some((Slot::new(family, first).raw(), Slot::new(family, last).raw()));
        }
        None
    }
}
