//! How many new addresses may be asked for on a link (RFC 6583: a scan must not become a storm of requests).

use crate::types::Instant;

/// New addresses per second, and at once.
const RATE: u64 = 512;
const SECOND: u64 = 1_000_000_000;

/// A bucket that fills with time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    /// Nanoseconds saved up, of which one question takes one second's 512th part.
    saved: u64,
    at: Instant,
}

impl Budget {
    /// A full bucket.
    pub fn new(now: Instant) -> Self {
        Budget { saved: SECOND, at: now }
    }

    /// True when one more may be asked for.
    pub fn take(&mut self, now: Instant) -> bool {
        let passed = now.as_nanos().saturating_sub(self.at.as_nanos());
        self.saved = self.saved.saturating_add(passed).min(SECOND);
        self.at = now;
        let enough = self.saved >= SECOND / RATE;
        if enough {
            self.saved -= SECOND / RATE;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_a_rate() {
        let now = Instant::ZERO;
        let mut budget = Budget::new(now);
        assert_eq!((0..2000).filter(|_| budget.take(now)).count(), 512);
        let later = Instant::from_millis(500);
        assert_eq!((0..2000).filter(|_| budget.take(later)).count(), 256);
        let much_later = Instant::from_secs(10_000);
        assert_eq!((0..2000).filter(|_| budget.take(much_later)).count(), 512);
    }
}
