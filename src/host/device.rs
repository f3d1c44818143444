//! smoltcp's network card: frames of ours in, frames of ours out, superpackets included.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::num::NonZeroUsize;

use smoltcp::phy::{
    Checksum, ChecksumCapabilities, Device, DeviceCapabilities, Medium, PacketMeta, RxToken,
    SegmentationCapabilities, TxToken,
};

use crate::wire::{ChecksumState, FrameBuf, Gso, GsoKind, Pool, checksum, protocol};

/// Bytes of the Ethernet header that the packet path wants in front.
const ETHERNET: usize = 14;
/// The largest packet that fits the length field of both families.
const LARGEST: usize = 65_535;

/// The card. Packets in it are whole IP packets behind an Ethernet header that nobody reads.
pub(super) struct Card {
    pub incoming: VecDeque<FrameBuf>,
    pub outgoing: Vec<FrameBuf>,
    pub pool: Pool,
    mtu: usize,
}

impl Card {
    pub fn new(mtu: usize) -> Self {
        Card { incoming: VecDeque::new(), outgoing: Vec::new(), pool: Pool::new(256), mtu }
    }
}

impl Device for Card {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = Sending<'a>;

    fn receive(&mut self, _: smoltcp::time::Instant) -> Option<(Received<'_>, Sending<'_>)> {
        let frame = self.incoming.pop_front()?;
        // Both tokens need the pool; the received buffer goes back by the next packet that is sent.
        let bytes = frame.bytes().get(ETHERNET..).unwrap_or_default().to_vec();
        self.pool.give(frame);
        let sending =
            Sending { outgoing: &mut self.outgoing, pool: &mut self.pool, meta: PacketMeta::default() };
        Some((Received { bytes, life: std::marker::PhantomData }, sending))
    }

    fn transmit(&mut self, _: smoltcp::time::Instant) -> Option<Sending<'_>> {
        Some(Sending { outgoing: &mut self.outgoing, pool: &mut self.pool, meta: PacketMeta::default() })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = self.mtu;
        // The packet path verifies what comes in and completes what goes out.
        let mut checksums = ChecksumCapabilities::default();
        checksums.tcp = Checksum::None;
        capabilities.checksum = checksums;
        let mut segmentation = SegmentationCapabilities::default();
        segmentation.tcpv4 = NonZeroUsize::new(LARGEST);
        segmentation.tcpv6 = NonZeroUsize::new(LARGEST);
        capabilities.segmentation = segmentation;
        capabilities
    }
}

/// A packet for the stack.
pub(super) struct Received<'a> {
    bytes: Vec<u8>,
    life: std::marker::PhantomData<&'a ()>,
}

impl RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.bytes)
    }
}

/// A packet of the stack's.
pub(super) struct Sending<'a> {
    outgoing: &'a mut Vec<FrameBuf>,
    pool: &'a mut Pool,
    meta: PacketMeta,
}

impl TxToken for Sending<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut frame = self.pool.take();
        frame.clear();
        frame.set_len(ETHERNET + len);
        let result = f(&mut frame.bytes_mut()[ETHERNET..]);
        let size = self.meta.segmentation_offload_size.map(|size| size.get());
        describe_offload(&mut frame, size);
        self.outgoing.push(frame);
        result
    }

    fn set_meta(&mut self, meta: PacketMeta) {
        self.meta = meta;
    }
}

/// smoltcp leaves TCP checksums to the card: the pseudo header's sum goes in, the rest is for whoever sends.
fn describe_offload(frame: &mut FrameBuf, size: Option<u16>) {
    let bytes = frame.bytes_mut();
    let packet = &mut bytes[ETHERNET..];
    let (kind, header, number) = match packet.first().map(|byte| byte >> 4) {
        Some(4) => (GsoKind::Tcp4, usize::from(packet[0] & 15) * 4, packet[9]),
        Some(6) => (GsoKind::Tcp6, 40, packet[6]),
        _ => return,
    };
    if number != protocol::TCP || packet.len() < header + 20 {
        return;
    }
    let (src, dst) = addresses(packet, kind);
    let length = (packet.len() - header) as u32;
    let sum = checksum::pseudo_header(src, dst, protocol::TCP, length);
    packet[header + 16..header + 18].copy_from_slice(&sum.to_be_bytes());
    let payload = packet.len() - header - usize::from(packet[header + 12] >> 4) * 4;
    frame.checksum = ChecksumState::Partial { start: (ETHERNET + header) as u16, offset: 16 };
    frame.gso = size.filter(|size| payload > usize::from(*size)).map(|size| Gso { kind, ecn: false, size });
}

fn addresses(packet: &[u8], kind: GsoKind) -> (IpAddr, IpAddr) {
    let v4 = |at: usize| IpAddr::from([packet[at], packet[at + 1], packet[at + 2], packet[at + 3]]);
    let v6 = |at: usize| {
        let mut octets = [0u8; 16];
        octets.copy_from_slice(&packet[at..at + 16]);
        IpAddr::from(octets)
    };
    match kind {
        GsoKind::Tcp6 => (v6(8), v6(24)),
        GsoKind::Tcp4 | GsoKind::Udp => (v4(12), v4(16)),
    }
}
