//! Which port of this machine takes the place of which device of the other one. Names of devices never match, so
//! somebody has to say; here are only proposals, with their reasons.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::config::model::{Driver, Port};
use crate::types::Prefix;

/// What an import is told.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Options {
    /// Name of the node that the file becomes.
    pub node: String,
    /// Device there, port or TAP here.
    pub maps: BTreeMap<String, String>,
    /// Interface there, and addresses that it gets here: for those that come by DHCP there.
    #[serde(default)]
    pub addresses: Vec<(String, Prefix)>,
    /// Interface there, and the gateways that it gets here, likewise.
    #[serde(default)]
    pub gateways: Vec<(String, IpAddr)>,
    /// The ports that this machine has already, when it has a document.
    pub ports: Vec<Port>,
    /// What is known of them: for proposals.
    pub known: Vec<Known>,
}

/// An interface that this machine has already.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Known {
    /// Its name: what takes its place has it, too.
    #[serde(default)]
    pub name: String,
    /// Its port.
    pub port: String,
    /// Its tag.
    pub vlan: Option<u16>,
    /// Its addresses.
    pub addresses: Vec<Prefix>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            node: "fw".into(),
            maps: BTreeMap::new(),
            addresses: Vec::new(),
            gateways: Vec::new(),
            ports: Vec::new(),
            known: Vec::new(),
        }
    }
}

impl Options {
    /// For a machine that runs with this document: the ports of its node, of the first one when none is named, can be named
    /// in a mapping.
    pub fn onto(config: &Config, node: Option<&str>) -> Options {
        let named = config.nodes.iter().find(|other| node.is_none_or(|name| other.name == name));
        let Some(node) = named else { return Options::default() };
        let known = config.interfaces.iter().map(|interface| {
            let parts = node.interfaces.iter().filter(|part| part.name == interface.name);
            Known {
                name: interface.name.clone(),
                port: interface.port.clone(),
                vlan: interface.vlan,
                addresses: parts.flat_map(|part| part.addresses.clone()).collect(),
            }
        });
        let known = known.collect();
        Options { node: node.name.clone(), ports: node.ports.clone(), known, ..Options::default() }
    }

    /// The port that a name means: one that the machine has, or a new one on a TAP of that name.
    pub(super) fn port(&self, device: &str, to: &str) -> Port {
        let has = |port: &&Port| port.name == to || port.tap.as_deref() == Some(to);
        self.ports.iter().find(has).cloned().unwrap_or_else(|| Port {
            name: port_name(device),
            tap: Some(to.into()),
            macvtap: None,
            nic: None,
            netns: None,
            driver: Driver::default(),
        })
    }
}

/// A device of the other firewall, and what takes its place.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Mapped {
    /// The device there.
    pub device: String,
    /// What it carries: name, description, tag, addresses.
    pub carries: Vec<String>,
    /// The port or TAP here, when somebody said so.
    pub port: Option<String>,
    /// What could take its place.
    pub proposal: String,
    /// Why.
    pub because: String,
}

/// What a device there carries.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Device {
    pub(super) name: String,
    /// Name of the first interface on it.
    pub(super) interface: String,
    pub(super) carries: Vec<String>,
    pub(super) vlans: Vec<u16>,
    pub(super) networks: Vec<Prefix>,
}

/// A mapping for all devices, by what was said and, where nothing was, by what could be meant.
pub(super) fn map(devices: &[Device], options: &Options) -> Vec<Mapped> {
    let mut taken: Vec<&str> = options.maps.values().map(String::as_str).collect();
    let mut proposals: Vec<Option<(String, String)>> = vec![None; devices.len()];
    // What is sure first, so that the order is only asked where nothing else tells.
    for by in [by_network, by_vlan, by_order] {
        for (device, proposal) in devices.iter().zip(&mut proposals) {
            if proposal.is_some() || options.maps.contains_key(&device.name) {
                continue;
            }
            if let Some((port, because)) = by(device, options, &taken) {
                taken.push(port);
                *proposal = Some((port.to_owned(), because));
            }
        }
    }
    let pairs = devices.iter().zip(proposals);
    pairs
        .map(|(device, proposal)| {
            let (proposal, because) = proposal.unwrap_or_else(|| {
                (
                    format!("koi-{}", port_name(&device.interface)),
                    "a new TAP with the name of its interface".into(),
                )
            });
            let port = options.maps.get(&device.name).cloned();
            Mapped { device: device.name.clone(), carries: device.carries.clone(), port, proposal, because }
        })
        .collect()
}

type Found<'o> = Option<(&'o str, String)>;

fn free<'o>(port: &'o str, taken: &[&str]) -> Option<&'o str> {
    (!taken.contains(&port)).then_some(port)
}

fn by_network<'o>(device: &Device, options: &'o Options, taken: &[&str]) -> Found<'o> {
    options.known.iter().find_map(|known| {
        let shared = |ours: &&Prefix| device.networks.iter().any(|theirs| theirs.trunc() == ours.trunc());
        let network = known.addresses.iter().find(shared)?;
        Some((free(&known.port, taken)?, format!("both carry the network {}", network.trunc())))
    })
}

fn by_vlan<'o>(device: &Device, options: &'o Options, taken: &[&str]) -> Found<'o> {
    options.known.iter().find_map(|known| {
        let vlan = known.vlan.filter(|vlan| device.vlans.contains(vlan))?;
        Some((free(&known.port, taken)?, format!("both carry VLAN {vlan}")))
    })
}

fn by_order<'o>(_: &Device, options: &'o Options, taken: &[&str]) -> Found<'o> {
    let port = options.ports.iter().find_map(|port| free(&port.name, taken))?;
    Some((port, "it is the next one in order".into()))
}

/// A name of a port from that of a device.
pub(super) fn port_name(device: &str) -> String {
    let fits = |c: char| {
        if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c.to_ascii_lowercase() } else { '-' }
    };
    let name: String = device.chars().take(31).map(fits).collect();
    if name.starts_with(|c: char| c.is_ascii_lowercase()) {
        name
    } else {
        format!("p{}", name.chars().take(30).collect::<String>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(name: &str, vlans: &[u16], networks: &[&str]) -> Device {
        Device {
            name: name.into(),
            interface: format!("if{name}"),
            carries: Vec::new(),
            vlans: vlans.to_vec(),
            networks: networks.iter().map(|text| text.parse().unwrap()).collect(),
        }
    }

    fn port(name: &str) -> Port {
        Port {
            name: name.into(),
            tap: Some(format!("koi-{name}")),
            macvtap: None,
            nic: None,
            netns: None,
            driver: Driver::Offload,
        }
    }

    #[test]
    fn networks_tell_more_than_tags_and_tags_more_than_the_order() {
        let known = |port: &str, vlan, addresses: &[&str]| Known {
            name: port.into(),
            port: port.into(),
            vlan,
            addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
        };
        let mut options = Options {
            ports: ["wan", "lan", "trunk", "spare"].map(port).to_vec(),
            known: vec![
                known("wan", None, &[]),
                known("lan", None, &["10.0.0.2/24"]),
                known("trunk", Some(20), &[]),
            ],
            ..Options::default()
        };
        let devices = [
            device("em0", &[20], &[]),
            device("em1", &[], &["10.0.0.1/24"]),
            device("em2", &[], &[]),
            device("em3", &[], &[]),
        ];
        let proposed = |options: &Options| {
            let mapped = map(&devices, options);
            mapped.into_iter().map(|mapped| mapped.port.unwrap_or(mapped.proposal)).collect::<Vec<_>>()
        };
        assert_eq!(proposed(&options), ["trunk", "lan", "wan", "spare"]);
        options.maps = BTreeMap::from([("em3".into(), "lan".into())]);
        assert_eq!(proposed(&options), ["trunk", "wan", "spare", "lan"]);
        assert_eq!(proposed(&Options::default()), ["koi-ifem0", "koi-ifem1", "koi-ifem2", "koi-ifem3"]);
    }

    #[test]
    fn a_name_means_a_port_that_is_there_or_a_new_tap() {
        let options = Options { ports: vec![port("wan")], ..Options::default() };
        assert_eq!(options.port("em0", "wan"), options.port("em0", "koi-wan"));
        let new = options.port("Em0.X", "tap7");
        assert_eq!((new.name.as_str(), new.tap.as_deref()), ("em0-x", Some("tap7")));
        assert_eq!(port_name("0a"), "p0a");
    }
}
