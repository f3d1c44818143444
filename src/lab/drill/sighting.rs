//! What a frame that a node has sent says about the node: whether it acts for the pair.

use std::net::{IpAddr, Ipv6Addr};

use super::stream;
use crate::io::stamped::Step;
use crate::types::Instant;
use crate::wire::{arp, ethertype, protocol};

/// The first bytes of a virtual MAC address.
const VIRTUAL: [u8; 5] = [0, 0, 0x5e, 0, 1];
/// ICMPv6 type of a neighbour advertisement.
const ADVERTISEMENT: u8 = 136;

/// What was seen.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// A CARP advertisement.
    Advert,
    /// Something else from a virtual MAC address.
    Virtual,
    /// ARP or ND that says where a virtual address is.
    Answer,
    /// A message of our streams, on its way through.
    Forward,
}

/// A frame that came out of a node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Sighting {
    /// When.
    pub at: Instant,
    /// Which node, in the order of the document.
    pub node: usize,
    /// At which switch, in the order of the network.
    pub switch: usize,
    /// What it was.
    pub kind: Kind,
}

/// What a frame is; `None` when any node may send it.
pub fn classify(frame: &[u8], virtual_ips: &[IpAddr]) -> Option<Kind> {
    let source = frame.get(6..12)?;
    let kind = match frame.get(12..14).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]))? {
        ethertype::ARP => {
            let arp = arp::Repr::parse(frame)?;
            virtual_ips.contains(&IpAddr::V4(arp.sender)).then_some(Kind::Answer)
        }
        ethertype::IPV4 => match *frame.get(23)? {
            protocol::CARP => Some(Kind::Advert),
            protocol::UDP => is_stream(frame).then_some(Kind::Forward),
            _ => None,
        },
        ethertype::IPV6 => match *frame.get(20)? {
            protocol::CARP => Some(Kind::Advert),
            protocol::ICMPV6 if frame.get(54) == Some(&ADVERTISEMENT) => {
                let target = frame.get(62..78).and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
                let target = target.map(|bytes| IpAddr::V6(Ipv6Addr::from(bytes)));
                target.is_some_and(|target| virtual_ips.contains(&target)).then_some(Kind::Answer)
            }
            _ => None,
        },
        _ => None,
    };
    kind.or_else(|| source.starts_with(&VIRTUAL).then_some(Kind::Virtual))
}

fn is_stream(frame: &[u8]) -> bool {
    let Some(first) = frame.get(14) else { return false };
    let at = 14 + usize::from(first & 0xf) * 4;
    let Some(ports) = frame.get(at..at + 4) else { return false };
    let ports = [u16::from_be_bytes([ports[0], ports[1]]), u16::from_be_bytes([ports[2], ports[3]])];
    ports.iter().any(|port| stream::PORTS.contains(port))
}

/// The same for the kernel, which then wakes nobody for other frames: what may be a sighting.
pub fn filter() -> Vec<Step> {
    const ARP: u32 = ethertype::ARP as u32;
    const IPV4: u32 = ethertype::IPV4 as u32;
    const IPV6: u32 = ethertype::IPV6 as u32;
    let [first, second] = stream::PORTS.map(u32::from);
    let mut steps = vec![Step::Half(12)];
    // ARP, all of it.
    steps.extend([Step::Equal(ARP, 0, 1), Step::Accept]);
    let udp = [
        Step::HeaderLen(14),
        Step::HalfBeyond(14),
        Step::Equal(first, 3, 0),
        Step::Equal(second, 2, 0),
        Step::HalfBeyond(16),
        Step::Equal(first, 0, 1),
        Step::Accept,
        Step::Equal(second, 0, 1),
        Step::Accept,
    ];
    let mut ipv4 = vec![Step::Byte(23), Step::Equal(u32::from(protocol::CARP), 0, 1), Step::Accept];
    ipv4.push(Step::Equal(u32::from(protocol::UDP), 0, udp.len() as u8));
    ipv4.extend(udp);
    let ipv6 = [
        Step::Byte(20),
        Step::Equal(u32::from(protocol::CARP), 0, 1),
        Step::Accept,
        Step::Equal(u32::from(protocol::ICMPV6), 0, 3),
        Step::Byte(54),
        Step::Equal(u32::from(ADVERTISEMENT), 0, 1),
        Step::Accept,
    ];
    steps.push(Step::Equal(IPV4, 0, ipv4.len() as u8));
    steps.extend(ipv4);
    steps.push(Step::Half(12));
    steps.push(Step::Equal(IPV6, 0, ipv6.len() as u8));
    steps.extend(ipv6);
    let virtual_mac = [
        Step::Word(6),
        Step::Equal(0x0000_5e00, 0, 4),
        Step::Half(10),
        Step::And(0xff00),
        Step::Equal(0x0100, 0, 1),
        Step::Accept,
        Step::Refuse,
    ];
    steps.extend(virtual_mac);
    steps
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::types::MacAddr;

    /// What the kernel would do.
    fn wanted(frame: &[u8]) -> bool {
        let number = |at: usize, len: usize| {
            frame
                .get(at..at + len)
                .map(|bytes| bytes.iter().fold(0u32, |sum, &byte| sum << 8 | u32::from(byte)))
        };
        let steps = filter();
        let (mut at, mut value, mut beyond) = (0, 0, 0);
        loop {
            let load = match steps[at] {
                Step::Byte(offset) => number(offset as usize, 1),
                Step::Half(offset) => number(offset as usize, 2),
                Step::Word(offset) => number(offset as usize, 4),
                Step::HalfBeyond(offset) => number(offset as usize + beyond, 2),
                Step::HeaderLen(offset) => {
                    beyond = (number(offset as usize, 1).unwrap_or(0) as usize & 0xf) * 4;
                    Some(value)
                }
                Step::And(bits) => Some(value & bits),
                Step::Equal(other, yes, no) => {
                    at += usize::from(if value == other { yes } else { no });
                    Some(value)
                }
                Step::Accept => return true,
                Step::Refuse => return false,
            };
            let Some(loaded) = load else { return false };
            value = loaded;
            at += 1;
        }
    }

    fn ipv4(protocol: u8, ports: [u16; 2]) -> Vec<u8> {
        let mut frame = vec![2; 12];
        frame.extend([8, 0, 0x46]);
        frame.resize(23, 0);
        frame.push(protocol);
        frame.resize(14 + 24, 0);
        frame.extend(ports.iter().flat_map(|port| port.to_be_bytes()));
        frame.resize(80, 0);
        frame
    }

    fn ipv6(next: u8, kind: u8, target: Ipv6Addr) -> Vec<u8> {
        let mut frame = vec![2; 12];
        frame.extend([0x86, 0xdd]);
        frame.resize(20, 0);
        frame.push(next);
        frame.resize(54, 0);
        frame.push(kind);
        frame.resize(62, 0);
        frame.extend(target.octets());
        frame
    }

    fn arp(sender: &str) -> Vec<u8> {
        arp::Repr {
            operation: arp::Operation::Reply,
            sender_mac: MacAddr([2, 0, 0, 0, 0, 1]),
            sender: sender.parse().unwrap(),
            target_mac: MacAddr::BROADCAST,
            target: Ipv4Addr::UNSPECIFIED,
        }
        .emit(MacAddr::BROADCAST)
        .to_vec()
    }

    #[test]
    fn frames_are_what_they_are_and_the_kernel_gives_us_those() {
        let vips: [IpAddr; 2] = ["192.168.1.1".parse().unwrap(), "2001:db8::1".parse().unwrap()];
        let vip6: Ipv6Addr = "2001:db8::1".parse().unwrap();
        let other: Ipv6Addr = "2001:db8::2".parse().unwrap();
        let mut from_virtual = ipv4(6, [1, 2]);
        from_virtual[6..12].copy_from_slice(&[0, 0, 0x5e, 0, 1, 7]);
        let mut vrrp = from_virtual.clone();
        vrrp[10] = 2;
        let [one, two] = stream::PORTS;
        for (frame, kind) in [
            (arp("192.168.1.1"), Some(Kind::Answer)),
            (ipv4(112, [0, 0]), Some(Kind::Advert)),
            (ipv4(17, [one, 9]), Some(Kind::Forward)),
            (ipv4(17, [9, one]), Some(Kind::Forward)),
            (ipv4(17, [two, 9]), Some(Kind::Forward)),
            (ipv4(17, [9, two]), Some(Kind::Forward)),
            (ipv6(112, 0, other), Some(Kind::Advert)),
            (ipv6(58, 136, vip6), Some(Kind::Answer)),
            (from_virtual, Some(Kind::Virtual)),
        ] {
            assert_eq!(classify(&frame, &vips), kind);
            assert!(wanted(&frame), "{kind:?}");
        }
        for frame in [ipv4(17, [9, 10]), ipv4(6, [one, one]), ipv6(58, 135, vip6), ipv6(6, 136, vip6), vrrp] {
            assert_eq!(classify(&frame, &vips), None);
            assert!(!wanted(&frame), "{frame:02x?}");
        }
        // The kernel does not know our addresses.
        for frame in [arp("192.168.1.2"), ipv6(58, 136, other)] {
            assert!(classify(&frame, &vips).is_none() && wanted(&frame));
        }
    }

    #[test]
    fn any_bytes_are_survived() {
        let long = ipv4(17, [1, 2]);
        for len in 0..long.len() {
            let _ = (classify(&long[..len], &[]), wanted(&long[..len]));
        }
    }
}
