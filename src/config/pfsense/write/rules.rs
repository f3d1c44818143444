//! `filter/rule`.

use super::super::read::Key;
use super::super::tree::Element;
use super::Scene;
use super::merge::{Lists, merge};
use super::patch::Patch;
use super::words::{self, block, is_range};
use crate::config::Config;
use crate::config::model::{
    Action, Endpoint, Interfaces, Place, PortForward, Ports, Rule, RuleDirection, StatePolicy, StateType,
    Target,
};
use crate::types::PortRange;

/// A rule with everything that it matches, also when it takes that from a port forward.
#[derive(Clone, PartialEq, Debug)]
struct Whole {
    rule: Rule,
    associated: Option<String>,
}

pub(super) fn write(scene: &mut Scene<'_>) {
    let (old, new) = (whole(scene.old), whole(scene.new));
    let key = |whole: &Whole| Key::Numbered(whole.rule.id);
    let mut filter = scene.take("filter");
    let links = scene.links;
    merge(&mut filter, "rule", links, &Lists { old: &old, new: &new, key }, |element, was, whole| {
        rule(scene, element, was, whole)
    });
    scene.give(filter);
}

fn whole(config: &Config) -> Vec<Whole> {
    let rules = config.rules.iter().map(|rule| {
        let forward = config.port_forwards.iter().find(|forward| Some(forward.id) == rule.port_forward);
        match forward {
            Some(forward) => Whole { rule: following(rule, forward), associated: Some(association(forward)) },
            None => Whole { rule: rule.clone(), associated: None },
        }
    });
    rules.collect()
}

/// By this id a port forward and its rule know each other.
pub(super) fn association(forward: &PortForward) -> String {
    format!("nat_{:013x}.{:08}", forward.id.0, forward.id.0 % 100_000_000)
}

/// What pfSense writes into a rule that belongs to a forward: the flows as they are behind the translation.
fn following(rule: &Rule, forward: &PortForward) -> Rule {
    let place = match &forward.target {
        Some(Target::Prefix(prefix)) => Place::Prefix(*prefix),
        Some(Target::Range(range)) => Place::Range(*range),
        Some(Target::Alias(name)) => Place::Alias(name.clone()),
        None => Place::Any,
    };
    Rule {
        interface: Interfaces::one(&forward.interface),
        family: forward.family,
        protocol: forward.protocol,
        source: forward.source.clone(),
        source_port: forward.source_port.clone(),
        destination: Endpoint::at(place),
        destination_port: inside_ports(forward),
        ..rule.clone()
    }
}

fn inside_ports(forward: &PortForward) -> Option<Ports> {
    match (&forward.destination_port, forward.local_port) {
        (Some(Ports::Range(range)), Some(first)) => {
            let last = first.checked_add(range.last() - range.first())?;
            PortRange::new(first, last).map(Ports::Range)
        }
        (ports, _) => ports.clone(),
    }
}

fn rule(scene: &mut Scene<'_>, element: Element, was: Option<&Whole>, whole: &Whole) -> Element {
    let rule = &whole.rule;
    let old = was.map(|whole| &whole.rule);
    let new = old.is_none();
    let entities = scene.entities;
    let mut patch = Patch::new(element, entities);
    patch.text(new, "id", Some(String::new()));
    patch.text(new, "tracker", Some(rule.id.0.to_string()));
    patch.text(old.is_none_or(|old| old.action != rule.action), "type", Some(action(rule.action).into()));
    let names: Vec<String> = rule.interface.names().map(|name| scene.names.of(name)).collect();
    let interface = if names.is_empty() { "any".to_owned() } else { names.join(",") };
    patch.text(old.is_none_or(|old| old.interface != rule.interface), "interface", Some(interface));
    patch.text(old.is_none_or(|old| old.family != rule.family), "ipprotocol", words::family(rule.family));
    patch.text(
        old.is_none_or(|old| old.protocol != rule.protocol),
        "protocol",
        words::protocol(rule.protocol),
    );
    let types = words::icmp_types(&rule.icmp_types);
    patch.text(old.is_none_or(|old| old.icmp_types != rule.icmp_types), "icmptype", types);
    for (name, endpoint, port, changed) in [
        (
            "source",
            &rule.source,
            &rule.source_port,
            old.is_none_or(|old| (&old.source, &old.source_port) != (&rule.source, &rule.source_port)),
        ),
        (
            "destination",
            &rule.destination,
            &rule.destination_port,
            old.is_none_or(|old| {
                (&old.destination, &old.destination_port) != (&rule.destination, &rule.destination_port)
            }),
        ),
    ] {
        patch.block(changed, block(name, endpoint, port.as_ref(), &scene.names, entities, false));
    }
    floating(&mut patch, old, rule);
    conditions(&mut patch, old, rule);
    let associated = whole.associated.clone();
    patch.text(was.is_none_or(|was| was.associated != whole.associated), "associated-rule-id", associated);
    patch.flag(old.is_none_or(|old| old.log != rule.log), "log", rule.log);
    let unsayable = is_range(&rule.source) || is_range(&rule.destination);
    if unsayable {
        scene.lacks(
            "firewall rule",
            "pfSense has ranges of addresses in aliases only; the rule is disabled there",
            &rule.description,
        );
    }
    let temporary = rule.expires.is_some() || rule.paused_until.is_some();
    if temporary {
        scene.lacks(
            "firewall rule",
            "pfSense knows no rules for a time; the rule is disabled there",
            &rule.description,
        );
    }
    let unsayable = unsayable || temporary;
    let disabled = rule.disabled || unsayable;
    patch.flag(unsayable || old.is_none_or(|old| old.disabled != rule.disabled), "disabled", disabled);
    patch.text(
        old.is_none_or(|old| old.description != rule.description),
        "descr",
        Some(rule.description.clone()),
    );
    patch.element
}

const fn action(action: Action) -> &'static str {
    match action {
        Action::Pass => "pass",
        Action::Block => "block",
        Action::Reject => "reject",
        Action::Match => "match",
    }
}

fn floating(patch: &mut Patch, old: Option<&Rule>, rule: &Rule) {
    let yes = |on: bool| on.then(|| "yes".to_owned());
    let direction = rule.floating.then(|| {
        let word = match rule.direction {
            RuleDirection::In => "in",
            RuleDirection::Out => "out",
            RuleDirection::Any => "any",
        };
        word.to_owned()
    });
    patch.text(old.is_none_or(|old| old.floating != rule.floating), "floating", yes(rule.floating));
    let changed = old.is_none_or(|old| (old.floating, old.direction) != (rule.floating, rule.direction));
    patch.text(changed, "direction", direction);
    patch.text(old.is_none_or(|old| old.quick != rule.quick), "quick", yes(rule.quick));
}

fn limits(patch: &mut Patch, old: Option<&Rule>, rule: &Rule) {
    let number = |number: Option<u32>| number.map(|number| number.to_string());
    type Bound = fn(&Rule) -> Option<u32>;
    let bounds: [(&str, Bound); 6] = [
        ("max", |rule| rule.max_states),
        ("max-src-nodes", |rule| rule.max_src_nodes),
        ("max-src-states", |rule| rule.max_src_states),
        ("max-src-conn", |rule| rule.max_src_conn),
        ("max-src-conn-rate", |rule| rule.max_src_conn_rate.map(|rate| rate.count)),
        ("max-src-conn-rates", |rule| rule.max_src_conn_rate.map(|rate| rate.seconds)),
    ];
    for (name, of) in bounds {
        patch.text(old.is_none_or(|old| of(old) != of(rule)), name, number(of(rule)));
    }
    let timeout = |rule: &Rule| {
        let timeouts = &rule.timeouts;
        timeouts.tcp_established.or(timeouts.udp_multiple).or(timeouts.other_multiple)
    };
    patch.text(old.is_none_or(|old| timeout(old) != timeout(rule)), "statetimeout", number(timeout(rule)));
}

fn conditions(patch: &mut Patch, old: Option<&Rule>, rule: &Rule) {
    let (set, out_of, any) = words::flag_words(rule.tcp_flags);
    let changed = old.is_none_or(|old| old.tcp_flags != rule.tcp_flags);
    patch.text(changed, "tcpflags1", set);
    patch.text(changed, "tcpflags2", out_of);
    patch.flag(changed, "tcpflags_any", any);
    patch.text(old.is_none_or(|old| old.dscp != rule.dscp), "dscp", rule.dscp.map(String::from));
    patch.flag(
        old.is_none_or(|old| old.allow_options != rule.allow_options),
        "allowopts",
        rule.allow_options,
    );
    let state_type = match rule.state_type {
        StateType::Keep => "keep state",
        StateType::Sloppy => "sloppy state",
        StateType::Synproxy => "synproxy state",
        StateType::None => "none",
    };
    patch.text(old.is_none_or(|old| old.state_type != rule.state_type), "statetype", Some(state_type.into()));
    let policy = rule.state_policy.map(|policy| match policy {
        StatePolicy::IfBound => "if-bound".to_owned(),
        StatePolicy::Floating => "floating".to_owned(),
    });
    patch.text(old.is_none_or(|old| old.state_policy != rule.state_policy), "statepolicy", policy);
    limits(patch, old, rule);
    patch.text(old.is_none_or(|old| old.gateway != rule.gateway), "gateway", rule.gateway.clone());
    patch.flag(
        old.is_none_or(|old| old.disable_reply_to != rule.disable_reply_to),
        "disablereplyto",
        rule.disable_reply_to,
    );
    patch.text(old.is_none_or(|old| old.schedule != rule.schedule), "sched", rule.schedule.clone());
    patch.text(old.is_none_or(|old| old.tag != rule.tag), "tag", rule.tag.clone());
    patch.text(old.is_none_or(|old| old.tagged != rule.tagged), "tagged", rule.tagged.clone());
    patch.flag(old.is_none_or(|old| old.not_tagged != rule.not_tagged), "nottagged", rule.not_tagged);
}
