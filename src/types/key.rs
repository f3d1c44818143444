//! Public keys of nodes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An X25519 public key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey(pub [u8; 32]);

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PublicKey {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("\"{text}\" is not a public key; write 64 hex digits");
        if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        let mut bytes = [0u8; 32];
        for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| wrong())?;
        }
        // Of zero every shared secret is zero: whoever pins it trusts everybody.
        if bytes == [0; 32] { Err(wrong()) } else { Ok(PublicKey(bytes)) }
    }
}

impl TryFrom<String> for PublicKey {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> String {
        key.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips_and_nonsense_is_refused() {
        let text = "0123456789abcdef".repeat(4);
        let key: PublicKey = text.to_uppercase().parse().unwrap();
        assert_eq!(key.to_string(), text);
        for bad in
            ["".into(), text[1..].to_owned(), format!("{text}0"), text.replace('0', "g"), "ä".repeat(32)]
        {
            assert!(bad.parse::<PublicKey>().is_err(), "{bad}");
        }
    }
}
