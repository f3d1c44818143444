//! What rules with limits have in use: flows, sources, connections of each source, and how fast it makes them.
//!
//! Invariants: a flow is counted exactly as long as its rule on the way in has limits; whoever exchanges a flow's verdicts
//! does so by [`Table::hold`] and [`Table::release`]. Room is reserved with the configuration, for as many sources as there
//! may be flows, and at most [`MOST`]; a flow that finds none begins only where nobody asks for it ([`Table::can_count`]).

use std::net::IpAddr;

use super::bounded::Bounded;
use super::index::{Hit, Way};
use super::table::Table;
use super::timer::Tick;
use super::witness::Via;
use crate::config::defaults::RULE_LIMIT;
use crate::config::model::SourceRate;
use crate::rules::Pass;
use crate::types::{Instant, RuleId, Seed};

/// The most sources of all rules together.
const MOST: usize = 1 << 20;
/// Rules that are gone and still have flows, beside those that there may be.
const GONE: usize = 1 << 10;
/// Parts of a connection, in which a rate is counted (pf's PF_THRESHOLD_MULT).
const PARTS: u64 = 1000;

/// What a rule has in use.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Usage {
    /// Its flows.
    pub states: u32,
    /// The sources that they have.
    pub sources: u32,
    /// The flows of the source that was asked about.
    pub of_source: u32,
}

/// What a source has of a rule's TCP connections, now that it has one more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Connected {
    /// Connections whose handshake is complete.
    pub connections: u32,
    /// It makes them faster than the rate.
    pub too_fast: bool,
}

#[derive(Clone, Copy, Default)]
struct OfRule {
    states: u32,
    sources: u32,
}

/// A source of a rule.
#[derive(Clone, Copy, Default)]
struct OfSource {
    states: u32,
    connections: u32,
    /// Parts of connections within the seconds of the rate, and when that was.
    recent: u64,
    last: Tick,
}

/// By rule, and by rule and source.
pub(super) struct Usages {
    rules: Bounded<RuleId, OfRule>,
    sources: Bounded<(RuleId, IpAddr), OfSource>,
}

impl Usages {
    pub(super) fn new(seed: Seed) -> Self {
        Usages { rules: Bounded::new(0, seed.derive(1)), sources: Bounded::new(0, seed.derive(2)) }
    }

    /// Rules with limits are in force: room for so many sources.
    pub(super) fn reserve(&mut self, sources: u32) {
        if sources > 0 {
            self.rules.reserve(RULE_LIMIT + GONE);
            self.sources.reserve((sources as usize).min(MOST));
        }
    }

    fn add(&mut self, rule: RuleId, source: IpAddr, connected: bool) {
        let key = (rule, source);
        if self.sources.get(&key).is_none() {
            if self.rules.get(&rule).is_none() && !self.rules.insert(rule, OfRule::default())
                || !self.sources.insert(key, OfSource::default())
            {
                return;
            }
            if let Some(of_rule) = self.rules.get_mut(&rule) {
                of_rule.sources += 1;
            }
        }
        if let Some(of_source) = self.sources.get_mut(&key) {
            of_source.states += 1;
            of_source.connections += u32::from(connected);
        }
        if let Some(of_rule) = self.rules.get_mut(&rule) {
            of_rule.states += 1;
        }
    }

    fn take(&mut self, rule: RuleId, source: IpAddr, connected: bool) {
        let key = (rule, source);
        let Some(of_source) = self.sources.get_mut(&key) else { return };
        of_source.states = of_source.states.saturating_sub(1);
        of_source.connections = of_source.connections.saturating_sub(u32::from(connected));
        let idle = of_source.states == 0;
        if idle {
            self.sources.remove(&key);
        }
        let Some(of_rule) = self.rules.get_mut(&rule) else { return };
        of_rule.states = of_rule.states.saturating_sub(1);
        of_rule.sources = of_rule.sources.saturating_sub(u32::from(idle));
        if of_rule.states == 0 {
            self.rules.remove(&rule);
        }
    }
}

impl OfSource {
    /// One connection more: pf's `pf_add_threshold`. What was counted fades with time.
    fn count(&mut self, now: Tick, rate: SourceRate) -> bool {
        let window = u64::from(rate.seconds) * 2;
        let passed = u64::from(now.0.saturating_sub(self.last.0));
        self.recent -= if passed >= window { self.recent } else { self.recent * passed / window };
        self.recent += PARTS;
        self.last = now;
        self.recent > u64::from(rate.count) * PARTS
    }
}

impl Table {
    /// What a rule with limits has in use, and one of its sources.
    pub fn usage(&self, rule: RuleId, source: IpAddr) -> Usage {
        let of_source = self.usages.sources.get(&(rule, source)).map_or(0, |of_source| of_source.states);
        let OfRule { states, sources } = self.usages.rules.get(&rule).copied().unwrap_or_default();
        Usage { states, sources, of_source }
    }

    /// True when there is room to count one more flow of this source.
    pub fn can_count(&self, rule: RuleId, source: IpAddr) -> bool {
        self.usages.sources.get(&(rule, source)).is_some() || !self.usages.sources.is_full()
    }

    /// The handshake of this flow is complete, and that is counted for the first time.
    pub fn count_connection(
        &mut self,
        now: Instant,
        hit: Hit,
        rate: Option<SourceRate>,
    ) -> Option<Connected> {
        let common = self.store.common_mut(hit.slot);
        if common.is_connected() {
            return None;
        }
        common.set_connected();
        let pass = self.witnesses.get(common.witness())[0];
        let source = self.store.key(hit.slot, Way::Original).src();
        let of_source = self.usages.sources.get_mut(&(pass.rule(), source))?;
        of_source.connections += 1;
        let too_fast = rate.is_some_and(|rate| of_source.count(Tick::of(now), rate));
        Some(Connected { connections: of_source.connections, too_fast })
    }

    /// A flow of this source gets these verdicts and gateways; their number.
    pub(super) fn hold(&mut self, passes: [Pass; 2], via: Via, source: IpAddr, connected: bool) -> u32 {
        if passes[0].is_limited() {
            self.usages.add(passes[0].rule(), source, connected);
        }
        self.witnesses.hold(passes, via)
    }

    /// A flow of this source has the verdicts of this number no longer.
    pub(super) fn release(&mut self, number: u32, source: IpAddr, connected: bool) {
        let pass = self.witnesses.get(number)[0];
        if pass.is_limited() {
            self.usages.take(pass.rule(), source, connected);
        }
        self.witnesses.release(number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_pf_s_threshold() {
        let rate = SourceRate { count: 3, seconds: 10 };
        let mut source = OfSource::default();
        let at = |source: &mut OfSource, second: u32| source.count(Tick(second * 2), rate);
        // Three at once are right, the fourth is one too many; half a window later half of them have faded.
        assert_eq!([100, 100, 100, 100].map(|second| at(&mut source, second)), [false, false, false, true]);
        assert_eq!([105, 105].map(|second| at(&mut source, second)), [false, true]);
        assert!(!at(&mut source, 130));
    }

    #[test]
    fn what_is_taken_away_leaves_nothing_behind() {
        let mut usages = Usages::new(Seed([1, 2]));
        usages.reserve(4);
        let sources: Vec<IpAddr> = (0..6u8).map(|last| [10, 0, 0, last].into()).collect();
        for source in &sources {
            usages.add(RuleId(7), *source, false);
            usages.add(RuleId(7), *source, true);
        }
        assert_eq!(usages.rules.get(&RuleId(7)).map(|rule| (rule.states, rule.sources)), Some((8, 4)));
        for source in &sources {
            usages.take(RuleId(7), *source, true);
            usages.take(RuleId(7), *source, false);
        }
        assert!(usages.rules.len() == 0 && usages.sources.len() == 0);
    }
}
