//! `[[virtual_ip]]`: addresses that belong to whoever leads.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{Secret, is_default};
use crate::config::defaults;
use crate::types::{Prefix, Vhid};

/// `[[virtual_ip]]`: a virtual host of CARP and its addresses.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VirtualIp {
    /// The logical interface.
    pub interface: String,
    /// The virtual host id, one of its kind on the wire.
    pub vhid: Vhid,
    /// The CARP address, then the aliases that go with it. ucarp knows exactly one address, of IPv4.
    pub addresses: Vec<Prefix>,
    /// Signs the advertisements.
    pub password: Secret,
    /// Seconds between two advertisements.
    #[serde(default = "VirtualIp::default_advbase", skip_serializing_if = "VirtualIp::has_default_advbase")]
    pub advbase: u8,
    /// 256ths of a second on top, for the preferred node; the other one advertises 100 more.
    #[serde(default, skip_serializing_if = "is_default")]
    pub advskew: u8,
    /// Shared with a speaker of CARP that is not the peer: it elects alone and never moves the pair.
    #[serde(default, skip_serializing_if = "is_default")]
    pub foreign: bool,
    /// Takes a foreign VHID back from a speaker that advertises less often; true when absent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub preempt: Option<bool>,
    /// Sends a foreign VHID's advertisements to this station instead of the group of CARP.
    #[serde(default, skip_serializing_if = "is_default")]
    pub peer: Option<IpAddr>,
    /// The MAC address that the addresses are announced with.
    #[serde(default, skip_serializing_if = "is_default")]
    pub mac: VirtualMac,
    /// For people.
    #[serde(default, skip_serializing_if = "is_default")]
    pub description: String,
}

impl VirtualIp {
    fn default_advbase() -> u8 {
        defaults::ADVBASE
    }

    fn has_default_advbase(seconds: &u8) -> bool {
        *seconds == defaults::ADVBASE
    }
}

/// The MAC address that virtual addresses are announced with.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VirtualMac {
    /// The virtual host's: neighbours need not learn anything at a takeover.
    #[default]
    Virtual,
    /// The node's own, for switches that refuse any other.
    Own,
}
