//! The taker's part of a handover: frames that its predecessor passes on, and its own ones, in the right order.
//!
//! [`Change::Frozen`](crate::wire::pair::flow::Change::Frozen) begins it. What is passed on waits until this node leads,
//! and goes the way of a frame that came in by that interface, all checks included. What comes in directly meanwhile is
//! held until the predecessor's ports are empty, so that nothing overtakes what was sent before it.
//!
//! Frames also wait when there is no lease for a moment, see [`lapse`](super::lapse).
//!
//! Invariant: nothing is passed on to this node outside of a handover. At most a [`Line`] of each kind waits, directly received
//! frames are held for [`HOLD`] at most, or as long as a lapse may take, and what is passed on is kept for [`KEEP`] at
//! most.

use super::Shard;
use super::lapse::Lapse;
use super::line::Line;
use super::outbox::Outbox;
use crate::types::{Duration, Instant, InterfaceId, Role};
use crate::wire::pair::relay::{Piece, Puzzle};
use crate::wire::{Drop, FlowKey, FrameBuf};

/// Packets that are acted upon together.
const BATCH: usize = 64;
/// Frames that came in directly wait this long at most.
const HOLD: Duration = Duration::from_millis(60);
/// The most frames that go on in one turn: a forward thread that is busy for too long counts as stuck.
const AT_ONCE: usize = 256;
/// Whoever does not lead after this time has not taken over.
const KEEP: Duration = Duration::from_millis(600);
/// Who leads takes late frames for this long.
const LATE: Duration = Duration::from_millis(500);

/// How far it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Phase {
    /// There is no handover.
    #[default]
    Idle,
    /// The peer does not forward any more, and this node not yet; until then.
    Waits(Instant),
    /// This node leads, and holds what comes in; until then.
    Holds(Instant),
    /// This node leads, and takes late frames; until then.
    Leads(Instant),
}

/// See the module.
#[derive(Default)]
pub(super) struct Assumption {
    phase: Phase,
    puzzle: Puzzle,
    relayed: Line<InterfaceId>,
    pub(super) held: Line<InterfaceId>,
    /// There is no lease. Nothing goes on, whatever the phase.
    pub(super) lapse: Option<Lapse>,
    /// What is being looked at was passed on, or has waited long enough.
    passes: bool,
    pub(super) counters: AssumptionCounters,
}

/// What happened.
#[derive(Clone, Copy, Default)]
pub(super) struct AssumptionCounters {
    /// Frames of the predecessor's.
    pub relayed: u64,
    /// Frames of this node's own ports that were held.
    pub held: u64,
    /// Times that they were let go before the predecessor's ports were empty.
    pub hurried: u64,
    /// Frames that waited for a lease.
    pub bided: u64,
}

impl Assumption {
    pub(super) fn poll_timeout(&self, leads: bool) -> Option<Instant> {
        if let Some(lapse) = &self.lapse {
            return lapse.poll_timeout(leads, self.has_waiting());
        }
        match self.phase {
            Phase::Idle => None,
            Phase::Waits(until) => Some(until),
            // What waits can go now.
            Phase::Holds(_) if !self.relayed.is_empty() => Some(Instant::ZERO),
            Phase::Leads(_) if self.has_waiting() => Some(Instant::ZERO),
            Phase::Holds(until) | Phase::Leads(until) => Some(until),
        }
    }

    /// Frames that come in directly wait.
    #[inline]
    pub(super) fn holds(&self) -> bool {
        let behind = match self.phase {
            Phase::Idle | Phase::Waits(_) => false,
            Phase::Holds(_) => true,
            Phase::Leads(_) => self.has_waiting(),
        };
        (behind || self.lapse.is_some()) && !self.passes
    }

    pub(super) fn has_waiting(&self) -> bool {
        !self.relayed.is_empty() || !self.held.is_empty()
    }
}

impl Shard {
    /// The peer forwards nothing any more; true when this node may follow it.
    pub(super) fn begin_assumption(&mut self, now: Instant) -> bool {
        let stands_by = self.standing.role == Role::Standby;
        if stands_by {
            self.assumption.puzzle.clear();
            self.assumption.phase = Phase::Waits(now + KEEP);
        }
        stands_by
    }

    /// A piece of a frame of the peer's.
    pub(super) fn take_piece(&mut self, piece: Piece) -> bool {
        if self.assumption.phase == Phase::Idle {
            self.drops.count(Drop::RelayStray, 1);
            return false;
        }
        match self.assumption.puzzle.add(piece) {
            Ok(None) => true,
            Ok(Some((ingress, frame))) => {
                self.assumption.counters.relayed += 1;
                let taken = self.assumption.relayed.push(ingress, frame).is_ok();
                if !taken {
                    self.drops.count(Drop::RelayFull, 1);
                }
                taken
            }
            Err(_) => {
                self.drops.count(Drop::RelayStray, 1);
                false
            }
        }
    }

    /// The peer's ports are empty: what is held may go, after what was passed on.
    pub(super) fn note_drained(&mut self, now: Instant) {
        match self.assumption.phase {
            Phase::Holds(_) => self.assumption.phase = Phase::Leads(now + LATE),
            Phase::Idle | Phase::Waits(_) | Phase::Leads(_) => {}
        }
    }

    /// The peer says no more.
    pub(super) fn note_left(&mut self, now: Instant) {
        match self.assumption.phase {
            Phase::Holds(_) | Phase::Leads(_) => self.assumption.phase = Phase::Leads(now),
            Phase::Idle | Phase::Waits(_) => {}
        }
    }

    /// The role has changed.
    pub(super) fn follow_assumption(&mut self, now: Instant) {
        if self.standing.role == Role::Active
            && let Phase::Waits(_) = self.assumption.phase
        {
            self.assumption.phase = Phase::Holds(now + HOLD);
        }
        self.end_lapse_without_role(now);
    }

    /// The peer's stream begins anew: what it passed on before is not to be forwarded by this node.
    pub(super) fn end_assumption(&mut self) {
        self.assumption.phase = Phase::Idle;
        self.assumption.puzzle.clear();
        self.drop_waiting();
    }

    /// What waits does not go on.
    pub(super) fn drop_waiting(&mut self) {
        let Assumption { relayed, held, .. } = &mut self.assumption;
        self.drops.count(Drop::Standby, relayed.clear() + held.clear());
    }

    /// What is held goes on, after what was passed on.
    pub(super) fn let_go_of_held(&mut self, now: Instant) {
        if self.assumption.phase == Phase::Idle {
            self.assumption.phase = Phase::Leads(now);
        }
    }

    /// A frame that came in directly waits; given back when it does not.
    pub(super) fn hold(
        &mut self,
        now: Instant,
        (ingress, key): (InterfaceId, &FlowKey),
        frame: FrameBuf,
        out: &mut Outbox,
    ) -> Option<FrameBuf> {
        if !self.assumption.holds() || !self.is_pair_business(ingress, key) {
            return Some(frame);
        }
        let copy = frame.shrunk();
        out.pool.give(frame);
        match self.assumption.held.push(ingress, copy) {
            Ok(()) => {
                self.assumption.counters.held += 1;
                None
            }
            // Order is less than the packets themselves.
            Err(frame) => {
                self.assumption.phase = Phase::Leads(now + LATE);
                self.assumption.counters.hurried += 1;
                Some(frame)
            }
        }
    }

    /// Of the virtual addresses that the pair shares, or to be forwarded.
    fn is_pair_business(&self, ingress: InterfaceId, key: &FlowKey) -> bool {
        match self.compiled.virtual_ip(key.dst(), ingress) {
            Some(vip) => !vip.foreign,
            None => !self.compiled.is_own(key.dst(), ingress),
        }
    }

    /// Forwards what waits, as far as this node may.
    pub(super) fn go_on(&mut self, now: Instant, out: &mut Outbox) {
        if self.is_in_lapse(now, out) {
            return;
        }
        match self.assumption.phase {
            Phase::Idle => return,
            Phase::Waits(until) if until <= now => return self.end_assumption(),
            Phase::Waits(_) => return,
            Phase::Holds(_) | Phase::Leads(_) => {}
        }
        let mut left = AT_ONCE;
        while left > 0
            && let Some((ingress, frame)) = self.assumption.relayed.pop()
        {
            left -= 1;
            let frame = self.readdress(ingress, frame);
            self.enter_late(now, ingress, frame, out);
        }
        if let Phase::Holds(until) = self.assumption.phase
            && until <= now
        {
            self.assumption.counters.hurried += 1;
            self.assumption.phase = Phase::Leads(now + LATE);
        }
        if let Phase::Leads(until) = self.assumption.phase {
            while left > 0
                && self.assumption.relayed.is_empty()
                && let Some((ingress, frame)) = self.assumption.held.pop()
            {
                left -= 1;
                self.enter_late(now, ingress, frame, out);
            }
            if until <= now && !self.assumption.has_waiting() {
                self.assumption.phase = Phase::Idle;
            }
        }
    }

    /// A frame that is not held: it has waited, or came before those that are.
    fn enter_late(&mut self, now: Instant, ingress: InterfaceId, frame: FrameBuf, out: &mut Outbox) {
        self.assumption.passes = true;
        self.enter(now, ingress, frame, out);
        self.assumption.passes = false;
        if self.batch.len() >= BATCH {
            self.run_batch(now, out);
        }
    }

    /// What was for the predecessor's station is for this one.
    fn readdress(&self, ingress: InterfaceId, mut frame: FrameBuf) -> FrameBuf {
        let peer = self.compiled.pair.as_ref().and_then(|pair| pair.peer);
        let (Some(peer), Some(link)) = (peer, self.compiled.link(ingress)) else { return frame };
        let theirs = self.compiled.config.mac(peer, ingress);
        if frame.bytes().get(..6) == Some(&theirs.0[..]) {
            frame.bytes_mut()[..6].copy_from_slice(&link.mac.0);
        }
        frame
    }
}
