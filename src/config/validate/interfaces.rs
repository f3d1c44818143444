//! `[[interface]]`: logical interfaces.

use super::names::{Unique, check_name, unknown};
use super::{Report, addresses};
use crate::config::defaults::{INTERFACE_LIMIT, MSS_MIN, MTU_IPV6, MTU_RANGE, VLAN_RANGE};
use crate::config::model::{Config, Interface, Zone};
use crate::types::Prefix;

pub(super) fn check(config: &Config, report: &mut Report) {
    // A node that waits to join a pair gets its interfaces from there.
    let waits = config.pair.is_some() && config.nodes.len() == 1;
    if config.interfaces.is_empty() && !waits {
        report.add("interface", "There is no interface.", "Add a section [[interface]].");
    }
    report.bound("interface", "interfaces", config.interfaces.len(), INTERFACE_LIMIT);
    let mut names = Unique::new("The name", "Give each interface its own name.");
    let mut places = Unique::new("The place", "Give one of the two interfaces another port or another vlan.");
    for (index, interface) in config.interfaces.iter().enumerate() {
        let path = format!("interface[{index}]");
        let name_path = format!("{path}.name");
        check_name(&name_path, &interface.name, report);
        names.claim(&name_path, interface.name.as_str(), &format!("\"{}\"", interface.name), report);
        let (port_path, shown) = match interface.vlan {
            Some(vlan) => (format!("{path}.vlan"), format!("vlan {vlan} on port \"{}\"", interface.port)),
            None => (format!("{path}.port"), format!("untagged on port \"{}\"", interface.port)),
        };
        places.claim(&port_path, (interface.port.as_str(), interface.vlan), &shown, report);
        check_port(config, &path, interface, report);
        check_sizes(config, &path, interface, report);
        check_advertisements(config, &path, interface, report);
    }
}

fn check_port(config: &Config, path: &str, interface: &Interface, report: &mut Report) {
    for node in &config.nodes {
        if !node.ports.iter().any(|port| port.name == interface.port) {
            let known = node.ports.iter().map(|port| port.name.as_str());
            unknown(
                &format!("{path}.port"),
                &format!("port on node \"{}\" named", node.name),
                &interface.port,
                known,
                report,
            );
        }
    }
    if let Some(vlan) = interface.vlan
        && !VLAN_RANGE.contains(&vlan)
    {
        let remedy = "Write 1 to 4094, or remove vlan for untagged frames.";
        report.add(format!("{path}.vlan"), format!("{vlan} is not an 802.1Q tag of a VLAN."), remedy);
    }
}

fn check_sizes(config: &Config, path: &str, interface: &Interface, report: &mut Report) {
    let Interface { mtu, mss, scrub, .. } = interface;
    if scrub.min_ttl == Some(0) {
        let remedy = "Write 1 to 255, or remove min_ttl.";
        report.add(format!("{path}.scrub.min_ttl"), "A packet with 0 hops left goes nowhere.", remedy);
    }
    let has_ipv6 = addresses(config, &interface.name).any(|prefix| matches!(prefix, Prefix::V6(_)));
    if !MTU_RANGE.contains(mtu) {
        let remedy = format!("Write {} to {} bytes.", MTU_RANGE.start(), MTU_RANGE.end());
        report.add(format!("{path}.mtu"), format!("An MTU of {mtu} bytes is not possible."), remedy);
    } else if has_ipv6 && *mtu < MTU_IPV6 {
        let message = format!("IPv6 does not work over an MTU of {mtu} bytes (RFC 8200 section 5).");
        let remedy = format!("Write {MTU_IPV6} or more, or remove the interface's IPv6 addresses.");
        report.add(format!("{path}.mtu"), message, remedy);
    }
    if let Some(mss) = mss
        && !(MSS_MIN..=*mtu).contains(mss)
    {
        let message = format!("Clamping the MSS to {mss} bytes minus headers has no effect or breaks TCP.");
        let remedy = format!("Write {MSS_MIN} to {mtu} (the MTU), or remove mss.");
        report.add(format!("{path}.mss"), message, remedy);
    }
}

fn check_advertisements(config: &Config, path: &str, interface: &Interface, report: &mut Report) {
    if !interface.router_advertisements {
        return;
    }
    let path = format!("{path}.router_advertisements");
    if interface.zone == Zone::Wan {
        let message = "This router must not announce itself on a WAN.";
        report.add(path, message, "Remove router_advertisements.");
        return;
    }
    for node in &config.nodes {
        let parts = node.interfaces.iter().filter(|part| part.name == interface.name);
        let mut networks = parts.flat_map(|part| &part.addresses);
        // Hosts make addresses for themselves in a /64 only (RFC 4862 section 5.5.3 d, RFC 7421).
        if !networks.any(|prefix| matches!(prefix, Prefix::V6(v6) if v6.prefix_len() == 64)) {
            let message = format!(
                "There is nothing to announce: \"{}\" has no IPv6 /64 network on node \"{}\".",
                interface.name, node.name
            );
            report.add(&path, message, "Give it an IPv6 address with /64, or remove router_advertisements.");
        }
    }
}
