//! Who logged in and who changed what: the newest entries for the page, every one for the log.

use std::collections::VecDeque;
use std::net::IpAddr;

/// Entries kept for the page.
const ENTRIES: usize = 500;

/// Something that somebody did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Deed {
    /// Seconds since 1970.
    pub at: u64,
    /// Name of the account; as it was typed when nobody has it.
    pub who: String,
    pub from: IpAddr,
    /// In words.
    pub what: String,
}

/// What was done of late.
#[derive(Default)]
pub(super) struct Audit {
    deeds: VecDeque<Deed>,
}

impl Audit {
    /// Writes it down.
    pub fn note(&mut self, deed: Deed) {
        tracing::info!(target: "audit", who = %deed.who, from = %deed.from, "{}", deed.what);
        self.keep(deed);
    }

    /// For the page alone: somebody else has told the log.
    pub fn keep(&mut self, deed: Deed) {
        if self.deeds.len() >= ENTRIES {
            self.deeds.pop_front();
        }
        self.deeds.push_back(deed);
    }

    /// The newest first.
    pub fn deeds(&self) -> impl Iterator<Item = &Deed> {
        self.deeds.iter().rev()
    }
}
