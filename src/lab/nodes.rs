//! All nodes of the lab.

use std::sync::mpsc::Sender;
use std::thread;

use super::build;
use super::claim::Claim;
use super::document::Document;
use super::node::{Event, RunningNode};
use crate::config::Config;
use crate::io::arrivals::Arrivals;

/// The nodes, in the order of the document; they end with this value.
pub struct Nodes {
    /// Those that have been started, running or struck.
    pub all: Vec<RunningNode>,
    /// What they read.
    pub document: Document,
    events: Sender<Event>,
}

impl Nodes {
    /// Starts all nodes of the document.
    ///
    /// # Errors
    /// When one cannot be started.
    pub fn start(document: Document, claim: &mut Claim, events: Sender<Event>) -> anyhow::Result<Nodes> {
        plug_in_when_they_come(&document.config)?;
        let mut nodes = Nodes { all: Vec::new(), document, events };
        for index in 0..nodes.document.config.nodes.len() {
            let node = nodes.start_one(index, claim)?;
            nodes.all.push(node);
        }
        Ok(nodes)
    }

    /// Starts a node again that has been struck, with the state that it had.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_again(&mut self, index: usize, claim: &mut Claim) -> anyhow::Result<()> {
        // First the old one ends, if it has not: two cannot have the same state directory.
        if index < self.all.len() {
            drop(self.all.remove(index));
            let node = self.start_one(index, claim)?;
            self.all.insert(index, node);
        }
        Ok(())
    }

    fn start_one(&self, index: usize, claim: &mut Claim) -> anyhow::Result<RunningNode> {
        RunningNode::start(&self.document, index, claim, self.events.clone())
    }
}

/// Whenever a TAP of a node appears in the namespace of a switch, it is plugged in: at the start, and when it was
/// deleted and made again.
fn plug_in_when_they_come(config: &Config) -> anyhow::Result<()> {
    for port in config.nodes.iter().flat_map(|node| &node.ports) {
        let (Some(netns), Some(tap)) = (port.netns.clone(), port.tap.clone()) else { continue };
        let mut arrivals = Arrivals::watch(Some(&netns), &tap)?;
        let plug = move || {
            while arrivals.next_device().is_ok() {
                if let Err(error) = build::plug_into_switch(&netns, &tap) {
                    eprintln!("koi: {error:#}");
                }
            }
        };
        thread::Builder::new().name("patch".into()).spawn(plug)?;
    }
    Ok(())
}
