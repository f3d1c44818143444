//! The table, the translation and the rewriting together against a model that is too simple to be wrong.

use std::collections::HashMap;

use super::*;
use crate::conntrack::testing::{TcpText, Text, is_sound, key, packet, pending, table};
use crate::conntrack::{Filter, Step, Table};
use crate::types::{Instant, Seed};
use crate::wire::{Drop, FlowKey, Packet, protocol, tcp_flags::*};
use proptest::prelude::*;

/// What happens.
#[derive(Clone, Debug)]
enum Event {
    /// A client sends to a server; of TCP this kind of segment.
    Out { client: u8, server: u8, number: usize, segment: usize },
    /// A server answers a flow, perhaps one that has ended long ago.
    Back { flow: prop::sample::Index, segment: usize },
    /// Somebody outside sends to the outside address.
    Stray { server: u8, port: u16 },
    /// Time goes by.
    Wait { seconds: u64 },
    /// A person kills a flow.
    Kill { flow: prop::sample::Index },
}

fn event() -> impl Strategy<Value = Event> {
    let out = || {
        (0u8..4, 0u8..3, 0usize..4, 0usize..3).prop_map(|(client, server, number, segment)| Event::Out {
            client,
            server,
            number,
            segment,
        })
    };
    let back = || {
        (any::<prop::sample::Index>(), 0usize..3).prop_map(|(flow, segment)| Event::Back { flow, segment })
    };
    prop_oneof![
        out(),
        out(),
        back(),
        back(),
        (0u8..3, any::<u16>()).prop_map(|(server, port)| Event::Stray { server, port }),
        (1u64..100).prop_map(|seconds| Event::Wait { seconds }),
        any::<prop::sample::Index>().prop_map(|flow| Event::Kill { flow }),
    ]
}

/// How far a flow of the model is.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Stage {
    First,
    OneWay,
    Answered,
    Multiple,
    Closed,
}

#[derive(Clone, Copy, Debug)]
struct Flow {
    reply: FlowKey,
    stage: Stage,
    seen: u64,
    /// The server has sent text.
    spoke: bool,
}

/// pf's timers, by protocol and stage.
fn timeout(number: u8, stage: Stage) -> u64 {
    match (number, stage) {
        (protocol::TCP, Stage::First) => 120,
        (protocol::TCP, Stage::Answered) => 30,
        (protocol::TCP, Stage::Multiple) => 86_400,
        (protocol::TCP, Stage::Closed) => 90,
        (protocol::ICMP, Stage::First | Stage::OneWay) => 20,
        (protocol::ICMP, _) => 10,
        (_, Stage::First | Stage::Multiple) => 60,
        (_, _) => 30,
    }
}

/// The same numbers on every connection: the client begins at 1000, the server at 5000.
/// `spoke`: the server has sent its four bytes, which a RST comes after.
fn build(key: &FlowKey, from_client: bool, flags: u8, spoke: bool) -> Packet {
    let text = match key.protocol() {
        protocol::TCP => {
            let (seq, ack) = if from_client { (1000, 5001) } else { (5000, 1001) };
            let seq = if flags & SYN == 0 { seq + 1 } else { seq };
            let seq = if flags & RST != 0 && spoke { seq + 4 } else { seq };
            Text::Tcp(TcpText { flags, seq, ack, window: 9000, scale: None })
        }
        protocol::UDP => Text::Udp,
        protocol::ICMP => Text::Query { request: from_client },
        _ => Text::Other,
    };
    packet(key, &text, if flags & SYN == 0 { b"text" } else { b"" })
}

struct Model {
    table: Table,
    outbound: Outbound,
    now: u64,
    flows: HashMap<FlowKey, Flow>,
    /// Every flow that ever was.
    past: Vec<(FlowKey, FlowKey)>,
}

impl Model {
    fn at(&self) -> Instant {
        Instant::from_secs(self.now)
    }

    fn wait(&mut self, seconds: u64) {
        self.now += seconds;
        while self.table.poll_timeout().is_some_and(|(when, _)| when <= self.at()) {
            self.table.handle_timeout(self.at());
        }
        let now = self.now;
        self.flows.retain(|original, flow| now - flow.seen <= timeout(original.protocol(), flow.stage));
    }

    /// A packet passes through the real thing; the key with which it leaves.
    fn pass(&mut self, mut packet: Packet) -> Result<Option<FlowKey>, Drop> {
        let Some(hit) = self.table.find(&packet.layout.key) else { return Ok(None) };
        match self.table.advance(self.at(), hit, &packet)? {
            Step::Begin => Ok(None),
            Step::Challenge(_) | Step::Handshake(_) => Err(Drop::StateMismatch),
            Step::Forward(advance) => {
                rewrite(&mut packet, &advance.to);
                assert!(is_sound(&packet));
                Ok(Some(advance.to))
            }
        }
    }

    fn out(&mut self, original: FlowKey, flags: u8) {
        let tcp = original.protocol() == protocol::TCP;
        let first = !tcp || flags & (SYN | ACK) == SYN;
        let passed = self.pass(build(&original, true, flags, false));
        let Some(flow) = self.flows.get_mut(&original) else {
            assert_eq!(passed, Ok(None), "there is no flow");
            return self.begin(original, flags, first);
        };
        match (tcp, flow.stage, flags) {
            (true, Stage::First, SYN) => assert_eq!(passed, Ok(Some(flow.reply.inverse())), "not refreshed"),
            (true, Stage::First, f) if f & RST == 0 => assert_eq!(passed, Err(Drop::StateMismatch)),
            (true, Stage::Multiple, SYN) => assert_eq!(passed, Err(Drop::StateMismatch)),
            (true, Stage::Closed, SYN) => {
                assert_eq!(passed, Ok(None), "a new connection");
                self.flows.remove(&original);
                self.begin(original, flags, true);
            }
            (true, stage, f) => {
                assert_eq!(passed, Ok(Some(flow.reply.inverse())));
                flow.seen = self.now;
                flow.stage = match stage {
                    _ if f & RST != 0 => Stage::Closed,
                    Stage::Answered if f & SYN == 0 => Stage::Multiple,
                    other => other,
                };
            }
            (false, stage, _) => {
                assert_eq!(passed, Ok(Some(flow.reply.inverse())));
                flow.seen = self.now;
                flow.stage = match stage {
                    Stage::First | Stage::OneWay => Stage::OneWay,
                    Stage::Answered | Stage::Multiple | Stage::Closed => Stage::Multiple,
                };
            }
        }
    }

    fn begin(&mut self, original: FlowKey, flags: u8, first: bool) {
        let out = Outside::new("203.0.113.2".parse().unwrap());
        let sent = self.outbound.translate_out(self.at(), &mut self.table, &original, &out);
        let Ok(sent) = sent else {
            assert!(self.flows.values().any(|flow| flow.reply.src() == original.dst()), "only by a clash");
            assert_eq!(original.protocol(), 47);
            return;
        };
        assert!(self.flows.values().all(|flow| flow.reply != sent.inverse()), "its answers are its own");
        let packet = build(&original, true, flags, false);
        let result = self.table.insert(self.at(), pending(original, sent.inverse()), &packet);
        if !first {
            assert_eq!(result, Err(Drop::NoFlow));
            return;
        }
        result.unwrap();
        self.flows.insert(
            original,
            Flow { reply: sent.inverse(), stage: Stage::First, seen: self.now, spoke: false },
        );
        self.past.push((original, sent.inverse()));
    }

    fn back(&mut self, (original, reply): (FlowKey, FlowKey), flags: u8) {
        let tcp = original.protocol() == protocol::TCP;
        let spoke = self.flows.values().any(|flow| flow.reply == reply && flow.spoke);
        let passed = self.pass(build(&reply, false, flags, spoke));
        // Another flow may have got the same outside in the meantime.
        let Some((original, flow)) = self.flows.iter_mut().find(|(_, flow)| flow.reply == reply) else {
            assert_eq!(passed, Ok(None));
            return;
        };
        match (tcp, flow.stage, flags & (SYN | RST)) {
            (true, Stage::First, 0) => assert_eq!(passed, Err(Drop::StateMismatch)),
            (_, stage, kind) => {
                assert_eq!(passed, Ok(Some(original.inverse())));
                flow.seen = self.now;
                flow.spoke |= tcp && flags == ACK;
                flow.stage = match stage {
                    _ if tcp && kind == RST => Stage::Closed,
                    Stage::First | Stage::OneWay => Stage::Answered,
                    other => other,
                };
            }
        }
    }

    fn check(&self) {
        assert_eq!(self.table.len(), self.flows.len());
        assert_eq!(self.table.keys(), 2 * self.flows.len());
        for (original, flow) in &self.flows {
            assert!(self.table.find(original).is_some() && self.table.find(&flow.reply).is_some());
        }
        for (original, reply) in &self.past {
            let alive = self.flows.get(original).is_some_and(|flow| flow.reply == *reply);
            let taken = self.flows.values().any(|flow| flow.reply == *reply);
            assert!(alive || taken || self.table.find(reply).is_none(), "an ended flow leaves no key");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    #[test]
    fn table_and_translation_equal_the_model(events in prop::collection::vec(event(), 1..120), seed in any::<[u64; 2]>()) {
        let mut model = Model {
            table: table(10_000),
            outbound: Outbound::new(Seed(seed)),
            now: 0,
            flows: HashMap::new(),
            past: Vec::new(),
        };
        for event in events {
            match event {
                Event::Out { client, server, number, segment } => {
                    let number = [protocol::TCP, protocol::UDP, protocol::ICMP, 47][number];
                    let (port, service) = match number {
                        protocol::TCP | protocol::UDP => (4000 + u16::from(client % 2), 443),
                        protocol::ICMP => (77, 8),
                        _ => (0, 0),
                    };
                    let original = key(number, &format!("10.0.0.{}", client / 2), port, &format!("198.51.100.{server}"), service);
                    model.out(original, [SYN, ACK, RST | ACK][segment]);
                }
                Event::Back { flow, segment } if !model.past.is_empty() => {
                    let flow = *flow.get(&model.past);
                    model.back(flow, [SYN | ACK, ACK, RST | ACK][segment]);
                }
                Event::Kill { flow } if !model.past.is_empty() => {
                    let (original, _) = *flow.get(&model.past);
                    let filter = Filter {
                        protocol: Some(original.protocol()),
                        source: Some(original.src().into()),
                        destination: Some(original.dst().into()),
                        port: Some(original.src_port()),
                        ..Filter::default()
                    };
                    let (killed, _) = model.table.kill(&filter, None, 100_000);
                    let before = model.flows.len();
                    model.flows.retain(|key, flow| {
                        let port = original.src_port();
                        let ports = [key.src_port(), key.dst_port(), flow.reply.dst_port()];
                        let ends = (key.protocol(), key.src(), key.dst());
                        ends != (original.protocol(), original.src(), original.dst()) || !ports.contains(&port)
                    });
                    assert_eq!(killed, before - model.flows.len());
                }
                Event::Back { .. } | Event::Kill { .. } => {}
                Event::Stray { server, port } => {
                    let stray = key(protocol::UDP, &format!("198.51.100.{server}"), 443, "203.0.113.2", port);
                    let known = model.flows.values().any(|flow| flow.reply == stray);
                    assert_eq!(model.table.find(&stray).is_some(), known);
                }
                Event::Wait { seconds } => model.wait(seconds),
            }
            model.check();
        }
    }
}
