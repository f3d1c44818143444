//! `[[gateway]]` and `[[route]]`.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::is_default;
use crate::types::Prefix;

/// `[[gateway]]`
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gateway {
    /// Name that routes refer to.
    pub name: String,
    /// The interface that it is reached through.
    pub interface: String,
    /// Its address on that interface's network.
    pub address: IpAddr,
    /// The default gateway of its address family.
    #[serde(default, skip_serializing_if = "is_default")]
    pub default: bool,
    /// For people.
    #[serde(default, skip_serializing_if = "is_default")]
    pub description: String,
}

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
