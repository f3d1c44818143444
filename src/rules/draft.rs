//! A rule on its way to being compiled: both families, any number of networks, words for people.

use std::fmt;

use super::verdict::{Pass, Verdict};
use crate::config::model::Protocol;
use crate::types::{Direction, Family, PortRange, Prefix, RuleId};
use crate::wire::Drop;

/// One rule on one interface in one direction.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub id: RuleId,
    pub outcome: Outcome,
    pub log: bool,
    /// The families it looks at.
    pub families: &'static [Family],
    pub protocol: Protocol,
    /// An ICMP or ICMPv6 type.
    pub icmp: Option<u8>,
    pub source: Set,
    pub source_port: PortRange,
    pub destination: Set,
    pub destination_port: PortRange,
    pub scope: Scope,
}

/// What happens to a match.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    Pass,
    Block(Drop),
}

/// Whose packets a rule looks at, apart from addresses. Only automatic rules ask.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Scope {
    Everything,
    /// Addressed to the router.
    ToSelf,
    /// Addressed to the router or to a group on the link.
    OnLink,
    /// Made by the router.
    FromSelf,
    /// Neither for the router nor for a group on the link: would be forwarded.
    Through,
}

impl Scope {
    /// What pf has no word for, as its comment.
    const fn remark(self) -> &'static str {
        match self {
            Scope::Everything => "",
            Scope::ToSelf => " # to the firewall itself",
            Scope::OnLink => " # to the firewall itself or a group on the link",
            Scope::FromSelf => " # from the firewall itself",
            Scope::Through => " # that would be forwarded",
        }
    }
}

/// A set of addresses.
#[derive(Clone, Debug)]
pub(super) struct Set {
    pub not: bool,
    /// `None`: every address.
    pub networks: Option<Vec<Prefix>>,
}

pub(super) const BOTH: &[Family] = &[Family::Inet, Family::Inet6];

impl Draft {
    /// A rule that matches everything of these families.
    pub(super) fn new(id: RuleId, outcome: Outcome, families: &'static [Family]) -> Draft {
        Draft {
            id,
            outcome,
            log: false,
            families,
            protocol: Protocol::Any,
            icmp: None,
            source: Set::any(),
            source_port: PortRange::ANY,
            destination: Set::any(),
            destination_port: PortRange::ANY,
            scope: Scope::Everything,
        }
    }

    pub(super) fn verdict(&self) -> Verdict {
        match self.outcome {
            Outcome::Pass => Verdict::Pass(Pass::new(self.id, self.log)),
            Outcome::Block(drop) => Verdict::Block { rule: self.id, drop, log: self.log },
        }
    }

    /// The rule in pf's words.
    pub(super) fn text(&self, direction: Direction) -> String {
        let action = match self.outcome {
            Outcome::Pass => "pass",
            Outcome::Block(_) => "block",
        };
        let direction = match direction {
            Direction::In => "in",
            Direction::Out => "out",
        };
        let log = if self.log { " log" } else { "" };
        let mut text = format!("{action} {direction}{log} quick");
        match self.families {
            [Family::Inet] => text += " inet",
            [Family::Inet6] => text += " inet6",
            _ => {}
        }
        if self.protocol != Protocol::Any {
            text += &format!(" proto {}", String::from(self.protocol));
        }
        text += &format!(" from {}{}", self.source, ports(self.source_port));
        text += &format!(" to {}{}", self.destination, ports(self.destination_port));
        if let Some(kind) = self.icmp {
            text += &format!(" icmp-type {kind}");
        }
        text + self.scope.remark()
    }
}

fn ports(range: PortRange) -> String {
    if range == PortRange::ANY { String::new() } else { format!(" port {range}") }
}

impl Set {
    pub(super) fn any() -> Set {
        Set { not: false, networks: None }
    }

    pub(super) fn of(networks: impl IntoIterator<Item = Prefix>) -> Set {
        Set { not: false, networks: Some(networks.into_iter().collect()) }
    }

    /// From the texts of a list in this module.
    pub(super) fn listed(texts: &[&str]) -> Set {
        Set::of(texts.iter().filter_map(|text| text.parse().ok()))
    }
}

impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.not {
            f.write_str("! ")?;
        }
        match self.networks.as_deref() {
            None => f.write_str("any"),
            Some([]) => f.write_str("nobody"),
            Some([one]) => write!(f, "{one}"),
            Some(several) => {
                let texts: Vec<String> = several.iter().map(Prefix::to_string).collect();
                write!(f, "{{ {} }}", texts.join(" "))
            }
        }
    }
}
