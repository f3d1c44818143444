//! `[pair]`: two machines that act as one, and what the rest of the document owes them.

use super::names::{Unique, unknown};
use super::{Report, virtual_ips_of};
use crate::config::defaults::{PREEMPT_DELAY, PREEMPT_DELAY_RANGE};
use crate::config::model::{Config, Interface, Pair};
use crate::types::{Prefix, PublicKey};

pub(super) fn check(config: &Config, report: &mut Report) {
    match &config.pair {
        Some(pair) => {
            check_sync(config, pair, report);
            check_preference(config, pair, report);
            check_keys(config, report);
            check_advertisements(config, report);
        }
        None => {
            check_no_keys(config, report);
            check_shared(config, report);
        }
    }
}

/// The cable between the two: a port of each node that no interface uses.
fn check_sync(config: &Config, pair: &Pair, report: &mut Report) {
    for node in &config.nodes {
        if !node.ports.iter().any(|port| port.name == pair.sync) {
            let known = node.ports.iter().map(|port| port.name.as_str());
            unknown("pair.sync", &format!("port on node \"{}\" named", node.name), &pair.sync, known, report);
        }
    }
    if let Some(user) = config.interfaces.iter().find(|interface| interface.port == pair.sync) {
        let message = format!("The interface \"{}\" uses the port \"{}\".", user.name, pair.sync);
        let remedy = "Give the nodes a [[node.port]] for their pair alone, and name that one.";
        report.add("pair.sync", message, remedy);
    }
}

fn check_preference(config: &Config, pair: &Pair, report: &mut Report) {
    // The one that is still to come may be meant.
    if config.nodes.len() > 1 && !config.nodes.iter().any(|node| node.name == pair.preferred) {
        let known = config.nodes.iter().map(|node| node.name.as_str());
        unknown("pair.preferred", "node", &pair.preferred, known, report);
    }
    let Pair { preempt, preempt_delay, .. } = pair;
    if !PREEMPT_DELAY_RANGE.contains(preempt_delay) {
        let message = format!("A delay of {preempt_delay} seconds is not possible.");
        let remedy = format!("Write 0 to {} seconds.", PREEMPT_DELAY_RANGE.end());
        report.add("pair.preempt_delay", message, remedy);
    } else if !preempt && *preempt_delay != PREEMPT_DELAY {
        let message = "With preempt = false nobody takes the role back, so the delay has no effect.";
        report.add("pair.preempt_delay", message, "Remove it, or remove preempt = false.");
    }
}

fn check_keys(config: &Config, report: &mut Report) {
    let mut keys: Unique<PublicKey> = Unique::new("The key", "Each node makes a key of its own.");
    for (index, node) in config.nodes.iter().enumerate() {
        let path = format!("node[{index}].public_key");
        match node.public_key {
            Some(key) => keys.claim(&path, key, &key.to_string(), report),
            // Nobody is there who could.
            None if config.nodes.len() == 1 => {}
            None => {
                let message = format!("Nobody knows the node \"{}\" of the pair by its key.", node.name);
                report.add(
                    path,
                    message,
                    "Write the key that the node shows: public_key = \"64 hex digits\".",
                );
            }
        }
    }
}

fn check_no_keys(config: &Config, report: &mut Report) {
    for (index, node) in config.nodes.iter().enumerate() {
        if node.public_key.is_some() {
            let message = "Without a pair nobody asks for the node's key.";
            report.add(format!("node[{index}].public_key"), message, "Add a section [pair], or remove it.");
        }
    }
}

/// Two nodes without a pair would both have a virtual IP, unless CARP itself elects.
fn check_shared(config: &Config, report: &mut Report) {
    if config.nodes.len() < 2 {
        return;
    }
    if let Some(index) = config.virtual_ips.iter().position(|vip| !vip.foreign) {
        let message = "Both nodes would answer for it, since they are no pair.";
        report.add(format!("virtual_ip[{index}].foreign"), message, "Add a section [pair].");
    }
}

/// Hosts must find the router under an address that moves with the role.
fn check_advertisements(config: &Config, report: &mut Report) {
    for (index, interface) in config.interfaces.iter().enumerate() {
        if interface.router_advertisements && !has_virtual_link_local(config, interface) {
            let message = format!(
                "Hosts on \"{}\" would send to one node, whoever leads: there is no link-local virtual IP.",
                interface.name
            );
            let remedy = format!(
                "Add \"fe80::1/64\" to the addresses of a [[virtual_ip]] on \"{}\", or remove \
                 router_advertisements.",
                interface.name
            );
            report.add(format!("interface[{index}].router_advertisements"), message, remedy);
        }
    }
}

fn has_virtual_link_local(config: &Config, interface: &Interface) -> bool {
    virtual_ips_of(config, &interface.name)
        .filter(|vip| !vip.foreign)
        .flat_map(|vip| &vip.addresses)
        .any(|prefix| matches!(prefix, Prefix::V6(v6) if v6.addr().is_unicast_link_local()))
}
