//! A record as a message of syslog (RFC 5424): header, structured data, and the line that people read.

use std::fmt::Write;

use super::LogRow;
use crate::config::model::{Facility, Severity};
use crate::services::notices::Notice;

/// The longest description that is told: the whole message must fit one datagram on every link.
const DESCRIPTION: usize = 200;
/// The longest hostname of a message.
const HOSTNAME: usize = 255;
/// RFC 5424 wants an enterprise's number behind a name of one's own; this one is for examples (RFC 5612).
const STRUCTURE: &str = "filter@32473";

/// The message.
pub fn message(row: &LogRow, hostname: &str, facility: Facility, severity: Severity) -> String {
    let priority = facility.number() * 8 + severity.number();
    let host: String = hostname.chars().filter(char::is_ascii_graphic).take(HOSTNAME).collect();
    let host = if host.is_empty() { "-" } else { &host };
    let description: String = row.description.chars().take(DESCRIPTION).collect();
    let row = LogRow { description, ..row.clone() };
    let mut text = format!("<{priority}>1 {} {host} koi - filter ", date(row.at_ms));
    text.push('[');
    text.push_str(STRUCTURE);
    for (name, value) in parameters(&row) {
        // Writing to a String cannot fail.
        let _ = write!(text, " {name}=\"{}\"", escaped(&value));
    }
    text.push_str("] ");
    text.push_str(&row.text());
    text
}

/// A notice as a message: a warning when somebody should do something.
pub(super) fn announcement(notice: &Notice, hostname: &str, facility: Facility) -> String {
    let severity = if notice.event.is_bad() { Severity::Alert } else { Severity::Notice };
    let priority = facility.number() * 8 + severity.number();
    let host: String = hostname.chars().filter(char::is_ascii_graphic).take(HOSTNAME).collect();
    let host = if host.is_empty() { "-" } else { &host };
    let (date, event, node) = (date(notice.at_ms), notice.event.name(), escaped(&notice.node));
    let text: String = notice.text.chars().filter(|c| !c.is_control()).collect();
    format!(
        "<{priority}>1 {date} {host} koi - notice [notice@32473 event=\"{event}\" node=\"{node}\"] {text}"
    )
}

fn parameters(row: &LogRow) -> impl Iterator<Item = (&'static str, String)> {
    let address = |address: Option<std::net::IpAddr>| address.map(|address| address.to_string());
    let LogRow {
        id,
        at_ms: _,
        action,
        reason,
        interface,
        direction,
        ingress,
        rule,
        description,
        protocol: _,
        src,
        sport,
        dst,
        dport,
        flags,
        dscp,
        length,
    } = row;
    [
        ("id", Some(id.to_string())),
        ("action", Some(action.clone())),
        ("reason", reason.clone()),
        ("interface", Some(interface.clone())),
        ("direction", Some(direction.clone())),
        ("ingress", Some(ingress.clone())),
        ("rule", Some(rule.to_string())),
        ("description", Some(description.clone()).filter(|text| !text.is_empty())),
        ("protocol", Some(row.protocol_word())),
        ("src", address(*src)),
        ("sport", Some(sport.to_string())),
        ("dst", address(*dst)),
        ("dport", Some(dport.to_string())),
        ("flags", flags.clone()),
        ("dscp", Some(dscp.to_string())),
        ("length", Some(length.to_string())),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
}

/// The three characters that end a value are escaped (section 6.3.3); a line break would end the message.
fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '"' | '\\' | ']' => text.extend(['\\', c]),
            c if c.is_control() => text.push(' '),
            c => text.push(c),
        }
    }
    text
}

/// RFC 3339 with milliseconds, in UTC.
pub fn date(at_ms: u64) -> String {
    let at = i64::try_from(at_ms).ok().and_then(|at| jiff::Timestamp::from_millisecond(at).ok());
    at.map_or("-".into(), |at| at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
}
