//! The keys by which the nodes of a pair know each other, made before the nodes are started.

use std::path::Path;

use anyhow::Context;

use crate::io::{files, keys};

/// Makes the key of the node with this state directory, unless it has one; gives its public half in hex.
///
/// # Errors
/// When the file cannot be written.
pub fn make(state: &Path) -> anyhow::Result<String> {
    files::create_private_directory(state).with_context(|| state.display().to_string())?;
    let identity = keys::load_or_make(state).with_context(|| state.display().to_string())?;
    Ok(identity.public().to_string())
}
