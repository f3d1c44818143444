//! Firewall, NAT: port forwards, 1:1, outbound, NPt.

use super::firewall::{DESTINATION, DESTINATION_PORT, FAMILY, PROTOCOL, SOURCE, SOURCE_PORT};
use serde_json::{Value, json};

use crate::config::model::{OutboundMode, Zone};
use crate::node::Compiled;
use crate::types::Family;
use crate::web::collection::{Cell, Collection, Line, PLAIN, Show, column, next_id};
use crate::web::form::{DESCRIPTION, DISABLED, Field, Kind, TEXT, field, required, text_of, tree};
use crate::web::settings::Settings;
use crate::web::visitor::Right;

const BESIDE: &[(&str, &str)] = &[
    ("Port Forward", "/firewall/nat/port-forward"),
    ("1:1", "/firewall/nat/one-to-one"),
    ("Outbound", "/firewall/nat/outbound"),
    ("Outbound Mode", "/firewall/nat/mode"),
    ("NPt", "/firewall/nat/npt"),
];

const INTERFACE_IN: Field = required(
    "interface",
    "Interface",
    Kind::Name(&["interface"]),
    "The interface by which connections come in.",
);

pub(super) static PORT_FORWARDS: Collection = Collection {
    title: "NAT: Port Forward",
    one: "port forward",
    about: "Connections to an outside address and port go to an inside one. The first match decides.",
    slug: "/firewall/nat/port-forward",
    list: "port_forward",
    key: "id",
    columns: &[
        column("Interface", &["interface"], Show::Text, ""),
        column("Protocol", &["family", "protocol"], Show::Text, "any"),
        column("Source", &["source", "source_port"], Show::Code, "any"),
        column("Destination", &["destination", "destination_port"], Show::Code, "any"),
        column("Target", &["target", "local_port"], Show::Code, "not translated"),
        column("Description", &["description"], Show::Text, ""),
    ],
    fields: &[
        DISABLED,
        field(
            "no_redirect",
            "No redirect",
            Kind::Flag { default: false, words: "Do not translate, also not by the entries below" },
            "An exception; it has no target.",
        ),
        INTERFACE_IN,
        FAMILY,
        PROTOCOL,
        SOURCE,
        SOURCE_PORT,
        required("destination", "Destination", Kind::Endpoint, "The outside address, as in \"wan address\"."),
        DESTINATION_PORT,
        field(
            "target",
            "Redirect target",
            TEXT,
            "The inside address, or an alias of several, which take turns.",
        ),
        field(
            "local_port",
            "Redirect target port",
            Kind::Number { default: "the same" },
            "The first inside port; the outside ports map to as many from here on.",
        ),
        field(
            "association",
            "Filter rule",
            Kind::Choice(&[
                ("none", "None: a rule of your own lets the connections in"),
                (LINKED, "A rule that belongs to the forward, and changes and goes with it"),
                ("pass", "Pass: the forward itself lets them in"),
            ]),
            "Translation comes before the filter: a rule sees the inside address.",
        ),
        field(
            "reflection",
            "NAT reflection",
            Kind::Choice(&[
                ("", "As under System, Advanced"),
                ("disable", "Off"),
                ("purenat", "Pure NAT: hosts inside reach the target by the outside address"),
            ]),
            "",
        ),
        DESCRIPTION,
    ],
    beside: BESIDE,
    ordered: true,
    gone: forget_linked_rule,
    shown: show_linked_rule,
    taken: take_linked_rule,
    ..PLAIN
};

/// Of a port forward that has a rule of its own. The document says that by the rule.
const LINKED: &str = "rule";

fn is_linked(rule: &Value, forward: &Value) -> bool {
    rule.get("port_forward").is_some_and(|id| Some(id) == forward.get("id"))
}

fn show_linked_rule(tree: &mut Value, index: usize) {
    let Some(forward) = tree::list(tree, "port_forward").get(index) else { return };
    if tree::list(tree, "rule").iter().any(|rule| is_linked(rule, forward)) {
        tree::set(tree, &format!("port_forward[{index}].association"), Some(LINKED.into()));
    }
}

fn take_linked_rule(tree: &mut Value, index: usize) {
    let association = format!("port_forward[{index}].association");
    let Some(forward) = tree::list(tree, "port_forward").get(index).cloned() else { return };
    let wanted = text_of(tree::get(tree, &association)) == LINKED;
    let has = tree::list(tree, "rule").iter().any(|rule| is_linked(rule, &forward));
    if wanted {
        tree::set(tree, &association, None);
    }
    match (wanted, has) {
        (true, false) => {
            let id = next_id(tree);
            let description = match text_of(forward.get("description")) {
                text if text.is_empty() => "NAT".to_owned(),
                text => format!("NAT {text}"),
            };
            let rule = json!({
                "id": id, "action": "pass", "port_forward": forward.get("id"), "description": description,
            });
            if let Some(rules) = tree::list_mut(tree, "rule") {
                rules.push(rule);
            }
        }
        (false, true) => forget_linked_rule(tree, &forward),
        (true, true) | (false, false) => {}
    }
}

fn forget_linked_rule(tree: &mut Value, forward: &Value) {
    if let Some(rules) = tree::list_mut(tree, "rule") {
        rules.retain(|rule| !is_linked(rule, forward));
    }
}

pub(super) static ONE_TO_ONES: Collection = Collection {
    title: "NAT: 1:1",
    one: "1:1 mapping",
    about: "An outside address for each inside one, both ways. The first match decides.",
    slug: "/firewall/nat/one-to-one",
    list: "one_to_one",
    key: "id",
    columns: &[
        column("Interface", &["interface"], Show::Text, ""),
        column("External", &["external"], Show::Code, ""),
        column("Internal", &["internal"], Show::Code, ""),
        column("Destination", &["destination"], Show::Code, "any"),
        column("Description", &["description"], Show::Text, ""),
    ],
    fields: &[
        DISABLED,
        field(
            "no_binat",
            "No binat",
            Kind::Flag { default: false, words: "Do not translate, also not by the entries below" },
            "An exception.",
        ),
        INTERFACE_IN,
        required(
            "external",
            "External address",
            TEXT,
            "The first outside address; there are as many as inside ones.",
        ),
        required("internal", "Internal network", TEXT, "An address or a network, as in 10.20.0.5/32."),
        field("destination", "Destination", Kind::Endpoint, "Only for connections with this far side."),
        field(
            "reflection",
            "NAT reflection",
            Kind::Maybe("As under System, Advanced"),
            "Whether hosts inside reach it by the outside address.",
        ),
        DESCRIPTION,
    ],
    beside: BESIDE,
    ordered: true,
    ..PLAIN
};

pub(super) static OUTBOUND_RULES: Collection = Collection {
    title: "NAT: Outbound",
    one: "outbound mapping",
    about: "What connections that leave by an interface are translated to. These mappings are in force in the modes Hybrid and Manual.",
    slug: "/firewall/nat/outbound",
    list: "outbound.rule",
    key: "id",
    columns: &[
        column("Interface", &["interface"], Show::Text, ""),
        column("Protocol", &["family", "protocol"], Show::Text, "any"),
        column("Source", &["source", "source_port"], Show::Code, "any"),
        column("Destination", &["destination", "destination_port"], Show::Code, "any"),
        column("Translation", &["target", "port"], Show::Code, "interface address"),
        column("Static port", &["static_port"], Show::Words("static"), ""),
        column("Description", &["description"], Show::Text, ""),
    ],
    fields: &[
        DISABLED,
        field(
            "no_nat",
            "Do not NAT",
            Kind::Flag { default: false, words: "Do not translate what this describes" },
            "An exception to the entries below.",
        ),
        required(
            "interface",
            "Interface",
            Kind::Name(&["interface"]),
            "The interface by which connections leave.",
        ),
        FAMILY,
        PROTOCOL,
        SOURCE,
        SOURCE_PORT,
        DESTINATION,
        DESTINATION_PORT,
        field(
            "target",
            "Translation address",
            Kind::Text { default: "interface address" },
            "An address, a network, a range or an alias.",
        ),
        field(
            "pool",
            "Pool options",
            Kind::Choice(&[
                ("round-robin", "Round robin"),
                ("random", "Random"),
                ("source-hash", "By a hash of the source address"),
            ]),
            "How one of several addresses is chosen.",
        ),
        field(
            "sticky",
            "Sticky address",
            Kind::Flag { default: false, words: "A source keeps its address while it has a connection" },
            "",
        ),
        field(
            "port",
            "Port or range",
            Kind::Text { default: "1024-65535" },
            "The ports that connections leave with.",
        ),
        field(
            "static_port",
            "Static port",
            Kind::Flag { default: false, words: "Connections keep their port" },
            "For programs that insist, as IPsec's.",
        ),
        field(
            "endpoint_independent",
            "Endpoint-independent",
            Kind::Flag { default: false, words: "A port keeps its translation, whomever it speaks with" },
            "For games and calls between two networks. Whom it has not spoken with still cannot reach it.",
        ),
        DESCRIPTION,
    ],
    beside: BESIDE,
    ordered: true,
    automatic: automatic_mappings,
    ..PLAIN
};

/// The mappings that nobody wrote, in the configuration in force: they come after a person's own.
fn automatic_mappings(compiled: &Compiled, _: &str) -> [Vec<Line>; 2] {
    match compiled.config.outbound.mode {
        OutboundMode::Automatic | OutboundMode::Hybrid => {}
        OutboundMode::Manual | OutboundMode::Disabled => return [Vec::new(), Vec::new()],
    }
    let networks = compiled.inside_networks().iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let wans = compiled.config.interface_ids().zip(&compiled.config.interfaces);
    let wans = wans.filter(|(_, interface)| interface.zone == Zone::Wan && !networks.is_empty());
    let lines = wans.filter_map(|(id, interface)| {
        let address = compiled.outside_address(id, Family::Inet)?;
        let cell = |head, text: String| Cell { head, texts: vec![text], code: false, mark: false };
        let words = format!("{networks} leaves with {address}, ports 1024-65535");
        Some(Line {
            key: "automatic".into(),
            cells: vec![cell("Interface", interface.name.clone()), cell("Description", words)],
            disabled: false,
            above: String::new(),
            owner: Some(("Mode", "/firewall/nat/mode".into())),
        })
    });
    [Vec::new(), lines.collect()]
}

pub(super) static NPTS: Collection = Collection {
    title: "NAT: NPt",
    one: "NPt mapping",
    about: "One IPv6 prefix inside, another outside, without state (RFC 6296).",
    slug: "/firewall/nat/npt",
    list: "npt",
    key: "id",
    columns: &[
        column("Interface", &["interface"], Show::Text, ""),
        column("Internal prefix", &["source"], Show::Code, ""),
        column("External prefix", &["destination"], Show::Code, ""),
        column("Description", &["description"], Show::Text, ""),
    ],
    fields: &[
        DISABLED,
        required("interface", "Interface", Kind::Name(&["interface"]), "The outside interface."),
        required("source", "Internal prefix", TEXT, "As in fd00:1::/48."),
        required(
            "destination",
            "External prefix",
            TEXT,
            "As long as the internal one, as in 2001:db8:1::/48.",
        ),
        DESCRIPTION,
    ],
    beside: BESIDE,
    ordered: true,
    ..PLAIN
};

pub(super) static OUTBOUND_MODE: Settings = Settings {
    title: "NAT: Outbound Mode",
    about: "A pair translates to a virtual address of the WAN, so that connections survive a takeover.",
    slug: "/firewall/nat/mode",
    change: Right::Operate,
    sections: &[(
        "Outbound NAT",
        "outbound",
        &[field(
            "mode",
            "Mode",
            Kind::Choice(&[
                ("automatic", "Automatic: IPv4 from inside networks leaves a WAN with that WAN's address"),
                ("hybrid", "Hybrid: the mappings under Outbound first, then as automatic"),
                ("manual", "Manual: the mappings under Outbound alone"),
                ("disabled", "Disabled: no translation"),
            ]),
            "",
        )],
    )],
    beside: BESIDE,
    without: None,
};
