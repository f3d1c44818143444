//! `gateways`, `staticroutes`: next hops and routes.

use std::net::IpAddr;

use super::super::report::Group;
use super::super::tree::{Element, Product};
use super::context::{Context, Key};
use crate::config::defaults::{GATEWAY_LIMIT, ROUTE_LIMIT};
use crate::config::model::{Gateway, Route};
use crate::types::Prefix;

/// What a gateway says of its monitoring; gateways are not watched with these numbers yet.
static MONITORING: &[&str] = &[
    "monitor",
    "latencylow",
    "latencyhigh",
    "losslow",
    "losshigh",
    "interval",
    "loss_interval",
    "time_period",
    "alert_interval",
    "data_payload",
    "weight",
    "gw_down_kill_states",
];

pub(super) fn read(ctx: &mut Context<'_>) {
    let mut items = ctx.list_up_to(GATEWAY_LIMIT, &["gateways"], "gateway_item", "gateway");
    items.extend(ctx.list_up_to(GATEWAY_LIMIT, &["OPNsense", "Gateways"], "gateway_item", "gateway"));
    for (path, element) in items {
        gateway(ctx, &path, element);
    }
    implicit(ctx);
    defaults(ctx);
    for (path, element) in ctx.list(&["gateways"], "gateway_group") {
        ctx.say(Group::Inactive, "gateway group", "gateways are not grouped yet", &path, element);
    }
    let mut routes = ctx.list_up_to(ROUTE_LIMIT, &["staticroutes"], "route", "route");
    routes.extend(ctx.list_up_to(ROUTE_LIMIT, &["OPNsense", "route"], "route", "route"));
    for (path, element) in routes {
        route(ctx, &path, element);
    }
}

fn gateway(ctx: &mut Context<'_>, path: &str, element: &Element) {
    let refuse = |ctx: &mut Context<'_>, group, how: &str| ctx.say(group, "gateway", how, path, element);
    if ctx.flag(element, "disabled") {
        return refuse(ctx, Group::Inactive, "it is disabled there");
    }
    let name = element.text_of("name").unwrap_or_default().to_owned();
    let there = element.text_of("interface").unwrap_or_default();
    let Some(interface) = ctx.interface(there).map(str::to_owned) else {
        return refuse(ctx, Group::Inactive, "its interface is not in force");
    };
    let mut adapted = Vec::new();
    let address = element.text_of("gateway").unwrap_or("dynamic");
    let v4 = element.text_of("ipprotocol") != Some("inet6");
    let given =
        ctx.options.gateways.iter().find(|(name, address)| *name == interface && address.is_ipv4() == v4);
    let address = match (address.parse::<IpAddr>(), given) {
        (Ok(address), _) => address,
        (Err(_), Some((_, address))) => {
            adapted.push(format!("with the address {address} that was given"));
            *address
        }
        (Err(_), None) => {
            let how = "its address comes by DHCP or dial-up: give one with --gateway INTERFACE=ADDRESS";
            return refuse(ctx, Group::Impossible, how);
        }
    };
    if ctx.flag(element, "force_down") {
        return refuse(ctx, Group::Inactive, "it is marked as down");
    }
    if MONITORING.iter().any(|key| element.text_of(key).is_some()) {
        adapted.push("its monitoring settings are kept, but not in force".to_owned());
    }
    let description = element.text_of("descr").unwrap_or_default().into();
    // Before 2.4.4 the gateway itself said so.
    let default = ctx.flag(element, "defaultgw") && !has_default(ctx, address.is_ipv4());
    ctx.config.gateways.push(Gateway { name: name.clone(), interface, address, default, description });
    ctx.adopt(Key::Gateway(name), "gateway", path, element, &adapted);
}

/// The gateway of a dynamic interface has a name there without standing in the file.
fn implicit(ctx: &mut Context<'_>) {
    for (interface, address) in &ctx.options.gateways {
        let v4 = address.is_ipv4();
        let has = |gateway: &Gateway| gateway.interface == *interface && gateway.address.is_ipv4() == v4;
        if ctx.interface(interface).is_none() || ctx.config.gateways.iter().any(has) {
            continue;
        }
        let family = if v4 { "DHCP" } else { "DHCP6" };
        ctx.config.gateways.push(Gateway {
            name: format!("{}_{family}", interface.to_ascii_uppercase()),
            interface: interface.clone(),
            address: *address,
            default: !has_default(ctx, v4),
            description: String::new(),
        });
    }
}

fn has_default(ctx: &Context<'_>, v4: bool) -> bool {
    ctx.config.gateways.iter().any(|gateway| gateway.default && gateway.address.is_ipv4() == v4)
}

fn defaults(ctx: &mut Context<'_>) {
    let Some(section) = ctx.tree.root.child("gateways") else { return automatic_defaults(ctx) };
    let path = |key: &str| format!("gateways/{key}");
    for (key, v4) in [("defaultgw4", true), ("defaultgw6", false)] {
        let Some(element) = section.child(key) else {
            automatic(ctx, v4);
            continue;
        };
        match element.text.trim() {
            "-" => ctx.config.gateways.iter_mut().filter(|gateway| gateway.address.is_ipv4() == v4).for_each(
                |gateway| {
                    gateway.default = false;
                },
            ),
            "" => automatic(ctx, v4),
            name => {
                let member = first_member(ctx, name);
                let meant = member.as_deref().unwrap_or(name);
                choose(ctx, v4, |gateway| gateway.name == meant);
                if let Some(member) = &member {
                    let how = format!(
                        "the default gateway is the group {name}; here it is its first member, {member}"
                    );
                    ctx.say(Group::Adapted, "default gateway", how, &path(key), element);
                }
            }
        }
    }
}

fn automatic_defaults(ctx: &mut Context<'_>) {
    automatic(ctx, true);
    automatic(ctx, false);
}

/// pfSense's "automatic": the first gateway of the family that an interface names as its upstream; OPNsense goes by
/// priority.
fn automatic(ctx: &mut Context<'_>, v4: bool) {
    if has_default(ctx, v4) {
        return;
    }
    if ctx.tree.product == Product::Opnsense {
        let items: Vec<(String, u32)> = ctx
            .list(&["OPNsense", "Gateways"], "gateway_item")
            .iter()
            .filter(|(_, item)| ctx.flag(item, "defaultgw"))
            .map(|(_, item)| {
                let priority = item.text_of("priority").and_then(|text| text.parse().ok());
                (item.text_of("name").unwrap_or_default().to_owned(), priority.unwrap_or(255))
            })
            .collect();
        let best = items.into_iter().min_by_key(|(_, priority)| *priority);
        if let Some((name, _)) = best {
            return choose(ctx, v4, |gateway| gateway.name == name);
        }
    }
    let upstream: Vec<String> = ctx.tree.root.child("interfaces").map_or(Vec::new(), |section| {
        let names = section
            .children
            .iter()
            .flat_map(|element| [element.text_of("gateway"), element.text_of("gatewayv6")]);
        names.flatten().map(str::to_owned).collect()
    });
    choose(ctx, v4, |gateway| upstream.contains(&gateway.name));
}

fn choose(ctx: &mut Context<'_>, v4: bool, is_meant: impl Fn(&Gateway) -> bool) {
    let mut gateways = ctx.config.gateways.iter_mut().filter(|gateway| gateway.address.is_ipv4() == v4);
    if let Some(gateway) = gateways.find(|gateway| is_meant(gateway)) {
        gateway.default = true;
        let name = gateway.name.clone();
        let others = ctx
            .config
            .gateways
            .iter_mut()
            .filter(|other| other.address.is_ipv4() == v4 && other.name != name);
        others.for_each(|other| other.default = false);
    }
}

/// The first member of the lowest tier that is in force: `NAME|tier|vip`.
fn first_member(ctx: &Context<'_>, group: &str) -> Option<String> {
    let groups = ctx.list(&["gateways"], "gateway_group");
    let (_, element) = groups.into_iter().find(|(_, element)| element.text_of("name") == Some(group))?;
    let members = element.all("item").filter_map(|item| {
        let mut parts = item.text.trim().split('|');
        let name = parts.next()?;
        let tier: u32 = parts.next()?.parse().ok()?;
        ctx.config.gateways.iter().any(|gateway| gateway.name == name).then_some((tier, name))
    });
    members.min_by_key(|(tier, _)| *tier).map(|(_, name)| name.into())
}

fn route(ctx: &mut Context<'_>, path: &str, element: &Element) {
    if ctx.flag(element, "disabled") {
        return ctx.say(Group::Inactive, "route", "it is disabled there", path, element);
    }
    let gateway = element.text_of("gateway").unwrap_or_default().to_owned();
    let Some(destination) = element.text_of("network").and_then(|text| text.parse::<Prefix>().ok()) else {
        return ctx.say(Group::Impossible, "route", "its destination is an alias", path, element);
    };
    if !ctx.config.gateways.iter().any(|other| other.name == gateway) {
        return ctx.say(Group::Inactive, "route", "its gateway is not in force", path, element);
    }
    let description = element.text_of("descr").unwrap_or_default().into();
    let destination = destination.trunc();
    ctx.config.routes.push(Route { destination, gateway, description });
    ctx.adopt(Key::Route(destination), "route", path, element, &[]);
}
