//! ARP, neighbour discovery and router advertisements under any frames at any time: tables and outbox stay within
//! their bounds, every packet that waits comes out exactly once, and a scan drives out nobody who answered.
//!
//! Input: orders of one byte (the highest bit: which interface) and what they need.
#![no_main]

use std::collections::BTreeSet;
use std::net::IpAddr;

use koi::route::{
    AdvertiserLink, LinkConfig, NeighbourConfig, NeighbourRow, Neighbours, Outbox, RouterAdvertiser,
};
use koi::types::{Duration, Instant, InterfaceId, MacAddr, Seed};
use koi::wire::icmpv6::Envelope;
use koi::wire::nd::{self, Message};
use koi::wire::{FrameBuf, Packet, Parsed, arp};
use koi_fuzz::{Input, Repair, assert_sound};
use libfuzzer_sys::fuzz_target;

const RESOLVED: usize = 16_384;
const SILENT: usize = 1_024;
const PARKED: usize = 2_048;

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let mut world = World::new();
    for _ in 0..64 {
        if input.is_empty() {
            break;
        }
        world.step(&mut input);
    }
    world.finish();
});

struct World {
    engine: Neighbours<u32>,
    advertiser: RouterAdvertiser,
    links: Vec<LinkConfig>,
    now: Instant,
    out: Outbox<u32>,
    waiting: BTreeSet<u32>,
    parked: u32,
    scanned: bool,
}

impl World {
    fn new() -> Self {
        let links: Vec<LinkConfig> = (0..2u8)
            .map(|id| {
                let addresses = [
                    format!("192.168.{id}.1/24"),
                    format!("fe80::{}/64", id + 1),
                    format!("2001:db8:{id}::1/64"),
                ];
                let addresses = addresses.iter().map(|text| text.parse().expect("an address")).collect();
                let mac = MacAddr([2, 0, 0, 0, 0, id + 1]);
                LinkConfig { id: InterfaceId(id), mac, addresses, virtual_addresses: Vec::new(), peer: None }
            })
            .collect();
        let now = Instant::from_secs(1);
        let mut out = Outbox::default();
        let config = NeighbourConfig { links: links.clone() };
        let engine = Neighbours::new(config, Seed([1, 2]), now, &mut out);
        let advertising = links.iter().map(|link| AdvertiserLink {
            id: link.id,
            mac: link.mac,
            source_mac: link.mac,
            link_local: [0xfe80, 0, 0, 0, 0, 0, 0, u16::from(link.id.0) + 1].into(),
            mtu: 1_500,
            prefixes: AdvertiserLink::prefixes(link.addresses.iter().map(|net| net.addr())),
        });
        let advertiser = RouterAdvertiser::new(advertising.collect(), Seed([3, 4]), now);
        let mut world = World {
            engine,
            advertiser,
            links,
            now,
            out,
            waiting: BTreeSet::new(),
            parked: 0,
            scanned: false,
        };
        world.link(InterfaceId(0), true);
        world.link(InterfaceId(1), true);
        world.wait(Duration::from_secs(2));
        world
    }

    fn step(&mut self, input: &mut Input<'_>) {
        let order = input.byte();
        let interface = InterfaceId(order >> 7);
        match order & 7 {
            0 => self.arp(interface, input),
            1 => self.frame(interface, input.piece()),
            2 => self.advertisement(interface, input),
            3 => self.wait(Duration::from_millis(u64::from(input.word()) * 16)),
            4 => self.park(interface, input),
            5 => self.scan(interface, input.byte()),
            6 => self.link(interface, input.byte() & 1 != 0),
            _ => self.ask(interface, input),
        }
        self.check_bounds();
    }

    fn arp(&mut self, interface: InterfaceId, input: &mut Input<'_>) {
        let kind = input.byte();
        let address = |last| [192, 168, interface.0 ^ (kind >> 7), last].into();
        let repr = arp::Repr {
            operation: if kind & 1 != 0 { arp::Operation::Reply } else { arp::Operation::Request },
            sender_mac: MacAddr([kind & 3, 0, 0, 0, 9, input.byte()]),
            sender: address(input.byte()),
            target_mac: MacAddr::default(),
            target: address(input.byte()),
        };
        self.engine.handle_arp(self.now, interface, &repr.emit(MacAddr::BROADCAST), &mut self.out);
        self.drain(1);
    }

    fn frame(&mut self, interface: InterfaceId, bytes: &[u8]) {
        let mut bytes = bytes.to_vec();
        Repair::ALL.apply(&mut bytes);
        match Packet::parse(FrameBuf::copy_of(&bytes)) {
            Ok(Parsed::Arp(frame)) => {
                self.engine.handle_arp(self.now, interface, frame.bytes(), &mut self.out);
            }
            Ok(Parsed::Ip(packet)) if packet.transport_checksum_ok() => {
                self.advertiser.handle_solicitation(self.now, interface, &packet);
                self.engine.handle_nd(self.now, interface, &packet, &mut self.out);
            }
            Ok(Parsed::Ip(_)) | Err(_) => {}
        }
        self.drain(1);
    }

    /// An advertisement of one of a few neighbours.
    fn advertisement(&mut self, interface: InterfaceId, input: &mut Input<'_>) {
        let (who, mac) = (input.byte(), input.byte());
        let from = neighbour_v6(interface, who);
        let envelope = Envelope {
            from_mac: MacAddr([2, 0, 0, 0, 9, mac]),
            to_mac: self.links[usize::from(interface.0)].mac,
            from,
            to: [0xfe80, 0, 0, 0, 0, 0, 0, u16::from(interface.0) + 1].into(),
        };
        let message = Message::Advertisement {
            target: from,
            target_mac: Some(envelope.from_mac),
            router: false,
            solicited: mac & 1 != 0,
            overriding: mac & 2 != 0,
        };
        self.frame(interface, message.frame(envelope, &[]).bytes());
    }

    /// Neighbours ask for one of our addresses.
    fn ask(&mut self, interface: InterfaceId, input: &mut Input<'_>) {
        let (who, mac) = (input.byte(), input.byte());
        let from = if who & 1 == 0 { neighbour_v6(interface, who) } else { [0u16; 8].into() };
        let target = [0x2001, 0xdb8, interface.0.into(), 0, 0, 0, 0, 1].into();
        let from_mac = MacAddr([2, 0, 0, 0, 9, mac]);
        let envelope = Envelope::to_group(from_mac, from, nd::solicited_node(target));
        let source_mac = (who & 1 == 0).then_some(from_mac);
        let message = Message::Solicitation { target, source_mac, nonce: None };
        self.frame(interface, message.frame(envelope, &[]).bytes());
    }

    fn park(&mut self, interface: InterfaceId, input: &mut Input<'_>) {
        let (who, count) = (input.byte(), input.byte());
        let address = match who & 1 {
            0 => neighbour_v6(interface, who).into(),
            _ => [192, 168, interface.0, who].into(),
        };
        let Ok(id) = self.engine.entry(self.now, interface, address) else { return };
        assert!(self.engine.is_current(id));
        for _ in 0..count % 32 {
            if self.engine.mac(id, self.now).is_none() {
                self.waiting.insert(self.parked);
                self.engine.park(self.now, id, self.parked, &mut self.out);
                self.parked += 1;
                self.drain(1);
            }
        }
    }

    /// Somebody tries many addresses of a network.
    fn scan(&mut self, interface: InterfaceId, count: u8) {
        let answered = |rows: Vec<NeighbourRow>| -> BTreeSet<(IpAddr, InterfaceId)> {
            rows.iter().filter(|row| row.mac.is_some()).map(|row| (row.address, row.interface)).collect()
        };
        // Once is enough, and slow enough.
        if std::mem::replace(&mut self.scanned, true) {
            return;
        }
        let before = answered(self.engine.rows());
        for host in 0..u16::from(count) * 5 {
            let address = [0x2001, 0xdb8, interface.0.into(), 0, 0xbad, 0, 0, host].into();
            if let Ok(id) = self.engine.entry(self.now, interface, IpAddr::V6(address)) {
                self.waiting.insert(self.parked);
                self.engine.park(self.now, id, self.parked, &mut self.out);
                self.parked += 1;
                self.drain(1);
            }
        }
        assert_eq!(before, answered(self.engine.rows()), "a scan changes nothing for those who answered");
    }

    fn link(&mut self, interface: InterfaceId, up: bool) {
        self.engine.handle_link(self.now, interface, up, &mut self.out);
        self.advertiser.handle_link(self.now, interface, up);
        self.drain(6);
    }

    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        for _ in 0..32 {
            let due = [self.engine.poll_timeout(), self.advertiser.poll_timeout()];
            let due = due.into_iter().flatten().min();
            self.now = due.filter(|at| *at < end).unwrap_or(end).max(self.now);
            let most = self.engine.rows().len() + 16;
            // A call has a bound; with so many neighbours a few calls do all that is due.
            for _ in 0..=most / 128 {
                self.engine.handle_timeout(self.now, &mut self.out);
                if self.engine.poll_timeout().is_none_or(|at| at > self.now) {
                    break;
                }
            }
            self.advertiser.handle_timeout(self.now, &mut self.out.frames);
            assert!(self.engine.poll_timeout().is_none_or(|at| at > self.now), "it does not spin");
            assert!(self.advertiser.poll_timeout().is_none_or(|at| at > self.now), "it does not spin");
            self.drain(most);
            if self.now == end {
                return;
            }
        }
        self.now = end;
    }

    /// Takes what was said: at most so many frames, all of them sound; packets that no longer wait.
    fn drain(&mut self, most: usize) {
        assert!(self.out.frames.len() <= most, "{} frames", self.out.frames.len());
        for (interface, frame) in self.out.frames.drain(..) {
            let ours = self.links[usize::from(interface.0)].mac;
            assert_eq!(frame.bytes()[6..12], ours.0);
            match Packet::parse(frame) {
                Ok(Parsed::Arp(frame)) => {
                    let repr = arp::Repr::parse(frame.bytes()).expect("sensible ARP");
                    assert_eq!(repr.sender_mac, ours);
                }
                Ok(Parsed::Ip(packet)) => assert_sound(&packet),
                Err((reason, _)) => panic!("{reason:?}"),
            }
        }
        let out = &mut self.out;
        let ready = out.ready.drain(..).map(|(_, _, packet)| packet);
        let failed = out.failed.drain(..).map(|(_, _, packet)| packet);
        let dropped = out.dropped.drain(..).map(|(_, packet)| packet);
        for packet in ready.chain(failed).chain(dropped) {
            assert!(self.waiting.remove(&packet), "a packet comes out once");
        }
        assert!(out.counted.len() <= most && out.events.len() <= most);
        out.counted.clear();
        out.events.clear();
    }

    fn check_bounds(&self) {
        let rows = self.engine.rows();
        let silent = rows.iter().filter(|row| row.mac.is_none()).count();
        assert!(silent <= SILENT && rows.len() - silent <= RESOLVED && self.waiting.len() <= PARKED);
        for row in &rows {
            assert!(row.mac.is_none_or(|mac| !mac.is_multicast()), "{row:?}");
        }
    }

    /// In the end nobody waits.
    fn finish(mut self) {
        let rows = self.engine.rows();
        let names: BTreeSet<_> = rows.iter().map(|row| (row.interface, row.address)).collect();
        assert_eq!(names.len(), rows.len(), "one row for a neighbour");
        for _ in 0..4 {
            self.wait(Duration::from_secs(10));
        }
        assert!(self.waiting.is_empty(), "{} packets wait for ever", self.waiting.len());
    }
}

fn neighbour_v6(interface: InterfaceId, who: u8) -> std::net::Ipv6Addr {
    [0x2001, 0xdb8, interface.0.into(), 0, 0, 0, 0, 0x100 | u16::from(who)].into()
}
