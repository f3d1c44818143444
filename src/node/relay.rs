//! The giver's part of a handover: what this node would have forwarded goes to its successor, in the stream of changes.
//!
//! First the rest of the changes is told, then [`Change::Frozen`], then the frames in the order in which they came.
//! When the successor leads, the ports are read empty once more, [`Change::Drained`] says so, and after [`LINGER`], in
//! which late frames are still passed on, [`Change::Left`] ends it.
//!
//! Invariant: a frame leaves this node by a port or in the stream or not at all, never twice. At most a [`Line`]
//! waits; what finds no room is counted. If the role comes back, what has not been handed over is this node's again.

use super::Shard;
use super::departure::Departure;
use super::line::Line;
use super::outbox::Outbox;
use super::replication::CHUNK;
use crate::nat;
use crate::types::{Ceding, Duration, Instant, InterfaceId, Standing};
use crate::wire::pair::flow::{self, Change};
use crate::wire::pair::relay::Head;
use crate::wire::{Drop, FrameBuf, Packet, Transport};

/// Chunks made at once.
const AT_ONCE: usize = 64;
/// A switch that has heard of the takeover, and the device behind it, give frames to this node for so long at most.
const SETTLE: Duration = Duration::from_millis(2);
/// The ports, and whether there is room, are looked at this often.
const AGAIN: Duration = Duration::from_micros(100);
/// Late ones are passed on for this long after the ports were empty, without their order.
const LINGER: Duration = Duration::from_millis(30);

/// How far it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Phase {
    /// There is no handover.
    #[default]
    Idle,
    /// The rest of the changes is told.
    Freezes,
    /// Frames are passed on.
    Relays,
    /// Late frames are passed on until then.
    Lingers(Instant),
    /// All is said.
    Gone,
}

/// See the module.
#[derive(Default)]
pub(super) struct Relay {
    phase: Phase,
    waiting: Line<InterfaceId>,
    /// Bytes of the first one that were handed over already.
    sent: usize,
    /// The ports are to be read empty after this instant, since the successor leads.
    drains: Option<Instant>,
    /// They were.
    drained: bool,
    /// When to look again, for the ports or for room.
    again: Option<Instant>,
    pub(super) counters: RelayCounters,
}

/// What happened.
#[derive(Clone, Copy, Default)]
pub(super) struct RelayCounters {
    /// Frames passed on.
    pub frames: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Frames that were this node's again, since nobody had taken over.
    pub taken_back: u64,
}

impl Relay {
    fn takes(&self) -> bool {
        match self.phase {
            Phase::Freezes | Phase::Relays | Phase::Lingers(_) => true,
            Phase::Idle | Phase::Gone => false,
        }
    }

    /// No changes are told any more.
    fn is_mute(&self) -> bool {
        match self.phase {
            Phase::Idle | Phase::Freezes => false,
            Phase::Relays | Phase::Lingers(_) | Phase::Gone => true,
        }
    }

    /// There is something to say.
    fn has_to_say(&self) -> bool {
        match self.phase {
            Phase::Idle | Phase::Gone => false,
            Phase::Freezes => true,
            Phase::Relays => !self.waiting.is_empty() || self.drained,
            Phase::Lingers(_) => !self.waiting.is_empty(),
        }
    }

    fn begin(&mut self) {
        self.phase = Phase::Freezes;
        (self.drains, self.drained, self.again, self.sent) = (None, false, None, 0);
    }

    /// Nobody listens any more.
    pub(super) fn stop(&mut self) {
        if self.takes() {
            self.phase = Phase::Gone;
        }
    }

    fn push(&mut self, ingress: InterfaceId, frame: &FrameBuf) -> bool {
        self.waiting.push_copy(ingress, frame)
    }

    fn pop(&mut self) -> Option<(InterfaceId, FrameBuf)> {
        self.sent = 0;
        self.waiting.pop()
    }

    /// Fills a chunk with what waits.
    fn fill(&mut self, chunk: &mut Vec<u8>) {
        flow::begin(chunk);
        while let Some((ingress, frame)) = self.waiting.front() {
            let head = (self.sent == 0).then(|| Head::of(*ingress, frame));
            let more = flow::encode_piece(head, &frame.bytes()[self.sent..], CHUNK, chunk);
            if more == 0 {
                return;
            }
            self.sent += more;
            self.counters.bytes += more as u64;
            if self.sent == frame.len() {
                self.counters.frames += 1;
                self.pop();
            }
        }
    }
}

impl Shard {
    /// The standing says what this node still does for its successor.
    pub(super) fn follow_ceding(&mut self, now: Instant, was: Standing) {
        let Standing { cedes, .. } = self.standing;
        match (cedes, self.relay.phase) {
            (Ceding::No, Phase::Idle) => {}
            (Ceding::No, _) => self.relay.phase = Phase::Idle,
            // Without somebody to tell there is no handover.
            (Ceding::Relays | Ceding::Drains, Phase::Idle)
                if was.cedes == Ceding::No && self.table.keeps_changes() =>
            {
                self.relay.begin();
                self.tell_neighbours();
                self.recall_deferred(now);
            }
            (Ceding::Relays | Ceding::Drains, _) => {}
        }
        if cedes == Ceding::Drains && self.relay.takes() {
            let due = *self.relay.drains.get_or_insert(now + SETTLE);
            self.relay.again.get_or_insert(due);
        }
    }

    /// What waits and cannot be handed over any more: it is this node's again, or nobody's.
    pub(super) fn take_back_relayed(&mut self, now: Instant, out: &mut Outbox) {
        if self.relay.phase != Phase::Idle || self.relay.waiting.is_empty() {
            return;
        }
        while let Some((ingress, frame)) = self.relay.pop() {
            match self.duty.leads || self.begin_lapse(now) {
                true => {
                    self.relay.counters.taken_back += 1;
                    self.enter(now, ingress, frame, out);
                }
                false => {
                    self.drops.count(Drop::Standby, 1);
                    out.pool.give(frame);
                }
            }
        }
    }

    /// Leaves a frame to the other node: passes it on during a handover, otherwise counts it. Without a lease, it waits.
    pub(super) fn leave(&mut self, now: Instant, ingress: InterfaceId, frame: FrameBuf, out: &mut Outbox) {
        let relays = self.relay.takes() && ![InterfaceId::SELF, InterfaceId::PEER].contains(&ingress);
        if !relays {
            let waits = self.bide(now, ingress, &frame);
            self.drops.count(Drop::Standby, u64::from(!waits));
        } else if !self.relay.push(ingress, &frame) {
            self.drops.count(Drop::RelayFull, 1);
        }
        out.pool.give(frame);
    }

    /// The same of a question to all stations, which this node looks at as well.
    pub(super) fn share(&mut self, now: Instant, ingress: InterfaceId, frame: &FrameBuf) {
        let to_all = frame.bytes().first().is_some_and(|byte| byte & 1 != 0);
        if !to_all {
            return;
        }
        if !self.relay.takes() {
            self.bide(now, ingress, frame);
        } else if !self.relay.push(ingress, frame) {
            self.drops.count(Drop::RelayFull, 1);
        }
    }

    /// Fragments of a datagram that began here are put together here, and go on as a whole.
    pub(super) fn completes(&self, packet: &Packet) -> bool {
        self.relay.takes() && self.reassembly.knows(packet)
    }

    /// A packet that was about to leave when the role was given away, or the lease over: as it came in.
    pub(super) fn recall(&mut self, now: Instant, departure: Departure, out: &mut Outbox) {
        let Departure { mut packet, ingress, original, .. } = departure;
        let waits = self.relay.takes() || self.begin_lapse(now);
        if !waits || matches!(packet.layout.transport, Transport::IcmpError { .. }) {
            return self.stand_by(packet, out);
        }
        if packet.layout.key != original {
            nat::rewrite(&mut packet, &original);
        }
        packet.restore_hop_limit();
        self.leave(now, ingress, packet.frame, out);
    }

    /// First packets that waited for the peer to know their flows.
    pub(super) fn recall_deferred(&mut self, now: Instant) {
        // The buffers are this node's own and few; nothing needs them back.
        let mut out = Outbox::new(0);
        for departure in self.deferral.take_all() {
            self.recall(now, departure, &mut out);
        }
    }

    /// Nothing but frames is told any more.
    pub(super) fn is_mute(&self) -> bool {
        self.relay.is_mute()
    }

    /// There is something to be said of the handover, and room for it.
    pub(super) fn has_to_relay(&self) -> bool {
        self.credit > 0 && self.relay.has_to_say()
    }

    /// When something of the handover is due.
    pub(super) fn relay_due(&self) -> Option<Instant> {
        match self.relay.phase {
            Phase::Idle => (!self.relay.waiting.is_empty()).then_some(Instant::ZERO),
            Phase::Lingers(until) => self.relay.again.or(Some(until)),
            Phase::Freezes | Phase::Relays => self.relay.again,
            Phase::Gone => None,
        }
    }

    /// The successor leads: the edge is to read all ports until they are empty, and then to say so with
    /// [`Shard::handle_emptied`].
    pub fn wants_empty_ports(&self, now: Instant) -> bool {
        let due = self.relay.drains.is_some_and(|at| at <= now);
        self.relay.phase == Phase::Relays && due && !self.relay.drained
    }

    /// Nothing waits in any port of what had come when [`Shard::wants_empty_ports`] was asked.
    pub fn handle_emptied(&mut self, now: Instant, out: &mut Outbox) {
        self.take_up_duty(now);
        self.relay.drained |= self.wants_empty_ports(now);
        self.finish(now, out);
    }

    /// Hands over what there is of the handover, and says when to look again.
    pub(super) fn relay(&mut self, now: Instant, out: &mut Outbox) {
        if self.relay.phase == Phase::Idle {
            return;
        }
        self.relay_more(now, out);
        let crowded = self.credit == 0 && self.relay.has_to_say();
        let drains = self.relay.drains.filter(|_| self.relay.phase == Phase::Relays && !self.relay.drained);
        self.relay.again = match (crowded, drains) {
            (true, _) => Some(now + AGAIN),
            (false, Some(due)) => Some(due.max(now + AGAIN)),
            (false, None) => None,
        };
    }

    fn relay_more(&mut self, now: Instant, out: &mut Outbox) {
        if self.relay.phase == Phase::Freezes && !self.has_changes_to_tell() && self.credit > 0 {
            self.tell_handover(&Change::Frozen, out);
            self.relay.phase = Phase::Relays;
        }
        if !self.relay.is_mute() {
            return;
        }
        for _ in 0..AT_ONCE {
            if self.credit == 0 || self.relay.waiting.is_empty() {
                break;
            }
            let mut chunk = Vec::with_capacity(CHUNK);
            self.relay.fill(&mut chunk);
            self.hand_over_chunk(chunk, out);
        }
        if self.credit == 0 || !self.relay.waiting.is_empty() {
            return;
        }
        match self.relay.phase {
            Phase::Relays if self.relay.drained => {
                self.tell_handover(&Change::Drained, out);
                self.relay.phase = Phase::Lingers(now + LINGER);
            }
            Phase::Lingers(until) if until <= now => {
                self.tell_handover(&Change::Left, out);
                self.relay.phase = Phase::Gone;
            }
            Phase::Idle | Phase::Freezes | Phase::Relays | Phase::Lingers(_) | Phase::Gone => {}
        }
    }

    fn tell_handover(&mut self, change: &Change, out: &mut Outbox) {
        let mut chunk = Vec::new();
        flow::begin(&mut chunk);
        flow::encode(change, &mut chunk);
        self.hand_over_chunk(chunk, out);
    }

    fn hand_over_chunk(&mut self, chunk: Vec<u8>, out: &mut Outbox) {
        out.chunks.push(chunk);
        self.credit -= 1;
        self.deferral.count_chunk();
    }
}
