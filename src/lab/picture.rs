//! The network as a picture for a terminal: a rail for each switch, and what is plugged into it.

use std::fmt::Write;

use super::network::{Host, Network, Plug, namespace};
use crate::config::Config;

/// Draws the network. The addresses of the nodes come from their configuration.
pub fn draw(network: &Network, config: &Config) -> String {
    let mut picture = String::new();
    for switch in &network.switches {
        let mut rows = Vec::new();
        for node in &network.nodes {
            rows.push(Row::new(
                &format!("[{}]", node.name),
                &addresses(config, node.name, switch.name),
                "Koi",
            ));
        }
        for host in &network.hosts {
            rows.extend(rows_of(host, switch.name, network));
        }
        // A line that cannot be written into a string does not exist.
        let _ = writeln!(picture, "\n  {:>4} ═╦═ {} ({})", switch.name, switch.says, namespace(switch.name));
        let last = rows.iter().rposition(|row| !row.behind).unwrap_or_default();
        for (index, row) in rows.iter().enumerate() {
            let rail = match (index.cmp(&last), row.behind) {
                (std::cmp::Ordering::Less, false) => "╠═",
                (std::cmp::Ordering::Less, true) => "║   └─",
                (std::cmp::Ordering::Equal, _) => "╚═",
                (std::cmp::Ordering::Greater, _) => "    └─",
            };
            let width = if row.behind { 9 } else { 13 };
            let _ = writeln!(picture, "        {rail} {:width$} {}", row.name, row.rest);
        }
    }
    picture
}

struct Row {
    name: String,
    rest: String,
    /// Not at the switch itself, but behind the row above.
    behind: bool,
}

impl Row {
    fn new(name: &str, addresses: &[String], says: &str) -> Row {
        let rest = format!("{:38} {says}", addresses.join("  "));
        Row { name: name.into(), rest, behind: false }
    }
}

fn rows_of(host: &Host, switch: &str, network: &Network) -> Vec<Row> {
    let at_switch = host.cables.iter().find(|cable| matches!(cable.to, Plug::Switch(name) if name == switch));
    let Some(cable) = at_switch else { return Vec::new() };
    let texts = |addresses: &[&str]| addresses.iter().map(|text| bare(text)).collect::<Vec<_>>();
    let mut rows = vec![Row::new(host.name, &texts(&cable.addresses), host.says)];
    for cable in &host.cables {
        if let Plug::Host { name, addresses, .. } = &cable.to {
            let says = network.hosts.iter().find(|other| other.name == *name).map_or("", |other| other.says);
            rows.push(Row { behind: true, ..Row::new(name, &texts(addresses), says) });
        }
    }
    rows
}

/// The addresses of a node in the namespace of a switch.
fn addresses(config: &Config, node: &str, switch: &str) -> Vec<String> {
    let Some(node) = config.nodes.iter().find(|part| part.name == node) else { return Vec::new() };
    let netns = namespace(switch);
    let ports: Vec<&str> = node
        .ports
        .iter()
        .filter(|port| port.netns.as_deref() == Some(&*netns))
        .map(|port| port.name.as_str())
        .collect();
    let logical: Vec<&str> = config
        .interfaces
        .iter()
        .filter(|interface| ports.contains(&interface.port.as_str()))
        .map(|interface| interface.name.as_str())
        .collect();
    let parts = node.interfaces.iter().filter(|part| logical.contains(&part.name.as_str()));
    parts.flat_map(|part| &part.addresses).map(|prefix| bare(&prefix.to_string())).collect()
}

/// Without the prefix length.
fn bare(address: &str) -> String {
    address.split('/').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_in_the_picture() {
        let network = Network::story();
        let config = crate::config::load(super::super::CONFIG).unwrap();
        let picture = draw(&network, &config);
        for host in &network.hosts {
            assert!(picture.contains(host.name), "{picture}");
        }
        for word in ["[alpha]", "203.0.113.3", "192.168.1.2", "10.20.0.2", "2001:db8:ffff::10", "koi-lab-dmz"]
        {
            assert!(picture.contains(word), "{word} in {picture}");
        }
        assert!(picture.lines().all(|line| line.chars().count() <= 100), "{picture}");
    }
}
