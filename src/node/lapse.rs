//! A node that stood still for longer than its lease, as when the host of a virtual machine takes a processor away for
//! twenty milliseconds. Its peer waits longer than that, so the role is still this node's; but it serves nobody before it
//! knows. What comes in until then waits, and so does what was about to leave; all goes on in its order when the lease
//! runs again. What the router itself says meanwhile does not wait: whoever it speaks with asks again.
//!
//! Invariant: what waits leaves under a lease of the same epoch or not at all, and in a lapse of more than [`PATIENCE`]
//! nothing waits any more. When the peer serves, it is dropped: nobody misses what it has answered itself. When this node
//! hands over, it is passed on with the rest.

use super::Shard;
use super::line::Line;
use super::outbox::{Answer, Outbox};
use crate::types::{Ceding, Duration, Epoch, Instant, InterfaceId, PortId, Role, Standing};
use crate::wire::{Drop, FrameBuf};

/// A peer that has not taken over has said so by then.
const PATIENCE: Duration = Duration::from_millis(60);

/// See the module.
pub(super) struct Lapse {
    /// Frames wait for so long at most.
    until: Instant,
    /// The epoch whose lease is over.
    epoch: Epoch,
    /// What was about to leave, by its port.
    leaving: Line<PortId>,
}

impl Lapse {
    /// When to look again; at once when the lease runs.
    pub(super) fn poll_timeout(&self, leads: bool, waiting: bool) -> Option<Instant> {
        match (leads, waiting || !self.leaving.is_empty()) {
            (true, _) => Some(Instant::ZERO),
            (false, true) => Some(self.until),
            (false, false) => None,
        }
    }
}

impl Shard {
    /// The lease is over and the role is not; true while frames wait for what comes of that.
    pub(super) fn begin_lapse(&mut self, now: Instant) -> bool {
        let Standing { role, cedes, epoch, .. } = self.standing;
        if role != Role::Active || cedes != Ceding::No || self.duty.leads {
            return false;
        }
        match &self.assumption.lapse {
            Some(lapse) => now < lapse.until,
            None => {
                let lapse = Lapse { until: now + PATIENCE, epoch, leaving: Line::default() };
                self.assumption.lapse = Some(lapse);
                // First packets that wait for the peer came before what waits from now on.
                self.recall_deferred(now);
                true
            }
        }
    }

    /// A frame that came in waits for the lease; false when it does not.
    pub(super) fn bide(&mut self, now: Instant, ingress: InterfaceId, frame: &FrameBuf) -> bool {
        let comes = ![InterfaceId::SELF, InterfaceId::PEER].contains(&ingress);
        let waits = comes && self.begin_lapse(now) && self.assumption.held.push_copy(ingress, frame);
        self.assumption.counters.bided += u64::from(waits);
        waits
    }

    /// A frame that was about to leave waits for the lease; false when it does not.
    fn keep_back(&mut self, now: Instant, port: PortId, frame: &FrameBuf) -> bool {
        let begun = self.begin_lapse(now);
        let lapse = self.assumption.lapse.as_mut().filter(|_| begun);
        let waits = lapse.is_some_and(|lapse| lapse.leaving.push_copy(port, frame));
        self.assumption.counters.bided += u64::from(waits);
        waits
    }

    /// What speaks for a virtual IP leaves with the rest, unless the lease is over: the edge asks when it begins to send,
    /// since a thread may have stood still since the batch began.
    pub fn release_answers(&mut self, now: Instant, out: &mut Outbox) {
        // The list comes back empty and as large as it was.
        let mut answers = std::mem::take(&mut out.answers);
        for Answer { port, frame, lease } in answers.drain(..) {
            if now < lease.until {
                out.send(port, frame);
                continue;
            }
            self.take_up_duty(now);
            let waits = !lease.foreign && self.keep_back(now, port, &frame);
            self.drops.count(Drop::Standby, u64::from(!waits));
            out.pool.give(frame);
        }
        out.answers = answers;
    }

    /// Nothing of what waits to be sent leaves now: `holds` is what holds at `now`; see [`Shard::is_overtaken`].
    pub fn withdraw(&mut self, now: Instant, holds: Standing, out: &mut Outbox) {
        self.set_standing(now, holds);
        for (port, frame) in out.take() {
            let waits = self.keep_back(now, port, &frame);
            self.drops.count(Drop::Standby, u64::from(!waits));
            out.pool.give(frame);
        }
    }

    /// True while there is no lease, or nothing may go on. When the lease runs again what was about to leave leaves, and
    /// the rest may follow.
    pub(super) fn is_in_lapse(&mut self, now: Instant, out: &mut Outbox) -> bool {
        let Some(lapse) = &self.assumption.lapse else {
            return self.assumption.has_waiting() && self.begin_lapse(now);
        };
        let same = lapse.epoch == self.standing.epoch;
        match self.duty.leads {
            true if same => {
                let mut leaving = self.end_lapse(now);
                while let Some((port, frame)) = leaving.pop() {
                    out.send(port, frame);
                }
                false
            }
            true => {
                self.drop_lapse();
                false
            }
            false if lapse.until <= now => {
                // The lapse goes on, and nothing waits in it.
                self.drop_held();
                true
            }
            false => true,
        }
    }

    /// What is held may go on; what goes before it.
    fn end_lapse(&mut self, now: Instant) -> Line<PortId> {
        let lapse = self.assumption.lapse.take();
        self.let_go_of_held(now);
        lapse.map(|lapse| lapse.leaving).unwrap_or_default()
    }

    /// The role is gone with the lease: what is held is passed on, or dropped.
    pub(super) fn end_lapse_without_role(&mut self, now: Instant) {
        let Standing { role, cedes, .. } = self.standing;
        if role == Role::Active || self.assumption.lapse.is_none() {
            return;
        }
        match cedes {
            Ceding::No => self.drop_lapse(),
            Ceding::Relays | Ceding::Drains => {
                let leaving = self.end_lapse(now).clear();
                self.drops.count(Drop::Standby, leaving);
            }
        }
    }

    /// There is no lapse any more, and nothing that waits goes on.
    pub(super) fn drop_lapse(&mut self) {
        self.drop_held();
        self.assumption.lapse = None;
    }

    fn drop_held(&mut self) {
        let leaving = self.assumption.lapse.as_mut().map_or(0, |lapse| lapse.leaving.clear());
        self.drops.count(Drop::Standby, leaving);
        self.drop_waiting();
    }
}

#[cfg(test)]
#[path = "lapse_tests.rs"]
mod tests;
