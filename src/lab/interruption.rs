//! Somebody wants the lab to end: every wait of the lab ends then.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::ensure;

use crate::io::{clock, pace};
use crate::types::Instant;

/// There is one lab in a process.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);
/// How long it may take until a wait ends.
const STEP: Duration = Duration::from_millis(50);

/// From now on nothing waits any more.
pub fn happens() {
    INTERRUPTED.store(true, Ordering::Relaxed);
}

/// Returns at this instant.
///
/// # Errors
/// When the lab should end.
pub fn wait_until(at: Instant) -> anyhow::Result<()> {
    loop {
        ensure!(!INTERRUPTED.load(Ordering::Relaxed), "interrupted");
        let now = clock::now();
        if now >= at {
            return Ok(());
        }
        pace::until(at.min(now + STEP));
    }
}
