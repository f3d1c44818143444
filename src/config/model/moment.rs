//! A moment of the calendar, in UTC.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::types::WallTime;

/// A second of the calendar, written as RFC 3339 has it in UTC: `2026-11-26T13:00:00Z`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Moment(u64);

impl Moment {
    /// Seconds after the beginning of 1970; the last second that can be written when they are too many.
    pub fn from_secs(seconds: u64) -> Moment {
        // The end of the year 9999.
        Moment(seconds.min(253_402_207_200))
    }

    /// As the calendar has it.
    pub const fn wall(self) -> WallTime {
        WallTime::from_secs(self.0)
    }

    /// Seconds after the beginning of 1970.
    pub const fn as_secs(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = i64::try_from(self.0).unwrap_or(i64::MAX);
        let at = Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX);
        write!(f, "{}", at.strftime("%Y-%m-%dT%H:%M:%SZ"))
    }
}

impl FromStr for Moment {
    type Err = String;
    fn from_str(text: &str) -> Result<Moment, String> {
        let at =
            text.parse::<Timestamp>().map_err(|_| "not a moment, as in 2026-11-26T13:00:00Z".to_owned())?;
        u64::try_from(at.as_second()).map(Moment::from_secs).map_err(|_| "before the year 1970".to_owned())
    }
}

impl TryFrom<String> for Moment {
    type Error = String;
    fn try_from(text: String) -> Result<Moment, String> {
        text.parse()
    }
}

impl From<Moment> for String {
    fn from(moment: Moment) -> String {
        moment.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_they_are_written() {
        for seconds in [0, 1_700_000_000, u64::MAX] {
            let moment = Moment::from_secs(seconds);
            assert_eq!(moment.to_string().parse(), Ok(moment), "{seconds}");
        }
        let berlin: Moment = "2026-11-26T14:00:00+01:00".parse().unwrap();
        assert_eq!(berlin.to_string(), "2026-11-26T13:00:00Z");
        for wrong in ["", "tomorrow", "2026-11-26", "1969-12-31T23:59:59Z", "2026-13-01T00:00:00Z"] {
            assert!(wrong.parse::<Moment>().is_err(), "{wrong}");
        }
    }
}
