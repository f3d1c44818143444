//! How many errors are sent: ICMP errors, and the RSTs of rules that reject (RFC 1812 section 4.3.2.8, RFC 4443 section
//! 2.4 f).
//!
//! All together have a rate, and each source has a quarter of it, in a cell that a seeded hash of its address chooses: one
//! that floods us silences itself, and leaves most for the others.

use std::hash::Hasher;
use std::net::IpAddr;

use foldhash::SharedSeed;
use foldhash::quality::FoldHasher;

use super::rate::Rate;
use crate::types::{Instant, Seed};

/// All together.
pub(super) const PER_SECOND: u64 = 200;
/// One source; hosts of IPv6 have as many addresses as they like, so that a network of 64 bits counts as one.
const EACH: u64 = PER_SECOND / 4;
const CELLS: usize = 256;

/// The errors that may still be sent.
pub(super) struct ErrorRate {
    all: Rate,
    cells: Box<[Rate]>,
    seed: u64,
    shared: SharedSeed,
}

impl ErrorRate {
    pub(super) fn new(seed: Seed, now: Instant) -> Self {
        ErrorRate {
            all: Rate::new(PER_SECOND, now),
            cells: (0..CELLS).map(|_| Rate::new(EACH, now)).collect(),
            seed: seed.0[0],
            shared: SharedSeed::from_u64(seed.0[1]),
        }
    }

    /// May an error be sent to this address?
    pub(super) fn take(&mut self, now: Instant, to: IpAddr) -> bool {
        let mut hasher = FoldHasher::with_seed(self.seed, &self.shared);
        match to {
            IpAddr::V4(address) => hasher.write_u32(address.into()),
            IpAddr::V6(address) => hasher.write_u64((u128::from(address) >> 64) as u64),
        }
        let cell = &mut self.cells[hasher.finish() as usize % CELLS];
        cell.take(now) && self.all.take(now)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;
    use crate::types::Duration;

    const NOW: Instant = Instant::from_secs(1);

    fn granted(rate: &mut ErrorRate, now: Instant, to: impl Into<IpAddr>) -> usize {
        let to = to.into();
        (0..1000).filter(|_| rate.take(now, to)).count()
    }

    #[test]
    fn one_source_has_a_quarter_and_all_together_no_more_than_the_whole() {
        let mut rate = ErrorRate::new(Seed([1, 2]), NOW);
        assert_eq!(granted(&mut rate, NOW, [192, 0, 2, 1]), 50);
        assert_eq!(granted(&mut rate, NOW, [192, 0, 2, 2]), 50, "somebody else's is his own");
        assert_eq!(granted(&mut rate, NOW + Duration::from_millis(500), [192, 0, 2, 1]), 25);
        let everybody = (0..=255)
            .filter(|host| rate.take(NOW + Duration::from_secs(9), Ipv4Addr::new(10, 0, 0, *host).into()));
        assert_eq!(everybody.count(), 200);
    }

    #[test]
    fn a_network_of_ipv6_is_one_source() {
        let mut rate = ErrorRate::new(Seed([1, 2]), NOW);
        let host = |network: u128, host: u128| {
            IpAddr::from(Ipv6Addr::from(0x2001_0db8 << 96 | network << 64 | host))
        };
        assert_eq!((0..1000).filter(|number| rate.take(NOW, host(1, *number))).count(), 50);
        assert!(rate.take(NOW, host(2, 1)));
    }
}
