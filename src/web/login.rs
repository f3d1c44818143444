//! Logging in and out, and light or dark.

use askama::Template;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::account::Account;
use super::guard::LOGIN;
use super::message::html;
use super::session::{Sessions, Theme};
use super::site::{Refused, Site, lock};
use super::visitor::{Posted, Visitor, address, cookie, cookie_name};
use super::wizard::WIZARD;
use crate::io::entropy;

/// The login page.
#[derive(Template, Default)]
#[template(path = "login.html")]
struct Login {
    hostname: String,
    next: String,
    name: String,
    /// Nobody has set a password yet.
    first: bool,
    /// Somebody has an authenticator.
    codes: bool,
    error: Option<String>,
}

/// Where somebody wanted to go.
#[derive(Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    next: String,
}

/// `GET /login`
pub(super) async fn show(State(site): State<Site>, Query(wanted): Query<Wanted>) -> Response {
    html(&Login { next: local(&wanted.next).to_owned(), ..Login::of(&site) })
}

/// `POST /login`
pub(super) async fn log_in(State(site): State<Site>, posted: Posted, request: Request) -> Response {
    let from = address(request.extensions());
    let field = |name| posted.get(name).unwrap_or_default();
    let (name, next) = (field("name"), local(field("next")));
    let (status, error) = match site.log_in(from, name, field("password"), field("code")).await {
        Ok(account) => match open(&site, &account) {
            Some(cookie) => {
                site.note(&account.name, from, "logged in");
                // Whoever comes first has a firewall to set up.
                let next = if next == "/" && site.config().users.is_empty() { WIZARD } else { next };
                return ([(header::SET_COOKIE, cookie)], Redirect::to(next)).into_response();
            }
            None => (StatusCode::SERVICE_UNAVAILABLE, "No session can be opened; try again.".to_owned()),
        },
        Err(Refused::Wait(wait)) => {
            let text = format!("Too many wrong passwords. Wait {} s.", wait.as_secs() + 1);
            (StatusCode::TOO_MANY_REQUESTS, text)
        }
        Err(Refused::Outside) => (
            StatusCode::FORBIDDEN,
            "Nobody has set a password yet: log in from a network in the zone LAN.".into(),
        ),
        Err(Refused::Wrong) => {
            (StatusCode::UNAUTHORIZED, "There is nobody with this name and this password.".into())
        }
    };
    let page = Login { next: next.to_owned(), name: name.to_owned(), error: Some(error), ..Login::of(&site) };
    (status, html(&page)).into_response()
}

/// `POST /logout`
pub(super) async fn log_out(State(site): State<Site>, visitor: Visitor, headers: HeaderMap) -> Response {
    if let Some(cookie) = cookie(&site, &headers) {
        lock(&site.sessions).close(cookie);
        if let Some(share) = &site.share {
            share.closed(Sessions::key_of(cookie));
        }
        site.note(&visitor.account.name, visitor.from, "logged out");
    }
    let forget = set_cookie(&site, "", "; Max-Age=0");
    ([(header::SET_COOKIE, forget)], Redirect::to(LOGIN)).into_response()
}

/// `POST /theme`
pub(super) async fn set_theme(State(site): State<Site>, posted: Posted, headers: HeaderMap) -> Response {
    let theme = match posted.get("theme") {
        Some("light") => Theme::Light,
        Some("dark") => Theme::Dark,
        Some(_) | None => Theme::System,
    };
    if let Some(cookie) = cookie(&site, &headers)
        && let Some(session) = lock(&site.sessions).find((site.clock)(), cookie)
    {
        session.theme = theme;
    }
    if let Some(cookie) = cookie(&site, &headers) {
        tell_peer(&site, cookie);
    }
    Redirect::to(local(posted.get("next").unwrap_or_default())).into_response()
}

impl Login {
    fn of(site: &Site) -> Login {
        let config = site.config();
        Login {
            hostname: config.system.hostname.clone(),
            first: config.users.is_empty(),
            codes: config.users.iter().any(|user| user.totp_secret.is_some()),
            ..Login::default()
        }
    }
}

/// The header that sets the cookie of a new session.
fn open(site: &Site, account: &Account) -> Option<HeaderValue> {
    let mut random = [[0; 32]; 2];
    random.iter_mut().try_for_each(|bytes| entropy::fill(bytes)).ok()?;
    let now = (site.clock)();
    let cookie = lock(&site.sessions).open(now, random, account);
    tell_peer(site, &cookie);
    Some(set_cookie(site, &cookie, ""))
}

/// The other node of a pair knows who is logged in.
fn tell_peer(site: &Site, cookie: &str) {
    let session = lock(&site.sessions).share_one((site.clock)(), cookie);
    if let (Some(share), Some(session)) = (&site.share, session) {
        share.opened(session);
    }
}

fn set_cookie(site: &Site, value: &str, more: &str) -> HeaderValue {
    let secure = if site.loopback.is_none() { "; Secure" } else { "" };
    let text = format!("{}={value}; Path=/; HttpOnly; SameSite=Strict{secure}{more}", cookie_name(site));
    // The parts are our own and of ASCII.
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
}

/// A path of this site: nobody is sent elsewhere after a login.
fn local(next: &str) -> &str {
    let local = next.starts_with('/')
        && !next.starts_with("//")
        && next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if local { next } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::local;

    #[test]
    fn nobody_is_sent_elsewhere() {
        for next in ["/", "/firewall/rules?tab=lan&page=2"] {
            assert_eq!(local(next), next);
        }
        for next in ["", "//evil.example", "https://evil.example", "/\\evil.example", "/a\r\nX: y", "evil"] {
            assert_eq!(local(next), "/", "{next}");
        }
    }
}
