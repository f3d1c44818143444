//! The routes, and the two ways to be reached.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::middleware;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::serve::Listener;

use super::auth::Password;
use super::handle::Handle;
use super::limited::{Limited, Peer};
use super::throttle::Throttle;
use super::{headers, page};
use crate::types::Instant;

/// A request that takes longer is given up.
const PATIENCE: Duration = Duration::from_secs(10);
/// Connections at a time.
const CONNECTIONS: usize = 256;

/// What the handlers need.
#[derive(Clone)]
pub struct Site {
    /// Asks the router.
    pub handle: Handle,
    /// Who may see the page.
    pub password: Password,
    /// Tells the time.
    pub clock: fn() -> Instant,
    /// Who has given wrong passwords.
    pub(super) throttle: Arc<Mutex<Throttle>>,
    /// The loopback address on which this is served, if it is.
    pub loopback: Option<SocketAddr>,
}

impl Site {
    /// A site whose visitors know this password.
    pub fn new(handle: Handle, password: Password, clock: fn() -> Instant) -> Self {
        Site { handle, password, clock, throttle: Arc::default(), loopback: None }
    }
}

/// All pages.
fn routes(site: Site) -> Router {
    Router::new()
        .route("/", get(page::status))
        .route("/status.json", get(page::status_json))
        .route("/style.css", get(style))
        .route(headers::HEALTH, get(async || "ok\n"))
        .fallback(async || (StatusCode::NOT_FOUND, "there is no such page\n"))
        .layer(middleware::from_fn(patience))
        .layer(middleware::from_fn_with_state(site.clone(), headers::guard))
        .with_state(site)
}

async fn patience(request: axum::extract::Request, next: middleware::Next) -> axum::response::Response {
    match tokio::time::timeout(PATIENCE, next.run(request)).await {
        Ok(response) => response,
        Err(_) => (StatusCode::GATEWAY_TIMEOUT, "the router did not answer in time\n").into_response(),
    }
}

async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("../../web/style.css"))
}

/// Serves the pages on the router's own addresses, by a listener that speaks TLS.
///
/// # Errors
/// When the listener ends.
pub async fn over_tls<L>(listener: L, site: Site) -> std::io::Result<()>
where
    L: Listener<Addr = SocketAddr>,
{
    run(listener, site).await
}

/// Serves the pages on a loopback address of the machine.
///
/// # Errors
/// When the listener fails.
pub async fn loopback(listener: tokio::net::TcpListener, site: Site) -> std::io::Result<()> {
    let loopback = Some(listener.local_addr()?);
    run(listener, Site { loopback, ..site }).await
}

async fn run<L>(listener: L, site: Site) -> std::io::Result<()>
where
    L: Listener<Addr = SocketAddr>,
{
    let pages = routes(site).into_make_service_with_connect_info::<Peer>();
    axum::serve(Limited::new(listener, CONNECTIONS), pages).await
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::node::snapshot::{CounterRow, Snapshot};
    use crate::node::{Command, PairSnapshot, Reply};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn answering() -> Handle {
        let pair = |reply: Reply<PairSnapshot>| {
            let counters = vec![CounterRow::new("channel-forged", 4242, "Forged.")];
            reply(PairSnapshot {
                paired: true,
                role: "standby".into(),
                epoch: 77,
                counters,
                ..PairSnapshot::default()
            });
            true
        };
        let shard = |command| {
            match command {
                Command::Snapshot(reply) => {
                    reply(Snapshot { hostname: "gate<way>".into(), ..Snapshot::default() })
                }
                Command::Flows { reply, .. } => reply((Vec::new(), None)),
                Command::Drops(reply) => reply(Vec::new()),
                Command::Apply(..)
                | Command::Kill { .. }
                | Command::Import { .. }
                | Command::Correct { .. }
                | Command::Replicate(_)
                | Command::Speak(_)
                | Command::Probe(_)
                | Command::Grant(_)
                | Command::Capture { .. } => {
                    panic!("not asked by pages")
                }
            }
            true
        };
        Handle::new(shard, pair)
    }

    /// What a raw request gets.
    fn ask(request: &str) -> String {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (request, answer) = (request.to_owned(), Arc::new(Mutex::new(String::new())));
        let filled = Arc::clone(&answer);
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let site = Site::new(answering(), Password::from_random([1; 24]), || Instant::ZERO);
            tokio::spawn(loopback(listener, site));
            let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
            stream.write_all(request.replace("HOST", &address.to_string()).as_bytes()).await.unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).await.unwrap();
            *filled.lock().unwrap() = text;
        });
        answer.lock().unwrap().clone()
    }

    /// admin:bbbb…
    const RIGHT: &str = "Authorization: Basic YWRtaW46YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJi";

    #[test]
    fn the_page_is_shown_to_whom_it_may_concern() {
        let page = ask(&format!("GET / HTTP/1.1\r\nHost: HOST\r\n{RIGHT}\r\nConnection: close\r\n\r\n"));
        assert!(page.starts_with("HTTP/1.1 200"), "{page}");
        assert!(page.contains("REDUNDANCY LOST") && page.contains("epoch 77"), "{page}");
        assert!(page.contains("channel-forged"), "what the pair counts is among the counters");
        assert!(page.contains("gate&#60;way&#62;") || page.contains("gate&lt;way&gt;"), "escaped");
        assert!(page.to_ascii_lowercase().contains("content-security-policy: default-src 'none'"));
    }

    #[test]
    fn health_is_no_secret_and_facts_are() {
        let health = ask("GET /healthz HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n");
        assert!(health.starts_with("HTTP/1.1 200") && health.ends_with("ok\n"), "{health}");
        let facts = ask("GET /status.json HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n");
        assert!(facts.starts_with("HTTP/1.1 401"), "{facts}");
        let facts = ask(&format!(
            "GET /status.json?page=2 HTTP/1.1\r\nHost: HOST\r\n{RIGHT}\r\nConnection: close\r\n\r\n"
        ));
        assert!(facts.contains("\"hostname\":\"gate<way>\"") && facts.contains("\"page\":2"), "{facts}");
        assert!(facts.contains("\"epoch\":77") && facts.contains("\"redundant\":false"), "{facts}");
    }

    #[test]
    fn guessing_takes_longer_and_longer() {
        let wrong = "GET / HTTP/1.1\r\nHost: HOST\r\nAuthorization: Basic YWRtaW46YQ==\r\n\r\n";
        let right = format!("GET / HTTP/1.1\r\nHost: HOST\r\n{RIGHT}\r\nConnection: close\r\n\r\n");
        let answers = ask(&format!("{}{right}", wrong.repeat(6)));
        assert_eq!(answers.matches("HTTP/1.1 401").count(), 5);
        assert_eq!(answers.matches("HTTP/1.1 429").count(), 2, "the right one has to wait, too: {answers}");
    }

    #[test]
    fn everybody_else_is_refused_with_a_reason() {
        for (request, status) in [
            ("GET / HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n".to_owned(), "401"),
            (format!("GET / HTTP/1.1\r\nHost: evil.example\r\n{RIGHT}\r\nConnection: close\r\n\r\n"), "421"),
            (
                format!(
                    "POST / HTTP/1.1\r\nHost: HOST\r\n{RIGHT}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
                ),
                "405",
            ),
            (format!("GET /etc HTTP/1.1\r\nHost: HOST\r\n{RIGHT}\r\nConnection: close\r\n\r\n"), "404"),
        ] {
            let answer = ask(&request);
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{request}: {answer}");
            assert!(answer.to_ascii_lowercase().contains("x-frame-options: deny"));
        }
    }
}
