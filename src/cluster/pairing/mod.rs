//! Pairing: two nodes that have never met learn each other's keys from a one-time [`Code`].
//!
//! `Noise_XXpsk3_25519_ChaChaPoly_SHA256`. The [`Joiner`] sends hello, the [`Creator`] introduces itself (its static
//! key), the joiner proves the code and sends its static key, encrypted. The pre-shared key of the last message is
//!
//! ```text
//! psk = HMAC-SHA256(code, "koi pairing 1" ‖ the creator's static public key)
//! ```
//!
//! and not the code itself. Why this binds: the joiner computes it from the key that it was just shown. Somebody in the
//! middle who shows a key of his own gets a proof made with another `psk` than the creator has; he cannot pass it on,
//! and to make his own he would need the code, of which the proof tells nothing that could be tried out in less than
//! 2^127 steps. So the creator accepts a proof only from one who knows the code *and* has seen the creator's own key,
//! and the joiner accepts an answer only from one who knows the code and has the key it was shown. From then on the two
//! keys are pinned, and the code is worth nothing: it is good for one pairing, 10 minutes and 5 tries.
//!
//! Then the joiner gives what it is and takes the shared document, chunk by chunk. The joiner does all the asking and
//! repeating; the creator only answers, and answers the same question the same way. A refusal is not authenticated:
//! somebody on the link can spoil a pairing, as he can by pulling the cable, but never become a part of it.

mod creator;
mod joiner;
mod line;
#[cfg(test)]
mod tests;

use ring::hmac;
use serde::{Deserialize, Serialize};

pub use creator::{Creator, CreatorCounters, Standing};
pub use joiner::{Failure, Joiner};

use super::{Code, PublicKey};
use crate::wire::pair::{Envelope, Kind};

/// The longest document, and the longest description of a newcomer.
pub const PAYLOAD_MAX: usize = 1 << 20;
/// Bytes of one chunk.
const CHUNK: usize = 1_024;

/// What a pairing wants done.
#[derive(Debug, Default)]
pub struct Outbox {
    /// The creator: answers to whoever sent the datagram. The joiner: to the creator, or to everybody on the link while
    /// it is not known.
    pub datagrams: Vec<Vec<u8>>,
    /// How it ended, once.
    pub ended: Option<Ended>,
}

/// How a pairing ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ended {
    /// Both have each other's key and payload.
    Paired {
        /// The other node's key, to be pinned.
        peer: PublicKey,
        /// What the other node gave, usually a [`Party`].
        payload: Vec<u8>,
    },
    /// The joiner has given up.
    Failed(Failure),
}

/// What each of the two says of itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Party {
    /// Its release of the pair's protocols.
    pub version: u16,
    /// Its name.
    pub name: String,
    /// The creator: the shared document. The joiner: what it brings. In a text form that the edge knows.
    pub text: String,
}

impl Party {
    /// The bytes.
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_allocvec(self).unwrap_or_default()
    }

    /// From what [`Ended::Paired`] gave; later releases may have appended fields.
    pub fn decode(bytes: &[u8]) -> Option<Party> {
        postcard::take_from_bytes(bytes).ok().map(|(party, _later)| party)
    }
}

/// What a pairing datagram is; in the envelope in the place of the space. Sealed ones have the space's number there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    Hello,
    Introduction,
    Proof,
    Refusal,
}

impl Step {
    const fn number(self) -> u8 {
        match self {
            Step::Hello => 0,
            Step::Introduction => 1,
            Step::Proof => 2,
            Step::Refusal => 3,
        }
    }

    const fn from_number(number: u8) -> Option<Step> {
        match number {
            0 => Some(Step::Hello),
            1 => Some(Step::Introduction),
            2 => Some(Step::Proof),
            3 => Some(Step::Refusal),
            _ => None,
        }
    }
}

fn message(step: Step, attempt: u32, body: &[u8]) -> Vec<u8> {
    let envelope = Envelope { kind: Kind::Pairing, space: step.number(), session: attempt, counter: 0 };
    [&envelope.emit()[..], body].concat()
}

/// What the joiner asks.
#[derive(PartialEq, Eq, Debug, Serialize, Deserialize)]
enum Request {
    /// Take these bytes of `total`.
    Give { total: u32, at: u32, bytes: Vec<u8> },
    /// Give the document from there on.
    Take { at: u32 },
    /// The joiner has everything.
    Done,
}

/// What the creator answers.
#[derive(PartialEq, Eq, Debug, Serialize, Deserialize)]
enum Reply {
    /// It has so many bytes of what the joiner gives.
    Has(u32),
    /// Bytes of the document.
    Chunk { total: u32, at: u32, bytes: Vec<u8> },
    /// It has everything, too.
    Done,
}

fn psk(code: &Code, creator: &PublicKey) -> [u8; 32] {
    let key = hmac::Key::new(hmac::HMAC_SHA256, code.bits());
    let tag = hmac::sign(&key, &[&b"koi pairing 1"[..], &creator.0].concat());
    let mut psk = [0; 32];
    psk.copy_from_slice(tag.as_ref());
    psk
}
