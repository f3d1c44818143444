//! Two helms with a cable between their sync ports.

use std::sync::Arc;

use super::*;
use crate::cluster::Code;
use crate::cluster::entropy::Seeded;
use crate::config::pairing::{self as documents, Newcomer, Plan};
use crate::config::{Config, Valid, load};
use crate::wire::Offload;

const SINGLE: &str = include_str!("../../../configs/single.toml");
const WAITING: &str = include_str!("../../../configs/join.toml");

fn identity(seed: u64) -> Identity {
    Identity::generate(&mut Seeded::new(Seed([seed, 1])))
}

fn code(seed: u64) -> Code {
    Code::generate(&mut Seeded::new(Seed([seed, 2])))
}

fn created(key: PublicKey) -> Valid<Config> {
    let own = ["wan=198.51.100.3/24", "wan=2001:db8:1::3/64", "lan=192.168.1.2/24", "lan=2001:db8:10::2/64"];
    let plan = Plan {
        node: "koi".into(),
        public_key: key,
        sync: "sync=koi-sync-a".parse().unwrap(),
        preferred: None,
        addresses: own.map(address).to_vec(),
        passwords: vec![crate::config::model::Secret::new("secret"); 2],
    };
    documents::create(&load(SINGLE).unwrap(), &plan).unwrap()
}

fn beta(key: PublicKey) -> Newcomer {
    let own = ["wan=198.51.100.4/24", "wan=2001:db8:1::4/64", "lan=192.168.1.3/24", "lan=2001:db8:10::3/64"];
    let ports = ["wan=b-wan", "lan=b-lan"].map(|port| port.parse().unwrap());
    let sync = "sync".parse().unwrap();
    documents::newcomer(&load(WAITING).unwrap(), "beta", key, &sync, &ports, &own.map(address)).unwrap()
}

fn address(text: &str) -> (String, crate::types::Prefix) {
    let (name, address) = text.split_once('=').unwrap();
    (name.to_owned(), address.parse().unwrap())
}

fn compiled(config: Valid<Config>, name: &str, epoch: u32) -> Arc<Compiled> {
    let node = config.node(Some(name)).unwrap();
    let ports = config.node_part(node).ports.len();
    Arc::new(Compiled::new(Arc::new(config), node, epoch, vec![Offload::default(); ports]))
}

struct Side {
    helm: Helm,
    out: HelmOutbox,
    news: Vec<PairingNews>,
    /// Whether it has led at any moment since it had a peer.
    led: bool,
}

impl Side {
    fn new(config: Valid<Config>, name: &str, seed: u64, now: Instant) -> Self {
        let make: MakeEntropy = Box::new(move || Box::new(Seeded::new(Seed([seed, 3]))));
        let mut out = HelmOutbox::default();
        let compiled = compiled(config, name, 1);
        let ports = compiled.offloads.len();
        let mut helm = Helm::new(compiled, identity(seed), make, true, Seed([seed, 4]), now, &mut out);
        for port in 0..ports {
            helm.handle_link(now, PortId(port as u8), true, &mut out);
        }
        Side { helm, out, news: Vec::new(), led: false }
    }

    fn apply(&mut self, config: Valid<Config>, name: &str, now: Instant) {
        let compiled = compiled(config, name, 2);
        self.helm.apply(now, Arc::clone(&compiled), &mut self.out);
        for port in 0..compiled.offloads.len() {
            self.helm.handle_link(now, PortId(port as u8), true, &mut self.out);
        }
    }

    /// The frames of the sync port; all others are lost.
    fn sent(&mut self, now: Instant) -> Vec<FrameBuf> {
        self.led |= self.helm.standing().leads(now) && self.helm.peer.is_some();
        self.news.append(&mut self.out.pairing);
        let sync = self.helm.sync_port();
        std::mem::take(&mut self.out)
            .frames
            .into_iter()
            .filter(|(port, _)| Some(*port) == sync)
            .map(|(_, frame)| frame)
            .collect()
    }
}

struct World {
    now: Instant,
    sides: [Side; 2],
}

impl World {
    fn new() -> Self {
        let now = Instant::from_secs(1);
        let koi = Side::new(created(identity(1).public()), "koi", 1, now);
        let beta = Side::new(load(WAITING).unwrap(), "beta", 2, now);
        World { now, sides: [koi, beta] }
    }

    fn order(&mut self, side: usize, order: PairingOrder) {
        let Side { helm, out, .. } = &mut self.sides[side];
        helm.handle_pairing(self.now, order, out);
    }

    fn run(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        while self.now < end {
            for from in [0, 1] {
                for frame in self.sides[from].sent(self.now) {
                    let to = &mut self.sides[1 - from];
                    to.helm.handle_sync_frame(self.now, &frame, &mut to.out);
                }
            }
            self.now += Duration::from_millis(1);
            for side in &mut self.sides {
                side.helm.handle_drained(self.now, PathId::SYNC);
                if side.helm.poll_timeout().is_some_and(|(at, _)| at <= self.now) {
                    side.helm.handle_timeout(self.now, &mut side.out);
                }
            }
        }
    }

    fn try_code(&mut self, code: Code) {
        self.order(1, PairingOrder::Join { code, own: b"beta".to_vec() });
        self.run(300);
    }
}

#[test]
fn a_pair_of_one_and_a_newcomer_become_a_pair_and_the_newcomer_never_serves() {
    let mut world = World::new();
    let keys = [1, 2].map(|seed| identity(seed).public());
    let document = created(keys[0]);
    assert_eq!(world.sides[0].helm.role(), Role::Alone);
    world.order(0, PairingOrder::Offer { code: code(1), own: document.to_toml().into_bytes() });
    world.order(1, PairingOrder::Join { code: code(1), own: b"beta".to_vec() });
    world.run(300);
    let paired = |peer, payload: &[u8]| vec![PairingNews::Paired { peer, payload: payload.to_vec() }];
    assert_eq!(world.sides[0].news, paired(keys[1], b"beta"));
    assert_eq!(world.sides[1].news, paired(keys[0], document.to_toml().as_bytes()));
    // The newcomer is the faster one. It gives way before the document is in force, and only to whom it has joined.
    let both = documents::join(&document, &beta(keys[1])).unwrap();
    let mut leads = |peer| {
        world.sides[1].helm.prepare(peer);
        world.sides[1].helm.standing().leads(world.now)
    };
    assert_eq!([None, Some(keys[1]), Some(keys[0])].map(&mut leads), [true, true, false]);
    world.sides[1].apply(both.clone(), "beta", world.now);
    world.run(200);
    assert_eq!(world.sides[1].helm.role(), Role::Standby);
    world.sides[0].apply(both, "koi", world.now);
    world.run(3_000);
    let roles = [0, 1].map(|side| world.sides[side].helm.role());
    assert_eq!(roles, [Role::Active, Role::Standby]);
    let timelines = [0, 1].map(|side| world.sides[side].helm.snapshot(world.now).timeline);
    assert_eq!([0, 1].map(|side| world.sides[side].led), [true, false], "{timelines:#?}");
    let snapshot = world.sides[1].helm.snapshot(world.now);
    assert!(snapshot.session && snapshot.peer.is_some_and(|peer| peer.alive));
}

#[test]
fn wrong_codes_are_told_and_counted_and_the_sixth_is_refused() {
    let mut world = World::new();
    world.order(0, PairingOrder::Offer { code: code(1), own: Vec::new() });
    for seed in 2..=7 {
        // The sixth one would be right.
        world.try_code(code(if seed == 7 { 1 } else { seed }));
    }
    let wrong = |left| PairingNews::WrongCode(left);
    let failed = |why| PairingNews::Failed(why);
    let over = failed(pairing::PairingFailure::TooManyTries);
    assert_eq!(world.sides[0].news, [wrong(4), wrong(3), wrong(2), wrong(1), wrong(0), over]);
    let refused = pairing::PairingFailure::Joiner(crate::cluster::pairing::Failure::Refused);
    assert_eq!(world.sides[1].news, vec![failed(refused); 6]);
    let row = world.sides[0].helm.snapshot(world.now).pairing.unwrap();
    assert_eq!((row.standing.as_str(), row.wrong, row.refused, row.tries_left), ("closed", 5, 1, 0));
}

#[test]
fn nobody_answers_unless_asked_to_and_no_data_port_ever_does() {
    let mut world = World::new();
    world.try_code(code(1));
    assert!(world.sides[0].news.is_empty() && world.sides[1].news.is_empty());
    world.order(0, PairingOrder::Offer { code: code(1), own: Vec::new() });
    // A hello comes by a data port.
    drop(world.sides[1].sent(world.now));
    world.order(1, PairingOrder::Join { code: code(1), own: b"beta".to_vec() });
    let hello = world.sides[1].sent(world.now);
    assert_eq!(hello.len(), 1);
    let Side { helm, out, .. } = &mut world.sides[0];
    *out = HelmOutbox::default();
    for frame in hello {
        helm.handle_control_frame(world.now, InterfaceId(0), frame, out);
    }
    assert!(out.frames.is_empty());
    // It expires, by itself.
    world.order(1, PairingOrder::Close);
    world.now += Duration::from_secs(599);
    world.run(100);
    assert!(world.sides[0].news.is_empty());
    world.run(1_000);
    assert_eq!(world.sides[0].news, [PairingNews::Failed(pairing::PairingFailure::Expired)]);
    assert!(world.sides[0].helm.snapshot(world.now).pairing.is_none());
}

#[test]
fn a_document_without_a_sync_port_cannot_pair() {
    let now = Instant::from_secs(1);
    let mut single = Side::new(load(SINGLE).unwrap(), "koi", 1, now);
    single.helm.handle_pairing(now, PairingOrder::Offer { code: code(1), own: Vec::new() }, &mut single.out);
    assert_eq!(single.out.pairing, [PairingNews::Failed(pairing::PairingFailure::NoSyncPort)]);
    assert!(single.sent(now).is_empty());
}
