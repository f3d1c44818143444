//! What arrives at an end of the channel: messages of a handshake, and sealed ones.
//!
//! Invariant: what a stranger sends, or sends again, changes nothing but counters.

use super::credential::Credential;
use super::handshake::{Initiation, Step};
use super::session::Session;
use super::{Channel, Errand, Outbox, Pending, RETRY_MIN, Refusal, Repeat, Way};
use crate::types::{Duration, Instant, PathId};
use crate::wire::pair::{Envelope, Space};

/// How long an answered handshake waits for its confirmation, and how many do.
pub(super) const PENDING: Duration = Duration::from_secs(10);
pub(super) const PENDING_MAX: usize = 4;
/// Handshakes that end within this time of each other may have crossed.
const CROSSING: Duration = Duration::from_secs(1);
/// How many handshake messages are remembered, so that a repetition costs nothing.
const SEEN_MAX: usize = 256;

impl Channel {
    /// A message of a handshake.
    pub(super) fn handle_handshake(
        &mut self,
        now: Instant,
        path: PathId,
        envelope: Envelope,
        bytes: &[u8],
        out: &mut Outbox,
    ) {
        let verify = |(place, known): (usize, &Credential)| {
            let (body, mac) = known.authenticator.verify(bytes)?;
            Some((place, known.leads, body, mac))
        };
        let Some((place, leads, body, mac)) = self.credentials.iter().enumerate().find_map(verify) else {
            self.counters.handshakes_forged += 1;
            return;
        };
        match (Step::from_number(envelope.space), leads) {
            (Some(Step::Initiation), false) => {
                self.handle_initiation(now, (path, place), envelope, body, mac, out);
            }
            (Some(Step::Answer), true) => self.handle_answer(now, place, envelope, body, out),
            (Some(Step::Call), true) => self.handle_call(now, (path, place), envelope, mac, out),
            // Our own messages, sent back to us; or steps of a later release.
            (Some(Step::Initiation | Step::Answer | Step::Call) | None, _) => {
                self.counters.handshakes_stale += 1;
            }
        }
    }

    /// The follower answers, and keeps its session until somebody seals with the new one.
    fn handle_initiation(
        &mut self,
        now: Instant,
        (path, place): (PathId, usize),
        envelope: Envelope,
        body: &[u8],
        mac: [u8; 32],
        out: &mut Outbox,
    ) {
        if let Some(pending) = self.pending.iter().find(|pending| pending.initiation == mac) {
            out.datagrams.push((Way::Path(path), pending.answer.clone()));
            return;
        }
        if !self.first_time(now, path, mac) {
            return;
        }
        let Some(Credential { identity, peer, authenticator, .. }) = self.credentials.get(place) else {
            return;
        };
        let answer = authenticator.answer(envelope.session, body, identity, *peer, self.entropy.as_mut());
        let Some((answer, keys)) = answer else {
            self.counters.handshakes_forged += 1;
            return;
        };
        if self.session_mut(keys.id, now).is_some() {
            // One in four billion: the leader tries again with another ephemeral key.
            self.counters.handshakes_stale += 1;
            return;
        }
        if self.pending.len() >= PENDING_MAX {
            self.pending.pop_front();
        }
        self.counters.handshakes_answered += 1;
        out.datagrams.push((Way::All, answer.clone()));
        let session = Session::new(keys, now, (place, false));
        self.pending.push_back(Pending { initiation: mac, answer, session, until: now + PENDING });
    }

    /// The leader has proof that the follower is alive: the answer covers an ephemeral key made just now.
    fn handle_answer(
        &mut self,
        now: Instant,
        place: usize,
        envelope: Envelope,
        body: &[u8],
        out: &mut Outbox,
    ) {
        let waits = match &self.repeat {
            Some(Repeat { errand: Errand::Initiate | Errand::Call, .. }) => true,
            Some(Repeat { errand: Errand::Confirm, .. }) | None => false,
        };
        let initiation = self.credentials.get_mut(place).and_then(|known| known.initiation.as_mut());
        let asked = |initiation: &&mut Initiation| waits && initiation.attempt == envelope.session;
        let Some(initiation) = initiation.filter(asked) else {
            self.counters.handshakes_stale += 1;
            return;
        };
        let Some(keys) = initiation.finish(body) else {
            self.counters.handshakes_forged += 1;
            return;
        };
        self.counters.handshakes_answered += 1;
        self.stand(now, Session::new(keys, now, (place, true)), out);
        self.repeat_from(now, Errand::Confirm, place, false);
        self.run(now, out);
    }

    /// The follower wants a session.
    fn handle_call(
        &mut self,
        now: Instant,
        (path, place): (PathId, usize),
        envelope: Envelope,
        mac: [u8; 32],
        out: &mut Outbox,
    ) {
        if !self.is_ours(envelope.session) && !self.quiet(now) {
            self.counters.handshakes_stale += 1;
            return;
        }
        if !self.first_time(now, path, mac) {
            return;
        }
        match &mut self.repeat {
            // It is there now: do not wait for the end of a long pause.
            Some(repeat @ Repeat { errand: Errand::Initiate, .. }) => {
                repeat.at = now;
                repeat.wait = RETRY_MIN;
                repeat.doubt = false;
                repeat.credential = place;
            }
            Some(repeat @ Repeat { errand: Errand::Call, .. }) => {
                (repeat.errand, repeat.credential) = (Errand::Initiate, place);
                (repeat.at, repeat.wait, repeat.doubt) = (now, RETRY_MIN, false);
            }
            Some(Repeat { errand: Errand::Confirm, .. }) | None => {
                self.begin(now, false);
                if let Some(repeat) = &mut self.repeat {
                    (repeat.errand, repeat.credential) = (Errand::Initiate, place);
                }
            }
        }
        self.run(now, out);
    }

    /// True for the session that the follower must have, unless it has lost it.
    fn is_ours(&self, id: u32) -> bool {
        let unconfirmed = matches!(&self.repeat, Some(Repeat { errand: Errand::Confirm, .. }));
        let previous = self.previous.as_ref().filter(|_| unconfirmed).map(|(session, _)| session);
        self.current.iter().chain(previous).any(|session| session.id == id)
    }

    /// True once for each handshake message, while the budget for them lasts.
    fn first_time(&mut self, now: Instant, path: PathId, mac: [u8; 32]) -> bool {
        if self.seen.contains(&mac) {
            self.counters.handshakes_stale += 1;
            return false;
        }
        if !self.handshakes[usize::from(path != PathId::SYNC)].take(now) {
            self.counters.handshakes_over_budget += 1;
            return false;
        }
        if self.seen.len() >= SEEN_MAX {
            self.seen.pop_front();
        }
        self.seen.push_back(mac);
        true
    }

    /// A sealed message.
    pub(super) fn handle_sealed(
        &mut self,
        now: Instant,
        path: PathId,
        envelope: Envelope,
        bytes: &[u8],
        out: &mut Outbox,
    ) {
        let space = match Space::from_number(envelope.space) {
            Some(Space::Heartbeat(own)) if own != path => {
                self.counters.misplaced += 1;
                return;
            }
            Some(Space::Replica | Space::Parcel | Space::Detour) => {
                self.counters.elsewhere += 1;
                return;
            }
            Some(space @ (Space::Heartbeat(_) | Space::Control)) => space,
            None => {
                self.counters.malformed += 1;
                return;
            }
        };
        let Some(session) = self.session_mut(envelope.session, now) else {
            self.counters.unknown_session += 1;
            if self.repeat.is_none() && self.quiet(now) {
                self.begin(now, true);
                self.run(now, out);
            }
            return;
        };
        match session.opener.open(bytes) {
            Ok((_, plain)) => self.handle_opened(now, path, envelope.session, (space, plain), out),
            Err(Refusal::Malformed) => self.counters.malformed += 1,
            Err(Refusal::Replayed) => self.counters.replayed += 1,
            Err(Refusal::Forged) => self.counters.forged += 1,
        }
    }

    fn handle_opened(
        &mut self,
        now: Instant,
        path: PathId,
        id: u32,
        (space, plain): (Space, Vec<u8>),
        out: &mut Outbox,
    ) {
        self.counters.opened += 1;
        self.heard = Some(now);
        self.take_up(now, id, out);
        if self.current.as_ref().is_some_and(|session| session.id == id) && self.stands() {
            // Heard in the session that we seal with: nothing is left to be done for it.
            self.repeat.take_if(|repeat| repeat.doubt || matches!(repeat.errand, Errand::Confirm));
        }
        if !plain.is_empty() {
            out.opened.push((path, space, plain));
        } else if self.current.as_ref().is_some_and(|session| session.id == id && !session.leads) {
            let confirmation = self.current.as_mut().and_then(Session::confirmation);
            out.datagrams.extend(confirmation.map(|message| (Way::Path(path), message)));
        }
    }

    /// The follower's prepared session is in use: the peer has sealed with it, so it is alive and has our answer.
    fn take_up(&mut self, now: Instant, id: u32, out: &mut Outbox) {
        let Some(place) = self.pending.iter().position(|pending| pending.session.id == id) else { return };
        let prepared = &self.pending[place].session;
        let rank = |session: &Session| {
            self.credentials.get(session.credential).map(|known| known.authenticator.rank())
        };
        let crossed =
            |current: &&Session| current.sealer.is_some() && prepared.made.since(current.made) < CROSSING;
        if let Some(current) = self.current.as_ref().filter(crossed)
            && rank(current) > rank(prepared)
        {
            // Under two pairs of keys two handshakes may cross: both nodes settle on the same one.
            return;
        }
        // Those that were answered before are of initiations that the leader has given up.
        let taken_up = self.pending.drain(..=place).next_back();
        if let Some(Pending { session, .. }) = taken_up {
            self.stand(now, session, out);
            self.repeat = None;
        }
    }
}
