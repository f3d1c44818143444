//! `[system]`: the firewall as a whole.

use serde::{Deserialize, Serialize};

use super::{Reflection, is_default};
use crate::config::defaults;
use crate::types::{ReleaseKey, ReleaseVersion};

/// `[system]`
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct System {
    /// Name of the firewall: on the status page and in the certificate.
    pub hostname: String,
    /// The most states that the connection table holds.
    pub state_limit: u32,
    /// Keeps the GUI reachable from LAN whatever the rules say.
    pub anti_lockout: bool,
    /// Who may sign programs that the nodes install; two at most, so that a key can be replaced by another.
    #[serde(skip_serializing_if = "is_default")]
    pub release_keys: Vec<ReleaseKey>,
    /// The oldest program that the nodes install.
    #[serde(skip_serializing_if = "is_default")]
    pub version_floor: Option<ReleaseVersion>,
    /// Whether hosts inside reach the targets of port forwards by their outside addresses.
    #[serde(skip_serializing_if = "is_default")]
    pub nat_reflection: Reflection,
    /// Whether hosts inside reach 1:1 NAT by its outside addresses.
    #[serde(skip_serializing_if = "is_default")]
    pub one_to_one_reflection: bool,
    /// The status page.
    #[serde(skip_serializing_if = "is_default")]
    pub web: Web,
    /// pf's timers.
    #[serde(skip_serializing_if = "is_default")]
    pub timeouts: Timeouts,
}

/// `[system.web]`
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Web {
    /// HTTPS port on the router's own addresses.
    pub port: u16,
}

/// `[system.timeouts]`: pf's timers in seconds, pf's defaults.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs, reason = "the names are pf's own")]
pub struct Timeouts {
    pub tcp_first: u32,
    pub tcp_opening: u32,
    pub tcp_established: u32,
    pub tcp_closing: u32,
    pub tcp_finwait: u32,
    pub tcp_closed: u32,
    pub udp_first: u32,
    pub udp_single: u32,
    pub udp_multiple: u32,
    pub icmp_first: u32,
    pub icmp_error: u32,
    pub other_first: u32,
    pub other_single: u32,
    pub other_multiple: u32,
    /// Reassembly gives up on a datagram after this long.
    pub frag: u32,
}

impl Default for System {
    fn default() -> Self {
        System {
            hostname: defaults::HOSTNAME.into(),
            state_limit: defaults::STATE_LIMIT,
            anti_lockout: true,
            release_keys: Vec::new(),
            version_floor: None,
            nat_reflection: Reflection::Disable,
            one_to_one_reflection: false,
            web: Web::default(),
            timeouts: Timeouts::default(),
        }
    }
}

impl Default for Web {
    fn default() -> Self {
        Web { port: defaults::WEB_PORT }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            tcp_first: 120,
            tcp_opening: 30,
            tcp_established: 86_400,
            tcp_closing: 900,
            tcp_finwait: 45,
            tcp_closed: 90,
            udp_first: 60,
            udp_single: 30,
            udp_multiple: 60,
            icmp_first: 20,
            icmp_error: 10,
            other_first: 60,
            other_single: 30,
            other_multiple: 60,
            frag: 30,
        }
    }
}
