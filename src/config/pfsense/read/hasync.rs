//! `hasync`: what the other firewall shares with its peer, and what of it makes a pair here.

use super::super::report::Group;
use super::super::tree::{Element, Product};
use super::context::Context;
use super::virtual_ips::is_second;
use crate::config::defaults::PREEMPT_DELAY;
use crate::config::model::Pair;

/// Makes the node the first one of a pair when the file is that of one; gives the name of the interface that becomes
/// the cable between the two.
pub(super) fn read(ctx: &mut Context<'_>) -> Option<String> {
    let section = ctx.tree.root.child("hasync")?;
    let cable = section.text_of("pfsyncinterface").map(str::to_ascii_lowercase);
    let on = match ctx.tree.product {
        Product::Pfsense => section.has("pfsyncenabled"),
        Product::Opnsense => cable.is_some() && section.text_of("pfsyncenabled") != Some("0"),
    };
    if section.is_empty() || section.children.iter().all(Element::is_empty) {
        return None;
    }
    if section.text_of("synchronizetoip").is_some() {
        let how = "both nodes of a pair have one document, so nothing is copied";
        ctx.say(
            Group::Adapted,
            "configuration sync",
            how,
            "hasync/synchronizetoip",
            section.child("synchronizetoip").unwrap_or(section),
        );
    }
    if !on {
        ctx.say(Group::Inactive, "state sync", "it is off there", "hasync", section);
        return None;
    }
    if is_second(&ctx.list(&["virtualip"], "vip")) {
        let how =
            "this is the second node of a pair: import the first one's file, then run koi pair join here";
        ctx.say(Group::Inactive, "state sync", how, "hasync", section);
        return None;
    }
    let cable = cable.filter(|name| is_dedicated(ctx, name));
    let Some(cable) = cable else {
        let how = "the pair needs a port that carries nothing else: koi pair create takes one";
        ctx.say(Group::Inactive, "state sync", how, "hasync/pfsyncinterface", section);
        return None;
    };
    ctx.config.pair = Some(Pair {
        sync: String::new(),
        preferred: ctx.options.node.clone(),
        preempt: true,
        preempt_delay: PREEMPT_DELAY,
        defer: false,
    });
    let how = "a pair of one: run koi pair create here, then koi pair join on the second machine";
    ctx.say(Group::Adapted, "state sync", how, "hasync", section);
    Some(cable)
}

/// An interface that is there for this alone: not WAN or LAN, no other on its device, and in force.
fn is_dedicated(ctx: &Context<'_>, name: &str) -> bool {
    let Some(section) = ctx.tree.root.child("interfaces") else { return false };
    let device = |element: &Element| element.text_of("if").unwrap_or_default().to_owned();
    let Some(own) = section.child(name).filter(|element| ctx.flag(element, "enable")) else { return false };
    let trunk = device(own);
    let root = |text: &str| text.split(['.', '_']).next().unwrap_or_default().to_owned();
    let shared = section
        .children
        .iter()
        .filter(|other| !other.is(name))
        .any(|other| root(&device(other)) == root(&trunk));
    let has_vip =
        ctx.list(&["virtualip"], "vip").iter().any(|(_, vip)| vip.text_of("interface") == Some(name));
    !matches!(name, "wan" | "lan") && !shared && !has_vip && !trunk.contains('.')
}
