//! `[[route]]`.

use serde::{Deserialize, Serialize};

use super::is_default;
use crate::types::Prefix;

/// `[[route]]`: a static route.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Destination network.
    pub destination: Prefix,
    /// Name of the gateway.
    pub gateway: String,
    /// For people.
    #[serde(default, skip_serializing_if = "is_default")]
    pub description: String,
}
