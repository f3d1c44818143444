//! Any rules of a valid document compile, and the classifier decides as a naive reader of the document would: of what
//! matches, the first quick rule, else the last. The explanation of a packet, and what lint says, are survived.
//!
//! Input: rules, six bytes each behind a byte that says how many, then packets, twelve bytes each.
#![no_main]

use std::fmt::Write;
use std::net::Ipv4Addr;
use std::sync::Arc;

use koi::config;
use koi::node::{Compiled, Offload, Question, explain};
use koi::rules::{self, Query, Verdict};
use koi::types::{Direction, InterfaceId};
use koi::wire::{FlowKey, Transport, tcp_flags};
use koi_fuzz::Input;
use libfuzzer_sys::fuzz_target;

const DOCUMENT: &str = include_str!("../document.toml");
const LAN: InterfaceId = InterfaceId(1);

/// A rule of the LAN tab, as far as this target has them.
struct Rule {
    pass: bool,
    /// `None` for any, else the protocol's number.
    protocol: Option<u8>,
    not: bool,
    /// Destination: these many leading bits of this address.
    net: (Ipv4Addr, u8),
    ports: Option<(u16, u16)>,
}

impl Rule {
    fn read(input: &mut Input<'_>) -> Rule {
        let bits = input.byte();
        let protocol = match bits >> 1 & 3 {
            0 => None,
            1 => Some(6),
            2 => Some(17),
            _ => Some(1),
        };
        let (high, low, length) = (input.byte(), input.byte(), 8 + input.byte() % 25);
        let net = u32::from(Ipv4Addr::new(20, high, low, 0)) & (u32::MAX << (32 - length));
        let first = u16::from(input.byte()) + 1;
        let last = first + u16::from(input.byte());
        let ports = (bits & 16 != 0 && matches!(protocol, Some(6 | 17))).then_some((first, last));
        Rule { pass: bits & 1 != 0, protocol, not: bits & 32 != 0, net: (net.into(), length), ports }
    }

    fn write(&self, id: u32, text: &mut String) {
        let action = if self.pass { "pass" } else { "block" };
        let (address, length) = self.net;
        let not = if self.not { "! " } else { "" };
        write!(
            text,
            "[[rule]]\nid = {id}\ninterface = \"lan\"\nfamily = \"inet\"\naction = \"{action}\"\n\
             destination = \"{not}{address}/{length}\"\n"
        )
        .expect("a text takes all");
        match self.protocol {
            Some(6) => *text += "protocol = \"tcp\"\n",
            Some(17) => *text += "protocol = \"udp\"\n",
            Some(_) => *text += "protocol = \"icmp\"\n",
            None => {}
        }
        if let Some((first, last)) = self.ports {
            *text += &format!("destination_port = \"{first}-{last}\"\n");
        }
    }

    fn matches(&self, key: &FlowKey) -> bool {
        let FlowKey::V4(key) = key else { return false };
        let (address, length) = self.net;
        let inside = (u32::from(address) ^ u32::from(key.dst)) >> (32 - length) == 0;
        self.protocol.is_none_or(|protocol| protocol == key.protocol)
            && inside != self.not
            && self.ports.is_none_or(|(first, last)| (first..=last).contains(&key.dst_port))
    }
}

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let rules: Vec<Rule> = (0..input.byte() % 40).map(|_| Rule::read(&mut input)).collect();
    let base = &DOCUMENT[..DOCUMENT.find("[[rule]]").expect("it has rules")];
    let mut text = base.to_owned();
    for (index, rule) in rules.iter().enumerate() {
        rule.write(1_000_000 + index as u32, &mut text);
    }
    let Ok(valid) = config::load(&text) else { panic!("{text}") };
    let valid = Arc::new(valid);
    let part = &valid.nodes[0];
    let node = valid.node(Some(&part.name)).expect("its own name");
    let _ = rules::lint(&valid, node);
    let compiled = Compiled::new(Arc::clone(&valid), node, 1, vec![Offload::default(); part.ports.len()]);
    while !input.is_empty() {
        let Some(key) = read_key(&mut input) else { continue };
        let transport = match key.protocol() {
            6 => Transport::Tcp { flags: tcp_flags::SYN, seq: 1, ack: 0, window: 1, header_len: 20 },
            17 => Transport::Udp,
            1 => Transport::IcmpQuery { request: true },
            _ => Transport::Other,
        };
        let query = Query::new(Direction::In, LAN, key, transport);
        let expected = rules.iter().find(|rule| rule.matches(&key)).is_some_and(|rule| rule.pass);
        let found = matches!(compiled.ruleset.evaluate(&query), Verdict::Pass(_));
        assert_eq!(found, expected, "{key}\n{text}");
        let explanation = explain(&compiled, &[], &Question { ingress: LAN, key, transport, dscp: 0 });
        assert!(explanation.verdict != "pass" || found, "{explanation:?}");
    }
});

/// From a host on LAN to somewhere in 20/8.
fn read_key(input: &mut Input<'_>) -> Option<FlowKey> {
    let protocol = [6, 17, 1, 47][usize::from(input.byte() % 4)];
    let (high, low, last, from) = (input.byte(), input.byte(), input.byte(), input.byte());
    let (src_port, dst_port) = match protocol {
        6 | 17 => (1024 + u16::from(from), 1 + input.word() % 600),
        1 => (u16::from(from), 8),
        _ => (0, 0),
    };
    let (src, dst) = (Ipv4Addr::new(192, 168, 1, 10), Ipv4Addr::new(20, high, low, last));
    FlowKey::new(protocol, src.into(), src_port, dst.into(), dst_port)
}
