//! `[outbound]`: outbound NAT.

use serde::{Deserialize, Serialize};

use super::is_default;

/// `[outbound]`: outbound NAT.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Outbound {
    /// How.
    #[serde(skip_serializing_if = "is_default")]
    pub mode: OutboundMode,
}

/// pfSense's modes that exist so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutboundMode {
    /// IPv4 from inside networks leaves a WAN with that WAN's address.
    #[default]
    Automatic,
    /// No translation.
    Disabled,
}
