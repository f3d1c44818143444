//! From the tree to a document and a report. One file for each section; nothing that stands in the file goes untold.

mod aliases;
mod context;
mod effect;
mod endpoints;
mod forwards;
mod gateways;
mod groups;
mod hasync;
mod interfaces;
mod kept;
mod opnsense;
mod outbound;
mod prefixes;
mod prune;
mod rules;
mod schedules;
mod services;
mod system;
mod users;
mod virtual_ips;

pub(super) use context::{Key, Links};
pub(super) use endpoints::PROTOCOLS;
pub(super) use services::{LOG_SERVERS, log_ticks};
pub(super) use system::{PROFILES, TIMERS};

use std::collections::HashSet;

use super::mapping::Options;
use super::report::{Group, Place, Report};
use super::tree::{Element, Product, Tree, repeats};
use crate::config::Config;
use context::Context;

/// What came of a file.
#[derive(Clone, Debug)]
pub struct Import {
    /// The document, as far as it can be in force; [`Report::problems`] says what keeps it from being valid.
    pub config: Config,
    /// What became of everything.
    pub report: Report,
    /// Which element is which object.
    pub(super) links: Links,
}

/// Makes a document of a file.
pub fn import(tree: &Tree, options: &Options) -> Import {
    let older = opnsense::in_older_words(tree);
    let mut ctx = Context::new(older.as_ref().unwrap_or(tree), options);
    repeated(&mut ctx);
    ctx.claim_trackers();
    system::read(&mut ctx);
    services::read(&mut ctx);
    users::read(&mut ctx);
    let cable = hasync::read(&mut ctx);
    interfaces::read(&mut ctx, cable.as_deref());
    groups::read(&mut ctx);
    virtual_ips::read(&mut ctx);
    gateways::read(&mut ctx);
    aliases::read(&mut ctx);
    forwards::read(&mut ctx);
    schedules::read(&mut ctx);
    rules::read(&mut ctx);
    prefixes::read(&mut ctx);
    outbound::read(&mut ctx);
    kept::read(&mut ctx);
    prune::prune(&mut ctx);
    effect::tell(&mut ctx);
    let Context { config, report, links, .. } = ctx;
    Import { config, report: report.finish(), links }
}

/// Names that stand twice where pfSense knows one: it would not read the file.
fn repeated(ctx: &mut Context<'_>) {
    fn walk(ctx: &mut Context<'_>, path: &str, element: &Element) {
        let mut seen = HashSet::new();
        for child in &element.children {
            let path = if path.is_empty() { child.name.clone() } else { format!("{path}/{}", child.name) };
            if !repeats(&child.name) && !seen.insert(child.name.to_ascii_lowercase()) {
                let place = Place { path: path.clone(), line: ctx.tree.line(child), name: String::new() };
                let how = "pfSense itself refuses a second one; the first counts, and an export leaves this one out";
                ctx.report.add(Group::Adapted, "repeated element", how, place);
            }
            walk(ctx, &path, child);
        }
    }
    if ctx.tree.product == Product::Pfsense {
        walk(ctx, "", &ctx.tree.root);
    }
}
