//! `aliases`: names for addresses and ports.

use std::collections::{HashMap, HashSet};

use super::super::report::Group;
use super::super::tree::{Element, Product};
use super::context::{Context, Key};
use crate::config::defaults::ALIAS_LIMIT;
use crate::config::model::{Alias, AliasEntry, AliasKind, Member, is_alias_name};

struct Found<'t> {
    path: String,
    element: &'t Element,
    alias: Alias,
    left_out: usize,
}

pub(super) fn read(ctx: &mut Context<'_>) {
    let mut found = Vec::new();
    for (path, element) in ctx.list_up_to(ALIAS_LIMIT, &["aliases"], "alias", "alias") {
        found.extend(alias(ctx, path, element));
    }
    let kinds: HashMap<String, AliasKind> =
        found.iter().map(|found| (found.alias.name.clone(), found.alias.kind)).collect();
    for one in &mut found {
        let before = one.alias.entries.len();
        one.alias.entries = std::mem::take(&mut one.alias.entries)
            .into_iter()
            .filter_map(|entry| usable(entry, one.alias.kind, &kinds))
            .collect();
        one.left_out = before - one.alias.entries.len();
    }
    ctx.partial = partial(&found);
    ctx.kinds = kinds;
    for Found { path, element, alias, left_out } in found {
        let mut adapted = Vec::new();
        if left_out > 0 {
            adapted.push(format!("without {left_out} entries that are host names or aliases not in force"));
        }
        let name = alias.name.clone();
        ctx.config.aliases.push(alias);
        ctx.adopt(Key::Alias(name), "alias", &path, element, &adapted);
    }
}

fn alias<'t>(ctx: &mut Context<'t>, path: String, element: &'t Element) -> Option<Found<'t>> {
    let name = element.text_of("name").unwrap_or_default().to_owned();
    if ctx.tree.product == Product::Opnsense && element.text_of("enabled") == Some("0") {
        ctx.say(Group::Inactive, "alias", "it is disabled there", &path, element);
        return None;
    }
    let kind = match element.text_of("type").unwrap_or_default() {
        "host" => AliasKind::Host,
        "network" | "networkgroup" => AliasKind::Network,
        "port" => AliasKind::Port,
        other => {
            ctx.say(
                Group::Impossible,
                "alias",
                format!("nothing fetches or fills aliases of type {other} yet"),
                &path,
                element,
            );
            return None;
        }
    };
    if !is_alias_name(&name) {
        ctx.say(Group::Impossible, "alias", "its name is none that rules could write", &path, element);
        return None;
    }
    let details: Vec<&str> = element.text_of("detail").map_or(Vec::new(), |text| text.split("||").collect());
    let words = element.text_of("address").or_else(|| element.text_of("content")).unwrap_or_default();
    let words = words.split([' ', '\n', '\t', ',']).map(str::trim).filter(|word| !word.is_empty());
    let entries = words.enumerate().map(|(index, value)| AliasEntry {
        value: value.into(),
        description: details.get(index).map(|text| text.trim().into()).unwrap_or_default(),
    });
    let description =
        element.text_of("descr").or_else(|| element.text_of("description")).unwrap_or_default().into();
    let alias = Alias { name, kind, file: None, entries: entries.collect(), description };
    Some(Found { path, element, alias, left_out: 0 })
}

/// The entry as it can be in force: a network without bits behind its length, an alias that is there.
fn usable(mut entry: AliasEntry, kind: AliasKind, kinds: &HashMap<String, AliasKind>) -> Option<AliasEntry> {
    match entry.member(kind).or_else(|_| entry.member(AliasKind::Network)).ok()? {
        Member::Prefix(prefix) => {
            if prefix != prefix.trunc() {
                entry.value = prefix.trunc().to_string();
            }
            // pfSense allows a network in an alias of hosts; here it is one of networks.
            let fits = matches!(kind, AliasKind::Network) || prefix.prefix_len() == prefix.max_prefix_len();
            (kind != AliasKind::Port && fits).then_some(entry)
        }
        Member::Range(_) => (kind != AliasKind::Port).then_some(entry),
        Member::Ports(_) => (kind == AliasKind::Port).then_some(entry),
        Member::Name(_) => kind.has_names().then_some(entry),
        Member::Alias(name) => kinds.get(&name).is_some_and(|other| other.mixes(kind)).then_some(entry),
    }
}

/// Aliases that lack something, by themselves or by one in them.
fn partial(found: &[Found<'_>]) -> HashSet<String> {
    let mut around: HashMap<&str, Vec<&str>> = HashMap::new();
    for Found { alias, .. } in found {
        for entry in &alias.entries {
            around.entry(&entry.value).or_default().push(&alias.name);
        }
    }
    let mut left: Vec<&str> =
        found.iter().filter(|found| found.left_out > 0).map(|found| found.alias.name.as_str()).collect();
    let mut partial = HashSet::new();
    while let Some(name) = left.pop() {
        if partial.insert(name.to_owned()) {
            left.extend(around.get(name).into_iter().flatten());
        }
    }
    partial
}
