//! A page that says one thing, to whoever comes.

use askama::Template;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

/// One thing to say.
#[derive(Template)]
#[template(path = "message.html")]
pub(super) struct Message {
    status: StatusCode,
    title: &'static str,
    text: String,
}

impl Message {
    /// Not for this visitor.
    pub fn forbidden(text: impl Into<String>) -> Message {
        Message { status: StatusCode::FORBIDDEN, title: "Not allowed", text: text.into() }
    }

    /// Not there.
    pub fn missing(text: impl Into<String>) -> Message {
        Message { status: StatusCode::NOT_FOUND, title: "Not found", text: text.into() }
    }

    /// Not now.
    pub fn conflict(text: impl Into<String>) -> Message {
        Message { status: StatusCode::CONFLICT, title: "Not changed", text: text.into() }
    }
}

impl IntoResponse for Message {
    fn into_response(self) -> Response {
        (self.status, html(&self)).into_response()
    }
}

/// A page as an answer.
pub(super) fn html(page: &impl Template) -> Response {
    match page.render() {
        Ok(html) => ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], html).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// The router has no time for pages.
pub(super) fn busy() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")], "the router is busy; try again\n")
        .into_response()
}
