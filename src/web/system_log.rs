//! Status, System Logs: what this router process has said of late.

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

/// Where it is.
pub(super) const SYSTEM_LOG: &str = "/status/system-log";
/// Lines on a page.
const SHOWN: usize = 150;

/// What stands behind the question mark.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Wanted {
    /// Only lines with these words.
    q: String,
    /// Only lines of this level.
    level: String,
}

#[derive(Template)]
#[template(path = "system-log.html")]
struct Page {
    frame: Frame,
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
    let lines = log_ring::recent().into_iter().filter(fits).take(SHOWN).collect();
    html(&Page { frame: Frame::new(&site, &visitor, "System Logs", SYSTEM_LOG).await, lines, wanted })
}
