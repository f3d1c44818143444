//! `[[gateway]]`: next hops, and how they are watched.

use std::net::IpAddr;

use super::names::{Unique, check_gateway_name, unknown};
use super::nodes::is_network_or_broadcast;
use super::{Report, family_name, family_of, find_interface};
use crate::config::defaults::{
    GATEWAY_LIMIT, PROBE_INTERVAL_RANGE, PROBE_LIMIT, PROBE_PAYLOAD_LIMIT, WEIGHT_RANGE,
};
use crate::config::model::{Config, Gateway, Node, Watching, Zone};
use crate::types::{Family, GatewayId, Prefix};

/// What to do about a gateway that is none.
const NEXT_ROUTER: &str = "Write the address of the next router in the interface's network.";

pub(super) fn check(config: &Config, report: &mut Report) {
    report.bound("gateway", "gateways", config.gateways.len(), GATEWAY_LIMIT);
    let mut names = Unique::new("The name", "Give each gateway its own name.");
    let mut numbers: Unique<GatewayId> = Unique::new("The number that stands for", "Choose another name.");
    let mut next_hops = Unique::new("The next hop", "Keep one gateway for each next hop.");
    let mut monitors = Unique::new("The monitor address", "Let each gateway ask another one.");
    for (index, gateway) in config.gateways.iter().enumerate() {
        let path = format!("gateway[{index}]");
        let name_path = format!("{path}.name");
        check_gateway_name(&name_path, &gateway.name, report);
        names.claim(&name_path, gateway.name.as_str(), &format!("\"{}\"", gateway.name), report);
        if !config.gateways[..index].iter().any(|other| other.name == gateway.name) {
            let shown = format!("\"{}\"", gateway.name);
            numbers.claim(&name_path, GatewayId::of(&gateway.name), &shown, report);
        }
        let hop = (gateway.interface.as_str(), gateway.address);
        next_hops.claim(&format!("{path}.address"), hop, &gateway.address.to_string(), report);
        if let Some(monitor) = gateway.monitor {
            monitors.claim(&format!("{path}.monitor"), monitor, &monitor.to_string(), report);
        }
        if !is_used(config, gateway) {
            let message = format!("Nothing uses the gateway \"{}\".", gateway.name);
            let remedy = "Set default = true, name it in a [[route]], a [[gateway_group]] or a [[rule]], or remove it.";
            report.add(&name_path, message, remedy);
        }
        check_place(config, &path, gateway, report);
        check_watching(&path, gateway, report);
    }
    check_defaults(config, report);
}

/// One gateway or group for each family.
fn check_defaults(config: &Config, report: &mut Report) {
    let mut defaults: Unique<Family> =
        Unique::new("The default gateway of", "Keep default = true at one of them.");
    for (index, gateway) in config.gateways.iter().enumerate().filter(|(_, gateway)| gateway.default) {
        let family = family_of(gateway.address);
        defaults.claim(&format!("gateway[{index}].default"), family, family_name(family), report);
    }
    for (index, group) in config.gateway_groups.iter().enumerate().filter(|(_, group)| group.default) {
        if let Some(family) = super::gateway_groups::family(config, group) {
            defaults.claim(&format!("gateway_group[{index}].default"), family, family_name(family), report);
        }
    }
}

/// Answers to what comes in by a WAN go back by its gateway; but where nothing leads out at all, a default was forgotten.
fn is_used(config: &Config, gateway: &Gateway) -> bool {
    let same_family = |other: &Gateway| other.address.is_ipv4() == gateway.address.is_ipv4();
    let in_group = |group: &crate::config::model::GatewayGroup| {
        group.members.iter().any(|member| member.gateway == gateway.name)
    };
    let others = config.gateways.iter().filter(|other| same_family(other));
    let has_default = others.clone().any(|other| other.default)
        || config.gateway_groups.iter().any(|group| {
            group.default
                && group.members.iter().any(|member| others.clone().any(|it| it.name == member.gateway))
        });
    let on_wan = find_interface(config, &gateway.interface).is_some_and(|on| on.zone == Zone::Wan);
    gateway.default
        || config.routes.iter().any(|route| route.gateway == gateway.name)
        || config.rules.iter().any(|rule| rule.gateway.as_ref() == Some(&gateway.name))
        || config.gateway_groups.iter().any(in_group)
        || has_default && on_wan
}

fn check_place(config: &Config, path: &str, gateway: &Gateway, report: &mut Report) {
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
    let here = format!("{path}.monitor");
    if let Some(monitor) = gateway.monitor {
        let (needs, has) = (family_of(gateway.address), family_of(monitor));
        if needs != has {
            let message =
                format!("An {} address says nothing of an {} gateway.", family_name(has), family_name(needs));
            report.add(&here, message, format!("Write an {} address.", family_name(needs)));
        } else if monitor.is_multicast() || monitor.is_unspecified() || is_own(config, monitor) {
            report.add(&here, format!("{monitor} is nobody behind the gateway."), "Write another address.");
        }
    }
}

/// pfSense's own checks, and bounds for what is remembered.
fn check_watching(path: &str, gateway: &Gateway, report: &mut Report) {
    let here = |key: &str| format!("{path}.{key}");
    if !WEIGHT_RANGE.contains(&gateway.weight) {
        report.add(
            here("weight"),
            format!("{} is no weight.", gateway.weight),
            "Write a number from 1 to 30.",
        );
    }
    let watching = gateway.watching();
    let Watching { latency_low, latency_high, loss_low, loss_high, interval, loss_interval, .. } = watching;
    let Watching { time_period, alert_interval, data_payload, .. } = watching;
    let wrong = [
        ("latency_high", latency_low >= latency_high, "is not above latency_low", "Write a greater number."),
        ("loss_high", loss_low >= loss_high, "is not above loss_low", "Write a greater number."),
        ("loss_high", loss_high > 100, "is more than all", "Write at most 100."),
        ("loss_low", loss_low == 0, "would be told without a loss", "Write 1 or more."),
        ("latency_low", latency_low == 0, "would be told without a delay", "Write 1 or more."),
        ("interval", !PROBE_INTERVAL_RANGE.contains(&interval), "is out of bounds", "Write 50 to 60000."),
        (
            "loss_interval",
            loss_interval < latency_high,
            "is below latency_high",
            "Write at least latency_high.",
        ),
        ("loss_interval", loss_interval > 60_000, "is out of bounds", "Write at most 60000."),
        ("alert_interval", alert_interval < interval, "is below interval", "Write at least interval."),
        ("alert_interval", alert_interval > 3_600_000, "is out of bounds", "Write at most 3600000."),
        ("data_payload", data_payload > PROBE_PAYLOAD_LIMIT, "is too large", "Write at most 512."),
    ];
    for (key, _, what, remedy) in wrong.into_iter().filter(|(_, wrong, ..)| *wrong) {
        report.add(here(key), format!("{key} {what}."), remedy);
    }
    let together = u64::from(interval) + u64::from(loss_interval);
    if u64::from(time_period) <= 2 * together {
        let message = "time_period is not above twice the sum of interval and loss_interval.";
        report.add(here("time_period"), message, format!("Write more than {}.", 2 * together));
    } else if time_period / interval.max(1) > PROBE_LIMIT {
        let message = format!("time_period is more than {PROBE_LIMIT} probes.");
        report.add(here("time_period"), message, "Write a smaller number, or a greater interval.");
    }
    check_unwatched(path, gateway, report);
}

/// What is not watched needs no numbers.
fn check_unwatched(path: &str, gateway: &Gateway, report: &mut Report) {
    let ignored = [
        ("monitor", gateway.monitor.is_some()),
        ("action_disable", gateway.action_disable),
        ("data_payload", gateway.data_payload.is_some()),
        ("latency_low", gateway.latency_low.is_some()),
        ("latency_high", gateway.latency_high.is_some()),
        ("loss_low", gateway.loss_low.is_some()),
        ("loss_high", gateway.loss_high.is_some()),
        ("interval", gateway.interval.is_some()),
        ("loss_interval", gateway.loss_interval.is_some()),
        ("time_period", gateway.time_period.is_some()),
        ("alert_interval", gateway.alert_interval.is_some()),
    ];
    for (key, _) in ignored.into_iter().filter(|(_, said)| *said && gateway.monitor_disable) {
        let message = "A gateway that is not watched asks nobody.";
        report.add(format!("{path}.{key}"), message, format!("Remove {key}, or monitor_disable."));
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
