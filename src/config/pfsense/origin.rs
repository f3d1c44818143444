//! The file that a document came from, kept beside the document.
//!
//! It stands beside it and not in it: the document is what both nodes of a pair agree on word for word, and is compared
//! at every change; somebody else's certificates, packages and graphs would only be noise there.

use serde::{Deserialize, Serialize};

use super::mapping::Options;

/// A file, and what an import of it was told: together they give the same document again.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// What the import was told.
    pub options: Options,
    /// The file, decrypted.
    pub xml: String,
}
