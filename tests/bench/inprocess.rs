//! The packet path without input and output: nanoseconds per packet, bytes per state.
//!
//! Prints one JSON object a line: `{"name","unit","koi","lost"}`. A packet here is everything between two TAPs:
//! parse, look-up, TCP or UDP tracking, translation, next hop, coalescing off; policy and NAT on.
//! `--quick` measures for a shorter time.

#![allow(clippy::print_stdout, reason = "its output is its purpose")]

use std::net::Ipv4Addr;
use std::sync::Arc;

use koi::config;
use koi::io::clock;
use koi::node::{Compiled, Offload, Outbox, Shard};
use koi::types::{Instant, PortId, Random, Seed};
use koi::wire::{FrameBuf, checksum};

const WAN: PortId = PortId(0);
const LAN: PortId = PortId(1);
const BATCH: usize = 64;

fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let rounds = if quick { 3 } else { 9 };
    let packets = if quick { 200_000 } else { 2_000_000 };
    let before = resident();
    let mut bench = Bench::new();
    bench.fill(64);
    row("hit-64", "ns", median(rounds, || bench.hits(64, packets)), bench.lost);
    bench.fill(1_000_000);
    let per_state = (resident() - before) as f64 / 1_000_000.0;
    row("bytes-per-state", "bytes", per_state, bench.lost);
    row("hit-1m", "ns", median(rounds, || bench.hits(1_000_000, packets)), bench.lost);
    drop(bench);
    row("miss", "ns", median(rounds, || Bench::new().misses(200_000)), 0);
}

fn row(name: &str, unit: &str, value: f64, lost: u64) {
    println!(r#"{{"name":"{name}","unit":"{unit}","koi":{value:.1},"lost":{lost}}}"#);
}

fn median(rounds: usize, mut measure: impl FnMut() -> f64) -> f64 {
    let mut figures: Vec<f64> = (0..rounds).map(|_| measure()).collect();
    figures.sort_by(f64::total_cmp);
    figures[rounds / 2]
}

/// Resident bytes of this process.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux has /proc");
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).expect("a number of pages") * 4096
}

struct Bench {
    shard: Shard,
    out: Outbox,
    frames: Vec<FrameBuf>,
    random: Random,
    /// Simulated: a real clock per batch belongs to the edge.
    now: Instant,
    router_mac: [u8; 6],
    filled: u32,
    lost: u64,
}

impl Bench {
    fn new() -> Self {
        let document = include_str!("inprocess.toml");
        let valid = config::load(document).unwrap_or_else(|problems| panic!("{problems:?}"));
        let node = valid.node(None).expect("one node");
        let offloads = vec![Offload::ALL; 2];
        let compiled = Arc::new(Compiled::new(Arc::new(valid), node, 1, offloads));
        let router_mac = compiled.links[1].mac.0;
        let now = Instant::from_secs(10);
        let mut out = Outbox::new(2);
        let mut shard = Shard::new(compiled, Seed([3, 4]), now);
        for port in [WAN, LAN] {
            shard.handle_link(now, port, true, &mut out);
        }
        let frames = Vec::with_capacity(BATCH);
        let random = Seed([9, 9]).random();
        let mut bench = Bench { shard, out, frames, random, now, router_mac, filled: 0, lost: 0 };
        bench.resolve_gateway();
        bench
    }

    /// The gateway answers the ARP request that the first packet causes.
    fn resolve_gateway(&mut self) {
        self.push(0);
        self.run();
        let mut answer = vec![0xff; 6];
        answer.extend_from_slice(&[2, 0, 0, 0, 0, 1, 8, 6, 0, 1, 8, 0, 6, 4, 0, 2]);
        answer.extend_from_slice(&[2, 0, 0, 0, 0, 1, 198, 18, 0, 1]);
        answer.extend_from_slice(&[0; 6]);
        answer.extend_from_slice(&[198, 18, 0, 2]);
        self.shard.handle_frames(self.now, WAN, &mut vec![FrameBuf::copy_of(&answer)], &mut self.out);
        self.drain();
    }

    /// A 60-byte UDP frame of flow `flow` from the LAN.
    fn push(&mut self, flow: u32) {
        let mut frame = self.out.pool.take();
        let mut bytes = [0u8; 60];
        bytes[..6].copy_from_slice(&self.router_mac);
        bytes[6..14].copy_from_slice(&[2, 0, 0, 0, 0, 2, 8, 0]);
        let source = Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 0, 1, 0)) + (flow >> 12));
        bytes[14..24].copy_from_slice(&[0x45, 0, 0, 46, 0, 0, 0x40, 0, 64, 17]);
        bytes[26..30].copy_from_slice(&source.octets());
        bytes[30..34].copy_from_slice(&[203, 0, 113, (flow % 199) as u8 + 1]);
        let header = !checksum::sum(&bytes[14..34]);
        bytes[24..26].copy_from_slice(&header.to_be_bytes());
        bytes[34..36].copy_from_slice(&(1024 + (flow & 0xfff) as u16).to_be_bytes());
        bytes[36..40].copy_from_slice(&[0, 53, 0, 26]);
        frame.set(&bytes);
        self.frames.push(frame);
    }

    fn run(&mut self) {
        self.shard.handle_frames(self.now, LAN, &mut self.frames, &mut self.out);
        self.drain();
    }

    fn drain(&mut self) -> usize {
        let mut count = 0;
        for port in [WAN, LAN] {
            let (frames, pool) = self.out.frames(port);
            count += frames.len();
            frames.drain(..).for_each(|frame| pool.give(frame));
        }
        count
    }

    /// Opens flows until there are `flows`.
    fn fill(&mut self, flows: u32) {
        while self.filled < flows {
            for flow in self.filled..flows.min(self.filled + BATCH as u32) {
                self.push(flow);
            }
            self.filled = flows.min(self.filled + BATCH as u32);
            self.run();
        }
        assert!(self.shard.states() >= flows as usize, "{} states of {flows}", self.shard.states());
    }

    /// Nanoseconds per packet of random known flows.
    fn hits(&mut self, flows: u32, packets: usize) -> f64 {
        let mut spent = 0;
        let mut forwarded = 0;
        for _ in 0..packets / BATCH {
            for _ in 0..BATCH {
                let flow = self.random.below(u64::from(flows)) as u32;
                self.push(flow);
            }
            let begin = clock::now();
            self.shard.handle_frames(self.now, LAN, &mut self.frames, &mut self.out);
            spent += clock::now().since(begin).as_nanos();
            forwarded += self.drain();
        }
        let offered = packets / BATCH * BATCH;
        self.lost += (offered - forwarded) as u64;
        spent as f64 / offered as f64
    }

    /// Nanoseconds per first packet of a new flow.
    fn misses(&mut self, flows: u32) -> f64 {
        let mut spent = 0;
        for first in (0..flows).step_by(BATCH) {
            (first..first + BATCH as u32).for_each(|flow| self.push(flow));
            let begin = clock::now();
            self.shard.handle_frames(self.now, LAN, &mut self.frames, &mut self.out);
            spent += clock::now().since(begin).as_nanos();
            self.drain();
        }
        spent as f64 / f64::from(flows)
    }
}
