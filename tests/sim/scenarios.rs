//! What must hold of one router between hosts, for every seed.

use std::time::Duration;

use koi::types::Seed;
use koi::wire::{Drop, FrameBuf, Packet, Parsed};
use smoltcp::iface::SocketHandle;
use smoltcp::socket::{icmp, tcp, udp};

use crate::cable::Quality;
use crate::for_each_seed;
use crate::story::{CLIENT, LAN_ANYWHERE, SERVER, Story, WWW, compile, document, ip};
use crate::world::{End, World};

const BULK: usize = 200_000;

/// A client sends `BULK` bytes; the listener must get exactly these.
struct Transfer {
    from: (usize, SocketHandle),
    to: (usize, SocketHandle),
    data: Vec<u8>,
    sent: usize,
    received: Vec<u8>,
}

impl Transfer {
    fn new(world: &mut World, from: usize, to: usize, address: &str, port: u16, seed: u64) -> Self {
        let mut random = Seed([seed, 3]).random();
        let data = (0..BULK).map(|_| random.next() as u8).collect();
        let server = world.hosts[to].tcp();
        world.hosts[to].sockets.get_mut::<tcp::Socket>(server).listen(port).unwrap();
        let client = world.hosts[from].tcp();
        world.hosts[from].connect(client, (ip(address), port), 40_000 + (seed % 1000) as u16);
        Transfer { from: (from, client), to: (to, server), data, sent: 0, received: Vec::new() }
    }

    /// Moves bytes; true when all have arrived.
    fn advance(&mut self, world: &mut World) -> bool {
        let socket = world.hosts[self.from.0].sockets.get_mut::<tcp::Socket>(self.from.1);
        if socket.can_send() && self.sent < self.data.len() {
            self.sent += socket.send_slice(&self.data[self.sent..]).unwrap();
        }
        let socket = world.hosts[self.to.0].sockets.get_mut::<tcp::Socket>(self.to.1);
        while socket.can_recv() {
            let received = &mut self.received;
            socket
                .recv(|bytes| {
                    received.extend_from_slice(bytes);
                    (bytes.len(), ())
                })
                .unwrap();
        }
        assert!(self.received.len() <= self.data.len());
        self.received.len() == self.data.len()
    }

    fn check(&self) {
        assert!(self.received == self.data, "the bytes arrived changed");
    }
}

#[test]
fn bulk_tcp_from_lan_through_nat_over_rough_cables() {
    for_each_seed(|seed| {
        let mut story = Story::new(seed, Quality::ROUGH);
        let mut transfer = Transfer::new(&mut story.world, story.client, story.server, SERVER, 80, seed);
        story.world.run_until(Duration::from_secs(120), "transfer", |world| transfer.advance(world));
        transfer.check();
        let server = &story.world.hosts[transfer.to.0].sockets.get::<tcp::Socket>(transfer.to.1);
        assert_eq!(
            server.remote_endpoint().unwrap().addr,
            ip("203.0.113.2").into(),
            "translated to the WAN address"
        );
        checksums_are_right(&story.world);
    });
}

#[test]
fn bulk_tcp_over_ipv6_is_routed_untranslated() {
    for_each_seed(|seed| {
        let mut story = Story::new(seed, Quality::ROUGH);
        let mut transfer =
            Transfer::new(&mut story.world, story.client, story.server, "2001:db8:1::1", 80, seed);
        story.world.run_until(Duration::from_secs(120), "transfer", |world| transfer.advance(world));
        transfer.check();
        let server = &story.world.hosts[transfer.to.0].sockets.get::<tcp::Socket>(transfer.to.1);
        assert_eq!(server.remote_endpoint().unwrap().addr, ip("2001:db8:10::10").into());
        checksums_are_right(&story.world);
    });
}

#[test]
fn dmz_reaches_wan_but_not_lan_and_wan_reaches_nothing() {
    for_each_seed(|seed| {
        let mut story = Story::new(seed, Quality::CLEAN);
        let Story { server, client, www, .. } = story;
        let world = &mut story.world;
        let mut good = Transfer::new(world, www, server, SERVER, 80, seed);
        world.run_until(Duration::from_secs(60), "DMZ to WAN", |world| good.advance(world));
        good.check();
        let mut good = Transfer::new(world, client, www, WWW, 81, seed);
        world.run_until(Duration::from_secs(60), "LAN to DMZ", |world| good.advance(world));
        good.check();
        for (from, to, address) in [(www, client, CLIENT), (server, client, CLIENT), (server, www, WWW)] {
            let mut bad = Transfer::new(world, from, to, address, 82, seed);
            let before = world.routers[0].shard.drops_of(Drop::BlockedIn);
            let end = world.now + Duration::from_secs(5);
            world.run_until(Duration::from_secs(10), "blocked", |world| {
                bad.advance(world);
                world.now >= end
            });
            assert!(
                bad.received.is_empty() && !world.hosts[to].sockets.get::<tcp::Socket>(bad.to.1).is_active()
            );
            assert!(world.routers[0].shard.drops_of(Drop::BlockedIn) > before, "the drop is counted");
        }
    });
}

#[test]
fn two_clients_with_one_echo_id_each_get_their_own_answer() {
    for_each_seed(|seed| {
        let mut story = Story::new(seed, Quality::CLEAN);
        let Story { client, www, .. } = story;
        let world = &mut story.world;
        let sockets = [(client, world.hosts[client].ping(77)), (www, world.hosts[www].ping(77))];
        for (host, handle) in sockets {
            ping(world, host, handle, 77, SERVER);
        }
        for (host, handle) in sockets {
            world.run_until(Duration::from_secs(5), "pong", |world| {
                world.hosts[host].sockets.get_mut::<icmp::Socket>(handle).can_recv()
            });
        }
        assert_eq!(world.routers[0].shard.states(), 2);
    });
}

fn ping(world: &mut World, host: usize, handle: SocketHandle, id: u16, to: &str) {
    use smoltcp::wire::{Icmpv4Packet, Icmpv4Repr};
    let repr = Icmpv4Repr::EchoRequest { ident: id, seq_no: 1, data: b"koi" };
    let socket = world.hosts[host].sockets.get_mut::<icmp::Socket>(handle);
    let payload = socket.send(repr.buffer_len(), ip(to).into()).unwrap();
    repr.emit(&mut Icmpv4Packet::new_unchecked(payload), &Default::default());
}

#[test]
fn the_router_answers_ping_on_its_lan_address() {
    for_each_seed(|seed| {
        let mut story = Story::new(seed, Quality::CLEAN);
        let Story { client, server, .. } = story;
        let world = &mut story.world;
        let handle = world.hosts[client].ping(9);
        ping(world, client, handle, 9, "192.168.1.1");
        world.run_until(Duration::from_secs(5), "pong", |world| {
            world.hosts[client].sockets.get_mut::<icmp::Socket>(handle).can_recv()
        });
        let handle = world.hosts[server].ping(9);
        ping(world, server, handle, 9, "203.0.113.2");
        world.run_for(Duration::from_secs(5));
        assert!(
            !world.hosts[server].sockets.get_mut::<icmp::Socket>(handle).can_recv(),
            "WAN gets no answer"
        );
    });
}

#[test]
fn a_reload_keeps_the_flow_that_it_still_allows_and_ends_the_one_that_it_forbids() {
    for_each_seed(|seed| {
        let mut story = Story::new(seed, Quality::ROUGH);
        let Story { client, server, .. } = story;
        let world = &mut story.world;
        let mut transfer = Transfer::new(world, client, server, SERVER, 80, seed);
        world.run_until(Duration::from_secs(60), "half", |world| {
            transfer.advance(world);
            transfer.received.len() > BULK / 2
        });
        world.apply(0, compile(&document(LAN_ANYWHERE, ""), 2));
        world.run_until(Duration::from_secs(120), "the rest", |world| transfer.advance(world));
        transfer.check();

        let mut forbidden = Transfer::new(world, client, server, SERVER, 81, seed + 1);
        world.run_until(Duration::from_secs(60), "half", |world| {
            forbidden.advance(world);
            forbidden.received.len() > BULK / 2
        });
        world.apply(0, compile(&document("", ""), 3));
        let end = world.now + Duration::from_secs(5);
        world.run_until(Duration::from_secs(10), "wait", |world| {
            forbidden.advance(world);
            world.now >= end
        });
        assert!(forbidden.received.len() < BULK, "the flow has ended");
    });
}

#[test]
fn udp_answers_come_back_and_the_mapping_expires() {
    for_each_seed(|seed| {
        let mut story = Story::new(seed, Quality::CLEAN);
        let Story { client, server, .. } = story;
        let world = &mut story.world;
        let asked = world.hosts[server].udp(53);
        let asker = world.hosts[client].udp(5000);
        let socket = world.hosts[client].sockets.get_mut::<udp::Socket>(asker);
        socket.send_slice(b"question", (smoltcp::wire::IpAddress::from(ip(SERVER)), 53)).unwrap();
        world.run_until(Duration::from_secs(5), "question", |world| {
            world.hosts[server].sockets.get_mut::<udp::Socket>(asked).can_recv()
        });
        let socket = world.hosts[server].sockets.get_mut::<udp::Socket>(asked);
        let from = socket.recv().unwrap().1.endpoint;
        assert_eq!(from.addr, ip("203.0.113.2").into());
        socket.send_slice(b"answer", from).unwrap();
        world.run_until(Duration::from_secs(5), "answer", |world| {
            world.hosts[client].sockets.get_mut::<udp::Socket>(asker).can_recv()
        });
        world.run_for(Duration::from_secs(80));
        assert_eq!(world.routers[0].shard.states(), 0, "udp.multiple is 60 s");
        let socket = world.hosts[server].sockets.get_mut::<udp::Socket>(asked);
        socket.send_slice(b"late", from).unwrap();
        let socket = world.hosts[client].sockets.get_mut::<udp::Socket>(asker);
        socket.recv().unwrap();
        world.run_for(Duration::from_secs(2));
        assert!(!world.hosts[client].sockets.get_mut::<udp::Socket>(asker).can_recv());
    });
}

#[test]
fn a_cable_pulled_and_put_back_does_not_end_a_connection() {
    for_each_seed(|seed| {
        let mut story = Story::new(seed, Quality::CLEAN);
        let Story { client, server, .. } = story;
        let world = &mut story.world;
        let mut transfer = Transfer::new(world, client, server, SERVER, 80, seed);
        world.run_until(Duration::from_secs(60), "half", |world| {
            transfer.advance(world);
            transfer.received.len() > BULK / 2
        });
        world.cut(End::Host(server), true);
        world.run_for(Duration::from_secs(3));
        world.cut(End::Host(server), false);
        world.run_until(Duration::from_secs(120), "the rest", |world| transfer.advance(world));
        transfer.check();
    });
}

#[test]
fn the_same_seed_gives_the_same_frames() {
    let run = |seed| {
        let mut story = Story::new(seed, Quality::ROUGH);
        let mut transfer = Transfer::new(&mut story.world, story.client, story.server, SERVER, 80, seed);
        story.world.run_until(Duration::from_secs(120), "transfer", |world| transfer.advance(world));
        story.world.seen
    };
    assert!(run(5) == run(5));
    assert!(run(5) != run(6));
}

/// Every IP packet that a router put on a cable has right checksums.
fn checksums_are_right(world: &World) {
    for (_, from, frame) in &world.seen {
        if let (End::Router(..), Ok(Parsed::Ip(packet))) = (from, Packet::parse(FrameBuf::copy_of(frame))) {
            assert!(packet.transport_checksum_ok(), "{:?}", packet.layout);
        }
    }
}
