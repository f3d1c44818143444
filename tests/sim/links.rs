//! Cables that are pulled, ports that flap, neighbours that move.

use std::net::IpAddr;
use std::time::Duration;

use koi::node::snapshot::NeighbourRow;
use koi::types::{Instant, MacAddr};
use koi::wire::Drop;
use koi::wire::arp::{Operation, Repr};

use crate::audit::{Audit, LAN, WAN};
use crate::cable::Quality;
use crate::for_each_seed;
use crate::forge;
use crate::story::{CLIENT, SERVER, Story, ip};
use crate::transfers::Transfer;
use crate::world::{End, World};

#[test]
fn a_cable_pulled_and_put_back_does_not_end_a_connection() {
    for_each_seed(|seed| {
        let mut story = Story::new(seed, Quality::CLEAN);
        let Story { client, server, .. } = story;
        let world = &mut story.world;
        let mut transfer = Transfer::new(world, client, server, SERVER, 80, seed);
        transfer.half(world);
        world.cut(End::Host(server), true);
        world.run_for(Duration::from_secs(3));
        world.cut(End::Host(server), false);
        transfer.finish(world);
    });
}

#[test]
fn a_port_that_flaps_keeps_flows_and_neighbours_and_announces_itself() {
    for_each_seed(|seed| {
        let mut story = Story::new(seed, Quality::CLEAN);
        let Story { client, server, .. } = story;
        let world = &mut story.world;
        let mut transfer = Transfer::new(world, client, server, SERVER, 80, seed);
        transfer.half(world);
        world.link(0, WAN, false);
        assert!(!world.routers[0].shard.snapshot(world.now).ports[usize::from(WAN)].up);
        transfer.go_on(world, Duration::from_secs(3));
        assert!(world.routers[0].shard.drops_of(Drop::PortDown) > 0, "what the client still sent is counted");
        assert_eq!(world.routers[0].shard.states(), 1);
        let before = world.seen.len();
        world.link(0, WAN, true);
        let row = neighbour(world, SERVER).expect("known through a short interruption");
        assert!(row.mac.is_some() && row.state != "reachable", "{row:?} has to be confirmed anew");
        transfer.finish(world);
        world.run_for(Duration::from_secs(10));
        let row = neighbour(world, SERVER).unwrap();
        assert_eq!((row.mac, row.state.as_str()), (Some(world.hosts[server].mac), "reachable"));
        assert_eq!(
            announcements(world, before, WAN, "203.0.113.2").len(),
            2,
            "RFC 5227 section 2.3: ANNOUNCE_NUM"
        );
        Audit::all(world);
    });
}

#[test]
fn a_neighbour_that_gets_another_card_is_found_again() {
    for_each_seed(|seed| {
        let mut story = Story::new(seed, Quality::ROUGH);
        let Story { client, server, .. } = story;
        let world = &mut story.world;
        let mut transfer = Transfer::new(world, client, server, SERVER, 80, seed);
        transfer.half(world);
        let mac = MacAddr([2, 0, 0, 0, 1, 2]);
        world.hosts[client].set_mac(mac);
        let announces = seed % 2 == 0;
        if announces {
            let address = CLIENT.parse().unwrap();
            // Three times, since a rough cable may lose one.
            for _ in 0..3 {
                world.emit(End::Host(client), forge::arp(Operation::Request, mac, address, address));
            }
        }
        // Without a word from the client the router has to find out by itself: it is sure for 45 s at most, waits 5 s
        // and asks the old card three times. After 60 s the client would ask by itself.
        let limit = Duration::from_secs(if announces { 5 } else { 58 });
        let handle = world.hosts[client].ping(2);
        world.insist(limit, "an answer", |world| {
            world.hosts[client].ask(handle, 2, ip(SERVER));
            world.run_for(Duration::from_secs(1));
            world.hosts[client].answered(handle).then_some(())
        });
        transfer.finish(world);
        assert_eq!(neighbour(world, CLIENT).unwrap().mac, Some(mac));
        Audit::all(world);
    });
}

#[test]
fn somebody_who_claims_the_routers_address_is_told_off_now_and_then() {
    for_each_seed(|seed| {
        let mut story = Story::new(seed, Quality::CLEAN);
        let Story { client, server, .. } = story;
        let world = &mut story.world;
        let before = world.seen.len();
        let thief = MacAddr([2, 0, 0, 0, 6, 6]);
        let address = "192.168.1.1".parse().unwrap();
        let mut transfer = Transfer::new(world, client, server, SERVER, 80, seed);
        for round in 0..30 {
            let claim = match round % 2 {
                0 => forge::arp(Operation::Request, thief, address, address),
                _ => forge::arp(Operation::Reply, thief, address, CLIENT.parse().unwrap()),
            };
            world.emit(End::Host(client), claim);
            transfer.go_on(world, Duration::from_secs(2));
        }
        transfer.check();
        let defended = announcements(world, before, LAN, "192.168.1.1");
        assert!((2..=6).contains(&defended.len()), "{} times in a minute", defended.len());
        let quiet = Duration::from_secs(10);
        assert!(defended.windows(2).all(|two| two[1].since(two[0]) >= quiet), "RFC 5227 section 2.4");
        let asked = world.seen.len();
        let who_has =
            forge::arp(Operation::Request, world.hosts[client].mac, CLIENT.parse().unwrap(), address);
        world.emit(End::Host(client), who_has);
        world.run_for(Duration::from_millis(100));
        let answers = world.seen[asked..].iter().filter(|(_, from, frame)| {
            *from == End::Router(0, LAN)
                && Repr::parse(frame)
                    .is_some_and(|arp| arp.operation == Operation::Reply && arp.sender == address)
        });
        assert_eq!(answers.count(), 1, "the router keeps answering");
        Audit::all(world);
    });
}

fn neighbour(world: &World, address: &str) -> Option<NeighbourRow> {
    let rows = world.routers[0].shard.snapshot(world.now).neighbours;
    rows.into_iter().find(|row| row.address == ip(address))
}

/// When the router has announced an address of its own, among the frames since `first`.
fn announcements(world: &World, first: usize, port: u8, address: &str) -> Vec<Instant> {
    let is_one = |frame: &[u8]| {
        Repr::parse(frame)
            .is_some_and(|arp| arp.sender == arp.target && ip(address) == IpAddr::from(arp.sender))
    };
    let frames = world.seen[first..].iter();
    let ours = frames.filter(|(_, from, frame)| *from == End::Router(0, port) && is_one(frame));
    ours.map(|(at, _, _)| *at).collect()
}
