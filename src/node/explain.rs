//! What would become of a packet, and by which rule or setting: the packet path's own questions, asked without a packet.
//!
//! Invariant: [`explain`] asks the same values in the same order as `node/forward.rs` does for the first packet of a
//! flow; a property test holds the two against each other. It knows no state: neighbours, limits and flows that exist
//! may still change what happens.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::compiled::{Compiled, RouteOrigin};
use super::refusal::Answer;
use super::translate::Reflection;
use super::ways::{Out, Ways, Why};
use crate::nat::{Inward, Outward, Whole};
use crate::route::Status;
use crate::rules::{Decision, Pass, Query, Setting, Tag, Verdict};
use crate::types::{Direction, InterfaceId, Prefix, RuleId};
use crate::wire::{Drop, FlowKey, Transport, protocol};

/// The first packet of a flow.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    /// Where it comes in; [`InterfaceId::SELF`] for the router's own.
    pub ingress: InterfaceId,
    /// Addresses, ports, protocol.
    pub key: FlowKey,
    /// Its transport header.
    pub transport: Transport,
    /// Its code point.
    pub dscp: u8,
}

/// A question in words, as commands and pages ask it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Asked {
    /// Name of the interface by which it comes in; `self` for the router's own.
    pub interface: String,
    /// Source address.
    pub src: IpAddr,
    /// Source port.
    pub sport: u16,
    /// Destination address.
    pub dst: IpAddr,
    /// Destination port.
    pub dport: u16,
    /// IP protocol number.
    pub protocol: u8,
    /// Code point.
    pub dscp: u8,
}

impl Asked {
    /// The question that these words ask; of ICMP it is the echo request.
    ///
    /// # Errors
    /// When they make no sense, in words.
    pub fn question(&self, compiled: &Compiled) -> Result<Question, String> {
        let Asked { interface, src, sport, dst, dport, protocol: number, dscp } = self;
        let found = compiled.links.iter().position(|link| link.name == *interface);
        let ingress = match found {
            Some(index) => InterfaceId(index as u8),
            None if interface == "self" => InterfaceId::SELF,
            None => {
                let names: Vec<&str> = compiled.links.iter().map(|link| link.name.as_str()).collect();
                return Err(format!("there is no interface \"{interface}\"; there are {}", names.join(", ")));
            }
        };
        let (number, ports) = match (*number, src.is_ipv4()) {
            (protocol::ICMP | protocol::ICMPV6, true) => (protocol::ICMP, (1, 8)),
            (protocol::ICMP | protocol::ICMPV6, false) => (protocol::ICMPV6, (1, 128)),
            (protocol::TCP | protocol::UDP, _) => (*number, (*sport, *dport)),
            (other, _) => (other, (0, 0)),
        };
        let key = FlowKey::new(number, *src, ports.0, *dst, ports.1);
        let key = key.ok_or_else(|| format!("{src} and {dst} are of two families"))?;
        Ok(Question { dscp: *dscp, ..Question::first(ingress, key) })
    }
}

impl Question {
    /// The packet that usually begins such a flow: a SYN, a datagram, an echo request.
    pub fn first(ingress: InterfaceId, key: FlowKey) -> Self {
        Question { ingress, key, transport: Transport::of_flow(&key), dscp: 0 }
    }
}

/// What would become of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Explanation {
    /// `pass`, `block`, `reject` or `drop`.
    pub verdict: String,
    /// The counter, when it goes no further.
    pub reason: Option<String>,
    /// How it leaves, when it does.
    pub leaves: Option<Leaving>,
    /// Each decision on the way, in order.
    pub steps: Vec<Step>,
}

/// How a packet leaves.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Leaving {
    /// The interface; `self` when it is for the router itself.
    pub interface: String,
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// Destination port.
    pub destination_port: u16,
}

/// One decision.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Step {
    /// `destination`, `rules in`, `schedule`, `gateway`, `route`, `answers`, `source` or `rules out`.
    pub what: String,
    /// The rule or entry that made it.
    pub rule: Option<u32>,
    /// The setting that owns that rule; `default policy` when nothing turns it off.
    pub setting: Option<String>,
    /// In words.
    pub text: String,
}

/// Why a way ends.
struct End {
    verdict: &'static str,
    reason: &'static str,
}

/// The packet as rules see it that comes in: behind the translation of its destination.
pub fn inside(compiled: &Compiled, question: &Question) -> FlowKey {
    let Question { ingress, key, transport, dscp } = *question;
    let from_self = ingress == InterfaceId::SELF;
    let query = Query { from_self, dscp: Some(dscp), ..Query::new(Direction::In, ingress, key, transport) };
    destination(compiled, &query, &mut Vec::new()).map_or(key, |(inside, ..)| inside)
}

/// Explains what would become of the first packet of a flow, while gateways are like this, in the document's order; those
/// that are not named are up.
pub fn explain(compiled: &Compiled, statuses: &[Status], question: &Question) -> Explanation {
    let mut steps = Vec::new();
    let selection = compiled.selection(statuses);
    let ways = Ways { compiled, selection: &selection };
    match walk(ways, question, &mut steps) {
        Ok(leaves) => Explanation { verdict: "pass".into(), reason: None, leaves: Some(leaves), steps },
        Err(End { verdict, reason }) => {
            Explanation { verdict: verdict.into(), reason: Some(reason.into()), leaves: None, steps }
        }
    }
}

fn walk(ways: Ways<'_>, question: &Question, steps: &mut Vec<Step>) -> Result<Leaving, End> {
    let compiled = ways.compiled;
    let Question { ingress, key: original, transport, dscp } = *question;
    let from_self = ingress == InterfaceId::SELF;
    let query =
        Query { from_self, dscp: Some(dscp), ..Query::new(Direction::In, ingress, original, transport) };
    let (key, forward, reflected) = destination(compiled, &query, steps)?;
    let to_self = !from_self && compiled.is_own(key.dst(), ingress);
    let mut query = Query { key, forward, to_self, ..query };
    let mut pass_in = None;
    if !from_self {
        let (pass, tag) = filter(ways, &query, "rules in", steps)?;
        (pass_in, query.tag) = (Some(pass), tag);
    }
    if to_self {
        steps.push(Step::setting(
            "route",
            "interface",
            format!("{} is this firewall's own address", key.dst()),
        ));
        return Ok(leaving("self", &key));
    }
    let link_local = |address: IpAddr| match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    if !from_self && (link_local(key.src()) || link_local(key.dst())) {
        steps.push(Step::setting("route", "default policy", "link-local addresses are not forwarded".into()));
        return Err(End { verdict: "drop", reason: Drop::LinkLocal.name() });
    }
    let egress = route(ways, &query, pass_in, steps)?;
    if let Some(gateway) = ways.back(ingress, original.src(), pass_in) {
        let text = format!("go back by the gateway {}", compiled.gateway_name(gateway));
        steps.push(Step::setting("answers", "rule.disable_reply_to", text));
    }
    let query = Query { direction: Direction::Out, interface: egress, ..query };
    let outside = source(compiled, &query, reflected, steps)?;
    filter(ways, &Query { key: outside, ..query }, "rules out", steps)?;
    Ok(leaving(compiled.link(egress).map_or("self", |link| &link.name), &outside))
}

fn leaving(interface: &str, key: &FlowKey) -> Leaving {
    let (source, destination, destination_port) = (key.src(), key.dst(), key.dst_port());
    Leaving { interface: interface.into(), source, destination, destination_port }
}

/// Translation of the destination. Of several targets the first one is told.
fn destination(
    compiled: &Compiled,
    query: &Query,
    steps: &mut Vec<Step>,
) -> Result<(FlowKey, Option<RuleId>, Option<Reflection>), End> {
    let key = query.key;
    let Some((_, deed)) = compiled.translations.inward(query) else { return Ok((key, None, None)) };
    let with = |address: IpAddr, port: u16| {
        let port =
            if matches!(key.protocol(), protocol::TCP | protocol::UDP) { port } else { key.dst_port() };
        FlowKey::new(key.protocol(), key.src(), key.src_port(), address, port)
    };
    let (inside, forward) = match deed {
        Inward::Keep(_) => (None, None),
        Inward::Forward(forward) => {
            let first = forward.targets.nth(key.family(), 0);
            (first.and_then(|address| with(address, forward.port(key.dst_port()))), Some(forward.id))
        }
        Inward::Whole(Whole { mapping, .. }) => {
            let Some(address) = mapping.inward(key.dst()) else {
                steps.push(Step::rule("destination", deed.id(), "stands for nobody".into()));
                return Err(UNMAPPED);
            };
            (with(address, key.dst_port()), None)
        }
    };
    let text = match inside {
        Some(inside) => format!("to {} port {}", inside.dst(), inside.dst_port()),
        None => "stays as it is".into(),
    };
    steps.push(Step::rule("destination", deed.id(), text));
    let reflected = Reflection::new(deed, query.interface).filter(|_| inside.is_some());
    Ok((inside.unwrap_or(key), forward.filter(|_| inside.is_some()), reflected))
}

/// No address of the other prefix stands for this one.
const UNMAPPED: End = End { verdict: "drop", reason: Drop::PrefixUnmapped.name() };

fn filter(ways: Ways<'_>, query: &Query, what: &str, steps: &mut Vec<Step>) -> Result<(Pass, Tag), End> {
    let Ways { compiled, selection } = ways;
    let Decision { verdict, tag } = compiled.ruleset.decide_among(query, selection.idle(), |_| {});
    let rule = verdict.rule();
    let info = compiled.ruleset.rule(rule);
    let setting = info.and_then(|info| info.automatic);
    let words = info.map_or("", |info| info.description.as_str());
    let text = match verdict {
        Verdict::Pass(_) => format!("pass: {words}"),
        Verdict::Block { reject: false, .. } => format!("block: {words}"),
        Verdict::Block { reject: true, .. } => match Answer::to_rejected(query.transport) {
            Answer::Reset => format!("reject with a RST: {words}"),
            Answer::Error(_) | Answer::Cookie(_) | Answer::Challenge(_) | Answer::Handshake(..) => {
                format!("reject with an ICMP error: {words}")
            }
        },
    };
    steps.push(Step {
        what: what.into(),
        rule: Some(rule.0),
        setting: setting.map(|setting: Setting| setting.path().unwrap_or("default policy").into()),
        text,
    });
    tell_hours(ways, query, verdict, steps);
    match verdict {
        Verdict::Pass(pass) => Ok((pass, tag)),
        Verdict::Block { drop, reject, .. } => {
            Err(End { verdict: if reject { "reject" } else { "block" }, reason: drop.name() })
        }
    }
}

/// A rule that decides in its hours, and whether the clock that says so is sure.
fn tell_hours(ways: Ways<'_>, query: &Query, verdict: Verdict, steps: &mut Vec<Step>) {
    let Ways { compiled, selection } = ways;
    let decided = compiled.ruleset.rule(verdict.rule());
    let doubt = compiled.conditions.doubt.as_ref().map_or(String::new(), |why| format!("; {why}"));
    if let Some((info, schedule)) = decided.and_then(|info| Some((info, info.schedule.as_ref()?))) {
        let text = format!("{schedule}: in its hours{doubt}");
        steps.push(Step::rule("schedule", info.id, text));
    }
    if let Some((info, term)) = decided.and_then(|info| Some((info, info.term.as_ref()?))) {
        steps.push(Step::rule("schedule", info.id, format!("{term}: in its time{doubt}")));
    }
    let other = compiled
        .ruleset
        .awake()
        .map(|awake| awake.decide_among(query, selection.idle(), |_| {}).verdict.rule());
    let Some(info) =
        other.filter(|rule| *rule != verdict.rule()).and_then(|rule| compiled.ruleset.rule(rule))
    else {
        return;
    };
    let text = match (&info.schedule, &info.term) {
        (_, Some(term)) if info.asleep => format!("{term}: this rule would decide{doubt}"),
        (Some(schedule), _) => {
            format!("{schedule}: this rule decides in its hours, which are not now{doubt}")
        }
        (None, _) => {
            format!("another rule's schedule: this rule decides in its hours, which are not now{doubt}")
        }
    };
    steps.push(Step::rule("schedule", info.id, text));
}

/// The way out: of a rule's gateway, or where the routes lead.
fn route(
    ways: Ways<'_>,
    query: &Query,
    pass_in: Option<Pass>,
    steps: &mut Vec<Step>,
) -> Result<InterfaceId, End> {
    let compiled = ways.compiled;
    let key = &query.key;
    let out = ways.out(key, query.from_self, pass_in);
    if let Some(pass) = pass_in {
        steps.extend(gateway(ways, pass, out.as_ref()));
    }
    let Some(Out { hop, why, .. }) = out else {
        steps.push(Step::setting("route", "route", format!("there is no route to {}", key.dst())));
        return Err(End { verdict: "drop", reason: Drop::NoRoute.name() });
    };
    let name = compiled.link(hop.interface).map_or("self", |link| link.name.as_str());
    let setting = match why {
        Why::Rule(_) => "rule.gateway",
        Why::Source => "default policy",
        Why::Route => origin(compiled, key.dst()),
    };
    let text = match hop.gateway {
        Some(gateway) => format!("by {name} to the gateway {gateway}"),
        None => format!("by {name}, to which {} is attached", key.dst()),
    };
    steps.push(Step::setting("route", setting, text));
    Ok(hop.interface)
}

/// The setting that the route to an address comes from.
fn origin(compiled: &Compiled, destination: IpAddr) -> &'static str {
    let covers = |(net, _, _): &&(Prefix, _, _)| net.contains(&destination);
    let origin = compiled.routes.iter().filter(covers).max_by_key(|(net, ..)| net.prefix_len());
    match origin {
        Some((_, _, RouteOrigin::Connected)) => "node.interface.addresses",
        Some((_, _, RouteOrigin::Static)) => "route",
        Some((_, _, RouteOrigin::Default)) => "gateway.default",
        None => "gateway_group.default",
    }
}

/// What came of the gateway that a rule names.
fn gateway(ways: Ways<'_>, pass: Pass, out: Option<&Out>) -> Option<Step> {
    let choice = pass.choice()?;
    let Ways { compiled, selection } = ways;
    let config = &compiled.config;
    let group = choice.place().checked_sub(config.gateways.len());
    let group = group.and_then(|index| Some((index, config.gateway_groups.get(index)?)));
    let name = match group {
        Some((_, group)) => &group.name,
        None => &config.gateways.get(choice.place())?.name,
    };
    let text = match out {
        Some(Out { why: Why::Rule(_), gateway: Some(id), .. }) => match group {
            Some((index, _)) => {
                let tier = selection.tier(index);
                format!("{}, which the group {name} uses in tier {tier}", compiled.gateway_name(*id))
            }
            None => name.clone(),
        },
        Some(Out { hop, .. }) if hop.gateway.is_none() => {
            format!("not {name}: the destination is attached directly")
        }
        Some(_) | None if group.is_some() => format!("all gateways of {name} are down: the routes decide"),
        Some(_) | None => format!("{name} is down: the routes decide"),
    };
    Some(Step::rule("gateway", pass.rule(), text))
}

/// Translation of the source. Of several addresses the first one is told.
fn source(
    compiled: &Compiled,
    query: &Query,
    reflected: Option<Reflection>,
    steps: &mut Vec<Step>,
) -> Result<FlowKey, End> {
    let key = query.key;
    let with = |address: IpAddr| {
        FlowKey::new(key.protocol(), address, key.src_port(), key.dst(), key.dst_port()).unwrap_or(key)
    };
    if let Some((address, counterpart)) = reflected.and_then(|it| it.source(compiled, &key, query.interface))
    {
        let text = format!("to {address}, so that the answer comes back here");
        let setting = if counterpart { "npt" } else { "system.nat_reflection" };
        steps.push(Step::setting("source", setting, text));
        return Ok(with(address));
    }
    let Some((_, deed)) = compiled.translations.outward(query) else { return Ok(key) };
    let outside = match deed {
        Outward::Keep(_) => None,
        Outward::Whole(Whole { mapping, .. }) => {
            let outside = mapping.outward(key.src());
            if outside.is_none() {
                let id = deed.id().unwrap_or(RuleId(0));
                steps.push(Step::rule("source", id, "has no counterpart".into()));
                return Err(UNMAPPED);
            }
            outside
        }
        Outward::Source(source) => source.addresses.nth(key.family(), 0),
    };
    let text = outside.map_or("stays as it is".into(), |address| format!("to {address}"));
    steps.push(match deed.id() {
        Some(id) => Step::rule("source", id, text),
        None => Step::setting("source", "outbound.mode", text),
    });
    Ok(outside.map_or(key, with))
}

impl Step {
    fn rule(what: &str, rule: RuleId, text: String) -> Step {
        Step { what: what.into(), rule: Some(rule.0), setting: None, text }
    }

    fn setting(what: &str, setting: &str, text: String) -> Step {
        Step { what: what.into(), rule: None, setting: Some(setting.into()), text }
    }
}
