//! The planned move of the role, without a packet lost: the giver's part and the taker's.
//!
//! The giver steps down as it does when it resigns, in the same epoch, so nothing about who may serve is different. It
//! says that it hands over; its packet path tells the rest of what has changed, and from then on passes on what it
//! would have forwarded. The taker waits until its own packet path has met the end of the changes, for [`FREEZE`] at
//! most, and takes the role.

use super::health::Rank;
use super::{Cause, Elector, Event, Refusal, RoleOutbox};
use crate::types::{Ceding, Duration, Epoch, Instant, Role};
use crate::wire::pair::{Handover, Version};

/// The first release of the pair's protocols that knows of it.
const RELAYING: Version = Version(2);
/// The taker waits this long for the end of the changes.
pub(super) const FREEZE: Duration = Duration::from_millis(100);
/// The giver passes on what comes for this long at most.
pub const CEDE: Duration = Duration::from_millis(500);
/// A standby that asks for the role and is not given it within this time claims it.
const ASK: Duration = Duration::from_millis(150);

/// The state of both parts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Handing {
    /// This node hands over since then; and the other one leads already.
    given: Option<(Instant, bool)>,
    /// This node has asked for the role.
    asked: Option<Instant>,
    /// The end of the changes was met in this epoch.
    frozen: Option<Epoch>,
    /// More changes wait for the peer than it applies in no time.
    behind: bool,
}

impl Handing {
    /// The role is another one: what was begun is over.
    pub(super) fn end(&mut self) {
        (self.given, self.asked) = (None, None);
    }

    /// The other node leads: what is left in the ports is still its.
    pub(super) fn note_taken(&mut self) {
        if let Some((_, taken)) = &mut self.given {
            *taken = true;
        }
    }

    /// What a standby still does.
    pub(super) fn ceding(&self) -> Ceding {
        match self.given {
            None => Ceding::No,
            Some((_, false)) => Ceding::Relays,
            Some((_, true)) => Ceding::Drains,
        }
    }

    pub(super) fn due(&self) -> impl Iterator<Item = Instant> + use<> {
        let given = self.given.map(|(since, _)| since + CEDE);
        given.into_iter().chain(self.asked.map(|since| since + ASK))
    }
}

impl Elector {
    /// The packet path has applied everything that the peer's told before it stopped, in this epoch.
    pub fn handle_frozen(&mut self, now: Instant, epoch: Epoch, out: &mut RoleOutbox) {
        self.begin(now, out);
        self.handing.frozen = Some(epoch);
        self.heard = true;
        self.end(now, out);
    }

    /// Whether more changes wait for the peer than it applies in no time.
    pub fn handle_lag(&mut self, behind: bool) {
        self.handing.behind = behind;
    }

    /// What heartbeats say of it.
    pub(super) fn handover(&self) -> Handover {
        match (self.role, self.resigned && self.handing.given.is_some(), self.handing.asked) {
            (Role::Standby, true, _) => Handover::Gives,
            (Role::Standby, false, Some(_)) => Handover::Wants,
            (Role::Alone | Role::Active | Role::Standby, _, _) => Handover::No,
        }
    }

    /// Nothing would be lost: the peer is there, could serve, and has everything.
    pub(super) fn can_hand_over(&self, now: Instant) -> Result<(), Refusal> {
        if self.role != Role::Active {
            return Err(Refusal::NotActive);
        }
        self.can_give(now)?;
        let Some(said) = self.peer() else { return Err(Refusal::PeerSilent) };
        if self.common_version() < RELAYING {
            return Err(Refusal::PeerOlder);
        }
        if !self.paths.sync_carries() {
            return Err(Refusal::SyncDown);
        }
        if !said.health.synced {
            return Err(Refusal::NotSynced);
        }
        if self.handing.behind {
            return Err(Refusal::Behind);
        }
        if self.own.shown().forwarding { Ok(()) } else { Err(Refusal::Unable) }
    }

    /// The active gives the role away by a handover where that is possible, otherwise as it can.
    pub(super) fn give(&mut self, now: Instant, cause: Cause, out: &mut RoleOutbox) {
        let possible = self.can_hand_over(now);
        if let Err(refusal) = possible {
            out.events.push(Event::Abrupt { refusal });
        }
        self.resign(now, cause, out);
        if possible.is_ok() {
            self.counters.handovers += 1;
            self.handing.given = Some((now, false));
        }
    }

    pub(super) fn hand_over_if_asked(&mut self, now: Instant, out: &mut RoleOutbox) -> Result<(), Refusal> {
        self.can_hand_over(now)?;
        if self.peer().is_some_and(|said| Rank::of(said) < self.rank()) {
            return Err(Refusal::Worse);
        }
        self.give(now, Cause::Asked, out);
        Ok(())
    }

    /// The standby asks the active for the role; true when that makes sense.
    pub(super) fn ask(&mut self, now: Instant) -> bool {
        let serves = self.peer().is_some_and(|said| said.role == Role::Active);
        let asks = serves
            && self.common_version() >= RELAYING
            && self.own.shown().synced
            && self.paths.sync_carries();
        if asks {
            self.handing.asked = Some(now);
            self.state();
        }
        asks
    }

    /// The peer stands by and asks for the role.
    pub(super) fn is_asked(&self) -> bool {
        let said = self.peer().filter(|said| said.role == Role::Standby && said.epoch == self.epoch);
        said.is_some_and(|said| said.handover == Handover::Wants)
    }

    /// Parts that have taken too long end: a giver keeps nothing any more, a standby that asks claims.
    pub(super) fn end_handover(&mut self, now: Instant) {
        if self.handing.given.is_some_and(|(since, _)| since + CEDE <= now) {
            self.handing.given = None;
            self.say();
        }
        if self.handing.asked.is_some_and(|since| since + ASK <= now) {
            self.handing.asked = None;
            let serves = self.peer().is_some_and(|said| said.role == Role::Active);
            if self.role == Role::Standby && serves {
                self.claim(now);
            }
        }
    }

    /// The peer hands over, and what it tells has not come to its end yet.
    pub(super) fn waits_for_the_end(&self, now: Instant) -> bool {
        let gives = self.peer().is_some_and(|said| said.handover == Handover::Gives);
        gives && self.handing.frozen != Some(self.epoch) && !self.offered.has_held(now, FREEZE)
    }
}
