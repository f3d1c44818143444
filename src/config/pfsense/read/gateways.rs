//! `gateways`, `staticroutes`: next hops and routes.

use std::net::IpAddr;

use super::super::report::Group;
use super::super::tree::{Element, Product};
use super::context::{Context, Key};
use crate::config::defaults::{GATEWAY_GROUP_LIMIT, GATEWAY_LIMIT, ROUTE_LIMIT};
use crate::config::model::{FailoverStates, Gateway, GatewayGroup, GroupMember, KillStates, Route, Trigger};
use crate::types::Prefix;

pub(super) fn read(ctx: &mut Context<'_>) {
    let mut items = ctx.list_up_to(GATEWAY_LIMIT, &["gateways"], "gateway_item", "gateway");
    items.extend(ctx.list_up_to(GATEWAY_LIMIT, &["OPNsense", "Gateways"], "gateway_item", "gateway"));
    for (path, element) in items {
        gateway(ctx, &path, element);
    }
    implicit(ctx);
    for (path, element) in
        ctx.list_up_to(GATEWAY_GROUP_LIMIT, &["gateways"], "gateway_group", "gateway group")
    {
        gateway_group(ctx, &path, element);
    }
    defaults(ctx);
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
    let description = element.text_of("descr").unwrap_or_default().into();
    // Before 2.4.4 the gateway itself said so.
    let default = ctx.flag(element, "defaultgw") && !has_default(ctx, address.is_ipv4());
    let plain = Gateway { default, description, ..Gateway::new(&name, &interface, address) };
    let gateway = monitoring(ctx, element, plain);
    ctx.config.gateways.push(gateway);
    ctx.adopt(Key::Gateway(name), "gateway", path, element, &adapted);
}

/// How the gateway is watched.
fn monitoring(ctx: &Context<'_>, element: &Element, plain: Gateway) -> Gateway {
    fn number<T: std::str::FromStr>(element: &Element, key: &str) -> Option<T> {
        element.text_of(key).and_then(|text| text.trim().parse().ok())
    }
    let watched = Gateway {
        weight: number(element, "weight").unwrap_or(1),
        force_down: ctx.flag(element, "force_down"),
        kill_states: kill_states(element),
        ..plain
    };
    if ctx.flag(element, "monitor_disable") {
        return Gateway { monitor_disable: true, ..watched };
    }
    Gateway {
        monitor: number(element, "monitor"),
        action_disable: ctx.flag(element, "action_disable"),
        data_payload: number(element, "data_payload"),
        latency_low: number(element, "latencylow"),
        latency_high: number(element, "latencyhigh"),
        loss_low: number(element, "losslow"),
        loss_high: number(element, "losshigh"),
        interval: number(element, "interval"),
        loss_interval: number(element, "loss_interval"),
        time_period: number(element, "time_period"),
        alert_interval: number(element, "alert_interval"),
        ..watched
    }
}

/// pfSense's words of a gateway and of the firewall as a whole.
pub(super) fn kill_states(element: &Element) -> Option<KillStates> {
    match element.text_of("gw_down_kill_states")? {
        "none" => Some(KillStates::None),
        "down" => Some(KillStates::Down),
        "all" => Some(KillStates::All),
        _ => None,
    }
}

/// Members stand there as `NAME|tier|vip`.
fn gateway_group(ctx: &mut Context<'_>, path: &str, element: &Element) {
    let name = element.text_of("name").unwrap_or_default().to_owned();
    let mut adapted = Vec::new();
    let mut members = Vec::new();
    for item in element.all("item") {
        let mut parts = item.text.trim().split('|');
        let (gateway, tier) = (parts.next().unwrap_or_default(), parts.next());
        let tier = tier.and_then(|tier| tier.trim().parse::<u8>().ok());
        match tier.filter(|_| ctx.config.gateways.iter().any(|other| other.name == gateway)) {
            Some(tier) => members.push(GroupMember { gateway: gateway.into(), tier }),
            None => adapted.push(format!("without {gateway}, which is not in force")),
        }
    }
    if members.is_empty() {
        return ctx.say(Group::Inactive, "gateway group", "none of its gateways is in force", path, element);
    }
    ctx.config.gateway_groups.push(GatewayGroup {
        name: name.clone(),
        members,
        trigger: match element.text_of("trigger").unwrap_or_default() {
            "downloss" => Trigger::DownLoss,
            "downlatency" => Trigger::DownLatency,
            "downlosslatency" => Trigger::DownLossLatency,
            _ => Trigger::Down,
        },
        keep_failover_states: match element.text_of("keep_failover_states").unwrap_or_default() {
            "keep" => Some(FailoverStates::Keep),
            "kill" => Some(FailoverStates::Kill),
            _ => None,
        },
        default: false,
        description: element.text_of("descr").unwrap_or_default().into(),
    });
    ctx.adopt(Key::GatewayGroup(name), "gateway group", path, element, &adapted);
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
        let name = format!("{}_{family}", interface.to_ascii_uppercase());
        let default = !has_default(ctx, v4);
        ctx.config.gateways.push(Gateway { default, ..Gateway::new(&name, interface, *address) });
    }
}

fn has_default(ctx: &Context<'_>, v4: bool) -> bool {
    ctx.config.gateways.iter().any(|gateway| gateway.default && gateway.address.is_ipv4() == v4)
}

fn defaults(ctx: &mut Context<'_>) {
    let Some(section) = ctx.tree.root.child("gateways") else { return automatic_defaults(ctx) };
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
            name if choose_group(ctx, v4, name) => {}
            name => choose(ctx, v4, |gateway| gateway.name == name),
        }
    }
}

/// A group that is in force becomes the default gateway.
fn choose_group(ctx: &mut Context<'_>, v4: bool, name: &str) -> bool {
    let Some(index) = ctx.config.gateway_groups.iter().position(|group| group.name == name) else {
        return false;
    };
    let is_of_family = |gateway: &&mut Gateway| gateway.address.is_ipv4() == v4;
    ctx.config.gateways.iter_mut().filter(is_of_family).for_each(|gateway| gateway.default = false);
    ctx.config.gateway_groups[index].default = true;
    true
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
