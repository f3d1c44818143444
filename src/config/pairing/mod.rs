//! The life of a pair as changes of its document: one node becomes a pair of one, another joins it, one leaves, a dead
//! one is replaced.
//!
//! Invariant: these are functions of documents alone. Randomness is given, so both nodes of a pair come to the same
//! document, to the byte.

mod create;
mod join;
mod leave;
mod networks;
mod port_plan;
mod renew;
#[cfg(test)]
mod tests;

pub use create::{Plan, create};
pub use join::{Newcomer, join, newcomer};
pub use leave::{leave, replace};
pub use networks::{Lacking, lacking};
pub use port_plan::PortPlan;
pub use renew::renew;

use super::model::{Config, Node, NodeInterface};
use super::{Problem, Valid, validate};
use crate::types::Prefix;

/// An own address of a node: on which interface, and which.
pub type OwnAddress = (String, Prefix);

/// The next revision, checked.
fn finish(mut config: Config) -> Result<Valid<Config>, Vec<Problem>> {
    config.revision += 1;
    validate(config)
}

fn find_node<'a>(config: &'a Config, name: &str) -> Result<&'a Node, Vec<Problem>> {
    config.nodes.iter().find(|node| node.name == name).ok_or_else(|| {
        vec![Problem::new("node", format!("There is no node \"{name}\"."), "Name a node of the document.")]
    })
}

/// The node's part of an interface with other addresses.
fn readdressed(part: &NodeInterface, addresses: &[OwnAddress]) -> NodeInterface {
    let own = addresses.iter().filter(|(interface, _)| *interface == part.name);
    NodeInterface { addresses: own.map(|(_, address)| *address).collect(), ..part.clone() }
}

/// Options that name an interface which does not exist.
fn check_names(config: &Config, addresses: &[OwnAddress]) -> Result<(), Vec<Problem>> {
    let known = |name: &String| config.interfaces.iter().any(|interface| interface.name == *name);
    let names: Vec<&str> = config.interfaces.iter().map(|interface| interface.name.as_str()).collect();
    let strange = addresses.iter().filter(|(name, _)| !known(name));
    let problems: Vec<Problem> = strange
        .map(|(name, address)| {
            let message = format!("There is no interface \"{name}\".");
            Problem::new(
                format!("--address {name}={address}"),
                message,
                format!("Name one of {}.", names.join(", ")),
            )
        })
        .collect();
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}
