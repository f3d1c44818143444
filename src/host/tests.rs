//! Two stacks, back to back, in simulated time.

use std::net::{IpAddr, SocketAddr};
use std::task::{Context, Poll, Waker};

use super::*;
use crate::types::{Instant, Seed};
use crate::wire::{FrameBuf, Packet, Parsed, segment};
use etherparse::PacketBuilder;
use smoltcp::iface::{Config, Interface, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp;
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};

/// A plain client: smoltcp without offloads.
struct Client {
    interface: Interface,
    card: PlainCard,
    sockets: SocketSet<'static>,
}

#[derive(Default)]
struct PlainCard {
    incoming: Vec<Vec<u8>>,
    outgoing: Vec<Vec<u8>>,
}

struct Token<'a>(&'a mut Vec<Vec<u8>>);
struct Taken(Vec<u8>);

impl Device for PlainCard {
    type RxToken<'a> = Taken;
    type TxToken<'a> = Token<'a>;
    fn receive(&mut self, _: smoltcp::time::Instant) -> Option<(Taken, Token<'_>)> {
        if self.incoming.is_empty() {
            return None;
        }
        Some((Taken(self.incoming.remove(0)), Token(&mut self.outgoing)))
    }
    fn transmit(&mut self, _: smoltcp::time::Instant) -> Option<Token<'_>> {
        Some(Token(&mut self.outgoing))
    }
    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = 1500;
        capabilities
    }
}

impl RxToken for Taken {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

impl TxToken for Token<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut bytes = vec![0; len];
        let result = f(&mut bytes);
        self.0.push(bytes);
        result
    }
}

fn frame(ip: &[u8]) -> FrameBuf {
    let kind = if ip[0] >> 4 == 4 { [8, 0] } else { [0x86, 0xdd] };
    FrameBuf::copy_of(&[&[0; 12][..], &kind, ip].concat())
}

const ROUTER: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::new(192, 168, 1, 1)), 443);

impl Client {
    fn connect() -> (Self, smoltcp::iface::SocketHandle) {
        let mut card = PlainCard::default();
        let mut interface =
            Interface::new(Config::new(HardwareAddress::Ip), &mut card, smoltcp::time::Instant::ZERO);
        interface.update_ip_addrs(|list| {
            list.push(IpCidr::new(IpAddress::v4(192, 168, 1, 10), 24)).unwrap();
        });
        let mut sockets = SocketSet::new(Vec::new());
        let buffer = || tcp::SocketBuffer::new(vec![0; 65_535]);
        let handle = sockets.add(tcp::Socket::new(buffer(), buffer()));
        let to = (IpAddress::from(ROUTER.ip()), ROUTER.port());
        sockets.get_mut::<tcp::Socket>(handle).connect(interface.context(), to, 50_000).unwrap();
        (Client { interface, card, sockets }, handle)
    }

    /// Exchanges packets with the stack; superpackets are cut on the way, as a plain port would.
    fn exchange(&mut self, now: Instant, stack: &mut Stack) {
        let then = smoltcp::time::Instant::from_micros((now.as_nanos() / 1000) as i64);
        self.interface.poll(then, &mut self.card, &mut self.sockets);
        for bytes in self.card.outgoing.drain(..) {
            stack.handle_packet(now, frame(&bytes));
        }
        let mut sent = Vec::new();
        stack.poll(now, 512, &mut sent);
        for mut frame in sent {
            frame.bytes_mut()[12..14].copy_from_slice(&[8, 0]);
            let Ok(Parsed::Ip(packet)) = Packet::parse(frame) else { panic!("an IP packet") };
            let mut pieces = Vec::new();
            segment::split(packet, stack.pool(), &mut pieces);
            self.card.incoming.extend(pieces.iter().map(|piece| piece.bytes()[14..].to_vec()));
        }
    }
}

fn accept(stack: &mut Stack) -> Option<Accepted> {
    match stack.poll_accept(&Context::from_waker(Waker::noop())) {
        Poll::Ready(accepted) => Some(accepted),
        Poll::Pending => None,
    }
}

#[test]
fn a_client_connects_and_a_megabyte_arrives_whole() {
    let mut now = Instant::from_secs(1);
    let mut stack = Stack::new(vec![443], 1500, Seed([1, 1]), now);
    let (mut client, handle) = Client::connect();
    let data: Vec<u8> = (0..1_000_000u32).map(|n| (n * 7 / 3) as u8).collect();
    let (mut sent, mut received, mut connection) = (0, Vec::new(), None);
    for _ in 0..20_000 {
        now += crate::types::Duration::from_micros(500);
        client.exchange(now, &mut stack);
        connection = connection.or_else(|| accept(&mut stack));
        if let Some(Accepted { id, local, peer }) = connection {
            assert_eq!((local, peer.port()), (ROUTER, 50_000));
            let context = Context::from_waker(Waker::noop());
            if let Poll::Ready(Ok(count)) = stack.poll_write(id, &context, &data[sent..]) {
                sent += count;
            }
        }
        let socket = client.sockets.get_mut::<tcp::Socket>(handle);
        while socket.can_recv() {
            socket.recv(|bytes| (bytes.len(), received.extend_from_slice(bytes))).unwrap();
        }
        if received.len() == data.len() {
            break;
        }
    }
    assert!(received == data, "{} of {} bytes", received.len(), data.len());
}

#[test]
fn five_thousand_half_open_connections_do_not_keep_a_client_out() {
    let mut now = Instant::from_secs(1);
    let mut stack = Stack::new(vec![443], 1500, Seed([1, 1]), now);
    let mut out = Vec::new();
    for index in 0..5000u32 {
        let mut syn = Vec::new();
        let source = [10, 0, (index >> 8) as u8, index as u8];
        PacketBuilder::ipv4(source, [192, 168, 1, 1], 64)
            .tcp(1000, 443, 7, 1024)
            .syn()
            .write(&mut syn, &[])
            .unwrap();
        stack.handle_packet(now, frame(&syn));
        stack.poll(now, 512, &mut out);
        out.clear();
    }
    assert!(stack.counters().half_open_dropped >= 5000 - 256);
    let (mut client, _) = Client::connect();
    for _ in 0..20 {
        now += crate::types::Duration::from_millis(1);
        client.exchange(now, &mut stack);
        if accept(&mut stack).is_some() {
            return;
        }
    }
    panic!("the client did not get in");
}

#[test]
fn an_unserved_port_answers_with_a_reset() {
    let now = Instant::from_secs(1);
    let mut stack = Stack::new(vec![443], 1500, Seed([1, 1]), now);
    let mut syn = Vec::new();
    PacketBuilder::ipv4([192, 168, 1, 10], [192, 168, 1, 1], 64)
        .tcp(1000, 80, 7, 1024)
        .syn()
        .write(&mut syn, &[])
        .unwrap();
    stack.handle_packet(now, frame(&syn));
    let mut out = Vec::new();
    stack.poll(now, 512, &mut out);
    assert_eq!(out.len(), 1);
    assert_eq!(out[0].bytes()[14 + 20 + 13] & 4, 4, "RST");
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
