//! `[[schedule]]`: hours in which rules are in force.

use super::Report;
use super::names::Unique;
use crate::config::defaults::{SCHEDULE_LIMIT, TIME_RANGE_LIMIT};
use crate::config::model::{Config, Schedule, TimeRange, is_alias_name};

pub(super) fn check(config: &Config, report: &mut Report) {
    report.bound("schedule", "schedules", config.schedules.len(), SCHEDULE_LIMIT);
    let mut names = Unique::new("The name", "Give each schedule its own name.");
    for (index, schedule) in config.schedules.iter().enumerate() {
        let path = format!("schedule[{index}]");
        let Schedule { name, time_ranges, description: _ } = schedule;
        let name_path = format!("{path}.name");
        if !is_alias_name(name) {
            let remedy = "Write at most 31 letters, digits and _, at least one letter.";
            report.add(&name_path, format!("\"{name}\" is not a name for a schedule."), remedy);
        }
        names.claim(&name_path, name.as_str(), &format!("\"{name}\""), report);
        if time_ranges.is_empty() {
            let message = format!("The schedule \"{name}\" has no hours.");
            report.add(format!("{path}.time_range"), message, "Add a section [[schedule.time_range]].");
        }
        report.bound(&format!("{path}.time_range"), "time ranges", time_ranges.len(), TIME_RANGE_LIMIT);
        for (at, range) in time_ranges.iter().enumerate() {
            check_range(&format!("{path}.time_range[{at}]"), range, report);
        }
    }
}

fn check_range(path: &str, range: &TimeRange, report: &mut Report) {
    let TimeRange { weekdays, days, hours: _, description: _ } = range;
    if !weekdays.is_empty() && !days.is_empty() {
        let message = "A time range has days of the week or days of the year, not both.";
        report.add(format!("{path}.days"), message, "Put them into a time range of their own.");
    }
    let mut seen = Unique::new("The day", "Write each day once.");
    for (at, day) in weekdays.iter().enumerate() {
        seen.claim(&format!("{path}.weekdays[{at}]"), day.number(), &format!("{day:?}"), report);
    }
    let mut seen = Unique::new("The day", "Write each day once.");
    for (at, day) in days.iter().enumerate() {
        seen.claim(&format!("{path}.days[{at}]"), *day, &day.to_string(), report);
    }
}
