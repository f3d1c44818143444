//! A decision that is worth a line in the firewall log.

use crate::types::{Direction, Instant, InterfaceId, RuleId};
use crate::wire::{Drop, FlowKey, Layout, Transport};

/// A logged decision, as the packet path makes it: small, and without words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record {
    /// Counts the records of a router process from 1.
    pub id: u64,
    /// When.
    pub at: Instant,
    /// The rule that decided.
    pub rule: RuleId,
    /// What became of the packet.
    pub action: Logged,
    /// The interface that it was crossing; [`InterfaceId::SELF`] for the router's own.
    pub interface: InterfaceId,
    /// Which way.
    pub direction: Direction,
    /// By which it had come in.
    pub ingress: InterfaceId,
    /// Addresses, ports and protocol as it had come in.
    pub key: FlowKey,
    /// TCP's flags.
    pub flags: Option<u8>,
    /// Its code point.
    pub dscp: u8,
    /// Bytes of the IP packet.
    pub length: u32,
}

/// What became of a logged packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Logged {
    /// It passed, and began a flow.
    Passed,
    /// It was dropped.
    Blocked(Drop),
    /// It was dropped, and its sender was told.
    Rejected(Drop),
}

impl Record {
    /// Of a packet that `rule` decided about just now; it gets its number later.
    pub fn new(at: Instant, rule: RuleId, action: Logged, layout: &Layout, length: u32) -> Record {
        Record {
            id: 0,
            at,
            rule,
            action,
            interface: InterfaceId::SELF,
            direction: Direction::In,
            ingress: InterfaceId::SELF,
            key: layout.key,
            flags: match layout.transport {
                Transport::Tcp { flags, .. } => Some(flags),
                Transport::Udp
                | Transport::IcmpQuery { .. }
                | Transport::IcmpError { .. }
                | Transport::IcmpOther { .. }
                | Transport::Other => None,
            },
            dscp: layout.traffic_class >> 2,
            length,
        }
    }
}
