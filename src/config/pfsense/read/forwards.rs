//! `nat/rule`: port forwards.

use super::super::report::Group;
use super::super::tree::Element;
use super::context::{Context, Key};
use super::endpoints::{self, Lacks, endpoint, place, ports_of};
use crate::config::defaults::RULE_LIMIT;
use crate::config::model::{Association, Place, PortForward, Ports, Reflection, Target};
use crate::types::Prefix;

const WHAT: &str = "port forward";

pub(super) fn read(ctx: &mut Context<'_>) {
    for (path, element) in ctx.list_up_to(RULE_LIMIT, &["nat"], "rule", WHAT) {
        forward(ctx, &path, element);
    }
}

/// The interface that a translation names, when it is one that is in force.
pub(super) fn interface(
    ctx: &mut Context<'_>,
    what: &'static str,
    path: &str,
    element: &Element,
) -> Option<String> {
    let there = element.text_of("interface").unwrap_or("wan");
    let name = ctx.interface(there).map(str::to_owned);
    let name = name.filter(|name| ctx.config.interfaces.iter().any(|interface| interface.name == *name));
    if name.is_none() {
        let how = format!("\"{there}\" is no interface that is in force");
        ctx.say(Group::Inactive, what, how, path, element);
    }
    name
}

/// What becomes of a rule or a translation: in force; disabled, when it would do something else than there; or none, when
/// it cannot be written here at all.
pub(super) fn settle(
    ctx: &mut Context<'_>,
    key: Key,
    what: &'static str,
    path: &str,
    element: &Element,
    lacks: &Lacks,
) -> Option<bool> {
    let disabled = ctx.flag(element, "disabled");
    let why = lacks.matters.join("; ");
    if lacks.unsayable {
        ctx.say(Group::Inactive, what, why, path, element);
        return None;
    }
    if lacks.matters.is_empty() || disabled {
        ctx.adopt(key, what, path, element, &lacks.adapted);
        return Some(disabled);
    }
    ctx.adopt_as(Group::Inactive, key, what, format!("it is disabled: {why}"), path, element);
    Some(true)
}

fn forward(ctx: &mut Context<'_>, path: &str, element: &Element) {
    let Some(interface) = interface(ctx, WHAT, path, element) else { return };
    let mut lacks = Lacks::default();
    let mut forward = PortForward::new(ctx.fresh(), &interface);
    let (source, destination) = (element.child("source"), element.child("destination"));
    forward.family = endpoints::family(element, &mut lacks);
    forward.protocol = endpoints::protocol(element, &mut lacks);
    forward.source = endpoint(ctx, source, true, &mut lacks);
    forward.source_port = ports_of(ctx, source, forward.protocol, &mut lacks);
    forward.destination = endpoint(ctx, destination, true, &mut lacks);
    forward.destination_port = ports_of(ctx, destination, forward.protocol, &mut lacks);
    forward.no_redirect = ctx.flag(element, "nordr");
    forward.description = element.text_of("descr").unwrap_or_default().into();
    if !forward.no_redirect {
        forward.target = element.text_of("target").and_then(|text| target(ctx, text, &mut lacks));
        forward.local_port = local_port(element, &forward, &mut lacks);
        forward.reflection = reflection(element, &mut lacks);
    }
    match element.text_of("associated-rule-id") {
        Some("pass") if !forward.no_redirect => forward.association = Association::Pass,
        Some(id) if !forward.no_redirect => {
            ctx.associated.insert(id.into(), forward.id);
        }
        Some(_) | None => {}
    }
    if forward.target.is_none() && !forward.no_redirect && lacks.matters.is_empty() {
        lacks.unknown("it has no target");
    }
    let Some(disabled) = settle(ctx, Key::Numbered(forward.id), WHAT, path, element, &lacks) else {
        // Its rule says itself what it matches.
        ctx.associated.retain(|_, id| *id != forward.id);
        return;
    };
    forward.disabled = disabled;
    ctx.config.port_forwards.push(forward);
}

/// An address, a network, a range or an alias of them.
pub(super) fn target(ctx: &Context<'_>, text: &str, lacks: &mut Lacks) -> Option<Target> {
    if let Some(address) = virtual_address(ctx, text) {
        return Some(Target::Prefix(Prefix::from(address)));
    }
    match place(ctx, text, lacks) {
        Place::Prefix(prefix) => Some(Target::Prefix(prefix)),
        Place::Range(range) => Some(Target::Range(range)),
        Place::Alias(name) => Some(Target::Alias(name)),
        Place::Address(interface) => {
            let own = ctx.addresses(&interface).next();
            lacks.adapted(format!("its target is the present address of {interface}"));
            own.map(|prefix| Target::Prefix(Prefix::from(prefix.addr())))
        }
        Place::Any | Place::Net(_) | Place::ThisFirewall => {
            if lacks.matters.is_empty() {
                lacks.unknown(format!("its target \"{text}\" is no address"));
            }
            None
        }
    }
}

/// `_vip` and the id of a virtual IP.
fn virtual_address(ctx: &Context<'_>, text: &str) -> Option<std::net::IpAddr> {
    let id = text.strip_prefix("_vip")?;
    let vip = ctx.vips.get(id)?;
    vip.text_of("subnet")?.parse().ok()
}

/// The first inside port, when it differs from the first outside one.
fn local_port(element: &Element, forward: &PortForward, lacks: &mut Lacks) -> Option<u16> {
    let text = element.text_of("local-port")?;
    let range = match &forward.destination_port {
        Some(Ports::Range(range)) => range,
        Some(Ports::Alias(name)) if name == text => return None,
        Some(Ports::Alias(_)) => {
            lacks.unknown("its outside ports are an alias, which maps to nothing but itself here");
            return None;
        }
        None => return None,
    };
    match text.parse::<u16>() {
        Ok(port) => (port != range.first()).then_some(port),
        Err(_) => {
            lacks.unknown(format!("its inside port \"{text}\" is an alias"));
            None
        }
    }
}

fn reflection(element: &Element, lacks: &mut Lacks) -> Option<Reflection> {
    match element.text_of("natreflection")? {
        "disable" => Some(Reflection::Disable),
        "purenat" => Some(Reflection::Purenat),
        "enable" => {
            lacks.adapted("its reflection translates instead of running a proxy");
            Some(Reflection::Purenat)
        }
        _ => None,
    }
}
