//! `aliases`, `ifgroups`: what rules name.

use super::super::read::Key;
use super::Scene;
use super::merge::{Lists, merge};
use super::patch::Patch;
use crate::config::model::{Alias, AliasKind};

pub(super) fn write(scene: &mut Scene<'_>) {
    let (old, new, links, entities) = (scene.old, scene.new, scene.links, scene.entities);
    let mut section = scene.take("aliases");
    let lists = Lists { old: &old.aliases, new: &new.aliases, key: |it| Key::Alias(it.name.clone()) };
    merge(&mut section, "alias", links, &lists, |element, old, new| {
        let mut patch = Patch::new(element, entities);
        patch.text(old.is_none(), "name", Some(new.name.clone()));
        patch.text(old.is_none_or(|old| old.kind != new.kind), "type", Some(kind(new.kind).into()));
        // What was left out of it at the import would be gone; it stays until the entries change.
        let changed = old.is_none_or(|old| old.entries != new.entries);
        patch.text(changed, "address", Some(values(new)));
        patch.text(
            old.is_none_or(|old| old.description != new.description),
            "descr",
            Some(new.description.clone()),
        );
        patch.text(changed, "detail", Some(details(new)));
        patch.element
    });
    scene.give(section);
    if old.interface_groups == new.interface_groups {
        return;
    }
    let mut section = scene.take("ifgroups");
    let names = &scene.names;
    let lists = Lists {
        old: &old.interface_groups,
        new: &new.interface_groups,
        key: |it| Key::Group(it.name.clone()),
    };
    merge(&mut section, "ifgroupentry", links, &lists, |element, old, new| {
        let mut patch = Patch::new(element, entities);
        let members: Vec<String> = new.members.iter().map(|member| names.of(member)).collect();
        patch.text(old.is_none_or(|old| old.members != new.members), "members", Some(members.join(" ")));
        patch.text(
            old.is_none_or(|old| old.description != new.description),
            "descr",
            Some(new.description.clone()),
        );
        patch.text(old.is_none(), "ifname", Some(new.name.clone()));
        patch.element
    });
    scene.give(section);
}

const fn kind(kind: AliasKind) -> &'static str {
    match kind {
        AliasKind::Host => "host",
        AliasKind::Network => "network",
        AliasKind::Port => "port",
        AliasKind::Urltable => "urltable",
    }
}

/// Ports in aliases have a colon between them.
fn values(alias: &Alias) -> String {
    let value = |value: &str| match alias.kind {
        AliasKind::Port => value.replace('-', ":"),
        AliasKind::Host | AliasKind::Network | AliasKind::Urltable => value.to_owned(),
    };
    alias.entries.iter().map(|entry| value(&entry.value)).collect::<Vec<_>>().join(" ")
}

fn details(alias: &Alias) -> String {
    alias
        .entries
        .iter()
        .map(|entry| entry.description.trim_matches('|').replace("||", "/"))
        .collect::<Vec<_>>()
        .join("||")
}
