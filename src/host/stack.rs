//! TCP on the router's own addresses, and the datagrams of its own services.
//!
//! A smoltcp socket is one connection, and a listening one is also the whole backlog; so a socket is made for each
//! SYN, half-open ones are bounded, and the oldest makes room. The packet path has already decided that a packet
//! may come to us; every destination address is ours here (`any_ip`).
//!
//! Invariant: pure. Time comes in, packets go out; wakers are called, never waited for. Whatever strangers send, the
//! number of connections is bounded, in all and for each source.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::task::{Context, Poll, Waker};

use foldhash::HashMap;
use smoltcp::iface::{Config, Interface, PollResult, SocketSet};
use smoltcp::socket::tcp;
use smoltcp::wire::HardwareAddress;

use super::card::{Card, HEADERS_V4, HEADERS_V6};
use super::connection::{Connection, Endpoint, Phase};
use super::counters::Counters;
use super::datagrams::{Datagram, Datagrams};
use super::resets::Resets;
use super::watches::{Sighting, WatchId, Watches};
use crate::types::{Duration, Family, Instant, Seed};
use crate::wire::{FlowKey, Fragment, FrameBuf, Packet, Parsed, Pool, Transport, mss, protocol, tcp_flags};

/// Connections whose handshake is not over.
const HALF_OPEN: usize = 256;
/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Connections that two hundred browsers need.
const CONNECTIONS: usize = 512;
/// Of which one source may hold so many, half-open ones included.
const PER_SOURCE: u16 = 128;
/// Connections of our own at a time.
const DIALLED: usize = 8;
/// What we send in a segment of these: a server behind a tunnel takes it, too.
const DIALLED_SEGMENT: u16 = 1200;
/// How long a connection that nobody serves any more may take to end.
const LINGER: Duration = Duration::from_secs(10);
/// Endpoints kept for the next connection.
const SPARE: usize = 16;
/// smoltcp takes smaller announcements for this.
const SMALLEST_SEGMENT: u16 = 48;
/// RFC 9293 section 3.7.1: of a peer that announces nothing.
const DEFAULT_SEGMENT: u16 = 536;

/// Names a connection for as long as somebody holds it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ConnectionId {
    slot: u32,
    generation: u32,
}

/// A connection that has been accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Accepted {
    /// Its name.
    pub id: ConnectionId,
    /// The address of ours that the peer connected to.
    pub local: SocketAddr,
    /// The peer.
    pub peer: SocketAddr,
}

/// The peer has reset the connection, or it has timed out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reset;

struct Slot {
    generation: u32,
    connection: Option<Connection>,
}

/// The stack.
pub struct Stack {
    interface: Interface,
    card: Card,
    mtu: usize,
    ports: Vec<u16>,
    slots: Vec<Slot>,
    vacant: Vec<u32>,
    spare: Vec<Endpoint>,
    by_key: HashMap<FlowKey, u32>,
    by_source: HashMap<IpAddr, u16>,
    /// Oldest first; those that are half-open no longer are skipped.
    half_open: VecDeque<ConnectionId>,
    half_open_count: usize,
    ready: VecDeque<ConnectionId>,
    /// Slots that have something to do.
    due: VecDeque<u32>,
    /// Answers packets of no connection.
    nobody: SocketSet<'static>,
    resets: Resets,
    accept_waker: Option<Waker>,
    datagrams: Datagrams,
    watches: Watches,
    counters: Counters,
}

impl Stack {
    /// A stack that listens on these TCP ports; no IP packet that it sends is longer than `mtu`.
    pub fn new(ports: Vec<u16>, mtu: usize, seed: Seed, now: Instant) -> Self {
        let mut card = Card::new(mtu);
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = seed.random().next();
        let mut interface = Interface::new(config, &mut card, time(now));
        interface.set_any_ip(true);
        Stack {
            interface,
            card,
            mtu,
            ports,
            slots: Vec::new(),
            vacant: Vec::new(),
            spare: Vec::new(),
            by_key: HashMap::default(),
            by_source: HashMap::default(),
            half_open: VecDeque::new(),
            half_open_count: 0,
            ready: VecDeque::new(),
            due: VecDeque::new(),
            nobody: SocketSet::new(Vec::new()),
            resets: Resets::new(now),
            accept_waker: None,
            datagrams: Datagrams::default(),
            watches: Watches::default(),
            counters: Counters::default(),
        }
    }

    /// Listens on other ports from now on; connections stay.
    pub fn listen(&mut self, ports: Vec<u16>) {
        self.ports = ports;
    }

    /// The first of the ports that it listens on; 0 when it listens on none.
    pub fn port(&self) -> u16 {
        self.ports.first().copied().unwrap_or_default()
    }

    /// The buffers that packets are written into.
    pub fn pool(&mut self) -> &mut Pool {
        &mut self.card.pool
    }

    /// What it has done.
    pub fn counters(&self) -> Counters {
        Counters { datagrams_refused: self.datagrams.refused, ..self.counters }
    }

    /// Sends a datagram with the next turn; false when there is no room, or when it is too long.
    pub fn send_datagram(&mut self, local: SocketAddr, remote: SocketAddr, payload: &[u8]) -> bool {
        self.datagrams.send(local, remote, payload, &mut self.card.pool)
    }

    /// The next datagram that has arrived.
    pub fn take_datagram(&mut self) -> Option<Datagram> {
        self.datagrams.take()
    }

    /// Called whenever a datagram arrives.
    pub fn set_datagram_waker(&mut self, waker: Waker) {
        self.datagrams.set_waker(waker);
    }

    /// Watches for answers to packets with these keys; `None` when too many watch.
    pub fn watch(&mut self, keys: Vec<FlowKey>, waker: Waker) -> Option<WatchId> {
        self.watches.begin(keys, waker)
    }

    /// Watches no longer.
    pub fn unwatch(&mut self, id: WatchId) {
        self.watches.end(id);
    }

    /// What a watch has seen since it was last asked.
    pub fn sightings(&mut self, id: WatchId) -> Vec<Sighting> {
        self.watches.take(id)
    }

    /// Sends a packet, Ethernet header in front, with the next turn; false when there is no room.
    pub fn send_packet(&mut self, frame: FrameBuf) -> bool {
        self.datagrams.push(frame)
    }

    /// A packet for us. Answers are collected until [`Stack::poll`].
    pub fn handle_packet(&mut self, now: Instant, frame: FrameBuf) {
        let packet = match Packet::parse(frame) {
            Ok(Parsed::Ip(packet)) => packet,
            Ok(Parsed::Arp(frame)) | Err((_, frame)) => return self.ignore(frame),
        };
        let awaited = self.watches.see(now, &packet);
        // Whoever only asked whether a port is open goes no further: what is no connection is reset below.
        if awaited && !matches!(packet.layout.transport, Transport::Tcp { .. }) {
            return self.card.pool.give(packet.frame);
        }
        if packet.layout.transport == Transport::Udp {
            if !self.datagrams.arrive(packet, &mut self.card.pool) {
                self.counters.ignored += 1;
            }
            return;
        }
        let Transport::Tcp { flags, .. } = packet.layout.transport else { return self.ignore(packet.frame) };
        if packet.layout.fragment != Fragment::Whole || !packet.transport_checksum_ok() {
            return self.ignore(packet.frame);
        }
        let opens = flags & (tcp_flags::SYN | tcp_flags::ACK | tcp_flags::RST) == tcp_flags::SYN;
        match self.by_key.get(&packet.layout.key).copied() {
            // The name of a connection that is over, but still held by whoever served it, is free for a new one.
            Some(slot) if !(opens && self.is_over(slot)) => self.feed(now, slot, packet),
            Some(_) | None if opens && self.ports.contains(&packet.layout.key.dst_port()) => {
                self.admit(now, packet)
            }
            Some(_) | None => self.reset(now, packet),
        }
    }

    /// Runs the connections that have something to do; what they send, at most `room` packets, is appended to `out`.
    /// Call again when there is room.
    pub fn poll(&mut self, now: Instant, room: usize, out: &mut Vec<FrameBuf>) {
        self.wake_sleepers(now);
        self.card.room = room;
        while self.card.outgoing.len() < room
            && let Some(slot) = self.due.pop_front()
        {
            self.turn(now, slot);
        }
        out.append(&mut self.card.outgoing);
        self.datagrams.leave(room, out);
    }

    /// True when connections wait for room to send.
    pub fn wants_room(&self) -> bool {
        !self.due.is_empty() || self.datagrams.wants_room()
    }

    /// When [`Stack::poll`] has something to do, should no packet come before.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.slots.iter().filter_map(|slot| slot.connection.as_ref()?.wakes_at()).min()
    }

    /// The next connection.
    pub fn poll_accept(&mut self, context: &Context<'_>) -> Poll<Accepted> {
        while let Some(id) = self.ready.pop_front() {
            // It may have been reset while it waited; whoever serves it will see.
            if let Some(connection) = self.connection(id) {
                let key = connection.key;
                let local = SocketAddr::new(key.dst(), key.dst_port());
                let peer = SocketAddr::new(key.src(), key.src_port());
                return Poll::Ready(Accepted { id, local, peer });
            }
        }
        self.accept_waker = Some(context.waker().clone());
        Poll::Pending
    }

    /// Begins a connection of our own, from an address of ours; `None` when there are too many, or the two ends cannot be.
    pub fn connect(&mut self, now: Instant, local: SocketAddr, remote: SocketAddr) -> Option<ConnectionId> {
        let dialled = |slot: &Slot| slot.connection.as_ref().is_some_and(|connection| connection.dialled);
        if self.slots.iter().filter(|slot| dialled(slot)).count() >= DIALLED {
            return None;
        }
        let key = FlowKey::new(protocol::TCP, remote.ip(), remote.port(), local.ip(), local.port())
            .filter(|key| !self.by_key.contains_key(key))?;
        let headers = if local.is_ipv4() { HEADERS_V4 } else { HEADERS_V6 };
        let segment = self.mtu.saturating_sub(headers).min(usize::from(DIALLED_SEGMENT)) as u16;
        let mut endpoint = self.spare.pop().unwrap_or_else(Endpoint::new);
        if !endpoint.dial(self.interface.context(), local, remote) {
            return None;
        }
        let phase = Phase::Dialling { since: now };
        let connection =
            Connection { endpoint, key, phase, segment, due: false, fresh: 0, timer: None, dialled: true };
        let id = self.occupy(connection);
        self.mark(id.slot);
        Some(id)
    }

    /// Waits until a connection of our own stands.
    pub fn poll_connect(&mut self, id: ConnectionId, context: &Context<'_>) -> Poll<Result<(), Reset>> {
        let Some(connection) = self.connection(id) else { return Poll::Ready(Err(Reset)) };
        let socket = connection.endpoint.socket();
        match socket.state() {
            tcp::State::SynSent | tcp::State::SynReceived => {
                socket.register_send_waker(context.waker());
                Poll::Pending
            }
            tcp::State::Closed | tcp::State::Listen | tcp::State::TimeWait => Poll::Ready(Err(Reset)),
            tcp::State::Established
            | tcp::State::FinWait1
            | tcp::State::FinWait2
            | tcp::State::CloseWait
            | tcp::State::Closing
            | tcp::State::LastAck => Poll::Ready(Ok(())),
        }
    }

    /// Bytes that the peer has sent; zero at the end.
    pub fn poll_read(
        &mut self,
        id: ConnectionId,
        context: &Context<'_>,
        into: &mut [u8],
    ) -> Poll<Result<usize, Reset>> {
        let Some(connection) = self.connection(id) else { return Poll::Ready(Err(Reset)) };
        let socket = connection.endpoint.socket();
        match socket.recv_slice(into) {
            Ok(0) if !into.is_empty() => {
                socket.register_recv_waker(context.waker());
                Poll::Pending
            }
            Ok(count) => {
                // The window has opened; the peer may have to be told.
                self.mark(id.slot);
                Poll::Ready(Ok(count))
            }
            Err(tcp::RecvError::Finished) => Poll::Ready(Ok(0)),
            Err(tcp::RecvError::InvalidState) => Poll::Ready(Err(Reset)),
        }
    }

    /// Takes bytes for the peer, as many as there is room for.
    pub fn poll_write(
        &mut self,
        id: ConnectionId,
        context: &Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize, Reset>> {
        let Some(connection) = self.connection(id) else { return Poll::Ready(Err(Reset)) };
        let socket = connection.endpoint.socket();
        match socket.send_slice(bytes) {
            Ok(0) if !bytes.is_empty() => {
                socket.register_send_waker(context.waker());
                Poll::Pending
            }
            Ok(count) => {
                connection.fresh += count;
                self.mark(id.slot);
                Poll::Ready(Ok(count))
            }
            Err(tcp::SendError::InvalidState) => Poll::Ready(Err(Reset)),
        }
    }

    /// Bytes written since the connection's last turn: enough of them fill a superpacket.
    pub fn fresh(&self, id: ConnectionId) -> usize {
        let slot = self.slots.get(id.slot as usize).filter(|slot| slot.generation == id.generation);
        slot.and_then(|slot| slot.connection.as_ref()).map_or(0, |connection| connection.fresh)
    }

    /// Nothing more will be written.
    pub fn shutdown(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connection(id) {
            connection.endpoint.socket().close();
            self.mark(id.slot);
        }
    }

    /// Nobody serves the connection any more: what was written still goes out, then it ends.
    pub fn release(&mut self, now: Instant, id: ConnectionId) {
        if let Some(connection) = self.connection(id) {
            connection.endpoint.socket().close();
            connection.phase = Phase::Released { since: now };
            self.mark(id.slot);
        }
    }

    /// Ends every connection to an address that is no longer ours.
    pub fn abort_local(&mut self, address: IpAddr) {
        for slot in 0..self.slots.len() as u32 {
            if let Some(connection) = &mut self.slots[slot as usize].connection
                && connection.key.dst() == address
            {
                connection.endpoint.socket().abort();
                self.mark(slot);
            }
        }
    }

    fn connection(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        let slot = self.slots.get_mut(id.slot as usize)?;
        slot.connection.as_mut().filter(|_| slot.generation == id.generation)
    }

    /// Puts a connection in the queue of those that have something to do.
    fn mark(&mut self, slot: u32) {
        if let Some(connection) = &mut self.slots[slot as usize].connection
            && !std::mem::replace(&mut connection.due, true)
        {
            self.due.push_back(slot);
        }
    }

    fn is_over(&mut self, slot: u32) -> bool {
        let connection = self.slots[slot as usize].connection.as_mut();
        connection.is_none_or(|connection| match connection.endpoint.socket().state() {
            tcp::State::Closed | tcp::State::Listen | tcp::State::TimeWait => true,
            tcp::State::SynSent
            | tcp::State::SynReceived
            | tcp::State::Established
            | tcp::State::FinWait1
            | tcp::State::FinWait2
            | tcp::State::CloseWait
            | tcp::State::Closing
            | tcp::State::LastAck => false,
        })
    }

    fn ignore(&mut self, frame: FrameBuf) {
        self.counters.ignored += 1;
        self.card.pool.give(frame);
    }

    /// A packet of a connection.
    fn feed(&mut self, now: Instant, slot: u32, packet: Packet) {
        let Some(connection) = &mut self.slots[slot as usize].connection else { return };
        let end = packet.layout.end as usize;
        self.card.insert(packet.frame, end);
        self.interface.poll_ingress_single(time(now), &mut self.card, &mut connection.endpoint.set);
        self.card.eject();
        self.mark(slot);
    }

    /// A packet of no connection: a RST, where RFC 9293 section 3.10.7.1 wants one.
    fn reset(&mut self, now: Instant, packet: Packet) {
        if !self.resets.allow(now) {
            self.counters.resets_limited += 1;
            return self.card.pool.give(packet.frame);
        }
        let end = packet.layout.end as usize;
        self.card.insert(packet.frame, end);
        self.interface.poll_ingress_single(time(now), &mut self.card, &mut self.nobody);
        self.card.eject();
    }

    /// A SYN for a port that is served.
    fn admit(&mut self, now: Instant, mut packet: Packet) {
        let key = packet.layout.key;
        let source = self.by_source.get(&network(key.src())).copied().unwrap_or(0);
        let open = self.slots.len() - self.vacant.len() - self.half_open_count;
        if open >= CONNECTIONS || source >= PER_SOURCE {
            // Without an answer: the peer tries again, and there may be room then.
            self.counters.refused += 1;
            return self.card.pool.give(packet.frame);
        }
        if self.half_open_count >= HALF_OPEN {
            self.drop_oldest();
        }
        let headers = if key.family() == Family::Inet { HEADERS_V4 } else { HEADERS_V6 };
        let own = self.mtu.saturating_sub(headers).min(usize::from(u16::MAX)) as u16;
        mss::clamp(&mut packet, own);
        let announced = mss::announced(&packet).filter(|&size| size > 0);
        let segment = announced.map_or(DEFAULT_SEGMENT, |size| size.max(SMALLEST_SEGMENT)).min(own);
        let mut endpoint = self.spare.pop().unwrap_or_else(Endpoint::new);
        if !endpoint.expect(&key) {
            return self.ignore(packet.frame);
        }
        let phase = Phase::HalfOpen { since: now };
        let id = self.occupy(Connection {
            endpoint,
            key,
            phase,
            segment,
            due: false,
            fresh: 0,
            timer: None,
            dialled: false,
        });
        self.half_open_count += 1;
        if self.half_open.len() >= 2 * HALF_OPEN {
            // Ids of connections that went on or ended were left behind.
            let Stack { half_open, slots, .. } = self;
            half_open.retain(|id| {
                let slot = &slots[id.slot as usize];
                slot.generation == id.generation
                    && slot.connection.as_ref().is_some_and(Connection::is_half_open)
            });
        }
        self.half_open.push_back(id);
        self.feed(now, id.slot, packet);
    }

    fn occupy(&mut self, connection: Connection) -> ConnectionId {
        let slot = self.vacant.pop().unwrap_or(self.slots.len() as u32);
        if slot as usize == self.slots.len() {
            self.slots.push(Slot { generation: 0, connection: None });
        }
        self.by_key.insert(connection.key, slot);
        *self.by_source.entry(network(connection.key.src())).or_default() += 1;
        let place = &mut self.slots[slot as usize];
        place.connection = Some(connection);
        ConnectionId { slot, generation: place.generation }
    }

    /// The connection is no more.
    fn vacate(&mut self, slot: u32) {
        let place = &mut self.slots[slot as usize];
        let Some(connection) = place.connection.take() else { return };
        place.generation = place.generation.wrapping_add(1);
        self.vacant.push(slot);
        if connection.is_half_open() {
            self.half_open_count -= 1;
            self.counters.half_open_dropped += 1;
        }
        if connection.due {
            self.due.retain(|&due| due != slot);
        }
        if self.by_key.get(&connection.key) == Some(&slot) {
            self.by_key.remove(&connection.key);
        }
        let source = network(connection.key.src());
        if let Some(count) = self.by_source.get_mut(&source) {
            *count -= 1;
            if *count == 0 {
                self.by_source.remove(&source);
            }
        }
        if self.spare.len() < SPARE {
            self.spare.push(connection.endpoint);
        }
    }

    /// Without a word: an answer to a forged source would hit somebody else.
    fn drop_oldest(&mut self) {
        while let Some(id) = self.half_open.pop_front() {
            if self.connection(id).is_some_and(|connection| connection.is_half_open()) {
                return self.vacate(id.slot);
            }
        }
    }

    fn wake_sleepers(&mut self, now: Instant) {
        for slot in 0..self.slots.len() as u32 {
            let connection = self.slots[slot as usize].connection.as_ref();
            if connection.and_then(Connection::wakes_at).is_some_and(|at| at <= now) {
                self.mark(slot);
            }
        }
    }

    /// One packet of a connection, and what follows from its state.
    fn turn(&mut self, now: Instant, slot: u32) {
        let Stack { slots, card, interface, .. } = self;
        let Some(connection) = &mut slots[slot as usize].connection else { return };
        card.segment = connection.segment;
        let set = &mut connection.endpoint.set;
        let sent = interface.poll_egress(time(now), card, set) == PollResult::SocketStateChanged;
        connection.due = false;
        connection.fresh = 0;
        let at = interface.poll_at(time(now), set).map(|at| instant(at).max(now + SOON));
        connection.timer = at;
        match connection.next(now) {
            Next::Stay => {}
            Next::Accept => {
                connection.phase = Phase::Open;
                let id = ConnectionId { slot, generation: slots[slot as usize].generation };
                self.half_open_count -= 1;
                self.counters.accepted += 1;
                self.ready.push_back(id);
                if let Some(waker) = self.accept_waker.take() {
                    waker.wake();
                }
            }
            Next::Open => connection.phase = Phase::Open,
            Next::Abort => {
                connection.endpoint.socket().abort();
                return self.mark(slot);
            }
            Next::End => return self.vacate(slot),
        }
        if sent {
            self.mark(slot);
        }
    }
}

/// A connection that wants a turn at once, and yet has just had one, waits this long.
const SOON: Duration = Duration::from_millis(1);

/// What a connection's state asks for.
enum Next {
    Stay,
    Accept,
    /// A connection of our own is open, or cannot be.
    Open,
    Abort,
    End,
}

impl Connection {
    fn is_half_open(&self) -> bool {
        matches!(self.phase, Phase::HalfOpen { .. })
    }

    fn wakes_at(&self) -> Option<Instant> {
        let limit = match self.phase {
            Phase::HalfOpen { since } | Phase::Dialling { since } => Some(since + HANDSHAKE),
            Phase::Open => None,
            Phase::Released { since } => Some(since + LINGER),
        };
        [self.timer, limit].into_iter().flatten().min()
    }

    fn next(&mut self, now: Instant) -> Next {
        let phase = self.phase;
        let socket = self.endpoint.socket();
        let state = socket.state();
        // A socket that was aborted keeps its peer until the RST is out.
        let silent = state == tcp::State::Closed && socket.remote_endpoint().is_none();
        match phase {
            Phase::HalfOpen { since } => match state {
                tcp::State::Listen | tcp::State::Closed | tcp::State::SynSent | tcp::State::TimeWait => {
                    Next::End
                }
                tcp::State::SynReceived if now.since(since) >= HANDSHAKE => Next::End,
                tcp::State::SynReceived => Next::Stay,
                tcp::State::Established
                | tcp::State::FinWait1
                | tcp::State::FinWait2
                | tcp::State::CloseWait
                | tcp::State::Closing
                | tcp::State::LastAck => Next::Accept,
            },
            Phase::Dialling { since } => match state {
                // Whoever waits is told by the socket's end.
                tcp::State::SynSent | tcp::State::SynReceived if now.since(since) >= HANDSHAKE => Next::Abort,
                tcp::State::SynSent | tcp::State::SynReceived => Next::Stay,
                tcp::State::Closed | tcp::State::Listen | tcp::State::TimeWait => Next::Open,
                tcp::State::Established
                | tcp::State::FinWait1
                | tcp::State::FinWait2
                | tcp::State::CloseWait
                | tcp::State::Closing
                | tcp::State::LastAck => Next::Open,
            },
            Phase::Open => Next::Stay,
            Phase::Released { .. } if silent || state == tcp::State::TimeWait => Next::End,
            Phase::Released { .. } if state == tcp::State::Closed => Next::Stay,
            Phase::Released { since } if now.since(since) >= LINGER => Next::Abort,
            Phase::Released { .. } => {
                // Nobody reads it, but the peer's FIN stands behind it. An error means that there is nothing.
                while socket.recv(|bytes| (bytes.len(), bytes.len())).is_ok_and(|count| count > 0) {}
                Next::Stay
            }
        }
    }
}

/// The source that limits count: an IPv6 host has a whole /64 to choose from.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) >> 64 << 64).into()),
    }
}

fn time(now: Instant) -> smoltcp::time::Instant {
    smoltcp::time::Instant::from_micros((now.as_nanos() / 1000) as i64)
}

fn instant(time: smoltcp::time::Instant) -> Instant {
    Instant::from_nanos(time.total_micros().max(0) as u64 * 1000)
}
