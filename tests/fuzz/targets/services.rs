//! Whatever name servers and time servers answer: names stand for a bounded number of addresses, the clock is set only by
//! who was asked, nobody is asked without end, and a list of addresses takes what makes sense and nothing else.
//!
//! Input: orders of one byte: 0 a list, 1 an answer to the oldest question with its number put right, 2 the same from
//! somewhere else, 3 bytes from nowhere, 4 time passes.
#![no_main]

use std::collections::VecDeque;
use std::net::SocketAddr;

use koi::config::{List, parse};
use koi::services::{Departing, Outbox, Services};
use koi::types::{Duration, Instant, Seed, WallTime};
use koi_fuzz::Input;
use libfuzzer_sys::fuzz_target;

const DOCUMENT: &str = r#"
schema = 1
revision = 1
[system]
dns_servers = ["192.0.2.53", "2001:db8::53"]
time_servers = ["time.example.org", "192.0.2.123"]
[system.logging]
servers = ["log.example.org"]
[[node]]
name = "a"
[[node.port]]
name = "p"
[[alias]]
name = "far"
type = "host"
entries = ["a.example"]
"#;

struct World {
    services: Services,
    now: Instant,
    wall: WallTime,
    waiting: VecDeque<Departing>,
    asked: usize,
}

fuzz_target!(|data: &[u8]| {
    let Ok(config) = parse(DOCUMENT) else { panic!() };
    let (now, wall) = (Instant::from_secs(1), WallTime::from_secs(1_760_000_000));
    let services = Services::new(&config, Seed([1, 2]), now, wall);
    let mut world = World { services, now, wall, waiting: VecDeque::new(), asked: 0 };
    let mut input = Input::new(data);
    world.run();
    for _ in 0..128 {
        if input.is_empty() {
            break;
        }
        world.step(&mut input);
    }
});

impl World {
    fn step(&mut self, input: &mut Input<'_>) {
        match input.byte() % 5 {
            0 => {
                let text = String::from_utf8_lossy(input.piece()).into_owned();
                let list = List::read(&text);
                assert!(list.ranges.len() + list.bad <= text.lines().count());
            }
            1 => self.answer(input.piece(), false),
            2 => self.answer(input.piece(), true),
            3 => {
                let before = self.services.clock().ahead();
                let from = SocketAddr::from(([192, 0, 2, input.byte()], input.word()));
                self.hear(input.word(), from, input.piece());
                assert_eq!(self.services.clock().ahead(), before, "nobody knows the number of a question");
            }
            _ => {
                let time = Duration::from_millis(u64::from(input.word()));
                self.now += time;
                self.wall = self.wall.shifted(time.as_nanos() as i64 + i64::from(input.byte() as i8) * 1_000_000);
                self.run();
            }
        }
        let names = self.services.names();
        assert!(names.len() <= 1 && names.values().all(|addresses| addresses.len() <= 256));
    }

    /// Number and question of a name's, number of the clock's, in front of what the input says.
    fn answer(&mut self, bytes: &[u8], elsewhere: bool) {
        let Some(question) = self.waiting.pop_front() else { return };
        let mut message = bytes.to_vec();
        match question.remote.port() {
            123 if message.len() >= 48 => message[24..32].copy_from_slice(&question.payload[40..48]),
            53 if message.len() >= 12 => {
                message[..2].copy_from_slice(&question.payload[..2]);
                message[4..6].copy_from_slice(&[0, 1]);
                let asked = &question.payload[12..question.payload.len() - 11];
                message.splice(12..12, asked.iter().copied());
            }
            _ => {}
        }
        let port = question.port ^ u16::from(elsewhere);
        self.hear(port, question.remote, &message);
    }

    fn hear(&mut self, port: u16, from: SocketAddr, message: &[u8]) {
        let mut out = Outbox::default();
        self.services.handle_datagram(self.now, self.wall, port, from, message, &mut out);
        assert!(out.datagrams.is_empty());
        self.run();
    }

    fn run(&mut self) {
        let mut out = Outbox::default();
        for _ in 0..16 {
            match self.services.poll_timeout() {
                Some((at, _)) if at <= self.now => {
                    self.services.handle_timeout(self.now, self.wall, &mut out);
                }
                Some(_) | None => break,
            }
        }
        assert!(self.services.poll_timeout().is_none_or(|(at, _)| at > self.now), "it never spins");
        self.asked += out.datagrams.len();
        self.waiting.extend(out.datagrams);
    }
}
