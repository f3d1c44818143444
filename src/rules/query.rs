//! What the rules are asked about.

use super::criteria::Tag;
use crate::types::{Direction, InterfaceId, RuleId};
use crate::wire::{FlowKey, Transport};

/// The first packet of a flow, as far as rules look at it. The key is the one after inbound translation on
/// the way in, and after outbound translation on the way out, as in pf.
#[derive(Clone, Copy, Debug)]
pub struct Query {
    /// Which way it crosses the interface.
    pub direction: Direction,
    /// The interface.
    pub interface: InterfaceId,
    /// Addresses, ports, protocol.
    pub key: FlowKey,
    /// The transport header.
    pub transport: Transport,
    /// Addressed to the router itself.
    pub to_self: bool,
    /// Made by the router itself.
    pub from_self: bool,
    /// Addressed to a group or broadcast that stays on the link.
    pub link_multicast: bool,
    /// The tag that rules have put on it so far.
    pub tag: Tag,
    /// Its code point; `None` when that is not known any more, of a flow that is asked about again.
    pub dscp: Option<u8>,
    /// The port forward that has translated it.
    pub forward: Option<RuleId>,
}

impl Query {
    /// A packet from one stranger to another, not translated, not tagged.
    pub const fn new(
        direction: Direction,
        interface: InterfaceId,
        key: FlowKey,
        transport: Transport,
    ) -> Query {
        Query {
            direction,
            interface,
            key,
            transport,
            to_self: false,
            from_self: false,
            link_multicast: false,
            tag: Tag::NONE,
            dscp: None,
            forward: None,
        }
    }

    /// The ICMP or ICMPv6 type, when it is such a message. A query's key names the request's type.
    pub(super) fn icmp_kind(&self) -> Option<u8> {
        match self.transport {
            Transport::IcmpQuery { request: true } => Some(self.key.dst_port() as u8),
            Transport::IcmpQuery { request: false } => match (self.key, self.key.src_port() as u8) {
                (FlowKey::V4(_), 8) => Some(0),
                (FlowKey::V4(_) | FlowKey::V6(_), kind) => Some(kind.wrapping_add(1)),
            },
            Transport::IcmpError { kind, .. } | Transport::IcmpOther { kind } => Some(kind),
            Transport::Tcp { .. } | Transport::Udp | Transport::Other => None,
        }
    }
}
