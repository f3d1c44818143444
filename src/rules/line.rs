//! What the classifier's tables leave for the line itself to answer, matched without allocation.

use super::criteria::{Criteria, Scope, Tag};
use super::query::Query;
use crate::config::model::{Protocol, TcpFlags};
use crate::types::{Direction, Family, RuleId};
use crate::wire::{Transport, protocol};

/// The facts of a query that are the same for every line.
#[derive(Clone, Copy)]
pub(super) struct Facts {
    /// Twice the interface, and one more on the way out.
    pub crossing: u32,
    pub src_port: u16,
    pub dst_port: u16,
    pub protocol: u8,
    icmp: Option<u8>,
    flags: u8,
    dscp: Option<u8>,
    forward: Option<RuleId>,
    bits: u8,
}

const TO_SELF: u8 = 1;
const FROM_SELF: u8 = 2;
const LINK_MULTICAST: u8 = 4;

impl Facts {
    #[inline]
    pub(super) fn new(query: &Query) -> Facts {
        let bit = |set: bool, bit: u8| if set { bit } else { 0 };
        let out = match query.direction {
            Direction::In => 0,
            Direction::Out => 1,
        };
        Facts {
            crossing: u32::from(query.interface.0) * 2 + out,
            src_port: query.key.src_port(),
            dst_port: query.key.dst_port(),
            protocol: query.key.protocol(),
            icmp: query.icmp_kind(),
            flags: match query.transport {
                Transport::Tcp { flags, .. } => flags,
                Transport::Udp
                | Transport::IcmpQuery { .. }
                | Transport::IcmpError { .. }
                | Transport::IcmpOther { .. }
                | Transport::Other => 0,
            },
            dscp: query.dscp,
            forward: query.forward,
            bits: bit(query.to_self, TO_SELF)
                | bit(query.from_self, FROM_SELF)
                | bit(query.link_multicast, LINK_MULTICAST),
        }
    }
}

/// What few lines look at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Rest {
    /// A bit for each ICMP type.
    icmp: Option<[u64; 4]>,
    flags: Option<TcpFlags>,
    dscp: Option<u8>,
    tagged: Option<(Tag, bool)>,
    forward: Option<RuleId>,
    /// One of these bits must be set, unless empty.
    some_of: u8,
    /// None of these bits may be set.
    none_of: u8,
}

impl Rest {
    pub(super) fn new(criteria: &Criteria, family: Family) -> Rest {
        let (some_of, none_of) = match criteria.scope {
            Scope::Everything => (0, 0),
            Scope::ToSelf => (TO_SELF, 0),
            Scope::OnLink => (TO_SELF | LINK_MULTICAST, 0),
            Scope::FromSelf => (FROM_SELF, 0),
            Scope::Through => (0, TO_SELF | LINK_MULTICAST),
        };
        let icmp = (!criteria.icmp.is_empty()).then(|| {
            criteria.icmp.iter().filter_map(|kind| kind.number(family)).fold([0; 4], |mut bits, kind| {
                bits[usize::from(kind / 64)] |= 1 << (kind % 64);
                bits
            })
        });
        Rest {
            icmp,
            flags: criteria.tcp_flags,
            dscp: criteria.dscp.map(|dscp| dscp.bits()),
            tagged: criteria.tagged,
            forward: criteria.forward,
            some_of,
            none_of,
        }
    }

    /// Does the packet match? A code point that is not known any more, of a flow that is asked about again, matches.
    #[inline]
    pub(super) fn matches(&self, facts: &Facts, tag: Tag) -> bool {
        let Rest { icmp, flags, dscp, tagged, forward, some_of, none_of } = *self;
        let has = |bits: [u64; 4], kind: u8| bits[usize::from(kind / 64)] >> (kind % 64) & 1 == 1;
        (some_of == 0 || facts.bits & some_of != 0)
            && facts.bits & none_of == 0
            && icmp.is_none_or(|bits| facts.icmp.is_some_and(|kind| has(bits, kind)))
            && flags.is_none_or(|TcpFlags { set, out_of }| facts.flags & out_of == set)
            && dscp.is_none_or(|wanted| facts.dscp.is_none_or(|dscp| dscp == wanted))
            && tagged.is_none_or(|(wanted, not)| (tag == wanted) != not)
            && forward.is_none_or(|forward| facts.forward == Some(forward))
    }
}

/// The numbers of a protocol; `None` for any.
pub(super) fn protocols(wanted: Protocol, family: Family) -> Option<Vec<u8>> {
    match (wanted, family) {
        (Protocol::Any, _) => None,
        (Protocol::Tcp, _) => Some(vec![protocol::TCP]),
        (Protocol::Udp, _) => Some(vec![protocol::UDP]),
        (Protocol::TcpUdp, _) => Some(vec![protocol::TCP, protocol::UDP]),
        (Protocol::Icmp, Family::Inet) => Some(vec![protocol::ICMP]),
        (Protocol::Icmp, Family::Inet6) => Some(vec![protocol::ICMPV6]),
        (Protocol::Number(number), _) => Some(vec![number]),
    }
}
