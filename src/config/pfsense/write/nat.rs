//! `nat`: port forwards, 1:1 mappings, prefix translations, outbound mappings.

use super::super::read::Key;
use super::super::tree::Element;
use super::Scene;
use super::merge::{Lists, merge};
use super::patch::Patch;
use super::rules::association;
use super::words::{self, block, is_range};
use crate::config::model::{
    Association, Endpoint, Npt, OneToOne, OutboundMode, OutboundRule, Place, Pool, PortForward, Ports,
    Protocol, Reflection, RuleFamily, Target,
};
use crate::types::Prefix;

pub(super) fn write(scene: &mut Scene<'_>) {
    let (old, new, links) = (scene.old, scene.new, scene.links);
    let mut nat = scene.take("nat");
    let lists = Lists { old: &old.port_forwards, new: &new.port_forwards, key: |it| Key::Numbered(it.id) };
    merge(&mut nat, "rule", links, &lists, |element, was, forward| {
        self::forward(scene, element, was, forward)
    });
    let lists = Lists { old: &old.one_to_ones, new: &new.one_to_ones, key: |it| Key::Numbered(it.id) };
    merge(&mut nat, "onetoone", links, &lists, |element, was, entry| one_to_one(scene, element, was, entry));
    let lists = Lists { old: &old.npts, new: &new.npts, key: |it| Key::Numbered(it.id) };
    merge(&mut nat, "npt", links, &lists, |element, was, entry| npt(scene, element, was, entry));
    let outbound = nat.ensure("outbound");
    if old.outbound.mode != new.outbound.mode || outbound.child("mode").is_none() {
        let mode = match new.outbound.mode {
            OutboundMode::Automatic => "automatic",
            OutboundMode::Hybrid => "hybrid",
            OutboundMode::Manual => "advanced",
            OutboundMode::Disabled => "disabled",
        };
        outbound.put(Element::leaf("mode", mode, scene.entities));
    }
    let lists = Lists { old: &old.outbound.rules, new: &new.outbound.rules, key: |it| Key::Numbered(it.id) };
    merge(outbound, "rule", links, &lists, |element, was, rule| mapping(scene, element, was, rule));
    scene.give(nat);
}

fn forward(scene: &mut Scene<'_>, element: Element, old: Option<&PortForward>, new: &PortForward) -> Element {
    let mut patch = Patch::new(element, scene.entities);
    stands(scene, &mut patch, old.map(|old| &old.interface), &new.interface);
    speaks(&mut patch, old.map(|old| (old.family, old.protocol)), (new.family, new.protocol));
    let changed = old.is_none_or(|old| (&old.source, &old.source_port) != (&new.source, &new.source_port));
    patch.block(
        changed,
        block("source", &new.source, new.source_port.as_ref(), &scene.names, scene.entities, false),
    );
    let outside = (&new.destination, &new.destination_port);
    let changed = old.is_none_or(|old| (&old.destination, &old.destination_port) != outside);
    let destination =
        block("destination", outside.0, outside.1.as_ref(), &scene.names, scene.entities, false);
    patch.block(changed, destination);
    patch.text(
        old.is_none_or(|old| old.target != new.target),
        "target",
        new.target.as_ref().map(words::target),
    );
    let local = |forward: &PortForward| match (&forward.destination_port, forward.local_port) {
        (_, Some(port)) => Some(port.to_string()),
        (Some(Ports::Range(range)), None) => Some(range.first().to_string()),
        (Some(Ports::Alias(name)), None) => Some(name.clone()),
        (None, None) => None,
    };
    patch.text(
        old.is_none_or(|old| local(old) != local(new)),
        "local-port",
        local(new).filter(|_| !new.no_redirect),
    );
    let reflection = new.reflection.map(|reflection| match reflection {
        Reflection::Disable => "disable".to_owned(),
        Reflection::Purenat => "purenat".to_owned(),
    });
    patch.text(old.is_none_or(|old| old.reflection != new.reflection), "natreflection", reflection);
    associate(scene, &mut patch, old, new);
    patch.flag(old.is_none_or(|old| old.no_redirect != new.no_redirect), "nordr", new.no_redirect);
    let unsayable =
        is_range(&new.source) || is_range(&new.destination) || matches!(new.target, Some(Target::Range(_)));
    let was = old.map(|old| (old.disabled, old.description.as_str()));
    finish(scene, &mut patch, ("port forward", unsayable), was, (new.disabled, &new.description));
    patch.element
}

/// Its rule names the forward, and the forward its rule.
fn associate(scene: &Scene<'_>, patch: &mut Patch, old: Option<&PortForward>, new: &PortForward) {
    let linked =
        |rules: &[crate::config::model::Rule]| rules.iter().any(|rule| rule.port_forward == Some(new.id));
    let (was, is) = (linked(&scene.old.rules), linked(&scene.new.rules));
    let changed = old.is_none_or(|old| old.association != new.association) || was != is;
    let word = match (new.association, is) {
        (Association::Pass, _) => "pass".to_owned(),
        (Association::None, true) => association(new),
        (Association::None, false) => String::new(),
    };
    patch.text(changed, "associated-rule-id", Some(word));
}

/// Where it stands.
fn stands(scene: &Scene<'_>, patch: &mut Patch, old: Option<&String>, new: &String) {
    patch.text(old != Some(new), "interface", Some(scene.names.of(new)));
}

/// Which packets it is about, of which family and protocol.
fn speaks(
    patch: &mut Patch,
    old: Option<(RuleFamily, Protocol)>,
    (family, protocol): (RuleFamily, Protocol),
) {
    patch.text(old.is_none_or(|old| old.0 != family), "ipprotocol", words::family(family));
    patch.text(old.is_none_or(|old| old.1 != protocol), "protocol", words::protocol(protocol));
}

/// Whether it is disabled, and what for it is. What pfSense cannot say is disabled there, and told.
fn finish(
    scene: &mut Scene<'_>,
    patch: &mut Patch,
    (what, unsayable): (&'static str, bool),
    old: Option<(bool, &str)>,
    (disabled, description): (bool, &str),
) {
    if unsayable {
        let how = "pfSense has ranges of addresses in aliases only; it is disabled there";
        scene.lacks(what, how, description);
    }
    patch.flag(unsayable || old.is_none_or(|old| old.0 != disabled), "disabled", disabled || unsayable);
    patch.text(old.is_none_or(|old| old.1 != description), "descr", Some(description.into()));
}

fn one_to_one(scene: &mut Scene<'_>, element: Element, old: Option<&OneToOne>, new: &OneToOne) -> Element {
    let mut patch = Patch::new(element, scene.entities);
    stands(scene, &mut patch, old.map(|old| &old.interface), &new.interface);
    let family = if new.external.is_ipv4() { "inet" } else { "inet6" };
    let changed = old.is_none_or(|old| old.external != new.external);
    patch.text(changed, "ipprotocol", Some(family.into()));
    patch.text(changed, "external", Some(new.external.to_string()));
    let inside = Endpoint::at(Place::Prefix(new.internal));
    let changed = old.is_none_or(|old| old.internal != new.internal);
    patch.block(changed, block("source", &inside, None, &scene.names, scene.entities, false));
    let changed = old.is_none_or(|old| old.destination != new.destination);
    patch.block(changed, block("destination", &new.destination, None, &scene.names, scene.entities, false));
    let reflection = new.reflection.map(|on| if on { "enable".to_owned() } else { "disable".to_owned() });
    patch.text(old.is_none_or(|old| old.reflection != new.reflection), "natreflection", reflection);
    patch.flag(old.is_none_or(|old| old.no_binat != new.no_binat), "nobinat", new.no_binat);
    let unsayable = is_range(&new.destination);
    let was = old.map(|old| (old.disabled, old.description.as_str()));
    finish(scene, &mut patch, ("1:1 mapping", unsayable), was, (new.disabled, &new.description));
    patch.element
}

fn npt(scene: &mut Scene<'_>, element: Element, old: Option<&Npt>, new: &Npt) -> Element {
    let mut patch = Patch::new(element, scene.entities);
    stands(scene, &mut patch, old.map(|old| &old.interface), &new.interface);
    let side = |name: &str, prefix: Prefix| {
        Element::new(name, vec![Element::leaf("address", &prefix.to_string(), scene.entities)])
    };
    patch.block(old.is_none_or(|old| old.source != new.source), side("source", new.source));
    patch.block(
        old.is_none_or(|old| old.destination != new.destination),
        side("destination", new.destination),
    );
    let was = old.map(|old| (old.disabled, old.description.as_str()));
    finish(scene, &mut patch, ("prefix translation", false), was, (new.disabled, &new.description));
    patch.element
}

fn mapping(
    scene: &mut Scene<'_>,
    element: Element,
    old: Option<&OutboundRule>,
    new: &OutboundRule,
) -> Element {
    let mut patch = Patch::new(element, scene.entities);
    stands(scene, &mut patch, old.map(|old| &old.interface), &new.interface);
    speaks(&mut patch, old.map(|old| (old.family, old.protocol)), (new.family, new.protocol));
    let changed = old.is_none_or(|old| old.source != new.source);
    patch.block(changed, block("source", &new.source, None, &scene.names, scene.entities, true));
    let changed = old.is_none_or(|old| old.destination != new.destination);
    patch.block(changed, block("destination", &new.destination, None, &scene.names, scene.entities, true));
    let port = |port: &Option<Ports>| Some(port.as_ref().map(words::ports).unwrap_or_default());
    patch.text(
        old.is_none_or(|old| old.source_port != new.source_port),
        "sourceport",
        port(&new.source_port),
    );
    patch.text(
        old.is_none_or(|old| old.destination_port != new.destination_port),
        "dstport",
        port(&new.destination_port),
    );
    let changed = old.is_none_or(|old| old.target != new.target);
    let (target, bits) = translation(scene, new);
    patch.text(changed, "target", Some(target));
    patch.text(changed, "target_subnet", bits);
    patch.text(changed, "targetip", None);
    patch.text(changed, "targetip_subnet", None);
    let ports = new.port.map(|range| words::port_range(range, ':'));
    patch.text(old.is_none_or(|old| old.port != new.port), "natport", Some(ports.unwrap_or_default()));
    patch.flag(old.is_none_or(|old| old.static_port != new.static_port), "staticnatport", new.static_port);
    patch.flag(old.is_none_or(|old| old.no_nat != new.no_nat), "nonat", new.no_nat);
    let changed = old.is_none_or(|old| (old.pool, old.sticky) != (new.pool, new.sticky));
    patch.text(changed, "poolopts", Some(pool(new)));
    if new.endpoint_independent {
        let how = "there, a port outside depends on the destination";
        scene.lacks("outbound mapping", how, &new.description);
    }
    let unsayable =
        is_range(&new.source) || is_range(&new.destination) || matches!(new.target, Some(Target::Range(_)));
    let was = old.map(|old| (old.disabled, old.description.as_str()));
    finish(scene, &mut patch, ("outbound mapping", unsayable), was, (new.disabled, &new.description));
    patch.element
}

/// The interface's address goes by its name; a network has its length beside it.
fn translation(scene: &Scene<'_>, rule: &OutboundRule) -> (String, Option<String>) {
    match &rule.target {
        None if rule.no_nat => (String::new(), None),
        None => (format!("{}ip", scene.names.of(&rule.interface)), None),
        Some(Target::Prefix(prefix)) => (prefix.addr().to_string(), Some(prefix.prefix_len().to_string())),
        Some(other @ (Target::Range(_) | Target::Alias(_))) => (words::target(other), None),
    }
}

fn pool(rule: &OutboundRule) -> String {
    let word = match (rule.pool, rule.sticky) {
        (Pool::RoundRobin, false) => "",
        (Pool::RoundRobin, true) => "round-robin sticky-address",
        (Pool::Random, false) => "random",
        (Pool::Random, true) => "random sticky-address",
        (Pool::SourceHash, false) => "source-hash",
        (Pool::SourceHash, true) => "source-hash sticky-address",
    };
    word.into()
}
