//! A browser: it keeps cookies, knows its session's token, and shows what came back.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;

use super::html::{self, Element};
use super::router::{Paper, site};
use crate::web::guard::percent_encode;
use crate::web::serve;
use crate::web::share::{self, Answering, Own, Share};
use crate::web::site::Site;

/// Whoever has not heard it by then does not hear it any more.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Browser {
    runtime: Runtime,
    address: SocketAddr,
    pub site: Site,
    pub paper: Arc<Paper>,
    pub cookie: String,
    pub token: String,
    /// More headers, each with its line end.
    pub headers: String,
}

pub(super) struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value).next().unwrap_or("")
    }

    /// The elements of the page, which is well-formed.
    pub fn elements(&self) -> Vec<Element> {
        html::elements(&self.body)
    }
}

impl Browser {
    /// In front of a router with this document.
    pub fn new(document: &str) -> Browser {
        let paper = Paper::new(document);
        let site = site(&paper);
        Browser::before(paper, site)
    }

    /// In front of a router whose pages tell what they know to those of another one.
    pub fn beside(document: &str, peer: &Browser) -> Browser {
        let paper = Paper::new(document);
        let mut site = site(&paper);
        let sessions = Arc::clone(&peer.site.sessions);
        let own = || Own { certificate: None, draft: None };
        let preferences = Arc::clone(&peer.site.preferences);
        site.share = Some(Share::new(move |words| {
            let (sessions, preferences) = (&*sessions, &*preferences);
            share::answer(
                &Answering { sessions, preferences, own: &own, follow: &drop, drilled: &drop },
                &words,
            )
        }));
        Browser::before(paper, site)
    }

    /// In front of this site.
    pub fn before(paper: Arc<Paper>, site: Site) -> Browser {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(serve::loopback(listener, site.clone()));
        let (cookie, token, headers) = Default::default();
        Browser { runtime, address, site, paper, cookie, token, headers }
    }

    /// Logged in as one of `router::users`.
    pub fn of(name: &str) -> Browser {
        let mut browser = Browser::new(&format!("{}{}", super::DOCUMENT, super::router::users()));
        browser.log_in(name, "correct horse");
        browser
    }

    pub fn log_in(&mut self, name: &str, password: &str) -> Answer {
        let answer = self.post("/login", &[("name", name), ("password", password)]);
        let cookie = answer.header("set-cookie").split(';').next().unwrap_or_default().to_owned();
        if answer.status == 303 && !cookie.is_empty() {
            self.cookie = cookie;
            let page = self.get("/changes");
            let token =
                page.elements().into_iter().find(|element| element.attribute("name") == Some("token"));
            self.token = token.unwrap().attribute("value").unwrap().to_owned();
        }
        answer
    }

    pub fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: HOST\r\n"), "")
    }

    /// With the session's token.
    pub fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let mut fields = fields.to_vec();
        fields.push(("token", &self.token));
        self.post_bare(path, &fields)
    }

    /// With the token and the edition of the draft.
    pub fn change(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let edition = self.paper.document().hash();
        let mut fields = fields.to_vec();
        fields.push(("edition", &edition));
        self.post(path, &fields)
    }

    pub fn post_bare(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let coded =
            |(name, value): &(&str, &str)| format!("{}={}", percent_encode(name), percent_encode(value));
        let body = fields.iter().map(coded).collect::<Vec<_>>().join("&");
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: HOST\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n",
            body.len()
        );
        self.ask(&head, &body)
    }

    /// A raw request; `HOST` is this router's address.
    pub fn ask(&self, head: &str, body: &str) -> Answer {
        self.ask_bytes(head, body.as_bytes())
    }

    /// The same with a body of any bytes.
    pub fn ask_bytes(&self, head: &str, body: &[u8]) -> Answer {
        let mut head = head.replace("HOST", &self.address.to_string());
        head.push_str(&self.headers);
        if !self.cookie.is_empty() {
            head.push_str(&format!("Cookie: other=1; {}\r\n", self.cookie));
        }
        let request = [format!("{head}Connection: close\r\n\r\n").as_bytes(), body].concat();
        let text = self.runtime.block_on(async {
            let mut stream = tokio::net::TcpStream::connect(self.address).await.unwrap();
            stream.write_all(&request).await.unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.unwrap();
            String::from_utf8(answer).unwrap()
        });
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Answer { status, head: head.into(), body: body.into() }
    }

    /// Something that goes on beside the requests.
    pub fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(future);
    }

    /// What a stream says until that is enough; if it never is, what it has said for [`PATIENCE`].
    pub fn listen(&self, path: &str, enough: impl Fn(&str) -> bool) -> String {
        let mut heard = Vec::new();
        self.runtime.block_on(async {
            let mut stream = self.begin(path).await;
            let listening = async {
                while !enough(&String::from_utf8_lossy(&heard))
                    && stream.read_buf(&mut heard).await.unwrap() > 0
                {}
            };
            let _ = tokio::time::timeout(PATIENCE, listening).await;
        });
        String::from_utf8_lossy(&heard).into_owned()
    }

    /// True when a stream ends after something was done.
    pub fn listen_while(&self, path: &str, act: impl FnOnce(&Browser)) -> bool {
        let mut stream = self.runtime.block_on(async {
            let mut stream = self.begin(path).await;
            stream.read_buf(&mut Vec::new()).await.unwrap();
            stream
        });
        act(self);
        self.runtime.block_on(async {
            let mut heard = Vec::new();
            tokio::time::timeout(PATIENCE, stream.read_to_end(&mut heard)).await.is_ok()
        })
    }

    async fn begin(&self, path: &str) -> tokio::net::TcpStream {
        let mut stream = tokio::net::TcpStream::connect(self.address).await.unwrap();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nCookie: {}\r\nConnection: close\r\n\r\n",
            self.address, self.cookie
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }
}
