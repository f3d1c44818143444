//! What moves, as it is at a moment: what the pages are told piece by piece.

use serde_json::json;

use super::call::{Call, Reply, unexpected};
use super::problem::{Kind, Outcome, Problem};
use super::query::{Parameter, Takes, parameter};
use super::route::{Route, Verb};
use super::schema::{flag, like, list, map_of, number, object, text};
use crate::cluster::tokens::Scope;
use crate::io::drill::{Report, Round};
use crate::io::request::{Request, Response};
use crate::services::log::LogRow;
use crate::web::events::look_at_talkers;
use crate::web::site::lock;
use crate::web::visitor::Right;
use crate::web::{drills, services};

const RECORDS: &[Parameter] = &[
    parameter("after", Takes::Number(u64::MAX), "Only records with a higher number."),
    parameter("limit", Takes::Number(4096), "The latest ones, at most so many; 100 by itself."),
];

/// Every route of this room.
pub(super) fn routes() -> Vec<Route> {
    let decimal = || json!({ "type": "number" });
    let rate = object(
        &[
            ("bits_in", decimal()),
            ("bits_out", decimal()),
            ("packets_in", decimal()),
            ("packets_out", decimal()),
        ],
        &[],
    );
    let talker = object(
        &[
            ("address", text("Whose connections these are.")),
            ("interface", text("Where it is.")),
            ("bits_from", decimal()),
            ("bits_to", decimal()),
            ("flows", number("Its connections.")),
            ("bytes_from", number("What they have carried from it.")),
            ("bytes_to", number("And to it.")),
        ],
        &[],
    );
    let service = object(
        &[
            ("name", text("Its name.")),
            ("about", text("What it is for.")),
            ("state", text("running, stopped or trouble.")),
            ("detail", text("In words.")),
        ],
        &[],
    );
    let reports = || list(like(&Report { rounds: vec![Round::default()], ..Report::default() }));
    vec![
        Route::get(
            "/log",
            "Records of the firewall log, the latest last",
            list(like(&LogRow::default())),
            log,
        )
        .asks(RECORDS),
        Route::get("/traffic", "What goes through each interface, a second", map_of(rate), traffic),
        Route::get(
            "/talkers",
            "Hosts that began connections, the loudest first",
            object(&[("hosts", list(talker)), ("partial", flag("Not every connection was looked at."))], &[]),
            talkers,
        ),
        Route::get("/services", "What the router does besides forwarding", list(service), services_of),
        Route::get("/pair/drills", "Reports of drills, the newest first", reports(), drills_of),
        Route::new(
            Verb::Post,
            "/pair/drill",
            "The role moves, and what that did is measured; the report is among the others when it is over",
            object(&[("begun", flag("It runs."))], &[]),
            drill,
        )
        .takes(object(
            &[("count", number("So many times, 10 at most."))],
            &[("probe", text("An address behind the pair, to be asked a thousand times a second."))],
        ))
        .needs(Scope::Operate, Right::Administer),
    ]
}

fn busy() -> Problem {
    Problem::new(Kind::Busy, "The router has no time; ask again.")
}

async fn log(call: Call) -> Outcome<Reply> {
    let after = call.query.number("after").unwrap_or(0);
    let limit = call.query.number("limit").unwrap_or(100) as u32;
    match call.ask(Request::Log { after, limit }).await? {
        Response::Log(rows) => Reply::json(&rows),
        _ => Err(unexpected()),
    }
}

async fn traffic(call: Call) -> Outcome<Reply> {
    let rates = lock(&call.site.events.history).rates().clone();
    Reply::json(&rates)
}

async fn talkers(call: Call) -> Outcome<Reply> {
    look_at_talkers(&call.site).await.ok_or_else(busy)?;
    let talkers = lock(&call.site.events.talkers);
    Reply::json(&json!({ "hosts": talkers.rows, "partial": talkers.partial }))
}

async fn services_of(call: Call) -> Outcome<Reply> {
    let snapshot = call.site.handle.glance().await.ok_or_else(busy)?;
    let pair = call.site.handle.pair().await;
    let (rows, _) = services::rows(&call.site, &snapshot, pair.as_ref()).await.ok_or_else(busy)?;
    Reply::json(&rows)
}

async fn drills_of(call: Call) -> Outcome<Reply> {
    Reply::json(&drills::known(&call.site).await)
}

/// What a drill shall be.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    count: u8,
    probe: Option<std::net::IpAddr>,
}

async fn drill(call: Call) -> Outcome<Reply> {
    let Wanted { count, probe } = call.json()?;
    if !(1..=drills::MOST).contains(&count) {
        let remedy = format!("Write 1 to {}.", drills::MOST);
        return Err(Problem::malformed("/count", "So often the role does not move in one drill.", remedy));
    }
    drills::start(&call.site, count, probe).map_err(|why| Problem::new(Kind::Conflict, why))?;
    call.note(format_args!("began a drill: the role moves {count} times"));
    Reply::json(&json!({ "begun": true }))
}
