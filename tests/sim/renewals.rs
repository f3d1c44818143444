//! The keys of a pair are renewed while it serves: nobody's role changes, nobody is fenced, no flow is lost.

use std::sync::Arc;
use std::time::Duration;

use koi::cluster::keyring::Renewal;
use koi::cluster::{Identity, Keyring};
use koi::node::Compiled;

use crate::cable::Quality;
use crate::crew::Change;
use crate::for_some_seeds;
use crate::hardships::bad;
use crate::pair::{Pair, SYNC, compile, identity};
use crate::world::End;

const SEEDS: u64 = 12;

fn next(node: usize) -> Identity {
    Identity::from_bytes([77 + node as u8; 32])
}

fn renewed() -> [Arc<Compiled>; 2] {
    compile(&[next(0), next(1)])
}

/// Both keys of a node, and its peer's.
fn keyring(node: usize) -> Keyring {
    let peer = 1 - node;
    let renewal = Renewal {
        identity: next(node),
        peer: Some(next(peer).public()),
        peer_before: identity(peer).public(),
    };
    Keyring { renewal: Some(renewal), ..Keyring::new(identity(node)) }
}

fn learn(pair: &mut Pair, node: usize) {
    pair.keyrings[node] = keyring(node);
    pair.change(node, Change::Keyring(Box::new(keyring(node))));
}

fn forget(pair: &mut Pair, node: usize) {
    pair.keyrings[node] = Keyring::new(next(node));
    pair.change(node, Change::Keyring(Box::new(Keyring::new(next(node)))));
}

fn uses_new_keys(pair: &Pair, node: usize) -> bool {
    let router = &pair.world.routers[node];
    let snapshot = router.crew.as_ref().unwrap().helm.snapshot(router.clock.local(pair.world.now));
    snapshot.session && snapshot.keys_in_use
}

fn epoch(pair: &Pair) -> u32 {
    pair.world.routers[0].crew.as_ref().unwrap().helm.standing().epoch.0
}

#[test]
fn keys_are_renewed_without_an_interruption() {
    for_some_seeds(SEEDS, |seed| are_renewed(seed, Quality::CLEAN));
}

#[test]
fn keys_are_renewed_over_a_bad_cable() {
    for_some_seeds(SEEDS, |seed| are_renewed(seed, bad(seed)));
}

fn are_renewed(seed: u64, quality: Quality) {
    let mut pair = Pair::new(seed);
    pair.world.degrade(End::Router(0, SYNC), quality);
    let (leader, before) = (pair.leader(), epoch(&pair));
    let (first, second) = (seed as usize % 2, 1 - seed as usize % 2);
    let pause = Duration::from_millis(seed * 97);
    let steps: [&dyn Fn(&mut Pair); 6] = [
        &|pair| learn(pair, first),
        &|pair| learn(pair, second),
        &|pair| pair.change(first, Change::Document(Arc::clone(&renewed()[first]))),
        &|pair| pair.change(second, Change::Document(Arc::clone(&renewed()[second]))),
        &|pair| forget(pair, first),
        &|pair| forget(pair, second),
    ];
    for (number, step) in steps.into_iter().enumerate() {
        step(&mut pair);
        pair.run_for(Duration::from_millis(300) + pause);
        assert_eq!((pair.leader(), epoch(&pair)), (leader, before), "after step {number}");
        if number == 3 {
            pair.run_for(Duration::from_secs(2));
            assert!((0..2).all(|node| uses_new_keys(&pair, node)), "the new keys are in use");
        }
    }
    let fences = pair.world.routers.iter().flat_map(|router| &router.crew.as_ref().unwrap().notices);
    assert!(!fences.into_iter().any(|(_, notice)| notice.text.contains("lease lapsed")));
    let active = leader.unwrap();
    pair.power_off(active);
    pair.run_until(Duration::from_millis(300), "a takeover", |pair| pair.leader() == Some(1 - active));
    pair.world.degrade(End::Router(0, SYNC), Quality::CLEAN);
    pair.heal();
    pair.finish();
}

#[test]
fn a_crash_after_each_step_leaves_a_pair_that_talks() {
    for_some_seeds(SEEDS, |seed| {
        let mut pair = Pair::new(seed);
        let (first, stage, victim) = (seed as usize % 2, seed / 2 % 6, (seed / 12) as usize % 2);
        let second = 1 - first;
        let mut documents = [false; 2];
        for step in 0..=stage {
            match step {
                0 => learn(&mut pair, first),
                1 => learn(&mut pair, second),
                2 | 3 => {
                    let node = if step == 2 { first } else { second };
                    documents[node] = true;
                    pair.change(node, Change::Document(Arc::clone(&renewed()[node])));
                }
                4 => forget(&mut pair, first),
                _ => forget(&mut pair, second),
            }
            if step < stage {
                pair.run_for(Duration::from_secs(3));
            } else {
                pair.run_for(Duration::from_millis(seed % 5));
            }
        }
        pair.power_off(victim);
        pair.run_for(Duration::from_secs(1));
        assert!(pair.leader() == Some(1 - victim), "the other one serves");
        pair.start(victim, true);
        pair.settle();
        pair.finish();
    });
}
