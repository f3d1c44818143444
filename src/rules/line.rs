//! A compiled rule: numbers only, one address family, matched without allocation.

use std::ops::BitAnd;

use super::draft::{Draft, Scope, Set};
use super::query::Query;
use super::verdict::Verdict;
use crate::config::model::Protocol;
use crate::types::{Family, PortRange, Prefix};
use crate::wire::protocol;

/// An address as a number: u32 or u128.
pub(super) trait Address: Copy + Eq + BitAnd<Output = Self> {
    const FAMILY: Family;
    const ZERO: Self;
    const ONE: Self;
    /// Network and mask; `None` for a prefix of the other family.
    fn network(prefix: &Prefix) -> Option<(Self, Self)>;
}

impl Address for u32 {
    const FAMILY: Family = Family::Inet;
    const ZERO: u32 = 0;
    const ONE: u32 = 1;
    fn network(prefix: &Prefix) -> Option<(u32, u32)> {
        match prefix {
            Prefix::V4(v4) => Some((v4.network().into(), v4.netmask().into())),
            Prefix::V6(_) => None,
        }
    }
}

impl Address for u128 {
    const FAMILY: Family = Family::Inet6;
    const ZERO: u128 = 0;
    const ONE: u128 = 1;
    fn network(prefix: &Prefix) -> Option<(u128, u128)> {
        match prefix {
            Prefix::V4(_) => None,
            Prefix::V6(v6) => Some((v6.network().into(), v6.netmask().into())),
        }
    }
}

/// A set of addresses: the first network here, the others in the list's common pool.
#[derive(Clone, Copy, Debug)]
struct Term<A> {
    network: A,
    mask: A,
    more: (u32, u32),
    not: bool,
}

impl<A: Address> Term<A> {
    fn new(set: &Set, pool: &mut Vec<(A, A)>) -> Term<A> {
        let Some(networks) = &set.networks else {
            return Term { network: A::ZERO, mask: A::ZERO, more: (0, 0), not: set.not };
        };
        let mut networks = networks.iter().filter_map(A::network);
        // Nothing masked is never one: the empty set.
        let (network, mask) = networks.next().unwrap_or((A::ONE, A::ZERO));
        let start = pool.len() as u32;
        pool.extend(networks);
        Term { network, mask, more: (start, pool.len() as u32), not: set.not }
    }

    fn matches(&self, address: A, pool: &[(A, A)]) -> bool {
        let more = || {
            let (start, end) = (self.more.0 as usize, self.more.1 as usize);
            pool[start..end].iter().any(|(network, mask)| address & *mask == *network)
        };
        (address & self.mask == self.network || more()) != self.not
    }
}

/// The facts of a query that are the same for every line.
#[derive(Clone, Copy)]
pub(super) struct Facts<A> {
    pub src: A,
    pub dst: A,
    src_port: u16,
    dst_port: u16,
    protocol: u8,
    icmp: u16,
    bits: u8,
}

const TO_SELF: u8 = 1;
const FROM_SELF: u8 = 2;
const LINK_MULTICAST: u8 = 4;
/// Larger than any ICMP type.
const NO_ICMP: u16 = 0x100;

impl<A> Facts<A> {
    pub(super) fn new(query: &Query, src: A, dst: A) -> Facts<A> {
        let bit = |set: bool, bit: u8| if set { bit } else { 0 };
        Facts {
            src,
            dst,
            src_port: query.key.src_port(),
            dst_port: query.key.dst_port(),
            protocol: query.key.protocol(),
            icmp: query.icmp_kind().map_or(NO_ICMP, u16::from),
            bits: bit(query.to_self, TO_SELF)
                | bit(query.from_self, FROM_SELF)
                | bit(query.link_multicast, LINK_MULTICAST),
        }
    }
}

/// One compiled rule.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<A> {
    source: Term<A>,
    destination: Term<A>,
    source_port: PortRange,
    destination_port: PortRange,
    /// Two protocol numbers, equal unless the rule is tcp/udp; `None` for any.
    protocol: Option<(u8, u8)>,
    icmp: Option<u16>,
    /// One of these bits must be set, unless empty.
    some_of: u8,
    /// None of these bits may be set.
    none_of: u8,
    verdict: Verdict,
}

impl<A: Address> Line<A> {
    /// Compiles a draft for this family; its further networks go into the pool.
    pub(super) fn new(draft: &Draft, pool: &mut Vec<(A, A)>) -> Option<Line<A>> {
        if !draft.families.contains(&A::FAMILY) {
            return None;
        }
        let (some_of, none_of) = match draft.scope {
            Scope::Everything => (0, 0),
            Scope::ToSelf => (TO_SELF, 0),
            Scope::OnLink => (TO_SELF | LINK_MULTICAST, 0),
            Scope::FromSelf => (FROM_SELF, 0),
            Scope::Through => (0, TO_SELF | LINK_MULTICAST),
        };
        Some(Line {
            source: Term::new(&draft.source, pool),
            destination: Term::new(&draft.destination, pool),
            source_port: draft.source_port,
            destination_port: draft.destination_port,
            protocol: numbers(draft.protocol, A::FAMILY),
            icmp: draft.icmp.map(u16::from),
            some_of,
            none_of,
            verdict: draft.verdict(),
        })
    }

    /// Does the packet match? The cheap questions come first.
    fn matches(&self, facts: &Facts<A>, pool: &[(A, A)]) -> bool {
        self.protocol.is_none_or(|(one, other)| facts.protocol == one || facts.protocol == other)
            && self.icmp.is_none_or(|icmp| facts.icmp == icmp)
            && (self.some_of == 0 || facts.bits & self.some_of != 0)
            && facts.bits & self.none_of == 0
            && self.destination_port.contains(facts.dst_port)
            && self.source_port.contains(facts.src_port)
            && self.destination.matches(facts.dst, pool)
            && self.source.matches(facts.src, pool)
    }
}

fn numbers(wanted: Protocol, family: Family) -> Option<(u8, u8)> {
    match (wanted, family) {
        (Protocol::Any, _) => None,
        (Protocol::Tcp, _) => Some((protocol::TCP, protocol::TCP)),
        (Protocol::Udp, _) => Some((protocol::UDP, protocol::UDP)),
        (Protocol::TcpUdp, _) => Some((protocol::TCP, protocol::UDP)),
        (Protocol::Icmp, Family::Inet) => Some((protocol::ICMP, protocol::ICMP)),
        (Protocol::Icmp, Family::Inet6) => Some((protocol::ICMPV6, protocol::ICMPV6)),
        (Protocol::Number(number), _) => Some((number, number)),
    }
}

/// The rules of one interface, direction and family, in order.
#[derive(Debug)]
pub(super) struct List<A> {
    lines: Box<[Line<A>]>,
    pool: Box<[(A, A)]>,
}

impl<A: Address> List<A> {
    pub(super) fn new(drafts: &[Draft]) -> List<A> {
        let mut pool = Vec::new();
        let lines = drafts.iter().filter_map(|draft| Line::new(draft, &mut pool)).collect();
        List { lines, pool: pool.into_boxed_slice() }
    }

    /// The verdict of the first line that matches.
    pub(super) fn first_match(&self, facts: &Facts<A>) -> Option<Verdict> {
        self.lines.iter().find(|line| line.matches(facts, &self.pool)).map(|line| line.verdict)
    }
}
