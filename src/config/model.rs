//! The plain model of the one document: what a person writes, in pfSense's words.
//!
//! Invariant: this is data. It may be nonsense; only [`super::Valid`] is not. Every field has an effect.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::types::{MacAddr, PortRange, Prefix, RuleId};

/// The whole document, shared by all nodes; each node takes its own `[[node]]` part.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Version of this format.
    pub schema: u32,
    /// Counts the changes; an edit carries the revision that it was based on.
    pub revision: u64,
    /// What belongs to the system as a whole.
    #[serde(default)]
    pub system: System,
    /// The machines.
    #[serde(rename = "node")]
    pub nodes: Vec<Node>,
    /// Logical interfaces; their order is the order of the GUI's tabs.
    #[serde(rename = "interface")]
    pub interfaces: Vec<Interface>,
    /// Next hops with a name.
    #[serde(rename = "gateway", default)]
    pub gateways: Vec<Gateway>,
    /// Static routes.
    #[serde(rename = "route", default)]
    pub routes: Vec<Route>,
    /// Filter rules of the interface tabs, first match wins.
    #[serde(rename = "rule", default)]
    pub rules: Vec<Rule>,
    /// Outbound NAT.
    #[serde(default)]
    pub outbound: Outbound,
}

/// `[system]`
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct System {
    /// Name of the firewall: on the status page and in the certificate.
    pub hostname: String,
    /// The most states that the connection table holds.
    pub state_limit: u32,
    /// Keeps the GUI reachable from LAN whatever the rules say.
    pub anti_lockout: bool,
    /// The status page.
    pub web: Web,
    /// pf's timers.
    pub timeouts: Timeouts,
}

/// `[system.web]`
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Web {
    /// HTTPS port on the router's own addresses.
    pub port: u16,
    /// Also served (plain HTTP) on this loopback address of the machine; for the lab and for development.
    pub loopback: Option<SocketAddr>,
}

/// `[system.timeouts]`: pf's timers in seconds, pf's defaults.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs, reason = "the names are pf's own")]
pub struct Timeouts {
    pub tcp_first: u32,
    pub tcp_opening: u32,
    pub tcp_established: u32,
    pub tcp_closing: u32,
    pub tcp_finwait: u32,
    pub tcp_closed: u32,
    pub udp_first: u32,
    pub udp_single: u32,
    pub udp_multiple: u32,
    pub icmp_first: u32,
    pub icmp_error: u32,
    pub other_first: u32,
    pub other_single: u32,
    pub other_multiple: u32,
    /// Reassembly gives up on a datagram after this long.
    pub frag: u32,
}

/// `[[node]]`: what differs from machine to machine.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Name of the machine.
    pub name: String,
    /// Its attachments.
    #[serde(rename = "port")]
    pub ports: Vec<Port>,
    /// Its addresses, by logical interface.
    #[serde(rename = "interface")]
    pub interfaces: Vec<NodeInterface>,
}

/// `[[node.port]]`: one TAP or macvtap.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Port {
    /// Name that interfaces refer to.
    pub name: String,
    /// Name of the TAP device: attached when it exists, created otherwise.
    #[serde(default)]
    pub tap: Option<String>,
    /// Or: path of a macvtap's character device.
    #[serde(default)]
    pub macvtap: Option<String>,
    /// Network namespace (a name of `ip netns`) in which the TAP lives; the machine's own when absent.
    #[serde(default)]
    pub netns: Option<String>,
    /// How frames are read and written.
    #[serde(default)]
    pub driver: Driver,
}

/// How frames are read and written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Driver {
    /// With checksum and segmentation offloads.
    #[default]
    Offload,
    /// One frame a call, no offloads; works everywhere.
    Plain,
}

/// `[[node.interface]]`: a logical interface on this machine.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeInterface {
    /// The logical interface.
    pub name: String,
    /// MAC address; derived from the names of node and interface when absent.
    #[serde(default)]
    pub mac: Option<MacAddr>,
    /// Addresses with their prefix length; the first of each family is the one that NAT and own traffic use.
    #[serde(default)]
    pub addresses: Vec<Prefix>,
}

/// `[[interface]]`: a logical interface, the same on every node.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interface {
    /// Logical name; rules and flows refer to it.
    pub name: String,
    /// For people.
    #[serde(default)]
    pub description: String,
    /// Which side of the firewall it is on.
    pub zone: Zone,
    /// The node's port that carries it.
    pub port: String,
    /// 802.1Q tag on that port; untagged when absent.
    #[serde(default)]
    pub vlan: Option<u16>,
    /// Largest IP packet.
    #[serde(default = "Interface::default_mtu")]
    pub mtu: u16,
    /// Clamps the MSS of TCP connections through this interface to this value minus the headers (pfSense's MSS field).
    #[serde(default)]
    pub mss: Option<u16>,
    /// Drops packets from private networks (RFC 1918, RFC 4193, RFC 6598) that come in here.
    #[serde(default)]
    pub block_private: bool,
    /// Drops packets from reserved and unassigned networks that come in here.
    #[serde(default)]
    pub block_bogons: bool,
    /// Announces this router and its prefixes to hosts (RFC 4861).
    #[serde(default)]
    pub router_advertisements: bool,
}

impl Interface {
    fn default_mtu() -> u16 {
        1500
    }
}

/// Which side of the firewall an interface is on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Zone {
    /// The outside: inside networks are translated to its address; nothing comes in by itself.
    Wan,
    /// The trusted inside: reaches the GUI.
    Lan,
    /// Servers: an inside network that is not trusted.
    Dmz,
}

/// `[[gateway]]`
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gateway {
    /// Name that routes refer to.
    pub name: String,
    /// The interface that it is reached through.
    pub interface: String,
    /// Its address on that interface's network.
    pub address: IpAddr,
    /// The default gateway of its address family.
    #[serde(default)]
    pub default: bool,
    /// For people.
    #[serde(default)]
    pub description: String,
}

/// `[[route]]`: a static route.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Destination network.
    pub destination: Prefix,
    /// Name of the gateway.
    pub gateway: String,
    /// For people.
    #[serde(default)]
    pub description: String,
}

/// `[[rule]]`: a rule of an interface tab: packets that come in by the interface.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Stable number (pfSense's tracker).
    pub id: RuleId,
    /// The interface by which packets come in.
    pub interface: String,
    /// What happens to a match.
    pub action: Action,
    /// Address family.
    #[serde(default)]
    pub family: RuleFamily,
    /// Protocol.
    #[serde(default)]
    pub protocol: Protocol,
    /// Source: `any`, a prefix or address, `lan net`, `lan address`, `this firewall`; `! ` in front negates.
    #[serde(default)]
    pub source: Endpoint,
    /// Source ports.
    #[serde(default)]
    pub source_port: Option<PortRange>,
    /// Destination, as the source.
    #[serde(default)]
    pub destination: Endpoint,
    /// Destination ports.
    #[serde(default)]
    pub destination_port: Option<PortRange>,
    /// Matches are logged.
    #[serde(default)]
    pub log: bool,
    /// Kept, but not in force.
    #[serde(default)]
    pub disabled: bool,
    /// For people.
    #[serde(default)]
    pub description: String,
}

/// What happens to a match.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Passes, and its flow is remembered.
    Pass,
    /// Dropped without an answer.
    Block,
}

/// Address family of a rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RuleFamily {
    /// IPv4.
    Inet,
    /// IPv6.
    Inet6,
    /// Both (pfSense's `inet46`).
    #[default]
    Inet46,
}

/// Protocol of a rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Protocol {
    /// Any.
    #[default]
    Any,
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// TCP or UDP (pfSense's `tcp/udp`).
    TcpUdp,
    /// ICMP, or ICMPv6 in an IPv6 packet.
    Icmp,
    /// By number.
    Number(u8),
}

/// Source or destination of a rule.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Endpoint {
    /// Everything but.
    pub not: bool,
    /// The addresses.
    pub place: Place,
}

/// The addresses of an endpoint.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Place {
    /// Any address.
    #[default]
    Any,
    /// A network or one address.
    Prefix(Prefix),
    /// The networks of an interface: `lan net`.
    Net(String),
    /// The addresses of this firewall on an interface: `lan address`.
    Address(String),
    /// Any address of this firewall: `this firewall`.
    ThisFirewall,
}

/// `[outbound]`: outbound NAT.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Outbound {
    /// How.
    pub mode: OutboundMode,
}

/// pfSense's modes that exist so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutboundMode {
    /// IPv4 from inside networks leaves a WAN with that WAN's address.
    #[default]
    Automatic,
    /// No translation.
    Disabled,
}

impl Default for System {
    fn default() -> Self {
        System {
            hostname: "koi".into(),
            state_limit: 1_000_000,
            anti_lockout: true,
            web: Web::default(),
            timeouts: Timeouts::default(),
        }
    }
}

impl Default for Web {
    fn default() -> Self {
        Web { port: 443, loopback: None }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            tcp_first: 120,
            tcp_opening: 30,
            tcp_established: 86_400,
            tcp_closing: 900,
            tcp_finwait: 45,
            tcp_closed: 90,
            udp_first: 60,
            udp_single: 30,
            udp_multiple: 60,
            icmp_first: 20,
            icmp_error: 10,
            other_first: 60,
            other_single: 30,
            other_multiple: 60,
            frag: 30,
        }
    }
}

impl TryFrom<String> for Protocol {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "any" => Ok(Protocol::Any),
            "tcp" => Ok(Protocol::Tcp),
            "udp" => Ok(Protocol::Udp),
            "tcp/udp" => Ok(Protocol::TcpUdp),
            "icmp" => Ok(Protocol::Icmp),
            other => other.parse().map(Protocol::Number).map_err(|_| {
                format!(
                    "\"{other}\" is not a protocol; write any, tcp, udp, tcp/udp, icmp or a number up to 255"
                )
            }),
        }
    }
}

impl From<Protocol> for String {
    fn from(protocol: Protocol) -> String {
        match protocol {
            Protocol::Any => "any".into(),
            Protocol::Tcp => "tcp".into(),
            Protocol::Udp => "udp".into(),
            Protocol::TcpUdp => "tcp/udp".into(),
            Protocol::Icmp => "icmp".into(),
            Protocol::Number(number) => number.to_string(),
        }
    }
}

impl TryFrom<String> for Endpoint {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let (not, rest) = match text.strip_prefix('!') {
            Some(rest) => (true, rest.trim_start()),
            None => (false, text.as_str()),
        };
        let place = if rest == "any" {
            Place::Any
        } else if rest == "this firewall" {
            Place::ThisFirewall
        } else if let Some(name) = rest.strip_suffix(" net") {
            Place::Net(name.into())
        } else if let Some(name) = rest.strip_suffix(" address") {
            Place::Address(name.into())
        } else if let Ok(prefix) = rest.parse::<Prefix>() {
            Place::Prefix(prefix)
        } else if let Ok(address) = rest.parse::<IpAddr>() {
            Place::Prefix(Prefix::from(address))
        } else {
            return Err(format!(
                "\"{rest}\" is not an endpoint; write any, an address, a network, \"lan net\", \"lan address\" or \"this firewall\""
            ));
        };
        Ok(Endpoint { not, place })
    }
}

impl From<Endpoint> for String {
    fn from(endpoint: Endpoint) -> String {
        let place = match endpoint.place {
            Place::Any => "any".into(),
            Place::Prefix(prefix) => prefix.to_string(),
            Place::Net(name) => format!("{name} net"),
            Place::Address(name) => format!("{name} address"),
            Place::ThisFirewall => "this firewall".into(),
        };
        if endpoint.not { format!("! {place}") } else { place }
    }
}
