//! A look through the table that is made in pieces: the flows of a page, how many fit, and what they come to by group.
//!
//! Whoever looks owns the [`Survey`], with room for all that it may find; the table only fills it in, so many slots at a
//! time. It ends at the end of the table, when its page is full, or when it has looked at enough; it says which.

use std::collections::HashMap;
use std::net::IpAddr;

use foldhash::fast::FixedState;

use super::index::Way;
use super::list::{Cursor, Filter, FlowState};
use super::table::Table;
use crate::types::{Instant, InterfaceId, RuleId};

/// Groups that are told apart; flows of others are counted together.
pub const GROUPS: usize = 4096;

/// What flows are grouped by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum By {
    /// Source of the original way.
    Source,
    /// Destination of the original way.
    Destination,
    /// The rule that let it in.
    Rule,
    /// The interface by which it came in.
    Interface,
}

/// A group.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Group {
    /// Flows from, or to, an address.
    Address(IpAddr),
    /// Flows of a rule.
    Rule(RuleId),
    /// Flows that came in there.
    Interface(InterfaceId),
}

/// What flows come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sum {
    /// How many they are.
    pub flows: u64,
    /// Packets of both ways.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// See the module.
pub struct Survey {
    filter: Filter,
    by: Option<By>,
    /// Rows that it wants.
    page: usize,
    /// It goes on to count when it has them.
    counts: bool,
    /// Slots that it may still look at.
    left: usize,
    at: Option<Cursor>,
    /// Behind the last row, when there are more.
    next: Option<Cursor>,
    over: bool,
    found: u64,
    looked: u64,
    rows: Vec<FlowState>,
    groups: HashMap<Group, Sum, FixedState>,
    others: Sum,
}

impl Survey {
    /// The flows that fit, from `after` on, at most a `page` of them. It looks at `reach` slots at most.
    pub fn page(filter: Filter, after: Option<Cursor>, page: usize, reach: usize) -> Survey {
        Survey {
            filter,
            by: None,
            page,
            counts: false,
            left: reach,
            at: after,
            next: None,
            over: false,
            found: 0,
            looked: 0,
            rows: Vec::with_capacity(page.min(ROOM)),
            groups: HashMap::default(),
            others: Sum::default(),
        }
    }

    /// What the flows that fit come to, group by group. It looks at `reach` slots at most.
    pub fn sums(filter: Filter, by: By, reach: usize) -> Survey {
        let groups = HashMap::with_capacity_and_hasher(GROUPS, FixedState::default());
        Survey { by: Some(by), counts: true, groups, ..Survey::page(filter, None, 0, reach) }
    }

    /// It also says how many there are behind the page, as far as it reaches.
    pub fn counting(self) -> Survey {
        Survey { counts: true, ..self }
    }

    /// Nothing is left to be looked at.
    pub fn is_done(&self) -> bool {
        self.over || self.left == 0 || (!self.counts && self.found > self.page as u64)
    }

    /// It has seen the table to its end.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// The flows of the page.
    pub fn rows(&self) -> &[FlowState] {
        &self.rows
    }

    /// How many fitted, of those that it looked at.
    pub fn found(&self) -> u64 {
        self.found
    }

    /// How many slots it looked at.
    pub fn looked(&self) -> u64 {
        self.looked
    }

    /// Where the next page begins; `None` at the end.
    pub fn next(&self) -> Option<Cursor> {
        match (self.found > self.rows.len() as u64, self.over) {
            (true, _) => self.next,
            (false, true) => None,
            (false, false) => self.at,
        }
    }

    /// The largest groups, at most `limit`, by the number of their flows.
    pub fn largest(&self, limit: usize) -> Vec<(Group, Sum)> {
        let mut groups: Vec<(Group, Sum)> = self.groups.iter().map(|(group, sum)| (*group, *sum)).collect();
        groups.sort_by_key(|(group, sum)| (std::cmp::Reverse((sum.flows, sum.bytes)), group.order()));
        groups.truncate(limit);
        groups
    }

    /// How many groups there are, as far as they are told apart.
    pub fn groups(&self) -> usize {
        self.groups.len()
    }

    /// What the flows come to for whose groups there was no room.
    pub fn others(&self) -> Sum {
        self.others
    }

    fn add(&mut self, group: Group, packets: [u64; 2], bytes: [u64; 2]) {
        let has_room = self.groups.len() < GROUPS;
        let sum = match self.groups.get_mut(&group) {
            Some(sum) => sum,
            None if has_room => self.groups.entry(group).or_default(),
            None => &mut self.others,
        };
        sum.flows += 1;
        sum.packets += packets[0] + packets[1];
        sum.bytes += bytes[0] + bytes[1];
    }
}

impl Group {
    fn order(&self) -> (u8, Option<IpAddr>, u32) {
        match self {
            Group::Address(address) => (0, Some(*address), 0),
            Group::Rule(rule) => (1, None, rule.0),
            Group::Interface(interface) => (2, None, u32::from(interface.0)),
        }
    }
}

impl Table {
    /// Goes on with a survey, looking at `limit` slots at most.
    pub fn survey(&self, now: Instant, survey: &mut Survey, limit: usize) {
        let limit = limit.min(survey.left);
        let (filter, from) = (survey.filter, survey.at);
        let (mut looked, mut last) = (0, from);
        let mut slots = Vec::new();
        // A page that does not count ends with its last row, so it is walked until then.
        while looked < limit && !survey.is_done() {
            let step = if survey.counts { limit - looked } else { (limit - looked).min(STEP) };
            slots.clear();
            let next = self.walk(&filter, last, step, |slot| slots.push(slot));
            for slot in &slots {
                survey.found += 1;
                let (original, common) = (self.store.key(*slot, Way::Original), self.store.common(*slot));
                if let Some(by) = survey.by {
                    let (packets, bytes) = common.counted();
                    let group = match by {
                        By::Source => Group::Address(original.src()),
                        By::Destination => Group::Address(original.dst()),
                        By::Rule => Group::Rule(self.witnesses.get(common.witness())[0].rule()),
                        By::Interface => Group::Interface(common.interfaces[0]),
                    };
                    survey.add(group, packets, bytes);
                }
                if survey.rows.len() < survey.page {
                    survey.rows.push(self.row(now, *slot));
                    survey.next = Some(Cursor::at(*slot));
                } else if !survey.counts {
                    break;
                }
            }
            looked += step;
            last = next;
            survey.over = next.is_none();
        }
        survey.left -= looked;
        survey.looked += looked as u64;
        survey.at = last;
    }
}

/// Rows for which there is room from the beginning.
const ROOM: usize = 4096;
/// Slots between two looks at whether a page is full.
const STEP: usize = 256;
