//! What a release is called, and by whose key it is known.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The version of a release: three numbers, compared from the first to the last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ReleaseVersion {
    /// Counts what a user has to learn anew.
    pub major: u16,
    /// Counts what is new.
    pub minor: u16,
    /// Counts repairs.
    pub patch: u16,
}

impl fmt::Display for ReleaseVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ReleaseVersion { major, minor, patch } = self;
        write!(f, "{major}.{minor}.{patch}")
    }
}

impl FromStr for ReleaseVersion {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("\"{text}\" is not a version; write three numbers, as in 1.2.3");
        let number = |text: &str| match text.bytes().all(|byte| byte.is_ascii_digit()) {
            true => text.parse::<u16>().map_err(|_| wrong()),
            false => Err(wrong()),
        };
        let mut numbers = text.split('.').map(number);
        let mut next = || numbers.next().unwrap_or_else(|| Err(wrong()));
        let version = ReleaseVersion { major: next()?, minor: next()?, patch: next()? };
        if numbers.next().is_some() { Err(wrong()) } else { Ok(version) }
    }
}

impl TryFrom<String> for ReleaseVersion {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<ReleaseVersion> for String {
    fn from(version: ReleaseVersion) -> String {
        version.to_string()
    }
}

/// An Ed25519 public key by which releases are signed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ReleaseKey(pub [u8; 32]);

impl fmt::Display for ReleaseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ReleaseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ReleaseKey {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("\"{text}\" is not the public key of a release; write 64 hex digits");
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        let mut bytes = [0u8; 32];
        for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| wrong())?;
        }
        Ok(ReleaseKey(bytes))
    }
}

impl TryFrom<String> for ReleaseKey {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<ReleaseKey> for String {
    fn from(key: ReleaseKey) -> String {
        key.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_compared_and_written() {
        let version = |text: &str| text.parse::<ReleaseVersion>();
        assert!(version("0.10.0").unwrap() > version("0.9.65535").unwrap());
        assert!(version("1.0.0").unwrap() > version("0.99.99").unwrap());
        assert_eq!(version("1.2.3").unwrap().to_string(), "1.2.3");
        for wrong in
            ["", "1", "1.2", "1.2.3.4", "1.2.-3", "1.2.+3", "1.2.65536", "1..3", "v1.2.3", "1.2.3-rc1"]
        {
            assert!(version(wrong).unwrap_err().contains("as in 1.2.3"), "{wrong}");
        }
    }

    #[test]
    fn keys_are_read_and_written() {
        let text = "0123456789abcdef".repeat(4);
        assert_eq!(text.to_uppercase().parse::<ReleaseKey>().unwrap().to_string(), text);
        for wrong in ["", &text[1..], &text.replace('0', "g"), &"ä".repeat(32)] {
            assert!(wrong.parse::<ReleaseKey>().is_err(), "{wrong}");
        }
    }
}
