//! The lab as data: which switches, hosts and nodes there are, and what is plugged in where.
//!
//! Everything else in this module builds, draws or tests what stands here; another host or node is one more value.

use std::net::IpAddr;

use crate::types::Prefix;

/// What every namespace of the lab is called first.
pub const PREFIX: &str = "koi-lab-";

/// The name of the namespace of a switch or a host.
pub fn namespace(name: &str) -> String {
    format!("{PREFIX}{name}")
}

/// The whole network.
#[derive(Clone, Debug)]
pub struct Network {
    /// Switches, in the order of the picture.
    pub switches: Vec<Switch>,
    /// Machines with the kernel's own network stack.
    pub hosts: Vec<Host>,
    /// Routers: each a Koi of its own.
    pub nodes: Vec<Node>,
}

/// A switch: a namespace with a bridge in it.
#[derive(Clone, Debug)]
pub struct Switch {
    /// Its name.
    pub name: &'static str,
    /// What it is in the story.
    pub says: &'static str,
}

/// A host: a namespace with cables to switches and to other hosts.
#[derive(Clone, Debug)]
pub struct Host {
    /// Its name.
    pub name: &'static str,
    /// What it is in the story.
    pub says: &'static str,
    /// It forwards, like a router.
    pub forwards: bool,
    /// It answers on [`super::services::TCP_PORT`] and [`super::services::UDP_PORT`].
    pub serves: bool,
    /// Its devices.
    pub cables: Vec<Cable>,
    /// Prefix and gateway.
    pub routes: Vec<(&'static str, &'static str)>,
}

/// A device of a host, and where its cable ends.
#[derive(Clone, Debug)]
pub struct Cable {
    /// Name of the device.
    pub device: &'static str,
    /// The other end.
    pub to: Plug,
    /// Addresses with prefix lengths.
    pub addresses: Vec<&'static str>,
}

/// The other end of a cable.
#[derive(Clone, Debug)]
pub enum Plug {
    /// A port of a switch.
    Switch(&'static str),
    /// A device of another host, where this cable is not listed again.
    Host {
        /// Its name.
        name: &'static str,
        /// The device there.
        device: &'static str,
        /// Its addresses with prefix lengths.
        addresses: Vec<&'static str>,
    },
}

/// A Koi. Its ports and addresses stand in the configuration.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its name in the configuration.
    pub name: &'static str,
}

impl Network {
    /// The network of the story: a small company behind one router, and the internet.
    pub fn story() -> Network {
        Network {
            switches: vec![
                Switch { name: "wan", says: "the provider's cable" },
                Switch { name: "lan", says: "the office" },
                Switch { name: "dmz", says: "the servers" },
                Switch { name: "sync", says: "a cable between the nodes" },
            ],
            hosts: vec![gateway(), server(), outsider(), client(), www()],
            nodes: vec![Node { name: "alpha" }],
        }
    }

    /// All namespaces.
    pub fn namespaces(&self) -> impl Iterator<Item = String> {
        let switches = self.switches.iter().map(|switch| switch.name);
        switches.chain(self.hosts.iter().map(|host| host.name)).map(namespace)
    }

    /// The addresses of a host, on all its devices.
    pub fn addresses(&self, host: &str) -> Vec<IpAddr> {
        let mut texts: Vec<&str> = Vec::new();
        for owner in &self.hosts {
            for cable in &owner.cables {
                if owner.name == host {
                    texts.extend(&cable.addresses);
                }
                match &cable.to {
                    Plug::Host { name, addresses, .. } if *name == host => texts.extend(addresses),
                    Plug::Host { .. } | Plug::Switch(_) => {}
                }
            }
        }
        let prefixes = texts.iter().filter_map(|text| text.parse::<Prefix>().ok());
        prefixes.map(|prefix| prefix.addr()).collect()
    }
}

/// The provider's router: it knows the way to our IPv6 networks, and nothing of our private IPv4 networks.
fn gateway() -> Host {
    let internet = Plug::Host {
        name: "server",
        device: "eth0",
        addresses: vec!["198.51.100.10/24", "2001:db8:ffff::10/64"],
    };
    Host {
        name: "gateway",
        says: "the provider's router",
        forwards: true,
        serves: false,
        cables: vec![
            Cable {
                device: "wan0",
                to: Plug::Switch("wan"),
                addresses: vec!["203.0.113.1/24", "2001:db8:1::1/64"],
            },
            Cable { device: "net0", to: internet, addresses: vec!["198.51.100.1/24", "2001:db8:ffff::1/64"] },
        ],
        routes: vec![("2001:db8:10::/64", "2001:db8:1::2"), ("2001:db8:20::/64", "2001:db8:1::2")],
    }
}

fn server() -> Host {
    Host {
        name: "server",
        says: "somewhere on the internet",
        forwards: false,
        serves: true,
        cables: vec![],
        routes: vec![("default", "198.51.100.1"), ("::/0", "2001:db8:ffff::1")],
    }
}

/// It sits on the provider's cable and tries what a provider's router would never forward.
fn outsider() -> Host {
    Host {
        name: "outsider",
        says: "tries to get in",
        forwards: false,
        serves: false,
        cables: vec![Cable {
            device: "eth0",
            to: Plug::Switch("wan"),
            addresses: vec!["203.0.113.66/24", "2001:db8:1::66/64"],
        }],
        routes: vec![
            ("192.168.1.0/24", "203.0.113.2"),
            ("10.20.0.0/24", "203.0.113.2"),
            ("2001:db8:10::/64", "2001:db8:1::2"),
            ("2001:db8:20::/64", "2001:db8:1::2"),
        ],
    }
}

fn client() -> Host {
    Host {
        name: "client",
        says: "a desk in the office",
        forwards: false,
        serves: true,
        cables: vec![Cable {
            device: "eth0",
            to: Plug::Switch("lan"),
            addresses: vec!["192.168.1.10/24", "2001:db8:10::10/64"],
        }],
        routes: vec![("default", "192.168.1.1"), ("::/0", "2001:db8:10::1")],
    }
}

fn www() -> Host {
    Host {
        name: "www",
        says: "a server of ours",
        forwards: false,
        serves: true,
        cables: vec![Cable {
            device: "eth0",
            to: Plug::Switch("dmz"),
            addresses: vec!["10.20.0.10/24", "2001:db8:20::10/64"],
        }],
        routes: vec![("default", "10.20.0.1"), ("::/0", "2001:db8:20::1")],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_on_either_end_of_a_cable() {
        let network = Network::story();
        let texts = |host| network.addresses(host).iter().map(IpAddr::to_string).collect::<Vec<_>>();
        assert_eq!(texts("server"), ["198.51.100.10", "2001:db8:ffff::10"]);
        assert_eq!(texts("gateway").len(), 4);
        assert!(texts("nobody").is_empty());
    }

    #[test]
    fn every_cable_ends_somewhere_and_every_node_is_in_the_configuration() {
        let network = Network::story();
        let config = crate::config::load(super::super::CONFIG).unwrap();
        for node in &network.nodes {
            assert!(config.node(Some(node.name)).is_ok(), "{}", node.name);
        }
        for cable in network.hosts.iter().flat_map(|host| &host.cables) {
            let found = match &cable.to {
                Plug::Switch(name) => network.switches.iter().any(|switch| switch.name == *name),
                Plug::Host { name, .. } => network.hosts.iter().any(|host| host.name == *name),
            };
            assert!(found, "{cable:?}");
        }
        for port in config.nodes.iter().flat_map(|node| &node.ports) {
            let netns = port.netns.clone().unwrap();
            assert!(network.switches.iter().any(|switch| namespace(switch.name) == netns), "{netns}");
        }
    }
}
