//! Firewall: Schedules.

use serde_json::Value;

use crate::config::Config;
use crate::config::calendar::Calendar;
use crate::config::defaults::TIME_RANGE_LIMIT;
use crate::config::model::{Hours, TimeRange};
use crate::types::WallTime;
use crate::web::collection::{Collection, PLAIN, Show, column};
use crate::web::form::{DESCRIPTION, Field, Kind, Section, TEXT, field, required, tree};
use crate::web::references::Noun;
use crate::web::week::WEEK;

pub(super) static SCHEDULES: Collection = Collection {
    title: "Schedules",
    one: "schedule",
    about: "Hours in which rules are in force, in the time zone under System, General Setup. A rule follows one that its Advanced Options name; outside the hours it is as if it were not there.",
    slug: "/firewall/schedules",
    list: "schedule",
    key: "name",
    columns: &[
        column("Name", &["name"], Show::Text, ""),
        column("Time ranges", &["hours"], Show::Code, ""),
        column("Description", &["description"], Show::Text, ""),
    ],
    fields: &[
        required(
            "name",
            "Name",
            TEXT,
            "Rules refer to it, and follow when it changes: letters, digits and _.",
        ),
        DESCRIPTION,
    ],
    more: ranges,
    shown: write_hours,
    taken: forget_what_is_empty,
    told: tell_hours,
    present: Some(at_present),
    aside: Some(("Week", WEEK)),
    noun: Some(Noun::Schedule),
    ..PLAIN
};

static RANGE: &[Field] = &[
    field(
        "weekdays",
        "Days of the week",
        Kind::Several(&[
            ("mon", "Monday"),
            ("tue", "Tuesday"),
            ("wed", "Wednesday"),
            ("thu", "Thursday"),
            ("fri", "Friday"),
            ("sat", "Saturday"),
            ("sun", "Sunday"),
        ]),
        "Every week. With no days at all it is every day.",
    ),
    field(
        "days",
        "Days of the year",
        Kind::Lines,
        "Every year, instead of days of the week: month and day, one a line, as in 12-24.",
    ),
    field(
        "hours",
        "Hours",
        Kind::Text { default: "the whole day" },
        "From when until when, as in 8:00-17:30.",
    ),
    field("description", "Range description", TEXT, "For people. A time range with nothing in it goes away."),
];

/// Each time range, and room for another one.
fn ranges(tree: &Value, index: usize, _: bool) -> Vec<Section> {
    let base = |range: usize| format!("schedule[{index}].time_range[{range}]");
    let count = tree::list(tree, &format!("schedule[{index}].time_range")).len();
    let known = (0..count).map(|range| Section::new(format!("Time range {}", range + 1), base(range), RANGE));
    let title = if count == 0 { "Time range" } else { "Another time range" };
    let room = (count < TIME_RANGE_LIMIT).then(|| Section::new(title, base(count), RANGE));
    known.chain(room).collect()
}

/// A range that is always has its hours in the form, since one with nothing in it is none.
fn write_hours(tree: &mut Value, index: usize) {
    let path = format!("schedule[{index}].time_range");
    for range in 0..tree::list(tree, &path).len() {
        let hours = format!("{path}[{range}].hours");
        if tree::get(tree, &hours).is_none() {
            tree::set(tree, &hours, Some(Hours::default().to_string().into()));
        }
    }
}

/// What nobody has filled in is none.
fn forget_what_is_empty(tree: &mut Value, index: usize) {
    let says_nothing = |value: &Value| match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => false,
    };
    let is_empty = |range: &Value| range.as_object().is_none_or(|range| range.values().all(says_nothing));
    if let Some(ranges) = tree::list_mut(tree, &format!("schedule[{index}].time_range")) {
        ranges.retain(|range| !is_empty(range));
    }
}

fn tell_hours(schedule: &mut Value) {
    let ranges = tree::list(schedule, "time_range").iter().cloned();
    let ranges = ranges.filter_map(|range| serde_json::from_value::<TimeRange>(range).ok());
    let hours: Vec<Value> = ranges.map(|range| range.to_string().into()).collect();
    tree::set(schedule, "hours", Some(hours.into()));
}

fn at_present(config: &Config, now: WallTime, name: &str) -> String {
    let Some(schedule) = config.schedules.iter().find(|schedule| schedule.name == name) else {
        return String::new();
    };
    let calendar = Calendar::new(config);
    let is = if calendar.is_on(schedule, now) { "in force" } else { "not in force" };
    match calendar.change_of(schedule, now) {
        Some(change) => format!("{is} until {}", calendar.words(change)),
        None => is.to_owned(),
    }
}
