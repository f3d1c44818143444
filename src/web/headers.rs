//! What every answer says to the browser, and what every request must say to us.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::PoisonError;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::limited::Peer;
use super::serve::Site;

/// Says that the pages are served, to whoever asks.
pub(super) const HEALTH: &str = "/healthz";

/// Sent with every answer. There is no script, so none is allowed.
const HEADERS: [(HeaderName, &str); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// Refuses what may not be asked, and puts the headers on what may.
pub(super) async fn guard(State(site): State<Site>, request: Request, next: Next) -> Response {
    let mut response = match refusal(&site, &request) {
        Some(refusal) => refusal,
        None => next.run(request).await,
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if site.loopback.is_none() {
        let year = HeaderValue::from_static("max-age=31536000");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, year);
    }
    response
}

fn refusal(site: &Site, request: &Request) -> Option<Response> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Some(StatusCode::METHOD_NOT_ALLOWED.into_response());
    }
    // On loopback, a name that somebody else's DNS points at us must not reach the page.
    if let Some(own) = site.loopback {
        let host =
            request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        if host != own.to_string() && host != format!("localhost:{}", own.port()) {
            return Some(
                (StatusCode::MISDIRECTED_REQUEST, "ask for this page by its address\n").into_response(),
            );
        }
    }
    if request.uri().path() == HEALTH {
        return None;
    }
    admission(site, request)
}

/// Who may see the pages; a source that guesses has to wait longer and longer.
fn admission(site: &Site, request: &Request) -> Option<Response> {
    let peer = request.extensions().get::<ConnectInfo<Peer>>().map(|ConnectInfo(Peer(peer))| peer.ip());
    let peer = peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let now = (site.clock)();
    let mut throttle = site.throttle.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(wait) = throttle.wait(now, peer) {
        let seconds = HeaderValue::from(wait.as_secs() + 1);
        let text = "too many wrong passwords; wait a little\n";
        return Some((StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, seconds)], text).into_response());
    }
    if site.password.admits(request.headers()) {
        throttle.succeeded(peer);
        return None;
    }
    // A browser asks without a password first; that is no mistake.
    if request.headers().contains_key(header::AUTHORIZATION) {
        tracing::warn!(%peer, "a wrong password for the pages");
        throttle.failed(now, peer);
    }
    let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"Koi\", charset=\"UTF-8\"")];
    Some((StatusCode::UNAUTHORIZED, challenge, "a name and a password are needed\n").into_response())
}
