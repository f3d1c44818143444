//! Which of many sets a number is in, with one look-up however many sets there are.
//!
//! The edges of all sets cut the numbers into pieces; all numbers of a piece are in the same sets. Pieces that are in
//! the same sets have the same class.

use std::collections::{BTreeSet, HashMap};

use super::spans::{Number, Spans};

/// A class of numbers that no set tells apart.
pub(super) type Class = u32;

/// From a number to its class.
#[derive(Debug)]
pub(super) struct Book<K> {
    /// Where pieces begin; the first at the lowest number.
    starts: Box<[K]>,
    classes: Box<[Class]>,
}

/// The sets, while the book is being written.
pub(super) struct Draft<K> {
    sets: Vec<Spans<K>>,
}

/// For each class the sets that it is in.
pub(super) type Members = Vec<Vec<u32>>;

impl<K: Number> Draft<K> {
    pub(super) fn new() -> Self {
        Draft { sets: Vec::new() }
    }

    /// One more set; its number.
    pub(super) fn add(&mut self, spans: Spans<K>) -> u32 {
        self.sets.push(spans);
        self.sets.len() as u32 - 1
    }

    pub(super) fn len(&self) -> usize {
        self.sets.len()
    }

    /// The book, and what its classes are.
    pub(super) fn finish(self) -> (Book<K>, Members) {
        let mut edges: Vec<(K, u32, bool)> = Vec::new();
        for (set, spans) in self.sets.iter().enumerate() {
            for (first, last) in spans.ranges() {
                edges.push((*first, set as u32, true));
                edges.extend(last.above().map(|end| (end, set as u32, false)));
            }
        }
        edges.sort_unstable();
        let mut known: HashMap<Vec<u32>, Class> = HashMap::from([(Vec::new(), 0)]);
        let mut members: Members = vec![Vec::new()];
        let (mut starts, mut classes) = (vec![K::MIN], vec![0]);
        let mut inside = BTreeSet::new();
        let mut edges = edges.into_iter().peekable();
        while let Some((at, set, enters)) = edges.next() {
            if enters {
                inside.insert(set);
            } else {
                inside.remove(&set);
            }
            if edges.peek().is_some_and(|(next, ..)| *next == at) {
                continue;
            }
            let sets: Vec<u32> = inside.iter().copied().collect();
            let class = *known.entry(sets).or_insert_with_key(|sets| {
                members.push(sets.clone());
                members.len() as u32 - 1
            });
            if at == K::MIN {
                classes[0] = class;
            } else if classes.last() != Some(&class) {
                starts.push(at);
                classes.push(class);
            }
        }
        (Book { starts: starts.into(), classes: classes.into() }, members)
    }
}

impl<K: Number> Book<K> {
    /// The class of a number.
    #[inline]
    pub(super) fn class(&self, number: K) -> Class {
        let piece = self.starts.partition_point(|start| *start <= number);
        self.classes.get(piece.wrapping_sub(1)).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_class_names_the_sets_that_a_number_is_in(
            sets in proptest::collection::vec(
                proptest::collection::vec((any::<u16>(), 0u16..9000), 0..5), 0..12),
            probes in proptest::collection::vec(any::<u16>(), 1..60),
        ) {
            let sets: Vec<Spans<u16>> = sets
                .iter()
                .map(|set| Spans::of(set.iter().map(|(first, more)| (*first, first.saturating_add(*more)))))
                .collect();
            let mut draft = Draft::new();
            for set in &sets {
                draft.add(set.clone());
            }
            let (book, members) = draft.finish();
            for probe in probes.into_iter().chain([0, u16::MAX]) {
                let expected: Vec<u32> =
                    (0..sets.len()).filter(|set| sets[*set].contains(probe)).map(|set| set as u32).collect();
                prop_assert_eq!(&members[book.class(probe) as usize], &expected);
            }
        }
    }
}
