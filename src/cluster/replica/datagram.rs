//! What the two ends of a stream say to each other.
//!
//! Nine bytes in front of a chunk: kind and stream. Data adds its number, an acknowledgement what it knows.

use crate::types::Epoch;
use crate::wire::pair::Version;

use super::WINDOW;
use super::proof::{AT_ONCE, Verdict};

/// A stream: the channel's session and the pair's epoch.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct StreamId(pub u64);

impl StreamId {
    /// The stream of this session in this epoch.
    pub const fn new(session: u32, epoch: Epoch) -> StreamId {
        StreamId((session as u64) << 32 | epoch.0 as u64)
    }
}

/// Bytes in front of a chunk.
pub const HEADER: usize = 17;
/// Words of an acknowledgement's map.
pub(super) const WORDS: usize = (WINDOW / 64) as usize;

/// A datagram of a stream, opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Datagram<'a> {
    /// The stream begins; answered by an acknowledgement.
    Begin(StreamId),
    /// A chunk. The first has number 1.
    Data {
        /// The stream.
        stream: StreamId,
        /// Its number.
        sequence: u64,
        /// What it carries.
        chunk: &'a [u8],
    },
    /// What the receiver has.
    Ack {
        /// The stream.
        stream: StreamId,
        /// Everything up to here has come.
        received: u64,
        /// Everything up to here has been applied.
        applied: u64,
        /// Bit n: so has `received + 1 + n`.
        beyond: [u64; WORDS],
    },
    /// The standby has other flows in these ranges, named by their first slots.
    Differ(StreamId, Slots<'a>),
    /// The standby does not have the flows of these slots.
    Unknown(StreamId, Slots<'a>),
    /// What the standby knows of both tables being the same.
    Verdict(StreamId, Verdict),
    /// The answerer once told this other stream, from the table that it has now.
    Told {
        /// The stream that has begun.
        stream: StreamId,
        /// The last one that the answerer told itself.
        told: StreamId,
    },
    /// An operator wants everything told anew.
    Again(StreamId),
}

/// The most slots in one datagram.
pub const SLOTS: usize = AT_ONCE;

/// Some slots: at least one, at most [`SLOTS`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slots<'a>(&'a [u8]);

impl<'a> Slots<'a> {
    /// Their bytes; those beyond [`SLOTS`] are left out.
    pub fn bytes(slots: &[u32]) -> Vec<u8> {
        slots.iter().take(SLOTS).flat_map(|slot| slot.to_be_bytes()).collect()
    }

    /// From bytes; `None` when they are none.
    pub fn new(bytes: &'a [u8]) -> Option<Slots<'a>> {
        let fits = bytes.len().is_multiple_of(4) && (4..=4 * SLOTS).contains(&bytes.len());
        fits.then_some(Slots(bytes))
    }

    /// Each.
    pub fn iter(&self) -> impl Iterator<Item = u32> + use<'a> {
        self.0.as_chunks().0.iter().map(|word| u32::from_be_bytes(*word))
    }
}

mod kind {
    pub(super) const BEGIN: u8 = 1;
    pub(super) const DATA: u8 = 2;
    pub(super) const ACK: u8 = 3;
    pub(super) const DIFFER: u8 = 32;
    pub(super) const UNKNOWN: u8 = 33;
    pub(super) const VERDICT: u8 = 34;
    pub(super) const TOLD: u8 = 35;
    pub(super) const AGAIN: u8 = 36;
}

impl<'a> Datagram<'a> {
    /// As bytes.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Datagram::Begin(stream) => head(kind::BEGIN, *stream, 9),
            Datagram::Data { stream, sequence, chunk } => {
                let mut bytes = head(kind::DATA, *stream, HEADER + chunk.len());
                bytes.extend_from_slice(&sequence.to_be_bytes());
                bytes.extend_from_slice(chunk);
                bytes
            }
            Datagram::Ack { stream, received, applied, beyond } => {
                let mut bytes = head(kind::ACK, *stream, 25 + 8 * WORDS);
                bytes.extend_from_slice(&received.to_be_bytes());
                bytes.extend_from_slice(&applied.to_be_bytes());
                beyond.iter().for_each(|word| bytes.extend_from_slice(&word.to_be_bytes()));
                bytes
            }
            Datagram::Differ(stream, slots) => with_slots(kind::DIFFER, *stream, slots),
            Datagram::Unknown(stream, slots) => with_slots(kind::UNKNOWN, *stream, slots),
            Datagram::Verdict(stream, verdict) => {
                let Verdict { proven, rounds, differing, first, proven_after_ms, healed } = verdict;
                let mut bytes = head(kind::VERDICT, *stream, 30);
                bytes.push(u8::from(*proven));
                for word in [rounds, differing, first, proven_after_ms, healed] {
                    bytes.extend_from_slice(&word.to_be_bytes());
                }
                bytes
            }
            Datagram::Told { stream, told } => {
                let mut bytes = head(kind::TOLD, *stream, HEADER);
                bytes.extend_from_slice(&told.0.to_be_bytes());
                bytes
            }
            Datagram::Again(stream) => head(kind::AGAIN, *stream, 9),
        }
    }

    /// The first release of the pair's protocols that has the datagram of these bytes: to others it is never said.
    pub fn since(bytes: &[u8]) -> Version {
        match bytes.first() {
            Some(&(kind::BEGIN | kind::DATA | kind::ACK)) => Version(1),
            Some(_) | None => Version(2),
        }
    }

    /// From bytes; `None` when they are none.
    pub fn decode(bytes: &'a [u8]) -> Option<Datagram<'a>> {
        let (&kind, rest) = bytes.split_first()?;
        let (stream, rest) = number(rest)?;
        let stream = StreamId(stream);
        match kind {
            kind::BEGIN if rest.is_empty() => Some(Datagram::Begin(stream)),
            kind::DATA => {
                let (sequence, chunk) = number(rest)?;
                Some(Datagram::Data { stream, sequence, chunk })
            }
            kind::ACK => {
                let (received, rest) = number(rest)?;
                let (applied, mut rest) = number(rest)?;
                let mut beyond = [0; WORDS];
                for word in &mut beyond {
                    (*word, rest) = number(rest)?;
                }
                rest.is_empty().then_some(Datagram::Ack { stream, received, applied, beyond })
            }
            kind::DIFFER => Slots::new(rest).map(|slots| Datagram::Differ(stream, slots)),
            kind::UNKNOWN => Slots::new(rest).map(|slots| Datagram::Unknown(stream, slots)),
            kind::VERDICT => verdict(rest).map(|verdict| Datagram::Verdict(stream, verdict)),
            kind::TOLD => {
                let (told, rest) = number(rest)?;
                rest.is_empty().then_some(Datagram::Told { stream, told: StreamId(told) })
            }
            kind::AGAIN if rest.is_empty() => Some(Datagram::Again(stream)),
            _ => None,
        }
    }
}

fn with_slots(kind: u8, stream: StreamId, slots: &Slots<'_>) -> Vec<u8> {
    let mut bytes = head(kind, stream, 9 + slots.0.len());
    bytes.extend_from_slice(slots.0);
    bytes
}

fn verdict(bytes: &[u8]) -> Option<Verdict> {
    let (&proven, words) = bytes.split_first()?;
    let words: &[[u8; 4]; 5] = words.as_chunks().0.first_chunk().filter(|_| words.len() == 20)?;
    let [rounds, differing, first, proven_after_ms, healed] = words.map(u32::from_be_bytes);
    (proven < 2).then_some(Verdict { proven: proven == 1, rounds, differing, first, proven_after_ms, healed })
}

fn head(kind: u8, stream: StreamId, size: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(size);
    bytes.push(kind);
    bytes.extend_from_slice(&stream.0.to_be_bytes());
    bytes
}

fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (word, rest) = bytes.split_first_chunk()?;
    Some((u64::from_be_bytes(*word), rest))
}
