//! `[[rule]]` and `[[interface_group]]`: filter rules.

use super::endpoints::{self, Matches, families};
use super::gateway_groups;
use super::names::{Unique, check_name, unknown};
use super::{Ids, Report, Scene, find_interface};
use crate::config::defaults::{MAX_MSS_RANGE, OVERLOAD_TABLE_LIMIT, RULE_LIMIT, TAG_LIMIT, TIMEOUT_RANGE};
use crate::config::model::{
    Action, Config, Endpoint, Flush, Place, PortForward, Protocol, Rule, RuleDirection, StateType,
    is_alias_name,
};

pub(super) fn check(scene: &Scene<'_>, ids: &mut Ids, report: &mut Report) {
    let config = scene.config;
    check_groups(config, report);
    report.bound("rule", "rules", config.rules.len(), RULE_LIMIT);
    for (index, rule) in config.rules.iter().enumerate() {
        let path = format!("rule[{index}]");
        ids.claim(&path, rule.id, report);
        match rule.port_forward {
            Some(_) => check_linked(config, &path, rule, report),
            None => check_own(scene, &path, rule, report),
        }
        check_action(&path, rule, report);
        if let Some(schedule) = &rule.schedule
            && !config.schedules.iter().any(|known| known.name == *schedule)
        {
            let known = config.schedules.iter().map(|schedule| schedule.name.as_str());
            unknown(&format!("{path}.schedule"), "schedule", schedule, known, report);
        }
        check_tags(&path, rule, report);
        check_connections(config, &path, rule, report);
        check_timeouts(&path, rule, report);
        gateway_groups::check_rule(config, &path, rule, report);
    }
    let tables: std::collections::BTreeSet<&str> =
        config.rules.iter().filter_map(|rule| rule.overload.as_deref()).collect();
    report.bound("rule", "overload tables", tables.len(), OVERLOAD_TABLE_LIMIT);
    let tags: std::collections::BTreeSet<&str> = config
        .rules
        .iter()
        .flat_map(|rule| [&rule.tag, &rule.tagged])
        .flatten()
        .map(String::as_str)
        .collect();
    report.bound("rule", "tags", tags.len(), TAG_LIMIT);
}

fn check_groups(config: &Config, report: &mut Report) {
    let mut names = Unique::new("The name", "Give each interface group its own name.");
    for (index, group) in config.interface_groups.iter().enumerate() {
        let path = format!("interface_group[{index}]");
        let name_path = format!("{path}.name");
        check_name(&name_path, &group.name, report);
        names.claim(&name_path, &group.name, &format!("\"{}\"", group.name), report);
        if find_interface(config, &group.name).is_some() {
            let message = format!("\"{}\" is the name of an interface.", group.name);
            report.add(&name_path, message, "Choose another name.");
        }
        let mut members = Unique::new("The interface", "Name each interface once.");
        for (at, member) in group.members.iter().enumerate() {
            let path = format!("{path}.members[{at}]");
            check_interface(config, &path, member, report);
            members.claim(&path, member, &format!("\"{member}\""), report);
        }
        if group.members.is_empty() {
            report.add(format!("{path}.members"), "The group has no interfaces.", "Name at least one.");
        }
    }
}

fn check_interface(config: &Config, path: &str, name: &str, report: &mut Report) {
    if find_interface(config, name).is_none() {
        let known = config.interfaces.iter().map(|interface| interface.name.as_str());
        unknown(path, "interface", name, known, report);
    }
}

/// A rule that says itself what it matches.
fn check_own(scene: &Scene<'_>, path: &str, rule: &Rule, report: &mut Report) {
    check_tab(scene.config, path, rule, report);
    let matches = Matches {
        family: rule.family,
        protocol: rule.protocol,
        source: &rule.source,
        source_port: rule.source_port.as_ref(),
        destination: &rule.destination,
        destination_port: rule.destination_port.as_ref(),
    };
    endpoints::check(scene, path, &matches, report);
    check_headers(path, rule, report);
    check_source(scene.config, &format!("{path}.source"), rule, report);
}

/// Where the rule stands.
fn check_tab(config: &Config, path: &str, rule: &Rule, report: &mut Report) {
    let here = format!("{path}.interface");
    let groups = config.interface_groups.iter().map(|group| group.name.as_str());
    for name in rule.interface.names() {
        if find_interface(config, name).is_none() && !groups.clone().any(|group| group == name) {
            let known =
                config.interfaces.iter().map(|interface| interface.name.as_str()).chain(groups.clone());
            unknown(&here, "interface", name, known, report);
        }
    }
    if rule.floating {
        return;
    }
    if rule.interface.0.len() != 1 {
        let message = "A rule stands on the tab of one interface or group, unless it floats.";
        report.add(here, message, "Name one interface, or set floating = true.");
    }
    let only_floating =
        [("quick", rule.quick), ("direction", rule.direction != RuleDirection::In)].into_iter();
    for (key, _) in only_floating.filter(|(_, set)| *set) {
        let message =
            format!("Only a floating rule has {key}; elsewhere the first match on the way in decides.");
        report.add(format!("{path}.{key}"), message, format!("Remove {key}, or set floating = true."));
    }
}

/// What a rule says about headers fits its protocol.
fn check_headers(path: &str, rule: &Rule, report: &mut Report) {
    if !rule.icmp_types.is_empty() && rule.protocol != Protocol::Icmp {
        let message = format!("Protocol \"{}\" has no ICMP types.", String::from(rule.protocol));
        report.add(format!("{path}.icmp_types"), message, "Set protocol to \"icmp\", or remove icmp_types.");
    }
    for (index, kind) in rule.icmp_types.iter().enumerate() {
        if !families(rule.family).iter().any(|family| kind.number(*family).is_some()) {
            let message = format!("\"{}\" means nothing in the rule's family.", String::from(*kind));
            report.add(format!("{path}.icmp_types[{index}]"), message, "Write another type or family.");
        }
    }
    if rule.tcp_flags.is_some() && rule.protocol != Protocol::Tcp {
        let message = format!("Protocol \"{}\" has no TCP flags.", String::from(rule.protocol));
        report.add(format!("{path}.tcp_flags"), message, "Set protocol to \"tcp\", or remove tcp_flags.");
    }
}

fn check_action(path: &str, rule: &Rule, report: &mut Report) {
    let without_flows = rule.action != Action::Pass;
    let said = [
        ("state_type", rule.state_type != StateType::Keep),
        ("state_policy", rule.state_policy.is_some()),
        ("max_states", rule.max_states.is_some()),
        ("max_src_nodes", rule.max_src_nodes.is_some()),
        ("max_src_states", rule.max_src_states.is_some()),
        ("max_src_conn", rule.max_src_conn.is_some()),
        ("max_src_conn_rate", rule.max_src_conn_rate.is_some()),
        ("timeouts", rule.timeouts.set().next().is_some()),
        ("max_mss", rule.max_mss.is_some()),
    ];
    for (key, _) in said.into_iter().filter(|(_, said)| *said && without_flows) {
        let message = "Only a rule that passes makes flows.";
        report.add(format!("{path}.{key}"), message, format!("Remove {key}."));
    }
    let limits = [
        ("max_states", rule.max_states),
        ("max_src_nodes", rule.max_src_nodes),
        ("max_src_states", rule.max_src_states),
        ("max_src_conn", rule.max_src_conn),
    ];
    for (key, most) in limits {
        if most == Some(0) {
            let message = "A rule that may have no flow passes nothing.";
            report.add(format!("{path}.{key}"), message, format!("Write 1 or more, or remove {key}."));
        } else if most.is_some() && rule.state_type == StateType::None {
            let message = "Where no flow is made, none is counted.";
            report.add(format!("{path}.{key}"), message, format!("Remove {key}."));
        }
    }
    if rule.state_type == StateType::None && rule.state_policy.is_some() {
        let message = "Where no flow is made, none is bound to anything.";
        report.add(format!("{path}.state_policy"), message, "Remove state_policy.");
    }
    let decides = match rule.action {
        Action::Pass => true,
        Action::Block | Action::Reject => {
            if rule.allow_options {
                let message = "What is blocked needs no permission for IP options.";
                report.add(format!("{path}.allow_options"), message, "Remove allow_options.");
            }
            true
        }
        Action::Match => false,
    };
    if decides {
        return;
    }
    if !rule.floating {
        let message = "Only a floating rule may match without deciding.";
        report.add(format!("{path}.action"), message, "Set floating = true, or write another action.");
    }
    if rule.allow_options {
        let message = "A rule that decides nothing cannot allow IP options.";
        report.add(format!("{path}.allow_options"), message, "Set it on the rule that passes the packets.");
    }
    if rule.quick {
        let message = "A rule that decides nothing is never the last one.";
        report.add(format!("{path}.quick"), message, "Remove quick.");
    }
    if rule.tag.is_none() && !rule.log {
        let message = "The rule neither decides, tags nor logs.";
        report.add(
            format!("{path}.action"),
            message,
            "Give it a tag, set log = true, or write another action.",
        );
    }
}

/// What only TCP connections have.
fn check_connections(config: &Config, path: &str, rule: &Rule, report: &mut Report) {
    let forward = config.port_forwards.iter().find(|forward| Some(forward.id) == rule.port_forward);
    let protocol = forward.map_or(rule.protocol, |forward| forward.protocol);
    let said = [
        ("max_src_conn", rule.max_src_conn.is_some()),
        ("max_src_conn_rate", rule.max_src_conn_rate.is_some()),
        ("state_type", rule.state_type == StateType::Synproxy),
    ];
    for (key, _) in said.into_iter().filter(|(_, said)| *said && protocol != Protocol::Tcp) {
        let message = format!("Protocol \"{}\" has no handshake.", String::from(protocol));
        report.add(format!("{path}.{key}"), message, format!("Set protocol to \"tcp\", or remove {key}."));
    }
    if rule.state_type == StateType::Synproxy && rule.floating && rule.direction != RuleDirection::In {
        let message = "A handshake is completed where it comes in.";
        report.add(format!("{path}.state_type"), message, "Set direction to \"in\".");
    }
    if rule.state_type == StateType::None && rule.max_src_conn_rate.is_some() {
        let message = "Where no flow is made, none is counted.";
        report.add(format!("{path}.max_src_conn_rate"), message, "Remove max_src_conn_rate.");
    }
    let limited = rule.max_src_conn.is_some() || rule.max_src_conn_rate.is_some();
    match &rule.overload {
        Some(_) if !limited => {
            let message = "Nobody gets into the table: the rule bounds no connections.";
            report.add(format!("{path}.overload"), message, "Set max_src_conn or max_src_conn_rate.");
        }
        Some(name) if !is_alias_name(name) => {
            let remedy = "Write at most 31 letters, digits and _, at least one letter.";
            report.add(format!("{path}.overload"), format!("\"{name}\" names no table."), remedy);
        }
        Some(name) if config.aliases.iter().any(|alias| alias.name == *name) => {
            let message = format!("\"{name}\" is an alias, whose entries are the document's.");
            report.add(format!("{path}.overload"), message, "Choose another name.");
        }
        Some(_) => {}
        None if rule.overload_flush != Flush::None => {
            let message = "What happens to a source in a table needs a table.";
            report.add(format!("{path}.overload_flush"), message, "Set overload, or remove overload_flush.");
        }
        None => {}
    }
    if rule.max_mss.is_some_and(|mss| !MAX_MSS_RANGE.contains(&mss)) {
        let remedy = format!("Write {} to {}.", MAX_MSS_RANGE.start(), MAX_MSS_RANGE.end());
        report.add(format!("{path}.max_mss"), "No connection gets far with such an MSS.", remedy);
    }
}

fn check_timeouts(path: &str, rule: &Rule, report: &mut Report) {
    for (name, seconds) in rule.timeouts.set() {
        if !TIMEOUT_RANGE.contains(&seconds) {
            let message = format!("A timer of {seconds} seconds is not possible.");
            let remedy = format!("Write 1 to {} seconds.", TIMEOUT_RANGE.end());
            report.add(format!("{path}.timeouts.{name}"), message, remedy);
        }
    }
    if rule.state_type == StateType::None && rule.timeouts.set().next().is_some() {
        let message = "Where no flow is made, none ends.";
        report.add(format!("{path}.timeouts"), message, "Remove timeouts.");
    }
}

fn check_tags(path: &str, rule: &Rule, report: &mut Report) {
    for (key, tag) in [("tag", &rule.tag), ("tagged", &rule.tagged)] {
        if let Some(tag) = tag
            && !is_alias_name(tag)
        {
            let remedy = "Write at most 31 letters, digits and _, at least one letter.";
            report.add(format!("{path}.{key}"), format!("\"{tag}\" is not a tag."), remedy);
        }
    }
    if rule.tag.is_some() && matches!(rule.action, Action::Block | Action::Reject) {
        let message = "What is blocked carries its tag nowhere.";
        report.add(format!("{path}.tag"), message, "Remove tag, or write another action.");
    }
    if rule.not_tagged && rule.tagged.is_none() {
        let message = "not_tagged turns tagged around, and there is none.";
        report.add(format!("{path}.not_tagged"), message, "Add tagged, or remove not_tagged.");
    }
}

/// Sources that anti-spoofing has refused before any rule is asked.
fn check_source(config: &Config, path: &str, rule: &Rule, report: &mut Report) {
    let Endpoint { not: false, place } = &rule.source else { return };
    if rule.floating {
        return;
    }
    let Some(tab) = rule.interface.names().next().filter(|name| find_interface(config, name).is_some())
    else {
        return;
    };
    match place {
        Place::Any | Place::Prefix(_) | Place::Range(_) | Place::Alias(_) => {}
        Place::Net(name) if name == tab || find_interface(config, name).is_none() => {}
        Place::Net(name) => {
            let message =
                format!("No packet from the network of \"{name}\" may come in by \"{tab}\" (anti-spoofing).");
            report.add(path, message, format!("Write \"{tab} net\"."));
        }
        Place::Address(_) | Place::ThisFirewall => {
            let message = "No packet may come in with this firewall's own address (anti-spoofing).";
            report.add(path, message, "Write the address of someone else.");
        }
    }
}

/// A rule that follows a port forward says nothing of what it matches.
fn check_linked(config: &Config, path: &str, rule: &Rule, report: &mut Report) {
    let here = format!("{path}.port_forward");
    let forward = config.port_forwards.iter().find(|forward| Some(forward.id) == rule.port_forward);
    match forward {
        Some(PortForward { no_redirect: true, .. }) => {
            let message = "That port forward redirects nothing.";
            report.add(&here, message, "Name another one, or write out what the rule matches.");
        }
        Some(_) => {}
        None => {
            report.add(&here, "There is no port forward of this id.", "Write the id of a [[port_forward]].")
        }
    }
    let plain = Rule::new(rule.id, "", rule.action);
    let said = [
        ("interface", !rule.interface.0.is_empty()),
        ("floating", rule.floating),
        ("quick", rule.quick),
        ("direction", rule.direction != plain.direction),
        ("family", rule.family != plain.family),
        ("protocol", rule.protocol != plain.protocol),
        ("icmp_types", !rule.icmp_types.is_empty()),
        ("source", rule.source != plain.source),
        ("source_port", rule.source_port.is_some()),
        ("destination", rule.destination != plain.destination),
        ("destination_port", rule.destination_port.is_some()),
        ("tcp_flags", rule.tcp_flags.is_some()),
    ];
    for (key, _) in said.into_iter().filter(|(_, said)| *said) {
        let message = format!("The port forward decides {key}.");
        report.add(format!("{path}.{key}"), message, format!("Remove {key}, or port_forward."));
    }
}
