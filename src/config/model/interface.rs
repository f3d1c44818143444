//! `[[interface]]`: a logical interface, the same on every node; `[[interface_group]]`: several under one name.

use serde::{Deserialize, Serialize};

use super::{Scrub, is_default};
use crate::config::defaults;

/// `[[interface]]`: a logical interface, the same on every node.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interface {
    /// Logical name; rules and flows refer to it.
    pub name: String,
    /// For people.
    #[serde(default, skip_serializing_if = "is_default")]
    pub description: String,
    /// Which side of the firewall it is on.
    pub zone: Zone,
    /// The node's port that carries it.
    pub port: String,
    /// 802.1Q tag on that port; untagged when absent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub vlan: Option<u16>,
    /// Largest IP packet.
    #[serde(default = "Interface::default_mtu", skip_serializing_if = "Interface::has_default_mtu")]
    pub mtu: u16,
    /// Clamps the MSS of TCP connections through this interface to this value minus the headers (pfSense's MSS field).
    #[serde(default, skip_serializing_if = "is_default")]
    pub mss: Option<u16>,
    /// Drops packets from private networks (RFC 1918, RFC 4193, RFC 6598) that come in here.
    #[serde(default, skip_serializing_if = "is_default")]
    pub block_private: bool,
    /// Drops packets from reserved and unassigned networks that come in here.
    #[serde(default, skip_serializing_if = "is_default")]
    pub block_bogons: bool,
    /// Announces this router and its prefixes to hosts (RFC 4861).
    #[serde(default, skip_serializing_if = "is_default")]
    pub router_advertisements: bool,
    /// What is put right in packets.
    #[serde(default, skip_serializing_if = "is_default")]
    pub scrub: Scrub,
}

impl Interface {
    fn default_mtu() -> u16 {
        defaults::MTU
    }

    fn has_default_mtu(mtu: &u16) -> bool {
        *mtu == defaults::MTU
    }
}

/// Which side of the firewall an interface is on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Zone {
    /// The outside: inside networks are translated to its address; nothing comes in by itself.
    Wan,
    /// The trusted inside: reaches the GUI.
    Lan,
    /// Servers: an inside network that is not trusted.
    Dmz,
}

/// `[[interface_group]]`: interfaces that have rules in common; its rules come before their own.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InterfaceGroup {
    /// Name that rules refer to.
    pub name: String,
    /// Its interfaces.
    pub members: Vec<String>,
    /// For people.
    #[serde(default, skip_serializing_if = "is_default")]
    pub description: String,
}
