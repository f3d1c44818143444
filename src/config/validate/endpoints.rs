//! Sources, destinations and ports, wherever a rule or a translation has them.

use super::names::unknown;
use super::{Report, Scene, addresses, family_name, family_of, find_interface};
use crate::config::model::{AddressRange, Endpoint, Place, Ports, Protocol, RuleFamily, Target};
use crate::types::{Family, Prefix};

/// What a rule matches, as far as addresses and ports go.
pub(super) struct Matches<'a> {
    pub family: RuleFamily,
    pub protocol: Protocol,
    pub source: &'a Endpoint,
    pub source_port: Option<&'a Ports>,
    pub destination: &'a Endpoint,
    pub destination_port: Option<&'a Ports>,
}

pub(super) fn families(family: RuleFamily) -> &'static [Family] {
    match family {
        RuleFamily::Inet => &[Family::Inet],
        RuleFamily::Inet6 => &[Family::Inet6],
        RuleFamily::Inet46 => &[Family::Inet, Family::Inet6],
    }
}

/// Protocol, ports and both endpoints.
pub(super) fn check(scene: &Scene<'_>, path: &str, matches: &Matches<'_>, report: &mut Report) {
    let Matches { family, protocol, source, source_port, destination, destination_port } = matches;
    let has_ports = check_protocol(path, *protocol, report);
    for (key, ports) in [("source_port", source_port), ("destination_port", destination_port)] {
        let Some(ports) = ports else { continue };
        let path = format!("{path}.{key}");
        if !has_ports {
            let message = format!("Protocol \"{}\" has no ports.", String::from(*protocol));
            let remedy = format!("Set protocol to \"tcp\", \"udp\" or \"tcp/udp\", or remove {key}.");
            report.add(path, message, remedy);
        } else {
            check_ports(scene, &path, ports, report);
        }
    }
    check_endpoint(scene, &format!("{path}.source"), *family, source, report);
    check_endpoint(scene, &format!("{path}.destination"), *family, destination, report);
    check_families_agree(path, source, destination, report);
}

/// True when the protocol has ports.
fn check_protocol(path: &str, protocol: Protocol, report: &mut Report) -> bool {
    match protocol {
        Protocol::Tcp | Protocol::Udp | Protocol::TcpUdp => true,
        Protocol::Any | Protocol::Icmp => false,
        Protocol::Number(number) => {
            let name = match number {
                1 | 58 => Some("icmp"),
                6 => Some("tcp"),
                17 => Some("udp"),
                _ => None,
            };
            if let Some(name) = name {
                let message = format!("The protocol {number} goes by its name here.");
                report.add(format!("{path}.protocol"), message, format!("Write \"{name}\"."));
            }
            // One mistake, one problem: with its name, the protocol has its ports.
            matches!(number, 6 | 17)
        }
    }
}

fn check_ports(scene: &Scene<'_>, path: &str, ports: &Ports, report: &mut Report) {
    match ports {
        Ports::Range(range) if range.first() == 0 => {
            let message = "No packet with port 0 gets as far as this rule.";
            report.add(path, message, "Write ports from 1 to 65535.");
        }
        Ports::Range(_) => {}
        Ports::Alias(name) => check_alias(scene, path, name, true, report),
    }
}

/// An alias that is there, and stands for what is wanted.
fn check_alias(scene: &Scene<'_>, path: &str, name: &str, of_ports: bool, report: &mut Report) {
    match scene.aliases.is_of_ports(name) {
        Some(found) if found == of_ports => {}
        Some(_) => {
            let (is, wanted) = if of_ports { ("addresses", "ports") } else { ("ports", "addresses") };
            let message = format!("The alias \"{name}\" stands for {is}.");
            report.add(path, message, format!("Name an alias that stands for {wanted}."));
        }
        None => {
            let aliases = scene.config.aliases.iter().map(|alias| alias.name.as_str());
            unknown(path, "alias", name, aliases, report);
        }
    }
}

pub(super) fn check_endpoint(
    scene: &Scene<'_>,
    path: &str,
    family: RuleFamily,
    endpoint: &Endpoint,
    report: &mut Report,
) {
    let config = scene.config;
    match &endpoint.place {
        Place::Any if endpoint.not => {
            report.add(path, "\"! any\" matches nothing.", "Write \"any\", or remove the rule.");
        }
        Place::Any | Place::ThisFirewall => {}
        Place::Prefix(prefix) => check_prefix(path, family, *prefix, report),
        Place::Range(range) => {
            check_family(path, family, &range.to_string(), family_of(range.first()), report)
        }
        Place::Alias(name) => check_alias(scene, path, name, false, report),
        Place::Net(name) | Place::Address(name) => {
            if find_interface(config, name).is_none() {
                let known = config.interfaces.iter().map(|interface| interface.name.as_str());
                unknown(path, "interface", name, known, report);
                return;
            }
            let matches_something =
                addresses(config, name).any(|prefix| families(family).contains(&family_of(prefix.addr())));
            if !matches_something {
                let kind = match family {
                    RuleFamily::Inet => "IPv4 ",
                    RuleFamily::Inet6 => "IPv6 ",
                    RuleFamily::Inet46 => "",
                };
                let message =
                    format!("The interface \"{name}\" has no {kind}address, so this stands for nothing.");
                report.add(path, message, "Give it one, or write another endpoint or family.");
            }
        }
    }
}

pub(super) fn check_prefix(path: &str, family: RuleFamily, prefix: Prefix, report: &mut Report) {
    if prefix != prefix.trunc() {
        let message = format!("{prefix} is not a network: bits behind the prefix length are set.");
        report.add(path, message, format!("Write \"{}\" or \"{}\".", prefix.trunc(), prefix.addr()));
    }
    check_family(path, family, &prefix.to_string(), family_of(prefix.addr()), report);
}

fn check_family(path: &str, family: RuleFamily, shown: &str, of: Family, report: &mut Report) {
    if !families(family).contains(&of) {
        let message = format!("{shown} is {}, but the rule's family is not.", family_name(of));
        report.add(path, message, "Set family to \"inet46\" or to that of the addresses.");
    }
}

fn check_families_agree(path: &str, source: &Endpoint, destination: &Endpoint, report: &mut Report) {
    let literal = |endpoint: &Endpoint| match &endpoint.place {
        Place::Prefix(prefix) => Some((prefix.to_string(), family_of(prefix.addr()))),
        Place::Range(range) => Some((range.to_string(), family_of(range.first()))),
        Place::Any | Place::Net(_) | Place::Address(_) | Place::ThisFirewall | Place::Alias(_) => None,
    };
    if let (Some((source, one)), Some((destination, other))) = (literal(source), literal(destination))
        && one != other
    {
        let message = format!("No packet goes from {source} to {destination}: one is IPv4, the other IPv6.");
        report.add(format!("{path}.destination"), message, "Use addresses of one family.");
    }
}

/// What something is translated to: it has addresses, of one of the families.
pub(super) fn check_target(
    scene: &Scene<'_>,
    path: &str,
    family: RuleFamily,
    target: &Target,
    report: &mut Report,
) {
    let ranges = match target {
        Target::Prefix(prefix) => {
            check_prefix(path, family, *prefix, report);
            vec![AddressRange::from(*prefix)]
        }
        Target::Range(range) => {
            check_family(path, family, &range.to_string(), family_of(range.first()), report);
            vec![*range]
        }
        Target::Alias(name) => {
            check_alias(scene, path, name, false, report);
            scene.aliases.addresses(name)
        }
    };
    if ranges.is_empty() {
        report.add(path, "The target has no address.", "Name one, or an alias that has some.");
    }
}
