//! `koi pair rotate`: both nodes get new keys while they go on. Interrupted, it is finished when it is asked for again.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::nodes::Nodes;
use super::{Control, fail};
use crate::cluster::upgrade::Side;
use crate::config::pairing;
use crate::io::both::doubts;
use crate::io::keys::KeyStep;
use crate::io::request::{Request, Response};
use crate::io::{clock, files, pace};
use crate::types::PublicKey;

/// What a step brings about must be seen within this time.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(300);

/// Give both nodes new keys, without an interruption
#[derive(Debug, Args)]
pub struct Rotate {
    #[command(flatten)]
    control: Control,
}

impl Rotate {
    /// Runs until the keys before are forgotten on both nodes.
    pub fn run(self) -> ExitCode {
        let nodes = match Nodes::find(&self.control) {
            Ok(nodes) => nodes,
            Err(code) => return code,
        };
        match rotate(&nodes) {
            Ok(()) => {
                println!("Both nodes have new keys; the ones before are worth nothing.");
                ExitCode::SUCCESS
            }
            Err(why) => fail(format!(
                "{why}. The nodes know each other by the old keys or by the new ones; ask again to go on"
            )),
        }
    }
}

fn rotate(nodes: &Nodes<'_>) -> Result<(), String> {
    let here = nodes.pair(Side::Here).ok_or("this node does not answer")?;
    let there = nodes.pair(Side::There).ok_or("the other node does not answer")?;
    if let Some(doubt) = [doubts(&here), doubts(&there)].concat().first() {
        return Err(format!("the pair is not well: {doubt}"));
    }
    let keys = [key(nodes, Side::Here, KeyStep::Make)?, key(nodes, Side::There, KeyStep::Make)?];
    // Both must know both keys before either of them is used.
    key(nodes, Side::There, KeyStep::Learn(keys[0]))?;
    key(nodes, Side::Here, KeyStep::Learn(keys[1]))?;
    println!("Each node has made a new key and knows the other one's.");
    change_document(nodes, [(here.node.clone(), keys[0]), (there.node.clone(), keys[1])])?;
    wait(nodes, keys)?;
    println!("They speak with each other under the new keys.");
    key(nodes, Side::Here, KeyStep::Finish)?;
    key(nodes, Side::There, KeyStep::Finish).map(drop)
}

fn key(nodes: &Nodes<'_>, side: Side, step: KeyStep) -> Result<PublicKey, String> {
    match nodes.ask(side, Request::Keys(step))? {
        Response::Key(key) => key.parse(),
        _ => Err("a node answers something else than it was asked".into()),
    }
}

/// The document names the new keys, and comes into force; unless it names them already.
fn change_document(nodes: &Nodes<'_>, keys: [(String, PublicKey); 2]) -> Result<(), String> {
    let named = |(name, key): &(String, PublicKey)| {
        nodes.config.nodes.iter().any(|node| node.name == *name && node.public_key == Some(*key))
    };
    if keys.iter().all(named) {
        return Ok(());
    }
    if nodes.config.hash() != nodes.first.config_hash {
        return Err(format!("{} is not what is in force; run koi reload first", nodes.file.display()));
    }
    let renewed = pairing::renew(&nodes.config, &keys)
        .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
    files::write_atomically(&nodes.file, renewed.to_toml().as_bytes())
        .map_err(|error| format!("{}: {error}", nodes.file.display()))?;
    nodes.ask_here(&Request::Reload).map(drop)
}

/// Waits until both nodes have that document and the session under the keys in it.
fn wait(nodes: &Nodes<'_>, keys: [PublicKey; 2]) -> Result<(), String> {
    let begun = clock::now();
    let mut lacks = "the other node does not answer";
    while clock::now().since(begun) < PATIENCE {
        let (here, there) = (nodes.status(Side::Here), nodes.status(Side::There));
        if let (Some(here), Some(there)) = (&here, &there) {
            let known = here.public_key == keys[0].to_string() && there.public_key == keys[1].to_string();
            let in_use = |pair: &Option<Box<crate::node::PairSnapshot>>| {
                pair.as_ref().is_some_and(|pair| pair.session && pair.keys_in_use)
            };
            match (known, in_use(&here.pair) && in_use(&there.pair)) {
                (true, true) => return Ok(()),
                (true, false) => lacks = "the nodes do not speak with each other under the new keys",
                (false, _) => lacks = "the document with the new keys is not in force on both nodes",
            }
        }
        pace::until(clock::now() + LOOK);
    }
    Err(lacks.into())
}
