//! What strangers send to the pair is survived: parsers are total, a channel's session stays as it is, a pairing gives
//! nobody anything who does not know the code.
//!
//! Input: a byte (modulo 3: what). Parsers: the bytes. Channel and pairing: steps, each a byte that says what; raw bytes
//! to one side, a recorded datagram with a bit changed, time that passes.
#![no_main]

use koi::cluster::channel::{Channel, Outbox};
use koi::cluster::entropy::Seeded;
use koi::cluster::pairing::{self, Creator, Joiner};
use koi::cluster::{Code, Identity};
use koi::types::{Duration, Instant, PathId, Seed};
use koi::wire::FrameBuf;
use koi::wire::pair::{Envelope, Heartbeat, Space, payload};
use koi_fuzz::{Input, ip};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    match input.byte() % 3 {
        0 => parse(input.rest()),
        1 => channel(&mut input),
        _ => pair(&mut input),
    }
});

fn parse(bytes: &[u8]) {
    if let Some((envelope, body)) = Envelope::parse(bytes) {
        assert_eq!([&envelope.emit()[..], body].concat(), bytes);
    }
    if let Some(heartbeat) = Heartbeat::decode(bytes) {
        assert_eq!(Heartbeat::decode(&heartbeat.encode()), Some(heartbeat));
    }
    let frame = FrameBuf::copy_of(bytes);
    let taken = payload(&frame).map(|(mac, src, payload)| (mac, src, payload.to_vec()));
    if let Some((_, _, inner)) = taken {
        assert!(inner.len() + 62 <= bytes.len());
        let packet = ip(frame).expect("what the channel takes is a packet to everybody");
        assert!(koi::wire::pair::is_pair_datagram(&packet));
    }
    let _ = std::str::from_utf8(bytes).map(|text| text.parse::<Code>());
}

fn seeded(seed: u64) -> Seeded {
    Seeded::new(Seed([seed, 1]))
}

struct Ends {
    now: Instant,
    ends: [Channel; 2],
    tape: Vec<Vec<u8>>,
}

impl Ends {
    fn new() -> Self {
        let now = Instant::from_secs(1);
        let identities = [1, 2].map(|seed| Identity::generate(&mut seeded(seed)));
        let end = |own: usize| {
            let peer = identities[1 - own].public();
            Channel::new(identities[own].clone(), peer, Box::new(seeded(own as u64 + 3)), now)
        };
        Ends { now, ends: [end(0), end(1)], tape: Vec::new() }
    }

    /// Time passes, and what the ends send arrives at once.
    fn pass(&mut self, time: Duration) {
        self.now += time;
        for from in [0, 1] {
            let mut out = Outbox::default();
            self.ends[from].handle_timeout(self.now, &mut out);
            self.deliver(from, out);
        }
    }

    fn deliver(&mut self, from: usize, mut out: Outbox) {
        let mut place = 1 - from;
        while !out.datagrams.is_empty() {
            let mut next = Outbox::default();
            for (_, bytes) in out.datagrams {
                self.ends[place].handle_datagram(self.now, PathId::SYNC, &bytes, &mut next);
                self.tape.push(bytes);
            }
            (place, out) = (1 - place, next);
        }
    }

    fn assert_talks(&mut self) {
        for from in [0, 1] {
            let bytes = self.ends[from].seal(Space::Control, b"genuine").expect("a session stands");
            let mut out = Outbox::default();
            self.ends[1 - from].handle_datagram(self.now, PathId::SYNC, &bytes, &mut out);
            assert_eq!(out.opened, [(PathId::SYNC, Space::Control, b"genuine".to_vec())]);
            self.tape.push(bytes);
        }
    }
}

fn channel(input: &mut Input<'_>) {
    let mut world = Ends::new();
    world.pass(Duration::ZERO);
    world.pass(Duration::from_millis(50));
    world.assert_talks();
    for _ in 0..32 {
        if input.is_empty() {
            break;
        }
        let what = input.byte() % 4;
        match what {
            0 | 1 => {
                let place = usize::from(input.byte() & 1);
                let bytes = if what == 0 {
                    input.piece().to_vec()
                } else {
                    let number = usize::from(input.byte()) % world.tape.len();
                    changed(&world.tape[number], input.byte(), input.byte())
                };
                let mut out = Outbox::default();
                let path = PathId(input.byte() % 80);
                world.ends[place].handle_datagram(world.now, path, &bytes, &mut out);
                assert!(out.opened.is_empty(), "nothing opens that has come before or was changed");
                world.deliver(place, out);
            }
            2 => {
                let now = world.now;
                world.ends[usize::from(input.byte() & 1)].renew(now);
                world.pass(Duration::from_millis(60));
            }
            _ => world.pass(Duration::from_millis(u64::from(input.byte()) * 20)),
        }
    }
    world.pass(Duration::from_secs(2));
    world.pass(Duration::from_secs(2));
    world.assert_talks();
}

fn changed(bytes: &[u8], at: u8, with: u8) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if let Some(byte) = bytes.get_mut(usize::from(at)) {
        *byte ^= with;
    }
    bytes
}

fn pair(input: &mut Input<'_>) {
    let now = Instant::from_secs(1);
    let codes = [1, 2].map(|seed| Code::generate(&mut seeded(seed)));
    let identities = [3, 4].map(|seed| Identity::generate(&mut seeded(seed)));
    let [own, other] = identities;
    let creator = Creator::new(own, &codes[0], vec![7; 3_000], Box::new(seeded(5)), now);
    let mut creator = creator.expect("short enough");
    let mut joiner =
        Joiner::new(&other, codes[1].clone(), vec![8; 3_000], &mut seeded(6), now).expect("short enough");
    let mut tape = Vec::new();
    let mut out = pairing::Outbox::default();
    joiner.handle_timeout(now, &mut out);
    for _ in 0..32 {
        tape.append(&mut out.datagrams);
        if input.is_empty() || tape.is_empty() {
            break;
        }
        let (what, place) = (input.byte() & 1, input.byte() & 1);
        let bytes = if what == 0 {
            input.piece().to_vec()
        } else {
            let number = usize::from(input.byte()) % tape.len();
            changed(&tape[number], input.byte(), input.byte())
        };
        match place {
            0 => creator.handle_datagram(now, &bytes, &mut out),
            _ => joiner.handle_datagram(now, &bytes, &mut out),
        }
        assert!(!matches!(out.ended, Some(pairing::Ended::Paired { .. })), "the codes differ");
    }
}
