//! `[[node]]`: one machine, its ports and its addresses.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::is_default;
use crate::types::{MacAddr, Prefix, PublicKey};

/// `[[node]]`: what differs from machine to machine.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Name of the machine.
    pub name: String,
    /// By this key its peer knows it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub public_key: Option<PublicKey>,
    /// The status page is also served (plain HTTP) on this loopback address of the machine; for the lab and for
    /// development.
    #[serde(default, skip_serializing_if = "is_default")]
    pub loopback: Option<SocketAddr>,
    /// Its attachments.
    #[serde(rename = "port")]
    pub ports: Vec<Port>,
    /// Its addresses, by logical interface.
    #[serde(rename = "interface", default)]
    pub interfaces: Vec<NodeInterface>,
}

/// `[[node.port]]`: one TAP, macvtap or network card.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Port {
    /// Name that interfaces refer to.
    pub name: String,
    /// Name of the TAP device: attached when it exists, created otherwise.
    #[serde(default, skip_serializing_if = "is_default")]
    pub tap: Option<String>,
    /// Or: path of a macvtap's character device.
    #[serde(default, skip_serializing_if = "is_default")]
    pub macvtap: Option<String>,
    /// Or: the MAC address of one of the machine's network cards; it is given to the router whole.
    #[serde(default, skip_serializing_if = "is_default")]
    pub nic: Option<MacAddr>,
    /// Network namespace (a name of `ip netns`) in which the TAP lives; the machine's own when absent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub netns: Option<String>,
    /// How frames are read and written.
    #[serde(default, skip_serializing_if = "is_default")]
    pub driver: Driver,
}

impl Port {
    /// What carries it, as people write it.
    pub fn device(&self) -> String {
        let Port { name: _, tap, macvtap, nic, netns: _, driver: _ } = self;
        tap.clone().or_else(|| macvtap.clone()).or_else(|| nic.map(|mac| mac.to_string())).unwrap_or_default()
    }
}

/// How frames are read and written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Driver {
    /// With checksum and segmentation offloads.
    #[default]
    Offload,
    /// One frame a call, no offloads; works everywhere.
    Plain,
}

/// `[[node.interface]]`: a logical interface on this machine.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeInterface {
    /// The logical interface.
    pub name: String,
    /// MAC address; derived from the names of node and interface when absent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub mac: Option<MacAddr>,
    /// Addresses with their prefix length; the first of each family is the one that NAT and own traffic use.
    #[serde(default, skip_serializing_if = "is_default")]
    pub addresses: Vec<Prefix>,
}
