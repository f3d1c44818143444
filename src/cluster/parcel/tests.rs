//! Two ends and a cable that loses, repeats and reorders.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::types::Seed;

const UPGRADE: Kind = Kind::UPGRADE;

/// What the cable does, in percent.
#[derive(Clone, Copy, Debug, Default)]
struct Weather {
    loss: u64,
    repeat: u64,
    /// Microseconds that a datagram takes longer at most.
    jitter: u64,
}

struct World {
    ends: [Parcels; 2],
    outs: [Outbox; 2],
    now: Instant,
    weather: Weather,
    random: Seed,
    draws: u64,
    cut: bool,
    /// By time and number: to whom, and what.
    air: BTreeMap<(Instant, u64), (usize, Vec<u8>)>,
    events: [Vec<Event>; 2],
    most: usize,
}

impl World {
    fn new(weather: Weather, seed: u64) -> Self {
        let mut world = World {
            ends: Default::default(),
            outs: Default::default(),
            now: Instant::from_secs(1),
            weather,
            random: Seed([seed, 1]),
            draws: 0,
            cut: false,
            air: BTreeMap::new(),
            events: Default::default(),
            most: 0,
        };
        world.session(100);
        world
    }

    /// Both ends have a session; what was under way is lost.
    fn session(&mut self, number: u32) {
        self.air.clear();
        for end in [0, 1] {
            self.ends[end].handle_session(self.now, number + end as u32, &mut self.outs[end]);
        }
        self.flush();
    }

    fn send(&mut self, end: usize, bytes: Vec<u8>) -> Result<ParcelId, Full> {
        let sent = self.ends[end].send(self.now, UPGRADE, bytes, &mut self.outs[end]);
        self.flush();
        sent
    }

    fn draw(&mut self, below: u64) -> u64 {
        self.draws += 1;
        if below == 0 { 0 } else { self.random.derive(self.draws).0[0] % below }
    }

    fn flush(&mut self) {
        for end in [0, 1] {
            let Outbox { datagrams, events } = std::mem::take(&mut self.outs[end]);
            self.events[end].extend(events);
            for datagram in datagrams {
                let copies = u64::from(self.draw(100) < self.weather.repeat) + 1;
                for _ in 0..copies {
                    if self.cut || self.draw(100) < self.weather.loss {
                        continue;
                    }
                    let jitter = self.draw(self.weather.jitter + 1);
                    let at = self.now + Duration::from_micros(200 + jitter);
                    let number = self.draws;
                    self.air.insert((at, number), (1 - end, datagram.clone()));
                }
            }
        }
        self.most = self.most.max(self.air.len());
    }

    fn run(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            let arrival = self.air.keys().next().map(|(at, _)| *at);
            let timers = self.ends.iter().filter_map(|end| end.poll_timeout().map(|(at, _)| at));
            let Some(at) = timers.chain(arrival).min().filter(|at| *at <= until) else { break };
            self.now = self.now.max(at);
            while let Some(entry) = self.air.first_entry().filter(|entry| entry.key().0 <= self.now) {
                let (to, datagram) = entry.remove();
                self.ends[to].handle_datagram(self.now, &datagram, &mut self.outs[to]);
            }
            for end in [0, 1] {
                self.ends[end].handle_timeout(self.now, &mut self.outs[end]);
            }
            self.flush();
        }
        self.now = until;
    }
}

fn pattern(length: usize, seed: u8) -> Vec<u8> {
    (0..length).map(|at| (at as u32).wrapping_mul(2_654_435_761).to_be_bytes()[0] ^ seed).collect()
}

fn arrivals(events: &[Event]) -> Vec<&[u8]> {
    let bytes = |event| match event {
        &Event::Arrived { kind: UPGRADE, ref bytes } => Some(&bytes[..]),
        Event::Arrived { .. } | Event::Delivered(_) | Event::Failed(_) => None,
    };
    events.iter().filter_map(bytes).collect()
}

#[test]
fn a_large_parcel_arrives_through_a_bad_cable_with_a_bounded_window() {
    let mut world = World::new(Weather { loss: 5, repeat: 5, jitter: 300 }, 7);
    let bytes = pattern(3_000_001, 0);
    let id = world.send(0, bytes.clone()).unwrap();
    world.run(Duration::from_secs(60));
    assert_eq!(arrivals(&world.events[1]), [&bytes[..]]);
    assert_eq!(world.events[0], [Event::Delivered(id)]);
    assert!(world.most < 3 * WINDOW as usize, "{} datagrams at a time", world.most);
    assert_eq!(world.ends.iter().map(Parcels::waiting).sum::<usize>(), 0);
    assert_eq!(world.ends[0].poll_timeout(), None);
}

#[test]
fn twenty_megabytes_take_little_more_than_the_window_needs() {
    let mut world = World::new(Weather::default(), 1);
    world.send(0, pattern(20 << 20, 3)).unwrap();
    // A window each way there and back.
    let turns = (20u64 << 20) / (CHUNK as u64 * u64::from(WINDOW)) + 1;
    world.run(Duration::from_micros(400 * turns * 2));
    assert_eq!(arrivals(&world.events[1]).len(), 1);
    assert_eq!(world.ends[0].counters().resent, 0);
}

#[test]
fn a_frame_with_a_whole_chunk_fits_an_ordinary_link() {
    let mut world = World::new(Weather::default(), 1);
    world.cut = true;
    let mut out = Outbox::default();
    world.ends[0].send(world.now, UPGRADE, vec![0; CHUNK], &mut out).unwrap();
    // IPv6, UDP, envelope and seal.
    assert_eq!(out.datagrams[0].len() + 40 + 8 + 16 + 16, 1498);
}

#[test]
fn a_new_session_and_a_restarted_receiver_lose_nothing() {
    let mut world = World::new(Weather { loss: 2, ..Weather::default() }, 3);
    let bytes = pattern(2_000_000, 1);
    let id = world.send(0, bytes.clone()).unwrap();
    world.run(Duration::from_millis(3));
    world.session(200);
    world.run(Duration::from_millis(3));
    world.ends[1] = Parcels::default();
    world.session(300);
    world.run(Duration::from_secs(20));
    assert_eq!(arrivals(&world.events[1]), [&bytes[..]]);
    assert_eq!(world.events[0], [Event::Delivered(id)]);
}

#[test]
fn a_restarted_sender_is_not_taken_for_the_one_before() {
    let mut world = World::new(Weather::default(), 3);
    world.send(0, pattern(5000, 1)).unwrap();
    world.run(Duration::from_secs(1));
    world.ends[0] = Parcels::default();
    world.session(200);
    world.send(0, pattern(5000, 2)).unwrap();
    world.run(Duration::from_secs(1));
    assert_eq!(arrivals(&world.events[1]), [pattern(5000, 1), pattern(5000, 2)]);
}

#[test]
fn a_silent_peer_fails_every_parcel_and_the_next_ones_come() {
    let mut world = World::new(Weather::default(), 3);
    world.cut = true;
    let first = world.send(0, pattern(500_000, 1)).unwrap();
    world.run(Duration::from_secs(4));
    let second = world.send(0, pattern(100, 2)).unwrap();
    world.run(Duration::from_secs(7));
    assert_eq!(world.events[0], [Event::Failed(first)]);
    world.run(Duration::from_secs(4));
    assert_eq!(world.events[0], [Event::Failed(first), Event::Failed(second)]);
    world.cut = false;
    world.send(0, pattern(100, 3)).unwrap();
    world.run(Duration::from_secs(1));
    assert_eq!(arrivals(&world.events[1]), [pattern(100, 3)]);
}

#[test]
fn what_waits_is_bounded_and_so_is_a_parcel() {
    let mut world = World::new(Weather::default(), 3);
    world.cut = true;
    assert_eq!(world.send(0, vec![0; PARCEL_MAX + 1]), Err(Full));
    for _ in 0..2 {
        world.send(0, vec![0; PARCEL_MAX]).unwrap();
    }
    assert_eq!(world.send(0, vec![0]), Err(Full));
    for _ in 2..QUEUE {
        world.send(0, Vec::new()).unwrap();
    }
    assert_eq!(world.send(0, Vec::new()), Err(Full));
    assert_eq!(world.ends[0].counters().full, 3);
}

#[test]
fn before_the_first_session_parcels_wait() {
    let (mut alpha, mut out) = (Parcels::default(), Outbox::default());
    alpha.send(Instant::from_secs(1), UPGRADE, vec![7], &mut out).unwrap();
    assert!(out.datagrams.is_empty());
    alpha.handle_session(Instant::from_secs(2), 5, &mut out);
    assert_eq!(out.datagrams.len(), 1);
}

proptest! {
    #[test]
    fn every_parcel_arrives_once_and_in_order(
        lengths in proptest::collection::vec((0usize..2, 0usize..9000), 1..12),
        loss in 0u64..20, repeat in 0u64..20, jitter in 0u64..2000, seed: u64,
    ) {
        let mut world = World::new(Weather { loss, repeat, jitter }, seed);
        let mut sent = [Vec::new(), Vec::new()];
        for (number, (end, length)) in lengths.into_iter().enumerate() {
            let bytes = pattern(length, number as u8);
            world.send(end, bytes.clone()).unwrap();
            sent[end].push(bytes);
            world.run(Duration::from_micros(700));
        }
        world.run(Duration::from_secs(30));
        for end in [0, 1] {
            prop_assert_eq!(arrivals(&world.events[1 - end]), sent[end].iter().map(|bytes| &bytes[..]).collect::<Vec<_>>());
        }
    }

    #[test]
    fn no_datagram_disturbs(bytes in proptest::collection::vec(any::<u8>(), 0..80), kind in 0u8..3, life: bool) {
        let mut datagram = vec![kind];
        // The lives that the ends know, so that more of the words are believed.
        datagram.extend_from_slice(&[0, 0, 0, if life { 100 } else { 101 }]);
        datagram.extend_from_slice(&bytes);
        let mut world = World::new(Weather::default(), 1);
        world.send(0, pattern(400_000, 1)).unwrap();
        world.run(Duration::from_millis(1));
        let mut out = Outbox::default();
        world.ends[0].handle_datagram(world.now, &datagram, &mut out);
        world.ends[1].handle_datagram(world.now, &datagram, &mut out);
        prop_assert!(out.datagrams.len() <= 2 * WINDOW as usize);
    }
}
