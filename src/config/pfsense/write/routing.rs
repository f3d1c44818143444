//! `gateways`, `staticroutes`.

use super::super::read::Key;
use super::super::tree::Element;
use super::Scene;
use super::merge::{Lists, merge};
use super::patch::Patch;
use crate::config::Config;
use crate::config::model::Gateway;

pub(super) fn write(scene: &mut Scene<'_>) {
    let (old, new, links, entities) = (scene.old, scene.new, scene.links, scene.entities);
    let mut section = scene.take("gateways");
    let names = &scene.names;
    let lists = Lists { old: &old.gateways, new: &new.gateways, key: |it| Key::Gateway(it.name.clone()) };
    merge(&mut section, "gateway_item", links, &lists, |element, old, new| {
        let mut patch = Patch::new(element, entities);
        let fresh = old.is_none();
        patch.text(
            old.is_none_or(|old| old.interface != new.interface),
            "interface",
            Some(names.of(&new.interface)),
        );
        let changed = old.is_none_or(|old| old.address != new.address);
        patch.text(changed, "gateway", Some(new.address.to_string()));
        patch.text(fresh, "name", Some(new.name.clone()));
        let family = if new.address.is_ipv4() { "inet" } else { "inet6" };
        patch.text(changed, "ipprotocol", Some(family.into()));
        patch.text(
            old.is_none_or(|old| old.description != new.description),
            "descr",
            Some(new.description.clone()),
        );
        patch.element
    });
    for (key, v4) in [("defaultgw4", true), ("defaultgw6", false)] {
        let (was, is) = (default(old, v4), default(new, v4));
        if was == is {
            continue;
        }
        // The older form would speak against the newer one.
        let items = section.children.iter_mut().filter(|item| item.is("gateway_item"));
        items.filter(|item| item.text_of("gateway").is_some_and(|text| text.contains(':') != v4)).for_each(
            |item| {
                item.remove("defaultgw");
            },
        );
        section.put(Element::leaf(key, is.map_or("-", |gateway| gateway.name.as_str()), entities));
    }
    scene.give(section);
    let mut section = scene.take("staticroutes");
    let lists = Lists { old: &old.routes, new: &new.routes, key: |it| Key::Route(it.destination) };
    merge(&mut section, "route", links, &lists, |element, old, new| {
        let mut patch = Patch::new(element, entities);
        patch.text(
            old.is_none_or(|old| old.destination != new.destination),
            "network",
            Some(new.destination.to_string()),
        );
        patch.text(old.is_none_or(|old| old.gateway != new.gateway), "gateway", Some(new.gateway.clone()));
        patch.text(
            old.is_none_or(|old| old.description != new.description),
            "descr",
            Some(new.description.clone()),
        );
        patch.element
    });
    scene.give(section);
}

fn default(config: &Config, v4: bool) -> Option<&Gateway> {
    config.gateways.iter().find(|gateway| gateway.default && gateway.address.is_ipv4() == v4)
}
