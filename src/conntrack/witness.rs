//! The verdicts that let flows through, shared: a million flows pass by a handful of pairs of rules.
//!
//! Invariant: a pair is here exactly as long as a flow refers to it.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use crate::rules::Pass;

/// A rule on the way in and a rule on the way out.
#[derive(Clone, Copy)]
struct Pair {
    passes: [Pass; 2],
    flows: u32,
}

/// Pairs of verdicts by number.
pub(super) struct Witnesses {
    pairs: Vec<Pair>,
    free: Vec<u32>,
    /// Keyed by our own rules, not by strangers, so the hash needs no seed.
    numbers: HashMap<[Pass; 2], u32, FixedState>,
}

impl Witnesses {
    pub(super) fn new() -> Self {
        Witnesses {
            pairs: Vec::new(),
            free: Vec::new(),
            numbers: HashMap::with_hasher(FixedState::default()),
        }
    }

    /// The number of a pair, for one more flow.
    pub(super) fn hold(&mut self, passes: [Pass; 2]) -> u32 {
        let Self { pairs, free, numbers } = self;
        let number = *numbers.entry(passes).or_insert_with(|| {
            let pair = Pair { passes, flows: 0 };
            match free.pop() {
                Some(number) => {
                    pairs[number as usize] = pair;
                    number
                }
                None => {
                    pairs.push(pair);
                    pairs.len() as u32 - 1
                }
            }
        });
        pairs[number as usize].flows += 1;
        number
    }

    /// One flow less.
    pub(super) fn release(&mut self, number: u32) {
        let pair = &mut self.pairs[number as usize];
        pair.flows -= 1;
        if pair.flows == 0 {
            self.numbers.remove(&pair.passes);
            self.free.push(number);
        }
    }

    /// The verdicts of a pair: in, out.
    #[inline]
    pub(super) fn get(&self, number: u32) -> [Pass; 2] {
        self.pairs[number as usize].passes
    }
}
