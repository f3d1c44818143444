//! The only source of randomness: everything else is seeded from here.

use std::io;

use ring::rand::{SecureRandom, SystemRandom};

use crate::cluster::Entropy;
use crate::types::Seed;

/// Fills `bytes` from the kernel's generator.
///
/// # Errors
/// When the kernel has no generator to offer.
#[expect(clippy::disallowed_methods, reason = "this is the one place that draws randomness")]
pub fn fill(bytes: &mut [u8]) -> io::Result<()> {
    SystemRandom::new().fill(bytes).map_err(|_| io::Error::other("the kernel gives no random bytes"))
}

/// A fresh seed for an engine.
///
/// # Errors
/// When the kernel has no generator to offer.
pub fn seed() -> io::Result<Seed> {
    let mut halves = [[0; 8]; 2];
    for half in &mut halves {
        fill(half)?;
    }
    Ok(Seed(halves.map(u64::from_ne_bytes)))
}

/// The kernel's generator, for the keys of the pair.
pub struct System;

impl Entropy for System {
    fn fill(&mut self, bytes: &mut [u8]) {
        if let Err(error) = fill(bytes) {
            // A key that somebody can foretell is worse than a node that is down.
            panic!("cannot make keys: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn two_seeds_differ() {
        assert_ne!(super::seed().unwrap(), super::seed().unwrap());
    }
}
