//! smoltcp's network card: frames of ours in, frames of ours out, superpackets included.
//!
//! Invariant: nothing is copied but by smoltcp itself. A received packet is read where it lies, a packet to send is
//! written straight into the buffer that a port will hand to the kernel.
//!
//! smoltcp 0.14 drops IPv6 superpackets that are longer than the MTU and forgets their segment size. So the card
//! claims an MTU of 64 KiB; real segments follow the MSS of the two SYNs, which the stack clamps to the real MTU.

use std::net::IpAddr;
use std::num::NonZeroUsize;

use smoltcp::phy::{
    Checksum, ChecksumCapabilities, Device, DeviceCapabilities, Medium, PacketMeta, RxToken,
    SegmentationCapabilities, TxToken,
};

use crate::wire::{ChecksumState, FrameBuf, Gso, GsoKind, Pool, checksum, ethertype, protocol, tcp_flags};

/// Bytes of the Ethernet header that the packet path wants in front.
pub(super) const ETHERNET: usize = 14;
/// The largest packet that fits the length field of both families.
const LARGEST: usize = 65_535;
/// IP and TCP headers without options.
pub(super) const HEADERS_V4: usize = 40;
pub(super) const HEADERS_V6: usize = 60;

/// The card.
pub(super) struct Card {
    /// The packet that the stack may take now: the frame, and where its IP packet ends.
    pub incoming: Option<(FrameBuf, usize)>,
    taken: bool,
    pub outgoing: Vec<FrameBuf>,
    /// Nothing more is sent when `outgoing` holds this many.
    pub room: usize,
    /// Payload of a segment of the connection whose turn it is.
    pub segment: u16,
    pub pool: Pool,
    mtu: usize,
}

impl Card {
    pub fn new(mtu: usize) -> Self {
        let pool = Pool::new(256);
        Card { incoming: None, taken: false, outgoing: Vec::new(), room: 0, segment: 0, pool, mtu }
    }

    /// Puts in the next packet for the stack.
    pub fn insert(&mut self, frame: FrameBuf, end: usize) {
        self.incoming = Some((frame, end));
        self.taken = false;
    }

    /// Takes the buffer of the packet back.
    pub fn eject(&mut self) {
        if let Some((frame, _)) = self.incoming.take() {
            self.pool.give(frame);
        }
    }

    fn sending(&mut self) -> Sending<'_> {
        let Card { outgoing, pool, segment, mtu, .. } = self;
        Sending { outgoing, pool, segment: *segment, mtu: *mtu }
    }
}

impl Device for Card {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = Sending<'a>;

    fn receive(&mut self, _: smoltcp::time::Instant) -> Option<(Received<'_>, Sending<'_>)> {
        let Card { incoming, taken, outgoing, pool, segment, mtu, room: _ } = self;
        if std::mem::replace(taken, true) {
            return None;
        }
        let (frame, end) = incoming.as_ref()?;
        let bytes = frame.bytes().get(ETHERNET..*end).unwrap_or_default();
        Some((Received { bytes }, Sending { outgoing, pool, segment: *segment, mtu: *mtu }))
    }

    fn transmit(&mut self, _: smoltcp::time::Instant) -> Option<Sending<'_>> {
        (self.outgoing.len() < self.room).then(|| self.sending())
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = LARGEST;
        // The stack verifies before it feeds; whoever sends completes.
        let mut checksums = ChecksumCapabilities::default();
        checksums.tcp = Checksum::None;
        checksums.ipv4 = Checksum::Tx;
        capabilities.checksum = checksums;
        let mut segmentation = SegmentationCapabilities::default();
        segmentation.tcpv4 = whole_segments(self.mtu, HEADERS_V4);
        segmentation.tcpv6 = whole_segments(self.mtu, HEADERS_V6);
        capabilities.segmentation = segmentation;
        capabilities
    }
}

/// The longest packet whose payload is full segments only, so that a long transfer has no short ones in its middle.
fn whole_segments(mtu: usize, headers: usize) -> Option<NonZeroUsize> {
    let segment = mtu.saturating_sub(headers).max(1);
    NonZeroUsize::new((LARGEST - headers) / segment * segment + headers)
}

/// A packet for the stack.
pub(super) struct Received<'a> {
    bytes: &'a [u8],
}

impl RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.bytes)
    }
}

/// A packet of the stack's.
pub(super) struct Sending<'a> {
    outgoing: &'a mut Vec<FrameBuf>,
    pool: &'a mut Pool,
    segment: u16,
    mtu: usize,
}

impl TxToken for Sending<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut frame = self.pool.take();
        frame.clear();
        frame.set_len(ETHERNET + len);
        frame.bytes_mut()[..ETHERNET].fill(0);
        let result = f(&mut frame.bytes_mut()[ETHERNET..]);
        complete(&mut frame, self.segment, self.mtu);
        self.outgoing.push(frame);
        result
    }

    // Ignored: smoltcp sets it for IPv4 only, and to the very size that the stack knows anyway.
    fn set_meta(&mut self, _: PacketMeta) {}
}

/// Writes the EtherType, the sum of the pseudo header, and the MSS of a SYN; says how to cut a superpacket.
fn complete(frame: &mut FrameBuf, segment: u16, mtu: usize) {
    let bytes = frame.bytes_mut();
    let (ether, packet) = bytes.split_at_mut(ETHERNET);
    let (kind, family, header, number) = match packet.first().map(|byte| byte >> 4) {
        Some(4) => (GsoKind::Tcp4, ethertype::IPV4, usize::from(packet[0] & 15) * 4, packet[9]),
        Some(6) => (GsoKind::Tcp6, ethertype::IPV6, 40, packet[6]),
        _ => return,
    };
    ether[12..].copy_from_slice(&family.to_be_bytes());
    if number != protocol::TCP || packet.len() < header + 20 {
        return;
    }
    let (src, dst) = addresses(packet, kind);
    let tcp = &mut packet[header..];
    let sum = checksum::pseudo_header(src, dst, protocol::TCP, tcp.len() as u32);
    tcp[16..18].copy_from_slice(&sum.to_be_bytes());
    // smoltcp writes the MSS first, and from the MTU that the card claims.
    if tcp[13] & tcp_flags::SYN != 0 && tcp.len() >= 24 && tcp[20..22] == [2, 4] {
        let own = mtu.saturating_sub(header + 20).min(usize::from(u16::MAX)) as u16;
        tcp[22..24].copy_from_slice(&own.to_be_bytes());
    }
    let payload = tcp.len() - usize::from(tcp[12] >> 4) * 4;
    frame.checksum = ChecksumState::Partial { start: (ETHERNET + header) as u16, offset: 16 };
    if segment > 0 && payload > usize::from(segment) {
        frame.gso = Some(Gso { kind, ecn: false, size: segment });
    }
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
