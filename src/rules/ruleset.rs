//! The compiled rules of a node.

use super::automatic::{Setting, id};
use super::line::{Facts, List};
use super::martian::martian;
use super::query::Query;
use super::verdict::{Pass, Verdict};
use crate::types::{Direction, InterfaceId, RuleId};
use crate::wire::{Drop, FlowKey};

/// The compiled rules of a node. Built by [`super::compile`], never changed.
#[derive(Debug)]
pub struct Ruleset {
    /// By interface; in, then out.
    pub(super) filters: Box<[[Filter; 2]]>,
    /// Sorted by id.
    pub(super) infos: Box<[RuleInfo]>,
}

/// The rules of one interface in one direction.
#[derive(Debug)]
pub(super) struct Filter {
    pub inet: List<u32>,
    pub inet6: List<u128>,
}

/// A rule as people see it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RuleInfo {
    /// Its stable number.
    pub id: RuleId,
    /// What it is for.
    pub description: String,
    /// The setting that owns it; `None` for a rule of the document's own.
    pub automatic: Option<Setting>,
    /// In pf's words, a line for each part; an automatic rule's as it is on its first interface.
    pub text: String,
    /// Which way packets cross the interface.
    pub direction: Direction,
    /// Where it is in force; empty for a disabled rule.
    pub interfaces: Vec<InterfaceId>,
    /// What it would give a match when that is to pass.
    pub(super) pass: Option<Pass>,
}

impl Ruleset {
    /// Decides. Everything that comes in is first held against [`martian`].
    pub fn evaluate(&self, query: &Query) -> Verdict {
        const DENIED: Verdict =
            Verdict::Block { rule: id::DEFAULT_DENY_INET, drop: Drop::BlockedIn, log: true };
        let direction = match query.direction {
            Direction::In => {
                if let Some(drop) = martian(&query.key) {
                    return Verdict::Block { rule: id::MARTIANS, drop, log: false };
                }
                0
            }
            Direction::Out => 1,
        };
        // Every list ends with a rule that blocks; an interface that does not exist has no list.
        let Some(filters) = self.filters.get(usize::from(query.interface.0)) else { return DENIED };
        let filter = &filters[direction];
        let verdict = match query.key {
            FlowKey::V4(key) => {
                filter.inet.first_match(&Facts::new(query, u32::from(key.src), u32::from(key.dst)))
            }
            FlowKey::V6(key) => {
                filter.inet6.first_match(&Facts::new(query, u128::from(key.src), u128::from(key.dst)))
            }
        };
        verdict.unwrap_or(DENIED)
    }

    /// A rule as people see it.
    pub fn rule(&self, id: RuleId) -> Option<&RuleInfo> {
        let index = self.infos.binary_search_by_key(&id, |info| info.id).ok()?;
        self.infos.get(index)
    }

    /// All rules, automatic ones included, by id.
    pub fn rules(&self) -> impl Iterator<Item = &RuleInfo> {
        self.infos.iter()
    }

    /// The pass of a rule for a flow that it once let through; `None` when the rule is gone, disabled, or
    /// blocks now.
    pub fn recall(&self, id: RuleId, direction: Direction) -> Option<Pass> {
        let info = self.rule(id).filter(|info| info.direction == direction && !info.interfaces.is_empty())?;
        info.pass
    }
}
