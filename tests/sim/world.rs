//! Routers, hosts and cables in one deterministic piece of simulated time.
//!
//! Invariant: the same seed gives the same frames at the same nanoseconds. A router's forward thread is an actor
//! of its own: frames wait in its receive queue for a moment that the seed chooses, so that batches of all sizes
//! occur, and a new configuration reaches it late.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use koi::node::{Command, Compiled};
use koi::types::{Instant, Random, Seed};
use smoltcp::iface::SocketHandle;

use crate::cable::{Cable, Quality};
use crate::crew::Actor;
use crate::host::Host;
use crate::router::Router;
use crate::switch::Switch;

/// One end of a cable.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum End {
    /// A host's only card.
    Host(usize),
    /// A port of a router.
    Router(usize, u8),
    /// A port of a switch.
    Switch(usize, u8),
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Frame {
        to: End,
        frame: Vec<u8>,
    },
    Batch {
        router: usize,
    },
    Apply {
        router: usize,
        index: usize,
    },
    /// The router's own stack has its turn.
    Turn {
        router: usize,
    },
    /// The forward thread takes what the router's own stack has sent.
    Hand {
        router: usize,
    },
    /// An actor of a node of the pair has its turn.
    Actor {
        router: usize,
        actor: Actor,
    },
    /// What the forward thread has made leaves.
    Depart {
        router: usize,
    },
    /// A node runs again.
    GoOn {
        router: usize,
    },
    /// A parent's last word.
    Frames {
        router: usize,
        frames: Vec<(u8, Vec<u8>)>,
    },
    /// Only the end of a wait.
    Wake,
}

/// Everything.
pub struct World {
    pub now: Instant,
    pub hosts: Vec<Host>,
    pub routers: Vec<Router>,
    pub switches: Vec<Switch>,
    cables: Vec<(End, End, Cable)>,
    events: BinaryHeap<Reverse<(Instant, u64, Event)>>,
    configurations: Vec<Arc<Compiled>>,
    sequence: u64,
    random: Random,
    /// By router and actor: a turn comes at most this many nanoseconds late.
    pub late: Vec<[u64; 3]>,
    /// How often anything happened.
    pub steps: u64,
    /// Every frame that was put on a cable: (time, from, frame). For assertions.
    pub seen: Vec<(Instant, End, Vec<u8>)>,
}

impl World {
    pub fn new(seed: u64) -> Self {
        World {
            now: Instant::from_secs(1),
            hosts: Vec::new(),
            routers: Vec::new(),
            switches: Vec::new(),
            cables: Vec::new(),
            events: BinaryHeap::new(),
            configurations: Vec::new(),
            sequence: 0,
            random: Seed([seed, 0x6b6f69]).random(),
            late: Vec::new(),
            steps: 0,
            seen: Vec::new(),
        }
    }

    /// A router that obeys `compiled`, all its ports up.
    pub fn add_router(&mut self, compiled: Compiled) -> usize {
        let seed = Seed([self.random.next(), self.random.next()]);
        let router = Router::new(Arc::new(compiled), seed, self.now);
        self.routers.push(router);
        self.late.push([100_000; 3]);
        self.routers.len() - 1
    }

    /// A node of a pair, as whatever `make` makes of a seed.
    pub fn add_node(&mut self, make: impl FnOnce(Seed, Instant) -> Router) -> usize {
        let seed = Seed([self.random.next(), self.random.next()]);
        self.routers.push(make(seed, self.now));
        self.late.push([100_000; 3]);
        self.routers.len() - 1
    }

    /// Another node in the place of one that has ended.
    pub fn replace_node(&mut self, router: usize, make: impl FnOnce(Seed, Instant, &Router) -> Router) {
        let seed = Seed([self.random.next(), self.random.next()]);
        self.routers[router] = make(seed, self.now, &self.routers[router]);
    }

    /// A node stops for a while; `stands`: like a paused machine, whose clock stands still.
    pub fn stop(&mut self, router: usize, time: Duration, stands: bool) {
        self.routers[router].clock.stop(self.now, stands);
        self.schedule(self.now + time, Event::GoOn { router });
    }

    /// A node is what it was in an earlier world; its clock goes on from then.
    pub fn put_back(&mut self, router: usize, before: &mut World) {
        std::mem::swap(&mut self.routers[router], &mut before.routers[router]);
        let node = &mut self.routers[router];
        node.clock.stop(before.now, true);
        node.clock.go_on(self.now);
        node.leaving = false;
        if node.wake(self.now) {
            self.soon(100_000, Event::Batch { router });
        }
    }

    /// The forward thread gets stuck, or goes on.
    pub fn hang(&mut self, router: usize, hung: bool) {
        self.routers[router].hung = hung.then_some(self.now);
        if !hung && self.routers[router].wake(self.now) {
            self.soon(100_000, Event::Batch { router });
        }
    }

    /// The parent says what it was left.
    pub fn say_last_word(&mut self, router: usize) {
        let Some(crew) = &mut self.routers[router].crew else { return };
        let frames = std::mem::take(&mut crew.resignation);
        self.soon(2_000_000, Event::Frames { router, frames });
    }

    pub fn add_host(&mut self, host: Host) -> usize {
        self.hosts.push(host);
        self.hosts.len() - 1
    }

    pub fn add_switch(&mut self) -> usize {
        self.switches.push(Switch::default());
        self.switches.len() - 1
    }

    /// Connects two ends, both directions with the same quality.
    pub fn connect(&mut self, a: End, b: End, quality: Quality) {
        for (from, to) in [(a, b), (b, a)] {
            let random = Seed([self.random.next(), 7]).random();
            self.cables.push((from, to, Cable::new(quality, random)));
        }
    }

    /// A cable becomes a better one or a worse one.
    pub fn degrade(&mut self, end: End, quality: Quality) {
        for (_, _, cable) in self.cables.iter_mut().filter(|(from, to, _)| *from == end || *to == end) {
            cable.quality = quality;
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

    /// A cable becomes better or worse, in both directions.
    pub fn change(&mut self, end: End, quality: Quality) {
        for (from, to, cable) in &mut self.cables {
            if *from == end || *to == end {
                cable.change(quality);
            }
        }
    }

    /// Puts a frame on the cable as if the end had sent it.
    pub fn emit(&mut self, from: End, frame: Vec<u8>) {
        self.send(from, frame);
    }

    /// The link of a router's port comes or goes, as the kernel tells it.
    pub fn link(&mut self, router: usize, port: u8, up: bool) {
        self.cut(End::Router(router, port), !up);
        if let Some(End::Switch(switch, at)) = self.peer(End::Router(router, port)).filter(|_| !up) {
            self.switches[switch].unplug(at);
        }
        self.routers[router].link(self.now, port, up);
    }

    /// A new configuration, which reaches the forward thread a little later.
    pub fn apply(&mut self, router: usize, compiled: Compiled) {
        let index = self.configurations.len();
        self.configurations.push(Arc::new(compiled));
        self.soon(2_000_000, Event::Apply { router, index });
    }

    /// Another configuration has come into force somewhere.
    pub fn has_other_rules(&self) -> bool {
        !self.configurations.is_empty()
    }

    fn schedule(&mut self, at: Instant, event: Event) {
        self.sequence += 1;
        self.events.push(Reverse((at, self.sequence, event)));
    }

    fn send(&mut self, from: End, frame: Vec<u8>) {
        // What a switch passes on was seen when it was sent.
        if !matches!(from, End::Switch(..)) {
            self.seen.push((self.now, from, frame.clone()));
        }
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
        self.steps += 1;
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
        let routers = self.routers.iter().filter_map(|router| router.poll_timeout(self.now)).min();
        let Some(next) = [next_event, hosts, routers].into_iter().flatten().min() else { return false };
        self.now = next.max(self.now);
        for router in &mut self.routers {
            router.run_timers(self.now);
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
            Event::Frame { to: End::Host(index), frame } => {
                self.hosts[index].receive(frame);
                // Where time is measured, the host looks at this very instant.
                if self.routers.iter().any(|router| router.crew.is_some()) {
                    self.schedule(self.now, Event::Wake);
                }
            }
            Event::Frame { to: End::Router(index, port), frame } => {
                if self.routers[index].receive(port, frame) {
                    self.soon(100_000, Event::Batch { router: index });
                }
            }
            Event::Frame { to: End::Switch(index, port), frame } => {
                for port in self.switches[index].receive(port, &frame) {
                    self.send(End::Switch(index, port), frame.clone());
                }
            }
            Event::Batch { router } => self.routers[router].run_batch(self.now),
            Event::Turn { router } => self.routers[router].run_stack(self.now),
            Event::Hand { router } => self.routers[router].take_host_packets(self.now),
            Event::Actor { router, actor } => {
                let planned = &mut self.routers[router].planned[actor as usize];
                if planned.is_some_and(|(_, at)| at == self.now) {
                    *planned = None;
                    if self.routers[router].is_awake() {
                        let frames = self.routers[router].turn(self.now, actor);
                        self.send_all(router, frames);
                    }
                }
            }
            Event::Depart { router } => self.depart(router),
            Event::GoOn { router } => {
                self.routers[router].clock.go_on(self.now);
                if self.routers[router].leaving {
                    // The batch that had been started.
                    self.depart(router);
                }
                if self.routers[router].wake(self.now) {
                    self.soon(100_000, Event::Batch { router });
                }
            }
            Event::Frames { router, frames } => self.send_all(router, frames),
            Event::Wake => {}
            Event::Apply { router, index } => {
                let command = Command::Apply(Arc::clone(&self.configurations[index]), Box::new(|()| {}));
                self.routers[router].command(self.now, command);
            }
        }
    }

    fn send_all(&mut self, router: usize, frames: Vec<(u8, Vec<u8>)>) {
        for (port, frame) in frames {
            self.send(End::Router(router, port), frame);
        }
    }

    /// A node that stands still sends when it goes on.
    fn depart(&mut self, router: usize) {
        if self.routers[router].is_awake() {
            let frames = self.routers[router].drain(self.now);
            self.send_all(router, frames);
        }
    }

    /// Gives the actors of a node the turns that they want, late by as much as the seed says.
    fn plan(&mut self, index: usize) {
        if !self.routers[index].is_awake() {
            return;
        }
        if self.routers[index].wants_departure(self.now) {
            self.soon(50_000, Event::Depart { router: index });
        }
        for actor in Actor::ALL {
            let Router { crew: Some(crew), clock, planned, .. } = &mut self.routers[index] else { return };
            let Some(due) = crew.due(actor, clock.local(self.now)) else { continue };
            let due = clock.world(due).max(self.now);
            if planned[actor as usize].is_none_or(|(planned, _)| due < planned) {
                let late = self.random.below(self.late[index][actor as usize].max(1));
                let at = due + Duration::from_nanos(late);
                let planned = &mut self.routers[index].planned[actor as usize];
                if planned.is_none_or(|(_, before)| at < before) {
                    *planned = Some((due, at));
                    self.schedule(at, Event::Actor { router: index, actor });
                }
            }
        }
    }

    /// Something happens within `nanos` nanoseconds.
    fn soon(&mut self, nanos: u64, event: Event) {
        let at = self.now + Duration::from_nanos(self.random.below(nanos));
        self.schedule(at, event);
    }

    /// Puts on the cables what the router has sent, and gives its own stack the turns that it wants.
    fn drain_router(&mut self, index: usize) {
        if self.routers[index].crew.is_some() {
            self.plan(index);
        } else {
            let frames = self.routers[index].drain(self.now);
            self.send_all(index, frames);
        }
        if self.routers[index].wants_turn(self.now) {
            self.soon(200_000, Event::Turn { router: index });
        }
        if self.routers[index].wants_hand() {
            self.soon(100_000, Event::Hand { router: index });
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

    /// Does `attempt` until it yields something.
    pub fn insist<T>(
        &mut self,
        limit: Duration,
        what: &str,
        mut attempt: impl FnMut(&mut World) -> Option<T>,
    ) -> T {
        let deadline = self.now + limit;
        loop {
            assert!(self.now < deadline, "{what}: not within {limit:?} of simulated time");
            if let Some(result) = attempt(self) {
                return result;
            }
        }
    }

    /// Runs until a datagram arrives.
    pub fn await_datagram(&mut self, host: usize, socket: SocketHandle) -> (Vec<u8>, (IpAddr, u16)) {
        self.insist(Duration::from_secs(10), "a datagram", |world| {
            world.step();
            world.hosts[host].hear(socket)
        })
    }

    /// The other end of a host's cable.
    pub fn peer(&self, end: End) -> Option<End> {
        self.cables.iter().find(|(from, _, _)| *from == end).map(|(_, to, _)| *to)
    }

    /// Makes sure that the world stops to look after this time.
    pub fn wake_in(&mut self, time: Duration) -> Instant {
        let at = self.now + time;
        self.schedule(at, Event::Wake);
        at
    }

    /// Runs for a while.
    pub fn run_for(&mut self, time: Duration) {
        let end = self.wake_in(time);
        while self.now < end && self.step() {}
    }
}
