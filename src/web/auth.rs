//! Who may log in while the document has no user: `admin`, with a random password made at the first start.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use data_encoding::BASE64;

/// The account's name.
pub const USER: &str = crate::config::model::FIRST_USER;
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

    /// True when this is the password.
    pub(super) fn is(&self, password: &str) -> bool {
        same(password.as_bytes(), self.0.as_bytes())
    }

    /// What a client sends as `Authorization`.
    pub fn credentials(&self) -> String {
        format!("Basic {}", BASE64.encode(format!("{USER}:{}", self.0).as_bytes()))
    }
}

/// The name and the password that a request carries (RFC 7617).
pub(super) fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let coded = headers.get(AUTHORIZATION)?.as_bytes().strip_prefix(b"Basic ")?;
    let text = String::from_utf8(BASE64.decode(coded).ok()?).ok()?;
    let (name, password) = text.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}

/// Compares in a time that depends on the lengths only.
pub(super) fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_carries_name_and_password() {
        let password = Password::from_random([7; 24]);
        let with = |value: &str| basic(&HeaderMap::from_iter([(AUTHORIZATION, value.parse().unwrap())]));
        assert_eq!(with(&password.credentials()), Some((USER.into(), password.reveal().into())));
        assert_eq!(with("Basic YTpiOmM="), Some(("a".into(), "b:c".into())));
        for wrong in ["basic YTpi", "Basic YQ==", "Basic ?", "Basic", "Basic /w==", "Bearer YTpi"] {
            assert_eq!(with(wrong), None, "{wrong}");
        }
        assert_eq!(basic(&HeaderMap::new()), None);
    }

    #[test]
    fn only_the_right_password_is_the_password() {
        let password = Password::from_random([7; 24]);
        assert!(password.is(password.reveal()));
        assert!(!password.is("") && !password.is("admin") && !password.is(&password.reveal()[1..]));
        assert!(Password::from_stored("short").is_none());
    }
}
