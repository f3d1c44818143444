//! Interfaces: the logical ones, their ports and VLANs, and the addresses of each node.

use serde_json::{Value, json};

use crate::config::mac_for;
use crate::web::collection::{Collection, PLAIN, Show, column};
use crate::web::form::{DESCRIPTION, Field, Kind, Section, TEXT, field, fixed, required, text_of, tree};
use crate::web::references::Noun;
use crate::web::visitor::Right;

pub(in crate::web) static INTERFACES: Collection = Collection {
    title: "Interfaces",
    one: "interface",
    about: "Logical interfaces are the same on every node; rules and connections refer to them. With a tag, an interface is a VLAN on its port.",
    slug: "/interfaces",
    list: "interface",
    key: "name",
    change: Right::Operate,
    columns: &[
        column("Interface", &["name"], Show::Text, ""),
        column("Zone", &["zone"], Show::Text, ""),
        column("Port", &["port"], Show::Text, ""),
        column("VLAN", &["vlan"], Show::Text, "untagged"),
        column("MTU", &["mtu"], Show::Text, "1500"),
        column("Description", &["description"], Show::Text, ""),
    ],
    fields: &[
        required(
            "name",
            "Name",
            TEXT,
            "Rules refer to it, and follow when it changes: lower-case letters, digits, _ and -, as in lan or opt1.",
        ),
        DESCRIPTION,
        required(
            "zone",
            "Zone",
            Kind::Choice(&[
                ("lan", "LAN: trusted, reaches these pages"),
                ("dmz", "DMZ: servers, inside but not trusted"),
                ("wan", "WAN: the outside"),
            ]),
            "Which side of the firewall it is on.",
        ),
        required("port", "Port", Kind::Name(&["node[0].port"]), "The port of each node that carries it."),
        field(
            "vlan",
            "VLAN tag",
            Kind::Number { default: "untagged" },
            "802.1Q tag on that port, from 1 to 4094; empty for untagged frames.",
        ),
        field(
            "mtu",
            "MTU",
            Kind::Number { default: "1500" },
            "The largest IP packet, from 576 to 9216 bytes.",
        ),
        field(
            "mss",
            "MSS",
            Kind::Number { default: "not clamped" },
            "TCP connections through here are clamped to this value minus the headers.",
        ),
        field(
            "block_private",
            "Block private networks",
            Kind::Flag { default: false, words: "Drop what comes in here from private networks" },
            "RFC 1918, RFC 4193 and RFC 6598: right on a WAN whose provider gives public addresses.",
        ),
        field(
            "block_bogons",
            "Block bogon networks",
            Kind::Flag {
                default: false,
                words: "Drop what comes in here from reserved and unassigned networks",
            },
            "Nobody sends from there honestly.",
        ),
        field(
            "router_advertisements",
            "Router advertisements",
            Kind::Flag { default: false, words: "Announce this router and its IPv6 networks to hosts" },
            "Hosts find their addresses and their gateway by it (RFC 4861).",
        ),
        field(
            "scrub.no_df",
            "Clear DF",
            Kind::Flag { default: false, words: "IPv4 packets that must not be fragmented may be" },
            "For networks that lose ICMP errors.",
        ),
        field(
            "scrub.random_id",
            "Random IP identification",
            Kind::Flag { default: false, words: "IPv4 packets get random identifications" },
            "Hides how many packets a host sends.",
        ),
        field(
            "scrub.min_ttl",
            "Minimum TTL",
            Kind::Number { default: "as it is" },
            "What comes in with fewer hops left gets so many.",
        ),
        field(
            "scrub.fragments",
            "Fragments",
            Kind::Choice(&[("reassemble", "Put together before the rules are asked"), ("drop", "Dropped")]),
            "What becomes of fragments that come in.",
        ),
    ],
    beside: BESIDE,
    more: node_sections,
    made: make_node_parts,
    gone: forget_node_parts,
    noun: Some(Noun::Interface),
    renamed: keep_mac_addresses,
    ..PLAIN
};

pub(in crate::web) const BESIDE: &[(&str, &str)] = &[
    ("Assignments", "/interfaces"),
    ("Interface Groups", "/interface-groups"),
    ("Zones", "/interfaces/zones"),
];

pub(super) static GROUPS: Collection = Collection {
    title: "Interface Groups",
    one: "interface group",
    about: "Interfaces that have rules in common. The rules of a group come before those of its interfaces.",
    slug: "/interface-groups",
    list: "interface_group",
    key: "name",
    columns: &[
        column("Name", &["name"], Show::Text, ""),
        column("Members", &["members"], Show::Text, ""),
        column("Description", &["description"], Show::Text, ""),
    ],
    fields: &[
        fixed("name", "Name", TEXT, "Rules refer to it: lower-case letters, digits, _ and -."),
        required("members", "Members", Kind::Lines, "Names of interfaces, one a line."),
        DESCRIPTION,
    ],
    beside: BESIDE,
    ..PLAIN
};

static NODE_FIELDS: &[Field] = &[
    field(
        "addresses",
        "Addresses",
        Kind::Lines,
        "One a line with its prefix length, as in 192.168.1.1/24. The first of each family is the one that own traffic uses.",
    ),
    field(
        "mac",
        "MAC address",
        Kind::Text { default: "derived from the names of node and interface" },
        "Six hex pairs, as in 02:00:00:00:00:01.",
    ),
];

/// A section for each node: its addresses on this interface.
fn node_sections(tree: &Value, index: usize, _: bool) -> Vec<Section> {
    let interface = text_of(tree::get(tree, &format!("interface[{index}].name")));
    let nodes = tree::list(tree, "node").iter().enumerate();
    let section = |(node, part): (usize, &Value)| {
        let parts = tree::list(part, "interface");
        let own =
            parts.iter().position(|part| !interface.is_empty() && text_of(part.get("name")) == interface);
        let base = format!("node[{node}].interface[{}]", own.unwrap_or(parts.len()));
        Section::new(format!("On node {}", text_of(part.get("name"))), base, NODE_FIELDS)
    };
    nodes.map(section).collect()
}

/// Each node has a part for each interface: the new one's is what was filled in, under its name.
fn make_node_parts(tree: &mut Value, index: usize) {
    let name = tree::get(tree, &format!("interface[{index}].name")).cloned().unwrap_or_default();
    for node in 0..tree::list(tree, "node").len() {
        if let Some(parts) = tree::list_mut(tree, &format!("node[{node}].interface"))
            && !parts.iter().any(|part| part.get("name") == Some(&name))
        {
            match parts.last_mut().filter(|part| part.get("name").is_none()) {
                Some(part) => tree::set(part, "name", Some(name.clone())),
                None => parts.push(json!({ "name": name })),
            }
        }
    }
}

fn forget_node_parts(tree: &mut Value, gone: &Value) {
    for node in 0..tree::list(tree, "node").len() {
        if let Some(parts) = tree::list_mut(tree, &format!("node[{node}].interface")) {
            parts.retain(|part| part.get("name") != gone.get("name"));
        }
    }
}

/// MAC addresses follow from names where none is written; neighbours shall not notice that a name has changed.
fn keep_mac_addresses(tree: &mut Value, old: &str, new: &str) {
    for node in 0..tree::list(tree, "node").len() {
        let name = text_of(tree::get(tree, &format!("node[{node}].name")));
        let parts = tree::list(tree, &format!("node[{node}].interface"));
        let own = parts.iter().position(|part| text_of(part.get("name")) == new && part.get("mac").is_none());
        if let Some(own) = own {
            let mac = mac_for(&name, old).to_string();
            tree::set(tree, &format!("node[{node}].interface[{own}].mac"), Some(mac.into()));
        }
    }
}
