//! `[[route]]`.

use super::names::{Unique, unknown};
use super::{Report, addresses, family_name, family_of};
use crate::config::defaults::ROUTE_LIMIT;
use crate::config::model::{Config, Route};
use crate::types::Prefix;

pub(super) fn check(config: &Config, report: &mut Report) {
    report.bound("route", "static routes", config.routes.len(), ROUTE_LIMIT);
    check_routes(config, report);
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
