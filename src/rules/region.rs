//! What several rules together leave over for a rule after them.
//!
//! A region is a list of boxes: sets of crossings, protocols, ICMP types, addresses and ports, of which any combination
//! belongs to it. Taking a box away leaves at most one box for each of its sides. The list is bounded: beyond
//! [`PIECES`] nobody knows any more, and nothing is said.

use super::criteria::{Criteria, Scope};
use super::line::protocols;
use super::set::FamilySpans;
use super::spans::{Number, Spans};
use crate::config::model::TcpFlags;
use crate::types::Direction;

/// The most boxes of a region.
const PIECES: usize = 256;

/// A set of small numbers.
type Bits = [u64; 4];

const ALL: Bits = [u64::MAX; 4];

/// Sets of which any combination belongs to it.
#[derive(Clone)]
pub(super) struct Piece<A> {
    /// Interfaces on the way in, and on the way out.
    crossings: [u128; 2],
    protocols: Bits,
    icmp: Bits,
    addresses: [Spans<A>; 2],
    ports: [Spans<u16>; 2],
}

impl<A: FamilySpans> Piece<A> {
    /// What a rule sees of a family; more than that, when it asks for what sets do not say.
    pub(super) fn of(criteria: &Criteria) -> Option<Piece<A>> {
        if !criteria.families.contains(&A::FAMILY) {
            return None;
        }
        let way = |way: Direction| if criteria.directions.contains(&way) { criteria.interfaces } else { 0 };
        let kinds = criteria.icmp.iter().filter_map(|kind| kind.number(A::FAMILY));
        let piece = Piece {
            crossings: [way(Direction::In), way(Direction::Out)],
            protocols: protocols(criteria.protocol, A::FAMILY).map_or(ALL, bits),
            icmp: if criteria.icmp.is_empty() { ALL } else { bits(kinds) },
            addresses: [criteria.source.spans(), criteria.destination.spans()],
            ports: [criteria.source_port.spans(), criteria.destination_port.spans()],
        };
        (!piece.is_empty()).then_some(piece)
    }

    fn is_empty(&self) -> bool {
        self.crossings == [0; 2]
            || self.protocols == [0; 4]
            || self.icmp == [0; 4]
            || self.addresses.iter().any(|set| set.ranges().is_empty())
            || self.ports.iter().any(|set| set.ranges().is_empty())
    }

    /// True when some packet is in both.
    fn meets(&self, other: &Piece<A>) -> bool {
        both(self.crossings, other.crossings) != [0; 2]
            && both(self.protocols, other.protocols) != [0; 4]
            && both(self.icmp, other.icmp) != [0; 4]
            && (0..2).all(|side| self.ports[side].meets(&other.ports[side]))
            && (0..2).all(|side| self.addresses[side].meets(&other.addresses[side]))
    }

    /// Adds what is left of it without `other`, which it meets.
    fn without(mut self, other: &Piece<A>, left: &mut Vec<Piece<A>>) {
        let crossings = both(self.crossings, other.crossings);
        let (protocols, icmp) = (both(self.protocols, other.protocols), both(self.icmp, other.icmp));
        let addresses = [0, 1].map(|at| self.addresses[at].intersection(&other.addresses[at]));
        let ports = [0, 1].map(|at| self.ports[at].intersection(&other.ports[at]));
        let common = Piece { crossings, protocols, icmp, addresses, ports };
        let mut keep = |piece: Piece<A>| {
            if !piece.is_empty() {
                left.push(piece);
            }
        };
        keep(Piece { crossings: but(self.crossings, common.crossings), ..self.clone() });
        self.crossings = common.crossings;
        keep(Piece { protocols: but(self.protocols, common.protocols), ..self.clone() });
        self.protocols = common.protocols;
        keep(Piece { icmp: but(self.icmp, common.icmp), ..self.clone() });
        self.icmp = common.icmp;
        for at in 0..2 {
            let mut piece = self.clone();
            piece.addresses[at] = rest(&self.addresses[at], &common.addresses[at]);
            keep(piece);
            self.addresses[at] = common.addresses[at].clone();
        }
        for at in 0..2 {
            let mut piece = self.clone();
            piece.ports[at] = rest(&self.ports[at], &common.ports[at]);
            keep(piece);
            self.ports[at] = common.ports[at].clone();
        }
    }
}

/// A set of packets of one family.
pub(super) struct Region<A>(Option<Vec<Piece<A>>>);

impl<A: FamilySpans> Region<A> {
    pub(super) fn of(criteria: &Criteria) -> Region<A> {
        Region(Some(Piece::of(criteria).into_iter().collect()))
    }

    /// True when nothing is in it, for certain.
    pub(super) fn is_empty(&self) -> bool {
        self.0.as_ref().is_some_and(Vec::is_empty)
    }

    /// Takes away what a rule sees for certain; true when that was something.
    pub(super) fn take(&mut self, seen: &Option<Piece<A>>) -> bool {
        let (Some(pieces), Some(seen)) = (&mut self.0, seen) else { return false };
        if !pieces.iter().any(|piece| piece.meets(seen)) {
            return false;
        }
        let mut left = Vec::with_capacity(pieces.len());
        for piece in pieces.drain(..) {
            if piece.meets(seen) { piece.without(seen, &mut left) } else { left.push(piece) }
        }
        self.0 = (left.len() <= PIECES).then_some(left);
        true
    }

    /// Its boxes, as far as anybody knows.
    pub(super) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, Vec::len)
    }
}

/// True when a rule asks for nothing but what [`Piece`] says.
pub(super) fn is_plain(criteria: &Criteria) -> bool {
    criteria.scope == Scope::Everything
        && criteria.forward.is_none()
        && criteria.dscp.is_none()
        && criteria.tagged.is_none()
        && criteria.tcp_flags.is_none_or(|TcpFlags { out_of, .. }| out_of == 0)
}

fn bits(numbers: impl IntoIterator<Item = u8>) -> Bits {
    numbers.into_iter().fold([0; 4], |mut bits, number| {
        bits[usize::from(number / 64)] |= 1 << (number % 64);
        bits
    })
}

fn both<T: Copy + std::ops::BitAnd<Output = T>, const N: usize>(a: [T; N], b: [T; N]) -> [T; N] {
    std::array::from_fn(|at| a[at] & b[at])
}

fn but<T, const N: usize>(a: [T; N], b: [T; N]) -> [T; N]
where
    T: Copy + std::ops::BitAnd<Output = T> + std::ops::Not<Output = T>,
{
    std::array::from_fn(|at| a[at] & !b[at])
}

fn rest<K: Number>(all: &Spans<K>, without: &Spans<K>) -> Spans<K> {
    all.intersection(&without.complement())
}
