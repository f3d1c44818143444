//! How many flows rules with limits have, in all and of each source.
//!
//! Invariant: a flow is counted exactly as long as its rule on the way in has limits; whoever exchanges a flow's
//! verdicts does so by [`Table::hold`] and [`Table::release`].

use std::net::IpAddr;

use foldhash::{HashMap, HashMapExt};

use super::table::Table;
use super::witness::Via;
use crate::rules::Pass;
use crate::types::RuleId;

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

/// By rule, and by rule and source.
pub(super) struct Usages {
    rules: HashMap<RuleId, Usage>,
    sources: HashMap<(RuleId, IpAddr), u32>,
}

impl Usages {
    pub(super) fn new() -> Self {
        Usages { rules: HashMap::new(), sources: HashMap::new() }
    }

    fn add(&mut self, rule: RuleId, source: IpAddr) {
        let usage = self.rules.entry(rule).or_default();
        usage.states += 1;
        let of_source = self.sources.entry((rule, source)).or_default();
        *of_source += 1;
        usage.sources += u32::from(*of_source == 1);
    }

    fn take(&mut self, rule: RuleId, source: IpAddr) {
        let (Some(usage), Some(of_source)) =
            (self.rules.get_mut(&rule), self.sources.get_mut(&(rule, source)))
        else {
            return;
        };
        usage.states = usage.states.saturating_sub(1);
        *of_source = of_source.saturating_sub(1);
        if *of_source == 0 {
            self.sources.remove(&(rule, source));
            usage.sources = usage.sources.saturating_sub(1);
        }
        if usage.states == 0 {
            self.rules.remove(&rule);
        }
    }
}

impl Table {
    /// What a rule with limits has in use, and one of its sources.
    pub fn usage(&self, rule: RuleId, source: IpAddr) -> Usage {
        let of_source = self.usages.sources.get(&(rule, source)).copied().unwrap_or(0);
        Usage { of_source, ..self.usages.rules.get(&rule).copied().unwrap_or_default() }
    }

    /// A flow of this source gets these verdicts and gateways; their number.
    pub(super) fn hold(&mut self, passes: [Pass; 2], via: Via, source: IpAddr) -> u32 {
        if passes[0].is_limited() {
            self.usages.add(passes[0].rule(), source);
        }
        self.witnesses.hold(passes, via)
    }

    /// A flow of this source has the verdicts of this number no longer.
    pub(super) fn release(&mut self, number: u32, source: IpAddr) {
        let pass = self.witnesses.get(number)[0];
        if pass.is_limited() {
            self.usages.take(pass.rule(), source);
        }
        self.witnesses.release(number);
    }
}
