//! `virtualip`: virtual hosts of CARP, aliases on them, and further addresses of an interface.

use std::net::IpAddr;

use super::super::report::Group;
use super::super::tree::{Element, Product};
use super::context::{Context, Key};
use super::interfaces::address_of;
use crate::config::defaults::{ADVBASE, ADVSKEW_STANDBY};
use crate::config::model::{Secret, VirtualIp, VirtualMac};
use crate::types::{Prefix, Vhid};

/// Far more than interfaces can have addresses.
const LIMIT: usize = 4096;

pub(super) fn read(ctx: &mut Context<'_>) {
    let all = ctx.list_up_to(LIMIT, &["virtualip"], "vip", "virtual IP");
    let second = is_second(&all);
    for (path, element) in all.iter().filter(|(_, element)| element.text_of("mode") == Some("carp")) {
        carp(ctx, path, element, second);
    }
    for (path, element) in &all {
        match element.text_of("mode").unwrap_or_default() {
            "carp" => {}
            "ipalias" => alias(ctx, path, element),
            "proxyarp" => proxy_arp(ctx, path, element),
            "other" => {
                let how = "the network behind the firewall needs no address here";
                ctx.say(Group::Inactive, "virtual IP", how, path, element);
            }
            other => {
                let how = format!("the type \"{other}\" is not known");
                ctx.say(Group::Impossible, "virtual IP", how, path, element);
            }
        }
    }
}

/// The second node of a pair advertises a hundred more than the first, with every virtual host.
pub(super) fn is_second(vips: &[(String, &Element)]) -> bool {
    let mut skews = vips
        .iter()
        .filter(|(_, element)| element.text_of("mode") == Some("carp"))
        .map(|(_, element)| element.text_of("advskew").and_then(|text| text.parse().ok()).unwrap_or(0u8))
        .peekable();
    skews.peek().is_some() && skews.all(|skew| skew >= ADVSKEW_STANDBY)
}

fn number(element: &Element, key: &str) -> Option<u8> {
    element.text_of(key).and_then(|text| text.parse().ok())
}

/// The address with the mask of the interface's own network, since that is what the address lies in.
fn fitting(ctx: &Context<'_>, interface: &str, prefix: Prefix, adapted: &mut Vec<String>) -> Prefix {
    let around = ctx.addresses(interface).find(|network| network.contains(&prefix.addr()));
    match around.map(|network| network.prefix_len()) {
        Some(length) if length != prefix.prefix_len() => {
            adapted.push(format!("with the mask of its interface, /{length}"));
            Prefix::new(prefix.addr(), length).unwrap_or(prefix)
        }
        Some(_) | None => prefix,
    }
}

fn carp(ctx: &mut Context<'_>, path: &str, element: &Element, second: bool) {
    let address = address_of(element.text_of("subnet").unwrap_or_default(), element.text_of("subnet_bits"));
    let interface = element.text_of("interface").and_then(|name| ctx.interface(name)).map(str::to_owned);
    let (Some(address), Some(interface), Some(vhid)) = (address, interface, number(element, "vhid")) else {
        return ctx.say(Group::Inactive, "virtual IP", "its interface is not in force", path, element);
    };
    let mut adapted = Vec::new();
    let advskew = number(element, "advskew").unwrap_or(0);
    if second {
        adapted.push(
            "the file is that of a second node, which adds 100 to the skew; here the pair does so itself"
                .into(),
        );
    }
    let address = fitting(ctx, &interface, address, &mut adapted);
    ctx.config.virtual_ips.push(VirtualIp {
        interface: interface.clone(),
        vhid: Vhid(vhid),
        addresses: vec![address],
        password: Secret::new(element.text_of("password").unwrap_or_default()),
        advbase: number(element, "advbase").unwrap_or(ADVBASE),
        advskew: if second { advskew - ADVSKEW_STANDBY } else { advskew },
        foreign: false,
        preempt: None,
        peer: None,
        mac: VirtualMac::default(),
        description: element.text_of("descr").unwrap_or_default().into(),
    });
    ctx.adopt(Key::Vip(interface, vhid), "virtual IP", path, element, &adapted);
}

/// The virtual host that an alias goes with: pfSense names it, OPNsense gives its VHID.
fn carrier(ctx: &Context<'_>, element: &Element) -> Option<usize> {
    let there = element.text_of("interface")?;
    let vhid = match (there.strip_prefix("_vip"), ctx.tree.product) {
        (Some(id), _) => {
            let carp = ctx.vips.get(id)?;
            let interface = ctx.interface(carp.text_of("interface")?)?.to_owned();
            return position(ctx, &interface, number(carp, "vhid")?);
        }
        (None, Product::Opnsense) => number(element, "vhid")?,
        (None, Product::Pfsense) => return None,
    };
    position(ctx, ctx.interface(there)?, vhid)
}

fn position(ctx: &Context<'_>, interface: &str, vhid: u8) -> Option<usize> {
    ctx.config.virtual_ips.iter().position(|vip| vip.interface == interface && vip.vhid.0 == vhid)
}

fn alias(ctx: &mut Context<'_>, path: &str, element: &Element) {
    let Some(address) =
        address_of(element.text_of("subnet").unwrap_or_default(), element.text_of("subnet_bits"))
    else {
        return ctx.say(Group::Impossible, "virtual IP", "its address is none", path, element);
    };
    let mut adapted = Vec::new();
    if let Some(index) = carrier(ctx, element) {
        let interface = ctx.config.virtual_ips[index].interface.clone();
        let address = fitting(ctx, &interface, address, &mut adapted);
        ctx.config.virtual_ips[index].addresses.push(address);
        return ctx.adopt(Key::Address(interface, address.addr()), "virtual IP", path, element, &adapted);
    }
    own_address(ctx, path, element, address, adapted);
}

/// Another address of the interface, on this node alone.
fn own_address(
    ctx: &mut Context<'_>,
    path: &str,
    element: &Element,
    address: Prefix,
    mut adapted: Vec<String>,
) {
    let Some(interface) =
        element.text_of("interface").and_then(|name| ctx.interface(name)).map(str::to_owned)
    else {
        return ctx.say(Group::Inactive, "virtual IP", "its interface is not in force", path, element);
    };
    let address = fitting(ctx, &interface, address, &mut adapted);
    let parts = ctx.config.nodes.iter_mut().flat_map(|node| &mut node.interfaces);
    if let Some(part) = parts.into_iter().find(|part| part.name == interface) {
        part.addresses.push(address);
    }
    ctx.adopt(Key::Address(interface, address.addr()), "virtual IP", path, element, &adapted);
}

/// Somebody must answer for the address; when it is one address of the interface's network, the interface can.
fn proxy_arp(ctx: &mut Context<'_>, path: &str, element: &Element) {
    let bits = element.text_of("subnet_bits").unwrap_or("32");
    let address = address_of(element.text_of("subnet").unwrap_or_default(), Some(bits));
    let interface =
        element.text_of("interface").and_then(|name| ctx.interface(name)).unwrap_or_default().to_owned();
    let single = address.filter(|prefix| prefix.prefix_len() == prefix.max_prefix_len());
    let is_near = |address: IpAddr| ctx.addresses(&interface).any(|network| network.contains(&address));
    let host = ctx.config.virtual_ips.iter().position(|vip| vip.interface == interface);
    match (single.filter(|prefix| is_near(prefix.addr())), host) {
        (Some(address), Some(index)) => {
            let mut adapted =
                vec!["proxy ARP: Koi answers for it as for its own, where the virtual IP is".into()];
            let address = fitting(ctx, &interface, address, &mut adapted);
            ctx.config.virtual_ips[index].addresses.push(address);
            ctx.adopt(Key::Address(interface, address.addr()), "virtual IP", path, element, &adapted);
        }
        (Some(address), None) => {
            own_address(
                ctx,
                path,
                element,
                address,
                vec!["proxy ARP: Koi answers for it as for its own".into()],
            );
        }
        (None, _) => {
            let how = "proxy ARP for a network: Koi answers for single addresses of its own networks only";
            ctx.say(Group::Impossible, "virtual IP", how, path, element);
        }
    }
}
