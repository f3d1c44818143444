//! The way out of a standby that has none of its own: through the active node, over the sync port.
//!
//! What the standby's own stack sends, and what its routes lead to an uplink that it cannot use (without a link, or
//! without an address of its own there), goes to the active node as it is. There it is traffic of the pair's own: the rules
//! on the way out are asked, its source becomes the virtual IP, and answers come back the same way. Probes of gateways stay
//! on their own lines.
//!
//! Invariant: nothing but packets of the standby's own addresses and their answers goes this way, at most [`PACKETS`] and
//! [`BYTES`] a second in each direction. A flow of this way ends on the two nodes, is told to nobody, and ends when the
//! roles change.

use super::Shard;
use super::arrival::Arrival;
use super::compiled::Compiled;
use super::forward::{NO_ROUTE, Onward};
use super::outbox::Outbox;
use super::rate::Rate;
use super::refusal::Refusal;
use super::replication::CHUNK;
use super::ways::Out;
use crate::config::model::Zone;
use crate::conntrack::{Admission, Advance, Cursor, Filter, Hit, Via};
use crate::nat::{self, Outside};
use crate::rules::{Pass, Passed, Query};
use crate::types::{Direction, Family, Instant, InterfaceId, Role};
use crate::wire::pair::Version;
use crate::wire::pair::flow::{self, Change};
use crate::wire::pair::relay::{Head, Puzzle};
use crate::wire::{Drop, FlowKey, Fragment, FrameBuf, Packet, Parsed, Transport};

/// Packets a second.
const PACKETS: u64 = 500;
/// Bytes a second.
const BYTES: u64 = 1 << 20;
/// Flows that are looked at in one turn, whether they went this way.
const TURN: usize = 4096;

/// See the module.
pub(super) struct Detour {
    going: [Rate; 2],
    coming: [Rate; 2],
    puzzle: Puzzle,
    /// There may be flows that go this way.
    used: bool,
    /// They have to end; the place where the search goes on.
    ends: Option<Option<Cursor>>,
    pub(super) counters: DetourCounters,
}

/// What happened.
#[derive(Clone, Copy, Default)]
pub(super) struct DetourCounters {
    /// Packets handed to the peer's node.
    pub sent: u64,
    /// Packets that the peer's node has handed over.
    pub taken: u64,
}

impl Detour {
    pub(super) fn new(now: Instant) -> Self {
        let rates = || [Rate::new(PACKETS, now), Rate::new(BYTES, now)];
        Detour {
            going: rates(),
            coming: rates(),
            puzzle: Puzzle::default(),
            used: false,
            ends: None,
            counters: DetourCounters::default(),
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.ends.map(|_| Instant::ZERO)
    }
}

/// One packet of so many bytes.
fn has_room([packets, bytes]: &mut [Rate; 2], now: Instant, len: usize) -> bool {
    packets.take(now) && bytes.take_many(now, len as u64)
}

impl Shard {
    /// The router's own packets to this interface have to go through the active node.
    pub(super) fn needs_detour(&self, egress: InterfaceId, family: Family) -> bool {
        let unusable = |link: &super::Link| {
            link.zone == Zone::Wan && (!self.is_port_up(link) || link.primary(family).is_none())
        };
        self.may_detour() && self.compiled.link(egress).is_some_and(unusable)
    }

    fn may_detour(&self) -> bool {
        let paired = self.compiled.pair.as_ref().is_some_and(|pair| pair.peer.is_some());
        paired && self.standing.role == Role::Standby && self.peer_speaks(Version(2))
    }

    /// The first packet of a flow of this standby's own.
    pub(super) fn begin_detour(
        &mut self,
        now: Instant,
        packet: &Packet,
        query: &Query,
        egress: InterfaceId,
    ) -> Result<Onward, Refusal> {
        let query = Query { direction: Direction::Out, interface: egress, ..*query };
        let (pass, _) = self.evaluate(now, &query)?;
        let pending = self.pending(packet, [pass, pass], [InterfaceId::SELF, InterfaceId::PEER]);
        self.table.insert(now, pending, packet)?;
        self.detour.used = true;
        Ok(Onward::Detour { pass })
    }

    /// A packet of a flow that goes this way; `None` when it does no longer.
    pub(super) fn go_on_with_detour(&mut self, hit: Hit, advance: &Advance) -> Option<Onward> {
        let still = match self.standing.role {
            Role::Standby => self.may_detour() && advance.ingress == InterfaceId::SELF,
            Role::Active => self.duty.leads && advance.ingress != InterfaceId::SELF,
            Role::Alone => false,
        };
        if !still {
            self.table.end(hit);
        }
        still.then_some(Onward::Detour { pass: advance.pass })
    }

    /// Hands a packet to the peer's node.
    pub(super) fn take_detour(&mut self, now: Instant, packet: Packet, pass: Pass, out: &mut Outbox) {
        if !has_room(&mut self.detour.going, now, packet.frame.len()) {
            return self.lose(now, Drop::DetourRate, None, InterfaceId::SELF, packet, out);
        }
        let frame = Passed::new(packet, pass).into_inner().frame;
        let mut done = 0;
        while done < frame.len() {
            let mut piece = Vec::with_capacity(CHUNK);
            flow::begin(&mut piece);
            let head = (done == 0).then(|| Head::of(InterfaceId::PEER, &frame));
            done += flow::encode_piece(head, &frame.bytes()[done..], CHUNK, &mut piece);
            out.detours.push(piece);
        }
        self.detour.counters.sent += 1;
        out.pool.give(frame);
    }

    /// Packets that found no room on their way to the peer's node.
    pub fn note_lost_detours(&mut self, count: usize) {
        self.drops.count(Drop::DetourRate, count as u64);
    }

    /// What the peer's node has handed over.
    pub(super) fn handle_detour(&mut self, now: Instant, bytes: &[u8], out: &mut Outbox) {
        self.take_up_duty(now);
        for change in flow::decode(bytes) {
            let Ok(Change::Relayed(piece)) = change else {
                self.drops.count(Drop::DetourStray, 1);
                break;
            };
            match self.detour.puzzle.add(piece) {
                Ok(None) => {}
                Ok(Some((InterfaceId::PEER, frame))) => self.admit_detour(now, frame, out),
                Ok(Some(_)) | Err(_) => self.drops.count(Drop::DetourStray, 1),
            }
        }
        self.finish(now, out);
    }

    fn admit_detour(&mut self, now: Instant, frame: FrameBuf, out: &mut Outbox) {
        let ingress = InterfaceId::PEER;
        if !has_room(&mut self.detour.coming, now, frame.len()) {
            return self.lose_frame(now, Drop::DetourRate, ingress, frame, out);
        }
        match Packet::parse(frame) {
            Ok(Parsed::Ip(packet)) if self.is_of_detour(&packet) => {
                self.detour.counters.taken += 1;
                self.batch.push(Arrival { packet, ingress, hit: None });
            }
            Ok(Parsed::Ip(packet)) => self.lose(now, Drop::DetourStray, None, ingress, packet, out),
            Ok(Parsed::Arp(frame)) => self.lose_frame(now, Drop::DetourStray, ingress, frame, out),
            Err((drop, frame)) => self.lose_frame(now, drop, ingress, frame, out),
        }
    }

    /// From the standby's own addresses to somebody else, or an answer to this standby's.
    fn is_of_detour(&self, packet: &Packet) -> bool {
        let key = &packet.layout.key;
        let whole = packet.layout.fragment == Fragment::Whole && packet.transport_checksum_ok();
        let compiled = &self.compiled;
        let ours = |address| compiled.is_own(address, InterfaceId::PEER);
        let fits = match self.standing.role {
            Role::Active => {
                compiled.is_of_peer(key.src()) && !ours(key.dst()) && !compiled.is_multicast(key.dst())
            }
            Role::Standby => ours(key.dst()) && !ours(key.src()),
            Role::Alone => false,
        };
        whole && fits
    }

    /// The first packet of a flow of the standby's: it leaves as the pair's own.
    pub(super) fn begin_for_peer(&mut self, now: Instant, packet: &mut Packet) -> Result<Onward, Refusal> {
        if self.standing.role != Role::Active || !self.duty.leads {
            return Err(Refusal::silent(Drop::DetourStray));
        }
        let original = packet.layout.key;
        let Out { hop, gateway, why: _ } = self.ways().out(&original, true, None).ok_or(NO_ROUTE)?;
        let egress = hop.interface;
        let address = self.detour_address(egress, original.family()).ok_or(NO_ROUTE)?;
        self.check_forwardable(packet, InterfaceId::PEER, egress)?;
        let outside = self.outbound.translate_out(now, &mut self.table, &original, &Outside::new(address))?;
        let (pass, _) = self.evaluate(now, &query_of_peer(&outside, packet.layout.transport, egress))?;
        let neighbour = self.neighbours.entry(now, egress, hop.gateway.unwrap_or(original.dst()))?;
        let mut pending = self.pending(packet, [pass, pass], [InterfaceId::PEER, egress]);
        (pending.reply, pending.ends_here) = (outside.inverse(), true);
        (pending.via, pending.next_hop[0]) = (Via { out: gateway, back: None }, neighbour.raw());
        self.table.insert(now, pending, packet)?;
        self.detour.used = true;
        self.clamp_mss(packet, [InterfaceId::PEER, egress]);
        nat::rewrite(packet, &outside);
        Ok(Onward::Forward { egress, neighbour, pass, first: false })
    }

    /// The address with which the standby's packets leave an uplink.
    fn detour_address(&self, egress: InterfaceId, family: Family) -> Option<std::net::IpAddr> {
        let uplink = self.compiled.link(egress).is_some_and(|link| link.zone == Zone::Wan);
        uplink.then(|| self.compiled.outside_address(egress, family))?
    }

    /// A flow of this way under another configuration; `None` for any other flow.
    pub(super) fn reconsider_detour(
        &self,
        admission: &Admission,
    ) -> Option<Result<([Pass; 2], Via), Refusal>> {
        let Admission { original, outside, ingress, egress, .. } = *admission;
        if ![ingress, egress].contains(&InterfaceId::PEER) {
            return None;
        }
        let Some(Out { hop, gateway, why: _ }) = self.ways().out(&original, true, None) else {
            return Some(Err(NO_ROUTE));
        };
        let stays = egress == InterfaceId::PEER
            || hop.interface == egress
                && self.detour_address(egress, original.family()) == Some(outside.src());
        if !stays {
            return Some(Err(NO_ROUTE));
        }
        let query = query_of_peer(&outside, Transport::of_flow(&outside), hop.interface);
        let via = Via { out: gateway.filter(|_| egress != InterfaceId::PEER), back: None };
        Some(self.ask_again(&query, None).map(|(pass, _)| ([pass, pass], via)))
    }

    /// The roles have changed: what went this way ends.
    pub(super) fn end_detours(&mut self) {
        self.detour.puzzle.clear();
        if std::mem::take(&mut self.detour.used) {
            self.detour.ends = Some(None);
        }
    }

    /// A bounded step of that.
    pub(super) fn work_on_detours(&mut self) {
        if let Some(cursor) = self.detour.ends {
            let filter = Filter { interface: Some(InterfaceId::PEER), ..Filter::default() };
            let (_, cursor) = self.table.kill(&filter, cursor, TURN);
            self.detour.ends = cursor.map(Some);
        }
    }
}

fn query_of_peer(outside: &FlowKey, transport: Transport, egress: InterfaceId) -> Query {
    Query { from_self: true, ..Query::new(Direction::Out, egress, *outside, transport) }
}

impl Compiled {
    /// An address of the peer's node.
    fn is_of_peer(&self, address: std::net::IpAddr) -> bool {
        let peer = self.pair.as_ref().and_then(|pair| pair.peer);
        let part = peer.map(|peer| self.config.node_part(peer));
        let interfaces = part.into_iter().flat_map(|part| &part.interfaces);
        interfaces.flat_map(|part| &part.addresses).any(|prefix| prefix.addr() == address)
    }
}
