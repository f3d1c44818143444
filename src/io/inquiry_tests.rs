//! The router's stack, and behind it a little internet that answers as hosts and routers do.

use std::net::SocketAddr;
use std::time::Duration;

use etherparse::PacketBuilder;

use super::super::host_link::{self, End};
use super::super::poller::Poller;
use super::*;
use crate::config::{self, Conditions};
use crate::host::{Stack, echo};
use crate::node::Offload;
use crate::wire::icmp_error::{self, ErrorCause};
use crate::wire::{Transport, reset, tcp_flags};

/// Hops before any host.
const ON_THE_WAY: u8 = 2;
/// A host that says nothing.
const SILENT: &str = "192.0.2.66";

fn compiled(servers: &str) -> Compiled {
    let text = include_str!("../../configs/single.toml").replacen(
        "[system]",
        &format!("[system]\ndns_servers = [{servers}]"),
        1,
    );
    let valid = config::load(&text).unwrap_or_else(|problems| panic!("{problems:?}"));
    let node = valid.node(None).unwrap();
    Compiled::under(Arc::new(valid), node, 1, vec![Offload::NONE; 2], Arc::new(Conditions::default()))
}

/// The stack of a router in front of that internet.
fn host() -> HostHandle {
    let (poller, mut own) = (Poller::new().unwrap(), Poller::new().unwrap());
    let (near, far) = host_link::pair(own.waker(), poller.waker());
    let stack = Stack::new(vec![443], 1500, entropy::seed().unwrap(), clock::now());
    let handle = HostHandle::start(stack, far, poller).unwrap();
    std::thread::spawn(move || internet(&near, &mut own));
    handle
}

fn internet(end: &End, poller: &mut Poller) {
    let (mut pool, mut ready) = (Pool::new(16), Vec::new());
    loop {
        let mut frames = Vec::new();
        end.receive(&mut frames, 64, &mut pool);
        let mut answers: Vec<FrameBuf> =
            frames.into_iter().filter_map(|frame| answer_to(frame, &mut pool)).collect();
        end.send(&mut answers, &mut pool);
        poller.arm();
        if poller.wait(Some(Duration::from_millis(20)), &mut ready).is_err() {
            return;
        }
    }
}

fn answer_to(frame: FrameBuf, pool: &mut Pool) -> Option<FrameBuf> {
    let Ok(Parsed::Ip(mut packet)) = Packet::parse(frame) else { return None };
    let key = packet.layout.key;
    if key.dst() == SILENT.parse::<IpAddr>().unwrap() {
        return None;
    }
    let hops = packet.layout.hop_limit;
    if hops <= ON_THE_WAY {
        let router = IpAddr::from([198, 51, 100, 100 + hops]);
        return icmp_error::build(&ErrorCause::TtlExceeded, &packet, router, pool);
    }
    match packet.layout.transport {
        Transport::IcmpQuery { request: true } => echo(&mut packet).then_some(packet.frame),
        Transport::Udp if key.dst_port() == dns::PORT => {
            let question = datagram::payload(&packet)?;
            let (IpAddr::V4(_), true) = (key.dst(), question[question.len() - 14] == 1) else {
                // Nothing is known about other kinds: an answer without records.
                let bytes = bare(question, 3);
                return back(&key, &bytes, pool);
            };
            back(&key, &with_address(question, [192, 0, 2, 7]), pool)
        }
        Transport::Udp => icmp_error::build(&ErrorCause::PortUnreachable, &packet, key.dst(), pool),
        Transport::Tcp { flags, seq, .. } if flags & tcp_flags::SYN != 0 && key.dst_port() == 80 => {
            let (IpAddr::V4(from), IpAddr::V4(to)) = (key.dst(), key.src()) else { return None };
            let tcp = PacketBuilder::ethernet2([0; 6], [0; 6])
                .ipv4(from.octets(), to.octets(), 64)
                .tcp(key.dst_port(), key.src_port(), 9, 1000)
                .syn()
                .ack(seq.wrapping_add(1));
            let mut bytes = Vec::new();
            tcp.write(&mut bytes, &[]).unwrap();
            Some(FrameBuf::copy_of(&bytes))
        }
        Transport::Tcp { .. } => reset::build(&packet, pool),
        _ => None,
    }
}

fn back(key: &FlowKey, payload: &[u8], pool: &mut Pool) -> Option<FrameBuf> {
    let from = SocketAddr::new(key.dst(), key.dst_port());
    datagram::build(from, SocketAddr::new(key.src(), key.src_port()), payload, pool)
}

/// The question with the flags of an answer, no records and this code.
fn bare(question: &[u8], code: u8) -> Vec<u8> {
    let mut bytes = question.to_vec();
    bytes[2..4].copy_from_slice(&[0x81, 0x80 | code]);
    // Without the record that says how large an answer may be.
    bytes[11] = 0;
    bytes.truncate(bytes.len() - 11);
    bytes
}

fn with_address(question: &[u8], address: [u8; 4]) -> Vec<u8> {
    let mut bytes = bare(question, 0);
    bytes[7] = 1;
    bytes.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
    bytes.extend_from_slice(&address);
    bytes
}

fn outcomes(found: &Finding) -> Vec<&str> {
    found.rows.iter().map(|row| row.outcome.as_str()).collect()
}

#[test]
fn hosts_are_pinged_ports_tried_and_ways_found() {
    let (host, compiled) = (host(), compiled("\"198.51.100.53\""));
    let ask = |inquiry: Inquiry| inquire(&host, &compiled, &inquiry);
    let to = || "192.0.2.1".to_owned();
    let found = ask(Inquiry::Ping { host: to(), source: None, count: 2 }).unwrap();
    assert_eq!(outcomes(&found), ["answer", "answer"]);
    assert_eq!(found.source, Some("198.51.100.2".parse().unwrap()), "the address toward the host");
    assert!(found.rows.iter().all(|row| row.millis.is_some_and(|millis| millis < 1000.0)));
    let own = "192.168.1.1".parse().unwrap();
    let found = ask(Inquiry::Port { host: to(), port: 80, source: Some(own) }).unwrap();
    assert_eq!((outcomes(&found), found.source), (vec!["open"], Some(own)));
    let found = ask(Inquiry::Port { host: to(), port: 81, source: None }).unwrap();
    assert_eq!(outcomes(&found), ["closed"]);
    for icmp in [false, true] {
        let found = ask(Inquiry::Trace { host: to(), source: None, icmp, hops: 6 }).unwrap();
        let from: Vec<String> = found.rows.iter().map(|row| row.from.unwrap().to_string()).collect();
        assert_eq!(from, ["198.51.100.101", "198.51.100.102", "192.0.2.1"], "icmp {icmp}");
    }
    let foreign = Some("203.0.113.9".parse().unwrap());
    let refused = ask(Inquiry::Ping { host: to(), source: foreign, count: 1 }).unwrap_err();
    assert!(refused.contains("not an address of this firewall"), "{refused}");
}

#[test]
fn names_are_asked_of_every_server_and_stand_for_hosts() {
    let (host, compiled) = (host(), compiled("\"198.51.100.53\""));
    let ask = |inquiry: Inquiry| inquire(&host, &compiled, &inquiry);
    let found = ask(Inquiry::Names { name: "host.example".into(), server: None }).unwrap();
    assert_eq!(outcomes(&found), ["answer", "there is no such name"]);
    assert_eq!(found.rows[0].addresses, ["192.0.2.7".parse::<IpAddr>().unwrap()]);
    let found = ask(Inquiry::Ping { host: "host.example".into(), source: None, count: 1 }).unwrap();
    assert_eq!((found.address, outcomes(&found)), (Some("192.0.2.7".parse().unwrap()), vec!["answer"]));
    let wrong = ask(Inquiry::Names { name: "not a name".into(), server: None }).unwrap_err();
    assert!(wrong.contains("neither an address nor a name"), "{wrong}");
}

#[test]
fn who_says_nothing_is_waited_for_only_so_long() {
    let (host, compiled) = (host(), compiled(""));
    let begun = clock::now();
    let inquiry = Inquiry::Port { host: SILENT.into(), port: 80, source: None };
    assert_eq!(outcomes(&inquire(&host, &compiled, &inquiry).unwrap()), ["silence"]);
    assert!(clock::now().since(begun) < PATIENCE);
    let nameless = Inquiry::Names { name: "host.example".into(), server: None };
    assert!(inquire(&host, &compiled, &nameless).unwrap_err().contains("dns_servers"));
}
