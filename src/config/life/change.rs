//! A change that is under way.

use serde::{Deserialize, Serialize};

use super::{Author, Record};

/// It goes back by itself when nobody confirms it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Confirm {
    /// Within so many seconds.
    pub seconds: u64,
    /// Until then, in milliseconds since 1970, once it is in force.
    pub until_ms: Option<u64>,
}

/// What stands in the file `change`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Change {
    /// What comes into force.
    pub record: Record,
    /// Hash of the document before.
    pub previous: String,
    /// When it must be confirmed.
    pub confirm: Option<Confirm>,
    /// Hash of the document that it goes back to.
    pub back: Option<String>,
    /// It was staged for the peer, which knows whether it has happened.
    pub in_doubt: bool,
}

impl Change {
    /// It is in force now.
    pub(super) fn begin(&mut self, now_ms: u64) {
        if let Some(confirm) = &mut self.confirm {
            confirm.until_ms = Some(now_ms + confirm.seconds * 1000);
        }
    }

    /// Found in force after a start. A calendar that went back must not make the wait longer than it was.
    pub(super) fn restart(&mut self, now_ms: u64) {
        self.in_doubt = false;
        let left = self.left_ms(now_ms);
        if let Some(confirm) = &mut self.confirm {
            confirm.until_ms = Some(now_ms + left);
        }
    }

    /// How long it may still be confirmed.
    pub fn left_ms(&self, now_ms: u64) -> u64 {
        let Some(Confirm { seconds, until_ms }) = &self.confirm else { return 0 };
        let whole = seconds * 1000;
        // The moment is in the staged file only when the node lived to write it; its own time is in the record.
        let until = until_ms.unwrap_or(self.record.at_ms + whole);
        until.saturating_sub(now_ms).min(whole)
    }

    /// The record of its going back.
    pub(super) fn undoing(&self, now_ms: u64) -> Record {
        let seconds = self.confirm.as_ref().map_or(0, |confirm| confirm.seconds);
        Record {
            sequence: 0,
            revision: self.record.revision + 1,
            hash: self.back.clone().unwrap_or_default(),
            at_ms: now_ms,
            author: Author { who: String::new(), from: "koi".into() },
            why: format!("revision {} was not confirmed within {seconds} s", self.record.revision),
            label: String::new(),
            epoch: self.record.epoch,
            undoes: Some(self.record.hash.clone()),
        }
    }
}
