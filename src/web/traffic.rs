//! Status, Traffic Graph: what goes through each interface, and who talks most.

use askama::Template;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::events::{History, Rate, Talkers, look_at_talkers};
use super::frame::Frame;
use super::message::{busy, html};
use super::site::{Site, lock};
use super::status::filters;
use super::visitor::Visitor;
use crate::node::snapshot::Snapshot;

/// Where it is.
pub(super) const TRAFFIC: &str = "/status/traffic";
/// The last minutes, for graphs.
pub(super) const HISTORY: &str = "/status/traffic.json";

/// An interface.
struct Row {
    name: String,
    up: bool,
    rate: Rate,
}

#[derive(Template)]
#[template(path = "part/traffic.html")]
struct Rates {
    rows: Vec<Row>,
}

#[derive(Template)]
#[template(path = "part/talkers.html")]
struct Loudest<'a> {
    talkers: &'a Talkers,
}

#[derive(Template)]
#[template(path = "traffic.html")]
struct Page {
    frame: Frame,
    interfaces: Vec<String>,
    rates: String,
    talkers: String,
}

/// What goes through each interface, by itself.
pub(super) fn rates(snapshot: &Snapshot, history: &History) -> Option<String> {
    let rate = |name: &str| history.rates().get(name).copied().unwrap_or_default();
    let interfaces = snapshot.interfaces.iter();
    let rows = interfaces.map(|row| Row { name: row.name.clone(), up: row.up, rate: rate(&row.name) });
    Rates { rows: rows.collect() }.render().ok()
}

/// Who talks most, by itself.
pub(super) fn talkers(talkers: &Talkers) -> Option<String> {
    Loudest { talkers }.render().ok()
}

/// `GET /status/traffic`
pub(super) async fn show(State(site): State<Site>, visitor: Visitor) -> Response {
    let Some(snapshot) = site.handle.glance().await else { return busy() };
    if look_at_talkers(&site).await.is_none() {
        return busy();
    }
    let page = Page {
        frame: Frame::new(&site, &visitor, "Traffic Graph", TRAFFIC).await,
        interfaces: snapshot.interfaces.iter().map(|row| row.name.clone()).collect(),
        rates: rates(&snapshot, &lock(&site.events.history)).unwrap_or_default(),
        talkers: talkers(&lock(&site.events.talkers)).unwrap_or_default(),
    };
    html(&page)
}

/// `GET /status/traffic.json`
pub(super) async fn history(State(site): State<Site>) -> Response {
    let samples = {
        let history = lock(&site.events.history);
        json!(history.samples().collect::<Vec<_>>())
    };
    Json(samples).into_response()
}
