//! What an end host does about "fragmentation needed" and "packet too big" (RFC 1191, RFC 8201).
//!
//! smoltcp does nothing, so the card does: it cuts TCP segments to the size that a router has named, as a card with
//! segmentation offload would. The cutting is the tests' own, not the router's.

use koi::types::MacAddr;
use koi::wire::{FrameBuf, Packet, Parsed, Transport, checksum, icmp_error};

/// The largest IP packet that the way is known to take.
#[derive(Default)]
pub struct PathMtu {
    /// Whether routers are believed.
    pub obeys: bool,
    /// As the last router said.
    pub known: Option<u16>,
    /// How many errors came.
    pub told: usize,
}

impl PathMtu {
    /// A frame has arrived.
    pub fn hear(&mut self, frame: &[u8], mac: MacAddr) {
        let Ok(Parsed::Ip(packet)) = Packet::parse(FrameBuf::copy_of(frame)) else { return };
        let Transport::IcmpError { kind, code } = packet.layout.transport else { return };
        if packet.dst_mac() != mac || icmp_error::quoted(&packet).is_err() {
            return;
        }
        let icmp = packet.transport();
        let v4 = packet.layout.key.dst().is_ipv4();
        if (v4 && (kind, code) == (3, 4)) || (!v4 && kind == 2) {
            self.told += 1;
            self.known = Some(u16::from_be_bytes([icmp[6], icmp[7]]));
        }
    }

    /// The frame as it may be sent: whole, or as several segments.
    pub fn fit(&self, frame: Vec<u8>) -> Vec<Vec<u8>> {
        let Some(mtu) = self.known.filter(|mtu| self.obeys && frame.len() > 14 + usize::from(*mtu)) else {
            return vec![frame];
        };
        match Packet::parse(FrameBuf::copy_of(&frame)) {
            Ok(Parsed::Ip(packet)) if matches!(packet.layout.transport, Transport::Tcp { .. }) => {
                cut(&packet, usize::from(mtu))
            }
            _ => vec![frame],
        }
    }
}

fn cut(packet: &Packet, mtu: usize) -> Vec<Vec<u8>> {
    let Transport::Tcp { header_len, seq, .. } = packet.layout.transport else { return Vec::new() };
    let (l3, l4) = (usize::from(packet.layout.l3), usize::from(packet.layout.l4));
    let frame = packet.frame.bytes();
    let data = l4 + usize::from(header_len);
    let payload = &frame[data..packet.layout.end as usize];
    let size = mtu - (data - l3);
    let pieces = payload.chunks(size).enumerate();
    pieces
        .map(|(number, piece)| {
            let mut bytes = [&frame[..data], piece].concat();
            let number = (seq.wrapping_add((number * size) as u32)).to_be_bytes();
            bytes[l4 + 4..l4 + 8].copy_from_slice(&number);
            let length = (bytes.len() - l4) as u16;
            if frame[l3] >> 4 == 4 {
                let total = (bytes.len() - l3) as u16;
                bytes[l3 + 2..l3 + 4].copy_from_slice(&total.to_be_bytes());
                bytes[l3 + 10..l3 + 12].fill(0);
                let sum = !checksum::sum(&bytes[l3..l4]);
                bytes[l3 + 10..l3 + 12].copy_from_slice(&sum.to_be_bytes());
            } else {
                bytes[l3 + 4..l3 + 6].copy_from_slice(&length.to_be_bytes());
            }
            bytes[l4 + 16..l4 + 18].fill(0);
            let key = packet.layout.key;
            let pseudo = checksum::pseudo_header(key.src(), key.dst(), 6, u32::from(length));
            let sum = !checksum::add(pseudo, checksum::sum(&bytes[l4..]));
            bytes[l4 + 16..l4 + 18].copy_from_slice(&sum.to_be_bytes());
            bytes
        })
        .collect()
}
