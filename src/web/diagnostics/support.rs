//! A support bundle: what somebody who helps needs to know, and no secret. It is looked at before it is taken away.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::io::clock;
use crate::io::request::{Request, Response as Answer};
use crate::web::frame::Frame;
use crate::web::message::html;
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

/// A file of it.
pub(in crate::web) struct File {
    pub name: &'static str,
    pub about: &'static str,
    pub text: String,
}

/// The page.
#[derive(Template)]
#[template(path = "support.html")]
struct Page {
    frame: Frame,
    files: Vec<File>,
    bytes: u64,
}

/// `GET /diagnostics/support`
pub(super) async fn show(State(site): State<Site>, visitor: Visitor) -> Response {
    let files = files(&site).await;
    let bytes = files.iter().map(|file| file.text.len() as u64).sum();
    let frame = Frame::new(&site, &visitor, "Support Bundle", SUPPORT).await;
    html(&Page { frame, files: files.into_iter().map(File::shortened).collect(), bytes })
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

/// Its files. Whatever stands in them comes from the document without its secrets, or from answers that never hold one.
pub(in crate::web) async fn files(site: &Site) -> Vec<File> {
    let config = Arc::clone(&site.handle.in_force().config);
    let flows = Request::Flows { filter: Default::default(), limit: FLOWS, after: None };
    let mut files = vec![File {
        name: "koi.toml",
        about: "The configuration without passwords, keys and comments.",
        text: config.to_support_text(),
    }];
    let questions = [
        ("status.json", "How the router is.", Request::Status),
        ("snapshot.json", "Interfaces, routes, gateways, neighbours, counters.", Request::Snapshot),
        ("pair.json", "The pair, seen from this node.", Request::Pair),
        ("policy.json", "Rules with their counters, aliases, translations.", Request::Policy),
        ("services.json", "Clock, names, servers of the log.", Request::Services),
        ("drops.json", "The recent drops.", Request::Drops),
        ("flows.json", "Some of the states.", flows),
        ("log.json", "The end of the firewall log.", Request::Log { after: 0, limit: RECORDS }),
    ];
    for (name, about, request) in questions {
        files.push(File { name, about, text: cut(answer(site, request).await) });
    }
    let deeds: Vec<_> = site
        .deeds()
        .into_iter()
        .map(|deed| format!("{} {} {} {}\n", deed.at, deed.who, deed.from, deed.what))
        .collect();
    files.push(File { name: "audit.txt", about: "Who did what of late.", text: cut(deeds.concat()) });
    files
}

async fn answer(site: &Site, request: Request) -> String {
    match site.ask(request).await {
        Answer::Status(status) => json(&status),
        Answer::Snapshot(snapshot) => json(&snapshot),
        Answer::Pair(pair) => json(&pair),
        Answer::Policy(policy) => json(&policy),
        Answer::Services(services) => json(&services),
        Answer::Drops(drops) => json(&drops),
        Answer::Flows { rows, total, more } => json(&(total, more, rows)),
        Answer::Log(records) => json(&records),
        Answer::Failed(why) => format!("{why}\n"),
        _ => "another answer than was asked for\n".into(),
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap_or_else(|error| error.to_string()) + "\n"
}

fn cut(mut text: String) -> String {
    if text.len() > LONGEST {
        let at = (0..=LONGEST).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(at);
        text.push_str("\n(cut here)\n");
    }
    text
}

impl File {
    /// As much of it as a page shows.
    fn shortened(self) -> File {
        const SHOWN: usize = 8 << 10;
        let File { name, about, mut text } = self;
        if text.len() > SHOWN {
            let at = (0..=SHOWN).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            text.truncate(at);
            text.push_str("\n(the rest is in the file)\n");
        }
        File { name, about, text }
    }
}

/// What the template writes with.
mod filters {
    /// Bytes, in the unit that people read.
    #[askama::filter_fn]
    pub fn size(bytes: &u64, _: &dyn askama::Values) -> askama::Result<String> {
        Ok(crate::web::status::size(*bytes))
    }
}
