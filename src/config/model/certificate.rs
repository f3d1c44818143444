//! `[[certificate]]`: what the pages prove their name with.

use serde::{Deserialize, Serialize};

use super::{Secret, is_default};

/// `[[certificate]]`: a certificate and its key, shared by both nodes.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// What `system.web.certificate` calls it.
    pub name: String,
    /// PEM: the certificate, and behind it those that vouch for it.
    pub certificate: String,
    /// PEM: its key.
    pub private_key: Secret,
    /// For people.
    #[serde(default, skip_serializing_if = "is_default")]
    pub description: String,
}
