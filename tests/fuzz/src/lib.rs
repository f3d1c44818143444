//! What the targets share: reading an input piece by piece, putting checksums right, and a naive model of them.
//!
//! The model is written apart from `koi::wire::checksum` on purpose: an oracle must not share its subject's mistakes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use koi::wire::{ChecksumState, FlowKey, Fragment, FrameBuf, Layout, Packet, Parsed, Transport, protocol};

/// An input, read from its front. At the end everything is zero or empty.
pub struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    /// Begins.
    pub fn new(data: &'a [u8]) -> Self {
        Input(data)
    }

    /// True when nothing is left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One byte.
    pub fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }

    /// Two bytes.
    pub fn word(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    /// Up to `count` bytes.
    pub fn take(&mut self, count: usize) -> &'a [u8] {
        let (piece, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        piece
    }

    /// Bytes behind their length (two bytes).
    pub fn piece(&mut self) -> &'a [u8] {
        let count = self.word();
        self.take(count.into())
    }

    /// All that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        self.take(usize::MAX)
    }

    /// An address of the same family as `like`.
    pub fn address(&mut self, like: IpAddr) -> IpAddr {
        let mut octets = [0; 16];
        let piece = self.take(if like.is_ipv4() { 4 } else { 16 });
        octets[..piece.len()].copy_from_slice(piece);
        match like {
            IpAddr::V4(_) => Ipv4Addr::new(octets[0], octets[1], octets[2], octets[3]).into(),
            IpAddr::V6(_) => Ipv6Addr::from(octets).into(),
        }
    }
}

/// What is put right in a frame before it is used, so that a mutation does not end at the first checksum.
#[derive(Clone, Copy)]
pub struct Repair(u8);

impl Repair {
    /// Everything.
    pub const ALL: Repair = Repair(7);

    /// The lowest bits: lengths, IPv4 header checksum, transport checksum.
    pub fn from_bits(bits: u8) -> Self {
        Repair(bits & 7)
    }

    /// An untagged frame, repaired.
    pub fn apply(self, frame: &mut [u8]) {
        let Some(kind) = frame.get(12..14).map(|kind| [kind[0], kind[1]]) else { return };
        let len = frame.len() - 14;
        match kind {
            [8, 0] if len >= 20 => {
                let header_len = usize::from(frame[14] & 15) * 4;
                if self.0 & 1 != 0 {
                    frame[16..18].copy_from_slice(&(len.min(65_535) as u16).to_be_bytes());
                }
                if self.0 & 2 != 0 && header_len >= 20 && header_len <= len {
                    frame[24..26].fill(0);
                    let value = !sum(&frame[14..14 + header_len]);
                    frame[24..26].copy_from_slice(&value.to_be_bytes());
                }
            }
            [0x86, 0xdd] if len >= 40 && self.0 & 1 != 0 => {
                frame[18..20].copy_from_slice(&((len - 40).min(65_535) as u16).to_be_bytes());
            }
            _ => {}
        }
        if self.0 & 4 != 0 {
            self.transport(frame);
        }
    }

    /// UDP length and transport checksum.
    fn transport(self, frame: &mut [u8]) {
        if self.0 & 1 != 0 {
            // A wrong UDP length is refused, so it is set before the packet can be parsed.
            let (at, whole) = match frame[12] {
                8 => (
                    14 + frame.get(14).map_or(0, |byte| usize::from(byte & 15) * 4),
                    frame.get(23) == Some(&17),
                ),
                _ => (54, frame.get(20) == Some(&17)),
            };
            if whole && frame.len() >= at + 8 {
                let length = (frame.len() - at).min(65_535) as u16;
                frame[at + 4..at + 6].copy_from_slice(&length.to_be_bytes());
            }
        }
        let Some(packet) = ip(FrameBuf::copy_of(frame)) else { return };
        let Some(at) = checksum_at(&packet) else { return };
        if packet.layout.fragment != Fragment::Whole {
            return;
        }
        let place = usize::from(packet.layout.l4) + at;
        frame[place..place + 2].fill(0);
        let Some(packet) = ip(FrameBuf::copy_of(frame)) else { return };
        let value = match !covered(&packet) {
            0 if packet.layout.key.protocol() == protocol::UDP => 0xffff,
            value => value,
        };
        frame[place..place + 2].copy_from_slice(&value.to_be_bytes());
    }
}

/// Makes the transport checksum of a whole packet a partial one: the sum of the pseudo header.
pub fn make_partial(frame: &mut [u8]) {
    let Some(packet) = ip(FrameBuf::copy_of(frame)) else { return };
    if let Some(at) = checksum_at(&packet).filter(|_| packet.layout.fragment == Fragment::Whole) {
        let place = usize::from(packet.layout.l4) + at;
        frame[place..place + 2].copy_from_slice(&sum(&pseudo_header(&packet)).to_be_bytes());
    }
}

/// The packet in a frame, when there is one.
pub fn ip(frame: FrameBuf) -> Option<Packet> {
    match Packet::parse(frame) {
        Ok(Parsed::Ip(packet)) => Some(packet),
        Ok(Parsed::Arp(_)) | Err(_) => None,
    }
}

/// One's-complement sum, the slow way.
pub fn sum(bytes: &[u8]) -> u16 {
    let mut total: u64 = 0;
    for pair in bytes.chunks(2) {
        total += u64::from(pair[0]) << 8 | u64::from(pair.get(1).copied().unwrap_or(0));
    }
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    total as u16
}

/// Where, in the transport header, the checksum of a packet's protocol is.
pub fn checksum_at(packet: &Packet) -> Option<usize> {
    if matches!(packet.layout.fragment, Fragment::Part { offset, .. } if offset > 0) {
        return None;
    }
    match (packet.layout.key.protocol(), packet.layout.key) {
        (protocol::TCP, _) => Some(16),
        (protocol::UDP, _) => Some(6),
        (protocol::ICMP, FlowKey::V4(_)) | (protocol::ICMPV6, FlowKey::V6(_)) => Some(2),
        _ => None,
    }
}

/// What the transport checksum covers: of UDP the datagram alone, whatever stands behind it.
fn transport(packet: &Packet) -> &[u8] {
    let bytes = packet.transport();
    match packet.layout.key.protocol() {
        protocol::UDP if packet.frame.gso.is_none() => {
            &bytes[..usize::from(u16::from_be_bytes([bytes[4], bytes[5]])).min(bytes.len())]
        }
        _ => bytes,
    }
}

/// The sum over all that a complete transport checksum covers, the field itself included.
fn covered(packet: &Packet) -> u16 {
    let mut bytes = match packet.layout.key.protocol() {
        protocol::ICMP => Vec::new(),
        _ => pseudo_header(packet),
    };
    bytes.extend_from_slice(transport(packet));
    sum(&bytes)
}

fn pseudo_header(packet: &Packet) -> Vec<u8> {
    let mut bytes = Vec::new();
    for address in [packet.layout.key.src(), packet.layout.key.dst()] {
        match address {
            IpAddr::V4(address) => bytes.extend_from_slice(&address.octets()),
            IpAddr::V6(address) => bytes.extend_from_slice(&address.octets()),
        }
    }
    bytes.extend_from_slice(&(transport(packet).len() as u32).to_be_bytes());
    bytes.extend_from_slice(&[0, 0, 0, packet.layout.key.protocol()]);
    bytes
}

/// How far the sums of a packet are from right (0: right): IPv4 header, transport. A transport without a checksum, a
/// fragment, or UDP's "none" counts as right.
pub fn deviation(packet: &Packet) -> (u16, u16) {
    let l3 = usize::from(packet.layout.l3);
    let header = match packet.layout.key {
        FlowKey::V4(_) => sum(&packet.frame.bytes()[l3..usize::from(packet.layout.l4)]) % 0xffff,
        FlowKey::V6(_) => 0,
    };
    let Some(at) = checksum_at(packet).filter(|_| packet.layout.fragment == Fragment::Whole) else {
        return (header, 0);
    };
    let field = &packet.transport()[at..at + 2];
    let partial = matches!(packet.frame.checksum, ChecksumState::Partial { .. });
    if packet.layout.key.protocol() == protocol::UDP && field == [0, 0] && !partial {
        return (header, 0);
    }
    let field = u32::from(u16::from_be_bytes([field[0], field[1]]));
    let transport = match packet.frame.checksum {
        ChecksumState::Unverified | ChecksumState::Valid => covered(packet) % 0xffff,
        // The field holds the sum of the pseudo header only.
        ChecksumState::Partial { .. } => ((field + u32::from(!sum(&pseudo_header(packet)))) % 0xffff) as u16,
    };
    (header, transport)
}

/// Asserts that a frame which the router made or changed is one that every host would take.
pub fn assert_sound(packet: &Packet) {
    assert_eq!(deviation(packet), (0, 0), "checksums of {:?} {:02x?}", packet.layout, packet.frame.bytes());
    assert_layout(packet);
}

/// Asserts that a layout stays within its frame and is what parsing the frame again gives.
pub fn assert_layout(packet: &Packet) {
    let layout = &packet.layout;
    let (l3, l4, end) = (usize::from(layout.l3), usize::from(layout.l4), layout.end as usize);
    assert!(l3 == 14 && l3 + 20 <= l4 && l4 <= end && end <= packet.frame.len(), "{layout:?}");
    let mut again = FrameBuf::with_room(end);
    again.set(&packet.frame.bytes()[..end]);
    (again.checksum, again.gso) = (packet.frame.checksum, packet.frame.gso);
    let again = ip(again).expect("what was parsed is parsed again");
    assert_eq!(facts(&again.layout), facts(layout));
}

/// All that a frame alone tells: how it was put together is not in it.
fn facts(layout: &Layout) -> impl PartialEq + std::fmt::Debug + use<> {
    let Layout { key, l3, l4, end, transport, fragment, hop_limit, .. } = *layout;
    let Layout { traffic_class, dont_fragment, options, reassembled: _, .. } = *layout;
    (key, l3, l4, end, transport, fragment, hop_limit, traffic_class, dont_fragment, options)
}

/// A key for `packet` with other addresses and ports from the input, such as a translation may give.
pub fn other_key(packet: &Packet, input: &mut Input<'_>) -> FlowKey {
    let key = packet.layout.key;
    let (src, dst) = (input.address(key.src()), input.address(key.dst()));
    let (src_port, dst_port) = match packet.layout.transport {
        Transport::Tcp { .. } | Transport::Udp => (input.word(), input.word()),
        Transport::IcmpQuery { request: true } => (input.word(), key.dst_port()),
        Transport::IcmpQuery { request: false } => (key.src_port(), input.word()),
        Transport::IcmpError { .. } | Transport::IcmpOther { .. } | Transport::Other => (0, 0),
    };
    FlowKey::new(key.protocol(), src, src_port, dst, dst_port).expect("one family")
}
