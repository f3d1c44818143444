//! What has been changed and is not in force yet, and what becomes of it.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};

use super::change::rejection;
use super::edit::{Editor, Rejected};
use super::frame::Frame;
use super::message::html;
use super::site::Site;
use super::visitor::{Posted, Visitor};
use crate::config::life::Author;

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
    act(site, visitor, what, move |editor, who| editor.apply(who, &edition, seconds)).await
}

/// `POST /changes/confirm`
pub(super) async fn confirm(State(site): State<Site>, visitor: Visitor) -> Response {
    act(site, visitor, "confirmed the changes", |editor, _| editor.confirm()).await
}

/// `POST /changes/discard`
pub(super) async fn discard(State(site): State<Site>, visitor: Visitor) -> Response {
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
