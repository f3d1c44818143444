//! A point on the calendar's time line.

use std::time::Duration;

/// Nanoseconds since the beginning of 1970 in UTC, leap seconds not counted. It may be wrong and may jump: only dates
/// and schedules go by it, never timers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct WallTime(u64);

impl WallTime {
    /// So many nanoseconds after the beginning of 1970.
    pub const fn from_nanos(nanos: u64) -> Self {
        WallTime(nanos)
    }

    /// So many seconds after it.
    pub const fn from_secs(seconds: u64) -> Self {
        WallTime(seconds.saturating_mul(1_000_000_000))
    }

    /// Nanoseconds since then.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Whole seconds since then.
    pub const fn as_secs(self) -> u64 {
        self.0 / 1_000_000_000
    }

    /// Time from `earlier` to `self`, zero when `earlier` is later.
    pub const fn since(self, earlier: WallTime) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// What another clock shows that is so many nanoseconds ahead of this one.
    pub const fn shifted(self, nanos: i64) -> Self {
        WallTime(self.0.saturating_add_signed(nanos))
    }

    /// Nanoseconds by which `self` is ahead of `other`.
    pub fn ahead_of(self, other: WallTime) -> i64 {
        let difference = i128::from(self.0) - i128::from(other.0);
        difference.clamp(i64::MIN.into(), i64::MAX.into()) as i64
    }
}
