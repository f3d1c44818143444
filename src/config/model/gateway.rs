//! `[[gateway]]`: a next hop with a name, and how it is watched; `[[gateway_group]]`: several of them, in tiers.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::is_default;

/// `[[gateway]]`
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gateway {
    /// Name that routes, groups and rules refer to.
    pub name: String,
    /// The interface that it is reached through.
    pub interface: String,
    /// Its address on that interface's network.
    pub address: IpAddr,
    /// The default gateway of its address family.
    #[serde(default, skip_serializing_if = "is_default")]
    pub default: bool,
    /// Its share among the gateways of a tier.
    #[serde(default = "Gateway::one", skip_serializing_if = "Gateway::is_one")]
    pub weight: u8,
    /// The address that is asked whether it answers; the gateway's own when absent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub monitor: Option<IpAddr>,
    /// It is not watched, and counts as up.
    #[serde(default, skip_serializing_if = "is_default")]
    pub monitor_disable: bool,
    /// It is watched, and whatever that shows changes nothing.
    #[serde(default, skip_serializing_if = "is_default")]
    pub action_disable: bool,
    /// It counts as down.
    #[serde(default, skip_serializing_if = "is_default")]
    pub force_down: bool,
    /// Bytes behind the header of a probe; 1 when absent, as in pfSense.
    #[serde(default, skip_serializing_if = "is_default")]
    pub data_payload: Option<u16>,
    /// Milliseconds of delay from which on the delay is told; 200 when absent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub latency_low: Option<u32>,
    /// Milliseconds of delay from which on it is down; 500 when absent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub latency_high: Option<u32>,
    /// Percent of lost probes from which on the loss is told; 10 when absent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub loss_low: Option<u8>,
    /// Percent of lost probes from which on it is down; 20 when absent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub loss_high: Option<u8>,
    /// Milliseconds between two probes; 500 when absent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub interval: Option<u32>,
    /// Milliseconds after which a probe without an answer is lost; 2000 when absent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub loss_interval: Option<u32>,
    /// Milliseconds whose probes are looked at together; 60,000 when absent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub time_period: Option<u32>,
    /// Milliseconds between two looks at them; 1000 when absent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub alert_interval: Option<u32>,
    /// Which flows end when it goes down; as `system.kill_states_on_gateway_failure` says when absent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub kill_states: Option<KillStates>,
    /// For people.
    #[serde(default, skip_serializing_if = "is_default")]
    pub description: String,
}

/// How a gateway is watched, with pfSense's values where a person has set none. Times in milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "they are the gateway's fields")]
pub struct Watching {
    pub data_payload: u16,
    pub latency_low: u32,
    pub latency_high: u32,
    pub loss_low: u8,
    pub loss_high: u8,
    pub interval: u32,
    pub loss_interval: u32,
    pub time_period: u32,
    pub alert_interval: u32,
}

impl Gateway {
    /// A gateway with every default.
    pub fn new(name: &str, interface: &str, address: IpAddr) -> Gateway {
        Gateway {
            name: name.into(),
            interface: interface.into(),
            address,
            default: false,
            weight: 1,
            monitor: None,
            monitor_disable: false,
            action_disable: false,
            force_down: false,
            data_payload: None,
            latency_low: None,
            latency_high: None,
            loss_low: None,
            loss_high: None,
            interval: None,
            loss_interval: None,
            time_period: None,
            alert_interval: None,
            kill_states: None,
            description: String::new(),
        }
    }

    /// How it is watched.
    pub fn watching(&self) -> Watching {
        Watching {
            data_payload: self.data_payload.unwrap_or(1),
            latency_low: self.latency_low.unwrap_or(200),
            latency_high: self.latency_high.unwrap_or(500),
            loss_low: self.loss_low.unwrap_or(10),
            loss_high: self.loss_high.unwrap_or(20),
            interval: self.interval.unwrap_or(500),
            loss_interval: self.loss_interval.unwrap_or(2000),
            time_period: self.time_period.unwrap_or(60_000),
            alert_interval: self.alert_interval.unwrap_or(1000),
        }
    }

    fn one() -> u8 {
        1
    }

    fn is_one(weight: &u8) -> bool {
        *weight == 1
    }
}

/// Which flows end when a gateway goes down (pfSense's `gw_down_kill_states`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KillStates {
    /// None: they go on when it comes back.
    #[default]
    None,
    /// Those that go by it, or whose answers do.
    Down,
    /// All.
    All,
}

/// `[[gateway_group]]`
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatewayGroup {
    /// Name that rules refer to.
    pub name: String,
    /// Its gateways with their tiers: the lowest tier of which one is up is used, and all that are up share the flows.
    pub members: Vec<GroupMember>,
    /// When a member is left out.
    #[serde(default, skip_serializing_if = "is_default")]
    pub trigger: Trigger,
    /// Whether flows of higher tiers end when a lower one is up again; as `system.kill_states_on_gateway_recovery` says
    /// when absent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub keep_failover_states: Option<FailoverStates>,
    /// The first of its members that is up is the default gateway of their address family.
    #[serde(default, skip_serializing_if = "is_default")]
    pub default: bool,
    /// For people.
    #[serde(default, skip_serializing_if = "is_default")]
    pub description: String,
}

/// A gateway in a group, as in `WANGW|1`, pfSense's own form.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GroupMember {
    /// Name of the gateway.
    pub gateway: String,
    /// From 1, which comes first, to 5.
    pub tier: u8,
}

impl TryFrom<String> for GroupMember {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let parts =
            text.split_once('|').and_then(|(gateway, tier)| Some((gateway, tier.parse::<u8>().ok()?)));
        match parts {
            Some((gateway, tier)) => Ok(GroupMember { gateway: gateway.into(), tier }),
            None => Err(format!("\"{text}\" is not a gateway and its tier")),
        }
    }
}

impl From<GroupMember> for String {
    fn from(GroupMember { gateway, tier }: GroupMember) -> String {
        format!("{gateway}|{tier}")
    }
}

/// When a member of a group is left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trigger {
    /// It is down.
    #[default]
    Down,
    /// Also when it loses packets.
    DownLoss,
    /// Also when it is slow.
    DownLatency,
    /// In either case.
    DownLossLatency,
}

/// What becomes of flows that went over higher tiers when a lower one is up again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FailoverStates {
    /// They go on.
    Keep,
    /// They end, and begin anew by the better gateway.
    Kill,
}
