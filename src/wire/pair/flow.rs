//! Flows as the pair tells them: what happens to the state table of one node, for the table of the other.
//!
//! A chunk is a version byte and then changes, each a kind byte and what that kind has. Numbers are big-endian;
//! those that are mostly small are variable-length (seven bits a byte, the lowest first, never longer than needed).
//! Only what cannot be derived is said: the reply key as its difference from the inverse of the original one, pf's
//! timer from protocol and phases. A UDP flow over IPv4 takes some 45 bytes, a TCP connection some 75;
//! gateways take 9 more.
//!
//! Invariant: any byte string decodes to changes or to [`Malformed`]; what was encoded decodes to itself.

use std::net::IpAddr;

use bytes::{Reader, put_named};

use super::Version;
use super::digest::Digest;
use super::relay::{FIRST_LEN, Head, MORE_LEN, Piece};
use crate::types::{InterfaceId, MacAddr};

mod bytes;
mod record;

pub use bytes::Malformed;
pub use record::{FlowRecord, Progress, Proxied, TcpEnd, encode_record};

/// The first byte of a chunk.
pub const VERSION: u8 = 1;
/// No change takes more bytes than this, except for a piece of a frame.
pub const MAX_CHANGE: usize = 256;
/// Slots told of at once by a walk.
pub const RANGE: u32 = 256;

/// Something that happened to a table, in its own slots' numbers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// This slot has this flow, in this state.
    Upsert(Box<FlowRecord>),
    /// The flow of this slot has ended.
    Close {
        /// Where it was.
        slot: u32,
        /// The generation that it was of.
        generation: u16,
    },
    /// From here to the end of the range each flow in these slots is told.
    RangeBegin {
        /// The first slot.
        first: u32,
        /// The last one, at most [`RANGE`] slots in all.
        last: u32,
    },
    /// What was not told since the range began does not exist.
    RangeEnd {
        /// The first slot.
        first: u32,
        /// The last one.
        last: u32,
    },
    /// All ranges were told: what is in none of them does not exist.
    Complete,
    /// A station's MAC address.
    Neighbour {
        /// Where it lives.
        interface: InterfaceId,
        /// Its address.
        address: IpAddr,
        /// Its MAC address.
        mac: MacAddr,
    },
    /// The node hands over: it has told everything, and forwards nothing any more. It has a chunk of its own.
    Frozen,
    /// A piece of a frame that came in at a node that hands over.
    Relayed(Piece),
    /// What waited in the ports of a node that has handed over was relayed.
    Drained,
    /// The node that has handed over says no more. It has a chunk of its own.
    Left,
    /// The flows of a range, as they are told up to here.
    Digest(Digest),
    /// All ranges have had a digest since the last round.
    Round {
        /// How many slots there are: IPv4, IPv6.
        grown: [u32; 2],
    },
    /// This slot has a flow that the other node has as well, in a slot of its own, when it looks the same there.
    Known {
        /// The slot of the node that tells.
        slot: u32,
        /// The slot of the other node.
        theirs: u32,
        /// What the flow is mixed down to, cut to 32 bits.
        mixed: u32,
    },
    /// What the walk through all ranges has told.
    Walked(Walked),
    /// A source is in an overload table, or no longer.
    Overload {
        /// The table, by its place among those of the document.
        table: u8,
        /// The source.
        source: IpAddr,
        /// For so many seconds; not at all when 0.
        seconds: u32,
    },
    /// What the keys of SYN cookies follow from.
    CookieRoot {
        /// The root.
        root: [u64; 2],
        /// The number of the present key.
        turn: u64,
        /// Until the next one, in milliseconds.
        left_ms: u32,
    },
}

/// What a walk through all ranges has told.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Walked {
    /// Flows that were told in full.
    pub full: u32,
    /// Flows of which the other node's slot was named.
    pub known: u32,
}

impl Change {
    /// The first release of the pair's protocols that has it: to others it is never said.
    pub const fn since(&self) -> Version {
        match self {
            Change::Upsert(_)
            | Change::Close { .. }
            | Change::RangeBegin { .. }
            | Change::RangeEnd { .. }
            | Change::Complete
            | Change::Neighbour { .. } => Version(1),
            Change::Digest(_)
            | Change::Round { .. }
            | Change::Known { .. }
            | Change::Walked(_)
            | Change::Frozen
            | Change::Relayed(_)
            | Change::Drained
            | Change::Left
            | Change::Overload { .. }
            | Change::CookieRoot { .. } => Version(2),
        }
    }
}

mod kind {
    pub(super) const UPSERT: u8 = 1;
    pub(super) const CLOSE: u8 = 2;
    pub(super) const RANGE_BEGIN: u8 = 3;
    pub(super) const RANGE_END: u8 = 4;
    pub(super) const COMPLETE: u8 = 5;
    pub(super) const NEIGHBOUR: u8 = 6;
    pub(super) const FROZEN: u8 = 48;
    pub(super) const RELAYED_FIRST: u8 = 49;
    pub(super) const RELAYED_MORE: u8 = 50;
    pub(super) const DRAINED: u8 = 51;
    pub(super) const LEFT: u8 = 52;
    pub(super) const DIGEST: u8 = 32;
    pub(super) const ROUND: u8 = 33;
    pub(super) const KNOWN: u8 = 34;
    pub(super) const WALKED: u8 = 35;
    pub(super) const OVERLOAD: u8 = 36;
    pub(super) const COOKIE_ROOT: u8 = 37;
}

/// Begins a chunk.
pub fn begin(into: &mut Vec<u8>) {
    into.push(VERSION);
}

/// True for the chunk that says only [`Change::Complete`]: it always has a chunk of its own.
pub fn is_complete(chunk: &[u8]) -> bool {
    *chunk == [VERSION, kind::COMPLETE]
}

/// True for the chunk that says only [`Change::Frozen`].
pub fn is_frozen(chunk: &[u8]) -> bool {
    *chunk == [VERSION, kind::FROZEN]
}

/// True for the chunk that says only [`Change::Left`].
pub fn is_left(chunk: &[u8]) -> bool {
    *chunk == [VERSION, kind::LEFT]
}

/// Appends as much of `bytes` as a chunk of `budget` bytes has room for, and says how much that is. `head` is told of a
/// frame's beginning.
pub fn encode_piece(head: Option<Head>, bytes: &[u8], budget: usize, into: &mut Vec<u8>) -> usize {
    let overhead = if head.is_some() { FIRST_LEN } else { MORE_LEN };
    let count = budget.saturating_sub(into.len() + overhead).min(bytes.len()).min(usize::from(u16::MAX));
    if count == 0 {
        return 0;
    }
    put_piece(head.as_ref(), &bytes[..count], into);
    count
}

fn put_piece(head: Option<&Head>, bytes: &[u8], into: &mut Vec<u8>) {
    match head {
        Some(head) => {
            into.push(kind::RELAYED_FIRST);
            head.encode(into);
        }
        None => into.push(kind::RELAYED_MORE),
    }
    into.extend_from_slice(&(bytes.len() as u16).to_be_bytes());
    into.extend_from_slice(bytes);
}

/// What a chunk says that says only [`Change::Walked`]: it comes just before [`Change::Complete`].
pub fn walked(chunk: &[u8]) -> Option<Walked> {
    let mut changes = decode(chunk);
    match (changes.next(), changes.next()) {
        (Some(Ok(Change::Walked(walked))), None) => Some(walked),
        (_, _) => None,
    }
}

/// Appends a change.
pub fn encode(change: &Change, into: &mut Vec<u8>) {
    match change {
        Change::Upsert(record) => encode_record(record, into),
        Change::Close { slot, generation } => {
            into.push(kind::CLOSE);
            into.extend_from_slice(&slot.to_be_bytes());
            into.extend_from_slice(&generation.to_be_bytes());
        }
        Change::RangeBegin { first, last } => encode_range(kind::RANGE_BEGIN, *first, *last, into),
        Change::RangeEnd { first, last } => encode_range(kind::RANGE_END, *first, *last, into),
        Change::Complete => into.push(kind::COMPLETE),
        Change::Neighbour { interface, address, mac } => {
            into.extend_from_slice(&[kind::NEIGHBOUR, interface.0]);
            put_named(*address, into);
            into.extend_from_slice(&mac.0);
        }
        Change::Frozen => into.push(kind::FROZEN),
        Change::Relayed(Piece { head, bytes }) => put_piece(head.as_ref(), bytes, into),
        Change::Drained => into.push(kind::DRAINED),
        Change::Left => into.push(kind::LEFT),
        Change::Digest(Digest { first, last, key, count, sum }) => {
            encode_range(kind::DIGEST, *first, *last, into);
            into.extend_from_slice(&key.to_be_bytes());
            into.extend_from_slice(&count.to_be_bytes());
            into.extend_from_slice(&sum.to_be_bytes());
        }
        Change::Round { grown } => {
            into.push(kind::ROUND);
            grown.iter().for_each(|count| into.extend_from_slice(&count.to_be_bytes()));
        }
        Change::Known { slot, theirs, mixed } => {
            into.push(kind::KNOWN);
            for word in [slot, theirs, mixed] {
                into.extend_from_slice(&word.to_be_bytes());
            }
        }
        Change::Walked(Walked { full, known }) => {
            into.push(kind::WALKED);
            into.extend_from_slice(&full.to_be_bytes());
            into.extend_from_slice(&known.to_be_bytes());
        }
        Change::Overload { table, source, seconds } => {
            into.extend_from_slice(&[kind::OVERLOAD, *table]);
            put_named(*source, into);
            into.extend_from_slice(&seconds.to_be_bytes());
        }
        Change::CookieRoot { root, turn, left_ms } => {
            into.push(kind::COOKIE_ROOT);
            root.iter().chain([turn]).for_each(|word| into.extend_from_slice(&word.to_be_bytes()));
            into.extend_from_slice(&left_ms.to_be_bytes());
        }
    }
}

fn encode_range(kind: u8, first: u32, last: u32, into: &mut Vec<u8>) {
    into.push(kind);
    into.extend_from_slice(&first.to_be_bytes());
    into.push(last.wrapping_sub(first) as u8);
}

/// The changes of a chunk. After an error there are no more.
pub fn decode(chunk: &[u8]) -> Changes<'_> {
    match chunk.split_first() {
        None => Changes { rest: Ok(&[]) },
        Some((&VERSION, rest)) => Changes { rest: Ok(rest) },
        Some(_) => Changes { rest: Err(Malformed::Version) },
    }
}

/// See [`decode`].
pub struct Changes<'a> {
    rest: Result<&'a [u8], Malformed>,
}

impl Iterator for Changes<'_> {
    type Item = Result<Change, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut reader = match std::mem::replace(&mut self.rest, Ok(&[])) {
            Ok([]) => return None,
            Ok(rest) => Reader { rest },
            Err(malformed) => return Some(Err(malformed)),
        };
        let change = reader.change();
        if change.is_ok() {
            self.rest = Ok(reader.rest);
        }
        Some(change)
    }
}

impl Reader<'_> {
    fn change(&mut self) -> Result<Change, Malformed> {
        match self.byte()? {
            kind::UPSERT => Ok(Change::Upsert(Box::new(self.record()?))),
            kind::CLOSE => Ok(Change::Close { slot: self.word()?, generation: self.half()? }),
            kind::RANGE_BEGIN => {
                let (first, last) = self.range()?;
                Ok(Change::RangeBegin { first, last })
            }
            kind::RANGE_END => {
                let (first, last) = self.range()?;
                Ok(Change::RangeEnd { first, last })
            }
            kind::COMPLETE => Ok(Change::Complete),
            kind::NEIGHBOUR => {
                let interface = InterfaceId(self.byte()?);
                let address = self.named()?;
                Ok(Change::Neighbour { interface, address, mac: MacAddr(self.array()?) })
            }
            kind::FROZEN => Ok(Change::Frozen),
            kind::RELAYED_FIRST => {
                let head = Head::decode(self.array()?)?;
                self.piece(Some(head))
            }
            kind::RELAYED_MORE => self.piece(None),
            kind::DRAINED => Ok(Change::Drained),
            kind::LEFT => Ok(Change::Left),
            kind::DIGEST => {
                let (first, last) = self.range()?;
                let (key, count, sum) = (self.long()?, self.half()?, self.long()?);
                Ok(Change::Digest(Digest { first, last, key, count, sum }))
            }
            kind::ROUND => Ok(Change::Round { grown: [self.word()?, self.word()?] }),
            kind::KNOWN => {
                Ok(Change::Known { slot: self.word()?, theirs: self.word()?, mixed: self.word()? })
            }
            kind::OVERLOAD => {
                let table = self.byte()?;
                Ok(Change::Overload { table, source: self.named()?, seconds: self.word()? })
            }
            kind::COOKIE_ROOT => {
                let (root, turn) = ([self.long()?, self.long()?], self.long()?);
                Ok(Change::CookieRoot { root, turn, left_ms: self.word()? })
            }
            kind::WALKED => Ok(Change::Walked(Walked { full: self.word()?, known: self.word()? })),
            _ => Err(Malformed::Kind),
        }
    }

    fn piece(&mut self, head: Option<Head>) -> Result<Change, Malformed> {
        let len = self.half()?;
        let bytes = self.take(len.into())?.to_vec();
        Ok(Change::Relayed(Piece { head, bytes }))
    }

    fn range(&mut self) -> Result<(u32, u32), Malformed> {
        let first = self.word()?;
        let last = first.checked_add(self.byte()?.into()).ok_or(Malformed::Value)?;
        Ok((first, last))
    }
}

#[cfg(test)]
#[path = "flow_tests.rs"]
mod tests;
