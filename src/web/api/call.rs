//! A request that has been let in, and what is answered.

use std::net::IpAddr;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::problem::{Kind, Outcome, Problem, Trouble};
use super::query::Query;
use crate::cluster::tokens::{Scope, Token};
use crate::config::life::Author;
use crate::io::request::{Request, Response as Answer};
use crate::web::account::Account;
use crate::web::site::Site;
use crate::web::visitor::Right;

/// Who asks.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// Whose token it is, as they are at the moment.
    pub account: Account,
    pub token: Token,
    pub from: IpAddr,
}

impl Caller {
    /// As the history of the configuration knows them.
    pub fn author(&self) -> Author {
        Author { who: self.account.name.clone(), from: self.from.to_string() }
    }

    /// True when both the token and its user may do that.
    pub fn may(&self, scope: Scope, right: Right) -> bool {
        self.token.scope >= scope && right.role().is_none_or(|least| self.account.role >= least)
    }
}

/// See the module.
pub(super) struct Call {
    pub site: Site,
    pub caller: Caller,
    /// What stands in the path where it has a name.
    pub path: Vec<(String, String)>,
    pub query: Query,
    /// The edition that an edit was made from.
    pub based_on: Option<String>,
    pub body: Bytes,
}

impl Call {
    /// What stands in the path under this name.
    pub fn path(&self, name: &str) -> &str {
        self.path.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str())
    }

    /// The body, as JSON of this kind. What is deeper than 128 levels is refused.
    ///
    /// # Errors
    /// When it is not.
    pub fn json<T: DeserializeOwned>(&self) -> Outcome<T> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let place = format!("line {}, column {}", error.line(), error.column());
            let message = error.to_string();
            let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(what, _)| what);
            Problem::malformed(place, format!("The body cannot be read: {message}."), "Correct the JSON.")
        })
    }

    /// The edition that an edit was made from.
    ///
    /// # Errors
    /// When it does not say so.
    pub fn base(&self) -> Outcome<String> {
        self.based_on.clone().ok_or_else(|| {
            let text =
                "Send the ETag of what you have edited as If-Match, so that nobody's work is overwritten.";
            Problem::new(Kind::BaseNeeded, text)
        })
    }

    /// Asks the router.
    ///
    /// # Errors
    /// When it does not know, or refuses.
    pub async fn ask(&self, request: Request) -> Outcome<Answer> {
        match self.site.ask(request).await {
            Answer::Failed(why) => Err(Problem::new(Kind::Conflict, sentence(&why))),
            Answer::Refused(lines) => Err(refused(&lines)),
            answer => Ok(answer),
        }
    }

    /// Writes down what was done.
    pub fn note(&self, what: impl std::fmt::Display) {
        let token = &self.caller.token;
        let what = format!("{what} (token {}, {})", token.id, token.name);
        self.site.note(&self.caller.account.name, self.caller.from, what);
    }
}

/// A refusal of the parent: problems of a document as lines.
fn refused(lines: &[String]) -> Problem {
    let trouble = |line: &String| Trouble {
        path: String::new(),
        place: None,
        message: sentence(line),
        remedy: String::new(),
    };
    Problem::invalid(lines.iter().map(trouble).collect())
}

/// The router speaks of something else than it was asked.
pub(super) fn unexpected() -> Problem {
    Problem::new(Kind::Busy, "The router answers something else than it was asked.")
}

/// With a capital letter in front and a full stop behind.
pub(super) fn sentence(text: &str) -> String {
    let mut letters = text.trim().chars();
    let Some(first) = letters.next() else { return String::new() };
    let end = if text.trim_end().ends_with(['.', '?', '!']) { "" } else { "." };
    format!("{}{}{end}", first.to_uppercase(), letters.as_str())
}

/// What is answered when it was done.
pub(super) struct Reply {
    status: StatusCode,
    body: Value,
    edition: Option<String>,
}

impl Reply {
    /// This.
    ///
    /// # Errors
    /// When it has no JSON form; everything here has one.
    pub fn json(body: &impl Serialize) -> Outcome<Reply> {
        let body = serde_json::to_value(body).map_err(|_| unexpected())?;
        Ok(Reply { status: StatusCode::OK, body, edition: None })
    }

    /// Of this edition of the document.
    pub fn of_edition(mut self, edition: impl Into<String>) -> Reply {
        self.edition = Some(edition.into());
        self
    }

    /// Something new is there.
    pub fn created(mut self) -> Reply {
        self.status = StatusCode::CREATED;
        self
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response<Body> {
        let Reply { status, body, edition } = self;
        let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        let mut response = (status, kind, body.to_string()).into_response();
        let tag = edition.and_then(|edition| HeaderValue::from_str(&format!("\"{edition}\"")).ok());
        if let Some(tag) = tag {
            response.headers_mut().insert(header::ETAG, tag);
        }
        response
    }
}
