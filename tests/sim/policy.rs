//! What the rules let through, and what a reload does to flows.

use std::time::Duration;

use koi::wire::Drop;
use smoltcp::socket::tcp;

use crate::audit::Audit;
use crate::cable::Quality;
use crate::for_each_seed;
use crate::story::{CLIENT, LAN_ANYWHERE, SERVER, Story, WWW, compile, document, ip};
use crate::transfers::{BULK, Transfer};

#[test]
fn dmz_reaches_wan_but_not_lan_and_wan_reaches_nothing() {
    for_each_seed(|seed| {
        let mut story = Story::new(seed, Quality::CLEAN);
        let Story { server, client, www, .. } = story;
        let world = &mut story.world;
        let mut good = Transfer::new(world, www, server, SERVER, 80, seed);
        good.finish(world);
        let mut good = Transfer::new(world, client, www, WWW, 81, seed);
        good.finish(world);
        for (from, to, address) in [(www, client, CLIENT), (server, client, CLIENT), (server, www, WWW)] {
            let mut bad = Transfer::new(world, from, to, address, 82, seed);
            let before = world.routers[0].shard.drops_of(Drop::BlockedIn);
            bad.go_on(world, Duration::from_secs(5));
            assert!(
                bad.received.is_empty() && !world.hosts[to].sockets.get::<tcp::Socket>(bad.to.1).is_active()
            );
            assert!(world.routers[0].shard.drops_of(Drop::BlockedIn) > before, "the drop is counted");
        }
        Audit::all(world);
    });
}

#[test]
fn the_router_answers_ping_on_its_lan_address() {
    for_each_seed(|seed| {
        let mut story = Story::new(seed, Quality::CLEAN);
        let Story { client, server, .. } = story;
        let world = &mut story.world;
        let handle = world.hosts[client].ping(9);
        world.hosts[client].ask(handle, 9, ip("192.168.1.1"));
        world.run_until(Duration::from_secs(5), "pong", |world| world.hosts[client].answered(handle));
        let handle = world.hosts[server].ping(9);
        world.hosts[server].ask(handle, 9, ip("203.0.113.2"));
        world.run_for(Duration::from_secs(5));
        assert!(!world.hosts[server].answered(handle), "WAN gets no answer");
    });
}

#[test]
fn a_reload_keeps_the_flow_that_it_still_allows_and_ends_the_one_that_it_forbids() {
    for_each_seed(|seed| {
        let mut story = Story::new(seed, Quality::ROUGH);
        let Story { client, server, .. } = story;
        let world = &mut story.world;
        let mut transfer = Transfer::new(world, client, server, SERVER, 80, seed);
        transfer.half(world);
        world.apply(0, compile(&document(LAN_ANYWHERE, ""), 2));
        transfer.finish(world);

        let mut forbidden = Transfer::new(world, client, server, SERVER, 81, seed + 1);
        forbidden.half(world);
        world.apply(0, compile(&document("", ""), 3));
        forbidden.go_on(world, Duration::from_secs(5));
        assert!(forbidden.received.len() < BULK, "the flow has ended");
    });
}
