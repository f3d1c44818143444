//! Routers, hosts and cables in one deterministic piece of simulated time.
//!
//! Invariant: the same seed gives the same frames at the same nanoseconds. A router's forward thread is an actor
//! of its own: frames wait in its receive queue for a moment that the seed chooses, so that batches of all sizes
//! occur, and a new configuration reaches it late.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Duration;

use koi::node::{Command, Compiled, Outbox, Shard};
use koi::types::{Instant, PortId, Random, Seed};
use koi::wire::FrameBuf;

use crate::cable::{Cable, Quality};
use crate::host::Host;

/// One end of a cable.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum End {
    /// A host's only card.
    Host(usize),
    /// A port of a router.
    Router(usize, u8),
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Frame { to: End, frame: Vec<u8> },
    Batch { router: usize },
    Apply { router: usize, index: usize },
}

/// A router: the same value that the program runs.
pub struct Router {
    pub shard: Shard,
    out: Outbox,
    waiting: Vec<(u8, Vec<u8>)>,
    batch_due: bool,
}

/// Everything.
pub struct World {
    pub now: Instant,
    pub hosts: Vec<Host>,
    pub routers: Vec<Router>,
    cables: Vec<(End, End, Cable)>,
    events: BinaryHeap<Reverse<(Instant, u64, Event)>>,
    configurations: Vec<Arc<Compiled>>,
    sequence: u64,
    random: Random,
    /// Every frame that was put on a cable: (time, from, frame). For assertions.
    pub seen: Vec<(Instant, End, Vec<u8>)>,
}

impl World {
    pub fn new(seed: u64) -> Self {
        World {
            now: Instant::from_secs(1),
            hosts: Vec::new(),
            routers: Vec::new(),
            cables: Vec::new(),
            events: BinaryHeap::new(),
            configurations: Vec::new(),
            sequence: 0,
            random: Seed([seed, 0x6b6f69]).random(),
            seen: Vec::new(),
        }
    }

    /// A router that obeys `compiled`, all its ports up.
    pub fn add_router(&mut self, compiled: Compiled) -> usize {
        let ports = compiled.offloads.len();
        let seed = Seed([self.random.next(), self.random.next()]);
        let mut router = Router {
            shard: Shard::new(Arc::new(compiled), seed, self.now),
            out: Outbox::new(ports),
            waiting: Vec::new(),
            batch_due: false,
        };
        for port in 0..ports {
            router.shard.handle_link(self.now, PortId(port as u8), true, &mut router.out);
        }
        self.routers.push(router);
        self.routers.len() - 1
    }

    pub fn add_host(&mut self, host: Host) -> usize {
        self.hosts.push(host);
        self.hosts.len() - 1
    }

    /// Connects two ends, both directions with the same quality.
    pub fn connect(&mut self, a: End, b: End, quality: Quality) {
        for (from, to) in [(a, b), (b, a)] {
            let random = Seed([self.random.next(), 7]).random();
            self.cables.push((from, to, Cable::new(quality, random)));
        }
    }

    /// Pulls a cable out, or puts it back.
    pub fn cut(&mut self, end: End, cut: bool) {
        for (from, to, cable) in &mut self.cables {
            if *from == end || *to == end {
                cable.cut = cut;
            }
        }
    }

    /// A new configuration, which reaches the forward thread a little later.
    pub fn apply(&mut self, router: usize, compiled: Compiled) {
        let index = self.configurations.len();
        self.configurations.push(Arc::new(compiled));
        let at = self.now + Duration::from_nanos(self.random.below(2_000_000));
        self.schedule(at, Event::Apply { router, index });
    }

    fn schedule(&mut self, at: Instant, event: Event) {
        self.sequence += 1;
        self.events.push(Reverse((at, self.sequence, event)));
    }

    fn send(&mut self, from: End, frame: Vec<u8>) {
        self.seen.push((self.now, from, frame.clone()));
        let mut arrivals = Vec::new();
        for (end, to, cable) in &mut self.cables {
            if *end == from {
                arrivals.extend(cable.carry(self.now).into_iter().map(|at| (at, *to)));
            }
        }
        for (at, to) in arrivals {
            self.schedule(at, Event::Frame { to, frame: frame.clone() });
        }
    }

    /// Lets hosts and routers speak, then jumps to the next thing that happens; false when nothing ever will.
    pub fn step(&mut self) -> bool {
        for index in 0..self.hosts.len() {
            for frame in self.hosts[index].poll(self.now) {
                self.send(End::Host(index), frame);
            }
        }
        for index in 0..self.routers.len() {
            self.drain_router(index);
        }
        let next_event = self.events.peek().map(|Reverse((at, _, _))| *at);
        let hosts = (0..self.hosts.len()).filter_map(|index| self.hosts[index].poll_at(self.now)).min();
        let routers =
            self.routers.iter().filter_map(|router| router.shard.poll_timeout()).map(|(at, _)| at).min();
        let Some(next) = [next_event, hosts, routers].into_iter().flatten().min() else { return false };
        self.now = next.max(self.now);
        for router in &mut self.routers {
            if router.shard.poll_timeout().is_some_and(|(at, _)| at <= self.now) {
                router.shard.handle_timeout(self.now, &mut router.out);
            }
        }
        while self.events.peek().is_some_and(|Reverse((at, _, _))| *at <= self.now) {
            if let Some(Reverse((_, _, event))) = self.events.pop() {
                self.happen(event);
            }
        }
        true
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Frame { to: End::Host(index), frame } => self.hosts[index].receive(frame),
            Event::Frame { to: End::Router(index, port), frame } => {
                self.routers[index].waiting.push((port, frame));
                if !self.routers[index].batch_due {
                    self.routers[index].batch_due = true;
                    let at = self.now + Duration::from_nanos(self.random.below(100_000));
                    self.schedule(at, Event::Batch { router: index });
                }
            }
            Event::Batch { router } if router < self.routers.len() => self.run_batch(router),
            // Only the end of a wait.
            Event::Batch { .. } => {}
            Event::Apply { router, index } => {
                let command = Command::Apply(Arc::clone(&self.configurations[index]), Box::new(|()| {}));
                let router = &mut self.routers[router];
                router.shard.handle_command(self.now, command, &mut router.out);
            }
        }
    }

    fn run_batch(&mut self, index: usize) {
        let router = &mut self.routers[index];
        router.batch_due = false;
        let mut waiting = std::mem::take(&mut router.waiting);
        waiting.sort_by_key(|(port, _)| *port);
        for port in 0..8u8 {
            let mut frames: Vec<FrameBuf> = waiting
                .iter()
                .filter(|(p, _)| *p == port)
                .map(|(_, frame)| FrameBuf::copy_of(frame))
                .collect();
            if !frames.is_empty() {
                router.shard.handle_frames(self.now, PortId(port), &mut frames, &mut router.out);
            }
        }
    }

    fn drain_router(&mut self, index: usize) {
        for port in 0..8u8 {
            let (frames, _) = self.routers[index].out.frames(PortId(port));
            for frame in std::mem::take(frames) {
                self.send(End::Router(index, port), frame.bytes().to_vec());
            }
        }
    }

    /// Runs until `done` holds; panics at `limit` of simulated time.
    pub fn run_until(&mut self, limit: Duration, what: &str, mut done: impl FnMut(&mut World) -> bool) {
        let deadline = self.now + limit;
        while !done(self) {
            assert!(self.now < deadline, "{what}: not within {limit:?} of simulated time");
            assert!(self.step(), "{what}: nothing will ever happen again");
        }
    }

    /// Runs for a while.
    pub fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        self.schedule(end, Event::Batch { router: usize::MAX });
        while self.now < end && self.step() {}
    }
}
