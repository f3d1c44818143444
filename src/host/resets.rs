//! How many resets are sent to packets of no connection.

use crate::types::Instant;

/// A second's worth: enough for an honest scan of all ports in a minute, too few to be of use to an attacker.
const PER_SECOND: u32 = 1000;

/// Counts within seconds.
pub(super) struct Resets {
    second: u64,
    sent: u32,
}

impl Resets {
    pub fn new(now: Instant) -> Self {
        Resets { second: now.as_millis() / 1000, sent: 0 }
    }

    /// True when one more may be sent.
    pub fn allow(&mut self, now: Instant) -> bool {
        let second = now.as_millis() / 1000;
        if second != self.second {
            *self = Resets { second, sent: 0 };
        }
        self.sent += 1;
        self.sent <= PER_SECOND
    }
}
