//! Two nodes with disks of their own, messages between them, and a crash at every step of either.

use std::collections::{BTreeMap, VecDeque};

use super::*;
use crate::config::life::{Found, Name, Step};
use crate::config::{amend, parse};

const TEXT: &str = include_str!("../../../configs/pair.toml");

fn document(text: &str) -> Document {
    let config = parse(text).unwrap();
    Document { revision: config.revision, hash: config.hash(), text: text.into() }
}

fn edited(hostname: &str, revision: u64) -> Document {
    let text = amend::set(TEXT, "system.hostname", hostname).unwrap();
    document(&amend::renumber(&text, revision).unwrap())
}

/// A disk that loses its power after so many steps.
#[derive(Clone)]
struct Disk {
    files: BTreeMap<Name, Vec<u8>>,
    flushed: BTreeMap<Name, Vec<u8>>,
    left: Option<usize>,
    steps: usize,
    /// Nothing more can be written: it is full.
    full: bool,
    refuses: bool,
    now_ms: u64,
}

impl Disk {
    fn new() -> Disk {
        let files = BTreeMap::from([(Name::Main, TEXT.as_bytes().to_vec())]);
        Disk {
            flushed: files.clone(),
            files,
            left: None,
            steps: 0,
            full: false,
            refuses: false,
            now_ms: 1000,
        }
    }

    fn is_dead(&self) -> bool {
        self.left == Some(0)
    }

    fn step(&mut self, step: &Step) -> Result<(), String> {
        if self.is_dead() {
            return Err("no power".into());
        }
        self.left = self.left.map(|left| left - 1);
        self.steps += 1;
        match step {
            Step::Write(..) if self.full => return Err("no space left on device".into()),
            Step::Write(name, bytes) => drop(self.files.insert(name.clone(), bytes.clone())),
            Step::Rename(from, to) => {
                let bytes = self.files.remove(from).ok_or("not there")?;
                self.files.insert(to.clone(), bytes);
            }
            Step::Remove(name) => drop(self.files.remove(name)),
            Step::Flush => self.flushed = self.files.clone(),
        }
        Ok(())
    }

    fn life(&mut self) -> Life {
        let inside = self.files.iter().filter_map(|(name, bytes)| match name {
            Name::Inside(name) => Some((name.clone(), bytes.clone())),
            Name::Main | Name::Next | Name::Back => None,
        });
        let text = String::from_utf8(self.files[&Name::Main].clone()).unwrap();
        let (life, steps) = Life::open(
            Found {
                main: document(&text),
                next: self.files.get(&Name::Next).cloned(),
                inside: inside.collect(),
            },
            self.now_ms,
        );
        self.run(&steps).unwrap();
        life
    }
}

impl Ground for Disk {
    fn run(&mut self, steps: &[Step]) -> Result<(), String> {
        steps.iter().try_for_each(|step| self.step(step))
    }

    fn read(&self, name: &Name) -> Option<Vec<u8>> {
        self.files.get(name).cloned()
    }

    fn check(&mut self, new: &Document) -> Result<(), Vec<String>> {
        assert_eq!(document(&new.text), *new, "what is checked is what it says it is");
        if self.refuses { Err(vec!["not here".into()]) } else { Ok(()) }
    }

    fn now_ms(&self) -> u64 {
        self.now_ms
    }
}

struct Node {
    disk: Disk,
    agreement: Agreement,
    /// What the packet path has.
    in_force: String,
    outcomes: Vec<Outcome>,
    on: bool,
}

struct Pair {
    nodes: [Node; 2],
    now: Instant,
    air: VecDeque<(usize, Vec<u8>)>,
    linked: bool,
    epoch: u32,
}

impl Pair {
    fn new() -> Pair {
        let now = Instant::from_secs(1);
        let node = || {
            let mut disk = Disk::new();
            let life = disk.life();
            let in_force = life.main().hash.clone();
            Node {
                disk,
                agreement: Agreement::new(life, true, now),
                in_force,
                outcomes: Vec::new(),
                on: true,
            }
        };
        let mut pair = Pair { nodes: [node(), node()], now, air: VecDeque::new(), linked: false, epoch: 1 };
        pair.link(true);
        pair.run(1);
        pair
    }

    /// The two can speak, or not.
    fn link(&mut self, linked: bool) {
        self.linked = linked;
        self.air.clear();
        self.meet();
    }

    fn meet(&mut self) {
        let (epoch, now) = (Some(Epoch(self.epoch)), self.now);
        for at in [0, 1] {
            let present = self.linked && self.nodes[0].on && self.nodes[1].on;
            if self.nodes[at].on {
                self.on(at, |agreement, _, out| agreement.handle_peer(now, present, epoch, out));
            }
        }
    }

    fn on<T>(&mut self, at: usize, act: impl FnOnce(&mut Agreement, &mut Disk, &mut Outbox) -> T) -> T {
        let mut out = Outbox::default();
        let node = &mut self.nodes[at];
        let done = act(&mut node.agreement, &mut node.disk, &mut out);
        loop {
            let Outbox { messages, enforce, outcome, notes: _ } = std::mem::take(&mut out);
            let node = &mut self.nodes[at];
            if node.disk.is_dead() {
                break;
            }
            if self.linked && self.nodes[1 - at].on {
                self.air.extend(messages.into_iter().map(|message| (1 - at, message)));
            }
            let node = &mut self.nodes[at];
            node.outcomes.extend(outcome);
            let Some(document) = enforce else { break };
            node.in_force = document.hash;
            node.agreement.handle_enforced(self.now, Ok(()), &mut node.disk, &mut out);
        }
        if self.nodes[at].disk.is_dead() {
            self.die(at);
        }
        done
    }

    fn die(&mut self, at: usize) {
        if self.nodes[at].on {
            self.nodes[at].on = false;
            self.air.clear();
            self.meet();
        }
    }

    /// It starts again; with what was flushed alone, or with everything.
    fn start(&mut self, at: usize, lost: bool) {
        let node = &mut self.nodes[at];
        if lost {
            node.disk.files = node.disk.flushed.clone();
        }
        node.disk.left = None;
        let life = node.disk.life();
        node.in_force = life.main().hash.clone();
        node.agreement = Agreement::new(life, true, self.now);
        (node.on, node.outcomes) = (true, Vec::new());
        // The one that stayed has noticed.
        let linked = std::mem::replace(&mut self.linked, false);
        self.meet();
        self.linked = linked;
        self.meet();
    }

    fn run(&mut self, seconds: u64) {
        for _ in 0..seconds * 10 {
            while let Some((to, message)) = self.air.pop_front() {
                let now = self.now;
                if self.nodes[to].on {
                    self.on(to, |agreement, disk, out| agreement.handle_message(now, &message, disk, out));
                }
            }
            self.now += Duration::from_millis(100);
            for at in [0, 1] {
                self.nodes[at].disk.now_ms += 100;
                let now = self.now;
                if self.nodes[at].on {
                    self.on(at, |agreement, disk, out| agreement.handle_timeout(now, disk, out));
                }
            }
        }
    }

    fn propose(
        &mut self,
        at: usize,
        new: &Document,
        confirm: Option<(u64, String)>,
    ) -> Result<(), Vec<String>> {
        let (now, new) = (self.now, new.clone());
        let record = Record { at_ms: self.nodes[at].disk.now_ms, ..Record::default() };
        self.on(at, |agreement, disk, out| agreement.propose(now, new, record, confirm, disk, out))
    }

    fn hash(&self, at: usize) -> &str {
        let node = &self.nodes[at];
        assert_eq!(
            node.in_force,
            node.agreement.life().main().hash,
            "node {at}: the packet path and the file"
        );
        let text = String::from_utf8(node.disk.files[&Name::Main].clone()).unwrap();
        assert_eq!(document(&text).hash, node.in_force, "node {at}: the file");
        &node.in_force
    }

    /// Both have the same; gives it.
    fn one(&self) -> &str {
        assert_eq!(self.hash(0), self.hash(1));
        for node in &self.nodes {
            assert!(node.agreement.is_idle(), "nothing is under way");
        }
        self.hash(0)
    }

    /// Its history or its conflicts have it.
    fn knows(&self, at: usize, hash: &str) -> bool {
        let life = self.nodes[at].agreement.life();
        life.records().chain(life.conflicts()).any(|record| record.hash == hash)
    }
}

#[test]
fn a_change_is_made_on_both_nodes() {
    let mut pair = Pair::new();
    for (at, revision) in [(0, 2), (1, 3)] {
        let new = edited("new", revision);
        pair.propose(at, &new, None).unwrap();
        pair.run(1);
        assert_eq!(pair.one(), new.hash);
        assert_eq!(pair.nodes[at].outcomes.pop(), Some(Outcome::Done(Peer::Same)));
        assert!(pair.knows(0, &new.hash) && pair.knows(1, &new.hash));
        assert!(pair.nodes.iter().all(|node| node.agreement.unseen().is_none()));
        let words = pair.nodes.iter().map(|node| node.agreement.words());
        assert!(words.into_iter().all(|words| words.unwrap().contains("both nodes have the same")));
    }
}

#[test]
fn what_one_node_refuses_neither_makes() {
    let mut pair = Pair::new();
    let before = pair.one().to_owned();
    for (full, refuses) in [(true, false), (false, true)] {
        for at in [0, 1] {
            (pair.nodes[1].disk.full, pair.nodes[1].disk.refuses) = (full, refuses);
            let asked = pair.propose(at, &edited("new", 2), None);
            pair.run(1);
            let outcome = pair.nodes[at].outcomes.pop();
            assert!(asked.is_err() || matches!(outcome, Some(Outcome::Refused(_))), "{asked:?} {outcome:?}");
            assert_eq!(pair.one(), before);
            assert!(!pair.knows(0, &edited("new", 2).hash) && !pair.knows(1, &edited("new", 2).hash));
        }
    }
}

#[test]
fn two_changes_at_once_never_make_two_configurations() {
    let mut pair = Pair::new();
    pair.propose(0, &edited("zero", 2), None).unwrap();
    pair.propose(1, &edited("one", 2), None).unwrap();
    pair.run(20);
    pair.one();
    assert_eq!(pair.nodes[0].outcomes.len() + pair.nodes[1].outcomes.len(), 2);
}

#[test]
fn a_crash_of_either_node_at_every_step_ends_in_one_configuration() {
    for confirm in [None, Some((60, edited("old", 3).text))] {
        for victim in [0, 1] {
            for lost in [false, true] {
                let mut step = 0;
                loop {
                    let mut pair = Pair::new();
                    let (before, new) = (pair.one().to_owned(), edited("new", 2));
                    pair.nodes[victim].disk.left = Some(step);
                    let _ = pair.propose(0, &new, confirm.clone());
                    pair.run(2);
                    let said =
                        matches!(pair.nodes[0].outcomes.last(), Some(Outcome::Done(_))) && pair.nodes[0].on;
                    let died = !pair.nodes[victim].on;
                    if died {
                        pair.run(5);
                        pair.start(victim, lost);
                    }
                    pair.run(10);
                    let now = pair.one().to_owned();
                    let context = format!("victim {victim}, step {step}, lost {lost}");
                    assert!(now == new.hash || now == before, "{context}: one of the two");
                    assert!(!said || now == new.hash, "{context}: what was said to be in force stays");
                    let armed = [0, 1].map(|at| pair.nodes[at].agreement.life().armed().is_some());
                    assert_eq!(armed, [now == new.hash && confirm.is_some(); 2], "{context}: the promise");
                    if confirm.is_some() && now == new.hash {
                        pair.run(70);
                        assert_eq!(pair.one(), edited("old", 3).hash, "{context}: it goes back");
                    }
                    if !died {
                        assert!(step > 10, "the victim has steps to die at");
                        break;
                    }
                    step += 1;
                }
            }
        }
    }
}

#[test]
fn a_peer_that_was_away_is_told_what_it_missed() {
    let mut pair = Pair::new();
    pair.link(false);
    for revision in 2..5 {
        pair.propose(0, &edited("new", revision), None).unwrap();
        assert_eq!(pair.nodes[0].outcomes.pop(), Some(Outcome::Done(Peer::Away)));
    }
    assert_eq!(pair.nodes[0].agreement.unseen(), Some((2, 4)));
    assert!(pair.nodes[0].agreement.words().unwrap().contains("revisions 2 to 4"));
    pair.link(true);
    pair.run(5);
    assert_eq!(pair.one(), edited("new", 4).hash);
    assert_eq!(pair.nodes[0].agreement.unseen(), None);
    assert!((2..5).all(|revision| pair.knows(1, &edited("new", revision).hash)));
    assert!(pair.nodes[1].agreement.life().conflicts().is_empty());
}

#[test]
fn when_both_have_changed_the_higher_epoch_stays_and_the_other_is_kept() {
    for winner in [0, 1] {
        let mut pair = Pair::new();
        pair.link(false);
        let loser = 1 - winner;
        pair.propose(loser, &edited("lost", 2), None).unwrap();
        pair.propose(loser, &edited("lost", 3), None).unwrap();
        pair.epoch = 2;
        pair.nodes[winner].agreement.epoch = Epoch(2);
        pair.propose(winner, &edited("kept", 2), None).unwrap();
        pair.link(true);
        pair.run(5);
        assert_eq!(pair.one(), edited("kept", 2).hash);
        let conflicts = pair.nodes[loser].agreement.life().conflicts();
        assert_eq!(conflicts.len(), 1);
        assert_eq!(conflicts[0].hash, edited("lost", 3).hash);
        let text = pair.nodes[loser].disk.read(&Life::conflict_file(&conflicts[0])).unwrap();
        assert_eq!(Life::text_in(&text).unwrap(), edited("lost", 3).text);
        assert!(pair.nodes[winner].agreement.life().conflicts().is_empty());
    }
}

#[test]
fn a_change_goes_back_on_both_nodes_unless_somebody_confirms() {
    for confirmer in [None, Some(0), Some(1)] {
        let mut pair = Pair::new();
        let (new, old) = (edited("new", 2), edited("old", 3));
        pair.propose(0, &new, Some((30, old.text.clone()))).unwrap();
        pair.run(10);
        assert_eq!(pair.one(), new.hash);
        assert!(pair.propose(1, &edited("other", 3), None).is_err(), "first this one is settled");
        if let Some(at) = confirmer {
            pair.on(at, |agreement, disk, out| agreement.confirm(disk, out)).unwrap();
        }
        pair.run(40);
        assert_eq!(pair.one(), if confirmer.is_some() { &new.hash } else { &old.hash });
    }
}

#[test]
fn the_promise_survives_the_death_of_either_node() {
    for victim in [0, 1] {
        let mut pair = Pair::new();
        let (new, old) = (edited("new", 2), edited("old", 3));
        pair.propose(0, &new, Some((30, old.text.clone()))).unwrap();
        pair.run(5);
        pair.nodes[victim].disk.left = Some(0);
        pair.die(victim);
        pair.run(40);
        assert_eq!(pair.hash(1 - victim), old.hash);
        pair.start(victim, true);
        pair.run(5);
        assert_eq!(pair.one(), old.hash);
    }
}

#[test]
fn a_confirmation_is_worth_more_than_a_going_back_that_did_not_know_of_it() {
    for confirmer in [0, 1] {
        let mut pair = Pair::new();
        let new = edited("new", 2);
        pair.propose(0, &new, Some((30, edited("old", 3).text))).unwrap();
        pair.run(5);
        pair.link(false);
        pair.on(confirmer, |agreement, disk, out| agreement.confirm(disk, out)).unwrap();
        pair.run(40);
        assert_eq!(pair.hash(1 - confirmer), edited("old", 3).hash);
        pair.link(true);
        pair.run(5);
        assert_eq!(pair.one(), new.hash);
        assert!(pair.nodes.iter().all(|node| node.agreement.life().conflicts().is_empty()));
    }
}

#[test]
fn a_full_disk_does_not_keep_a_change_from_going_back() {
    let mut pair = Pair::new();
    pair.propose(0, &edited("new", 2), Some((30, edited("old", 3).text))).unwrap();
    pair.run(5);
    pair.nodes[0].disk.full = true;
    pair.run(40);
    assert_eq!(pair.one(), edited("old", 3).hash);
}

#[test]
fn a_message_of_nobody_changes_nothing() {
    let mut pair = Pair::new();
    let before = pair.one().to_owned();
    for bytes in [&b""[..], b"\x01", b"\x02abc", &[1, 4, 255, 255, 255, 255, 255], &[1, 8, 0]] {
        let now = pair.now;
        pair.on(0, |agreement, disk, out| agreement.handle_message(now, bytes, disk, out));
    }
    pair.run(5);
    assert_eq!(pair.one(), before);
}
