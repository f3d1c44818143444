//! One way to ask, in full: what it takes, what it gives, who may, and who answers. Router and document are both made of these.

use std::pin::Pin;
use std::sync::Arc;

use axum::http::Method;
use axum::routing::MethodFilter;
use serde_json::{Value, json};

use super::call::{Call, Reply};
use super::problem::Outcome;
use super::query::Parameter;
use crate::cluster::tokens::Scope;
use crate::web::visitor::Right;

/// Bytes of an ordinary body.
pub(super) const SMALL: usize = 64 << 10;
/// Bytes of a document.
pub(super) const DOCUMENT: usize = 4 << 20;
/// Bytes of a file to be imported.
pub(super) const FILE: usize = 16 << 20;

/// What a file comes as.
pub(super) const FILE_KIND: &str = "application/octet-stream";

/// What comes of a request, some time.
pub(super) type Answering = Pin<Box<dyn Future<Output = Outcome<Reply>> + Send>>;
/// Who answers.
pub(super) type Answer = Arc<dyn Fn(Call) -> Answering + Send + Sync>;

/// How it is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verb {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl Verb {
    /// As the router knows it.
    pub fn filter(self) -> MethodFilter {
        match self {
            Verb::Get => MethodFilter::GET,
            Verb::Post => MethodFilter::POST,
            Verb::Put => MethodFilter::PUT,
            Verb::Patch => MethodFilter::PATCH,
            Verb::Delete => MethodFilter::DELETE,
        }
    }

    /// As HTTP writes it.
    pub fn method(self) -> Method {
        match self {
            Verb::Get => Method::GET,
            Verb::Post => Method::POST,
            Verb::Put => Method::PUT,
            Verb::Patch => Method::PATCH,
            Verb::Delete => Method::DELETE,
        }
    }
}

/// See the module.
#[derive(Clone)]
pub(super) struct Route {
    pub verb: Verb,
    /// Below `/api/v1`.
    pub path: String,
    /// Under which heading it stands.
    pub tag: &'static str,
    pub summary: String,
    pub scope: Scope,
    pub right: Right,
    pub query: &'static [Parameter],
    /// It changes the document: it says what it was made from.
    pub based: bool,
    /// It is for the node that serves.
    pub active_only: bool,
    /// The schema of its body, and how many bytes that may have.
    pub takes: Option<(Value, usize)>,
    /// Its body is a file, and no JSON.
    pub is_file: bool,
    /// The schema of what it gives.
    pub gives: Value,
    /// It makes something: 201.
    pub makes: bool,
    pub answer: Answer,
}

impl Route {
    /// A way to ask for something.
    pub fn new<F, A>(
        verb: Verb,
        path: impl Into<String>,
        summary: impl Into<String>,
        gives: Value,
        answer: F,
    ) -> Route
    where
        F: Fn(Call) -> A + Send + Sync + 'static,
        A: Future<Output = Outcome<Reply>> + Send + 'static,
    {
        Route {
            verb,
            path: path.into(),
            tag: "",
            summary: summary.into(),
            scope: Scope::Read,
            right: Right::Look,
            query: &[],
            based: false,
            active_only: false,
            takes: None,
            is_file: false,
            gives,
            makes: false,
            answer: Arc::new(move |call| Box::pin(answer(call))),
        }
    }

    /// Looks.
    pub fn get<F, A>(path: impl Into<String>, summary: impl Into<String>, gives: Value, answer: F) -> Route
    where
        F: Fn(Call) -> A + Send + Sync + 'static,
        A: Future<Output = Outcome<Reply>> + Send + 'static,
    {
        Route::new(Verb::Get, path, summary, gives, answer)
    }

    /// Only for these.
    pub fn needs(self, scope: Scope, right: Right) -> Route {
        Route { scope, right, ..self }
    }

    /// With these keys behind the question mark.
    pub fn asks(self, query: &'static [Parameter]) -> Route {
        Route { query, ..self }
    }

    /// With a body.
    pub fn takes(self, schema: Value) -> Route {
        Route { takes: Some((schema, SMALL)), ..self }
    }

    /// With a body of at most so many bytes.
    pub fn takes_up_to(self, schema: Value, bytes: usize) -> Route {
        Route { takes: Some((schema, bytes)), ..self }
    }

    /// With a file of at most so many bytes as its body, and nothing around it.
    pub fn takes_file(self, bytes: usize) -> Route {
        Route { takes: Some((json!({ "type": "string", "format": "binary" }), bytes)), is_file: true, ..self }
    }

    /// It changes the candidate, of which it knows the edition.
    pub fn edits(self) -> Route {
        Route { based: true, active_only: true, ..self }
    }

    /// It is for the node that serves.
    pub fn on_active(self) -> Route {
        Route { active_only: true, ..self }
    }

    /// It makes something.
    pub fn makes(self) -> Route {
        Route { makes: true, ..self }
    }

    /// Under this heading.
    pub fn under(self, tag: &'static str) -> Route {
        Route { tag, ..self }
    }

    /// The names in its path.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
    }
}
