//! Numbers that nobody outside can guess: by them the answer to a question is known.

use ring::hmac::{HMAC_SHA256, Key, sign};

use crate::types::Seed;

/// The first port that questions are asked from.
const FIRST_PORT: u16 = 49_152;

/// A keyed stream. The same seed gives the same numbers, so that tests can be repeated.
pub struct Nonces {
    key: Key,
    used: u64,
}

impl Nonces {
    /// A stream of its own for each seed.
    pub fn new(seed: Seed) -> Self {
        let Seed([high, low]) = seed;
        let bytes = (u128::from(high) << 64 | u128::from(low)).to_be_bytes();
        Nonces { key: Key::new(HMAC_SHA256, &bytes), used: 0 }
    }

    /// The next 64 bits.
    pub fn next(&mut self) -> u64 {
        self.used += 1;
        let tag = sign(&self.key, &self.used.to_be_bytes());
        tag.as_ref().first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
    }

    /// A port from which a question may be asked.
    pub fn port(&mut self) -> u16 {
        FIRST_PORT + (self.next() % u64::from(u16::MAX - FIRST_PORT + 1)) as u16
    }
}
