//! What was in force, and the way back to it.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};

use super::change::rejection;
use super::frame::Frame;
use super::journal::moment;
use super::message::html;
use super::site::Site;
use super::visitor::{Posted, Visitor};
use crate::config::diff::Row;
use crate::config::life::Record;

/// Where it is.
pub(super) const HISTORY: &str = "/diagnostics/config-history";

/// Every revision.
#[derive(Template)]
#[template(path = "history.html")]
struct History {
    frame: Frame,
    /// The newest first.
    records: Vec<Record>,
}

/// One revision against what is in force.
#[derive(Template)]
#[template(path = "revision.html")]
struct Revision {
    frame: Frame,
    revision: String,
    rows: Vec<Row>,
}

/// `GET /diagnostics/config-history`
pub(super) async fn show(State(site): State<Site>, visitor: Visitor) -> Response {
    match site.edit(|editor| editor.history()).await {
        Ok(mut records) => {
            records.reverse();
            html(&History { frame: Frame::new(&site, &visitor, "Config History", HISTORY).await, records })
        }
        Err(rejected) => rejection(rejected),
    }
}

/// `GET /diagnostics/config-history/{key}`
pub(super) async fn compare(
    State(site): State<Site>,
    visitor: Visitor,
    Path(revision): Path<String>,
) -> Response {
    let wanted = revision.clone();
    match site.edit(move |editor| editor.since(&wanted)).await {
        Ok(rows) => {
            let frame = Frame::new(&site, &visitor, "Config History", HISTORY).await;
            html(&Revision { frame, revision, rows })
        }
        Err(rejected) => rejection(rejected),
    }
}

/// `POST /diagnostics/config-history/{key}`
pub(super) async fn restore(
    State(site): State<Site>,
    visitor: Visitor,
    Path(revision): Path<String>,
) -> Response {
    let (who, wanted) = (visitor.author(), revision.clone());
    match site.edit(move |editor| editor.restore(&who, &wanted)).await {
        Ok(()) => {
            site.note(&visitor.account.name, visitor.from, format!("put revision {revision} in force again"));
            Redirect::to(HISTORY).into_response()
        }
        Err(rejected) => rejection(rejected),
    }
}

/// `POST /diagnostics/config-history/{key}/label`
pub(super) async fn label(
    State(site): State<Site>,
    visitor: Visitor,
    Path(revision): Path<String>,
    posted: Posted,
) -> Response {
    let label = posted.get("label").unwrap_or_default().trim().to_owned();
    let what = format!("called revision {revision} \u{201c}{label}\u{201d}");
    match site.edit(move |editor| editor.label(&revision, &label)).await {
        Ok(()) => {
            site.note(&visitor.account.name, visitor.from, what);
            Redirect::to(HISTORY).into_response()
        }
        Err(rejected) => rejection(rejected),
    }
}

/// What the template writes with.
mod filters {
    /// A date and time of UTC.
    #[askama::filter_fn]
    pub fn instant(milliseconds: &u64, _: &dyn askama::Values) -> askama::Result<String> {
        Ok(super::moment(*milliseconds / 1000))
    }
}
