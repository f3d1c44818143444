//! A revision that was in force: what is known of it, and its file.

use serde::{Deserialize, Serialize};

use crate::types::Epoch;

/// The longest word of a record; what is longer is cut.
const WORD_MAX: usize = 1024;
/// In front of a record in a file.
const MARK: &str = "# koi: ";

/// Who asks for a change, and from where.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Author {
    /// Name of the user.
    pub who: String,
    /// From where: `cli`, `file`, `peer`, an address.
    pub from: String,
}

/// What is known of a revision.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    /// Its place in this node's history.
    pub sequence: u64,
    /// The document's own number.
    pub revision: u64,
    /// Its canonical hash.
    pub hash: String,
    /// Milliseconds since 1970.
    pub at_ms: u64,
    /// Who made it, and from where.
    pub author: Author,
    /// Why, as they said.
    pub why: String,
    /// What somebody calls it.
    pub label: String,
    /// The pair's epoch at that time.
    pub epoch: u32,
    /// It was made by nobody: the revision with this hash was not confirmed.
    pub undoes: Option<String>,
}

impl Record {
    /// The pair's epoch at that time.
    pub const fn epoch(&self) -> Epoch {
        Epoch(self.epoch)
    }

    /// With words that are short enough for one line.
    pub fn tidy(mut self) -> Record {
        for word in [&mut self.author.who, &mut self.author.from, &mut self.why, &mut self.label] {
            let short: String = word.chars().filter(|letter| !letter.is_control()).take(WORD_MAX).collect();
            *word = short;
        }
        self
    }
}

/// A text with what is known of it in its first line, which is a comment.
pub(super) fn encode<T: Serialize>(known: &T, text: &str) -> Vec<u8> {
    let line = serde_json::to_string(known).unwrap_or_default();
    format!("{MARK}{line}\n{text}").into_bytes()
}

/// Both again; `None` for something else.
pub(super) fn decode<T: for<'de> Deserialize<'de>>(bytes: &[u8]) -> Option<(T, &str)> {
    let (line, text) = std::str::from_utf8(bytes).ok()?.split_once('\n')?;
    Some((serde_json::from_str(line.strip_prefix(MARK)?).ok()?, text))
}
