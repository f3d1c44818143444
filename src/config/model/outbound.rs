//! `[outbound]`: outbound NAT.

use serde::{Deserialize, Serialize};

use super::is_default;
use super::{Endpoint, Ports, Protocol, RuleFamily, Target};
use crate::types::{PortRange, RuleId};

/// `[outbound]`: outbound NAT.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Outbound {
    /// How.
    #[serde(skip_serializing_if = "is_default")]
    pub mode: OutboundMode,
    /// A person's own mappings, the first match wins.
    #[serde(rename = "rule", skip_serializing_if = "is_default")]
    pub rules: Vec<OutboundRule>,
}

/// pfSense's modes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutboundMode {
    /// IPv4 from inside networks leaves a WAN with that WAN's address.
    #[default]
    Automatic,
    /// A person's own mappings first, then as automatic.
    Hybrid,
    /// A person's own mappings alone (pfSense's `advanced`).
    Manual,
    /// No translation.
    Disabled,
}

/// `[[outbound.rule]]`: what flows that leave by an interface are translated to.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutboundRule {
    /// Stable number, shared with filter rules.
    pub id: RuleId,
    /// The interface by which flows leave.
    pub interface: String,
    /// Address family.
    #[serde(default, skip_serializing_if = "is_default")]
    pub family: RuleFamily,
    /// Protocol.
    #[serde(default, skip_serializing_if = "is_default")]
    pub protocol: Protocol,
    /// Source, before the translation.
    #[serde(default, skip_serializing_if = "is_default")]
    pub source: Endpoint,
    /// Source ports.
    #[serde(default, skip_serializing_if = "is_default")]
    pub source_port: Option<Ports>,
    /// Destination.
    #[serde(default, skip_serializing_if = "is_default")]
    pub destination: Endpoint,
    /// Destination ports.
    #[serde(default, skip_serializing_if = "is_default")]
    pub destination_port: Option<Ports>,
    /// The addresses that flows leave with: those of the interface when absent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub target: Option<Target>,
    /// How one of several addresses is chosen.
    #[serde(default, skip_serializing_if = "is_default")]
    pub pool: Pool,
    /// The same source always gets the same address, while it has a flow.
    #[serde(default, skip_serializing_if = "is_default")]
    pub sticky: bool,
    /// The ports that flows leave with; 1024-65535 when absent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub port: Option<PortRange>,
    /// Flows keep their port.
    #[serde(default, skip_serializing_if = "is_default")]
    pub static_port: bool,
    /// A port inside keeps its port outside, whomever it speaks with, while it has a flow (RFC 4787 REQ-1).
    #[serde(default, skip_serializing_if = "is_default")]
    pub endpoint_independent: bool,
    /// Flows are not translated (pfSense's `nonat`).
    #[serde(default, skip_serializing_if = "is_default")]
    pub no_nat: bool,
    /// Kept, but not in force.
    #[serde(default, skip_serializing_if = "is_default")]
    pub disabled: bool,
    /// For people.
    #[serde(default, skip_serializing_if = "is_default")]
    pub description: String,
}

impl OutboundRule {
    /// A mapping of everything that leaves by `interface` to that interface's address.
    pub fn new(id: RuleId, interface: &str) -> OutboundRule {
        OutboundRule {
            id,
            interface: interface.into(),
            family: RuleFamily::Inet46,
            protocol: Protocol::Any,
            source: Endpoint::default(),
            source_port: None,
            destination: Endpoint::default(),
            destination_port: None,
            target: None,
            pool: Pool::RoundRobin,
            sticky: false,
            port: None,
            static_port: false,
            endpoint_independent: false,
            no_nat: false,
            disabled: false,
            description: String::new(),
        }
    }
}

/// How one of several addresses is chosen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pool {
    /// One after the other.
    #[default]
    RoundRobin,
    /// At random.
    Random,
    /// By a hash of the source address.
    SourceHash,
}
