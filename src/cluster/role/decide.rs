//! The election: who gives way, who takes, who hands over.
//!
//! Giving way happens in the verb that learns the reason. Everything else happens in [`Elector::decide`], which runs
//! after the paths were read.

use std::cmp::Ordering;

use super::handover::FREEZE;
use super::health::Rank;
use super::redundancy::{Lack, Redundancy};
use super::{Cause, Elector, Event, Refusal, RoleOutbox, precedes};
use crate::types::{Duration, Instant, NodeId, Role};
use crate::wire::pair::{Handover, Heartbeat};

/// A better standby that is not given the role within this time claims it.
const GIVEN: Duration = Duration::from_millis(100);
/// Gateways are watched by each node for itself, a probe apart: a difference must outlive that.
const SETTLE: Duration = Duration::from_millis(250);
/// Who gave way to a claim leaves the role to the claimant this long.
pub(super) const YIELD: Duration = Duration::from_millis(300);
/// What was heard counts while the echo in it is younger than this; shorter than [`YIELD`] by more than a message
/// takes.
const FRESH: Duration = Duration::from_millis(200);
/// No link was up; after one is, the peer gets this long to be heard.
const REJOIN: Duration = Duration::from_secs(1);
/// Two nodes that start together know each other this long before the better one serves, and the other one waits for
/// it this long.
const MEET: Duration = Duration::from_millis(1000);
const MEET_WORSE: Duration = Duration::from_millis(1500);

impl Elector {
    /// A higher epoch is another's takeover; in the same epoch the preferred node stays.
    pub(super) fn give_way(&mut self, now: Instant, heartbeat: &Heartbeat, out: &mut RoleOutbox) {
        let serves = match heartbeat.role {
            Role::Active => true,
            Role::Standby | Role::Alone => false,
        };
        if serves && heartbeat.epoch >= self.epoch {
            self.listening = None;
        }
        match heartbeat.epoch.cmp(&self.epoch) {
            Ordering::Greater => {
                self.epoch = heartbeat.epoch;
                (self.resigned, self.claim) = (false, None);
                if !serves {
                    self.yields = now + YIELD;
                }
                if self.role == Role::Active {
                    self.step_down(now, Cause::HigherEpoch, out);
                } else if serves {
                    self.handing.note_taken();
                }
                self.state();
            }
            Ordering::Equal if serves && self.role == Role::Active => self.conflict(now, heartbeat, out),
            Ordering::Equal | Ordering::Less => {}
        }
    }

    /// Both are active in one epoch: one stops at once, the other one makes that known for good.
    fn conflict(&mut self, now: Instant, heartbeat: &Heartbeat, out: &mut RoleOutbox) {
        self.counters.conflicts += 1;
        let peer = self.config.peer.unwrap_or(NodeId(0));
        if precedes((self.config.preference, self.config.node), (heartbeat.preference, peer)) {
            self.epoch = self.epoch.next();
        } else {
            self.step_down(now, Cause::Conflict, out);
        }
        self.state();
    }

    fn step_down(&mut self, now: Instant, cause: Cause, out: &mut RoleOutbox) {
        self.lease.stop(now);
        self.turn(now, Role::Standby, cause, out);
    }

    /// What is to be done, now that all has been read.
    pub(super) fn decide(&mut self, now: Instant, out: &mut RoleOutbox) {
        if self.peer.alive && now >= self.silence() && self.paths.are_drained(self.silence()) {
            self.peer.alive = false;
            out.events.push(Event::Peer { alive: false });
        }
        self.observe(now);
        self.end_handover(now);
        match self.role {
            Role::Alone => {}
            Role::Active => {
                self.lift_fence(now, out);
                self.hand_over(now, out);
            }
            Role::Standby => self.seek(now, out),
        }
    }

    /// From then on the peer's silence is death, once every reader has found nothing more.
    pub(super) fn silence(&self) -> Instant {
        self.peer.heard.map_or(self.floor, |heard| heard.max(self.floor)) + self.dead_time(self.seen)
    }

    /// Since when does the standby, whichever node that is, deserve the role more?
    fn observe(&mut self, now: Instant) {
        let own = (self.rank(), self.config.preference, self.own.shown().synced);
        let heard = self.peer().filter(|said| said.epoch == self.epoch);
        let other = heard.map(|said| (Rank::of(said), said.preference, said.health.synced));
        let maintenance = self.maintenance || heard.is_some_and(|said| said.maintenance);
        let pair = match (self.role, heard.map(|said| said.role), other) {
            (Role::Active, Some(Role::Standby), Some(other)) => Some((own, other)),
            (Role::Standby, Some(Role::Active), Some(other)) => Some((other, own)),
            _ => None,
        };
        let heard_handover = heard.map(|said| said.handover);
        let vacant = self.role == Role::Standby && heard.is_some_and(|said| said.role == Role::Standby);
        // Of a document that only one node has yet, the other one counts other things.
        let comparable = !self.is_being_changed();
        let holds = |test: fn(&Rank, &Rank) -> bool| {
            comparable && pair.is_some_and(|(active, standby)| test(&standby.0, &active.0))
        };
        self.better.update(now, holds(|standby, active| standby > active));
        self.plainly_better.update(now, holds(Rank::is_plainly_above));
        let preempting = pair.is_some_and(|(active, standby)| {
            active.0 == standby.0 && standby.1 > active.1 && standby.2 && !maintenance
        });
        self.preempting.update(now, preempting);
        self.vacant.update(now, vacant);
        let offered = vacant && heard_handover == Some(Handover::Gives);
        self.offered.update(now, offered);
    }

    /// When something will have held long enough.
    pub(super) fn holds(&self) -> impl Iterator<Item = Instant> + use<> {
        let preempt = self.config.preempt;
        let due = [
            self.plainly_better.due(GIVEN),
            self.better.due(SETTLE),
            self.better.due(SETTLE + GIVEN),
            preempt.and_then(|delay| self.preempting.due(delay)),
            preempt.and_then(|delay| self.preempting.due(delay + GIVEN)),
            self.vacant.due(self.patience()),
            self.vacant.due(MEET),
            self.offered.due(FREEZE),
            Some(self.yields),
        ];
        due.into_iter().flatten().chain(self.handing.due())
    }

    /// The fence falls when the peer is known not to have taken over: it has heard us since, or it is dead.
    fn lift_fence(&mut self, now: Instant, out: &mut RoleOutbox) {
        let Some(fence) = self.lease.fenced() else { return };
        // From here on the reasoning of a lease holds again: the peer heard this node after the lapse, and has been
        // spoken to since without a gap.
        let answered = self.session && self.peer.echoed >= self.stated && self.has_spoken(now);
        let standby = self.peer().is_some_and(|said| said.role == Role::Standby && said.epoch == self.epoch);
        let silence = if fence.brief { fence.since } else { self.silence() };
        let dead = !self.peer.alive && now >= silence && self.paths.are_drained(silence);
        if standby && answered || dead {
            self.lease.begin(now);
            self.say();
            out.events.push(Event::Unfenced);
        }
    }

    /// The active gives the role to a standby that deserves it more.
    fn hand_over(&mut self, now: Instant, out: &mut RoleOutbox) {
        if self.can_give(now).is_err() {
            return;
        }
        let preempted = self.config.preempt.is_some_and(|delay| self.preempting.has_held(now, delay));
        let healthier =
            self.plainly_better.has_held(now, Duration::ZERO) || self.better.has_held(now, SETTLE);
        match (healthier, preempted) {
            (true, _) if self.maintenance => self.give(now, Cause::Maintenance, out),
            (true, _) => self.resign(now, Cause::PeerHealthier, out),
            (false, true) => self.give(now, Cause::Preempted, out),
            (false, false) if self.is_asked() && self.can_hand_over(now).is_ok() => {
                self.give(now, Cause::Asked, out);
            }
            (false, false) => {}
        }
    }

    /// The peer is there, hears us and can serve.
    pub(super) fn can_give(&self, now: Instant) -> Result<(), Refusal> {
        let said = self.peer().filter(|said| said.role == Role::Standby && said.epoch == self.epoch);
        let said =
            said.filter(|_| self.session && self.is_heard_within(now, FRESH)).ok_or(Refusal::PeerSilent)?;
        if said.health.forwarding { Ok(()) } else { Err(Refusal::PeerUnable) }
    }

    /// First the lease stops, then the peer is told, until somebody has a higher epoch.
    pub(super) fn resign(&mut self, now: Instant, cause: Cause, out: &mut RoleOutbox) {
        self.resigned = true;
        self.yields = now + YIELD;
        self.step_down(now, cause, out);
        self.state();
    }

    pub(super) fn resign_if_asked(&mut self, now: Instant, out: &mut RoleOutbox) -> Result<(), Refusal> {
        if self.role != Role::Active {
            return Err(Refusal::NotActive);
        }
        self.can_give(now)?;
        if self.peer().is_some_and(|said| Rank::of(said) < self.rank()) {
            return Err(Refusal::Worse);
        }
        self.resign(now, Cause::Asked, out);
        Ok(())
    }

    pub(super) fn take_if_asked(&mut self, now: Instant) -> Result<(), Refusal> {
        if self.role != Role::Standby {
            return Err(Refusal::NotStandby);
        }
        if self.maintenance {
            return Err(Refusal::Maintenance);
        }
        if self.disabled || !self.is_able() {
            return Err(Refusal::Unable);
        }
        let said = self.peer().filter(|_| self.session && self.is_heard_within(now, FRESH));
        let said = said.ok_or(Refusal::PeerSilent)?;
        if Rank::of(said) > self.rank() {
            return Err(Refusal::Worse);
        }
        if !self.ask(now) {
            self.claim(now);
        }
        Ok(())
    }

    /// A standby takes what is free, and claims what it deserves more.
    fn seek(&mut self, now: Instant, out: &mut RoleOutbox) {
        if self.disabled || !self.is_able() {
            return;
        }
        if let Some(cause) = self.is_silent(now) {
            return self.take(now, cause, out);
        }
        let Some(said) = self.peer().filter(|said| said.epoch == self.epoch) else { return };
        if !self.is_heard_within(now, FRESH) {
            return;
        }
        match said.role {
            Role::Active => self.seek_served(now),
            Role::Standby => self.seek_vacant(now, said.resigns, out),
            Role::Alone => {}
        }
    }

    /// The peer serves. It hands over by itself, unless it judges from something older.
    fn seek_served(&mut self, now: Instant) {
        let preempt = self.config.preempt.is_some_and(|delay| self.preempting.has_held(now, delay + GIVEN));
        let better = self.plainly_better.has_held(now, GIVEN) || self.better.has_held(now, SETTLE + GIVEN);
        if better || preempt {
            self.claim(now);
        }
    }

    /// Nobody serves.
    fn seek_vacant(&mut self, now: Instant, given: bool, out: &mut RoleOutbox) {
        // The peer gave way to our claim, and yields for longer than this is fresh.
        if self.claim.is_some_and(|at| now.since(at) < FRESH) {
            return self.take(now, Cause::Claimed, out);
        }
        // The peer gave the role up, and does not take it back without a claim.
        if given && !self.resigned {
            if !self.waits_for_the_end(now) {
                self.take(now, Cause::PeerResigned, out);
            }
            return;
        }
        if now < self.yields {
            return;
        }
        // It has heard what we are now and still is less: it will not take the role in this epoch. Had it become more
        // since, it would not take it before we have heard that.
        let agreed = self.peer.echoed >= self.stated && self.is_best() && !self.resigned;
        let met = self.epoch.0 > 0 || self.vacant.has_held(now, MEET);
        if agreed && met {
            self.take(now, Cause::Vacant, out);
        } else if self.listening.is_none_or(|until| until <= now)
            && self.vacant.has_held(now, self.patience())
        {
            self.claim(now);
        }
    }

    /// The lesser of two waits so long for the other one to serve.
    fn patience(&self) -> Duration {
        match (self.resigned, self.epoch.0) {
            (true, _) => YIELD,
            (false, 0) => MEET_WORSE,
            (false, _) => GIVEN,
        }
    }

    fn is_best(&self) -> bool {
        let Some(said) = self.peer() else { return false };
        match self.rank().cmp(&Rank::of(said)) {
            Ordering::Greater => true,
            Ordering::Less => false,
            Ordering::Equal => {
                let peer = self.config.peer.unwrap_or(NodeId(0));
                precedes((self.config.preference, self.config.node), (said.preference, peer))
            }
        }
    }

    /// The peer does not serve any more, or never did: why.
    fn is_silent(&self, now: Instant) -> Option<Cause> {
        if self.peer.alive || self.listening.is_some_and(|until| now < until) {
            return None;
        }
        if self.peer.buried {
            return Some(Cause::PeerDied);
        }
        let rejoined = self.paths.connected().map_or(Instant::ZERO, |at| at + REJOIN);
        let silence = self.silence().max(rejoined).max(self.listening.unwrap_or(Instant::ZERO));
        let cause = if self.peer.said.is_some() { Cause::PeerSilent } else { Cause::NobodyHeard };
        (now >= silence && self.paths.are_drained(silence)).then_some(cause)
    }

    /// Could this node serve at all? One without links could not. One that has no way left to the peer may be the one
    /// that is cut off: it needs every link that the peer had.
    fn is_able(&self) -> bool {
        let health = self.own.shown();
        let peer = self.peer.said.as_ref().map_or(0, |said| said.health.links);
        let linked = health.links > 0 || peer == 0;
        let cut_off = self.paths.connected().is_none();
        let whole = match (&self.peer.said, health.links) {
            (Some(_), links) => links >= peer && (links > 0 || !self.paths.have_data()),
            (None, _) => !self.paths.have_data(),
        };
        health.forwarding && linked && (!cut_off || whole)
    }

    fn take(&mut self, now: Instant, cause: Cause, out: &mut RoleOutbox) {
        self.epoch = self.epoch.next();
        (self.listening, self.resigned, self.claim) = (None, false, None);
        self.counters.takeovers += 1;
        self.lease.begin(now);
        self.turn(now, Role::Active, cause, out);
        self.state();
    }

    /// The epoch rises while this node is a standby: an active peer that hears it steps down.
    pub(super) fn claim(&mut self, now: Instant) {
        self.epoch = self.epoch.next();
        (self.resigned, self.claim) = (false, Some(now));
        self.state();
    }

    /// The peer's router is dead, without waiting for its silence.
    pub(super) fn bury(&mut self, out: &mut RoleOutbox) {
        self.peer.buried = true;
        if std::mem::take(&mut self.peer.alive) {
            out.events.push(Event::Peer { alive: false });
        }
    }

    /// What a fail-over would lack now.
    pub(super) fn redundancy_now(&self) -> Redundancy {
        let own = (Rank::new(self.own.shown(), false), self.own.raw().synced);
        let other = self.peer().map(|said| (Rank::new(said.health, false), said.health.synced));
        let (standby, active) = match (self.role, other) {
            (Role::Active, Some(other)) => (Some(other), Some(own)),
            (Role::Standby, Some(other)) => (Some(own), Some(other)),
            (Role::Active | Role::Standby | Role::Alone, _) => (None, None),
        };
        let served = self.role == Role::Active || self.peer().is_some_and(|said| said.role == Role::Active);
        let changing = self.resigned || self.claim.is_some();
        Redundancy::from(|lack| match lack {
            Lack::PeerSilent => !self.peer.alive,
            Lack::NoSession => !self.session,
            Lack::SyncDown => !self.paths.sync_carries(),
            Lack::NotSynced => standby.is_some_and(|(_, synced)| !synced),
            Lack::StandbyUnwell => standby.zip(active).is_some_and(|(standby, active)| standby.0 < active.0),
            Lack::VersionsDiffer => self.version_differs(),
            Lack::ConfigurationsDiffer => self.configurations_differ(),
            Lack::Maintenance => self.maintenance || self.peer().is_some_and(|said| said.maintenance),
            Lack::Disabled => self.disabled,
            Lack::NobodyActive => !served && !changing,
        })
    }
}
