//! `[[port_forward]]`, `[[one_to_one]]` and `[[npt]]`: translation of destinations, of whole addresses, and of
//! prefixes.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::alias::is_alias_name;
use super::is_default;
use super::{AddressRange, Endpoint, Place, Ports, Protocol, RuleFamily};
use crate::types::{Prefix, RuleId};

/// `[[port_forward]]`: flows to an outside address and port go to an inside one.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortForward {
    /// Stable number, shared with filter rules.
    pub id: RuleId,
    /// The interface by which flows come in.
    pub interface: String,
    /// Address family.
    #[serde(default, skip_serializing_if = "is_default")]
    pub family: RuleFamily,
    /// Protocol.
    #[serde(default, skip_serializing_if = "is_default")]
    pub protocol: Protocol,
    /// Source.
    #[serde(default, skip_serializing_if = "is_default")]
    pub source: Endpoint,
    /// Source ports.
    #[serde(default, skip_serializing_if = "is_default")]
    pub source_port: Option<Ports>,
    /// The outside address.
    pub destination: Endpoint,
    /// The outside ports.
    #[serde(default, skip_serializing_if = "is_default")]
    pub destination_port: Option<Ports>,
    /// The inside address, or an alias of several, which take turns.
    #[serde(default, skip_serializing_if = "is_default")]
    pub target: Option<Target>,
    /// The first inside port; the outside ports map to as many from here on (pfSense's `local-port`).
    #[serde(default, skip_serializing_if = "is_default")]
    pub local_port: Option<u16>,
    /// Whether hosts inside reach the target by the outside address; as `system.nat_reflection` says when absent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub reflection: Option<Reflection>,
    /// Which rule lets the flows in.
    #[serde(default, skip_serializing_if = "is_default")]
    pub association: Association,
    /// Flows are not translated, also not by the forwards below (pfSense's `nordr`).
    #[serde(default, skip_serializing_if = "is_default")]
    pub no_redirect: bool,
    /// Kept, but not in force.
    #[serde(default, skip_serializing_if = "is_default")]
    pub disabled: bool,
    /// For people.
    #[serde(default, skip_serializing_if = "is_default")]
    pub description: String,
}

impl PortForward {
    /// A forward from an address of `interface` that goes nowhere yet.
    pub fn new(id: RuleId, interface: &str) -> PortForward {
        PortForward {
            id,
            interface: interface.into(),
            family: RuleFamily::Inet,
            protocol: Protocol::Tcp,
            source: Endpoint::default(),
            source_port: None,
            destination: Endpoint::at(Place::Address(interface.into())),
            destination_port: None,
            target: None,
            local_port: None,
            reflection: None,
            association: Association::None,
            no_redirect: false,
            disabled: false,
            description: String::new(),
        }
    }
}

/// Which rule lets forwarded flows in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Association {
    /// A rule like any other; a `[[rule]]` that names the forward follows it.
    #[default]
    None,
    /// None has to: the forward itself lets them in.
    Pass,
}

/// Whether hosts inside reach a target by its outside address.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reflection {
    /// They do not.
    #[default]
    Disable,
    /// They are translated as flows from outside are (pfSense's "Pure NAT").
    Purenat,
}

/// `[[one_to_one]]`: an outside address for each inside one, both ways.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OneToOne {
    /// Stable number, shared with filter rules.
    pub id: RuleId,
    /// The outside interface.
    pub interface: String,
    /// The first outside address; there are as many as inside ones.
    pub external: IpAddr,
    /// The inside address or network.
    pub internal: Prefix,
    /// Only for flows with this far side.
    #[serde(default, skip_serializing_if = "is_default")]
    pub destination: Endpoint,
    /// Whether hosts inside reach it by the outside address; as `system.one_to_one_reflection` says when absent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub reflection: Option<bool>,
    /// Flows are not translated, also not by the entries below (pfSense's `nobinat`).
    #[serde(default, skip_serializing_if = "is_default")]
    pub no_binat: bool,
    /// Kept, but not in force.
    #[serde(default, skip_serializing_if = "is_default")]
    pub disabled: bool,
    /// For people.
    #[serde(default, skip_serializing_if = "is_default")]
    pub description: String,
}

/// `[[npt]]`: one IPv6 prefix inside, another outside, without state (RFC 6296).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Npt {
    /// Stable number, shared with filter rules.
    pub id: RuleId,
    /// The outside interface.
    pub interface: String,
    /// The prefix inside.
    pub source: Prefix,
    /// The prefix outside.
    pub destination: Prefix,
    /// Kept, but not in force.
    #[serde(default, skip_serializing_if = "is_default")]
    pub disabled: bool,
    /// For people.
    #[serde(default, skip_serializing_if = "is_default")]
    pub description: String,
}

/// What addresses are translated to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Target {
    /// An address or a network of them.
    Prefix(Prefix),
    /// A range of addresses.
    Range(AddressRange),
    /// The addresses of an alias.
    Alias(String),
}

impl TryFrom<String> for Target {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        if let Ok(address) = text.parse::<IpAddr>() {
            Ok(Target::Prefix(Prefix::from(address)))
        } else if let Ok(prefix) = text.parse() {
            Ok(Target::Prefix(prefix))
        } else if let Ok(range) = text.parse() {
            Ok(Target::Range(range))
        } else if is_alias_name(&text) {
            Ok(Target::Alias(text))
        } else {
            Err(format!("\"{text}\" is no target; write an address, a network, a range or an alias"))
        }
    }
}

impl From<Target> for String {
    fn from(target: Target) -> String {
        match target {
            Target::Prefix(prefix) if prefix.prefix_len() == prefix.max_prefix_len() => {
                prefix.addr().to_string()
            }
            Target::Prefix(prefix) => prefix.to_string(),
            Target::Range(range) => range.to_string(),
            Target::Alias(name) => name,
        }
    }
}
