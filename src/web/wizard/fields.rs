//! What each step of the wizard asks.

use crate::web::form::{Field, Kind, TEXT, field, required};
use crate::web::pages::{DNS_SERVERS, TIME_SERVERS, TIMEZONE};

pub(super) static SYSTEM_FIELDS: &[Field] = &[
    field(
        "hostname",
        "Hostname",
        Kind::Text { default: "koi" },
        "Letters, digits and hyphens, in parts joined by dots, as in fw.example.",
    ),
    DNS_SERVERS,
    TIMEZONE,
    TIME_SERVERS,
];

const PORT: Field = required("port", "Port", Kind::Name(&["node[0].port"]), "Where the cable is plugged in.");
const VLAN: Field =
    field("vlan", "VLAN tag", Kind::Number { default: "untagged" }, "Empty, unless the cable carries tags.");

pub(super) static WAN_FIELDS: &[Field] = &[
    PORT,
    VLAN,
    field(
        "block_private",
        "Block private networks",
        Kind::Flag { default: true, words: "Drop what comes in here from private networks" },
        "Right when your provider gives you a public address.",
    ),
    field(
        "block_bogons",
        "Block bogon networks",
        Kind::Flag { default: true, words: "Drop what comes in here from reserved and unassigned networks" },
        "Nobody sends from there honestly.",
    ),
];

pub(super) static NAT_FIELDS: &[Field] = &[field(
    "nat",
    "Translation",
    Kind::Flag { default: true, words: "IPv4 from inside leaves with the address of the WAN" },
    "Right unless the networks inside have public addresses.",
)];

pub(super) static GATEWAY_FIELDS: &[Field] =
    &[field("address", "Gateway", TEXT, "The provider's router, without prefix length, as in 203.0.113.1.")];

pub(super) static LAN_FIELDS: &[Field] = &[
    PORT,
    VLAN,
    field(
        "router_advertisements",
        "Router advertisements",
        Kind::Flag { default: false, words: "Announce this router and its IPv6 networks to hosts" },
        "Only with an IPv6 network.",
    ),
];

pub(super) static LAN_RULE: &[Field] = &[field(
    "allow",
    "Rule",
    Kind::Flag { default: true, words: "LAN may go anywhere" },
    "Otherwise nothing goes anywhere until you add a rule. Rules that are there stay as they are.",
)];

pub(super) static DMZ_FIELDS: &[Field] = &[PORT, VLAN];

pub(super) static DMZ_RULES: &[Field] = &[field(
    "allow",
    "Rules",
    Kind::Flag { default: true, words: "The DMZ may reach the internet, but neither LAN nor these pages" },
    "Otherwise nothing leaves it until you add a rule. Rules that are there stay as they are.",
)];

pub(super) static ADMIN_FIELDS: &[Field] = &[
    required("name", "Name", TEXT, "What you type to log in: letters, digits, ., @, _ and -."),
    required("password_hash", "Password", Kind::Password, "At least 8 characters, without the name in it."),
];
