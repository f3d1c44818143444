//! System: Advanced, High Availability, Routing, User Manager.

use crate::web::collection::{Collection, PLAIN, Show, column};
use crate::web::form::{DESCRIPTION, DISABLED, Field, Kind, Section, TEXT, field, fixed, required};
use crate::web::references::Noun;
use crate::web::settings::Settings;
use crate::web::visitor::Right;

pub(super) static NOTIFICATIONS: Settings = Settings {
    title: "Notifications",
    about: "What nobody may overlook, told at once: redundancy lost and regained, takeovers, gateways down and up. Servers of the firewall log hear of it, too.",
    slug: "/system/notifications",
    change: Right::Administer,
    sections: &[("Webhook", "system.notification", NOTIFICATION_FIELDS)],
    beside: &[],
    without: None,
};

static NOTIFICATION_FIELDS: &[Field] = &[
    field(
        "url",
        "URL",
        TEXT,
        "Where each notice is posted as JSON, as in https://example.org/hook; nobody is told without one.",
    ),
    field(
        "secret",
        "Secret",
        Kind::Secret,
        "Signs each notice: X-Koi-Signature is the HMAC-SHA256 of the body. Write - to remove it.",
    ),
    field(
        "authority",
        "Authority",
        Kind::Block,
        "A certificate in PEM form that vouches for the receiver, when browsers do not know it.",
    ),
];

pub(super) static ADVANCED: Settings = Settings {
    title: "Advanced",
    about: "",
    slug: "/system/advanced",
    change: Right::Administer,
    sections: &[
        ("Admin Access", "system", ADMIN_FIELDS),
        ("Firewall & NAT", "system", STATE_FIELDS),
        ("Gateways", "system", GATEWAY_FIELDS),
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
        "schedules_keep_states",
        "Schedules",
        Kind::Flag { default: false, words: "Connections live on when the hours of their rule end" },
        "Otherwise they end with them.",
    ),
    field(
        "optimization",
        "Firewall optimization",
        Kind::Choice(&[
            ("normal", "Normal"),
            ("high-latency", "High latency: idle connections are remembered for longer"),
            ("aggressive", "Aggressive: idle connections are forgotten sooner"),
            ("conservative", "Conservative: idle connections are kept for as long as they could be wanted"),
            ("rfc", "RFC: no timeout is shorter than RFC 4787, 5382 and 5508 ask for"),
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
        "adaptive_start",
        "Adaptive start",
        Kind::Number { default: "60 % of the states" },
        "From so many connections on, idle ones are forgotten sooner; 0 for never.",
    ),
    field(
        "adaptive_end",
        "Adaptive end",
        Kind::Number { default: "120 % of the states" },
        "With so many, none would be remembered: more than the maximum.",
    ),
    field(
        "syncookies",
        "SYN cookies",
        Kind::Choice(&[
            ("never", "Never, but by rules with a SYN proxy"),
            ("always", "Always: connections begin without a state"),
            ("adaptive", "Adaptive: while there are many half-open connections"),
        ]),
        "What a flood of SYNs costs.",
    ),
    field(
        "syncookies_start",
        "SYN cookies from",
        Kind::Number { default: "25" },
        "Half-open connections in percent of the maximum states.",
    ),
    field(
        "syncookies_end",
        "SYN cookies until",
        Kind::Number { default: "12" },
        "Half-open connections in percent of the maximum states.",
    ),
    field(
        "overload_expire",
        "Overload tables",
        Kind::Number { default: "3600" },
        "Seconds that a source stays in one.",
    ),
    field(
        "fragment_limit",
        "Firewall maximum fragment entries",
        Kind::Number { default: "5000" },
        "The most datagrams of which only parts have arrived.",
    ),
    field(
        "rfc.ipv6_options",
        "RFC 8200",
        Kind::Flag {
            default: false,
            words: "Forward packets with IPv6 options, whatever the rule says of options",
        },
        "pf drops them unless the rule allows options.",
    ),
    field(
        "rfc.refusals",
        "RFC 5508",
        Kind::Flag { default: false, words: "Tell whoever gets no state that it is prohibited" },
        "pf drops without a word.",
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

static GATEWAY_FIELDS: &[Field] = &[
    field(
        "kill_states_on_gateway_failure",
        "State killing on failure",
        Kind::Choice(&[
            ("none", "No connection ends"),
            ("down", "Connections of the gateway end"),
            ("all", "All connections end"),
        ]),
        "When a gateway goes down, unless the gateway says otherwise.",
    ),
    field(
        "kill_states_on_gateway_recovery",
        "State killing on recovery",
        Kind::Flag { default: false, words: "End connections of higher tiers when a lower one is up again" },
        "For gateway groups that say nothing of it themselves.",
    ),
    field(
        "skip_rules_when_gateway_down",
        "Skip rules",
        Kind::Flag { default: false, words: "Leave out rules whose gateway is down" },
        "Otherwise such a rule passes what it matches where the routes lead.",
    ),
    field(
        "sticky_connections",
        "Sticky connections",
        Kind::Flag { default: false, words: "Connections of one source go by the same gateway of a tier" },
        "",
    ),
    field(
        "disable_reply_to",
        "Disable reply-to",
        Kind::Flag { default: false, words: "Answers to what comes in by a WAN go where the routes lead" },
        "Otherwise they go back by the gateway of that WAN.",
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

const ROUTING: &[(&str, &str)] = &[
    ("Gateways", "/system/gateways"),
    ("Gateway Groups", "/system/gateway-groups"),
    ("Static Routes", "/system/routes"),
];

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
            "Routes, groups and rules refer to it, and follow when it changes. Letters, digits, _ and -.",
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
            "One gateway or gateway group for each address family.",
        ),
        field(
            "monitor",
            "Monitor IP",
            Kind::Text { default: "the gateway's own" },
            "The address that is asked whether it answers, through this gateway: better one behind it.",
        ),
        field(
            "monitor_disable",
            "Disable monitoring",
            Kind::Flag { default: false, words: "Do not watch this gateway: it counts as up" },
            "",
        ),
        field(
            "action_disable",
            "Disable monitoring action",
            Kind::Flag { default: false, words: "Watch it, and change nothing whatever that shows" },
            "",
        ),
        field(
            "force_down",
            "Force state",
            Kind::Flag { default: false, words: "Mark this gateway as down" },
            "",
        ),
        field(
            "kill_states",
            "State killing on failure",
            Kind::Choice(&[
                ("", "As under System, Advanced"),
                ("none", "No connection ends"),
                ("down", "Connections of this gateway end"),
                ("all", "All connections end"),
            ]),
            "When it goes down.",
        ),
        DESCRIPTION,
    ],
    more: |_, index, _| vec![Section::new("Advanced", format!("gateway[{index}]"), WATCHING_FIELDS)],
    beside: ROUTING,
    ..PLAIN
};

static WATCHING_FIELDS: &[Field] = &[
    field(
        "weight",
        "Weight",
        Kind::Number { default: "1" },
        "Its share among the gateways of a tier, from 1 to 30.",
    ),
    field(
        "data_payload",
        "Data payload",
        Kind::Number { default: "1" },
        "Bytes behind the header of a probe.",
    ),
    field(
        "latency_low",
        "Latency threshold, low",
        Kind::Number { default: "200" },
        "Milliseconds of delay above which the gateway is shown as slow.",
    ),
    field(
        "latency_high",
        "Latency threshold, high",
        Kind::Number { default: "500" },
        "Milliseconds of delay above which it is down.",
    ),
    field(
        "loss_low",
        "Packet loss threshold, low",
        Kind::Number { default: "10" },
        "Percent of lost probes above which it is shown as lossy.",
    ),
    field(
        "loss_high",
        "Packet loss threshold, high",
        Kind::Number { default: "20" },
        "Percent of lost probes above which it is down.",
    ),
    field("interval", "Probe interval", Kind::Number { default: "500" }, "Milliseconds between two probes."),
    field(
        "loss_interval",
        "Loss interval",
        Kind::Number { default: "2000" },
        "Milliseconds after which a probe without an answer is lost.",
    ),
    field(
        "time_period",
        "Time period",
        Kind::Number { default: "60000" },
        "Milliseconds whose probes are looked at together.",
    ),
    field(
        "alert_interval",
        "Alert interval",
        Kind::Number { default: "1000" },
        "Milliseconds between two looks at them.",
    ),
];

pub(super) static GATEWAY_GROUPS: Collection = Collection {
    title: "Gateway Groups",
    one: "gateway group",
    about: "Several gateways under one name: of the lowest tier with a gateway that is up, all that are up share the connections.",
    slug: "/system/gateway-groups",
    list: "gateway_group",
    key: "name",
    columns: &[
        column("Name", &["name"], Show::Text, ""),
        column("Default", &["default"], Show::Words("default"), ""),
        column("Gateways and tiers", &["members"], Show::Code, ""),
        column("Trigger", &["trigger"], Show::Text, "down"),
        column("Description", &["description"], Show::Text, ""),
    ],
    fields: &[
        fixed("name", "Name", TEXT, "Rules refer to it. Letters, digits, _ and -."),
        required(
            "members",
            "Gateways",
            Kind::Lines,
            "One a line, with its tier from 1 to 5 behind a stroke, as in WANGW|1.",
        ),
        field(
            "trigger",
            "Trigger level",
            Kind::Choice(&[
                ("down", "Member down"),
                ("downloss", "Packet loss"),
                ("downlatency", "High latency"),
                ("downlosslatency", "Packet loss or high latency"),
            ]),
            "When a gateway is left out.",
        ),
        field(
            "keep_failover_states",
            "Keep failover states",
            Kind::Choice(&[
                ("", "As under System, Advanced"),
                ("keep", "Connections of higher tiers go on when a lower one is up again"),
                ("kill", "They end then, and begin anew by the better gateway"),
            ]),
            "",
        ),
        field(
            "default",
            "Default gateway",
            Kind::Flag {
                default: false,
                words: "Everything without a better route goes to its first gateway that is up",
            },
            "One gateway or gateway group for each address family.",
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
