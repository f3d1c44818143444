//! The only clock: everything else is told the time.

use crate::types::Instant;

/// Nanoseconds since the machine started (`CLOCK_MONOTONIC`): the time line of every engine.
#[inline]
pub fn now() -> Instant {
    Instant::from_nanos(super::sys::monotonic_nanos())
}

/// Seconds since 1970 by the machine's calendar clock, for dates that others read. It may be wrong and may jump.
pub fn wall_seconds() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that others are told")]
    let now = std::time::SystemTime::now();
    now.duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Milliseconds since 1970 by the same clock.
pub fn calendar_ms() -> u64 {
    super::sys_process::wall_nanos() / 1_000_000
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
