//! Questions to the network from the router itself, where addresses are in tables and routes, the report on rules, a bundle
//! for support, and a fresh start.

use std::net::IpAddr;

use serde::Deserialize;
use serde_json::{Value, json};

use super::call::{Call, Reply, sentence, unexpected};
use super::problem::{Kind, Outcome, Problem};
use super::query::{Parameter, Takes, parameter};
use super::route::{Route, Verb};
use super::samples;
use super::schema::{flag, like, list, number, object, one_of, text};
use crate::cluster::tokens::Scope;
use crate::io::inquiry::{Finding, FindingRow, Inquiry};
use crate::io::power::PowerStep;
use crate::io::request::{Request, Response};
use crate::web::diagnostics::{support, tables, ways};
use crate::web::rule_report;
use crate::web::visitor::Right;

const ADDRESS: &[Parameter] = &[parameter("address", Takes::Text, "The address.")];

/// Every route of this room.
pub(super) fn routes() -> Vec<Route> {
    let hit = object(
        &[
            ("table", text("Its name.")),
            ("kind", one_of(&["alias", "overload"], "What it is.")),
            ("entry", text("The range with the address in it.")),
        ],
        &[],
    );
    let way = object(
        &[
            ("route", like(&samples::route())),
            ("wins", flag("Packets go this way.")),
            ("why", text("In words.")),
        ],
        &[],
    );
    let line = object(
        &[
            ("rule", number("Its number.")),
            ("description", text("What it is for.")),
            ("kind", text("never hit, shadowed, duplicate, never matches, too wide or temporary.")),
            ("text", text("In words.")),
        ],
        &[],
    );
    let file = object(
        &[("name", text("Its name.")), ("about", text("What it is.")), ("text", text("What stands in it."))],
        &[],
    );
    let mut routes = vec![
        Route::get("/tables/find", "Which tables have an address in them", list(hit), find).asks(ADDRESS),
        Route::get("/routes/find", "Which routes cover an address, the winner first", list(way), route_to)
            .asks(ADDRESS),
        Route::get(
            "/rules/report",
            "Rules that are never hit, shadowed, duplicate, too wide or temporary",
            list(line),
            async |call: Call| Reply::json(&rule_report::lines(&call.site).await.ok_or_else(unexpected)?),
        ),
        Route::get("/support", "What somebody who helps needs to know, without secrets", list(file), bundle)
            .needs(Scope::Read, Right::Administer),
        Route::new(
            Verb::Post,
            "/power",
            "Restarts the router process, or reboots or halts the machine where it is Koi's own",
            object(&[], &[]),
            power,
        )
        .takes(object(
            &[("step", one_of(&["restart", "reboot", "halt"], "What shall begin anew or end."))],
            &[],
        ))
        .needs(Scope::Operate, Right::Administer),
    ];
    routes.extend(inquiries());
    routes
}

/// What is asked of the network.
fn inquiries() -> [Route; 4] {
    let row = FindingRow { addresses: vec![IpAddr::from([0, 0, 0, 0])], ..FindingRow::default() };
    let found = like(&Finding { rows: vec![row], ..Finding::default() });
    let host = || ("host", text("Address or name."));
    let source = || ("source", text("An address of the router's own; the one toward the host by itself."));
    let ask = |path: &str, summary: &str, takes: Value, read: fn(Asking) -> Outcome<Inquiry>| {
        Route::new(Verb::Post, path, summary, found.clone(), move |call| inquire(call, read))
            .takes(takes)
            .needs(Scope::Operate, Right::Operate)
    };
    [
        ask(
            "/ping",
            "Sends echo requests",
            object(&[host()], &[source(), ("count", number("How many; 3 by itself, at most 10."))]),
            |asking| {
                Ok(Inquiry::Ping {
                    count: asking.count.unwrap_or(3),
                    source: asking.source,
                    host: asking.host()?,
                })
            },
        ),
        ask(
            "/traceroute",
            "Finds the way to a host",
            object(
                &[host()],
                &[
                    source(),
                    ("hops", number("As far as that; 18 by itself, at most 30.")),
                    ("icmp", flag("With echo requests instead of datagrams.")),
                ],
            ),
            |asking| {
                Ok(Inquiry::Trace {
                    hops: asking.hops.unwrap_or(18),
                    icmp: asking.icmp,
                    source: asking.source,
                    host: asking.host()?,
                })
            },
        ),
        ask(
            "/test-port",
            "Asks whether a TCP port takes connections",
            object(&[host(), ("port", number("The port."))], &[source()]),
            |asking| {
                let missing =
                    || Problem::malformed("/port", "No port is named.", "Name one from 1 to 65535.");
                Ok(Inquiry::Port {
                    port: asking.port.filter(|port| *port > 0).ok_or_else(missing)?,
                    source: asking.source,
                    host: asking.host()?,
                })
            },
        ),
        ask(
            "/dns",
            "Asks name servers for the addresses of a name",
            object(
                &[("host", text("The name."))],
                &[("server", text("The server; all that the document names by itself."))],
            ),
            |asking| Ok(Inquiry::Names { server: asking.server, name: asking.host()? }),
        ),
    ]
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Asking {
    host: String,
    source: Option<IpAddr>,
    server: Option<IpAddr>,
    count: Option<u8>,
    hops: Option<u8>,
    icmp: bool,
    port: Option<u16>,
}

impl Asking {
    fn host(self) -> Outcome<String> {
        match self.host.trim().is_empty() {
            true => Err(Problem::malformed("/host", "No host is named.", "Name one.")),
            false => Ok(self.host),
        }
    }
}

async fn inquire(call: Call, read: fn(Asking) -> Outcome<Inquiry>) -> Outcome<Reply> {
    let inquiry = read(call.json()?)?;
    match call.ask(Request::Inquire(inquiry)).await? {
        Response::Found(found) => Reply::json(&found),
        _ => Err(unexpected()),
    }
}

/// The address that is asked about. None is nowhere.
fn address(call: &Call) -> Outcome<Option<IpAddr>> {
    call.query.parse("address", |text: &str| text.parse().map_err(|_| "not an address".to_owned()))
}

async fn find(call: Call) -> Outcome<Reply> {
    let Some(address) = address(&call)? else { return Reply::json(&json!([])) };
    let entries = call.site.handle.overloaded().await.ok_or_else(unexpected)?;
    Reply::json(&tables::hits(&call.site.handle.in_force(), &entries, address))
}

async fn route_to(call: Call) -> Outcome<Reply> {
    let Some(address) = address(&call)? else { return Reply::json(&json!([])) };
    match call.ask(Request::Snapshot).await? {
        Response::Snapshot(snapshot) => Reply::json(&ways::candidates(&snapshot.routes, address)),
        _ => Err(unexpected()),
    }
}

async fn bundle(call: Call) -> Outcome<Reply> {
    let files = support::files(&call.site).await;
    call.note("asked for a support bundle");
    let row = |file: &support::File| json!({ "name": file.name, "about": file.about, "text": file.text });
    Reply::json(&files.iter().map(row).collect::<Vec<_>>())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Power {
    step: PowerStep,
}

async fn power(call: Call) -> Outcome<Reply> {
    let Power { step } = call.json()?;
    match call.ask(Request::Power(step)).await? {
        Response::Done => {
            call.note(format_args!("asked for a fresh start: {step:?}"));
            Reply::json(&json!({}))
        }
        Response::Failed(why) => Err(Problem::new(Kind::Conflict, sentence(&why))),
        _ => Err(unexpected()),
    }
}
