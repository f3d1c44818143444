//! A support bundle: what somebody who helps needs to know, and no secret. It is looked at, file by file, before it is taken
//! away; whatever is looked at is made only as far as it is shown.

use std::io::{self, Write};
use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use crate::io::clock;
use crate::io::request::{Request, Response as Answer};
use crate::web::frame::Frame;
use crate::web::message::{Message, html};
use crate::web::site::Site;
use crate::web::tar::Archive;
use crate::web::visitor::Visitor;

/// Where it is.
pub(super) const SUPPORT: &str = "/diagnostics/support";
/// Flows in it.
const FLOWS: u32 = 1000;
/// Records of the firewall log in it.
const RECORDS: u32 = 1000;
/// The longest file; what is longer is cut, and says so.
const LONGEST: usize = 2 << 20;
/// As much of a file as the page shows.
const SHOWN: usize = 32 << 10;

/// A file of it.
pub(in crate::web) struct File {
    pub name: &'static str,
    pub about: &'static str,
    pub text: String,
}

/// A file before it is made.
struct Plan {
    name: &'static str,
    about: &'static str,
    source: Source,
}

/// What stands in a file: the document without its secrets, or answers that never hold one.
enum Source {
    Document,
    Answer(fn() -> Request),
    Deeds,
}

const fn plan(name: &'static str, about: &'static str, source: Source) -> Plan {
    Plan { name, about, source }
}

const fn asked(name: &'static str, about: &'static str, request: fn() -> Request) -> Plan {
    plan(name, about, Source::Answer(request))
}

static PLANS: [Plan; 10] = [
    plan("koi.toml", "The configuration without passwords, keys and comments.", Source::Document),
    asked("status.json", "How the router is.", || Request::Status),
    asked("snapshot.json", "Interfaces, routes, gateways, neighbours, counters.", || Request::Snapshot),
    asked("pair.json", "The pair, seen from this node.", || Request::Pair),
    asked("policy.json", "Rules with their counters, aliases, translations.", || Request::Policy),
    asked("services.json", "Clock, names, servers of the log.", || Request::Services),
    asked("drops.json", "The recent drops.", || Request::Drops),
    asked("flows.json", "Some of the states.", || Request::Flows {
        filter: Default::default(),
        limit: FLOWS,
        after: None,
    }),
    asked("log.json", "The end of the firewall log.", || Request::Log { after: 0, limit: RECORDS }),
    plan("audit.txt", "Who did what of late.", Source::Deeds),
];

/// What stands behind the question mark.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Wanted {
    /// The name of a file.
    file: String,
}

/// The page.
#[derive(Template)]
#[template(path = "support.html")]
struct Page {
    frame: Frame,
    /// Names, and what they are about.
    files: Vec<(&'static str, &'static str)>,
    shown: Option<File>,
}

/// `GET /diagnostics/support`
pub(super) async fn show(
    State(site): State<Site>,
    visitor: Visitor,
    Query(Wanted { file }): Query<Wanted>,
) -> Response {
    let shown = match PLANS.iter().find(|plan| plan.name == file) {
        Some(plan) => Some(plan.made(&site, SHOWN, "(the rest is in the file)").await),
        None if file.is_empty() => None,
        None => return Message::missing("There is no such file in the bundle.").into_response(),
    };
    let frame = Frame::new(&site, &visitor, "Support Bundle", SUPPORT).await;
    html(&Page { frame, files: PLANS.iter().map(|plan| (plan.name, plan.about)).collect(), shown })
}

/// `GET /diagnostics/support/koi-support.tar`
pub(super) async fn download(State(site): State<Site>, visitor: Visitor) -> Response {
    let archive = bundle(&site).await;
    site.note(&visitor.account.name, visitor.from, "downloaded a support bundle");
    let headers = [
        (header::CONTENT_TYPE, "application/x-tar"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"koi-support.tar\""),
    ];
    (headers, archive).into_response()
}

/// The bundle as a tar file.
pub(in crate::web) async fn bundle(site: &Site) -> Vec<u8> {
    let mut archive = Archive::default();
    let now = clock::wall_seconds();
    for file in files(site).await {
        archive.add(&format!("koi-support/{}", file.name), now, file.text.as_bytes());
    }
    archive.finish()
}

/// Its files.
pub(in crate::web) async fn files(site: &Site) -> Vec<File> {
    let mut files = Vec::with_capacity(PLANS.len());
    for plan in &PLANS {
        files.push(plan.made(site, LONGEST, "(cut here)").await);
    }
    files
}

impl Plan {
    /// The file, as far as so many bytes; `cut` is what it says then.
    async fn made(&self, site: &Site, most: usize, cut: &str) -> File {
        let mut beginning = Beginning { bytes: Vec::new(), most, is_cut: false };
        match self.source {
            Source::Document => {
                let (compiled, kept) = (site.handle.in_force(), Arc::clone(&site.support));
                let text =
                    site.work(move || kept.of(&compiled, |compiled| compiled.config.to_support_text()));
                beginning.say(text.await.as_deref().map_or("", String::as_str));
            }
            Source::Answer(request) => tell(&site.ask(request()).await, &mut beginning),
            Source::Deeds => {
                for deed in site.deeds() {
                    beginning.say(&format!("{} {} {} {}\n", deed.at, deed.who, deed.from, deed.what));
                }
            }
        }
        File { name: self.name, about: self.about, text: beginning.text(cut) }
    }
}

fn tell(answer: &Answer, to: &mut Beginning) {
    match answer {
        Answer::Status(status) => to.json(status),
        Answer::Snapshot(snapshot) => to.json(snapshot),
        Answer::Pair(pair) => to.json(pair),
        Answer::Policy(policy) => to.json(policy),
        Answer::Services(services) => to.json(services),
        Answer::Drops(drops) => to.json(drops),
        Answer::Flows { rows, total, more } => to.json(&(total, more, rows)),
        Answer::Log(records) => to.json(records),
        Answer::Failed(why) => to.say(&format!("{why}\n")),
        _ => to.say("another answer than was asked for\n"),
    }
}

/// The first bytes of a text. Whoever writes more is told that it is full, and stops.
struct Beginning {
    bytes: Vec<u8>,
    most: usize,
    is_cut: bool,
}

impl Beginning {
    fn say(&mut self, text: &str) {
        // It is full: that stands at its end.
        let _ = self.write_all(text.as_bytes());
    }

    fn json(&mut self, value: &impl Serialize) {
        match serde_json::to_writer_pretty(&mut *self, value) {
            Ok(()) => self.say("\n"),
            Err(_) if self.is_cut => {}
            Err(error) => self.say(&error.to_string()),
        }
    }

    fn text(self, cut: &str) -> String {
        let Beginning { mut bytes, is_cut, .. } = self;
        if is_cut {
            // The last letter is perhaps not whole.
            let whole = std::str::from_utf8(&bytes).map_or_else(|error| error.valid_up_to(), str::len);
            bytes.truncate(whole);
            bytes.extend(format!("\n{cut}\n").bytes());
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Write for Beginning {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.most - self.bytes.len();
        self.bytes.extend(&bytes[..bytes.len().min(room)]);
        self.is_cut |= bytes.len() > room;
        if self.is_cut { Err(io::ErrorKind::WriteZero.into()) } else { Ok(bytes.len()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_is_as_long_as_it_may_be_and_says_that_there_is_more() {
        let told = |most: usize, answer: &Answer| {
            let mut beginning = Beginning { bytes: Vec::new(), most, is_cut: false };
            tell(answer, &mut beginning);
            beginning.text("(more)")
        };
        let answer = Answer::Failed("nobody knows".into());
        assert_eq!(told(100, &answer), "nobody knows\n");
        assert_eq!(told(13, &answer), "nobody knows\n");
        assert_eq!(told(6, &answer), "nobody\n(more)\n");
        assert_eq!(told(4, &Answer::Failed("grün".into())), "grü\n(more)\n");
        assert_eq!(told(3, &Answer::Failed("grün".into())), "gr\n(more)\n");
        assert_eq!(told(100, &Answer::Drops(Vec::new())), "[]\n");
        let drops = vec![crate::node::snapshot::DropRow {
            at: 1.0,
            reason: "blocked-in".into(),
            interface: "wan".into(),
            flow: None,
            rule: None,
        }];
        let text = told(30, &Answer::Drops([drops.clone(), drops].concat()));
        assert!(text.starts_with("[\n  {\n") && text.ends_with("\n(more)\n") && text.len() == 38, "{text:?}");
    }
}
