//! What must hold of every frame that a router puts on a cable, whatever happens.

use std::collections::HashSet;
use std::net::IpAddr;

use koi::wire::{FlowKey, FrameBuf, Packet, Parsed, Transport, arp, icmp_error};

use crate::world::{End, World};

/// Ports of the story's routers.
pub const WAN: u8 = 0;
pub const LAN: u8 = 1;
/// A pair's.
const SYNC: u8 = 3;

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
                // The cable between two nodes carries what only they see.
                End::Router(_, SYNC) => {}
                End::Router(_, port) => self.check(*port, frame),
                End::Host(host) if is_lan(world.peer(End::Host(*host))) => {
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

/// Where LAN hosts are plugged in.
fn is_lan(end: Option<End>) -> bool {
    match end {
        Some(End::Router(_, port)) => port == LAN,
        Some(End::Switch(switch, _)) => switch == usize::from(LAN),
        Some(End::Host(_)) | None => false,
    }
}

/// IPv4 networks behind the translation.
fn is_inside(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => matches!(v4.octets(), [192, 168, 1, _] | [10, 20, 0, _]),
        IpAddr::V6(_) => false,
    }
}

/// Hosts of the DMZ, whose numbers begin at ten; not the routers' own addresses there.
fn is_dmz(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.octets()[..3] == [10, 20, 0] && v4.octets()[3] >= 10,
        IpAddr::V6(v6) => {
            let [.., a, b, c, last] = v6.segments();
            v6.segments()[..4] == [0x2001, 0xdb8, 0x20, 0] && ([a, b, c] != [0; 3] || last >= 10)
        }
    }
}
