//! Where keys come from: the one randomness that must not be foretold, unlike a [`Seed`].

use crate::types::{Random, Seed};

/// A source of key material.
pub trait Entropy {
    /// Fills `bytes`. A source that cannot must not return.
    fn fill(&mut self, bytes: &mut [u8]);
}

/// For tests and simulations only: everybody who knows the seed knows the keys.
pub struct Seeded(Random);

impl Seeded {
    /// The source that this seed gives.
    pub fn new(seed: Seed) -> Self {
        Seeded(seed.random())
    }
}

impl Entropy for Seeded {
    fn fill(&mut self, bytes: &mut [u8]) {
        for piece in bytes.chunks_mut(8) {
            piece.copy_from_slice(&self.0.next().to_ne_bytes()[..piece.len()]);
        }
    }
}
