//! The Internet checksum: computed, and patched (RFC 1071, RFC 1624).
//!
//! Three facts. The checksum is the complement of the one's-complement sum of 16-bit words. That sum does not
//! care about order, so a field may be replaced by subtracting the old words and adding the new ones. Subtracting
//! is adding the complement, and in that arithmetic 0x0000 and 0xffff are the same number.

use std::net::IpAddr;

/// One's-complement sum of `bytes` as big-endian 16-bit words, folded to 16 bits; an odd last byte is padded with zero.
pub fn sum(bytes: &[u8]) -> u16 {
    // Eight bytes at a time in native order; the byte swap commutes with the sum (RFC 1071 section 2B).
    let mut total: u64 = 0;
    let mut carry: u64 = 0;
    let mut chunks = bytes.chunks_exact(32);
    for chunk in &mut chunks {
        for eight in chunk.chunks_exact(8) {
            let word = u64::from_ne_bytes([
                eight[0], eight[1], eight[2], eight[3], eight[4], eight[5], eight[6], eight[7],
            ]);
            let (next, overflow) = total.overflowing_add(word);
            total = next;
            carry += u64::from(overflow);
        }
    }
    let mut wide = u128::from(total) + u128::from(carry);
    for pair in chunks.remainder().chunks(2) {
        wide += u128::from(u16::from_ne_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
    }
    while wide >> 16 != 0 {
        wide = (wide & 0xffff) + (wide >> 16);
    }
    u16::from_be(wide as u16)
}

/// One's-complement addition.
#[inline]
pub const fn add(a: u16, b: u16) -> u16 {
    let total = a as u32 + b as u32;
    ((total & 0xffff) + (total >> 16)) as u16
}

/// Sum of the words of an address.
pub fn sum_address(address: IpAddr) -> u16 {
    match address {
        IpAddr::V4(address) => sum(&address.octets()),
        IpAddr::V6(address) => sum(&address.octets()),
    }
}

/// Sum of the pseudo header of TCP, UDP and ICMPv6 (RFC 9293 section 3.1, RFC 8200 section 8.1).
pub fn pseudo_header(src: IpAddr, dst: IpAddr, protocol: u8, length: u32) -> u16 {
    let length = add((length >> 16) as u16, length as u16);
    add(add(sum_address(src), sum_address(dst)), add(u16::from(protocol), length))
}

/// The difference that replacing words of sum `old` by words of sum `new` makes to a sum.
#[inline]
pub const fn difference(old: u16, new: u16) -> u16 {
    add(!old, new)
}

/// RFC 1624 equation 3: the checksum field after its covered words changed by `difference`.
#[inline]
pub const fn patch(field: u16, difference: u16) -> u16 {
    !add(!field, difference)
}

/// The same for a partial checksum, whose field holds a plain sum.
#[inline]
pub const fn patch_partial(field: u16, difference: u16) -> u16 {
    add(field, difference)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn naive(bytes: &[u8]) -> u16 {
        let mut total: u32 = 0;
        for pair in bytes.chunks(2) {
            total += u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
            total = (total & 0xffff) + (total >> 16);
        }
        total as u16
    }

    /// In one's complement 0 and 0xffff are equal.
    fn same(a: u16, b: u16) -> bool {
        a % 0xffff == b % 0xffff
    }

    #[test]
    fn example_of_rfc_1071() {
        assert_eq!(sum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), 0xddf2);
    }

    proptest! {
        #[test]
        fn sum_equals_the_naive_one(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(same(sum(&bytes), naive(&bytes)));
        }

        #[test]
        fn patching_equals_recomputing(mut bytes in proptest::collection::vec(any::<u8>(), 8..80), at in 0usize..3, new in any::<u16>()) {
            let at = at * 2;
            let field = !naive(&bytes);
            let old = u16::from_be_bytes([bytes[at], bytes[at + 1]]);
            bytes[at..at + 2].copy_from_slice(&new.to_be_bytes());
            prop_assert!(same(patch(field, difference(old, new)), !naive(&bytes)));
        }
    }
}
