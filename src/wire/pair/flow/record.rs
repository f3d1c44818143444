//! A flow as one node tells it to the other, and its bytes.

use super::bytes::{Malformed, Reader, put_address, put_number};
use super::kind;
use crate::types::{GatewayId, InterfaceId, RuleId};
use crate::wire::{FlowKey, protocol};

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

/// Appends [`Change::Upsert`](super::Change::Upsert) of a record.
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

impl Reader<'_> {
    pub(super) fn record(&mut self) -> Result<FlowRecord, Malformed> {
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
