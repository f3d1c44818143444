//! The document's words as pfSense writes them: names of interfaces, addresses, ports, protocols.

use std::collections::HashMap;

use super::super::read::PROTOCOLS;
use super::super::tree::{Element, Entities};
use crate::config::Config;
use crate::config::model::{
    Endpoint, IcmpKind, Interface, KillStates, Place, Ports, Protocol, RuleFamily, Target, TcpFlags, Zone,
};
use crate::types::{PortRange, Prefix};

/// What pfSense calls interfaces and groups.
pub(super) struct Names(HashMap<String, String>);

impl Names {
    /// `wan`, `lan`, `opt1` and so on: pfSense knows no others. Those that its file has stay as they are.
    pub(super) fn new(config: &Config, there: HashMap<String, String>) -> Names {
        let fits = |name: &str| {
            let number = name.strip_prefix("opt").filter(|number| !number.starts_with('0'));
            matches!(name, "wan" | "lan") || number.is_some_and(|number| number.parse::<u16>().is_ok())
        };
        let mut taken: Vec<String> = there.values().cloned().collect();
        let mut names = there;
        let fitting: Vec<&Interface> = config.interfaces.iter().filter(|it| fits(&it.name)).collect();
        for interface in fitting {
            if names.contains_key(&interface.name) || taken.contains(&interface.name) {
                continue;
            }
            names.insert(interface.name.clone(), interface.name.clone());
            taken.push(interface.name.clone());
        }
        for interface in &config.interfaces {
            if names.contains_key(&interface.name) {
                continue;
            }
            let usual = match interface.zone {
                Zone::Wan => Some("wan"),
                Zone::Lan => Some("lan"),
                Zone::Dmz => None,
            };
            let usual = usual.filter(|name| !taken.iter().any(|other| other == name)).map(str::to_owned);
            let free =
                || (1..=u16::MAX).map(|number| format!("opt{number}")).find(|name| !taken.contains(name));
            let Some(name) = usual.or_else(free) else { continue };
            taken.push(name.clone());
            names.insert(interface.name.clone(), name);
        }
        Names(names)
    }

    /// A group has the name that its file gives it.
    pub(super) fn call(&mut self, name: &str, there: &str) {
        self.0.insert(name.into(), there.into());
    }

    pub(super) fn of(&self, name: &str) -> String {
        self.0.get(name).cloned().unwrap_or_else(|| name.to_owned())
    }
}

pub(super) fn family(family: RuleFamily) -> Option<String> {
    let word = match family {
        RuleFamily::Inet => "inet",
        RuleFamily::Inet6 => "inet6",
        RuleFamily::Inet46 => "inet46",
    };
    Some(word.into())
}

/// Any protocol is no element.
pub(super) fn protocol(protocol: Protocol) -> Option<String> {
    match protocol {
        Protocol::Any => None,
        Protocol::Tcp | Protocol::Udp | Protocol::TcpUdp | Protocol::Icmp => Some(protocol.into()),
        Protocol::Number(number) => {
            let named = PROTOCOLS.iter().find(|(_, other)| *other == number);
            Some(named.map_or_else(|| number.to_string(), |(name, _)| (*name).into()))
        }
    }
}

pub(super) fn icmp_types(types: &[IcmpKind]) -> Option<String> {
    let words: Vec<String> = types.iter().map(|kind| String::from(*kind)).collect();
    (!words.is_empty()).then(|| words.join(","))
}

/// pf's letters as pfSense's words.
pub(super) fn tcp_flags(letters: &str) -> String {
    let word = |letter: char| match letter {
        'F' => "fin",
        'S' => "syn",
        'R' => "rst",
        'P' => "psh",
        'A' => "ack",
        'U' => "urg",
        'E' => "ece",
        _ => "cwr",
    };
    letters.chars().map(word).collect::<Vec<_>>().join(",")
}

/// The flags that are set, and those that are looked at.
pub(super) fn flag_words(flags: Option<TcpFlags>) -> (Option<String>, Option<String>, bool) {
    let Some(flags) = flags else { return (None, None, false) };
    let text = String::from(flags);
    match text.split_once('/') {
        Some((set, out_of)) => (Some(tcp_flags(set)), Some(tcp_flags(out_of)), false),
        None => (None, None, true),
    }
}

pub(super) fn address(prefix: Prefix) -> String {
    match prefix.prefix_len() == prefix.max_prefix_len() {
        true => prefix.addr().to_string(),
        false => prefix.to_string(),
    }
}

pub(super) fn port_range(range: PortRange, between: char) -> String {
    match range.first() == range.last() {
        true => range.first().to_string(),
        false => format!("{}{between}{}", range.first(), range.last()),
    }
}

pub(super) fn ports(ports: &Ports) -> String {
    match ports {
        Ports::Range(range) => port_range(*range, '-'),
        Ports::Alias(name) => name.clone(),
    }
}

/// A `source` or `destination` block. Outbound mappings write everything as `network`, and ports elsewhere.
pub(super) fn block(
    name: &str,
    endpoint: &Endpoint,
    port: Option<&Ports>,
    names: &Names,
    entities: Entities,
    outbound: bool,
) -> Element {
    let literal = if outbound { "network" } else { "address" };
    let leaf = |key: &str, text: &str| Element::leaf(key, text, entities);
    let place = match &endpoint.place {
        Place::Any if outbound && name == "source" => leaf("network", "any"),
        Place::Any => Element::flag("any"),
        Place::Prefix(prefix) => leaf(literal, &address(*prefix)),
        Place::Range(range) => leaf(literal, &range.to_string()),
        Place::Net(interface) => leaf("network", &names.of(interface)),
        Place::Address(interface) => leaf("network", &format!("{}ip", names.of(interface))),
        Place::ThisFirewall => leaf("network", "(self)"),
        Place::Alias(alias) => leaf(literal, alias),
    };
    let mut children = vec![place];
    if endpoint.not {
        children.push(Element::flag("not"));
    }
    children.extend(port.map(|port| leaf("port", &ports(port))));
    Element::new(name, children)
}

pub(super) fn target(target: &Target) -> String {
    match target {
        Target::Prefix(prefix) => address(*prefix),
        Target::Range(range) => range.to_string(),
        Target::Alias(name) => name.clone(),
    }
}

/// A range of addresses, which pfSense knows only in aliases.
pub(super) fn is_range(endpoint: &Endpoint) -> bool {
    matches!(endpoint.place, Place::Range(_))
}

/// Which flows end when a gateway goes down.
pub(super) const fn kill_states(kill: KillStates) -> &'static str {
    match kill {
        KillStates::None => "none",
        KillStates::Down => "down",
        KillStates::All => "all",
    }
}
