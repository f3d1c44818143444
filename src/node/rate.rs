//! A token bucket (RFC 1812 section 4.3.2.8, RFC 4443 section 2.4 f).

use crate::types::{Duration, Instant};

/// So many per second, with a burst of as many.
pub struct Rate {
    per_second: u64,
    tokens: u64,
    refilled: Instant,
}

impl Rate {
    /// A full bucket.
    pub fn new(per_second: u64, now: Instant) -> Self {
        Rate { per_second, tokens: per_second, refilled: now }
    }

    /// Takes one token; false when there is none.
    pub fn take(&mut self, now: Instant) -> bool {
        self.take_many(now, 1)
    }

    /// Takes so many tokens, or none at all.
    pub fn take_many(&mut self, now: Instant, count: u64) -> bool {
        let elapsed = now.since(self.refilled).as_nanos() as u64;
        let gained = elapsed.saturating_mul(self.per_second) / 1_000_000_000;
        if gained > 0 {
            self.tokens = self.per_second.min(self.tokens.saturating_add(gained));
            // Not to `now`: the part of a token that is left over counts next time.
            self.refilled += Duration::from_nanos(gained * 1_000_000_000 / self.per_second);
        }
        let granted = self.tokens >= count;
        if granted {
            self.tokens -= count;
        }
        granted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_the_rate() {
        let mut rate = Rate::new(10, Instant::ZERO);
        assert_eq!((0..20).filter(|_| rate.take(Instant::ZERO)).count(), 10);
        assert_eq!((0..20).filter(|_| rate.take(Instant::from_millis(500))).count(), 5);
        assert_eq!((0..20).filter(|_| rate.take(Instant::from_secs(60))).count(), 10);
        // One and a half tokens every time: the halves count too.
        let asked = (60_150..70_000).step_by(150).flat_map(|millis| [Instant::from_millis(millis); 2]);
        assert_eq!(asked.filter(|now| rate.take(*now)).count(), 99);
    }
}
