//! The verdicts that let flows through, shared: a million flows pass by a handful of pairs of rules.
//!
//! Invariant: a pair is here exactly as long as a flow refers to it.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use crate::rules::Pass;
use crate::types::{GatewayId, RuleId};

/// The most rules whose past is remembered; a peer may name more than there are.
const PAST: usize = 20_000;

/// The gateways that a flow goes by: it stays with them, whatever becomes of the routes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Via {
    /// The original way.
    pub out: Option<GatewayId>,
    /// The answers.
    pub back: Option<GatewayId>,
}

/// A rule on the way in and a rule on the way out, and the gateways of their flows.
#[derive(Clone, Copy)]
struct Pair {
    passes: [Pass; 2],
    via: Via,
    flows: u32,
    /// Flows that have begun here.
    made: u64,
    packets: u64,
    bytes: u64,
}

/// What the flows of a rule have come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RuleTotals {
    /// Flows that exist.
    pub states: u64,
    /// Flows that have begun here.
    pub made: u64,
    /// Packets of all of them, both ways.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Pair {
    /// Each rule of the pair once.
    fn rules(&self) -> impl Iterator<Item = RuleId> + use<> {
        let [one, other] = self.passes.map(Pass::rule);
        std::iter::once(one).chain((one != other).then_some(other))
    }

    fn add_to(&self, totals: &mut RuleTotals) {
        let RuleTotals { states, made, packets, bytes } = totals;
        *states += u64::from(self.flows);
        *made += self.made;
        *packets += self.packets;
        *bytes += self.bytes;
    }
}

/// Pairs of verdicts by number.
pub(super) struct Witnesses {
    pairs: Vec<Pair>,
    free: Vec<u32>,
    /// Keyed by our own rules, not by strangers, so the hash needs no seed.
    numbers: HashMap<([Pass; 2], Via), u32, FixedState>,
    /// What pairs had come to that no flow refers to any more, by rule.
    past: HashMap<RuleId, RuleTotals, FixedState>,
}

impl Witnesses {
    pub(super) fn new() -> Self {
        Witnesses {
            pairs: Vec::new(),
            free: Vec::new(),
            numbers: HashMap::with_hasher(FixedState::default()),
            past: HashMap::with_hasher(FixedState::default()),
        }
    }

    /// The number of a pair, for one more flow.
    pub(super) fn hold(&mut self, passes: [Pass; 2], via: Via) -> u32 {
        let Self { pairs, free, numbers, past: _ } = self;
        let number = *numbers.entry((passes, via)).or_insert_with(|| {
            let pair = Pair { passes, via, flows: 0, made: 0, packets: 0, bytes: 0 };
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
            self.numbers.remove(&(pair.passes, pair.via));
            self.free.push(number);
            for rule in pair.rules() {
                if self.past.len() < PAST || self.past.contains_key(&rule) {
                    pair.add_to(self.past.entry(rule).or_default());
                }
            }
        }
    }

    /// A flow of the pair has begun.
    pub(super) fn begun(&mut self, number: u32) {
        self.pairs[number as usize].made += 1;
    }

    /// Packets of the pair's flows.
    #[inline]
    pub(super) fn count(&mut self, number: u32, packets: u32, bytes: u32) {
        let pair = &mut self.pairs[number as usize];
        pair.packets += u64::from(packets);
        pair.bytes += u64::from(bytes);
    }

    /// What the flows of each rule have come to.
    pub(super) fn totals(&self) -> Vec<(RuleId, RuleTotals)> {
        let mut totals = self.past.clone();
        for pair in self.pairs.iter().filter(|pair| pair.flows > 0) {
            for rule in pair.rules() {
                pair.add_to(totals.entry(rule).or_default());
            }
        }
        totals.into_iter().collect()
    }

    /// The gateways of a pair's flows.
    pub(super) fn via(&self, number: u32) -> Via {
        self.pairs[number as usize].via
    }

    /// The verdicts of a pair: in, out.
    #[inline]
    pub(super) fn get(&self, number: u32) -> [Pass; 2] {
        self.pairs[number as usize].passes
    }
}
