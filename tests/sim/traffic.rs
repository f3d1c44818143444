//! What goes on in the network meanwhile: a TCP transfer, datagrams to and fro every 5 ms, and pings, all from LAN
//! through the translation to WAN. The receivers count and measure.

use std::time::Duration;

use koi::types::Instant;
use smoltcp::iface::SocketHandle;
use smoltcp::socket::icmp;

use crate::story::{SERVER, ip};
use crate::transfers::Transfer;
use crate::world::World;

/// Between two datagrams.
pub const TICK: Duration = Duration::from_millis(5);
/// A ping is sent with every so many datagrams.
const PINGS: u64 = 10;
/// Bytes that the transfer grows by with each datagram.
const PIECE: usize = 1000;

/// The traffic of one client and one server.
pub struct Traffic {
    client: usize,
    server: usize,
    transfer: Option<Transfer>,
    seed: u64,
    sockets: Option<[SocketHandle; 3]>,
    next: Option<Instant>,
    number: u64,
    /// When the server, and when the client, got the last datagram.
    heard: [Instant; 2],
    began: Instant,
    /// The longest silence of each since the last look.
    longest: [Duration; 2],
    pub pings: u64,
    pub answers: u64,
}

impl Traffic {
    pub fn new(world: &mut World, client: usize, server: usize, seed: u64) -> Self {
        Traffic {
            client,
            server,
            transfer: None,
            seed,
            sockets: None,
            next: None,
            number: 0,
            heard: [world.now; 2],
            began: world.now,
            longest: [Duration::ZERO; 2],
            pings: 0,
            answers: 0,
        }
    }

    /// From now on.
    pub fn begin(&mut self, world: &mut World) {
        if self.sockets.is_none() {
            let asks = world.hosts[self.client].udp(5000);
            let answers = world.hosts[self.server].udp(5001);
            let ping = world.hosts[self.client].ping(77);
            self.sockets = Some([asks, answers, ping]);
        }
        self.next = Some(world.now);
        self.heard = [world.now; 2];
        self.began = world.now;
        let from = 40_000 + (self.seed % 1000) as u16;
        let data = vec![self.seed as u8; PIECE];
        self.transfer = Some(Transfer::begin(world, self.client, self.server, (SERVER, 80), from, data));
    }

    /// Nothing new any more.
    pub fn stop(&mut self, world: &mut World) {
        self.next = None;
        world.wake_in(Duration::ZERO);
    }

    /// Says and hears what there is.
    pub fn advance(&mut self, world: &mut World) {
        let Some([asks, answers, ping]) = self.sockets else { return };
        if self.next.is_some_and(|at| at <= world.now) {
            self.next = Some(world.now + TICK);
            world.wake_in(TICK);
            self.number += 1;
            // Who is not heard of yet may be looked for at this very moment.
            world.hosts[self.client].try_to_say(asks, (ip(SERVER), 5001), &self.number.to_be_bytes());
            if self.number.is_multiple_of(PINGS) {
                self.pings += u64::from(world.hosts[self.client].try_to_ask(ping, 77, ip(SERVER)));
            }
            if let Some(transfer) = &mut self.transfer {
                let piece: Vec<u8> = (0..PIECE as u64).map(|at| (at * 7 + self.number) as u8).collect();
                transfer.append(&piece);
            }
        }
        while let Some((bytes, from)) = world.hosts[self.server].hear(answers) {
            self.hear(world.now, 0);
            world.hosts[self.server].try_to_say(answers, from, &bytes);
        }
        while world.hosts[self.client].hear(asks).is_some() {
            self.hear(world.now, 1);
        }
        let socket = world.hosts[self.client].sockets.get_mut::<icmp::Socket>(ping);
        while socket.can_recv() && socket.recv().is_ok() {
            self.answers += 1;
        }
        if let Some(transfer) = &mut self.transfer {
            transfer.advance(world);
        }
    }

    fn hear(&mut self, now: Instant, side: usize) {
        let silence = now.since(self.heard[side]);
        self.longest[side] = self.longest[side].max(silence);
        self.heard[side] = now;
    }

    /// The longest silence of either side since the last look, less the time between two datagrams.
    pub fn take_gap(&mut self, now: Instant) -> Duration {
        for side in 0..2 {
            let silence = now.since(self.heard[side]);
            self.longest[side] = self.longest[side].max(silence);
        }
        let longest = std::mem::take(&mut self.longest);
        longest[0].max(longest[1]).saturating_sub(TICK)
    }

    /// Something has come back.
    pub fn flows(&self) -> bool {
        self.heard[1] > self.began
    }

    pub fn is_complete(&self) -> bool {
        self.transfer.as_ref().is_none_or(Transfer::is_complete)
    }

    /// The bytes are right; all of them are there, if it is `complete`.
    pub fn check(&self, complete: bool) {
        let Some(transfer) = &self.transfer else { return };
        match complete {
            true => transfer.check(),
            false => assert!(transfer.is_right_so_far()),
        }
    }
}
