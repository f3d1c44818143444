//! A creator, a joiner and a link between them that loses and repeats.

use proptest::prelude::*;

use super::super::Identity;
use super::super::entropy::Seeded;
use super::*;
use crate::types::{Duration, Instant, Random, Seed};

fn entropy(seed: u64) -> Seeded {
    Seeded::new(Seed([seed, 6]))
}

fn code(seed: u64) -> Code {
    Code::generate(&mut entropy(seed))
}

struct World {
    now: Instant,
    creator: Creator,
    joiner: Joiner,
    random: Random,
    loss: u64,
    repeats: u64,
    ended: [Option<Ended>; 2],
}

fn creator(seed: u64, document: &[u8], now: Instant) -> Creator {
    let identity = Identity::generate(&mut entropy(100));
    Creator::new(identity, &code(seed), document.to_vec(), Box::new(entropy(seed + 1)), now).unwrap()
}

fn joiner(code: Code, own: &[u8], seed: u64, now: Instant) -> Joiner {
    let identity = Identity::generate(&mut entropy(200));
    Joiner::new(&identity, code, own.to_vec(), &mut entropy(seed + 2), now).unwrap()
}

impl World {
    fn new(seed: u64, typed: Code, document: &[u8], own: &[u8]) -> Self {
        let now = Instant::from_secs(1);
        World {
            now,
            creator: creator(seed, document, now),
            joiner: joiner(typed, own, seed, now),
            random: Seed([seed, 4]).random(),
            loss: 0,
            repeats: 0,
            ended: [None, None],
        }
    }

    fn copies(&mut self) -> usize {
        usize::from(self.random.below(100) >= self.loss)
            * (1 + usize::from(self.random.below(100) < self.repeats))
    }

    /// Until the joiner wants nothing more; at most so many rounds.
    fn run(&mut self, rounds: usize) {
        for _ in 0..rounds {
            let Some(at) = self.joiner.poll_timeout() else { return };
            self.now = self.now.max(at);
            let mut questions = Outbox::default();
            self.joiner.handle_timeout(self.now, &mut questions);
            self.exchange(questions);
        }
    }

    fn exchange(&mut self, mut questions: Outbox) {
        while !questions.datagrams.is_empty() || questions.ended.is_some() {
            self.ended[1] = questions.ended.take().or(self.ended[1].take());
            let mut answers = Outbox::default();
            for bytes in questions.datagrams {
                for _ in 0..self.copies() {
                    self.creator.handle_datagram(self.now, &bytes, &mut answers);
                }
            }
            if let Some(ended) = answers.ended {
                assert_eq!(self.ended[0].replace(ended), None, "it ends once");
            }
            questions = Outbox::default();
            for bytes in answers.datagrams {
                for _ in 0..self.copies() {
                    self.joiner.handle_datagram(self.now, &bytes, &mut questions);
                }
            }
            self.now += Duration::from_micros(300);
        }
    }

    /// Another joiner tries its code at the same creator.
    fn try_again(&mut self, typed: Code, seed: u64) -> Option<Ended> {
        self.joiner = joiner(typed, b"own", seed, self.now);
        self.ended = [None, None];
        self.run(100);
        self.ended[1].clone()
    }
}

fn paired(seed: u64, payload: &[u8]) -> Option<Ended> {
    let peer = Identity::generate(&mut entropy(seed)).public();
    Some(Ended::Paired { peer, payload: payload.to_vec() })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn the_right_code_pairs_over_any_link(
        seed in any::<u64>(),
        (loss, repeats) in (0u64..50, 0u64..50),
        (document, own) in (0usize..6_000, 0usize..3_000),
    ) {
        let seed = seed / 2;
        let document: Vec<u8> = (0..document).map(|at| (at * 7) as u8).collect();
        let own: Vec<u8> = (0..own).map(|at| (at * 3) as u8).collect();
        let mut world = World::new(seed, code(seed), &document, &own);
        (world.loss, world.repeats) = (loss, repeats);
        world.run(3_000);
        prop_assert_eq!(&world.ended[1], &paired(100, &document));
        prop_assert_eq!(&world.ended[0], &paired(200, &own));
        prop_assert_eq!(world.creator.standing(world.now), Standing::Paired);
    }

    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200), step in 0u8..6) {
        let mut world = World::new(1, code(1), b"document", b"own");
        let mut out = Outbox::default();
        let made = message(Step::Hello, 1, &bytes);
        let mut any = made.clone();
        any[2] = step;
        for bytes in [&bytes, &made, &any] {
            world.creator.handle_datagram(world.now, bytes, &mut out);
            world.joiner.handle_datagram(world.now, bytes, &mut out);
        }
        prop_assert_eq!(out.ended, None);
    }
}

#[test]
fn a_megabyte_goes_over() {
    let document: Vec<u8> = (0..PAYLOAD_MAX).map(|at| (at % 251) as u8).collect();
    let mut world = World::new(2, code(2), &document, &document);
    world.run(10);
    assert_eq!(world.ended, [paired(200, &document), paired(100, &document)]);
    let identity = Identity::generate(&mut entropy(1));
    let long = vec![0; PAYLOAD_MAX + 1];
    assert!(Creator::new(identity, &code(1), long, Box::new(entropy(1)), world.now).is_none());
}

#[test]
fn a_wrong_code_fails_and_counts_and_the_sixth_try_is_refused() {
    let mut world = World::new(3, code(99), b"document", b"own");
    world.run(100);
    for count in 1..=5 {
        assert_eq!(world.creator.counters().wrong, count);
        let left = 5 - count as u8;
        let standing = if left > 0 { Standing::Waiting(left) } else { Standing::TooManyTries };
        assert_eq!(world.creator.standing(world.now), standing);
        let typed = if count < 5 { code(99 + count) } else { code(3) };
        assert_eq!(world.try_again(typed, 50 + count), Some(Ended::Failed(Failure::Refused)));
        assert_eq!(world.ended[0], None);
    }
    assert_eq!(world.creator.counters().wrong, 5, "the sixth is not even looked at");
    assert_eq!(world.creator.counters().refused, 1);
}

#[test]
fn after_a_wrong_try_the_right_code_still_works_but_only_once() {
    let mut world = World::new(4, code(98), b"document", b"own");
    world.run(100);
    assert_eq!(world.try_again(code(4), 60), paired(100, b"document"));
    assert_eq!(world.try_again(code(4), 61), Some(Ended::Failed(Failure::Refused)));
    assert_eq!(world.creator.standing(world.now), Standing::Paired);
}

#[test]
fn an_expired_code_is_refused_whatever_it_was() {
    let mut world = World::new(5, code(5), b"document", b"own");
    world.now = world.creator.expires();
    assert_eq!(world.creator.standing(world.now), Standing::Expired);
    assert_eq!(world.try_again(code(5), 70), Some(Ended::Failed(Failure::Refused)));
    let mut world = World::new(6, code(6), b"document", b"own");
    world.now = world.creator.expires() - Duration::from_secs(1);
    assert_eq!(world.try_again(code(6), 71), paired(100, b"document"));
}

#[test]
fn nobody_there_is_silence() {
    let mut world = World::new(7, code(7), b"document", b"own");
    world.loss = 100;
    world.run(1_000);
    assert_eq!(world.ended, [None, Some(Ended::Failed(Failure::Silence))]);
    assert_eq!(world.joiner.poll_timeout(), None);
}

/// A stranger in the middle, who knows everything but the code, shows the joiner a key of his own and has a creator of
/// his own behind it: the joiner's proof is worth nothing to him.
#[test]
fn a_proof_is_for_the_key_that_was_shown() {
    let now = Instant::from_secs(1);
    let mut world = World::new(8, code(8), b"document", b"own");
    let stranger = Identity::generate(&mut entropy(300));
    world.creator = Creator::new(stranger, &code(9), Vec::new(), Box::new(entropy(1)), now).unwrap();
    world.run(100);
    assert_eq!(world.ended, [None, Some(Ended::Failed(Failure::Refused))]);
    let genuine = Identity::generate(&mut entropy(100)).public();
    let shown = Identity::generate(&mut entropy(300)).public();
    assert_ne!(psk(&code(8), &genuine), psk(&code(8), &shown));
}

#[test]
fn a_proof_that_comes_again_is_not_another_try() {
    let now = Instant::from_secs(1);
    let (mut creator, mut joiner) = (creator(9, b"d", now), joiner(code(97), b"own", 9, now));
    let (mut asked, mut answered) = (Outbox::default(), Outbox::default());
    joiner.handle_timeout(now, &mut asked);
    creator.handle_datagram(now, &asked.datagrams[0], &mut answered);
    joiner.handle_datagram(now, &answered.datagrams[0], &mut asked);
    for _ in 0..10 {
        creator.handle_datagram(now, &asked.datagrams[1], &mut answered);
    }
    assert_eq!(creator.counters().wrong, 1);
    assert_eq!(creator.standing(now), Standing::Waiting(4));
}

#[test]
fn a_party_round_trips() {
    let party = Party { version: 3, name: "beta".into(), text: "[[node]]".into() };
    let mut bytes = party.encode();
    bytes.extend([1, 2]);
    assert_eq!(Party::decode(&bytes), Some(party));
    assert_eq!(Party::decode(&[0xff; 4]), None);
}
