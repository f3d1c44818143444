//! The stack and a client, back to back, in simulated time.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::task::{Context, Poll, Waker};

use etherparse::PacketBuilder;

use super::testing::{Client, frame, neighbours};
use super::*;
use crate::types::{Duration, Instant, Seed};
use crate::wire::{FrameBuf, Packet, Parsed};

const SECOND: Instant = Instant::from_secs(1);

fn stack() -> Stack {
    Stack::new(vec![443], 1500, Seed([1, 1]), SECOND)
}

fn exchange(client: &mut Client, stack: &mut Stack, now: Instant, room: usize) {
    for packet in client.run(now) {
        stack.handle_packet(now, packet);
    }
    let mut sent = Vec::new();
    stack.poll(now, room, &mut sent);
    for frame in sent {
        client.take(frame);
    }
}

fn accept(stack: &mut Stack) -> Option<Accepted> {
    match stack.poll_accept(&Context::from_waker(Waker::noop())) {
        Poll::Ready(accepted) => Some(accepted),
        Poll::Pending => None,
    }
}

fn write(stack: &mut Stack, id: ConnectionId, bytes: &[u8]) -> usize {
    match stack.poll_write(id, &Context::from_waker(Waker::noop()), bytes) {
        Poll::Ready(Ok(count)) => count,
        Poll::Ready(Err(Reset)) => panic!("reset"),
        Poll::Pending => 0,
    }
}

fn read(stack: &mut Stack, id: ConnectionId) -> Poll<Result<usize, Reset>> {
    stack.poll_read(id, &Context::from_waker(Waker::noop()), &mut [0; 4096])
}

/// A client whose connection is accepted.
fn connected(stack: &mut Stack, now: &mut Instant, port: u16) -> (Client, Accepted) {
    let (router, host) = neighbours(false);
    let mut client = Client::connect(SocketAddr::new(host.ip(), port), router, false);
    for _ in 0..10 {
        *now += Duration::from_millis(1);
        exchange(&mut client, stack, *now, 64);
        if let Some(accepted) = accept(stack) {
            return (client, accepted);
        }
    }
    panic!("not accepted");
}

fn tcp(source: [u8; 4], from: u16, to: u16, flags: fn(Tcp) -> Tcp) -> FrameBuf {
    let mut bytes = Vec::new();
    let builder = PacketBuilder::ipv4(source, [192, 168, 1, 1], 64).tcp(from, to, 7, 1024);
    flags(builder).write(&mut bytes, &[]).unwrap();
    frame(&bytes)
}

type Tcp = etherparse::PacketBuilderStep<etherparse::TcpHeader>;

#[test]
fn three_megabytes_arrive_whole_in_both_families_cut_or_not() {
    for (v6, whole) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut now = SECOND;
        let mut stack = stack();
        let (router, host) = neighbours(v6);
        let mut client = Client::connect(host, router, whole);
        let data: Vec<u8> = (0..3_000_000u32).map(|n| (n * 7 / 3) as u8).collect();
        let (mut sent, mut received, mut connection) = (0, Vec::new(), None);
        for round in 0..20_000 {
            now += Duration::from_micros(500);
            // Sometimes the queue to the forward thread is full.
            exchange(&mut client, &mut stack, now, round % 3);
            connection = connection.or_else(|| accept(&mut stack));
            if let Some(Accepted { id, local, peer }) = connection {
                assert_eq!((local, peer), (router, host));
                sent += write(&mut stack, id, &data[sent..]);
            }
            client.socket().recv(|bytes| (bytes.len(), received.extend_from_slice(bytes))).ok();
            if received.len() == data.len() {
                break;
            }
        }
        assert!(received == data, "v6 {v6}, whole {whole}: {} of {} bytes", received.len(), data.len());
        assert!(client.longest > 60_000, "superpackets of {} bytes", client.longest);
    }
}

#[test]
fn five_thousand_half_open_connections_do_not_keep_a_client_out() {
    let mut now = SECOND;
    let mut stack = stack();
    let mut out = Vec::new();
    for index in 0..5000u32 {
        stack.handle_packet(now, tcp([10, 0, (index >> 8) as u8, index as u8], 1000, 443, Tcp::syn));
        stack.poll(now, 512, &mut out);
        assert!(out.len() <= 1, "nothing but the SYN-ACK; an evicted one is told nothing");
        out.clear();
    }
    assert!(stack.counters().half_open_dropped >= 5000 - 256);
    connected(&mut stack, &mut now, 50_000);
}

#[test]
fn one_source_cannot_take_all_connections() {
    let mut now = SECOND;
    let mut stack = stack();
    for port in 1000..3000 {
        stack.handle_packet(now, tcp([192, 168, 1, 66], port, 443, Tcp::syn));
    }
    assert_eq!(stack.counters().half_open_dropped, 0, "its own excess is refused, nobody is pushed out");
    assert!(stack.counters().refused > 1000);
    connected(&mut stack, &mut now, 50_000);
}

#[test]
fn a_handshake_that_takes_too_long_is_forgotten() {
    let mut stack = stack();
    stack.handle_packet(SECOND, tcp([192, 168, 1, 66], 1000, 443, Tcp::syn));
    let (mut out, mut now) = (Vec::new(), SECOND);
    stack.poll(now, 512, &mut out);
    while let Some(next) = stack.poll_timeout() {
        now = next;
        assert!(now <= SECOND + Duration::from_secs(10));
        stack.poll(now, 512, &mut out);
    }
    assert_eq!(stack.counters().half_open_dropped, 1);
    assert!((2..8).contains(&out.len()), "{} SYN-ACKs", out.len());
}

#[test]
fn a_packet_of_no_connection_is_answered_with_a_reset() {
    let mut stack = stack();
    let mut out = Vec::new();
    type Change = fn(Tcp) -> Tcp;
    let cases: [(u16, Change, bool); 4] = [
        (80, Tcp::syn, true),
        (443, |tcp| tcp.ack(9), true),
        (80, Tcp::rst, false),
        (443, |tcp| tcp.rst().ack(9), false),
    ];
    for (port, flags, answered) in cases {
        stack.handle_packet(SECOND, tcp([192, 168, 1, 10], 1000, port, flags));
        stack.poll(SECOND, 512, &mut out);
        assert_eq!(out.len(), usize::from(answered));
        assert!(out.iter().all(|frame| frame.bytes()[14 + 20 + 13] & 4 == 4), "RST");
        out.clear();
    }
    for _ in 0..1500 {
        stack.handle_packet(SECOND, tcp([192, 168, 1, 10], 1000, 80, Tcp::syn));
    }
    stack.poll(SECOND, 2000, &mut out);
    assert!(out.len() < 1000 && stack.counters().resets_limited > 500);
}

#[test]
fn broken_and_foreign_packets_are_ignored() {
    let mut stack = stack();
    let mut broken = tcp([192, 168, 1, 10], 1000, 443, Tcp::syn);
    broken.bytes_mut()[14 + 20 + 4] ^= 1;
    stack.handle_packet(SECOND, broken);
    let mut datagram = Vec::new();
    let builder = PacketBuilder::ipv4([192, 168, 1, 10], [192, 168, 1, 1], 64);
    builder.udp(53, 53).write(&mut datagram, b"?").unwrap();
    datagram[28] ^= 1;
    stack.handle_packet(SECOND, frame(&datagram));
    let mut out = Vec::new();
    stack.poll(SECOND, 512, &mut out);
    assert!(out.is_empty());
    assert_eq!(stack.counters().ignored, 2);
}

#[test]
fn the_peer_sees_the_end_and_the_connection_is_forgotten() {
    let mut now = SECOND;
    let mut stack = stack();
    let (mut client, Accepted { id, .. }) = connected(&mut stack, &mut now, 50_000);
    client.socket().send_slice(b"GET /").unwrap();
    exchange(&mut client, &mut stack, now, 64);
    assert_eq!(read(&mut stack, id), Poll::Ready(Ok(5)));
    assert_eq!(read(&mut stack, id), Poll::Pending);
    write(&mut stack, id, b"200");
    stack.release(now, id);

    for _ in 0..5 {
        now += Duration::from_millis(20);
        exchange(&mut client, &mut stack, now, 64);
        exchange(&mut client, &mut stack, now, 64);
    }
    assert_eq!(client.socket().recv(|bytes| (bytes.len(), bytes.to_vec())).unwrap(), b"200");
    assert!(!client.socket().may_recv(), "FIN");
    client.socket().close();
    for _ in 0..5 {
        now += Duration::from_millis(20);
        exchange(&mut client, &mut stack, now, 64);
    }
    assert_eq!(read(&mut stack, id), Poll::Ready(Err(Reset)), "the name means nothing any more");
}

#[test]
fn a_peer_that_will_not_end_is_reset() {
    let mut now = SECOND;
    let mut stack = stack();
    let (mut client, Accepted { id, .. }) = connected(&mut stack, &mut now, 50_000);
    stack.release(now, id);
    for _ in 0..1200 {
        now += Duration::from_millis(10);
        exchange(&mut client, &mut stack, now, 64);
    }
    assert!(!client.socket().is_open(), "{}", client.socket().state());
}

#[test]
fn a_peer_that_has_reset_may_begin_again_from_the_same_port() {
    let mut now = SECOND;
    let mut stack = stack();
    let (mut client, Accepted { id: old, .. }) = connected(&mut stack, &mut now, 50_000);
    client.socket().abort();
    exchange(&mut client, &mut stack, now, 64);
    let (_, Accepted { id: new, .. }) = connected(&mut stack, &mut now, 50_000);
    assert_eq!(read(&mut stack, old), Poll::Ready(Err(Reset)));
    stack.release(now, old);
    stack.poll(now, 64, &mut Vec::new());
    assert_eq!(read(&mut stack, new), Poll::Pending);
}

#[test]
fn connections_to_a_lost_address_are_reset() {
    let mut now = SECOND;
    let mut stack = stack();
    let (mut client, Accepted { id, .. }) = connected(&mut stack, &mut now, 50_000);
    stack.abort_local(IpAddr::V4(Ipv4Addr::new(192, 168, 1, 2)));
    exchange(&mut client, &mut stack, now, 64);
    assert!(client.socket().may_send());
    stack.abort_local(IpAddr::V4(Ipv4Addr::new(192, 168, 1, 1)));
    exchange(&mut client, &mut stack, now, 64);
    exchange(&mut client, &mut stack, now, 64);
    assert!(!client.socket().is_open());
    assert_eq!(read(&mut stack, id), Poll::Ready(Err(Reset)));
    stack.release(now, id);
    stack.poll(now, 64, &mut Vec::new());
    assert_eq!(stack.poll_timeout(), None);
}

#[test]
fn sockets_are_used_again() {
    let mut now = SECOND;
    let mut stack = stack();
    for port in 50_000..50_050 {
        let (mut client, Accepted { id, .. }) = connected(&mut stack, &mut now, port);
        write(&mut stack, id, b"hello");
        stack.release(now, id);
        exchange(&mut client, &mut stack, now, 64);
        client.socket().close();
        for _ in 0..4 {
            now += Duration::from_millis(20);
            exchange(&mut client, &mut stack, now, 64);
        }
        assert_eq!(client.socket().recv(|bytes| (bytes.len(), bytes.to_vec())).unwrap(), b"hello");
        assert_eq!(read(&mut stack, id), Poll::Ready(Err(Reset)));
    }
    assert_eq!(stack.counters().accepted, 50);
}

#[test]
fn echo_is_turned_around_in_place_for_both_families() {
    let mut four = Vec::new();
    let builder = PacketBuilder::ipv4([192, 168, 1, 10], [192, 168, 1, 1], 17);
    builder.icmpv4_echo_request(7, 1).write(&mut four, b"koi!").unwrap();
    let mut six = Vec::new();
    let builder = PacketBuilder::ipv6([1; 16], [2; 16], 17);
    builder.icmpv6_echo_request(7, 1).write(&mut six, b"koi!").unwrap();
    for ip in [four, six] {
        let Ok(Parsed::Ip(mut packet)) = Packet::parse(frame(&ip)) else { panic!("an IP packet") };
        let request = packet.layout.key;
        assert!(echo(&mut packet));
        let Ok(Parsed::Ip(reply)) = Packet::parse(FrameBuf::copy_of(packet.frame.bytes())) else {
            panic!("a reply")
        };
        assert_eq!(reply.layout.key, request.inverse());
        assert!(reply.transport_checksum_ok() && reply.layout.hop_limit == 64);
        let mut again = reply;
        assert!(!echo(&mut again), "a reply is not answered");
    }
}

#[test]
fn datagrams_leave_with_room_and_arrive_bounded() {
    let mut stack = stack();
    let (local, remote) = ("192.168.1.1:50000".parse().unwrap(), "192.0.2.53:53".parse().unwrap());
    for count in 0..300 {
        assert_eq!(stack.send_datagram(local, remote, b"question"), count < 256);
    }
    assert!(stack.wants_room());
    let mut sent = Vec::new();
    stack.poll(SECOND, 100, &mut sent);
    assert_eq!(sent.len(), 100);
    stack.poll(SECOND, 500, &mut sent);
    assert_eq!(sent.len(), 256);
    let Ok(Parsed::Ip(packet)) = Packet::parse(sent.remove(0)) else { panic!() };
    assert_eq!(crate::wire::datagram::payload(&packet), Some(&b"question"[..]));
    assert!(!stack.send_datagram(local, remote, &[0; 2000]), "too long for one packet");

    let mut answer = Vec::new();
    let builder = PacketBuilder::ipv4([192, 0, 2, 53], [192, 168, 1, 1], 64).udp(53, 50_000);
    builder.write(&mut answer, b"answer").unwrap();
    for _ in 0..300 {
        stack.handle_packet(SECOND, frame(&answer));
    }
    let arrived: Vec<Datagram> = std::iter::from_fn(|| stack.take_datagram()).collect();
    assert_eq!(arrived.len(), 256);
    assert_eq!(arrived[0], Datagram { local, remote, payload: b"answer".into() });
    answer[30] ^= 1;
    stack.handle_packet(SECOND, frame(&answer));
    assert!(stack.take_datagram().is_none(), "a broken one is ignored");
    assert_eq!(stack.counters().datagrams_refused, 44 + 44);
}

/// One stack begins a connection to the other, which listens.
fn pass(from: &mut Stack, to: &mut Stack, now: Instant) -> usize {
    let mut sent = Vec::new();
    from.poll(now, 64, &mut sent);
    let count = sent.len();
    sent.into_iter().for_each(|frame| to.handle_packet(now, frame));
    count
}

#[test]
fn a_connection_of_our_own_reaches_who_listens_and_nobody_else() {
    for v6 in [false, true] {
        let (server, own) = neighbours(v6);
        let (mut near, mut far) = (Stack::new(vec![], 1500, Seed([3, 3]), SECOND), stack());
        let mut now = SECOND;
        let id = near.connect(now, own, server).unwrap();
        let context = Context::from_waker(Waker::noop());
        assert_eq!(near.poll_connect(id, &context), Poll::Pending);
        let mut accepted = None;
        for _ in 0..10 {
            now += Duration::from_millis(1);
            pass(&mut near, &mut far, now);
            pass(&mut far, &mut near, now);
            accepted = accepted.or_else(|| accept(&mut far));
        }
        let accepted = accepted.expect("accepted");
        assert_eq!((accepted.local, accepted.peer), (server, own));
        assert_eq!(near.poll_connect(id, &context), Poll::Ready(Ok(())));
        assert_eq!(write(&mut near, id, b"hello"), 5);
        for _ in 0..5 {
            now += Duration::from_millis(1);
            pass(&mut near, &mut far, now);
            pass(&mut far, &mut near, now);
        }
        assert_eq!(read(&mut far, accepted.id), Poll::Ready(Ok(5)));
        near.release(now, id);
        assert!(near.connect(now, own, server).is_none(), "the same two ends");
    }
}

#[test]
fn a_connection_that_nobody_answers_ends_and_there_are_only_so_many() {
    let (server, own) = neighbours(false);
    let mut near = Stack::new(vec![], 1500, Seed([3, 3]), SECOND);
    let at = |port: u16| SocketAddr::new(own.ip(), port);
    let ids: Vec<_> = (0..20).filter_map(|n| near.connect(SECOND, at(50_000 + n), server)).collect();
    assert_eq!(ids.len(), 8);
    let mut now = SECOND;
    let context = Context::from_waker(Waker::noop());
    for _ in 0..400 {
        now += Duration::from_millis(100);
        near.poll(now, 64, &mut Vec::new());
    }
    for id in ids {
        assert_eq!(near.poll_connect(id, &context), Poll::Ready(Err(Reset)));
        near.release(now, id);
    }
    for _ in 0..200 {
        now += Duration::from_millis(100);
        near.poll(now, 64, &mut Vec::new());
    }
    assert!(near.connect(now, own, server).is_some(), "there is room again");
    // A refusal is known at once.
    let (mut near, mut far) = (Stack::new(vec![], 1500, Seed([3, 3]), SECOND), stack());
    let id = near.connect(now, own, SocketAddr::new(server.ip(), 25)).unwrap();
    for _ in 0..5 {
        now += Duration::from_millis(1);
        pass(&mut near, &mut far, now);
        pass(&mut far, &mut near, now);
    }
    assert_eq!(near.poll_connect(id, &context), Poll::Ready(Err(Reset)));
}
