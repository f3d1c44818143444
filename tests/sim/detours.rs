//! A standby without a way out of its own goes through the active node.

use std::net::IpAddr;
use std::time::Duration;

use koi::cluster::role::Request;
use koi::conntrack::Filter;
use koi::node::Command;
use koi::types::InterfaceId;
use koi::wire::pair::flow;
use koi::wire::pair::relay::Head;
use koi::wire::{Drop, FrameBuf};
use smoltcp::iface::SocketHandle;

use crate::for_some_seeds;
use crate::forge::{self, Ends, Stations};
use crate::pair::{Pair, WAN};
use crate::story::{CLIENT, SERVER, ip};

const SEEDS: u64 = 12;
const SERVER_HOST: usize = 0;
const NAMES: u16 = 53;
const FROM: u16 = 20_053;
const VIPS: [&str; 2] = ["203.0.113.2", "2001:db8:1::2"];
const SERVERS: [&str; 2] = [SERVER, "2001:db8:1::1"];

/// A pair whose standby has no link on WAN; and which node that is.
fn unplugged(seed: u64) -> (Pair, usize) {
    let mut pair = Pair::new(seed);
    let standby = 1 - pair.leader().unwrap();
    pair.unplug(standby, WAN, true);
    pair.run_for(millis(100));
    (pair, standby)
}

/// The node's own address on WAN.
fn own(node: usize) -> Option<IpAddr> {
    Some(ip(&format!("203.0.113.{}", node + 3)))
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The node asks the server; gives the address that the server has seen, when the answer has come back.
fn ask(pair: &mut Pair, node: usize, server: (SocketHandle, &str), from: u16) -> Option<IpAddr> {
    let to = ip(server.1);
    let own = pair.world.routers[node].compiled.address_toward(to).unwrap();
    assert!(pair.world.routers[node].own.say((own, from), (to, NAMES), b"who?"));
    let end = pair.world.wake_in(Duration::from_secs(3));
    let mut seen = None;
    while pair.world.now < end {
        pair.step();
        if let Some((bytes, who)) = pair.world.hosts[SERVER_HOST].hear(server.0) {
            assert_eq!(bytes, b"who?");
            seen = Some(who.0);
            pair.world.hosts[SERVER_HOST].say(server.0, who, b"it.");
        }
        if let Some((payload, remote)) = pair.world.routers[node].own.hear() {
            assert_eq!((payload.as_slice(), remote), (&b"it."[..], (to, NAMES).into()));
            return seen;
        }
    }
    None
}

/// Flows that go through the other node.
fn detours(pair: &Pair, node: usize) -> usize {
    let router = &pair.world.routers[node];
    let filter = Filter { interface: Some(InterfaceId::PEER), ..Filter::default() };
    router.shard.flows(router.clock.local(pair.world.now), &filter, None, 1 << 20).0.len()
}

#[test]
fn a_standby_whose_wan_is_unplugged_asks_through_the_active_node() {
    for_some_seeds(SEEDS, |seed| {
        let mut pair = Pair::new(seed);
        let standby = 1 - pair.leader().unwrap();
        let socket = pair.world.hosts[SERVER_HOST].udp(NAMES);
        assert_eq!(ask(&mut pair, standby, (socket, SERVER), FROM), own(standby));
        pair.unplug(standby, WAN, true);
        pair.run_for(millis(100));
        for (count, (server, vip)) in SERVERS.into_iter().zip(VIPS).enumerate() {
            assert_eq!(ask(&mut pair, standby, (socket, server), FROM), Some(ip(vip)), "{server}");
            assert_eq!([0, 1].map(|node| detours(&pair, node)), [count + 1; 2]);
        }
        pair.finish();
    });
}

#[test]
fn a_takeover_ends_what_went_through_the_other_node() {
    for_some_seeds(SEEDS, |seed| {
        for planned in [false, true] {
            let (mut pair, standby) = unplugged(seed);
            let socket = pair.world.hosts[SERVER_HOST].udp(NAMES);
            assert_eq!(ask(&mut pair, standby, (socket, SERVER), FROM), Some(ip(VIPS[0])));
            pair.unplug(standby, WAN, false);
            pair.run_until(Duration::from_secs(15), "a redundant pair", Pair::is_redundant);
            match planned {
                true => pair.request(1 - standby, Request::Resign),
                false => pair.power_off(1 - standby),
            }
            pair.run_until(millis(500), "a takeover", |pair| pair.leader() == Some(standby));
            // The same question once more, with the port that it had: now by the node's own WAN.
            assert_eq!(ask(&mut pair, standby, (socket, SERVER), FROM), own(standby));
            assert_eq!(detours(&pair, standby), 0);
            if planned {
                assert_eq!(detours(&pair, 1 - standby), 0, "nor has the other one kept any");
                pair.unplug(1 - standby, WAN, true);
                pair.run_for(millis(100));
                let seen = ask(&mut pair, 1 - standby, (socket, SERVER), FROM);
                assert_eq!(seen, Some(ip(VIPS[0])), "the other way round");
            }
        }
    });
}

#[test]
fn a_standby_that_sends_without_measure_is_held_to_one() {
    for_some_seeds(SEEDS / 2, |seed| {
        let (mut pair, standby) = unplugged(seed);
        let socket = pair.world.hosts[SERVER_HOST].udp(NAMES);
        let own = pair.world.routers[standby].compiled.address_toward(ip(SERVER)).unwrap();
        let mut heard = 0;
        for _ in 0..1000 {
            for _ in 0..4 {
                pair.world.routers[standby].own.say((own, FROM), (ip(SERVER), NAMES), &[7; 100]);
            }
            pair.run_for(millis(1));
            heard += std::iter::from_fn(|| pair.world.hosts[SERVER_HOST].hear(socket)).count();
        }
        assert!((500..1100).contains(&heard), "{heard} of 4000 in a second");
        let lost = pair.world.routers[standby].shard.drops_of(Drop::DetourRate);
        assert!(lost > 2500, "{lost}");
        pair.finish();
    });
}

#[test]
fn what_is_not_the_standbys_own_is_not_forwarded_for_it() {
    let mut pair = Pair::new(1);
    let active = pair.leader().unwrap();
    let stations = Stations { from: koi::types::MacAddr([2; 6]), to: koi::types::MacAddr([2; 6]) };
    let piece = |from: &str, interface| {
        let v4 = |text: &str| text.parse().unwrap();
        let ends = Ends { from: (v4(from), 1000), to: (v4(SERVER), 80) };
        let frame = FrameBuf::copy_of(&forge::syn(stations, ends, 1));
        let mut chunk = Vec::new();
        flow::begin(&mut chunk);
        flow::encode_piece(Some(Head::of(interface, &frame)), frame.bytes(), 1400, &mut chunk);
        chunk
    };
    let peer = format!("192.168.1.{}", 4 - active);
    for (node, bytes, taken) in [
        (active, piece(CLIENT, InterfaceId::PEER), false),
        (active, piece("192.168.1.1", InterfaceId::PEER), false),
        (active, piece(&peer, InterfaceId::SELF), false),
        (active, vec![1, 200, 3], false),
        (1 - active, piece(&peer, InterfaceId::PEER), false),
        (active, piece(&peer, InterfaceId::PEER), true),
    ] {
        let before = pair.world.routers[node].shard.drops_of(Drop::DetourStray);
        let now = pair.world.now;
        pair.world.routers[node].command(now, Command::Detour(bytes));
        let strays = pair.world.routers[node].shard.drops_of(Drop::DetourStray) - before;
        assert_eq!((strays, detours(&pair, node)), if taken { (0, 1) } else { (1, 0) });
    }
}
