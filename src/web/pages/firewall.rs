//! Firewall: Rules, NAT, Virtual IPs.

use crate::node::Compiled;
use crate::rules::{RuleInfo, Setting};
use crate::types::{Direction, RuleId};
use crate::web::collection::{Cell, Collection, Line, PLAIN, Show, column};
use crate::web::form::{DESCRIPTION, DISABLED, Kind, field, required};
use crate::web::settings::Settings;
use crate::web::visitor::Right;

pub(super) static RULES: Collection = Collection {
    title: "Rules",
    one: "rule",
    about: "Packets that come in by this interface; the first match decides. Lines without buttons follow from settings.",
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
        column("Description", &["description"], Show::Text, ""),
    ],
    fields: &[
        required(
            "action",
            "Action",
            Kind::Choice(&[("pass", "Pass"), ("block", "Block")]),
            "What is passed is remembered, so that answers come back. What is blocked is dropped without an answer.",
        ),
        DISABLED,
        required(
            "interface",
            "Interface",
            Kind::Name("interface"),
            "The interface by which packets come in.",
        ),
        field(
            "family",
            "Address family",
            Kind::Choice(&[("inet46", "IPv4 and IPv6"), ("inet", "IPv4"), ("inet6", "IPv6")]),
            "",
        ),
        field(
            "protocol",
            "Protocol",
            Kind::Text { default: "any" },
            "any, tcp, udp, tcp/udp, icmp or a protocol number.",
        ),
        field(
            "source",
            "Source",
            Kind::Endpoint,
            "any, an address, a network, \"lan net\", \"lan address\" or \"this firewall\"; \"! \" in front for everything else.",
        ),
        field(
            "source_port",
            "Source port",
            Kind::Text { default: "any" },
            "Seldom the same twice: leave it empty unless you know better.",
        ),
        field("destination", "Destination", Kind::Endpoint, "As the source."),
        field(
            "destination_port",
            "Destination port",
            Kind::Text { default: "any" },
            "A port or a range, as in 443 or 8000-8080; TCP and UDP only.",
        ),
        field(
            "log",
            "Log",
            Kind::Flag { default: false, words: "Log packets that this rule handles" },
            "Blocked packets stand among the recent drops; each connection that is passed is a line in the log.",
        ),
        DESCRIPTION,
    ],
    by: Some("interface"),
    ordered: true,
    automatic: automatic_rules,
    ..PLAIN
};

/// Rules that nobody wrote on an interface, in the configuration in force: those that are asked before a person's, and
/// the default deny.
fn automatic_rules(compiled: &Compiled, interface: &str) -> [Vec<Line>; 2] {
    let mut lines = [Vec::new(), Vec::new()];
    let Some(id) = compiled.config.interface_id(interface) else { return lines };
    for info in compiled.ruleset.rules() {
        if let Some(owner) = info.automatic
            && info.direction == Direction::In
            && info.interfaces.contains(&id)
        {
            let last = matches!(info.id, RuleId(100 | 101));
            lines[usize::from(last)].push(automatic_line(info, owner, interface));
        }
    }
    lines
}

fn automatic_line(info: &RuleInfo, owner: Setting, interface: &str) -> Line {
    let page = match owner {
        Setting::DefaultPolicy => String::new(),
        Setting::AntiLockout => "/system/advanced".into(),
        Setting::BlockPrivate | Setting::BlockBogons => format!("/interfaces/edit/{interface}"),
        Setting::VirtualIp => "/firewall/virtual-ips".into(),
        Setting::Pair => "/system/high-availability".into(),
    };
    let cell = |head, text: &str, mark| Cell { head, texts: vec![text.to_owned()], code: false, mark };
    let passes = info.text.starts_with("pass");
    let cells = vec![
        cell("Action", if passes { "pass" } else { "block" }, true),
        Cell { head: "Description", texts: vec![info.description.clone()], code: false, mark: false },
    ];
    Line { key: info.id.to_string(), cells, disabled: false, owner: Some(("Setting", page)) }
}

pub(super) static OUTBOUND: Settings = Settings {
    title: "NAT: Outbound",
    about: "",
    slug: "/firewall/nat/outbound",
    change: Right::Operate,
    sections: &[(
        "Outbound NAT",
        "outbound",
        &[field(
            "mode",
            "Mode",
            Kind::Choice(&[
                ("automatic", "Automatic: IPv4 from inside networks leaves a WAN with that WAN's address"),
                ("disabled", "Disabled: no translation"),
            ]),
            "A pair translates to a virtual address of the WAN, so that connections survive a takeover.",
        )],
    )],
    beside: &[],
    without: None,
};

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
            Kind::Name("interface"),
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
