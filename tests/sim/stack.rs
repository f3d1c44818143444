//! The router's own TCP stack as an actor: packets reach it, and leave it, through bounded queues and late.
//!
//! It serves one page to whoever connects and sends a byte; the page ends with the connection.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::task::{Context, Poll, Waker};

use koi::host::{ConnectionId, Counters, Reset, Stack};
use koi::types::{Instant, Seed};
use koi::wire::FrameBuf;

/// Packets that wait in one direction, as in the program.
const QUEUE: usize = 512;
/// Packets taken in one turn.
const BATCH: usize = 256;
/// The port of the page.
pub const PORT: u16 = 443;

/// The stack, its queues, and the connections that it serves.
pub struct OwnStack {
    stack: Stack,
    incoming: VecDeque<FrameBuf>,
    outgoing: VecDeque<FrameBuf>,
    /// Packets that found a queue full.
    pub overflowed: u64,
    /// What is served.
    pub page: Vec<u8>,
    serving: Vec<Served>,
    /// A turn is scheduled.
    pub turn_due: bool,
    /// A hand-over to the shard is scheduled.
    pub hand_due: bool,
}

struct Served {
    id: ConnectionId,
    asked: bool,
    written: usize,
}

impl OwnStack {
    /// A stack that serves nothing yet but an empty page.
    pub fn new(seed: Seed, now: Instant) -> Self {
        OwnStack {
            stack: Stack::new(vec![PORT], 1500, seed, now),
            incoming: VecDeque::new(),
            outgoing: VecDeque::new(),
            overflowed: 0,
            page: Vec::new(),
            serving: Vec::new(),
            turn_due: false,
            hand_due: false,
        }
    }

    /// A datagram of the router's own; false when there is no room for it.
    pub fn say(&mut self, from: (IpAddr, u16), to: (IpAddr, u16), payload: &[u8]) -> bool {
        self.stack.send_datagram(from.into(), to.into(), payload)
    }

    /// A datagram that has come, and from where.
    pub fn hear(&mut self) -> Option<(Vec<u8>, SocketAddr)> {
        self.stack.take_datagram().map(|datagram| (datagram.payload, datagram.remote))
    }

    /// What the stack has counted.
    pub fn counters(&self) -> Counters {
        self.stack.counters()
    }

    /// Packets from the shard; those that find no room are lost.
    pub fn push(&mut self, packets: &mut Vec<FrameBuf>) {
        for packet in packets.drain(..) {
            if self.incoming.len() < QUEUE {
                self.incoming.push_back(packet);
            } else {
                self.overflowed += 1;
            }
        }
    }

    /// Packets for the shard.
    pub fn pop(&mut self, limit: usize) -> Vec<FrameBuf> {
        self.outgoing.drain(..limit.min(self.outgoing.len())).collect()
    }

    /// True when packets for the shard wait.
    pub fn has_outgoing(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// When the stack wants a turn.
    pub fn due(&self, now: Instant) -> Option<Instant> {
        let room = self.outgoing.len() < QUEUE;
        let at_once = !self.incoming.is_empty() || (room && self.stack.wants_room());
        if at_once { Some(now) } else { self.stack.poll_timeout() }
    }

    /// Takes what has come, serves, sends.
    pub fn turn(&mut self, now: Instant) {
        for _ in 0..BATCH {
            let Some(packet) = self.incoming.pop_front() else { break };
            self.stack.handle_packet(now, packet);
        }
        self.send(now);
        self.serve(now);
        self.send(now);
    }

    fn send(&mut self, now: Instant) {
        let mut packets = Vec::new();
        self.stack.poll(now, QUEUE - self.outgoing.len(), &mut packets);
        for packet in packets {
            if self.outgoing.len() < QUEUE {
                self.outgoing.push_back(packet);
            } else {
                self.overflowed += 1;
            }
        }
    }

    fn serve(&mut self, now: Instant) {
        let context = Context::from_waker(Waker::noop());
        while let Poll::Ready(accepted) = self.stack.poll_accept(&context) {
            self.serving.push(Served { id: accepted.id, asked: false, written: 0 });
        }
        let OwnStack { stack, page, serving, .. } = self;
        serving.retain_mut(|served| {
            let going_on = served.go_on(stack, page, &context);
            if !going_on {
                stack.release(now, served.id);
            }
            going_on
        });
    }
}

impl Served {
    /// False when the connection is over.
    fn go_on(&mut self, stack: &mut Stack, page: &[u8], context: &Context<'_>) -> bool {
        let mut request = [0; 64];
        match stack.poll_read(self.id, context, &mut request) {
            Poll::Ready(Ok(0) | Err(Reset)) => return false,
            Poll::Ready(Ok(_)) => self.asked = true,
            Poll::Pending => {}
        }
        while self.asked && self.written < page.len() {
            match stack.poll_write(self.id, context, &page[self.written..]) {
                Poll::Ready(Ok(count)) => self.written += count,
                Poll::Ready(Err(Reset)) => return false,
                Poll::Pending => return true,
            }
            if self.written == page.len() {
                stack.shutdown(self.id);
            }
        }
        true
    }
}
