//! The neighbours and the advertiser against stations made by hand, in simulated time.

mod advertiser;
mod arp;
mod bounds;
mod discovery;
mod life;
mod virtual_ips;

use std::net::{IpAddr, Ipv6Addr};

use super::table::Limits;
use super::{Event, LinkConfig, NeighbourConfig, NeighbourId, Neighbours, Outbox};
use crate::types::{Duration, Instant, InterfaceId, MacAddr, Prefix, Seed};
use crate::wire::arp::{Operation, Repr};
use crate::wire::icmpv6::{self, Envelope};
use crate::wire::nd::{self, Message};
use crate::wire::{Drop, FrameBuf, Packet, Parsed, mld};

const LAN: InterfaceId = InterfaceId(0);
const OURS: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xa1]);
const THEIRS: MacAddr = MacAddr([2, 0, 0, 0, 0, 9]);
const OTHERS: MacAddr = MacAddr([2, 0, 0, 0, 0, 10]);

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn v6(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

fn link(addresses: &[&str]) -> LinkConfig {
    let mut addresses: Vec<Prefix> = addresses.iter().map(|text| text.parse().unwrap()).collect();
    addresses.push(format!("{}/64", icmpv6::link_local(OURS)).parse().unwrap());
    LinkConfig { id: LAN, mac: OURS, addresses, virtual_addresses: Vec::new(), peer: None }
}

/// What went out, read again.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Said {
    Arp {
        to: MacAddr,
        arp: Repr,
    },
    Discovery {
        to: MacAddr,
        from: IpAddr,
        message: Message,
    },
    /// A listener report of so many groups.
    Report(u8),
}

fn read(frame: FrameBuf) -> Said {
    match Packet::parse(frame) {
        Ok(Parsed::Arp(frame)) => {
            let arp = Repr::parse(frame.bytes()).unwrap();
            let to = MacAddr(frame.bytes()[..6].try_into().unwrap());
            Said::Arp { to, arp }
        }
        Ok(Parsed::Ip(packet)) => {
            assert!(packet.transport_checksum_ok());
            if packet.transport()[0] == 143 {
                return Said::Report(packet.transport()[7]);
            }
            let message = Message::read(&packet).unwrap();
            Said::Discovery { to: packet.dst_mac(), from: packet.layout.key.src(), message }
        }
        Err((drop, _)) => panic!("{drop}"),
    }
}

/// The engine, its time, and what it said.
struct Bench {
    now: Instant,
    /// Our IPv4 address.
    own: String,
    engine: Neighbours<u32>,
    out: Outbox<u32>,
}

impl Bench {
    /// A link that is up, with its addresses checked and announced.
    fn new(addresses: &[&str]) -> Self {
        let mut bench = Bench::down(addresses, Limits::ROUTER);
        bench.up();
        bench
    }

    fn down(addresses: &[&str], limits: Limits) -> Self {
        let now = Instant::from_secs(1000);
        let mut out = Outbox::default();
        let config = NeighbourConfig { links: vec![link(addresses)] };
        let engine = Neighbours::with_limits(config, limits, Seed([3, 4]), now, &mut out);
        let own = addresses[0].split('/').next().unwrap_or_default().into();
        Bench { now, own, engine, out }
    }

    fn up(&mut self) {
        self.engine.handle_link(self.now, LAN, true, &mut self.out);
        self.wait(5000);
        self.out = Outbox::default();
    }

    /// Time passes; everything that is due happens at its moment.
    fn wait(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        while let Some(at) = self.engine.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.engine.handle_timeout(self.now, &mut self.out);
        }
        self.now = end;
    }

    fn said(&mut self) -> Vec<Said> {
        self.out
            .frames
            .drain(..)
            .map(|(interface, frame)| (assert_eq!(interface, LAN), read(frame)).1)
            .collect()
    }

    fn events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.out.events)
    }

    fn counted(&mut self) -> Vec<Drop> {
        std::mem::take(&mut self.out.counted)
    }

    fn entry(&mut self, address: &str) -> NeighbourId {
        self.engine.entry(self.now, LAN, ip(address)).unwrap()
    }

    /// Sends packet `number` to a neighbour; true when its MAC address was known.
    fn send(&mut self, address: &str, number: u32) -> bool {
        let id = self.entry(address);
        let known = self.engine.mac(id, self.now).is_some();
        if !known {
            self.engine.park(self.now, id, number, &mut self.out);
        }
        known
    }

    fn arp(&mut self, operation: Operation, mac: MacAddr, sender: &str, target: &str) {
        let arp = Repr {
            operation,
            sender_mac: mac,
            sender: sender.parse().unwrap(),
            target_mac: OURS,
            target: target.parse().unwrap(),
        };
        self.engine.handle_arp(self.now, LAN, &arp.emit(OURS), &mut self.out);
    }

    fn discovery(&mut self, mac: MacAddr, from: &str, to: Ipv6Addr, message: Message) {
        let envelope = Envelope { from_mac: mac, to_mac: OURS, from: v6(from), to };
        self.packet(message.frame(envelope, &[]));
    }

    fn packet(&mut self, frame: FrameBuf) {
        let Ok(Parsed::Ip(packet)) = Packet::parse(frame) else { panic!("IPv6") };
        self.engine.handle_nd(self.now, LAN, &packet, &mut self.out);
    }

    /// An answer to our question.
    fn answer(&mut self, mac: MacAddr, address: &str) {
        match ip(address) {
            IpAddr::V4(_) => self.arp(Operation::Reply, mac, address, &self.own.clone()),
            IpAddr::V6(target) => {
                let message = advertisement(target, mac, true, true);
                self.discovery(mac, address, icmpv6::link_local(OURS), message);
            }
        }
    }

    fn state(&self, address: &str) -> &'static str {
        let row = self.engine.rows().into_iter().find(|row| row.address == ip(address));
        row.map_or("absent", |row| row.state)
    }

    fn ready(&mut self) -> Vec<(MacAddr, u32)> {
        self.out.ready.drain(..).map(|(_, mac, packet)| (mac, packet)).collect()
    }

    fn failed(&mut self) -> Vec<u32> {
        self.out.failed.drain(..).map(|(_, _, packet)| packet).collect()
    }
}

fn advertisement(target: Ipv6Addr, mac: MacAddr, solicited: bool, overriding: bool) -> Message {
    Message::Advertisement { target, target_mac: Some(mac), router: false, solicited, overriding }
}

fn solicitation(target: &str, source_mac: Option<MacAddr>) -> Message {
    Message::Solicitation { target: v6(target), source_mac, nonce: None }
}
