//! The only clock: everything else is told the time.

use std::sync::atomic::{AtomicI64, Ordering};

use crate::types::{Instant, WallTime};

/// By how many nanoseconds the right time is ahead of the machine's calendar clock, as far as that is known.
static AHEAD: AtomicI64 = AtomicI64::new(0);

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

/// The right time as far as it is known: the machine's calendar clock, corrected by what time servers say.
pub fn wall() -> WallTime {
    machine_wall().shifted(AHEAD.load(Ordering::Relaxed))
}

/// The machine's calendar clock as it is.
pub fn machine_wall() -> WallTime {
    WallTime::from_nanos(super::sys_process::wall_nanos())
}

/// The machine's calendar clock is corrected by so many nanoseconds from now on.
pub fn correct_wall(ahead: i64) {
    AHEAD.store(ahead, Ordering::Relaxed);
}

/// Milliseconds since 1970 by the machine's calendar clock.
pub fn calendar_ms() -> u64 {
    super::sys_process::wall_nanos() / 1_000_000
}

/// Lets time pass, in a program that has nothing else to do.
pub fn pause(time: std::time::Duration) {
    #[expect(clippy::disallowed_methods, reason = "nobody waits for this thread")]
    std::thread::sleep(time);
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
