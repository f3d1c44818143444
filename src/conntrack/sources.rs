//! How many embryonic flows each source has, in constant memory.
//!
//! Two rows of counters, indexed by two seeded hashes of the source (an IPv4 address, or the /64 of an IPv6 one). A
//! source's number is the smaller of its two, so it is never too low, and too high only when both are shared with
//! busy sources. What was added is always taken away again, so the rows do not drift.

use std::hash::Hasher;
use std::net::IpAddr;

use foldhash::SharedSeed;
use foldhash::quality::FoldHasher;

use crate::types::Seed;

const CELLS: usize = 1 << 15;

/// Embryonic flows by source.
pub(super) struct Sources {
    rows: [Box<[u32]>; 2],
    seed: u64,
    shared: SharedSeed,
}

impl Sources {
    pub(super) fn new(seed: Seed) -> Self {
        let row = || vec![0; CELLS].into_boxed_slice();
        Sources { rows: [row(), row()], seed: seed.0[0], shared: SharedSeed::from_u64(seed.0[1]) }
    }

    fn cells(&self, source: IpAddr) -> [usize; 2] {
        let mut hasher = FoldHasher::with_seed(self.seed, &self.shared);
        match source {
            IpAddr::V4(address) => hasher.write_u64(u64::from(u32::from(address)) | 1 << 32),
            IpAddr::V6(address) => hasher.write_u128(u128::from(address) >> 64 | 1 << 64),
        }
        let hash = hasher.finish();
        [hash as usize % CELLS, (hash >> 32) as usize % CELLS]
    }

    /// At least the number of embryonic flows of this source.
    pub(super) fn get(&self, source: IpAddr) -> u32 {
        let [a, b] = self.cells(source);
        self.rows[0][a].min(self.rows[1][b])
    }

    pub(super) fn add(&mut self, source: IpAddr) {
        for (row, cell) in self.cells(source).into_iter().enumerate() {
            self.rows[row][cell] += 1;
        }
    }

    pub(super) fn take(&mut self, source: IpAddr) {
        for (row, cell) in self.cells(source).into_iter().enumerate() {
            debug_assert!(self.rows[row][cell] > 0, "a source gives back what it took");
            self.rows[row][cell] = self.rows[row][cell].saturating_sub(1);
        }
    }
}
