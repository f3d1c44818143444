//! A router: the same values that the program runs, with its queues and its own stack beside it. A node of a pair has
//! a crew (helm and courier), a clock of its own, and may be stopped or dead.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use koi::cluster::Identity;
use koi::cluster::replica::Evidence;
use koi::node::{Command, Compiled, Imported, Outbox, ReplicaOrder, Replication, Shard};
use koi::types::{Instant, PortId, Random, Seed};
use koi::wire::FrameBuf;

use crate::clock::Clock;
use crate::crew::{Actor, Beat, Crew};
use crate::spoil::Spoil;
use crate::stack::OwnStack;

/// Packets of the own stack that the forward thread takes in one turn.
const BATCH: usize = 64;
/// Frames that a port's receive queue holds.
const QUEUE: usize = 1000;
/// Orders carried out in one turn.
const ORDERS: usize = 16;
/// The forward thread reads the published word this late, in nanoseconds.
const STALE: u64 = 20_000;

/// A router, its ports all up.
pub struct Router {
    pub shard: Shard,
    pub own: OwnStack,
    pub clock: Clock,
    pub crew: Option<Crew>,
    pub alive: bool,
    /// The forward thread is stuck in the middle of a turn.
    pub hung: Option<Instant>,
    pub compiled: Arc<Compiled>,
    out: Outbox,
    links: Vec<bool>,
    /// Links that came or went while the node was stopped.
    missed: Vec<u8>,
    waiting: Vec<(u8, Vec<u8>)>,
    batch_due: bool,
    /// Of the forward thread.
    turns: u64,
    /// What happens to the next flow that the peer tells of, between courier and shard.
    pub spoil: Spoil,
    /// A departure is scheduled.
    pub leaving: bool,
    /// When the batch that leaves was begun.
    began: Instant,
    /// What is scheduled for each actor: for which wish, and when.
    pub planned: [Option<(Instant, Instant)>; 3],
    random: Random,
}

impl Router {
    pub fn new(compiled: Arc<Compiled>, seed: Seed, now: Instant) -> Self {
        let ports = compiled.offloads.len();
        let mut router = Router::dark(compiled, seed, now, Clock::default(), vec![true; ports]);
        router.tell_links(now);
        router
    }

    /// A node of a pair that starts at `now`.
    pub fn of_pair(
        (compiled, identity): (Arc<Compiled>, Identity),
        seed: Seed,
        now: Instant,
        (clock, links): (Clock, Vec<bool>),
        fresh: bool,
    ) -> Self {
        let crew = Crew::new(&compiled, identity, fresh, seed, clock.local(now));
        let mut router = Router::dark(compiled, seed, now, clock, links);
        router.crew = Some(crew);
        router.tell_links(now);
        router
    }

    fn dark(compiled: Arc<Compiled>, seed: Seed, now: Instant, clock: Clock, links: Vec<bool>) -> Self {
        Router {
            shard: Shard::new(Arc::clone(&compiled), seed, clock.local(now)),
            own: OwnStack::new(seed.derive(99), clock.local(now)),
            out: Outbox::new(links.len()),
            clock,
            crew: None,
            alive: true,
            hung: None,
            compiled,
            links,
            missed: Vec::new(),
            waiting: Vec::new(),
            batch_due: false,
            turns: 0,
            spoil: Spoil::default(),
            leaving: false,
            began: Instant::ZERO,
            planned: [None; 3],
            random: seed.derive(5).random(),
        }
    }

    fn tell_links(&mut self, now: Instant) {
        for port in 0..self.links.len() as u8 {
            self.link(now, port, self.links[usize::from(port)]);
        }
    }

    /// What a node that starts in its place needs.
    pub fn remains(&self) -> (Arc<Compiled>, Clock, Vec<bool>) {
        (Arc::clone(&self.compiled), self.clock, self.links.clone())
    }

    /// It runs.
    pub fn is_awake(&self) -> bool {
        self.alive && !self.clock.is_stopped()
    }

    /// It runs, and its forward thread does.
    pub fn forwards(&self) -> bool {
        self.is_awake() && self.hung.is_none()
    }

    /// The port has a link.
    pub fn is_linked(&self, port: u8) -> bool {
        self.links[usize::from(port)]
    }

    pub fn link(&mut self, now: Instant, port: u8, up: bool) {
        self.links[usize::from(port)] = up;
        if !self.forwards() {
            return self.missed.push(port);
        }
        let now = self.obey(now);
        self.shard.handle_link(now, PortId(port), up, &mut self.out);
        if let Some(crew) = &mut self.crew {
            crew.tell_link(PortId(port), up);
        }
        self.flush();
    }

    /// The node runs again after a stop; true when frames wait.
    pub fn wake(&mut self, now: Instant) -> bool {
        self.planned = [None; 3];
        for port in std::mem::take(&mut self.missed) {
            self.link(now, port, self.links[usize::from(port)]);
        }
        self.batch_due = !self.waiting.is_empty();
        self.batch_due
    }

    /// The forward thread takes the standing that it has just read; gives the node's time.
    fn obey(&mut self, now: Instant) -> Instant {
        let now = self.clock.local(now);
        if let Some(crew) = &self.crew {
            let late = Duration::from_nanos(self.random.below(STALE));
            self.shard.set_standing(now, crew.stale_standing(now, late));
        }
        now
    }

    pub fn command(&mut self, now: Instant, command: Command) {
        let now = self.obey(now);
        self.shard.handle_command(now, command, &mut self.out);
        self.flush();
    }

    /// A frame waits in the receive queue; true when a batch has to be scheduled for it.
    pub fn receive(&mut self, port: u8, frame: Vec<u8>) -> bool {
        if !self.alive || !self.links[usize::from(port)] {
            return false;
        }
        if let Some(crew) = self.crew.as_mut().filter(|crew| crew.is_sync(port)) {
            crew.receive_sync(frame);
            return false;
        }
        if self.waiting.len() < QUEUE {
            self.waiting.push((port, frame));
        }
        !std::mem::replace(&mut self.batch_due, true)
    }

    /// The forward thread reads all ports.
    pub fn run_batch(&mut self, now: Instant) {
        if !self.forwards() {
            return;
        }
        self.batch_due = false;
        self.turns += 1;
        let waiting = std::mem::take(&mut self.waiting);
        for port in 0..self.links.len() as u8 {
            let of_port = waiting.iter().filter(|(at, _)| *at == port);
            let mut frames: Vec<FrameBuf> = of_port.map(|(_, frame)| FrameBuf::copy_of(frame)).collect();
            if !frames.is_empty() {
                let now = self.obey(now);
                if let Some(crew) = &mut self.crew {
                    crew.hear(PortId(port), now);
                }
                self.shard.handle_frames(now, PortId(port), &mut frames, &mut self.out);
                self.flush();
            }
        }
    }

    /// What the shard has said reaches the others.
    fn flush(&mut self) {
        let Some(crew) = &mut self.crew else { return };
        for (interface, frame) in self.out.control.drain(..) {
            crew.receive_control(interface, frame);
        }
        for (gateway, reachable) in self.shard.take_gateway_news() {
            crew.tell_gateway(gateway, reachable);
        }
        crew.hand_over_chunks(&mut self.out.chunks);
        let lost = crew.hand_over_detours(&mut self.out.detours);
        self.shard.note_lost_detours(lost);
        let owed = crew.room().saturating_sub(self.out.chunks.len() + self.shard.credit());
        self.shard.grant(owed);
    }

    /// An actor's turn; gives the frames that leave at once.
    pub fn turn(&mut self, now: Instant, actor: Actor) -> Vec<(u8, Vec<u8>)> {
        let local = self.clock.local(now);
        let Router { crew: Some(crew), waiting, leaving, hung, turns, .. } = self else { return Vec::new() };
        let calendar = 1_700_000_000_000_000_000 + now.as_nanos();
        match actor {
            Actor::Helm => {
                let beat = Beat { busy: hung.map(|at| self.clock.local(at)), turns: *turns };
                let quiet = |port: PortId| !*leaving && waiting.iter().all(|(at, _)| *at != port.0);
                crew.helm_turn(local, calendar, beat, quiet)
            }
            Actor::Courier => crew.courier_turn(local, calendar),
            Actor::Forward => {
                self.take_orders(now);
                Vec::new()
            }
        }
    }

    fn take_orders(&mut self, now: Instant) {
        if !self.forwards() {
            return;
        }
        let now = self.obey(now);
        for _ in 0..ORDERS {
            let Some(crew) = &mut self.crew else { return };
            let Some((telling, order)) = crew.orders.pop_front() else { break };
            let command = match order {
                ReplicaOrder::Tell { by_name } => {
                    self.out.chunks.clear();
                    crew.begin_telling(telling);
                    Command::Replicate(Replication::Tell { by_name })
                }
                ReplicaOrder::Correct { ranges, flows } => Command::Correct { ranges, flows },
                ReplicaOrder::Detour(packets) => Command::Detour(packets),
                ReplicaOrder::Quiet => Command::Replicate(Replication::Off),
                ReplicaOrder::Speak(version) => Command::Speak(version),
                ReplicaOrder::ForgetPeer => Command::Replicate(Replication::Listen),
                ReplicaOrder::Import(stream, sequence, mut bytes) => {
                    self.spoil.spoil(&mut bytes);
                    let evidence = Arc::new(Mutex::new(Evidence::default()));
                    let told = Arc::clone(&evidence);
                    let reply = Box::new(move |imported: Imported| *told.lock().unwrap() = imported.evidence);
                    self.shard.handle_command(now, Command::Import { bytes, reply }, &mut self.out);
                    let evidence = std::mem::take(&mut *evidence.lock().unwrap());
                    crew.applied(stream, sequence, evidence);
                    self.flush();
                    continue;
                }
            };
            self.shard.handle_command(now, command, &mut self.out);
            self.flush();
        }
        let mut packets =
            self.crew.as_mut().map(|crew| std::mem::take(&mut crew.packets)).unwrap_or_default();
        let probes = self.crew.as_mut().map(|crew| std::mem::take(&mut crew.probes)).unwrap_or_default();
        for (interface, port) in probes {
            self.shard.handle_command(now, Command::Probe(interface), &mut self.out);
            self.flush();
            if let Some(crew) = &mut self.crew {
                crew.asked(port, now);
            }
        }
        if !packets.is_empty() {
            self.shard.handle_host_packets(now, &mut packets, &mut self.out);
            self.flush();
        }
    }

    /// What has been sent since the last time, by port; packets for the own stack go into its queue.
    pub fn drain(&mut self, now: Instant) -> Vec<(u8, Vec<u8>)> {
        self.leaving = false;
        let local = self.clock.local(now);
        self.shard.release_answers(local, &mut self.out);
        if let Some(holds) = self.crew.as_ref().map(Crew::standing)
            && self.shard.is_overtaken(self.began, local, holds)
        {
            self.shard.withdraw(local, holds, &mut self.out);
        }
        self.own.push(&mut self.out.host);
        let mut sent = Vec::new();
        for port in 0..self.links.len() as u8 {
            let (frames, pool) = self.out.frames(PortId(port));
            for frame in frames.drain(..) {
                sent.push((port, frame.bytes().to_vec()));
                pool.give(frame);
            }
        }
        sent
    }

    /// True when a departure has to be scheduled.
    pub fn wants_departure(&mut self, now: Instant) -> bool {
        let wanted = self.forwards() && !self.leaving && !self.out.is_empty();
        if wanted {
            (self.leaving, self.began) = (true, self.clock.local(now));
        }
        wanted
    }

    /// True when a turn of the own stack has to be scheduled.
    pub fn wants_turn(&mut self, now: Instant) -> bool {
        let now = self.clock.local(now);
        let wanted = self.is_awake() && !self.own.turn_due && self.own.due(now).is_some_and(|at| at <= now);
        self.own.turn_due |= wanted;
        wanted
    }

    pub fn run_stack(&mut self, now: Instant) {
        self.own.turn_due = false;
        if self.is_awake() {
            self.own.turn(self.clock.local(now));
        }
    }

    /// True when a hand-over of the own stack's packets has to be scheduled.
    pub fn wants_hand(&mut self) -> bool {
        let wanted = self.forwards() && !self.own.hand_due && self.own.has_outgoing();
        self.own.hand_due |= wanted;
        wanted
    }

    pub fn take_host_packets(&mut self, now: Instant) {
        self.own.hand_due = false;
        if self.forwards() {
            let mut packets = self.own.pop(BATCH);
            let now = self.obey(now);
            self.shard.handle_host_packets(now, &mut packets, &mut self.out);
            self.flush();
        }
    }

    /// When something is due.
    pub fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        if !self.is_awake() {
            return None;
        }
        let local = self.clock.local(now);
        let own = if self.own.turn_due { None } else { self.own.due(local) };
        let shard = self.shard.poll_timeout().map(|(at, _)| at).filter(|_| self.hung.is_none());
        shard.into_iter().chain(own).min().map(|at| self.clock.world(at))
    }

    pub fn run_timers(&mut self, now: Instant) {
        let local = self.clock.local(now);
        if self.forwards() && self.shard.poll_timeout().is_some_and(|(at, _)| at <= local) {
            let local = self.obey(now);
            let wanted = self.shard.wants_empty_ports(local);
            self.shard.handle_timeout(local, &mut self.out);
            if wanted && self.waiting.is_empty() {
                self.shard.handle_emptied(local, &mut self.out);
            }
            self.flush();
        }
    }
}
