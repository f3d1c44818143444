//! The only clock: everything else is told the time.

use crate::types::Instant;

/// Nanoseconds since the machine started (`CLOCK_MONOTONIC`): the time line of every engine.
#[inline]
pub fn now() -> Instant {
    Instant::from_nanos(super::sys::monotonic_nanos())
}

#[cfg(test)]
mod tests {
    #[test]
    fn time_does_not_run_backwards() {
        let first = super::now();
        assert!(first > crate::types::Instant::ZERO);
        assert!(super::now() >= first);
    }
}
