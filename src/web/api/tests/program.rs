//! A node whose parts are real, but for packets and processes, and a program that asks it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;

use crate::cluster::tokens::{Scope, Wish};
use crate::config;
use crate::config::life::Author;
use crate::io::config_request::ConfigRequest;
use crate::io::office::Office;
use crate::io::request::{FlowFilter, Request, Response, Status};
use crate::io::token_store::{self, TokenStore};
use crate::node::snapshot::{DropRow, FlowRow};
use crate::node::{self, Command, Compiled, Offload, Outbox, PairSnapshot, Reply, RuleCounts, Shard};
use crate::services::Services;
use crate::services::log::LogRow;
use crate::types::{Instant, Seed, WallTime};
use crate::web::auth::Password;
use crate::web::handle::Handle;
use crate::web::serve;
use crate::web::site::Site;
use crate::web::steward::Steward;

/// A pair with something in most sections, and users of every role.
fn document() -> String {
    let hash = format!("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0${}", "A".repeat(43));
    let user = |name: &str, role: &str| {
        format!("\n[[user]]\nname = \"{name}\"\nrole = \"{role}\"\npassword_hash = \"{hash}\"\n")
    };
    let users = [user("ada", "administrator"), user("otto", "operator"), user("rita", "read-only")].concat();
    format!("{}{users}", include_str!("../../../../configs/pair.toml"))
}

/// The flows that the node has.
pub(super) const FLOWS: u64 = 250;

/// A node, and somebody who asks it.
pub(super) struct Program {
    runtime: Runtime,
    address: SocketAddr,
    pub site: Site,
    pub office: Arc<Office>,
    pub store: Arc<TokenStore>,
    /// How the pair is.
    pub pair: Arc<Mutex<PairSnapshot>>,
    /// The calendar, in seconds.
    pub calendar: Arc<AtomicU64>,
    /// What is shown; nothing when empty.
    pub token: String,
    _directory: Scratch,
}

/// A directory that goes away with its test.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
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

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}{}", self.head, self.body))
    }
}

impl Program {
    /// With a token of an administrator to configure.
    pub fn new() -> Program {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("koi-api-{}-{number}", std::process::id()));
        let text = document();
        let in_force = Arc::new(ArcSwap::from(compile(&text)));
        let enforced = Arc::clone(&in_force);
        let office = Office::open(&directory, &text, move |text| enforced.store(compile(text)));
        let office = Arc::new(office);
        let calendar = Arc::new(AtomicU64::new(1_800_000_000));
        let time = Arc::clone(&calendar);
        let store = TokenStore::with_calendar(&directory.join(token_store::FILE), move || {
            time.load(Ordering::Relaxed)
        });
        let pair = Arc::new(Mutex::new(PairSnapshot::default()));
        let site = site(&office, &in_force, &store, &pair, directory.clone());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(serve::loopback(listener, site.clone()));
        let _directory = Scratch(directory);
        let mut program = Program {
            runtime,
            address,
            site,
            office,
            store,
            pair,
            calendar,
            token: String::new(),
            _directory,
        };
        program.token = program.token_of("ada", Scope::Configure);
        program
    }

    /// A new token.
    pub fn token_of(&self, user: &str, scope: Scope) -> String {
        let author = Author { who: "root".into(), from: "cli".into() };
        let wish = Wish { name: "test".into(), user: user.into(), scope, lifetime: 3600, author };
        self.store.make(wish).unwrap().0
    }

    /// The same node, with another token.
    pub fn become_one(&mut self, user: &str, scope: Scope) {
        self.token = self.token_of(user, scope);
    }

    pub fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "", None)
    }

    /// With the present edition of the candidate, as whoever has just looked.
    pub fn send(&self, method: &str, path: &str, body: &Value) -> Answer {
        let edition = self.edition();
        self.based_on(&edition, method, path, body)
    }

    pub fn based_on(&self, edition: &str, method: &str, path: &str, body: &Value) -> Answer {
        let body = if body.is_null() { None } else { Some(body.to_string().into_bytes()) };
        self.ask(method, path, &format!("If-Match: \"{edition}\"\r\n"), body.as_deref())
    }

    /// The edition of the candidate.
    pub fn edition(&self) -> String {
        use crate::web::edit::Editor;
        self.steward().draft().edition
    }

    fn steward(&self) -> Steward {
        let office = Arc::clone(&self.office);
        Steward::new(
            self.site.handle.clone(),
            Box::new(move |request: ConfigRequest| office.answer(request)),
            None,
        )
    }

    /// Looks at what does not belong to the API's own addresses.
    pub fn ask_at(&self, path: &str) -> Answer {
        self.speak("GET", path, "", None)
    }

    pub fn ask(&self, method: &str, path: &str, headers: &str, body: Option<&[u8]>) -> Answer {
        self.speak(method, &format!("/api/v1{path}"), headers, body)
    }

    fn speak(&self, method: &str, path: &str, headers: &str, body: Option<&[u8]>) -> Answer {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n{headers}", self.address);
        if !self.token.is_empty() {
            head.push_str(&format!("Authorization: Bearer {}\r\n", self.token));
        }
        if let Some(body) = body {
            if !headers.contains("Content-Type") {
                head.push_str("Content-Type: application/json\r\n");
            }
            if !headers.contains("Content-Length") {
                head.push_str(&format!("Content-Length: {}\r\n", body.len()));
            }
        }
        let request =
            [format!("{head}Connection: close\r\n\r\n").as_bytes(), body.unwrap_or_default()].concat();
        let text = self.runtime.block_on(async {
            let stream = tokio::net::TcpStream::connect(self.address).await.unwrap();
            let (mut from, mut to) = stream.into_split();
            // Whoever is refused need not be heard to the end.
            let sending = tokio::spawn(async move {
                let _ = to.write_all(&request).await;
                to
            });
            let mut answer = Vec::new();
            let mut piece = [0; 4096];
            while let Ok(count @ 1..) = from.read(&mut piece).await {
                answer.extend_from_slice(&piece[..count]);
            }
            sending.abort();
            String::from_utf8(answer).unwrap()
        });
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Answer { status, head: head.into(), body: body.into() }
    }
}

fn compile(text: &str) -> Arc<Compiled> {
    let document = Arc::new(config::load(text).unwrap_or_else(|problems| panic!("{problems:#?}")));
    let node = document.node(Some("alpha")).unwrap();
    let ports = document.node_part(node).ports.len();
    Arc::new(Compiled::new(document, node, 1, vec![Offload::NONE; ports]))
}

fn site(
    office: &Arc<Office>,
    in_force: &Arc<ArcSwap<Compiled>>,
    store: &Arc<TokenStore>,
    pair: &Arc<Mutex<PairSnapshot>>,
    directory: PathBuf,
) -> Site {
    let (asked, looked_at) = (Arc::clone(pair), Arc::clone(in_force));
    let ask_pair = move |reply: Reply<PairSnapshot>| {
        reply(asked.lock().unwrap().clone());
        true
    };
    let compiled = in_force.load_full();
    let out = Outbox::new(compiled.offloads.len());
    let shard = Mutex::new((Shard::new(compiled, Seed([1, 2]), Instant::ZERO), out));
    let ask = move |command: Command| {
        let (shard, out) = &mut *shard.lock().unwrap();
        shard.handle_command(Instant::from_secs(1), command, out);
        true
    };
    let handle = Handle::new(ask, ask_pair, move || looked_at.load_full());
    let configured = Arc::clone(office);
    let editor = Steward::new(handle.clone(), Box::new(move |request| configured.answer(request)), None);
    let (office, in_force, tokens, pair) =
        (Arc::clone(office), Arc::clone(in_force), Arc::clone(store), Arc::clone(pair));
    let desk = move |request| answer(request, &office, &in_force.load_full(), &tokens, &pair);
    let first = Password::from_random([1; 24]);
    let site = Site::new(handle, Some(Arc::new(editor)), first, || Instant::from_secs(1000));
    let mut site = site.with_desk(Arc::new(desk), Arc::clone(store));
    site.state = directory;
    site
}

/// As `io::desk` answers, with a few flows that always are there.
fn answer(
    request: Request,
    office: &Office,
    compiled: &Arc<Compiled>,
    tokens: &TokenStore,
    pair: &Mutex<PairSnapshot>,
) -> Response {
    let pair = || Response::Pair(Box::new(pair.lock().unwrap().clone()));
    match request {
        Request::Config(request) => office.answer(*request),
        Request::Tokens(request) => tokens
            .answer(&compiled.config, request, || None)
            .map_or_else(Response::Failed, |answer| Response::Tokens(Box::new(answer))),
        Request::Status => {
            Response::Status(Box::new(Status { hostname: "gate".into(), ..Status::default() }))
        }
        Request::Upgrading => Response::Upgrading(Box::default()),
        Request::Peer(_) => {
            Response::Status(Box::new(Status { hostname: "peer".into(), ..Status::default() }))
        }
        Request::Snapshot => {
            let shard = Shard::new(Arc::clone(compiled), Seed([1, 2]), Instant::ZERO);
            Response::Snapshot(Box::new(shard.snapshot(Instant::ZERO)))
        }
        Request::Policy => {
            Response::Policy(Box::new(node::policy(compiled, &RuleCounts::default(), WallTime::default())))
        }
        Request::Explain(asked) => match asked.question(compiled) {
            Ok(question) => Response::Explained(Box::new(node::explain(compiled, &[], &question))),
            Err(why) => Response::Failed(why),
        },
        Request::Flows { filter, limit, after } => {
            let first = after.map_or(0, |after| after + 1);
            let rows = (first..FLOWS).take(limit as usize).map(flow).collect::<Vec<_>>();
            let more = first + (rows.len() as u64) < FLOWS;
            assert!(filter == FlowFilter::default() || filter.port == Some(53));
            Response::Flows { rows, total: FLOWS, more }
        }
        Request::Count { filter } => {
            Response::Counted { count: if filter.port.is_some() { 3 } else { FLOWS } }
        }
        Request::Kill { filter } => Response::Killed { count: if filter.port.is_some() { 3 } else { FLOWS } },
        Request::EmptyTable { .. } => Response::Emptied { count: 0 },
        Request::Forget { address, .. } if address.is_ipv4() => Response::Done,
        Request::Forget { .. } => Response::Failed("there is no such neighbour".into()),
        Request::Drops => {
            let (reason, interface) = ("blocked-in".into(), "wan".into());
            Response::Drops(vec![DropRow { at: 1.5, reason, interface, flow: None, rule: Some(9) }])
        }
        Request::Pair | Request::Role(_) | Request::Resync => pair(),
        Request::Log { .. } => Response::Log(vec![LogRow::default()]),
        Request::Services => {
            let services = Services::new(&compiled.config, Seed([1, 2]), Instant::ZERO, WallTime::default());
            let row = services.row(Instant::ZERO, WallTime::default(), false, |_| String::new());
            Response::Services(Box::new(row))
        }
        Request::Inquire(_) | Request::Power(_) | Request::Upgrade => {
            Response::Failed("not available here".into())
        }
        Request::Pages(_)
        | Request::Reload
        | Request::ExplainLog { .. }
        | Request::SystemLog { .. }
        | Request::Release(_)
        | Request::Install
        | Request::Keys(_)
        | Request::Crash
        | Request::Offer
        | Request::Join { .. }
        | Request::Capture { .. } => panic!("not asked by programs"),
    }
}

fn flow(id: u64) -> FlowRow {
    FlowRow {
        gateway: None,
        reply_to: None,
        id,
        protocol: "tcp".into(),
        original: "tcp 192.168.1.10:50000 -> 198.51.100.10:443".into(),
        translated: None,
        state: "ESTABLISHED:ESTABLISHED".into(),
        ingress: "lan".into(),
        egress: "wan".into(),
        rule: 100,
        age_seconds: 1,
        expires_seconds: 2,
        packets: [1, 2],
        bytes: [3, 4],
    }
}
