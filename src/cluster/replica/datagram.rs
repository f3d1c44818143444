//! What the two ends of a stream say to each other.
//!
//! Nine bytes in front of a chunk: kind and stream. Data adds its number, an acknowledgement what it knows.

use crate::types::Epoch;

use super::WINDOW;

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
}

mod kind {
    pub(super) const BEGIN: u8 = 1;
    pub(super) const DATA: u8 = 2;
    pub(super) const ACK: u8 = 3;
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
            _ => None,
        }
    }
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
