//! The calendar clock of the machine against its own: a jump of one against the other means that the machine was paused
//! or put back in time, or that somebody has set the calendar.

use crate::types::{Duration, Instant};

/// Looks at both clocks again and again.
#[derive(Clone, Copy, Debug, Default)]
pub struct Calendar {
    /// The calendar clock less the machine's own, at the last look.
    offset: Option<i128>,
}

impl Calendar {
    /// By how much the one has jumped against the other since the last look.
    pub fn look(&mut self, now: Instant, calendar_nanos: u64) -> Duration {
        let offset = i128::from(calendar_nanos) - i128::from(now.as_nanos());
        let jump = self.offset.replace(offset).map_or(0, |before| (offset - before).unsigned_abs());
        Duration::from_nanos(u64::try_from(jump).unwrap_or(u64::MAX))
    }

    /// Milliseconds since 1970, where somebody has told what the calendar says.
    pub fn millis(&self, now: Instant) -> Option<u64> {
        u64::try_from((self.offset? + i128::from(now.as_nanos())) / 1_000_000).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_difference_between_the_clocks_is_a_jump() {
        let (mut calendar, at) = (Calendar::default(), Instant::from_millis);
        assert_eq!(calendar.millis(at(5)), None);
        assert_eq!(calendar.look(at(5), 1_005_000_000), Duration::ZERO, "the first look");
        assert_eq!(calendar.look(at(9000), 10_000_000_000), Duration::ZERO, "time has passed");
        assert_eq!(calendar.millis(at(9001)), Some(10_001));
        assert_eq!(calendar.look(at(9000), 12_000_000_000), Duration::from_secs(2), "it stood still");
        assert_eq!(calendar.look(at(9000), 11_000_000_000), Duration::from_secs(1), "somebody set it");
    }
}
