//! System: General Setup, Advanced, High Availability, Routing, User Manager.

use crate::web::collection::{Collection, PLAIN, Show, column};
use crate::web::form::{DESCRIPTION, DISABLED, Field, Kind, TEXT, field, fixed, required};
use crate::web::references::Noun;
use crate::web::settings::Settings;
use crate::web::visitor::Right;

pub(super) static GENERAL: Settings = Settings {
    title: "General Setup",
    about: "",
    slug: "/system/general",
    change: Right::Administer,
    sections: &[("System", "system", GENERAL_FIELDS)],
    beside: &[],
    without: None,
};

static GENERAL_FIELDS: &[Field] = &[field(
    "hostname",
    "Hostname",
    Kind::Text { default: "koi" },
    "Name of the firewall, on its pages and in its certificate. Letters, digits and hyphens, in parts joined by dots.",
)];

pub(super) static ADVANCED: Settings = Settings {
    title: "Advanced",
    about: "",
    slug: "/system/advanced",
    change: Right::Administer,
    sections: &[
        ("Admin Access", "system", ADMIN_FIELDS),
        ("Firewall & NAT", "system", STATE_FIELDS),
        ("State Timeouts", "system.timeouts", TIMEOUT_FIELDS),
    ],
    beside: &[],
    without: None,
};

static ADMIN_FIELDS: &[Field] = &[
    field(
        "web.port",
        "TCP port",
        Kind::Number { default: "443" },
        "Port of these pages on the firewall's own addresses.",
    ),
    field(
        "web.certificate",
        "Certificate",
        Kind::Name(&["certificate"]),
        "What these pages prove their name with, on both nodes; without one each node makes its own.",
    ),
    field(
        "anti_lockout",
        "Anti-lockout",
        Kind::Flag { default: true, words: "Keep these pages reachable from LAN, whatever the rules say" },
        "Without it, a rule can lock you out.",
    ),
];

static STATE_FIELDS: &[Field] = &[
    field(
        "optimization",
        "Firewall optimization",
        Kind::Choice(&[
            ("normal", "Normal"),
            ("high-latency", "High latency: idle connections are remembered for longer"),
            ("aggressive", "Aggressive: idle connections are forgotten sooner"),
            ("conservative", "Conservative: idle connections are kept for as long as they could be wanted"),
        ]),
        "The profile of the timeouts below.",
    ),
    field(
        "state_policy",
        "State policy",
        Kind::Choice(&[
            ("if-bound", "Bound to interfaces: packets of a connection come in where it began"),
            ("floating", "Floating: they may come in anywhere"),
        ]),
        "For rules that say nothing of it themselves.",
    ),
    field(
        "state_limit",
        "Firewall maximum states",
        Kind::Number { default: "1000000" },
        "The most connections that the state table holds.",
    ),
    field(
        "nat_reflection",
        "NAT reflection",
        Kind::Choice(&[
            ("disable", "Off"),
            ("purenat", "Pure NAT: hosts inside reach port forwards by the outside address"),
        ]),
        "For port forwards that say nothing of it themselves.",
    ),
    field(
        "one_to_one_reflection",
        "1:1 reflection",
        Kind::Flag { default: false, words: "Hosts inside reach 1:1 mappings by the outside address" },
        "For mappings that say nothing of it themselves.",
    ),
];

const fn seconds(
    path: &'static str,
    label: &'static str,
    default: &'static str,
    help: &'static str,
) -> Field {
    field(path, label, Kind::Number { default }, help)
}

static TIMEOUT_FIELDS: &[Field] = &[
    seconds(
        "tcp_first",
        "TCP first",
        "as the profile",
        "Seconds after the first packet of a TCP connection.",
    ),
    seconds("tcp_opening", "TCP opening", "as the profile", "Seconds before the far side has answered."),
    seconds(
        "tcp_established",
        "TCP established",
        "as the profile",
        "Seconds that an open connection may be silent.",
    ),
    seconds("tcp_closing", "TCP closing", "as the profile", "Seconds after the first FIN."),
    seconds("tcp_finwait", "TCP FIN wait", "as the profile", "Seconds after both FINs."),
    seconds("tcp_closed", "TCP closed", "as the profile", "Seconds after a reset."),
    seconds("udp_first", "UDP first", "as the profile", "Seconds after the first datagram."),
    seconds("udp_single", "UDP single", "as the profile", "Seconds while only one side has sent several."),
    seconds("udp_multiple", "UDP multiple", "as the profile", "Seconds once both sides have sent."),
    seconds("icmp_first", "ICMP first", "as the profile", "Seconds after the first message."),
    seconds("icmp_error", "ICMP error", "as the profile", "Seconds after an error has come back."),
    seconds(
        "other_first",
        "Other first",
        "as the profile",
        "Seconds after the first packet of another protocol.",
    ),
    seconds(
        "other_single",
        "Other single",
        "as the profile",
        "Seconds while only one side has sent several.",
    ),
    seconds("other_multiple", "Other multiple", "as the profile", "Seconds once both sides have sent."),
    seconds(
        "frag",
        "Fragments",
        "as the profile",
        "Seconds until a datagram that stays incomplete is given up.",
    ),
];

pub(super) static HIGH_AVAILABILITY: Settings = Settings {
    title: "High Availability",
    about: "Both nodes hold the same document. How the pair is at this moment stands under Status, CARP.",
    slug: "/system/high-availability",
    change: Right::Administer,
    sections: &[("Pair", "pair", PAIR_FIELDS)],
    beside: PAIR_BESIDE,
    without: Some((
        "pair",
        "This firewall is a single node. The page The Pair makes it the first one of a pair, and shows the code with which a second one joins.",
    )),
};

pub(in crate::web) const PAIR_BESIDE: &[(&str, &str)] =
    &[("Settings", "/system/high-availability"), ("The Pair", "/system/pair"), ("Status", "/status/carp")];

static PAIR_FIELDS: &[Field] = &[
    required(
        "sync",
        "Synchronization port",
        Kind::Name(&["node[0].port"]),
        "The port of the cable between the two nodes; it carries nothing else.",
    ),
    required("preferred", "Preferred node", Kind::Name(&["node"]), "The node that wins ties."),
    field(
        "preempt",
        "Preemption",
        Kind::Flag { default: true, words: "The preferred node takes the role back when it returns" },
        "Otherwise it stays the standby until somebody hands over.",
    ),
    seconds(
        "preempt_delay",
        "Preemption delay",
        "30",
        "Seconds that a returning node must have been healthy and in sync.",
    ),
    field(
        "defer",
        "Defer first packet",
        Kind::Flag { default: false, words: "Hold a connection's first packet until the peer knows it" },
        "No connection is lost in a failure, for up to 10 ms at its start.",
    ),
];

const ROUTING: &[(&str, &str)] = &[("Gateways", "/system/gateways"), ("Static Routes", "/system/routes")];

pub(super) static GATEWAYS: Collection = Collection {
    title: "Gateways",
    one: "gateway",
    about: "Next hops with a name.",
    slug: "/system/gateways",
    list: "gateway",
    key: "name",
    columns: &[
        column("Name", &["name"], Show::Text, ""),
        column("Default", &["default"], Show::Words("default"), ""),
        column("Interface", &["interface"], Show::Text, ""),
        column("Gateway", &["address"], Show::Code, ""),
        column("Description", &["description"], Show::Text, ""),
    ],
    fields: &[
        required(
            "name",
            "Name",
            TEXT,
            "Routes refer to it, and follow when it changes. Letters, digits, _ and -.",
        ),
        required(
            "interface",
            "Interface",
            Kind::Name(&["interface"]),
            "The interface that the gateway is reached through.",
        ),
        required(
            "address",
            "Gateway",
            TEXT,
            "Its address on that interface's network, without prefix length, as in 203.0.113.1.",
        ),
        field(
            "default",
            "Default gateway",
            Kind::Flag { default: false, words: "Everything without a better route goes here" },
            "One for each address family.",
        ),
        DESCRIPTION,
    ],
    beside: ROUTING,
    noun: Some(Noun::Gateway),
    ..PLAIN
};

pub(super) static ROUTES: Collection = Collection {
    title: "Static Routes",
    one: "static route",
    about: "Networks that are reached through a gateway other than the default one.",
    slug: "/system/routes",
    list: "route",
    columns: &[
        column("Network", &["destination"], Show::Code, ""),
        column("Gateway", &["gateway"], Show::Text, ""),
        column("Description", &["description"], Show::Text, ""),
    ],
    fields: &[
        required(
            "destination",
            "Destination network",
            TEXT,
            "A network, as in 10.8.0.0/16 or 2001:db8:8::/48.",
        ),
        required("gateway", "Gateway", Kind::Name(&["gateway"]), "The next hop."),
        DESCRIPTION,
    ],
    beside: ROUTING,
    ..PLAIN
};

pub(super) static USERS: Collection = Collection {
    title: "User Manager",
    one: "user",
    about: "Who may log in. While there is nobody here, admin may, with the password of the first start.",
    slug: "/system/users",
    list: "user",
    key: "name",
    look: Right::Administer,
    change: Right::Administer,
    columns: &[
        column("Name", &["name"], Show::Text, ""),
        column("Role", &["role"], Show::Text, ""),
        column("Description", &["description"], Show::Text, ""),
    ],
    fields: &[
        fixed("name", "Name", TEXT, "What is typed to log in: letters, digits, ., @, _ and -."),
        required(
            "role",
            "Role",
            Kind::Choice(&[
                ("administrator", "Administrator: changes everything"),
                ("operator", "Operator: changes interfaces, routes, rules and translation"),
                ("read-only", "Read only: looks"),
            ]),
            "One administrator at least must stay.",
        ),
        required(
            "password_hash",
            "Password",
            Kind::Password,
            "At least 8 characters, without the name in it.",
        ),
        DISABLED,
        DESCRIPTION,
    ],
    beside: USERS_BESIDE,
    ..PLAIN
};

pub(in crate::web) const USERS_BESIDE: &[(&str, &str)] = &[
    ("Users", "/system/users"),
    ("My Authenticator", "/system/authenticator"),
    ("API Tokens", "/system/tokens"),
];
