//! The packet path of one shard: a batch is parsed, looked up, then acted upon, packet by packet.
//!
//! Invariant: a packet leaves only with a [`Pass`], and a flow exists only after every check on its first packet.
//! pf's order: translation comes before the filter on each side; here that is outbound NAT before the rules on
//! the way out.

use std::net::IpAddr;

use super::Shard;
use super::arrival::Arrival;
use super::departure::Departure;
use super::outbox::Outbox;
use super::refusal::{Answer, Refusal};
use super::translate::Inside;
use super::ways::Out;
use crate::conntrack::{Advance, Hit, NO_HOP, Pending, Redeemed, Step, Via, Way};
use crate::nat;
use crate::route::{NeighbourId, NextHop};
use crate::rules::{Decision, Pass, Query, Tag, Verdict};
use crate::types::{Direction, Instant, InterfaceId};
use crate::wire::icmp_error::ErrorCause;
use crate::wire::{Drop, FlowKey, Packet, Transport, options, tcp_flags};

/// What becomes of a packet that may go on.
pub(super) enum Onward {
    /// To the next hop.
    Forward {
        /// The interface by which it leaves.
        egress: InterfaceId,
        /// The next hop.
        neighbour: NeighbourId,
        /// Why it may leave.
        pass: Pass,
        /// It is the first of its flow.
        first: bool,
    },
    /// To the peer's node.
    Detour {
        /// Why it may.
        pass: Pass,
    },
    /// To the router's own stack.
    Deliver {
        /// It answers something that the router has begun.
        asked: bool,
    },
}

/// Nowhere to go, and the sender is told.
pub(super) const NO_ROUTE: Refusal = Refusal {
    drop: Drop::NoRoute,
    rule: None,
    at: None,
    answer: Some(Answer::Error(ErrorCause::NoRoute)),
    log: true,
};

impl Shard {
    /// Acts on the batch: all look-ups first, so that their cache misses overlap.
    pub(super) fn run_batch(&mut self, now: Instant, out: &mut Outbox) {
        let mut batch = std::mem::take(&mut self.batch);
        for arrival in &mut batch {
            arrival.hit = self.table.look_up(&arrival.packet.layout.key);
        }
        self.pressure.count(batch.len(), batch.iter().filter(|arrival| arrival.hit.is_some()).count());
        let touched =
            batch.iter().filter_map(|arrival| arrival.hit).fold(0, |sum, hit| sum ^ self.table.touch(hit));
        std::hint::black_box(touched);
        for arrival in batch.drain(..) {
            self.packet(now, arrival, out);
        }
        self.batch = batch;
    }

    /// The way of one packet.
    pub(super) fn packet(&mut self, now: Instant, mut arrival: Arrival, out: &mut Outbox) {
        // A packet is large: it stays where it is until it leaves.
        let Arrival { ref mut packet, ingress, hit } = arrival;
        let original = packet.layout.key;
        if self.stands_by(ingress, &original) {
            return self.leave(now, ingress, arrival.packet.frame, out);
        }
        // An earlier packet of the batch may have begun the flow.
        let hit = hit.or_else(|| self.table.look_up(&original));
        let decision = match (packet.layout.transport, hit) {
            (Transport::IcmpError { .. }, _) => self.related(now, packet, ingress),
            (_, Some(hit)) => self.established(now, packet, ingress, hit),
            (_, None) => {
                let redeemed = self.redeem(now, packet, ingress, out);
                // Whoever brings a cookie back has had its turn.
                match redeemed.is_some() || self.pressure.admits() {
                    true => self.fresh(now, packet, ingress, redeemed),
                    false => Err(Refusal::unsaid(Drop::Pressure)),
                }
            }
        };
        match decision {
            Ok(Onward::Forward { egress, neighbour, pass, first }) => {
                if ![InterfaceId::SELF, InterfaceId::PEER].contains(&ingress) {
                    arrival.packet.decrement_hop_limit();
                }
                let departing = |packet| Departure { packet, pass, ingress, egress, neighbour, original };
                if first {
                    return self.depart_first(now, departing(arrival.packet), out);
                }
                if self.deferral.is_in_use() {
                    self.hurry(now, &original, out);
                }
                // As `depart`, without the copy that only a packet which waits needs.
                match self.neighbours.mac(neighbour, now) {
                    Some(mac) => self.transmit(now, arrival.packet, pass, [ingress, egress], mac, out),
                    None => self.depart(now, departing(arrival.packet), out),
                }
            }
            Ok(Onward::Detour { pass }) => self.take_detour(now, arrival.packet, pass, out),
            Ok(Onward::Deliver { asked }) => self.deliver(now, arrival.packet, ingress, asked, out),
            Err(refusal) => self.refuse(now, refusal, arrival.packet, ingress, out),
        }
    }

    /// A packet of a flow that exists.
    fn established(
        &mut self,
        now: Instant,
        packet: &mut Packet,
        ingress: InterfaceId,
        hit: Hit,
    ) -> Result<Onward, Refusal> {
        let mut step = self.table.advance(now, hit, packet)?;
        if let Step::Forward(advance) = step
            && advance.epoch != self.compiled.epoch
            && self.table.admission(hit).epoch != self.compiled.epoch
        {
            self.readmit(hit)?;
            step = Step::Forward(Advance { next_hop: NO_HOP, ..advance });
        }
        let advance = match step {
            Step::Forward(advance) => advance,
            Step::Begin => return self.fresh(now, packet, ingress, None),
            Step::Challenge(challenge) => {
                let answer = Some(Answer::Challenge(challenge));
                return Err(Refusal { answer, ..Refusal::silent(Drop::StateMismatch) });
            }
            Step::Handshake(handshake) => {
                if handshake.complete {
                    self.check_connections(now, hit)?;
                }
                return Err(Refusal::taken(Answer::Handshake(hit, handshake)));
            }
        };
        let passes = self.table.passes(hit);
        if advance.connected && passes[0].is_limited() {
            self.check_connections(now, hit)?;
        }
        if self.minds_options(packet)? && !passes.iter().all(|pass| pass.allows_options()) {
            return Err(Refusal::silent(Drop::IpOptions));
        }
        // pfSense's present default: states are bound to their interfaces.
        if ingress != advance.ingress && !passes[0].floats() {
            return Err(Refusal::silent(Drop::InterfaceMismatch));
        }
        let egress = advance.egress;
        if egress == InterfaceId::SELF {
            Shard::translate(packet, &advance);
            return Ok(Onward::Deliver { asked: hit.way == Way::Reply });
        }
        if egress == InterfaceId::PEER {
            let Some(goes_on) = self.go_on_with_detour(hit, &advance) else {
                return self.fresh(now, packet, ingress, None);
            };
            Shard::translate(packet, &advance);
            return Ok(goes_on);
        }
        let own = ingress == InterfaceId::SELF && hit.way == Way::Original;
        if own && self.needs_detour(egress, packet.layout.key.family()) {
            self.table.end(hit);
            return self.fresh(now, packet, ingress, None);
        }
        self.normalise(packet, [ingress, egress]);
        self.check_forwardable(packet, ingress, egress)?;
        let neighbour = self.next_hop(now, hit, &advance)?;
        self.clamp_mss(packet, [ingress, egress]);
        self.clamp_mss_to(packet, passes);
        Shard::translate(packet, &advance);
        Ok(Onward::Forward { egress, neighbour, pass: advance.pass, first: false })
    }

    /// The first packet of a flow.
    fn fresh(
        &mut self,
        now: Instant,
        packet: &mut Packet,
        ingress: InterfaceId,
        redeemed: Option<Redeemed>,
    ) -> Result<Onward, Refusal> {
        let original = packet.layout.key;
        let from_self = ingress == InterfaceId::SELF;
        if ingress == InterfaceId::PEER {
            return self.begin_for_peer(now, packet);
        }
        if from_self && let Some(way) = self.probed(packet) {
            return self.begin_probe(now, packet, way);
        }
        let query = Query {
            from_self,
            dscp: Some(packet.layout.traffic_class >> 2),
            ..Query::new(Direction::In, ingress, original, packet.layout.transport)
        };
        let Inside { key, forward, reflected } = self.translate_in(&query)?;
        let to_self = !from_self && self.compiled.is_own(key.dst(), ingress);
        let query = Query { key, forward, to_self, ..query };
        let asked = match from_self {
            true => None,
            false => Some(self.evaluate(now, &query).map_err(|refusal| self.end_lost_page(&query, refusal))?),
        };
        let (pass_in, tag) = asked.map_or((None, Tag::NONE), |(pass, tag)| (Some(pass), tag));
        if let Some(pass) = pass_in {
            self.check_overload(pass, original.src())?;
        }
        let options = self.minds_options(packet)?;
        if options && pass_in.is_some_and(|pass| !pass.allows_options()) {
            return Err(Refusal::silent(Drop::IpOptions));
        }
        if let (true, Some(pass)) = (to_self, pass_in) {
            let mut pending = self.pending(packet, [pass, pass], [ingress, InterfaceId::SELF]);
            pending.reply = key.inverse();
            pending.via.back = self.ways().back(ingress, original.src(), pass_in);
            self.check_limits(pass_in, original.src())?;
            let begun = self.table.insert(now, pending, packet);
            begun.map_err(|drop| self.end_lost_page(&query, self.no_state(drop)))?;
            self.log_pass(now, ingress, packet, pass);
            if key != original {
                nat::rewrite(packet, &key);
            }
            return Ok(Onward::Deliver { asked: false });
        }
        if !from_self && (is_link_local(key.src()) || is_link_local(key.dst())) {
            return Err(Refusal::silent(Drop::LinkLocal));
        }
        let Out { hop: next_hop, gateway, why: _ } =
            self.ways().out(&key, from_self, pass_in).ok_or(NO_ROUTE)?;
        let egress = next_hop.interface;
        if from_self && self.needs_detour(egress, key.family()) {
            return self.begin_detour(now, packet, &query, egress);
        }
        self.normalise(packet, [ingress, egress]);
        self.check_forwardable(packet, ingress, egress)?;
        let query = Query { direction: Direction::Out, interface: egress, tag, ..query };
        let outside = self.translate_out(now, &query, reflected)?;
        let query = Query { key: outside, ..query };
        let (pass_out, _) = self.evaluate(now, &query)?;
        if options && !pass_out.allows_options() {
            return Err(Refusal::silent(Drop::IpOptions));
        }
        let neighbour = self.neighbours.entry(now, egress, next_hop.gateway.unwrap_or(key.dst()))?;
        let mut pending = self.pending(packet, [pass_in.unwrap_or(pass_out), pass_out], [ingress, egress]);
        pending.reply = outside.inverse();
        pending.via = Via { out: gateway, back: self.ways().back(ingress, original.src(), pass_in) };
        pending.next_hop[0] = neighbour.raw();
        let stateless = outside == original && pass_in.is_some_and(Pass::is_stateless);
        if !stateless {
            self.check_limits(pass_in, original.src())?;
            if redeemed.is_none()
                && let Some(cookie) = self.cookie(now, packet, pass_in)
            {
                return Err(Refusal::taken(Answer::Cookie(cookie)));
            }
            let hit = self.table.insert(now, pending, packet).map_err(|drop| self.no_state(drop))?;
            if let Some(redeemed) = redeemed {
                self.table.begin_proxy(hit, redeemed)?;
            }
        }
        if let Some(pass) = pass_in {
            self.log_pass(now, ingress, packet, pass);
        }
        self.log_pass_out(now, [ingress, egress], packet, pass_out);
        self.clamp_mss(packet, [ingress, egress]);
        self.clamp_mss_to(packet, [pass_in.unwrap_or(pass_out), pass_out]);
        if outside != original {
            nat::rewrite(packet, &outside);
        }
        Ok(Onward::Forward { egress, neighbour, pass: pass_out, first: !stateless })
    }

    /// A connection to the pages that the other node of a pair had is unknown here: whoever may begin a new one is told
    /// so, and does.
    fn end_lost_page(&self, query: &Query, refusal: Refusal) -> Refusal {
        let Transport::Tcp { flags, .. } = query.transport else { return refusal };
        let goes_on = flags & (tcp_flags::SYN | tcp_flags::RST) == 0;
        let to_pages = query.to_self && query.key.dst_port() == self.compiled.config.system.web.port;
        let first = Query { transport: Transport::of_flow(&query.key), ..*query };
        if goes_on && to_pages && matches!(self.compiled.ruleset.evaluate(&first), Verdict::Pass(_)) {
            return Refusal { answer: Some(Answer::Reset), log: false, ..refusal };
        }
        refusal
    }

    /// Options that a rule has to allow; an RFC asks not to look at those of IPv6. Some nobody can allow.
    fn minds_options(&self, packet: &Packet) -> Result<bool, Refusal> {
        if !packet.layout.options {
            return Ok(false);
        }
        options::check(packet)?;
        let asked = packet.layout.key.dst().is_ipv4() || !self.compiled.config.system.rfc.ipv6_options;
        Ok(asked && options::are_present(packet))
    }

    /// No flow can begin. pf drops without a word; RFC 5508 REQ-8 wants the sender told.
    fn no_state(&self, drop: Drop) -> Refusal {
        let full = matches!(drop, Drop::StateLimit | Drop::SourceLimit);
        match full && self.compiled.config.system.rfc.refusals {
            true => Refusal::told(drop, ErrorCause::AdminProhibited),
            false => Refusal::silent(drop),
        }
    }

    /// An untranslated flow without next hops.
    pub(super) fn pending(
        &self,
        packet: &Packet,
        [pass_in, pass_out]: [Pass; 2],
        [ingress, egress]: [InterfaceId; 2],
    ) -> Pending {
        let original = packet.layout.key;
        Pending {
            original,
            reply: original.inverse(),
            pass_in,
            pass_out,
            via: Via::default(),
            ingress,
            egress,
            next_hop: [NO_HOP; 2],
            epoch: self.compiled.epoch,
            ends_here: ingress == InterfaceId::SELF || egress == InterfaceId::SELF,
        }
    }

    /// Asks the rules about a new flow, and counts.
    pub(super) fn evaluate(&mut self, now: Instant, query: &Query) -> Result<(Pass, Tag), Refusal> {
        let Self { compiled, tallies, uplinks, .. } = self;
        let idle = uplinks.gateways.selection().idle();
        judge(query, compiled.ruleset.decide_among(query, idle, |place| tallies.evaluated(place, now)))
    }

    /// The flow's next hop, looked up when it is unknown, has gone stale, or was never needed.
    pub(super) fn next_hop(
        &mut self,
        now: Instant,
        hit: Hit,
        advance: &Advance,
    ) -> Result<NeighbourId, Refusal> {
        let known = NeighbourId::from_raw(advance.next_hop);
        if advance.next_hop != NO_HOP && self.neighbours.is_current(known) {
            return Ok(known);
        }
        let (egress, destination) = (advance.egress, advance.to.dst());
        let Via { out, back } = self.table.via(hit);
        let ways = self.ways();
        let here = |hop: &NextHop| hop.interface == egress;
        let next_hop = match hit.way {
            Way::Original => ways.stay(out, egress).or_else(|| ways.route(destination).filter(here)),
            Way::Reply if self.table.passes(hit)[0].replies_to_gateway() => {
                ways.stay(back, egress).or_else(|| self.compiled.reply_route(destination, egress))
            }
            Way::Reply => ways.route(destination).filter(here),
        };
        let NextHop { interface, gateway } = next_hop.ok_or(NO_ROUTE)?;
        let neighbour = self.neighbours.entry(now, interface, gateway.unwrap_or(destination))?;
        self.table.set_route(hit.slot, hit.way, egress, neighbour.raw(), self.compiled.epoch);
        Ok(neighbour)
    }

    /// A flow admitted under an older configuration is asked about again; it ends when it may no longer exist.
    pub(super) fn readmit(&mut self, hit: Hit) -> Result<(), Refusal> {
        match self.reconsider(hit) {
            Ok(admitted) => {
                self.table.readmit(hit, admitted, self.compiled.epoch);
                Ok(())
            }
            Err(refusal) => {
                self.table.end(hit);
                Err(refusal)
            }
        }
    }

    /// Asks the rules about a flow that exists; `passed` is what they once said.
    pub(super) fn ask_again(&self, query: &Query, passed: Option<Pass>) -> Result<(Pass, Tag), Refusal> {
        let idle = self.uplinks.gateways.selection().idle();
        let ruleset = &self.compiled.ruleset;
        judge(
            query,
            match passed {
                Some(passed) => ruleset.decide_again(query, passed.rule(), idle),
                None => ruleset.decide_among(query, idle, |_| {}),
            },
        )
    }

    /// Would the flow's first packet still pass, the same way, with the same translation?
    fn reconsider(&self, hit: Hit) -> Result<([Pass; 2], Via), Refusal> {
        let admission = self.table.admission(hit);
        let (ingress, egress, original) = (admission.ingress, admission.egress, admission.original);
        let outside = admission.outside;
        if let Some(gateway) = self.probed_by(&admission) {
            return self.reconsider_probe(&admission, gateway).ok_or(NO_ROUTE);
        }
        if let Some(reconsidered) = self.reconsider_detour(&admission) {
            return reconsidered;
        }
        let from_self = ingress == InterfaceId::SELF;
        let to_self = egress == InterfaceId::SELF;
        let via = self.table.via(hit);
        let query = Query {
            from_self,
            ..Query::new(Direction::In, ingress, original, Transport::of_flow(&original))
        };
        if !self.still_translated(&query, &outside, egress) {
            return Err(Refusal::silent(Drop::NoFlow));
        }
        // Behind the translation of the destination, before that of the source.
        let inner = (original.src(), original.src_port(), outside.dst(), outside.dst_port());
        let key = FlowKey::new(original.protocol(), inner.0, inner.1, inner.2, inner.3).unwrap_or(original);
        let forward = self.compiled.translations.inward(&query).map(|(_, deed)| deed.id());
        let query = Query { key, to_self, forward, ..query };
        let [passed_in, passed_out] = self.table.passes(hit);
        let asked = if from_self { None } else { Some(self.ask_again(&query, Some(passed_in))?) };
        let (pass_in, tag) = asked.map_or((None, Tag::NONE), |(pass, tag)| (Some(pass), tag));
        if let (true, Some(pass)) = (to_self, pass_in) {
            let still_ours = self.compiled.is_own(key.dst(), ingress);
            let via = Via { out: None, back: self.ways().back(ingress, original.src(), pass_in) };
            return if still_ours { Ok(([pass, pass], via)) } else { Err(NO_ROUTE) };
        }
        let via = self.ways().again(&key, from_self, (pass_in, via), [ingress, egress]).ok_or(NO_ROUTE)?;
        let query = Query { direction: Direction::Out, interface: egress, key: outside, tag, ..query };
        let (pass_out, _) = self.ask_again(&query, Some(passed_out))?;
        Ok(([pass_in.unwrap_or(pass_out), pass_out], via))
    }
}

fn judge(query: &Query, Decision { verdict, tag }: Decision) -> Result<(Pass, Tag), Refusal> {
    match verdict {
        Verdict::Pass(pass) => Ok((pass, tag)),
        Verdict::Block { rule, drop, log, reject } => {
            let answer = reject.then(|| Answer::to_rejected(query.transport));
            let at = Some((query.interface, query.direction));
            Err(Refusal { drop, rule: Some(rule), at, answer, log })
        }
    }
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}
