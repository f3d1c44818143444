//! The arithmetic of a report: percentiles, and the gap in a stream.

use std::time::Duration;

use serde::Serialize;

use crate::types::Instant;

/// A stretch of time, both ends included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window {
    /// Its begin.
    pub from: Instant,
    /// Its end.
    pub to: Instant,
}

impl Window {
    /// True when it was then.
    pub fn contains(&self, at: Instant) -> bool {
        self.from <= at && at <= self.to
    }
}

/// How the values of several trials are spread.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize)]
pub struct Spread {
    /// Half of them are at most this.
    pub median: f64,
    /// 95 of 100 are at most this.
    pub p95: f64,
    /// The largest.
    pub max: f64,
}

impl Spread {
    /// Of any number of values, by nearest rank: each figure is a value that was measured.
    pub fn of(values: &[f64]) -> Spread {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let rank = |percent: usize| {
            let index = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
            sorted.get(index).copied().unwrap_or_default()
        };
        Spread { median: rank(50), p95: rank(95), max: rank(100) }
    }
}

/// Milliseconds, with a hundredth.
pub fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e5).round() / 1e2
}

/// What a stream says about a window.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Gap {
    /// The longest time without an arrival, the sender's own spacing taken off.
    pub longest: Duration,
    /// Messages sent in the window that never came.
    pub lost: u64,
    /// Those that came more than once.
    pub twice: u64,
    /// Those that came after a later one.
    pub late: u64,
    /// The longest time between two messages at the sender: it should be the spacing.
    pub sender: Duration,
    /// When the first and the last of the lost ones were sent.
    pub missing: Option<(Instant, Instant)>,
}

impl Gap {
    /// Two streams together: the worse gap, all losses.
    pub fn and(self, other: Gap) -> Gap {
        Gap {
            longest: self.longest.max(other.longest),
            lost: self.lost + other.lost,
            twice: self.twice + other.twice,
            late: self.late + other.late,
            sender: self.sender.max(other.sender),
            missing: match (self.missing, other.missing) {
                (Some(one), Some(two)) => Some((one.0.min(two.0), one.1.max(two.1))),
                (one, two) => one.or(two),
            },
        }
    }
}

/// Finds the gap of a stream in a window. `sent` says when each sequence number was sent, from the number `first` on;
/// `arrivals` what came and when, in any order. Beyond the window's end both should reach as far as the answers to
/// the window take.
///
/// A sender that stood still is not a router that did: between two arrivals, the time until the sender had sent again
/// after the first of them does not count.
pub fn gap(first: u32, sent: &[Instant], arrivals: &[(Instant, u32)], window: Window) -> Gap {
    let mut came = vec![false; sent.len()];
    let (mut twice, mut late, mut newest_so_far) = (0, 0, 0);
    let mut times = Vec::with_capacity(arrivals.len() + 1);
    for &(at, number) in arrivals {
        let Some(index) = number.checked_sub(first).map(|index| index as usize) else { continue };
        if let Some(came) = came.get_mut(index) {
            let inside = u64::from(window.contains(sent[index]));
            twice += if *came { inside } else { 0 };
            late += if !*came && index < newest_so_far { inside } else { 0 };
            newest_so_far = newest_so_far.max(index);
            *came = true;
            times.push((at, index));
        }
    }
    times.sort_unstable();
    // Where nothing comes any more, the silence lasts to the end.
    if times.last().is_none_or(|(at, _)| *at < window.to) {
        times.push((window.to, 0));
    }
    let spacing = |index: usize| sent.get(index + 1).map_or(Duration::ZERO, |next| next.since(sent[index]));
    let mut gap = Gap { twice, late, ..Gap::default() };
    let mut last: Option<(Instant, usize)> = None;
    for (at, index) in times {
        let since = last.map_or(window.from, |(at, _)| at);
        if at >= window.from && since <= window.to {
            let excused = last.map_or(Duration::ZERO, |(_, newest)| spacing(newest));
            gap.longest = gap.longest.max(at.since(since).saturating_sub(excused));
        }
        last = Some((at, last.map_or(index, |(_, newest)| newest.max(index))));
    }
    for (index, at) in sent.iter().enumerate().filter(|(_, at)| window.contains(**at)) {
        gap.sender = gap.sender.max(spacing(index));
        if !came[index] {
            gap.lost += 1;
            gap.missing = Some((gap.missing.map_or(*at, |(first, _)| first), *at));
        }
    }
    gap
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WHOLE: Window = Window { from: Instant::from_millis(1000), to: Instant::from_millis(1100) };

    /// A message a millisecond from 900 on, and which of them arrive half a millisecond later.
    fn stream(arrives: impl Fn(u32) -> bool) -> (Vec<Instant>, Vec<(Instant, u32)>) {
        let sent: Vec<Instant> = (900..1200).map(Instant::from_millis).collect();
        let arrivals = (0..300).filter(|&number| arrives(number));
        let arrivals = arrivals.map(|number| (sent[number as usize] + Duration::from_micros(500), number));
        (sent.clone(), arrivals.collect())
    }

    fn of(arrives: impl Fn(u32) -> bool) -> (f64, u64) {
        let (sent, arrivals) = stream(arrives);
        let gap = gap(0, &sent, &arrivals, WHOLE);
        assert_eq!(gap.sender, Duration::from_millis(1));
        (millis(gap.longest), gap.lost)
    }

    #[test]
    fn a_gap_is_what_is_missing() {
        assert_eq!(of(|_| true), (0.0, 0));
        assert_eq!(of(|number| number != 150), (1.0, 1));
        assert_eq!(of(|number| !(120..150).contains(&number)), (30.0, 30));
        assert_eq!(of(|number| !(10..20).contains(&number)), (0.0, 0), "before the window");
        assert_eq!(of(|number| !(150..=250).contains(&number)), (101.0, 51), "beyond its end");
        assert_eq!(of(|number| number < 150).0, 49.5, "to its end, if nothing comes any more");
        assert_eq!(of(|_| false), (100.0, 101));
    }

    #[test]
    fn a_sender_that_stands_still_is_no_gap_and_is_seen() {
        let (mut sent, mut arrivals) = stream(|_| true);
        for number in 150..300 {
            sent[number] += Duration::from_millis(40);
            arrivals[number].0 += Duration::from_millis(40);
        }
        let window = Window { to: Instant::from_millis(1140), ..WHOLE };
        let seen = gap(0, &sent, &arrivals, window);
        assert_eq!((millis(seen.longest), seen.lost, millis(seen.sender)), (0.0, 0, 41.0));
    }

    #[test]
    fn late_and_reordered_messages_are_not_lost() {
        let (sent, mut arrivals) = stream(|_| true);
        // A router that keeps 20 ms and then gives all at once, backwards.
        for (number, arrival) in arrivals.iter_mut().enumerate().take(140).skip(120) {
            arrival.0 = Instant::from_millis(1040) + Duration::from_micros(500 + 140 - number as u64);
        }
        let seen = gap(0, &sent, &arrivals, WHOLE);
        assert_eq!((millis(seen.longest).floor(), seen.lost), (20.0, 0));
        assert_eq!((seen.late, seen.twice), (0, 0), "as they were read");
        arrivals.swap(130, 150);
        arrivals.push(arrivals[140]);
        let mixed = gap(0, &sent, &arrivals, WHOLE);
        assert_eq!((mixed.late, mixed.twice, mixed.lost), (20, 1, 0));
        arrivals.pop();
        arrivals.swap(130, 150);
        let numbered = gap(7, &sent, &arrivals.iter().map(|(at, n)| (*at, n + 7)).collect::<Vec<_>>(), WHOLE);
        assert_eq!(numbered, seen, "numbers begin anywhere");
    }

    #[test]
    fn what_is_missing_was_sent_between_two_instants() {
        let missing = |from: u32, to: u32| {
            let (sent, arrivals) = stream(|number| !(from..to).contains(&number));
            gap(0, &sent, &arrivals, WHOLE)
        };
        let at = Instant::from_millis;
        assert_eq!(missing(0, 0).missing, None);
        assert_eq!(missing(120, 150).missing, Some((at(1020), at(1049))));
        let both = missing(120, 121).and(missing(0, 0)).and(missing(130, 131));
        assert_eq!((both.lost, both.missing), (2, Some((at(1020), at(1030)))));
    }

    #[test]
    fn percentiles_are_measured_values() {
        let values: Vec<f64> = (1..=20).rev().map(f64::from).collect();
        assert_eq!(Spread::of(&values), Spread { median: 10.0, p95: 19.0, max: 20.0 });
        assert_eq!(Spread::of(&[3.5]), Spread { median: 3.5, p95: 3.5, max: 3.5 });
        assert_eq!(Spread::of(&[]), Spread::default());
    }

    proptest! {
        #[test]
        fn losing_more_never_shortens_the_gap(mask in proptest::collection::vec(any::<bool>(), 300), more in 0u32..300) {
            let before = of(|number| mask[number as usize]);
            let after = of(|number| mask[number as usize] && number != more);
            prop_assert!(after.0 >= before.0 && after.1 >= before.1);
        }
    }
}
