//! How often a SYN on a connection that exists is answered (RFC 5961 section 7).
//!
//! Each connection has a quota of its own, in a cell that a seeded hash of it chooses: nobody else can read how much of it
//! is used up (CVE-2016-5696), or use it up.

use std::hash::{Hash, Hasher};

use foldhash::SharedSeed;
use foldhash::quality::FoldHasher;

use crate::types::{Instant, Seed};
use crate::wire::FlowKey;

const CELLS: usize = 1024;
/// Between two challenges of a cell, in nanoseconds: ten in five seconds.
const PAUSE: u64 = 500_000_000;

/// When each cell was last used.
pub(super) struct Challenges {
    last: Box<[u64]>,
    seed: u64,
    shared: SharedSeed,
}

impl Challenges {
    pub(super) fn new(seed: Seed) -> Self {
        let shared = SharedSeed::from_u64(seed.0[1]);
        Challenges { last: vec![0; CELLS].into_boxed_slice(), seed: seed.0[0], shared }
    }

    /// May a challenge be sent on this connection?
    pub(super) fn take(&mut self, now: Instant, key: &FlowKey) -> bool {
        let mut hasher = FoldHasher::with_seed(self.seed, &self.shared);
        key.hash(&mut hasher);
        let last = &mut self.last[hasher.finish() as usize % CELLS];
        let now = now.as_nanos().max(1);
        let granted = *last == 0 || now.saturating_sub(*last) >= PAUSE;
        if granted {
            *last = now;
        }
        granted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_has_a_quota_of_its_own() {
        let key = |port| FlowKey::new(6, [192, 0, 2, 1].into(), port, [198, 51, 100, 2].into(), 80).unwrap();
        let mut challenges = Challenges::new(Seed([1, 2]));
        let at = Instant::from_millis;
        let granted = (0..100u64).filter(|step| challenges.take(at(10_000 + step * 50), &key(1))).count();
        assert_eq!(granted, 10);
        let others = (2..102u16).filter(|port| challenges.take(at(15_000), &key(*port))).count();
        assert!(others > 90, "{others}");
    }
}
