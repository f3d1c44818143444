//! Waiting until the pair could lose a node: here alone, a drill believes what the nodes say. Figures never come from
//! them.

use std::time::Duration;

use anyhow::bail;

use super::watch::Watch;
use crate::io::clock;
use crate::lab::interruption;
use crate::lab::nodes::Nodes;
use crate::lab::word::Word;

/// How long it may take, with the delay after which a returning node may take over again.
const LIMIT: Duration = Duration::from_secs(60);
/// How often they are asked.
const SPACING: Duration = Duration::from_millis(100);

/// Returns when one node forwards, as far as somebody watches, and, where there are two, each says that the other
/// could take its place.
///
/// # Errors
/// When that does not happen.
pub fn wait(nodes: &Nodes, watch: Option<&Watch>) -> anyhow::Result<()> {
    let begin = clock::now();
    loop {
        let lacks = lacks(nodes, watch);
        if lacks.is_empty() {
            return Ok(());
        }
        if clock::now().since(begin) > LIMIT {
            bail!("not ready within {} s: {}", LIMIT.as_secs(), lacks.join("; "));
        }
        interruption::wait_until(clock::now() + SPACING)?;
    }
}

/// What is missing, in words.
fn lacks(nodes: &Nodes, watch: Option<&Watch>) -> Vec<String> {
    let mut lacks = Vec::new();
    if watch.is_some_and(|watch| watch.leader().is_none()) {
        lacks.push("nobody forwards".to_owned());
    }
    if nodes.all.len() < 2 {
        return lacks;
    }
    let mut roles = Vec::new();
    for node in &nodes.all {
        match node.word() {
            Ok(Word { role, redundant, proven: _ }) => {
                roles.push(role);
                if !redundant {
                    lacks.push(format!("{} says that the pair cannot fail over", node.name));
                }
            }
            Err(error) => lacks.push(format!("{}: {error:#}", node.name)),
        }
    }
    roles.sort_unstable();
    if roles.len() == 2 && roles != ["active", "standby"] {
        lacks.push(format!("the roles are {}", roles.join(" and ")));
    }
    lacks
}
