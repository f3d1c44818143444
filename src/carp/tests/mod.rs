//! Speakers on a simulated link, whose losses and delays a seed chooses.

mod alone;
mod link;

use std::net::IpAddr;

use super::config::{Interval, family_of};
use super::*;
use crate::types::{Duration, Instant, Random, Seed, Vhid as Number};
use crate::wire::carp::Signer;

const VHID: Number = Number(7);
const V4: &str = "192.0.2.100";
const V6: &str = "2001:db8::100";

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn own(node: usize) -> Vec<IpAddr> {
    // The two families disagree on who is lower.
    vec![[192, 0, 2, 1 + node as u8].into(), address(["fe80::2", "fe80::1"][node])]
}

fn foreign(node: usize, advskew: u8, preempt: bool) -> VhidConfig {
    VhidConfig {
        vhid: VHID,
        addresses: vec![address(V4)],
        password: "sekrit".into(),
        advbase: 1,
        advskew,
        own: own(node),
        mode: Mode::Foreign { preempt, peer: None },
    }
}

fn dual(config: VhidConfig) -> VhidConfig {
    VhidConfig { addresses: vec![address(V4), address(V6)], ..config }
}

fn paired(node: usize) -> VhidConfig {
    VhidConfig { mode: Mode::Paired { peer: own(1 - node) }, ..foreign(node, 0, false) }
}

/// The others, as the table of their behaviour has them: IPv4, equal intervals with the same rules as the original.
struct Other {
    ucarp: bool,
    preempt: bool,
    advskew: u8,
    signer: Signer,
    counter: u64,
    master: bool,
    due: Instant,
}

impl Other {
    fn new(ucarp: bool, advskew: u8, preempt: bool, now: Instant) -> Self {
        let signer = Signer::new("sekrit", VHID, &[address(V4)]);
        let mut other = Other { ucarp, preempt, advskew, signer, counter: 99, master: false, due: now };
        other.wait(now);
        other
    }

    fn wait(&mut self, now: Instant) {
        self.due = now + Interval::longest(1, self.advskew).duration();
    }

    fn send(&mut self, now: Instant) -> Repr {
        self.counter += 1;
        self.due = now + Interval::new(1, self.advskew).duration();
        let digest = self.signer.sign(self.counter);
        Repr { vhid: VHID, advskew: self.advskew, advbase: 1, demotion: 0, counter: self.counter, digest }
    }

    fn timeout(&mut self, now: Instant) -> Option<Repr> {
        if self.due > now {
            return None;
        }
        self.master = true;
        Some(self.send(now))
    }

    fn hear(&mut self, now: Instant, lower: bool, advert: &Repr) -> Option<Repr> {
        if !self.signer.verify(advert) {
            return None;
        }
        self.counter = advert.counter;
        let (ours, theirs) = (Interval::new(1, self.advskew), Interval::new(advert.advbase, advert.advskew));
        if self.master {
            if theirs < ours || (theirs == ours && (!self.ucarp || lower)) {
                // ucarp sends once more before it steps down.
                let last = self.ucarp.then(|| self.send(now));
                self.master = false;
                self.wait(now);
                return last;
            }
            return None;
        }
        if (self.preempt && theirs > ours) || theirs > Interval::longest(1, 0) {
            self.master = true;
            return Some(self.send(now));
        }
        self.wait(now);
        None
    }
}

enum Speaker {
    Ours(Box<Vhid>),
    Other(Box<Other>),
    Dead,
}

/// Two speakers and the wire between them. Node 0 is 192.0.2.1.
struct Lan {
    now: Instant,
    nodes: [Speaker; 2],
    flying: Vec<(Instant, usize, IpAddr, Repr)>,
    random: Random,
    /// Of a thousand.
    loss: u64,
    most_delay: Duration,
    /// This family is lost.
    lost: Option<Family>,
    events: Vec<(usize, Event)>,
    changes: Vec<(Instant, usize, Change)>,
}

impl Lan {
    fn new(seed: u64, nodes: [Speaker; 2]) -> Self {
        Lan {
            now: Instant::from_secs(1),
            nodes,
            flying: Vec::new(),
            random: Seed([seed, 9]).random(),
            loss: 0,
            most_delay: Duration::from_millis(1),
            lost: None,
            events: Vec::new(),
            changes: Vec::new(),
        }
    }

    fn ours(seed: u64, configs: [VhidConfig; 2]) -> Self {
        let mut number = 0;
        let nodes = configs.map(|config| {
            number += 1;
            ours(config, seed * 2 + number)
        });
        let mut lan = Lan::new(seed, nodes);
        lan.link(0, true);
        lan.link(1, true);
        lan
    }

    fn link(&mut self, node: usize, up: bool) {
        self.with(node, |vhid, now, out| vhid.handle_link(now, up, out));
    }

    /// Does something with one of our own.
    fn with(&mut self, node: usize, action: impl FnOnce(&mut Vhid, Instant, &mut Outbox)) {
        let mut out = Outbox::default();
        let Speaker::Ours(vhid) = &mut self.nodes[node] else { panic!("not ours") };
        action(vhid, self.now, &mut out);
        self.take(node, out);
    }

    fn take(&mut self, node: usize, out: Outbox) {
        let Outbox { adverts, announce: _, changes, events } = out;
        self.events.extend(events.into_iter().map(|event| (node, event)));
        self.changes.extend(changes.into_iter().map(|change| (self.now, node, change)));
        for Advert { family, repr, to: _ } in adverts {
            self.send(node, family, repr);
        }
    }

    fn send(&mut self, node: usize, family: Family, repr: Repr) {
        if self.lost == Some(family) || self.random.below(1_000) < self.loss {
            return;
        }
        let from = own(node).into_iter().find(|own| family_of(*own) == family).unwrap();
        let delay = Duration::from_nanos(self.random.below(self.most_delay.as_nanos() as u64));
        // A wire does not let one overtake the other.
        let before = self.flying.iter().filter(|(_, to, ..)| *to == 1 - node).map(|(at, ..)| *at).max();
        let at = (self.now + delay).max(before.unwrap_or(self.now));
        self.flying.push((at, 1 - node, from, repr));
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(next) = self.next().filter(|next| *next <= end) {
            self.now = next;
            let flying = std::mem::take(&mut self.flying);
            let (arrived, flying) = flying.into_iter().partition(|(at, ..)| *at <= next);
            self.flying = flying;
            for (_, node, from, repr) in arrived {
                self.deliver(node, from, repr);
            }
            for node in 0..2 {
                self.timeout(node);
            }
        }
        self.now = end;
    }

    fn deliver(&mut self, node: usize, from: IpAddr, repr: Repr) {
        let now = self.now;
        match &mut self.nodes[node] {
            Speaker::Ours(_) => self.with(node, |vhid, now, out| vhid.handle_advert(now, from, &repr, out)),
            Speaker::Other(other) => {
                if let Some(repr) = other.hear(now, node == 1, &repr) {
                    self.send(node, Family::Inet, repr);
                }
            }
            Speaker::Dead => {}
        }
    }

    fn timeout(&mut self, node: usize) {
        let now = self.now;
        match &mut self.nodes[node] {
            Speaker::Ours(_) => self.with(node, |vhid, now, out| {
                vhid.handle_timeout(now, out);
                assert!(vhid.poll_timeout().is_none_or(|(due, _)| due > now), "it does not spin");
            }),
            Speaker::Other(other) => {
                if let Some(repr) = other.timeout(now) {
                    self.send(node, Family::Inet, repr);
                }
            }
            Speaker::Dead => {}
        }
    }

    fn next(&self) -> Option<Instant> {
        let timers = self.nodes.iter().filter_map(|node| match node {
            Speaker::Ours(vhid) => vhid.poll_timeout().map(|(due, _)| due),
            Speaker::Other(other) => Some(other.due),
            Speaker::Dead => None,
        });
        timers.chain(self.flying.iter().map(|(at, ..)| *at)).min().map(|at| at.max(self.now))
    }

    fn is_master(&self, node: usize) -> bool {
        match &self.nodes[node] {
            Speaker::Ours(vhid) => vhid.state() == State::Master,
            Speaker::Other(other) => other.master,
            Speaker::Dead => false,
        }
    }

    fn masters(&self) -> (bool, bool) {
        (self.is_master(0), self.is_master(1))
    }

    /// For a while there is exactly one master, and always the same.
    fn assert_one_master(&mut self, context: &str) {
        let before = self.masters();
        assert!(before.0 != before.1, "{context}: {before:?}");
        for _ in 0..500 {
            self.run(Duration::from_millis(20));
            assert_eq!(self.masters(), before, "{context}");
        }
    }

    fn last_change(&self, node: usize) -> (Instant, Change) {
        let last = self.changes.iter().rfind(|(_, who, _)| *who == node);
        last.map(|(at, _, change)| (*at, *change)).unwrap()
    }
}

fn ours(config: VhidConfig, seed: u64) -> Speaker {
    Speaker::Ours(Box::new(Vhid::new(config, Seed([seed, 1]), Instant::from_secs(1))))
}

const SECOND: Duration = Duration::from_secs(1);

fn advert(password: &str, advskew: u8, counter: u64) -> Repr {
    let digest = Signer::new(password, VHID, &[address(V4)]).sign(counter);
    Repr { vhid: VHID, advskew, advbase: 1, demotion: 0, counter, digest }
}
