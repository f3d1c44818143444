//! Echo: a request turned into its reply in place (RFC 792, RFC 4443 section 4.2).

use crate::wire::{ChecksumState, FlowKey, Packet, Transport, checksum};

/// Turns an echo request into its reply; false (and nothing changed) for anything else.
///
/// Swapping addresses leaves every sum as it is; only the type changes, and IPv4's TTL.
pub fn echo(packet: &mut Packet) -> bool {
    let kinds = match packet.layout.key {
        FlowKey::V4(_) => (8, 0),
        FlowKey::V6(_) => (128, 129),
    };
    if packet.layout.transport != (Transport::IcmpQuery { request: true }) || packet.transport()[0] != kinds.0
    {
        return false;
    }
    let partial = matches!(packet.frame.checksum, ChecksumState::Partial { .. });
    let icmp = packet.transport_mut();
    icmp[0] = kinds.1;
    if !partial {
        let field = u16::from_be_bytes([icmp[2], icmp[3]]);
        let difference =
            checksum::difference(u16::from_be_bytes([kinds.0, 0]), u16::from_be_bytes([kinds.1, 0]));
        icmp[2..4].copy_from_slice(&checksum::patch(field, difference).to_be_bytes());
    }
    let l3 = usize::from(packet.layout.l3);
    let bytes = packet.frame.bytes_mut();
    match packet.layout.key {
        FlowKey::V4(_) => {
            let (src, dst) = bytes[l3 + 12..l3 + 20].split_at_mut(4);
            src.swap_with_slice(dst);
            bytes[l3 + 8] = 64;
            bytes[l3 + 10..l3 + 12].fill(0);
            let header = usize::from(packet.layout.l4) - l3;
            let sum = !checksum::sum(&bytes[l3..l3 + header]);
            bytes[l3 + 10..l3 + 12].copy_from_slice(&sum.to_be_bytes());
        }
        FlowKey::V6(_) => {
            let (src, dst) = bytes[l3 + 8..l3 + 40].split_at_mut(16);
            src.swap_with_slice(dst);
            bytes[l3 + 7] = 64;
        }
    }
    packet.layout.hop_limit = 64;
    packet.layout.transport = Transport::IcmpQuery { request: false };
    packet.layout.key = packet.layout.key.inverse();
    true
}
