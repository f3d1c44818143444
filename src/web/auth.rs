//! Who may see the page: one account, `admin`, with a random password made at the first start.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;

/// The account's name.
pub const USER: &str = "admin";
/// Letters and digits that cannot be taken for each other.
const ALPHABET: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz23456789A";

/// The password of `admin`.
#[derive(Clone)]
pub struct Password(String);

impl Password {
    /// Makes a password of 24 characters (120 bits) from this randomness.
    pub fn from_random(random: [u8; 24]) -> Self {
        Password(random.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect())
    }

    /// A password that was stored before; `None` when it is too short to be one.
    pub fn from_stored(text: &str) -> Option<Self> {
        let text = text.trim();
        (text.len() >= 16).then(|| Password(text.to_owned()))
    }

    /// For the file in the state directory, and nowhere else.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// True when the request carries the account's name and password (RFC 7617).
    pub(super) fn admits(&self, headers: &HeaderMap) -> bool {
        let given = headers.get(AUTHORIZATION).map(|value| value.as_bytes()).unwrap_or_default();
        same(given, self.credentials().as_bytes())
    }

    /// What a client sends as `Authorization`.
    pub fn credentials(&self) -> String {
        format!("Basic {}", base64(format!("{USER}:{}", self.0).as_bytes()))
    }
}

/// Compares in a time that depends on the lengths only.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

/// RFC 4648 section 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word =
            chunk.iter().fold(0u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = (word >> (18 - 6 * place)) & 63;
            text.push(if place <= chunk.len() { char::from(DIGITS[digit as usize]) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_of_rfc_4648() {
        for (plain, coded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn only_the_right_password_is_admitted() {
        let password = Password::from_random([7; 24]);
        let with = |value: String| HeaderMap::from_iter([(AUTHORIZATION, value.parse().unwrap())]);
        let right = format!("Basic {}", base64(format!("admin:{}", password.reveal()).as_bytes()));
        assert!(password.admits(&with(right.clone())));
        assert!(!password.admits(&with(right.replace("Basic", "basic "))));
        assert!(!password.admits(&with(format!("Basic {}", base64(b"admin:wrong")))));
        assert!(!password.admits(&HeaderMap::new()));
        assert!(Password::from_stored("short").is_none());
    }
}
