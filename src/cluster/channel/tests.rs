//! Two ends and a link that loses, repeats, delays and reorders, in simulated time; and an attacker who has heard all.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::arrivals::{PENDING, PENDING_MAX};
use super::*;
use crate::cluster::entropy::Seeded;
use crate::types::{Random, Seed};

const PATHS: u8 = 2;
const BEAT: Duration = Duration::from_millis(10);

fn identity(seed: u64) -> Identity {
    Identity::generate(&mut Seeded::new(Seed([seed, 1])))
}

/// The leader's identity, then the follower's.
fn identities() -> [Identity; 2] {
    let mut both = [identity(1), identity(2)];
    both.sort_by_key(Identity::node_id);
    both
}

fn end(place: usize, seed: u64, now: Instant) -> Channel {
    let both = identities();
    let entropy = Box::new(Seeded::new(Seed([seed, place as u64])));
    Channel::new(both[place].clone(), both[1 - place].public(), entropy, now)
}

#[derive(Clone, Copy, Debug)]
struct Link {
    loss: u64,
    repeats: u64,
    delay_millis: u64,
}

const GOOD: Link = Link { loss: 0, repeats: 0, delay_millis: 1 };

struct World {
    now: Instant,
    ends: [Channel; 2],
    link: Link,
    random: Random,
    queue: BTreeMap<(Instant, u64), (usize, PathId, Vec<u8>)>,
    queued: u64,
    next_beat: Option<Instant>,
    beats: u64,
    /// All that was ever sent: to whom, over which path.
    tape: Vec<(usize, PathId, Vec<u8>)>,
    opened: [BTreeSet<Vec<u8>>; 2],
    last_opened: [Instant; 2],
    news: [Vec<SessionNews>; 2],
}

impl World {
    fn new(seed: u64, link: Link) -> Self {
        let now = Instant::from_secs(1);
        World {
            now,
            ends: [end(0, seed, now), end(1, seed, now)],
            link,
            random: Seed([seed, 9]).random(),
            queue: BTreeMap::new(),
            queued: 0,
            next_beat: Some(now),
            beats: 0,
            tape: Vec::new(),
            opened: Default::default(),
            last_opened: [now; 2],
            news: Default::default(),
        }
    }

    fn settled(seed: u64, link: Link) -> Self {
        let mut world = World::new(seed, link);
        world.run(Duration::from_secs(10));
        world.assert_settled();
        world
    }

    fn send(&mut self, from: usize, way: Way, bytes: Vec<u8>) {
        for path in (0..PATHS).map(PathId) {
            if way == Way::All || way == Way::Path(path) {
                self.tape.push((1 - from, path, bytes.clone()));
                let copies = u64::from(self.random.below(100) >= self.link.loss)
                    * (1 + u64::from(self.random.below(100) < self.link.repeats));
                for _ in 0..copies {
                    let delay = 50_000 + self.random.below(self.link.delay_millis * 1_000_000);
                    self.queued += 1;
                    let at = (self.now + Duration::from_nanos(delay), self.queued);
                    self.queue.insert(at, (1 - from, path, bytes.clone()));
                }
            }
        }
    }

    fn take(&mut self, place: usize, out: Outbox) {
        for (way, bytes) in out.datagrams {
            self.send(place, way, bytes);
        }
        for (_, _, plain) in out.opened {
            self.last_opened[place] = self.now;
            assert!(self.opened[place].insert(plain), "opened twice");
        }
        self.news[place].extend(out.session);
    }

    fn deliver(&mut self, place: usize, path: PathId, bytes: &[u8]) {
        let mut out = Outbox::default();
        self.ends[place].handle_datagram(self.now, path, bytes, &mut out);
        self.take(place, out);
    }

    fn beat(&mut self) {
        for place in 0..2 {
            for path in (0..PATHS).map(PathId) {
                self.beats += 1;
                let plain = self.beats.to_be_bytes();
                if let Some(bytes) = self.ends[place].seal(Space::Heartbeat(path), &plain) {
                    self.send(place, Way::Path(path), bytes);
                }
            }
        }
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let arrival = self.queue.first_key_value().map(|((at, _), _)| *at);
            let timers = self.ends.iter().filter_map(|end| end.poll_timeout().map(|(at, _)| at));
            let next = timers.chain(arrival).chain(self.next_beat).min().unwrap_or(end);
            if next >= end {
                break;
            }
            self.now = self.now.max(next);
            for place in 0..2 {
                let mut out = Outbox::default();
                self.ends[place].handle_timeout(self.now, &mut out);
                self.take(place, out);
            }
            while let Some(entry) = self.queue.first_entry().filter(|entry| entry.key().0 <= self.now) {
                let (place, path, bytes) = entry.remove();
                self.deliver(place, path, &bytes);
            }
            if self.next_beat.is_some_and(|at| at <= self.now) {
                self.beat();
                self.next_beat = Some(self.now + BEAT);
            }
        }
        self.now = end;
    }

    fn restart(&mut self, place: usize) {
        let seed = self.random.next();
        self.ends[place] = end(place, seed, self.now);
    }

    fn ids(&self) -> [Option<u32>; 2] {
        [0, 1].map(|place| {
            self.ends[place].current.as_ref().filter(|session| session.sealer.is_some()).map(|s| s.id)
        })
    }

    fn is_settled(&self) -> bool {
        let [a, b] = self.ids();
        a.is_some() && a == b && self.ends.iter().all(|end| end.repeat.is_none() && end.pending.is_empty())
    }

    fn assert_settled(&self) {
        let [a, b] = self.ids();
        assert!(a.is_some() && a == b, "one session: {a:?} {b:?}");
        assert!(self.ends.iter().all(|end| end.repeat.is_none()), "nothing is repeated");
        let fresh = |at: &Instant| self.now.since(*at) < Duration::from_millis(500);
        assert!(self.last_opened.iter().all(fresh), "both are heard: {:?} at {}", self.last_opened, self.now);
    }

    /// No key and nonce have sealed two different messages.
    fn assert_no_nonce_twice(&self) {
        let mut seen = BTreeMap::new();
        for (place, _, bytes) in &self.tape {
            let (envelope, _) = Envelope::parse(bytes).unwrap();
            if envelope.kind == Kind::Sealed {
                let nonce = (*place, envelope.session, envelope.space, envelope.counter);
                assert_eq!(seen.entry(nonce).or_insert(bytes), &bytes, "{nonce:?}");
            }
        }
    }
}

fn links() -> impl Strategy<Value = Link> {
    (0u64..50, 0u64..30, 1u64..60).prop_map(|(loss, repeats, delay_millis)| Link {
        loss,
        repeats,
        delay_millis,
    })
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Restart(usize),
    Renew(usize),
    Wait(u64),
    /// The attacker sends what he has heard, from some place on.
    Replay(u64),
    /// The same, changed.
    Tamper(u64),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        (0usize..2).prop_map(Event::Restart),
        (0usize..2).prop_map(Event::Renew),
        (1u64..3_000).prop_map(Event::Wait),
        any::<u64>().prop_map(Event::Replay),
        any::<u64>().prop_map(Event::Tamper),
    ];
    proptest::collection::vec(event, 0..12)
}

impl World {
    fn suffer(&mut self, event: Event) {
        match event {
            Event::Restart(place) => self.restart(place),
            Event::Renew(place) => self.ends[place].renew(self.now),
            Event::Wait(millis) => self.run(Duration::from_millis(millis)),
            Event::Replay(seed) => self.replay(seed, false),
            Event::Tamper(seed) => self.replay(seed, true),
        }
    }

    fn replay(&mut self, seed: u64, tamper: bool) {
        let mut random = Seed([seed, 3]).random();
        for _ in 0..40.min(self.tape.len()) {
            let (place, path, mut bytes) = self.tape[random.below(self.tape.len() as u64) as usize].clone();
            if tamper {
                let at = random.below(bytes.len() as u64) as usize;
                bytes[at] ^= 1 << random.below(8);
            }
            // Now and then over another path, or back to its sender.
            let path = if random.below(4) == 0 { PathId(1 - path.0) } else { path };
            let place = if random.below(8) == 0 { 1 - place } else { place };
            self.deliver(place, path, &bytes);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn two_ends_come_to_one_session_whatever_happens(seed in any::<u64>(), link in links(), events in events()) {
        let mut world = World::new(seed, link);
        for event in events {
            world.suffer(event);
        }
        let mut waited = 0;
        while !world.is_settled() && waited < 200 {
            world.run(Duration::from_millis(100));
            waited += 1;
        }
        // Prepared sessions that an attacker's replays left behind are forgotten by then.
        world.run(PENDING);
        world.assert_settled();
        world.assert_no_nonce_twice();
    }
}

#[test]
fn a_good_link_has_a_session_at_once() {
    let mut world = World::new(1, GOOD);
    world.run(Duration::from_millis(20));
    assert!(world.is_settled());
    assert_eq!(world.news.each_ref().map(Vec::len), [1, 1]);
    assert_eq!(world.ends[0].counters().sessions, 1);
}

#[test]
fn either_begins_alone() {
    // The first datagrams of one side are lost.
    for mute in 0..2 {
        let mut world = World::new(2, GOOD);
        let mut lost = Outbox::default();
        world.ends[mute].handle_timeout(world.now, &mut lost);
        assert_eq!(lost.datagrams.len(), 1);
        world.run(Duration::from_millis(20));
        assert!(world.is_settled(), "{mute}");
    }
}

#[test]
fn every_single_message_may_be_lost() {
    // The handshake's datagrams, one at a time, with nothing else to heal it.
    for lost in 0..12 {
        let mut world = World::new(3, GOOD);
        world.next_beat = None;
        for count in 0..20 {
            world.run(Duration::from_millis(1));
            if count == lost {
                world.queue.clear();
            }
        }
        world.run(Duration::from_secs(5));
        assert!(world.is_settled(), "after loss at {lost} ms");
    }
}

#[test]
fn a_restarted_end_is_back_within_a_tenth_of_a_second() {
    for (restarted, seed) in [(&[0][..], 4), (&[1], 5), (&[0, 1], 6)] {
        let mut world = World::settled(seed, GOOD);
        let before = world.ids();
        restarted.iter().for_each(|place| world.restart(*place));
        world.run(Duration::from_millis(120));
        world.assert_settled();
        assert_ne!(world.ids(), before);
    }
}

#[test]
fn a_peer_that_comes_after_an_hour_is_found_at_once() {
    for late in 0..2 {
        let mut world = World::new(7, Link { loss: 100, ..GOOD });
        world.next_beat = None;
        world.run(Duration::from_secs(3600));
        assert!(world.tape.len() < 4 * 3700 + 100, "{} datagrams into the void", world.tape.len());
        world.link = GOOD;
        world.next_beat = Some(world.now);
        world.restart(late);
        world.run(Duration::from_millis(20));
        assert!(world.is_settled(), "{late}");
    }
}

#[test]
fn renewing_takes_a_round_trip_and_the_old_session_is_heard_meanwhile() {
    for place in 0..2 {
        let mut world = World::settled(8, GOOD);
        let before = world.ids();
        world.ends[place].renew(world.now);
        assert_eq!(world.ends[place].seal(Space::Control, b"x"), None);
        assert!(!world.ends[place].stands() && world.ends[place].replica_halves().is_none());
        let old = world.ends[1 - place].seal(Space::Control, b"under way").unwrap();
        world.deliver(place, PathId::SYNC, &old);
        assert!(world.opened[place].contains(&b"under way"[..]));
        world.run(Duration::from_millis(20));
        world.assert_settled();
        assert_ne!(world.ids(), before);
        let [.., fell, SessionNews::Stands(_)] = world.news[place][..] else { panic!("{:?}", world.news) };
        assert_eq!(fell, SessionNews::Fell);
    }
}

#[test]
fn an_hour_later_there_is_another_session_and_nothing_was_lost() {
    let mut world = World::settled(10, GOOD);
    world.next_beat = None;
    world.run(REKEY - Duration::from_secs(20));
    let before = world.ids();
    let (beats, opened) = (world.beats, world.opened.each_ref().map(BTreeSet::len));
    world.next_beat = Some(world.now);
    world.run(Duration::from_secs(12));
    world.assert_settled();
    assert_ne!(world.ids(), before);
    world.next_beat = None;
    world.run(Duration::from_millis(5));
    for (place, opened) in opened.into_iter().enumerate() {
        let heard = (world.opened[place].len() - opened) as u64;
        assert_eq!(heard, (world.beats - beats) / 2, "no heartbeat was lost");
    }
}

#[test]
fn the_session_before_opens_for_the_grace_time_and_no_longer() {
    let mut world = World::settled(11, GOOD);
    for place in 0..2 {
        let texts = [[place as u8, b'a'], [place as u8, b'b']];
        let sealed = texts.map(|text| world.ends[1 - place].seal(Space::Control, &text).unwrap());
        world.ends[place].renew(world.now);
        world.run(Duration::from_millis(100));
        world.deliver(place, PathId::SYNC, &sealed[0]);
        assert!(world.opened[place].contains(&texts[0][..]));
        world.run(GRACE);
        let unknown = world.ends[place].counters().unknown_session;
        world.deliver(place, PathId::SYNC, &sealed[1]);
        assert!(!world.opened[place].contains(&texts[1][..]));
        assert_eq!(world.ends[place].counters().unknown_session, unknown + 1);
        world.assert_settled();
    }
}

#[test]
fn every_changed_byte_is_refused_and_counted_and_changes_nothing() {
    let mut world = World::settled(12, GOOD);
    let before = world.ids();
    for place in 0..2 {
        let mut samples: Vec<Vec<u8>> = Vec::new();
        // Handshake messages as they were sent to this end, and one fresh sealed message.
        for step in 0..3 {
            samples.extend(world.tape.iter().find_map(|(to, _, bytes)| {
                let (envelope, _) = Envelope::parse(bytes)?;
                (*to == place && envelope.kind == Kind::Handshake && envelope.space == step)
                    .then(|| bytes.clone())
            }));
        }
        samples.push(world.ends[1 - place].seal(Space::Control, b"genuine").unwrap());
        assert!(samples.len() >= 2);
        for sample in &samples {
            for at in 0..sample.len() {
                for bit in [0x01, 0x80] {
                    let mut bytes = sample.clone();
                    bytes[at] ^= bit;
                    let now = world.now + Duration::from_millis(1);
                    world.now = now;
                    let sum = |end: &Channel| {
                        let c = end.counters();
                        c.malformed
                            + c.forged
                            + c.misplaced
                            + c.elsewhere
                            + c.unknown_session
                            + c.handshakes_forged
                            + c.replayed
                    };
                    let (counted, opened) = (sum(&world.ends[place]), world.opened[place].len());
                    world.ends[place].heard = Some(now);
                    let mut out = Outbox::default();
                    world.ends[place].handle_datagram(now, PathId::SYNC, &bytes, &mut out);
                    assert!(out.datagrams.is_empty() && out.opened.is_empty() && out.session.is_none());
                    assert_eq!(sum(&world.ends[place]), counted + 1, "byte {at}");
                    assert_eq!(world.opened[place].len(), opened);
                }
            }
            for len in 0..sample.len() {
                let mut out = Outbox::default();
                world.ends[place].handle_datagram(world.now, PathId::SYNC, &sample[..len], &mut out);
                assert!(out.datagrams.is_empty() && out.opened.is_empty());
            }
        }
        world.deliver(place, PathId::SYNC, &samples[samples.len() - 1].clone());
        assert!(world.opened[place].contains(&b"genuine"[..]));
    }
    world.run(Duration::from_secs(1));
    world.assert_settled();
    assert_eq!(world.ids(), before, "the session is the same");
}

#[test]
fn recorded_initiations_and_calls_leave_the_session_alone() {
    let mut world = World::settled(13, GOOD);
    // Many handshakes are recorded, in the life of processes that are gone.
    for _ in 0..10 {
        world.restart(0);
        world.run(Duration::from_millis(300));
        world.restart(1);
        world.run(Duration::from_millis(300));
    }
    let tape = world.tape.clone();
    let handshakes: Vec<_> = tape
        .into_iter()
        .filter(|(_, _, bytes)| Envelope::parse(bytes).unwrap().0.kind == Kind::Handshake)
        .collect();
    assert!(handshakes.len() > 40);
    let (before, answered) = (world.ids(), world.ends[1].counters().handshakes_answered);
    for _ in 0..20 {
        for (place, path, bytes) in &handshakes {
            world.deliver(*place, *path, bytes);
            world.deliver(1 - *place, *path, bytes);
        }
        world.run(Duration::from_millis(30));
    }
    assert_eq!(world.ids(), before);
    world.assert_settled();
    let answered = world.ends[1].counters().handshakes_answered - answered;
    assert!(answered <= 2 * HANDSHAKES + 20, "{answered} multiplications for replays");
    assert!(world.ends[1].pending.len() <= PENDING_MAX);
    // And a genuine one still gets through.
    world.ends[0].renew(world.now);
    world.run(Duration::from_secs(3));
    world.assert_settled();
    assert_ne!(world.ids(), before);
}

#[test]
fn a_stranger_s_flood_costs_its_own_path_only() {
    let mut world = World::settled(14, GOOD);
    let before = world.ids();
    let sessionless = Envelope { kind: Kind::Sealed, space: 1, session: 99, counter: 7 }.emit();
    let handshake = Envelope { kind: Kind::Handshake, space: 1, session: 99, counter: 7 }.emit();
    for _ in 0..100 {
        for _ in 0..100 {
            world.deliver(1, PathId(1), &[&sessionless[..], &[0; 24]].concat());
            world.deliver(0, PathId(1), &[&handshake[..], &[0; 80]].concat());
        }
        world.run(Duration::from_millis(10));
    }
    world.assert_settled();
    assert_eq!(world.ids(), before);
    for end in &world.ends {
        assert!(end.counters().over_budget > 7_000, "{:?}", end.counters());
        assert_eq!(end.counters().handshakes_over_budget, 0);
    }
}

#[test]
fn a_heartbeat_counts_on_its_own_path_alone_and_once() {
    let mut world = World::settled(15, GOOD);
    let replayed = world.ends[1].counters().replayed;
    let bytes = world.ends[0].seal(Space::Heartbeat(PathId(1)), b"beat").unwrap();
    world.deliver(1, PathId(0), &bytes);
    assert_eq!(world.ends[1].counters().misplaced, 1);
    world.deliver(1, PathId(1), &bytes);
    assert!(world.opened[1].contains(&b"beat"[..]));
    world.deliver(1, PathId(1), &bytes);
    assert_eq!(world.ends[1].counters().replayed, replayed + 1);
}

#[test]
fn replica_halves_are_handed_out_once_and_speak_with_each_other() {
    let mut world = World::settled(16, GOOD);
    assert_eq!(world.ends[0].seal(Space::Replica, b"x"), None);
    let (mut sealer, _) = world.ends[0].replica_halves().unwrap();
    let (_, mut opener) = world.ends[1].replica_halves().unwrap();
    assert!(world.ends[0].replica_halves().is_none());
    assert_eq!(sealer.seal(Space::Control, b"x"), None);
    let one = sealer.seal(Space::Replica, b"one").unwrap();
    let two = sealer.seal(Space::Replica, b"two").unwrap();
    assert_eq!(opener.open(&two), Ok((Space::Replica, b"two".to_vec())));
    assert_eq!(opener.open(&one), Ok((Space::Replica, b"one".to_vec())));
    assert_eq!(opener.open(&one), Err(Refusal::Replayed));
    let control = world.ends[0].seal(Space::Control, b"x").unwrap();
    assert_eq!(opener.open(&control), Err(Refusal::Malformed));
    let mut changed = sealer.seal(Space::Replica, b"three").unwrap();
    changed[20] ^= 1;
    assert_eq!(opener.open(&changed), Err(Refusal::Forged));
    changed[20] ^= 1;
    assert!(opener.open(&changed).is_ok(), "a forgery does not use up the genuine one's counter");
    world.deliver(1, PathId::SYNC, &one);
    assert_eq!(world.ends[1].counters().elsewhere, 1);
}

/// A virtual machine is put back to an earlier state, with everything that this node had in memory, at every moment of
/// a handshake; the peer's messages to it come again. What it seals from then on must not repeat a nonce.
#[test]
fn a_reverted_snapshot_seals_nothing_twice() {
    for place in 0..2 {
        for millis in 0..12 {
            let original = |seed| {
                let mut world = World::new(seed, GOOD);
                world.run(Duration::from_millis(millis));
                world
            };
            // The same seed gives the same world, so this is the snapshot.
            let (mut first, mut second) = (original(17), original(17));
            first.run(Duration::from_millis(50));
            second.ends[place].entropy = Box::new(Seeded::new(Seed([millis, 77])));
            second.ends[place].renew(second.now);
            second.queue.clear();
            second.beats = 1_000_000;
            let replayed = first.tape.iter().filter(|(to, ..)| *to == place).cloned().collect::<Vec<_>>();
            for (to, path, bytes) in replayed {
                second.deliver(to, path, &bytes);
            }
            second.run(Duration::from_millis(200));
            second.assert_settled();
            let mut both = first;
            both.tape.retain(|(to, ..)| *to != place);
            both.tape.extend(second.tape.into_iter().filter(|(to, ..)| *to != place));
            both.assert_no_nonce_twice();
        }
    }
}

#[test]
fn a_stranger_s_key_never_comes_to_a_session() {
    let mut world = World::new(18, GOOD);
    let entropy = Box::new(Seeded::new(Seed([5, 5])));
    world.ends[1] = Channel::new(identity(3), identities()[0].public(), entropy, world.now);
    world.run(Duration::from_secs(5));
    assert_eq!(world.ends[0].current.as_ref().map(|session| session.id), None);
    assert!(world.ends[0].counters().handshakes_forged > 0 || world.ends[1].counters().handshakes_forged > 0);
}

fn renewed() -> [Identity; 2] {
    [identity(31), identity(32)]
}

/// The old keys and the new ones of an end and its peer.
fn both_keys(place: usize) -> [(Identity, PublicKey); 2] {
    let (old, new) = (identities(), renewed());
    [(old[place].clone(), old[1 - place].public()), (new[place].clone(), new[1 - place].public())]
}

impl World {
    fn accept_both(&mut self, place: usize) {
        let [old, new] = both_keys(place);
        self.ends[place].adopt(self.now, old, Some(new));
    }

    fn use_new(&mut self, place: usize) {
        let [old, new] = both_keys(place);
        self.ends[place].adopt(self.now, new, Some(old));
    }

    fn forget_old(&mut self, place: usize) {
        let [_, new] = both_keys(place);
        self.ends[place].adopt(self.now, new, None);
    }

    /// Runs for so long and sees to it that neither end is without a word of the other for longer than that.
    fn run_heard(&mut self, time: Duration, longest: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.run(BEAT);
            for place in 0..2 {
                let silent = self.now.since(self.last_opened[place]);
                assert!(silent <= longest, "end {place} has heard nothing for {silent:?}");
                assert!(self.ends[place].stands(), "end {place} can seal nothing");
            }
        }
    }
}

#[test]
fn keys_are_renewed_step_by_step_without_a_silence() {
    for first in 0..2 {
        for seed in 0..8 {
            let mut world = World::settled(seed, GOOD);
            let (second, longest) = (1 - first, BEAT * 3);
            type Change = fn(&mut World, usize);
            let steps: [(Change, usize); 6] = [
                (World::accept_both, first),
                (World::accept_both, second),
                (World::use_new, first),
                (World::use_new, second),
                (World::forget_old, first),
                (World::forget_old, second),
            ];
            for (change, place) in steps {
                change(&mut world, place);
                world.run_heard(Duration::from_secs(12), longest);
            }
            assert!(world.ends.iter().all(Channel::is_current), "the new keys are in use");
            world.assert_settled();
            world.assert_no_nonce_twice();
        }
    }
}

#[test]
fn both_change_at_once_and_nobody_is_silent() {
    for seed in 0..32 {
        let mut world = World::settled(seed, GOOD);
        (0..2).for_each(|place| world.accept_both(place));
        world.run_heard(Duration::from_millis(20 * seed), BEAT * 3);
        (0..2).for_each(|place| world.use_new(place));
        world.run_heard(Duration::from_secs(15), BEAT * 3);
        assert!(world.ends.iter().all(Channel::is_current));
        world.assert_settled();
    }
}

#[test]
fn a_crash_after_each_step_of_a_renewal_leaves_two_ends_that_find_each_other() {
    // How far each end is: 0 old keys alone, 1 both with the old ones first, 2 both with the new ones first, 3 new alone.
    for (far, near) in [(1, 0), (1, 1), (2, 1), (2, 2), (3, 2), (3, 3)] {
        for first in 0..2 {
            for crashed in 0..3 {
                let mut world = World::settled(7, GOOD);
                for (place, stage) in [(first, far), (1 - first, near)] {
                    match stage {
                        0 => {}
                        1 => world.accept_both(place),
                        2 => world.use_new(place),
                        _ => world.forget_old(place),
                    }
                }
                for place in (0..2).filter(|place| crashed == 2 || *place == crashed) {
                    let stage = if place == first { far } else { near };
                    let [old, new] = both_keys(place);
                    let (main, also) = match stage {
                        0 => (old, None),
                        1 => (old, Some(new)),
                        2 => (new, Some(old)),
                        _ => (new, None),
                    };
                    let entropy = Box::new(Seeded::new(Seed([99, place as u64])));
                    world.ends[place] = Channel::new(main.0.clone(), main.1, entropy, world.now);
                    world.ends[place].adopt(world.now, main, also);
                }
                world.run(Duration::from_secs(12));
                assert!(world.is_settled(), "{far} {near} first {first} crashed {crashed}");
            }
        }
    }
}
