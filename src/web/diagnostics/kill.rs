//! States end: first how many would, then they do.

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::states::{BESIDE, sentence};
use super::which::Which;
use crate::io::request::{FlowFilter, Request, Response as Answer};
use crate::web::frame::Frame;
use crate::web::message::html;
use crate::web::site::Site;
use crate::web::visitor::{Posted, Visitor};

/// Where it is.
pub(super) const KILL: &str = "/diagnostics/states/kill";

/// The page.
#[derive(Template)]
#[template(path = "kill.html")]
struct Page {
    frame: Frame,
    which: Which,
    /// How many would end.
    would: Option<u64>,
    /// How many have ended.
    ended: Option<u64>,
    wrong: Vec<String>,
}

async fn ask(site: &Site, which: &Which, request: fn(FlowFilter) -> Request) -> Result<u64, Vec<String>> {
    match site.ask(request(which.filter()?)).await {
        Answer::Counted { count } | Answer::Killed { count } => Ok(count),
        Answer::Failed(why) => Err(vec![sentence(&why)]),
        _ => Err(vec!["The router answers something else than it was asked.".into()]),
    }
}

/// `GET /diagnostics/states/kill`
pub(super) async fn preview(
    State(site): State<Site>,
    visitor: Visitor,
    Query(which): Query<Which>,
) -> Response {
    let counted = ask(&site, &which, |filter| Request::Count { filter }).await;
    let frame = Frame::new(&site, &visitor, "Kill States", KILL).await.with_tabs(BESIDE);
    let (would, wrong) = match counted {
        Ok(count) => (Some(count), Vec::new()),
        Err(wrong) => (None, wrong),
    };
    html(&Page { frame, which, would, ended: None, wrong })
}

/// `POST /diagnostics/states/kill`
pub(super) async fn kill(State(site): State<Site>, visitor: Visitor, posted: Posted) -> Response {
    let which = Which::of(&posted);
    let frame = Frame::new(&site, &visitor, "Kill States", KILL).await.with_tabs(BESIDE);
    // All of them only when that is said.
    let done = match which.is_everything() && posted.get("all") != Some("yes") {
        true => Err(vec!["Name some states.".to_owned()]),
        false => ask(&site, &which, |filter| Request::Kill { filter }).await,
    };
    match done {
        Ok(count) => {
            let what = format!("ended {count} states: {}", which.words());
            site.note(&visitor.account.name, visitor.from, what);
            html(&Page { frame, which, would: None, ended: Some(count), wrong: Vec::new() })
        }
        Err(wrong) => {
            let page = Page { frame, which, would: None, ended: None, wrong };
            (StatusCode::UNPROCESSABLE_ENTITY, html(&page)).into_response()
        }
    }
}
