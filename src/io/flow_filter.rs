//! Which flows, as commands, pages and programs say it.

use serde::{Deserialize, Serialize};

use crate::conntrack::{Filter, Stage};
use crate::node::Compiled;
use crate::types::{GatewayId, InterfaceId, Prefix, RuleId};

/// Which flows. Fields that are absent let every flow pass.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct FlowFilter {
    /// Source of the first packet, before translation.
    pub src: Option<Prefix>,
    /// Destination of the first packet, before translation.
    pub dst: Option<Prefix>,
    /// Either port.
    pub port: Option<u16>,
    /// IP protocol number.
    pub protocol: Option<u8>,
    /// Number of the flow.
    pub id: Option<u64>,
    /// Any of its addresses, before or after translation.
    pub address: Option<Prefix>,
    /// The rule that let it in or out.
    pub rule: Option<u32>,
    /// The gateway that it goes by, or its answers.
    pub gateway: Option<String>,
    /// Name of either interface.
    pub interface: Option<String>,
    /// `opening`, `established` or `closing`.
    pub state: Option<String>,
}

impl FlowFilter {
    /// The same in the numbers of the configuration in force.
    ///
    /// # Errors
    /// When a name means nothing, in words.
    pub fn within(&self, compiled: &Compiled) -> Result<Filter, String> {
        let FlowFilter { src, dst, port, protocol, id, address, rule, gateway, interface, state } = self;
        let interface = match interface.as_deref() {
            Some("self") => Some(InterfaceId::SELF),
            Some(name) => Some(number(compiled, name)?),
            None => None,
        };
        let stage = |word: &String| {
            Stage::of(word).ok_or_else(|| {
                format!("\"{word}\" is no state of a flow; there are opening, established and closing")
            })
        };
        Ok(Filter {
            id: *id,
            protocol: *protocol,
            source: *src,
            destination: *dst,
            address: *address,
            port: *port,
            interface,
            rule: rule.map(RuleId),
            gateway: gateway.as_deref().map(GatewayId::of),
            stage: state.as_ref().map(stage).transpose()?,
        })
    }
}

/// The number of an interface.
///
/// # Errors
/// When there is none of this name; says which there are.
pub fn number(compiled: &Compiled, name: &str) -> Result<InterfaceId, String> {
    let names: Vec<&str> = compiled.links.iter().map(|link| link.name.as_str()).collect();
    let found = names.iter().position(|known| *known == name);
    let number = found.ok_or_else(|| format!("no interface \"{name}\"; there are {}", names.join(", ")))?;
    Ok(InterfaceId(number as u8))
}
