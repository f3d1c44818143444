//! `[[gateway_group]]`, and the gateways that rules name.

use super::names::{Unique, check_gateway_name, unknown};
use super::{Report, family_name, family_of};
use crate::config::defaults::{GATEWAY_GROUP_LIMIT, TIER_RANGE};
use crate::config::model::{Action, Config, GatewayGroup, Rule, RuleDirection, RuleFamily, StateType};
use crate::types::Family;

pub(super) fn check(config: &Config, report: &mut Report) {
    report.bound("gateway_group", "gateway groups", config.gateway_groups.len(), GATEWAY_GROUP_LIMIT);
    let mut names = Unique::new("The name", "Give each gateway group its own name.");
    for (index, group) in config.gateway_groups.iter().enumerate() {
        let path = format!("gateway_group[{index}]");
        let name_path = format!("{path}.name");
        check_gateway_name(&name_path, &group.name, report);
        names.claim(&name_path, &group.name, &format!("\"{}\"", group.name), report);
        if config.gateways.iter().any(|gateway| gateway.name == group.name) {
            let message = format!("\"{}\" is the name of a gateway.", group.name);
            report.add(&name_path, message, "Choose another name.");
        }
        check_members(config, &path, group, report);
        if !group.default && !config.rules.iter().any(|rule| rule.gateway.as_ref() == Some(&group.name)) {
            let message = format!("Nothing uses the gateway group \"{}\".", group.name);
            report.add(&name_path, message, "Name it in a [[rule]], set default = true, or remove it.");
        }
    }
}

fn check_members(config: &Config, path: &str, group: &GatewayGroup, report: &mut Report) {
    if group.members.is_empty() {
        report.add(format!("{path}.members"), "The group has no gateways.", "Name at least one.");
    }
    let mut members = Unique::new("The gateway", "Name each gateway once.");
    let of_group = family(config, group);
    for (at, member) in group.members.iter().enumerate() {
        let here = format!("{path}.members[{at}]");
        members.claim(&here, member.gateway.as_str(), &format!("\"{}\"", member.gateway), report);
        if !TIER_RANGE.contains(&member.tier) {
            report.add(&here, format!("There is no tier {}.", member.tier), "Write a tier from 1 to 5.");
        }
        let Some(gateway) = config.gateways.iter().find(|gateway| gateway.name == member.gateway) else {
            let known = config.gateways.iter().map(|gateway| gateway.name.as_str());
            unknown(&here, "gateway", &member.gateway, known, report);
            continue;
        };
        let has = family_of(gateway.address);
        if let Some(needs) = of_group.filter(|needs| *needs != has) {
            let message = format!(
                "\"{}\" is an {} gateway in a group of {} ones.",
                member.gateway,
                family_name(has),
                family_name(needs)
            );
            report.add(&here, message, "Make a group for each address family.");
        }
    }
}

/// The family of a group: that of its first member which exists.
pub(super) fn family(config: &Config, group: &GatewayGroup) -> Option<Family> {
    let gateway = |name: &str| config.gateways.iter().find(|gateway| gateway.name == name);
    group.members.iter().find_map(|member| gateway(&member.gateway)).map(|it| family_of(it.address))
}

/// The gateway of a rule exists, and can take what the rule passes.
pub(super) fn check_rule(config: &Config, path: &str, rule: &Rule, report: &mut Report) {
    check_reply_to(path, rule, report);
    let Some(name) = &rule.gateway else { return };
    let here = format!("{path}.gateway");
    let gateway = config.gateways.iter().find(|gateway| gateway.name == *name);
    let group = config.gateway_groups.iter().find(|group| group.name == *name);
    let has = match (gateway, group) {
        (Some(gateway), _) => Some(family_of(gateway.address)),
        (None, Some(group)) => family(config, group),
        (None, None) => {
            let gateways = config.gateways.iter().map(|gateway| gateway.name.as_str());
            let groups = config.gateway_groups.iter().map(|group| group.name.as_str());
            return unknown(&here, "gateway or gateway group", name, gateways.chain(groups), report);
        }
    };
    if rule.action != Action::Pass {
        let message = "Only what passes leaves by a gateway.";
        return report.add(&here, message, "Remove gateway, or set action = \"pass\".");
    }
    if rule.direction != RuleDirection::In {
        let message = "The way out is chosen where packets come in.";
        report.add(&here, message, "Remove gateway, or set direction = \"in\".");
    }
    if rule.state_type == StateType::None {
        let message = "Each packet of a rule without states goes where the routes lead.";
        report.add(&here, message, "Remove gateway, or state_type.");
    }
    let needs = match rule.port_forward {
        Some(id) => {
            config.port_forwards.iter().find(|forward| forward.id == id).map(|forward| forward.family)
        }
        None => Some(rule.family),
    };
    let fits = match (needs, has) {
        (Some(RuleFamily::Inet), Some(Family::Inet)) | (Some(RuleFamily::Inet6), Some(Family::Inet6)) => true,
        (Some(RuleFamily::Inet | RuleFamily::Inet6 | RuleFamily::Inet46), Some(_)) => false,
        (None, _) | (_, None) => true,
    };
    if let Some(has) = has.filter(|_| !fits) {
        let word = if has == Family::Inet { "inet" } else { "inet6" };
        let message = format!("\"{name}\" can take {} only.", family_name(has));
        let remedy = match rule.port_forward {
            Some(_) => format!("Set family = \"{word}\" at the port forward, or remove gateway."),
            None => format!("Set family = \"{word}\", or name a gateway of the rule's family."),
        };
        report.add(&here, message, remedy);
    }
}

fn check_reply_to(path: &str, rule: &Rule, report: &mut Report) {
    if rule.disable_reply_to && rule.action != Action::Pass {
        let message = "What does not pass has no answers.";
        report.add(format!("{path}.disable_reply_to"), message, "Remove disable_reply_to.");
    }
}
