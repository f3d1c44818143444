//! Sealed messages: the envelope is the additional data, space and counter are the nonce.

use ring::aead::{Aad, LessSafeKey, Nonce};

use crate::wire::pair::{Envelope, Kind, Space};

/// The longest message that is sealed.
const PLAIN_MAX: usize = 60_000;
const TAG_LEN: usize = 16;

/// Why a sealed message was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// It is no sealed message, or of a space or session that is not read here.
    Malformed,
    /// It came before, or so late that this is not known any more.
    Replayed,
    /// The peer did not make it like this.
    Forged,
}

/// How sealed messages look on the wire: the same for the channel and for the pairing, which have kinds of their own.
pub(in super::super) struct Wire;

impl Wire {
    pub fn seal(
        kind: Kind,
        key: &LessSafeKey,
        session: u32,
        space: Space,
        counter: u64,
        plain: &[u8],
    ) -> Option<Vec<u8>> {
        if plain.len() > PLAIN_MAX {
            return None;
        }
        let envelope = Envelope { kind, space: space.number()?, session, counter };
        let head = envelope.emit();
        let mut bytes = Vec::with_capacity(Envelope::LEN + plain.len() + TAG_LEN);
        bytes.extend(head);
        bytes.extend(plain);
        let tag = key
            .seal_in_place_separate_tag(nonce(&envelope), Aad::from(head), bytes.get_mut(Envelope::LEN..)?)
            .ok()?;
        bytes.extend(tag.as_ref());
        Some(bytes)
    }

    pub fn open(key: &LessSafeKey, envelope: &Envelope, bytes: &[u8]) -> Option<Vec<u8>> {
        let (head, body) = bytes.split_first_chunk::<{ Envelope::LEN }>()?;
        let mut body = body.to_vec();
        let len = key.open_in_place(nonce(envelope), Aad::from(*head), &mut body).ok()?.len();
        body.truncate(len);
        Some(body)
    }
}

fn nonce(envelope: &Envelope) -> Nonce {
    let mut nonce = [0; 12];
    nonce[0] = envelope.space;
    nonce[4..].copy_from_slice(&envelope.counter.to_be_bytes());
    Nonce::assume_unique_for_key(nonce)
}
