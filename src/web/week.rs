//! Firewall, Schedules: the hours of a schedule as a week to be ticked, an hour a cell.
//!
//! The week has the time ranges that it can show whole: of days of the week, from hour to hour, without a description. Others
//! are shown beneath it, and stay as they are.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::{Value, json};

use super::change::{Change, rejection};
use super::edit::Rejected;
use super::form::{text_of, tree};
use super::frame::Frame;
use super::guard::percent_encode;
use super::message::{Message, html};
use super::site::Site;
use super::visitor::{Posted, Right, Visitor};
use crate::config::model::{Hours, Schedule, TimeRange, Weekday};

/// Where it is: a schedule's name stands behind it.
pub(super) const WEEK: &str = "/firewall/schedules/week";
/// Minutes of an hour, and hours of a day.
const HOUR: u16 = 60;
const HOURS: u16 = 24;
const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// Hours of a week: for each day, from Monday on, a bit for each hour.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Week([u32; 7]);

/// The page.
#[derive(Template)]
#[template(path = "week.html")]
struct Page {
    frame: Frame,
    name: String,
    description: String,
    week: Week,
    /// Time ranges that are no hours of the week, in words.
    others: Vec<String>,
    may_change: bool,
    wrong: Vec<String>,
}

impl Page {
    async fn new(site: &Site, visitor: &Visitor, schedule: &Schedule) -> Page {
        let Schedule { name, description, time_ranges } = schedule;
        let path = format!("{WEEK}/{}", percent_encode(name));
        Page {
            frame: Frame::new(site, visitor, format!("Week of {name}"), &path).await,
            name: name.clone(),
            description: description.clone(),
            week: Week::of(time_ranges),
            others: time_ranges.iter().filter(|range| !is_of_week(range)).map(TimeRange::to_string).collect(),
            may_change: site.is_editable() && visitor.may(Right::Operate),
            wrong: Vec::new(),
        }
    }
}

/// True when the week shows all that there is to it.
fn is_of_week(range: &TimeRange) -> bool {
    let TimeRange { weekdays: _, days, hours, description } = range;
    let whole = |minute: u16| minute.is_multiple_of(HOUR);
    days.is_empty() && description.is_empty() && whole(hours.first()) && whole(hours.end())
}

impl Week {
    /// What these ranges say of it.
    fn of(ranges: &[TimeRange]) -> Week {
        let mut week = Week::default();
        for range in ranges.iter().filter(|range| is_of_week(range)) {
            let every = range.weekdays.is_empty();
            let (first, end) = (range.hours.first() / HOUR, range.hours.end() / HOUR);
            let bits = (first..end).fold(0, |bits, hour| bits | 1 << hour);
            for (place, day) in Weekday::ALL.into_iter().enumerate() {
                if every || range.weekdays.contains(&day) {
                    week.0[place] |= bits;
                }
            }
        }
        week
    }

    /// What was ticked: a field for each day, with the hours that begin then.
    fn ticked(posted: &Posted) -> Week {
        let hours = |day: Weekday| posted.all(day.word()).filter_map(|hour| hour.parse::<u16>().ok());
        let bits =
            |day: Weekday| hours(day).filter(|hour| *hour < HOURS).fold(0, |bits, hour| bits | 1 << hour);
        Week(Weekday::ALL.map(bits))
    }

    fn has(&self, day: Weekday, hour: u16) -> bool {
        self.0[day as usize] >> hour & 1 == 1
    }

    /// Ranges that say the same: days with the same hours together.
    fn ranges(&self) -> Vec<TimeRange> {
        let mut ranges: Vec<TimeRange> = Vec::new();
        for (place, day) in Weekday::ALL.into_iter().enumerate() {
            for hours in runs(self.0[place]) {
                match ranges.iter_mut().find(|range| range.hours == hours) {
                    Some(range) => range.weekdays.push(day),
                    None => ranges.push(TimeRange { weekdays: vec![day], hours, ..TimeRange::default() }),
                }
            }
        }
        for range in &mut ranges {
            if range.weekdays.len() == Weekday::ALL.len() {
                range.weekdays.clear();
            }
        }
        ranges
    }
}

fn name_of(day: Weekday) -> &'static str {
    DAYS[day as usize]
}

/// The hours of a day without a gap, each from its first to its end.
fn runs(bits: u32) -> Vec<Hours> {
    let is_on = |hour: u16| hour < HOURS && bits >> hour & 1 == 1;
    let firsts = (0..HOURS).filter(|hour| is_on(*hour) && (*hour == 0 || !is_on(hour - 1)));
    let run = |first: u16| {
        let end = (first..=HOURS).find(|hour| !is_on(*hour)).unwrap_or(HOURS);
        Hours::new(first * HOUR, end * HOUR)
    };
    firsts.filter_map(run).collect()
}

/// `GET /firewall/schedules/week/{key}`
pub(super) async fn show(State(site): State<Site>, visitor: Visitor, Path(key): Path<String>) -> Response {
    match found(&site, &key).await {
        Some(schedule) => html(&Page::new(&site, &visitor, &schedule).await),
        None => Message::missing("There is no such schedule any more.").into_response(),
    }
}

async fn found(site: &Site, key: &str) -> Option<Schedule> {
    let document = site.draft().await.document;
    document.schedules.iter().find(|schedule| schedule.name == key).cloned()
}

/// `POST /firewall/schedules/week/{key}`
pub(super) async fn save(
    State(site): State<Site>,
    visitor: Visitor,
    Path(key): Path<String>,
    posted: Posted,
) -> Response {
    let (week, wanted) = (Week::ticked(&posted), key.clone());
    let change = Change::new(&visitor, &posted, move |tree: &mut Value| put(tree, &wanted, &week));
    match site.edit(|editor| change.save(editor)).await {
        Ok(()) => {
            site.note(&visitor.account.name, visitor.from, format!("changed the week of schedule {key}"));
            Redirect::to("/firewall/schedules").into_response()
        }
        Err(Rejected::Problems(problems)) => {
            let Some(schedule) = found(&site, &key).await else { return rejection(Rejected::Gone) };
            let wrong = problems.iter().map(super::form::sentence).collect();
            let page = Page { week, wrong, ..Page::new(&site, &visitor, &schedule).await };
            (StatusCode::UNPROCESSABLE_ENTITY, html(&page)).into_response()
        }
        Err(rejected) => rejection(rejected),
    }
}

/// Writes the week into a schedule of the tree. The ranges that it does not show stay behind it.
fn put(tree: &mut Value, name: &str, week: &Week) -> Result<(), Rejected> {
    let schedules = tree::list(tree, "schedule");
    let at = schedules.iter().position(|schedule| text_of(schedule.get("name")) == name);
    let path = format!("schedule[{}].time_range", at.ok_or(Rejected::Gone)?);
    let is_other = |range: &&Value| {
        serde_json::from_value::<TimeRange>(Value::clone(range)).is_ok_and(|range| !is_of_week(&range))
    };
    let others: Vec<Value> = tree::list(tree, &path).iter().filter(is_other).cloned().collect();
    // A range that is always has its hours written, since a table with nothing in it is none.
    let ranges = week.ranges().into_iter().map(|range| {
        let days: Vec<&str> = range.weekdays.iter().map(|day| day.word()).collect();
        match days.is_empty() {
            true => json!({ "hours": range.hours.to_string() }),
            false => json!({ "weekdays": days, "hours": range.hours.to_string() }),
        }
    });
    let all: Vec<Value> = ranges.chain(others).collect();
    tree::set(tree, &path, Some(all.into()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn range(weekdays: &[Weekday], hours: &str) -> TimeRange {
        TimeRange { weekdays: weekdays.to_vec(), hours: hours.parse().unwrap(), ..TimeRange::default() }
    }

    #[test]
    fn a_week_is_what_its_ranges_say_and_days_alike_stand_together() {
        use Weekday::{Fri, Mon, Sat, Sun, Thu, Tue, Wed};
        let work = [Mon, Tue, Wed, Thu, Fri];
        let week = Week::of(&[
            range(&work, "8-12"),
            range(&work, "12-17"),
            range(&[], "0-1"),
            range(&[Sun], "22-24"),
        ]);
        assert!(
            week.has(Mon, 8)
                && week.has(Fri, 16)
                && !week.has(Fri, 17)
                && week.has(Sun, 0)
                && week.has(Sun, 23)
        );
        assert_eq!(week.ranges(), [range(&[], "0-1"), range(&work, "8-17"), range(&[Sun], "22-24")]);
        assert_eq!(Week::of(&[range(&[Sat], "8:00-17:30")]), Week::default(), "not from hour to hour");
        assert_eq!(Week::of(&[TimeRange::default()]).ranges(), [TimeRange::default()], "always");
        assert!(Week::default().ranges().is_empty());
    }

    proptest! {
        #[test]
        fn ranges_say_the_same_as_the_week_that_they_were_made_of(bits in prop::array::uniform7(0u32..1 << 24)) {
            let week = Week(bits);
            let ranges = week.ranges();
            prop_assert!(ranges.iter().all(is_of_week));
            prop_assert_eq!(Week::of(&ranges), week);
        }
    }
}
