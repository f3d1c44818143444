//! A router: the same value that the program runs, with its queues and its own stack beside it.

use std::sync::Arc;

use koi::node::{Command, Compiled, Outbox, Shard};
use koi::types::{Instant, PortId, Seed};
use koi::wire::FrameBuf;

use crate::stack::OwnStack;

/// Packets of the own stack that the forward thread takes in one turn.
const BATCH: usize = 64;

/// A router, its ports all up.
pub struct Router {
    pub shard: Shard,
    pub own: OwnStack,
    out: Outbox,
    ports: u8,
    waiting: Vec<(u8, Vec<u8>)>,
    batch_due: bool,
}

impl Router {
    pub fn new(compiled: Compiled, seed: Seed, now: Instant) -> Self {
        let ports = compiled.offloads.len() as u8;
        let mut router = Router {
            shard: Shard::new(Arc::new(compiled), seed, now),
            own: OwnStack::new(seed.derive(99), now),
            out: Outbox::new(usize::from(ports)),
            ports,
            waiting: Vec::new(),
            batch_due: false,
        };
        for port in 0..ports {
            router.link(now, port, true);
        }
        router
    }

    pub fn link(&mut self, now: Instant, port: u8, up: bool) {
        self.shard.handle_link(now, PortId(port), up, &mut self.out);
    }

    pub fn command(&mut self, now: Instant, command: Command) {
        self.shard.handle_command(now, command, &mut self.out);
    }

    /// A frame waits in the receive queue; true when a batch has to be scheduled for it.
    pub fn receive(&mut self, port: u8, frame: Vec<u8>) -> bool {
        self.waiting.push((port, frame));
        !std::mem::replace(&mut self.batch_due, true)
    }

    /// The forward thread reads all ports.
    pub fn run_batch(&mut self, now: Instant) {
        self.batch_due = false;
        let waiting = std::mem::take(&mut self.waiting);
        for port in 0..self.ports {
            let of_port = waiting.iter().filter(|(at, _)| *at == port);
            let mut frames: Vec<FrameBuf> = of_port.map(|(_, frame)| FrameBuf::copy_of(frame)).collect();
            if !frames.is_empty() {
                self.shard.handle_frames(now, PortId(port), &mut frames, &mut self.out);
            }
        }
    }

    /// What has been sent since the last time, by port; packets for the own stack go into its queue.
    pub fn drain(&mut self) -> Vec<(u8, Vec<u8>)> {
        self.own.push(&mut self.out.host);
        let mut sent = Vec::new();
        for port in 0..self.ports {
            let (frames, pool) = self.out.frames(PortId(port));
            for frame in frames.drain(..) {
                sent.push((port, frame.bytes().to_vec()));
                pool.give(frame);
            }
        }
        sent
    }

    /// True when a turn of the own stack has to be scheduled.
    pub fn wants_turn(&mut self, now: Instant) -> bool {
        let wanted = !self.own.turn_due && self.own.due(now).is_some_and(|at| at <= now);
        self.own.turn_due |= wanted;
        wanted
    }

    pub fn run_stack(&mut self, now: Instant) {
        self.own.turn_due = false;
        self.own.turn(now);
    }

    /// True when a hand-over of the own stack's packets has to be scheduled.
    pub fn wants_hand(&mut self) -> bool {
        let wanted = !self.own.hand_due && self.own.has_outgoing();
        self.own.hand_due |= wanted;
        wanted
    }

    pub fn take_host_packets(&mut self, now: Instant) {
        self.own.hand_due = false;
        let mut packets = self.own.pop(BATCH);
        self.shard.handle_host_packets(now, &mut packets, &mut self.out);
    }

    /// When something is due.
    pub fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        let own = if self.own.turn_due { None } else { self.own.due(now) };
        self.shard.poll_timeout().map(|(at, _)| at).into_iter().chain(own).min()
    }

    pub fn run_timers(&mut self, now: Instant) {
        if self.shard.poll_timeout().is_some_and(|(at, _)| at <= now) {
            self.shard.handle_timeout(now, &mut self.out);
        }
    }
}
