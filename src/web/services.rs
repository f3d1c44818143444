//! Status, Services: what the router does besides forwarding, and whether it does.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use serde::Serialize;

use super::frame::Frame;
use super::message::{busy, html};
use super::site::Site;
use super::status::{count, filters};
use super::visitor::Visitor;
use crate::io::request::{Request, Response as Answer};
use crate::node::PairSnapshot;
use crate::node::snapshot::Snapshot;
use crate::services::ServicesRow;

/// Where it is.
pub(super) const SERVICES: &str = "/status/services";

/// How a service is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Condition {
    Running,
    Stopped,
    Trouble,
}

impl Condition {
    /// For people, and for the colour.
    pub const fn words(self) -> (&'static str, &'static str) {
        match self {
            Condition::Running => ("running", "online"),
            Condition::Stopped => ("not in use", "soft"),
            Condition::Trouble => ("trouble", "down"),
        }
    }
}

/// A service.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub(super) struct ServiceRow {
    pub name: &'static str,
    pub about: &'static str,
    pub state: Condition,
    pub detail: String,
}

#[derive(Template)]
#[template(path = "part/services.html")]
struct Moving<'a> {
    rows: &'a [ServiceRow],
    counters: &'a [(String, u64, String)],
}

#[derive(Template)]
#[template(path = "services.html")]
struct Page {
    frame: Frame,
    moving: String,
}

/// The services; `None` when the router has no time.
pub(super) async fn rows(
    site: &Site,
    snapshot: &Snapshot,
    pair: Option<&PairSnapshot>,
) -> Option<(Vec<ServiceRow>, ServicesRow)> {
    let Answer::Services(services) = site.ask(Request::Services).await else { return None };
    let mut rows = vec![forwarding(snapshot), pages(site)];
    rows.extend(pair.filter(|pair| pair.paired).map(replication));
    let config = site.config();
    let clock = &services.clock;
    let unsure = snapshot.doubt.clone();
    rows.push(row(
        "time",
        "The clock, by time servers",
        (!config.system.time_servers.is_empty(), unsure.is_some()),
        unsure.unwrap_or_else(|| format!("{} by {}", clock.time, clock.source)),
    ));
    let unknown = services.names.iter().filter(|name| name.addresses.is_empty()).count();
    rows.push(row(
        "names",
        "Names of hosts in aliases and servers",
        (!services.names.is_empty(), unknown > 0),
        format!("{} names are asked about, {unknown} stand for nothing", services.names.len()),
    ));
    let servers = &config.system.logging.servers;
    rows.push(row(
        "syslog",
        "The firewall log, told to other machines",
        (!servers.is_empty(), false),
        servers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    ));
    let notices = &services.notices;
    rows.push(row(
        "notifications",
        "What nobody may overlook, told to a webhook",
        (config.system.notification.url.is_some(), notices.trouble.is_some()),
        notices
            .trouble
            .clone()
            .unwrap_or_else(|| format!("{} told, {} wait", count(notices.told), notices.waiting)),
    ));
    Some((rows, *services))
}

fn row(
    name: &'static str,
    about: &'static str,
    (used, troubled): (bool, bool),
    detail: String,
) -> ServiceRow {
    let state = match (used, troubled) {
        (false, _) => Condition::Stopped,
        (true, true) => Condition::Trouble,
        (true, false) => Condition::Running,
    };
    ServiceRow { name, about, state, detail: if used { detail } else { String::new() } }
}

fn forwarding(snapshot: &Snapshot) -> ServiceRow {
    let up = snapshot.ports.iter().filter(|port| port.up).count();
    let all = snapshot.ports.len();
    row(
        "forwarding",
        "Packets between interfaces",
        (true, up < all),
        format!("{up} of {all} ports have a link, {} states", count(snapshot.states.current)),
    )
}

fn pages(site: &Site) -> ServiceRow {
    let counters = site.events.counters();
    row(
        "web",
        "These pages and the API",
        (true, false),
        format!("{} pages follow what happens, {} did not keep up", counters.open, count(counters.slow)),
    )
}

fn replication(pair: &PairSnapshot) -> ServiceRow {
    row(
        "pair",
        "The other node, which takes over when this one fails",
        (true, !pair.redundant),
        if pair.redundant { "could fail over now".into() } else { pair.lacks.join("; ") },
    )
}

/// The services, by themselves.
pub(super) async fn fragment(
    site: &Site,
    snapshot: &Snapshot,
    pair: Option<&PairSnapshot>,
) -> Option<String> {
    let (rows, services) = rows(site, snapshot, pair).await?;
    Moving { rows: &rows, counters: &services.counters }.render().ok()
}

/// `GET /status/services`
pub(super) async fn show(State(site): State<Site>, visitor: Visitor) -> Response {
    let Some(snapshot) = site.handle.glance().await else { return busy() };
    let pair = site.handle.pair().await;
    let moving = fragment(&site, &snapshot, pair.as_ref()).await.unwrap_or_else(|| {
        "<section><p class=\"empty bad\">The part of the router that knows them does not answer.</p></section>".into()
    });
    html(&Page { frame: Frame::new(&site, &visitor, "Services", SERVICES).await, moving })
}
