//! What a rule looks at: the one form that filter rules and translations are compiled from.

use super::set::{PortSet, Set};
use crate::config::model::{Dscp, IcmpKind, Protocol, TcpFlags};
use crate::types::{Direction, Family, InterfaceId, RuleId};

/// A mark that a rule puts on a packet for the rules after it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Tag(pub(super) u16);

impl Tag {
    /// No tag.
    pub const NONE: Tag = Tag(0);
}

/// The packets that a rule is about.
#[derive(Clone, Debug)]
pub struct Criteria {
    /// Where they cross: a bit for each interface.
    pub interfaces: u128,
    /// Which way.
    pub directions: &'static [Direction],
    /// Their families.
    pub families: &'static [Family],
    /// Their protocol.
    pub protocol: Protocol,
    /// Their ICMP types; all when empty.
    pub icmp: Vec<IcmpKind>,
    /// Where they come from.
    pub source: Set,
    /// And by which ports.
    pub source_port: PortSet,
    /// Where they go to.
    pub destination: Set,
    /// And by which ports.
    pub destination_port: PortSet,
    /// Their TCP flags.
    pub tcp_flags: Option<TcpFlags>,
    /// Their code point.
    pub dscp: Option<Dscp>,
    /// They carry the tag; or, with true, they do not.
    pub tagged: Option<(Tag, bool)>,
    /// The port forward that has translated them.
    pub forward: Option<RuleId>,
    /// Whose they are.
    pub scope: Scope,
}

/// Whose packets a rule looks at, apart from addresses. Only automatic rules ask.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// Anybody's.
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

/// Both families.
pub const BOTH: &[Family] = &[Family::Inet, Family::Inet6];
/// On the way in.
pub const INWARD: &[Direction] = &[Direction::In];
/// On the way out.
pub const OUTWARD: &[Direction] = &[Direction::Out];
/// Both ways.
pub const EITHER_WAY: &[Direction] = &[Direction::In, Direction::Out];

/// A single family.
pub const fn only(family: Family) -> &'static [Family] {
    match family {
        Family::Inet => &[Family::Inet],
        Family::Inet6 => &[Family::Inet6],
    }
}

/// The bit of an interface.
pub fn bit(interface: InterfaceId) -> u128 {
    1u128.checked_shl(interface.0.into()).unwrap_or(0)
}

impl Criteria {
    /// Every packet of these families that crosses one of these interfaces this way.
    pub fn new(interfaces: u128, directions: &'static [Direction], families: &'static [Family]) -> Criteria {
        Criteria {
            interfaces,
            directions,
            families,
            protocol: Protocol::Any,
            icmp: Vec::new(),
            source: Set::any(),
            source_port: PortSet::ANY,
            destination: Set::any(),
            destination_port: PortSet::ANY,
            tcp_flags: None,
            dscp: None,
            tagged: None,
            forward: None,
            scope: Scope::Everything,
        }
    }
}

impl Scope {
    /// What pf has no word for, as its comment.
    pub(super) const fn remark(self) -> &'static str {
        match self {
            Scope::Everything => "",
            Scope::ToSelf => " # to the firewall itself",
            Scope::OnLink => " # to the firewall itself or a group on the link",
            Scope::FromSelf => " # from the firewall itself",
            Scope::Through => " # that would be forwarded",
        }
    }
}
