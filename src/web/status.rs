//! What the router is doing: a page for each of its tables.

use askama::Template;
use axum::Json;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::frame::Frame;
use super::handle::LAST_PAGE;
use super::message::{busy, html};
use super::site::Site;
use super::visitor::Visitor;
use crate::node::snapshot::{CounterRow, DropRow, FlowRow, Snapshot};
use crate::node::{PairPathRow, PairSnapshot, ReplicationRow};

/// Recent drops on the page.
const DROPS: usize = 50;

/// What stands behind the question mark.
#[derive(Deserialize)]
pub(super) struct Wanted {
    /// Page of flows, from 1.
    page: Option<usize>,
}

/// A page of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Part {
    Interfaces,
    Drops,
    Counters,
    Gateways,
}

impl Part {
    /// Every one.
    pub const ALL: [Part; 4] = [Part::Interfaces, Part::Drops, Part::Counters, Part::Gateways];

    /// Its name and where it is.
    pub const fn about(self) -> (&'static str, &'static str) {
        match self {
            Part::Interfaces => ("Interfaces", "/status/interfaces"),
            Part::Drops => ("Dropped Packets", "/status/drops"),
            Part::Counters => ("Counters", "/status/counters"),
            Part::Gateways => ("Gateways", "/status/gateways"),
        }
    }
}

/// A page as it is shown.
#[derive(Template)]
#[template(path = "status.html")]
struct Page {
    frame: Frame,
    part: Part,
    status: Status,
}

/// Everything that the pages show.
#[derive(Serialize)]
pub(super) struct Status {
    #[serde(flatten)]
    pub snapshot: Snapshot,
    /// Absent when the threads of the pair are too busy to answer.
    pub pair: Option<PairSnapshot>,
    pub flows: Vec<FlowRow>,
    /// Which page of flows this is.
    pub page: usize,
    /// There are more flows.
    pub more: bool,
    pub drops: Vec<DropRow>,
}

impl Status {
    /// Without flows and drops: what moves.
    pub fn of(mut snapshot: Snapshot, mut pair: Option<PairSnapshot>) -> Self {
        if let Some(pair) = &mut pair {
            snapshot.counters.append(&mut pair.counters);
        }
        Status { snapshot, pair, flows: Vec::new(), page: 1, more: false, drops: Vec::new() }
    }

    async fn gather(site: &Site, wanted: &Wanted) -> Option<Self> {
        let page = wanted.page.unwrap_or(1).clamp(1, LAST_PAGE);
        let mut snapshot = site.handle.snapshot().await?;
        let mut pair = site.handle.pair().await;
        if let Some(pair) = &mut pair {
            snapshot.counters.append(&mut pair.counters);
        }
        let (flows, more) = site.handle.flows(page).await?;
        let mut drops = site.handle.drops().await?;
        drops.truncate(DROPS);
        Some(Status { snapshot, pair, flows, page, more: more && page < LAST_PAGE, drops })
    }

    /// Counters that are not zero.
    fn counters(&self) -> impl Iterator<Item = &CounterRow> {
        self.snapshot.counters.iter().filter(|counter| counter.value > 0)
    }

    /// How full the connection table is, in percent.
    pub fn fullness(&self) -> String {
        let states = &self.snapshot.states;
        format!("{:.1}", states.current as f64 * 100.0 / states.limit.max(1) as f64)
    }

    /// The hash, as short as people compare it.
    pub fn short_hash(&self) -> &str {
        self.snapshot.config_hash.get(..12).unwrap_or(&self.snapshot.config_hash)
    }
}

/// What templates write with.
pub(super) mod filters {
    use askama::Values;

    use super::{PairPathRow, ReplicationRow};

    /// Bytes, in the unit that people read.
    #[askama::filter_fn]
    pub fn size(bytes: &u64, _: &dyn Values) -> askama::Result<String> {
        Ok(super::size(*bytes))
    }

    /// A number with its thousands apart.
    #[askama::filter_fn]
    pub fn count(number: &u64, _: &dyn Values) -> askama::Result<String> {
        Ok(super::count(*number))
    }

    /// Milliseconds, in the units that people read.
    #[askama::filter_fn]
    pub fn short_span(milliseconds: &u64, _: &dyn Values) -> askama::Result<String> {
        Ok(super::short_span(*milliseconds))
    }

    /// How a path between the nodes is.
    #[askama::filter_fn]
    pub fn carriage(path: &PairPathRow, _: &dyn Values) -> askama::Result<&'static str> {
        Ok(super::carriage(path))
    }

    /// How far replication is.
    #[askama::filter_fn]
    pub fn progress(row: &ReplicationRow, _: &dyn Values) -> askama::Result<String> {
        Ok(super::progress(row))
    }

    /// A date and time of UTC.
    #[askama::filter_fn]
    pub fn moment(seconds: &u64, _: &dyn Values) -> askama::Result<String> {
        Ok(crate::web::journal::moment(*seconds))
    }

    /// Bits a second, in the unit that people read.
    #[askama::filter_fn]
    pub fn bits(bits: &f64, _: &dyn Values) -> askama::Result<String> {
        Ok(super::bits(*bits))
    }

    /// A time, where there is one.
    #[askama::filter_fn]
    pub fn millis(millis: &Option<f64>, _: &dyn Values) -> askama::Result<String> {
        Ok(millis.map(|millis| format!("{millis:.1} ms")).unwrap_or_default())
    }

    /// Seconds, in the units that people read.
    #[askama::filter_fn]
    pub fn span(seconds: &u64, _: &dyn Values) -> askama::Result<String> {
        Ok(super::span(*seconds))
    }

    /// The addresses of `tcp source -> destination`.
    #[askama::filter_fn]
    pub fn way(flow: &str, _: &dyn Values) -> askama::Result<String> {
        let addresses = flow.split_once(' ').map_or(flow, |(_, addresses)| addresses);
        Ok(addresses.replace("->", "\u{2192}"))
    }

    /// The protocol of `tcp source -> destination`.
    #[askama::filter_fn]
    pub fn protocol(flow: &str, _: &dyn Values) -> askama::Result<String> {
        Ok(flow.split_once(' ').map_or(flow, |(protocol, _)| protocol).to_owned())
    }
}

/// Milliseconds, in the units that people read.
fn short_span(milliseconds: u64) -> String {
    match milliseconds {
        0..10_000 => format!("{milliseconds} ms"),
        _ => span(milliseconds / 1000),
    }
}

/// How a path between the nodes is.
fn carriage(path: &PairPathRow) -> &'static str {
    match (path.up, path.carries, path.echoed) {
        (false, _, _) => "no link",
        (true, false, _) => "silent",
        (true, true, false) => "only hither",
        (true, true, true) => "carries",
    }
}

/// How far replication is.
fn progress(row: &ReplicationRow) -> String {
    let whole = match (row.stale, row.synced) {
        (true, _) => "stale: the sync port does not carry",
        (false, true) => "complete",
        (false, false) => "not complete yet",
    };
    match row.direction.as_str() {
        "sends" => format!("sends, {} chunks acknowledged of {}, {whole}", row.acked, row.newest),
        "receives" => format!("receives, {} chunks applied of {}, {whole}", row.applied, row.newest),
        _ => "off".into(),
    }
}

/// Bytes, in the unit that people read.
pub(super) fn size(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1024.0 {
            return if unit == "B" { format!("{bytes} B") } else { format!("{value:.1} {unit}") };
        }
        value /= 1024.0;
    }
    format!("{value:.1} TiB")
}

/// Bits a second, in the unit that people read.
pub(super) fn bits(bits: f64) -> String {
    let mut value = bits;
    for unit in ["b/s", "kb/s", "Mb/s"] {
        if value < 1000.0 {
            return if unit == "b/s" { format!("{value:.0} b/s") } else { format!("{value:.1} {unit}") };
        }
        value /= 1000.0;
    }
    format!("{value:.1} Gb/s")
}

/// A number with its thousands apart by narrow no-break spaces.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 2);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// Seconds, in the units that people read.
pub(super) fn span(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {:02} s", seconds % 60),
        (0, _, _) => format!("{hours} h {minutes:02} min"),
        (_, _, _) => format!("{days} d {hours:02} h"),
    }
}

/// `GET` of a part.
pub(super) async fn show(part: Part, site: Site, visitor: Visitor, wanted: Wanted) -> Response {
    let Some(status) = Status::gather(&site, &wanted).await else { return busy() };
    let (title, path) = part.about();
    let frame = Frame::new(&site, &visitor, title, path).await;
    html(&Page { frame, part, status })
}

/// `GET /status.json`
pub(super) async fn status_json(State(site): State<Site>, Query(wanted): Query<Wanted>) -> Response {
    match Status::gather(&site, &wanted).await {
        Some(status) => Json(status).into_response(),
        None => busy(),
    }
}

#[cfg(test)]
pub(in crate::web) mod tests {
    use super::*;
    use crate::node::snapshot::{
        GatewayGroupRow, GatewayMemberRow, GatewayRow, InterfaceRow, NeighbourRow, PortRow, RouteRow,
        StatesRow,
    };
    use crate::node::{Finding, PairPeerRow as PeerRow, PairVirtualIpRow, TransitionRow};
    use crate::types::MacAddr;
    use crate::web::fragment::{Piece, fragment};

    #[test]
    fn sizes_in_the_unit_that_people_read() {
        for (bytes, text) in [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 << 30, "5.0 GiB")] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn thousands_stand_apart_and_times_have_units() {
        for (number, text) in
            [(0, "0"), (999, "999"), (1000, "1\u{202f}000"), (1234567, "1\u{202f}234\u{202f}567")]
        {
            assert_eq!(count(number), text);
        }
        for (seconds, text) in
            [(0, "0 s"), (59, "59 s"), (61, "1 min 01 s"), (3660, "1 h 01 min"), (90_000, "1 d 01 h")]
        {
            assert_eq!(span(seconds), text);
        }
    }

    /// A pair whose other node is dead.
    pub(in crate::web) fn lonely_pair() -> PairSnapshot {
        let path = |name: &str, up, carries| PairPathRow {
            name: name.into(),
            up,
            carries,
            echoed: carries,
            loss_permille: 15,
            ..PairPathRow::default()
        };
        let vip = PairVirtualIpRow {
            interface: "wan".into(),
            vhid: 7,
            addresses: vec!["203.0.113.20".into()],
            state: "MASTER".into(),
            ..PairVirtualIpRow::default()
        };
        PairSnapshot {
            paired: true,
            node: "a<b>".into(),
            peer_name: Some("beta".into()),
            role: "active".into(),
            leads: true,
            epoch: 41,
            since_ms: 61_000,
            why: "the peer fell silent".into(),
            lacks: vec!["the peer is not heard".into(), "there is no <session>".into()],
            peer: Some(PeerRow {
                alive: false,
                heard_ms: Some(4321),
                role: "standby".into(),
                ..PeerRow::default()
            }),
            paths: vec![path("sync", false, false), path("wan", true, false), path("lan", true, true)],
            virtual_ips: vec![vip],
            replication: ReplicationRow {
                direction: "sends".into(),
                newest: 9,
                acked: 5,
                ..ReplicationRow::default()
            },
            timeline: vec![TransitionRow {
                to: "active".into(),
                why: "started".into(),
                ..TransitionRow::default()
            }],
            findings: vec![Finding {
                what: "The peer is silent.".into(),
                remedy: "See whether it runs.".into(),
            }],
            ..PairSnapshot::default()
        }
    }

    fn page(part: Part, status: Status) -> String {
        Page { frame: Frame::example(), part, status }.render().unwrap()
    }

    #[test]
    fn a_doubt_about_the_time_is_shown() {
        assert!(!page(Part::Interfaces, busy_router()).contains("not sure of the time"));
        let mut doubtful = busy_router();
        doubtful.snapshot.doubt = Some("The firewall is not sure of the time.".into());
        assert!(page(Part::Interfaces, doubtful).contains("not sure of the time"));
    }

    /// A router with something in every table.
    pub(in crate::web) fn busy_router() -> Status {
        let mac = |last| MacAddr([2, 0, 0, 0, 0, last]);
        let interface = |name: &str, zone: &str, vlan, addresses: &[&str]| InterfaceRow {
            name: name.into(),
            description: format!("The {name} side"),
            zone: zone.into(),
            port: "trunk".into(),
            vlan,
            mac: mac(1),
            mtu: 1500,
            addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
            up: zone != "dmz",
            rx_packets: 12_345_678,
            rx_bytes: 9 << 30,
            ..InterfaceRow::default()
        };
        let port = PortRow { name: "trunk".into(), device: "koi-lan".into(), drops: 3, ..PortRow::default() };
        let route = |destination: &str, gateway: Option<&str>| RouteRow {
            destination: destination.parse().unwrap(),
            gateway: gateway.map(|gateway| gateway.parse().unwrap()),
            gateway_name: gateway.map(|_| "WANGW".into()),
            interface: "wan".into(),
            origin: "static".into(),
            description: String::new(),
        };
        let neighbour = |address: &str, mac, state: &str| NeighbourRow {
            address: address.parse().unwrap(),
            interface: "lan".into(),
            mac,
            state: state.into(),
        };
        let flow = |id, original: &str, translated: Option<&str>| FlowRow {
            id,
            protocol: original.split(' ').next().unwrap().into(),
            original: original.into(),
            translated: translated.map(Into::into),
            state: "established:established".into(),
            ingress: "lan".into(),
            egress: "wan".into(),
            rule: 100,
            gateway: Some("WANGW".into()),
            reply_to: None,
            age_seconds: 4000,
            expires_seconds: 86_321,
            packets: [1201, 2400],
            bytes: [96_000, 3_500_000],
        };
        let counter = |name: &str, value, meaning: &str| CounterRow {
            name: name.into(),
            value,
            meaning: meaning.into(),
        };
        let snapshot = Snapshot {
            hostname: "gate".into(),
            node: "a<b>".into(),
            uptime_seconds: 93_784,
            revision: 17,
            config_hash: "3f9ac1d07be24488a1".into(),
            ports: vec![port],
            interfaces: vec![
                interface("wan", "wan", None, &["203.0.113.2/24", "2001:db8:0:1::2/64"]),
                interface("lan", "lan", Some(20), &["192.168.1.1/24"]),
                interface("dmz", "dmz", Some(30), &["192.168.2.1/24"]),
            ],
            gateways: vec![GatewayRow {
                name: "WANGW".into(),
                interface: "wan".into(),
                address: "203.0.113.1".parse().unwrap(),
                monitor: None,
                default: true,
                delay_ms: Some(12.34),
                deviation_ms: None,
                loss_percent: Some(25),
                status: "down".into(),
                text: "down: packets are <lost>".into(),
                since_seconds: 61,
                description: String::new(),
            }],
            gateway_groups: vec![GatewayGroupRow {
                name: "BOTH".into(),
                default: false,
                tier: 2,
                members: vec![GatewayMemberRow { gateway: "LTE".into(), tier: 2, used: true }],
                description: "Office".into(),
            }],
            routes: vec![route("192.168.1.0/24", None), route("0.0.0.0/0", Some("203.0.113.1"))],
            neighbours: vec![
                neighbour("192.168.1.10", Some(mac(0x10)), "reachable"),
                neighbour("fe80::aede:48ff:fe00:1122", Some(mac(0x22)), "stale"),
                neighbour("192.168.1.99", None, "failed"),
            ],
            states: StatesRow {
                current: 48_211,
                limit: 1_000_000,
                inserted: 2_311_950,
                removed: 7,
                evicted: 0,
            },
            counters: vec![
                counter("blocked-in", 1723, "Blocked by a rule on the way in."),
                counter("never", 0, "Not shown."),
            ],
            ..Snapshot::default()
        };
        let drop = |at, reason: &str, flow: Option<&str>, rule| DropRow {
            at,
            reason: reason.into(),
            interface: "wan".into(),
            flow: flow.map(Into::into),
            rule,
        };
        Status {
            snapshot,
            pair: Some(lonely_pair()),
            flows: vec![
                flow(
                    1,
                    "tcp 192.168.1.10:50000 -> 198.51.100.10:443",
                    Some("tcp 203.0.113.2:31337 -> 198.51.100.10:443"),
                ),
                flow(2, "udp [2001:db8:0:2::10]:5353 -> [2001:db8:ffff:ffff:ffff:ffff:ffff:10]:53", None),
            ],
            page: 2,
            more: true,
            drops: vec![
                drop(93_780.25, "blocked-in", Some("tcp 198.51.100.66:4444 -> 203.0.113.2:22"), Some(9)),
                drop(93_779.5, "short-frame", None, None),
            ],
        }
    }

    #[test]
    fn pages_show_every_table_and_escape_what_others_wrote() {
        let pieces = [Piece::System, Piece::States, Piece::Pair];
        let moving = pieces.map(|piece| fragment(piece, &busy_router()).unwrap()).concat();
        let html: String = Part::ALL.map(|part| page(part, busy_router())).concat() + &moving;
        for fact in [
            "node <b>a&#60;b&#62;</b>",
            "1 d 02 h",
            "revision 17",
            "3f9ac1d07be2<",
            "48\u{202f}211",
            "4.8 %",
            "trunk, VLAN 20",
            "2001:db8:0:1::2/64",
            "9.0 GiB",
            "state down\">down: packets are &#60;lost&#62;",
            "12.3 ms",
            "LTE, tier 2",
            "93780.250 s",
            "blocked-in",
        ] {
            assert!(html.contains(fact), "{fact}");
        }
        assert!(!html.contains("Not shown."));
    }
}
