//! `timezone`, `timeservers` and `dnsserver` of `system`, and `syslog`.

use std::net::IpAddr;

use super::super::read::{LOG_SERVERS, log_ticks};
use super::super::tree::{Element, Entities};
use super::Scene;
use crate::config::model::{Logging, System};

/// The part that stands in `system`.
pub(super) fn asked(section: &mut Element, old: &System, new: &System, entities: Entities) {
    if old.timezone != new.timezone {
        section.put(Element::leaf("timezone", &new.timezone, entities));
    }
    if old.time_servers != new.time_servers {
        section.put(Element::leaf("timeservers", &new.time_servers.join(" "), entities));
    }
    if old.dns_servers != new.dns_servers {
        name_servers(section, &new.dns_servers, entities);
    }
}

/// The servers, each with what belongs to it by its number: `dns1gw`, `dns1host`.
fn name_servers(section: &mut Element, servers: &[IpAddr], entities: Entities) {
    let before: Vec<Element> = section.all("dnsserver").cloned().collect();
    let place = section.children.iter().position(|child| child.is("dnsserver"));
    let mut beside = Vec::new();
    section.children.retain(|child| {
        let is_beside = belongs_to(child).is_some();
        beside.extend(is_beside.then(|| child.clone()));
        !is_beside
    });
    let place = place.map_or(section.children.len(), |_| {
        section.children.iter().position(|child| child.is("dnsserver")).unwrap_or(section.children.len())
    });
    section.remove("dnsserver");
    let mut elements = Vec::new();
    for (index, server) in servers.iter().enumerate() {
        elements.push(Element::leaf("dnsserver", &server.to_string(), entities));
        let was = before.iter().position(|element| element.text.trim().parse() == Ok(*server));
        for element in &beside {
            if let Some((number, rest)) = belongs_to(element)
                && Some(number) == was.map(|was| was + 1)
            {
                elements.push(element.clone().called(&format!("dns{}{rest}", index + 1)));
            }
        }
    }
    let behind = section.children.split_off(place.min(section.children.len()));
    section.children.extend(elements);
    section.children.extend(behind);
}

/// The number of the server that an element is about, and what it says of it.
fn belongs_to(element: &Element) -> Option<(usize, &str)> {
    let rest = element.name.strip_prefix("dns")?;
    let end = rest.find(|c: char| !c.is_ascii_digit())?;
    let (number, rest) = rest.split_at(end);
    matches!(rest, "gw" | "host").then_some(())?;
    Some((number.parse().ok()?, rest))
}

/// `syslog`.
pub(super) fn told(scene: &mut Scene<'_>) {
    let (old, new, entities) = (&scene.old.system.logging, &scene.new.system.logging, scene.entities);
    if old == new {
        return;
    }
    let mut section = scene.take("syslog");
    let Logging {
        servers,
        facility,
        severity,
        default_block: _,
        default_pass: _,
        bogons: _,
        private: _,
        file_size,
        file_count,
    } = new;
    if old.servers != *servers {
        LOG_SERVERS.iter().for_each(|name| section.remove(name));
        for (name, server) in LOG_SERVERS.iter().zip(servers) {
            section.put(Element::leaf(name, &server.to_string(), entities));
        }
        for name in ["enable", "filter"] {
            match servers.is_empty() {
                true => section.remove(name),
                false if section.has(name) => {}
                false => section.put(Element::flag(name)),
            }
        }
    }
    let (mut was, mut is) = (old.clone(), new.clone());
    for ((name, meant, is), (_, _, was)) in log_ticks(&mut is).into_iter().zip(log_ticks(&mut was)) {
        match *is == meant {
            _ if is == was => {}
            true => section.put(Element::flag(name)),
            false => section.remove(name),
        }
    }
    if old.file_size != *file_size {
        section.put(Element::leaf("logfilesize", &file_size.to_string(), entities));
    }
    if old.file_count != *file_count {
        section.put(Element::leaf("rotatecount", &file_count.to_string(), entities));
    }
    scene.give(section);
    if (old.facility, old.severity) != (*facility, *severity) {
        scene.lacks(
            "log setting",
            "pfSense's records have the facility local0 and a severity of their own",
            "",
        );
    }
}
