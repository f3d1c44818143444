//! The shard's answers to the control plane, as plain rows.

use super::Shard;
use super::VirtualIp;
use super::assumption::AssumptionCounters;
use super::compiled::{Compiled, RouteOrigin, numbered};
use super::deferral::DeferralCounters;
use super::detour::DetourCounters;
use super::relay::RelayCounters;
use super::snapshot::{
    CounterRow, DropRow, FlowRow, InterfaceRow, NeighbourRow, PortRow, RouteRow, Snapshot, StatesRow,
    TalkRow, VirtualIpRow,
};
use crate::config::model::{Driver, Zone};
use crate::conntrack::{Backlog, Cursor, Filter, FlowState};
use crate::route::NextHop;
use crate::types::{Family, Instant, InterfaceId, PortId, Prefix};
use crate::wire::Drop;

impl Shard {
    /// Everything but the flows.
    pub fn snapshot(&self, now: Instant) -> Snapshot {
        let (routes, neighbours) = (self.route_rows(), self.neighbour_rows());
        Snapshot { routes, neighbours, ..self.glance(now) }
    }

    /// The same without routes and neighbours, of which there may be many.
    pub fn glance(&self, now: Instant) -> Snapshot {
        let config = &self.compiled.config;
        Snapshot {
            hostname: config.system.hostname.clone(),
            node: config.node_part(self.compiled.node).name.clone(),
            uptime_seconds: now.since(self.started).as_secs(),
            revision: config.revision,
            config_hash: self.compiled.hash.clone(),
            role: self.standing.role,
            epoch: self.standing.epoch,
            doubt: self.compiled.conditions.doubt.clone(),
            ports: self.port_rows(),
            interfaces: self.interface_rows(),
            routes: Vec::new(),
            gateways: self.gateway_rows(now),
            gateway_groups: self.gateway_group_rows(),
            neighbours: Vec::new(),
            states: self.states_row(),
            counters: self.counter_rows(),
        }
    }

    /// A page of flows and where the next one begins.
    pub fn flows(
        &self,
        now: Instant,
        filter: &Filter,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> (Vec<FlowRow>, Option<Cursor>) {
        let (flows, next) = self.table.list(now, filter, cursor, limit);
        (flows.iter().map(|flow| flow_row(&self.compiled, flow)).collect(), next)
    }

    /// What each of some flows has carried, and where the next ones begin.
    pub fn talkers(
        &self,
        now: Instant,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> (Vec<TalkRow>, Option<Cursor>) {
        let (flows, next) = self.table.list(now, &Filter::default(), cursor, limit);
        let row = |flow: &FlowState| TalkRow {
            id: flow.id,
            source: flow.original.src(),
            ingress: flow.ingress,
            bytes: flow.bytes,
        };
        (flows.iter().map(row).collect(), next)
    }

    /// The recent drops, newest first.
    pub fn recent_drops(&self) -> Vec<DropRow> {
        self.drops
            .recent()
            .map(|dropped| DropRow {
                at: dropped.at.since(self.started).as_secs_f64(),
                reason: dropped.reason.name().into(),
                interface: self.interface_name(dropped.interface),
                flow: dropped.key.map(|key| key.to_string()),
                rule: dropped.rule.map(|rule| rule.0),
            })
            .collect()
    }

    /// How many packets were lost for `reason`.
    pub fn drops_of(&self, reason: Drop) -> u64 {
        self.drops.of(reason)
    }

    /// How many states there are.
    pub fn states(&self) -> usize {
        self.table.len()
    }

    /// How many keys lead to states: two to each, or something is wrong.
    pub fn keys(&self) -> usize {
        self.table.keys()
    }

    fn interface_name(&self, id: InterfaceId) -> String {
        self.compiled.link(id).map_or_else(|| "self".into(), |link| link.name.clone())
    }

    fn is_up(&self, port: PortId) -> bool {
        self.links_up.get(usize::from(port.0)).copied().unwrap_or(false)
    }

    fn port_rows(&self) -> Vec<PortRow> {
        let node = self.compiled.config.node_part(self.compiled.node);
        let row = |(index, port): (usize, &crate::config::model::Port)| {
            let id = PortId(index as u8);
            let mut row = PortRow {
                name: port.name.clone(),
                device: port.device(),
                driver: match port.driver {
                    Driver::Offload => "offload".into(),
                    Driver::Plain => "plain".into(),
                },
                up: self.is_up(id),
                ..PortRow::default()
            };
            for interface in self.compiled.interfaces_of(id) {
                let tally = self.traffic.of(interface);
                row.rx_packets += tally.rx_packets;
                row.rx_bytes += tally.rx_bytes;
                row.tx_packets += tally.tx_packets;
                row.tx_bytes += tally.tx_bytes;
            }
            row
        };
        node.ports.iter().enumerate().map(row).collect()
    }

    fn interface_rows(&self) -> Vec<InterfaceRow> {
        let ports = &self.compiled.config.node_part(self.compiled.node).ports;
        numbered(&self.compiled.links)
            .map(|(id, link)| {
                let tally = self.traffic.of(id);
                InterfaceRow {
                    name: link.name.clone(),
                    description: link.description.clone(),
                    zone: match link.zone {
                        Zone::Wan => "wan".into(),
                        Zone::Lan => "lan".into(),
                        Zone::Dmz => "dmz".into(),
                    },
                    port: ports
                        .get(usize::from(link.port.0))
                        .map(|port| port.name.clone())
                        .unwrap_or_default(),
                    vlan: link.vlan,
                    mac: link.mac,
                    mtu: link.mtu,
                    addresses: link.addresses.clone(),
                    virtual_ips: link.virtual_ips.iter().map(|vip| self.virtual_ip_row(vip)).collect(),
                    up: self.is_up(link.port),
                    rx_packets: tally.rx_packets,
                    rx_bytes: tally.rx_bytes,
                    tx_packets: tally.tx_packets,
                    tx_bytes: tally.tx_bytes,
                }
            })
            .collect()
    }

    fn virtual_ip_row(&self, vip: &VirtualIp) -> VirtualIpRow {
        VirtualIpRow {
            vhid: vip.vhid.0,
            addresses: vip.addresses.clone(),
            mac: vip.mac,
            state: match self.duty.answered & vip.bit() {
                0 => "BACKUP".into(),
                _ => "MASTER".into(),
            },
            foreign: vip.foreign,
            description: vip.description.clone(),
        }
    }

    fn route_rows(&self) -> Vec<RouteRow> {
        let selection = self.uplinks.gateways.selection();
        let by_group = [Family::Inet, Family::Inet6].into_iter().filter_map(|family| {
            Some((super::compiled::everything(family), selection.default_hop(family)?, RouteOrigin::Default))
        });
        let mut routes: Vec<_> = self.compiled.routes.iter().copied().chain(by_group).collect();
        routes
            .sort_by_key(|(prefix, _, _)| (prefix.addr().is_ipv6(), std::cmp::Reverse(prefix.prefix_len())));
        routes.into_iter().map(|(prefix, hop, origin)| self.route_row(prefix, hop, origin)).collect()
    }

    fn route_row(&self, destination: Prefix, hop: NextHop, origin: RouteOrigin) -> RouteRow {
        let config = &self.compiled.config;
        let interface = self.interface_name(hop.interface);
        let gateway = config
            .gateways
            .iter()
            .find(|gateway| Some(gateway.address) == hop.gateway && gateway.interface == interface);
        let route = match origin {
            RouteOrigin::Static => {
                config.routes.iter().find(|route| route.destination.trunc() == destination)
            }
            RouteOrigin::Connected | RouteOrigin::Default => None,
        };
        let descriptions =
            [route.map(|route| &route.description), gateway.map(|gateway| &gateway.description)];
        RouteRow {
            destination,
            gateway: hop.gateway,
            gateway_name: gateway.map(|gateway| gateway.name.clone()),
            description: descriptions
                .into_iter()
                .flatten()
                .find(|text| !text.is_empty())
                .cloned()
                .unwrap_or_default(),
            interface,
            origin: match origin {
                RouteOrigin::Connected => "connected".into(),
                RouteOrigin::Static => "static".into(),
                RouteOrigin::Default => "default".into(),
            },
        }
    }

    fn neighbour_rows(&self) -> Vec<NeighbourRow> {
        let row = |row: crate::route::NeighbourRow| NeighbourRow {
            address: row.address,
            interface: self.interface_name(row.interface),
            mac: row.mac,
            state: row.state.to_string(),
        };
        self.neighbours.rows().into_iter().map(row).collect()
    }

    fn states_row(&self) -> StatesRow {
        let counters = self.table.counters();
        StatesRow {
            current: self.table.len() as u64,
            limit: u64::from(self.compiled.config.system.state_limit),
            inserted: counters.inserted,
            removed: counters.removed,
            evicted: counters.evicted,
        }
    }

    fn counter_rows(&self) -> Vec<CounterRow> {
        let drops = Drop::ALL.iter().map(|drop| CounterRow {
            name: format!("drop-{}", drop.name()),
            value: self.drops.of(*drop),
            meaning: drop.describe().into(),
        });
        let meaning = "Records of the firewall log that only its ring holds, because too many came.";
        let log = CounterRow::new("log-crowded", self.records_missed(), meaning);
        drops.chain([log]).chain(self.defence_rows()).chain(self.replication_rows()).collect()
    }

    /// How often the router has defended itself.
    fn defence_rows(&self) -> impl Iterator<Item = CounterRow> + use<> {
        let counters = self.table.counters();
        let rows = [
            ("syncookies-sent", counters.cookies_sent, "SYNs that were answered with a cookie."),
            (
                "syncookies-redeemed",
                counters.cookies_redeemed,
                "Cookies that came back: connections that began.",
            ),
            ("tcp-challenged", counters.challenged, "SYNs on connections that exist, which changed nothing."),
            (
                "states-evicted",
                counters.evicted,
                "Half-open or unanswered flows that made room in a full table.",
            ),
            ("overload-entered", self.overloads.entered, "Sources that got into an overload table."),
            (
                "overload-refused",
                self.overloads.refused,
                "Sources for which the overload tables had no room.",
            ),
        ];
        rows.into_iter().map(|(name, value, meaning)| CounterRow::new(name, value, meaning))
    }

    /// What was taken over from the peer's node, and what it has yet to be told.
    fn replication_rows(&self) -> impl Iterator<Item = CounterRow> + use<> {
        let counters = self.table.counters();
        let Backlog { flows, ends, ranges, overflows } = self.table.backlog();
        let DeferralCounters { held, late, crowded, hurried } = self.deferral.counters;
        let RelayCounters { frames, bytes, taken_back } = self.relay.counters;
        let AssumptionCounters { relayed, held: waited, hurried: unordered, bided } =
            self.assumption.counters;
        let DetourCounters { sent, taken } = self.detour.counters;
        [
            ("detour-sent", sent, "Packets handed to the peer's node: a standby's own, or answers to those."),
            ("detour-taken", taken, "Packets that the peer's node has handed over."),
            ("handover-relayed", frames, "Frames passed on to the node that took over."),
            ("handover-bytes", bytes, "Bytes of these frames."),
            ("handover-taken-back", taken_back, "Frames kept for a node that did not take over in the end."),
            ("handover-assumed", relayed, "Frames that the predecessor passed on to this node."),
            ("handover-held", waited, "Frames that waited until the predecessor's ports were empty."),
            ("handover-unordered", unordered, "Handovers in which they could not wait for so long."),
            (
                "lapse-held",
                bided,
                "Frames that waited for the lease, which was over because the node had stood still.",
            ),
            ("import-flows", counters.imported, "Flows of the peer's that were not known here."),
            (
                "import-displaced",
                counters.displaced,
                "Flows that made room for the peer's with the same key.",
            ),
            (
                "import-own",
                counters.import_own,
                "Flows of the peer's refused: the router itself has the same.",
            ),
            ("import-limited", counters.import_limited, "Flows of the peer's refused: the table was full."),
            ("import-malformed", counters.import_malformed, "Flows of the peer's that make no sense here."),
            (
                "import-known",
                counters.import_known,
                "Flows that the peer only named, because they were here and the same.",
            ),
            (
                "import-unknown",
                counters.import_unknown,
                "Flows that the peer only named and that were not the same here.",
            ),
            (
                "import-strays",
                counters.import_strays,
                "Flows ended because the peer does not have them, though they were here.",
            ),
            (
                "import-dangling",
                counters.import_dangling,
                "Keys that led to no flow and made room for the peer's.",
            ),
            ("digest-made", counters.digests, "Digests of ranges of flows made for the peer."),
            ("digest-made-rounds", counters.rounds, "Rounds in which all ranges of flows had their digest."),
            (
                "digest-corrected",
                counters.corrected,
                "Ranges of flows told again because the peer had others.",
            ),
            ("backlog-flows", flows as u64, "Flows that wait at present to be told to the peer."),
            ("backlog-ends", ends as u64, "Ends of flows that wait at present to be told to the peer."),
            ("backlog-ranges", ranges as u64, "Parts of the table to be walked at present for the peer."),
            (
                "backlog-overflows",
                overflows,
                "Times that too much waited and a part of the table was walked instead.",
            ),
            ("defer-held", held, "First packets of flows that waited until the peer knew the flow."),
            ("defer-late", late, "Of these: sent on because the peer did not answer in time."),
            ("defer-hurried", hurried, "Of these: sent on because a later packet of the flow came."),
            ("defer-crowded", crowded, "First packets of flows that did not wait, because too many did."),
        ]
        .into_iter()
        .map(|(name, value, meaning)| CounterRow::new(name, value, meaning))
    }
}

/// A flow in the words of this configuration.
pub fn flow_row(compiled: &Compiled, flow: &FlowState) -> FlowRow {
    let name = |id: InterfaceId| compiled.link(id).map_or_else(|| "self".into(), |link| link.name.clone());
    FlowRow {
        id: flow.id,
        protocol: protocol_name(flow.original.protocol()),
        original: flow.original.to_string(),
        translated: flow.translated().then(|| flow.reply.inverse().to_string()),
        state: flow.state.to_string(),
        ingress: name(flow.ingress),
        egress: name(flow.egress),
        rule: flow.rules[0].0,
        gateway: flow.via.out.map(|id| compiled.gateway_name(id).into()),
        reply_to: flow.via.back.map(|id| compiled.gateway_name(id).into()),
        age_seconds: flow.age.as_secs(),
        expires_seconds: flow.expires.as_secs(),
        packets: flow.packets,
        bytes: flow.bytes,
    }
}

/// A protocol as commands and pages call it.
pub fn protocol_name(number: u8) -> String {
    match number {
        1 => "icmp".into(),
        6 => "tcp".into(),
        17 => "udp".into(),
        58 => "icmp6".into(),
        other => other.to_string(),
    }
}
