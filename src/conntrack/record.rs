//! One flow in memory.
//!
//! Invariant: `Record<Ipv4Addr>` is 112 bytes. Counters of bytes have 48 bits; counters of packets have 32 and stay
//! at the top when they get there. The number of the verdicts has 26 bits: there are no more pairs of verdicts than
//! flows. Two are about TCP's handshake, the other four are what replication remembers of a flow.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::chains::Link;
use super::index::Way;
use super::tcp::{Peer, Phase, Tcp};
use super::timer::{Class, Tick, Traffic};
use crate::types::InterfaceId;
use crate::wire::{FlowKey, FlowKey4, FlowKey6};

/// Addresses and ports of a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Ends<A> {
    pub(super) src: A,
    pub(super) dst: A,
    pub(super) src_port: u16,
    pub(super) dst_port: u16,
}

/// One flow. The order in memory is the written one, for the sake of [`Record::touch`].
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Record<A> {
    /// By [`Way`]: the original and the reply key.
    pub(super) ends: [Ends<A>; 2],
    pub(super) common: Common,
}

/// What flows of both families have.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Common {
    pub(super) protocol: u8,
    pub(super) class: Class,
    /// The interfaces by which packets of each way come in.
    pub(super) interfaces: [InterfaceId; 2],
    /// How often this slot has been given back.
    pub(super) generation: u16,
    /// By way three bits, TCP's [`Phase`] or [`Traffic`]; then [`ENDS_HERE`].
    phases: u8,
    /// TCP, by way four bits: window scale, or [`NO_SCALE`].
    scales: u8,
    /// When a packet was last accepted.
    pub(super) seen: Tick,
    pub(super) epoch: u32,
    /// By way; the node's own meaning.
    pub(super) next_hop: [u32; 2],
    /// TCP, by way: see [`Peer`].
    low: [u32; 2],
    high: [u32; 2],
    acked: [u32; 2],
    window: [u16; 2],
    packets: [u32; 2],
    bytes_low: [u32; 2],
    bytes_high: [u16; 2],
    /// The number of the verdicts that let the flow through, below six bits: [`DIRTY`] and so on.
    witness: u32,
    pub(super) created: Tick,
    pub(super) link: Link,
}

const _: () = assert!(size_of::<Record<Ipv4Addr>>() == 112);
const _: () = assert!(size_of::<Record<Ipv6Addr>>() == 160);

impl<A> Record<A> {
    /// Reads a word from each cache line that the record may lie in.
    #[inline]
    pub(super) fn touch(&self) -> u64 {
        let Common { protocol, next_hop, packets, link, .. } = &self.common;
        let ends = u64::from(self.ends[0].src_port) + u64::from(*protocol);
        ends + u64::from(next_hop[0]) + u64::from(packets[0]) + u64::from(link.end())
    }
}

/// The peer is not told yet of what is new: the slot is in line, or its range is. It outlives the flow, so that a slot is
/// in line once only.
const DIRTY: u32 = 1 << 28;
/// The peer was told of the flow, and will have to be told of its end.
const TOLD: u32 = 1 << 29;
/// TCP numbers come from the peer and are old: the next segment teaches them.
const RELEARN: u32 = 1 << 30;
/// TCP numbers were learned from the middle of a connection.
const LOOSE: u32 = 1 << 31;
/// The handshake is complete, and its source was told so.
const CONNECTED: u32 = 1 << 26;
/// The router made the handshake with the client: see `proxy`.
const PROXIED: u32 = 1 << 27;
const WITNESS: u32 = CONNECTED - 1;

const ENDS_HERE: u8 = 0x40;
const NO_SCALE: u8 = 15;

impl Common {
    /// A record that holds no flow.
    pub(super) const VACANT: Common = Common {
        protocol: 0,
        class: Class::Vacant,
        interfaces: [InterfaceId::SELF; 2],
        generation: 0,
        phases: 0,
        scales: NO_SCALE << 4 | NO_SCALE,
        seen: Tick::ZERO,
        epoch: 0,
        next_hop: [0; 2],
        low: [0; 2],
        high: [0; 2],
        acked: [0; 2],
        window: [0; 2],
        packets: [0; 2],
        bytes_low: [0; 2],
        bytes_high: [0; 2],
        witness: 0,
        created: Tick::ZERO,
        link: Link::NONE,
    };

    #[inline]
    pub(super) const fn ends_here(&self) -> bool {
        self.phases & ENDS_HERE != 0
    }

    /// A flow of the pair: there is one, and it is not the router's own.
    #[inline]
    pub(super) fn is_shared(&self) -> bool {
        self.class != Class::Vacant && !self.ends_here()
    }

    /// Both phases or kinds of traffic, and nothing else.
    #[inline]
    pub(super) const fn progress(&self) -> u8 {
        self.phases & !ENDS_HERE
    }

    pub(super) fn set_ends_here(&mut self, ends_here: bool) {
        self.phases = self.phases & !ENDS_HERE | if ends_here { ENDS_HERE } else { 0 };
    }

    /// The number of the verdicts that let the flow through.
    #[inline]
    pub(super) const fn witness(&self) -> u32 {
        self.witness & WITNESS
    }

    pub(super) fn set_witness(&mut self, number: u32) {
        debug_assert!(number <= WITNESS, "fewer pairs of verdicts than flows");
        self.witness = self.witness & !WITNESS | number & WITNESS;
    }

    const fn has(&self, bit: u32) -> bool {
        self.witness & bit != 0
    }

    fn set(&mut self, bit: u32, on: bool) {
        self.witness = self.witness & !bit | if on { bit } else { 0 };
    }

    pub(super) const fn is_dirty(&self) -> bool {
        self.has(DIRTY)
    }

    pub(super) fn set_dirty(&mut self, dirty: bool) {
        self.set(DIRTY, dirty);
    }

    pub(super) const fn is_told(&self) -> bool {
        self.has(TOLD)
    }

    pub(super) fn set_told(&mut self) {
        self.set(TOLD, true);
    }

    pub(super) const fn is_connected(&self) -> bool {
        self.has(CONNECTED)
    }

    pub(super) fn set_connected(&mut self) {
        self.set(CONNECTED, true);
    }

    #[inline]
    pub(super) const fn is_proxied(&self) -> bool {
        self.has(PROXIED)
    }

    pub(super) fn set_proxied(&mut self) {
        self.set(PROXIED, true);
    }

    #[inline]
    pub(super) const fn relearns(&self) -> bool {
        self.has(RELEARN)
    }

    /// The numbers are old.
    pub(super) fn set_relearn(&mut self, relearn: bool) {
        self.set(RELEARN, relearn);
        self.set(LOOSE, false);
    }

    /// The numbers have been learned.
    pub(super) fn set_learned(&mut self) {
        self.set(RELEARN, false);
        self.set(LOOSE, true);
    }

    /// Both phases or kinds of traffic, to be compared.
    #[inline]
    pub(super) const fn phases(&self) -> u8 {
        self.phases
    }

    /// Adds packets that passed.
    #[inline]
    pub(super) fn count(&mut self, way: Way, packets: u32, bytes: u32) {
        let way = way.index();
        self.packets[way] = self.packets[way].saturating_add(packets);
        let (low, carry) = self.bytes_low[way].overflowing_add(bytes);
        self.bytes_low[way] = low;
        self.bytes_high[way] = self.bytes_high[way].wrapping_add(u16::from(carry));
    }

    /// Packets and bytes by way.
    pub(super) fn counted(&self) -> ([u64; 2], [u64; 2]) {
        let bytes = |way: usize| u64::from(self.bytes_high[way]) << 32 | u64::from(self.bytes_low[way]);
        (self.packets.map(u64::from), [bytes(0), bytes(1)])
    }

    /// Takes over counts.
    pub(super) fn set_counted(&mut self, packets: [u32; 2], bytes: [u64; 2]) {
        self.packets = packets;
        self.bytes_low = bytes.map(|bytes| bytes as u32);
        self.bytes_high = bytes.map(|bytes| (bytes >> 32) as u16);
    }

    /// The connection, unpacked.
    #[inline]
    pub(super) fn tcp(&self) -> Tcp {
        let scale = |bits: u8| if bits == NO_SCALE { None } else { Some(bits) };
        let peer = |way: usize, phase: u8, bits: u8| Peer {
            phase: Phase::from_bits(phase),
            low: self.low[way],
            high: self.high[way],
            acked: self.acked[way],
            window: self.window[way],
            scale: scale(bits),
        };
        Tcp {
            peers: [
                peer(0, self.phases & 7, self.scales & 15),
                peer(1, self.phases >> 3 & 7, self.scales >> 4),
            ],
            loose: self.has(LOOSE),
        }
    }

    #[inline]
    pub(super) fn set_tcp(&mut self, tcp: &Tcp) {
        let Tcp { peers: [a, b], loose: _ } = tcp;
        self.low = [a.low, b.low];
        self.high = [a.high, b.high];
        self.acked = [a.acked, b.acked];
        self.window = [a.window, b.window];
        self.set_phases(a.phase as u8, b.phase as u8);
        self.scales = a.scale.unwrap_or(NO_SCALE) | b.scale.unwrap_or(NO_SCALE) << 4;
    }

    /// What each way has sent, for protocols other than TCP.
    #[inline]
    pub(super) fn traffic(&self) -> [Traffic; 2] {
        [Traffic::from_bits(self.phases & 7), Traffic::from_bits(self.phases >> 3 & 7)]
    }

    #[inline]
    pub(super) fn set_traffic(&mut self, [a, b]: [Traffic; 2]) {
        self.set_phases(a as u8, b as u8);
    }

    #[inline]
    fn set_phases(&mut self, a: u8, b: u8) {
        self.phases = self.phases & ENDS_HERE | a | b << 3;
    }
}

impl Ends<Ipv4Addr> {
    pub(super) const fn of(key: &FlowKey4) -> Self {
        Ends { src: key.src, dst: key.dst, src_port: key.src_port, dst_port: key.dst_port }
    }

    #[inline]
    pub(super) const fn key(&self, protocol: u8) -> FlowKey {
        let Ends { src, dst, src_port, dst_port } = *self;
        FlowKey::V4(FlowKey4 { src, dst, src_port, dst_port, protocol })
    }
}

impl Ends<Ipv6Addr> {
    pub(super) const fn of(key: &FlowKey6) -> Self {
        Ends { src: key.src, dst: key.dst, src_port: key.src_port, dst_port: key.dst_port }
    }

    #[inline]
    pub(super) const fn key(&self, protocol: u8) -> FlowKey {
        let Ends { src, dst, src_port, dst_port } = *self;
        FlowKey::V6(FlowKey6 { src, dst, src_port, dst_port, protocol })
    }
}
