//! A client for tests: smoltcp on its own, without anything of the router's stack.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp;
use smoltcp::wire::{HardwareAddress, IpCidr};

use crate::types::Instant;
use crate::wire::{ChecksumState, FrameBuf, Packet, Parsed, Pool, segment};

/// A host with one TCP connection.
pub(crate) struct Client {
    interface: Interface,
    card: PlainCard,
    sockets: SocketSet<'static>,
    handle: SocketHandle,
    /// Superpackets are taken whole, as by a kernel behind an offload port; else they are cut, as for a plain port.
    whole: bool,
    /// The longest superpacket seen.
    pub longest: usize,
    pool: Pool,
}

#[derive(Default)]
struct PlainCard {
    incoming: VecDeque<Vec<u8>>,
    outgoing: Vec<Vec<u8>>,
    mtu: usize,
}

pub(crate) struct Token<'a>(&'a mut Vec<Vec<u8>>);
pub(crate) struct Taken(Vec<u8>);

impl Device for PlainCard {
    type RxToken<'a> = Taken;
    type TxToken<'a> = Token<'a>;
    fn receive(&mut self, _: smoltcp::time::Instant) -> Option<(Taken, Token<'_>)> {
        Some((Taken(self.incoming.pop_front()?), Token(&mut self.outgoing)))
    }
    fn transmit(&mut self, _: smoltcp::time::Instant) -> Option<Token<'_>> {
        Some(Token(&mut self.outgoing))
    }
    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = self.mtu;
        if self.mtu > 1500 {
            capabilities.checksum.tcp = smoltcp::phy::Checksum::Tx;
        }
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

/// An IP packet in a frame.
pub(crate) fn frame(ip: &[u8]) -> FrameBuf {
    let kind = if ip[0] >> 4 == 4 { [8, 0] } else { [0x86, 0xdd] };
    FrameBuf::copy_of(&[&[0; 12][..], &kind, ip].concat())
}

impl Client {
    /// Begins to connect from `from` to `to`.
    pub fn connect(from: SocketAddr, to: SocketAddr, whole: bool) -> Self {
        let mut card = PlainCard { mtu: if whole { 65_535 } else { 1500 }, ..PlainCard::default() };
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = u64::from(from.port());
        let mut interface = Interface::new(config, &mut card, smoltcp::time::Instant::ZERO);
        interface.update_ip_addrs(|list| {
            list.push(IpCidr::new(from.ip().into(), if from.is_ipv4() { 24 } else { 64 })).unwrap();
        });
        let mut sockets = SocketSet::new(Vec::new());
        let buffer = || tcp::SocketBuffer::new(vec![0; 1 << 20]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        socket.set_ack_delay(None);
        let remote = (smoltcp::wire::IpAddress::from(to.ip()), to.port());
        socket.connect(interface.context(), remote, from.port()).unwrap();
        let handle = sockets.add(socket);
        Client { interface, card, sockets, handle, whole, longest: 0, pool: Pool::new(64) }
    }

    /// The connection.
    pub fn socket(&mut self) -> &mut tcp::Socket<'static> {
        self.sockets.get_mut(self.handle)
    }

    /// Takes a packet of the router's.
    pub fn take(&mut self, frame: FrameBuf) {
        let Ok(Parsed::Ip(packet)) = Packet::parse(frame) else { panic!("an IP packet with an EtherType") };
        assert!(matches!(packet.frame.checksum, ChecksumState::Partial { .. }), "left to the port");
        self.longest = self.longest.max(packet.frame.len());
        if packet.frame.gso.is_none() {
            assert!(packet.frame.len() <= 1514, "a long packet says how to cut it");
        }
        if self.whole {
            return self.card.incoming.push_back(packet.frame.bytes()[14..].to_vec());
        }
        let mut pieces = Vec::new();
        segment::split(packet, &mut self.pool, &mut pieces).expect("a superpacket that can be cut");
        for piece in pieces {
            assert!(piece.len() <= 1514, "{} bytes", piece.len());
            self.card.incoming.push_back(piece.bytes()[14..].to_vec());
            self.pool.give(piece);
        }
    }

    /// Runs; gives what it sends.
    pub fn run(&mut self, now: Instant) -> impl Iterator<Item = FrameBuf> {
        let then = smoltcp::time::Instant::from_micros((now.as_nanos() / 1000) as i64);
        self.interface.poll(then, &mut self.card, &mut self.sockets);
        // The card claims a large MTU where it stands for a kernel with offloads; a link's MSS it is all the same.
        self.card.outgoing.drain(..).map(|bytes| frame(&bytes))
    }
}

/// The router's address and one of a host next to it.
pub(crate) fn neighbours(v6: bool) -> (SocketAddr, SocketAddr) {
    let (router, host): (IpAddr, IpAddr) = if v6 {
        ("2001:db8::1".parse().unwrap(), "2001:db8::10".parse().unwrap())
    } else {
        ("192.168.1.1".parse().unwrap(), "192.168.1.10".parse().unwrap())
    };
    (SocketAddr::new(router, 443), SocketAddr::new(host, 50_000))
}
