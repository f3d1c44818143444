//! The policy in force as rows for people: rules with their counters, aliases, groups, translations.

use std::collections::HashMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::compiled::Compiled;
use super::overload::OverloadEntry;
use super::tally::{RuleCounts, Tally};
use crate::config::model::{
    AliasKind, Association, Npt, OneToOne, OutboundRule, Place, PortForward, Ports, Protocol, Schedule,
    Target, TimeRange,
};
use crate::config::{Aliases, Calendar};
use crate::conntrack::RuleTotals;
use crate::services::names::NameRow;
use crate::types::{Instant, WallTime};

/// The policy in force.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Policy {
    /// Filter rules, automatic ones included, in the order of their numbers.
    pub rules: Vec<RuleRow>,
    /// Aliases.
    pub tables: Vec<TableRow>,
    /// Overload tables.
    #[serde(default)]
    pub overloads: Vec<OverloadRow>,
    /// Schedules.
    #[serde(default)]
    pub schedules: Vec<ScheduleRow>,
    /// Why the clock that schedules go by may be wrong.
    #[serde(default)]
    pub doubt: Option<String>,
    /// Interface groups.
    pub groups: Vec<GroupRow>,
    /// Translations, in the order in which they are asked.
    pub translations: Vec<TranslationRow>,
}

/// A filter rule.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct RuleRow {
    /// Its stable number.
    pub id: u32,
    /// What it is for.
    pub description: String,
    /// The setting that owns an automatic rule; `default policy` when nothing turns it off.
    pub setting: Option<String>,
    /// In pf's words.
    pub text: String,
    /// Where it is in force, in its hours; empty for a disabled rule.
    pub interfaces: Vec<String>,
    /// The schedule in whose hours it is in force.
    #[serde(default)]
    pub schedule: Option<String>,
    /// The time in which it is in force, in words, when there is one.
    #[serde(default)]
    pub term: Option<String>,
    /// It is out of its hours at present.
    #[serde(default)]
    pub asleep: bool,
    /// Packets without a flow that it matched.
    pub evaluations: u64,
    /// Packets of its flows, and those that it blocked.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Flows that it has let through and that still exist.
    pub states: u64,
    /// Flows that it has ever let through.
    pub states_made: u64,
    /// Seconds since it last matched.
    pub last_hit_seconds: Option<f64>,
}

/// An alias.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct TableRow {
    /// Its name.
    pub name: String,
    /// `host`, `network`, `port` or `urltable`.
    pub kind: String,
    /// For people.
    pub description: String,
    /// Entries as written.
    pub entries: u64,
    /// Ranges of addresses or ports that it comes to, with the aliases in it.
    pub ranges: u64,
    /// Names of hosts in it.
    #[serde(default)]
    pub names: Vec<NameRow>,
    /// What is wrong with its file.
    #[serde(default)]
    pub trouble: Option<String>,
}

/// A schedule.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct ScheduleRow {
    /// Its name.
    pub name: String,
    /// For people.
    pub description: String,
    /// Its time ranges, in words.
    pub ranges: Vec<String>,
    /// It is in its hours.
    pub on: bool,
    /// When that changes, in the zone of the firewall.
    pub until: Option<String>,
}

/// An overload table.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct OverloadRow {
    /// Its name.
    pub name: String,
    /// The sources in it, and for how many seconds more.
    pub sources: Vec<(IpAddr, u64)>,
}

/// An interface group.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct GroupRow {
    /// Its name.
    pub name: String,
    /// Its interfaces.
    pub members: Vec<String>,
    /// For people.
    pub description: String,
}

/// A translation.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct TranslationRow {
    /// Its stable number.
    pub id: u32,
    /// `port forward`, `1:1`, `npt` or `outbound`.
    pub kind: String,
    /// For people.
    pub description: String,
    /// What it does.
    pub text: String,
    /// In force.
    pub enabled: bool,
}

/// The policy of a configuration, with what was counted under it.
pub fn policy(compiled: &Compiled, counts: &RuleCounts, today: WallTime) -> Policy {
    let config = &compiled.config;
    let aliases = Aliases::under(config, &compiled.conditions);
    let tables = config.aliases.iter().map(|alias| TableRow {
        name: alias.name.clone(),
        kind: alias.kind.word().into(),
        description: alias.description.clone(),
        entries: alias.entries.len() as u64,
        ranges: match alias.kind {
            AliasKind::Port => aliases.ports(&alias.name).len() as u64,
            AliasKind::Host | AliasKind::Network | AliasKind::Urltable => {
                aliases.addresses(&alias.name).len() as u64
            }
        },
        names: Vec::new(),
        trouble: None,
    });
    let groups = config.interface_groups.iter().map(|group| GroupRow {
        name: group.name.clone(),
        members: group.members.clone(),
        description: group.description.clone(),
    });
    let forwards = config.port_forwards.iter().map(forward_row);
    let wholes = config.one_to_ones.iter().map(one_to_one_row);
    let npts = config.npts.iter().map(npt_row);
    let mappings = config.outbound.rules.iter().map(outbound_row);
    Policy {
        rules: rule_rows(compiled, counts),
        tables: tables.collect(),
        overloads: overload_rows(compiled, counts.now, &[]),
        schedules: schedule_rows(compiled, today),
        doubt: compiled.conditions.doubt.clone(),
        groups: groups.collect(),
        translations: forwards.chain(wholes).chain(npts).chain(mappings).collect(),
    }
}

/// The overload tables with the sources in them.
pub fn overload_rows(compiled: &Compiled, now: Instant, entries: &[OverloadEntry]) -> Vec<OverloadRow> {
    let row = |(place, name): (usize, &String)| {
        let inside = entries.iter().filter(|entry| usize::from(entry.table) == place);
        let sources = inside.map(|entry| (entry.source, entry.until.since(now).as_secs())).collect();
        OverloadRow { name: name.clone(), sources }
    };
    compiled.overload_tables.iter().enumerate().map(row).collect()
}

/// On or not as the rules in force have it, which is by the same clock.
fn schedule_rows(compiled: &Compiled, today: WallTime) -> Vec<ScheduleRow> {
    let calendar = Calendar::new(&compiled.config);
    let row = |schedule: &Schedule| ScheduleRow {
        name: schedule.name.clone(),
        description: schedule.description.clone(),
        ranges: schedule.time_ranges.iter().map(TimeRange::to_string).collect(),
        on: compiled.conditions.is_on(Some(&schedule.name)),
        until: calendar.change_of(schedule, today).map(|at| calendar.words(at)),
    };
    compiled.config.schedules.iter().map(row).collect()
}

/// The rules in force, in the order in which they are looked at, with what was counted by them.
pub fn rule_rows(compiled: &Compiled, counts: &RuleCounts) -> Vec<RuleRow> {
    let tallies: HashMap<_, _> = counts.tallies.iter().copied().collect();
    let totals: HashMap<_, _> = counts.totals.iter().copied().collect();
    let row = |info: &crate::rules::RuleInfo| {
        let Tally { evaluations, blocked, blocked_bytes, last } =
            tallies.get(&info.id).copied().unwrap_or_default();
        let RuleTotals { states, made, packets, bytes } = totals.get(&info.id).copied().unwrap_or_default();
        let name =
            |id: &crate::types::InterfaceId| compiled.link(*id).map_or("self", |link| &link.name).to_owned();
        RuleRow {
            id: info.id.0,
            description: info.description.clone(),
            setting: info.automatic.map(|setting| setting.path().unwrap_or("default policy").into()),
            text: info.text.clone(),
            interfaces: info.interfaces.iter().map(name).collect(),
            schedule: info.schedule.clone(),
            term: info.term.clone(),
            asleep: info.asleep,
            evaluations,
            packets: packets + blocked,
            bytes: bytes + blocked_bytes,
            states,
            states_made: made,
            last_hit_seconds: last.map(|last| counts.now.since(last).as_secs_f64()),
        }
    };
    compiled.ruleset.rules().map(row).collect()
}

fn port_words(ports: Option<&Ports>) -> String {
    ports.map_or(String::new(), |ports| format!(" port {}", String::from(ports.clone())))
}

fn protocol_words(protocol: Protocol) -> String {
    if protocol == Protocol::Any { String::new() } else { format!(" proto {}", String::from(protocol)) }
}

fn forward_row(forward: &PortForward) -> TranslationRow {
    let PortForward { id, interface, protocol, source, destination, target, local_port, description, .. } =
        forward;
    let mut text = format!(
        "on {interface}{} from {}{} to {}{}",
        protocol_words(*protocol),
        String::from(source.clone()),
        port_words(forward.source_port.as_ref()),
        String::from(destination.clone()),
        port_words(forward.destination_port.as_ref()),
    );
    match target {
        Some(target) => text += &format!(" -> {}", String::from(target.clone())),
        None => text += " stays as it is",
    }
    text += &local_port.map_or(String::new(), |port| format!(" port {port}"));
    text += match forward.association {
        Association::None => "",
        Association::Pass => " pass",
    };
    let (description, enabled) = (description.clone(), !forward.disabled);
    TranslationRow { id: id.0, kind: "port forward".into(), description, text, enabled }
}

fn one_to_one_row(entry: &OneToOne) -> TranslationRow {
    let OneToOne { id, interface, external, internal, destination, no_binat, disabled, description, .. } =
        entry;
    let far = match destination.place {
        Place::Any => String::new(),
        Place::Prefix(_)
        | Place::Range(_)
        | Place::Net(_)
        | Place::Address(_)
        | Place::ThisFirewall
        | Place::Alias(_) => format!(" for {}", String::from(destination.clone())),
    };
    let not = if *no_binat { "not " } else { "" };
    let text = format!("on {interface} {not}{internal} <-> {external}{far}");
    TranslationRow {
        id: id.0,
        kind: "1:1".into(),
        description: description.clone(),
        text,
        enabled: !disabled,
    }
}

fn npt_row(npt: &Npt) -> TranslationRow {
    let Npt { id, interface, source, destination, disabled, description } = npt;
    let text = format!("on {interface} {source} <-> {destination}");
    TranslationRow {
        id: id.0,
        kind: "npt".into(),
        description: description.clone(),
        text,
        enabled: !disabled,
    }
}

fn outbound_row(rule: &OutboundRule) -> TranslationRow {
    let OutboundRule { id, interface, protocol, source, destination, target, no_nat, description, .. } = rule;
    let mut text = format!(
        "on {interface}{} from {}{} to {}{}",
        protocol_words(*protocol),
        String::from(source.clone()),
        port_words(rule.source_port.as_ref()),
        String::from(destination.clone()),
        port_words(rule.destination_port.as_ref()),
    );
    let target =
        target.clone().map_or_else(|| format!("{interface} address"), |target: Target| target.into());
    text += &if *no_nat { " stays as it is".into() } else { format!(" -> {target}") };
    text += &rule.port.map_or(String::new(), |port| format!(" port {port}"));
    text += if rule.static_port { " static-port" } else { "" };
    let (description, enabled) = (description.clone(), !rule.disabled);
    TranslationRow { id: id.0, kind: "outbound".into(), description, text, enabled }
}
