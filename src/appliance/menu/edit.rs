//! Changes of the document that the console makes. What people wrote beside the values stays.

use crate::config::model::{Driver, Interface, NodeInterface, OutboundMode, Port, Zone};
use crate::config::{self, Config, Problem, amend};
use crate::types::{Family, MacAddr, Prefix};

/// The ports of a node, without those that are no network cards and cannot become one.
pub fn ports(text: &str, node: &str) -> Vec<String> {
    let Ok(config) = config::parse(text) else { return Vec::new() };
    let part = config.nodes.iter().find(|part| part.name == node);
    part.map(|part| part.ports.iter().map(|port| port.name.clone()).collect()).unwrap_or_default()
}

/// True for the document of one node, which may get new ports without asking anybody.
pub fn is_single(text: &str) -> bool {
    config::parse(text).is_ok_and(|config| config.nodes.len() == 1)
}

/// The interface has this address in place of the first one of its family.
///
/// # Errors
/// Says why not.
pub fn set_address(text: &str, node: &str, interface: &str, address: Prefix) -> Result<String, String> {
    change(text, |config| {
        let part = config
            .nodes
            .iter_mut()
            .find(|part| part.name == node)
            .ok_or("this node is not in the document")?;
        let part = part
            .interfaces
            .iter_mut()
            .find(|part| part.name == interface)
            .ok_or("there is no such interface")?;
        if config.interfaces.iter().any(|known| known.name == interface && known.zone == Zone::Wan)
            && part.addresses.is_empty()
            && config.outbound.mode == OutboundMode::Disabled
        {
            // As the factory default has it while there is nothing to translate to.
            config.outbound.mode = OutboundMode::Automatic;
        }
        let family = |prefix: &Prefix| Family::of(prefix.addr());
        match part.addresses.iter_mut().find(|old| family(old) == family(&address)) {
            Some(old) => *old = address,
            None => part.addresses.insert(0, address),
        }
        Ok(())
    })
}

/// These ports are these cards; a port that had one of them before gets the card in exchange.
///
/// # Errors
/// Says why not.
pub fn assign(text: &str, node: &str, chosen: &[(String, MacAddr)]) -> Result<String, String> {
    change(text, |config| {
        for (name, mac) in chosen {
            let part = config
                .nodes
                .iter_mut()
                .find(|part| part.name == node)
                .ok_or("this node is not in the document")?;
            let taken = part.ports.iter().position(|port| port.nic == Some(*mac) && port.name != *name);
            let before = part.ports.iter().find(|port| port.name == *name).and_then(|port| port.nic);
            if let Some(other) = taken {
                part.ports[other].nic = before;
            }
            match part.ports.iter_mut().find(|port| port.name == *name) {
                Some(port) => {
                    (port.tap, port.macvtap, port.netns, port.nic) = (None, None, None, Some(*mac));
                    port.driver = Driver::default();
                }
                None => add(config, name, *mac),
            }
        }
        // Only a card that has gone nowhere else leaves a port without one.
        let part = config
            .nodes
            .iter_mut()
            .find(|part| part.name == node)
            .ok_or("this node is not in the document")?;
        let cards: Vec<(String, MacAddr)> =
            part.ports.iter().filter_map(|port| Some((port.name.clone(), port.nic?))).collect();
        for part in &mut part.interfaces {
            let port = config.interfaces.iter().find(|interface| interface.name == part.name);
            let port = port.filter(|interface| interface.vlan.is_none()).map(|interface| &interface.port);
            let card = cards.iter().find(|(name, _)| Some(name) == port).map(|(_, mac)| *mac);
            part.mac = card.or(part.mac);
        }
        Ok(())
    })
}

fn add(config: &mut Config, name: &str, mac: MacAddr) {
    let zone = match name {
        "wan" => Zone::Wan,
        "lan" => Zone::Lan,
        _ => Zone::Dmz,
    };
    config.interfaces.push(Interface {
        name: name.into(),
        description: String::new(),
        zone,
        port: name.into(),
        vlan: None,
        mtu: config::defaults::MTU,
        mss: None,
        block_private: false,
        block_bogons: false,
        router_advertisements: false,
        scrub: Default::default(),
    });
    for part in &mut config.nodes {
        part.ports.push(Port {
            name: name.into(),
            tap: None,
            macvtap: None,
            nic: Some(mac),
            netns: None,
            driver: Driver::default(),
        });
        part.interfaces.push(NodeInterface { name: name.into(), mac: Some(mac), addresses: Vec::new() });
    }
}

fn change(text: &str, what: impl FnOnce(&mut Config) -> Result<(), &'static str>) -> Result<String, String> {
    let words = |problems: Vec<Problem>| problems.first().map(Problem::to_string).unwrap_or_default();
    let mut config = config::parse(text).map_err(words)?;
    what(&mut config)?;
    config.revision += 1;
    let text = amend::rewrite(text, &config);
    config::load(&text).map_err(words)?;
    Ok(text)
}
