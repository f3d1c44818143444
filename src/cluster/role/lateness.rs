//! How late something was at worst, of late.

use crate::types::{Duration, Instant};

/// A measure is kept at least this long, at most twice as long.
const KEPT: Duration = Duration::from_secs(1);

/// The worst measure of the last one to two seconds, in constant space.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Worst {
    began: Instant,
    present: Duration,
    before: Duration,
}

impl Worst {
    /// Something was this late.
    pub fn note(&mut self, now: Instant, late: Duration) {
        let age = now.since(self.began);
        if age >= KEPT {
            self.before = if age < 2 * KEPT { self.present } else { Duration::ZERO };
            (self.began, self.present) = (now, Duration::ZERO);
        }
        self.present = self.present.max(late);
    }

    /// The worst, as seen from `now`.
    pub fn get(&self, now: Instant) -> Duration {
        let age = now.since(self.began);
        if age < KEPT {
            self.present.max(self.before)
        } else if age < 2 * KEPT {
            self.present
        } else {
            Duration::ZERO
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_is_kept_for_a_second_and_forgotten_after_two() {
        let mut worst = Worst::default();
        let (small, large) = (Duration::from_millis(3), Duration::from_millis(90));
        let at = Instant::from_millis;
        worst.note(at(5000), large);
        worst.note(at(5010), small);
        assert_eq!(worst.get(at(5990)), large);
        for millis in (5020..6600).step_by(10) {
            worst.note(at(millis), small);
        }
        assert_eq!(worst.get(at(6600)), large);
        for millis in (6600..7100).step_by(10) {
            worst.note(at(millis), small);
        }
        assert_eq!(worst.get(at(7100)), small);
        assert_eq!(worst.get(at(9900)), Duration::ZERO, "nothing was measured since");
    }
}
