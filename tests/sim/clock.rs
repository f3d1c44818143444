//! A node's own clock: it began at another time than the others', and it may be stopped.

use std::time::Duration;

use koi::types::Instant;

/// A clock that may stand still.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    /// Before the world's time.
    ahead: Duration,
    /// Time that it has not counted.
    stood: Duration,
    /// Since when the node has been stopped, and whether its clock stands.
    stopped: Option<(Instant, bool)>,
}

impl Clock {
    /// A clock that is ahead of the world's.
    pub fn ahead(ahead: Duration) -> Self {
        Clock { ahead, ..Clock::default() }
    }

    /// What it shows at the world's `now`.
    pub fn local(&self, now: Instant) -> Instant {
        let now = match self.stopped {
            Some((since, true)) => since,
            Some((_, false)) | None => now,
        };
        now + self.ahead - self.stood
    }

    /// When it shows `local`, if it goes on.
    pub fn world(&self, local: Instant) -> Instant {
        local + self.stood - self.ahead
    }

    /// The node stands still; with `stands` like a paused machine, otherwise like a stopped process.
    pub fn stop(&mut self, now: Instant, stands: bool) {
        self.stopped = self.stopped.or(Some((now, stands)));
    }

    /// The node goes on; true when its clock had stood.
    pub fn go_on(&mut self, now: Instant) -> bool {
        match self.stopped.take() {
            Some((since, true)) => {
                self.stood += now.since(since);
                true
            }
            Some((_, false)) | None => false,
        }
    }

    pub fn is_stopped(&self) -> bool {
        self.stopped.is_some()
    }
}
