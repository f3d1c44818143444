//! Speakers on a simulated link, whose losses and delays a seed chooses.

use std::net::IpAddr;

use super::config::{Interval, family_of};
use super::*;
use crate::types::{Duration, Instant, Random, Seed, Vhid as Number};
use crate::wire::carp::{Signer, virtual_mac};
use crate::wire::{Packet, Parsed, arp};

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

#[test]
fn two_of_ours_agree_on_one_master_whatever_was_lost() {
    for seed in 0..150 {
        let mut random = Seed([seed, 3]).random();
        let skew = [[0, 100], [0, 0], [100, 0], [7, 7]][random.below(4) as usize];
        let mut configs =
            [foreign(0, skew[0], random.below(2) == 0), foreign(1, skew[1], random.below(2) == 0)];
        if random.below(2) == 0 {
            configs = configs.map(dual);
        }
        let mut lan = Lan::ours(seed, configs);
        lan.most_delay = Duration::from_millis(1 + random.below(30));
        lan.run(12 * SECOND);
        lan.assert_one_master(&format!("seed {seed}, in peace"));
        lan.loss = 100 + random.below(800);
        lan.run(30 * SECOND);
        lan.loss = 0;
        lan.run(12 * SECOND);
        lan.assert_one_master(&format!("seed {seed}, after losses"));
    }
}

#[test]
fn with_freebsd_and_with_ucarp_there_is_one_master_too() {
    for seed in 0..200 {
        let mut random = Seed([seed, 4]).random();
        let (ucarp, preempt) = (random.below(2) == 0, random.below(2) == 0);
        let skew = [[0, 100], [0, 0], [100, 0], [7, 7]][random.below(4) as usize];
        let node = random.below(2) as usize;
        let mut nodes = [
            ours(foreign(node, skew[0], random.below(2) == 0), seed),
            Speaker::Other(Box::new(Other::new(ucarp, skew[1], preempt, Instant::from_secs(1)))),
        ];
        if node == 1 {
            nodes.swap(0, 1);
        }
        let mut lan = Lan::new(seed, nodes);
        lan.link(node, true);
        lan.run(12 * SECOND);
        lan.assert_one_master(&format!("seed {seed}, ucarp {ucarp}, in peace"));
        lan.loss = 100 + random.below(800);
        lan.run(30 * SECOND);
        lan.loss = 0;
        lan.run(12 * SECOND);
        lan.assert_one_master(&format!("seed {seed}, ucarp {ucarp}, after losses"));
    }
}

#[test]
fn a_silent_master_is_replaced_after_three_intervals_and_the_skew() {
    for (skew, expected) in [(0, 3_000), (100, 3_390)] {
        let mut lan = Lan::ours(1, [foreign(0, 0, true), foreign(1, skew, false)]);
        lan.run(20 * SECOND);
        let dead = usize::from(lan.is_master(1));
        let skew_of_heir = if dead == 0 { expected } else { 3_000 };
        let Speaker::Ours(vhid) = &lan.nodes[dead] else { panic!() };
        // Right before the next advertisement: the last one was heard an interval ago.
        let last = vhid.advertised;
        lan.nodes[dead] = Speaker::Dead;
        lan.run(5 * SECOND);
        let (at, change) = lan.last_change(1 - dead);
        assert_eq!((change.to, change.reason), (State::Master, Reason::Silence));
        let took = at.since(last).as_millis();
        assert!((skew_of_heir..skew_of_heir + 10).contains(&took), "{took} ms");
    }
}

#[test]
fn who_preempts_takes_back_and_who_does_not_waits() {
    for preempt in [true, false] {
        let mut lan = Lan::ours(2, [foreign(0, 0, preempt), foreign(1, 100, true)]);
        lan.link(0, false);
        lan.run(5 * SECOND);
        assert_eq!(lan.masters(), (false, true));
        lan.link(0, true);
        lan.run(3 * SECOND);
        assert_eq!(lan.masters(), (preempt, !preempt));
        if preempt {
            assert_eq!(lan.last_change(0).1.reason, Reason::Preempts);
            assert_eq!(lan.last_change(1).1.reason, Reason::BetterMaster);
            assert_eq!(lan.events, [], "an ordinary change is no alarm");
        }
        lan.assert_one_master("preempt");
    }
}

#[test]
fn a_goodbye_is_followed_at_once() {
    for preempt in [true, false] {
        let mut lan = Lan::ours(3, [foreign(0, 0, true), foreign(1, 100, preempt)]);
        lan.run(8 * SECOND);
        assert_eq!(lan.masters(), (true, false));
        let before = lan.now;
        lan.with(0, |vhid, now, out| vhid.stop(now, out));
        lan.run(Duration::from_millis(10));
        assert_eq!(lan.masters(), (false, true));
        let (at, change) = lan.last_change(1);
        assert!(at.since(before) < Duration::from_millis(2));
        assert_eq!(change.reason, Reason::Goodbye);
        lan.run(8 * SECOND);
        assert_eq!(lan.masters(), (false, true), "who stopped stays away");
        lan.link(0, true);
        lan.run(3 * SECOND);
        assert_eq!(lan.masters(), (true, false), "until its link comes again");
    }
    // ucarp and FreeBSD have no word for it: the master "will time out".
    for ucarp in [true, false] {
        let other = Speaker::Other(Box::new(Other::new(ucarp, 100, false, Instant::from_secs(1))));
        let mut lan = Lan::new(4, [ours(foreign(0, 0, true), 4), other]);
        lan.link(0, true);
        lan.run(8 * SECOND);
        assert_eq!(lan.masters(), (true, false));
        lan.with(0, |vhid, now, out| vhid.stop(now, out));
        lan.run(Duration::from_millis(10));
        assert_eq!(lan.masters(), (false, true));
    }
}

#[test]
fn a_wrong_password_is_an_alarm_and_not_a_master() {
    let wrong = VhidConfig { password: "other".into(), ..foreign(1, 100, true) };
    let mut lan = Lan::ours(5, [foreign(0, 0, true), wrong]);
    lan.run(9 * SECOND);
    assert_eq!(lan.masters(), (true, true));
    let told = |node: usize| {
        let event = Event::BadDigest { from: own(1 - node)[0] };
        lan.events.iter().filter(|told| **told == (node, event)).count()
    };
    assert_eq!((told(0), told(1), lan.events.len()), (1, 1, 2), "{:?}", lan.events);
}

#[test]
fn another_list_on_one_end_makes_no_second_master() {
    for first in [0, 1] {
        let configs = [foreign(0, 0, true), foreign(1, 100, true)];
        let mut lan = Lan::ours(10, configs.clone());
        lan.run(8 * SECOND);
        assert_eq!(lan.masters(), (true, false));
        lan.with(first, |vhid, now, out| vhid.apply(now, dual(configs[first].clone()), out));
        // Who was told nothing yet takes over, when the other one was master.
        lan.run(5 * SECOND);
        assert_eq!(lan.masters(), (first == 1, first == 0));
        lan.assert_one_master("the lists differ");
        let from = own(1 - first)[0];
        assert!(lan.events.contains(&(first, Event::ListsDiffer { from })), "{:?}", lan.events);
        lan.with(1 - first, |vhid, now, out| vhid.apply(now, dual(configs[1 - first].clone()), out));
        lan.run(5 * SECOND);
        assert_eq!(lan.masters(), (true, false));
        lan.assert_one_master("the lists are equal");
    }
}

#[test]
fn the_former_list_is_forgotten() {
    let mut bench = Bench::new(foreign(0, 0, true));
    bench.vhid.apply(bench.now, dual(foreign(0, 0, true)), &mut bench.out);
    for counter in 0..599 {
        bench.run(SECOND);
        bench.hear(own(1)[0], advert("sekrit", 0, counter));
        // The family that it does not know is silent, and that is all.
        assert_eq!(bench.vhid.state(), State::Backup);
    }
    bench.run(SECOND);
    bench.hear(own(1)[0], advert("sekrit", 0, 600));
    bench.run(3 * SECOND);
    assert_eq!(bench.vhid.state(), State::Master);
    // The pair changes both ends at once.
    let mut bench = Bench::new(paired(0));
    bench.vhid.apply(bench.now, dual(paired(0)), &mut bench.out);
    assert_eq!(bench.hear(own(1)[0], advert("sekrit", 0, 1)).events, []);
    bench.run(3 * SECOND);
    let told = [Event::ListsDiffer { from: own(1)[0] }];
    assert_eq!(bench.hear(own(1)[0], advert("sekrit", 0, 2)).events, told);
}

#[test]
fn one_family_s_loss_is_an_alarm_and_not_a_second_master() {
    for family in [Family::Inet, Family::Inet6] {
        let mut lan = Lan::ours(6, [foreign(0, 0, true), foreign(1, 100, true)].map(dual));
        lan.run(8 * SECOND);
        lan.lost = Some(family);
        lan.assert_one_master("one family is lost");
        assert_eq!(lan.events, [(1, Event::FamilySilent { family })]);
        lan.lost = None;
        lan.run(5 * SECOND);
        lan.nodes[0] = Speaker::Dead;
        lan.run(4 * SECOND);
        assert!(lan.is_master(1));
        assert_eq!(lan.events.len(), 1, "a dead master is silent in both: {:?}", lan.events);
    }
}

#[test]
fn two_masters_are_one_within_a_second() {
    let mut lan = Lan::ours(7, [foreign(0, 0, false), foreign(1, 100, false)]);
    lan.loss = 1_000;
    lan.run(9 * SECOND);
    assert_eq!(lan.masters(), (true, true));
    lan.loss = 0;
    lan.run(Duration::from_millis(1_100));
    assert_eq!(lan.masters(), (true, false));
    assert_eq!(lan.last_change(1).1.reason, Reason::BetterMaster);
    // As equals, the one that yields tells of it.
    let mut lan = Lan::ours(7, [foreign(0, 0, false), foreign(1, 0, false)]);
    lan.loss = 1_000;
    lan.run(9 * SECOND);
    lan.loss = 0;
    lan.run(Duration::from_millis(1_100));
    assert_eq!(lan.masters(), (true, false));
    assert!(lan.events.contains(&(1, Event::OtherMaster { from: own(0)[0] })), "{:?}", lan.events);
}

#[test]
fn a_demoted_master_gives_way() {
    let mut lan = Lan::ours(8, [foreign(0, 0, true), foreign(1, 100, true)]);
    lan.run(8 * SECOND);
    lan.with(0, |vhid, now, out| vhid.demote(now, 240, out));
    lan.run(Duration::from_millis(10));
    assert_eq!(lan.masters(), (false, true), "told at once");
    lan.assert_one_master("demoted");
    lan.with(0, |vhid, now, out| vhid.demote(now, 0, out));
    lan.run(3 * SECOND);
    assert_eq!(lan.masters(), (true, false));
}

#[test]
fn who_was_stopped_listens_before_it_speaks() {
    let mut lan = Lan::ours(9, [foreign(0, 0, false), foreign(1, 100, false)]);
    lan.run(8 * SECOND);
    let stopped = std::mem::replace(&mut lan.nodes[0], Speaker::Dead);
    lan.run(9 * SECOND);
    assert!(lan.is_master(1));
    lan.nodes[0] = stopped;
    lan.run(Duration::from_millis(1));
    assert_eq!(lan.masters(), (false, true));
    assert_eq!(lan.last_change(0).1.reason, Reason::Late);
    lan.assert_one_master("the pause is over");
    // A backup that was stopped: the master is there, its advertisements have not been read yet.
    let stopped = std::mem::replace(&mut lan.nodes[0], Speaker::Dead);
    lan.run(9 * SECOND);
    lan.nodes[0] = stopped;
    lan.assert_one_master("the backup's pause is over");
}

/// A VHID on its own, and what it says.
struct Bench {
    vhid: Vhid,
    now: Instant,
    out: Outbox,
}

impl Bench {
    fn new(config: VhidConfig) -> Self {
        let now = Instant::from_secs(1);
        let mut bench = Bench { vhid: Vhid::new(config, Seed([5, 6]), now), now, out: Outbox::default() };
        bench.vhid.handle_link(now, true, &mut bench.out);
        bench.out = Outbox::default();
        bench
    }

    fn run(&mut self, time: Duration) -> Outbox {
        let end = self.now + time;
        while let Some((due, _)) = self.vhid.poll_timeout().filter(|(due, _)| *due <= end) {
            self.now = due.max(self.now);
            self.vhid.handle_timeout(self.now, &mut self.out);
        }
        self.now = end;
        std::mem::take(&mut self.out)
    }

    fn hear(&mut self, from: IpAddr, advert: Repr) -> Outbox {
        self.vhid.handle_advert(self.now, from, &advert, &mut self.out);
        std::mem::take(&mut self.out)
    }

    fn set_master(&mut self, master: bool) -> Outbox {
        self.vhid.set_master(self.now, master, &mut self.out);
        std::mem::take(&mut self.out)
    }
}

fn advert(password: &str, advskew: u8, counter: u64) -> Repr {
    let digest = Signer::new(password, VHID, &[address(V4)]).sign(counter);
    Repr { vhid: VHID, advskew, advbase: 1, demotion: 0, counter, digest }
}

#[test]
fn a_new_master_advertises_and_announces_now_and_two_advertisements_later() {
    let mut bench = Bench::new(dual(foreign(0, 0, true)));
    assert_eq!(bench.run(Duration::from_millis(2_999)), Outbox::default());
    assert_eq!(bench.vhid.poll_timeout(), Some((Instant::from_secs(4), Why::MasterDown)));
    let both = [address(V4), address(V6)];
    for second in 0..6 {
        let out = bench.run(SECOND);
        assert_eq!(
            out.adverts.iter().map(|advert| advert.family).collect::<Vec<_>>(),
            [Family::Inet, Family::Inet6]
        );
        let signer = Signer::new("sekrit", VHID, &both);
        assert!(out.adverts.iter().all(|advert| signer.verify(&advert.repr)));
        let announced: &[IpAddr] = if matches!(second, 0 | 2) { &both } else { &[] };
        assert_eq!(out.announce, announced, "second {second}");
    }
    assert_eq!(bench.vhid.snapshot(bench.now).counters.sent, 12);
}

#[test]
fn counters_go_on_from_the_last_one_heard() {
    let mut bench = Bench::new(foreign(0, 100, false));
    for counter in [7, 3, u64::MAX] {
        bench.hear(own(1)[0], advert("sekrit", 0, counter));
    }
    let out = bench.run(Duration::from_millis(3_400));
    assert_eq!(out.adverts[0].repr.counter, 0);
    assert_eq!(out.adverts[0].repr.advskew, 100);
    assert_eq!(bench.vhid.snapshot(bench.now).counters.received, 3);
}

/// Switches that let only the nodes' own addresses through are found out before a takeover needs the others.
#[test]
fn a_backup_that_hears_nothing_of_its_master_says_so() {
    let mut bench = Bench::new(paired(0));
    let silent = |bench: &Bench| bench.vhid.snapshot(bench.now).silent;
    for counter in 1..=20 {
        bench.run(SECOND);
        // The peer's count, and nobody else's.
        bench.hear(own(1)[0], advert("sekrit", 0, counter));
        bench.hear(address("192.0.2.9"), advert("sekrit", 0, 1000 + counter));
        assert!(!silent(&bench), "second {counter}");
    }
    bench.run(6 * SECOND);
    assert!(!silent(&bench), "some may be lost");
    bench.hear(address("192.0.2.9"), advert("sekrit", 0, 2000));
    bench.hear(own(1)[0], advert("another", 0, 2001));
    bench.run(Duration::from_millis(1));
    assert!(silent(&bench));
    bench.hear(own(1)[0], advert("sekrit", 0, 21));
    assert!(!silent(&bench));
    bench.run(7 * SECOND);
    bench.set_master(true);
    assert!(!silent(&bench), "a master hears none");
    bench.set_master(false);
    assert!(!silent(&bench), "it begins to listen");
    bench.run(7 * SECOND);
    assert!(silent(&bench));
}

#[test]
fn what_comes_back_to_its_sender_deposes_nobody() {
    let mut bench = Bench::new(foreign(0, 0, true));
    let out = bench.run(4 * SECOND);
    assert_eq!(bench.vhid.state(), State::Master);
    let said = bench.hear(own(0)[0], out.adverts[0].repr);
    assert_eq!(said, Outbox { events: vec![Event::Repeat { from: own(0)[0] }], ..Outbox::default() });
    assert_eq!(bench.vhid.state(), State::Master);
    assert_eq!(bench.vhid.snapshot(bench.now).counters.reflected, 1);
    // From another it is a tie: ours is the lower address, so the other hears of us again at once.
    bench.run(Duration::from_millis(500));
    let out = bench.hear(own(1)[0], advert("sekrit", 0, 1));
    assert_eq!((out.adverts.len(), out.announce.len(), bench.vhid.state()), (1, 1, State::Master));
    let flood: usize =
        (0..1_000).map(|counter| bench.hear(own(1)[0], advert("sekrit", 0, counter)).adverts.len()).sum();
    assert_eq!(flood, 0, "but not at the other's pace");
}

#[test]
fn what_was_recorded_moves_nobody_whatever_skew_it_was_given() {
    let (peer, other) = (own(1)[0], address("192.0.2.66"));
    let mut bench = Bench::new(foreign(0, 100, true));
    // It says random numbers as long as it hears nobody, and then counts on.
    for counter in [900, 901, 903, 17, 5_000] {
        assert_eq!(bench.hear(peer, advert("sekrit", 0, counter)), Outbox::default());
        bench.run(SECOND);
    }
    let ours = bench.run(4 * SECOND).adverts[0].repr;
    assert_eq!(bench.vhid.state(), State::Master);
    let mut repeats = 0;
    for recorded in
        [900, 901, 903, 17, 5_000].map(|counter| advert("sekrit", 0, counter)).into_iter().chain([ours])
    {
        for (advbase, advskew) in [(1, 0), (1, 100), (1, 254), (255, 255)] {
            for from in [peer, other] {
                let said = bench.hear(from, Repr { advbase, advskew, ..recorded });
                assert_eq!((said.adverts, said.changes), (vec![], vec![]));
                repeats += said.events.len();
            }
        }
    }
    assert_eq!((bench.vhid.state(), repeats), (State::Master, 1));
    assert_eq!(bench.vhid.snapshot(bench.now).counters.replayed, 48);
    // The peer is back, with another random number.
    bench.hear(peer, advert("sekrit", 0, 77));
    assert_eq!(bench.vhid.state(), State::Backup);
}

/// OpenBSD's number is the same in all its advertisements, and another one after it was started again.
#[test]
fn who_does_not_count_is_no_replay() {
    let mut bench = Bench::new(foreign(0, 100, false));
    for cookie in [5_000, 70_000] {
        for _ in 0..300 {
            assert_eq!(bench.hear(own(1)[0], advert("sekrit", 0, cookie)), Outbox::default());
            assert_eq!(bench.run(SECOND).changes, []);
        }
        // Ours counts on from there, which does not make a row of it.
        assert_eq!(bench.run(4 * SECOND).adverts[0].repr.counter, cookie + 1);
        let said = bench.hear(own(1)[0], advert("sekrit", 0, cookie));
        assert_eq!((bench.vhid.state(), said.events), (State::Backup, vec![]));
    }
    let said = bench.hear(address("192.0.2.66"), advert("sekrit", 0, 70_000));
    assert_eq!(said.events, [Event::Repeat { from: address("192.0.2.66") }]);
}

/// Two that count on from the same advertisement at the same moment take each other for a replay only once.
#[test]
fn our_own_number_from_another_is_not_used_again() {
    let mut bench = Bench::new(foreign(0, 0, true));
    let said = bench.run(3 * SECOND).adverts[0].repr;
    bench.hear(own(1)[0], said);
    let next = bench.run(SECOND).adverts[0].repr;
    assert!(next.counter.wrapping_sub(said.counter) > 1);
    assert_eq!(bench.hear(own(1)[0], advert("sekrit", 0, said.counter + 1)).adverts.len(), 0);
}

/// After that long another may have taken over; a master speaks again only when it has listened.
#[test]
fn a_master_s_lease_is_the_shortest_patience_of_another() {
    let mut bench = Bench::new(foreign(0, 0, false));
    bench.run(5 * SECOND);
    assert_eq!(bench.vhid.lease(), Some(bench.now + 3 * SECOND));
    // Just in time.
    bench.now += Duration::from_millis(2_999);
    assert_eq!(bench.run(Duration::ZERO).adverts.len(), 1);
    // Too late, whatever comes first: here the other's advertisements, which we would not give way to.
    bench.now += 3 * SECOND;
    let said = bench.hear(own(1)[0], advert("sekrit", 100, 40));
    assert_eq!((said.adverts.len(), said.changes[0].reason), (0, Reason::Late));
    assert_eq!((bench.vhid.state(), bench.vhid.lease()), (State::Backup, None));
    for counter in 41..45 {
        bench.hear(own(1)[0], advert("sekrit", 100, counter));
        assert_eq!(bench.run(SECOND), Outbox::default());
    }
    // The calendar says that our own clock stood still.
    let mut bench = Bench::new(foreign(0, 0, true));
    bench.run(5 * SECOND);
    bench.vhid.handle_clock_jump(bench.now, 2 * SECOND, &mut bench.out);
    assert_eq!(bench.vhid.state(), State::Master);
    bench.vhid.handle_clock_jump(bench.now, 3 * SECOND, &mut bench.out);
    assert_eq!(bench.vhid.state(), State::Backup);
}

#[test]
fn adverts_to_one_peer_and_the_other_family_to_the_group() {
    let mut config = dual(foreign(0, 0, true));
    config.mode = Mode::Foreign { preempt: true, peer: Some(own(1)[0]) };
    let out = Bench::new(config).run(3 * SECOND);
    assert_eq!(
        out.adverts.iter().map(|advert| advert.to).collect::<Vec<_>>(),
        [To::Peer(own(1)[0]), To::Group]
    );
}

#[test]
fn the_pair_decides_and_nobody_else() {
    let mut bench = Bench::new(paired(0));
    assert_eq!(bench.run(100 * SECOND), Outbox::default(), "silence is not our business");
    assert_eq!(bench.hear(own(1)[0], advert("sekrit", 0, 1)), Outbox::default(), "the active peer");
    let out = bench.set_master(true);
    assert_eq!((out.adverts.len(), &out.announce[..]), (1, &[address(V4)][..]));
    assert_eq!(bench.set_master(true), Outbox::default(), "once");
    assert_eq!(bench.run(Duration::from_millis(3_500)).adverts.len(), 3);
    for skew in [0, 240, 255] {
        bench.hear(address("192.0.2.66"), advert("sekrit", skew, u64::from(skew) + 50));
        assert_eq!(bench.vhid.state(), State::Master);
    }
    let out = bench.set_master(false);
    assert_eq!((out.adverts.len(), bench.vhid.state()), (0, State::Backup));
    assert_eq!(bench.run(100 * SECOND), Outbox::default());
    // The link comes back to a node that is told to be MASTER.
    bench.set_master(true);
    bench.vhid.handle_link(bench.now, false, &mut bench.out);
    assert_eq!(bench.vhid.state(), State::Init);
    bench.out = Outbox::default();
    bench.vhid.handle_link(bench.now, true, &mut bench.out);
    assert_eq!((bench.vhid.state(), bench.out.adverts.len()), (State::Master, 1));
}

#[test]
fn alarms_of_a_paired_vhid() {
    let (peer, stranger) = (own(1)[0], address("192.0.2.66"));
    let mut bench = Bench::new(paired(0));
    let events = |bench: &mut Bench, from, advert| bench.hear(from, advert).events;
    assert_eq!(events(&mut bench, peer, advert("other", 0, 1)), [], "perhaps it is being changed");
    assert_eq!(events(&mut bench, stranger, advert("other", 0, 2)), [Event::BadDigest { from: stranger }]);
    assert_eq!(events(&mut bench, peer, advert("sekrit", 0, 3)), []);
    let repeat = Event::Repeat { from: stranger };
    assert_eq!(events(&mut bench, stranger, advert("sekrit", 0, 3)), [repeat], "played back");
    assert_eq!(events(&mut bench, stranger, advert("sekrit", 0, 4)), [Event::Stranger { from: stranger }]);
    assert_eq!(events(&mut bench, stranger, advert("sekrit", 0, 5)), [], "told already");
    let sent = bench.set_master(true).adverts[0].repr;
    assert_eq!(events(&mut bench, peer, advert("sekrit", 0, 6)), [], "still on its way at the takeover");
    bench.run(2 * SECOND);
    assert_eq!(events(&mut bench, stranger, sent), [], "our own, played back; told already");
    let goodbye = Repr { advbase: 255, ..advert("sekrit", 255, 7) };
    assert_eq!(events(&mut bench, peer, goodbye), []);
    assert_eq!(events(&mut bench, peer, advert("sekrit", 0, 8)), [Event::OtherMaster { from: peer }]);
    bench.run(10 * SECOND);
    assert_eq!(events(&mut bench, peer, advert("other", 0, 9)), []);
    bench.run(3 * SECOND);
    assert_eq!(events(&mut bench, peer, advert("other", 0, 10)), [Event::ListsDiffer { from: peer }]);
    let counters = bench.vhid.snapshot(bench.now).counters;
    assert_eq!((counters.bad_digest, counters.replayed, counters.received), (4, 2, 8));
}

#[test]
fn another_configuration_keeps_the_state_and_another_vhid_begins_anew() {
    let mut bench = Bench::new(foreign(0, 0, true));
    bench.run(4 * SECOND);
    let mut apply = |config: VhidConfig| {
        bench.vhid.apply(bench.now, config, &mut bench.out);
        (bench.vhid.state(), std::mem::take(&mut bench.out))
    };
    assert_eq!(apply(foreign(0, 0, true)), (State::Master, Outbox::default()));
    let (state, out) = apply(dual(foreign(0, 50, true)));
    assert_eq!((state, out.adverts.len(), out.announce), (State::Master, 2, vec![address(V4), address(V6)]));
    assert_eq!(out.adverts[0].repr.advskew, 50);
    let (state, out) = apply(VhidConfig { vhid: Number(8), ..foreign(0, 50, true) });
    assert_eq!((state, out.adverts.len()), (State::Backup, 2), "the old one takes its leave");
    assert_eq!((out.adverts[0].repr.vhid, out.adverts[0].repr.advbase), (VHID, 255));
    // A backup of the pair has no timers, whatever is applied.
    let mut bench = Bench::new(paired(0));
    bench.vhid.apply(bench.now, dual(paired(0)), &mut bench.out);
    assert_eq!((bench.vhid.poll_timeout(), bench.vhid.state()), (None, State::Backup));
}

#[test]
fn announcements_as_the_bsds_send_them() {
    let mac = virtual_mac(VHID);
    let frame = announcement(mac, address(V4));
    let repr = arp::Repr::parse(frame.bytes()).unwrap();
    assert_eq!((repr.operation, repr.sender_mac, repr.sender), (arp::Operation::Request, mac, repr.target));
    assert_eq!(frame.bytes()[..12], [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0x5e, 0, 1, 7]);
    let Ok(Parsed::Ip(packet)) = Packet::parse(announcement(mac, address(V6))) else { panic!() };
    assert_eq!((packet.src_mac(), packet.layout.key.dst()), (mac, nd::ALL_NODES.into()));
    let expected = nd::Message::Advertisement {
        target: V6.parse().unwrap(),
        target_mac: Some(mac),
        router: true,
        solicited: false,
        overriding: true,
    };
    assert_eq!(nd::Message::read(&packet), Ok(expected));
}
