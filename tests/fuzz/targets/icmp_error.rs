//! Errors about packets: what the router builds is sound, quotes what it is about, and is never about an error; what
//! it forwards is translated outside and inside.
//!
//! Input: a byte (lowest bits: repair; the rest: cause), an MTU, the router's address, the key that the packet was
//! translated to, then the frame.
#![no_main]

use std::cell::RefCell;
use std::net::IpAddr;

use koi::config::Conditions;
use koi::conntrack::{ConntrackConfig, NO_HOP, Pending, Table, Via};
use koi::types::{Direction, Instant, InterfaceId, Seed};
use koi::wire::icmp_error::{self, ErrorCause, Quoted};
use koi::wire::{FlowKey, Fragment, FrameBuf, Packet, Pool, Transport, protocol};
use koi::{config, nat, rules};
use koi_fuzz::{Input, Repair, assert_layout, assert_sound, deviation, ip, other_key, sum};
use libfuzzer_sys::fuzz_target;

const NOW: Instant = Instant::from_secs(1);

thread_local! {
    static POOL: RefCell<Pool> = RefCell::new(Pool::new(16));
    static PASS: (rules::Pass, config::model::Timeouts) = pass();
}

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let control = input.byte();
    let cause = cause(control >> 3, input.word());
    let (from4, from6) = (input.address([0; 4].into()), input.address([0; 16].into()));
    let mut key = Input::new(input.take(36));
    let mut bytes = input.rest().to_vec();
    Repair::from_bits(control).apply(&mut bytes);
    let Some(packet) = ip(FrameBuf::copy_of(&bytes)) else { return };
    if let Ok(quoted) = icmp_error::quoted(&packet) {
        within(&packet, &quoted);
    }
    let from = if packet.layout.key.src().is_ipv4() { from4 } else { from6 };
    POOL.with_borrow_mut(|pool| {
        let Some(error) = icmp_error::build(&cause, &packet, from, pool) else { return };
        let error = ip(error).expect("an error is a packet");
        check(&error, &packet, from);
        for about in [cause, ErrorCause::TtlExceeded, ErrorCause::FragmentNeeded { mtu: 1_280 }] {
            assert!(icmp_error::build(&about, &error, from, pool).is_none(), "an error about an error");
        }
        pool.give(error.frame);
        let to = other_key(&packet, &mut key);
        translated(packet, to, from, cause, pool);
    });
});

fn cause(number: u8, mtu: u16) -> ErrorCause {
    match number % 8 {
        0 => ErrorCause::TtlExceeded,
        1 => ErrorCause::FragmentNeeded { mtu },
        2 => ErrorCause::NoRoute,
        3 => ErrorCause::HostUnreachable,
        4 => ErrorCause::PortUnreachable,
        5 => ErrorCause::AdminProhibited,
        6 => ErrorCause::ReassemblyTimeout,
        _ => ErrorCause::ParameterProblem { pointer: number },
    }
}

/// What was found in an error is in the error.
fn within(error: &Packet, quoted: &Quoted) {
    let (l3, l4, end) = (usize::from(quoted.l3), usize::from(quoted.l4), error.layout.end as usize);
    assert!(usize::from(error.layout.l4) + 8 == l3 && l3 + 20 <= l4 && l4 + quoted.transport_len <= end);
    assert_eq!(quoted.key.family(), error.layout.key.family());
    assert_eq!(quoted.tcp_seq.is_some(), quoted.key.protocol() == protocol::TCP);
}

fn check(error: &Packet, about: &Packet, from: IpAddr) {
    assert_sound(error);
    let key = error.layout.key;
    assert_eq!((key.src(), key.dst()), (from, about.layout.key.src()));
    assert!(matches!(error.layout.transport, Transport::IcmpError { .. }));
    assert!(!key.dst().is_multicast() && !key.dst().is_unspecified());
    let (limit, v4) = if key.src().is_ipv4() { (576, true) } else { (1_280, false) };
    assert!(error.ip().len() <= limit);
    let later = matches!(about.layout.fragment, Fragment::Part { offset, .. } if offset > 0);
    assert!(!(v4 && later), "about a later fragment");
    assert!(!is_error(about), "about an error");
    let header = if v4 { 28 } else { 48 };
    assert!(about.ip().starts_with(&error.ip()[header..]), "it quotes the packet");
    let plain = usize::from(about.layout.l4 - about.layout.l3) + 8 <= limit - header;
    let tracked = matches!(
        about.layout.transport,
        Transport::Tcp { .. } | Transport::Udp | Transport::IcmpQuery { .. }
    );
    match icmp_error::quoted(error) {
        Ok(quoted) => {
            within(error, &quoted);
            assert_eq!(quoted.key, about.layout.key);
        }
        Err(reason) => assert!(later || !plain || !tracked, "{reason:?} of {:?}", about.layout),
    }
}

/// By the numbers of the protocols, not by the parser's word for it.
fn is_error(packet: &Packet) -> bool {
    let kind = packet.transport().first().copied().unwrap_or(0);
    let first = !matches!(packet.layout.fragment, Fragment::Part { offset, .. } if offset > 0);
    first
        && match (packet.layout.key, packet.layout.key.protocol()) {
            (FlowKey::V4(_), protocol::ICMP) => matches!(kind, 3 | 4 | 5 | 11 | 12),
            (FlowKey::V6(_), protocol::ICMPV6) => kind < 128,
            _ => false,
        }
}

/// The packet opens a flow, is translated to `to` and meets an error on its way: its sender must be able to tell
/// which packet that was about.
fn translated(packet: Packet, to: FlowKey, router: IpAddr, cause: ErrorCause, pool: &mut Pool) {
    let original = packet.layout.key;
    let query = matches!(packet.layout.transport, Transport::IcmpQuery { request: false });
    if packet.layout.fragment != Fragment::Whole || query || deviation(&packet) != (0, 0) {
        return;
    }
    let (pass, timeouts) = PASS.with(|(pass, timeouts)| (*pass, *timeouts));
    let mut table = Table::new(ConntrackConfig::new(16, timeouts), Seed([1, 2]), NOW);
    let pending = Pending {
        original,
        reply: to.inverse(),
        pass_in: pass,
        pass_out: pass,
        via: Via::default(),
        ingress: InterfaceId(1),
        egress: InterfaceId(0),
        next_hop: [NO_HOP; 2],
        epoch: 1,
        ends_here: false,
    };
    if table.insert(NOW, pending, &packet).is_err() {
        return;
    }
    let mut sent = packet;
    nat::rewrite(&mut sent, &to);
    let Some(error) = icmp_error::build(&cause, &sent, router, pool) else { return };
    let mut error = ip(error).expect("an error is a packet");
    let Ok(quoted) = icmp_error::quoted(&error) else { return };
    // A flow that goes to itself has only one key.
    let Ok(related) = table.related(&error, &quoted) else { return };
    if related.quoted != original {
        return;
    }
    let inner = inner_header(&error, &quoted);
    nat::rewrite_error(&mut error, &quoted, &related);
    assert_layout(&error);
    assert_eq!(deviation(&error), (0, 0));
    assert_eq!(error.layout.key.dst(), original.src());
    assert_eq!(inner_header(&error, &quoted), inner, "the sum of the quoted header");
    let quoted = icmp_error::quoted(&error).expect("still an error about a flow");
    assert_eq!(quoted.key, original);
    whole_inside(error, &quoted);
}

/// How far the sum of a quoted IPv4 header is from right.
fn inner_header(error: &Packet, quoted: &Quoted) -> u16 {
    match quoted.key {
        FlowKey::V4(_) => sum(&error.frame.bytes()[quoted.l3.into()..quoted.l4.into()]) % 0xffff,
        FlowKey::V6(_) => 0,
    }
}

/// A packet that is quoted in full has right checksums again.
fn whole_inside(error: Packet, quoted: &Quoted) {
    let bytes = error.frame.bytes();
    let mut frame = bytes[..14].to_vec();
    frame.extend_from_slice(&bytes[quoted.l3.into()..error.layout.end as usize]);
    if let Some(inner) = ip(FrameBuf::copy_of(&frame)) {
        assert_eq!(deviation(&inner), (0, 0), "checksums of the quoted packet");
    }
}

/// The witness of a rule that lets everything pass.
fn pass() -> (rules::Pass, config::model::Timeouts) {
    let valid = config::load(include_str!("../document.toml")).expect("the document is valid");
    let node = valid.node(None).expect("it has one node");
    let key = FlowKey::new(protocol::UDP, [192, 168, 1, 10].into(), 1, [203, 0, 113, 9].into(), 2);
    let key = key.expect("one family");
    let query = rules::Query::new(Direction::In, InterfaceId(1), key, Transport::Udp);
    match rules::compile(&valid, node, &Conditions::default()).evaluate(&query) {
        rules::Verdict::Pass(pass) => (pass, valid.system.timers()),
        rules::Verdict::Block { rule, .. } => panic!("blocked by {rule}"),
    }
}
