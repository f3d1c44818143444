//! `schedules`.

use super::super::read::Key;
use super::super::tree::{Element, Entities};
use super::Scene;
use super::merge::{Lists, merge};
use super::patch::Patch;
use crate::config::model::{Hours, TimeRange};

pub(super) fn write(scene: &mut Scene<'_>) {
    let (old, new, links, entities) = (scene.old, scene.new, scene.links, scene.entities);
    if old.schedules == new.schedules {
        return;
    }
    let mut section = scene.take("schedules");
    let lists = Lists { old: &old.schedules, new: &new.schedules, key: |it| Key::Schedule(it.name.clone()) };
    merge(&mut section, "schedule", links, &lists, |element, was, schedule| {
        let mut patch = Patch::new(element, entities);
        patch.text(was.is_none(), "name", Some(schedule.name.clone()));
        let changed = was.is_none_or(|was| was.description != schedule.description);
        patch.text(changed, "descr", Some(schedule.description.clone()));
        if was.is_none_or(|was| was.time_ranges != schedule.time_ranges) {
            patch.element.remove("timerange");
            patch.element.children.extend(schedule.time_ranges.iter().map(|one| range(one, entities)));
        }
        patch.element
    });
    scene.give(section);
}

fn range(range: &TimeRange, entities: Entities) -> Element {
    let leaf = |name: &str, text: &str| Element::leaf(name, text, entities);
    let numbers = |numbers: &mut dyn Iterator<Item = u8>| {
        numbers.map(|it| it.to_string()).collect::<Vec<_>>().join(",")
    };
    let mut children = Vec::new();
    if !range.days.is_empty() {
        children.push(leaf("month", &numbers(&mut range.days.iter().map(|day| day.month()))));
        children.push(leaf("day", &numbers(&mut range.days.iter().map(|day| day.day()))));
    }
    if !range.weekdays.is_empty() {
        children.push(leaf("position", &numbers(&mut range.weekdays.iter().map(|day| day.number()))));
    }
    children.push(leaf("hour", &hours(range.hours)));
    children.push(leaf("rangedescr", &range.description));
    Element::new("timerange", children)
}

/// pfSense's day ends at 23:59.
fn hours(hours: Hours) -> String {
    let text = hours.to_string();
    text.strip_suffix("-24:00").map_or(text.clone(), |first| format!("{first}-23:59"))
}
