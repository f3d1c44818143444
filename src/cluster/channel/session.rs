//! One session: two keys, and what has been sealed and opened with them.
//!
//! Invariant: no nonce is used twice. A key's spaces are divided between the channel's [`Sealer`] and the replica's;
//! each refuses the other's space and counts its own.

use ring::aead::LessSafeKey;

use super::super::noise::Keys;
use super::message::{Refusal, Wire};
use super::window::Window;
use crate::types::Instant;
use crate::wire::pair::{Envelope, Kind, Space};

/// Whose spaces they are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Part {
    Channel,
    Replica,
}

impl Part {
    /// The place of a space's counter or window; `None` for a space of the other part.
    fn place(self, space: Space) -> Option<usize> {
        match (self, space) {
            (Part::Replica, Space::Replica) => Some(0),
            (Part::Replica, Space::Parcel) => Some(1),
            (Part::Replica, Space::Detour) => Some(2),
            (Part::Channel, Space::Heartbeat(_) | Space::Control) => space.index(),
            (Part::Replica, Space::Heartbeat(_) | Space::Control)
            | (Part::Channel, Space::Replica | Space::Parcel | Space::Detour) => None,
        }
    }

    fn places(self) -> usize {
        match self {
            Part::Channel => Space::COUNT,
            Part::Replica => 3,
        }
    }
}

/// The sealing half of a session.
pub struct Sealer {
    session: u32,
    key: LessSafeKey,
    part: Part,
    counters: Vec<u64>,
}

impl Sealer {
    fn new(session: u32, key: LessSafeKey, part: Part) -> Self {
        Sealer { session, key, part, counters: vec![0; part.places()] }
    }

    /// The session's number.
    pub fn session(&self) -> u32 {
        self.session
    }

    /// The datagram that carries `plain`; `None` for a space that is not sealed here and for a message too long.
    pub fn seal(&mut self, space: Space, plain: &[u8]) -> Option<Vec<u8>> {
        let counter = self.counters.get_mut(self.part.place(space)?)?;
        // The last counter is never used, so that it can stand for the end.
        let next = counter.checked_add(1)?;
        let message = Wire::seal(Kind::Sealed, &self.key, self.session, space, *counter, plain)?;
        *counter = next;
        Some(message)
    }
}

/// The opening half of a session.
pub struct Opener {
    session: u32,
    key: LessSafeKey,
    part: Part,
    windows: Vec<Window>,
}

impl Opener {
    fn new(session: u32, key: LessSafeKey, part: Part) -> Self {
        Opener { session, key, part, windows: vec![Window::default(); part.places()] }
    }

    /// The session's number.
    pub fn session(&self) -> u32 {
        self.session
    }

    /// What the peer sealed.
    ///
    /// # Errors
    /// Says why not; then nothing has changed.
    pub fn open(&mut self, bytes: &[u8]) -> Result<(Space, Vec<u8>), Refusal> {
        let (envelope, _) = Envelope::parse(bytes).ok_or(Refusal::Malformed)?;
        if envelope.kind != Kind::Sealed || envelope.session != self.session {
            return Err(Refusal::Malformed);
        }
        let space = Space::from_number(envelope.space).ok_or(Refusal::Malformed)?;
        let place = self.part.place(space).ok_or(Refusal::Malformed)?;
        let window = self.windows.get_mut(place).ok_or(Refusal::Malformed)?;
        if !window.is_new(envelope.counter) {
            return Err(Refusal::Replayed);
        }
        let plain = Wire::open(&self.key, &envelope, bytes).ok_or(Refusal::Forged)?;
        window.note(envelope.counter);
        Ok((space, plain))
    }
}

/// One session as the channel keeps it.
pub(super) struct Session {
    pub id: u32,
    pub made: Instant,
    /// Made under the keys with this place among the channel's.
    pub credential: usize,
    /// This node led its handshake.
    pub leads: bool,
    /// `None` when it may only be opened with.
    pub sealer: Option<Sealer>,
    pub opener: Opener,
    /// Until they are taken.
    pub replica: Option<(Sealer, Opener)>,
}

impl Session {
    pub fn new(keys: Keys, now: Instant, (credential, leads): (usize, bool)) -> Self {
        let Keys { id, sealing, opening } = keys;
        Session {
            id,
            made: now,
            credential,
            leads,
            sealer: Some(Sealer::new(id, sealing.clone(), Part::Channel)),
            opener: Opener::new(id, opening.clone(), Part::Channel),
            replica: Some((Sealer::new(id, sealing, Part::Replica), Opener::new(id, opening, Part::Replica))),
        }
    }

    /// An empty message: the proof that this side seals with the session.
    pub fn confirmation(&mut self) -> Option<Vec<u8>> {
        self.sealer.as_mut()?.seal(Space::Control, &[])
    }

    pub fn forget_sealing(&mut self) {
        self.sealer = None;
        self.replica = None;
    }
}
