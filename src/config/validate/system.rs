//! `[system]`, `[outbound]` and the document as a whole.

use std::net::IpAddr;

use super::certificates::is_pem;
use super::names::{Unique, check_hostname};
use super::{Report, addresses, virtual_ips_of};
use crate::config::calendar;
use crate::config::defaults::{
    self, DNS_SERVER_LIMIT, FRAGMENT_LIMIT_RANGE, LOG_FILE_COUNT_RANGE, LOG_FILE_SIZE_RANGE,
    LOG_SERVER_LIMIT, NOTIFICATION_SECRET_RANGE, STATE_LIMIT_RANGE, TIME_SERVER_LIMIT, TIMEOUT_RANGE,
};
use crate::config::model::{
    Config, Logging, Notification, OutboundMode, SetTimeouts, System, Web, Zone, host_name,
};
use crate::config::nearest::nearest;
use crate::types::{Prefix, ReleaseKey};

/// The present key and the next one.
const RELEASE_KEYS_MAX: usize = 2;

pub(super) fn check(config: &Config, report: &mut Report) {
    if config.schema != defaults::SCHEMA {
        report.add(
            "schema",
            format!("This is a document of schema version {}.", config.schema),
            format!("This release reads schema version {}.", defaults::SCHEMA),
        );
    }
    if i64::try_from(config.revision).is_err() {
        report.add("revision", "The revision is too large.", "Count changes from 1.");
    }
    let System {
        hostname,
        state_limit,
        anti_lockout: _,
        nat_reflection: _,
        optimization: _,
        state_policy: _,
        syncookies: _,
        syncookies_start: _,
        syncookies_end: _,
        adaptive_start: _,
        adaptive_end: _,
        overload_expire: _,
        fragment_limit: _,
        rfc: _,
        kill_states_on_gateway_failure: _,
        kill_states_on_gateway_recovery: _,
        skip_rules_when_gateway_down: _,
        sticky_connections: _,
        disable_reply_to: _,
        one_to_one_reflection: _,
        release_keys,
        version_floor: _,
        timezone,
        time_servers,
        dns_servers,
        schedules_keep_states: _,
        logging,
        notification,
        web,
        timeouts,
    } = &config.system;
    check_hostname("system.hostname", hostname, report);
    if !STATE_LIMIT_RANGE.contains(state_limit) {
        let (least, most) = (STATE_LIMIT_RANGE.start(), STATE_LIMIT_RANGE.end());
        let message = format!("A connection table of {state_limit} states is not possible.");
        report.add("system.state_limit", message, format!("Write a number from {least} to {most}."));
    }
    check_timezone(timezone, report);
    check_servers(time_servers, dns_servers, report);
    check_logging(logging, report);
    check_notification(notification, config, report);
    check_release_keys(release_keys, report);
    check_web(web, report);
    check_timeouts(timeouts, report);
    check_defence(&config.system, report);
    check_outbound(config, report);
}

/// Shares, marks and bounds that must be in order.
fn check_defence(system: &System, report: &mut Report) {
    let [start, end] = [
        system.syncookies_start.unwrap_or(defaults::SYNCOOKIES_START),
        system.syncookies_end.unwrap_or(defaults::SYNCOOKIES_END),
    ];
    if !(1..=100).contains(&start) {
        let message = format!("{start} % is no share of the state limit.");
        report.add("system.syncookies_start", message, "Write 1 to 100.");
    } else if !(1..=start).contains(&end) {
        let message = format!("SYN cookies that begin at {start} % cannot end at {end} %.");
        report.add("system.syncookies_end", message, format!("Write 1 to {start}."));
    }
    // pf: at the end everything would expire at once, so it lies above the limit.
    if let (Some(end), true) = (system.adaptive_end, system.adaptive_start != Some(0)) {
        let limit = system.state_limit.max(system.adaptive_start.unwrap_or(0));
        if end <= limit {
            let message = format!("With {end} states all would end at once, and there may be {limit}.");
            report.add("system.adaptive_end", message, format!("Write more than {limit}."));
        }
    } else if system.adaptive().is_none() && system.adaptive_start != Some(0) {
        let message = "So many states there never are.";
        report.add("system.adaptive_start", message, "Write less than the state limit, or 0 for never.");
    }
    if system.overload_expire.is_some_and(|seconds| !TIMEOUT_RANGE.contains(&seconds)) {
        let remedy = format!("Write 1 to {} seconds.", TIMEOUT_RANGE.end());
        report.add("system.overload_expire", "A source cannot stay in a table for so long.", remedy);
    }
    if system.fragment_limit.is_some_and(|limit| !FRAGMENT_LIMIT_RANGE.contains(&limit)) {
        let (least, most) = (FRAGMENT_LIMIT_RANGE.start(), FRAGMENT_LIMIT_RANGE.end());
        let message = "So many half-received datagrams are not possible.";
        report.add("system.fragment_limit", message, format!("Write a number from {least} to {most}."));
    }
}

fn check_servers(time: &[String], dns: &[IpAddr], report: &mut Report) {
    report.bound("system.dns_servers", "name servers", dns.len(), DNS_SERVER_LIMIT);
    report.bound("system.time_servers", "time servers", time.len(), TIME_SERVER_LIMIT);
    let mut seen = Unique::new("The server", "Write each server once.");
    for (at, server) in dns.iter().enumerate() {
        let path = format!("system.dns_servers[{at}]");
        seen.claim(&path, server.to_string(), &server.to_string(), report);
        if server.is_unspecified() || server.is_multicast() {
            report.add(
                path,
                format!("{server} is no host's address."),
                "Write the address of a name server.",
            );
        }
    }
    let mut seen = Unique::new("The server", "Write each server once.");
    for (at, server) in time.iter().enumerate() {
        let path = format!("system.time_servers[{at}]");
        seen.claim(&path, server.clone(), &format!("\"{server}\""), report);
        if server.parse::<IpAddr>().is_err() && host_name(server).is_none() {
            let message = format!("\"{server}\" is neither an address nor the name of a host.");
            report.add(path, message, "Write one, as in \"2.pool.ntp.org\".");
        }
    }
}

fn check_logging(logging: &Logging, report: &mut Report) {
    let Logging {
        servers,
        facility: _,
        severity: _,
        default_block: _,
        default_pass: _,
        bogons: _,
        private: _,
        file_size,
        file_count,
    } = logging;
    report.bound("system.logging.servers", "servers", servers.len(), LOG_SERVER_LIMIT);
    let mut seen = Unique::new("The server", "Write each server once.");
    for (at, server) in servers.iter().enumerate() {
        seen.claim(&format!("system.logging.servers[{at}]"), server, &format!("\"{server}\""), report);
    }
    if !LOG_FILE_SIZE_RANGE.contains(file_size) {
        let (least, most) = (LOG_FILE_SIZE_RANGE.start(), LOG_FILE_SIZE_RANGE.end());
        let message = format!("A file of {file_size} bytes is not possible.");
        report.add("system.logging.file_size", message, format!("Write {least} to {most} bytes."));
    }
    if !LOG_FILE_COUNT_RANGE.contains(file_count) {
        let (least, most) = (LOG_FILE_COUNT_RANGE.start(), LOG_FILE_COUNT_RANGE.end());
        let message = format!("{file_count} files are not possible.");
        report.add("system.logging.file_count", message, format!("Write {least} to {most}."));
    }
}

fn check_notification(notification: &Notification, config: &Config, report: &mut Report) {
    let Notification { url, secret, authority } = notification;
    let Some(url) = url else {
        for (field, is_set) in [("secret", secret.is_some()), ("authority", authority.is_some())] {
            if is_set {
                let message = "Nobody is told anything, so this has no effect.";
                report.add(
                    format!("system.notification.{field}"),
                    message,
                    "Write a url, or leave this out.",
                );
            }
        }
        return;
    };
    if config.pair.is_none() && config.gateways.is_empty() {
        let message = "A single node without gateways has nothing to tell.";
        report.add("system.notification.url", message, "Leave it out, or add a gateway.");
    }
    if url.address().is_none() && config.system.dns_servers.is_empty() {
        let message = format!("Nobody can be asked what \"{}\" stands for.", url.host);
        report.add("system.notification.url", message, "Write an address, or servers in system.dns_servers.");
    }
    if url.address().is_some_and(|address| address.is_unspecified() || address.is_multicast()) {
        let message = format!("{} is no host's address.", url.host);
        report.add("system.notification.url", message, "Write the address of a server.");
    }
    let length = secret.as_ref().map(|secret| secret.reveal().len());
    if length.is_some_and(|length| !NOTIFICATION_SECRET_RANGE.contains(&length)) {
        let (least, most) = (NOTIFICATION_SECRET_RANGE.start(), NOTIFICATION_SECRET_RANGE.end());
        let message = "A secret of this length signs nothing.";
        report.add("system.notification.secret", message, format!("Write {least} to {most} letters."));
    }
    if authority.as_ref().is_some_and(|authority| !is_pem(authority, "CERTIFICATE")) {
        let remedy = "Paste the text that begins with -----BEGIN CERTIFICATE-----.";
        report.add("system.notification.authority", "This is not a certificate in PEM form.", remedy);
    }
}

fn check_timezone(name: &str, report: &mut Report) {
    if calendar::zone(name).is_some() {
        return;
    }
    let zones = calendar::zones();
    let remedy = match nearest(name, zones.iter().map(String::as_str)) {
        Some(meant) => format!("Did you mean \"{meant}\"?"),
        None => "Write a name of the IANA database, as in \"Europe/Berlin\".".into(),
    };
    report.add("system.timezone", format!("There is no time zone \"{name}\"."), remedy);
}

fn check_release_keys(keys: &[ReleaseKey], report: &mut Report) {
    if keys.len() > RELEASE_KEYS_MAX {
        let message = format!("{} keys are too many to trust.", keys.len());
        report.add(
            "system.release_keys",
            message,
            "Write the present key, and at most one that replaces it.",
        );
    }
    if keys.iter().enumerate().any(|(at, key)| keys[..at].contains(key)) {
        report.add("system.release_keys", "A key stands there twice.", "Write each key once.");
    }
}

fn check_web(Web { port, certificate: _ }: &Web, report: &mut Report) {
    if *port == 0 {
        report.add("system.web.port", "0 is not a port.", "Write a port from 1 to 65535, as in 443.");
    }
}

fn check_timeouts(timeouts: &SetTimeouts, report: &mut Report) {
    for (name, seconds) in timeouts.set() {
        if !TIMEOUT_RANGE.contains(&seconds) {
            let message = format!("A timer of {seconds} seconds is not possible.");
            let remedy = format!("Write 1 to {} seconds.", TIMEOUT_RANGE.end());
            report.add(format!("system.timeouts.{name}"), message, remedy);
        }
    }
}

/// Automatic outbound NAT translates to a WAN address, so there must be one on every node.
fn check_outbound(config: &Config, report: &mut Report) {
    match config.outbound.mode {
        OutboundMode::Disabled | OutboundMode::Manual => return,
        OutboundMode::Automatic | OutboundMode::Hybrid => {}
    }
    let is_v4 = |prefix: &Prefix| matches!(prefix, Prefix::V4(_));
    let inside = config.interfaces.iter().filter(|interface| interface.zone != Zone::Wan);
    let Some(example) = inside.flat_map(|inside| addresses(config, &inside.name)).find(is_v4) else { return };
    check_translation(config, report);
    for (index, node) in config.nodes.iter().enumerate() {
        let has_address =
            config.interfaces.iter().filter(|interface| interface.zone == Zone::Wan).any(|wan| {
                node.interfaces.iter().any(|part| part.name == wan.name && part.addresses.iter().any(is_v4))
            });
        if !has_address {
            let message = format!(
                "Inside networks such as {} are translated to the WAN's IPv4 address, but node \"{}\" has none.",
                example.trunc(),
                node.name
            );
            let remedy = format!(
                "Give a WAN interface an IPv4 address (node[{index}].interface), or set outbound.mode = \"disabled\"."
            );
            report.add("outbound.mode", message, remedy);
        }
    }
}

/// What a pair translates to must move with the role: no node's own address.
fn check_translation(config: &Config, report: &mut Report) {
    if config.pair.is_none() {
        return;
    }
    let is_v4 = |prefix: &Prefix| matches!(prefix, Prefix::V4(_));
    for wan in config.interfaces.iter().filter(|interface| interface.zone == Zone::Wan) {
        let mut moving = virtual_ips_of(config, &wan.name).filter(|vip| !vip.foreign);
        if addresses(config, &wan.name).any(|prefix| is_v4(&prefix))
            && !moving.any(|vip| vip.addresses.iter().any(is_v4))
        {
            let message = format!(
                "Connections by \"{}\" would break at a takeover: they would be translated to a node's own address.",
                wan.name
            );
            let remedy = format!(
                "Add a [[virtual_ip]] with an IPv4 address on \"{}\", or set outbound.mode = \"disabled\".",
                wan.name
            );
            report.add("outbound.mode", message, remedy);
        }
    }
}
