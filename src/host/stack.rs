//! TCP on the router's own addresses.
//!
//! A smoltcp socket is one connection, and a listening one is also the whole backlog; so a socket is made for each
//! SYN, half-open ones are bounded, and the oldest makes room. The packet path has already decided that a packet
//! may come to us; every destination address is ours here (`any_ip`).
//!
//! Invariant: pure. Time comes in, packets go out through the card; wakers are called, never waited for.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::task::{Context, Poll, Waker};

use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::socket::tcp;
use smoltcp::wire::{
    HardwareAddress, IpAddress, IpCidr, IpEndpoint, IpListenEndpoint, Ipv4Address, Ipv6Address,
};

use super::device::Card;
use crate::types::{Duration, Instant, Seed};
use crate::wire::{FrameBuf, Packet, Parsed, Pool, Transport, tcp_flags};

/// Connections whose handshake is not over.
const HALF_OPEN: usize = 256;
/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Connections that a page or two hundred browsers need.
const CONNECTIONS: usize = 512;
/// Sent and not acknowledged; 256 KiB keep a fast LAN busy.
const SEND_BUFFER: usize = 512 << 10;
const RECEIVE_BUFFER: usize = 64 << 10;
/// A peer that says nothing for this long while something is owed is gone.
const SILENCE: smoltcp::time::Duration = smoltcp::time::Duration::from_secs(60);

/// A connection that a listener has accepted.
#[derive(Clone, Copy, Debug)]
pub struct Accepted {
    /// Its socket.
    pub handle: SocketHandle,
    /// The address of ours that the peer connected to.
    pub local: SocketAddr,
    /// The peer.
    pub peer: SocketAddr,
}

/// What the stack has done and refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Connections that were handed to a listener.
    pub accepted: u64,
    /// Half-open connections that made room for newer ones, or took too long.
    pub half_open_dropped: u64,
    /// SYNs refused because there were too many connections.
    pub refused: u64,
}

struct HalfOpen {
    handle: SocketHandle,
    local: SocketAddr,
    peer: SocketAddr,
    since: Instant,
}

/// The stack.
pub struct Stack {
    interface: Interface,
    card: Card,
    sockets: SocketSet<'static>,
    ports: Vec<u16>,
    half_open: VecDeque<HalfOpen>,
    ready: VecDeque<Accepted>,
    closing: Vec<SocketHandle>,
    open: usize,
    accept_waker: Option<Waker>,
    counters: Counters,
    clock: Instant,
}

impl Stack {
    /// A stack that listens on these TCP ports; `mtu` bounds what it sends in one segment.
    pub fn new(ports: Vec<u16>, mtu: usize, seed: Seed, now: Instant) -> Self {
        let mut card = Card::new(mtu);
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = seed.random().next();
        let mut interface = Interface::new(config, &mut card, time(now));
        interface.set_any_ip(true);
        interface.update_ip_addrs(|list| {
            // With any_ip these only say that both families are spoken.
            let all = [
                IpCidr::new(IpAddress::Ipv4(Ipv4Address::new(127, 0, 0, 1)), 0),
                IpCidr::new(IpAddress::Ipv6(Ipv6Address::LOCALHOST), 0),
            ];
            for cidr in all {
                // The list holds eight.
                let _ = list.push(cidr);
            }
        });
        Stack {
            interface,
            card,
            sockets: SocketSet::new(Vec::new()),
            ports,
            half_open: VecDeque::new(),
            ready: VecDeque::new(),
            closing: Vec::new(),
            open: 0,
            accept_waker: None,
            counters: Counters::default(),
            clock: now,
        }
    }

    /// Listens on other ports from now on; connections stay.
    pub fn listen(&mut self, ports: Vec<u16>) {
        self.ports = ports;
    }

    /// The buffers that packets are written into.
    pub fn pool(&mut self) -> &mut Pool {
        &mut self.card.pool
    }

    /// What it has done.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// A packet for us.
    pub fn handle_packet(&mut self, now: Instant, frame: FrameBuf) {
        let packet = match Packet::parse(frame) {
            Ok(Parsed::Ip(packet)) => packet,
            Ok(Parsed::Arp(frame)) | Err((_, frame)) => return self.card.pool.give(frame),
        };
        if let Transport::Tcp { flags, .. } = packet.layout.transport
            && flags & (tcp_flags::SYN | tcp_flags::ACK | tcp_flags::RST) == tcp_flags::SYN
        {
            let key = packet.layout.key;
            let local = SocketAddr::new(key.dst(), key.dst_port());
            self.expect(now, local, SocketAddr::new(key.src(), key.src_port()));
        }
        self.card.incoming.push_back(packet.frame);
    }

    /// Runs the stack; what it sends is appended to `out`.
    pub fn poll(&mut self, now: Instant, out: &mut Vec<FrameBuf>) {
        self.clock = now;
        self.interface.poll(time(now), &mut self.card, &mut self.sockets);
        self.settle(now);
        out.append(&mut self.card.outgoing);
    }

    /// When [`Stack::poll`] has something to do.
    pub fn poll_timeout(&mut self) -> Option<Instant> {
        let at = self.interface.poll_at(time(self.clock), &self.sockets);
        let at = at.map(|at| Instant::from_nanos(at.total_micros().max(0) as u64 * 1000));
        let oldest = self.half_open.front().map(|half| half.since + HANDSHAKE);
        [at, oldest].into_iter().flatten().min()
    }

    /// A socket for the connection that this SYN begins.
    fn expect(&mut self, now: Instant, local: SocketAddr, peer: SocketAddr) {
        let known = self.half_open.iter().any(|half| half.local == local && half.peer == peer);
        if known || !self.ports.contains(&local.port()) {
            return;
        }
        if self.open >= CONNECTIONS {
            self.counters.refused += 1;
            return;
        }
        if self.half_open.len() >= HALF_OPEN {
            self.drop_oldest();
        }
        let buffer = |size: usize| tcp::SocketBuffer::new(vec![0; size]);
        let mut socket = tcp::Socket::new(buffer(RECEIVE_BUFFER), buffer(SEND_BUFFER));
        socket.set_timeout(Some(SILENCE));
        socket.set_nagle_enabled(false);
        socket.set_congestion_control(tcp::CongestionControl::Cubic);
        let endpoint = IpListenEndpoint { addr: Some(local.ip().into()), port: local.port() };
        if socket.listen(endpoint).is_ok() {
            let handle = self.sockets.add(socket);
            self.half_open.push_back(HalfOpen { handle, local, peer, since: now });
        }
    }

    fn drop_oldest(&mut self) {
        if let Some(half) = self.half_open.pop_front() {
            // Removed without a word: an answer to a forged source would hit somebody else.
            self.sockets.remove(half.handle);
            self.counters.half_open_dropped += 1;
        }
    }

    /// Moves connections on whose state has changed.
    fn settle(&mut self, now: Instant) {
        for _ in 0..self.half_open.len() {
            let Some(half) = self.half_open.pop_front() else { break };
            let socket = self.sockets.get::<tcp::Socket>(half.handle);
            if socket.may_send() || socket.may_recv() {
                let accepted = Accepted { handle: half.handle, local: half.local, peer: half.peer };
                self.ready.push_back(accepted);
                self.open += 1;
                self.counters.accepted += 1;
            } else if !socket.is_open() || now.since(half.since) >= HANDSHAKE {
                self.sockets.remove(half.handle);
                self.counters.half_open_dropped += 1;
            } else {
                self.half_open.push_back(half);
            }
        }
        let Stack { sockets, closing, open, .. } = self;
        closing.retain(|handle| {
            let state = sockets.get::<tcp::Socket>(*handle).state();
            let over = matches!(state, tcp::State::Closed | tcp::State::TimeWait | tcp::State::Listen);
            if over {
                sockets.remove(*handle);
                *open -= 1;
            }
            !over
        });
        if !self.ready.is_empty()
            && let Some(waker) = self.accept_waker.take()
        {
            waker.wake();
        }
    }

    /// The next connection.
    pub fn poll_accept(&mut self, context: &Context<'_>) -> Poll<Accepted> {
        match self.ready.pop_front() {
            Some(accepted) => Poll::Ready(accepted),
            None => {
                self.accept_waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Bytes that the peer has sent; zero at the end.
    pub fn poll_read(&mut self, handle: SocketHandle, context: &Context<'_>, into: &mut [u8]) -> Poll<usize> {
        let socket = self.sockets.get_mut::<tcp::Socket>(handle);
        if socket.can_recv() {
            return Poll::Ready(socket.recv_slice(into).unwrap_or(0));
        }
        if !socket.may_recv() {
            return Poll::Ready(0);
        }
        socket.register_recv_waker(context.waker());
        Poll::Pending
    }

    /// Takes bytes for the peer; `None` when the connection is gone.
    pub fn poll_write(
        &mut self,
        handle: SocketHandle,
        context: &Context<'_>,
        bytes: &[u8],
    ) -> Poll<Option<usize>> {
        let socket = self.sockets.get_mut::<tcp::Socket>(handle);
        if !socket.may_send() {
            return Poll::Ready(None);
        }
        match socket.send_slice(bytes) {
            Ok(0) if !bytes.is_empty() => {
                socket.register_send_waker(context.waker());
                Poll::Pending
            }
            Ok(count) => Poll::Ready(Some(count)),
            Err(_) => Poll::Ready(None),
        }
    }

    /// Nothing more will be written.
    pub fn shutdown(&mut self, handle: SocketHandle) {
        self.sockets.get_mut::<tcp::Socket>(handle).close();
    }

    /// The connection is no longer of interest: what was written still goes out, the rest is the peer's problem.
    pub fn release(&mut self, handle: SocketHandle) {
        let socket = self.sockets.get_mut::<tcp::Socket>(handle);
        socket.close();
        self.closing.push(handle);
    }

    /// Ends every connection to an address that is no longer ours.
    pub fn abort_local(&mut self, address: std::net::IpAddr) {
        for (_, socket) in self.sockets.iter_mut() {
            let smoltcp::socket::Socket::Tcp(socket) = socket else { continue };
            if socket.local_endpoint().is_some_and(|IpEndpoint { addr, .. }| addr == IpAddress::from(address))
            {
                socket.abort();
            }
        }
    }
}

fn time(now: Instant) -> smoltcp::time::Instant {
    smoltcp::time::Instant::from_micros((now.as_nanos() / 1000) as i64)
}
