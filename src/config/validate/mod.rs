//! Does the document make sense? Every problem at once, each with its path and its remedy.
//!
//! One file per noun of the model. The rule behind the rules: names lead somewhere, nothing is said twice,
//! and no field is without effect.

mod aliases;
mod certificates;
mod endpoints;
mod gateway_groups;
mod gateways;
mod interfaces;
mod lockout;
mod names;
mod nat;
mod nodes;
mod pair;
mod routing;
mod rules;
mod schedules;
mod system;
mod users;
mod virtual_ips;

use std::net::IpAddr;

use super::aliases::Aliases;
use super::defaults::FIRST_RULE_ID;
use super::model::{Config, Interface, VirtualIp};
use super::{Problem, Valid};
use crate::types::{Family, Prefix, RuleId};
use names::Unique;

/// Checks a document; it comes back as valid, or with all its problems.
pub fn validate(config: Config) -> Result<Valid<Config>, Vec<Problem>> {
    let mut report = Report::default();
    system::check(&config, &mut report);
    nodes::check(&config, &mut report);
    interfaces::check(&config, &mut report);
    pair::check(&config, &mut report);
    virtual_ips::check(&config, &mut report);
    gateways::check(&config, &mut report);
    gateway_groups::check(&config, &mut report);
    routing::check(&config, &mut report);
    check_policy(&config, &mut report);
    lockout::check(&config, &mut report);
    users::check(&config, &mut report);
    certificates::check(&config, &mut report);
    if report.problems.is_empty() { Ok(Valid::new(config)) } else { Err(report.problems) }
}

/// Aliases, rules and translations, which name each other.
fn check_policy(config: &Config, report: &mut Report) {
    let scene = Scene { config, aliases: Aliases::new(config) };
    let mut ids = Ids::new();
    aliases::check(&scene, report);
    schedules::check(config, report);
    rules::check(&scene, &mut ids, report);
    nat::check(&scene, &mut ids, report);
}

/// The problems found so far.
#[derive(Default)]
struct Report {
    problems: Vec<Problem>,
}

impl Report {
    fn add(&mut self, path: impl Into<String>, message: impl Into<String>, remedy: impl Into<String>) {
        self.problems.push(Problem::new(path, message, remedy));
    }

    /// A list with a bound.
    fn bound(&mut self, path: &str, what: &str, length: usize, limit: usize) {
        if length > limit {
            self.add(path, format!("{length} {what} are too many."), format!("Keep at most {limit}."));
        }
    }
}

/// A document, and its aliases by name.
struct Scene<'a> {
    config: &'a Config,
    aliases: Aliases<'a>,
}

/// The stable numbers of rules and translations: one space for all, since flows and explanations name them.
struct Ids(Unique<RuleId>);

impl Ids {
    fn new() -> Self {
        Ids(Unique::new("The id", "Give each rule its own id."))
    }

    fn claim(&mut self, path: &str, id: RuleId, report: &mut Report) {
        let path = format!("{path}.id");
        if id.0 < FIRST_RULE_ID {
            let message = format!("Ids below {FIRST_RULE_ID} belong to automatic rules.");
            report.add(&path, message, format!("Write {FIRST_RULE_ID} or more."));
        }
        self.0.claim(&path, id, &id.to_string(), report);
    }
}

/// The addresses that an interface has on any node.
fn addresses<'a>(config: &'a Config, interface: &'a str) -> impl Iterator<Item = Prefix> + use<'a> {
    let parts = config.nodes.iter().flat_map(|node| &node.interfaces);
    parts.filter(move |part| part.name == interface).flat_map(|part| part.addresses.iter().copied())
}

fn virtual_ips_of<'a>(config: &'a Config, interface: &'a str) -> impl Iterator<Item = &'a VirtualIp> {
    config.virtual_ips.iter().filter(move |vip| vip.interface == interface)
}

fn find_interface<'a>(config: &'a Config, name: &str) -> Option<&'a Interface> {
    config.interfaces.iter().find(|interface| interface.name == name)
}

fn family_of(address: IpAddr) -> Family {
    match address {
        IpAddr::V4(_) => Family::Inet,
        IpAddr::V6(_) => Family::Inet6,
    }
}

fn family_name(family: Family) -> &'static str {
    match family {
        Family::Inet => "IPv4",
        Family::Inet6 => "IPv6",
    }
}

#[cfg(test)]
mod tests;
