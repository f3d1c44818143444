//! A node as one file: its document, what it keeps beside it, and what it needs to be itself again.
//!
//! In clear it is one JSON object. With a passphrase it is a line that says how, and the object under AES-256-GCM, so
//! that a wrong passphrase and a damaged file are refused, never half believed.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use data_encoding::BASE64;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::pbkdf2::{self, PBKDF2_HMAC_SHA256};
use serde::{Deserialize, Serialize};

use super::Problem;
use super::pfsense::Origin;

/// The version of the form.
const VERSION: u32 = 1;
const HEAD: &str = "koi-backup 1 pbkdf2-sha256 600000 aes-256-gcm";
const ROUNDS: u32 = 600_000;
const SALT: usize = 16;
const NONCE: usize = 12;
/// How much randomness a sealed backup needs.
pub const RANDOM_BYTES: usize = SALT + NONCE;
/// The largest file that is read.
pub const BYTES_LIMIT: usize = 256 << 20;
/// Letters in a line.
const LINE: usize = 76;

/// Everything that makes a node.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backup {
    /// Version of this form.
    koi: u32,
    /// The node.
    pub node: String,
    /// Its document, as text.
    pub document: String,
    /// The files of its state directory in base64: keys, certificate, password.
    pub state: BTreeMap<String, String>,
    /// The file of pfSense that the document came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pfsense: Option<Origin>,
}

impl Backup {
    /// A backup of a node; `state` holds names and contents of files.
    pub fn new(
        node: String,
        document: String,
        state: impl Iterator<Item = (String, Vec<u8>)>,
        pfsense: Option<Origin>,
    ) -> Backup {
        let state = state.map(|(name, contents)| (name, BASE64.encode(&contents))).collect();
        Backup { koi: VERSION, node, document, state, pfsense }
    }

    /// The files of the state directory.
    ///
    /// # Errors
    /// When one has a name that leads elsewhere, or is not base64.
    pub fn files(&self) -> Result<Vec<(String, Vec<u8>)>, Problem> {
        let file = |(name, text): (&String, &String)| {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
            if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
                return Err(damaged(&format!("\"{name}\" is no name of a file of a node")));
            }
            let contents =
                BASE64.decode(text.as_bytes()).map_err(|_| damaged(&format!("{name} is not base64")))?;
            Ok((name.clone(), contents))
        };
        self.state.iter().map(file).collect()
    }

    /// As text, in clear.
    pub fn to_text(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// As text under a passphrase.
    pub fn seal(&self, passphrase: &str, random: [u8; RANDOM_BYTES]) -> String {
        let (salt, nonce) = random.split_at(SALT);
        let mut body = self.to_text().into_bytes();
        let (Some(key), Ok(unique)) = (key(passphrase, salt), Nonce::try_assume_unique_for_key(nonce)) else {
            return String::new();
        };
        if key.seal_in_place_append_tag(unique, Aad::from(HEAD), &mut body).is_err() {
            return String::new();
        }
        let encoded = BASE64.encode(&[&random, body.as_slice()].concat());
        let mut text = format!("{HEAD}\n");
        let mut rest = encoded.as_str();
        while !rest.is_empty() {
            let (line, others) = rest.split_at(rest.len().min(LINE));
            text.extend([line, "\n"]);
            rest = others;
        }
        text
    }
}

/// True for a backup of Koi, sealed or not.
pub fn is_backup(text: &str) -> bool {
    is_sealed(text) || text.trim_start().starts_with('{')
}

/// True for one that needs a passphrase.
pub fn is_sealed(text: &str) -> bool {
    text.starts_with("koi-backup ")
}

/// Reads a backup.
///
/// # Errors
/// When it is damaged or of another release, and when the passphrase is missing or wrong.
pub fn read(text: &str, passphrase: Option<&str>) -> Result<Backup, Problem> {
    if text.len() > BYTES_LIMIT {
        return Err(damaged("it is larger than any"));
    }
    let opened;
    let json = match (is_sealed(text), passphrase) {
        (false, _) => text.as_bytes(),
        (true, None) => {
            return Err(Problem::new(
                "",
                "The backup is encrypted.",
                "Give its passphrase with --password-file.",
            ));
        }
        (true, Some(passphrase)) => {
            opened = open(text, passphrase)?;
            &opened
        }
    };
    let backup: Backup = serde_json::from_slice(json).map_err(|error| damaged(&error.to_string()))?;
    match backup.koi {
        VERSION => Ok(backup),
        other => {
            let message =
                format!("This is a backup of version {other}; this release reads version {VERSION}.");
            Err(Problem::new("", message, "Use the release that wrote it."))
        }
    }
}

fn open(text: &str, passphrase: &str) -> Result<Vec<u8>, Problem> {
    let Some(body) = text.strip_prefix(HEAD) else {
        return Err(Problem::new(
            "",
            "The backup is encrypted in another way.",
            "Use the release that wrote it.",
        ));
    };
    let letters: Vec<u8> = body.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let bytes = BASE64.decode(&letters).map_err(|_| damaged("it is not base64"))?;
    let (random, sealed) =
        bytes.split_at_checked(RANDOM_BYTES).ok_or_else(|| damaged("it ends too early"))?;
    let (salt, nonce) = random.split_at(SALT);
    let wrong =
        || Problem::new("", "The passphrase is wrong, or the file is damaged.", "Give the right one.");
    let key = key(passphrase, salt).ok_or_else(wrong)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| wrong())?;
    let mut sealed = sealed.to_vec();
    let plain = key.open_in_place(nonce, Aad::from(HEAD), &mut sealed).map_err(|_| wrong())?;
    Ok(plain.to_vec())
}

fn key(passphrase: &str, salt: &[u8]) -> Option<LessSafeKey> {
    let mut bytes = [0; 32];
    pbkdf2::derive(PBKDF2_HMAC_SHA256, NonZeroU32::new(ROUNDS)?, salt, passphrase.as_bytes(), &mut bytes);
    Some(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &bytes).ok()?))
}

fn damaged(what: &str) -> Problem {
    Problem::new("", format!("The backup is damaged: {what}."), "Take another one.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backup() -> Backup {
        let state = [("pair.key".to_owned(), b"00ff".to_vec()), ("web-key.pem".to_owned(), vec![0, 255])];
        Backup::new("fw".into(), "schema = 1\n".into(), state.into_iter(), None)
    }

    #[test]
    fn what_is_written_is_read_again() {
        let text = backup().to_text();
        let read = read(&text, None).unwrap();
        assert!(is_backup(&text) && !is_sealed(&text) && read == backup());
        assert_eq!(read.files().unwrap()[1], ("web-key.pem".into(), vec![0, 255]));
    }

    #[test]
    fn a_passphrase_guards_it_whole() {
        let sealed = backup().seal("correct horse", [7; RANDOM_BYTES]);
        assert!(is_backup(&sealed) && !sealed.contains("schema"));
        assert!(read(&sealed, Some("correct horse")).unwrap() == backup());
        let refusal = |text: &str, passphrase: Option<&str>| read(text, passphrase).err().unwrap().message;
        assert!(refusal(&sealed, None).contains("encrypted"));
        assert!(refusal(&sealed, Some("wrong")).contains("passphrase is wrong"));
        let mut damaged = sealed.clone().into_bytes();
        let last = damaged.len() - 10;
        damaged[last] = if damaged[last] == b'A' { b'B' } else { b'A' };
        assert!(refusal(std::str::from_utf8(&damaged).unwrap(), Some("correct horse")).contains("damaged"));
        assert!(refusal("koi-backup 2 other\nAAAA", Some("x")).contains("another way"));
    }

    #[test]
    fn other_files_and_names_that_lead_elsewhere_are_refused() {
        assert!(read("{}", None).is_err() && read("{\"koi\":1}", None).is_err());
        for name in ["../pair.key", "a/b", ".hidden", ""] {
            let state = [(name.to_owned(), Vec::new())].into_iter();
            assert!(Backup::new("fw".into(), String::new(), state, None).files().is_err(), "{name}");
        }
        let mut other = backup();
        other.koi = 2;
        assert!(read(&other.to_text(), None).err().unwrap().message.contains("version 2"));
    }
}
