//! Sets of numbers (addresses, ports) as disjoint ranges in order.

use std::fmt::Debug;
use std::hash::Hash;
use std::net::IpAddr;

use crate::config::model::AddressRange;
use crate::types::Family;

/// What ranges are made of.
pub trait Number: Copy + Ord + Eq + Hash + Debug {
    /// The lowest.
    const MIN: Self;
    /// The highest.
    const MAX: Self;
    /// The one above.
    fn above(self) -> Option<Self>;
    /// The one below.
    fn below(self) -> Option<Self>;
}

macro_rules! number {
    ($($kind:ty)*) => {$(
        impl Number for $kind {
            const MIN: $kind = <$kind>::MIN;
            const MAX: $kind = <$kind>::MAX;
            fn above(self) -> Option<$kind> {
                self.checked_add(1)
            }
            fn below(self) -> Option<$kind> {
                self.checked_sub(1)
            }
        }
    )*};
}

number!(u16 u32 u128);

/// An address as a number: u32 or u128.
pub trait Address: Number {
    /// The family of such addresses.
    const FAMILY: Family;
    /// The address as a number; `None` for one of the other family.
    fn of(address: IpAddr) -> Option<Self>;
}

impl Address for u32 {
    const FAMILY: Family = Family::Inet;
    fn of(address: IpAddr) -> Option<u32> {
        match address {
            IpAddr::V4(address) => Some(address.into()),
            IpAddr::V6(_) => None,
        }
    }
}

impl Address for u128 {
    const FAMILY: Family = Family::Inet6;
    fn of(address: IpAddr) -> Option<u128> {
        match address {
            IpAddr::V4(_) => None,
            IpAddr::V6(address) => Some(address.into()),
        }
    }
}

/// Disjoint ranges, in order, not touching each other.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Spans<K>(Vec<(K, K)>);

impl<K: Number> Spans<K> {
    /// The numbers that lie in any of these inclusive ranges.
    pub fn of(ranges: impl IntoIterator<Item = (K, K)>) -> Self {
        let mut ranges: Vec<(K, K)> = ranges.into_iter().filter(|(first, last)| first <= last).collect();
        ranges.sort_unstable();
        let mut spans: Vec<(K, K)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match spans.last_mut() {
                Some((_, end)) if end.above().is_none_or(|above| first <= above) => *end = last.max(*end),
                Some(_) | None => spans.push((first, last)),
            }
        }
        Spans(spans)
    }

    /// All other numbers.
    pub fn complement(&self) -> Self {
        let mut gaps = Vec::with_capacity(self.0.len() + 1);
        let mut next = Some(K::MIN);
        for (first, last) in &self.0 {
            if let (Some(start), Some(end)) = (next, first.below())
                && start <= end
            {
                gaps.push((start, end));
            }
            next = last.above();
        }
        gaps.extend(next.map(|start| (start, K::MAX)));
        Spans(gaps)
    }

    /// The numbers that are in both.
    pub fn intersection(&self, other: &Self) -> Self {
        let (mut a, mut b) = (self.0.iter().copied().peekable(), other.0.iter().copied().peekable());
        let mut common = Vec::new();
        while let (Some((first, last)), Some((start, end))) = (a.peek().copied(), b.peek().copied()) {
            let (from, to) = (first.max(start), last.min(end));
            if from <= to {
                common.push((from, to));
            }
            if last <= end {
                a.next()
            } else {
                b.next()
            };
        }
        Spans(common)
    }

    /// True when a number is in both.
    pub fn meets(&self, other: &Self) -> bool {
        let (mut a, mut b) = (self.0.as_slice(), other.0.as_slice());
        while let (Some((&(first, last), more)), Some((&(start, end), others))) =
            (a.split_first(), b.split_first())
        {
            if first <= end && start <= last {
                return true;
            }
            if last < start { a = more } else { b = others }
        }
        false
    }

    /// The ranges.
    pub fn ranges(&self) -> &[(K, K)] {
        &self.0
    }

    /// True when the number is in the set.
    pub fn contains(&self, number: K) -> bool {
        let index = self.0.partition_point(|(first, _)| *first <= number);
        index.checked_sub(1).and_then(|index| self.0.get(index)).is_some_and(|(_, last)| number <= *last)
    }
}

impl<A: Address> Spans<A> {
    /// The addresses of this family among `ranges`.
    pub fn of_addresses(ranges: impl IntoIterator<Item = AddressRange>) -> Self {
        Spans::of(ranges.into_iter().filter_map(|range| Some((A::of(range.first())?, A::of(range.last())?))))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn spans_are_what_they_were_made_of(
            ranges in proptest::collection::vec((any::<u16>(), 0u16..300), 0..20),
            probes in proptest::collection::vec(any::<u16>(), 0..40),
        ) {
            let ranges: Vec<(u16, u16)> =
                ranges.iter().map(|(first, more)| (*first, first.saturating_add(*more))).collect();
            let spans = Spans::of(ranges.iter().copied());
            let others = spans.complement();
            let edges = ranges.iter().flat_map(|(a, b)| [*a, *b, a.wrapping_sub(1), b.wrapping_add(1)]);
            let probes_as_ranges: Vec<(u16, u16)> = probes.iter().map(|probe| (*probe, *probe | 3)).collect();
            for probe in probes.into_iter().chain(edges) {
                let inside = ranges.iter().any(|(first, last)| *first <= probe && probe <= *last);
                prop_assert_eq!(spans.contains(probe), inside);
                prop_assert_eq!(others.contains(probe), !inside);
                let half = Spans::of([(100u16, 30_000)]);
                let common = spans.intersection(&half);
                prop_assert_eq!(common.contains(probe), inside && (100..=30_000).contains(&probe));
                prop_assert_eq!(spans.meets(&Spans::of([(probe, probe)])), inside);
            }
            let some = Spans::of(probes_as_ranges);
            prop_assert_eq!(spans.meets(&some), !spans.intersection(&some).ranges().is_empty());
            prop_assert_eq!(others.complement(), spans);
        }
    }
}
