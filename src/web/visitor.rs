//! Who asks, and what came with a form.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};

use axum::body::Bytes;
use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, StatusCode, header};

use super::account::Account;
use super::limited::{Long, Peer};
use super::session::Theme;
use super::site::{Site, lock};
use crate::config::life::Author;
use crate::config::model::UserRole;

/// Who may ask for a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Right {
    /// Whoever comes by.
    Anyone,
    /// Every user.
    Look,
    /// An operator.
    Operate,
    /// An administrator.
    Administer,
}

impl Right {
    /// The least role; `None` when nobody needs to be logged in.
    pub fn role(self) -> Option<UserRole> {
        match self {
            Right::Anyone => None,
            Right::Look => Some(UserRole::ReadOnly),
            Right::Operate => Some(UserRole::Operator),
            Right::Administer => Some(UserRole::Administrator),
        }
    }
}

/// Somebody who is logged in.
#[derive(Clone, Debug)]
pub(super) struct Visitor {
    pub account: Account,
    pub from: IpAddr,
    /// What their forms carry; empty for somebody without a session, who cannot send any.
    pub token: String,
    pub theme: Theme,
}

impl Visitor {
    /// Whose session the request belongs to, which keeps that alive unless a page asks by itself. A user who has changed
    /// since has none.
    pub fn of_session(site: &Site, headers: &HeaderMap, from: IpAddr, by_itself: bool) -> Option<Visitor> {
        let cookie = cookie(site, headers)?;
        let (now, mut sessions) = ((site.clock)(), lock(&site.sessions));
        let session = match by_itself {
            true => sessions.peek(now, cookie)?.clone(),
            false => sessions.find(now, cookie)?.clone(),
        };
        let account = Account::find(&site.config(), &site.first, &session.name);
        match account.filter(|account| account.stamp == session.stamp) {
            Some(account) => Some(Visitor { account, from, token: session.token, theme: session.theme }),
            None => {
                sessions.close(cookie);
                None
            }
        }
    }

    /// As the history of the configuration knows them.
    pub fn author(&self) -> Author {
        Author { who: self.account.name.clone(), from: self.from.to_string() }
    }

    /// True when they may do what needs this right.
    pub fn may(&self, right: Right) -> bool {
        right.role().is_none_or(|least| self.account.role >= least)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Visitor {
    type Rejection = StatusCode;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        parts.extensions.get::<Visitor>().cloned().ok_or(StatusCode::UNAUTHORIZED)
    }
}

/// What the browser filled in, in its order.
#[derive(Clone, Debug, Default)]
pub(super) struct Posted(pub Vec<(String, String)>);

impl Posted {
    /// What stands in a field.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(field, _)| field == name).map(|(_, text)| text.as_str())
    }

    /// What stands in each field of this name.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(field, _)| field == name).map(|(_, text)| text.as_str())
    }

    /// The edition that the form was made from.
    pub fn edition(&self) -> &str {
        self.get("edition").unwrap_or_default()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Posted {
    type Rejection = StatusCode;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        parts.extensions.get::<Posted>().cloned().ok_or(StatusCode::BAD_REQUEST)
    }
}

/// The files of a form that are no text.
#[derive(Clone, Debug, Default)]
pub(super) struct Files(pub Vec<(String, Bytes)>);

impl Files {
    /// What came in a field; nothing when it did not.
    pub fn get(&self, name: &str) -> Bytes {
        let found = self.0.iter().find(|(field, _)| field == name);
        found.map(|(_, bytes)| bytes.clone()).unwrap_or_default()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Files {
    type Rejection = Infallible;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.remove::<Files>().unwrap_or_default())
    }
}

/// The address of the client.
pub(super) fn address(extensions: &Extensions) -> IpAddr {
    let peer = extensions.get::<ConnectInfo<Peer>>().map(|ConnectInfo(peer)| peer.address.ip());
    peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
}

/// A long file may come over this connection, until the value that this gives is dropped.
pub(super) fn allow_long(extensions: &Extensions) -> Option<Long> {
    extensions.get::<ConnectInfo<Peer>>().map(|ConnectInfo(peer)| peer.allow_long())
}

/// The name of the session's cookie: browsers keep the first from other hosts and from plain HTTP.
pub(super) fn cookie_name(site: &Site) -> &'static str {
    if site.loopback.is_none() { "__Host-koi" } else { "koi" }
}

/// The session's cookie.
pub(super) fn cookie<'h>(site: &Site, headers: &'h HeaderMap) -> Option<&'h str> {
    let name = cookie_name(site);
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
}
