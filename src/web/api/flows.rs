//! The connection table: pages of it, and the end of flows.

use serde::Deserialize;
use serde_json::{Value, json};

use super::call::{Call, Reply, sentence, unexpected};
use super::problem::{Kind, Outcome, Problem};
use super::query::{Parameter, Query, Takes, parameter};
use super::route::{Route, Verb};
use super::samples;
use super::schema::{flag, like, list, maybe, number, object, text};
use crate::cluster::tokens::Scope;
use crate::conntrack::{Group, Sum, Survey};
use crate::io::request::{FlowFilter, Request, Response};
use crate::types::Prefix;
use crate::web::diagnostics::states::{REACH, WHOLE, by_word};
use crate::web::visitor::Right;
use crate::wire::protocol;

/// Flows on a page at most, and when nobody says how many.
const MOST: u64 = 1000;
const USUAL: u64 = 100;

const PAGE: &[Parameter] = &[
    parameter("src", Takes::Text, "Source address or network of the first packet, before translation."),
    parameter("dst", Takes::Text, "Destination address or network of the first packet, before translation."),
    parameter("address", Takes::Text, "Any of its addresses, before or after translation."),
    parameter("port", Takes::Number(65_535), "Either port."),
    parameter("protocol", Takes::Text, "tcp, udp, icmp, icmp6 or a number."),
    parameter("id", Takes::Number(u64::MAX), "Number of the flow."),
    parameter("rule", Takes::Number(u32::MAX as u64), "The rule that let it in or out."),
    parameter("gateway", Takes::Text, "Name of the gateway that it goes by, or its answers."),
    parameter("interface", Takes::Text, "Name of either interface."),
    parameter("state", Takes::Text, "opening, established or closing."),
    parameter("limit", Takes::Number(MOST), "How many at most; 100 by itself."),
    parameter("after", Takes::Number(u64::MAX), "Go on behind the flow of this number: what \"next\" said."),
];

const GROUPS: &[Parameter] = &[
    parameter("by", Takes::Text, "source (by itself), destination, rule or interface."),
    parameter("src", Takes::Text, "Source address or network of the first packet, before translation."),
    parameter("dst", Takes::Text, "Destination address or network of the first packet, before translation."),
    parameter("address", Takes::Text, "Any of its addresses, before or after translation."),
    parameter("port", Takes::Number(65_535), "Either port."),
    parameter("protocol", Takes::Text, "tcp, udp, icmp, icmp6 or a number."),
    parameter("rule", Takes::Number(u32::MAX as u64), "The rule that let it in or out."),
    parameter("interface", Takes::Text, "Name of either interface."),
    parameter("state", Takes::Text, "opening, established or closing."),
    parameter("limit", Takes::Number(MOST), "How many groups at most; 100 by itself."),
    parameter("whole", Takes::Flag, "Look at the whole table, however long that takes."),
];

/// Which flows, in a body. A key that is not known ends nothing.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Which {
    src: Option<String>,
    dst: Option<String>,
    address: Option<String>,
    port: Option<u16>,
    protocol: Option<String>,
    id: Option<u64>,
    rule: Option<u32>,
    gateway: Option<String>,
    interface: Option<String>,
    state: Option<String>,
    /// Every flow: must be said when nothing else is.
    all: bool,
}

/// Every route of this room.
pub(super) fn routes() -> Vec<Route> {
    let flows = object(
        &[
            ("flows", list(like(&samples::flow()))),
            ("total", number("All flows of the table, whether they fit or not.")),
            ("more", flag("There are more that fit.")),
            ("next", maybe(number("To go on with as \"after\"."))),
        ],
        &[],
    );
    let count = |about| object(&[("count", number(about))], &[]);
    vec![
        Route::get("/flows", "A page of the connection table", flows, show).asks(PAGE),
        Route::get(
            "/flows/groups",
            "What flows come to, by source, destination, rule or interface",
            sums(),
            groups,
        )
        .asks(GROUPS),
        Route::new(
            Verb::Post,
            "/flows/count",
            "How many flows there are of a kind",
            count("So many."),
            |call| end(call, true),
        )
        .takes(which()),
        Route::new(Verb::Post, "/flows/kill", "Ends flows", count("So many have ended."), |call| {
            end(call, false)
        })
        .takes(which())
        .needs(Scope::Operate, Right::Operate),
    ]
}

fn which() -> Value {
    object(
        &[],
        &[
            ("src", text("Source address or network of the first packet, before translation.")),
            ("dst", text("Destination address or network of the first packet, before translation.")),
            ("address", text("Any of its addresses, before or after translation.")),
            ("port", number("Either port.")),
            ("protocol", text("tcp, udp, icmp, icmp6 or a number.")),
            ("id", number("Number of the flow.")),
            ("rule", number("The rule that let it in or out.")),
            ("gateway", text("Name of the gateway that it goes by, or its answers.")),
            ("interface", text("Name of either interface.")),
            ("state", text("opening, established or closing.")),
            ("all", flag("Every flow; must be said when nothing else is.")),
        ],
    )
}

async fn show(call: Call) -> Outcome<Reply> {
    let query = &call.query;
    let filter = asked_for(query)?;
    let limit = query.number("limit").unwrap_or(USUAL).max(1) as u32;
    match call.ask(Request::Flows { filter, limit, after: query.number("after") }).await? {
        Response::Flows { rows, total, more } => {
            let next = rows.last().filter(|_| more).map(|row| row.id);
            Reply::json(&json!({ "flows": rows, "total": total, "more": more, "next": next }))
        }
        _ => Err(unexpected()),
    }
}

fn asked_for(query: &Query) -> Outcome<FlowFilter> {
    let name = |name: &str| query.text(name).map(str::to_owned);
    Ok(FlowFilter {
        src: query.parse("src", network)?,
        dst: query.parse("dst", network)?,
        address: query.parse("address", network)?,
        port: query.number("port").and_then(|port| port.try_into().ok()),
        protocol: query.parse("protocol", number_of)?,
        id: query.number("id"),
        rule: query.number("rule").and_then(|rule| rule.try_into().ok()),
        gateway: name("gateway"),
        interface: name("interface"),
        state: name("state"),
    })
}

fn sums() -> Value {
    let sum = [
        ("flows", number("How many.")),
        ("packets", number("Packets of both ways.")),
        ("bytes", number("Their bytes.")),
    ];
    let mut group = vec![("group", text("An address, the number of a rule, or the name of an interface."))];
    group.extend(sum.clone());
    object(
        &[
            ("groups", list(object(&group, &[]))),
            ("others", object(&sum, &[])),
            ("found", number("Flows that fit, of those that were looked at.")),
            ("looked", number("Slots of the table that were looked at.")),
            ("whole", flag("The whole table was looked at.")),
        ],
        &[],
    )
}

/// Sums by group, over a part of the table unless the whole is asked for.
async fn groups(call: Call) -> Outcome<Reply> {
    let compiled = call.site.handle.in_force();
    let conflict = |why: String| Problem::new(Kind::Conflict, sentence(&why));
    let filter = asked_for(&call.query)?.within(&compiled).map_err(conflict)?;
    let word = call.query.text("by").unwrap_or("source");
    let by = by_word(word).ok_or_else(|| {
        let remedy = "Write source, destination, rule or interface.";
        Problem::malformed("?by", format!("\"{word}\" does not fit here."), remedy)
    })?;
    let reach = if call.query.flag("whole") { WHOLE } else { REACH };
    let limit = call.query.number("limit").unwrap_or(USUAL) as usize;
    let survey = call.site.handle.survey(Survey::sums(filter, by, reach)).await.ok_or_else(unexpected)?;
    let name = |group: Group| match group {
        Group::Address(address) => address.to_string(),
        Group::Rule(rule) => rule.to_string(),
        Group::Interface(id) => compiled.link(id).map_or_else(|| "self".into(), |link| link.name.clone()),
    };
    let told = |sum: Sum| json!({ "flows": sum.flows, "packets": sum.packets, "bytes": sum.bytes });
    let rows: Vec<Value> = survey
        .largest(limit)
        .into_iter()
        .map(|(group, sum)| {
            let mut row = told(sum);
            row["group"] = name(group).into();
            row
        })
        .collect();
    Reply::json(&json!({
        "groups": rows,
        "others": told(survey.others()),
        "found": survey.found(),
        "looked": survey.looked(),
        "whole": survey.is_over(),
    }))
}

async fn end(call: Call, only_count: bool) -> Outcome<Reply> {
    let which: Which = call.json()?;
    let all = which.all;
    let filter = which.filter()?;
    if all == (filter != FlowFilter::default()) {
        let remedy = "Name some flows, or set \"all\" to true, and not both.";
        return Err(Problem::malformed("/all", "It is not clear which flows are meant.", remedy));
    }
    let request = if only_count { Request::Count { filter } } else { Request::Kill { filter } };
    match call.ask(request).await? {
        Response::Counted { count } => Reply::json(&json!({ "count": count })),
        Response::Killed { count } => {
            call.note(format_args!("ended {count} flows"));
            Reply::json(&json!({ "count": count }))
        }
        _ => Err(unexpected()),
    }
}

impl Which {
    fn filter(self) -> Outcome<FlowFilter> {
        let Which { src, dst, address, port, protocol, id, rule, gateway, interface, state, all: _ } = self;
        let prefix = |name: &str, text: Option<String>| read(name, text, network);
        Ok(FlowFilter {
            src: prefix("/src", src)?,
            dst: prefix("/dst", dst)?,
            address: prefix("/address", address)?,
            protocol: read("/protocol", protocol, number_of)?,
            port,
            id,
            rule,
            gateway,
            interface,
            state,
        })
    }
}

fn read<T>(
    place: &str,
    text: Option<String>,
    read: impl Fn(&str) -> Result<T, String>,
) -> Outcome<Option<T>> {
    let wrong = |text: &str, why| {
        Problem::malformed(place, format!("\"{text}\" does not fit here."), format!("It is {why}."))
    };
    text.map(|text| read(&text).map_err(|why| wrong(&text, why))).transpose()
}

fn network(text: &str) -> Result<Prefix, String> {
    let address = || text.parse::<std::net::IpAddr>().map(Prefix::from);
    text.parse::<Prefix>().or_else(|_| address()).map_err(|_| "not an address or a network".to_owned())
}

/// The number of a protocol.
pub(super) fn number_of(text: &str) -> Result<u8, String> {
    match text {
        "tcp" => Ok(protocol::TCP),
        "udp" => Ok(protocol::UDP),
        "icmp" => Ok(protocol::ICMP),
        "icmp6" => Ok(protocol::ICMPV6),
        number => number.parse().map_err(|_| "not tcp, udp, icmp, icmp6 or a number up to 255".to_owned()),
    }
}
