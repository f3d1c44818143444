//! The networks in which each node of a pair needs an address of its own.

use super::OwnAddress;
use crate::config::Problem;
use crate::config::model::{Config, Node};
use crate::types::Prefix;

/// A network in which a node has no address yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lacking {
    /// The interface.
    pub interface: String,
    /// The network.
    pub network: Prefix,
}

impl Lacking {
    /// What is wrong about it.
    pub(super) fn problem(&self, node: &str) -> Problem {
        let Lacking { interface, network } = self;
        Problem::new(
            format!("--address {interface}=..."),
            format!("Node \"{node}\" needs an address of its own in {network} on \"{interface}\"."),
            format!("Add --address {interface}=ADDRESS/{}.", network.prefix_len()),
        )
    }
}

/// The networks that the first node of the document has, and a node with these addresses has not.
pub fn lacking(config: &Config, addresses: &[OwnAddress]) -> Vec<Lacking> {
    let Some(first) = config.nodes.first() else { return Vec::new() };
    let mut all = networks(first);
    all.retain(|Lacking { interface, network }| {
        !addresses.iter().any(|(name, own)| name == interface && own.trunc() == *network)
    });
    all
}

/// Each network of a node once, in the document's order.
fn networks(node: &Node) -> Vec<Lacking> {
    let mut all: Vec<Lacking> = Vec::new();
    for part in &node.interfaces {
        for address in &part.addresses {
            let lacking = Lacking { interface: part.name.clone(), network: address.trunc() };
            if !all.contains(&lacking) {
                all.push(lacking);
            }
        }
    }
    all
}
