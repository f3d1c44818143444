//! What the firewall asks of others, and tells them: the time, names, its log. `timezone`, `timeservers` and `dnsserver`
//! of `system`, and `syslog`.

use std::net::IpAddr;

use super::super::report::Group;
use super::super::tree::Element;
use super::context::Context;
use crate::config::calendar;
use crate::config::defaults::{
    DNS_SERVER_LIMIT, LOG_FILE_COUNT_RANGE, LOG_FILE_SIZE_RANGE, LOG_SERVER_LIMIT, TIME_SERVER_LIMIT,
};
use crate::config::model::{Logging, Service, host_name};

/// pfSense's names for the servers of its log.
pub(in super::super) static LOG_SERVERS: [&str; LOG_SERVER_LIMIT] =
    ["remoteserver", "remoteserver2", "remoteserver3"];

/// What is read of `syslog`.
static LOG_SETTINGS: &[&str] = &[
    "enable",
    "filter",
    "logall",
    "nologdefaultblock",
    "nologdefaultpass",
    "nologbogons",
    "nologprivatenets",
    "logfilesize",
    "rotatecount",
];

/// What pfSense calls the ticks of the default rules, and what its flag means here. Against its name, `nologdefaultpass`
/// turns logging on.
pub(in super::super) fn log_ticks(logging: &mut Logging) -> [(&'static str, bool, &mut bool); 4] {
    [
        ("nologdefaultblock", false, &mut logging.default_block),
        ("nologdefaultpass", true, &mut logging.default_pass),
        ("nologbogons", false, &mut logging.bogons),
        ("nologprivatenets", false, &mut logging.private),
    ]
}

pub(super) fn read(ctx: &mut Context<'_>) {
    let tree = ctx.tree;
    if let Some(system) = tree.root.child("system") {
        timezone(ctx, system);
        time_servers(ctx, system);
        name_servers(ctx, system);
    }
    if let Some(section) = tree.root.child("syslog").filter(|section| !section.is_empty()) {
        log_servers(ctx, section);
        log_files(ctx, section);
        let is_read = |child: &&Element| LOG_SERVERS.iter().chain(LOG_SETTINGS).any(|name| child.is(name));
        let others = section.children.iter().filter(|child| !is_read(child)).count();
        if others > 0 {
            let how = format!("{others} more of <syslog> are kept as they are");
            ctx.say(Group::Inactive, "log settings", how, "syslog", section);
        }
    }
}

fn timezone(ctx: &mut Context<'_>, system: &Element) {
    let Some(element) = system.child("timezone").filter(|element| !element.is_empty()) else { return };
    let name = element.text.trim();
    if calendar::zone(name).is_some() {
        ctx.config.system.timezone = name.into();
        return ctx.say(Group::Imported, "time zone", "", "system/timezone", element);
    }
    let how = format!("\"{name}\" is no zone of the IANA database, so it is {}", ctx.config.system.timezone);
    ctx.say(Group::Inactive, "time zone", how, "system/timezone", element);
}

fn time_servers(ctx: &mut Context<'_>, system: &Element) {
    let Some(element) = system.child("timeservers").filter(|element| !element.is_empty()) else { return };
    let mut lacking = 0;
    for word in element.text.split_whitespace() {
        let servers = &mut ctx.config.system.time_servers;
        let is_host = word.parse::<IpAddr>().is_ok() || host_name(word).is_some();
        if is_host && servers.len() < TIME_SERVER_LIMIT && !servers.iter().any(|known| known == word) {
            servers.push(word.into());
        } else {
            lacking += 1;
        }
    }
    let (group, how) = match (ctx.config.system.time_servers.is_empty(), lacking) {
        (true, _) => (Group::Inactive, "it is neither an address nor the name of a host".to_owned()),
        (false, 0) => (Group::Imported, String::new()),
        (false, lacking) => {
            (Group::Adapted, format!("without {lacking} that are no hosts, twice there, or too many"))
        }
    };
    ctx.say(group, "time servers", how, "system/timeservers", element);
}

fn name_servers(ctx: &mut Context<'_>, system: &Element) {
    let elements = system.all("dnsserver").filter(|element| !element.is_empty());
    for (index, element) in elements.enumerate() {
        let path = format!("system/dnsserver[{index}]");
        let known = &ctx.config.system.dns_servers;
        let address = element.text.trim().parse::<IpAddr>().ok();
        let address = address.filter(|address| !address.is_unspecified() && !address.is_multicast());
        let why = match address {
            None => Some("it is no host's address"),
            Some(address) if known.contains(&address) => Some("it stands there twice"),
            Some(_) if known.len() >= DNS_SERVER_LIMIT => Some("there are too many"),
            Some(_) => None,
        };
        match (why, address) {
            (Some(why), _) => ctx.say(Group::Inactive, "name server", why, &path, element),
            (None, address) => {
                ctx.config.system.dns_servers.extend(address);
                ctx.say(Group::Imported, "name server", "", &path, element);
            }
        }
    }
}

/// Servers get the firewall log when they would get it there.
fn log_servers(ctx: &mut Context<'_>, section: &Element) {
    let is_on = ctx.flag(section, "enable");
    let (all, filter) = (ctx.flag(section, "logall"), ctx.flag(section, "filter"));
    for name in LOG_SERVERS {
        let Some(element) = section.child(name).filter(|element| !element.is_empty()) else { continue };
        let path = format!("syslog/{name}");
        let server = element.text.trim().parse::<Service>().ok();
        let known = &ctx.config.system.logging.servers;
        let (group, how) = match &server {
            _ if !is_on => (Group::Inactive, "nothing is sent to it there"),
            _ if !all && !filter => (Group::Inactive, "it gets other logs than the firewall's there"),
            None => (Group::Inactive, "it is neither an address nor the whole name of a host"),
            Some(server) if known.contains(server) => (Group::Inactive, "it stands there twice"),
            Some(_) if all => (Group::Adapted, "it gets the firewall log alone"),
            Some(_) => (Group::Imported, ""),
        };
        if group != Group::Inactive {
            ctx.config.system.logging.servers.extend(server);
        }
        ctx.say(group, "log server", how, &path, element);
    }
}

fn log_files(ctx: &mut Context<'_>, section: &Element) {
    let mut logging = std::mem::take(&mut ctx.config.system.logging);
    for (name, meant, tick) in log_ticks(&mut logging) {
        if let Some(element) = section.child(name).filter(|element| ctx.is_on(element)) {
            *tick = meant;
            ctx.say(Group::Imported, "log setting", "", &format!("syslog/{name}"), element);
        }
    }
    ctx.config.system.logging = logging;
    let number = |name: &str| section.text_of(name).and_then(|text| text.parse::<u32>().ok());
    let size = number("logfilesize").filter(|size| LOG_FILE_SIZE_RANGE.contains(size));
    let count = number("rotatecount").and_then(|count| u8::try_from(count).ok());
    let count = count.filter(|count| LOG_FILE_COUNT_RANGE.contains(count));
    let logging = &mut ctx.config.system.logging;
    logging.file_size = size.unwrap_or(logging.file_size);
    logging.file_count = count.unwrap_or(logging.file_count);
    for (name, is_possible) in [("logfilesize", size.is_some()), ("rotatecount", count.is_some())] {
        if let Some(element) = section.child(name).filter(|element| !element.is_empty()) {
            let path = format!("syslog/{name}");
            match is_possible {
                true => ctx.say(Group::Imported, "log setting", "", &path, element),
                false => {
                    ctx.say(Group::Inactive, "log setting", "such files are not possible", &path, element)
                }
            }
        }
    }
}
