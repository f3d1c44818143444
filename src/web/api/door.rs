//! Who gets in, with what: token, scope, role, query, body. Each route stands behind this door, and nothing else leads in.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Response, header};
use axum::response::IntoResponse;
use axum::routing::{MethodRouter, on};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::call::{Call, Caller, Reply};
use super::problem::{Kind, Outcome, Problem};
use super::query::Query;
use super::route::{FILE_KIND, Route, Verb};
use super::{pair, routes};
use crate::web::account::Account;
use crate::web::site::{Site, lock};
use crate::web::throttle::network;
use crate::web::visitor::{address, allow_long};

/// A request that takes longer is answered without its outcome.
const PATIENCE: Duration = Duration::from_secs(9);
/// The same for one that brings a long file.
const PATIENCE_FILE: Duration = Duration::from_secs(590);
/// Requests with a body at a time: so many bodies are held.
const BODIES: usize = 4;

/// The router of the API, to be nested at its base.
pub(in crate::web) fn router(site: &Site) -> Router<Site> {
    let bodies = Arc::new(Semaphore::new(BODIES));
    let mut router = Router::new();
    for route in routes() {
        let path = route.path.clone();
        router = router.route(&path, handler(route, site.clone(), Arc::clone(&bodies)));
    }
    let missing =
        async || Problem::new(Kind::Missing, "There is nothing at this path; see /api/v1/openapi.json.");
    let method =
        async || Problem::new(Kind::Method, "That is not done with this method; see /api/v1/openapi.json.");
    router.fallback(missing).method_not_allowed_fallback(method)
}

fn handler(route: Route, site: Site, bodies: Arc<Semaphore>) -> MethodRouter<Site> {
    let (filter, route) = (route.verb.filter(), Arc::new(route));
    let answer = move |request: Request| {
        let (route, site, bodies) = (Arc::clone(&route), site.clone(), Arc::clone(&bodies));
        async move {
            let patience = if route.is_file { PATIENCE_FILE } else { PATIENCE };
            match timeout(patience, serve(&route, site, &bodies, request)).await {
                Ok(Ok(reply)) => finish(&route, reply),
                Ok(Err(problem)) => problem.into_response(),
                Err(_) => {
                    let text = "It may still be done; look before you ask again.";
                    Problem::new(Kind::Late, text).into_response()
                }
            }
        }
    };
    on(filter, answer)
}

fn finish(route: &Route, reply: Reply) -> Response<Body> {
    if route.makes { reply.created().into_response() } else { reply.into_response() }
}

async fn serve(route: &Route, site: Site, bodies: &Semaphore, request: Request) -> Outcome<Reply> {
    let (mut parts, body) = request.into_parts();
    let caller = enter(&site, &parts)?;
    if caller.token.scope < route.scope {
        return Err(Problem::small_scope(route.scope));
    }
    if !caller.may(route.scope, route.right) {
        return Err(Problem::new(Kind::Forbidden, "The role of the token's user does not allow this."));
    }
    let query = Query::read(&parts.uri, route.query)?;
    let path = Path::<Vec<(String, String)>>::from_request_parts(&mut parts, &()).await;
    let Ok(Path(path)) = path else {
        return Err(Problem::malformed("path", "The path is not UTF-8.", "Correct it."));
    };
    let uploads = Arc::clone(&site.uploads);
    let _long = match route.is_file {
        true => uploads.acquire().await.ok().zip(allow_long(&parts.extensions)),
        false => None,
    };
    // Whoever comes with a body waits for room for it.
    let _room = match route.takes {
        Some(_) if !route.is_file => bodies.acquire().await.ok(),
        Some(_) | None => None,
    };
    let body = receive(route, &parts.headers, body).await?;
    if route.active_only {
        pair::here(&site).await?;
    }
    let based_on = if_match(&parts.headers)?;
    (route.answer)(Call { site, caller, path, query, based_on, body }).await
}

/// Whoever shows a good token, whose user is there. Whoever shows none is told to wait after some mistakes; a good token never
/// waits, so that nobody locks a program out by guessing what cannot be guessed.
pub(super) fn enter(site: &Site, parts: &Parts) -> Outcome<Caller> {
    let from = address(&parts.extensions);
    let shown = parts.headers.get(header::AUTHORIZATION).and_then(|value| bearer(value.as_bytes()));
    let Some(shown) = shown else {
        return Err(Problem::unauthorized("Send a token as Authorization: Bearer koi_..."));
    };
    let token = site.tokens.as_ref().and_then(|tokens| tokens.find(shown));
    let Some(token) = token else {
        let (now, network) = ((site.clock)(), network(from));
        let mut strangers = lock(&site.strangers);
        if let Some(wait) = strangers.wait(now, &network) {
            let seconds = (wait.as_secs() + 1).to_string();
            let problem = Problem::new(Kind::TooMany, format!("Wait {seconds} s."));
            return Err(problem.with_header(header::RETRY_AFTER, &seconds));
        }
        strangers.failed(now, network);
        drop(strangers);
        site.note("(token)", from, "showed a token that is none");
        return Err(Problem::unauthorized("This token is unknown, expired or revoked."));
    };
    let Some(account) = Account::find(&site.config(), &site.first, &token.user) else {
        return Err(Problem::unauthorized("The user of this token may not log in."));
    };
    Ok(Caller { account, token, from })
}

fn bearer(value: &[u8]) -> Option<&str> {
    let (scheme, token) = std::str::from_utf8(value).ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The edition in `If-Match`, which has quotes around it (RFC 9110).
fn if_match(headers: &HeaderMap) -> Outcome<Option<String>> {
    let Some(value) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let tag = value.to_str().ok().map(|tag| tag.trim().trim_start_matches("W/"));
    match tag.and_then(|tag| tag.strip_prefix('"')?.strip_suffix('"')) {
        Some(edition) => Ok(Some(edition.to_owned())),
        None => Err(Problem::malformed("If-Match", "This is no ETag.", "Write one ETag, in its quotes.")),
    }
}

/// The body, when there is to be one.
async fn receive(route: &Route, headers: &HeaderMap, body: Body) -> Outcome<Bytes> {
    let limit = route.takes.as_ref().map_or(0, |(_, limit)| *limit);
    let length =
        headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let too_large = || Problem::new(Kind::TooLarge, format!("A body here has at most {limit} bytes."));
    if length.is_some_and(|length| length > limit as u64) {
        return Err(too_large());
    }
    if route.is_file {
        if !has_kind(headers, FILE_KIND) {
            return Err(Problem::new(
                Kind::MediaType,
                format!("Send the body as Content-Type: {FILE_KIND}."),
            ));
        }
    } else if route.takes.is_some() && !is_json(route.verb, headers) {
        return Err(Problem::new(Kind::MediaType, "Send the body as Content-Type: application/json."));
    }
    to_bytes(body, limit).await.map_err(|_| too_large())
}

fn is_json(verb: Verb, headers: &HeaderMap) -> bool {
    has_kind(headers, "application/json")
        || (verb == Verb::Patch && has_kind(headers, "application/merge-patch+json"))
}

fn has_kind(headers: &HeaderMap, wanted: &str) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(wanted)
}
