//! `virtualip`: each address is an element of its own there.

use super::super::read::Key;
use super::Scene;
use super::interfaces::further;
use super::merge::{Lists, merge};
use super::patch::Patch;
use crate::config::Config;
use crate::config::model::{Node, Secret, VirtualIp, VirtualMac};
use crate::types::Prefix;

/// One element.
#[derive(Clone, PartialEq, Debug)]
struct Row {
    key: Key,
    interface: String,
    prefix: Prefix,
    /// The virtual host that it is, or goes with.
    host: Option<Host>,
    /// It is the first address of its host.
    first: bool,
    description: String,
}

#[derive(Clone, PartialEq, Debug)]
struct Host {
    vhid: u8,
    advbase: u8,
    advskew: u8,
    password: Secret,
}

pub(super) fn write(scene: &mut Scene<'_>) {
    let old = scene.old.nodes.first().map_or(Vec::new(), |node| rows(scene.old, node));
    let new = rows(scene.new, scene.node);
    let mut section = scene.take("virtualip");
    let key = |row: &Row| row.key.clone();
    // Aliases name the host that they go with by its id, so hosts come first.
    let mut ids: Vec<(String, u8, String)> = Vec::new();
    for element in section.all("vip") {
        if let (Some(Key::Vip(interface, vhid)), Some(id)) =
            (scene.links.get(element), element.text_of("uniqid"))
        {
            ids.push((interface.clone(), *vhid, id.into()));
        }
    }
    for row in new.iter().filter(|row| row.first) {
        let Some(host) = &row.host else { continue };
        if !ids.iter().any(|(interface, vhid, _)| *interface == row.interface && *vhid == host.vhid) {
            ids.push((row.interface.clone(), host.vhid, id_of(row, ids.len())));
        }
    }
    let (names, entities) = (&scene.names, scene.entities);
    merge(&mut section, "vip", scene.links, &Lists { old: &old, new: &new, key }, |element, was, row| {
        let mut patch = Patch::new(element, entities);
        let fresh = was.is_none();
        let mode = if row.first { "carp" } else { "ipalias" };
        patch.text(was.is_none_or(|was| was.first != row.first), "mode", Some(mode.into()));
        let carrier = row.host.as_ref().filter(|_| !row.first).and_then(|host| {
            ids.iter().find(|(interface, vhid, _)| *interface == row.interface && *vhid == host.vhid)
        });
        let interface = carrier.map_or_else(|| names.of(&row.interface), |(_, _, id)| format!("_vip{id}"));
        let hosted = |row: &Row| row.host.as_ref().map(|host| host.vhid);
        let changed = was.is_none_or(|was| (&was.interface, hosted(was)) != (&row.interface, hosted(row)));
        patch.text(changed, "interface", Some(interface));
        if let Some(host) = row.host.as_ref().filter(|_| row.first) {
            let old = was.and_then(|was| was.host.as_ref());
            patch.text(old.is_none_or(|old| old.vhid != host.vhid), "vhid", Some(host.vhid.to_string()));
            patch.text(
                old.is_none_or(|old| old.advskew != host.advskew),
                "advskew",
                Some(host.advskew.to_string()),
            );
            patch.text(
                old.is_none_or(|old| old.advbase != host.advbase),
                "advbase",
                Some(host.advbase.to_string()),
            );
            let password = Some(host.password.reveal().to_owned());
            patch.text(old.is_none_or(|old| old.password != host.password), "password", password);
        }
        let own_id = ids.iter().find(|(interface, vhid, _)| {
            row.first && *interface == row.interface && Some(*vhid) == hosted(row)
        });
        let id = own_id.map_or_else(|| id_of(row, 0x1000), |(_, _, id)| id.clone());
        patch.text(fresh, "uniqid", Some(id));
        patch.text(
            was.is_none_or(|was| was.description != row.description),
            "descr",
            Some(row.description.clone()),
        );
        patch.text(fresh, "type", Some("single".into()));
        let changed = was.is_none_or(|was| was.prefix != row.prefix);
        patch.text(changed, "subnet_bits", Some(row.prefix.prefix_len().to_string()));
        patch.text(changed, "subnet", Some(row.prefix.addr().to_string()));
        patch.element
    });
    scene.give(section);
    for vip in &scene.new.virtual_ips.clone() {
        unsayable(scene, vip);
    }
}

/// Thirteen hex digits, always the same for the same address.
fn id_of(row: &Row, number: usize) -> String {
    let bits = row
        .prefix
        .addr()
        .to_string()
        .bytes()
        .fold(number as u64, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{:013x}", bits & 0x000f_ffff_ffff_ffff)
}

fn rows(config: &Config, node: &Node) -> Vec<Row> {
    let mut rows = Vec::new();
    for vip in &config.virtual_ips {
        let host = Host {
            vhid: vip.vhid.0,
            advbase: vip.advbase,
            advskew: vip.advskew,
            password: vip.password.clone(),
        };
        for (index, prefix) in vip.addresses.iter().enumerate() {
            let key = match index {
                0 => Key::Vip(vip.interface.clone(), vip.vhid.0),
                _ => Key::Address(vip.interface.clone(), prefix.addr()),
            };
            rows.push(Row {
                key,
                interface: vip.interface.clone(),
                prefix: *prefix,
                // An alias does not change with the numbers of its host.
                host: Some(if index == 0 {
                    host.clone()
                } else {
                    Host { advbase: 0, advskew: 0, password: Secret::default(), ..host.clone() }
                }),
                first: index == 0,
                description: if index == 0 { vip.description.clone() } else { String::new() },
            });
        }
    }
    rows.extend(further(node).into_iter().map(|(key, interface, prefix)| Row {
        key,
        interface,
        prefix,
        host: None,
        first: false,
        description: String::new(),
    }));
    rows
}

fn unsayable(scene: &mut Scene<'_>, vip: &VirtualIp) {
    if vip.peer.is_some() || vip.preempt.is_some() {
        scene.lacks(
            "virtual IP",
            "pfSense sends CARP to its group, and preempts as a whole",
            &vip.description,
        );
    }
    if vip.mac != VirtualMac::Virtual {
        scene.lacks("virtual IP", "pfSense uses the virtual MAC address", &vip.description);
    }
}
