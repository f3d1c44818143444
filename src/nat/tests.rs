use std::net::IpAddr;

use super::*;
use crate::config::model::Pool;
use crate::conntrack::testing::{
    TcpText, Text, first, icmp_error, is_sound, key, packet, parse, pending, table,
};
use crate::conntrack::{Step, Table};
use crate::types::{Instant, PortRange, Seed};
use crate::wire::icmp_error::Quoted;
use crate::wire::{ChecksumState, Drop, FlowKey, Packet, checksum, protocol};
use proptest::prelude::*;

const NOW: Instant = Instant::ZERO;

fn outside(ports: (u16, u16)) -> Outside {
    let ports = PortRange::new(ports.0, ports.1).unwrap();
    Outside { ports, ..Outside::new("203.0.113.2".parse().unwrap()) }
}

/// A new flow through the translation; its key outside.
fn begin(
    table: &mut Table,
    outbound: &mut Outbound,
    original: &FlowKey,
    out: &Outside,
) -> Result<FlowKey, Drop> {
    let sent = outbound.translate_out(NOW, table, original, out)?;
    table.insert(NOW, pending(*original, sent.inverse()), &first(original))?;
    Ok(sent)
}

#[test]
fn two_ports_serve_two_flows_to_each_destination() {
    for number in [protocol::UDP, protocol::TCP] {
        let (mut table, mut outbound) = (table(100), Outbound::new(Seed([1, 2])));
        let to = |port: u16, server: &str| key(number, "192.168.1.10", port, server, 53);
        let pool = outside((2000, 2001));
        let mut ports = Vec::new();
        for port in [1, 2] {
            let sent = begin(&mut table, &mut outbound, &to(port, "198.51.100.7"), &pool).unwrap();
            assert_eq!((sent.src(), sent.dst_port()), (pool.address, 53));
            ports.push(sent.src_port());
        }
        ports.sort_unstable();
        assert_eq!(ports, [2000, 2001]);
        for port in 1000..1997 {
            let refused = begin(&mut table, &mut outbound, &to(port, "198.51.100.7"), &pool);
            assert_eq!(refused, Err(Drop::PortsExhausted));
        }
        assert_eq!(outbound.exhausted(), 997);
        // Another destination has both ports still.
        assert!(begin(&mut table, &mut outbound, &to(1, "198.51.100.8"), &pool).is_ok());
        assert!(begin(&mut table, &mut outbound, &to(2, "198.51.100.8"), &pool).is_ok());
    }
}

#[test]
fn an_empty_pool_gives_nobody_an_address() {
    let mut outbound = Outbound::new(Seed([1, 2]));
    let key = FlowKey::new(17, [192, 0, 2, 1].into(), 1000, [198, 51, 100, 2].into(), 53).unwrap();
    for pool in [Pool::RoundRobin, Pool::Random, Pool::SourceHash] {
        for sticky in [false, true] {
            let source = Source {
                id: None,
                addresses: Addresses::default(),
                pool,
                sticky,
                independent: false,
                ports: None,
            };
            let refused = outbound.translate_by(Instant::ZERO, &mut table(10), &key, (0, &source));
            assert_eq!(refused, Err(Drop::PortsExhausted), "{pool:?}");
        }
    }
}

#[test]
fn the_last_free_port_is_found_and_a_dry_destination_is_remembered() {
    let (mut table, mut outbound) = (table(70_000), Outbound::new(Seed([1, 2])));
    let pool = outside((1024, 65_535));
    let original = |number: u32| {
        let host = format!("10.0.{}.{}", number >> 8 & 255, number & 255);
        key(protocol::UDP, &host, (number >> 16) as u16, "198.51.100.7", 53)
    };
    for number in 0..64_512 {
        begin(&mut table, &mut outbound, &original(number), &pool).unwrap();
    }
    for number in 64_512..65_000 {
        assert_eq!(begin(&mut table, &mut outbound, &original(number), &pool), Err(Drop::PortsExhausted));
    }
    // A port that becomes free is found, at the latest when the memory fades.
    let filter =
        crate::conntrack::Filter { source: Some("10.0.0.9/32".parse().unwrap()), ..Default::default() };
    assert_eq!(table.kill(&filter, None, 100_000).0, 1);
    let later = Instant::from_secs(1);
    assert!(outbound.translate_out(later, &mut table, &original(65_001), &pool).is_ok());
}

#[test]
fn ports_are_random_and_within_the_range() {
    let (mut table, mut outbound) = (table(10), Outbound::new(Seed([5, 6])));
    let original = key(protocol::TCP, "192.168.1.10", 443, "198.51.100.7", 443);
    let mut seen = std::collections::HashSet::new();
    for _ in 0..500 {
        let sent = outbound.translate_out(NOW, &mut table, &original, &outside((1024, 65_535))).unwrap();
        assert!(sent.src_port() >= 1024);
        seen.insert(sent.src_port());
    }
    assert!(seen.len() > 480, "{} different ports of 500", seen.len());
}

#[test]
fn isakmp_keeps_its_port_while_it_is_free() {
    let (mut table, mut outbound) = (table(10), Outbound::new(Seed([1, 2])));
    let ike = |host: &str| key(protocol::UDP, host, 500, "198.51.100.7", 500);
    let pool = outside((1024, 65_535));
    assert_eq!(begin(&mut table, &mut outbound, &ike("192.168.1.10"), &pool).unwrap().src_port(), 500);
    assert_ne!(begin(&mut table, &mut outbound, &ike("192.168.1.11"), &pool).unwrap().src_port(), 500);
}

#[test]
fn protocols_without_ports_have_one_flow_to_each_destination() {
    let (mut table, mut outbound) = (table(10), Outbound::new(Seed([1, 2])));
    let gre = |host: &str, server: &str| key(47, host, 0, server, 0);
    let pool = outside((1024, 65_535));
    assert!(begin(&mut table, &mut outbound, &gre("192.168.1.10", "198.51.100.7"), &pool).is_ok());
    let second = begin(&mut table, &mut outbound, &gre("192.168.1.11", "198.51.100.7"), &pool);
    assert_eq!(second, Err(Drop::PortsExhausted));
    assert!(begin(&mut table, &mut outbound, &gre("192.168.1.11", "198.51.100.8"), &pool).is_ok());
    let v6 = key(protocol::UDP, "2001:db8::1", 1, "2001:db8::2", 2);
    assert_eq!(begin(&mut table, &mut outbound, &v6, &pool), Err(Drop::PortsExhausted));
}

#[test]
fn two_clients_with_one_echo_identifier_get_their_own_replies() {
    let (mut table, mut outbound) = (table(10), Outbound::new(Seed([1, 2])));
    let pings = ["192.168.1.10", "192.168.1.11"].map(|host| key(protocol::ICMP, host, 77, "198.51.100.7", 8));
    let sent = pings.map(|ping| begin(&mut table, &mut outbound, &ping, &outside((1024, 65_535))).unwrap());
    assert_ne!(sent[0], sent[1]);
    for (ping, sent) in pings.iter().zip(sent) {
        let mut question = first(ping);
        rewrite(&mut question, &sent);
        assert!(is_sound(&question));
        let mut answer = packet(&sent.inverse(), &Text::Query { request: false }, b"payload");
        let hit = table.find(&answer.layout.key).unwrap();
        let Ok(Step::Forward(advance)) = table.advance(NOW, hit, &answer) else { panic!() };
        rewrite(&mut answer, &advance.to);
        assert!(is_sound(&answer));
        assert_eq!(answer.layout.key, ping.inverse());
        assert_eq!(answer.transport()[4..6], 77u16.to_be_bytes(), "its own identifier");
    }
}

#[test]
fn a_udp_checksum_of_zero_stays_zero() {
    let from = key(protocol::UDP, "192.168.1.10", 5, "198.51.100.7", 53);
    let to = key(protocol::UDP, "203.0.113.2", 6, "198.51.100.7", 53);
    let mut packet = first(&from);
    packet.transport_mut()[6..8].fill(0);
    rewrite(&mut packet, &to);
    assert_eq!(packet.transport()[6..8], [0, 0]);
    assert!(is_sound(&packet));
}

fn any_key() -> impl Strategy<Value = FlowKey> {
    let ports = (any::<u16>(), any::<u16>(), 0usize..5);
    prop_oneof![
        (any::<[u8; 4]>(), any::<[u8; 4]>(), ports.clone()).prop_map(|(a, b, (c, d, number))| {
            let number = [6, 17, 1, 47, 50][number];
            with_ports(number, a.into(), c, b.into(), d)
        }),
        (any::<[u8; 16]>(), any::<[u8; 16]>(), ports).prop_map(|(a, b, (c, d, number))| {
            let number = [6, 17, 58, 47, 50][number];
            with_ports(number, a.into(), c, b.into(), d)
        }),
    ]
}

fn with_ports(number: u8, src: IpAddr, src_port: u16, dst: IpAddr, dst_port: u16) -> FlowKey {
    let (src_port, dst_port) = match number {
        protocol::TCP | protocol::UDP => (src_port, dst_port),
        protocol::ICMP => (src_port, [8, 13, 15, 17][usize::from(dst_port % 4)]),
        protocol::ICMPV6 => (src_port, 128),
        _ => (0, 0),
    };
    FlowKey::new(number, src, src_port, dst, dst_port).unwrap()
}

/// A key that a translation of `from` may lead to.
fn translated(from: &FlowKey, src: [u8; 16], src_port: u16, dst: [u8; 16], both: bool) -> FlowKey {
    let address = |bytes: [u8; 16], like: IpAddr| match like {
        IpAddr::V4(_) => IpAddr::from([bytes[0], bytes[1], bytes[2], bytes[3]]),
        IpAddr::V6(_) => IpAddr::from(bytes),
    };
    let number = from.protocol();
    let ported = !matches!(number, 47 | 50);
    let src = address(src, from.src());
    let dst = if both { address(dst, from.dst()) } else { from.dst() };
    let dst_port = if both && matches!(number, 6 | 17) { !from.dst_port() } else { from.dst_port() };
    FlowKey::new(number, src, if ported { src_port } else { 0 }, dst, dst_port).unwrap()
}

/// Equal, but for 0 and 0xffff, which one's complement does not tell apart, in the checksum at `field`.
fn same_but_for_zero(a: &[u8], b: &[u8], field: Option<usize>) -> bool {
    a.len() == b.len()
        && (0..a.len()).all(|at| {
            let in_field = field.is_some_and(|field| at == field || at == field + 1);
            a[at] == b[at] || in_field
        })
        && field.filter(|field| field + 2 <= a.len()).is_none_or(|field| {
            let word = |bytes: &[u8]| u16::from_be_bytes([bytes[field], bytes[field + 1]]) % 0xffff;
            word(a) == word(b)
        })
}

fn checksum_field(key: &FlowKey) -> Option<usize> {
    match key.protocol() {
        protocol::TCP => Some(16),
        protocol::UDP => Some(6),
        protocol::ICMP | protocol::ICMPV6 => Some(2),
        _ => None,
    }
}

/// The sum of the pseudo header of a packet that has its present key.
fn pseudo(packet: &Packet) -> u16 {
    let key = packet.layout.key;
    checksum::pseudo_header(key.src(), key.dst(), key.protocol(), packet.transport().len() as u32)
}

proptest! {
    #[test]
    fn rewriting_equals_building_anew(
        from in any_key(), src in any::<[u8; 16]>(), port in any::<u16>(), dst in any::<[u8; 16]>(), both in any::<bool>(),
        reply in any::<bool>(),
    ) {
        let to = translated(&from, src, port, dst, both);
        let (from, to) = if reply { (from.inverse(), to.inverse()) } else { (from, to) };
        let build = |key: &FlowKey| match key.protocol() {
            protocol::ICMP | protocol::ICMPV6 => packet(key, &Text::Query { request: !reply }, b"odd number"),
            _ => first(key),
        };
        let mut rewritten = build(&from);
        rewrite(&mut rewritten, &to);
        let anew = build(&to);
        prop_assert!(is_sound(&rewritten));
        prop_assert!(same_but_for_zero(rewritten.transport(), anew.transport(), checksum_field(&to)));
        let l4 = usize::from(anew.layout.l4 - anew.layout.l3);
        let header = matches!(to, FlowKey::V4(_)).then_some(10);
        prop_assert!(same_but_for_zero(&rewritten.ip()[..l4], &anew.ip()[..l4], header));
        rewrite(&mut rewritten, &from);
        prop_assert!(is_sound(&rewritten), "and back");
    }

    #[test]
    fn a_partial_checksum_changes_by_its_addresses_only(
        from in any_key(), src in any::<[u8; 16]>(), port in any::<u16>(), dst in any::<[u8; 16]>(), both in any::<bool>(),
    ) {
        prop_assume!(matches!(from.protocol(), protocol::TCP | protocol::UDP));
        let to = translated(&from, src, port, dst, both);
        let offset = checksum_field(&from).unwrap() as u16;
        let mut packet = first(&from);
        packet.frame.checksum = ChecksumState::Partial { start: packet.layout.l4, offset };
        let field = usize::from(offset);
        let sum = pseudo(&packet).to_be_bytes();
        packet.transport_mut()[field..field + 2].copy_from_slice(&sum);
        rewrite(&mut packet, &to);
        let now = u16::from_be_bytes([packet.transport()[field], packet.transport()[field + 1]]);
        prop_assert_eq!(now % 0xffff, pseudo(&packet) % 0xffff);
        prop_assert_eq!(parse(packet.ip()).layout.key, to);
    }

    /// A client's packet is translated on its way out; the error about it comes back and quotes the packet as the client
    /// sent it. And the same for a packet that came in, with an error from the client.
    #[test]
    fn errors_quote_what_was_sent(
        from in any_key(), src in any::<[u8; 16]>(), port in any::<u16>(), quoted_len in 8usize..60, inwards in any::<bool>(),
        partial in any::<bool>(),
    ) {
        let to = translated(&from, src, port, src, false);
        prop_assume!(from != to.inverse() && to.src() != from.src());
        let mut table = table(10);
        if table.insert(NOW, pending(from, to.inverse()), &first(&from)).is_err() {
            return Ok(());
        }
        // The packet before and behind the router.
        let (before, behind) = if inwards { (to.inverse(), from.inverse()) } else { (from, to) };
        let build = |key: &FlowKey| match key.protocol() {
            protocol::ICMP | protocol::ICMPV6 => packet(key, &Text::Query { request: !inwards }, b"some payload"),
            protocol::TCP => {
                let (flags, seq) = if inwards { (18, 70) } else { (2, 1000) };
                packet(key, &Text::Tcp(TcpText { flags, seq, ack: 1001, window: 9, scale: None }), b"")
            }
            _ => first(key),
        };
        let original = build(&before);
        if inwards {
            let hit = table.find(&before).unwrap();
            let step = table.advance(NOW, hit, &original);
            prop_assume!(step.is_ok());
        }
        let mut sent = build(&before);
        rewrite(&mut sent, &behind);
        let header = usize::from(sent.layout.l4 - sent.layout.l3);
        let shown = (header + quoted_len).min(sent.ip().len());
        let mut error = icmp_error(&behind.dst().to_string(), &behind.src().to_string(), &sent.ip()[..shown]);
        let l3 = error.layout.l4 + 8;
        let quoted = Quoted {
            key: behind,
            l3,
            l4: l3 + header as u16,
            transport_len: shown - header,
            tcp_seq: (behind.protocol() == protocol::TCP).then_some(if inwards { 70 } else { 1000 }),
        };
        let related = table.related(&error, &quoted).unwrap();
        let partial = partial && matches!(behind, FlowKey::V6(_));
        if partial {
            error.frame.checksum = ChecksumState::Partial { start: error.layout.l4, offset: 2 };
            let sum = pseudo(&error).to_be_bytes();
            error.transport_mut()[2..4].copy_from_slice(&sum);
        }
        rewrite_error(&mut error, &quoted, &related);
        prop_assert_eq!((error.layout.key.src(), error.layout.key.dst()), (before.dst(), before.src()));
        if partial {
            let field = u16::from_be_bytes([error.transport()[2], error.transport()[3]]);
            prop_assert_eq!(field % 0xffff, pseudo(&error) % 0xffff);
        } else {
            prop_assert!(is_sound(&error));
        }
        let inner = &error.transport()[8..];
        let ip_field = matches!(before, FlowKey::V4(_)).then_some(10);
        prop_assert!(same_but_for_zero(&inner[..header], &original.ip()[..header], ip_field));
        prop_assert!(same_but_for_zero(&inner[header..], &original.transport()[..shown - header], checksum_field(&before)));
    }
}

#[test]
fn an_error_from_a_router_inside_shows_our_address() {
    let mut table = table(10);
    let original = key(protocol::UDP, "192.168.1.10", 5, "198.51.100.7", 53);
    let reply = key(protocol::UDP, "198.51.100.7", 53, "203.0.113.2", 4444);
    table.insert(NOW, pending(original, reply), &first(&original)).unwrap();
    let answer = packet(&original.inverse(), &Text::Udp, b"answer");
    let mut error = icmp_error("192.168.1.254", "198.51.100.7", answer.ip());
    let (l3, l4) = (error.layout.l4 + 8, error.layout.l4 + 28);
    let quoted = Quoted { key: original.inverse(), l3, l4, transport_len: 14, tcp_seq: None };
    let related = table.related(&error, &quoted).unwrap();
    rewrite_error(&mut error, &quoted, &related);
    assert!(is_sound(&error));
    assert_eq!(error.layout.key.src().to_string(), "203.0.113.2");
    assert_eq!(parse(&error.transport()[8..]).layout.key, reply);
    assert!(parse(&error.transport()[8..]).transport_checksum_ok());
}
