//! `koi show rules`, `tables` and `translations`

use super::table::{Table, bytes, seconds};
use crate::node::{Policy, RuleRow};

/// Rules in the order of their numbers; the setting stands where an automatic rule has one.
pub fn rules_text(policy: &Policy) -> String {
    let mut table = Table::new(&[
        ">rule",
        "owner",
        "interfaces",
        ">matches",
        ">packets",
        ">bytes",
        ">states",
        ">made",
        "last",
        "schedule",
        "description",
    ]);
    for row in policy.rules.iter().filter(|row| !row.interfaces.is_empty()) {
        let RuleRow { id, description, setting, text: _, interfaces, schedule, term, asleep, .. } = row;
        let hours = match (schedule, asleep) {
            (None, _) => None,
            (Some(name), false) => Some(format!("{name} (on)")),
            (Some(name), true) => Some(format!("{name} (off)")),
        };
        let hours = hours.into_iter().chain(term.clone()).collect::<Vec<_>>().join(", ");
        table.row([
            id.to_string(),
            setting.clone().unwrap_or_else(|| "rule".into()),
            interfaces.join(" "),
            row.evaluations.to_string(),
            row.packets.to_string(),
            bytes(row.bytes),
            row.states.to_string(),
            row.states_made.to_string(),
            row.last_hit_seconds.map_or("never".into(), |ago| format!("{} ago", seconds(ago as u64))),
            hours,
            description.clone(),
        ]);
    }
    let words = policy.rules.iter().filter(|row| !row.interfaces.is_empty()).map(|row| {
        let lines = row.text.lines().map(|line| format!("    {line}\n")).collect::<String>();
        format!("{}\n{lines}", row.id)
    });
    format!("{}\n{}\n{}", table.text(), schedules_text(policy), words.collect::<String>())
}

/// Schedules, and whether the clock that they go by is right.
fn schedules_text(policy: &Policy) -> String {
    if policy.schedules.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&["schedule", "now", "until", "hours", "description"]);
    for row in &policy.schedules {
        let until = row.until.clone().unwrap_or_else(|| "for ever".into());
        table.row([
            row.name.clone(),
            if row.on { "on" } else { "off" }.into(),
            until,
            row.ranges.join(", "),
            row.description.clone(),
        ]);
    }
    let doubt = policy.doubt.as_ref().map_or(String::new(), |why| format!("{why}\n"));
    format!("{}{doubt}", table.text())
}

/// Aliases, then overload tables, then interface groups.
pub fn tables_text(policy: &Policy) -> String {
    let mut tables = Table::new(&["alias", "type", ">entries", ">ranges", "description"]);
    for row in &policy.tables {
        tables.row([
            row.name.clone(),
            row.kind.clone(),
            row.entries.to_string(),
            row.ranges.to_string(),
            row.description.clone(),
        ]);
    }
    let mut overloads = Table::new(&["overload table", "source", ">seconds left"]);
    for row in &policy.overloads {
        if row.sources.is_empty() {
            overloads.row([row.name.clone(), "nobody".into(), String::new()]);
        }
        for (source, seconds) in &row.sources {
            overloads.row([row.name.clone(), source.to_string(), seconds.to_string()]);
        }
    }
    let mut names = Table::new(&["alias", "name", "addresses", ">again in", "trouble"]);
    for (alias, row) in
        policy.tables.iter().flat_map(|table| table.names.iter().map(|row| (&table.name, row)))
    {
        let addresses: Vec<String> = row.addresses.iter().map(ToString::to_string).collect();
        let trouble = row.error.clone().unwrap_or_default();
        names.row([alias.clone(), row.name.clone(), addresses.join(" "), format!("{} s", row.ttl), trouble]);
    }
    let names = match policy.tables.iter().any(|table| !table.names.is_empty()) {
        true => format!("{}\n", names.text()),
        false => String::new(),
    };
    let troubles = policy.tables.iter().filter_map(|table| Some((&table.name, table.trouble.as_ref()?)));
    let troubles: String = troubles.map(|(name, trouble)| format!("{name}: {trouble}\n")).collect();
    let mut groups = Table::new(&["group", "interfaces", "description"]);
    for row in &policy.groups {
        groups.row([row.name.clone(), row.members.join(" "), row.description.clone()]);
    }
    format!("{}{troubles}\n{names}{}\n{}", tables.text(), overloads.text(), groups.text())
}

/// In the order in which they are asked.
pub fn translations_text(policy: &Policy) -> String {
    let mut table = Table::new(&[">id", "kind", "in force", "translation", "description"]);
    for row in &policy.translations {
        let enabled = if row.enabled { "yes" } else { "no" };
        table.row([
            row.id.to_string(),
            row.kind.clone(),
            enabled.into(),
            row.text.clone(),
            row.description.clone(),
        ]);
    }
    table.text()
}
