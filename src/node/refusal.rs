//! Why a packet goes no further, and what its sender is told.

use super::Shard;
use super::departure::Departure;
use super::drops::Dropped;
use super::outbox::Outbox;
use crate::conntrack::{Challenge, Handshake, Hit};
use crate::rules::{Query, Verdict};
use crate::types::{Direction, Instant, InterfaceId, RuleId};
use crate::wire::handshake::Segment;
use crate::wire::icmp_error::{self, ErrorCause};
use crate::wire::{Drop, FrameBuf, Layout, Packet, Parsed, Transport, reset, tcp_flags};

/// A packet's end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refusal {
    /// The counter.
    pub drop: Drop,
    /// The rule that decided.
    pub rule: Option<RuleId>,
    /// Where the packet was crossing when it did.
    pub at: Option<(InterfaceId, Direction)>,
    /// What the sender gets to hear.
    pub answer: Option<Answer>,
    /// Worth a place among the recent drops; a rule that does not log only counts.
    pub log: bool,
}

/// What the sender of a refused packet gets to hear.
#[derive(Clone, Copy, Debug)]
pub(super) enum Answer {
    /// An ICMP error.
    Error(ErrorCause),
    /// A RST.
    Reset,
    /// A SYN+ACK with this cookie.
    Cookie(u32),
    /// What the router believes of the connection.
    Challenge(Challenge),
    /// What a handshake needs, to either end of this flow.
    Handshake(Hit, Handshake),
}

impl Answer {
    /// What pf's `return` says: a RST to TCP, that the port is unreachable to everything else.
    pub(super) const fn to_rejected(transport: Transport) -> Self {
        match transport {
            Transport::Tcp { .. } => Answer::Reset,
            Transport::Udp
            | Transport::IcmpQuery { .. }
            | Transport::IcmpError { .. }
            | Transport::IcmpOther { .. }
            | Transport::Other => Answer::Error(ErrorCause::PortUnreachable),
        }
    }
}

impl Refusal {
    /// Dropped without a word.
    pub(super) fn silent(drop: Drop) -> Self {
        Refusal { drop, rule: None, at: None, answer: None, log: true }
    }

    /// Dropped without a word to anybody: it is counted.
    pub(super) fn unsaid(drop: Drop) -> Self {
        Refusal { log: false, ..Refusal::silent(drop) }
    }

    /// Nothing is lost: the router has answered, or goes on with a handshake.
    pub(super) fn taken(answer: Answer) -> Self {
        Refusal { drop: Drop::Synproxy, rule: None, at: None, answer: Some(answer), log: false }
    }

    /// Dropped, and the sender is told.
    pub(super) fn told(drop: Drop, answer: ErrorCause) -> Self {
        Refusal { drop, rule: None, at: None, answer: Some(Answer::Error(answer)), log: true }
    }
}

impl From<Drop> for Refusal {
    fn from(drop: Drop) -> Self {
        Refusal::silent(drop)
    }
}

impl Shard {
    /// Counts the loss and tells the sender where the RFCs ask for it.
    pub(super) fn refuse(
        &mut self,
        now: Instant,
        refusal: Refusal,
        packet: Packet,
        ingress: InterfaceId,
        out: &mut Outbox,
    ) {
        let Refusal { drop, rule, at, answer, log } = refusal;
        if let Some(place) = rule.and_then(|rule| self.compiled.ruleset.place(rule)) {
            self.tallies.blocked(place, packet.ip().len() as u64);
        }
        if let (Some(rule), true) = (rule, log) {
            self.log_block(now, (rule, drop, answer.is_some()), at, &packet, ingress);
        }
        match answer {
            Some(Answer::Error(cause)) => self.answer_with_error(now, cause, &packet, ingress, out),
            Some(Answer::Reset) => self.answer_with_reset(now, &packet, ingress, out),
            Some(Answer::Cookie(cookie)) => self.answer_with_cookie(now, cookie, &packet, ingress, out),
            Some(Answer::Challenge(challenge)) => self.challenge(now, challenge, &packet, ingress, out),
            Some(Answer::Handshake(hit, handshake)) => self.go_on_with_handshake(now, hit, handshake, out),
            None => {}
        }
        if log {
            return self.lose(now, drop, rule, ingress, packet, out);
        }
        self.drops.count(drop, 1);
        out.pool.give(packet.frame);
    }

    /// Counts a lost packet and takes its buffer back.
    pub(super) fn lose(
        &mut self,
        now: Instant,
        reason: Drop,
        rule: Option<RuleId>,
        interface: InterfaceId,
        packet: Packet,
        out: &mut Outbox,
    ) {
        self.drops.note(Dropped { at: now, reason, interface, key: Some(packet.layout.key), rule });
        out.pool.give(packet.frame);
    }

    /// Leaves a packet to the other node. A switch may send us plenty of those, so they take no place in the ring.
    pub(super) fn stand_by(&mut self, packet: Packet, out: &mut Outbox) {
        self.drops.count(Drop::Standby, 1);
        out.pool.give(packet.frame);
    }

    /// Counts a lost frame that was never parsed.
    pub(super) fn lose_frame(
        &mut self,
        now: Instant,
        reason: Drop,
        interface: InterfaceId,
        frame: FrameBuf,
        out: &mut Outbox,
    ) {
        self.drops.note(Dropped { at: now, reason, interface, key: None, rule: None });
        out.pool.give(frame);
    }

    /// Sends an ICMP error about `packet`, which must stand as it came in. From the address of the interface by
    /// which it came in, as pf does, so that traceroute names the side that the sender knows.
    pub(super) fn answer_with_error(
        &mut self,
        now: Instant,
        cause: ErrorCause,
        packet: &Packet,
        ingress: InterfaceId,
        out: &mut Outbox,
    ) {
        let key = &packet.layout.key;
        if ingress == InterfaceId::SELF {
            return;
        }
        let Some(from) = self.compiled.link(ingress).and_then(|link| link.primary(key.family())) else {
            return;
        };
        if !self.errors.take(now, packet.layout.key.src()) {
            return self.drops.count(Drop::IcmpRateLimit, 1);
        }
        let Some(frame) = icmp_error::build(&cause, packet, from, &mut out.pool) else { return };
        if let Ok(Parsed::Ip(error)) = Packet::parse(frame) {
            self.send_error(now, error, ingress, out);
        }
    }

    /// Sends a RST in answer to a segment that a rule rejects, in the name of whom it was for.
    fn answer_with_reset(&mut self, now: Instant, packet: &Packet, ingress: InterfaceId, out: &mut Outbox) {
        if ingress == InterfaceId::SELF {
            return;
        }
        if !self.errors.take(now, packet.layout.key.src()) {
            return self.drops.count(Drop::IcmpRateLimit, 1);
        }
        let Some(frame) = reset::build(packet, &mut out.pool) else { return };
        if let Ok(Parsed::Ip(answer)) = Packet::parse(frame) {
            self.send_error(now, answer, ingress, out);
        }
    }

    /// Answers a SYN on a connection that exists (RFC 5961 section 4.2), in the name of the other end.
    fn challenge(
        &mut self,
        now: Instant,
        Challenge { seq, ack }: Challenge,
        packet: &Packet,
        ingress: InterfaceId,
        out: &mut Outbox,
    ) {
        let key = packet.layout.key;
        if ingress == InterfaceId::SELF || !self.challenges.take(now, &key) {
            return;
        }
        let answer = Segment { flags: tcp_flags::ACK, seq, ack, window: 0, mss: None };
        self.answer_with_segment(now, &answer, &key, ingress, out);
    }

    /// An error goes back to where the packet came from, past the rules on the way out; it makes no state.
    pub(super) fn send_error(&mut self, now: Instant, error: Packet, toward: InterfaceId, out: &mut Outbox) {
        let Layout { key, transport, .. } = error.layout;
        let query = Query { from_self: true, ..Query::new(Direction::Out, toward, key, transport) };
        let Verdict::Pass(pass) = self.compiled.ruleset.evaluate(&query) else {
            return self.lose(now, Drop::BlockedOut, None, InterfaceId::SELF, error, out);
        };
        let Some(next_hop) = self.compiled.reply_route(key.dst(), toward) else {
            return self.lose(now, Drop::NoRoute, None, InterfaceId::SELF, error, out);
        };
        match self.neighbours.entry(now, toward, next_hop.gateway.unwrap_or(key.dst())) {
            Ok(neighbour) => {
                let (packet, ingress, egress) = (error, InterfaceId::SELF, toward);
                let departure = Departure { packet, pass, ingress, egress, neighbour, original: key };
                self.depart(now, departure, out);
            }
            Err(drop) => self.lose(now, drop, None, InterfaceId::SELF, error, out),
        }
    }
}
