//! Tokens of programs, for pages and API: what both of them can do.

use super::edit::Rejected;
use super::site::Site;
use crate::cluster::tokens::{Scope, TokenRow};
use crate::config::life::Author;
use crate::io::request::{Request, Response};
use crate::io::token_request::{TokenAnswer, TokenRequest};

/// A token that has just been made.
#[derive(Clone, Debug)]
pub(super) struct NewToken {
    /// What a program shows; to be seen once.
    pub token: String,
    /// What is known of it.
    pub row: TokenRow,
    /// The peer knows it, too; absent when there is no peer.
    pub shared: Option<bool>,
}

/// What somebody wants.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Order {
    /// What it is for, in words.
    pub name: String,
    /// What it may do.
    pub scope: Scope,
    /// Seconds until it expires.
    pub lifetime: u64,
    /// Whose it is; the only administrator's when nobody is named.
    pub user: Option<String>,
}

/// All tokens, the newest first.
///
/// # Errors
/// When nobody answers.
pub(super) async fn list(site: &Site) -> Result<Vec<TokenRow>, Rejected> {
    match ask(site, TokenRequest::List).await? {
        TokenAnswer::Rows(rows) => Ok(rows),
        TokenAnswer::Made { .. } | TokenAnswer::Revoked { .. } | TokenAnswer::Known(_) => Err(unexpected()),
    }
}

/// Makes a token.
///
/// # Errors
/// When that makes no sense, in words.
pub(super) async fn create(site: &Site, author: &Author, order: Order) -> Result<NewToken, Rejected> {
    let Order { name, scope, lifetime, user } = order;
    let request = TokenRequest::Create { name, scope, lifetime, user, author: author.clone() };
    match ask(site, request).await? {
        TokenAnswer::Made { token, row, shared } => {
            let what = format!("made the token {} ({}) of {} to {scope}", row.id, row.name, row.user);
            site.note_author(author, what);
            Ok(NewToken { token, row, shared })
        }
        TokenAnswer::Rows(_) | TokenAnswer::Revoked { .. } | TokenAnswer::Known(_) => Err(unexpected()),
    }
}

/// Ends a token, at once. Gives it, and whether the peer knows, if there is one.
///
/// # Errors
/// When there is no such token.
pub(super) async fn revoke(
    site: &Site,
    author: &Author,
    id: &str,
) -> Result<(TokenRow, Option<bool>), Rejected> {
    if !list(site).await?.iter().any(|row| row.id == id) {
        return Err(Rejected::Gone);
    }
    match ask(site, TokenRequest::Revoke { id: id.to_owned(), author: author.clone() }).await? {
        TokenAnswer::Revoked { row, shared } => {
            site.note_author(author, format!("revoked the token {} ({}) of {}", row.id, row.name, row.user));
            Ok((row, shared))
        }
        TokenAnswer::Made { .. } | TokenAnswer::Rows(_) | TokenAnswer::Known(_) => Err(unexpected()),
    }
}

async fn ask(site: &Site, request: TokenRequest) -> Result<TokenAnswer, Rejected> {
    match site.ask(Request::Tokens(request)).await {
        Response::Tokens(answer) => Ok(*answer),
        Response::Failed(why) => Err(Rejected::Failed(why)),
        _ => Err(unexpected()),
    }
}

fn unexpected() -> Rejected {
    Rejected::Failed("The router answers something else than it was asked.".into())
}
