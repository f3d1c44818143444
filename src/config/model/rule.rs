//! `[[rule]]`: a filter rule.

use serde::{Deserialize, Serialize};

use super::is_default;
use super::{Dscp, Endpoint, Flush, IcmpKind, Moment, Ports, Protocol, SourceRate, StateTimeouts, TcpFlags};
use crate::types::{RuleId, WallTime};

/// `[[rule]]`: a rule of an interface's tab, of an interface group's, or a floating one.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Stable number (pfSense's tracker).
    pub id: RuleId,
    /// The interface or interface group whose tab the rule stands on: packets come in there. A floating rule may name
    /// several, or none for all.
    #[serde(default, skip_serializing_if = "is_default")]
    pub interface: Interfaces,
    /// Stands on the floating tab.
    #[serde(default, skip_serializing_if = "is_default")]
    pub floating: bool,
    /// Floating: the first match decides, instead of the last.
    #[serde(default, skip_serializing_if = "is_default")]
    pub quick: bool,
    /// Floating: which way packets cross the interface.
    #[serde(default, skip_serializing_if = "is_default")]
    pub direction: RuleDirection,
    /// What happens to a match.
    pub action: Action,
    /// Address family.
    #[serde(default, skip_serializing_if = "is_default")]
    pub family: RuleFamily,
    /// Protocol.
    #[serde(default, skip_serializing_if = "is_default")]
    pub protocol: Protocol,
    /// ICMP types; all when empty.
    #[serde(default, skip_serializing_if = "is_default")]
    pub icmp_types: Vec<IcmpKind>,
    /// Source: `any`, a prefix, address or range, an alias, `lan net`, `lan address`, `this firewall`; `! ` in front
    /// negates.
    #[serde(default, skip_serializing_if = "is_default")]
    pub source: Endpoint,
    /// Source ports.
    #[serde(default, skip_serializing_if = "is_default")]
    pub source_port: Option<Ports>,
    /// Destination, as the source.
    #[serde(default, skip_serializing_if = "is_default")]
    pub destination: Endpoint,
    /// Destination ports.
    #[serde(default, skip_serializing_if = "is_default")]
    pub destination_port: Option<Ports>,
    /// TCP flags, as in `S/SA`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub tcp_flags: Option<TcpFlags>,
    /// Code point of the packet that begins the flow.
    #[serde(default, skip_serializing_if = "is_default")]
    pub dscp: Option<Dscp>,
    /// Packets may have IPv4 options (pfSense's `allowopts`).
    #[serde(default, skip_serializing_if = "is_default")]
    pub allow_options: bool,
    /// A match carries this tag from here on.
    #[serde(default, skip_serializing_if = "is_default")]
    pub tag: Option<String>,
    /// Only packets that carry this tag.
    #[serde(default, skip_serializing_if = "is_default")]
    pub tagged: Option<String>,
    /// Only packets that do not carry the tag of `tagged`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub not_tagged: bool,
    /// How flows are tracked (pfSense's `statetype`).
    #[serde(default, skip_serializing_if = "is_default")]
    pub state_type: StateType,
    /// Whether flows are bound to the interfaces by which they began; as `system.state_policy` says when absent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub state_policy: Option<StatePolicy>,
    /// The most flows of this rule (pfSense's `max`).
    #[serde(default, skip_serializing_if = "is_default")]
    pub max_states: Option<u32>,
    /// The most sources that have any (`max-src-nodes`).
    #[serde(default, skip_serializing_if = "is_default")]
    pub max_src_nodes: Option<u32>,
    /// The most flows of one source (`max-src-states`).
    #[serde(default, skip_serializing_if = "is_default")]
    pub max_src_states: Option<u32>,
    /// The most TCP connections of one source whose handshake is complete (`max-src-conn`).
    #[serde(default, skip_serializing_if = "is_default")]
    pub max_src_conn: Option<u32>,
    /// The most such connections that one source makes in so many seconds, as in `15/5` (`max-src-conn-rate`).
    #[serde(default, skip_serializing_if = "is_default")]
    pub max_src_conn_rate: Option<SourceRate>,
    /// A source that makes more connections than that gets into the table of this name, and is blocked while it is there.
    #[serde(default, skip_serializing_if = "is_default")]
    pub overload: Option<String>,
    /// What happens to the flows that a source has when it gets there.
    #[serde(default, skip_serializing_if = "is_default")]
    pub overload_flush: Flush,
    /// pf's timers for flows of this rule, where they are to be others than the system's.
    #[serde(default, skip_serializing_if = "is_default")]
    pub timeouts: StateTimeouts,
    /// Clamps the MSS of its TCP connections to this value (pf's `max-mss`).
    #[serde(default, skip_serializing_if = "is_default")]
    pub max_mss: Option<u16>,
    /// The gateway or gateway group by which flows leave, instead of the routes; networks that are attached directly are
    /// reached without.
    #[serde(default, skip_serializing_if = "is_default")]
    pub gateway: Option<String>,
    /// Answers to flows that come in by a WAN go where the routes lead, not back by that WAN's gateway.
    #[serde(default, skip_serializing_if = "is_default")]
    pub disable_reply_to: bool,
    /// The port forward that this rule belongs to: interface, family, protocol, source and destination are the
    /// forward's.
    #[serde(default, skip_serializing_if = "is_default")]
    pub port_forward: Option<RuleId>,
    /// The [`super::Schedule`] in whose hours the rule is in force.
    #[serde(default, skip_serializing_if = "is_default")]
    pub schedule: Option<String>,
    /// The rule is in force until then.
    #[serde(default, skip_serializing_if = "is_default")]
    pub expires: Option<Moment>,
    /// The rule is out of force until then.
    #[serde(default, skip_serializing_if = "is_default")]
    pub paused_until: Option<Moment>,
    /// A block: its drops stand among the recent ones. A pass: each flow that begins is a line in the log.
    #[serde(default, skip_serializing_if = "is_default")]
    pub log: bool,
    /// Kept, but not in force.
    #[serde(default, skip_serializing_if = "is_default")]
    pub disabled: bool,
    /// For people.
    #[serde(default, skip_serializing_if = "is_default")]
    pub description: String,
    /// For people: a bar with these words stands above the rule on its tab (pfSense's separator).
    #[serde(default, skip_serializing_if = "is_default")]
    pub separator: String,
}

impl Rule {
    /// A rule on the tab of `interface` that matches every packet.
    pub fn new(id: RuleId, interface: &str, action: Action) -> Rule {
        Rule {
            id,
            interface: Interfaces::one(interface),
            floating: false,
            quick: false,
            direction: RuleDirection::In,
            action,
            family: RuleFamily::Inet46,
            protocol: Protocol::Any,
            icmp_types: Vec::new(),
            source: Endpoint::default(),
            source_port: None,
            destination: Endpoint::default(),
            destination_port: None,
            tcp_flags: None,
            dscp: None,
            allow_options: false,
            tag: None,
            tagged: None,
            not_tagged: false,
            state_type: StateType::Keep,
            state_policy: None,
            max_states: None,
            max_src_nodes: None,
            max_src_states: None,
            max_src_conn: None,
            max_src_conn_rate: None,
            overload: None,
            overload_flush: Flush::None,
            timeouts: StateTimeouts::default(),
            max_mss: None,
            gateway: None,
            disable_reply_to: false,
            port_forward: None,
            schedule: None,
            expires: None,
            paused_until: None,
            log: false,
            disabled: false,
            description: String::new(),
            separator: String::new(),
        }
    }

    /// Its time is over, or it pauses.
    pub fn rests(&self, at: WallTime) -> bool {
        self.expires.is_some_and(|end| end.wall() <= at)
            || self.paused_until.is_some_and(|begin| begin.wall() > at)
    }

    /// When that changes by itself.
    pub fn change(&self, at: WallTime) -> Option<WallTime> {
        let moments = [self.expires, self.paused_until].into_iter().flatten().map(Moment::wall);
        moments.filter(|moment| *moment > at).min()
    }
}

/// Names of interfaces or interface groups: one text, or a list.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(from = "Names", into = "Names")]
pub struct Interfaces(pub Vec<String>);

impl Interfaces {
    /// A single one.
    pub fn one(name: &str) -> Interfaces {
        Interfaces(vec![name.into()])
    }

    /// The names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Names {
    One(String),
    Several(Vec<String>),
}

impl From<Names> for Interfaces {
    fn from(names: Names) -> Interfaces {
        match names {
            Names::One(name) => Interfaces(vec![name]),
            Names::Several(names) => Interfaces(names),
        }
    }
}

impl From<Interfaces> for Names {
    fn from(Interfaces(mut names): Interfaces) -> Names {
        match (names.len(), names.pop()) {
            (1, Some(name)) => Names::One(name),
            (_, last) => Names::Several(names.into_iter().chain(last).collect()),
        }
    }
}

/// What happens to a match.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Passes, and its flow is remembered.
    Pass,
    /// Dropped without an answer.
    Block,
    /// Dropped, and the sender is told: a RST for TCP, an ICMP error for everything else.
    Reject,
    /// Floating: decides nothing, but tags and logs.
    Match,
}

/// How flows are tracked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StateType {
    /// With TCP's windows and numbers.
    #[default]
    Keep,
    /// Without them, for connections of which only one way comes by here.
    Sloppy,
    /// As `keep`; the firewall completes the handshake with the client before the server hears of it.
    Synproxy,
    /// Not at all: each packet is for the rules, and answers need a rule of their own. What is translated is tracked.
    None,
}

/// Whether flows are bound to the interfaces by which they began.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StatePolicy {
    /// They are.
    #[default]
    IfBound,
    /// Their packets may come in anywhere.
    Floating,
}

/// Which way packets cross the interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RuleDirection {
    /// Into the firewall.
    #[default]
    In,
    /// Out of the firewall.
    Out,
    /// Both ways.
    Any,
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
