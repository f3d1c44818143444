//! How often each rule was met, and what became of it.

use super::Shard;
use crate::conntrack::RuleTotals;
use crate::rules::Ruleset;
use crate::types::{Instant, RuleId};

/// What a shard has counted of one rule's own meetings with packets; what its flows carry, the flows count.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// Packets without a flow that the rule matched, whether it decided or not.
    pub evaluations: u64,
    /// Packets that it blocked.
    pub blocked: u64,
    /// Their bytes.
    pub blocked_bytes: u64,
    /// When it last matched.
    pub last: Option<Instant>,
}

/// By place in the ruleset's directory.
#[derive(Default)]
pub(super) struct Tallies(Vec<Tally>);

/// What is counted by rule, as the control plane gets it.
#[derive(Clone, Debug, Default)]
pub struct RuleCounts {
    /// When.
    pub now: Instant,
    /// The rules' own, with their numbers.
    pub tallies: Vec<(RuleId, Tally)>,
    /// Those of their flows.
    pub totals: Vec<(RuleId, RuleTotals)>,
}

impl Tallies {
    pub(super) fn new(ruleset: &Ruleset) -> Self {
        Tallies(vec![Tally::default(); ruleset.rules().count()])
    }

    /// Other rules are in force; those that were before keep their numbers. Both lists are in the order of the ids, so
    /// one walk through both is enough: this happens between two packets.
    pub(super) fn apply(&mut self, before: &Ruleset, after: &Ruleset) {
        let mut known = before.rules().map(|info| info.id).zip(self.0.iter().copied()).peekable();
        let of = |id: RuleId| {
            while known.next_if(|(before, _)| *before < id).is_some() {}
            known.next_if(|(before, _)| *before == id).map(|(_, tally)| tally).unwrap_or_default()
        };
        self.0 = after.rules().map(|info| info.id).map(of).collect();
    }

    /// The rule at this place matched.
    #[inline]
    pub(super) fn evaluated(&mut self, place: usize, now: Instant) {
        if let Some(tally) = self.0.get_mut(place) {
            tally.evaluations += 1;
            tally.last = Some(now);
        }
    }

    /// The rule at this place blocked a packet.
    pub(super) fn blocked(&mut self, place: usize, bytes: u64) {
        if let Some(tally) = self.0.get_mut(place) {
            tally.blocked += 1;
            tally.blocked_bytes += bytes;
        }
    }
}

impl Shard {
    /// What was counted so far, by rule.
    pub fn rule_counts(&self, now: Instant) -> RuleCounts {
        let ids = self.compiled.ruleset.rules().map(|info| info.id);
        RuleCounts {
            now,
            tallies: ids.zip(self.tallies.0.iter().copied()).collect(),
            totals: self.table.rule_totals(),
        }
    }
}
