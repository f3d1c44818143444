//! The one-time code of a pairing: 128 random bits that a person reads on one node and types on the other.
//!
//! Crockford's base 32, in seven groups of four: no I, L, O or U; what looks alike is taken for the same. The last
//! twelve bits come from a hash of the others, so a slip of the finger is seen before it costs a try.

use std::fmt;
use std::str::FromStr;

use ring::digest::{SHA256, digest};

use super::Entropy;

const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const LENGTH: usize = 28;
const GROUP: usize = 4;
const CHECK_BITS: u32 = 12;

/// A pairing code. Only [`fmt::Display`] shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Code([u8; 16]);

impl Code {
    /// A new one.
    pub fn generate(entropy: &mut dyn Entropy) -> Self {
        let mut bits = [0; 16];
        entropy.fill(&mut bits);
        Code(bits)
    }

    /// The bits.
    pub(super) fn bits(&self) -> &[u8; 16] {
        &self.0
    }

    fn check(&self) -> u16 {
        let hash = digest(&SHA256, &self.0);
        hash.as_ref().iter().take(2).fold(0, |sum, byte| sum << 8 | u16::from(*byte)) >> (16 - CHECK_BITS)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = u128::from_be_bytes(self.0);
        let check = u32::from(self.check());
        for place in 0..LENGTH {
            if place > 0 && place % GROUP == 0 {
                f.write_str("-")?;
            }
            // The letter's five bits, counted from the end of all 140.
            let above = (5 * (LENGTH - 1 - place)) as u32;
            let value = if above >= CHECK_BITS {
                (bits >> (above - CHECK_BITS)) as u32
            } else {
                (bits << (CHECK_BITS - above)) as u32 | check >> above
            };
            write!(f, "{}", char::from(LETTERS[(value & 31) as usize]))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(..)")
    }
}

/// What is wrong with a typed code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CodeError {
    /// A letter that no code has.
    Letter(char),
    /// So many letters instead of 28.
    Length(usize),
    /// Some letter is another one than it should be.
    Check,
}

impl fmt::Display for CodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CodeError::Letter(letter) => write!(f, "a code has no \"{letter}\""),
            CodeError::Length(count) => write!(f, "a code has {LENGTH} letters and digits, not {count}"),
            CodeError::Check => f.write_str("there is a slip in the code; compare it letter by letter"),
        }
    }
}

impl FromStr for Code {
    type Err = CodeError;

    /// Case, spaces and dashes do not matter; O is 0, and I and L are 1.
    fn from_str(text: &str) -> Result<Self, CodeError> {
        let (mut bits, mut check, mut count) = (0u128, 0u16, 0usize);
        for letter in text.chars().filter(|letter| !letter.is_whitespace() && *letter != '-') {
            let upper = match letter.to_ascii_uppercase() {
                'O' => '0',
                'I' | 'L' => '1',
                other => other,
            };
            let value = LETTERS.iter().position(|known| char::from(*known) == upper);
            let value = value.ok_or(CodeError::Letter(letter))? as u16;
            for bit in (0..5).rev().map(|at| value >> at & 1) {
                // The first 128 bits, then those of the check.
                if count < 128 {
                    bits = bits << 1 | u128::from(bit);
                } else {
                    check = check << 1 | bit;
                }
                count = count.saturating_add(1);
            }
        }
        if count != LENGTH * 5 {
            return Err(CodeError::Length(count / 5));
        }
        let code = Code(bits.to_be_bytes());
        if code.check() == check { Ok(code) } else { Err(CodeError::Check) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_looks_alike_is_the_same() {
        let code = Code([0; 16]);
        let text = code.to_string();
        assert_eq!(text, "0000-0000-0000-0000-0000-0000-00VM");
        assert_eq!(Code([0x5a; 16]).to_string(), "B9D5-MPJT-B9D5-MPJT-B9D5-MPJT-B8E7");
        let typed = text.replace('0', "o").replace('-', " ").to_lowercase();
        assert_eq!(typed.parse(), Ok(code));
    }

    #[test]
    fn slips_are_named() {
        let text = Code([0x5a; 16]).to_string();
        assert_eq!(format!("{text}0").parse::<Code>(), Err(CodeError::Length(29)));
        assert_eq!("".parse::<Code>(), Err(CodeError::Length(0)));
        assert_eq!(text.replacen(&text[..1], "U", 1).parse::<Code>(), Err(CodeError::Letter('U')));
        let other = if text.starts_with('Z') { "Y" } else { "Z" };
        assert_eq!(format!("{other}{}", &text[1..]).parse::<Code>(), Err(CodeError::Check));
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Code([1; 16])), "Code(..)");
    }

    proptest! {
        #[test]
        fn text_round_trips(bits in any::<[u8; 16]>(), junk in ".{0,40}") {
            let code = Code(bits);
            prop_assert_eq!(code.to_string().parse(), Ok(code.clone()));
            prop_assert_eq!(code.to_string().to_lowercase().replace('-', "").parse(), Ok(code));
            let _ = junk.parse::<Code>();
        }
    }
}
