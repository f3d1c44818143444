//! What the policy depends on besides the document: the hour, and what names stand for.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::model::{AddressRange, Rule};
use super::{Calendar, Config};
use crate::types::{RuleId, WallTime};
use crate::wire::dns::Name;

/// The circumstances under which a document is compiled. Without any, every schedule is in its hours, and names and files
/// stand for nothing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Conditions {
    /// Schedules that are not in their hours.
    pub asleep: BTreeSet<String>,
    /// Rules whose time is over, or that pause.
    pub resting: BTreeSet<RuleId>,
    /// The clock that says so may be wrong: why, in words.
    pub doubt: Option<String>,
    /// What the names of hosts in aliases stand for.
    pub names: Arc<BTreeMap<Name, Vec<IpAddr>>>,
    /// By alias what its file holds.
    pub lists: Arc<BTreeMap<String, Vec<AddressRange>>>,
}

impl Conditions {
    /// Those of a moment, by a clock that nobody doubts.
    pub fn at(config: &Config, now: WallTime) -> Conditions {
        Conditions::default().moved(config, now)
    }

    /// The same at another moment.
    pub fn moved(self, config: &Config, now: WallTime) -> Conditions {
        let calendar = Calendar::new(config);
        Conditions { asleep: calendar.asleep(now), resting: calendar.resting(now), ..self }
    }

    /// Is the rule in its time, and in the hours of its schedule?
    pub fn is_awake(&self, rule: &Rule) -> bool {
        !self.resting.contains(&rule.id) && self.is_on(rule.schedule.as_deref())
    }

    /// The same rules are in force under both, as far as the hour decides.
    pub fn same_hours(&self, other: &Conditions) -> bool {
        self.asleep == other.asleep && self.resting == other.resting
    }

    /// Is a rule with this schedule in its hours?
    pub fn is_on(&self, schedule: Option<&str>) -> bool {
        schedule.is_none_or(|name| !self.asleep.contains(name))
    }

    /// The policy is the same under both, whatever else is to be told.
    pub fn same_policy(&self, other: &Conditions) -> bool {
        let Conditions { asleep: _, resting: _, doubt: _, names, lists } = self;
        self.same_hours(other) && *names == other.names && *lists == other.lists
    }
}
