use std::collections::BTreeSet;

use super::testing::{TcpText, Text, first, key, packet, pending, table};
use super::*;
use crate::rules::Pass;
use crate::types::{Instant, InterfaceId, RuleId};
use crate::wire::pair::flow::{self, Change, Walked};
use crate::wire::{Drop, FlowKey, Packet, protocol, tcp_flags::*};
use proptest::prelude::*;

const BUDGET: usize = 700;

pub(super) fn at(seconds: u64) -> Instant {
    Instant::from_secs(seconds)
}

/// Two tables, and what is under way from the one to the other.
pub(super) struct Pair {
    pub active: Table,
    pub standby: Table,
    pub now: u64,
    /// Ranges that the standby has found to differ, and flows that it does not have.
    pub differing: BTreeSet<u32>,
    pub unknown: Vec<u32>,
    /// Rounds since the stream began; the last one found flows that the active does not have.
    pub rounds: u32,
    pub strays: bool,
    pub walked: Walked,
    pub bytes: usize,
    /// Something was done to the standby's table, or it was told by names.
    pub may_differ: bool,
}

pub(super) fn flow_key(number: usize) -> FlowKey {
    let kind = [protocol::TCP, protocol::UDP, protocol::ICMP, 47][number % 4];
    let (port, service) = match kind {
        protocol::TCP | protocol::UDP => (4000 + number as u16, 443),
        protocol::ICMP => (number as u16, 8),
        _ => (0, 0),
    };
    if number % 8 > 3 && kind != protocol::ICMP {
        return key(kind, &format!("2001:db8::{number:x}"), port, "2001:db8:1::7", service);
    }
    key(kind, &format!("10.0.{}.1", number), port, "198.51.100.7", service)
}

pub(super) fn reply_key(number: usize) -> FlowKey {
    let original = flow_key(number);
    if number % 8 > 3 && original.protocol() != protocol::ICMP || number % 4 == 3 {
        return original.inverse();
    }
    let outside = "203.0.113.2".parse().unwrap();
    FlowKey::new(original.protocol(), original.dst(), original.dst_port(), outside, 50_000 + number as u16)
        .unwrap()
}

fn segment(key: &FlowKey, flags: u8, seq: u32, ack: u32) -> Packet {
    packet(key, &Text::Tcp(TcpText { flags, seq, ack, window: 9000, scale: None }), b"")
}

/// The step-th packet of a flow.
fn step(number: usize, step: usize) -> Packet {
    let (original, reply) = (flow_key(number), reply_key(number));
    match original.protocol() {
        protocol::TCP => match step % 7 {
            0 => segment(&original, SYN, 1000, 0),
            1 => segment(&reply, SYN | ACK, 5000, 1001),
            2 => segment(&original, ACK, 1001, 5001),
            3 => segment(&original, ACK | FIN, 1001, 5001),
            4 => segment(&reply, ACK, 5001, 1002),
            5 => segment(&reply, ACK | FIN, 5001, 1002),
            _ => segment(&original, ACK, 1002, 5002),
        },
        protocol::UDP => packet(if step.is_multiple_of(2) { &original } else { &reply }, &Text::Udp, b"?"),
        protocol::ICMP if step.is_multiple_of(2) => first(&original),
        protocol::ICMP => packet(&reply, &Text::Query { request: false }, b""),
        _ => packet(if step.is_multiple_of(2) { &original } else { &reply }, &Text::Other, b"?"),
    }
}

fn resolve(rule: RuleId, _: crate::types::Direction) -> Option<Pass> {
    (rule != RuleId(66)).then(|| Pass::forged(rule))
}

fn import(table: &mut Table, now: u64, chunk: &[u8]) -> Vec<Result<Taken, Refused>> {
    flow::decode(chunk).map(|change| table.import(at(now), 9, &change.unwrap(), &resolve)).collect()
}

pub(super) fn rows(table: &Table) -> BTreeSet<String> {
    let (rows, _) = table.list(at(0), &Filter::default(), None, 100_000);
    let shown = rows.iter().filter(|row| row.egress != InterfaceId::SELF);
    shown
        .map(|row| {
            format!(
                "{} {} {} {:?} {:?}",
                row.original,
                row.reply,
                row.state,
                row.rules,
                [row.ingress, row.egress]
            )
        })
        .collect()
}

pub(super) fn settle(table: &mut Table, now: u64) {
    while table.poll_timeout().is_some_and(|(when, _)| when <= at(now)) {
        table.handle_timeout(at(now));
    }
}

impl Pair {
    pub(super) fn new(limit: usize) -> Pair {
        let mut pair = Pair {
            active: table(1000),
            standby: table(1000),
            now: 100,
            differing: BTreeSet::new(),
            unknown: Vec::new(),
            rounds: 0,
            strays: false,
            walked: Walked::default(),
            bytes: 0,
            may_differ: false,
        };
        // The router's own flow, so that slots differ.
        let own = key(protocol::UDP, "203.0.113.3", 123, "198.51.100.1", 123);
        let mine = Pending { egress: InterfaceId::SELF, ends_here: true, ..pending(own, own.inverse()) };
        pair.standby.insert(at(100), mine, &first(&own)).unwrap();
        pair.begin(limit);
        pair
    }

    /// A stream begins.
    pub(super) fn begin(&mut self, limit: usize) {
        self.begin_as(limit, false);
    }

    pub(super) fn begin_as(&mut self, limit: usize, by_name: bool) {
        self.differing.clear();
        self.unknown.clear();
        (self.rounds, self.strays, self.bytes) = (0, false, 0);
        self.may_differ = by_name;
        self.active.set_passive(at(self.now), false);
        self.active.keep_changes_in(at(self.now), limit, by_name);
        self.standby.keep_changes(at(self.now), false);
        self.standby.set_passive(at(self.now), true);
        self.standby.forget_peer();
    }

    pub(super) fn packet(&mut self, number: usize, nth: usize) {
        let packet = step(number, nth);
        let now = at(self.now);
        if let Some(hit) = self.active.find(&packet.layout.key) {
            match self.active.advance(now, hit, &packet) {
                Ok(Step::Forward(_) | Step::Challenge(_) | Step::Handshake(_)) | Err(_) => return,
                Ok(Step::Begin) => {}
            }
        }
        if packet.layout.key == flow_key(number) {
            let ingress = Pending {
                ingress: InterfaceId(number as u8 % 3),
                ..pending(flow_key(number), reply_key(number))
            };
            let _ = self.active.insert(now, ingress, &packet);
        }
    }

    pub(super) fn take(&mut self) {
        let mut chunk = Vec::new();
        if self.active.take_changes(at(self.now), BUDGET, &mut chunk) {
            assert!(chunk.len() <= BUDGET);
            self.bytes += chunk.len();
            for result in import(&mut self.standby, self.now, &chunk) {
                match result.unwrap() {
                    Taken::Applied => {}
                    Taken::Compared { first, equal: true } => drop(self.differing.remove(&first)),
                    Taken::Compared { first, equal: false } => {
                        assert!(self.may_differ, "a difference where there is none");
                        self.differing.insert(first);
                    }
                    Taken::Round { strays } => (self.rounds, self.strays) = (self.rounds + 1, strays),
                    Taken::Unknown(slot) => self.unknown.push(slot),
                    Taken::Walked(walked) => self.walked = walked,
                }
            }
        }
    }

    /// The standby asks for what it does not have the same.
    pub(super) fn ask(&mut self) {
        self.differing.iter().for_each(|first| self.active.tell_range(*first));
        self.unknown.drain(..).for_each(|slot| self.active.tell_flow(slot));
    }

    /// Both tables are the same, as far as the standby knows.
    pub(super) fn is_proven(&self) -> bool {
        self.rounds > 0 && !self.strays && self.differing.is_empty()
    }

    pub(super) fn drain(&mut self) {
        for _ in 0..10_000 {
            if !self.active.has_changes() {
                break;
            }
            self.take();
        }
        assert!(!self.active.has_changes(), "what there is to tell comes to an end");
        settle(&mut self.standby, self.now);
        assert!(self.is_proven(), "{:?} differ, {} rounds, {}", self.differing, self.rounds, self.strays);
        assert_eq!(rows(&self.active), rows(&self.standby));
        for table in [&self.active, &self.standby] {
            assert_eq!(table.keys(), 2 * table.len());
            let embryonic = table.list(at(0), &Filter::default(), None, 100_000).0.len();
            assert_eq!(embryonic, table.len());
        }
    }

    pub(super) fn swap(&mut self, limit: usize) {
        std::mem::swap(&mut self.active, &mut self.standby);
        self.begin(limit);
    }

    /// The same, and the new active knows the flows of the old one by its slots.
    pub(super) fn swap_by_name(&mut self, limit: usize) {
        std::mem::swap(&mut self.active, &mut self.standby);
        self.begin_as(limit, true);
    }

    /// Tells until nothing is left, asking for what is missing after every chunk.
    pub(super) fn drain_and_heal(&mut self) {
        for _ in 0..10_000 {
            if !self.active.has_changes() && self.is_proven() {
                break;
            }
            if !self.active.has_changes() {
                self.now += 1;
            }
            self.take();
            settle(&mut self.standby, self.now);
            self.ask();
        }
        self.drain();
    }
}

#[derive(Clone, Debug)]
enum Event {
    Packet { number: usize, nth: usize },
    Kill { number: usize },
    Wait { seconds: u64 },
    Take,
    Drain,
    Swap,
    SwapByName,
    Restart,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        20 => (0usize..40, 0usize..7).prop_map(|(number, nth)| Event::Packet { number, nth }),
        3 => (0usize..40).prop_map(|number| Event::Kill { number }),
        2 => (1u64..60).prop_map(|seconds| Event::Wait { seconds }),
        4 => Just(Event::Take),
        1 => Just(Event::Drain),
        1 => Just(Event::Swap),
        1 => Just(Event::SwapByName),
        1 => Just(Event::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    /// Whatever happens, and however little finds a place in the lines: once all is told, both tables are the same.
    #[test]
    fn the_standby_has_what_the_active_has(events in prop::collection::vec(event(), 1..150), limit in 0usize..12) {
        let mut pair = Pair::new(limit);
        for event in events {
            match event {
                Event::Packet { number, nth } => pair.packet(number, nth),
                Event::Kill { number } => {
                    let original = flow_key(number);
                    let filter = Filter { source: Some(original.src().into()), ..Filter::default() };
                    pair.active.kill(&filter, None, 100_000);
                }
                Event::Wait { seconds } => {
                    pair.now += seconds;
                    settle(&mut pair.active, pair.now);
                    settle(&mut pair.standby, pair.now);
                }
                Event::Take => pair.take(),
                Event::Drain => pair.drain_and_heal(),
                Event::Swap => pair.swap(limit),
                Event::SwapByName => pair.swap_by_name(limit),
                Event::Restart => pair.begin(limit),
            }
        }
        pair.drain_and_heal();
        // In the end every flow's time is over, and nothing is left behind.
        pair.now += 200_000;
        settle(&mut pair.active, pair.now);
        pair.drain();
        for number in 0..40 {
            for table in [&pair.active, &pair.standby] {
                prop_assert!(table.find(&flow_key(number)).is_none() && table.find(&reply_key(number)).is_none());
                prop_assert_eq!(table.sources.get(flow_key(number).src()), 0);
            }
        }
    }
}

#[test]
fn a_flow_is_told_once_however_often_it_changes_meanwhile() {
    let mut pair = Pair::new(100);
    pair.drain();
    for nth in 0..3 {
        pair.packet(0, nth);
    }
    let mut chunk = Vec::new();
    assert!(pair.active.take_changes(at(100), 1400, &mut chunk));
    let changes: Vec<Change> = flow::decode(&chunk).map(Result::unwrap).collect();
    assert!(matches!(&changes[..], [Change::Upsert(_)]), "{changes:?}");
    assert!(!pair.active.has_changes());
    // Begun and ended before it was told: nothing to tell.
    pair.packet(1, 0);
    pair.active.kill(&Filter { protocol: Some(protocol::UDP), ..Filter::default() }, None, 1000);
    assert!(!pair.active.take_changes(at(100), 1400, &mut chunk), "{chunk:?}");
}

#[test]
fn nothing_is_kept_without_a_peer_nor_of_flows_that_end_here() {
    let mut alone = table(10);
    let original = flow_key(1);
    alone.insert(at(0), pending(original, original.inverse()), &first(&original)).unwrap();
    assert!(!alone.has_changes() && !alone.has_news(at(1000)));
    let mut pair = Pair::new(100);
    pair.drain();
    let own = flow_key(2);
    let mine = Pending { egress: InterfaceId::SELF, ends_here: true, ..pending(own, own.inverse()) };
    pair.active.insert(at(100), mine, &first(&own)).unwrap();
    assert!(!pair.active.has_changes());
    pair.drain();
    assert_eq!((pair.active.len(), pair.standby.len()), (1, 1));
}

#[test]
fn the_routers_own_flow_stays_and_another_makes_room() {
    let mut pair = Pair::new(100);
    let (original, reply) = (flow_key(1), reply_key(1));
    let other = key(protocol::UDP, "10.9.9.9", 9, "198.51.100.7", 443);
    // Another flow of the standby's has the key of the answers.
    pair.standby.insert(at(100), pending(other, reply), &first(&other)).unwrap();
    pair.packet(1, 0);
    pair.drain();
    assert!(pair.standby.find(&other).is_none() && pair.standby.find(&original).is_some());
    assert_eq!(pair.standby.counters().displaced, 1);
    let own = key(protocol::UDP, "203.0.113.3", 123, "198.51.100.1", 123);
    pair.active.insert(at(100), pending(own, own.inverse()), &first(&own)).unwrap();
    let mut chunk = Vec::new();
    assert!(pair.active.take_changes(at(100), 1400, &mut chunk));
    assert_eq!(import(&mut pair.standby, 100, &chunk), [Err(Refused::Own)]);
    assert_eq!(pair.standby.counters().import_own, 1);
}

#[test]
fn a_standby_keeps_flows_and_gives_them_their_time_when_it_takes_over() {
    let mut pair = Pair::new(100);
    pair.packet(1, 0);
    pair.packet(1, 1);
    pair.drain();
    for _ in 0..50 {
        pair.now += 20;
        settle(&mut pair.standby, pair.now);
    }
    // Only the router's own flow has ended.
    assert_eq!(pair.standby.len(), 1);
    pair.standby.set_passive(at(pair.now), false);
    settle(&mut pair.standby, pair.now + 29);
    assert_eq!(pair.standby.len(), 1);
    settle(&mut pair.standby, pair.now + 32);
    assert_eq!(pair.standby.len(), 0);
}

#[test]
fn a_flow_whose_rule_is_unknown_is_asked_about_again() {
    let mut pair = Pair::new(100);
    let (original, reply) = (flow_key(1), reply_key(1));
    let old = Pending { pass_out: Pass::forged(RuleId(66)), ..pending(original, reply) };
    pair.active.insert(at(100), old, &first(&original)).unwrap();
    pair.packet(5, 0);
    pair.drain();
    let hit = pair.standby.find(&original).unwrap();
    assert_eq!(pair.standby.admission(hit).epoch, 8);
    let hit = pair.standby.find(&flow_key(5)).unwrap();
    assert_eq!(pair.standby.admission(hit).epoch, 9);
    let Ok(Step::Forward(advance)) = pair.standby.advance(at(100), hit, &step(5, 0)) else { panic!() };
    assert_eq!(advance.next_hop, NO_HOP);
}

#[test]
fn a_full_standby_refuses_and_counts() {
    let mut pair = Pair::new(5000);
    pair.active = table(3000);
    pair.begin(5000);
    pair.standby.apply(ConntrackConfig { state_limit: 10, ..pair.standby.config });
    for number in 0..1100u16 {
        let original = key(protocol::UDP, "10.0.0.1", number, "198.51.100.7", 53);
        pair.active.insert(at(100), pending(original, original.inverse()), &first(&original)).unwrap();
    }
    let mut chunk = Vec::new();
    while pair.active.has_changes() {
        if pair.active.take_changes(at(100), 1400, &mut chunk) {
            import(&mut pair.standby, 100, &chunk);
        }
    }
    let refused = pair.standby.counters().import_limited;
    assert_eq!(pair.standby.len() as u64 + refused, 1101);
    assert_eq!((refused, pair.standby.keys()), (1101 - 1035, 2 * 1035));
}

#[test]
fn traffic_is_told_again_in_time() {
    let mut pair = Pair::new(100);
    for nth in 0..3 {
        pair.packet(0, nth);
    }
    pair.drain();
    let mut chunk = Vec::new();
    for _ in 0..5 {
        pair.packet(0, 2);
        assert!(!pair.active.has_changes(), "counters alone are no news");
    }
    pair.now += 31;
    pair.packet(0, 2);
    assert!(pair.active.has_news(at(pair.now)));
    assert!(pair.active.take_changes(at(pair.now), 1400, &mut chunk));
    import(&mut pair.standby, pair.now, &chunk);
    let (rows, _) = pair.standby.list(at(pair.now), &Filter::default(), None, 100);
    let row = rows.iter().find(|row| row.original == flow_key(0)).unwrap();
    assert_eq!(row.packets, [8, 1]);
}

/// A connection in the middle of a transfer, 3 GB on from where the standby last heard of it.
#[test]
fn a_transfer_goes_on_after_a_takeover_both_ways() {
    let (original, reply) = (flow_key(0), reply_key(0));
    let tcp = |key: &FlowKey, flags, seq: u32, ack: u32, len: usize| {
        let scale = (flags & SYN != 0).then_some(9);
        packet(key, &Text::Tcp(TcpText { flags, seq, ack, window: 30_000, scale }), &vec![1; len])
    };
    let mut pair = Pair::new(100);
    let (a, b) = (4_000_000_000u32, 77u32);
    let handshake = [
        tcp(&original, SYN, a, 0, 0),
        tcp(&reply, SYN | ACK, b, a.wrapping_add(1), 0),
        tcp(&original, ACK, a.wrapping_add(1), b + 1, 0),
    ];
    pair.active.insert(at(100), pending(original, reply), &handshake[0]).unwrap();
    for packet in &handshake[1..] {
        let hit = pair.active.find(&packet.layout.key).unwrap();
        pair.active.advance(at(100), hit, packet).unwrap();
    }
    pair.drain();
    pair.swap(100);
    pair.drain();
    pair.swap(100);
    let mut go = |packet: &Packet| {
        let hit = pair.standby.find(&packet.layout.key).unwrap();
        pair.standby.advance(at(100), hit, packet).map(|_| ())
    };
    let far = a.wrapping_add(3_000_000_000);
    let back = b.wrapping_add(2_500_000_000);
    let window = 30_000u32 << 9;
    // Blind resets find nothing to hold on to.
    assert_eq!(go(&tcp(&original, RST, far, 0, 0)), Err(Drop::StateMismatch));
    assert_eq!(go(&tcp(&reply, RST | ACK, back, far, 0)), Err(Drop::StateMismatch));
    // The window is full: the newest data, then retransmissions from its very beginning.
    assert_eq!(go(&tcp(&original, ACK, far.wrapping_add(window - 1400), back, 1400)), Ok(()));
    assert_eq!(go(&tcp(&original, ACK, far, back, 1400)), Ok(()));
    // The other way: the same.
    assert_eq!(go(&tcp(&reply, ACK, back.wrapping_add(window - 1400), far, 1400)), Ok(()));
    assert_eq!(go(&tcp(&reply, ACK, back, far.wrapping_add(window), 1400)), Ok(()));
    assert_eq!(go(&tcp(&original, ACK, far.wrapping_add(window), back.wrapping_add(window), 1400)), Ok(()));
    // From here on the inequalities hold.
    let outside = far.wrapping_add(1 << 31);
    assert_eq!(go(&tcp(&original, ACK, outside, back.wrapping_add(window), 1400)), Err(Drop::StateMismatch));
    assert_eq!(go(&tcp(&original, RST, outside, 0, 0)), Err(Drop::StateMismatch));
    // It closes, and makes way for the next.
    let (end, back_end) = (far.wrapping_add(window + 1400), back.wrapping_add(window));
    assert_eq!(go(&tcp(&original, ACK | FIN, end, back_end, 0)), Ok(()));
    assert_eq!(go(&tcp(&reply, ACK | FIN, back_end, end.wrapping_add(1), 0)), Ok(()));
    assert_eq!(go(&tcp(&original, ACK, end.wrapping_add(1), back_end.wrapping_add(1), 0)), Ok(()));
    let (rows, _) = pair.standby.list(at(100), &Filter::default(), None, 100);
    let row = rows.iter().find(|row| row.original == original).unwrap();
    assert_eq!(row.state, "FIN_WAIT_2:FIN_WAIT_2");
}

/// The end of the first flow was lost in a full line; another has its slot, here and there.
#[test]
fn a_slot_that_has_another_flow_by_now_is_told_as_that() {
    let mut pair = Pair::new(0);
    pair.packet(5, 0);
    pair.drain();
    pair.active.kill(&Filter::default(), None, 100);
    pair.packet(13, 0);
    pair.take();
    assert!(pair.standby.find(&flow_key(5)).is_none() && pair.standby.find(&flow_key(13)).is_some());
    pair.standby.set_passive(at(100), false);
    settle(&mut pair.standby, 1000);
    assert_eq!(pair.standby.len(), 0, "it waits for its time to be over");
}

/// What a table knows of an endpoint's port follows from its flows.
#[test]
fn an_endpoint_keeps_its_port_after_a_takeover() {
    let mut pair = Pair::new(100);
    for table in [&mut pair.active, &mut pair.standby] {
        table.apply(ConntrackConfig { mappings: 100, ..table.config });
    }
    let inside = |port: u16, to: &str| key(protocol::UDP, "10.0.0.9", port, to, 53);
    let outside = |to: &str| key(protocol::UDP, "203.0.113.2", 2000, to, 53);
    let ends = ["198.51.100.7", "198.51.100.8"];
    for to in ends {
        let flow = pending(inside(4000, to), outside(to).inverse());
        pair.active.insert(at(100), flow, &first(&flow.original)).unwrap();
    }
    pair.drain();
    let (address, to) = ("203.0.113.2".parse().unwrap(), "198.51.100.9");
    for table in [&pair.active, &pair.standby] {
        assert_eq!(table.mapped(&inside(4000, to), address), Some(2000));
        assert_eq!(table.mapped(&inside(4001, to), address), None);
        let can = |port| table.can_map(&inside(4001, to), (address, port));
        assert!(!can(2000) && can(2001));
    }
    for to in ends {
        let hit = pair.active.find(&inside(4000, to)).unwrap();
        pair.active.end(hit);
    }
    pair.drain();
    for table in [&pair.active, &pair.standby] {
        assert_eq!(table.mapped(&inside(4000, to), address), None);
    }
}
