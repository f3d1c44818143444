//! The dashboard: widgets, in each user's own order and sizes.

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::fragment::{Piece, fragment};
use super::frame::Frame;
use super::layout::{Deed, Layout, Tile, Widget};
use super::message::{busy, html};
use super::preferences::Preferred;
use super::site::{Site, lock};
use super::status::Status;
use super::visitor::{Posted, Visitor};
use super::{log_page, services, traffic};
use crate::io::clock;

/// Where it is.
pub(super) const DASHBOARD: &str = "/";
/// Records of the firewall log in its widget.
const RECORDS: usize = 10;

/// What stands behind the question mark.
#[derive(Deserialize)]
pub(super) struct Wanted {
    /// It is arranged.
    #[serde(default)]
    arrange: bool,
}

/// A widget as it is shown.
struct Shown {
    tile: Tile,
    name: &'static str,
    label: &'static str,
    /// What moves, by itself.
    html: String,
}

#[derive(Template)]
#[template(path = "dashboard.html")]
struct Dashboard {
    frame: Frame,
    columns: u8,
    tiles: Vec<Shown>,
    missing: Vec<(&'static str, &'static str)>,
    arrange: bool,
    doubt: Option<String>,
}

/// `GET /`
pub(super) async fn show(
    State(site): State<Site>,
    visitor: Visitor,
    Query(wanted): Query<Wanted>,
) -> Response {
    let Some(snapshot) = site.handle.glance().await else { return busy() };
    let pair = site.handle.pair().await;
    let layout = site.preferences.layout(&visitor.account.name).unwrap_or_default();
    let status = Status::of(snapshot, pair);
    let mut tiles = Vec::with_capacity(layout.tiles.len());
    for tile in &layout.tiles {
        let (name, label) = tile.widget.words();
        let html = widget(&site, tile.widget, &status).await.unwrap_or_default();
        tiles.push(Shown { tile: *tile, name, label, html });
    }
    let frame = Frame::new(&site, &visitor, "Dashboard", DASHBOARD).await;
    let arrange = wanted.arrange && !frame.token.is_empty();
    let missing = layout.missing().map(Widget::words).collect();
    let doubt = status.snapshot.doubt.clone();
    html(&Dashboard { frame, columns: layout.columns, tiles, missing, arrange, doubt })
}

async fn widget(site: &Site, widget: Widget, status: &Status) -> Option<String> {
    match widget {
        Widget::System => fragment(Piece::System, status),
        Widget::States => fragment(Piece::States, status),
        Widget::Pair => fragment(Piece::Pair, status),
        Widget::Gateways => fragment(Piece::Gateways, status),
        Widget::Interfaces => fragment(Piece::Interfaces, status),
        Widget::Traffic => traffic::rates(&status.snapshot, &lock(&site.events.history)),
        Widget::Log => log_page::widget(site, RECORDS).await,
        Widget::Services => services::fragment(site, &status.snapshot, status.pair.as_ref()).await,
    }
}

/// `POST /dashboard`: only how this user sees it.
pub(super) async fn arrange(State(site): State<Site>, visitor: Visitor, posted: Posted) -> Response {
    let field = |name: &str| posted.get(name).unwrap_or_default();
    // A select names the widget to be added; a button, what becomes of one.
    let Some(deed) = Deed::parse(field("do"), field("widget"), field("rest")) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let user = visitor.account.name;
    let layout: Layout = site.preferences.layout(&user).unwrap_or_default().after(deed);
    let at_ms = site.preferences.next(&user, clock::calendar_ms());
    let preferred = Preferred { user, at_ms, layout };
    if let Some(share) = &site.share {
        share.preferred(preferred.clone());
    }
    let preferences = std::sync::Arc::clone(&site.preferences);
    // Only a panic is an error, and then nothing has changed.
    let _ = tokio::task::spawn_blocking(move || preferences.adopt(preferred)).await;
    Redirect::to("/?arrange=true").into_response()
}
