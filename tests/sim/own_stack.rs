//! The router's own TCP stack, reached through the packet path.

use std::net::Ipv4Addr;
use std::time::Duration;

use koi::types::Seed;
use koi::wire::Drop;
use smoltcp::iface::SocketHandle;
use smoltcp::socket::tcp;

use crate::audit::{Audit, LAN};
use crate::cable::Quality;
use crate::for_each_seed;
use crate::forge::{self, Ends, Stations};
use crate::stack::PORT;
use crate::story::{Story, ip};
use crate::world::{End, World};

const PAGE: usize = 800_000;
const LAN_ADDRESS: &str = "192.168.1.1";

/// A client that asks for the page.
pub struct Fetch {
    host: usize,
    handle: SocketHandle,
    asked: bool,
    pub received: Vec<u8>,
}

impl Fetch {
    pub fn new(world: &mut World, host: usize, address: &str, from_port: u16) -> Self {
        let handle = world.hosts[host].tcp();
        world.hosts[host].connect(handle, (ip(address), PORT), from_port);
        Fetch { host, handle, asked: false, received: Vec::new() }
    }

    /// True at the end of the page.
    pub fn advance(&mut self, world: &mut World) -> bool {
        let socket = world.hosts[self.host].sockets.get_mut::<tcp::Socket>(self.handle);
        if socket.can_send() && !self.asked {
            self.asked = socket.send_slice(b"GET /").unwrap() > 0;
        }
        while socket.can_recv() {
            let received = &mut self.received;
            socket
                .recv(|bytes| {
                    received.extend_from_slice(bytes);
                    (bytes.len(), ())
                })
                .unwrap();
        }
        self.asked && !socket.may_recv()
    }

    pub fn finish(&mut self, world: &mut World) {
        world.run_until(Duration::from_secs(240), "the page", |world| self.advance(world));
        assert!(self.received == world.routers[0].own.page, "{} bytes, or wrong ones", self.received.len());
        world.hosts[self.host].sockets.get_mut::<tcp::Socket>(self.handle).close();
    }
}

fn with_page(seed: u64, quality: Quality) -> Story {
    let mut story = Story::new(seed, quality);
    let mut random = Seed([seed, 5]).random();
    story.world.routers[0].own.page = (0..PAGE).map(|_| random.next() as u8).collect();
    story
}

#[test]
fn a_page_of_the_router_arrives_whole_over_rough_cables_and_both_families() {
    for_each_seed(|seed| {
        let mut story = with_page(seed, Quality::ROUGH);
        let (world, client) = (&mut story.world, story.client);
        for (address, port) in [(LAN_ADDRESS, 50_000), ("2001:db8:10::1", 50_001)] {
            Fetch::new(world, client, address, port).finish(world);
        }
        world.run_for(Duration::from_secs(5));
        let own = &world.routers[0].own;
        assert_eq!((own.counters().accepted, own.overflowed), (2, 0));
        Audit::all(world);
    });
}

#[test]
fn wan_does_not_reach_the_routers_own_stack() {
    for_each_seed(|seed| {
        let mut story = with_page(seed, Quality::CLEAN);
        let (world, server) = (&mut story.world, story.server);
        for (number, address) in ["203.0.113.2", LAN_ADDRESS, "10.20.0.1", "2001:db8:1::2", "2001:db8:10::1"]
            .into_iter()
            .enumerate()
        {
            let before = world.routers[0].shard.drops_of(Drop::BlockedIn);
            let fetch = Fetch::new(world, server, address, 50_000 + number as u16);
            world.run_for(Duration::from_secs(5));
            let socket = world.hosts[server].sockets.get::<tcp::Socket>(fetch.handle);
            assert_eq!(socket.state(), tcp::State::SynSent, "{address} does not even say no");
            assert!(world.routers[0].shard.drops_of(Drop::BlockedIn) > before, "{address}");
        }
        assert_eq!(world.routers[0].own.counters(), koi::host::Counters::default());
        assert_eq!(world.routers[0].shard.states(), 0);
    });
}

#[test]
fn a_syn_flood_at_the_routers_port_does_not_stop_a_transfer() {
    for_each_seed(|seed| {
        let mut story = with_page(seed, Quality::ROUGH);
        let to = story.router_mac(LAN);
        let (world, client) = (&mut story.world, story.client);
        let mut fetch = Fetch::new(world, client, LAN_ADDRESS, 50_000);
        world.run_until(Duration::from_secs(60), "a beginning", |world| {
            fetch.advance(world);
            fetch.received.len() > PAGE / 8
        });
        let mut random = Seed([seed, 6]).random();
        let stations = Stations { from: world.hosts[client].mac, to };
        let router: Ipv4Addr = LAN_ADDRESS.parse().unwrap();
        // One loud source, then many: each limit has its turn.
        for round in 0..600u16 {
            let last = if round < 200 { 50 } else { 60 + (round % 150) as u8 };
            let from = (Ipv4Addr::new(192, 168, 1, last), 20_000 + round);
            let frame = forge::syn(stations, Ends { from, to: (router, PORT) }, random.next() as u32);
            world.emit(End::Host(client), frame);
            if round % 20 == 0 {
                world.run_for(Duration::from_millis(1));
                fetch.advance(world);
            }
        }
        fetch.finish(world);
        let counters = world.routers[0].own.counters();
        assert!(counters.refused > 0, "one source has a limit: {counters:?}");
        assert!(counters.half_open_dropped > 0, "so have all together: {counters:?}");
        assert_eq!(counters.accepted, 1);
        world.run_for(Duration::from_secs(30));
        Fetch::new(world, client, LAN_ADDRESS, 50_001).finish(world);
        Audit::all(world);
    });
}
