//! What every answer says to the browser, and what every request must say to us.

use std::net::IpAddr;

use axum::body::{Body, Bytes};
use axum::extract::{Form, FromRequest, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};

use super::auth::{basic, same};
use super::message::Message;
use super::session::Theme;
use super::site::{Refused, Site};
use super::upgrade;
use super::upload;
use super::visitor::{Files, Posted, Right, Visitor, address, allow_long};

/// Says that the pages are served, to whoever asks.
pub(super) const HEALTH: &str = "/healthz";
/// The login page.
pub(super) const LOGIN: &str = "/login";

/// Sent with every answer. There is one script, in a file of its own; nothing in a page is one.
const HEADERS: [(HeaderName, &str); 8] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
];

/// Refuses foreign names, and puts the headers on every answer.
pub(super) async fn guard(State(site): State<Site>, request: Request, next: Next) -> Response {
    let mut response = match misdirected(&site, &request) {
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

/// On loopback, a name that somebody else's DNS points at us must not reach the pages.
fn misdirected(site: &Site, request: &Request) -> Option<Response> {
    let own = site.loopback?;
    let host = host(request.headers());
    let ours = host == own.to_string() || host == format!("localhost:{}", own.port());
    let refusal = (StatusCode::MISDIRECTED_REQUEST, "ask for this page by its address\n");
    (!ours).then(|| refusal.into_response())
}

fn host(headers: &HeaderMap) -> &str {
    headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default()
}

/// What a route asks of whoever comes.
#[derive(Clone)]
pub(super) struct Door {
    pub site: Site,
    pub right: Right,
    /// It changes something.
    pub writes: bool,
    /// It takes files that are no text, and long ones: one at a time.
    pub takes_files: bool,
}

/// Lets in whoever may, with what they sent.
pub(super) async fn admit(State(door): State<Door>, mut request: Request, next: Next) -> Response {
    let Door { site, right, writes, takes_files } = door;
    if writes && is_foreign(request.headers()) {
        return Message::forbidden("This form was sent by another site.").into_response();
    }
    let from = address(request.extensions());
    let by_session = Visitor::of_session(&site, request.headers(), from, is_by_itself(request.uri()));
    let visitor = match find_visitor(&site, from, by_session, basic(request.headers())).await {
        Ok(visitor) => visitor,
        Err(refused) => return challenge(refused),
    };
    if right.role().is_some() {
        let Some(visitor) = &visitor else { return ask_to_log_in(request.method(), request.uri()) };
        if !visitor.may(right) {
            return Message::forbidden("Your role does not allow this.").into_response();
        }
    }
    // Whoever comes with a long file waits for room for it.
    let _room = match takes_files {
        true if is_longer(request.headers(), upgrade::FORM) => {
            return StatusCode::PAYLOAD_TOO_LARGE.into_response();
        }
        true => site.uploads.acquire().await.ok().zip(allow_long(request.extensions())),
        false => None,
    };
    if writes {
        request = match receive(request, takes_files).await {
            Ok(request) => request,
            Err(refusal) => return refusal,
        };
        let posted = request.extensions().get::<Posted>();
        let token = posted.and_then(|posted| posted.get("token")).unwrap_or_default();
        let expected = visitor.as_ref().map_or("", |visitor| visitor.token.as_str());
        if right.role().is_some() && (expected.is_empty() || !same(token.as_bytes(), expected.as_bytes())) {
            let text = "This form belongs to a session that is over. Open the page again.";
            return Message::forbidden(text).into_response();
        }
    }
    if let Some(visitor) = visitor {
        request.extensions_mut().insert(visitor);
    }
    next.run(request).await
}

/// By the session's cookie, or, to look, by name and password in the request itself.
async fn find_visitor(
    site: &Site,
    from: IpAddr,
    by_session: Option<Visitor>,
    by_password: Option<(String, String)>,
) -> Result<Option<Visitor>, Refused> {
    let (None, Some((name, password))) = (&by_session, by_password) else { return Ok(by_session) };
    let account = site.log_in(from, &name, &password, "").await?;
    Ok(Some(Visitor { account, from, token: String::new(), theme: Theme::System }))
}

/// True for a piece of a page, which a script asks for without anybody's doing.
fn is_by_itself(uri: &Uri) -> bool {
    uri.query().is_some_and(|query| query.split('&').any(|pair| pair == "part=1"))
}

/// True when another site made the browser send this (Fetch metadata; the origin where a browser has none).
fn is_foreign(headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return site.as_bytes() != b"same-origin";
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return false };
    let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
    origin != Some(host(headers))
}

/// The body says that it is longer than that.
fn is_longer(headers: &HeaderMap, most: usize) -> bool {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    length.is_some_and(|length: u64| length > most as u64)
}

/// Takes the form out of the request.
async fn receive(request: Request, takes_files: bool) -> Result<Request, Response> {
    let (mut parts, body) = request.into_parts();
    let kind =
        parts.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kind.starts_with(upload::MULTIPART) {
        let kind = kind.to_owned();
        let whole = Request::from_parts(parts.clone(), body);
        let bytes = Bytes::from_request(whole, &()).await.map_err(IntoResponse::into_response)?;
        let bad = || StatusCode::BAD_REQUEST.into_response();
        if takes_files {
            let split = tokio::task::spawn_blocking(move || upload::parts(&kind, &bytes)).await;
            let (files, fields): (Vec<_>, Vec<_>) =
                split.ok().flatten().ok_or_else(bad)?.into_iter().partition(|part| part.is_file);
            let fields = fields.into_iter().map(|part| (part.name.clone(), part.text())).collect();
            parts.extensions.insert(Posted(fields));
            parts.extensions.insert(Files(files.into_iter().map(|part| (part.name, part.bytes)).collect()));
        } else {
            parts.extensions.insert(Posted(upload::texts(&kind, &bytes).ok_or_else(bad)?));
        }
        return Ok(Request::from_parts(parts, Body::empty()));
    }
    let form =
        Form::<Vec<(String, String)>>::from_request(Request::from_parts(parts.clone(), body), &()).await;
    match form {
        Ok(Form(fields)) => {
            let mut request = Request::from_parts(parts, Body::empty());
            request.extensions_mut().insert(Posted(fields));
            Ok(request)
        }
        Err(rejection) => Err(rejection.into_response()),
    }
}

fn ask_to_log_in(method: &Method, uri: &Uri) -> Response {
    if uri.path().ends_with(".json") {
        return challenge(Refused::Wrong);
    }
    let wanted = uri.path_and_query().map_or("/", |path| path.as_str());
    match *method {
        Method::GET if wanted != "/" => {
            let next = percent_encode(wanted);
            Redirect::to(&format!("{LOGIN}?next={next}")).into_response()
        }
        _ => Redirect::to(LOGIN).into_response(),
    }
}

/// Everything but letters, digits, `/`, `-`, `_` and `.` as `%XX`.
pub(super) fn percent_encode(text: &str) -> String {
    let mut coded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_' | b'.') {
            coded.push(char::from(byte));
        } else {
            coded.push_str(&format!("%{byte:02X}"));
        }
    }
    coded
}

fn challenge(refused: Refused) -> Response {
    match refused {
        Refused::Wait(wait) => {
            let seconds = HeaderValue::from(wait.as_secs() + 1);
            let text = "too many wrong passwords; wait a little\n";
            (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, seconds)], text).into_response()
        }
        Refused::Outside => {
            (StatusCode::FORBIDDEN, "nobody has set a password yet; log in from LAN\n").into_response()
        }
        Refused::Wrong => {
            let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"Koi\", charset=\"UTF-8\"")];
            (StatusCode::UNAUTHORIZED, challenge, "a name and a password are needed\n").into_response()
        }
    }
}
