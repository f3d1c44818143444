//! The document's translations, compiled: which one a new flow gets, and what it does.
//!
//! pf's order: on the way in port forwards, then 1:1 and prefixes; on the way out 1:1 and prefixes, then outbound
//! mappings; of each kind the first match. Nothing here changes after compilation and nothing is random: choosing one
//! of several addresses, or a port, is [`super::Outbound`]'s.

use std::net::IpAddr;

use super::addresses::Addresses;
use super::mapping::Mapping;
use crate::config::model::Pool;
use crate::rules::{Classifier, Query, Tables, Tag};
use crate::types::{InterfaceId, PortRange, RuleId};

/// All translations of a node.
#[derive(Debug)]
pub struct Translations {
    pub(super) inward: Classifier,
    pub(super) inward_deeds: Box<[(Kind, Inward)]>,
    pub(super) outward: Classifier,
    pub(super) outward_deeds: Box<[(Kind, Outward)]>,
    /// The aliases that they name.
    pub(super) tables: Tables,
}

/// The kinds of translation, in pf's order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// Port forwards.
    Forward,
    /// 1:1 and prefixes.
    Whole,
    /// What the nodes themselves send, and outbound mappings.
    Source,
}

/// What happens to a flow's destination.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Inward {
    /// Nothing, whatever stands further down among its kind.
    Keep(RuleId),
    /// A port forward.
    Forward(Forward),
    /// 1:1, or another prefix.
    Whole(Whole),
}

/// A port forward.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Forward {
    /// Its number.
    pub id: RuleId,
    /// Its interface; a flow that came in elsewhere is reflected.
    pub on: InterfaceId,
    /// Where it leads.
    pub targets: Addresses,
    /// The first port outside and inside, when they differ.
    pub ports: Option<(u16, u16)>,
}

/// 1:1 NAT or a prefix translation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Whole {
    /// Its number.
    pub id: RuleId,
    /// Its interface; a flow that came in elsewhere is reflected.
    pub on: InterfaceId,
    /// Which addresses stand for which.
    pub mapping: Mapping,
}

/// What happens to a flow's source.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outward {
    /// Nothing, whatever stands further down among its kind; without a number, by the default policy.
    Keep(Option<RuleId>),
    /// 1:1, or another prefix.
    Whole(Whole),
    /// An outbound mapping.
    Source(Source),
}

/// An outbound mapping.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Source {
    /// Its number; automatic mappings have none.
    pub id: Option<RuleId>,
    /// The addresses that flows leave with.
    pub addresses: Addresses,
    /// How one of them is chosen.
    pub pool: Pool,
    /// The same source always gets the same one.
    pub sticky: bool,
    /// The ports that flows leave with; `None` when they keep theirs.
    pub ports: Option<PortRange>,
}

impl Translations {
    /// The aliases that they name.
    pub const fn tables(&self) -> &Tables {
        &self.tables
    }

    /// What happens to the destination of a flow that comes in, with the number of the line.
    #[inline]
    pub fn inward(&self, query: &Query) -> Option<(usize, &Inward)> {
        first(&self.inward, &self.inward_deeds, query, |deed| matches!(deed, Inward::Keep(_)))
    }

    /// What happens to the source of a flow that leaves, with the number of the line.
    #[inline]
    pub fn outward(&self, query: &Query) -> Option<(usize, &Outward)> {
        first(&self.outward, &self.outward_deeds, query, |deed| matches!(deed, Outward::Keep(Some(_))))
    }
}

/// The first match that does something. One that keeps what is there ends its own kind, not the kinds after it.
#[inline]
fn first<'a, T>(
    classifier: &Classifier,
    deeds: &'a [(Kind, T)],
    query: &Query,
    keeps: impl Fn(&T) -> bool,
) -> Option<(usize, &'a T)> {
    if deeds.is_empty() {
        return None;
    }
    let (mut found, mut over) = (None, None);
    classifier.walk(query, &mut Tag::default(), |line, _| {
        let Some((kind, deed)) = deeds.get(line) else { return true };
        if over == Some(*kind) {
            return true;
        }
        found = Some((line, deed));
        if keeps(deed) {
            over = Some(*kind);
            return true;
        }
        false
    });
    found
}

impl Inward {
    /// The number of the entry.
    pub const fn id(&self) -> RuleId {
        match self {
            Inward::Keep(id) | Inward::Forward(Forward { id, .. }) | Inward::Whole(Whole { id, .. }) => *id,
        }
    }

    /// The interface whose entry it is, when it translates.
    pub const fn on(&self) -> Option<InterfaceId> {
        match self {
            Inward::Keep(_) => None,
            Inward::Forward(Forward { on, .. }) | Inward::Whole(Whole { on, .. }) => Some(*on),
        }
    }

    /// May a flow to `destination` go on to `inside`?
    pub fn leads(&self, destination: (IpAddr, u16), inside: (IpAddr, u16)) -> bool {
        match self {
            Inward::Keep(_) => destination == inside,
            Inward::Forward(forward) => {
                forward.targets.contains(inside.0) && forward.port(destination.1) == inside.1
            }
            Inward::Whole(Whole { mapping, .. }) => {
                mapping.inward(destination.0) == Some(inside.0) && destination.1 == inside.1
            }
        }
    }
}

impl Forward {
    /// The inside port of an outside one.
    pub fn port(&self, port: u16) -> u16 {
        self.ports.map_or(port, |(outside, inside)| inside.wrapping_add(port.wrapping_sub(outside)))
    }
}

impl Outward {
    /// The number of the entry.
    pub const fn id(&self) -> Option<RuleId> {
        match self {
            Outward::Keep(id) | Outward::Source(Source { id, .. }) => *id,
            Outward::Whole(Whole { id, .. }) => Some(*id),
        }
    }

    /// May a flow from `source` leave as one from `outside`?
    pub fn leads(&self, source: IpAddr, outside: IpAddr) -> bool {
        match self {
            Outward::Keep(_) => source == outside,
            Outward::Whole(Whole { mapping, .. }) => mapping.outward(source) == Some(outside),
            Outward::Source(Source { addresses, .. }) => addresses.contains(outside),
        }
    }
}
