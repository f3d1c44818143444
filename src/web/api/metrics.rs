//! `GET /metrics`: the router's numbers in Prometheus' text format, for a token with the scope read.
//!
//! Names are the router's own with `koi_` in front and their unit behind; every one has a HELP and a TYPE.

use std::fmt::Write;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::door::enter;
use super::problem::{Kind, Outcome, Problem};
use crate::cluster::tokens::Scope;
use crate::node::snapshot::{CounterRow, InterfaceRow, Snapshot};
use crate::node::{PairSnapshot, RuleCounts, Tally};
use crate::web::events::Counters;
use crate::web::site::Site;
use crate::web::visitor::Right;

/// Where it is.
pub(in crate::web) const METRICS: &str = "/metrics";
/// Rules whose counters are told.
const RULES: usize = 20_000;

/// The route.
pub(in crate::web) fn router(site: &Site) -> Router<Site> {
    let site = Arc::new(site.clone());
    let answer = move |request: Request| {
        let site = Arc::clone(&site);
        async move { show(&site, request).await.unwrap_or_else(IntoResponse::into_response) }
    };
    Router::new().route(METRICS, get(answer))
}

async fn show(site: &Site, request: Request) -> Outcome<Response> {
    let (parts, _) = request.into_parts();
    let caller = enter(site, &parts)?;
    if !caller.may(Scope::Read, Right::Look) {
        return Err(Problem::new(Kind::Forbidden, "The role of the token's user does not allow this."));
    }
    let busy = || Problem::new(Kind::Busy, "The router has no time; ask again.");
    let snapshot = site.handle.glance().await.ok_or_else(busy)?;
    let pair = site.handle.pair().await;
    let rules = site.handle.rules().await.ok_or_else(busy)?;
    let text = text(&snapshot, pair.as_ref(), &rules, site.events.counters());
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}

/// Writes families of metrics.
#[derive(Default)]
struct Page(String);

impl Page {
    /// A family with its samples: labels and value of each.
    fn family<L: AsRef<str>>(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        samples: impl IntoIterator<Item = (L, f64)>,
    ) {
        // Writing to a String cannot fail.
        let _ = write!(
            self.0,
            "# HELP {name} {}\n# TYPE {name} {kind}\n",
            help.replace('\\', "\\\\").replace('\n', " ")
        );
        for (labels, value) in samples {
            let labels = labels.as_ref();
            let labels = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
            let _ = writeln!(self.0, "{name}{labels} {value}");
        }
    }

    fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.family(name, "gauge", help, [("", value)]);
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.family(name, "counter", help, [("", value as f64)]);
    }
}

/// A label with its value, which is escaped.
fn label(name: &str, value: &str) -> String {
    let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("{name}=\"{escaped}\"")
}

fn flag(is: bool) -> f64 {
    if is { 1.0 } else { 0.0 }
}

fn text(snapshot: &Snapshot, pair: Option<&PairSnapshot>, rules: &RuleCounts, streams: Counters) -> String {
    let mut page = Page::default();
    about(&mut page, snapshot);
    interfaces(&mut page, snapshot);
    gateways(&mut page, snapshot);
    if let Some(pair) = pair {
        of_pair(&mut page, pair);
    }
    of_rules(&mut page, rules);
    of_streams(&mut page, streams);
    counters(&mut page, snapshot.counters.iter().chain(pair.iter().flat_map(|pair| &pair.counters)));
    page.0
}

fn about(page: &mut Page, snapshot: &Snapshot) {
    let Snapshot { hostname, node, uptime_seconds, revision, states, .. } = snapshot;
    let labels =
        [label("version", env!("CARGO_PKG_VERSION")), label("firewall", hostname), label("node", node)]
            .join(",");
    page.family("koi_info", "gauge", "The program and its node.", [(labels, 1.0)]);
    page.gauge("koi_uptime_seconds", "Since the router process started.", *uptime_seconds as f64);
    page.gauge("koi_config_revision", "Revision of the configuration in force.", *revision as f64);
    page.gauge("koi_states", "Flows in the connection table.", states.current as f64);
    page.gauge("koi_states_limit", "The most flows that it holds.", states.limit as f64);
    page.counter("koi_states_made_total", "Flows that have begun.", states.inserted);
    page.counter("koi_states_ended_total", "Flows that have ended.", states.removed);
}

fn interfaces(page: &mut Page, snapshot: &Snapshot) {
    type Value = fn(&InterfaceRow) -> f64;
    let of = |value: Value| {
        let row = move |row: &InterfaceRow| (label("interface", &row.name), value(row));
        snapshot.interfaces.iter().map(row).collect::<Vec<_>>()
    };
    let families: [(&str, &str, Value); 4] = [
        ("receive_bytes", "Bytes that came in.", |row| row.rx_bytes as f64),
        ("receive_packets", "Packets that came in.", |row| row.rx_packets as f64),
        ("transmit_bytes", "Bytes that left.", |row| row.tx_bytes as f64),
        ("transmit_packets", "Packets that left.", |row| row.tx_packets as f64),
    ];
    page.family("koi_interface_up", "gauge", "Its port has a link.", of(|row| flag(row.up)));
    for (name, help, value) in families {
        page.family(&format!("koi_interface_{name}_total"), "counter", help, of(value));
    }
}

fn gateways(page: &mut Page, snapshot: &Snapshot) {
    let rows = &snapshot.gateways;
    let up = rows.iter().map(|row| (label("gateway", &row.name), flag(row.status != "down")));
    page.family("koi_gateway_up", "gauge", "It is not down.", up);
    let delay = rows.iter().filter_map(|row| Some((label("gateway", &row.name), row.delay_ms? / 1000.0)));
    page.family("koi_gateway_delay_seconds", "gauge", "Mean delay of its answers.", delay);
    let loss = rows
        .iter()
        .filter_map(|row| Some((label("gateway", &row.name), f64::from(row.loss_percent?) / 100.0)));
    page.family("koi_gateway_loss_ratio", "gauge", "Share of probes without an answer.", loss);
}

fn of_pair(page: &mut Page, pair: &PairSnapshot) {
    page.gauge("koi_pair_redundant", "The pair could fail over now.", flag(pair.redundant));
    page.gauge("koi_pair_leads", "This node serves.", flag(pair.leads));
    page.gauge("koi_pair_maintenance", "This node is in maintenance mode.", flag(pair.maintenance));
    page.gauge("koi_pair_epoch", "Raised at each takeover.", f64::from(pair.epoch));
    let alive = pair.peer.as_ref().is_some_and(|peer| peer.alive);
    page.gauge("koi_pair_peer_alive", "The other node is heard.", flag(alive));
    page.gauge("koi_pair_synced", "The standby has all states.", flag(pair.replication.synced));
    let lag = pair.replication.lag_us as f64 / 1e6;
    page.gauge("koi_pair_replication_lag_seconds", "Age of the oldest change that the standby lacks.", lag);
    let paths = pair.paths.iter().map(|path| (label("path", &path.name), flag(path.carries)));
    page.family("koi_pair_path_carries", "gauge", "Heartbeats come by this path.", paths);
    let vips = pair.virtual_ips.iter().map(|vip| {
        let labels = [label("interface", &vip.interface), label("vhid", &vip.vhid.to_string())].join(",");
        (labels, flag(vip.state == "MASTER"))
    });
    page.family("koi_carp_master", "gauge", "This node is MASTER of the virtual IP.", vips);
}

fn of_rules(page: &mut Page, rules: &RuleCounts) {
    let totals: std::collections::HashMap<_, _> = rules.totals.iter().copied().collect();
    let rows = || rules.tallies.iter().take(RULES);
    let of = |id: &crate::types::RuleId| label("rule", &id.0.to_string());
    let evaluations = rows().map(|(id, tally)| (of(id), tally.evaluations as f64));
    page.family(
        "koi_rule_evaluations_total",
        "counter",
        "Packets without a flow that the rule matched.",
        evaluations,
    );
    let packets = rows().map(|(id, Tally { blocked, .. })| {
        (of(id), (totals.get(id).map_or(0, |total| total.packets) + blocked) as f64)
    });
    page.family(
        "koi_rule_packets_total",
        "counter",
        "Packets of the rule's flows, and those that it blocked.",
        packets,
    );
    let bytes = rows().map(|(id, Tally { blocked_bytes, .. })| {
        (of(id), (totals.get(id).map_or(0, |total| total.bytes) + blocked_bytes) as f64)
    });
    page.family("koi_rule_bytes_total", "counter", "Their bytes.", bytes);
    let states = rows().map(|(id, _)| (of(id), totals.get(id).map_or(0.0, |total| total.states as f64)));
    page.family(
        "koi_rule_states",
        "gauge",
        "Flows that the rule has let through and that still exist.",
        states,
    );
}

fn of_streams(page: &mut Page, streams: Counters) {
    let Counters { open, begun, refused, slow, over, told } = streams;
    page.gauge("koi_streams", "Pages that follow what happens.", open as f64);
    page.counter("koi_streams_begun_total", "Event streams that were begun.", begun);
    page.counter("koi_streams_refused_total", "Event streams for which there was no place.", refused);
    page.counter("koi_streams_slow_total", "Event streams ended because their client did not keep up.", slow);
    page.counter("koi_streams_over_total", "Event streams that ended with their session.", over);
    page.counter("koi_stream_events_total", "Events that were told.", told);
}

/// Every named counter, as a family of its own.
fn counters<'a>(page: &mut Page, rows: impl Iterator<Item = &'a CounterRow>) {
    for CounterRow { name, value, meaning } in rows {
        let name = format!("koi_{}", name.replace(|c: char| !c.is_ascii_alphanumeric(), "_"));
        match meaning.contains("at present") {
            true => page.gauge(&name, meaning, *value as f64),
            false => page.counter(&format!("{name}_total"), meaning, *value),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::types::RuleId;
    use crate::web::status::tests::{busy_router, lonely_pair};

    /// The names of a page in Prometheus' format, which is checked line by line.
    fn names(text: &str) -> BTreeSet<String> {
        let (mut names, mut family) = (BTreeSet::new(), String::new());
        assert!(text.ends_with('\n'));
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').unwrap();
                assert!(!help.is_empty() && names.insert(name.to_owned()), "{line}");
                family = name.to_owned();
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                assert_eq!((name, kind == "counter"), (family.as_str(), name.ends_with("_total")), "{line}");
                assert!(["counter", "gauge"].contains(&kind));
            } else {
                let (name, value) = line.rsplit_once(' ').unwrap();
                assert!(value.parse::<f64>().unwrap().is_finite(), "{line}");
                let bare = name.split('{').next().unwrap();
                assert_eq!(bare, family, "{line}");
                assert!(bare.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'), "{line}");
            }
        }
        names
    }

    #[test]
    fn every_number_has_its_family_with_help_and_type_once() {
        let status = busy_router();
        let rules = RuleCounts {
            tallies: vec![(RuleId(9), Tally { evaluations: 4, blocked: 3, ..Tally::default() })],
            ..RuleCounts::default()
        };
        let text = text(&status.snapshot, Some(&lonely_pair()), &rules, Counters::default());
        let names = names(&text);
        for name in
            ["koi_info", "koi_states", "koi_pair_redundant", "koi_blocked_in_total", "koi_streams_slow_total"]
        {
            assert!(names.contains(name), "{name}: {text}");
        }
        for line in [
            "koi_interface_receive_packets_total{interface=\"wan\"} 12345678",
            "koi_gateway_loss_ratio{gateway=\"WANGW\"} 0.25",
            "koi_gateway_delay_seconds{gateway=\"WANGW\"} 0.01234",
            "koi_carp_master{interface=\"wan\",vhid=\"7\"} 1",
            "koi_rule_packets_total{rule=\"9\"} 3",
            "koi_pair_redundant 0",
        ] {
            assert!(text.lines().any(|known| known == line), "{line}: {text}");
        }
        assert_eq!(label("a", "b\"c\\d\ne"), "a=\"b\\\"c\\\\d\\ne\"");
    }
}
