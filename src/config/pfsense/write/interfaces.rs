//! `interfaces`, `vlans`, and the modes of router advertisements.

use std::net::IpAddr;

use super::super::read::Key;
use super::super::tree::Element;
use super::Scene;
use super::patch::Patch;
use crate::config::defaults::MTU;
use crate::config::model::{Config, Interface, Node, NodeInterface, Zone};
use crate::types::Prefix;

pub(super) fn write(scene: &mut Scene<'_>) {
    let mut section = scene.take("interfaces");
    let old_names: Vec<String> =
        scene.old.interfaces.iter().map(|interface| interface.name.clone()).collect();
    let (old, new, node) = (scene.old, scene.new, scene.node);
    for name in
        old_names.iter().filter(|name| !new.interfaces.iter().any(|interface| interface.name == **name))
    {
        section.remove(&scene.names.of(name));
    }
    for interface in &new.interfaces {
        let was = old.interfaces.iter().find(|other| other.name == interface.name);
        let part = part(node, &interface.name);
        let was_part = old.nodes.first().and_then(|node| self::part(node, &interface.name));
        if was == Some(interface) && was_part == part && upstream(old, interface) == upstream(new, interface)
        {
            continue;
        }
        let name = scene.names.of(&interface.name);
        let index = section.children.iter().position(|child| child.is(&name));
        let element = match index {
            Some(index) => std::mem::take(&mut section.children[index]).called(&name),
            None => Element::flag(&name),
        };
        let before = was.map(|was| (was, was_part));
        let element = patched(scene, element, before, interface, part);
        match index {
            Some(index) => section.children[index] = element,
            None => section.children.push(element),
        }
    }
    scene.give(section);
    tags(scene);
    advertisements(scene);
}

fn part<'a>(node: &'a Node, name: &str) -> Option<&'a NodeInterface> {
    node.interfaces.iter().find(|part| part.name == name)
}

/// The interface's own address of a family: further ones are virtual IPs there.
fn own(part: Option<&NodeInterface>, v4: bool) -> Option<Prefix> {
    part?.addresses.iter().find(|prefix| prefix.addr().is_ipv4() == v4).copied()
}

/// The gateways that make an interface a WAN there.
fn upstream(config: &Config, interface: &Interface) -> [Option<String>; 2] {
    [true, false].map(|v4| {
        let mut gateways = config.gateways.iter().filter(|gateway| {
            gateway.interface == interface.name
                && gateway.address.is_ipv4() == v4
                && interface.zone == Zone::Wan
        });
        let first = gateways.clone().find(|gateway| gateway.default).or_else(|| gateways.next());
        first.map(|gateway| gateway.name.clone())
    })
}

fn patched(
    scene: &mut Scene<'_>,
    element: Element,
    before: Option<(&Interface, Option<&NodeInterface>)>,
    new: &Interface,
    part: Option<&NodeInterface>,
) -> Element {
    let old = before.map(|(was, _)| was);
    let old_part = before.and_then(|(_, part)| part);
    let fresh = old.is_none();
    let mut patch = Patch::new(element, scene.entities);
    patch.flag(fresh, "enable", true);
    let device = scene.device(&new.port);
    let device = new.vlan.map_or(device.clone(), |vlan| format!("{device}.{vlan}"));
    patch.text(old.is_none_or(|old| (&old.port, old.vlan) != (&new.port, new.vlan)), "if", Some(device));
    let descr = match new.description.is_empty() && scene.names.of(&new.name) != new.name {
        true => new.name.to_ascii_uppercase(),
        false => new.description.clone(),
    };
    patch.text(old.is_none_or(|old| old.description != new.description), "descr", Some(descr));
    for (v4, address, subnet) in [(true, "ipaddr", "subnet"), (false, "ipaddrv6", "subnetv6")] {
        let (was, is) = (own(old_part, v4), own(part, v4));
        let changed = fresh && is.is_some() || !fresh && was != is;
        patch.text(changed, address, is.map(|prefix| prefix.addr().to_string()));
        patch.text(changed, subnet, is.map(|prefix| prefix.prefix_len().to_string()));
    }
    let (was, is) = (old.map(|old| upstream(scene.old, old)), upstream(scene.new, new));
    let [v4, v6] = is.clone();
    let changed = |index: usize| was.as_ref().map_or(is[index].is_some(), |was| was[index] != is[index]);
    patch.text(changed(0), "gateway", v4);
    patch.text(changed(1), "gatewayv6", v6);
    let mac = part.and_then(|part| part.mac);
    let changed = old_part.and_then(|part| part.mac) != mac;
    patch.text(changed, "spoofmac", mac.map(|mac| mac.to_string()));
    let mtu = (new.mtu != MTU).then(|| new.mtu.to_string());
    patch.text(old.map_or(MTU, |old| old.mtu) != new.mtu, "mtu", mtu);
    patch.text(old.and_then(|old| old.mss) != new.mss, "mss", new.mss.map(|mss| mss.to_string()));
    patch.flag(old.is_some_and(|old| old.block_private) != new.block_private, "blockpriv", new.block_private);
    patch.flag(old.is_some_and(|old| old.block_bogons) != new.block_bogons, "blockbogons", new.block_bogons);
    if old.is_none_or(|old| old.zone != new.zone) && new.zone == Zone::Dmz && new.name == "lan" {
        scene.lacks("zone", "pfSense has no zones: its LAN is where the GUI stays reachable", &new.name);
    }
    patch.element
}

/// A tag on a cable is an element of its own.
fn tags(scene: &mut Scene<'_>) {
    let mut section = scene.take("vlans");
    let (old, new) = (scene.old, scene.new);
    let tagged = |config: &Config| -> Vec<(String, u16)> {
        config
            .interfaces
            .iter()
            .filter_map(|interface| Some((interface.port.clone(), interface.vlan?)))
            .collect()
    };
    let (was, is) = (tagged(old), tagged(new));
    let says = |element: &Element, device: &str, tag: u16| {
        element.text_of("if") == Some(device) && element.text_of("tag") == Some(tag.to_string().as_str())
    };
    for (port, tag) in was.iter().filter(|tagged| !is.contains(tagged)) {
        let device = scene.device(port);
        section.children.retain(|element| !says(element, &device, *tag));
    }
    for (port, tag) in &is {
        let device = scene.device(port);
        if section.children.iter().any(|element| says(element, &device, *tag)) {
            continue;
        }
        let leaf = |name: &str, text: &str| Element::leaf(name, text, scene.entities);
        let children = vec![
            leaf("if", &device),
            leaf("tag", &tag.to_string()),
            leaf("pcp", ""),
            leaf("descr", ""),
            leaf("vlanif", &format!("{device}.{tag}")),
        ];
        if !section
            .children
            .iter()
            .any(|element| element.text_of("vlanif") == Some(&format!("{device}.{tag}")))
        {
            section.children.push(Element::new("vlan", children));
        }
    }
    if section.is_empty() {
        scene.root.children.retain(|child| !child.name.is_empty());
    } else {
        scene.give(section);
    }
}

fn advertisements(scene: &mut Scene<'_>) {
    let (old, new) = (scene.old, scene.new);
    for interface in &new.interfaces {
        let was = old.interfaces.iter().find(|other| other.name == interface.name);
        if was.is_some_and(|was| was.router_advertisements) == interface.router_advertisements {
            continue;
        }
        let mode = if interface.router_advertisements { "unmanaged" } else { "disabled" };
        let name = scene.names.of(&interface.name);
        let entities = scene.entities;
        scene.root.ensure("dhcpdv6").ensure(&name).put(Element::leaf("ramode", mode, entities));
    }
}

/// Addresses of an interface that are not its own there.
pub(super) fn further(node: &Node) -> Vec<(Key, String, Prefix)> {
    let mut further = Vec::new();
    for part in &node.interfaces {
        let (v4, v6) = (own(Some(part), true), own(Some(part), false));
        for prefix in part.addresses.iter().filter(|prefix| Some(**prefix) != v4 && Some(**prefix) != v6) {
            let address: IpAddr = prefix.addr();
            further.push((Key::Address(part.name.clone(), address), part.name.clone(), *prefix));
        }
    }
    further
}
