//! What it took to tell everything.

use crate::types::{Duration, Instant};
use crate::wire::pair::flow::{self, Walked};

/// A walk through the whole table, at either end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Walk {
    begun: Instant,
    /// What was told, once that is said.
    pub(super) walked: Walked,
    /// Bytes of chunks.
    pub(super) bytes: u64,
    /// The chunk that completes it.
    complete: Option<u64>,
    /// How long it took until that was applied.
    pub(super) took: Option<Duration>,
}

impl Walk {
    pub(super) fn begun(now: Instant) -> Self {
        Walk { begun: now, ..Walk::default() }
    }

    /// A chunk on its way.
    pub(super) fn note_chunk(&mut self, sequence: u64, chunk: &[u8]) {
        if self.complete.is_some() {
            return;
        }
        self.bytes += chunk.len() as u64;
        if let Some(walked) = flow::walked(chunk) {
            self.walked = walked;
        }
        if flow::is_complete(chunk) {
            self.complete = Some(sequence);
        }
    }

    /// The standby has applied everything up to this chunk.
    pub(super) fn note_applied(&mut self, now: Instant, applied: Option<u64>) {
        let complete = self.complete.filter(|_| self.took.is_none());
        if complete.zip(applied).is_some_and(|(complete, applied)| complete <= applied) {
            self.took = Some(now.since(self.begun));
        }
    }
}
