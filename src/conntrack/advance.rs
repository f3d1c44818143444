//! What a packet does to its flow.

use super::index::{Hit, Slot, Way};
use super::proxy::Handshake;
use super::record::Common;
use super::segment::Segment;
use super::table::{NO_HOP, Table, segments};
use super::tcp::{Outcome, Tcp};
use super::timer::{Class, Tick, Traffic};
use super::witness::Witnesses;
use crate::rules::Pass;
use crate::types::{Instant, InterfaceId};
use crate::wire::handshake::Shift;
use crate::wire::{Drop, FlowKey, Packet, Transport, protocol, tcp_flags};

/// A packet belongs to its flow: where it goes, and as what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Advance {
    /// The key that it must carry when it leaves.
    pub to: FlowKey,
    /// True when that is not the key that it has.
    pub rewrite: bool,
    /// The flow ends on the router itself.
    pub ends_here: bool,
    /// The verdict that lets it out: the flow's rule on the way out, for answers the rule on the way in.
    pub pass: Pass,
    /// The interface by which packets of this way must come in (pf's if-bound).
    pub ingress: InterfaceId,
    /// The interface by which it leaves.
    pub egress: InterfaceId,
    /// The node's own meaning.
    pub next_hop: u32,
    /// The epoch that the route was found in: never the present one when nobody has looked it up for this way.
    pub epoch: u32,
    /// What is added to TCP's numbers.
    pub shift: Shift,
    /// Its handshake is complete, as of this packet or an earlier one.
    pub connected: bool,
}

/// A segment that tells an end what the router believes of a connection (RFC 5961 section 4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Challenge {
    /// Its sequence number.
    pub seq: u32,
    /// Its acknowledgement number.
    pub ack: u32,
}

/// What to do with a packet that the index found a flow for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// It belongs to the flow.
    Forward(Advance),
    /// There is no such flow (any more): treat the packet as the first of its own. Either a SYN has taken the place
    /// of a closed connection, or the flow ended between find and advance.
    Begin,
    /// A SYN on a connection that exists: it goes no further, and its sender is told what there is.
    Challenge(Challenge),
    /// The router makes the handshake: the packet goes no further, and these leave.
    Handshake(Handshake),
}

impl Table {
    /// Lets a packet act on its flow: checks the window and the state, counts, refreshes, and tells the way on.
    #[inline]
    pub fn advance(&mut self, now: Instant, hit: Hit, packet: &Packet) -> Result<Step, Drop> {
        let Hit { slot, way } = hit;
        if !self.store.holds(slot, way, &packet.layout.key) {
            self.counters.stale += 1;
            return Ok(Step::Begin);
        }
        let mut shift = Shift::NONE;
        if self.store.common(slot).is_proxied()
            && let Some(proxy) = self.store.proxy(slot)
        {
            if proxy.waits {
                return self.handshake(now, hit, proxy, packet);
            }
            shift = proxy.shift(way);
        }
        let common = self.store.common_mut(slot);
        let (before, phases) = (common.class, common.phases());
        let class = match common.protocol {
            protocol::TCP => match advance_tcp(common, &self.witnesses, way, packet, shift)? {
                Outcome::Accept => Class::of_tcp(&common.tcp()),
                Outcome::Ignore => {
                    count(common, &mut self.witnesses, way, packet);
                    return Ok(Step::Forward(self.describe(hit, &packet.layout.key)));
                }
                Outcome::Restart => {
                    self.remove(slot);
                    self.counters.restarted += 1;
                    return Ok(Step::Begin);
                }
                Outcome::Mismatch => {
                    self.counters.mismatched += 1;
                    return Err(Drop::StateMismatch);
                }
                Outcome::Challenge => {
                    self.counters.mismatched += 1;
                    self.counters.challenged += 1;
                    return Ok(Step::Challenge(self.challenge(hit)));
                }
            },
            protocol::UDP if packet.layout.transport == Transport::Udp => advance_udp(common, way),
            protocol::ICMP | protocol::ICMPV6 if is_own_query(packet, way) => advance_icmp(common, way),
            protocol::UDP | protocol::ICMP | protocol::ICMPV6 => {
                self.counters.mismatched += 1;
                return Err(Drop::StateMismatch);
            }
            _ => advance_other(common, way),
        };
        count(common, &mut self.witnesses, way, packet);
        let tick = Tick::of(now);
        let moved = common.seen != tick;
        common.seen = tick;
        let changed = class != before || common.phases() != phases;
        if class != before || moved && class.embryonic().is_some() {
            self.reclass(hit, before, class);
        }
        if changed {
            self.note(slot);
        }
        Ok(Step::Forward(self.describe(hit, &packet.layout.key)))
    }

    /// What the sender of a SYN on this connection is told: where the other end is.
    fn challenge(&self, hit: Hit) -> Challenge {
        let Tcp { peers, .. } = self.store.common(hit.slot).tcp();
        let answer = self.shift(hit.slot, hit.way.other());
        let (from, to) = (peers[hit.way.index()], peers[hit.way.other().index()]);
        Challenge { seq: to.low.wrapping_add(answer.seq), ack: from.low }
    }

    /// Moves a flow to another timer, or to the end of its queue.
    #[cold]
    pub(super) fn reclass(&mut self, hit: Hit, before: Class, class: Class) {
        let Hit { slot, way: _ } = hit;
        self.recount(slot, before, class);
        self.chains.unlink(&mut self.store, slot);
        self.join(slot, class);
    }

    /// A flow goes from one class to another: its source may have one more half-open flow, or one less.
    pub(super) fn recount(&mut self, slot: Slot, before: Class, class: Class) {
        let source = || self.store.key(slot, Way::Original).src();
        match (before.embryonic(), class.embryonic()) {
            (Some(_), None) => self.sources.take(source()),
            (None, Some(_)) => self.sources.add(source()),
            (Some(_), Some(_)) | (None, None) => {}
        }
        match (before.is_half_open(), class.is_half_open()) {
            (true, false) => self.half_open = self.half_open.saturating_sub(1),
            (false, true) => self.half_open += 1,
            (true, true) | (false, false) => {}
        }
    }

    /// Where packets of a flow go that way.
    pub fn route(&self, hit: Hit) -> Advance {
        self.describe(hit, &self.store.key(hit.slot, hit.way))
    }

    /// Where packets of a flow go.
    #[inline]
    pub(super) fn describe(&self, hit: Hit, key: &FlowKey) -> Advance {
        let Hit { slot, way } = hit;
        let to = self.store.key(slot, way.other()).inverse();
        let common = self.store.common(slot);
        let [pass_in, pass_out] = self.witnesses.get(common.witness());
        let next_hop = common.next_hop[way.index()];
        Advance {
            to,
            rewrite: to != *key,
            ends_here: common.ends_here(),
            pass: match way {
                Way::Original => pass_out,
                Way::Reply => pass_in,
            },
            ingress: common.interfaces[way.index()],
            egress: common.interfaces[way.other().index()],
            next_hop,
            epoch: if next_hop == NO_HOP { common.epoch.wrapping_sub(1) } else { common.epoch },
            shift: self.shift(slot, way),
            connected: common.class.is_connection(),
        }
    }
}

#[inline]
fn advance_tcp(
    common: &mut Common,
    witnesses: &Witnesses,
    way: Way,
    packet: &Packet,
    shift: Shift,
) -> Result<Outcome, Drop> {
    let mut segment = Segment::of(packet).ok_or(Drop::StateMismatch)?;
    // The machine counts as the server does.
    if way == Way::Original && segment.has(tcp_flags::ACK) {
        segment.ack = segment.ack.wrapping_add(shift.ack);
    }
    if segment.is_impossible() {
        return Err(Drop::TcpFlags);
    }
    let mut tcp = common.tcp();
    if witnesses.get(common.witness())[0].is_sloppy() {
        let outcome = tcp.advance_sloppily(way, &segment);
        if outcome == Outcome::Accept {
            common.set_tcp(&tcp);
        }
        return Ok(outcome);
    }
    if common.relearns() {
        return Ok(relearn_tcp(common, tcp, way, &segment));
    }
    let outcome = tcp.advance(way, &segment);
    if outcome == Outcome::Accept {
        common.set_tcp(&tcp);
    }
    Ok(outcome)
}

/// The first segments after a takeover.
#[cold]
fn relearn_tcp(common: &mut Common, mut tcp: Tcp, way: Way, segment: &Segment) -> Outcome {
    let outcome = tcp.relearn(way, segment);
    if outcome == Outcome::Accept {
        common.set_tcp(&tcp);
    }
    if tcp.loose {
        common.set_learned();
    }
    outcome
}

/// The class of a flow that is no connection.
pub(super) fn class_of(number: u8, traffic: [Traffic; 2], repeated: bool) -> Class {
    match (number, traffic, repeated) {
        (protocol::UDP, [_, Traffic::None], false) => Class::UdpFirst,
        (protocol::UDP, [_, Traffic::None], true) => Class::UdpOneWay,
        (protocol::UDP, [Traffic::Multiple, Traffic::Multiple], _) => Class::UdpMultiple,
        (protocol::UDP, [_, Traffic::Single | Traffic::Multiple], _) => Class::UdpSingle,
        (protocol::ICMP | protocol::ICMPV6, [_, Traffic::None], _) => Class::IcmpFirst,
        (protocol::ICMP | protocol::ICMPV6, [_, Traffic::Single | Traffic::Multiple], _) => {
            Class::IcmpAnswered
        }
        (_, [_, Traffic::None], false) => Class::OtherFirst,
        (_, [_, Traffic::None], true) => Class::OtherOneWay,
        (_, [Traffic::Multiple, Traffic::Multiple], _) => Class::OtherMultiple,
        (_, [_, Traffic::Single | Traffic::Multiple], _) => Class::OtherSingle,
    }
}

/// pf: the first answer makes the flow `single`, the next packet of the original way `multiple`.
#[inline]
fn traffic(common: &mut Common, way: Way) -> [Traffic; 2] {
    let mut traffic = common.traffic();
    let (from, to) = (way.index(), way.other().index());
    if traffic[from] == Traffic::None {
        traffic[from] = Traffic::Single;
    }
    if traffic[to] == Traffic::Single {
        traffic[to] = Traffic::Multiple;
    }
    common.set_traffic(traffic);
    traffic
}

fn advance_udp(common: &mut Common, way: Way) -> Class {
    match traffic(common, way) {
        [Traffic::Multiple, Traffic::Multiple] => Class::UdpMultiple,
        [_, Traffic::None] => Class::UdpOneWay,
        [_, Traffic::Single | Traffic::Multiple] => Class::UdpSingle,
    }
}

fn advance_icmp(common: &mut Common, way: Way) -> Class {
    match traffic(common, way) {
        [_, Traffic::None] => Class::IcmpFirst,
        [_, Traffic::Single | Traffic::Multiple] => Class::IcmpAnswered,
    }
}

fn advance_other(common: &mut Common, way: Way) -> Class {
    match traffic(common, way) {
        [Traffic::Multiple, Traffic::Multiple] => Class::OtherMultiple,
        [_, Traffic::None] => Class::OtherOneWay,
        [_, Traffic::Single | Traffic::Multiple] => Class::OtherSingle,
    }
}

/// A question goes the original way, an answer the other.
#[inline]
fn is_own_query(packet: &Packet, way: Way) -> bool {
    match (packet.layout.transport, way) {
        (Transport::IcmpQuery { request }, Way::Original) => request,
        (Transport::IcmpQuery { request }, Way::Reply) => !request,
        _ => false,
    }
}

#[inline]
fn count(common: &mut Common, witnesses: &mut Witnesses, way: Way, packet: &Packet) {
    let (packets, bytes) = segments(packet);
    common.count(way, packets, bytes);
    witnesses.count(common.witness(), packets, bytes);
}
