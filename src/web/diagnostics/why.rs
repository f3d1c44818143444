//! Diagnostics, Why?: the way of a packet through the policy, step by step, each with a link to what decided.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;

use super::packet::Packet;
use super::states::sentence;
use crate::node::snapshot::FlowRow;
use crate::node::{Compiled, Explanation, Step, flow_row};
use crate::web::form::tree;
use crate::web::frame::Frame;
use crate::web::message::{busy, html};
use crate::web::pages::COLLECTIONS;
use crate::web::site::Site;
use crate::web::visitor::Visitor;
use crate::web::what_if::{self, Found, WhatIf};
use crate::web::whereabouts;

/// Where it is.
pub(super) const WHY: &str = "/diagnostics/why";

/// What stands behind the question mark.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Wanted {
    #[serde(flatten)]
    packet: Packet,
    /// A record of the firewall log.
    log: String,
    /// A flow.
    flow: String,
    /// `candidate`, or what is in force.
    under: String,
    node: String,
    down: String,
}

/// A step as it is shown.
struct Line {
    what: &'static str,
    text: String,
    /// Who decided, and where that is.
    by: String,
    path: Option<String>,
}

/// The answer.
struct Answer {
    mark: String,
    words: String,
    lines: Vec<Line>,
    flow: Option<FlowRow>,
    passes: bool,
}

/// The page.
#[derive(Template)]
#[template(path = "why.html")]
struct Page {
    frame: Frame,
    packet: Packet,
    interfaces: Vec<String>,
    gateways: Vec<String>,
    nodes: Vec<String>,
    under: String,
    node: String,
    down: String,
    wrong: Vec<String>,
    answer: Option<Answer>,
}

/// `GET /diagnostics/why`
pub(super) async fn show(
    State(site): State<Site>,
    visitor: Visitor,
    Query(wanted): Query<Wanted>,
) -> Response {
    let Wanted { mut packet, log, flow, under, node, down } = wanted;
    let compiled = site.handle.in_force();
    let mut wrong = Vec::new();
    match meant(&site, &compiled, &log, &flow).await {
        None => return busy(),
        Some(Ok(Some(found))) => packet = found,
        Some(Ok(None)) => {}
        Some(Err(why)) => wrong.push(why),
    }
    let filled = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let what = WhatIf {
        candidate: under == "candidate",
        node: filled(&node),
        down: filled(&down).into_iter().collect(),
    };
    let mut answer = None;
    if wrong.is_empty() && !packet.is_empty() {
        match packet.asked() {
            Err(problems) => wrong = problems,
            Ok(asked) => match what_if::ask(&site, &asked, &what).await {
                Ok(found) => answer = Some(Answer::of(&found)),
                Err(why) => wrong.push(sentence(&why)),
            },
        }
    }
    let config = &compiled.config;
    html(&Page {
        frame: Frame::new(&site, &visitor, "Why?", WHY).await,
        packet,
        interfaces: config.interfaces.iter().map(|one| one.name.clone()).chain(["self".into()]).collect(),
        gateways: config.gateways.iter().map(|gateway| gateway.name.clone()).collect(),
        nodes: config.nodes.iter().map(|node| node.name.clone()).collect(),
        under,
        node,
        down,
        wrong,
        answer,
    })
}

/// The packet of a record or of a flow; the outer `None` when the router is too busy.
pub(in crate::web) async fn meant(
    site: &Site,
    compiled: &Compiled,
    log: &str,
    flow: &str,
) -> Option<Result<Option<Packet>, String>> {
    if let Ok(id) = log.parse::<u64>() {
        let (records, _) = site.handle.log(id.saturating_sub(1), usize::MAX).await?;
        let record = records.iter().find(|record| record.id == id);
        let gone = || "The firewall log does not have this record any more.".to_owned();
        return Some(record.map(|record| Some(Packet::of_record(compiled, record))).ok_or_else(gone));
    }
    if let Ok(id) = flow.parse::<u64>() {
        let flow = site.handle.flow(id).await?;
        let gone = || "This state is over.".to_owned();
        return Some(flow.map(|flow| Some(Packet::of_flow(compiled, &flow))).ok_or_else(gone));
    }
    Some(Ok(None))
}

impl Answer {
    fn of(found: &Found) -> Answer {
        let Found { explanation, compiled, flow } = found;
        let Explanation { verdict, reason, leaves, steps } = explanation;
        let words = match (leaves, reason) {
            (Some(leaves), _) if leaves.interface == "self" => {
                format!(
                    "For this firewall itself, as {} port {}.",
                    leaves.destination, leaves.destination_port
                )
            }
            (Some(leaves), _) => format!(
                "Leaves by {} from {} to {} port {}.",
                leaves.interface, leaves.source, leaves.destination, leaves.destination_port
            ),
            (None, Some(reason)) => format!("Goes no further: {}.", reason.replace('-', " ")),
            (None, None) => "Goes no further.".into(),
        };
        let tree = tree::tree(&compiled.config);
        Answer {
            mark: if verdict == "drop" { "block".into() } else { verdict.clone() },
            words,
            lines: steps.iter().map(|step| Line::of(&tree, step)).collect(),
            flow: flow.as_ref().map(|flow| flow_row(compiled, flow)),
            passes: verdict == "pass",
        }
    }
}

impl Line {
    fn of(tree: &Value, step: &Step) -> Line {
        let Step { what, rule, setting, text } = step;
        let what = match what.as_str() {
            "destination" => "Destination NAT",
            "rules in" => "Rules, coming in",
            "schedule" => "Schedule",
            "gateway" => "Gateway",
            "route" => "Route",
            "answers" => "Answers",
            "source" => "Source NAT",
            "rules out" => "Rules, going out",
            _ => "Decision",
        };
        let by = match (rule, setting) {
            (Some(rule), Some(setting)) => format!("rule {rule}, from {setting}"),
            (Some(rule), None) => format!("rule {rule}"),
            (None, Some(setting)) => setting.clone(),
            (None, None) => String::new(),
        };
        let of_rule = rule.and_then(|rule| of_rule(tree, rule));
        let path = of_rule.or_else(|| setting.as_deref().and_then(of_setting).map(str::to_owned));
        Line { what, text: sentence(text.trim_end_matches([':', ' '])), by, path }
    }
}

/// The page of a rule or translation.
fn of_rule(tree: &Value, rule: u32) -> Option<String> {
    let key = rule.to_string();
    let mut numbered = COLLECTIONS.iter().filter(|collection| collection.key == "id");
    numbered.find_map(|collection| {
        let index = collection.find(tree, &key)?;
        whereabouts::entry(collection, tree, index).map(|found| found.path)
    })
}

/// The page of a setting; nothing turns off what has none.
fn of_setting(setting: &str) -> Option<&'static str> {
    match setting {
        "system.anti_lockout" | "system.nat_reflection" => Some("/system/advanced"),
        "interface" | "interface.block_private" | "interface.block_bogons" | "node.interface.addresses" => {
            Some("/interfaces")
        }
        "virtual_ip" => Some("/firewall/virtual-ips"),
        "pair" => Some("/system/high-availability"),
        "port_forward" => Some("/firewall/nat/port-forward"),
        "outbound.mode" => Some("/firewall/nat/mode"),
        "rule.overload" | "rule.disable_reply_to" | "rule.gateway" => Some("/firewall/rules"),
        "route" => Some("/system/routes"),
        "gateway.default" => Some("/system/gateways"),
        "gateway_group.default" => Some("/system/gateway-groups"),
        _ => None,
    }
}

/// What the template writes with.
mod filters {
    /// The addresses of `tcp source -> destination`.
    #[askama::filter_fn]
    pub fn way(flow: &str, _: &dyn askama::Values) -> askama::Result<String> {
        let addresses = flow.split_once(' ').map_or(flow, |(_, addresses)| addresses);
        Ok(addresses.replace("->", "\u{2192}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_that_decides_has_its_page() {
        let routes = crate::web::routes::all();
        for setting in [
            "system.anti_lockout",
            "system.nat_reflection",
            "interface",
            "interface.block_private",
            "interface.block_bogons",
            "node.interface.addresses",
            "virtual_ip",
            "pair",
            "port_forward",
            "outbound.mode",
            "rule.overload",
            "rule.disable_reply_to",
            "rule.gateway",
            "route",
            "gateway.default",
            "gateway_group.default",
        ] {
            let path = of_setting(setting).unwrap();
            assert!(routes.iter().any(|route| route.path == path), "{setting}: {path}");
        }
        assert_eq!(of_setting("default policy"), None);
    }
}
