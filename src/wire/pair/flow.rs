//! Flows as the pair tells them: what happens to the state table of one node, for the table of the other.
//!
//! A chunk is a version byte and then changes, each a kind byte and what that kind has. Numbers are big-endian;
//! those that are mostly small are variable-length (seven bits a byte, the lowest first, never longer than needed).
//! Only what cannot be derived is said: the reply key as its difference from the inverse of the original one, pf's
//! timer from protocol and phases. A UDP flow over IPv4 takes some 45 bytes, a TCP connection some 75;
//! gateways take 9 more.
//!
//! Invariant: any byte string decodes to changes or to [`Malformed`]; what was encoded decodes to itself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Version;
use super::digest::Digest;
use super::relay::{FIRST_LEN, Head, MORE_LEN, Piece};
use crate::types::{GatewayId, InterfaceId, MacAddr, RuleId};
use crate::wire::{FlowKey, protocol};

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

/// A flow, without what belongs to one node alone (next hops, epochs, places).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FlowRecord {
    /// Its slot on the node that tells it.
    pub slot: u32,
    /// The slot's generation.
    pub generation: u16,
    /// Key of its first packet, as it came in.
    pub original: FlowKey,
    /// Key of the answers, as they come in. Family and protocol are those of `original`.
    pub reply: FlowKey,
    /// By way: where packets come in.
    pub interfaces: [InterfaceId; 2],
    /// The rules that let it in and out, and whether they log.
    pub rules: [(RuleId, bool); 2],
    /// The gateways that it goes by: its own way, and its answers.
    pub gateways: [Option<GatewayId>; 2],
    /// How far it is.
    pub progress: Progress,
    /// Packets by way.
    pub packets: [u32; 2],
    /// Bytes by way, 48 bits each.
    pub bytes: [u64; 2],
    /// Seconds since it began.
    pub age: u32,
    /// Seconds since its last packet.
    pub idle: u32,
    /// The handshake that the router made.
    pub proxied: Option<Proxied>,
}

/// A connection whose handshake the router made with the client, before the server heard of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Proxied {
    /// The server has not answered yet.
    pub waits: bool,
    /// While it waits: the router's initial sequence number; then, what is added to the server's numbers.
    pub number: u32,
    /// The client's MSS.
    pub mss: u16,
}

/// How far a flow is, by its protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// A TCP connection: its two ends, by way.
    Tcp([TcpEnd; 2]),
    /// Anything else.
    Other {
        /// By way: nothing was sent (0), something (1), something after an answer (2).
        traffic: [u8; 2],
        /// More than one packet went before any answer.
        repeated: bool,
    },
}

/// One end of a TCP connection; see [`conntrack`](crate::conntrack) for the meaning.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TcpEnd {
    /// 0 (closed) to 5 (time wait).
    pub phase: u8,
    /// End of the data that it has sent.
    pub low: u32,
    /// End of what it may send.
    pub high: u32,
    /// The highest acknowledgement that it was sent.
    pub acked: u32,
    /// The largest window that it has offered.
    pub window: u16,
    /// Its window scale.
    pub scale: Option<u8>,
}

/// Bytes that are no changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Malformed {
    /// A version that this node does not know.
    Version,
    /// A kind of change that this version does not have.
    Kind,
    /// It ends too early.
    Short,
    /// A value that none of ours is.
    Value,
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

/// Kinds of the parts at a record's end. A kind has one length for ever.
mod part {
    pub(super) const GATEWAYS: u8 = 1;
    pub(super) const PROXIED: u8 = 2;
}

/// Bits of a record's first byte; the lower four say which parts of the reply key are its own.
mod flag {
    pub(super) const SRC: u8 = 0x01;
    pub(super) const DST: u8 = 0x02;
    pub(super) const SRC_PORT: u8 = 0x04;
    pub(super) const DST_PORT: u8 = 0x08;
    pub(super) const INET6: u8 = 0x10;
    pub(super) const LOG_IN: u8 = 0x20;
    pub(super) const LOG_OUT: u8 = 0x40;
    pub(super) const REPEATED: u8 = 0x80;
}

const NO_SCALE: u8 = 15;

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

/// An address behind its family.
fn put_named(address: IpAddr, into: &mut Vec<u8>) {
    into.push(if address.is_ipv4() { 4 } else { 6 });
    put_address(address, into);
}

fn encode_range(kind: u8, first: u32, last: u32, into: &mut Vec<u8>) {
    into.push(kind);
    into.extend_from_slice(&first.to_be_bytes());
    into.push(last.wrapping_sub(first) as u8);
}

/// Appends [`Change::Upsert`] of a record.
pub fn encode_record(record: &FlowRecord, into: &mut Vec<u8>) {
    let FlowRecord {
        slot,
        generation,
        original,
        reply,
        interfaces,
        rules,
        gateways,
        progress,
        packets,
        bytes,
        age,
        idle,
        proxied,
    } = record;
    let plain = original.inverse();
    let mut flags = 0;
    let differs = [
        (flag::SRC, reply.src() != plain.src()),
        (flag::DST, reply.dst() != plain.dst()),
        (flag::SRC_PORT, reply.src_port() != plain.src_port()),
        (flag::DST_PORT, reply.dst_port() != plain.dst_port()),
        (flag::INET6, matches!(original, FlowKey::V6(_))),
        (flag::LOG_IN, rules[0].1),
        (flag::LOG_OUT, rules[1].1),
        (flag::REPEATED, matches!(progress, Progress::Other { repeated: true, .. })),
    ];
    for (bit, set) in differs {
        flags |= if set { bit } else { 0 };
    }
    into.extend_from_slice(&[kind::UPSERT, flags, original.protocol()]);
    into.extend_from_slice(&slot.to_be_bytes());
    into.extend_from_slice(&generation.to_be_bytes());
    put_address(original.src(), into);
    put_address(original.dst(), into);
    into.extend_from_slice(&original.src_port().to_be_bytes());
    into.extend_from_slice(&original.dst_port().to_be_bytes());
    if flags & flag::SRC != 0 {
        put_address(reply.src(), into);
    }
    if flags & flag::DST != 0 {
        put_address(reply.dst(), into);
    }
    if flags & flag::SRC_PORT != 0 {
        into.extend_from_slice(&reply.src_port().to_be_bytes());
    }
    if flags & flag::DST_PORT != 0 {
        into.extend_from_slice(&reply.dst_port().to_be_bytes());
    }
    into.extend_from_slice(&interfaces.map(|interface| interface.0));
    for (rule, _) in rules {
        into.extend_from_slice(&rule.0.to_be_bytes());
    }
    match progress {
        Progress::Tcp([a, b]) => {
            let scale = |end: &TcpEnd| end.scale.unwrap_or(NO_SCALE) & 15;
            into.extend_from_slice(&[(a.phase & 7) | (b.phase & 7) << 3, scale(a) | scale(b) << 4]);
            for end in [a, b] {
                into.extend_from_slice(&end.low.to_be_bytes());
                into.extend_from_slice(&end.high.to_be_bytes());
                into.extend_from_slice(&end.acked.to_be_bytes());
                into.extend_from_slice(&end.window.to_be_bytes());
            }
        }
        Progress::Other { traffic: [a, b], repeated: _ } => into.push((a & 7) | (b & 7) << 3),
    }
    for count in *packets {
        put_number(count.into(), into);
    }
    for count in *bytes {
        put_number(count, into);
    }
    put_number((*age).into(), into);
    put_number((*idle).into(), into);
    // What came later: a length, and parts that begin with their kind. A version that does not know them skips all of it.
    let start = into.len();
    into.push(0);
    if gateways.iter().any(Option::is_some) {
        into.push(part::GATEWAYS);
        for gateway in gateways {
            into.extend_from_slice(&gateway.map_or(0, |GatewayId(number)| number).to_be_bytes());
        }
    }
    if let Some(Proxied { waits, number, mss }) = proxied {
        into.extend_from_slice(&[part::PROXIED, u8::from(*waits)]);
        into.extend_from_slice(&number.to_be_bytes());
        into.extend_from_slice(&mss.to_be_bytes());
    }
    into[start] = (into.len() - start - 1) as u8;
}

fn put_address(address: IpAddr, into: &mut Vec<u8>) {
    match address {
        IpAddr::V4(v4) => into.extend_from_slice(&v4.octets()),
        IpAddr::V6(v6) => into.extend_from_slice(&v6.octets()),
    }
}

fn put_number(mut number: u64, into: &mut Vec<u8>) {
    while number > 0x7f {
        into.push(number as u8 | 0x80);
        number >>= 7;
    }
    into.push(number as u8);
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

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
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

    fn record(&mut self) -> Result<FlowRecord, Malformed> {
        let flags = self.byte()?;
        let number = self.byte()?;
        let (slot, generation) = (self.word()?, self.half()?);
        let inet6 = flags & flag::INET6 != 0;
        let (src, dst) = (self.address(inet6)?, self.address(inet6)?);
        let (src_port, dst_port) = (self.half()?, self.half()?);
        let key = |src, src_port, dst, dst_port| {
            FlowKey::new(number, src, src_port, dst, dst_port).ok_or(Malformed::Value)
        };
        let original = key(src, src_port, dst, dst_port)?;
        let reply = {
            let src = if flags & flag::SRC != 0 { self.address(inet6)? } else { dst };
            let dst = if flags & flag::DST != 0 { self.address(inet6)? } else { original.src() };
            let from = if flags & flag::SRC_PORT != 0 { self.half()? } else { dst_port };
            let to = if flags & flag::DST_PORT != 0 { self.half()? } else { src_port };
            key(src, from, dst, to)?
        };
        let interfaces = self.array()?.map(InterfaceId);
        let rules = [
            (RuleId(self.word()?), flags & flag::LOG_IN != 0),
            (RuleId(self.word()?), flags & flag::LOG_OUT != 0),
        ];
        let progress = match number {
            protocol::TCP if flags & flag::REPEATED == 0 => self.tcp()?,
            protocol::TCP => return Err(Malformed::Value),
            _ => self.other(flags & flag::REPEATED != 0)?,
        };
        let packets = [self.small()?, self.small()?];
        let bytes = [self.number(48)?, self.number(48)?];
        let (age, idle) = (self.small()?, self.small()?);
        let extension = self.byte()?;
        let (gateways, proxied) = parts(self.take(extension.into())?)?;
        Ok(FlowRecord {
            slot,
            generation,
            original,
            reply,
            interfaces,
            rules,
            gateways,
            progress,
            packets,
            bytes,
            age,
            idle,
            proxied,
        })
    }

    /// An address behind its family.
    fn named(&mut self) -> Result<IpAddr, Malformed> {
        match self.byte()? {
            4 => self.address(false),
            6 => self.address(true),
            _ => Err(Malformed::Value),
        }
    }

    fn tcp(&mut self) -> Result<Progress, Malformed> {
        let [phases, scales] = self.array()?;
        let mut end = |phase: u8, scale: u8| {
            let scale = match scale {
                NO_SCALE => None,
                shift => Some(shift),
            };
            if phase > 5 {
                return Err(Malformed::Value);
            }
            Ok(TcpEnd {
                phase,
                low: self.word()?,
                high: self.word()?,
                acked: self.word()?,
                window: self.half()?,
                scale,
            })
        };
        if phases & 0xc0 != 0 {
            return Err(Malformed::Value);
        }
        Ok(Progress::Tcp([end(phases & 7, scales & 15)?, end(phases >> 3, scales >> 4)?]))
    }

    fn other(&mut self, repeated: bool) -> Result<Progress, Malformed> {
        let bits = self.byte()?;
        let traffic = [bits & 7, bits >> 3];
        if traffic.iter().any(|way| *way > 2) {
            return Err(Malformed::Value);
        }
        Ok(Progress::Other { traffic, repeated })
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Malformed::Short)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Malformed::Short)?;
        self.rest = rest;
        Ok(*taken)
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        self.array().map(|[byte]: [u8; 1]| byte)
    }

    fn half(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_be_bytes)
    }

    fn word(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    fn long(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_be_bytes)
    }

    fn address(&mut self, inet6: bool) -> Result<IpAddr, Malformed> {
        if inet6 {
            self.array::<16>().map(|octets| IpAddr::V6(Ipv6Addr::from(octets)))
        } else {
            self.array::<4>().map(|octets| IpAddr::V4(Ipv4Addr::from(octets)))
        }
    }

    /// A variable-length number below 2^`bits`, in its shortest form.
    fn number(&mut self, bits: u32) -> Result<u64, Malformed> {
        let mut number = 0u64;
        for shift in (0..bits).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                let padded = byte == 0 && shift > 0;
                return if padded || number >> bits != 0 { Err(Malformed::Value) } else { Ok(number) };
            }
        }
        Err(Malformed::Value)
    }

    fn small(&mut self) -> Result<u32, Malformed> {
        self.number(32).map(|number| number as u32)
    }
}

/// The gateways by which a flow leaves, by way, and the handshake that the router made.
type Parts = ([Option<GatewayId>; 2], Option<Proxied>);

/// What a record says at its end; behind a part that is not known, nothing is.
fn parts(bytes: &[u8]) -> Result<Parts, Malformed> {
    let mut reader = Reader { rest: bytes };
    let (mut gateways, mut proxied) = ([None; 2], None);
    while let Ok(kind) = reader.byte() {
        match kind {
            part::GATEWAYS => {
                let gateway = |number: u32| Some(GatewayId(number)).filter(|_| number != 0);
                gateways = [gateway(reader.word()?), gateway(reader.word()?)];
            }
            part::PROXIED => {
                let waits = reader.byte()? != 0;
                proxied = Some(Proxied { waits, number: reader.word()?, mss: reader.half()? });
            }
            _ => break,
        }
    }
    Ok((gateways, proxied))
}

#[cfg(test)]
#[path = "flow_tests.rs"]
mod tests;
