//! Digests of flows: by them two nodes prove that they have the same ones without sending them.
//!
//! A flow is mixed down to 64 bits under a key that each digest chooses anew; the digest of many is the sum, so that
//! their order does not matter. The mixing is part of the protocol: both nodes must compute the same, whatever release
//! they run. It proves equality against errors, not against somebody who chooses the flows and knows the key.

/// Flows of a range of slots, at one place in the stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Digest {
    /// The first slot, in the numbers of the node that tells.
    pub first: u32,
    /// The last one, at most [`RANGE`](super::flow::RANGE) slots in all.
    pub last: u32,
    /// Under which the flows were mixed.
    pub key: u64,
    /// How many flows there are.
    pub count: u16,
    /// Their sum.
    pub sum: u64,
}

impl Digest {
    /// Of no flow yet.
    pub const fn new(first: u32, last: u32, key: u64) -> Digest {
        Digest { first, last, key, count: 0, sum: 0 }
    }

    /// One flow more.
    #[inline]
    pub const fn add(&mut self, mixed: u64) {
        self.count = self.count.wrapping_add(1);
        self.sum = self.sum.wrapping_add(mixed);
    }
}

/// Odd, with half of their bits set.
const MULTIPLIERS: [u64; 2] = [0x9e37_79b9_7f4a_7c15, 0xd6e8_feb8_6659_fd93];

/// Mixes two words into what was mixed so far: the two halves of a product, folded.
#[inline]
pub const fn mix(so_far: u64, a: u64, b: u64) -> u64 {
    let product =
        (so_far ^ a ^ MULTIPLIERS[0]) as u128 * (b ^ so_far.rotate_left(32) ^ MULTIPLIERS[1]) as u128;
    (product as u64 ^ (product >> 64) as u64).wrapping_add(so_far)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The two nodes may run different releases: what is mixed never changes.
    #[test]
    fn the_mixing_is_part_of_the_protocol() {
        assert_eq!(mix(0, 0, 0), 0xc9d8_74ca_57d9_e055);
        assert_eq!(mix(1, 2, 3), 0x4c45_6615_1e8f_d173);
        assert_eq!(mix(u64::MAX, 7, 1 << 63), 0xfdf9_8223_5568_a853);
    }

    #[test]
    fn every_bit_of_the_input_reaches_about_half_of_the_output() {
        for bit in 0..192 {
            let mut words = [0x0123_4567_89ab_cdef_u64, 0x0fed_cba9_8765_4321, 77];
            let before = mix(words[0], words[1], words[2]);
            words[bit / 64] ^= 1 << (bit % 64);
            let changed = (before ^ mix(words[0], words[1], words[2])).count_ones();
            assert!((12..=52).contains(&changed), "bit {bit}: {changed}");
        }
    }
}
