//! How long to wait before a dead router is started again.

use crate::types::{Duration, Instant};

/// Before the second start in a row; the first restart is immediate.
const FIRST: Duration = Duration::from_millis(100);
/// Never longer than this.
const LONGEST: Duration = Duration::from_secs(10);
/// A router that has run for this long was well; the next death begins a new row.
const WELL: Duration = Duration::from_secs(60);

/// Counts the deaths in a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Backoff {
    in_a_row: u32,
}

impl Backoff {
    /// A router that was started at `started` has died: when to start the next one.
    pub fn died(&mut self, now: Instant, started: Instant) -> Instant {
        if now.since(started) >= WELL {
            self.in_a_row = 0;
        }
        let wait = match self.in_a_row {
            0 => Duration::ZERO,
            deaths => FIRST.saturating_mul(1 << (deaths - 1).min(16)).min(LONGEST),
        };
        self.in_a_row = self.in_a_row.saturating_add(1);
        now + wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_start_over_after_a_good_run() {
        let mut backoff = Backoff::default();
        let start = Instant::from_secs(1000);
        let waits: Vec<_> =
            (0..10).map(|_| backoff.died(start, start).since(start).as_millis() as u64).collect();
        assert_eq!(waits, [0, 100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        let later = start + WELL;
        assert_eq!(backoff.died(later, start), later);
        assert_eq!(backoff.died(later, later).since(later), FIRST);
    }
}
