//! The outline of what a rule sees: small, and held against another one in a moment. Of the many rules of a document only a
//! few are looked at in full, those whose outlines allow for something.

use super::criteria::Criteria;
use super::set::FamilySpans;
use super::spans::{Number, Spans};
use crate::types::Direction;

/// The lowest and the highest number of a set; `None` when it is empty.
type Ends<K> = Option<(K, K)>;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outline {
    /// Interfaces on the way in, and on the way out.
    crossings: [u128; 2],
    /// Of the source, and of the destination.
    ports: [Ends<u16>; 2],
    inet: [Ends<u32>; 2],
    inet6: [Ends<u128>; 2],
}

impl Outline {
    /// That of a rule.
    pub(super) fn of(criteria: &Criteria) -> Outline {
        let way = |way: Direction| if criteria.directions.contains(&way) { criteria.interfaces } else { 0 };
        Outline {
            crossings: [way(Direction::In), way(Direction::Out)],
            ports: [ends(&criteria.source_port.spans()), ends(&criteria.destination_port.spans())],
            inet: addresses(criteria),
            inet6: addresses(criteria),
        }
    }

    /// False when no packet is seen by both.
    pub(super) fn may_meet(&self, other: &Outline) -> bool {
        (0..2).any(|way| self.crossings[way] & other.crossings[way] != 0)
            && (0..2).all(|side| meets(self.ports[side], other.ports[side]))
            && ((0..2).all(|side| meets(self.inet[side], other.inet[side]))
                || (0..2).all(|side| meets(self.inet6[side], other.inet6[side])))
    }

    /// False when the other one sees something that this one does not see.
    pub(super) fn may_cover(&self, other: &Outline) -> bool {
        (0..2).all(|way| other.crossings[way] & !self.crossings[way] == 0)
            && (0..2).all(|side| holds(self.ports[side], other.ports[side]))
            && (is_empty(&other.inet) || (0..2).all(|side| holds(self.inet[side], other.inet[side])))
            && (is_empty(&other.inet6) || (0..2).all(|side| holds(self.inet6[side], other.inet6[side])))
    }
}

/// Where it comes from and where it goes to; nothing of a family that the rule does not look at.
fn addresses<A: FamilySpans>(criteria: &Criteria) -> [Ends<A>; 2] {
    let kinds = &criteria.icmp;
    let has_kinds = kinds.is_empty() || kinds.iter().any(|kind| kind.number(A::FAMILY).is_some());
    match criteria.families.contains(&A::FAMILY) && has_kinds {
        true => [ends(&criteria.source.spans()), ends(&criteria.destination.spans())],
        false => [None; 2],
    }
}

fn ends<K: Number>(spans: &Spans<K>) -> Ends<K> {
    let ranges = spans.ranges();
    Some((ranges.first()?.0, ranges.last()?.1))
}

fn is_empty<K>(sides: &[Ends<K>; 2]) -> bool {
    sides.iter().any(Option::is_none)
}

fn meets<K: Number>(one: Ends<K>, other: Ends<K>) -> bool {
    one.zip(other).is_some_and(|(one, other)| one.0 <= other.1 && other.0 <= one.1)
}

fn holds<K: Number>(all: Ends<K>, some: Ends<K>) -> bool {
    some.is_none_or(|some| all.is_some_and(|all| all.0 <= some.0 && some.1 <= all.1))
}
