//! Firewall: Aliases, Rules, Virtual IPs.

use serde_json::{Value, json};

use crate::config::model::RuleDirection;
use crate::node::Compiled;
use crate::rules::{RuleInfo, Setting};
use crate::types::RuleId;
use crate::web::collection::{Cell, Collection, Line, PLAIN, Show, Tabs, column};
use crate::web::form::{DESCRIPTION, DISABLED, Field, Kind, Section, TEXT, field, required, text_of, tree};
use crate::web::references::Noun;
use crate::web::rule_time;

const FLOATING: &str = "floating";

pub(super) static RULES: Collection = Collection {
    title: "Rules",
    one: "rule",
    about: "Floating rules come first, then those of interface groups, then those of the interface by which packets come in, where the first match decides. Lines without buttons follow from settings.",
    slug: "/firewall/rules",
    list: "rule",
    key: "id",
    columns: &[
        column("Action", &["action"], Show::Mark, ""),
        column("Protocol", &["family", "protocol"], Show::Text, "any"),
        column("Source", &["source"], Show::Code, "any"),
        column("Port", &["source_port"], Show::Code, "any"),
        column("Destination", &["destination"], Show::Code, "any"),
        column("Port", &["destination_port"], Show::Code, "any"),
        column("Log", &["log"], Show::Words("log"), ""),
        column("Schedule", &["schedule"], Show::Text, ""),
        column("Time", &["time"], Show::Text, ""),
        column("Description", &["description"], Show::Text, ""),
    ],
    fields: &[
        ACTION,
        DISABLED,
        required(
            "interface",
            "Interface",
            Kind::Name(&["interface", "interface_group"]),
            "The interface, or the group of interfaces, by which packets come in.",
        ),
        FAMILY,
        PROTOCOL,
        ICMP_TYPES,
        SOURCE,
        SOURCE_PORT,
        DESTINATION,
        DESTINATION_PORT,
        LOG,
        DESCRIPTION,
        SEPARATOR,
    ],
    others: |rule| {
        let floating = rule.get("floating").and_then(Value::as_bool).unwrap_or(false);
        match rule.get("port_forward") {
            Some(_) => Some(FORWARD_FIELDS),
            None => floating.then_some(FLOATING_FIELDS),
        }
    },
    more: |_, index, _| vec![Section::new("Advanced Options", format!("rule[{index}]"), ADVANCED_FIELDS)],
    by: Some(Tabs { all: tabs, of: tab_of, begin: begin_rule, targets: interface_tabs, copy: copy_rule }),
    told: rule_time::tell,
    beside: BESIDE,
    ordered: true,
    automatic: automatic_rules,
    aside: Some(("Time", rule_time::TIME)),
    ..PLAIN
};

pub(in crate::web) const BESIDE: &[(&str, &str)] =
    &[("All Rules", "/firewall/rules/all"), ("Rule Report", "/firewall/rules/report")];

/// Of a rule that follows a port forward: where and what is the forward's.
static FORWARD_FIELDS: &[Field] = &[ACTION, DISABLED, LOG, DESCRIPTION, SEPARATOR];

static FLOATING_FIELDS: &[Field] = &[
    required(
        "action",
        "Action",
        Kind::Choice(&[
            ("pass", "Pass"),
            ("block", "Block: drop without an answer"),
            ("reject", "Reject: drop, and tell the sender"),
            ("match", "Match: decide nothing, but tag and log"),
        ]),
        "What happens to packets that the rule describes.",
    ),
    DISABLED,
    field(
        "quick",
        "Quick",
        Kind::Flag { default: false, words: "Decide at once" },
        "Otherwise the last floating rule that matches decides, and the interface's own rules after it.",
    ),
    field("interface", "Interfaces", Kind::Lines, "Names of interfaces, one a line; none for all."),
    field(
        "direction",
        "Direction",
        Kind::Choice(&[("in", "In"), ("out", "Out"), ("any", "Both ways")]),
        "Which way packets cross the interface.",
    ),
    FAMILY,
    PROTOCOL,
    ICMP_TYPES,
    SOURCE,
    SOURCE_PORT,
    DESTINATION,
    DESTINATION_PORT,
    LOG,
    DESCRIPTION,
    SEPARATOR,
];

const ACTION: Field = required(
    "action",
    "Action",
    Kind::Choice(&[
        ("pass", "Pass"),
        ("block", "Block: drop without an answer"),
        ("reject", "Reject: drop, and tell the sender"),
    ]),
    "What is passed is remembered, so that answers come back.",
);
pub(super) const FAMILY: Field = field(
    "family",
    "Address family",
    Kind::Choice(&[("inet46", "IPv4 and IPv6"), ("inet", "IPv4"), ("inet6", "IPv6")]),
    "",
);
pub(super) const PROTOCOL: Field = field(
    "protocol",
    "Protocol",
    Kind::Text { default: "any" },
    "any, tcp, udp, tcp/udp, icmp or a protocol number.",
);
const ICMP_TYPES: Field = field(
    "icmp_types",
    "ICMP types",
    Kind::Lines,
    "For icmp: words as in echoreq or numbers, one a line; all when empty.",
);
pub(super) const SOURCE: Field = field(
    "source",
    "Source",
    Kind::Endpoint,
    "any, an address, a network, a range, an alias, \"lan net\", \"lan address\" or \"this firewall\"; \"! \" in front for everything else.",
);
pub(super) const SOURCE_PORT: Field = field(
    "source_port",
    "Source port",
    Kind::Ports,
    "Seldom the same twice: leave it empty unless you know better.",
);
pub(super) const DESTINATION: Field = field("destination", "Destination", Kind::Endpoint, "As the source.");
pub(super) const DESTINATION_PORT: Field = field(
    "destination_port",
    "Destination port",
    Kind::Ports,
    "A port, a range or an alias, as in 443 or 8000-8080; TCP and UDP only.",
);
const SEPARATOR: Field =
    field("separator", "Separator", TEXT, "A bar with these words stands above the rule, and moves with it.");
const LOG: Field = field(
    "log",
    "Log",
    Kind::Flag { default: false, words: "Log packets that this rule handles" },
    "Blocked packets stand among the recent drops; each connection that is passed is a line in the log.",
);

const fn timer(path: &'static str, label: &'static str) -> Field {
    field(
        path,
        label,
        Kind::Number { default: "the system's" },
        "Seconds that an idle connection of this rule is kept.",
    )
}

static ADVANCED_FIELDS: &[Field] = &[
    field(
        "schedule",
        "Schedule",
        Kind::Name(&["schedule"]),
        "The rule is in force in these hours only; always when none is chosen. They stand under Firewall, Schedules.",
    ),
    field(
        "tcp_flags",
        "TCP flags",
        TEXT,
        "Those that are set out of those looked at, as in S/SA; any for all packets.",
    ),
    field("dscp", "Diffserv code point", TEXT, "By name or number, as in ef or 46."),
    field(
        "allow_options",
        "Allow IP options",
        Kind::Flag { default: false, words: "Packets may have IPv4 options" },
        "Few honest ones do.",
    ),
    field(
        "state_type",
        "State type",
        Kind::Choice(&[
            ("keep", "Keep: with TCP's windows and numbers"),
            ("sloppy", "Sloppy: without them, where only one way comes by here"),
            ("synproxy", "SYN proxy: the firewall completes the handshake first"),
            ("none", "None: each packet is for the rules, answers too"),
        ]),
        "How connections are tracked.",
    ),
    field(
        "state_policy",
        "State policy",
        Kind::Choice(&[
            ("", "As under System, Advanced"),
            ("if-bound", "Bound to interfaces"),
            ("floating", "Floating"),
        ]),
        "Whether packets of a connection must come in where it began.",
    ),
    field(
        "max_states",
        "Max. states",
        Kind::Number { default: "no limit" },
        "The most connections that the rule passes at a time.",
    ),
    field(
        "max_src_nodes",
        "Max. src nodes",
        Kind::Number { default: "no limit" },
        "The most sources that have connections by the rule at a time.",
    ),
    field(
        "max_src_states",
        "Max. src. states",
        Kind::Number { default: "no limit" },
        "The most connections of each source.",
    ),
    field(
        "max_src_conn",
        "Max. src. conn.",
        Kind::Number { default: "no limit" },
        "The most TCP connections of each source whose handshake is complete.",
    ),
    field(
        "max_src_conn_rate",
        "Max. src. conn. rate",
        TEXT,
        "The most such connections that a source makes in so many seconds, as in 15/5.",
    ),
    field(
        "overload",
        "Overload table",
        TEXT,
        "A source with more connections gets into the table of this name, and is blocked while it is there.",
    ),
    field(
        "overload_flush",
        "Overload flush",
        Kind::Choice(&[
            ("none", "Its other connections go on"),
            ("rule", "Those of this rule end"),
            ("all", "All its connections end"),
        ]),
        "What happens to the connections that it has.",
    ),
    field(
        "max_mss",
        "Max. MSS",
        Kind::Number { default: "not clamped" },
        "TCP connections of this rule are clamped to this segment size.",
    ),
    timer("timeouts.tcp_first", "TCP first"),
    timer("timeouts.tcp_opening", "TCP opening"),
    timer("timeouts.tcp_established", "TCP established"),
    timer("timeouts.tcp_closing", "TCP closing"),
    timer("timeouts.tcp_finwait", "TCP FIN wait"),
    timer("timeouts.tcp_closed", "TCP closed"),
    timer("timeouts.udp_first", "UDP first"),
    timer("timeouts.udp_single", "UDP single"),
    timer("timeouts.udp_multiple", "UDP multiple"),
    timer("timeouts.icmp_first", "ICMP first"),
    timer("timeouts.icmp_error", "ICMP error"),
    timer("timeouts.other_first", "Other first"),
    timer("timeouts.other_single", "Other single"),
    timer("timeouts.other_multiple", "Other multiple"),
    field(
        "gateway",
        "Gateway",
        Kind::Name(&["gateway", "gateway_group"]),
        "The gateway or group by which connections leave; where the routes lead when none is chosen.",
    ),
    field(
        "disable_reply_to",
        "Disable reply-to",
        Kind::Flag { default: false, words: "Answers go where the routes lead" },
        "Otherwise, to what comes in by a WAN, back by its gateway.",
    ),
    field(
        "expires",
        "Expires",
        TEXT,
        "In force until then, in UTC as in 2026-11-26T13:00:00Z; the list of rules has it by the hour.",
    ),
    field("paused_until", "Paused until", TEXT, "Out of force until then."),
    field("tag", "Tag", TEXT, "A match carries this word from here on."),
    field("tagged", "Tagged", TEXT, "Only packets that carry this word."),
    field(
        "not_tagged",
        "Not tagged",
        Kind::Flag { default: false, words: "Only packets that do not carry it" },
        "Turns the field above round.",
    ),
];

/// Floating, then the groups, then the interfaces: as rules are asked.
fn tabs(tree: &Value) -> Vec<String> {
    let names = |list| tree::list(tree, list).iter().map(|entry| text_of(entry.get("name")));
    let floating = std::iter::once(FLOATING.to_owned());
    floating.chain(names("interface_group")).chain(names("interface")).collect()
}

/// A rule of a port forward stands on the tab of the forward's interface.
fn tab_of(tree: &Value, rule: &Value) -> String {
    if rule.get("floating").and_then(Value::as_bool) == Some(true) {
        return FLOATING.to_owned();
    }
    let mut forwards = tree::list(tree, "port_forward").iter();
    match rule.get("port_forward") {
        Some(id) => {
            text_of(forwards.find(|forward| forward.get("id") == Some(id)).and_then(|it| it.get("interface")))
        }
        None => text_of(rule.get("interface")),
    }
}

fn interface_tabs(tree: &Value) -> Vec<String> {
    tabs(tree).into_iter().filter(|tab| tab != FLOATING).collect()
}

/// A rule for another interface. What is floating alone stays behind.
fn copy_rule(tree: &Value, rule: &Value, to: &str, follow: bool) -> Result<Value, String> {
    if rule.get("port_forward").is_some() {
        return Err("A rule of a port forward goes with its forward: copy that.".into());
    }
    let from = tab_of(tree, rule);
    let mut copy = rule.clone();
    for field in ["floating", "quick", "direction"] {
        tree::set(&mut copy, field, None);
    }
    tree::set(&mut copy, "interface", Some(to.into()));
    for field in ["source", "destination"] {
        let text = text_of(rule.get(field));
        let (not, place) = text.strip_prefix("! ").map_or(("", text.as_str()), |place| ("! ", place));
        let own = ["net", "address"].into_iter().find(|word| place == format!("{from} {word}"));
        if let (true, Some(word)) = (follow, own) {
            tree::set(&mut copy, field, Some(format!("{not}{to} {word}").into()));
        }
    }
    Ok(copy)
}

fn begin_rule(tab: &str) -> Value {
    match tab {
        FLOATING => json!({ "floating": true }),
        interface => json!({ "interface": interface }),
    }
}

pub(super) static ALIASES: Collection = Collection {
    title: "Aliases",
    one: "alias",
    about: "Names that rules write where addresses or ports stand.",
    slug: "/firewall/aliases",
    list: "alias",
    key: "name",
    columns: &[
        column("Name", &["name"], Show::Text, ""),
        column("Type", &["type"], Show::Text, ""),
        column("Values", &["entries"], Show::Code, ""),
        column("Description", &["description"], Show::Text, ""),
    ],
    fields: &[
        required(
            "name",
            "Name",
            TEXT,
            "Rules refer to it, and follow when it changes: letters, digits and _.",
        ),
        required(
            "type",
            "Type",
            Kind::Choice(&[
                ("host", "Hosts: addresses and ranges"),
                ("network", "Networks, addresses and ranges"),
                ("port", "Ports and ranges of ports"),
            ]),
            "Aliases of one type may stand in each other.",
        ),
        field(
            "entries",
            "Entries",
            Kind::Entries,
            "One a line, as many as you paste: an address, a network, a range, a port or another alias; behind it, if you like, words for people.",
        ),
        DESCRIPTION,
    ],
    noun: Some(Noun::Alias),
    ..PLAIN
};

/// Rules that nobody wrote on an interface, in the configuration in force: those that are asked before a person's, and
/// the default deny.
fn automatic_rules(compiled: &Compiled, interface: &str) -> [Vec<Line>; 2] {
    let mut lines = [Vec::new(), Vec::new()];
    let Some(id) = compiled.config.interface_id(interface) else { return lines };
    for info in compiled.ruleset.rules() {
        if let Some(owner) = info.automatic
            && info.direction == RuleDirection::In
            && info.interfaces.contains(&id)
        {
            let last = matches!(info.id, RuleId(100 | 101));
            lines[usize::from(last)].push(automatic_line(info, owner, interface));
        }
    }
    lines
}

/// The page of the setting that owns an automatic rule on an interface; nothing turns off what has none.
pub(in crate::web) fn owner_page(owner: Setting, interface: &str) -> Option<String> {
    match owner {
        Setting::DefaultPolicy => None,
        Setting::AntiLockout => Some("/system/advanced".into()),
        Setting::BlockPrivate | Setting::BlockBogons => Some(format!("/interfaces/edit/{interface}")),
        Setting::VirtualIp => Some("/firewall/virtual-ips".into()),
        Setting::PortForward => Some("/firewall/nat/port-forward".into()),
        Setting::Overload => Some("/firewall/rules".into()),
        Setting::Pair => Some("/system/high-availability".into()),
    }
}

fn automatic_line(info: &RuleInfo, owner: Setting, interface: &str) -> Line {
    let page = owner_page(owner, interface).unwrap_or_default();
    let cell = |head, text: &str, mark| Cell { head, texts: vec![text.to_owned()], code: false, mark };
    let passes = info.text.starts_with("pass");
    let cells = vec![
        cell("Action", if passes { "pass" } else { "block" }, true),
        Cell { head: "Description", texts: vec![info.description.clone()], code: false, mark: false },
    ];
    Line {
        key: info.id.to_string(),
        cells,
        disabled: false,
        above: String::new(),
        owner: Some(("Setting", page)),
    }
}

pub(super) static VIRTUAL_IPS: Collection = Collection {
    title: "Virtual IPs",
    one: "virtual IP",
    about: "Addresses that belong to whichever node serves. Hosts and the provider know these, not the nodes' own.",
    slug: "/firewall/virtual-ips",
    list: "virtual_ip",
    columns: &[
        column("Virtual IP addresses", &["addresses"], Show::Code, ""),
        column("Interface", &["interface"], Show::Text, ""),
        column("VHID", &["vhid"], Show::Text, ""),
        column("Shared", &["foreign"], Show::Words("with another make"), ""),
        column("Description", &["description"], Show::Text, ""),
    ],
    fields: &[
        required(
            "interface",
            "Interface",
            Kind::Name(&["interface"]),
            "The interface that the addresses are on.",
        ),
        required(
            "vhid",
            "VHID group",
            Kind::Number { default: "" },
            "From 1 to 255; no other CARP or VRRP host on the same wire may have it.",
        ),
        required(
            "addresses",
            "Addresses",
            Kind::Lines,
            "One a line with the prefix length of its network, as in 192.168.1.1/24. The first is CARP's, the others go with it.",
        ),
        required(
            "password",
            "Virtual IP password",
            Kind::Secret,
            "Signs the advertisements: at most 19 letters, digits and signs.",
        ),
        field(
            "advbase",
            "Base",
            Kind::Number { default: "1" },
            "Seconds between two advertisements, from 1 to 254.",
        ),
        field(
            "advskew",
            "Skew",
            Kind::Number { default: "0" },
            "256ths of a second on top, for the preferred node; the other one advertises 100 more.",
        ),
        field(
            "mac",
            "MAC address",
            Kind::Choice(&[
                ("virtual", "Virtual: neighbours need not learn anything at a takeover"),
                ("own", "Own: for switches that refuse any other"),
            ]),
            "The MAC address that the addresses are announced with.",
        ),
        field(
            "foreign",
            "Shared",
            Kind::Flag { default: false, words: "Shared with a speaker of CARP that is not the peer" },
            "It is then elected by CARP alone, and never moves the pair.",
        ),
        field(
            "preempt",
            "Preemption",
            Kind::Maybe("As usual: yes"),
            "Only when shared: takes it back from a speaker that advertises less often.",
        ),
        field(
            "peer",
            "Peer",
            Kind::Text { default: "the group of CARP" },
            "Only when shared: advertisements go to this address alone.",
        ),
        DESCRIPTION,
    ],
    ..PLAIN
};
