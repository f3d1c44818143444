//! Which servers tell the truth: the time that most of them can agree on (RFC 5905 section 11.2.1, after Marzullo).

use super::sample::Sample;
use crate::types::Instant;

/// Of the samples, one for each server, the one to go by; `None` when there is no majority.
///
/// Each sample says that the right time lies within its error. The point that lies in most of these intervals must lie in
/// more than half of them; of those that it lies in, the one with the least error wins.
pub fn select(now: Instant, samples: &[Sample]) -> Option<(usize, Sample)> {
    let interval = |sample: &Sample| {
        let error = i64::try_from(sample.error(now).as_nanos()).unwrap_or(i64::MAX);
        (sample.ahead.saturating_sub(error), sample.ahead.saturating_add(error))
    };
    let covers = |point: i64, sample: &Sample| {
        let (low, high) = interval(sample);
        low <= point && point <= high
    };
    let count = |point: i64| samples.iter().filter(|sample| covers(point, sample)).count();
    let point = samples.iter().map(|sample| interval(sample).0).max_by_key(|point| count(*point))?;
    if count(point) * 2 <= samples.len() {
        return None;
    }
    let agreed = samples.iter().copied().enumerate().filter(|(_, sample)| covers(point, sample));
    agreed.min_by_key(|(_, sample)| sample.error(now))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::types::Duration;

    fn sample(ahead_ms: i64, distance_ms: u64) -> Sample {
        Sample {
            at: Instant::ZERO,
            ahead: ahead_ms * 1_000_000,
            delay: Duration::ZERO,
            distance: Duration::from_millis(distance_ms),
            stratum: 2,
        }
    }

    #[test]
    fn one_liar_among_three_is_outvoted() {
        let honest = [sample(10, 20), sample(25, 10), sample(90_000, 1)];
        assert_eq!(select(Instant::ZERO, &honest), Some((1, honest[1])));
        let two = [sample(0, 1), sample(90_000, 1)];
        assert_eq!(select(Instant::ZERO, &two), None, "one word against another");
        assert_eq!(select(Instant::ZERO, &two[..1]), Some((0, two[0])));
        assert_eq!(select(Instant::ZERO, &[]), None);
    }

    proptest! {
        /// Whatever a minority says, the chosen one's interval contains a time that most agree on.
        #[test]
        fn a_minority_does_not_move_the_clock(
            honest in proptest::collection::vec((-40i64..40, 50u64..100), 3..6),
            liars in proptest::collection::vec((-1_000_000i64..1_000_000, 0u64..40), 0..2),
        ) {
            let mut samples: Vec<Sample> = honest.iter().map(|(at, error)| sample(*at, *error)).collect();
            samples.extend(liars.iter().map(|(at, error)| sample(*at, *error)));
            let (_, chosen) = select(Instant::ZERO, &samples).unwrap();
            prop_assert!(chosen.ahead.abs() <= 240_000_000, "{chosen:?}");
        }
    }
}
