//! `[[rule]]`: filter rules.

use super::names::{Unique, unknown};
use super::{Report, addresses, family_name, family_of, find_interface};
use crate::config::defaults::{FIRST_RULE_ID, RULE_LIMIT};
use crate::config::model::{Config, Endpoint, Place, Protocol, Rule, RuleFamily};
use crate::types::{Family, PortRange, Prefix};

pub(super) fn check(config: &Config, report: &mut Report) {
    report.bound("rule", "rules", config.rules.len(), RULE_LIMIT);
    let mut ids = Unique::new("The id", "Give each rule its own id.");
    for (index, rule) in config.rules.iter().enumerate() {
        let path = format!("rule[{index}]");
        let id_path = format!("{path}.id");
        if rule.id.0 < FIRST_RULE_ID {
            let message = format!("Ids below {FIRST_RULE_ID} belong to automatic rules.");
            report.add(&id_path, message, format!("Write {FIRST_RULE_ID} or more."));
        }
        ids.claim(&id_path, rule.id, &rule.id.to_string(), report);
        if find_interface(config, &rule.interface).is_none() {
            let known = config.interfaces.iter().map(|interface| interface.name.as_str());
            unknown(&format!("{path}.interface"), "interface", &rule.interface, known, report);
        }
        check_protocol(&path, rule, report);
        check_endpoint(config, &format!("{path}.source"), rule, &rule.source, report);
        check_endpoint(config, &format!("{path}.destination"), rule, &rule.destination, report);
        check_source(config, &format!("{path}.source"), rule, report);
        check_families_agree(&path, rule, report);
    }
}

fn check_protocol(path: &str, rule: &Rule, report: &mut Report) {
    let has_ports = match rule.protocol {
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
    };
    for (key, range) in [("source_port", rule.source_port), ("destination_port", rule.destination_port)] {
        let Some(range) = range else { continue };
        let path = format!("{path}.{key}");
        if !has_ports {
            let message = format!("Protocol \"{}\" has no ports.", String::from(rule.protocol));
            let remedy = format!("Set protocol to \"tcp\", \"udp\" or \"tcp/udp\", or remove {key}.");
            report.add(path, message, remedy);
        } else if PortRange::first(range) == 0 {
            let message = "No packet with port 0 gets as far as this rule.";
            report.add(path, message, "Write ports from 1 to 65535.");
        }
    }
}

fn families(rule: &Rule) -> &'static [Family] {
    match rule.family {
        RuleFamily::Inet => &[Family::Inet],
        RuleFamily::Inet6 => &[Family::Inet6],
        RuleFamily::Inet46 => &[Family::Inet, Family::Inet6],
    }
}

fn check_endpoint(config: &Config, path: &str, rule: &Rule, endpoint: &Endpoint, report: &mut Report) {
    match &endpoint.place {
        Place::Any if endpoint.not => {
            report.add(path, "\"! any\" matches nothing.", "Write \"any\", or remove the rule.");
        }
        Place::Any | Place::ThisFirewall => {}
        Place::Prefix(prefix) => check_prefix(path, rule, *prefix, report),
        Place::Net(name) | Place::Address(name) => {
            if find_interface(config, name).is_none() {
                let known = config.interfaces.iter().map(|interface| interface.name.as_str());
                unknown(path, "interface", name, known, report);
                return;
            }
            let matches_something =
                addresses(config, name).any(|prefix| families(rule).contains(&family_of(prefix.addr())));
            if !matches_something {
                let kind = match rule.family {
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

fn check_prefix(path: &str, rule: &Rule, prefix: Prefix, report: &mut Report) {
    if prefix != prefix.trunc() {
        let message = format!("{prefix} is not a network: bits behind the prefix length are set.");
        report.add(path, message, format!("Write \"{}\" or \"{}\".", prefix.trunc(), prefix.addr()));
    }
    let family = family_of(prefix.addr());
    if !families(rule).contains(&family) {
        let message = format!("{prefix} is {}, but the rule's family is not.", family_name(family));
        report.add(path, message, "Set family to \"inet46\" or to that of the addresses.");
    }
}

/// Sources that anti-spoofing has refused before any rule is asked.
fn check_source(config: &Config, path: &str, rule: &Rule, report: &mut Report) {
    let Endpoint { not: false, place } = &rule.source else { return };
    match place {
        Place::Any | Place::Prefix(_) => {}
        Place::Net(name) if *name == rule.interface || find_interface(config, name).is_none() => {}
        Place::Net(name) => {
            let message = format!(
                "No packet from the network of \"{name}\" may come in by \"{}\" (anti-spoofing).",
                rule.interface
            );
            report.add(path, message, format!("Write \"{} net\".", rule.interface));
        }
        Place::Address(_) | Place::ThisFirewall => {
            let message = "No packet may come in with this firewall's own address (anti-spoofing).";
            report.add(path, message, "Write the address of someone else.");
        }
    }
}

fn check_families_agree(path: &str, rule: &Rule, report: &mut Report) {
    let (Place::Prefix(source), Place::Prefix(destination)) = (&rule.source.place, &rule.destination.place)
    else {
        return;
    };
    if family_of(source.addr()) != family_of(destination.addr()) {
        let message = format!("No packet goes from {source} to {destination}: one is IPv4, the other IPv6.");
        report.add(format!("{path}.destination"), message, "Use addresses of one family.");
    }
}
