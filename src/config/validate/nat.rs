//! `[[port_forward]]`, `[[one_to_one]]`, `[[npt]]` and `[[outbound.rule]]`.

use std::net::IpAddr;

use super::endpoints::{self, Matches, check_prefix, check_target};
use super::names::unknown;
use super::{Ids, Report, Scene, family_name, family_of, find_interface, virtual_ips_of};
use crate::config::defaults::RULE_LIMIT;
use crate::config::model::{
    AddressRange, Association, OneToOne, OutboundRule, Pool, PortForward, Ports, Protocol, RuleFamily, Target,
};
use crate::types::{Family, Prefix};

pub(super) fn check(scene: &Scene<'_>, ids: &mut Ids, report: &mut Report) {
    let config = scene.config;
    report.bound("port_forward", "port forwards", config.port_forwards.len(), RULE_LIMIT);
    for (index, forward) in config.port_forwards.iter().enumerate() {
        let path = format!("port_forward[{index}]");
        ids.claim(&path, forward.id, report);
        check_interface(scene, &path, &forward.interface, report);
        check_forward(scene, &path, forward, report);
    }
    report.bound("one_to_one", "1:1 entries", config.one_to_ones.len(), RULE_LIMIT);
    for (index, entry) in config.one_to_ones.iter().enumerate() {
        let path = format!("one_to_one[{index}]");
        ids.claim(&path, entry.id, report);
        check_interface(scene, &path, &entry.interface, report);
        check_one_to_one(scene, &path, entry, report);
    }
    report.bound("npt", "prefix translations", config.npts.len(), RULE_LIMIT);
    for (index, npt) in config.npts.iter().enumerate() {
        let path = format!("npt[{index}]");
        ids.claim(&path, npt.id, report);
        check_interface(scene, &path, &npt.interface, report);
        for (key, prefix) in [("source", npt.source), ("destination", npt.destination)] {
            check_prefix(&format!("{path}.{key}"), RuleFamily::Inet6, prefix, report);
        }
        let lengths = (npt.source.prefix_len(), npt.destination.prefix_len());
        if lengths.0 != lengths.1 || lengths.0 > 64 {
            let message = format!("A /{} cannot stand for a /{}.", lengths.1, lengths.0);
            report.add(
                format!("{path}.destination"),
                message,
                "Write two prefixes of the same length, at most 64.",
            );
        }
    }
    report.bound("outbound.rule", "outbound mappings", config.outbound.rules.len(), RULE_LIMIT);
    for (index, rule) in config.outbound.rules.iter().enumerate() {
        let path = format!("outbound.rule[{index}]");
        ids.claim(&path, rule.id, report);
        check_interface(scene, &path, &rule.interface, report);
        check_outbound(scene, &path, rule, report);
    }
}

fn check_interface(scene: &Scene<'_>, path: &str, name: &str, report: &mut Report) {
    if find_interface(scene.config, name).is_none() {
        let known = scene.config.interfaces.iter().map(|interface| interface.name.as_str());
        unknown(&format!("{path}.interface"), "interface", name, known, report);
    }
}

fn check_forward(scene: &Scene<'_>, path: &str, forward: &PortForward, report: &mut Report) {
    let matches = Matches {
        family: forward.family,
        protocol: forward.protocol,
        source: &forward.source,
        source_port: forward.source_port.as_ref(),
        destination: &forward.destination,
        destination_port: forward.destination_port.as_ref(),
    };
    endpoints::check(scene, path, &matches, report);
    match (&forward.target, forward.no_redirect) {
        (Some(target), false) => {
            check_target(scene, &format!("{path}.target"), forward.family, target, report)
        }
        (None, true) => {}
        (Some(_), true) => {
            report.add(format!("{path}.target"), "What is not redirected has no target.", "Remove target.");
        }
        (None, false) => {
            let remedy = "Write an address or an alias, or set no_redirect = true.";
            report.add(format!("{path}.target"), "The forward leads nowhere.", remedy);
        }
    }
    if forward.no_redirect && forward.association == Association::Pass {
        let message = "What is not redirected is for the rules to decide.";
        report.add(format!("{path}.association"), message, "Remove association.");
    }
    check_local_port(path, forward, report);
}

fn check_local_port(path: &str, forward: &PortForward, report: &mut Report) {
    let Some(local) = forward.local_port else { return };
    let path = format!("{path}.local_port");
    match &forward.destination_port {
        _ if local == 0 => report.add(path, "0 is not a port.", "Write a port from 1 to 65535."),
        _ if forward.no_redirect => {
            report.add(path, "What is not redirected has no inside port.", "Remove local_port.");
        }
        None => {
            let message = "Without outside ports there is nothing to map to an inside port.";
            report.add(path, message, "Add destination_port, or remove local_port.");
        }
        Some(Ports::Alias(_)) => {
            let message = "The ports of an alias are kept; they do not follow one another.";
            report.add(path, message, "Remove local_port, or write a range as destination_port.");
        }
        Some(Ports::Range(range)) if u32::from(local) + u32::from(range.last() - range.first()) > 65_535 => {
            let count = u32::from(range.last() - range.first()) + 1;
            let message = format!("{count} ports from {local} on go past 65535.");
            report.add(path, message, format!("Write at most {}.", 65_536 - count));
        }
        Some(Ports::Range(_)) => {}
    }
}

fn check_one_to_one(scene: &Scene<'_>, path: &str, entry: &OneToOne, report: &mut Report) {
    let family = match family_of(entry.external) {
        Family::Inet => RuleFamily::Inet,
        Family::Inet6 => RuleFamily::Inet6,
    };
    if family_of(entry.internal.addr()) != family_of(entry.external) {
        let message = format!(
            "{} is {}, and {} is not.",
            entry.external,
            family_name(family_of(entry.external)),
            entry.internal
        );
        return report.add(format!("{path}.internal"), message, "Use addresses of one family.");
    }
    check_prefix(&format!("{path}.internal"), family, entry.internal, report);
    endpoints::check_endpoint(scene, &format!("{path}.destination"), family, &entry.destination, report);
    let range = AddressRange::from(entry.internal);
    if AddressRange::new(entry.external, AddressRange::from(Prefix::from(entry.external)).nth(range.span()))
        .is_none()
    {
        let message = format!("There are not as many addresses from {} on.", entry.external);
        report.add(format!("{path}.external"), message, "Write the first of as many addresses as inside.");
    }
    check_moves(scene, &format!("{path}.external"), entry.external, report);
}

/// What a pair translates to must not be a node's own address.
fn check_moves(scene: &Scene<'_>, path: &str, address: IpAddr, report: &mut Report) {
    if scene.config.pair.is_none() {
        return;
    }
    let owner = scene.config.nodes.iter().find(|node| {
        node.interfaces.iter().flat_map(|part| &part.addresses).any(|prefix| prefix.addr() == address)
    });
    if let Some(owner) = owner {
        let message =
            format!("{address} is the address of node \"{}\" and stays with it at a takeover.", owner.name);
        report.add(path, message, "Write an address of a [[virtual_ip]], or one that nobody has.");
    }
}

fn check_outbound(scene: &Scene<'_>, path: &str, rule: &OutboundRule, report: &mut Report) {
    let matches = Matches {
        family: rule.family,
        protocol: rule.protocol,
        source: &rule.source,
        source_port: rule.source_port.as_ref(),
        destination: &rule.destination,
        destination_port: rule.destination_port.as_ref(),
    };
    endpoints::check(scene, path, &matches, report);
    let target_path = format!("{path}.target");
    match &rule.target {
        Some(target) => {
            check_target(scene, &target_path, rule.family, target, report);
            if let Target::Prefix(prefix) = target {
                check_moves(scene, &target_path, prefix.addr(), report);
            }
        }
        None if scene.config.pair.is_some() && !rule.no_nat => {
            let moving = virtual_ips_of(scene.config, &rule.interface).any(|vip| !vip.foreign);
            if !moving {
                let message =
                    "Flows would leave with a node's own address, which stays with it at a takeover.";
                let remedy = format!("Add a [[virtual_ip]] on \"{}\", or write a target.", rule.interface);
                report.add(&target_path, message, remedy);
            }
        }
        None => {}
    }
    let without_effect = [
        ("target", rule.no_nat && rule.target.is_some(), "no_nat"),
        ("static_port", rule.no_nat && rule.static_port, "no_nat"),
        (
            "endpoint_independent",
            rule.endpoint_independent && (rule.no_nat || rule.static_port),
            "no_nat and static_port",
        ),
        ("port", rule.port.is_some() && (rule.no_nat || rule.static_port), "no_nat and static_port"),
        ("pool", rule.target.is_none() && rule.pool != Pool::RoundRobin, "the interface's one address"),
        ("sticky", rule.target.is_none() && rule.sticky, "the interface's one address"),
    ];
    for (key, _, why) in without_effect.into_iter().filter(|(_, without, _)| *without) {
        report.add(
            format!("{path}.{key}"),
            format!("{key} has no effect with {why}."),
            format!("Remove {key}."),
        );
    }
    let has_ports = matches!(rule.protocol, Protocol::Any | Protocol::Tcp | Protocol::Udp | Protocol::TcpUdp);
    if rule.port.is_some() && !has_ports {
        let message = format!("Protocol \"{}\" has no ports.", String::from(rule.protocol));
        report.add(format!("{path}.port"), message, "Remove port.");
    }
    if rule.port.is_some_and(|range| range.first() == 0) {
        report.add(format!("{path}.port"), "No flow leaves with port 0.", "Write ports from 1 to 65535.");
    }
}
