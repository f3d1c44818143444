//! Status, System Logs: what this router process has said of late, and what the peer's had said as far as it came here.

use std::path::Path;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use serde::Deserialize;

use super::frame::Frame;
use super::journal::moment;
use super::message::html;
use super::site::Site;
use super::visitor::Visitor;
use crate::io::log_ring::{self, Line};
use crate::io::peer_log;

/// Where it is.
pub(super) const SYSTEM_LOG: &str = "/status/system-log";
/// Lines on a page; the longest ones still make a small page.
const SHOWN: usize = 100;
/// Lines of the peer's that are looked at.
const KEPT: usize = 2000;

/// What stands behind the question mark.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Wanted {
    /// Only lines with these words.
    q: String,
    /// Only lines of this level.
    level: String,
    /// `peer`: what the peer has said.
    of: String,
}

#[derive(Template)]
#[template(path = "system-log.html")]
struct Page {
    frame: Frame,
    paired: bool,
    wanted: Wanted,
    lines: Vec<Line>,
}

impl Page {
    fn time(&self, line: &Line) -> String {
        moment(line.at_ms / 1000)
    }
}

/// `GET /status/system-log`
pub(super) async fn show(
    State(site): State<Site>,
    visitor: Visitor,
    Query(wanted): Query<Wanted>,
) -> Response {
    let words = wanted.q.trim().to_lowercase();
    let fits = |line: &Line| {
        (wanted.level.is_empty() || line.level == wanted.level) && line.text.to_lowercase().contains(&words)
    };
    let all = match wanted.of.as_str() {
        // Files are read beside the threads that serve.
        "peer" => {
            let kept = tokio::task::spawn_blocking(|| peer_log::tail(Path::new("."), KEPT));
            kept.await.unwrap_or_default().into_iter().rev().collect()
        }
        _ => log_ring::recent(),
    };
    let lines = all.into_iter().filter(fits).take(SHOWN).collect();
    let in_force = site.handle.in_force();
    let paired = in_force.config.peer_of(in_force.node).is_some();
    let frame = Frame::new(&site, &visitor, "System Logs", SYSTEM_LOG).await;
    html(&Page { frame, paired, lines, wanted })
}
