//! `[[schedule]]`: the hours in which rules are in force.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::is_default;

/// `[[schedule]]`: a name that rules write which are in force at times only.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// The name.
    pub name: String,
    /// When its rules are in force.
    #[serde(rename = "time_range", default, skip_serializing_if = "is_default")]
    pub time_ranges: Vec<TimeRange>,
    /// For people.
    #[serde(default, skip_serializing_if = "is_default")]
    pub description: String,
}

/// `[[schedule.time_range]]`: days, and hours of each of them. Without days it is every day.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeRange {
    /// Days of the week (pfSense's `position`).
    #[serde(default, skip_serializing_if = "is_default")]
    pub weekdays: Vec<Weekday>,
    /// Days of the year (pfSense's `month` and `day`).
    #[serde(default, skip_serializing_if = "is_default")]
    pub days: Vec<MonthDay>,
    /// Hours of the day (pfSense's `hour`).
    #[serde(default, skip_serializing_if = "is_default")]
    pub hours: Hours,
    /// For people.
    #[serde(default, skip_serializing_if = "is_default")]
    pub description: String,
}

impl fmt::Display for TimeRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TimeRange { weekdays, days, hours, description } = self;
        weekdays.iter().try_for_each(|day| write!(f, "{} ", day.word()))?;
        days.iter().try_for_each(|day| write!(f, "{day} "))?;
        write!(f, "{hours}")?;
        if description.is_empty() { Ok(()) } else { write!(f, " ({description})") }
    }
}

/// A day of the week.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Weekday {
    /// Monday, pfSense's 1.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday, pfSense's 7.
    Sun,
}

impl Weekday {
    /// From Monday on.
    pub const ALL: [Weekday; 7] =
        [Weekday::Mon, Weekday::Tue, Weekday::Wed, Weekday::Thu, Weekday::Fri, Weekday::Sat, Weekday::Sun];

    /// pfSense's number: 1 is Monday, 7 is Sunday.
    pub const fn number(self) -> u8 {
        self as u8 + 1
    }

    /// As it is written.
    pub const fn word(self) -> &'static str {
        match self {
            Weekday::Mon => "mon",
            Weekday::Tue => "tue",
            Weekday::Wed => "wed",
            Weekday::Thu => "thu",
            Weekday::Fri => "fri",
            Weekday::Sat => "sat",
            Weekday::Sun => "sun",
        }
    }

    /// The day of this number.
    pub fn of_number(number: u8) -> Option<Weekday> {
        Weekday::ALL.get(usize::from(number).checked_sub(1)?).copied()
    }
}

/// A day of any year: `12-24`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MonthDay {
    month: u8,
    day: u8,
}

impl MonthDay {
    /// A day that some year has.
    pub fn new(month: u8, day: u8) -> Option<MonthDay> {
        let longest = match month {
            2 => 29,
            4 | 6 | 9 | 11 => 30,
            1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
            _ => return None,
        };
        (1..=longest).contains(&day).then_some(MonthDay { month, day })
    }

    /// From 1.
    pub const fn month(self) -> u8 {
        self.month
    }

    /// From 1.
    pub const fn day(self) -> u8 {
        self.day
    }
}

impl fmt::Display for MonthDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}-{:02}", self.month, self.day)
    }
}

impl FromStr for MonthDay {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("\"{text}\" is not a day of the year; write month and day, as in 12-24");
        let (month, day) = text.split_once('-').ok_or_else(wrong)?;
        let number = |part: &str| part.trim().parse().map_err(|_| wrong());
        MonthDay::new(number(month)?, number(day)?).ok_or_else(wrong)
    }
}

/// From one minute of a day to another: `8:00-17:30`. The second one is outside, but for 23:59, with which pfSense
/// means the end of the day.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hours {
    first: u16,
    end: u16,
}

/// Minutes of a day.
const DAY: u16 = 24 * 60;

impl Hours {
    /// From minute `first` to minute `end`; `None` when that is no time, or past midnight.
    pub const fn new(first: u16, end: u16) -> Option<Hours> {
        if first < end && end <= DAY { Some(Hours { first, end }) } else { None }
    }

    /// The first minute.
    pub const fn first(self) -> u16 {
        self.first
    }

    /// The first minute after them.
    pub const fn end(self) -> u16 {
        if self.end == DAY - 1 { DAY } else { self.end }
    }

    /// Is this minute of the day among them?
    pub const fn contains(self, minute: u16) -> bool {
        self.first <= minute && minute < self.end()
    }
}

impl Default for Hours {
    fn default() -> Self {
        Hours { first: 0, end: DAY }
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Hours { first, end } = *self;
        write!(f, "{}:{:02}-{}:{:02}", first / 60, first % 60, end / 60, end % 60)
    }
}

impl FromStr for Hours {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("\"{text}\" are no hours of a day; write them as in 8:00-17:30");
        let minute = |part: &str| {
            let (hours, minutes) = part.trim().split_once(':').unwrap_or((part.trim(), "0"));
            let hours = hours.parse::<u16>().ok().filter(|hours| *hours <= 24)?;
            let minutes = minutes.parse::<u16>().ok().filter(|minutes| *minutes < 60)?;
            Some(hours * 60 + minutes)
        };
        let (first, end) = text.split_once('-').ok_or_else(wrong)?;
        minute(first).zip(minute(end)).and_then(|(first, end)| Hours::new(first, end)).ok_or_else(wrong)
    }
}

impl TryFrom<String> for MonthDay {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<MonthDay> for String {
    fn from(day: MonthDay) -> String {
        day.to_string()
    }
}

impl TryFrom<String> for Hours {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Hours> for String {
    fn from(hours: Hours) -> String {
        hours.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_and_days_are_read_as_they_are_written() {
        for text in ["0:00-24:00", "8:00-17:30", "0:00-23:59", "22:15-24:00"] {
            assert_eq!(text.parse::<Hours>().unwrap().to_string(), text);
        }
        assert_eq!("8-12".parse::<Hours>(), "8:00-12:00".parse());
        for text in
            ["", "8:00", "17:00-8:00", "8:00-8:00", "8:60-9:00", "0:00-24:01", "-1:00-2:00", "99:00-2"]
        {
            assert!(text.parse::<Hours>().is_err(), "{text}");
        }
        for text in ["01-01", "02-29", "12-31"] {
            assert_eq!(text.parse::<MonthDay>().unwrap().to_string(), text);
        }
        for text in ["", "2-30", "4-31", "13-1", "0-1", "1-0", "x-1"] {
            assert!(text.parse::<MonthDay>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_last_minute_is_the_end_of_the_day() {
        let whole: Hours = "0:00-23:59".parse().unwrap();
        assert!(whole.contains(DAY - 1));
        let short: Hours = "0:00-23:58".parse().unwrap();
        assert!(short.contains(DAY - 3) && !short.contains(DAY - 2));
        assert_eq!(Weekday::ALL.map(|day| Weekday::of_number(day.number())), Weekday::ALL.map(Some));
        assert_eq!((Weekday::of_number(0), Weekday::of_number(8)), (None, None));
    }
}
