//! Being on time: a thread that sleeps until an instant, not for a while, so that lateness does not add up.

use super::{sys, sys_precedence};
use crate::types::Instant;

/// The highest real-time priority.
const FIRST: u32 = 99;
/// The lowest one.
const LAST: u32 = 1;

/// Returns at this instant, or as soon after it as the machine lets the thread run.
pub fn until(at: Instant) {
    sys::sleep_until(at.as_nanos());
}

/// Gives the calling thread precedence over ordinary ones, where that is permitted; true when it is.
pub fn punctual() -> bool {
    sys_precedence::become_real_time(LAST).is_ok()
}

/// The calling thread stays on its processor, where that is permitted; true when it does. What a thread sends waits in the
/// kernel for each processor apart: from two of them it would arrive in another order.
pub fn stays() -> bool {
    sys_precedence::bind_here().is_ok()
}

/// Binds the calling thread to a processor, where it comes before everything else; false where that is not permitted.
pub fn alone_on(processor: usize) -> bool {
    sys_precedence::bind(processor).is_ok() && sys_precedence::become_real_time(FIRST).is_ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::clock;
    use super::*;

    #[test]
    fn nobody_wakes_early() {
        let at = clock::now() + Duration::from_millis(3);
        until(at);
        assert!(clock::now() >= at);
        until(at);
    }
}
