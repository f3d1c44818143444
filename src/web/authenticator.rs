//! An authenticator for one's own account: its secret, proven by a code before it is wanted.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::Value;

use super::change::{Change, rejection};
use super::edit::Rejected;
use super::form::{text_of, tree};
use super::frame::Frame;
use super::message::html;
use super::pages::USERS_BESIDE;
use super::site::Site;
use super::totp;
use super::visitor::{Posted, Visitor};
use crate::io::{clock, entropy};

/// Where it is.
pub(super) const AUTHENTICATOR: &str = "/system/authenticator";

/// The page.
#[derive(Template)]
#[template(path = "authenticator.html")]
struct Page {
    frame: Frame,
    /// The account stands in the document.
    is_user: bool,
    /// It has one.
    has: bool,
    secret: String,
    error: Option<&'static str>,
}

impl Page {
    async fn new(site: &Site, visitor: &Visitor, secret: String, error: Option<&'static str>) -> Page {
        let draft = site.draft().await;
        let user = draft.document.users.iter().find(|user| user.name == visitor.account.name);
        let (is_user, has) = (user.is_some(), user.is_some_and(|user| user.totp_secret.is_some()));
        let frame = Frame::around(site, visitor, "My Authenticator", AUTHENTICATOR, &draft).await;
        Page { frame: frame.with_tabs(USERS_BESIDE), is_user, has, secret, error }
    }

    /// The secret in groups that are read and typed.
    fn groups(&self) -> String {
        let letters: Vec<char> = self.secret.chars().collect();
        letters.chunks(4).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join(" ")
    }

    /// What an authenticator on the same machine opens.
    fn link(&self) -> String {
        format!(
            "otpauth://totp/Koi:{}@{}?secret={}&issuer=Koi",
            self.frame.user, self.frame.hostname, self.secret
        )
    }
}

/// `GET /system/authenticator`
pub(super) async fn show(State(site): State<Site>, visitor: Visitor) -> Response {
    let mut random = [0; 20];
    if entropy::fill(&mut random).is_err() {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    html(&Page::new(&site, &visitor, totp::secret(random), None).await)
}

/// `POST /system/authenticator`: this secret, of which this is a code; or none any more.
pub(super) async fn save(State(site): State<Site>, visitor: Visitor, posted: Posted) -> Response {
    let secret = posted.get("secret").unwrap_or_default().to_owned();
    let off = posted.get("off").is_some();
    let code = posted.get("code").unwrap_or_default();
    if !off && totp::check(&secret, code, clock::wall_seconds(), 0).is_none() {
        let error =
            "This is not the code that the authenticator shows now. Is the clock of this firewall right?";
        let page = Page::new(&site, &visitor, secret, Some(error)).await;
        return (StatusCode::UNPROCESSABLE_ENTITY, html(&page)).into_response();
    }
    let name = visitor.account.name.clone();
    let change = Change::new(&visitor, &posted, move |tree: &mut Value| {
        let users = tree::list(tree, "user").iter();
        let index = users.map(|user| text_of(user.get("name"))).position(|known| known == name);
        let path = format!("user[{}].totp_secret", index.ok_or(Rejected::Gone)?);
        tree::set(tree, &path, (!off).then(|| secret.into()));
        Ok(())
    });
    match site.edit(move |editor| change.save(editor)).await {
        Ok(()) => {
            let what = if off { "gave an authenticator up" } else { "set an authenticator up" };
            site.note(&visitor.account.name, visitor.from, what);
            Redirect::to(AUTHENTICATOR).into_response()
        }
        Err(rejected) => rejection(rejected),
    }
}
