//! Numbered datagrams at ten thousand a second, from LAN through the translation to WAN and back through the same
//! flow. The receivers count what is missing, what comes twice, and what comes out of its order.

use std::net::IpAddr;
use std::time::Duration;

use koi::types::Instant;
use smoltcp::iface::SocketHandle;

use crate::story::{SERVER, ip};
use crate::world::World;

const SPACING: Duration = Duration::from_micros(100);
const CLIENT_HOST: usize = 1;
const SERVER_HOST: usize = 0;
const PORT: u16 = 6001;

/// What came of one direction.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Count {
    pub sent: u64,
    pub came: u64,
    pub twice: u64,
    pub late: u64,
}

impl Count {
    /// Nothing is missing, nothing came twice, all came in order.
    pub fn is_perfect(&self) -> bool {
        self.sent == self.came && self.twice == 0 && self.late == 0
    }
}

/// See the module.
pub struct Stream {
    sockets: [SocketHandle; 2],
    /// Where the server sends its own to, as it sees the client.
    back: Option<(IpAddr, u16)>,
    next: Option<Instant>,
    seen: [Vec<bool>; 2],
    counts: [Count; 2],
    newest: [Option<u64>; 2],
}

impl Stream {
    pub fn begin(world: &mut World) -> Stream {
        let client = world.hosts[CLIENT_HOST].wide_udp(6000);
        let server = world.hosts[SERVER_HOST].wide_udp(PORT);
        world.wake_in(SPACING);
        Stream {
            sockets: [client, server],
            back: None,
            next: Some(world.now),
            seen: Default::default(),
            counts: Default::default(),
            newest: [None; 2],
        }
    }

    /// No more are sent.
    pub fn stop(&mut self) {
        self.next = None;
    }

    /// By direction: to the server, to the client.
    pub fn counts(&self) -> [Count; 2] {
        self.counts
    }

    pub fn advance(&mut self, world: &mut World) {
        if let Some(at) = self.next.filter(|at| *at <= world.now) {
            self.next = Some(at + SPACING);
            world.wake_in((at + SPACING).since(world.now));
            self.send(world, 0, CLIENT_HOST, (ip(SERVER), PORT));
            if let Some(back) = self.back {
                self.send(world, 1, SERVER_HOST, back);
            }
        }
        for (direction, host) in [(0, SERVER_HOST), (1, CLIENT_HOST)] {
            while let Some((bytes, from)) = world.hosts[host].hear(self.sockets[1 - direction]) {
                let number = u64::from_be_bytes(bytes.try_into().unwrap());
                if direction == 0 {
                    self.back.get_or_insert(from);
                }
                self.hear(direction, number);
            }
        }
    }

    fn send(&mut self, world: &mut World, direction: usize, host: usize, to: (IpAddr, u16)) {
        let count = &mut self.counts[direction];
        if world.hosts[host].try_to_say(self.sockets[direction], to, &count.sent.to_be_bytes()) {
            count.sent += 1;
        }
    }

    fn hear(&mut self, direction: usize, number: u64) {
        let (seen, count) = (&mut self.seen[direction], &mut self.counts[direction]);
        let index = number as usize;
        if seen.len() <= index {
            seen.resize(index + 1, false);
        }
        if std::mem::replace(&mut seen[index], true) {
            count.twice += 1;
            return;
        }
        count.came += 1;
        count.late += u64::from(self.newest[direction].is_some_and(|newest| number < newest));
        self.newest[direction] = self.newest[direction].max(Some(number));
    }
}
