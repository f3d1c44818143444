//! `GET /events`: a stream for one client.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_core::Stream;
use serde::Deserialize;
use tokio::sync::mpsc;

use super::hub::Holder;
use super::topic::Topics;
use crate::web::session::Sessions;
use crate::web::site::Site;
use crate::web::visitor::{Visitor, cookie};

/// Where it is.
pub(in crate::web) const EVENTS: &str = "/events";
/// A browser waits so long before it comes again; one that finds no place waits longer by itself.
const RETRY: &str = "retry: 2000\n: the stream begins\n\n";

/// What stands behind the question mark.
#[derive(Deserialize)]
pub(in crate::web) struct Wanted {
    #[serde(default)]
    topics: String,
}

/// `GET /events`
pub(in crate::web) async fn show(
    State(site): State<Site>,
    visitor: Visitor,
    headers: HeaderMap,
    Query(wanted): Query<Wanted>,
) -> Response {
    let Some(topics) = Topics::parse(&wanted.topics) else {
        return (StatusCode::BAD_REQUEST, "say which topics, with commas between them\n").into_response();
    };
    // Without a token there is no session: name and password came with the request.
    let session = cookie(&site, &headers).filter(|_| !visitor.token.is_empty());
    let holder = match session {
        Some(cookie) => Holder::Session(Sessions::key_of(cookie)),
        None => {
            Holder::Account { name: visitor.account.name, stamp: visitor.account.stamp, from: visitor.from }
        }
    };
    let Some(receiver) = site.events.hub.enter(holder, topics) else {
        let text = "there are too many streams; try again\n";
        return (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "10")], text).into_response();
    };
    let kind = [(header::CONTENT_TYPE, "text/event-stream; charset=utf-8")];
    let told = Told { first: Some(Bytes::from_static(RETRY.as_bytes())), receiver };
    (kind, Body::from_stream(told)).into_response()
}

/// What is told to one client, until its place is taken away.
struct Told {
    first: Option<Bytes>,
    receiver: mpsc::Receiver<Bytes>,
}

impl Stream for Told {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        self.receiver.poll_recv(context).map(|message| message.map(Ok))
    }
}
