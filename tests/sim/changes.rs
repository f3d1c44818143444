//! The configuration changes on both nodes while packets flow: the agreement speaks through the couriers, what it wants in
//! force comes into force between two batches, and nobody outside notices.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use koi::cluster::agreement::{Agreement, Ground, Outbox, Outcome, Peer};
use koi::cluster::parcel::{Event, Kind};
use koi::config::life::{Document, Found, Life, Name, Record, Step};
use koi::config::{self, amend};
use koi::node::{Compiled, Offload};
use koi::types::{Epoch, Random, Role, Seed};

use crate::cable::Quality;
use crate::crew::Change;
use crate::for_some_seeds;
use crate::hardships::bad;
use crate::pair::{PORTS, Pair, SYNC, name, text};
use crate::world::End;

const SEEDS: u64 = 6;

/// A disk in memory.
struct Disk(BTreeMap<Name, Vec<u8>>);

impl Ground for Disk {
    fn run(&mut self, steps: &[Step]) -> Result<(), String> {
        for step in steps {
            match step {
                Step::Write(name, bytes) => drop(self.0.insert(name.clone(), bytes.clone())),
                Step::Rename(from, to) => {
                    let bytes = self.0.remove(from).ok_or("it is not there")?;
                    self.0.insert(to.clone(), bytes);
                }
                Step::Remove(name) => drop(self.0.remove(name)),
                Step::Flush => {}
            }
        }
        Ok(())
    }

    fn read(&self, name: &Name) -> Option<Vec<u8>> {
        self.0.get(name).cloned()
    }

    fn check(&mut self, new: &Document) -> Result<(), Vec<String>> {
        config::load(&new.text)
            .map(drop)
            .map_err(|problems| problems.iter().map(ToString::to_string).collect())
    }

    fn now_ms(&self) -> u64 {
        1
    }
}

fn document(text: &str) -> Document {
    let config = config::load(text).unwrap_or_else(|problems| panic!("{problems:?}"));
    Document { revision: config.revision, hash: config.hash(), text: text.into() }
}

fn compile(text: &str, node: usize) -> Compiled {
    let valid = Arc::new(config::load(text).unwrap());
    let index = valid.node(Some(name(node))).unwrap();
    Compiled::new(valid, index, 2, vec![Offload::NONE; usize::from(PORTS)])
}

/// Both nodes, and what each has agreed to.
struct Council {
    pair: Pair,
    nodes: [(Agreement, Disk); 2],
    outcomes: Vec<(usize, Outcome)>,
    /// Of each node: how often something came into force.
    enforced: [usize; 2],
}

impl Council {
    fn new(seed: u64) -> Council {
        let mut pair = Pair::new(seed);
        let now = pair.world.now;
        let nodes = [0, 1].map(|_| {
            let main = document(&text());
            let disk = Disk(BTreeMap::from([(Name::Main, main.text.clone().into_bytes())]));
            let (life, _) = Life::open(Found { main, ..Found::default() }, 1);
            (Agreement::new(life, true, now), disk)
        });
        pair.traffic.take_gap(now);
        let mut council = Council { pair, nodes, outcomes: Vec::new(), enforced: [0; 2] };
        for node in [0, 1] {
            council.on(node, |agreement, _, out| agreement.handle_peer(now, true, Some(Epoch(1)), out));
        }
        council.run_for(Duration::from_millis(300));
        council
    }

    fn on(&mut self, node: usize, act: impl FnOnce(&mut Agreement, &mut Disk, &mut Outbox)) {
        let mut out = Outbox::default();
        let (agreement, disk) = &mut self.nodes[node];
        act(agreement, disk, &mut out);
        loop {
            let Outbox { messages, enforce, outcome, notes } = std::mem::take(&mut out);
            assert!(notes.is_empty(), "{notes:?}");
            let router = &mut self.pair.world.routers[node];
            let now = router.clock.local(self.pair.world.now);
            // Of a router that is dead, its parent cannot speak.
            let alive = router.alive;
            for message in messages.into_iter().filter(|_| alive) {
                router.crew.as_mut().unwrap().send_parcel(now, Kind::AGREEMENT, message);
            }
            self.outcomes.extend(outcome.map(|outcome| (node, outcome)));
            let Some(new) = enforce else { break };
            self.enforced[node] += 1;
            if alive {
                self.pair.world.apply(node, compile(&new.text, node));
            }
            self.pair.change(node, Change::Document(Arc::new(compile(&new.text, node))));
            let (agreement, disk) = &mut self.nodes[node];
            agreement.handle_enforced(self.pair.world.now, Ok(()), disk, &mut out);
        }
    }

    fn run_for(&mut self, time: Duration) {
        let end = self.pair.world.wake_in(time);
        while self.pair.world.now < end {
            self.pair.step();
            for node in [0, 1] {
                let crew = self.pair.world.routers[node].crew.as_mut().unwrap();
                for event in std::mem::take(&mut crew.parcels) {
                    let Event::Arrived { kind: Kind::AGREEMENT, bytes } = event else { continue };
                    let now = self.pair.world.now;
                    self.on(node, |agreement, disk, out| agreement.handle_message(now, &bytes, disk, out));
                }
            }
        }
    }

    fn propose(&mut self, node: usize, text: &str) {
        let (now, new) = (self.pair.world.now, document(text));
        self.on(node, |agreement, disk, out| {
            agreement.propose(now, new, Record::default(), None, disk, out).unwrap();
        });
    }

    fn epoch(&self, node: usize) -> Epoch {
        self.pair.world.routers[node].crew.as_ref().unwrap().standing().epoch
    }

    /// The change is in force on both nodes, nothing was lost, and no role has changed.
    fn is_unnoticed(&mut self, proposer: usize, text: &str) {
        assert_eq!(self.outcomes, [(proposer, Outcome::Done(Peer::Same))]);
        assert_eq!(self.enforced, [1, 1]);
        let wanted = document(text).hash;
        for (node, (agreement, _)) in self.nodes.iter().enumerate() {
            assert_eq!(agreement.life().main().hash, wanted);
            assert_eq!(self.pair.world.routers[node].compiled.config.hash(), wanted);
        }
    }
}

/// So many more rules, none of which changes what flows.
fn with_rules(count: u32) -> String {
    let mut text = amend::renumber(&text(), 2).unwrap();
    for number in 0..count {
        let (id, third, last) = (2_000_000 + number, number / 250, number % 250);
        write!(
            text,
            "\n[[rule]]\nid = {id}\ninterface = \"dmz\"\naction = \"block\"\nsource = \"198.18.{third}.{last}\"\n"
        )
        .unwrap();
    }
    text
}

/// A virtual host more on LAN, and another address on DMZ.
fn with_virtual_ips() -> String {
    let text = amend::renumber(&text(), 2)
        .unwrap()
        .replace("\"10.20.0.1/24\"", "\"10.20.0.1/24\", \"10.20.0.7/24\"");
    text + "\n[[virtual_ip]]\ninterface = \"lan\"\nvhid = 9\naddresses = [\"192.168.1.9/24\"]\npassword = \"plug\"\n"
}

fn a_change_loses_nothing(seed: u64, proposer: usize, text: &str) {
    let mut council = Council::new(seed);
    let leader = council.pair.leader().unwrap();
    let began = [0, 1].map(|node| council.pair.world.routers[node].clock.local(council.pair.world.now));
    let notices = |council: &Council| {
        let crews = council.pair.world.routers.iter().filter_map(|router| router.crew.as_ref());
        let told = crews
            .zip(began)
            .flat_map(|(crew, began)| crew.notices.iter().filter(move |(at, _)| *at >= began));
        // Until the digests have been compared again, the standby is not proven to be equal.
        let wrong = told.filter(|(_, notice)| notice.wrong && notice.place != "pair");
        wrong.map(|(at, notice)| format!("{at:?} {}: {}", notice.place, notice.text)).collect::<Vec<_>>()
    };
    let lost = council.pair.traffic.pings - council.pair.traffic.answers;
    council.propose(proposer, text);
    council.run_for(Duration::from_secs(5));
    council.is_unnoticed(proposer, text);
    // What is under way at this moment, and nothing else.
    let missing = council.pair.traffic.pings - council.pair.traffic.answers;
    assert!(missing <= lost + 1, "{missing} pings have no answer, {lost} before");
    let gap = council.pair.traffic.take_gap(council.pair.world.now);
    assert!(gap <= Duration::from_millis(10), "silence for {gap:?}");
    assert_eq!(council.pair.leader(), Some(leader));
    assert_eq!(notices(&council), Vec::<String>::new(), "no alarm since {began:?}");
    let standby = council.pair.world.routers[1 - leader].crew.as_ref().unwrap();
    assert_eq!(standby.helm.role(), Role::Standby);
    council.pair.finish();
}

#[test]
fn a_change_of_many_rules_on_both_nodes_loses_nothing() {
    // With the others, the most that a document may have.
    let text = with_rules(10_000 - 3);
    for_some_seeds(2, |seed| a_change_loses_nothing(seed, seed as usize % 2, &text));
}

#[test]
fn a_change_of_the_virtual_ips_is_one_on_both_nodes_and_flaps_nothing() {
    let text = with_virtual_ips();
    for_some_seeds(SEEDS, |seed| a_change_loses_nothing(seed, seed as usize % 2, &text));
}

#[test]
fn a_change_over_a_bad_cable_is_made_on_both() {
    for_some_seeds(SEEDS, |seed| {
        let (mut council, text) = (Council::new(seed), with_virtual_ips());
        let (leader, proposer) = (council.pair.leader(), seed as usize % 2);
        council.pair.world.degrade(End::Router(0, SYNC), bad(seed));
        council.propose(proposer, &text);
        let mut random: Random = Seed([seed, 37]).random();
        // At some moment nothing at all gets through for a while.
        council.run_for(Duration::from_micros(random.below(12_000)));
        council.pair.mute(0, SYNC, true);
        council.run_for(Duration::from_millis(random.below(200)));
        council.pair.mute(0, SYNC, false);
        council.run_for(Duration::from_secs(8));
        council.is_unnoticed(proposer, &text);
        assert_eq!(council.pair.leader(), leader);
        let gap = council.pair.traffic.take_gap(council.pair.world.now);
        assert!(gap <= Duration::from_millis(20), "silence for {gap:?}");
        council.pair.world.degrade(End::Router(0, SYNC), Quality::CLEAN);
        council.pair.finish();
    });
}

#[test]
fn a_change_that_the_cable_interrupts_is_made_on_one_node_and_told_later() {
    for_some_seeds(SEEDS, |seed| {
        let (mut council, text) = (Council::new(seed), with_rules(3));
        council.pair.unplug(0, SYNC, true);
        let now = council.pair.world.now;
        let away = |council: &mut Council, present: bool| {
            for node in [0, 1] {
                let epoch = Some(Epoch(1));
                council.on(node, |agreement, _, out| agreement.handle_peer(now, present, epoch, out));
            }
        };
        away(&mut council, false);
        council.propose(0, &text);
        assert_eq!(council.outcomes, [(0, Outcome::Done(Peer::Away))]);
        assert_eq!(council.nodes[0].0.unseen(), Some((2, 2)));
        council.run_for(Duration::from_millis(500));
        council.pair.unplug(0, SYNC, false);
        council.run_for(Duration::from_millis(500));
        away(&mut council, true);
        council.run_for(Duration::from_secs(3));
        assert_eq!(council.nodes[1].0.life().main().hash, document(&text).hash);
        assert_eq!(council.enforced, [1, 1]);
        council.pair.finish();
    });
}

#[test]
fn a_crash_at_any_moment_of_a_change_leaves_one_active_node_and_one_document() {
    for_some_seeds(SEEDS * 2, |seed| {
        let (mut council, text) = (Council::new(seed), with_rules(3));
        let mut random: Random = Seed([seed, 31]).random();
        let (proposer, victim) = (seed as usize % 2, seed as usize / 2 % 2);
        council.propose(proposer, &text);
        council.run_for(Duration::from_micros(random.below(12_000)));
        council.pair.crash(victim);
        council.run_for(Duration::from_millis(100));
        let now = council.pair.world.now;
        for node in [0, 1] {
            council.on(node, |agreement, _, out| agreement.handle_peer(now, false, Some(Epoch(1)), out));
        }
        council.run_for(Duration::from_millis(300));
        assert!(council.pair.leader().is_some(), "one leads");
        council.pair.heal();
        council.run_for(Duration::from_secs(2));
        let (now, epochs) = (council.pair.world.now, [0, 1].map(|node| council.epoch(node)));
        for node in [0, 1] {
            council
                .on(node, |agreement, _, out| agreement.handle_peer(now, true, Some(epochs[1 - node]), out));
        }
        council.run_for(Duration::from_secs(3));
        let hashes = [0, 1].map(|node| council.nodes[node].0.life().main().hash.clone());
        assert_eq!(hashes[0], hashes[1], "one document, {:?}", council.outcomes);
        let wanted = [document(&crate::pair::text()).hash, document(&text).hash];
        assert!(wanted.contains(&hashes[0]), "the old one or the new one");
        council.pair.finish();
    });
}
