//! `nat/outbound`: the mode, and mappings.

use super::super::report::Group;
use super::super::tree::Element;
use super::context::{Context, Key};
use super::endpoints::{self, Lacks, endpoint, port_range, ports};
use super::forwards::{interface, settle, target};
use super::interfaces::address_of;
use crate::config::defaults::RULE_LIMIT;
use crate::config::model::{Endpoint, OutboundMode, OutboundRule, Place, Pool, Target};

const WHAT: &str = "outbound mapping";

pub(super) fn read(ctx: &mut Context<'_>) {
    let Some(section) = ctx.tree.root.find(&["nat", "outbound"]) else { return };
    let mode = match section.text_of("mode").unwrap_or("automatic") {
        "automatic" => Some(OutboundMode::Automatic),
        "hybrid" => Some(OutboundMode::Hybrid),
        "advanced" | "manual" => Some(OutboundMode::Manual),
        "disabled" => Some(OutboundMode::Disabled),
        other => {
            ctx.say(
                Group::Impossible,
                "outbound mode",
                format!("\"{other}\" is not known"),
                "nat/outbound/mode",
                section,
            );
            None
        }
    };
    if let Some(mode) = mode {
        ctx.config.outbound.mode = mode;
        ctx.say(Group::Imported, "outbound mode", "", "nat/outbound/mode", section);
    }
    let in_force = matches!(ctx.config.outbound.mode, OutboundMode::Hybrid | OutboundMode::Manual);
    for (path, element) in ctx.list_up_to(RULE_LIMIT, &["nat", "outbound"], "rule", WHAT) {
        mapping(ctx, &path, element, in_force);
    }
}

fn mapping(ctx: &mut Context<'_>, path: &str, element: &Element, in_force: bool) {
    let Some(interface) = interface(ctx, WHAT, path, element) else { return };
    let mut lacks = Lacks::default();
    let mut rule = OutboundRule::new(ctx.fresh(), &interface);
    rule.family = endpoints::family(element, &mut lacks);
    rule.protocol = endpoints::protocol(element, &mut lacks);
    let has_ports = endpoints::has_ports(rule.protocol);
    rule.source = side(ctx, element.child("source"), &mut lacks);
    rule.destination = side(ctx, element.child("destination"), &mut lacks);
    for (key, port) in [("sourceport", &mut rule.source_port), ("dstport", &mut rule.destination_port)] {
        let within = if key == "dstport" { element.child("destination") } else { element.child("source") };
        let text = element.text_of(key).or_else(|| within?.text_of("port"));
        match has_ports {
            true => *port = ports(ctx, text, &mut lacks),
            false if text.is_some() => lacks.adapted("without its ports, which its protocol does not have"),
            false => {}
        }
    }
    rule.no_nat = ctx.flag(element, "nonat");
    rule.static_port = ctx.flag(element, "staticnatport") && !rule.no_nat;
    rule.description = element.text_of("descr").unwrap_or_default().into();
    if !rule.no_nat {
        rule.target = translation(ctx, element, &interface, &mut lacks);
        rule.port = element.text_of("natport").filter(|_| !rule.static_port).and_then(port_range);
        pool(element, &mut rule, &mut lacks);
    }
    if ctx.flag(element, "eimnat") {
        lacks.adapted("without endpoint-independent mapping");
    }
    if !in_force {
        lacks.adapted("it has no effect in this mode, as there");
    }
    let Some(disabled) = settle(ctx, Key::Numbered(rule.id), WHAT, path, element, &lacks) else { return };
    rule.disabled = disabled;
    ctx.config.outbound.rules.push(rule);
}

/// Here `network` holds whatever it is.
fn side(ctx: &Context<'_>, element: Option<&Element>, lacks: &mut Lacks) -> Endpoint {
    endpoint(ctx, element, true, lacks)
}

/// What flows leave with; none is the interface's address.
fn translation(ctx: &Context<'_>, element: &Element, interface: &str, lacks: &mut Lacks) -> Option<Target> {
    // Before 2.7 the target was "other-subnet", beside which the network stood.
    if let (Some(address), length) = (element.text_of("targetip"), element.text_of("targetip_subnet")) {
        return match address_of(address, Some(length.unwrap_or("32"))) {
            Some(prefix) => Some(Target::Prefix(prefix.trunc())),
            None => target(ctx, address, lacks),
        };
    }
    let text = element.text_of("target")?;
    if text == "interface" || text.to_ascii_lowercase() == format!("{interface}ip") || text == "(self)" {
        return None;
    }
    if let Some(prefix) = address_of(text, element.text_of("target_subnet")) {
        return Some(Target::Prefix(prefix.trunc()));
    }
    match endpoints::place(ctx, text, &mut Lacks::default()) {
        Place::Address(other) if other == interface => None,
        _ => target(ctx, text, lacks),
    }
}

fn pool(element: &Element, rule: &mut OutboundRule, lacks: &mut Lacks) {
    let Some(text) = element.text_of("poolopts").filter(|_| rule.target.is_some()) else { return };
    for word in text.split(' ') {
        match word {
            "round-robin" => rule.pool = Pool::RoundRobin,
            "random" => rule.pool = Pool::Random,
            "source-hash" => rule.pool = Pool::SourceHash,
            "sticky-address" => rule.sticky = true,
            other => lacks.unknown(format!("its pool option \"{other}\" is not known")),
        }
    }
    if element.text_of("source_hash_key").is_some() {
        lacks.adapted("its hash has a key of its own");
    }
}
