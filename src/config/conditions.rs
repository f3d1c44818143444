//! What the policy depends on besides the document: the hour, and what names stand for.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::model::AddressRange;
use super::{Calendar, Config};
use crate::types::WallTime;
use crate::wire::dns::Name;

/// The circumstances under which a document is compiled. Without any, every schedule is in its hours, and names and files
/// stand for nothing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Conditions {
    /// Schedules that are not in their hours.
    pub asleep: BTreeSet<String>,
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
        Conditions { asleep: Calendar::new(config).asleep(now), ..Conditions::default() }
    }

    /// Is a rule with this schedule in its hours?
    pub fn is_on(&self, schedule: Option<&str>) -> bool {
        schedule.is_none_or(|name| !self.asleep.contains(name))
    }

    /// The policy is the same under both, whatever else is to be told.
    pub fn same_policy(&self, other: &Conditions) -> bool {
        let Conditions { asleep, doubt: _, names, lists } = self;
        *asleep == other.asleep && *names == other.names && *lists == other.lists
    }
}
