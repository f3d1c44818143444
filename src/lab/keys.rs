//! The keys by which the nodes of a pair know each other, and the one that signs what they install; made before the nodes
//! are started.

use std::path::Path;

use anyhow::Context;
use data_encoding::HEXLOWER;

use crate::cluster::release::SigningKey;
use crate::io::entropy::System;
use crate::io::{files, keys};

/// Where the lab keeps the key that signs releases.
const RELEASE: &str = "release.key";

/// Makes the key of the node with this state directory, unless it has one; gives its public half in hex.
///
/// # Errors
/// When the file cannot be written.
pub fn make(state: &Path) -> anyhow::Result<String> {
    files::create_private_directory(state).with_context(|| state.display().to_string())?;
    let identity = keys::load_or_make(state).with_context(|| state.display().to_string())?;
    Ok(identity.public().to_string())
}

/// The key that signs what the nodes of this lab install; made when there is none.
///
/// # Errors
/// When the file can be neither read nor written.
pub fn signing(directory: &Path) -> anyhow::Result<SigningKey> {
    let path = directory.join(RELEASE);
    if let Ok(text) = std::fs::read(&path) {
        let secret = HEXLOWER.decode(text.trim_ascii_end()).ok().and_then(|bytes| bytes.try_into().ok());
        return secret.and_then(SigningKey::from_bytes).with_context(|| path.display().to_string());
    }
    let key = SigningKey::generate(&mut System).context("the key of the releases")?;
    files::create_private_directory(directory).with_context(|| directory.display().to_string())?;
    let text = HEXLOWER.encode(key.secret_bytes());
    files::write_atomically(&path, text.as_bytes()).with_context(|| path.display().to_string())?;
    Ok(key)
}
