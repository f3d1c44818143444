//! Strangers by the thousand: what is established goes on, what is bounded stays so, and the counters tell.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use koi::types::Seed;
use koi::wire::arp::Operation;
use koi::wire::{Drop, FrameBuf, Packet, Parsed};

use crate::audit::{Audit, LAN, WAN};
use crate::cable::Quality;
use crate::forge::{self, Ends, Stations};
use crate::story::{LAN_ANYWHERE, SERVER, Story, document, ip, with_state_limit};
use crate::transfers::Transfer;
use crate::world::End;
use crate::{for_each_seed, for_some_seeds};

const LIMIT: usize = 400;
const ROUTER: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 1);
const OUTSIDE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 2);

#[test]
fn floods_from_both_sides_do_not_stop_a_transfer() {
    for_each_seed(|seed| {
        let small = with_state_limit(&document(LAN_ANYWHERE, ""), LIMIT as u32);
        let mut story = Story::with(seed, Quality::CLEAN, &small);
        let macs = [story.router_mac(WAN), story.router_mac(LAN)];
        let Story { client, server, .. } = story;
        let world = &mut story.world;
        let mut random = Seed([seed, 4]).random();
        let mut transfer = Transfer::new(world, client, server, SERVER, 80, seed);
        world.run_until(Duration::from_secs(60), "a beginning", |world| {
            transfer.advance(world);
            transfer.received.len() > 10_000
        });
        let before = world.routers[0].shard.drops_of(Drop::BlockedIn);
        let wan = Stations { from: world.hosts[server].mac, to: macs[0] };
        let lan = Stations { from: world.hosts[client].mac, to: macs[1] };
        for round in 0..40u8 {
            for number in 0..25u16 {
                let word = random.next();
                let stranger = Ipv4Addr::new(198, 51, (word >> 8) as u8, 1 + (word % 250) as u8);
                let ends =
                    Ends { from: (stranger, 1024 + number), to: (OUTSIDE, 1 + (word >> 32) as u16 / 2) };
                let frame = match number % 2 {
                    0 => forge::udp(wan, ends, b"hello"),
                    _ => forge::syn(wan, ends, word as u32),
                };
                world.emit(End::Host(server), frame);
                // One loud host, and many that are not.
                let host = if number < 5 { 50 } else { 60 + (word % 150) as u8 };
                let far = Ipv4Addr::new(198, 51, 100, 1 + (word >> 16) as u8 % 250);
                let from = (Ipv4Addr::new(192, 168, 1, host), 2000 + u16::from(round) * 25 + number);
                world.emit(End::Host(client), forge::syn(lan, Ends { from, to: (far, 80) }, word as u32));
            }
            transfer.go_on(world, Duration::from_micros(500));
            assert!(world.routers[0].shard.states() <= LIMIT);
        }
        transfer.finish(world);
        let shard = &world.routers[0].shard;
        assert_eq!(shard.drops_of(Drop::BlockedIn) - before, 1000, "every stranger from WAN is counted");
        assert!(shard.drops_of(Drop::SourceLimit) > 0, "one source has a limit");
        let states = shard.snapshot(world.now).states;
        assert!(states.evicted > 0, "half-open flows made room: {states:?}");
        Transfer::new(world, client, server, SERVER, 81, seed + 1).finish(world);
        Audit::all(world);
    });
}

#[test]
fn a_full_table_of_established_flows_refuses_new_ones_and_keeps_the_old() {
    for_each_seed(|seed| {
        let small = with_state_limit(&document(LAN_ANYWHERE, ""), 32);
        let mut story = Story::with(seed, Quality::CLEAN, &small);
        let Story { client, server, .. } = story;
        let world = &mut story.world;
        let mut transfers = Vec::new();
        for number in 0..32u16 {
            let to = (SERVER, 1000 + number);
            let data = vec![number as u8; 1000];
            let mut transfer = Transfer::begin(world, client, server, to, 2000 + number, data);
            transfer.finish(world);
            transfers.push(transfer);
        }
        assert_eq!(world.routers[0].shard.states(), 32);
        let mut refused = Transfer::new(world, client, server, SERVER, 80, seed);
        refused.go_on(world, Duration::from_secs(5));
        assert!(refused.received.is_empty());
        assert!(world.routers[0].shard.drops_of(Drop::StateLimit) > 0);
        for transfer in &mut transfers {
            transfer.append(b"still here");
            transfer.finish(world);
        }
        assert_eq!(world.routers[0].shard.snapshot(world.now).states.evicted, 0);
    });
}

/// What a station writes into its packets.
fn name((address, port): (Ipv4Addr, u16)) -> Vec<u8> {
    [&address.octets()[..], &port.to_be_bytes()].concat()
}

/// Ports that outbound NAT has for one destination.
const PORTS: usize = 65_536 - 1024;

#[test]
fn a_destination_without_a_port_left_is_counted_and_no_answer_goes_astray() {
    for_some_seeds(2, |seed| {
        let mut story = Story::new(seed, Quality::CLEAN);
        let macs = [story.router_mac(WAN), story.router_mac(LAN)];
        let Story { client, server, .. } = story;
        let world = &mut story.world;
        let asked = world.hosts[server].udp(53);
        let handle = world.hosts[client].ping(1);
        world.hosts[client].ask(handle, 1, ip(SERVER));
        world.run_for(Duration::from_secs(1));
        let lan = Stations { from: world.hosts[client].mac, to: macs[1] };
        let target = (Ipv4Addr::new(203, 0, 113, 1), 53);
        let before = world.seen.len();
        for number in 0..PORTS + 500 {
            // A source may hold 10,000 unanswered flows.
            let from =
                (Ipv4Addr::new(192, 168, 1, 100 + (number / 9000) as u8), 1000 + (number % 9000) as u16);
            world.emit(End::Host(client), forge::udp(lan, Ends { from, to: target }, &name(from)));
            if number % 64 == 63 {
                world.run_for(Duration::from_micros(300));
                while world.hosts[server].hear(asked).is_some() {}
            }
        }
        world.run_for(Duration::from_millis(100));
        assert_eq!(world.routers[0].shard.drops_of(Drop::PortsExhausted), 500);
        let left = world.seen[before..].iter().filter(|(_, from, _)| *from == End::Router(0, WAN));
        let names = left.filter_map(|(_, _, frame)| match Packet::parse(FrameBuf::copy_of(frame)) {
            Ok(Parsed::Ip(packet)) if packet.layout.key.dst_port() == 53 => {
                Some((packet.layout.key.src_port(), packet.transport()[8..14].to_vec()))
            }
            Ok(_) | Err(_) => None,
        });
        let names: Vec<(u16, Vec<u8>)> = names.collect();
        let distinct: HashSet<u16> = names.iter().map(|(port, _)| *port).collect();
        assert_eq!((names.len(), distinct.len()), (PORTS, PORTS), "nobody shares a port");
        assert!(distinct.iter().all(|port| *port >= 1024));
        // An answer says whom it is for, and goes there.
        let wan = Stations { from: world.hosts[server].mac, to: macs[0] };
        for station in 100..108 {
            let who_has =
                forge::arp(Operation::Request, lan.from, Ipv4Addr::new(192, 168, 1, station), ROUTER);
            world.emit(End::Host(client), who_has);
        }
        world.run_for(Duration::from_millis(10));
        let before = world.seen.len();
        for (port, name) in names.iter().step_by(997) {
            world.emit(End::Host(server), forge::udp(wan, Ends { from: target, to: (OUTSIDE, *port) }, name));
            world.run_for(Duration::from_millis(1));
        }
        let answers = world.seen[before..].iter().filter(|(_, from, _)| *from == End::Router(0, LAN));
        let mut count = 0;
        for (_, _, frame) in answers {
            if let Ok(Parsed::Ip(packet)) = Packet::parse(FrameBuf::copy_of(frame)) {
                let key = packet.layout.key;
                let IpAddr::V4(to) = key.dst() else { panic!("{key}") };
                assert_eq!(packet.transport()[8..14], name((to, key.dst_port())), "{key} is somebody else's");
                count += 1;
            }
        }
        assert_eq!(count, names.len().div_ceil(997));
        // Another destination still has them all.
        let asker = world.hosts[client].udp(5000);
        let other = world.hosts[server].udp(54);
        world.hosts[client].say(asker, (ip(SERVER), 54), b"and here?");
        assert_eq!(world.await_datagram(server, other).0, b"and here?");
    });
}
