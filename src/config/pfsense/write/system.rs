//! `system`.

use super::super::read::{PROFILES, TIMERS};
use super::super::tree::Element;
use super::Scene;
use super::services;
use super::words;
use crate::config::model::{Reflection, StatePolicy};

pub(super) fn write(scene: &mut Scene<'_>) {
    let (old, new, entities) = (&scene.old.system, &scene.new.system, scene.entities);
    if scene.old.pair != scene.new.pair {
        let how =
            "pfSense's high availability wants an interface with addresses for pfsync, set up on both nodes";
        scene.lacks("pair", how, "");
    }
    if old == new {
        return;
    }
    let mut section = scene.take("system");
    let leaf = |name: &str, text: &str| Element::leaf(name, text, entities);
    if old.hostname != new.hostname {
        let (name, domain) = new.hostname.split_once('.').unwrap_or((&new.hostname, ""));
        section.put(leaf("hostname", name));
        section.put(leaf("domain", if domain.is_empty() { "home.arpa" } else { domain }));
    }
    if old.state_limit != new.state_limit {
        section.put(leaf("maximumstates", &new.state_limit.to_string()));
    }
    let web = section.ensure("webgui");
    set(web, old.anti_lockout != new.anti_lockout, "noantilockout", !new.anti_lockout);
    if old.web.port != new.web.port {
        web.put(leaf("port", &new.web.port.to_string()));
    }
    if old.nat_reflection != new.nat_reflection {
        let (pure, off) = match new.nat_reflection {
            Reflection::Disable => (false, true),
            Reflection::Purenat => (true, false),
        };
        section.remove("disablenatreflection");
        section.remove("enablenatreflectionpurenat");
        let name = if off { "disablenatreflection" } else { "enablenatreflectionpurenat" };
        debug_assert!(pure != off);
        section.put(leaf(name, "yes"));
    }
    if old.one_to_one_reflection != new.one_to_one_reflection {
        section.remove("enablebinatreflection");
        if new.one_to_one_reflection {
            section.put(leaf("enablebinatreflection", "yes"));
        }
    }
    services::asked(&mut section, old, new, entities);
    gateways(scene, &mut section);
    timers(scene, &mut section);
    scene.give(section);
}

fn set(element: &mut Element, changed: bool, name: &str, on: bool) {
    match (changed, on) {
        (true, true) => element.put(Element::flag(name)),
        (true, false) => element.remove(name),
        (false, _) => {}
    }
}

/// What becomes of flows whose gateway is down or whose schedule ends, and which gateway they get.
fn gateways(scene: &mut Scene<'_>, section: &mut Element) {
    let (old, new) = (&scene.old.system, &scene.new.system);
    if old.kill_states_on_gateway_failure != new.kill_states_on_gateway_failure {
        let word = words::kill_states(new.kill_states_on_gateway_failure);
        section.put(Element::leaf("gw_down_kill_states", word, scene.entities));
    }
    for (name, was, is) in [
        ("skip_rules_gw_down", old.skip_rules_when_gateway_down, new.skip_rules_when_gateway_down),
        ("lb_use_sticky", old.sticky_connections, new.sticky_connections),
        ("disablereplyto", old.disable_reply_to, new.disable_reply_to),
        ("schedule_states", old.schedules_keep_states, new.schedules_keep_states),
    ] {
        set(section, was != is, name, is);
    }
    let recovery = (old.kill_states_on_gateway_recovery, new.kill_states_on_gateway_recovery);
    if recovery == (false, true) {
        let how = "killing of states on recovery is said at each gateway group there";
        scene.lacks("gateway setting", how, "");
    }
}

/// The profile, and the timers that are set beside it.
fn timers(scene: &mut Scene<'_>, section: &mut Element) {
    let profile = scene.new.system.optimization;
    if scene.old.system.optimization != profile {
        let word = PROFILES.iter().find(|(_, other)| *other == profile).map_or("normal", |(word, _)| *word);
        section.put(Element::leaf("optimization", word, scene.entities));
    }
    if scene.old.system.state_policy != scene.new.system.state_policy {
        let word = match scene.new.system.state_policy {
            StatePolicy::IfBound => "if-bound",
            StatePolicy::Floating => "floating",
        };
        section.put(Element::leaf("statepolicy", word, scene.entities));
    }
    let (mut old, mut new) = (scene.old.system.timeouts, scene.new.system.timeouts);
    for (name, field) in TIMERS {
        match (*field(&mut old), *field(&mut new)) {
            (was, is) if was == is => {}
            (_, Some(seconds)) => section.put(Element::leaf(name, &seconds.to_string(), scene.entities)),
            (_, None) => section.remove(name),
        }
    }
    if old.frag != new.frag {
        scene.lacks("timer", "pfSense does not let fragments wait for another time", "frag");
    }
}
