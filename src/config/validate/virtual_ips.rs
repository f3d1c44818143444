//! `[[virtual_ip]]`: virtual hosts of CARP and their addresses.

use std::net::IpAddr;

use super::names::{Unique, unknown};
use super::nodes::is_network_or_broadcast;
use super::{Report, addresses, find_interface};
use crate::config::canonical::mac_of;
use crate::config::defaults::{
    ADDRESS_LIMIT, ADVBASE_RANGE, ADVSKEW_MAX, CARP_PASSWORD_LIMIT, VIRTUAL_IP_LIMIT,
};
use crate::config::link_local;
use crate::config::model::{Config, Secret, VirtualIp};
use crate::types::{Prefix, Vhid};

pub(super) fn check(config: &Config, report: &mut Report) {
    report.bound("virtual_ip", "virtual IPs", config.virtual_ips.len(), VIRTUAL_IP_LIMIT);
    let mut all = Everywhere {
        vhids: Unique::new("On this interface the VHID", "Give each virtual IP of an interface its own."),
        addresses: Unique::new("The address", "Give each address to one virtual IP."),
        link_locals: Unique::new("The link-local address of", "Keep one for each interface."),
    };
    for (index, vip) in config.virtual_ips.iter().enumerate() {
        let path = format!("virtual_ip[{index}]");
        check_numbers(&path, vip, report);
        check_password(&format!("{path}.password"), &vip.password, report);
        if find_interface(config, &vip.interface).is_none() {
            let known = config.interfaces.iter().map(|interface| interface.name.as_str());
            unknown(&format!("{path}.interface"), "interface", &vip.interface, known, report);
            continue;
        }
        let place = (vip.interface.as_str(), vip.vhid);
        all.vhids.claim(&format!("{path}.vhid"), place, &vip.vhid.to_string(), report);
        check_addresses(config, &path, vip, &mut all, report);
        check_foreign(config, &path, vip, report);
    }
}

/// What must be unique across all virtual IPs.
struct Everywhere<'a> {
    vhids: Unique<(&'a str, Vhid)>,
    addresses: Unique<(Option<&'a str>, IpAddr)>,
    link_locals: Unique<&'a str>,
}

fn check_numbers(path: &str, vip: &VirtualIp, report: &mut Report) {
    if vip.vhid.0 == 0 {
        report.add(format!("{path}.vhid"), "0 is not a VHID.", "Write a number from 1 to 255.");
    }
    if !ADVBASE_RANGE.contains(&vip.advbase) {
        let message = format!("Advertisements cannot be {} seconds apart.", vip.advbase);
        let remedy = format!("Write {} to {} seconds.", ADVBASE_RANGE.start(), ADVBASE_RANGE.end());
        report.add(format!("{path}.advbase"), message, remedy);
    }
    if vip.advskew > ADVSKEW_MAX {
        let message = format!("A skew of {} means that the sender leaves.", vip.advskew);
        report.add(format!("{path}.advskew"), message, format!("Write 0 to {ADVSKEW_MAX}."));
    }
}

/// Other speakers of CARP must be able to hold the same password: pfSense takes spaces out and puts backslashes in
/// front of quotes before the kernel sees it, ucarp takes no more than 19 bytes.
fn check_password(path: &str, password: &Secret, report: &mut Report) {
    let remedy = format!("Write 1 to {CARP_PASSWORD_LIMIT} letters, digits and signs.");
    let length = password.reveal().len();
    let foreign = |byte: u8| !byte.is_ascii_graphic() || matches!(byte, b'/' | b'\\' | b'"' | b'\'');
    if length == 0 {
        report.add(path, "The password is empty.", remedy);
    } else if length > CARP_PASSWORD_LIMIT {
        report.add(path, format!("The password has {length} bytes, more than CARP takes."), remedy);
    } else if password.reveal().bytes().any(foreign) {
        let message = "Other firewalls change or refuse spaces, quotes, slashes and letters beyond ASCII.";
        report.add(path, message, remedy);
    }
}

fn check_addresses<'a>(
    config: &'a Config,
    path: &str,
    vip: &'a VirtualIp,
    all: &mut Everywhere<'a>,
    report: &mut Report,
) {
    let path = format!("{path}.addresses");
    report.bound(&path, "addresses", vip.addresses.len(), ADDRESS_LIMIT);
    if vip.addresses.is_empty() {
        report.add(&path, "The virtual IP has no address.", "Write at least one, as in \"192.168.1.1/24\".");
    }
    for (index, prefix) in vip.addresses.iter().enumerate() {
        let path = format!("{path}[{index}]");
        let address = prefix.addr();
        let link_local = matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
        // A link-local address means something on its own link only.
        let scope = link_local.then_some(vip.interface.as_str());
        all.addresses.claim(&path, (scope, address), &address.to_string(), report);
        match link_local {
            true => {
                all.link_locals.claim(&path, &vip.interface, &format!("\"{}\"", vip.interface), report);
                check_link_local(config, &path, vip, *prefix, report);
            }
            false => check_network(config, &path, vip, *prefix, report),
        }
    }
}

fn check_link_local(config: &Config, path: &str, vip: &VirtualIp, prefix: Prefix, report: &mut Report) {
    let own = config.nodes.iter().find(|node| {
        mac_of(node, &vip.interface).is_some_and(|mac| IpAddr::V6(link_local(mac)) == prefix.addr())
    });
    if let Some(node) = own {
        let message = format!("{} is the address of node \"{}\" itself.", prefix.addr(), node.name);
        report.add(path, message, "Write another one, as in \"fe80::1/64\".");
    } else if prefix.prefix_len() != 64 {
        let message = format!("The link-local network is fe80::/64, not {}.", prefix.trunc());
        report.add(path, message, format!("Write \"{}/64\".", prefix.addr()));
    } else if is_network_or_broadcast(prefix) {
        let message = format!("{} stands for the network itself.", prefix.addr());
        report.add(path, message, "Write the address of one station in it, as in \"fe80::1/64\".");
    }
}

/// Whoever leads must be able to have the address: it lies in a network that every node has there.
fn check_network(config: &Config, path: &str, vip: &VirtualIp, prefix: Prefix, report: &mut Report) {
    let address = prefix.addr();
    let owner = config.nodes.iter().find(|node| {
        node.interfaces.iter().flat_map(|part| &part.addresses).any(|own| own.addr() == address)
    });
    if let Some(owner) = owner {
        let message = format!("{address} is the address of node \"{}\" itself.", owner.name);
        report.add(path, message, "Write an address that no node has.");
        return;
    }
    for node in &config.nodes {
        let parts = node.interfaces.iter().filter(|part| part.name == vip.interface);
        let mut networks =
            parts.flat_map(|part| &part.addresses).filter(|network| network.contains(&address));
        match networks.next() {
            None => {
                let message = format!(
                    "{address} is not in a network of the interface \"{}\" on node \"{}\".",
                    vip.interface, node.name
                );
                let remedy =
                    "Write an address of the interface's network, or give every node one in that network.";
                return report.add(path, message, remedy);
            }
            Some(network) if network.prefix_len() != prefix.prefix_len() => {
                let message = format!("{prefix} is not the mask of the network {}.", network.trunc());
                return report.add(path, message, format!("Write \"{address}/{}\".", network.prefix_len()));
            }
            Some(_) => {}
        }
    }
    if is_network_or_broadcast(prefix) {
        let message = format!("{address} stands for the network {} itself.", prefix.trunc());
        report.add(path, message, "Write the address of one station in it.");
    }
}

/// What only a foreign VHID has.
fn check_foreign(config: &Config, path: &str, vip: &VirtualIp, report: &mut Report) {
    let VirtualIp { foreign, preempt, peer, .. } = vip;
    if !foreign {
        for (key, present) in [("preempt", preempt.is_some()), ("peer", peer.is_some())] {
            if present {
                let message =
                    format!("Only a VHID with foreign = true elects alone, so {key} has no effect.");
                report.add(format!("{path}.{key}"), message, format!("Remove {key}."));
            }
        }
        return;
    }
    let Some(peer) = peer else { return };
    let path = format!("{path}.peer");
    let own = config.nodes.iter().flat_map(|node| &node.interfaces).flat_map(|part| &part.addresses);
    let virtual_ones = config.virtual_ips.iter().flat_map(|vip| &vip.addresses);
    let remedy = "Write the other speaker's own address in the interface's network.";
    if own.chain(virtual_ones).any(|prefix| prefix.addr() == *peer) {
        report.add(path, format!("{peer} is this firewall's own address."), remedy);
    } else if !addresses(config, &vip.interface).any(|network| network.contains(peer)) {
        let message = format!("{peer} is not in a network of the interface \"{}\".", vip.interface);
        report.add(path, message, remedy);
    } else if !vip.addresses.iter().any(|prefix| prefix.addr().is_ipv4() == peer.is_ipv4()) {
        let message = "The virtual IP has no address of its peer's family, so nothing is sent there.";
        report.add(path, message, "Write an address of the other family, or remove peer.");
    }
}
