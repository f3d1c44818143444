//! The three messages of a handshake: a step's number in the envelope, what Noise has to say, a MAC over both.

use ring::hmac;
use snow::HandshakeState;

use super::super::noise::{Keys, Pattern, Start, shared_secret};
use super::super::{Entropy, Identity, PublicKey};
use crate::types::Instant;
use crate::wire::pair::{Envelope, Kind};

const MAC_LEN: usize = 32;
/// An ephemeral key and the tag of an empty payload.
const NOISE_LEN: usize = 32 + 16;

/// What a handshake message is; in the envelope in the place of the space.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    Call,
    Initiation,
    Answer,
}

impl Step {
    const fn number(self) -> u8 {
        match self {
            Step::Call => 0,
            Step::Initiation => 1,
            Step::Answer => 2,
        }
    }

    pub const fn from_number(number: u8) -> Option<Step> {
        match number {
            0 => Some(Step::Call),
            1 => Some(Step::Initiation),
            2 => Some(Step::Answer),
            _ => None,
        }
    }
}

/// An initiation that waits for its answer.
pub(super) struct Initiation {
    pub attempt: u32,
    pub message: Vec<u8>,
    pub made: Instant,
    handshake: Box<HandshakeState>,
}

impl Initiation {
    /// The session's keys; `None`, and nothing has changed, when this was not its answer.
    pub fn finish(&mut self, body: &[u8]) -> Option<Keys> {
        let mut nothing = [0; NOISE_LEN];
        self.handshake.read_message(body, &mut nothing).ok()?;
        Keys::of(&mut self.handshake)
    }
}

/// Makes and checks handshake messages.
pub(super) struct Authenticator {
    key: hmac::Key,
    rank: [u8; 8],
}

impl Authenticator {
    /// The MAC's key follows from the two pinned keys; a stranger can make neither messages nor work.
    pub fn new(identity: &Identity, peer: &PublicKey) -> Self {
        let shared = hmac::Key::new(hmac::HMAC_SHA256, &shared_secret(identity, peer));
        let derived = hmac::sign(&shared, b"koi pair handshake 1");
        let mut rank = [0; 8];
        rank.copy_from_slice(&hmac::sign(&shared, b"koi pair rank 1").as_ref()[..8]);
        Authenticator { key: hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref()), rank }
    }

    /// An order of pairs of keys that both nodes see alike.
    pub fn rank(&self) -> [u8; 8] {
        self.rank
    }

    /// The body of a message that the peer (or we) made, and its MAC, which no other message has.
    pub fn verify<'a>(&self, bytes: &'a [u8]) -> Option<(&'a [u8], [u8; 32])> {
        let (message, mac) = bytes.split_last_chunk::<MAC_LEN>()?;
        if message.len() > Envelope::LEN + NOISE_LEN {
            return None;
        }
        hmac::verify(&self.key, message, mac).ok()?;
        Some((message.get(Envelope::LEN..)?, *mac))
    }

    /// Asks for an initiation; different every time.
    pub fn call(&self, session: u32, entropy: &mut dyn Entropy) -> Vec<u8> {
        let mut counter = [0; 8];
        entropy.fill(&mut counter);
        self.message(Step::Call, session, u64::from_be_bytes(counter), &[])
    }

    pub fn initiate(
        &self,
        now: Instant,
        identity: &Identity,
        peer: PublicKey,
        entropy: &mut dyn Entropy,
    ) -> Option<Initiation> {
        let mut attempt = [0; 4];
        entropy.fill(&mut attempt);
        let attempt = u32::from_be_bytes(attempt);
        let mut handshake = start(identity, peer, true).build(entropy).ok()?;
        let mut body = [0; NOISE_LEN];
        let len = handshake.write_message(&[], &mut body).ok()?;
        let message = self.message(Step::Initiation, attempt, 0, body.get(..len)?);
        Some(Initiation { attempt, message, made: now, handshake: Box::new(handshake) })
    }

    pub fn answer(
        &self,
        attempt: u32,
        body: &[u8],
        identity: &Identity,
        peer: PublicKey,
        entropy: &mut dyn Entropy,
    ) -> Option<(Vec<u8>, Keys)> {
        let mut handshake = start(identity, peer, false).build(entropy).ok()?;
        let mut noise = [0; NOISE_LEN];
        handshake.read_message(body, &mut noise).ok()?;
        let len = handshake.write_message(&[], &mut noise).ok()?;
        let message = self.message(Step::Answer, attempt, 0, noise.get(..len)?);
        Some((message, Keys::of(&mut handshake)?))
    }

    fn message(&self, step: Step, session: u32, counter: u64, body: &[u8]) -> Vec<u8> {
        let envelope = Envelope { kind: Kind::Handshake, space: step.number(), session, counter };
        let mut bytes = Vec::with_capacity(Envelope::LEN + body.len() + MAC_LEN);
        bytes.extend(envelope.emit());
        bytes.extend(body);
        let mac = hmac::sign(&self.key, &bytes);
        bytes.extend(mac.as_ref());
        bytes
    }
}

fn start(identity: &Identity, peer: PublicKey, initiator: bool) -> Start<'_> {
    Start { pattern: Pattern::Pinned, identity, peer: Some(peer), psk: None, initiator }
}
