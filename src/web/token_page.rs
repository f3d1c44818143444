//! Tokens of programs, on a page.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};

use super::change::rejection;
use super::edit::Rejected;
use super::frame::Frame;
use super::journal::moment;
use super::message::html;
use super::pages::USERS_BESIDE;
use super::site::Site;
use super::tokens::{self, NewToken, Order};
use super::visitor::{Posted, Visitor};
use crate::cluster::tokens::{Scope, TokenRow};

/// Where it is.
pub(super) const TOKENS: &str = "/system/tokens";
const DAY: u64 = 86_400;
/// Days of a token, when nobody says otherwise.
const DAYS: u64 = 30;

/// The page.
#[derive(Template)]
#[template(path = "tokens.html")]
struct Page {
    frame: Frame,
    rows: Vec<TokenRow>,
    /// To be seen once.
    made: Option<NewToken>,
    error: Option<String>,
    name: String,
    days: String,
}

impl Page {
    async fn new(site: &Site, visitor: &Visitor) -> Page {
        let frame = Frame::new(site, visitor, "API Tokens", TOKENS).await.with_tabs(USERS_BESIDE);
        let (rows, error) = match tokens::list(site).await {
            Ok(rows) => (rows, None),
            Err(_) => (Vec::new(), Some("The part of the router that keeps tokens does not answer.".into())),
        };
        Page { frame, rows, made: None, error, name: String::new(), days: DAYS.to_string() }
    }
}

/// `GET /system/tokens`
pub(super) async fn show(State(site): State<Site>, visitor: Visitor) -> Response {
    html(&Page::new(&site, &visitor).await)
}

/// `POST /system/tokens`
pub(super) async fn make(State(site): State<Site>, visitor: Visitor, posted: Posted) -> Response {
    let field = |name: &str| posted.get(name).unwrap_or_default().trim().to_owned();
    let (name, days) = (field("name"), field("days"));
    let scope = Scope::ALL.into_iter().find(|scope| scope.name() == field("scope"));
    let lifetime = days.parse::<u64>().ok().and_then(|days| days.checked_mul(DAY));
    let done = match (scope, lifetime) {
        (Some(scope), Some(lifetime)) => {
            let order =
                Order { name: name.clone(), scope, lifetime, user: Some(visitor.account.name.clone()) };
            tokens::create(&site, &visitor.author(), order).await
        }
        (None, _) => Err(Rejected::Failed("Choose what it may do.".into())),
        (_, None) => Err(Rejected::Failed("Write the lifetime as a number of days.".into())),
    };
    match done {
        Ok(made) => html(&Page { made: Some(made), ..Page::new(&site, &visitor).await }),
        Err(Rejected::Failed(why)) => {
            let page = Page { error: Some(why), name, days, ..Page::new(&site, &visitor).await };
            (StatusCode::UNPROCESSABLE_ENTITY, html(&page)).into_response()
        }
        Err(rejected) => rejection(rejected),
    }
}

/// `POST /system/tokens/revoke/{key}`
pub(super) async fn revoke(State(site): State<Site>, visitor: Visitor, Path(id): Path<String>) -> Response {
    match tokens::revoke(&site, &visitor.author(), &id).await {
        Ok(_) => Redirect::to(TOKENS).into_response(),
        Err(rejected) => rejection(rejected),
    }
}

/// What the template writes with.
mod filters {
    /// A date and time of UTC.
    #[askama::filter_fn]
    pub fn moment(seconds: &u64, _: &dyn askama::Values) -> askama::Result<String> {
        Ok(super::moment(*seconds))
    }
}
