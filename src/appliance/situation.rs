//! What the first process knows, for the consoles: a small file in memory.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::io::files;

/// The file.
const FILE: &str = "/run/koi/appliance.json";

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Situation {
    /// Version and build of the program.
    pub release: String,
    /// The slot that runs.
    pub slot: Option<String>,
    /// Where the configuration comes from.
    pub origin: String,
    /// The document in use.
    pub document: String,
    /// What somebody should know.
    pub warnings: Vec<String>,
    /// The router was seen to be well.
    pub healthy: bool,
}

impl Situation {
    /// As the first process has left it; empty on a machine that is no appliance.
    pub fn read() -> Situation {
        let text = fs::read(FILE).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Leaves it for the consoles.
    pub fn write(&self) {
        // A console that finds nothing says less.
        let _ = serde_json::to_vec(self).map(|text| files::write_atomically(Path::new(FILE), &text));
    }
}
