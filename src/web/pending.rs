//! What has been changed and is not in force yet, and what becomes of it.

use askama::Template;
use axum::extract::{ConnectInfo, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};

use super::change::rejection;
use super::edit::{Editor, Rejected};
use super::frame::Frame;
use super::limited::Peer;
use super::message::html;
use super::site::{Site, lock};
use super::visitor::{Posted, Visitor};
use crate::config::life::Author;
use crate::io::clock;

/// Where it is.
pub(super) const PENDING: &str = "/changes";
/// Seconds to confirm in, when nothing else was written.
const CONFIRM: u32 = 90;

/// The changes, in words.
#[derive(Template)]
#[template(path = "pending.html")]
struct Pending {
    frame: Frame,
    changes: Vec<String>,
    seconds: u32,
}

/// `GET /changes`
pub(super) async fn show(State(site): State<Site>, visitor: Visitor) -> Response {
    let draft = site.draft().await;
    let frame = Frame::around(&site, &visitor, "Changes", PENDING, &draft).await;
    html(&Pending { frame, changes: draft.changes, seconds: CONFIRM })
}

/// `POST /changes/apply`
pub(super) async fn apply(State(site): State<Site>, visitor: Visitor, posted: Posted) -> Response {
    let seconds = posted.get("trial").is_some().then(|| {
        let seconds = posted.get("seconds").and_then(|seconds| seconds.parse().ok());
        seconds.unwrap_or(CONFIRM)
    });
    let what = match seconds {
        Some(seconds) => format!("applied the changes, to be confirmed within {seconds} s"),
        None => "applied the changes".to_owned(),
    };
    let edition = posted.edition().to_owned();
    *lock(&site.applied) = Some(clock::now());
    act(site, visitor, what, move |editor, who| editor.apply(who, &edition, seconds)).await
}

/// `POST /changes/confirm`: by a person, or by the page that has applied them. A page must have come by a connection that
/// was made since: one of before says nothing about whether somebody can still get in.
pub(super) async fn confirm(
    State(site): State<Site>,
    visitor: Visitor,
    ConnectInfo(peer): ConnectInfo<Peer>,
    posted: Posted,
) -> Response {
    if posted.get("by") != Some("page") {
        return act(site, visitor, "confirmed the changes", |editor, _| editor.confirm()).await;
    }
    let applied = *lock(&site.applied);
    if applied.is_some_and(|applied| peer.since <= applied) {
        return (StatusCode::CONFLICT, [(header::CONNECTION, "close")]).into_response();
    }
    let what = "confirmed the changes, by a page that still reaches the router";
    match act(site, visitor, what, |editor, _| editor.confirm()).await.status() {
        StatusCode::SEE_OTHER => StatusCode::NO_CONTENT.into_response(),
        other => other.into_response(),
    }
}

/// `POST /changes/discard`: everything, or one change.
pub(super) async fn discard(State(site): State<Site>, visitor: Visitor, posted: Posted) -> Response {
    if let Some(change) = posted.get("change").and_then(|number| number.parse::<usize>().ok()) {
        let edition = posted.edition().to_owned();
        let what = format!("discarded change {change}");
        return act(site, visitor, what, move |editor, who| editor.discard_one(who, &edition, change)).await;
    }
    act(site, visitor, "discarded the changes", |editor, who| editor.discard(who)).await
}

async fn act(
    site: Site,
    visitor: Visitor,
    what: impl Into<String>,
    action: impl FnOnce(&dyn Editor, &Author) -> Result<(), Rejected> + Send + 'static,
) -> Response {
    let who = visitor.author();
    match site.edit(move |editor| action(editor, &who)).await {
        Ok(()) => {
            site.note(&visitor.account.name, visitor.from, what);
            Redirect::to(PENDING).into_response()
        }
        Err(rejected) => rejection(rejected),
    }
}
