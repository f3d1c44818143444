//! `[[rule]]`: a filter rule, and the text forms of its protocol and endpoints.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::is_default;
use crate::types::{PortRange, Prefix, RuleId};

/// `[[rule]]`: a rule of an interface tab: packets that come in by the interface.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Stable number (pfSense's tracker).
    pub id: RuleId,
    /// The interface by which packets come in.
    pub interface: String,
    /// What happens to a match.
    pub action: Action,
    /// Address family.
    #[serde(default, skip_serializing_if = "is_default")]
    pub family: RuleFamily,
    /// Protocol.
    #[serde(default, skip_serializing_if = "is_default")]
    pub protocol: Protocol,
    /// Source: `any`, a prefix or address, `lan net`, `lan address`, `this firewall`; `! ` in front negates.
    #[serde(default, skip_serializing_if = "is_default")]
    pub source: Endpoint,
    /// Source ports.
    #[serde(default, skip_serializing_if = "is_default")]
    pub source_port: Option<PortRange>,
    /// Destination, as the source.
    #[serde(default, skip_serializing_if = "is_default")]
    pub destination: Endpoint,
    /// Destination ports.
    #[serde(default, skip_serializing_if = "is_default")]
    pub destination_port: Option<PortRange>,
    /// A block: its drops stand among the recent ones. A pass: each flow that begins is a line in the log.
    #[serde(default, skip_serializing_if = "is_default")]
    pub log: bool,
    /// Kept, but not in force.
    #[serde(default, skip_serializing_if = "is_default")]
    pub disabled: bool,
    /// For people.
    #[serde(default, skip_serializing_if = "is_default")]
    pub description: String,
}

/// What happens to a match.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Passes, and its flow is remembered.
    Pass,
    /// Dropped without an answer.
    Block,
}

/// Address family of a rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RuleFamily {
    /// IPv4.
    Inet,
    /// IPv6.
    Inet6,
    /// Both (pfSense's `inet46`).
    #[default]
    Inet46,
}

/// Protocol of a rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Protocol {
    /// Any.
    #[default]
    Any,
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// TCP or UDP (pfSense's `tcp/udp`).
    TcpUdp,
    /// ICMP, or ICMPv6 in an IPv6 packet.
    Icmp,
    /// By number.
    Number(u8),
}

/// Source or destination of a rule.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Endpoint {
    /// Everything but.
    pub not: bool,
    /// The addresses.
    pub place: Place,
}

/// The addresses of an endpoint.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Place {
    /// Any address.
    #[default]
    Any,
    /// A network or one address.
    Prefix(Prefix),
    /// The networks of an interface: `lan net`.
    Net(String),
    /// The addresses of this firewall on an interface: `lan address`.
    Address(String),
    /// Any address of this firewall: `this firewall`.
    ThisFirewall,
}

impl TryFrom<String> for Protocol {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "any" => Ok(Protocol::Any),
            "tcp" => Ok(Protocol::Tcp),
            "udp" => Ok(Protocol::Udp),
            "tcp/udp" => Ok(Protocol::TcpUdp),
            "icmp" => Ok(Protocol::Icmp),
            other => other.parse().map(Protocol::Number).map_err(|_| {
                format!(
                    "\"{other}\" is not a protocol; write any, tcp, udp, tcp/udp, icmp or a number up to 255"
                )
            }),
        }
    }
}

impl From<Protocol> for String {
    fn from(protocol: Protocol) -> String {
        match protocol {
            Protocol::Any => "any".into(),
            Protocol::Tcp => "tcp".into(),
            Protocol::Udp => "udp".into(),
            Protocol::TcpUdp => "tcp/udp".into(),
            Protocol::Icmp => "icmp".into(),
            Protocol::Number(number) => number.to_string(),
        }
    }
}

impl TryFrom<String> for Endpoint {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let (not, rest) = match text.strip_prefix('!') {
            Some(rest) => (true, rest.trim_start()),
            None => (false, text.as_str()),
        };
        let place = if rest == "any" {
            Place::Any
        } else if rest == "this firewall" {
            Place::ThisFirewall
        } else if let Some(name) = rest.strip_suffix(" net") {
            Place::Net(name.into())
        } else if let Some(name) = rest.strip_suffix(" address") {
            Place::Address(name.into())
        } else if let Ok(prefix) = rest.parse::<Prefix>() {
            Place::Prefix(prefix)
        } else if let Ok(address) = rest.parse::<IpAddr>() {
            Place::Prefix(Prefix::from(address))
        } else {
            return Err(format!(
                "\"{rest}\" is not an endpoint; write any, an address, a network, \"lan net\", \"lan address\" or \"this firewall\""
            ));
        };
        Ok(Endpoint { not, place })
    }
}

impl From<Endpoint> for String {
    fn from(endpoint: Endpoint) -> String {
        let place = match endpoint.place {
            Place::Any => "any".into(),
            Place::Prefix(prefix) => prefix.to_string(),
            Place::Net(name) => format!("{name} net"),
            Place::Address(name) => format!("{name} address"),
            Place::ThisFirewall => "this firewall".into(),
        };
        if endpoint.not { format!("! {place}") } else { place }
    }
}
