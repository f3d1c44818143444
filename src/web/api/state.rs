//! What the router is doing: what `koi show` shows, as it is.

use serde::Deserialize;
use serde_json::json;

use super::call::{Call, Reply, sentence, unexpected};
use super::flows::number_of;
use super::problem::{Kind, Outcome, Problem};
use super::query::{Parameter, Takes, parameter};
use super::route::{Route, Verb};
use super::samples;
use super::schema::{like, list, number, object, one_of, text};
use crate::cluster::tokens::Scope;
use crate::io::request::{Request, Response, Status};
use crate::node::snapshot::{CounterRow, InterfaceRow, PortRow, Snapshot};
use crate::node::{Asked, Explanation, GroupRow, Policy, RuleRow, TableRow, TranslationRow};
use crate::web::diagnostics::neighbours;
use crate::web::visitor::Right;
use crate::web::what_if::{self, WhatIf};

const ALL: &[Parameter] = &[parameter("all", Takes::Flag, "Also those that are zero.")];

/// Every route of this room.
pub(super) fn routes() -> Vec<Route> {
    let interfaces = object(
        &[("ports", list(like(&PortRow::default()))), ("interfaces", list(like(&InterfaceRow::default())))],
        &[],
    );
    let tables = object(
        &[("tables", list(like(&TableRow::default()))), ("groups", list(like(&GroupRow::default())))],
        &[],
    );
    let deed = object(
        &[
            ("at", number("Seconds since 1970.")),
            ("who", text("Name of the user.")),
            ("from", text("Their address.")),
            ("what", text("In words.")),
        ],
        &[],
    );
    let explanation = Explanation { verdict: String::new(), reason: None, leaves: None, steps: Vec::new() };
    vec![
        Route::get(
            "/status",
            "How the router is, and what privileges it kept",
            like(&Status::default()),
            status,
        ),
        Route::get("/interfaces", "Ports and logical interfaces", interfaces, interfaces_of),
        Route::get("/routes", "Routes", list(like(&samples::route())), async |call: Call| {
            Reply::json(&snapshot(&call).await?.routes)
        }),
        Route::get(
            "/gateways",
            "Gateways as they are watched, and the groups that are made of them",
            object(
                &[("gateways", list(like(&samples::gateway()))), ("groups", list(like(&samples::group())))],
                &[],
            ),
            async |call: Call| {
                let Snapshot { gateways, gateway_groups, .. } = snapshot(&call).await?;
                Reply::json(&json!({ "gateways": gateways, "groups": gateway_groups }))
            },
        ),
        Route::get(
            "/neighbours",
            "ARP and neighbour discovery tables",
            list(like(&samples::neighbour())),
            async |call: Call| Reply::json(&snapshot(&call).await?.neighbours),
        ),
        Route::new(
            Verb::Post,
            "/neighbours/forget",
            "This node forgets a neighbour, which is asked for anew when somebody sends to it",
            object(&[], &[]),
            forget,
        )
        .takes(object(&[("interface", text("Where it is.")), ("address", text("Its address."))], &[]))
        .needs(Scope::Operate, Right::Operate),
        Route::get("/counters", "Named counters", list(like(&CounterRow::new("", 0, ""))), counters)
            .asks(ALL),
        Route::get("/drops", "The recent drops, the latest last", list(like(&samples::dropped())), drops),
        Route::get(
            "/rules",
            "Filter rules with their counters, automatic ones included",
            list(like(&RuleRow::default())),
            async |call: Call| Reply::json(&policy(&call).await?.rules),
        ),
        Route::get("/tables", "Aliases and interface groups", tables, async |call: Call| {
            let Policy { tables, groups, .. } = policy(&call).await?;
            Reply::json(&json!({ "tables": tables, "groups": groups }))
        }),
        Route::get(
            "/translations",
            "Port forwards, 1:1, NPt and outbound mappings",
            list(like(&TranslationRow::default())),
            async |call: Call| Reply::json(&policy(&call).await?.translations),
        ),
        Route::new(
            Verb::Post,
            "/explain",
            "What would become of the first packet of a flow, and who decides",
            like(&explanation),
            explain,
        )
        .takes(question()),
        Route::get(
            "/audit",
            "Who logged in and who changed what of late, the newest first",
            list(deed),
            audit,
        )
        .needs(Scope::Read, Right::Administer),
    ]
}

fn question() -> serde_json::Value {
    object(
        &[
            ("interface", text("Interface by which it comes in; self for the router's own.")),
            ("src", text("Source address.")),
            ("dst", text("Destination address.")),
        ],
        &[
            ("protocol", text("tcp (by itself), udp, icmp or a number.")),
            ("sport", number("Source port; 40000 by itself.")),
            ("dport", number("Destination port; 443 by itself.")),
            ("dscp", number("Code point; 0 by itself.")),
            ("under", one_of(&["running", "candidate"], "Under which document; running by itself.")),
            ("node", text("What if only this node is left: the one that serves.")),
            ("down", list(text("What if this gateway is down."))),
        ],
    )
}

async fn status(call: Call) -> Outcome<Reply> {
    match call.ask(Request::Status).await? {
        Response::Status(status) => Reply::json(&status),
        _ => Err(unexpected()),
    }
}

async fn snapshot(call: &Call) -> Outcome<Snapshot> {
    match call.ask(Request::Snapshot).await? {
        Response::Snapshot(snapshot) => Ok(*snapshot),
        _ => Err(unexpected()),
    }
}

/// Which neighbour.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Neighbour {
    interface: String,
    address: std::net::IpAddr,
}

async fn forget(call: Call) -> Outcome<Reply> {
    let Neighbour { interface, address } = call.json()?;
    match neighbours::forgotten(&call.site, &interface, address).await {
        Ok(()) => {
            call.note(neighbours::deed(&call.site, &interface, address));
            Reply::json(&json!({}))
        }
        Err(why) => Err(Problem::new(Kind::Conflict, sentence(&why))),
    }
}

async fn policy(call: &Call) -> Outcome<Policy> {
    match call.ask(Request::Policy).await? {
        Response::Policy(policy) => Ok(*policy),
        _ => Err(unexpected()),
    }
}

async fn interfaces_of(call: Call) -> Outcome<Reply> {
    let Snapshot { ports, interfaces, .. } = snapshot(&call).await?;
    Reply::json(&json!({ "ports": ports, "interfaces": interfaces }))
}

async fn counters(call: Call) -> Outcome<Reply> {
    let mut counters = snapshot(&call).await?.counters;
    counters.retain(|counter| counter.value > 0 || call.query.flag("all"));
    Reply::json(&counters)
}

async fn drops(call: Call) -> Outcome<Reply> {
    match call.ask(Request::Drops).await? {
        Response::Drops(drops) => Reply::json(&drops),
        _ => Err(unexpected()),
    }
}

async fn audit(call: Call) -> Outcome<Reply> {
    let deeds = call.site.deeds().into_iter();
    let row = |deed: crate::web::audit::Deed| json!({ "at": deed.at, "who": deed.who, "from": deed.from, "what": deed.what });
    Reply::json(&deeds.map(row).collect::<Vec<_>>())
}

/// The question about a packet.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Packet {
    interface: String,
    src: std::net::IpAddr,
    dst: std::net::IpAddr,
    #[serde(default = "tcp")]
    protocol: String,
    #[serde(default = "some_port")]
    sport: u16,
    #[serde(default = "https")]
    dport: u16,
    #[serde(default)]
    dscp: u8,
    #[serde(default)]
    under: Under,
    #[serde(default)]
    node: Option<String>,
    #[serde(default)]
    down: Vec<String>,
}

#[derive(Deserialize, Default, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum Under {
    #[default]
    Running,
    Candidate,
}

fn tcp() -> String {
    "tcp".into()
}

fn some_port() -> u16 {
    40_000
}

fn https() -> u16 {
    443
}

async fn explain(call: Call) -> Outcome<Reply> {
    let Packet { interface, src, dst, protocol, sport, dport, dscp, under, node, down } = call.json()?;
    let protocol = number_of(&protocol)
        .map_err(|why| Problem::malformed("/protocol", "This is no protocol.", format!("It is {why}.")))?;
    let asked = Asked { interface, src, sport, dst, dport, protocol, dscp };
    let what = WhatIf { candidate: under == Under::Candidate, node, down };
    if what.is_real() {
        return match call.ask(Request::Explain(asked)).await? {
            Response::Explained(explanation) => Reply::json(&explanation),
            _ => Err(unexpected()),
        };
    }
    match what_if::ask(&call.site, &asked, &what).await {
        Ok(found) => Reply::json(&found.explanation),
        Err(why) => Err(Problem::new(Kind::Conflict, sentence(&why))),
    }
}
