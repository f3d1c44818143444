//! The shard's part in watching gateways: it sends their probes, hears the answers, and ends flows as configured.
//!
//! A probe is a flow like any other, with the interface's own address, but for its way: it leaves by the gateway that it
//! is about, untranslated.

use std::collections::VecDeque;
use std::net::IpAddr;

use super::Shard;
use super::arrival::Arrival;
use super::forward::Onward;
use super::outbox::Outbox;
use super::refusal::Refusal;
use super::snapshot::{GatewayGroupRow, GatewayMemberRow, GatewayRow};
use super::ways::Ways;
use crate::config::model::GatewayGroup;
use crate::conntrack::{Admission, Cursor, Via};
use crate::route::{Doomed, Gateways, GatewaysOutbox, NextHop, Probe, Status};
use crate::rules::{Choice, Pass, Query};
use crate::types::{Direction, Family, GatewayId, Instant, InterfaceId};
use crate::wire::{Packet, Parsed, Transport, echo, protocol};

/// Flows that are looked at in one turn, whether they have to end.
const CULL: usize = 4096;

/// The gateways of a shard, and the flows that have to end because of them.
pub(super) struct Uplinks {
    pub gateways: Gateways,
    said: GatewaysOutbox,
    doomed: VecDeque<Doomed>,
    /// Where the first of them goes on.
    cursor: Option<Cursor>,
}

impl Uplinks {
    pub(super) fn new(gateways: Gateways) -> Self {
        Uplinks { gateways, said: GatewaysOutbox::default(), doomed: VecDeque::new(), cursor: None }
    }

    /// When the shard has something to do for the gateways.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        if self.doomed.is_empty() { self.gateways.poll_timeout() } else { Some(Instant::ZERO) }
    }

    /// There are no more different orders than gateways, and tiers of groups.
    fn doom(&mut self, doomed: Doomed) {
        if !self.doomed.contains(&doomed) {
            self.doomed.push_back(doomed);
        }
    }
}

impl Shard {
    /// Where flows go at present.
    #[inline]
    pub(super) fn ways(&self) -> Ways<'_> {
        Ways { compiled: &self.compiled, selection: self.uplinks.gateways.selection() }
    }

    /// How the gateways are, in the document's order.
    pub fn gateway_statuses(&self) -> Vec<Status> {
        self.uplinks.gateways.statuses()
    }

    /// Sends probes that are due, judges, and goes on with ending flows.
    pub(super) fn tend_gateways(&mut self, now: Instant, out: &mut Outbox) {
        let mut said = std::mem::take(&mut self.uplinks.said);
        self.uplinks.gateways.handle_timeout(now, &mut said);
        for probe in said.probes.drain(..) {
            self.probe(&probe, out);
        }
        self.uplinks.said = said;
        self.follow_gateways(now);
        self.cull();
    }

    /// A gateway answers on its own link, or no longer does.
    pub(super) fn heed_neighbour(&mut self, now: Instant, gateway: (InterfaceId, IpAddr), reachable: bool) {
        let Uplinks { gateways, said, .. } = &mut self.uplinks;
        gateways.handle_neighbour(now, gateway, reachable, said);
        self.follow_gateways(now);
    }

    /// A node that takes over ends what its own gateways cannot carry.
    pub(super) fn doom_after_takeover(&mut self) {
        let mut doomed = Vec::new();
        self.uplinks.gateways.doom_again(&mut doomed);
        doomed.into_iter().for_each(|doomed| self.uplinks.doom(doomed));
    }

    /// What has changed is told; flows end where this node leads.
    fn follow_gateways(&mut self, now: Instant) {
        let mut said = std::mem::take(&mut self.uplinks.said);
        for change in said.changes.drain(..) {
            self.tell_of_gateway(now, &change);
        }
        for doomed in said.doomed.drain(..) {
            if self.duty.leads {
                self.uplinks.doom(doomed);
            }
        }
        self.uplinks.said = said;
    }

    /// A bounded step.
    fn cull(&mut self) {
        let Some(doomed) = self.uplinks.doomed.front() else { return };
        self.uplinks.cursor =
            self.table.cull(self.uplinks.cursor, CULL, |passes, via| ends(doomed, passes, via));
        if self.uplinks.cursor.is_none() {
            self.uplinks.doomed.pop_front();
        }
    }

    /// Puts a probe among the packets of the batch.
    fn probe(&mut self, probe: &Probe, out: &mut Outbox) {
        let Probe { gateway: _, interface, target, identifier, sequence, payload } = *probe;
        let link = self.compiled.link(interface).filter(|link| self.is_port_up(link));
        let Some(link) = link else { return };
        let own = match target {
            IpAddr::V6(v6) if v6.is_unicast_link_local() => link.link_local().map(IpAddr::V6),
            IpAddr::V6(_) => link.primary(Family::Inet6),
            IpAddr::V4(_) => link.primary(Family::Inet),
        };
        // Until it is known that nobody else has the address, nobody would answer to it.
        let Some(own) = own.filter(|own| self.neighbours.owns(interface, *own)) else {
            return self.uplinks.gateways.handle_unsent(probe);
        };
        let frame = echo::request([own, target], (identifier, sequence), payload, &mut out.pool);
        if let Some(Ok(Parsed::Ip(packet))) = frame.map(Packet::parse) {
            self.batch.push(Arrival { packet, ingress: InterfaceId::SELF, hit: None });
        }
    }

    /// The gateway that a packet of the router's own is a probe of.
    pub(super) fn probed(&self, packet: &Packet) -> Option<(GatewayId, NextHop)> {
        let key = &packet.layout.key;
        if packet.layout.transport != (Transport::IcmpQuery { request: true }) {
            return None;
        }
        let id = self.uplinks.gateways.gateway_of_probe(key.dst(), key.src_port())?;
        Some((id, self.uplinks.gateways.selection().hop(id)?))
    }

    /// The first probe of a gateway, or the first for a while.
    pub(super) fn begin_probe(
        &mut self,
        now: Instant,
        packet: &Packet,
        (id, hop): (GatewayId, NextHop),
    ) -> Result<Onward, Refusal> {
        let key = packet.layout.key;
        let egress = hop.interface;
        let query =
            Query { from_self: true, ..Query::new(Direction::Out, egress, key, packet.layout.transport) };
        let (pass, _) = self.evaluate(now, &query)?;
        let neighbour = self.neighbours.entry(now, egress, hop.gateway.unwrap_or(key.dst()))?;
        let mut pending = self.pending(packet, [pass, pass], [InterfaceId::SELF, egress]);
        pending.via.out = Some(id);
        pending.next_hop[0] = neighbour.raw();
        self.table.insert(now, pending, packet)?;
        Ok(Onward::Forward { egress, neighbour, pass, first: true })
    }

    /// The gateway that a flow is the probes of.
    pub(super) fn probed_by(&self, admission: &Admission) -> Option<GatewayId> {
        let Admission { original, ingress, .. } = admission;
        let is_echo = matches!(original.protocol(), protocol::ICMP | protocol::ICMPV6);
        let own = *ingress == InterfaceId::SELF && is_echo;
        own.then(|| self.uplinks.gateways.gateway_of_probe(original.dst(), original.src_port())).flatten()
    }

    /// Probes go on under another configuration, unless the gateway is elsewhere now.
    pub(super) fn reconsider_probe(
        &self,
        admission: &Admission,
        gateway: GatewayId,
    ) -> Option<([Pass; 2], Via)> {
        let Admission { original, egress, .. } = *admission;
        self.ways().stay(Some(gateway), egress)?;
        let transport = Transport::IcmpQuery { request: true };
        let query = Query { from_self: true, ..Query::new(Direction::Out, egress, original, transport) };
        let (pass, _) = self.ask_again(&query, None).ok()?;
        Some(([pass, pass], Via { out: Some(gateway), back: None }))
    }

    /// An echo reply for the router itself; true when a probe was waiting for it.
    pub(super) fn take_answer(&mut self, now: Instant, packet: &Packet) -> bool {
        let key = &packet.layout.key;
        let message = packet.transport();
        let Some([high, low]) = message.get(6..8).and_then(|bytes| <[u8; 2]>::try_from(bytes).ok()) else {
            return false;
        };
        let sequence = u16::from_be_bytes([high, low]);
        self.uplinks.gateways.handle_answer(now, key.src(), key.dst_port(), sequence)
    }

    /// Gateways as rows.
    pub(super) fn gateway_rows(&self, now: Instant) -> Vec<GatewayRow> {
        let config = &self.compiled.config;
        let row = |(gateway, state): (&crate::config::model::Gateway, crate::route::GatewayState)| {
            let millis = |time: std::time::Duration| time.as_secs_f64() * 1000.0;
            GatewayRow {
                name: gateway.name.clone(),
                interface: gateway.interface.clone(),
                address: gateway.address,
                monitor: (!gateway.monitor_disable).then(|| gateway.monitor.unwrap_or(gateway.address)),
                default: self.is_default(gateway),
                delay_ms: state.report.map(|report| millis(report.delay)),
                deviation_ms: state.report.map(|report| millis(report.deviation)),
                loss_percent: state.report.map(|report| report.loss),
                status: state.status.name().into(),
                text: state.status.words().into(),
                since_seconds: now.since(state.since).as_secs(),
                description: gateway.description.clone(),
            }
        };
        config.gateways.iter().zip(self.uplinks.gateways.states()).map(row).collect()
    }

    /// Everything without a better route goes there at present.
    fn is_default(&self, gateway: &crate::config::model::Gateway) -> bool {
        let id = GatewayId::of(&gateway.name);
        let selection = self.uplinks.gateways.selection();
        let family = if gateway.address.is_ipv4() { Family::Inet } else { Family::Inet6 };
        gateway.default
            || selection.default_hop(family).and_then(|hop| selection.gateway_of(&hop)) == Some(id)
    }

    /// Gateway groups as rows.
    pub(super) fn gateway_group_rows(&self) -> Vec<GatewayGroupRow> {
        let config = &self.compiled.config;
        let selection = self.uplinks.gateways.selection();
        let row = |(index, group): (usize, &GatewayGroup)| {
            let choice = Choice::at((config.gateways.len() + index) as u16);
            let used: Vec<GatewayId> = selection.members(choice).collect();
            let member = |member: &crate::config::model::GroupMember| GatewayMemberRow {
                gateway: member.gateway.clone(),
                tier: member.tier,
                used: used.contains(&GatewayId::of(&member.gateway)),
            };
            GatewayGroupRow {
                name: group.name.clone(),
                default: group.default,
                tier: selection.tier(index),
                members: group.members.iter().map(member).collect(),
                description: group.description.clone(),
            }
        };
        config.gateway_groups.iter().enumerate().map(row).collect()
    }
}

/// Whether an order is about a flow.
fn ends(doomed: &Doomed, [pass_in, _]: [Pass; 2], via: Via) -> bool {
    match doomed {
        Doomed::All => true,
        Doomed::By(gateway) => [via.out, via.back].contains(&Some(*gateway)),
        Doomed::Failover { choice, gateways } => {
            pass_in.choice() == *choice && via.out.is_some_and(|gateway| gateways.contains(&gateway))
        }
    }
}
