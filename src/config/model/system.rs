//! `[system]`: the firewall as a whole.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{
    KillStates, Logging, Notification, Optimization, Reflection, SetTimeouts, StatePolicy, Timeouts,
    is_default,
};
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
    /// Whether new TCP connections begin without a state, by a cookie in the firewall's own SYN+ACK.
    #[serde(skip_serializing_if = "is_default")]
    pub syncookies: Syncookies,
    /// Adaptive: cookies begin when half-open connections reach this share of the state limit, in percent;
    /// 25 when absent.
    #[serde(skip_serializing_if = "is_default")]
    pub syncookies_start: Option<u8>,
    /// Adaptive: they end when half-open connections fall below this share; 12 when absent.
    #[serde(skip_serializing_if = "is_default")]
    pub syncookies_end: Option<u8>,
    /// From this many states on timers are shortened; 60 % of the limit when absent, never when 0.
    #[serde(skip_serializing_if = "is_default")]
    pub adaptive_start: Option<u32>,
    /// At this many states timers would be down to nothing; 120 % of the limit when absent.
    #[serde(skip_serializing_if = "is_default")]
    pub adaptive_end: Option<u32>,
    /// Seconds that a source stays in an overload table; an hour when absent.
    #[serde(skip_serializing_if = "is_default")]
    pub overload_expire: Option<u32>,
    /// The most half-received datagrams (pfSense's maximum of fragment entries); 5,000 when
    /// absent.
    #[serde(skip_serializing_if = "is_default")]
    pub fragment_limit: Option<u32>,
    /// Where pf and an RFC disagree, and the RFC shall have it.
    #[serde(skip_serializing_if = "is_default")]
    pub rfc: Rfc,
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
    /// Who is told at once what nobody may overlook.
    #[serde(skip_serializing_if = "is_default")]
    pub notification: Notification,
    /// pf's timers, where they are to be others than the profile's.
    #[serde(skip_serializing_if = "is_default")]
    pub timeouts: SetTimeouts,
}

/// When TCP connections begin without a state.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Syncookies {
    /// Only where a rule's `state_type` is `synproxy`.
    #[default]
    Never,
    /// Every connection that is forwarded.
    Always,
    /// While there are many half-open ones.
    Adaptive,
}

/// `[system.rfc]`: pf's behaviour is the default, and an RFC's can be had by name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rfc {
    /// RFC 8200 section 4: routers do not look at IPv6 options for others; pf drops them unless the rule allows options.
    #[serde(skip_serializing_if = "is_default")]
    pub ipv6_options: bool,
    /// RFC 5508 REQ-8: whoever gets no state is told that it is prohibited; pf drops without a word.
    #[serde(skip_serializing_if = "is_default")]
    pub refusals: bool,
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

    /// Seconds that a source stays in an overload table.
    pub fn overload_seconds(&self) -> u32 {
        self.overload_expire.unwrap_or(defaults::OVERLOAD_EXPIRE)
    }

    /// Half-open connections at which cookies begin and end, under [`Syncookies::Adaptive`].
    pub fn cookie_marks(&self) -> [u32; 2] {
        let share = |percent: u8| (u64::from(self.state_limit) * u64::from(percent) / 100).max(1) as u32;
        let start = self.syncookies_start.unwrap_or(defaults::SYNCOOKIES_START);
        let end = self.syncookies_end.unwrap_or(defaults::SYNCOOKIES_END);
        [share(start), share(end.min(start))]
    }

    /// States from which on timers are shortened, and at which they would be nothing; `None` when they never are.
    pub fn adaptive(&self) -> Option<[u32; 2]> {
        let share = |percent: u64| (u64::from(self.state_limit) * percent / 100).min(u32::MAX.into()) as u32;
        let start = self.adaptive_start.unwrap_or_else(|| share(60));
        let end = self.adaptive_end.unwrap_or_else(|| share(120));
        (start > 0 && end > start).then_some([start, end])
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
            notification: Notification::default(),
            web: Web::default(),
            optimization: Optimization::Normal,
            state_policy: StatePolicy::IfBound,
            syncookies: Syncookies::Never,
            syncookies_start: None,
            syncookies_end: None,
            adaptive_start: None,
            adaptive_end: None,
            overload_expire: None,
            fragment_limit: None,
            rfc: Rfc::default(),
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
