//! Each of pf's timers is the life of a flow in the state that it is named after.

use std::time::Duration;

use crate::rig::{echo, echo_answer, syn, tcp, udp};
use crate::{CLIENT, FAR, LAN, WAN, document, other, rig};

/// A packet and the port by which it comes in.
type Incoming = (u8, Vec<u8>);

/// How long, in seconds, the one flow that `packets` make lives under `timeouts`.
fn lifetime(timeouts: &str, packets: &[Incoming]) -> u64 {
    let mut rig =
        rig(&[("udp_first = 60", timeouts), ("[[rule]]", "[outbound]\nmode = \"disabled\"\n[[rule]]")]);
    for (port, packet) in packets {
        rig.packet(*port, packet.clone());
    }
    assert_eq!(rig.shard.states(), 1, "{:?}", rig.shard.recent_drops());
    let begin = rig.now;
    while rig.shard.states() > 0 {
        rig.wait(Duration::from_secs(1));
        assert!(rig.now.since(begin).as_secs() < 10_000);
    }
    rig.now.since(begin).as_secs()
}

/// A TCP connection from the client to a far host: the handshake up to so many segments, then the end.
fn connection(handshake: usize, end: &[(u8, &str)]) -> Vec<Incoming> {
    let (client, far) = ((CLIENT, 5000), (FAR, 80));
    let mut packets = vec![
        (LAN, syn(client, far, 1460)),
        (WAN, tcp(far, client, "SA", 7000, 1001)),
        (LAN, tcp(client, far, "A", 1001, 7001)),
    ];
    packets.truncate(handshake);
    let (mut ours, mut theirs) = (1001, 7001);
    for (port, flags) in end {
        let (packet, next) = match *port {
            LAN => (tcp(client, far, flags, ours, theirs), &mut ours),
            _ => (tcp(far, client, flags, theirs, ours), &mut theirs),
        };
        *next += u32::from(flags.contains('F'));
        packets.push((*port, packet));
    }
    packets
}

fn datagrams(ways: &[u8]) -> Vec<Incoming> {
    let (client, far) = ((CLIENT, 5000), (FAR, 53));
    let packet = |way: &u8| match *way {
        LAN => (LAN, udp(client, far, b"x")),
        port => (port, udp(far, client, b"x")),
    };
    ways.iter().map(packet).collect()
}

fn others(ways: &[u8]) -> Vec<Incoming> {
    let packet = |way: &u8| match *way {
        LAN => (LAN, other(CLIENT, FAR)),
        port => (port, other(FAR, CLIENT)),
    };
    ways.iter().map(packet).collect()
}

#[test]
fn every_timeout_is_the_life_of_a_flow() {
    let table: Vec<(&str, Vec<Incoming>)> = vec![
        ("tcp_first", connection(1, &[])),
        ("tcp_opening", connection(2, &[])),
        ("tcp_established", connection(3, &[])),
        ("tcp_closing", connection(3, &[(LAN, "FA")])),
        ("tcp_finwait", connection(3, &[(LAN, "FA"), (WAN, "FA")])),
        ("tcp_closed", connection(3, &[(LAN, "FA"), (WAN, "FA"), (LAN, "A")])),
        ("tcp_closed", connection(3, &[(LAN, "R")])),
        ("udp_first", datagrams(&[LAN])),
        ("udp_single", datagrams(&[LAN, WAN])),
        ("udp_multiple", datagrams(&[LAN, WAN, LAN, WAN])),
        ("icmp_first", vec![(LAN, echo(CLIENT, FAR, 7))]),
        ("icmp_error", vec![(LAN, echo(CLIENT, FAR, 7)), (WAN, echo_answer(FAR, CLIENT, 7))]),
        ("other_first", others(&[LAN])),
        ("other_single", others(&[LAN, WAN])),
        ("other_multiple", others(&[LAN, WAN, LAN, WAN])),
    ];
    for (field, packets) in table {
        for seconds in [40, 150] {
            let lived = lifetime(&format!("{field} = {seconds}"), &packets);
            assert!((seconds..=seconds + 12).contains(&lived), "{field} = {seconds}: lived {lived} s");
        }
    }
}

#[test]
fn frag_is_how_long_the_rest_of_a_datagram_may_take() {
    for seconds in [10, 50] {
        let mut rig = rig(&[("udp_first = 60", &format!("frag = {seconds}"))]);
        rig.packet(LAN, first_fragment());
        let held = |rig: &crate::rig::Rig| rig.shard.drops_of(koi::wire::Drop::FragmentTimeout) == 0;
        rig.wait(Duration::from_secs(seconds - 2));
        assert!(held(&rig), "{seconds}");
        rig.wait(Duration::from_secs(15));
        assert!(!held(&rig), "{seconds}");
    }
}

/// A datagram of which more should come.
fn first_fragment() -> Vec<u8> {
    let mut packet = udp((CLIENT, 5000), (FAR, 53), &[0; 1000]);
    packet[6..8].copy_from_slice(&[0x20, 0]);
    packet[10..12].fill(0);
    let sum = !koi::wire::checksum::sum(&packet[..20]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet
}

#[test]
fn a_lowered_timeout_holds_for_flows_that_are_there() {
    let mut rig = rig(&[]);
    crate::ask(&mut rig);
    rig.apply(&document(&[("udp_first = 60", "udp_first = 20")]), 2);
    rig.wait(Duration::from_secs(32));
    assert_eq!(rig.shard.states(), 0);
}
