//! What must hold of every frame that a router puts on a cable, whatever happens.

use std::collections::HashSet;
use std::net::IpAddr;

use koi::wire::{FlowKey, FrameBuf, Packet, Parsed, Transport, arp, icmp_error};

use crate::world::{End, World};

/// Ports of the story's router.
pub const WAN: u8 = 0;
pub const LAN: u8 = 1;

/// An audit that goes on while the world does.
#[derive(Default)]
pub struct Audit {
    checked: usize,
    /// Flows that LAN hosts have begun, or answered.
    lan_spoke: HashSet<FlowKey>,
}

impl Audit {
    /// Checks all frames so far.
    pub fn all(world: &World) {
        Audit::default().go_on(world);
    }

    /// Checks the frames since the last time.
    pub fn go_on(&mut self, world: &World) {
        for (_, from, frame) in &world.seen[self.checked..] {
            match from {
                End::Router(0, port) => self.check(*port, frame),
                End::Router(..) => {}
                End::Host(host) if world.peer(End::Host(*host)) == Some(End::Router(0, LAN)) => {
                    if let Ok(Parsed::Ip(packet)) = Packet::parse(FrameBuf::copy_of(frame)) {
                        self.lan_spoke.insert(packet.layout.key);
                    }
                }
                End::Host(_) | End::Switch(..) => {}
            }
        }
        self.checked = world.seen.len();
    }

    fn check(&self, port: u8, frame: &[u8]) {
        assert!(frame.len() <= 1514, "{} bytes on port {port}", frame.len());
        let packet = match Packet::parse(FrameBuf::copy_of(frame)) {
            Ok(Parsed::Ip(packet)) => packet,
            Ok(Parsed::Arp(frame)) => {
                let said = arp::Repr::parse(frame.bytes()).expect("a right ARP packet");
                assert!(port != WAN || !is_inside(said.sender.into()), "{said:?} on WAN");
                return;
            }
            Err((drop, _)) => panic!("a router sent a frame that it would drop itself: {drop}"),
        };
        assert!(packet.transport_checksum_ok(), "{:?}", packet.layout);
        assert!(!packet.src_mac().is_multicast() && packet.src_mac().0 != [0; 6]);
        let key = packet.layout.key;
        let quoted = match packet.layout.transport {
            Transport::IcmpError { .. } => {
                Some(icmp_error::quoted(&packet).expect("an error that quotes a packet").key)
            }
            _ => None,
        };
        if port == WAN {
            for key in [Some(key), quoted].into_iter().flatten() {
                assert!(!is_inside(key.src()) && !is_inside(key.dst()), "{key} on WAN");
            }
        }
        if port == LAN && is_dmz(key.src()) {
            let asked = quoted.unwrap_or(key.inverse());
            assert!(self.lan_spoke.contains(&asked), "{key} from DMZ on LAN, where nobody asked");
        }
    }
}

/// IPv4 networks behind the translation.
fn is_inside(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => matches!(v4.octets(), [192, 168, 1, _] | [10, 20, 0, _]),
        IpAddr::V6(_) => false,
    }
}

/// Hosts of the DMZ; not the router's own addresses there.
fn is_dmz(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.octets()[..3] == [10, 20, 0] && v4.octets()[3] != 1,
        IpAddr::V6(v6) => {
            v6.segments()[..4] == [0x2001, 0xdb8, 0x20, 0] && v6.segments()[4..] != [0, 0, 0, 1]
        }
    }
}
