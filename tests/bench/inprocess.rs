//! What the packet path costs inside the process: no I/O, no kernel.
//!
//! `cargo bench --bench inprocess` prints one row per case. Times are the best of several rounds, since this is about
//! the code and not about what else the machine is doing.

#![allow(clippy::print_stdout, reason = "a bench prints its rows")]
#![allow(clippy::disallowed_methods, reason = "a bench reads the clock")]
#![allow(clippy::unwrap_used, reason = "a bench may stop at the first surprise")]

use std::hint::black_box;
use std::net::Ipv4Addr;
use std::time::Instant as Clock;

use etherparse::PacketBuilder;
use koi::config;
use koi::conntrack::{ConntrackConfig, NO_HOP, Pending, Step, Table};
use koi::nat::{self, Outbound, Outside};
use koi::rules::{self, Pass};
use koi::types::{Direction, Instant, InterfaceId, Seed};
use koi::wire::{FlowKey, FlowKey4, FrameBuf, Packet, Parsed, protocol};

const FLOWS: u32 = 1_000_000;
const BATCH: usize = 64;
const SEED: Seed = Seed([1, 2]);
const OUTSIDE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 2);

fn main() {
    let pass = witness();
    let before = resident();
    let mut table = Table::new(ConntrackConfig::new(FLOWS, config::model::Timeouts::default()), SEED, at(0));
    let mut outbound = Outbound::new(SEED);
    let mut segments = Segments::new();

    row("miss", "ns", fill(&mut table, &mut outbound, &mut segments, pass));
    assert_eq!(table.len(), FLOWS as usize);
    let bytes = (resident() - before) as f64 / f64::from(FLOWS);
    row("bytes-per-state", "B", bytes);
    assert!(bytes <= 200.0, "an IPv4 NAT state takes at most 200 bytes, everything included");
    let mut random = SEED.random();
    row("hit-64", "ns", best(100, || hit(&mut table, &mut segments, 2_000, |at| at as u32)));
    row(
        "hit-1m",
        "ns",
        best(10, || hit(&mut table, &mut segments, 2_000, |_| random.below(u64::from(FLOWS)) as u32)),
    );
}

fn row(name: &str, unit: &str, value: f64) {
    println!("{name:<16} {value:>8.1} {unit}");
}

fn best(rounds: usize, mut measure: impl FnMut() -> f64) -> f64 {
    (0..rounds).map(|_| measure()).fold(f64::INFINITY, f64::min)
}

fn at(seconds: u64) -> Instant {
    Instant::from_secs(seconds)
}

/// Resident memory in bytes.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

/// A witness of the lab's ruleset.
fn witness() -> Pass {
    let config = config::load(include_str!("../../configs/lab.toml")).unwrap();
    let ruleset = rules::compile(&config, config.node(None).unwrap());
    let rule = ruleset.rules().find_map(|rule| ruleset.recall(rule.id, Direction::In));
    rule.unwrap()
}

/// The flow of this number, as its first packet comes in.
fn key(number: u32) -> FlowKey {
    FlowKey::V4(FlowKey4 {
        src: Ipv4Addr::from(0x0a00_0000 + number / 50_000),
        dst: Ipv4Addr::from(0xc633_0000 + number % 1000),
        src_port: 1024 + (number % 50_000) as u16,
        dst_port: 443,
        protocol: protocol::TCP,
    })
}

/// The segments of a TCP connection, the same for every flow.
struct Segments {
    syn: Packet,
    answer: Packet,
    data: Vec<Packet>,
}

impl Segments {
    fn new() -> Segments {
        let segment = |flags: u8, seq: u32, ack: u32, payload: &[u8]| {
            let mut bytes = Vec::new();
            let mut builder = PacketBuilder::ethernet2([2; 6], [4; 6])
                .ipv4([192, 0, 2, 1], [198, 51, 100, 2], 64)
                .tcp(1, 2, seq, 65_000);
            if flags & 2 != 0 {
                builder = builder.syn();
            }
            if flags & 16 != 0 {
                builder = builder.ack(ack);
            }
            builder.write(&mut bytes, payload).unwrap();
            match Packet::parse(FrameBuf::copy_of(&bytes)) {
                Ok(Parsed::Ip(packet)) => packet,
                Ok(Parsed::Arp(_)) | Err(_) => panic!("a segment"),
            }
        };
        Segments {
            syn: segment(2, 100, 0, &[]),
            answer: segment(18, 500, 101, &[]),
            data: (0..BATCH).map(|_| segment(16, 101, 501, &[7; 18])).collect(),
        }
    }
}

/// Makes every flow: look-up, port, record, rewriting; then, not timed, the rest of the handshake. Time per new flow.
fn fill(table: &mut Table, outbound: &mut Outbound, segments: &mut Segments, pass: Pass) -> f64 {
    let outside = Outside::new(OUTSIDE.into());
    let mut nanos = 0;
    let mut sent_keys = Vec::with_capacity(BATCH);
    for first in (0..FLOWS).step_by(BATCH) {
        let numbers = first..FLOWS.min(first + BATCH as u32);
        let clock = Clock::now();
        for number in numbers.clone() {
            let original = key(number);
            assert!(table.find(&original).is_none());
            let sent = outbound.translate_out(at(1), table, &original, &outside).unwrap();
            segments.syn.layout.key = original;
            let pending = Pending {
                original,
                reply: sent.inverse(),
                pass_in: pass,
                pass_out: pass,
                ingress: InterfaceId(1),
                egress: InterfaceId(0),
                next_hop: [1, NO_HOP],
                epoch: 1,
                ends_here: false,
            };
            table.insert(at(1), pending, &segments.syn).unwrap();
            nat::rewrite(&mut segments.syn, &sent);
            sent_keys.push(sent);
        }
        nanos += clock.elapsed().as_nanos();
        for (number, sent) in numbers.zip(sent_keys.drain(..)) {
            segments.answer.layout.key = sent.inverse();
            let hit = table.find(&sent.inverse()).unwrap();
            table.advance(at(1), hit, &segments.answer).unwrap();
            segments.data[0].layout.key = key(number);
            let hit = table.find(&key(number)).unwrap();
            table.advance(at(1), hit, &segments.data[0]).unwrap();
        }
    }
    nanos as f64 / f64::from(FLOWS)
}

/// Established packets in batches: find all, touch all, then advance and rewrite each. Time per packet.
fn hit(
    table: &mut Table,
    segments: &mut Segments,
    batches: usize,
    mut choose: impl FnMut(usize) -> u32,
) -> f64 {
    let mut nanos = 0;
    let mut hits = Vec::with_capacity(BATCH);
    for _ in 0..batches {
        for (at, packet) in segments.data.iter_mut().enumerate() {
            packet.layout.key = key(choose(at));
        }
        let clock = Clock::now();
        hits.clear();
        hits.extend(segments.data.iter().map(|packet| table.find(&packet.layout.key)));
        black_box(hits.iter().flatten().map(|hit| table.touch(*hit)).fold(0, u64::wrapping_add));
        for (packet, hit) in segments.data.iter_mut().zip(&hits) {
            let step = table.advance(at(2), hit.unwrap(), packet);
            let Ok(Step::Forward(advance)) = step else { panic!("{step:?}") };
            nat::rewrite(packet, &advance.to);
        }
        nanos += clock.elapsed().as_nanos();
    }
    nanos as f64 / (batches * BATCH) as f64
}
