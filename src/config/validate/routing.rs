//! `[[gateway]]` and `[[route]]`.

use std::net::IpAddr;

use super::names::{Unique, check_gateway_name, unknown};
use super::nodes::is_network_or_broadcast;
use super::{Report, addresses, family_name, family_of, find_interface};
use crate::config::defaults::{GATEWAY_LIMIT, ROUTE_LIMIT};
use crate::config::model::{Config, Gateway, Node, Route};
use crate::types::{Family, Prefix};

/// What to do about a gateway that is none.
const NEXT_ROUTER: &str = "Write the address of the next router in the interface's network.";

pub(super) fn check(config: &Config, report: &mut Report) {
    report.bound("gateway", "gateways", config.gateways.len(), GATEWAY_LIMIT);
    report.bound("route", "static routes", config.routes.len(), ROUTE_LIMIT);
    check_gateways(config, report);
    check_routes(config, report);
}

fn check_gateways(config: &Config, report: &mut Report) {
    let mut names = Unique::new("The name", "Give each gateway its own name.");
    let mut next_hops = Unique::new("The next hop", "Keep one gateway for each next hop.");
    let mut defaults: Unique<Family> =
        Unique::new("The default gateway of", "Keep default = true at one of them.");
    for (index, gateway) in config.gateways.iter().enumerate() {
        let path = format!("gateway[{index}]");
        let name_path = format!("{path}.name");
        check_gateway_name(&name_path, &gateway.name, report);
        names.claim(&name_path, gateway.name.as_str(), &format!("\"{}\"", gateway.name), report);
        let hop = (gateway.interface.as_str(), gateway.address);
        next_hops.claim(&format!("{path}.address"), hop, &gateway.address.to_string(), report);
        if gateway.default {
            let family = family_of(gateway.address);
            defaults.claim(&format!("{path}.default"), family, family_name(family), report);
        } else if !config.routes.iter().any(|route| route.gateway == gateway.name) {
            let message = format!("Nothing uses the gateway \"{}\".", gateway.name);
            report.add(&name_path, message, "Set default = true, name it in a [[route]], or remove it.");
        }
        if find_interface(config, &gateway.interface).is_none() {
            let known = config.interfaces.iter().map(|interface| interface.name.as_str());
            unknown(&format!("{path}.interface"), "interface", &gateway.interface, known, report);
        } else if is_own(config, gateway.address) {
            let message = format!("{} is this firewall's own address.", gateway.address);
            report.add(format!("{path}.address"), message, NEXT_ROUTER);
        } else {
            for node in &config.nodes {
                check_next_hop(&format!("{path}.address"), gateway, node, report);
            }
        }
    }
}

/// An address of any node, or a virtual one.
fn is_own(config: &Config, address: IpAddr) -> bool {
    let own = config.nodes.iter().flat_map(|node| &node.interfaces).flat_map(|part| &part.addresses);
    let virtual_ones = config.virtual_ips.iter().flat_map(|vip| &vip.addresses);
    own.chain(virtual_ones).any(|prefix| prefix.addr() == address)
}

/// A gateway must be a neighbour: in a network of its interface, or link-local.
fn check_next_hop(path: &str, gateway: &Gateway, node: &Node, report: &mut Report) {
    let address = gateway.address;
    let parts = node.interfaces.iter().filter(|part| part.name == gateway.interface);
    let networks: Vec<Prefix> = parts.flat_map(|part| part.addresses.iter().copied()).collect();
    let link_local = matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local())
        && networks.iter().any(|network| matches!(network, Prefix::V6(_)));
    let around = networks.iter().find(|network| network.contains(&address));
    match around {
        _ if link_local => {}
        None => {
            let message = format!(
                "{address} is not in a network of the interface \"{}\" on node \"{}\".",
                gateway.interface, node.name
            );
            report.add(path, message, NEXT_ROUTER);
        }
        Some(network) => {
            let station = Prefix::new(address, network.prefix_len());
            if station.is_ok_and(is_network_or_broadcast) {
                let message = format!("{address} stands for the network {} itself.", network.trunc());
                report.add(path, message, NEXT_ROUTER);
            }
        }
    }
}

fn check_routes(config: &Config, report: &mut Report) {
    let mut destinations = Unique::new("The destination", "Keep one route for each destination.");
    for (index, route) in config.routes.iter().enumerate() {
        let path = format!("route[{index}].destination");
        check_destination(config, &path, route.destination, report);
        destinations.claim(&path, route.destination.trunc(), &route.destination.trunc().to_string(), report);
        check_route_gateway(config, &format!("route[{index}].gateway"), route, report);
    }
}

fn check_destination(config: &Config, path: &str, destination: Prefix, report: &mut Report) {
    if destination != destination.trunc() {
        let message = format!("{destination} is not a network: bits behind the prefix length are set.");
        report.add(path, message, format!("Write \"{}\".", destination.trunc()));
        return;
    }
    if destination.prefix_len() == 0 {
        let message = format!("{destination} is the default route.");
        report.add(path, message, "Remove the route and set default = true at its gateway.");
    }
    if destination.addr().is_multicast() {
        report.add(path, format!("{destination} is multicast, which is not routed."), "Remove the route.");
    }
    for interface in &config.interfaces {
        if addresses(config, &interface.name).any(|network| network.trunc() == destination) {
            let message = format!("{destination} is the network of the interface \"{}\".", interface.name);
            report.add(path, message, "Remove the route; the network is reached without one.");
        }
    }
}

fn check_route_gateway(config: &Config, path: &str, route: &Route, report: &mut Report) {
    let Some(gateway) = config.gateways.iter().find(|gateway| gateway.name == route.gateway) else {
        let known = config.gateways.iter().map(|gateway| gateway.name.as_str());
        unknown(path, "gateway", &route.gateway, known, report);
        return;
    };
    let (needs, has) = (family_of(route.destination.addr()), family_of(gateway.address));
    if needs != has {
        let message =
            format!("An {} gateway cannot serve an {} destination.", family_name(has), family_name(needs));
        report.add(path, message, format!("Name an {} gateway.", family_name(needs)));
    }
}
