//! `schedules`: the hours in which rules are in force.

use super::super::report::Group;
use super::super::tree::Element;
use super::context::{Context, Key};
use crate::config::defaults::SCHEDULE_LIMIT;
use crate::config::model::{Hours, MonthDay, Schedule, TimeRange, Weekday};

pub(super) fn read(ctx: &mut Context<'_>) {
    let keeps = ctx.tree.root.find(&["system", "schedule_states"]).filter(|element| ctx.is_on(element));
    if let Some(element) = keeps {
        ctx.config.system.schedules_keep_states = true;
        ctx.say(Group::Imported, "schedule setting", "", "system/schedule_states", element);
    }
    for (path, element) in ctx.list_up_to(SCHEDULE_LIMIT, &["schedules"], "schedule", "schedule") {
        let ranges: Result<Vec<TimeRange>, String> = element.all("timerange").map(range).collect();
        match ranges {
            Ok(time_ranges) => {
                let name = element.text_of("name").unwrap_or_default().to_owned();
                let description = element.text_of("descr").unwrap_or_default().into();
                ctx.config.schedules.push(Schedule { name: name.clone(), time_ranges, description });
                ctx.adopt(Key::Schedule(name), "schedule", &path, element, &[]);
            }
            // A part of it would be in force at other times than the whole.
            Err(why) => ctx.say(Group::Inactive, "schedule", why, &path, element),
        }
    }
}

fn range(element: &Element) -> Result<TimeRange, String> {
    let numbers = |key: &str| -> Result<Vec<u8>, String> {
        let words = element.text_of(key).unwrap_or_default().split(',').map(str::trim);
        let number = |word: &str| word.parse().map_err(|_| format!("its {key} \"{word}\" is no number"));
        words.filter(|word| !word.is_empty()).map(number).collect()
    };
    let (months, days) = (numbers("month")?, numbers("day")?);
    if months.len() != days.len() {
        return Err("it does not have a month for each day".into());
    }
    let weekday =
        |number: u8| Weekday::of_number(number).ok_or_else(|| format!("{number} is no day of the week"));
    let day = |(month, day): (u8, u8)| {
        MonthDay::new(month, day).ok_or_else(|| format!("no year has the day {month:02}-{day:02}"))
    };
    let hours = match element.text_of("hour") {
        None => Hours::default(),
        Some(text) => text.parse()?,
    };
    Ok(TimeRange {
        weekdays: numbers("position")?.into_iter().map(weekday).collect::<Result<_, _>>()?,
        days: months.into_iter().zip(days).map(day).collect::<Result<_, _>>()?,
        hours,
        description: element.text_of("rangedescr").unwrap_or_default().into(),
    })
}
