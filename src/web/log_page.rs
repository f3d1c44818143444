//! Status, Firewall Log: what rules that log have decided, the newest first, filtered by what one clicks on.

use std::net::IpAddr;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use ipnet::IpNet;
use serde::Deserialize;

use super::frame::Frame;
use super::guard::percent_encode;
use super::message::{busy, html};
use super::site::Site;
use super::visitor::Visitor;
use crate::io::clock;
use crate::node::log_row;
use crate::rules::Record;
use crate::services::log::LogRow;
use crate::types::Instant;

/// Where it is.
pub(super) const LOG: &str = "/status/log";
/// Records that are looked at: all that the router keeps.
const KEPT: usize = 4096;
/// Rows on a page, unless somebody wants others.
const ROWS: usize = 100;
const MOST: usize = 500;
/// Letters of a field that are looked at.
const FIELD: usize = 64;

/// What stands behind the question mark. A `!` in front means everything but that.
#[derive(Deserialize, Default, Clone)]
#[serde(default)]
pub(super) struct Wanted {
    interface: String,
    action: String,
    src: String,
    dst: String,
    port: String,
    protocol: String,
    rule: String,
    rows: Option<usize>,
    /// Only the rows.
    part: Option<u8>,
}

/// A row as it is shown.
pub(super) struct Row {
    pub log: LogRow,
    protocol: String,
    /// The filter that the page has, for links that narrow it further.
    base: String,
}

/// Rows by themselves.
#[derive(Template)]
#[template(path = "part/log-rows.html")]
pub(super) struct Lines<'a> {
    pub rows: &'a [Row],
}

/// A table by itself.
#[derive(Template)]
#[template(path = "part/log.html")]
struct Table<'a> {
    rows: &'a [Row],
    limit: usize,
    filtered: bool,
}

#[derive(Template)]
#[template(path = "log.html")]
struct Page {
    frame: Frame,
    wanted: Wanted,
    interfaces: Vec<String>,
    rows: Vec<Row>,
    limit: usize,
    filtered: bool,
}

impl Wanted {
    fn fields(&self) -> [(&'static str, &str); 7] {
        [
            ("interface", &self.interface),
            ("action", &self.action),
            ("src", &self.src),
            ("dst", &self.dst),
            ("port", &self.port),
            ("protocol", &self.protocol),
            ("rule", &self.rule),
        ]
    }

    fn is_filtered(&self) -> bool {
        self.fields().iter().any(|(_, value)| !value.trim().is_empty())
    }

    /// As it stands behind the question mark.
    fn query(&self) -> String {
        let set = self.fields().into_iter().filter(|(_, value)| !value.trim().is_empty());
        set.map(|(name, value)| format!("{name}={}&", percent_encode(value.trim()))).collect()
    }

    /// True for a row that is to be shown.
    fn fits(&self, row: &LogRow) -> bool {
        let same = |value: &str, wanted: &str| value.eq_ignore_ascii_case(wanted);
        let number = |value: u32, wanted: &str| wanted.parse() == Ok(value);
        let ports = [row.sport, row.dport];
        let protocol = row.protocol_word();
        passes(&self.interface, |wanted| same(&row.interface, wanted))
            && passes(&self.action, |wanted| same(&row.action, wanted))
            && passes(&self.src, |wanted| is_at(row.src, wanted))
            && passes(&self.dst, |wanted| is_at(row.dst, wanted))
            && passes(&self.port, |wanted| wanted.parse().is_ok_and(|port| ports.contains(&port)))
            && passes(&self.protocol, |wanted| same(&protocol, wanted) || number(row.protocol.into(), wanted))
            && passes(&self.rule, |wanted| number(row.rule, wanted))
    }
}

/// True when there is no condition, or it holds; with a `!` in front, when it does not.
fn passes(condition: &str, holds: impl Fn(&str) -> bool) -> bool {
    let condition = condition.trim();
    match condition.strip_prefix('!') {
        Some(not) => !holds(not.trim()),
        None => condition.is_empty() || holds(condition),
    }
}

/// True when an address is this one, or in this network.
fn is_at(address: Option<IpAddr>, wanted: &str) -> bool {
    let Some(address) = address else { return false };
    match (wanted.parse::<IpAddr>(), wanted.parse::<IpNet>()) {
        (Ok(one), _) => one == address,
        (Err(_), Ok(network)) => network.contains(&address),
        (Err(_), Err(_)) => false,
    }
}

impl Row {
    /// The day and the time.
    fn time(&self) -> String {
        self.log.date().replace('T', " ").trim_end_matches('Z').to_owned()
    }

    /// The page with one more condition.
    fn only(&self, name: &str, value: impl std::fmt::Display) -> String {
        let kept = self.base.split_inclusive('&').filter(|part| !part.starts_with(&format!("{name}=")));
        format!("{LOG}?{}{name}={}", kept.collect::<String>(), percent_encode(&value.to_string()))
    }

    /// The packet as other pages take it.
    fn packet(&self) -> String {
        let LogRow { id, ingress, protocol, src, sport, dst, dport, .. } = &self.log;
        let address =
            |address: &Option<IpAddr>| address.map(|address| address.to_string()).unwrap_or_default();
        format!(
            "interface={}&protocol={protocol}&src={}&sport={sport}&dst={}&dport={dport}&log={id}",
            percent_encode(ingress),
            percent_encode(&address(src)),
            percent_encode(&address(dst)),
        )
    }

    fn source(&self) -> Option<String> {
        self.log.src.map(|address| address.to_string())
    }

    fn destination(&self) -> Option<String> {
        self.log.dst.map(|address| address.to_string())
    }

    fn has_ports(&self) -> bool {
        matches!(self.log.protocol, 6 | 17)
    }
}

/// Records as rows, without a filter.
pub(super) fn rows(site: &Site, records: &[Record], now: Instant) -> Vec<Row> {
    let (compiled, wall) = (site.handle.in_force(), clock::calendar_ms());
    let row = |record: &Record| {
        let at_ms = wall.saturating_sub(now.since(record.at).as_millis() as u64);
        let log = log_row(&compiled, record, at_ms);
        Row { protocol: log.protocol_word(), log, base: String::new() }
    };
    records.iter().map(row).collect()
}

/// The newest rows that fit.
async fn found(site: &Site, wanted: &Wanted, limit: usize) -> Option<Vec<Row>> {
    let look = if wanted.is_filtered() { KEPT } else { limit };
    let (records, now) = site.handle.log(0, look).await?;
    let base = wanted.query();
    let fitting = rows(site, &records, now).into_iter().filter(|row| wanted.fits(&row.log));
    Some(fitting.take(limit).map(|row| Row { base: base.clone(), ..row }).collect())
}

/// The newest records, for the dashboard.
pub(super) async fn widget(site: &Site, limit: usize) -> Option<String> {
    let rows = found(site, &Wanted::default(), limit).await?;
    Table { rows: &rows, limit, filtered: false }.render().ok()
}

/// `GET /status/log`
pub(super) async fn show(
    State(site): State<Site>,
    visitor: Visitor,
    Query(mut wanted): Query<Wanted>,
) -> Response {
    let limit = wanted.rows.unwrap_or(ROWS).clamp(1, MOST);
    for field in [
        &mut wanted.interface,
        &mut wanted.action,
        &mut wanted.src,
        &mut wanted.dst,
        &mut wanted.port,
        &mut wanted.protocol,
        &mut wanted.rule,
    ] {
        *field = field.chars().take(FIELD).collect();
    }
    let Some(rows) = found(&site, &wanted, limit).await else { return busy() };
    if wanted.part.is_some() {
        return html(&Lines { rows: &rows });
    }
    let frame = Frame::new(&site, &visitor, "Firewall Log", LOG).await;
    let interfaces = site.config().interfaces.iter().map(|interface| interface.name.clone()).collect();
    html(&Page { frame, filtered: wanted.is_filtered(), wanted, interfaces, rows, limit })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> LogRow {
        LogRow {
            id: 7,
            action: "block".into(),
            interface: "wan".into(),
            ingress: "wan".into(),
            rule: 9,
            protocol: 6,
            src: Some("198.51.100.66".parse().unwrap()),
            sport: 4444,
            dst: Some("203.0.113.2".parse().unwrap()),
            dport: 22,
            ..LogRow::default()
        }
    }

    #[test]
    fn rows_are_filtered_by_everything_that_one_sees_and_by_its_opposite() {
        let fits = |query: &str| {
            let Query(wanted) =
                Query::<Wanted>::try_from_uri(&format!("/x?{query}").parse().unwrap()).unwrap();
            wanted.fits(&row())
        };
        for query in [
            "",
            "interface=wan",
            "interface=",
            "action=BLOCK",
            "src=198.51.100.66",
            "src=198.51.100.0/24",
            "dst=203.0.113.2",
            "port=22",
            "port=4444",
            "protocol=tcp",
            "protocol=6",
            "rule=9",
            "rule=!8",
            "src=!10.0.0.0/8&port=!23",
            "protocol=!udp",
        ] {
            assert!(fits(query), "{query}");
        }
        for query in [
            "interface=lan",
            "action=pass",
            "src=198.51.100.67",
            "src=nonsense",
            "dst=203.0.113.0/31",
            "port=23",
            "port=x",
            "protocol=udp",
            "rule=8",
            "rule=!9",
            "interface=!wan",
            "src=!198.51.100.0/24",
        ] {
            assert!(!fits(query), "{query}");
        }
    }

    #[test]
    fn a_click_narrows_what_is_shown_and_leads_on() {
        let wanted = Wanted { action: "block".into(), src: "10.0.0.0/8".into(), ..Wanted::default() };
        let row = Row { protocol: "tcp".into(), log: row(), base: wanted.query() };
        assert_eq!(row.only("rule", "9"), "/status/log?action=block&src=10.0.0.0/8&rule=9");
        assert_eq!(row.only("src", "1.2.3.4"), "/status/log?action=block&src=1.2.3.4");
        let html = Lines { rows: &[row] }.render().unwrap();
        for fact in [
            "198.51.100.66",
            "href=\"/status/log?action=block&#38;src=10.0.0.0/8&#38;port=22\"",
            "href=\"/firewall/easy-rule?action=block&#38;interface=wan&#38;protocol=6&#38;src=198.51.100.66&#38;sport=4444&#38;dst=203.0.113.2&#38;dport=22&#38;log=7\"",
            "href=\"/diagnostics/explain?log=7\"",
        ] {
            assert!(html.contains(fact), "{fact}: {html}");
        }
    }
}
