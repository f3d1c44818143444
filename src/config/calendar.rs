//! Which schedules are in their hours, and when that changes: civil time of the configured zone.
//!
//! Invariant: pure. The zone's rules come with the program, so that an image without any files of them has the same.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::Config;
use super::model::{MonthDay, Rule, Schedule, TimeRange, Weekday};
use crate::types::{RuleId, WallTime};

/// A change farther away is not looked for: the 29th of February comes again within eight years.
const DAYS_AHEAD: usize = 8 * 366;

/// The zone of this name in the database that comes with the program.
pub fn zone(name: &str) -> Option<TimeZone> {
    TimeZoneDatabase::bundled().get(name).ok()
}

/// The names of all zones.
pub fn zones() -> Vec<String> {
    TimeZoneDatabase::bundled().available().map(|name| name.to_string()).collect()
}

/// The schedules of a document in their zone.
pub struct Calendar<'a> {
    zone: TimeZone,
    schedules: &'a [Schedule],
    rules: &'a [Rule],
}

impl<'a> Calendar<'a> {
    /// Those of `config`. A zone that nobody knows is UTC.
    pub fn new(config: &'a Config) -> Self {
        Calendar {
            zone: zone(&config.system.timezone).unwrap_or(TimeZone::UTC),
            schedules: &config.schedules,
            rules: &config.rules,
        }
    }

    /// Is the schedule in its hours?
    pub fn is_on(&self, schedule: &Schedule, at: WallTime) -> bool {
        timestamp(at).is_some_and(|at| is_on(schedule, self.zone.to_datetime(at)))
    }

    /// The names of the schedules that are not in their hours.
    pub fn asleep(&self, at: WallTime) -> BTreeSet<String> {
        let Some(at) = timestamp(at) else { return BTreeSet::new() };
        let civil = self.zone.to_datetime(at);
        let asleep = self.schedules.iter().filter(|schedule| !is_on(schedule, civil));
        asleep.map(|schedule| schedule.name.clone()).collect()
    }

    /// The rules whose time is over, or that pause.
    pub fn resting(&self, at: WallTime) -> BTreeSet<RuleId> {
        self.rules.iter().filter(|rule| rule.rests(at)).map(|rule| rule.id).collect()
    }

    /// When the schedule next begins or ends; `None` when it does not within years.
    pub fn change_of(&self, schedule: &Schedule, at: WallTime) -> Option<WallTime> {
        let now = timestamp(at)?;
        let before = is_on(schedule, self.zone.to_datetime(now));
        let first = self.zone.to_datetime(now).date().yesterday().ok()?;
        let days = first.series(jiff::Span::new().days(1)).take(DAYS_AHEAD);
        days.map(|day| self.edges(schedule, day)).find_map(|edges| {
            let changes =
                |edge: &Timestamp| *edge > now && is_on(schedule, self.zone.to_datetime(*edge)) != before;
            edges.into_iter().find(changes).and_then(wall_time)
        })
    }

    /// When any schedule next begins or ends, or the time of any rule.
    pub fn next_change(&self, at: WallTime) -> Option<WallTime> {
        let of_schedules = self.schedules.iter().filter_map(|schedule| self.change_of(schedule, at));
        of_schedules.chain(self.rules.iter().filter_map(|rule| rule.change(at))).min()
    }

    /// In the zone, as people write it.
    pub fn words(&self, at: WallTime) -> String {
        let Some(at) = timestamp(at) else { return String::new() };
        let whole = Timestamp::from_second(at.as_second()).unwrap_or(at);
        let offset = self.zone.to_offset_info(whole);
        format!("{} {}", self.zone.to_datetime(whole).strftime("%Y-%m-%d %H:%M:%S"), offset.abbreviation())
    }

    /// The moments of a day at which a schedule may begin or end, in order: what is written, and jumps of the clock.
    fn edges(&self, schedule: &Schedule, day: Date) -> Vec<Timestamp> {
        let ranges = schedule.time_ranges.iter().filter(|range| is_of_day(range, day));
        let mut civil = Vec::new();
        for hours in ranges.map(|range| range.hours) {
            civil.extend([at_minute(day, hours.first()), at_minute(day, hours.end())]);
        }
        let civil: Vec<DateTime> = civil.into_iter().flatten().collect();
        if civil.is_empty() {
            return Vec::new();
        }
        let mut edges: Vec<Timestamp> = Vec::new();
        for at in &civil {
            // A clock that is put back shows the same time twice; one that is put forward never shows it.
            let both = self.zone.to_ambiguous_timestamp(*at);
            edges.extend([both.earlier().ok(), both.later().ok()].into_iter().flatten());
        }
        let ends = edges.iter().min().copied().zip(edges.iter().max().copied());
        if let Some((first, last)) = ends {
            let jumps = self.zone.following(first).map(|jump| jump.timestamp());
            edges.extend(jumps.take_while(|jump| *jump <= last));
        }
        edges.sort_unstable();
        edges
    }
}

fn at_minute(day: Date, minute: u16) -> Option<DateTime> {
    match minute / 60 {
        24 => Some(day.tomorrow().ok()?.at(0, 0, 0, 0)),
        hour => Some(day.at(i8::try_from(hour).ok()?, (minute % 60) as i8, 0, 0)),
    }
}

fn is_on(schedule: &Schedule, civil: DateTime) -> bool {
    let minute = civil.hour().unsigned_abs() as u16 * 60 + civil.minute().unsigned_abs() as u16;
    let here = |range: &&TimeRange| is_of_day(range, civil.date()) && range.hours.contains(minute);
    schedule.time_ranges.iter().any(|range| here(&range))
}

fn is_of_day(range: &TimeRange, day: Date) -> bool {
    let TimeRange { weekdays, days, hours: _, description: _ } = range;
    let weekday = Weekday::of_number(day.weekday().to_monday_one_offset().unsigned_abs());
    let date = MonthDay::new(day.month().unsigned_abs(), day.day().unsigned_abs());
    let every = weekdays.is_empty() && days.is_empty();
    every
        || weekday.is_some_and(|weekday| weekdays.contains(&weekday))
        || date.is_some_and(|date| days.contains(&date))
}

fn timestamp(at: WallTime) -> Option<Timestamp> {
    Timestamp::from_nanosecond(at.as_nanos().into()).ok()
}

fn wall_time(at: Timestamp) -> Option<WallTime> {
    u64::try_from(at.as_nanosecond()).ok().map(WallTime::from_nanos)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::model::Hours;

    fn at(text: &str) -> WallTime {
        wall_time(text.parse().unwrap()).unwrap()
    }

    fn range(weekdays: &[Weekday], days: &[&str], hours: &str) -> TimeRange {
        TimeRange {
            weekdays: weekdays.to_vec(),
            days: days.iter().map(|day| day.parse().unwrap()).collect(),
            hours: hours.parse().unwrap(),
            description: String::new(),
        }
    }

    fn schedule(time_ranges: Vec<TimeRange>) -> Schedule {
        Schedule { name: "hours".into(), time_ranges, description: String::new() }
    }

    fn calendar(zone: &str) -> Calendar<'static> {
        Calendar { zone: super::zone(zone).unwrap(), schedules: &[], rules: &[] }
    }

    #[test]
    fn a_schedule_is_on_in_its_hours_of_the_zone() {
        use Weekday::{Fri, Mon, Sat};
        let office =
            schedule(vec![range(&[Mon, Fri], &[], "8:00-17:30"), range(&[], &["12-24"], "0:00-23:59")]);
        let berlin = calendar("Europe/Berlin");
        for (time, on) in [
            ("2026-11-23T06:59:59Z", false),
            ("2026-11-23T07:00:00Z", true),
            ("2026-11-23T16:29:59Z", true),
            ("2026-11-23T16:30:00Z", false),
            ("2026-11-24T12:00:00Z", false),
            ("2026-12-23T22:59:59Z", false),
            ("2026-12-23T23:00:00Z", true),
            ("2026-12-24T22:59:59Z", true),
            ("2026-12-24T23:00:00Z", false),
            // In summer the office opens an hour earlier by UTC.
            ("2026-07-06T06:00:00Z", true),
        ] {
            assert_eq!(berlin.is_on(&office, at(time)), on, "{time}");
        }
        let never = schedule(vec![range(&[Sat], &[], "8:00-9:00")]);
        assert!(!berlin.is_on(&never, at("2026-11-23T07:30:00Z")));
    }

    #[test]
    fn the_next_change_is_named_also_when_the_clock_jumps() {
        use Weekday::Sun;
        let berlin = calendar("Europe/Berlin");
        let night = schedule(vec![range(&[Sun], &[], "2:00-2:30")]);
        for (from, change) in [
            ("2026-11-23T00:00:00Z", Some("2026-11-29T01:00:00Z")),
            ("2026-11-29T01:00:00Z", Some("2026-11-29T01:30:00Z")),
            // Put back at 3:00: half past two comes twice.
            ("2026-10-24T12:00:00Z", Some("2026-10-25T00:00:00Z")),
            ("2026-10-25T00:10:00Z", Some("2026-10-25T00:30:00Z")),
            ("2026-10-25T00:40:00Z", Some("2026-10-25T01:00:00Z")),
            ("2026-10-25T01:10:00Z", Some("2026-10-25T01:30:00Z")),
            // Put forward at 2:00: that Sunday does not have these hours.
            ("2026-03-28T12:00:00Z", Some("2026-04-05T00:00:00Z")),
        ] {
            assert_eq!(berlin.change_of(&night, at(from)), change.map(at), "{from}");
        }
        let always = schedule(vec![range(&[], &[], "0:00-24:00")]);
        assert_eq!(berlin.change_of(&always, at("2026-01-01T00:00:00Z")), None);
        let leap = schedule(vec![range(&[], &["02-29"], "0:00-24:00")]);
        let utc = calendar("Etc/UTC");
        assert_eq!(utc.change_of(&leap, at("2026-11-23T00:00:00Z")), Some(at("2028-02-29T00:00:00Z")));
        assert_eq!(berlin.words(at("2026-07-06T06:00:00.5Z")), "2026-07-06 08:00:00 CEST");
    }

    #[test]
    fn the_zones_come_with_the_program() {
        assert!(zones().len() > 400);
        for name in ["Etc/UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"] {
            assert!(zone(name).is_some(), "{name}");
        }
        assert!(zone("Europe/Nowhere").is_none());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        /// Held against asking every minute.
        #[test]
        fn the_next_change_is_the_first_minute_that_differs(
            start in 1_700_000_000u64..1_900_000_000,
            ranges in proptest::collection::vec((0u8..8, 0u16..96, 1u16..97), 1..4),
            zone in proptest::sample::select(vec!["Etc/UTC", "Europe/Berlin", "America/New_York",
                "Australia/Lord_Howe", "America/Santiago", "Asia/Kathmandu"]),
        ) {
            let ranges = ranges.into_iter().filter_map(|(day, first, end)| Some(TimeRange {
                weekdays: Weekday::of_number(day).into_iter().collect(),
                hours: Hours::new(first * 15, end * 15)?,
                ..TimeRange::default()
            }));
            let schedule = schedule(ranges.collect());
            let calendar = calendar(zone);
            let start = WallTime::from_secs(start / 60 * 60);
            let before = calendar.is_on(&schedule, start);
            let minutes = (1..9 * 24 * 60u64).map(|minute| WallTime::from_secs(start.as_secs() + minute * 60));
            let expected = minutes.into_iter().find(|at| calendar.is_on(&schedule, *at) != before);
            let found = calendar.change_of(&schedule, start);
            prop_assert_eq!(found.filter(|at| *at < WallTime::from_secs(start.as_secs() + 9 * 86_400)), expected);
        }
    }
}
