//! What is said when something was not done (RFC 9457).

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::cluster::tokens::Scope;
use crate::config::{self, diff::Row};
use crate::web::edit::Rejected;

/// What kind of problem it is: programs look at this.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// The request cannot be understood.
    Malformed,
    /// No token, or none that is good for something.
    Unauthorized,
    /// The token, or its user, may not do that.
    Forbidden,
    /// It is not there.
    Missing,
    /// Not in this way.
    Method,
    /// Somebody else has changed the configuration since.
    Stale,
    /// Not at present.
    Conflict,
    /// The other node serves.
    Standby,
    /// The body is too long.
    TooLarge,
    /// The body is no JSON.
    MediaType,
    /// The document would not make sense.
    Invalid,
    /// An edit says what it was made from.
    BaseNeeded,
    /// Too many wrong tokens.
    TooMany,
    /// Nobody has time.
    Busy,
    /// It takes too long; it may still be done.
    Late,
}

impl Kind {
    /// Every one.
    pub const ALL: [Kind; 15] = [
        Kind::Malformed,
        Kind::Unauthorized,
        Kind::Forbidden,
        Kind::Missing,
        Kind::Method,
        Kind::Stale,
        Kind::Conflict,
        Kind::Standby,
        Kind::TooLarge,
        Kind::MediaType,
        Kind::Invalid,
        Kind::BaseNeeded,
        Kind::TooMany,
        Kind::Busy,
        Kind::Late,
    ];

    /// Its name, status and title.
    pub const fn about(self) -> (&'static str, StatusCode, &'static str) {
        match self {
            Kind::Malformed => ("malformed", StatusCode::BAD_REQUEST, "The request cannot be understood"),
            Kind::Unauthorized => ("unauthorized", StatusCode::UNAUTHORIZED, "A token is needed"),
            Kind::Forbidden => ("forbidden", StatusCode::FORBIDDEN, "Not allowed"),
            Kind::Missing => ("missing", StatusCode::NOT_FOUND, "Not found"),
            Kind::Method => ("method", StatusCode::METHOD_NOT_ALLOWED, "Not in this way"),
            Kind::Stale => ("stale", StatusCode::CONFLICT, "Changed by somebody else"),
            Kind::Conflict => ("conflict", StatusCode::CONFLICT, "Not possible at present"),
            Kind::Standby => ("standby", StatusCode::CONFLICT, "The other node serves"),
            Kind::TooLarge => ("too-large", StatusCode::PAYLOAD_TOO_LARGE, "The body is too long"),
            Kind::MediaType => {
                ("media-type", StatusCode::UNSUPPORTED_MEDIA_TYPE, "The body is of another kind")
            }
            Kind::Invalid => ("invalid", StatusCode::UNPROCESSABLE_ENTITY, "This would make no sense"),
            Kind::BaseNeeded => {
                ("base-needed", StatusCode::PRECONDITION_REQUIRED, "An edit says what it was made from")
            }
            Kind::TooMany => ("too-many", StatusCode::TOO_MANY_REQUESTS, "Too many wrong tokens"),
            Kind::Busy => ("busy", StatusCode::SERVICE_UNAVAILABLE, "The router is busy"),
            Kind::Late => ("late", StatusCode::GATEWAY_TIMEOUT, "The router did not answer in time"),
        }
    }
}

/// One thing that is wrong with what was sent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(super) struct Trouble {
    /// Where in the document: `rule[2].destination`.
    pub path: String,
    /// Where in what was sent: a JSON pointer, or a line and a column of a text.
    pub place: Option<String>,
    pub message: String,
    pub remedy: String,
}

impl Trouble {
    /// In a document that came as JSON.
    pub fn in_json(problem: &config::Problem) -> Trouble {
        let pointer: String = steps(&problem.path).map(|step| format!("/{step}")).collect();
        Trouble { place: Some(pointer), ..Trouble::new(problem) }
    }

    /// In a document that came as a text.
    pub fn in_text(problem: &config::Problem) -> Trouble {
        let place = problem.line.map(|line| match problem.column {
            Some(column) => format!("line {line}, column {column}"),
            None => format!("line {line}"),
        });
        Trouble { place, ..Trouble::new(problem) }
    }

    fn new(problem: &config::Problem) -> Trouble {
        let config::Problem { path, line: _, column: _, message, remedy } = problem.clone();
        Trouble { path, place: None, message, remedy }
    }
}

/// `rule[2].destination` as `rule`, `2`, `destination`, escaped as a JSON pointer wants it (RFC 6901).
fn steps(path: &str) -> impl Iterator<Item = String> {
    let parts = path.split(['.', '[']).map(|part| part.trim_end_matches(']'));
    parts.filter(|part| !part.is_empty()).map(|part| part.replace('~', "~0").replace('/', "~1"))
}

/// See the module.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Problem {
    pub kind: Kind,
    detail: String,
    troubles: Vec<Trouble>,
    more: Map<String, Value>,
    headers: Vec<(header::HeaderName, HeaderValue)>,
}

/// So many problems are told at once.
pub(super) const TROUBLES: usize = 500;

/// What comes of a request.
pub(super) type Outcome<T> = Result<T, Problem>;

impl Problem {
    pub fn new(kind: Kind, detail: impl Into<String>) -> Problem {
        Problem { kind, detail: detail.into(), troubles: Vec::new(), more: Map::new(), headers: Vec::new() }
    }

    /// The request cannot be understood at this place.
    pub fn malformed(
        place: impl Into<String>,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Problem {
        let (place, message, remedy) = (place.into(), message.into(), remedy.into());
        let trouble = Trouble { path: String::new(), place: Some(place), message: message.clone(), remedy };
        Problem { troubles: vec![trouble], ..Problem::new(Kind::Malformed, message) }
    }

    /// The document would not make sense.
    pub fn invalid(mut troubles: Vec<Trouble>) -> Problem {
        let detail = match troubles.as_slice() {
            [only] => only.message.clone(),
            several => format!("There are {} problems.", several.len()),
        };
        troubles.truncate(TROUBLES);
        Problem { troubles, ..Problem::new(Kind::Invalid, detail) }
    }

    /// Somebody else has changed the configuration; this is what has become of it.
    pub fn stale(revision: Option<u64>, edition: Option<&str>, changes: &[Row]) -> Problem {
        let detail = "The configuration is not the one any more that this was made from.";
        let mut problem = Problem::new(Kind::Stale, detail).with("changes", json!(changes));
        if let Some(revision) = revision {
            problem = problem.with("revision", revision.into());
        }
        match edition {
            Some(edition) => problem.with("edition", edition.into()),
            None => problem,
        }
    }

    /// The token is for less.
    pub fn small_scope(needed: Scope) -> Problem {
        let challenge = format!("Bearer realm=\"Koi\", error=\"insufficient_scope\", scope=\"{needed}\"");
        Problem::new(Kind::Forbidden, format!("This needs a token to {needed}."))
            .with("scope", needed.name().into())
            .with_header(header::WWW_AUTHENTICATE, &challenge)
    }

    /// Nobody may enter without a token.
    pub fn unauthorized(detail: &str) -> Problem {
        Problem::new(Kind::Unauthorized, detail).with_header(header::WWW_AUTHENTICATE, "Bearer realm=\"Koi\"")
    }

    /// With one more word for programs.
    pub fn with(mut self, name: &str, value: Value) -> Problem {
        self.more.insert(name.to_owned(), value);
        self
    }

    /// With a header.
    pub fn with_header(mut self, name: header::HeaderName, value: &str) -> Problem {
        self.headers.extend(HeaderValue::from_str(value).ok().map(|value| (name, value)));
        self
    }

    fn body(&self) -> Value {
        let (name, status, title) = self.kind.about();
        let mut body = json!({
            "type": format!("urn:koi:problem:{name}"),
            "title": title,
            "status": status.as_u16(),
            "detail": self.detail,
        });
        if let Value::Object(body) = &mut body {
            body.extend(self.more.clone());
            if !self.troubles.is_empty() {
                body.insert("problems".into(), json!(self.troubles));
            }
        }
        body
    }
}

impl From<Rejected> for Problem {
    fn from(rejected: Rejected) -> Problem {
        match rejected {
            Rejected::Stale => Problem::stale(None, None, &[]),
            Rejected::Problems(problems) => Problem::invalid(problems.iter().map(Trouble::in_json).collect()),
            Rejected::Failed(why) => Problem::new(Kind::Conflict, why),
            Rejected::Gone => Problem::new(Kind::Missing, "What this is about is not there (any more)."),
            Rejected::NotHere => {
                let text = "This router's configuration is changed in its file, not by its API.";
                Problem::new(Kind::Conflict, text)
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response<Body> {
        let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"))];
        let (_, status, _) = self.kind.about();
        let mut response = (status, kind, self.body().to_string()).into_response();
        response.headers_mut().extend(self.headers);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_pointers_or_lines() {
        let problem = config::Problem {
            line: Some(3),
            column: Some(7),
            ..config::Problem::new("node[1].interface[0].name", "No.", "Yes.")
        };
        assert_eq!(Trouble::in_json(&problem).place.as_deref(), Some("/node/1/interface/0/name"));
        assert_eq!(Trouble::in_text(&problem).place.as_deref(), Some("line 3, column 7"));
        let body = Problem::invalid(vec![Trouble::in_json(&problem)]).body();
        assert_eq!((&body["status"], &body["detail"]), (&json!(422), &json!("No.")));
        assert_eq!(body["problems"][0]["remedy"], "Yes.");
    }

    #[test]
    fn every_kind_has_its_own_name() {
        let mut names: Vec<_> = Kind::ALL.map(|kind| kind.about().0).to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Kind::ALL.len());
    }
}
