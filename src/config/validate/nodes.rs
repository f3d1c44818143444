//! `[[node]]`: machines, ports, and the addresses on each machine.

use std::borrow::Cow;
use std::net::IpAddr;

use super::names::{Unique, check_name, unknown};
use super::{Report, find_interface};
use crate::config::defaults::{ADDRESS_LIMIT, NODE_LIMIT, PORT_LIMIT};
use crate::config::mac_for;
use crate::config::model::{Config, Driver, Node, NodeInterface, Port};
use crate::types::{MacAddr, Prefix};

pub(super) fn check(config: &Config, report: &mut Report) {
    if config.nodes.is_empty() {
        report.add("node", "There is no machine.", "Add a section [[node]].");
    }
    report.bound("node", "nodes", config.nodes.len(), NODE_LIMIT);
    let mut names = Unique::new("The name", "Give each node its own name.");
    let mut all = Everywhere {
        macs: Unique::new("The MAC address", "Give each interface its own; without `mac` it gets one."),
        addresses: Unique::new("The address", "Give each address to one interface of one node."),
    };
    for (index, node) in config.nodes.iter().enumerate() {
        let path = format!("node[{index}]");
        let name_path = format!("{path}.name");
        check_name(&name_path, &node.name, report);
        names.claim(&name_path, node.name.clone(), &format!("\"{}\"", node.name), report);
        check_loopback(&path, node, report);
        check_ports(config, &path, node, report);
        check_interfaces(config, &path, node, &mut all, report);
        check_overlaps(&path, node, report);
    }
}

fn check_loopback(path: &str, node: &Node, report: &mut Report) {
    let Some(loopback) = node.loopback else { return };
    let path = format!("{path}.loopback");
    let remedy = "Write a loopback address with a port, as in \"127.0.0.1:8080\".";
    if !loopback.ip().is_loopback() {
        let message =
            format!("{} is not a loopback address: others could reach it without TLS.", loopback.ip());
        report.add(&path, message, remedy);
    }
    if loopback.port() == 0 {
        report.add(&path, "0 is not a port.", remedy);
    }
}

/// What must be unique across all nodes.
struct Everywhere {
    macs: Unique<MacAddr>,
    addresses: Unique<IpAddr>,
}

fn check_ports(config: &Config, path: &str, node: &Node, report: &mut Report) {
    report.bound(&format!("{path}.port"), "ports", node.ports.len(), PORT_LIMIT);
    let mut names = Unique::new("The name", "Give each port its own name.");
    let mut devices = Unique::new("The device", "Give each port its own device.");
    for (index, port) in node.ports.iter().enumerate() {
        let path = format!("{path}.port[{index}]");
        let name_path = format!("{path}.name");
        check_name(&name_path, &port.name, report);
        names.claim(&name_path, port.name.as_str(), &format!("\"{}\"", port.name), report);
        let sync = config.pair.as_ref().is_some_and(|pair| pair.sync == port.name);
        if !sync && !config.interfaces.iter().any(|interface| interface.port == port.name) {
            let message = format!("No interface uses the port \"{}\".", port.name);
            report.add(&name_path, message, "Remove the port, or name it in an [[interface]].");
        }
        check_device(&path, port, &mut devices, report);
    }
}

type Device<'a> = (Cow<'a, str>, Option<&'a str>);

fn check_device<'a>(path: &str, port: &'a Port, devices: &mut Unique<Device<'a>>, report: &mut Report) {
    match (&port.tap, &port.macvtap, port.nic) {
        (None, None, None) => report.add(
            format!("{path}.tap"),
            "The port has no device.",
            "Write tap = \"koi-lan\", macvtap = \"/dev/tap7\" or nic = \"52:54:00:12:34:56\".",
        ),
        (Some(_), Some(_), _) => report.add(
            format!("{path}.macvtap"),
            "The port has both a TAP and a macvtap.",
            "Keep one of tap and macvtap.",
        ),
        (Some(_), None, Some(_)) | (None, Some(_), Some(_)) => report.add(
            format!("{path}.nic"),
            "The port has both a network card and another device.",
            "Keep one of tap, macvtap and nic.",
        ),
        (Some(tap), None, None) => {
            check_tap(&format!("{path}.tap"), tap, report);
            let key = (Cow::from(tap.as_str()), port.netns.as_deref());
            devices.claim(&format!("{path}.tap"), key, &format!("\"{tap}\""), report);
        }
        (None, Some(device), None) => {
            check_macvtap(path, port, device, report);
            let key = (Cow::from(device.as_str()), None);
            devices.claim(&format!("{path}.macvtap"), key, &format!("\"{device}\""), report);
        }
        (None, None, Some(mac)) => {
            check_nic(path, port, mac, report);
            let key = (Cow::from(mac.to_string()), None);
            devices.claim(&format!("{path}.nic"), key, &format!("\"{mac}\""), report);
        }
    }
    if let Some(netns) = &port.netns
        && (netns.is_empty() || netns.contains('/') || matches!(netns.as_str(), "." | ".."))
    {
        let message = format!("\"{netns}\" is not the name of a network namespace.");
        report.add(format!("{path}.netns"), message, "Write a name that `ip netns` lists.");
    }
}

/// Names that the kernel takes for a network device (dev_valid_name), without its pattern character.
fn check_tap(path: &str, tap: &str, report: &mut Report) {
    let form = (1..=15).contains(&tap.len())
        && !matches!(tap, "." | "..")
        && tap.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    if !form {
        let remedy = "Write at most 15 letters, digits, - _ and dots.";
        report.add(path, format!("\"{tap}\" is not a name that Linux gives to a device."), remedy);
    }
}

fn check_macvtap(path: &str, port: &Port, device: &str, report: &mut Report) {
    if !device.starts_with('/') {
        let message = format!("\"{device}\" is not the path of a device.");
        report.add(format!("{path}.macvtap"), message, "Write the whole path, as in \"/dev/tap7\".");
    }
    if port.netns.is_some() {
        let message = "A macvtap is opened by its path, so a network namespace has no effect.";
        report.add(format!("{path}.netns"), message, "Remove netns.");
    }
    match port.driver {
        Driver::Offload => {}
        Driver::Plain => {
            let message = "The plain driver cannot serve a macvtap.";
            report.add(format!("{path}.driver"), message, "Remove driver, or use a tap.");
        }
    }
}

fn check_nic(path: &str, port: &Port, mac: MacAddr, report: &mut Report) {
    if mac.is_multicast() || mac == MacAddr::default() {
        let message = format!("{mac} is not the address of a network card.");
        report.add(format!("{path}.nic"), message, "Write the card's own address, as `koi doctor` lists it.");
    }
    if port.netns.is_some() {
        let message = "A network card is looked for where Koi runs, so a network namespace has no effect.";
        report.add(format!("{path}.netns"), message, "Remove netns.");
    }
    match port.driver {
        Driver::Offload => {}
        Driver::Plain => {
            let message = "The plain driver cannot serve a network card.";
            report.add(format!("{path}.driver"), message, "Remove driver, or use a tap.");
        }
    }
}

fn check_interfaces(config: &Config, path: &str, node: &Node, all: &mut Everywhere, report: &mut Report) {
    let mut names = Unique::new("The interface", "Keep one section [[node.interface]] for each interface.");
    for (index, part) in node.interfaces.iter().enumerate() {
        let path = format!("{path}.interface[{index}]");
        let name_path = format!("{path}.name");
        names.claim(&name_path, part.name.as_str(), &format!("\"{}\"", part.name), report);
        if find_interface(config, &part.name).is_none() {
            let known = config.interfaces.iter().map(|interface| interface.name.as_str());
            unknown(&name_path, "interface", &part.name, known, report);
        }
        check_mac(&path, node, part, all, report);
        report.bound(&format!("{path}.addresses"), "addresses", part.addresses.len(), ADDRESS_LIMIT);
        for (index, address) in part.addresses.iter().enumerate() {
            let path = format!("{path}.addresses[{index}]");
            check_address(&path, *address, report);
            all.addresses.claim(&path, address.addr(), &address.addr().to_string(), report);
        }
    }
    for interface in &config.interfaces {
        if !node.interfaces.iter().any(|part| part.name == interface.name) {
            let message = format!("The node says nothing about the interface \"{}\".", interface.name);
            let remedy = format!("Add a section [[node.interface]] with name = \"{}\".", interface.name);
            report.add(format!("{path}.interface"), message, remedy);
        }
    }
}

fn check_mac(path: &str, node: &Node, part: &NodeInterface, all: &mut Everywhere, report: &mut Report) {
    let path = format!("{path}.mac");
    let mac = part.mac.unwrap_or_else(|| mac_for(&node.name, &part.name));
    if mac.is_multicast() || mac == MacAddr::default() {
        let remedy = "Write a unicast address, as in \"02:00:00:00:00:01\", or remove mac.";
        report.add(&path, format!("{mac} is not the address of one station."), remedy);
    }
    all.macs.claim(&path, mac, &mac.to_string(), report);
}

/// May a router have this address?
fn check_address(path: &str, prefix: Prefix, report: &mut Report) {
    let address = prefix.addr();
    let unusable = match address {
        IpAddr::V4(v4) => {
            let first = v4.octets()[0];
            first == 0 || first == 127 || first >= 224 || v4.is_link_local()
        }
        IpAddr::V6(v6) => {
            v6.is_loopback() || v6.is_unspecified() || v6.is_multicast() || v6.to_ipv4_mapped().is_some()
        }
    };
    let link_local = matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
    if unusable {
        report.add(path, format!("{address} cannot be a router's address."), "Write a unicast address.");
    } else if link_local {
        let message = "Each interface makes its link-local address from its MAC address.";
        report.add(path, message, "Remove this one.");
    } else if prefix.prefix_len() == 0 {
        let message = format!("{prefix} would make every address a neighbour.");
        report.add(path, message, "Write the prefix length of the network, as in \"192.168.1.1/24\".");
    } else if is_network_or_broadcast(prefix) {
        let message = format!("{address} stands for the network {} itself.", prefix.trunc());
        report.add(path, message, "Write the address of one station in it.");
    }
}

/// Network and broadcast address of IPv4 (except /31 and /32, RFC 3021), the subnet-router anycast address of
/// IPv6 (except /127 and /128, RFC 6164).
pub(super) fn is_network_or_broadcast(prefix: Prefix) -> bool {
    match prefix {
        Prefix::V4(v4) => v4.prefix_len() < 31 && (v4.addr() == v4.network() || v4.addr() == v4.broadcast()),
        Prefix::V6(v6) => v6.prefix_len() < 127 && v6.addr() == v6.network(),
    }
}

/// Two interfaces of one machine must not lead to the same addresses.
fn check_overlaps(path: &str, node: &Node, report: &mut Report) {
    let networks: Vec<(usize, usize, Prefix)> = node
        .interfaces
        .iter()
        .enumerate()
        .flat_map(|(i, part)| part.addresses.iter().enumerate().map(move |(a, prefix)| (i, a, *prefix)))
        .collect();
    for (index, (later, address, network)) in networks.iter().enumerate() {
        let overlap = networks[..index].iter().find(|(earlier, _, other)| {
            earlier != later && (other.contains(&network.trunc()) || network.contains(&other.trunc()))
        });
        if let Some((earlier, _, other)) = overlap {
            let message = format!(
                "The network {} overlaps {} of the interface \"{}\".",
                network.trunc(),
                other.trunc(),
                node.interfaces[*earlier].name
            );
            let remedy = "Give each interface a network of its own.";
            report.add(format!("{path}.interface[{later}].addresses[{address}]"), message, remedy);
        }
    }
}
