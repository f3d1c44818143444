//! `nat/onetoone` and `nat/npt`: whole addresses and whole prefixes.

use std::net::IpAddr;

use super::super::tree::Element;
use super::context::{Context, Key};
use super::endpoints::{Lacks, endpoint, place};
use super::forwards::{interface, settle};
use crate::config::defaults::RULE_LIMIT;
use crate::config::model::{Npt, OneToOne, Place};
use crate::types::Prefix;

const ONE_TO_ONE: &str = "1:1 mapping";
const NPT: &str = "prefix translation";

pub(super) fn read(ctx: &mut Context<'_>) {
    for (path, element) in ctx.list_up_to(RULE_LIMIT, &["nat"], "onetoone", ONE_TO_ONE) {
        one_to_one(ctx, &path, element);
    }
    for (path, element) in ctx.list_up_to(RULE_LIMIT, &["nat"], "npt", NPT) {
        npt(ctx, &path, element);
    }
}

/// The network that stands inside: written out, or that of an interface.
fn network(ctx: &Context<'_>, element: Option<&Element>, v4: bool, lacks: &mut Lacks) -> Option<Prefix> {
    let text =
        element.and_then(|element| element.text_of("address").or_else(|| element.text_of("network")))?;
    let found = match place(ctx, text, lacks) {
        Place::Prefix(prefix) => Some(prefix),
        Place::Net(name) => {
            ctx.addresses(&name).find(|prefix| prefix.addr().is_ipv4() == v4).map(|prefix| prefix.trunc())
        }
        Place::Address(name) => {
            let own = ctx.addresses(&name).find(|prefix| prefix.addr().is_ipv4() == v4);
            own.map(|prefix| Prefix::from(prefix.addr()))
        }
        Place::Any | Place::Range(_) | Place::ThisFirewall | Place::Alias(_) => None,
    };
    if found.is_none() && lacks.matters.is_empty() {
        lacks.unknown(format!("\"{text}\" is no network"));
    }
    found
}

fn one_to_one(ctx: &mut Context<'_>, path: &str, element: &Element) {
    const WHAT: &str = ONE_TO_ONE;
    let Some(interface) = interface(ctx, WHAT, path, element) else { return };
    let mut lacks = Lacks::default();
    // OPNsense writes the length as well; it is that of the inside.
    let external = element.text_of("external").and_then(|text| text.split('/').next());
    let external = external.and_then(|text| text.parse::<IpAddr>().ok());
    let source = element.child("source");
    let internal = network(ctx, source, external.is_none_or(|external| external.is_ipv4()), &mut lacks);
    if source.is_some_and(|source| ctx.flag(source, "not")) {
        lacks.unknown("it is for all addresses but one");
    }
    let id = ctx.fresh();
    let destination = endpoint(ctx, element.child("destination"), true, &mut lacks);
    if external.is_none() {
        lacks.unknown("its outside address is none");
    }
    let disabled = settle(ctx, Key::Numbered(id), WHAT, path, element, &lacks);
    let (Some(disabled), Some(external), Some(internal)) = (disabled, external, internal) else { return };
    ctx.config.one_to_ones.push(OneToOne {
        id,
        interface,
        external,
        internal,
        destination,
        reflection: match element.text_of("natreflection") {
            Some("enable" | "purenat") => Some(true),
            Some("disable") => Some(false),
            Some(_) | None => None,
        },
        no_binat: ctx.flag(element, "nobinat"),
        disabled,
        description: element.text_of("descr").unwrap_or_default().into(),
    });
}

fn npt(ctx: &mut Context<'_>, path: &str, element: &Element) {
    const WHAT: &str = NPT;
    let Some(interface) = interface(ctx, WHAT, path, element) else { return };
    let mut lacks = Lacks::default();
    let (source, destination) = (element.child("source"), element.child("destination"));
    for side in [source, destination].into_iter().flatten() {
        if ctx.flag(side, "not") {
            lacks.unknown("it is for all prefixes but one");
        }
    }
    let inside = network(ctx, source, false, &mut lacks);
    let outside = network(ctx, destination, false, &mut lacks);
    if inside.is_none() || outside.is_none() {
        lacks.unknown("one of its prefixes comes from the provider, which is not there yet");
    }
    let id = ctx.fresh();
    let disabled = settle(ctx, Key::Numbered(id), WHAT, path, element, &lacks);
    let (Some(disabled), Some(source), Some(destination)) = (disabled, inside, outside) else { return };
    let description = element.text_of("descr").unwrap_or_default().into();
    ctx.config.npts.push(Npt { id, interface, source, destination, disabled, description });
}
