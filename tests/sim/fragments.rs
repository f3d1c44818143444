//! Datagrams larger than any link: fragments come in any order, leave translated, and make the same datagram.

use std::net::Ipv4Addr;
use std::time::Duration;

use koi::types::Seed;
use koi::wire::Drop;

use crate::audit::{Audit, LAN, WAN};
use crate::cable::Quality;
use crate::for_each_seed;
use crate::forge::{self, Arrived, Ends, Stations};
use crate::story::Story;
use crate::world::{End, World};

const OUTSIDE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 2);
const SERVER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
const CLIENT: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 10);

/// A datagram in pieces, and who is to get it.
struct Datagram<'a> {
    stations: Stations,
    ends: Ends,
    payload: &'a [u8],
    mtu: usize,
}

/// Sends the datagram, in shuffled pieces, until it has arrived.
fn deliver(world: &mut World, from: usize, to: usize, seed: u64, datagram: &Datagram<'_>) -> Arrived {
    let mut random = Seed([seed, 8]).random();
    world.hosts[to].listen();
    let Datagram { stations, ends, payload, mtu } = datagram;
    world.insist(Duration::from_secs(60), "a large datagram", |world| {
        let whole = forge::udp(*stations, *ends, payload);
        let mut pieces = forge::fragments(&whole, *mtu, random.next() as u16);
        assert!(pieces.len() > 2);
        while !pieces.is_empty() {
            let next = random.below(pieces.len() as u64) as usize;
            world.emit(End::Host(from), pieces.swap_remove(next));
        }
        world.run_for(Duration::from_millis(500));
        let arrived = forge::reassemble(world.hosts[to].heard());
        (!arrived.whole.is_empty()).then_some(arrived)
    })
}

#[test]
fn a_datagram_in_pieces_crosses_the_translation_both_ways() {
    for_each_seed(|seed| {
        let mut story = Story::new(seed, Quality::ROUGH);
        let macs = [story.router_mac(LAN), story.router_mac(WAN)];
        let Story { client, server, .. } = story;
        let world = &mut story.world;
        // Both neighbours get to know each other.
        let handle = world.hosts[client].ping(3);
        world.insist(Duration::from_secs(20), "pong", |world| {
            world.hosts[client].ask(handle, 3, SERVER.into());
            world.run_for(Duration::from_millis(500));
            world.hosts[client].answered(handle).then_some(())
        });
        let mut random = Seed([seed, 9]).random();
        let mut bytes = |count: u64| (0..count).map(|_| random.next() as u8).collect::<Vec<u8>>();
        let (question, answer) = (bytes(3000 + seed * 37 % 5000), bytes(9000));
        // Smaller pieces than the next link's: put together, they are cut anew.
        let datagram = Datagram {
            stations: Stations { from: world.hosts[client].mac, to: macs[0] },
            ends: Ends { from: (CLIENT, 5000), to: (SERVER, 53) },
            payload: &question,
            mtu: 576 + (seed as usize * 8) % 900,
        };
        let arrived = deliver(world, client, server, seed, &datagram);
        let (from, port, payload) = &arrived.whole[0];
        assert_eq!(*from, OUTSIDE);
        assert!(*payload == question, "{} bytes, or wrong ones", payload.len());
        let datagram = Datagram {
            stations: Stations { from: world.hosts[server].mac, to: macs[1] },
            ends: Ends { from: (SERVER, 53), to: (OUTSIDE, *port) },
            payload: &answer,
            mtu: 1500,
        };
        let arrived = deliver(world, server, client, seed, &datagram);
        assert!(arrived.whole[0] == (SERVER, 53, answer));
        assert_eq!(world.routers[0].shard.states(), 1 + 1, "echo, and one flow for both directions");
        Audit::all(world);
    });
}

#[test]
fn a_datagram_that_is_never_completed_is_given_up_and_counted() {
    for_each_seed(|seed| {
        let mut story = Story::new(seed, Quality::CLEAN);
        let to = story.router_mac(LAN);
        let Story { client, .. } = story;
        let world = &mut story.world;
        world.hosts[client].listen();
        let stations = Stations { from: world.hosts[client].mac, to };
        let ends = Ends { from: (CLIENT, 5000), to: (SERVER, 53) };
        let pieces = forge::fragments(&forge::udp(stations, ends, &[7; 4000]), 1500, seed as u16);
        for piece in &pieces[..2] {
            world.emit(End::Host(client), piece.clone());
        }
        world.run_for(Duration::from_secs(40));
        assert_eq!(world.routers[0].shard.drops_of(Drop::FragmentTimeout), 2);
        assert_eq!(world.routers[0].shard.states(), 0, "half a datagram begins no flow");
        let told = world.hosts[client].heard().iter().any(|frame| frame[23] == 1 && frame[34..36] == [11, 1]);
        assert!(told, "time exceeded in reassembly (RFC 1122 section 3.3.2)");
    });
}
