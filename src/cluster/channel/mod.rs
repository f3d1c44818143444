//! The channel between the two nodes of a pair: authenticated, encrypted, and alive again after whatever happened.
//!
//! # Handshake
//!
//! `Noise_KK_25519_ChaChaPoly_SHA256`: both keys are pinned in the document, so neither crosses the link. The node with
//! the lower [`NodeId`](crate::types::NodeId) *leads*: it alone sends initiations. The other one *calls* when it wants
//! a session. So either may begin, two handshakes never cross, and sessions have one order that both nodes agree on.
//!
//! ```text
//!   leader                                   follower
//!      <----------- call ------------------------            (when the follower begins)
//!      ------------ initiation: e, es, ss ------>            prepares a session, seals nothing with it
//!      <----------- answer: e, ee, se -----------
//!   seals with the new session
//!      ------------ confirmation (sealed) ------>            seals with the new session
//!      <----------- confirmation (sealed) -------
//! ```
//!
//! * **Lost messages.** The leader repeats its initiation until it has the answer, then its confirmation until it hears
//!   the follower in the new session; the follower repeats its call until it has a session. 50 ms, backing off to 1 s.
//!   A repeated initiation is answered with the same answer.
//! * **Replayed initiations** cost one handshake each at most (within a budget) and change nothing: the follower keeps
//!   its session until somebody has sealed with the new one, which only the peer can who made that initiation.
//! * **Strangers.** Each handshake message ends with a MAC under a key that follows from the two pinned keys. So what a
//!   stranger sends costs a hash, never a multiplication on the curve, and changes nothing.
//! * **A restarted peer** has no session: a follower calls, a leader initiates, by itself. If both seal but not with
//!   the same session, then a datagram of an unknown session makes the node begin a handshake, provided that it has
//!   heard nothing from its peer for [`QUIET`]; otherwise a stranger could make the pair shake hands forever.
//! * **A call** names the caller's session. One that does not name the leader's own is obeyed only when the leader has
//!   heard nothing for [`QUIET`], so one that was recorded earlier is worth nothing.
//! * **New keys** ([`Channel::adopt`]) take effect with the next session: the present one goes on until that stands, so
//!   nothing is interrupted. While a second pair of keys is known, handshakes under either are taken and tried in turn, so
//!   two nodes that have not come equally far still find each other.
//! * **A reverted snapshot** must seal nothing twice with the same nonce: [`Channel::renew`] forgets every key to seal
//!   with, present and prepared, and every ephemeral key of an unfinished handshake.

mod arrivals;
mod budget;
mod counters;
mod credential;
mod handshake;
mod message;
mod session;
#[cfg(test)]
mod tests;
mod window;

use std::collections::VecDeque;

pub use budget::{Bucket, Budget};
pub use counters::Counters;
use credential::Credential;
use handshake::Initiation;
pub use message::Refusal;
pub(super) use message::Wire;
use session::Session;
pub use session::{Opener, Sealer};
pub(super) use window::Window;

use super::{Entropy, Identity, PublicKey};
use crate::types::{Duration, Instant, PathId};
use crate::wire::pair::{Envelope, Kind, Space};

/// First wait for an answer; it doubles up to [`RETRY_MAX`].
const RETRY_MIN: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(1);
/// A session's age at which the leader begins the next one; the follower asks a minute later.
pub const REKEY: Duration = Duration::from_secs(3600);
/// The follower does when the leader has not.
const REKEY_FOLLOWER: Duration = Duration::from_secs(60);
/// How long the session before opens what was still under way.
const GRACE: Duration = Duration::from_secs(5);
/// An initiation is not repeated for longer; then comes one with another ephemeral key.
const INITIATION_AGE: Duration = Duration::from_secs(2);
/// A session under keys that are to be replaced is followed by the next attempt after this.
const RENEW: Duration = Duration::from_secs(5);
/// How long an unconfirmed session is tried before another handshake.
const CONFIRMATIONS: u32 = 8;
/// A peer that has been silent for so long may have lost the session.
pub const QUIET: Duration = Duration::from_millis(50);
/// Handshake messages that cost curve multiplications, per second: on the sync port, and on all data ports together.
const HANDSHAKES: u64 = 20;

/// Over which path a datagram goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// Over all that there are.
    All,
    /// Over this one.
    Path(PathId),
}

/// What became of the session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SessionNews {
    /// A new one stands: [`Channel::seal`] works, [`Channel::replica_halves`] has something new.
    Stands(u32),
    /// After [`Channel::renew`]: nothing can be sealed until the next one stands.
    Fell,
}

/// What the channel wants done.
#[derive(Debug, Default)]
pub struct Outbox {
    /// Payloads to be sent to the peer.
    pub datagrams: Vec<(Way, Vec<u8>)>,
    /// What the peer said.
    pub opened: Vec<(PathId, Space, Vec<u8>)>,
    /// The newest news of the session.
    pub session: Option<SessionNews>,
}

/// Why the channel wants to be called again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// A handshake message is to be sent, perhaps again.
    Handshake,
    /// The session is an hour old.
    Rekey,
    /// What waits or is kept for a while has waited long enough.
    Grace,
    /// [`Channel::renew`] has news.
    News,
}

/// An answered handshake that nobody has sealed with yet.
struct Pending {
    initiation: [u8; 32],
    answer: Vec<u8>,
    session: Session,
    until: Instant,
}

/// What is repeated until it is no longer needed.
enum Errand {
    /// The leader: an initiation, made when it is sent.
    Initiate,
    /// The leader: tell the follower that the new session is in use.
    Confirm,
    /// The follower: ask for an initiation.
    Call,
}

struct Repeat {
    errand: Errand,
    /// Under which keys: the place among the channel's.
    credential: usize,
    /// Begun because a datagram of an unknown session came; given up when the peer is heard.
    doubt: bool,
    at: Instant,
    wait: Duration,
    count: u32,
}

/// One node's end.
pub struct Channel {
    /// The keys to be used, and those that are accepted as well.
    credentials: Vec<Credential>,
    /// When that was last changed.
    adopted: Instant,
    /// A session is renewed after so long.
    rekey: Duration,
    entropy: Box<dyn Entropy + Send>,
    current: Option<Session>,
    previous: Option<(Session, Instant)>,
    pending: VecDeque<Pending>,
    repeat: Option<Repeat>,
    /// When the peer was last heard in any session.
    heard: Option<Instant>,
    fell: Option<Instant>,
    budget: Budget,
    handshakes: [Bucket; 2],
    seen: VecDeque<[u8; 32]>,
    counters: Counters,
}

impl Channel {
    /// An end that begins to shake hands at once.
    pub fn new(identity: Identity, peer: PublicKey, entropy: Box<dyn Entropy + Send>, now: Instant) -> Self {
        let mut channel = Channel {
            credentials: vec![Credential::new(identity, peer)],
            adopted: now,
            rekey: REKEY,
            entropy,
            current: None,
            previous: None,
            pending: VecDeque::new(),
            repeat: None,
            heard: None,
            fell: None,
            budget: Budget::new(now),
            handshakes: [Bucket::new(HANDSHAKES, now), Bucket::new(HANDSHAKES, now)],
            seen: VecDeque::new(),
            counters: Counters::default(),
        };
        channel.begin(now, false);
        channel
    }

    /// Other keys: the first ones are for the next session, which is begun at once when the present one was not made
    /// under them; the others are accepted as well.
    pub fn adopt(
        &mut self,
        now: Instant,
        (identity, peer): (Identity, PublicKey),
        also: Option<(Identity, PublicKey)>,
    ) {
        let wanted: Vec<(Identity, PublicKey)> = std::iter::once((identity, peer)).chain(also).collect();
        let same = wanted.len() == self.credentials.len()
            && wanted.iter().zip(&self.credentials).all(|((own, peer), known)| known.is(own, peer));
        if same {
            return;
        }
        self.adopted = now;
        let mut before: Vec<Option<Credential>> = self.credentials.drain(..).map(Some).collect();
        let mut places = vec![None; before.len()];
        for (place, (own, peer)) in wanted.into_iter().enumerate() {
            let known =
                before.iter().position(|known| known.as_ref().is_some_and(|known| known.is(&own, &peer)));
            if let Some(known) = known {
                places[known] = Some(place);
            }
            let kept = known.and_then(|known| before[known].take());
            self.credentials.push(kept.unwrap_or_else(|| Credential::new(own, peer)));
        }
        // A session outlives its keys, but nobody begins another one under those that are gone.
        let moved = |place: usize| places.get(place).copied().flatten();
        let sessions = self.current.iter_mut().chain(self.previous.iter_mut().map(|(session, _)| session));
        for session in sessions {
            session.credential = moved(session.credential).unwrap_or(usize::MAX);
        }
        self.pending.retain_mut(|pending| match moved(pending.session.credential) {
            Some(place) => {
                pending.session.credential = place;
                true
            }
            None => false,
        });
        let is_new = self.current.as_ref().is_none_or(|session| session.credential != 0);
        if is_new || self.repeat.is_some() {
            self.begin(now, false);
        }
    }

    /// True when the present session was made under the keys to be used.
    pub fn is_current(&self) -> bool {
        self.current.as_ref().is_some_and(|session| session.credential == 0)
    }

    /// A datagram that came over `path`.
    pub fn handle_datagram(&mut self, now: Instant, path: PathId, bytes: &[u8], out: &mut Outbox) {
        if !self.budget.take(now, path) {
            self.counters.over_budget += 1;
            return;
        }
        let Some((envelope, _)) = Envelope::parse(bytes) else {
            self.counters.malformed += 1;
            return;
        };
        match envelope.kind {
            Kind::Handshake => self.handle_handshake(now, path, envelope, bytes, out),
            Kind::Sealed => self.handle_sealed(now, path, envelope, bytes, out),
            Kind::Pairing => self.counters.elsewhere += 1,
        }
    }

    /// Seals a message for the peer. `None` when there is no session, for what goes by
    /// [`Channel::replica_halves`], and for an empty or too long message.
    pub fn seal(&mut self, space: Space, plain: &[u8]) -> Option<Vec<u8>> {
        if plain.is_empty() {
            return None;
        }
        self.current.as_mut()?.sealer.as_mut()?.seal(space, plain)
    }

    /// Another handshake after so long, instead of [`REKEY`].
    pub fn set_rekey(&mut self, rekey: Duration) {
        self.rekey = rekey;
    }

    /// True when [`Channel::seal`] works.
    pub fn stands(&self) -> bool {
        self.current.as_ref().is_some_and(|session| session.sealer.is_some())
    }

    /// After a fence, a clock jump or a change of generation: forgets every key that it would seal with and shakes
    /// hands again. What the peer seals with the old session is opened until the new one stands. Whoever has taken
    /// [`Channel::replica_halves`] must drop the sealing half as well.
    pub fn renew(&mut self, now: Instant) {
        if self.stands() {
            self.fell = Some(now);
        }
        if let Some(session) = &mut self.current {
            session.forget_sealing();
        }
        self.pending.clear();
        self.begin(now, false);
    }

    /// Both directions of [`Space::Replica`], [`Space::Parcel`] and [`Space::Detour`] in the present session, for another thread; once per session.
    pub fn replica_halves(&mut self) -> Option<(Sealer, Opener)> {
        self.current.as_mut()?.replica.take()
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant, out: &mut Outbox) {
        if self.fell.take().is_some() && !self.stands() {
            out.session = Some(SessionNews::Fell);
        }
        self.previous.take_if(|(_, until)| now >= *until);
        self.pending.retain(|pending| now < pending.until);
        if self.repeat.is_none() && self.rekey_at().is_some_and(|at| now >= at) {
            self.begin(now, false);
        }
        self.run(now, out);
    }

    /// When it wants to be called again, and why.
    pub fn poll_timeout(&self) -> Option<(Instant, Why)> {
        let rekey = if self.repeat.is_none() { self.rekey_at() } else { None };
        let timers = [
            (self.repeat.as_ref().map(|repeat| repeat.at), Why::Handshake),
            (rekey, Why::Rekey),
            (self.previous.as_ref().map(|(_, until)| *until), Why::Grace),
            (self.pending.front().map(|pending| pending.until), Why::Grace),
            (self.fell, Why::News),
        ];
        timers.into_iter().filter_map(|(at, why)| Some((at?, why))).min_by_key(|(at, _)| *at)
    }

    /// What it has counted.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    fn rekey_at(&self) -> Option<Instant> {
        // A session that the peer has begun under the other keys since then is as good.
        let old = |session: &Session| session.credential != 0 && session.made <= self.adopted;
        let age = |session: &Session| match session.leads {
            _ if old(session) => RENEW,
            true => self.rekey,
            false => self.rekey + REKEY_FOLLOWER,
        };
        self.current.as_ref().map(|session| session.made + age(session))
    }

    /// Begins a handshake, or begins it anew.
    fn begin(&mut self, now: Instant, doubt: bool) {
        self.credentials.iter_mut().for_each(|credential| credential.initiation = None);
        self.repeat_from(now, self.errand(0), 0, doubt);
    }

    /// How a handshake under these keys begins.
    fn errand(&self, credential: usize) -> Errand {
        match self.credentials.get(credential) {
            Some(Credential { leads: true, .. }) => Errand::Initiate,
            Some(Credential { leads: false, .. }) | None => Errand::Call,
        }
    }

    fn repeat_from(&mut self, now: Instant, errand: Errand, credential: usize, doubt: bool) {
        self.repeat = Some(Repeat { errand, credential, doubt, at: now, wait: RETRY_MIN, count: 0 });
    }

    /// Sends what is due of the handshake.
    fn run(&mut self, now: Instant, out: &mut Outbox) {
        let lost = !self.stands() || self.quiet(now);
        let Some(repeat) = self.repeat.as_mut().filter(|repeat| now >= repeat.at) else { return };
        let Some(credential) = self.credentials.get_mut(repeat.credential) else { return };
        let message = match &repeat.errand {
            Errand::Initiate => {
                let old = |initiation: &Initiation| now.since(initiation.made) > INITIATION_AGE;
                if credential.initiation.as_ref().is_none_or(old) {
                    credential.initiate(now, self.entropy.as_mut());
                }
                credential.initiation.as_ref().map(|initiation| initiation.message.clone())
            }
            Errand::Confirm if repeat.count >= CONFIRMATIONS => {
                self.begin(now, false);
                return self.run(now, out);
            }
            Errand::Confirm => self.current.as_mut().and_then(Session::confirmation),
            Errand::Call => {
                let session = self.current.as_ref().map_or(0, |session| session.id);
                Some(credential.authenticator.call(session, self.entropy.as_mut()))
            }
        };
        repeat.at = now + repeat.wait;
        repeat.wait = (repeat.wait * 2).min(RETRY_MAX);
        repeat.count = repeat.count.saturating_add(1);
        // With two pairs of keys they take turns, unless the peer is heard in a session as it is.
        let next = (repeat.credential + 1) % self.credentials.len().max(1);
        let begins = match repeat.errand {
            Errand::Initiate | Errand::Call => lost && next != repeat.credential,
            Errand::Confirm => false,
        };
        if begins {
            let errand = self.errand(next);
            if let Some(repeat) = &mut self.repeat {
                (repeat.errand, repeat.credential) = (errand, next);
            }
        }
        out.datagrams.extend(message.map(|message| (Way::All, message)));
    }

    fn stand(&mut self, now: Instant, session: Session, out: &mut Outbox) {
        let id = session.id;
        let before = self.current.replace(session);
        self.previous = before.map(|mut session| {
            session.forget_sealing();
            (session, now + GRACE)
        });
        self.fell = None;
        self.counters.sessions += 1;
        out.session = Some(SessionNews::Stands(id));
    }

    fn session_mut(&mut self, id: u32, now: Instant) -> Option<&mut Session> {
        let previous = self.previous.as_mut().filter(|(_, until)| now < *until).map(|(session, _)| session);
        let pending = self.pending.iter_mut().map(|pending| &mut pending.session);
        self.current.iter_mut().chain(previous).chain(pending).find(|session| session.id == id)
    }

    /// True when the peer has not been heard lately.
    fn quiet(&self, now: Instant) -> bool {
        self.heard.is_none_or(|heard| now.since(heard) >= QUIET)
    }
}
