//! The plain model of the one document: what a person writes, in pfSense's words. One file per noun.
//!
//! Invariant: this is data. It may be nonsense; only [`super::Valid`] is not. Every field has an effect.
//! Optional fields that have their default value are not written out.

mod alias;
mod certificate;
mod endpoint;
mod gateway;
mod interface;
mod logging;
mod moment;
mod nat;
mod node;
mod notification;
mod outbound;
mod overload;
mod pair;
mod protocol;
mod routing;
mod rule;
mod schedule;
mod scrub;
mod secret;
mod system;
mod timeouts;
mod user;
mod virtual_ip;

use serde::{Deserialize, Serialize};

pub use alias::{Alias, AliasEntry, AliasKind, Member, host_name, is_alias_name};
pub use certificate::Certificate;
pub use endpoint::{AddressRange, Endpoint, Place, Ports};
pub use gateway::{FailoverStates, Gateway, GatewayGroup, GroupMember, KillStates, Trigger, Watching};
pub use interface::{Interface, InterfaceGroup, Zone};
pub use logging::{Facility, Logging, Service, Severity};
pub use moment::Moment;
pub use nat::{Association, Npt, OneToOne, PortForward, Reflection, Target};
pub use node::{Driver, Node, NodeInterface, Port};
pub use notification::{Notification, WebAddress};
pub use outbound::{Outbound, OutboundMode, OutboundRule, Pool};
pub use overload::{Flush, SourceRate};
pub use pair::Pair;
pub use protocol::{Dscp, IcmpKind, Protocol, TcpFlags};
pub use routing::Route;
pub use rule::{Action, Interfaces, Rule, RuleDirection, RuleFamily, StatePolicy, StateType};
pub use schedule::{Hours, MonthDay, Schedule, TimeRange, Weekday};
pub use scrub::{Fragments, Scrub};
pub use secret::Secret;
pub use system::{Rfc, Syncookies, System, Web};
pub use timeouts::{Optimization, SetTimeouts, StateTimeouts, Timeouts};
pub use user::{FIRST_USER, User, UserRole};
pub use virtual_ip::{VirtualIp, VirtualMac};

/// The whole document, shared by all nodes; each node takes its own `[[node]]` part.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Version of this format.
    pub schema: u32,
    /// Counts the changes; an edit carries the revision that it was based on.
    pub revision: u64,
    /// What belongs to the system as a whole.
    #[serde(default, skip_serializing_if = "is_default")]
    pub system: System,
    /// How two machines act as one.
    #[serde(default, skip_serializing_if = "is_default")]
    pub pair: Option<Pair>,
    /// The machines.
    #[serde(rename = "node")]
    pub nodes: Vec<Node>,
    /// Logical interfaces; their order is the order of the GUI's tabs.
    #[serde(rename = "interface", default)]
    pub interfaces: Vec<Interface>,
    /// Addresses that belong to whoever leads.
    #[serde(rename = "virtual_ip", default, skip_serializing_if = "is_default")]
    pub virtual_ips: Vec<VirtualIp>,
    /// Next hops with a name.
    #[serde(rename = "gateway", default, skip_serializing_if = "is_default")]
    pub gateways: Vec<Gateway>,
    /// Several of them, in tiers.
    #[serde(rename = "gateway_group", default, skip_serializing_if = "is_default")]
    pub gateway_groups: Vec<GatewayGroup>,
    /// Static routes.
    #[serde(rename = "route", default, skip_serializing_if = "is_default")]
    pub routes: Vec<Route>,
    /// Interfaces with rules in common.
    #[serde(rename = "interface_group", default, skip_serializing_if = "is_default")]
    pub interface_groups: Vec<InterfaceGroup>,
    /// Names for addresses and ports.
    #[serde(rename = "alias", default, skip_serializing_if = "is_default")]
    pub aliases: Vec<Alias>,
    /// Hours in which rules are in force.
    #[serde(rename = "schedule", default, skip_serializing_if = "is_default")]
    pub schedules: Vec<Schedule>,
    /// Filter rules; within a tab the first match wins.
    #[serde(rename = "rule", default, skip_serializing_if = "is_default")]
    pub rules: Vec<Rule>,
    /// Translation of destinations, the first match wins.
    #[serde(rename = "port_forward", default, skip_serializing_if = "is_default")]
    pub port_forwards: Vec<PortForward>,
    /// Translation of whole addresses, the first match wins.
    #[serde(rename = "one_to_one", default, skip_serializing_if = "is_default")]
    pub one_to_ones: Vec<OneToOne>,
    /// Translation of IPv6 prefixes, the first match wins.
    #[serde(rename = "npt", default, skip_serializing_if = "is_default")]
    pub npts: Vec<Npt>,
    /// Outbound NAT.
    #[serde(default, skip_serializing_if = "is_default")]
    pub outbound: Outbound,
    /// Who may see and change this firewall.
    #[serde(rename = "user", default, skip_serializing_if = "is_default")]
    pub users: Vec<User>,
    /// What the pages may prove their name with.
    #[serde(rename = "certificate", default, skip_serializing_if = "is_default")]
    pub certificates: Vec<Certificate>,
}

/// For `skip_serializing_if`: what has its default value is not written out.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
