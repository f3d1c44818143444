//! ARP for IPv4 over Ethernet (RFC 826).

use std::net::Ipv4Addr;

use super::ethertype;
use crate::types::MacAddr;

/// What an ARP packet is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    /// Who has the target address?
    Request,
    /// The sender has its address.
    Reply,
}

/// A sensible ARP packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Repr {
    /// Request or reply.
    pub operation: Operation,
    /// Sender's MAC address.
    pub sender_mac: MacAddr,
    /// Sender's address; unspecified in a probe (RFC 5227).
    pub sender: Ipv4Addr,
    /// Target's MAC address; zero in a request.
    pub target_mac: MacAddr,
    /// Target's address.
    pub target: Ipv4Addr,
}

impl Repr {
    /// Reads the ARP packet in an Ethernet frame; `None` when it is none, or not Ethernet and IPv4.
    pub fn parse(frame: &[u8]) -> Option<Self> {
        let body = frame.get(14..42)?;
        if body[..6] != [0, 1, 8, 0, 6, 4] {
            return None;
        }
        let operation = match body[6..8] {
            [0, 1] => Operation::Request,
            [0, 2] => Operation::Reply,
            _ => return None,
        };
        let mac = |at: usize| {
            MacAddr([body[at], body[at + 1], body[at + 2], body[at + 3], body[at + 4], body[at + 5]])
        };
        let address = |at: usize| Ipv4Addr::new(body[at], body[at + 1], body[at + 2], body[at + 3]);
        Some(Repr {
            operation,
            sender_mac: mac(8),
            sender: address(14),
            target_mac: mac(18),
            target: address(24),
        })
    }

    /// The whole frame, from the sender to `to`.
    pub fn emit(&self, to: MacAddr) -> [u8; 42] {
        let Repr { operation, sender_mac, sender, target_mac, target } = *self;
        let mut frame = [0u8; 42];
        frame[..6].copy_from_slice(&to.0);
        frame[6..12].copy_from_slice(&sender_mac.0);
        frame[12..14].copy_from_slice(&ethertype::ARP.to_be_bytes());
        frame[14..20].copy_from_slice(&[0, 1, 8, 0, 6, 4]);
        frame[21] = match operation {
            Operation::Request => 1,
            Operation::Reply => 2,
        };
        frame[22..28].copy_from_slice(&sender_mac.0);
        frame[28..32].copy_from_slice(&sender.octets());
        frame[32..38].copy_from_slice(&target_mac.0);
        frame[38..42].copy_from_slice(&target.octets());
        frame
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_emitted_is_parsed(sender_mac: [u8; 6], target_mac: [u8; 6], sender: u32, target: u32, request: bool) {
            let repr = Repr {
                operation: if request { Operation::Request } else { Operation::Reply },
                sender_mac: MacAddr(sender_mac),
                sender: sender.into(),
                target_mac: MacAddr(target_mac),
                target: target.into(),
            };
            prop_assert_eq!(Repr::parse(&repr.emit(MacAddr::BROADCAST)), Some(repr));
        }

        #[test]
        fn total_on_arbitrary_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            Repr::parse(&bytes);
        }
    }
}
