//! One-time codes of six digits (RFC 6238), as every authenticator shows them: HMAC-SHA-1, 30 seconds.

use data_encoding::BASE32_NOPAD;
use ring::hmac::{HMAC_SHA1_FOR_LEGACY_USE_ONLY, Key, sign};

use super::auth::same;

/// Seconds that a code is good for.
const STEP: u64 = 30;
/// Clocks may be off by so many steps.
const OFF: u64 = 1;

/// The step in which this code of this secret is good; `None` when it is not, or was used before. `last`: the step of the
/// code that was used last.
pub(super) fn check(secret: &str, code: &str, seconds: u64, last: u64) -> Option<u64> {
    let secret = decode(secret)?;
    let code: String = code.chars().filter(|letter| !letter.is_whitespace()).collect();
    let now = seconds / STEP;
    let steps = now.saturating_sub(OFF)..=now + OFF;
    steps.filter(|step| *step > last).find(|step| same(digits(&secret, *step).as_bytes(), code.as_bytes()))
}

/// A secret as people copy it: base32, perhaps in groups.
fn decode(secret: &str) -> Option<Vec<u8>> {
    let letters: String = secret.chars().filter(char::is_ascii_alphanumeric).collect();
    BASE32_NOPAD.decode(letters.to_ascii_uppercase().as_bytes()).ok()
}

/// A new secret of this randomness.
pub(super) fn secret(random: [u8; 20]) -> String {
    BASE32_NOPAD.encode(&random)
}

fn digits(secret: &[u8], step: u64) -> String {
    let tag = sign(&Key::new(HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret), &step.to_be_bytes());
    let bytes = tag.as_ref();
    let offset = usize::from(bytes.last().copied().unwrap_or(0) & 0x0f);
    let word = bytes.get(offset..offset + 4).unwrap_or_default();
    let number = word.iter().fold(0u32, |number, byte| number << 8 | u32::from(*byte)) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}

/// The code that an authenticator shows.
#[cfg(test)]
pub(super) fn shown(secret: &str, seconds: u64) -> String {
    digits(&decode(secret).unwrap(), seconds / STEP)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_of_the_rfc() {
        // RFC 6238, appendix B, the last six of eight digits.
        let secret = BASE32_NOPAD.encode(b"12345678901234567890");
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(check(&secret, code, seconds, 0), Some(seconds / STEP), "{seconds}");
            assert!(check(&secret, code, seconds + 29, 0).is_some(), "a clock that is a little late");
            assert!(check(&secret, code, seconds + 90, 0).is_none());
            assert!(check(&secret, code, seconds, seconds / STEP).is_none(), "used before");
            assert!(check(&secret, "", seconds, 0).is_none() && check("?", code, seconds, 0).is_none());
        }
        assert_eq!(check(&secret.to_lowercase(), "287 082", 59, 0), Some(1));
    }
}
