//! `[system]`: the firewall as a whole.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{KillStates, Logging, Optimization, Reflection, SetTimeouts, StatePolicy, Timeouts, is_default};
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
    /// How long idle flows are remembered.
    #[serde(skip_serializing_if = "is_default")]
    pub optimization: Optimization,
    /// Whether flows are bound to the interfaces by which they began.
    #[serde(skip_serializing_if = "is_default")]
    pub state_policy: StatePolicy,
    /// Which flows end when a gateway goes down.
    #[serde(skip_serializing_if = "is_default")]
    pub kill_states_on_gateway_failure: KillStates,
    /// Flows that went over a higher tier of a gateway group end when a lower one is up again.
    #[serde(skip_serializing_if = "is_default")]
    pub kill_states_on_gateway_recovery: bool,
    /// A rule whose gateway is down is left out; otherwise the routes lead where it would.
    #[serde(skip_serializing_if = "is_default")]
    pub skip_rules_when_gateway_down: bool,
    /// Flows of one source go by the same gateway of a tier.
    #[serde(skip_serializing_if = "is_default")]
    pub sticky_connections: bool,
    /// Answers to flows that come in by a WAN go where the routes lead, not back by that WAN's gateway.
    #[serde(skip_serializing_if = "is_default")]
    pub disable_reply_to: bool,
    /// The time zone that schedules and dates go by, as the IANA database calls it.
    #[serde(skip_serializing_if = "is_default_zone")]
    pub timezone: String,
    /// Servers that say what time it is: addresses, or names of hosts.
    #[serde(skip_serializing_if = "is_default")]
    pub time_servers: Vec<String>,
    /// Servers that the firewall asks what names stand for.
    #[serde(skip_serializing_if = "is_default")]
    pub dns_servers: Vec<IpAddr>,
    /// Flows live on when the schedule of their rule ends.
    #[serde(skip_serializing_if = "is_default")]
    pub schedules_keep_states: bool,
    /// The status page.
    #[serde(skip_serializing_if = "is_default")]
    pub web: Web,
    /// The firewall log.
    #[serde(skip_serializing_if = "is_default")]
    pub logging: Logging,
    /// pf's timers, where they are to be others than the profile's.
    #[serde(skip_serializing_if = "is_default")]
    pub timeouts: SetTimeouts,
}

/// `[system.web]`
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Web {
    /// HTTPS port on the router's own addresses.
    pub port: u16,
    /// The certificate that the pages use; one that each node makes for itself when absent.
    #[serde(skip_serializing_if = "is_default")]
    pub certificate: Option<String>,
}

fn is_default_zone(zone: &str) -> bool {
    zone == defaults::TIMEZONE
}

impl System {
    /// The timers in force.
    pub fn timers(&self) -> Timeouts {
        self.timeouts.under(self.optimization)
    }
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
            timezone: defaults::TIMEZONE.into(),
            time_servers: Vec::new(),
            dns_servers: Vec::new(),
            schedules_keep_states: false,
            logging: Logging::default(),
            web: Web::default(),
            optimization: Optimization::Normal,
            state_policy: StatePolicy::IfBound,
            kill_states_on_gateway_failure: KillStates::None,
            kill_states_on_gateway_recovery: false,
            skip_rules_when_gateway_down: false,
            sticky_connections: false,
            disable_reply_to: false,
            timeouts: SetTimeouts::default(),
        }
    }
}

impl Default for Web {
    fn default() -> Self {
        Web { port: defaults::WEB_PORT, certificate: None }
    }
}
