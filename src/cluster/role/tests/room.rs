//! A room with two nodes, the paths between them, and everything that may go wrong, in simulated time.
//!
//! Each node has its own clock. A node does what the node's thread does: it wakes when something is due or has come,
//! late by as much as the room wants, reads all, says that it has read all, and calls `handle_timeout` while something
//! is due. Its standing is published before its datagrams leave.

use std::collections::{BTreeMap, HashSet};

use super::super::*;
use crate::types::{Random, Seed, Standing};
use crate::wire::pair::{Handover, Health};

pub const MS: u64 = 1_000_000;
pub const WELL: Health = Health { forwarding: true, links: 2, gateways: 1, synced: true };
/// A handshake message is sent again after this long.
const RETRY: u64 = 50 * MS;
/// A path that loses nothing and takes at most this long is a clean one: DEAD - LEASE, less one wake.
const CLEAN: u64 = 4 * MS;

#[derive(Clone, Debug)]
enum Message {
    Heartbeat(u64, Heartbeat),
    Hello(u64),
    Answer(u64),
    Resignation(u64, Epoch),
}

#[derive(Clone, Debug)]
enum Happening {
    Wake(usize),
    Arrive { to: usize, path: usize, message: Message },
}

/// What a path does to datagrams, in each direction.
#[derive(Clone, Copy, Debug)]
pub struct Wire {
    pub cut: [bool; 2],
    pub loss_percent: u64,
    pub delay: u64,
    pub jitter: u64,
}

impl Wire {
    pub const GOOD: Wire = Wire { cut: [false; 2], loss_percent: 0, delay: MS / 10, jitter: MS / 10 };

    fn is_clean(&self) -> bool {
        !self.cut[0] && !self.cut[1] && self.loss_percent == 0 && self.delay + self.jitter <= CLEAN
    }
}

pub struct Node {
    pub elector: Elector,
    config: RoleConfig,
    base: u64,
    stood: u64,
    pub health: Health,
    pub links: Vec<bool>,
    inbox: Vec<(usize, Message)>,
    wake: Option<u64>,
    /// Stopped until then, with its clock standing still or not.
    stopped: Option<(u64, bool)>,
    resumed: Option<u64>,
    pub alive: bool,
    pub late: u64,
    session: Option<u64>,
    old_session: Option<u64>,
    /// Our handshake: its number, when it is sent again, and when it began.
    hello: Option<(u64, u64, u64)>,
    known: HashSet<u64>,
    standing: Standing,
    epoch: Epoch,
    pub events: Vec<(u64, Event)>,
}

pub struct Room {
    pub now: u64,
    pub nodes: Vec<Node>,
    pub wires: Vec<Wire>,
    queue: BTreeMap<(u64, u64), Happening>,
    number: u64,
    random: Random,
    clean_since: Vec<Option<u64>>,
    /// Nanoseconds that both have led.
    pub dual: u64,
    both: bool,
    pub trace: u64,
    /// The changes that a node which hands over tells come to no end.
    pub endless: bool,
}

impl Room {
    /// Two nodes that start within a millisecond; the first one is preferred.
    pub fn new(seed: u64, paths: usize) -> Room {
        Room::with(seed, paths, Some(Duration::from_secs(2)))
    }

    pub fn with(seed: u64, paths: usize, preempt: Option<Duration>) -> Room {
        let mut room = Room {
            now: 1_000_000 * MS,
            nodes: Vec::new(),
            wires: vec![Wire::GOOD; paths],
            queue: BTreeMap::new(),
            number: 0,
            random: Seed([seed, 7]).random(),
            clean_since: vec![None; paths],
            dual: 0,
            both: false,
            trace: 0,
            endless: false,
        };
        room.clean_since.fill(Some(0));
        for (index, base) in [(0, 77_000 * MS), (1, 5_000_000 * MS)] {
            let config = RoleConfig {
                node: NodeId(10 + index as u64),
                peer: Some(NodeId(11 - index as u64)),
                preference: 1 - index as u8,
                preempt,
                paths: (0..paths).map(|path| PathId(path as u8)).collect(),
                fresh: true,
            };
            let node = room.node(config, base);
            room.nodes.push(node);
        }
        (0..2).for_each(|index| room.boot(index));
        room
    }

    fn node(&self, config: RoleConfig, base: u64) -> Node {
        Node {
            elector: Elector::new(config.clone(), Instant::from_nanos(base)),
            links: vec![true; config.paths.len()],
            config,
            base,
            stood: self.now,
            health: WELL,
            inbox: Vec::new(),
            wake: None,
            stopped: None,
            resumed: None,
            alive: true,
            late: 0,
            session: None,
            old_session: None,
            hello: None,
            known: HashSet::new(),
            standing: Standing { role: Role::Standby, ..Standing::ALONE },
            epoch: Epoch(0),
            events: Vec::new(),
        }
    }

    fn boot(&mut self, index: usize) {
        let health = self.nodes[index].health;
        self.with_node(index, |elector, now, out| elector.handle_health(now, health, out));
        for path in 0..self.wires.len() {
            let up = self.nodes[index].links[path];
            self.with_node(index, |elector, now, out| elector.handle_path(now, PathId(path as u8), up, out));
        }
        self.greet(index);
        self.plan(index);
    }

    // What tests do to nodes.

    /// The power goes.
    pub fn kill(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        (node.alive, node.wake, node.stopped) = (false, None, None);
        node.inbox.clear();
    }

    /// The router's process dies and its parent tells the peer so.
    pub fn crash(&mut self, index: usize) {
        let (session, epoch) = (self.nodes[index].session, self.nodes[index].standing.epoch);
        self.kill(index);
        if let Some(session) = session {
            self.send(index, &Message::Resignation(session, epoch));
        }
    }

    pub fn start(&mut self, index: usize, fresh: bool) {
        let before = &self.nodes[index];
        let config = RoleConfig { fresh, ..before.config.clone() };
        let (health, links) = (before.health, before.links.clone());
        let base = before.base + 3 * MS;
        let node = Node { health, links, ..self.node(config, base) };
        self.nodes[index] = node;
        self.boot(index);
    }

    /// SIGSTOP for so long; or, when the clock stands still, a machine that is paused.
    pub fn stop(&mut self, index: usize, nanos: u64, clock_stands: bool) {
        if self.nodes[index].alive && self.nodes[index].stopped.is_none() {
            let until = self.now + nanos;
            self.nodes[index].stopped = Some((self.now, clock_stands));
            self.nodes[index].wake = Some(until);
            self.push(until, Happening::Wake(index));
        }
    }

    pub fn request(&mut self, index: usize, request: Request) {
        self.with_node(index, |elector, now, out| {
            // What comes of it is in the events.
            let _ = elector.handle_request(now, request, out);
        });
        self.plan(index);
    }

    pub fn set_health(&mut self, index: usize, health: Health) {
        self.nodes[index].health = health;
        self.tell_health(index);
    }

    /// A node's own link goes or comes: it is told, and its critical links count.
    pub fn set_link(&mut self, index: usize, path: usize, up: bool) {
        self.nodes[index].links[path] = up;
        self.reckon();
        self.with_node(index, |elector, now, out| elector.handle_path(now, PathId(path as u8), up, out));
        self.tell_health(index);
    }

    fn tell_health(&mut self, index: usize) {
        let node = &self.nodes[index];
        let down = node.links.iter().skip(1).filter(|up| !**up).count() as u8;
        let health = Health { links: node.health.links.saturating_sub(down), ..node.health };
        self.with_node(index, |elector, now, out| elector.handle_health(now, health, out));
        self.plan(index);
    }

    pub fn set_wire(&mut self, path: usize, wire: Wire) {
        self.wires[path] = wire;
        self.reckon();
    }

    pub fn split(&mut self, cut: bool) {
        for path in 0..self.wires.len() {
            self.set_wire(path, Wire { cut: [cut; 2], ..self.wires[path] });
        }
    }

    fn reckon(&mut self) {
        for path in 0..self.wires.len() {
            let linked = self.nodes.iter().all(|node| node.links[path]);
            let since = self.clean_since[path].or(Some(self.now));
            self.clean_since[path] = since.filter(|_| self.wires[path].is_clean() && linked);
        }
    }

    // What tests see.

    pub fn local(&self, index: usize) -> Instant {
        let node = &self.nodes[index];
        let now = match node.stopped {
            Some((since, true)) => since,
            Some((_, false)) | None => self.now,
        };
        Instant::from_nanos(node.base + now - node.stood)
    }

    /// Forwards at this moment.
    pub fn serves(&self, index: usize) -> bool {
        let node = &self.nodes[index];
        node.alive && node.stopped.is_none() && node.standing.leads(self.local(index))
    }

    pub fn serving(&self) -> Vec<usize> {
        (0..2).filter(|index| self.serves(*index)).collect()
    }

    pub fn takeovers(&self) -> usize {
        self.nodes.iter().map(|node| node.elector.snapshot(Instant::ZERO).counters.takeovers as usize).sum()
    }

    // How it goes.

    pub fn run(&mut self, millis: u64) {
        self.run_to(self.now + millis * MS);
    }

    /// Runs until `done`, at most so long; how long it took, in microseconds.
    pub fn run_until(&mut self, millis: u64, done: impl Fn(&Room) -> bool) -> Option<u64> {
        let began = self.now;
        for _ in 0..millis * 10 {
            if done(self) {
                return Some((self.now - began) / 1000);
            }
            let end = self.now + MS / 10;
            self.run_to(end);
        }
        None
    }

    fn run_to(&mut self, end: u64) {
        while self.queue.first_key_value().is_some_and(|(key, _)| key.0 <= end) {
            let Some(((at, _), happening)) = self.queue.pop_first() else { break };
            self.pass(at);
            match happening {
                Happening::Wake(index) if self.nodes[index].wake == Some(self.now) => self.turn(index),
                Happening::Wake(_) => {}
                Happening::Arrive { to, path, message } => self.arrive(to, path, message),
            }
            self.check();
        }
        self.pass(end);
    }

    /// Time passes; leases lapse by themselves.
    fn pass(&mut self, to: u64) {
        if self.both {
            let left = (0..2)
                .map(|index| self.nodes[index].standing.until.since(self.local(index)).as_nanos() as u64);
            self.dual += left.min().unwrap_or(0).min(to.saturating_sub(self.now));
        }
        self.now = self.now.max(to);
    }

    fn push(&mut self, at: u64, happening: Happening) {
        self.number += 1;
        self.queue.insert((at.max(self.now), self.number), happening);
    }

    fn arrive(&mut self, to: usize, path: usize, message: Message) {
        if !self.nodes[to].alive || !self.nodes[to].links[path] {
            return;
        }
        self.nodes[to].inbox.push((path, message));
        let at = self.now + MS / 50;
        self.wake_at(to, at);
    }

    fn wake_at(&mut self, index: usize, due: u64) {
        let late = match self.nodes[index].late {
            0 => 0,
            most => self.random.below(most),
        };
        let at = due.max(self.now) + late;
        let node = &mut self.nodes[index];
        if node.alive && node.stopped.is_none() && node.wake.is_none_or(|wake| at < wake) {
            node.wake = Some(at);
            self.push(at, Happening::Wake(index));
        }
    }

    fn plan(&mut self, index: usize) {
        let local = self.local(index);
        if let Some((due, _)) = self.nodes[index].elector.poll_timeout() {
            let at = self.now + due.since(local).as_nanos() as u64;
            self.wake_at(index, at);
        }
        if let Some((_, again, _)) = self.nodes[index].hello {
            self.wake_at(index, again);
        }
    }

    /// One turn of a node's thread.
    fn turn(&mut self, index: usize) {
        self.nodes[index].wake = None;
        if let Some((since, stands)) = self.nodes[index].stopped.take() {
            let by = Duration::from_nanos(self.now - since);
            if stands {
                self.nodes[index].resumed = Some(self.now);
                self.nodes[index].stood += self.now - since;
                self.with_node(index, |elector, now, out| elector.handle_clock_jump(now, by, out));
            }
        }
        for (path, message) in std::mem::take(&mut self.nodes[index].inbox) {
            self.read(index, path, message);
        }
        let now = self.local(index);
        for path in 0..self.wires.len() {
            self.nodes[index].elector.handle_drained(now, PathId(path as u8));
        }
        if self.nodes[index].hello.is_some_and(|(_, again, _)| again <= self.now) {
            self.greet(index);
        }
        for _ in 0..4 {
            if self.nodes[index].elector.poll_timeout().is_none_or(|(due, _)| due > now) {
                break;
            }
            self.with_node(index, |elector, now, out| elector.handle_timeout(now, out));
        }
        let due = self.nodes[index].elector.poll_timeout();
        assert!(due.is_some_and(|(due, _)| due > now), "it spins: {due:?} at {now}");
        self.plan(index);
    }

    fn read(&mut self, index: usize, path: usize, message: Message) {
        let (session, old) = (self.nodes[index].session, self.nodes[index].old_session);
        let opens = |id: u64| session == Some(id) || old == Some(id);
        match message {
            Message::Heartbeat(id, heartbeat) if opens(id) => {
                let path = PathId(path as u8);
                self.with_node(index, |elector, now, out| {
                    elector.handle_heartbeat(now, path, &heartbeat, out)
                });
                // What the packet path would say a little later.
                if heartbeat.handover == Handover::Gives && !self.endless {
                    let epoch = heartbeat.epoch;
                    self.with_node(index, |elector, now, out| elector.handle_frozen(now, epoch, out));
                }
            }
            Message::Resignation(id, epoch) if opens(id) => {
                self.with_node(index, |elector, now, out| elector.handle_resignation(now, epoch, out));
            }
            Message::Heartbeat(..) | Message::Resignation(..) => {}
            Message::Hello(id) => {
                // Simultaneous handshakes: the first node's goes on, unless it leads nowhere: the peer may have given
                // up what it answered.
                let hello = self.nodes[index].hello;
                let ours = index == 0 && hello.is_some_and(|(.., began)| self.now - began < 6 * RETRY);
                if !ours && (self.nodes[index].known.insert(id)) {
                    self.stand(index, id);
                }
                if self.nodes[index].session == Some(id) {
                    self.send(index, &Message::Answer(id));
                }
            }
            Message::Answer(id) => {
                if self.nodes[index].hello.is_some_and(|(hello, ..)| hello == id) {
                    self.nodes[index].known.insert(id);
                    self.stand(index, id);
                } else if self.nodes[index].session != Some(id) && self.nodes[index].known.insert(id) {
                    // Two handshakes crossed, and the other node keeps what this one gave up.
                    self.greet(index);
                }
            }
        }
    }

    fn stand(&mut self, index: usize, id: u64) {
        let node = &mut self.nodes[index];
        (node.session, node.old_session, node.hello) = (Some(id), None, None);
        self.with_node(index, |elector, now, out| elector.handle_session(now, true, out));
    }

    fn greet(&mut self, index: usize) {
        let fresh = self.random.next();
        let again = self.now + RETRY;
        let node = &mut self.nodes[index];
        let (id, began) = node.hello.map_or((fresh, self.now), |(id, _, began)| (id, began));
        node.hello = Some((id, again, began));
        self.send(index, &Message::Hello(id));
    }

    fn with_node(&mut self, index: usize, verb: impl FnOnce(&mut Elector, Instant, &mut RoleOutbox)) {
        let now = self.local(index);
        if !self.nodes[index].alive {
            return;
        }
        let mut out = RoleOutbox::default();
        let node = &mut self.nodes[index];
        verb(&mut node.elector, now, &mut out);
        node.standing = node.elector.standing();
        let RoleOutbox { heartbeats, events, became, renew_session } = out;
        if let Some(role) = became {
            assert_eq!(role, node.standing.role);
        }
        for event in events {
            self.trace = (self.trace.rotate_left(5) ^ self.now).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            node.events.push((self.now, event));
        }
        let epoch = node.standing.epoch;
        assert!(epoch >= node.epoch, "the epoch went down");
        node.epoch = epoch;
        let session = node.session;
        for (path, heartbeat) in heartbeats {
            let session = session.expect("nothing is said without a session");
            self.send_on(index, usize::from(path.0), Message::Heartbeat(session, heartbeat));
        }
        if renew_session {
            let node = &mut self.nodes[index];
            (node.old_session, node.session) = (node.session.or(node.old_session), None);
            if node.hello.is_none() {
                self.greet(index);
            }
        }
    }

    fn send(&mut self, from: usize, message: &Message) {
        (0..self.wires.len()).for_each(|path| self.send_on(from, path, message.clone()));
    }

    fn send_on(&mut self, from: usize, path: usize, message: Message) {
        let wire = self.wires[path];
        let lost = self.random.below(100) < wire.loss_percent;
        if wire.cut[from] || lost || !self.nodes[from].links[path] {
            return;
        }
        let at = self.now + wire.delay + self.random.below(wire.jitter.max(1));
        self.push(at, Happening::Arrive { to: 1 - from, path, message });
    }

    /// The invariant: **while some path has carried everything both ways within DEAD - LEASE for the last second, two
    /// leases never meet**, whatever the nodes' threads, stops and restarts do.
    ///
    /// Why: the standby takes over by silence only DEAD after it heard a heartbeat, which was sent with a lease that
    /// ends LEASE later, and a later one would have come before; and in no other way before it heard the active, or
    /// the one that could become it, say that it gave way. Less than that is not enough: without a path no protocol
    /// of two can tell death from distance. The second is for what was there before the path was clean. One thing is
    /// outside of it, and of every program's power: a machine whose clock stood still wakes with the rest of its
    /// lease, until its thread looks.
    fn check(&mut self) {
        let both = self.serves(0) && self.serves(1);
        self.both = both;
        if !both {
            return;
        }
        let late: u64 = self.nodes.iter().map(|node| node.late).sum();
        let clean = self.clean_since.iter().flatten().any(|since| self.now - since >= 1000 * MS + 6 * late);
        let woke = |node: &Node| node.resumed.is_some_and(|at| self.now - at <= 26 * MS + node.late);
        if clean && !self.nodes.iter().any(woke) {
            self.tell();
            panic!("two leases at {}", self.now);
        }
    }

    /// What happened, for a test that failed.
    pub fn tell(&self) {
        let mut all: Vec<_> = (0..2)
            .flat_map(|index| self.nodes[index].events.iter().map(move |(at, event)| (*at, index, event)))
            .collect();
        all.sort_by_key(|(at, index, _)| (*at, *index));
        for (at, index, event) in all {
            println!("{:>12.3} ms node {index}: {event}", (at - 1_000_000 * MS) as f64 / MS as f64);
        }
    }
}
