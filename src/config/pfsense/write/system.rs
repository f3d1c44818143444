//! `system`.

use super::super::read::{TIMERS, of_profile};
use super::super::tree::Element;
use super::Scene;
use crate::config::model::Reflection;

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

/// Those that are not what the profile says are written out.
fn timers(scene: &mut Scene<'_>, section: &mut Element) {
    let (mut old, mut new) = (scene.old.system.timeouts, scene.new.system.timeouts);
    let mut usual = of_profile(section.text_of("optimization").unwrap_or("normal"));
    for (name, field) in TIMERS {
        let (was, is, usual) = (*field(&mut old), *field(&mut new), *field(&mut usual));
        if was == is {
            continue;
        }
        match is == usual {
            true => section.remove(name),
            false => section.put(Element::leaf(name, &is.to_string(), scene.entities)),
        }
    }
    if old.frag != new.frag {
        scene.lacks("timer", "pfSense does not let fragments wait for another time", "frag");
    }
}
