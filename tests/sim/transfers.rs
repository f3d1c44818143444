//! Bulk transfers between hosts: the bytes arrive as they were sent.

use std::time::Duration;

use koi::types::Seed;
use smoltcp::iface::SocketHandle;
use smoltcp::socket::tcp;

use crate::audit::Audit;
use crate::cable::Quality;
use crate::for_each_seed;
use crate::story::{LAN_ANYWHERE, SERVER, Story, WWW, compile, document, ip};
use crate::world::World;

/// Bytes of a transfer.
pub const BULK: usize = 200_000;

/// A client sends bytes; the listener must get exactly these.
pub struct Transfer {
    pub from: (usize, SocketHandle),
    pub to: (usize, SocketHandle),
    data: Vec<u8>,
    sent: usize,
    pub received: Vec<u8>,
}

impl Transfer {
    /// Of `BULK` bytes, from a port that the seed chooses.
    pub fn new(world: &mut World, from: usize, to: usize, address: &str, port: u16, seed: u64) -> Self {
        let mut random = Seed([seed, 3]).random();
        let data = (0..BULK).map(|_| random.next() as u8).collect();
        Transfer::begin(world, from, to, (address, port), 40_000 + (seed % 1000) as u16, data)
    }

    /// Of these bytes, from this port.
    pub fn begin(
        world: &mut World,
        from: usize,
        to: usize,
        address: (&str, u16),
        from_port: u16,
        data: Vec<u8>,
    ) -> Self {
        let server = world.hosts[to].tcp();
        world.hosts[to].sockets.get_mut::<tcp::Socket>(server).listen(address.1).unwrap();
        let client = world.hosts[from].tcp();
        world.hosts[from].connect(client, (ip(address.0), address.1), from_port);
        Transfer { from: (from, client), to: (to, server), data, sent: 0, received: Vec::new() }
    }

    /// Goes on until half of the bytes have arrived.
    pub fn half(&mut self, world: &mut World) {
        world.run_until(Duration::from_secs(60), "half a transfer", |world| {
            self.advance(world);
            self.received.len() > self.data.len() / 2
        });
    }

    /// Goes on to the end.
    pub fn finish(&mut self, world: &mut World) {
        world.run_until(Duration::from_secs(240), "a transfer", |world| self.advance(world));
        self.check();
    }

    /// Goes on for a while.
    pub fn go_on(&mut self, world: &mut World, time: Duration) {
        let end = world.wake_in(time);
        world.run_until(time + Duration::from_secs(10), "a while", |world| {
            self.advance(world);
            world.now >= end
        });
    }

    /// Moves bytes; true when all have arrived.
    pub fn advance(&mut self, world: &mut World) -> bool {
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
        self.is_complete()
    }

    /// There is more to send.
    pub fn append(&mut self, bytes: &[u8]) {
        self.data.extend_from_slice(bytes);
    }

    pub fn is_complete(&self) -> bool {
        self.received.len() == self.data.len()
    }

    /// What has arrived is the beginning of what was sent.
    pub fn is_right_so_far(&self) -> bool {
        self.data.starts_with(&self.received)
    }

    /// The listener got at least a SYN.
    pub fn was_accepted(&self, world: &World) -> bool {
        world.hosts[self.to.0].sockets.get::<tcp::Socket>(self.to.1).is_active()
    }

    /// Both sides say that they have done.
    pub fn close(&self, world: &mut World) {
        for (host, handle) in [self.from, self.to] {
            world.hosts[host].sockets.get_mut::<tcp::Socket>(handle).close();
        }
    }

    pub fn check(&self) {
        assert!(self.received == self.data, "the bytes arrived changed");
    }
}

#[test]
fn bulk_tcp_from_lan_through_nat_over_rough_cables() {
    for_each_seed(|seed| {
        let mut story = Story::new(seed, Quality::ROUGH);
        let mut transfer = Transfer::new(&mut story.world, story.client, story.server, SERVER, 80, seed);
        transfer.finish(&mut story.world);
        let server = &story.world.hosts[transfer.to.0].sockets.get::<tcp::Socket>(transfer.to.1);
        assert_eq!(
            server.remote_endpoint().unwrap().addr,
            ip("203.0.113.2").into(),
            "translated to the WAN address"
        );
        Audit::all(&story.world);
    });
}

#[test]
fn bulk_tcp_over_ipv6_is_routed_untranslated() {
    for_each_seed(|seed| {
        let mut story = Story::new(seed, Quality::ROUGH);
        let mut transfer =
            Transfer::new(&mut story.world, story.client, story.server, "2001:db8:1::1", 80, seed);
        transfer.finish(&mut story.world);
        let server = &story.world.hosts[transfer.to.0].sockets.get::<tcp::Socket>(transfer.to.1);
        assert_eq!(server.remote_endpoint().unwrap().addr, ip("2001:db8:10::10").into());
        Audit::all(&story.world);
    });
}

#[test]
fn the_same_seed_gives_the_same_frames() {
    let run = |seed| {
        let mut story = Story::new(seed, Quality::ROUGH);
        let mut transfer = Transfer::new(&mut story.world, story.client, story.server, SERVER, 80, seed);
        transfer.finish(&mut story.world);
        story.world.seen
    };
    assert!(run(5) == run(5));
    assert!(run(5) != run(6));
}

#[test]
fn several_transfers_survive_reloads_on_their_way() {
    for_each_seed(|seed| {
        let mut story = Story::new(seed, Quality::ROUGH);
        let Story { client, server, www, .. } = story;
        let world = &mut story.world;
        let mut transfers = [
            Transfer::new(world, client, server, SERVER, 80, seed),
            Transfer::new(world, client, server, "2001:db8:1::1", 81, seed + 1),
            Transfer::new(world, client, www, WWW, 82, seed + 2),
            Transfer::new(world, www, server, SERVER, 83, seed + 3),
        ];
        let mut epoch = 1;
        world.run_until(Duration::from_secs(240), "transfers", |world| {
            let done =
                transfers.iter_mut().map(|transfer| transfer.advance(world)).fold(true, |all, one| all & one);
            let moved: usize = transfers.iter().map(|transfer| transfer.received.len()).sum();
            if moved > epoch * BULK / 2 {
                epoch += 1;
                let note = format!(
                    "[[rule]]\nid = {}\ninterface = \"dmz\"\naction = \"block\"\n",
                    1_000_100 + epoch
                );
                world.apply(0, compile(&document(LAN_ANYWHERE, &note), epoch as u32));
            }
            done
        });
        transfers.iter().for_each(Transfer::check);
        assert!(epoch > 6, "reloads came in the middle");
        assert_eq!(world.routers[0].shard.states(), 4, "no flow began a second time");
        Audit::all(world);
    });
}
