//! `system`: the firewall as a whole.

use super::super::report::Group;
use super::super::tree::Element;
use super::context::Context;
use crate::config::defaults::FRAGMENT_LIMIT_RANGE;
use crate::config::model::{Optimization, Reflection, SetTimeouts, StatePolicy};

/// pfSense's names for pf's timers.
type Timer = (&'static str, fn(&mut SetTimeouts) -> &mut Option<u32>);

/// pfSense's words for pf's profiles.
pub(in super::super) static PROFILES: &[(&str, Optimization)] = &[
    ("normal", Optimization::Normal),
    ("high-latency", Optimization::HighLatency),
    ("aggressive", Optimization::Aggressive),
    ("conservative", Optimization::Conservative),
];

pub(in super::super) static TIMERS: &[Timer] = &[
    ("tcpfirsttimeout", |t| &mut t.tcp_first),
    ("tcpopeningtimeout", |t| &mut t.tcp_opening),
    ("tcpestablishedtimeout", |t| &mut t.tcp_established),
    ("tcpclosingtimeout", |t| &mut t.tcp_closing),
    ("tcpfinwaittimeout", |t| &mut t.tcp_finwait),
    ("tcpclosedtimeout", |t| &mut t.tcp_closed),
    ("udpfirsttimeout", |t| &mut t.udp_first),
    ("udpsingletimeout", |t| &mut t.udp_single),
    ("udpmultipletimeout", |t| &mut t.udp_multiple),
    ("icmpfirsttimeout", |t| &mut t.icmp_first),
    ("icmperrortimeout", |t| &mut t.icmp_error),
    ("otherfirsttimeout", |t| &mut t.other_first),
    ("othersingletimeout", |t| &mut t.other_single),
    ("othermultipletimeout", |t| &mut t.other_multiple),
];

/// Settings with an effect on pfSense that Koi does not have, and what is true here instead.
static OTHER: &[(&str, &str, &str)] = &[
    ("disablefilter", "filtering is off there", "it is on here"),
    ("language", "language", "the GUI is in English"),
    ("ssh", "SSH", "the machine has it"),
    ("authserver", "authentication server", "there are none yet"),
    ("proxyurl", "HTTP proxy", "Koi fetches nothing"),
    ("no_apipa_block", "link-local IPv4", "it is refused"),
    ("webguicss", "theme", "the GUI has its own"),
];

/// What is read here, or says nothing that could have an effect.
static READ: &[&str] = &[
    "hostname",
    "domain",
    "timezone",
    "timeservers",
    "schedule_states",
    "dnsserver",
    "maximumstates",
    "maximumfrags",
    "adaptivestart",
    "adaptiveend",
    "scrubnodf",
    "scrubrnid",
    "webgui",
    "disablenatreflection",
    "enablenatreflectionpurenat",
    "enablebinatreflection",
    "optimization",
    "statepolicy",
    "gw_down_kill_states",
    "skip_rules_gw_down",
    "lb_use_sticky",
    "disablereplyto",
    "user",
    "group",
    "nextuid",
    "nextgid",
    "ipv6allow",
    "already_run_config_upgrade",
];

pub(super) fn read(ctx: &mut Context<'_>) {
    let Some(system) = ctx.tree.root.child("system") else { return };
    hostname(ctx, system);
    if let Some(limit) = system.text_of("maximumstates").and_then(|text| text.parse().ok()) {
        ctx.config.system.state_limit = limit;
        ctx.say(Group::Imported, "state limit", "", "system/maximumstates", at(system, "maximumstates"));
    }
    defence(ctx, system);
    web(ctx, system);
    reflection(ctx, system);
    gateways(ctx, system);
    timers(ctx, system);
    for (key, what, how) in OTHER {
        for element in system.all(key).filter(|element| !element.is_empty()) {
            ctx.say(Group::Inactive, what, *how, &format!("system/{key}"), element);
        }
    }
    let told =
        |name: &str| OTHER.iter().any(|(key, ..)| *key == name) || TIMERS.iter().any(|(key, _)| *key == name);
    for child in &system.children {
        let name = child.name.to_ascii_lowercase();
        if !READ.contains(&name.as_str()) && !told(&name) {
            ctx.say(
                Group::Inactive,
                "system setting",
                "it is kept for an export",
                &format!("system/{name}"),
                child,
            );
        }
    }
}

/// Marks that make no sense together are left out, as pf would refuse them.
fn defence(ctx: &mut Context<'_>, system: &Element) {
    let number = |key: &str| system.text_of(key).and_then(|text| text.parse::<u32>().ok());
    if let Some(limit) = number("maximumfrags").filter(|limit| FRAGMENT_LIMIT_RANGE.contains(limit)) {
        ctx.config.system.fragment_limit = Some(limit);
        ctx.say(Group::Imported, "fragment limit", "", "system/maximumfrags", at(system, "maximumfrags"));
    }
    let (start, end) = (number("adaptivestart"), number("adaptiveend"));
    let limit = ctx.config.system.state_limit.max(start.unwrap_or(0));
    if start == Some(0) || start.is_some() && end.is_some_and(|end| end > limit) {
        (ctx.config.system.adaptive_start, ctx.config.system.adaptive_end) = (start, end);
        ctx.say(
            Group::Imported,
            "adaptive timeouts",
            "",
            "system/adaptivestart",
            at(system, "adaptivestart"),
        );
    }
    for (key, what) in [("scrubnodf", "clearing of DF"), ("scrubrnid", "random IP identifications")] {
        if system.has(key) {
            let path = format!("system/{key}");
            ctx.say(Group::Adapted, what, "it is set on each interface", &path, at(system, key));
        }
    }
}

/// What becomes of flows whose gateway is down, and which gateway they get.
fn gateways(ctx: &mut Context<'_>, system: &Element) {
    let flags = ["skip_rules_gw_down", "lb_use_sticky", "disablereplyto"].map(|key| ctx.flag(system, key));
    let settings = &mut ctx.config.system;
    settings.kill_states_on_gateway_failure = super::gateways::kill_states(system).unwrap_or_default();
    let [skip, sticky, without] = flags;
    settings.skip_rules_when_gateway_down = skip;
    settings.sticky_connections = sticky;
    settings.disable_reply_to = without;
    for key in ["gw_down_kill_states", "skip_rules_gw_down", "lb_use_sticky", "disablereplyto"] {
        if let Some(element) = system.child(key) {
            ctx.say(Group::Imported, "gateway setting", "", &format!("system/{key}"), element);
        }
    }
}

/// The setting itself, for its line.
fn at<'e>(system: &'e Element, key: &str) -> &'e Element {
    system.child(key).unwrap_or(system)
}

fn hostname(ctx: &mut Context<'_>, system: &Element) {
    let name = system.text_of("hostname").unwrap_or_default();
    let whole = match system.text_of("domain") {
        Some(domain) if !name.is_empty() => format!("{name}.{domain}"),
        Some(_) | None => name.to_owned(),
    };
    if !whole.is_empty() {
        ctx.config.system.hostname = whole;
        ctx.say(Group::Imported, "host name", "", "system/hostname", at(system, "hostname"));
    }
}

fn web(ctx: &mut Context<'_>, system: &Element) {
    let Some(web) = system.child("webgui") else { return };
    ctx.config.system.anti_lockout = !ctx.flag(web, "noantilockout");
    let port = web.text_of("port").and_then(|text| text.parse().ok());
    match (web.text_of("protocol"), port) {
        (Some("http"), _) => {
            ctx.say(Group::Adapted, "GUI", "it speaks TLS on its port 443", "system/webgui", web);
        }
        (_, Some(port)) => {
            ctx.config.system.web.port = port;
            ctx.say(Group::Imported, "GUI", "", "system/webgui", web);
        }
        (_, None) => ctx.say(Group::Imported, "GUI", "", "system/webgui", web),
    }
    if web.text_of("ssl-certref").is_some() {
        ctx.say(
            Group::Inactive,
            "GUI certificate",
            "Koi makes one of its own",
            "system/webgui/ssl-certref",
            web,
        );
    }
}

fn reflection(ctx: &mut Context<'_>, system: &Element) {
    let off = system.has("disablenatreflection");
    let pure = system.has("enablenatreflectionpurenat");
    if !off {
        ctx.config.system.nat_reflection = Reflection::Purenat;
        match pure {
            true => ctx.say(
                Group::Imported,
                "NAT reflection",
                "",
                "system/enablenatreflectionpurenat",
                at(system, "enablenatreflectionpurenat"),
            ),
            false => {
                let how = "it translates instead of running a proxy";
                ctx.say(Group::Adapted, "NAT reflection", how, "system/disablenatreflection", system);
            }
        }
    }
    ctx.config.system.one_to_one_reflection = system.has("enablebinatreflection");
}

fn timers(ctx: &mut Context<'_>, system: &Element) {
    let profile = PROFILES.iter().find(|(word, _)| system.text_of("optimization") == Some(*word));
    if let Some((_, profile)) = profile {
        ctx.config.system.optimization = *profile;
        ctx.say(
            Group::Imported,
            "optimization profile",
            "",
            "system/optimization",
            at(system, "optimization"),
        );
    }
    for (key, field) in TIMERS {
        if let Some(seconds) = system.text_of(key).and_then(|text| text.parse().ok()) {
            *field(&mut ctx.config.system.timeouts) = Some(seconds);
            ctx.say(Group::Imported, "timer", "", &format!("system/{key}"), at(system, key));
        }
    }
    if system.text_of("statepolicy") == Some("floating") {
        ctx.config.system.state_policy = StatePolicy::Floating;
        ctx.say(Group::Imported, "state policy", "", "system/statepolicy", at(system, "statepolicy"));
    }
}
