//! How many datagrams of a path are looked at in a second: decided before anything is decrypted, so that a stranger on
//! a data port takes a bounded part of the time and none of the sync port's.

use crate::types::{Duration, Instant, PathId};
use crate::wire::pair::Space;

/// Datagrams per second on the sync port, which carries the replication.
const SYNC: u64 = 50_000;
/// Datagrams per second on each data port: a heartbeat comes every 10 ms.
const DATA: u64 = 1_000;

/// So many per second, with a burst of as many.
#[derive(Clone, Debug)]
pub struct Bucket {
    per_second: u64,
    tokens: u64,
    refilled: Instant,
}

impl Bucket {
    /// A full bucket.
    pub fn new(per_second: u64, now: Instant) -> Self {
        Bucket { per_second, tokens: per_second, refilled: now }
    }

    /// Takes one token; false when there is none.
    pub fn take(&mut self, now: Instant) -> bool {
        let elapsed = u64::try_from(now.since(self.refilled).as_nanos()).unwrap_or(u64::MAX);
        let gained = elapsed.saturating_mul(self.per_second) / 1_000_000_000;
        if gained >= self.per_second {
            (self.tokens, self.refilled) = (self.per_second, now);
        } else if gained > 0 {
            self.tokens = self.per_second.min(self.tokens + gained);
            // Not to `now`: the part of a token that is left over counts next time.
            self.refilled += Duration::from_nanos(gained * 1_000_000_000 / self.per_second);
        }
        let granted = self.tokens > 0;
        self.tokens = self.tokens.saturating_sub(1);
        granted
    }
}

/// A bucket for each path.
pub struct Budget {
    paths: Vec<Bucket>,
}

impl Budget {
    /// Full buckets.
    pub fn new(now: Instant) -> Self {
        let rate = |path| if path == PathId::SYNC.0 { SYNC } else { DATA };
        Budget { paths: (0..Space::PATHS).map(|path| Bucket::new(rate(path), now)).collect() }
    }

    /// True when one more datagram of this path may be looked at. A path beyond those that have spaces has none.
    pub fn take(&mut self, now: Instant, path: PathId) -> bool {
        self.paths.get_mut(usize::from(path.0)).is_some_and(|bucket| bucket.take(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flooded_path_takes_nothing_from_the_others() {
        let now = Instant::ZERO;
        let mut budget = Budget::new(now);
        let mut granted = |now, path| (0..60_000).filter(|_| budget.take(now, PathId(path))).count();
        assert_eq!([granted(now, 0), granted(now, 1), granted(now, 2)], [50_000, 1_000, 1_000]);
        let later = Instant::from_millis(100);
        assert_eq!([granted(later, 0), granted(later, 1), granted(later, 64)], [5_000, 100, 0]);
        let much_later = Instant::from_nanos(u64::MAX);
        assert_eq!([granted(much_later, 1), granted(much_later, 1)], [1_000, 0]);
    }
}
