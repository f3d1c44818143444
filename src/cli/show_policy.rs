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
        "description",
    ]);
    for row in policy.rules.iter().filter(|row| !row.interfaces.is_empty()) {
        let RuleRow { id, description, setting, text: _, interfaces, .. } = row;
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
            description.clone(),
        ]);
    }
    let words = policy.rules.iter().filter(|row| !row.interfaces.is_empty()).map(|row| {
        let lines = row.text.lines().map(|line| format!("    {line}\n")).collect::<String>();
        format!("{}\n{lines}", row.id)
    });
    format!("{}\n{}", table.text(), words.collect::<String>())
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
    let mut groups = Table::new(&["group", "interfaces", "description"]);
    for row in &policy.groups {
        groups.row([row.name.clone(), row.members.join(" "), row.description.clone()]);
    }
    format!("{}\n{}\n{}", tables.text(), overloads.text(), groups.text())
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
