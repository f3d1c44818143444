//! What the node tells about itself: plain data for `koi show`, the API and the pages.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::types::{Epoch, InterfaceId, MacAddr, Prefix, Role};

/// Everything but the flows, taken between two batches.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Snapshot {
    /// Name of the firewall.
    pub hostname: String,
    /// Name of this node.
    pub node: String,
    /// Seconds since the router process started.
    pub uptime_seconds: u64,
    /// Revision of the configuration in force.
    pub revision: u64,
    /// Canonical hash of the configuration in force.
    pub config_hash: String,
    /// What this node is in its pair.
    pub role: Role,
    /// The pair's epoch, raised at each takeover.
    pub epoch: Epoch,
    /// Why the time may be wrong; absent when it is sure.
    #[serde(default)]
    pub doubt: Option<String>,
    /// Ports in the order of the configuration.
    pub ports: Vec<PortRow>,
    /// Logical interfaces in the order of the configuration.
    pub interfaces: Vec<InterfaceRow>,
    /// Routes, most specific first.
    pub routes: Vec<RouteRow>,
    /// Gateways in the order of the configuration.
    #[serde(default)]
    pub gateways: Vec<GatewayRow>,
    /// Gateway groups likewise.
    #[serde(default)]
    pub gateway_groups: Vec<GatewayGroupRow>,
    /// ARP and ND tables.
    pub neighbours: Vec<NeighbourRow>,
    /// The connection table in numbers.
    pub states: StatesRow,
    /// Named counters, drops included.
    pub counters: Vec<CounterRow>,
}

/// A port.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct PortRow {
    pub name: String,
    pub device: String,
    pub driver: String,
    pub up: bool,
    pub rx_packets: u64,
    pub rx_bytes: u64,
    pub tx_packets: u64,
    pub tx_bytes: u64,
    pub drops: u64,
}

/// A logical interface.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct InterfaceRow {
    pub name: String,
    pub description: String,
    pub zone: String,
    pub port: String,
    pub vlan: Option<u16>,
    pub mac: MacAddr,
    pub mtu: u16,
    pub addresses: Vec<Prefix>,
    pub virtual_ips: Vec<VirtualIpRow>,
    pub up: bool,
    pub rx_packets: u64,
    pub rx_bytes: u64,
    pub tx_packets: u64,
    pub tx_bytes: u64,
}

/// A virtual IP.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct VirtualIpRow {
    pub vhid: u8,
    pub addresses: Vec<Prefix>,
    pub mac: MacAddr,
    /// `MASTER` while this node answers for it, else `BACKUP`.
    pub state: String,
    pub foreign: bool,
    pub description: String,
}

/// A route.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct RouteRow {
    pub destination: Prefix,
    pub gateway: Option<IpAddr>,
    /// As the configuration calls it.
    pub gateway_name: Option<String>,
    pub interface: String,
    /// `connected`, `static` or `default`.
    pub origin: String,
    /// The route's, or its gateway's.
    pub description: String,
}

/// A gateway.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct GatewayRow {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub interface: String,
    /// Its address there.
    pub address: IpAddr,
    /// Who is asked whether it answers; nobody when it is not watched.
    pub monitor: Option<IpAddr>,
    /// Everything without a better route goes there at present.
    pub default: bool,
    /// Mean delay of the answers.
    pub delay_ms: Option<f64>,
    /// Its standard deviation.
    pub deviation_ms: Option<f64>,
    /// Probes without an answer.
    pub loss_percent: Option<u8>,
    /// `pending`, `online`, `delay`, `loss` or `down`.
    pub status: String,
    /// The same in words, with the reason.
    pub text: String,
    /// For how long it has been so.
    pub since_seconds: u64,
    /// For people.
    pub description: String,
}

/// A gateway group.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct GatewayGroupRow {
    /// Its name.
    pub name: String,
    /// It is the default gateway of its family.
    pub default: bool,
    /// The tier in use; 0 when none is.
    pub tier: u8,
    /// Its gateways.
    pub members: Vec<GatewayMemberRow>,
    /// For people.
    pub description: String,
}

/// A gateway in a group.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct GatewayMemberRow {
    /// Its name.
    pub gateway: String,
    /// Its tier.
    pub tier: u8,
    /// New flows go by it at present.
    pub used: bool,
}

/// A neighbour.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct NeighbourRow {
    pub address: IpAddr,
    pub interface: String,
    pub mac: Option<MacAddr>,
    /// `incomplete`, `reachable`, `stale`, `delay`, `probe` or `failed`.
    pub state: String,
}

/// The connection table in numbers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct StatesRow {
    pub current: u64,
    pub limit: u64,
    pub inserted: u64,
    pub removed: u64,
    pub evicted: u64,
}

/// A counter.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CounterRow {
    /// Name, as `koi show counters` prints it.
    pub name: String,
    /// Value.
    pub value: u64,
    /// A sentence for people.
    pub meaning: String,
}

impl CounterRow {
    /// A counter with its name and its sentence.
    pub fn new(name: &str, value: u64, meaning: &str) -> Self {
        CounterRow { name: name.into(), value, meaning: meaning.into() }
    }
}

/// One flow.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct FlowRow {
    /// Number that `koi flows kill --id` takes.
    pub id: u64,
    pub protocol: String,
    /// The flow as its first packet showed it: `source -> destination`.
    pub original: String,
    /// The same flow on the far side, where it is translated.
    pub translated: Option<String>,
    pub state: String,
    pub ingress: String,
    pub egress: String,
    pub rule: u32,
    /// The gateway that it goes by.
    #[serde(default)]
    pub gateway: Option<String>,
    /// The gateway by which answers go back.
    #[serde(default)]
    pub reply_to: Option<String>,
    pub age_seconds: u64,
    pub expires_seconds: u64,
    /// Packets and bytes, original direction first.
    pub packets: [u64; 2],
    pub bytes: [u64; 2],
}

/// What one flow has carried.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TalkRow {
    /// Number of the flow.
    pub id: u64,
    /// Who began it.
    pub source: IpAddr,
    /// Where it came in.
    pub ingress: InterfaceId,
    /// Bytes from the source, and to it.
    pub bytes: [u64; 2],
}

/// A recent drop.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DropRow {
    /// Seconds since the router process started, with fraction.
    pub at: f64,
    /// Name of the counter.
    pub reason: String,
    /// Interface by which the packet came in.
    pub interface: String,
    /// The flow as the packet showed it, when it could be parsed.
    pub flow: Option<String>,
    /// The rule that decided, when one did.
    pub rule: Option<u32>,
}
