//! `filter`: rules, tab by tab in one list.

use super::super::report::Group;
use super::super::tree::{Element, Product};
use super::context::{Context, Key};
use super::endpoints::{self, Lacks, endpoint, ports_of};
use super::forwards::settle;
use crate::config::defaults::RULE_LIMIT;
use crate::config::model::{
    Action, Dscp, Flush, IcmpKind, Interfaces, Protocol, Rule, RuleDirection, RuleFamily, SourceRate,
    StatePolicy, StateType, TcpFlags, is_alias_name,
};
use crate::types::RuleId;

/// What may stand at a rule without a meaning for packets, or is read elsewhere.
static PLAIN: &[&str] = &[
    "id",
    "tracker",
    "type",
    "interface",
    "ipprotocol",
    "protocol",
    "icmptype",
    "icmp6-type",
    "source",
    "destination",
    "descr",
    "disabled",
    "log",
    "floating",
    "direction",
    "quick",
    "tag",
    "tagged",
    "nottagged",
    "tcpflags1",
    "tcpflags2",
    "tcpflags_any",
    "allowopts",
    "dscp",
    "associated-rule-id",
    "created",
    "updated",
    "nosync",
    "gateway",
    "disablereplyto",
    "sched",
    "os",
    "statetype",
    "statepolicy",
    "vlanprio",
    "category",
    "sequence",
    "nat64",
    "max",
    "max-src-nodes",
    "max-src-conn",
    "max-src-states",
    "max-src-conn-rate",
    "max-src-conn-rates",
    "statetimeout",
];

/// The table of pfSense's into which overloading sources go.
const OVERLOAD_TABLE: &str = "virusprot";

/// Limits of states and the like: what matches is the same without them.
static WITHOUT: &[(&str, &str)] = &[
    ("dnpipe", "its limiter is not in force"),
    ("pdnpipe", "its limiter is not in force"),
    ("defaultqueue", "its queue is not in force"),
    ("ackqueue", "its queue is not in force"),
    ("reply-to", "answers go by the routing table"),
    ("nopfsync", "its states go to the other node as well"),
    ("vlanprioset", "frames keep priority 0"),
    ("set-prio", "packets keep their priority"),
    ("set-prio-low", "packets keep their priority"),
];

pub(super) fn read(ctx: &mut Context<'_>) {
    for (path, element) in ctx.list_up_to(RULE_LIMIT, &["filter"], "rule", "firewall rule") {
        rule(ctx, &path, element);
    }
    separators(ctx);
}

fn separators(ctx: &mut Context<'_>) {
    for section in ["filter", "nat"] {
        let Some(tabs) = ctx.tree.root.find(&[section, "separator"]) else { continue };
        for tab in &tabs.children {
            // Those of port forwards stand without a tab around them.
            let inside = if tab.has("row") { std::slice::from_ref(tab) } else { tab.children.as_slice() };
            for separator in inside.iter().filter(|separator| separator.has("row")) {
                let path = format!("{section}/separator/{}/{}", tab.name, separator.name);
                ctx.say(
                    Group::Inactive,
                    "separator",
                    "it is kept between its rules for an export",
                    &path,
                    separator,
                );
            }
        }
    }
}

fn rule(ctx: &mut Context<'_>, path: &str, element: &Element) {
    let what = match element.text_of("type").unwrap_or("pass") {
        "block" | "reject" => "firewall rule that blocks",
        _ => "firewall rule",
    };
    let mut lacks = Lacks::default();
    let claimed = element.at.and_then(|at| ctx.trackers.get(&at));
    let id = match claimed {
        Some(id) => *id,
        None => {
            if element.text_of("tracker").is_some() {
                lacks.adapted("it has a number of its own, since another rule has its tracker");
            }
            ctx.fresh()
        }
    };
    let Some(action) = action(element, &mut lacks) else {
        return ctx.say(Group::Impossible, what, lacks.matters.join("; "), path, element);
    };
    let Some(mut rule) = tab(ctx, id, action, element, &mut lacks) else {
        return ctx.say(Group::Inactive, what, "none of its interfaces is in force", path, element);
    };
    matching(ctx, &mut rule, element, &mut lacks);
    conditions(ctx, &mut rule, element, &mut lacks);
    leftovers(element, &mut lacks);
    rule.log = ctx.flag(element, "log");
    rule.description = element.text_of("descr").unwrap_or_default().into();
    link(ctx, &mut rule, element);
    let Some(disabled) = settle(ctx, Key::Numbered(id), what, path, element, &lacks) else { return };
    rule.disabled = disabled;
    ctx.config.rules.push(rule);
}

fn action(element: &Element, lacks: &mut Lacks) -> Option<Action> {
    match element.text_of("type").unwrap_or("pass") {
        "pass" => Some(Action::Pass),
        "block" => Some(Action::Block),
        "reject" => Some(Action::Reject),
        "match" => Some(Action::Match),
        other => {
            lacks.unknown(format!("the action \"{other}\" is not known"));
            None
        }
    }
}

/// Where the rule stands; none when its interfaces are not there.
fn tab(ctx: &Context<'_>, id: RuleId, action: Action, element: &Element, lacks: &mut Lacks) -> Option<Rule> {
    let mut rule = Rule::new(id, "", action);
    let there = element.text_of("interface").unwrap_or_default();
    let words: Vec<&str> =
        there.split(',').map(str::trim).filter(|word| !word.is_empty() && *word != "any").collect();
    let known: Vec<String> = words.iter().filter_map(|word| ctx.interface(word).map(str::to_owned)).collect();
    if known.len() < words.len() && known.is_empty() {
        return None;
    }
    if known.len() < words.len() {
        lacks.adapted("without those of its interfaces that are not in force");
    }
    let direction = match element.text_of("direction").unwrap_or("in") {
        "out" => RuleDirection::Out,
        "any" => RuleDirection::Any,
        _ => RuleDirection::In,
    };
    let floats = ctx.flag(element, "floating");
    // OPNsense lets rules of one interface look both ways, and rules of several stand anywhere.
    let must_float =
        ctx.tree.product == Product::Opnsense && (known.len() != 1 || direction != RuleDirection::In);
    rule.interface = Interfaces(known);
    if floats || must_float {
        rule.floating = true;
        rule.direction = match (element.text_of("direction"), ctx.tree.product) {
            (None | Some("any"), Product::Pfsense) => RuleDirection::Any,
            (Some(_), _) | (None, Product::Opnsense) => direction,
        };
        rule.quick = match ctx.tree.product {
            Product::Pfsense => element.has("quick"),
            Product::Opnsense => element.text_of("quick") != Some("0"),
        } && action != Action::Match;
    } else if rule.interface.0.is_empty() {
        return None;
    }
    Some(rule)
}

fn matching(ctx: &Context<'_>, rule: &mut Rule, element: &Element, lacks: &mut Lacks) {
    let narrows = matches!(rule.action, Action::Pass | Action::Match);
    let (source, destination) = (element.child("source"), element.child("destination"));
    rule.family = endpoints::family(element, lacks);
    rule.protocol = endpoints::protocol(element, lacks);
    rule.source = endpoint(ctx, source, narrows, lacks);
    rule.source_port = ports_of(ctx, source, rule.protocol, lacks);
    rule.destination = endpoint(ctx, destination, narrows, lacks);
    rule.destination_port = ports_of(ctx, destination, rule.protocol, lacks);
    if rule.protocol == Protocol::Icmp {
        let types = element.text_of("icmptype").or_else(|| element.text_of("icmp6-type")).unwrap_or_default();
        for word in types.split(',').map(str::trim).filter(|word| !word.is_empty() && *word != "any") {
            match IcmpKind::try_from(word.to_owned()) {
                Ok(kind) => rule.icmp_types.push(kind),
                Err(_) => lacks.unknown(format!("its ICMP type \"{word}\" is not known")),
            }
        }
    }
    // IPv6 is refused as a whole there; a rule that lets it in must not do so here either.
    if ctx.tree.product == Product::Pfsense
        && !ctx.tree.root.find(&["system"]).is_some_and(|it| it.has("ipv6allow"))
    {
        match rule.family {
            RuleFamily::Inet6 => lacks.matters("IPv6 is not allowed there (System, Advanced, Networking)"),
            RuleFamily::Inet46 => {
                rule.family = RuleFamily::Inet;
                lacks.adapted("for IPv4 only, since IPv6 is not allowed there");
            }
            RuleFamily::Inet => {}
        }
    }
}

fn conditions(ctx: &Context<'_>, rule: &mut Rule, element: &Element, lacks: &mut Lacks) {
    rule.allow_options = ctx.flag(element, "allowopts") && rule.action == Action::Pass;
    rule.tag = tag(element, "tag", lacks).filter(|_| matches!(rule.action, Action::Pass | Action::Match));
    rule.tagged = tag(element, "tagged", lacks);
    rule.not_tagged = rule.tagged.is_some() && ctx.flag(element, "nottagged");
    rule.tcp_flags = tcp_flags(ctx, element, rule.protocol, lacks);
    rule.dscp = element.text_of("dscp").and_then(|text| {
        let number = text.strip_prefix("0x").and_then(|hex| u8::from_str_radix(hex, 16).ok());
        // pf compares the whole byte; its upper six bits are the code point.
        let text = number.map_or_else(|| text.to_ascii_lowercase(), |number| (number >> 2).to_string());
        Dscp::try_from(text).map_err(|_| lacks.unknown("its DSCP value is not known")).ok()
    });
    for (key, why) in [
        ("os", "it looks at the sender's operating system"),
        ("vlanprio", "it looks at the priority of VLAN frames"),
        ("nat64", "it translates IPv6 to IPv4"),
    ] {
        if element.text_of(key).is_some_and(|text| text != "none" && text != "any") {
            lacks.matters(why);
        }
    }
    if let Some(name) = element.text_of("sched").filter(|name| *name != "none") {
        rule.schedule =
            ctx.config.schedules.iter().find(|known| known.name == name).map(|it| it.name.clone());
        if rule.schedule.is_none() {
            lacks.matters("it follows a schedule that is not in force");
        }
    }
    if rule.action == Action::Pass {
        states(rule, element, lacks);
    }
    if rule.action == Action::Pass {
        gateway(ctx, rule, element, lacks);
    }
}

/// The way out that it names.
fn gateway(ctx: &Context<'_>, rule: &mut Rule, element: &Element, lacks: &mut Lacks) {
    rule.disable_reply_to = ctx.flag(element, "disablereplyto");
    let Some(name) = element.text_of("gateway").filter(|name| *name != "default") else { return };
    let config = &ctx.config;
    let known =
        config.gateways.iter().map(|it| &it.name).chain(config.gateway_groups.iter().map(|it| &it.name));
    if !known.into_iter().any(|other| other == name) {
        return lacks.matters(format!("it leads to the gateway {name}, which is not in force"));
    }
    match (rule.direction, rule.state_type) {
        (RuleDirection::In, StateType::Keep | StateType::Sloppy | StateType::Synproxy) => {
            rule.gateway = Some(name.into())
        }
        (RuleDirection::Out | RuleDirection::Any, _) => {
            lacks.matters(format!("it leads to the gateway {name} on the way out; here the way in chooses"));
        }
        (RuleDirection::In, StateType::None) => {
            lacks.adapted(format!("without the gateway {name}: without states the routes lead"));
        }
    }
}

/// How the flows that it passes are tracked.
fn states(rule: &mut Rule, element: &Element, lacks: &mut Lacks) {
    match element.text_of("statetype").unwrap_or("keep state") {
        "keep state" | "keep" | "modulate state" => {}
        "sloppy state" | "sloppy" => rule.state_type = StateType::Sloppy,
        "synproxy state" | "synproxy" if rule.protocol == Protocol::Tcp => {
            rule.state_type = StateType::Synproxy;
        }
        "none" => rule.state_type = StateType::None,
        other => {
            lacks.adapted(format!("its state type \"{other}\" is not in force: states are kept as usual"))
        }
    }
    rule.state_policy = match element.text_of("statepolicy") {
        Some("floating") => Some(StatePolicy::Floating),
        Some("if-bound") => Some(StatePolicy::IfBound),
        Some(_) | None => None,
    };
    if rule.state_type == StateType::None {
        rule.state_policy = None;
        return;
    }
    limits(rule, element);
}

/// As pfSense writes them for pf: a source that is over one of the limits of connections gets into `virusprot` and loses
/// its states.
fn limits(rule: &mut Rule, element: &Element) {
    let number = |key: &str| {
        element.text_of(key).and_then(|text| text.parse::<u32>().ok()).filter(|number| *number > 0)
    };
    rule.max_states = number("max");
    rule.max_src_nodes = number("max-src-nodes");
    rule.max_src_states = number("max-src-states");
    if rule.protocol == Protocol::Tcp {
        rule.max_src_conn = number("max-src-conn");
        let rate = number("max-src-conn-rate").zip(number("max-src-conn-rates"));
        rule.max_src_conn_rate = rate.map(|(count, seconds)| SourceRate { count, seconds });
        if rule.max_src_conn.is_some() || rule.max_src_conn_rate.is_some() {
            rule.overload = Some(OVERLOAD_TABLE.into());
            rule.overload_flush = Flush::All;
        }
    }
    if let Some(seconds) = number("statetimeout") {
        let timeouts = &mut rule.timeouts;
        match rule.protocol {
            Protocol::Tcp => timeouts.tcp_established = Some(seconds),
            Protocol::Udp => timeouts.udp_multiple = Some(seconds),
            Protocol::TcpUdp => {
                (timeouts.tcp_established, timeouts.udp_multiple) = (Some(seconds), Some(seconds));
            }
            Protocol::Any | Protocol::Icmp | Protocol::Number(_) => {
                timeouts.tcp_established = Some(seconds);
                timeouts.udp_multiple = Some(seconds);
                timeouts.other_multiple = Some(seconds);
            }
        }
    }
}

fn tag(element: &Element, key: &str, lacks: &mut Lacks) -> Option<String> {
    let text = element.text_of(key)?;
    if !is_alias_name(text) {
        lacks.unknown(format!("its tag \"{text}\" has letters that tags do not have here"));
        return None;
    }
    Some(text.into())
}

fn tcp_flags(
    ctx: &Context<'_>,
    element: &Element,
    protocol: Protocol,
    lacks: &mut Lacks,
) -> Option<TcpFlags> {
    if protocol != Protocol::Tcp {
        return None;
    }
    if ctx.flag(element, "tcpflags_any") {
        return TcpFlags::try_from("any".to_owned()).ok();
    }
    let out_of = element.text_of("tcpflags2")?;
    let letters = |text: &str| -> String {
        let letter = |word: &str| match word.trim() {
            "cwr" => Some('W'),
            word => word.chars().next().map(|c| c.to_ascii_uppercase()),
        };
        text.split(',').filter_map(letter).collect()
    };
    let text = format!("{}/{}", letters(element.text_of("tcpflags1").unwrap_or_default()), letters(out_of));
    TcpFlags::try_from(text).map_err(|_| lacks.unknown("its TCP flags are not known")).ok()
}

/// What stands there besides.
fn leftovers(element: &Element, lacks: &mut Lacks) {
    for child in element.children.iter().filter(|child| !PLAIN.iter().any(|name| child.is(name))) {
        let known = WITHOUT.iter().find(|(name, _)| child.is(name));
        match known {
            Some((_, how)) if child.text.trim() != "none" && (!child.is_empty() || child.is("nopfsync")) => {
                if !lacks.adapted.iter().any(|other| other == how) {
                    lacks.adapted(*how);
                }
            }
            Some(_) => {}
            None if child.is_empty() => {}
            None => lacks.matters(format!("it has <{}>, which is not known here", child.name)),
        }
    }
}

/// A rule that belongs to a port forward takes from it what it matches.
fn link(ctx: &Context<'_>, rule: &mut Rule, element: &Element) {
    let Some(there) = element.text_of("associated-rule-id") else { return };
    let Some(forward) = ctx.associated.get(there) else { return };
    let plain = Rule::new(rule.id, "", rule.action);
    *rule = Rule {
        interface: Interfaces::default(),
        family: plain.family,
        protocol: plain.protocol,
        icmp_types: Vec::new(),
        source: plain.source,
        source_port: None,
        destination: plain.destination,
        destination_port: None,
        tcp_flags: None,
        floating: false,
        quick: false,
        direction: plain.direction,
        port_forward: Some(*forward),
        ..rule.clone()
    };
}
