//! Fragments, in any order, doubled, overlapping, late: what comes out is whole, and was not sewn from pieces that
//! disagree; what waits stays within its bounds.
//!
//! Each fragment's data is filled with its own serial number, so a packet that comes out tells which fragments it was
//! made from. Input: limits, then orders: a fragment to make (0-4), one to send again (5), time that passes (6), a
//! frame as it is (7).
#![no_main]

use std::collections::BTreeMap;

use koi::types::{Duration, Instant};
use koi::wire::reassembly::{Limits, Outbox, Reassembly};
use koi::wire::{Drop, FlowKey, Fragment, FrameBuf, Packet, Pool, fragment};
use koi_fuzz::{Input, Repair, assert_layout, assert_sound, deviation, ip};
use libfuzzer_sys::fuzz_target;

const TIMEOUT: Duration = Duration::from_secs(30);
/// Fragments of the model have data in units of eight bytes, all filled with this and a serial number.
const MARK: u8 = 0xf5;
/// The protocol of the model's datagrams: nothing behind the IP header is looked at.
const MODEL: u8 = 200;

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let limits = Limits {
        datagrams: 1 + usize::from(input.byte() % 16),
        per_source: 1 + usize::from(input.byte() % 8),
        fragments: 2 + usize::from(input.byte() % 63),
        bytes: 2_048 + usize::from(input.word()),
        timeout: TIMEOUT,
    };
    let mut world = World {
        limits,
        engine: Reassembly::new(limits),
        now: Instant::from_secs(1),
        out: Outbox::default(),
        sent: Vec::new(),
        datagrams: BTreeMap::new(),
        strict: limits.datagrams >= 12 && limits.per_source >= 3,
    };
    for _ in 0..256 {
        if input.is_empty() {
            break;
        }
        world.step(&mut input);
    }
});

/// A fragment that was made.
#[derive(Clone)]
struct Made {
    datagram: (bool, u8),
    from: usize,
    to: usize,
    more: bool,
    frame: Vec<u8>,
    /// How often it went in less how often it came out.
    balance: i32,
}

/// What the model knows of a datagram since it last came out, timed out or was evicted.
#[derive(Default)]
struct Known {
    serials: Vec<usize>,
    overlaps: bool,
}

struct World {
    limits: Limits,
    engine: Reassembly,
    now: Instant,
    out: Outbox,
    sent: Vec<Made>,
    datagrams: BTreeMap<(bool, u8), Known>,
    /// Nothing was evicted: the engine forgets a condemned datagram without a word.
    strict: bool,
}

impl World {
    fn step(&mut self, input: &mut Input<'_>) {
        let order = input.byte();
        match order % 8 {
            0..=4 => {
                let made = self.make(order, input);
                self.sent.push(made);
                self.send(self.sent.len() - 1);
            }
            5 if !self.sent.is_empty() => self.send(usize::from(input.byte()) % self.sent.len()),
            5 => {}
            6 => self.wait(Duration::from_millis(input.word().into())),
            _ => {
                let mut frame = input.piece().to_vec();
                Repair::ALL.apply(&mut frame);
                if ip(FrameBuf::copy_of(&frame)).is_some_and(|packet| packet.layout.key.protocol() != MODEL) {
                    self.strict = false;
                    self.feed(&frame);
                }
            }
        }
        self.out.timed_out.clear();
        self.out.spent.clear();
        assert!(self.engine.len() <= self.limits.datagrams);
        assert!(self.engine.bytes() <= self.limits.bytes, "{} bytes", self.engine.bytes());
        assert_eq!(self.engine.is_empty(), self.engine.poll_timeout().is_none());
        if self.engine.is_empty() {
            assert_eq!(self.engine.bytes(), 0);
        }
    }

    /// A well-formed fragment of one of a few datagrams.
    fn make(&self, order: u8, input: &mut Input<'_>) -> Made {
        let (v6, name) = (order & 8 != 0, input.byte() % 6);
        let (place, units) = (input.byte(), 1 + usize::from(input.byte() % 12));
        let more = place & 0x80 != 0;
        let from = usize::from(place & 0x3f) * 8;
        let serial = self.sent.len() as u8;
        let payload = [MARK, serial].repeat(units * 4);
        let header =
            if v6 { header_v6(name, from, more, payload.len()) } else { header_v4(name, from, more) };
        let mut frame = [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2], &header[..], &payload].concat();
        Repair::ALL.apply(&mut frame);
        Made { datagram: (v6, name), from, to: from + payload.len(), more, frame, balance: 0 }
    }

    fn send(&mut self, serial: usize) {
        let made = self.sent[serial].clone();
        if (made.from, made.more) != (0, false) {
            self.sent[serial].balance += 1;
            let sent = &self.sent;
            let known = self.datagrams.entry(made.datagram).or_default();
            known.overlaps |= known.serials.iter().any(|other| {
                let other_made = &sent[*other];
                *other != serial && other_made.from < made.to && made.from < other_made.to
            });
            known.serials.push(serial);
        }
        self.feed(&made.frame);
    }

    fn feed(&mut self, frame: &[u8]) {
        let Some(packet) = ip(FrameBuf::copy_of(frame)) else { return };
        let fragment = packet.layout.fragment != Fragment::Whole;
        self.strict &= self.engine.bytes() + frame.len() + 1_024 < self.limits.bytes;
        self.engine.handle_fragment(self.now, packet, &mut self.out);
        if self.out.dropped.iter().any(|(reason, _)| *reason == Drop::FragmentLimit) {
            // Evicted or condemned: the model no longer knows what the engine has.
            self.datagrams.clear();
        }
        self.out.dropped.clear();
        let whole = std::mem::take(&mut self.out.whole);
        assert!(whole.len() <= 1);
        for packet in whole.into_iter().filter(|_| fragment) {
            self.check(packet);
        }
    }

    fn wait(&mut self, time: Duration) {
        self.now += time * 2;
        let before = self.engine.len();
        self.engine.handle_timeout(self.now, &mut self.out);
        assert!(self.engine.poll_timeout().is_none_or(|(at, _)| at > self.now));
        for packet in &self.out.timed_out {
            assert!(matches!(packet.layout.fragment, Fragment::Part { offset: 0, .. }));
        }
        if self.engine.len() < before {
            self.datagrams.clear();
        }
        self.out.dropped.clear();
    }

    /// A packet that came out.
    fn check(&mut self, packet: Packet) {
        assert_layout(&packet);
        assert_eq!(packet.layout.fragment, Fragment::Whole);
        assert_eq!(deviation(&packet).0, 0, "IPv4 header checksum");
        assert!(packet.layout.reassembled.is_some_and(|largest| largest > 20));
        self.check_pieces(&packet);
        cut_and_joined_again(packet);
    }

    /// Of the model's packets: every fragment whole, at its place, no oftener than it was sent.
    fn check_pieces(&mut self, packet: &Packet) {
        let bytes = packet.transport();
        let Some(datagram) = name_of(packet) else { return };
        let marked = |unit: &[u8]| unit.chunks(2).all(|pair| *pair == [MARK, unit[1]]);
        if !bytes.len().is_multiple_of(8) || !bytes.chunks(8).all(marked) {
            return;
        }
        let mut at = 0;
        while at < bytes.len() {
            let made = self.sent.get_mut(usize::from(bytes[at + 1])).expect("it was sent");
            assert_eq!((made.datagram, made.from), (datagram, at));
            assert!(bytes[at..made.to].chunks(8).all(|unit| unit[1] == bytes[at + 1]), "clipped");
            assert_eq!(made.more, made.to < bytes.len());
            made.balance -= 1;
            assert!(made.balance >= 0, "it came out oftener than it went in");
            at = made.to;
        }
        let known = self.datagrams.remove(&datagram);
        assert!(!self.strict || known.is_none_or(|known| !known.overlaps), "its fragments overlapped");
    }
}

fn header_v4(name: u8, from: usize, more: bool) -> Vec<u8> {
    let field = (from / 8) as u16 | if more { 0x2000 } else { 0 };
    let mut header = vec![8, 0, 0x45, 0, 0, 0, 0x4b, name];
    header.extend_from_slice(&field.to_be_bytes());
    header.extend_from_slice(&[64, MODEL, 0, 0, 192, 0, 2, 1 + name / 3, 198, 51, 100, 2]);
    header
}

fn header_v6(name: u8, from: usize, more: bool, len: usize) -> Vec<u8> {
    let field = from as u16 | u16::from(more);
    let mut header = vec![0x86, 0xdd, 0x60, 0, 0, 0];
    header.extend_from_slice(&(len as u16 + 8).to_be_bytes());
    header.extend_from_slice(&[44, 64]);
    header.extend_from_slice(&[0x20, 1, 0xd, 0xb8, 0, 0, 0, name / 3, 0, 0, 0, 0, 0, 0, 0, 1]);
    header.extend_from_slice(&[0x20, 1, 0xd, 0xb8, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, name]);
    header.extend_from_slice(&[MODEL, 0]);
    header.extend_from_slice(&field.to_be_bytes());
    header.extend_from_slice(&[0, 0, 0x4b, 1]);
    header
}

/// Which of the model's datagrams a packet was: IPv4 tells by the identification, IPv6 by the last address.
fn name_of(packet: &Packet) -> Option<(bool, u8)> {
    let bytes = packet.frame.bytes();
    if packet.layout.key.protocol() != MODEL || packet.layout.options {
        return None;
    }
    match packet.layout.key {
        FlowKey::V4(_) => Some((false, bytes[19])),
        FlowKey::V6(_) => Some((true, bytes[53])),
    }
}

/// Fragments of what came out make the same packet again.
fn cut_and_joined_again(mut packet: Packet) {
    let expected = packet.ip().to_vec();
    let (mut pool, mut pieces) = (Pool::new(0), Vec::new());
    let mtu = expected.len().div_ceil(3).max(68);
    let largest = packet.layout.reassembled;
    let Ok(count) = fragment::split(&mut packet, mtu, 7, &mut pool, &mut pieces) else { return };
    assert_eq!(count, pieces.len());
    if count == 1 || count > 64 {
        return;
    }
    let mut engine = Reassembly::new(Limits::default());
    let mut out = Outbox::default();
    for frame in pieces.into_iter().rev() {
        let piece = ip(frame).expect("a fragment is a packet");
        assert_sound(&piece);
        assert!(piece.ip().len() <= mtu.max(usize::from(largest.unwrap_or(0))));
        engine.handle_fragment(Instant::ZERO, piece, &mut out);
    }
    assert_eq!(out.whole.len(), 1, "{:?}", out.dropped);
    assert_eq!(out.whole[0].ip(), expected);
}
