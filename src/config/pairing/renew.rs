//! The nodes of a pair have new keys.

use super::{Config, Problem, Valid, finish};
use crate::types::PublicKey;

/// The document with these keys, each for a node; nothing else changes.
///
/// # Errors
/// When a node is not there, or has no key that could be renewed.
pub fn renew(config: &Config, keys: &[(String, PublicKey)]) -> Result<Valid<Config>, Vec<Problem>> {
    let mut renewed = config.clone();
    for (name, key) in keys {
        let known = renewed.nodes.iter_mut().find(|node| node.name == *name && node.public_key.is_some());
        let Some(node) = known else {
            let message = format!("There is no node \"{name}\" that has a key.");
            return Err(vec![Problem::new("node", message, "Renew the keys of a pair that stands.")]);
        };
        node.public_key = Some(*key);
    }
    finish(renewed)
}
