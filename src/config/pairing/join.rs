//! A second node joins a pair of one.

use serde::{Deserialize, Serialize};

use super::{OwnAddress, PortPlan, find_node, finish, lacking};
use crate::config::model::{Config, Node, NodeInterface};
use crate::config::{Problem, Valid};
use crate::types::PublicKey;

/// What a node brings to the pair.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Newcomer {
    /// Its part of the shared document, with all ports that it has.
    pub node: Node,
    /// Its own name for the port of the cable.
    pub sync: String,
}

/// What a node with the document `config` brings. Ports are those of its document, and those that are named; an
/// interface has the addresses that are named, or those of its document.
///
/// # Errors
/// When a port has no device.
pub fn newcomer(
    config: &Config,
    name: &str,
    public_key: PublicKey,
    sync: &PortPlan,
    ports: &[PortPlan],
    addresses: &[OwnAddress],
) -> Result<Newcomer, Vec<Problem>> {
    let mut node = find_node(config, name)?.clone();
    node.public_key = Some(public_key);
    for (option, plan) in ports.iter().map(|plan| ("--port", plan)).chain([("--sync", sync)]) {
        let Some(port) = plan.find(&node.ports) else {
            let message = format!("Node \"{name}\" has no port \"{}\".", plan.name);
            let remedy = format!("Name its device, too, as in {option} {}=koi-{}.", plan.name, plan.name);
            return Err(vec![Problem::new(option, message, remedy)]);
        };
        node.ports.retain(|known| known.name != port.name);
        node.ports.push(port);
    }
    for (interface, address) in addresses {
        node.interfaces.retain(|part| part.name != *interface || addresses_named(addresses, part));
        match node.interfaces.iter_mut().find(|part| part.name == *interface) {
            Some(part) => part.addresses.push(*address),
            None => node.interfaces.push(NodeInterface {
                name: interface.clone(),
                mac: mac_in(config, name, interface),
                addresses: vec![*address],
            }),
        }
    }
    Ok(Newcomer { node, sync: sync.name.clone() })
}

/// True when all addresses of the part were named: then it has been replaced already.
fn addresses_named(addresses: &[OwnAddress], part: &NodeInterface) -> bool {
    part.addresses.iter().all(|own| addresses.contains(&(part.name.clone(), *own)))
}

fn mac_in(config: &Config, node: &str, interface: &str) -> Option<crate::types::MacAddr> {
    let node = config.nodes.iter().find(|known| known.name == node)?;
    node.interfaces.iter().find(|part| part.name == interface)?.mac
}

/// The document of a pair of one with the newcomer in it: the same on both nodes. Ports that the document has no use
/// for are left out.
///
/// # Errors
/// Every problem.
pub fn join(document: &Config, newcomer: &Newcomer) -> Result<Valid<Config>, Vec<Problem>> {
    let Newcomer { node, sync } = newcomer;
    let problem = |path: &str, message: String, remedy: &str| Err(vec![Problem::new(path, message, remedy)]);
    let (Some(pair), [first]) = (&document.pair, &document.nodes[..]) else {
        return problem(
            "pair",
            "The shared document is not that of a pair that waits for its second node.".into(),
            "Use koi pair create or koi pair replace on the other node.",
        );
    };
    if first.name == node.name {
        let message = format!("Both nodes have the name \"{}\".", node.name);
        return problem("node", message, "Give one of them another name in its document, and restart it.");
    }
    let own: Vec<OwnAddress> = node
        .interfaces
        .iter()
        .flat_map(|part| part.addresses.iter().map(|address| (part.name.clone(), *address)))
        .collect();
    let mut problems: Vec<Problem> =
        lacking(document, &own).iter().map(|lacking| lacking.problem(&node.name)).collect();
    let mut node = node.clone();
    node.ports.retain(|port| port.name == *sync || port.name != pair.sync);
    for port in node.ports.iter_mut().filter(|port| port.name == *sync) {
        port.name.clone_from(&pair.sync);
    }
    let wanted =
        |name: &str| name == pair.sync || document.interfaces.iter().any(|interface| interface.port == name);
    node.ports.retain(|port| wanted(&port.name));
    for port in first.ports.iter().filter(|port| wanted(&port.name)) {
        if !node.ports.iter().any(|own| own.name == port.name) {
            problems.push(Problem::new(
                format!("--port {}=...", port.name),
                format!("Node \"{}\" has no port \"{}\".", node.name, port.name),
                format!("Add --port {}=TAP.", port.name),
            ));
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    // The order of the first node, for whoever reads it.
    node.ports.sort_by_key(|port| first.ports.iter().position(|known| known.name == port.name));
    node.interfaces.sort_by_key(|part| first.interfaces.iter().position(|known| known.name == part.name));
    let mut merged = document.clone();
    merged.nodes.push(node);
    finish(merged)
}
