//! An end host: smoltcp with a plain Ethernet card, in simulated time.

use std::collections::VecDeque;
use std::net::IpAddr;

use koi::types::{Instant, MacAddr};
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::{icmp, tcp, udp};
use smoltcp::wire::{EthernetAddress, HardwareAddress, Icmpv4Packet, Icmpv4Repr, IpCidr};

use crate::path_mtu::PathMtu;

/// A host with its sockets.
pub struct Host {
    interface: Interface,
    card: Card,
    pub sockets: SocketSet<'static>,
    pub mac: MacAddr,
    /// Copies of the frames that arrived, once somebody listens.
    heard: Option<Vec<Vec<u8>>>,
    /// What routers have said about the way.
    pub path: PathMtu,
}

impl Host {
    /// A host with one address and a default router per family.
    pub fn new(mac: MacAddr, addresses: &[&str], routers: &[IpAddr], seed: u64) -> Self {
        let mut card = Card::default();
        let mut config = Config::new(HardwareAddress::Ethernet(EthernetAddress(mac.0)));
        config.random_seed = seed;
        let mut interface = Interface::new(config, &mut card, smoltcp::time::Instant::ZERO);
        interface.update_ip_addrs(|list| {
            for address in addresses {
                let (address, length) = address.split_once('/').unwrap();
                let address: IpAddr = address.parse().unwrap();
                list.push(IpCidr::new(address.into(), length.parse().unwrap())).unwrap();
            }
        });
        for router in routers {
            match router {
                IpAddr::V4(v4) => drop(interface.routes_mut().add_default_ipv4_route(*v4).unwrap()),
                IpAddr::V6(v6) => drop(interface.routes_mut().add_default_ipv6_route(*v6).unwrap()),
            }
        }
        let sockets = SocketSet::new(Vec::new());
        Host { interface, card, sockets, mac, heard: None, path: PathMtu::default() }
    }

    /// Keeps copies of the frames that arrive from now on.
    pub fn listen(&mut self) {
        self.heard = Some(Vec::new());
    }

    /// The copies.
    pub fn heard(&self) -> &[Vec<u8>] {
        self.heard.as_deref().unwrap_or_default()
    }

    /// Gets another network card.
    pub fn set_mac(&mut self, mac: MacAddr) {
        self.mac = mac;
        self.interface.set_hardware_addr(HardwareAddress::Ethernet(EthernetAddress(mac.0)));
    }

    /// A frame from the cable.
    pub fn receive(&mut self, frame: Vec<u8>) {
        if let Some(heard) = &mut self.heard {
            heard.push(frame.clone());
        }
        self.path.hear(&frame, self.mac);
        self.card.incoming.push_back(frame);
    }

    /// Runs the stack; returns the frames that it sends.
    pub fn poll(&mut self, now: Instant) -> Vec<Vec<u8>> {
        let now = smoltcp::time::Instant::from_micros((now.as_nanos() / 1000) as i64);
        self.interface.poll(now, &mut self.card, &mut self.sockets);
        let path = &mut self.path;
        self.card.outgoing.drain(..).flat_map(|frame| path.fit(frame)).collect()
    }

    /// When the stack wants to run again.
    pub fn poll_at(&mut self, now: Instant) -> Option<Instant> {
        let then = smoltcp::time::Instant::from_micros((now.as_nanos() / 1000) as i64);
        let at = self.interface.poll_at(then, &self.sockets)?;
        // smoltcp counts microseconds: round up, or it would be asked again at the same instant for ever.
        Some(Instant::from_nanos((at.total_micros().max(0) as u64 + 1) * 1000).max(now))
    }

    /// A TCP socket with buffers large enough for a bulk transfer.
    pub fn tcp(&mut self) -> SocketHandle {
        let buffer = || tcp::SocketBuffer::new(vec![0; 65_535]);
        self.sockets.add(tcp::Socket::new(buffer(), buffer()))
    }

    /// Opens a connection.
    pub fn connect(&mut self, handle: SocketHandle, to: (IpAddr, u16), from_port: u16) {
        let context = self.interface.context();
        let socket = self.sockets.get_mut::<tcp::Socket>(handle);
        socket.connect(context, (smoltcp::wire::IpAddress::from(to.0), to.1), from_port).unwrap();
    }

    /// A bound UDP socket.
    pub fn udp(&mut self, port: u16) -> SocketHandle {
        let buffer = || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; 64], vec![0; 65_535]);
        let mut socket = udp::Socket::new(buffer(), buffer());
        socket.bind(port).unwrap();
        self.sockets.add(socket)
    }

    /// One that takes bursts.
    pub fn wide_udp(&mut self, port: u16) -> SocketHandle {
        let buffer = || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; 4096], vec![0; 65_535]);
        let mut socket = udp::Socket::new(buffer(), buffer());
        socket.bind(port).unwrap();
        self.sockets.add(socket)
    }

    /// Sends a datagram.
    pub fn say(&mut self, handle: SocketHandle, to: (IpAddr, u16), bytes: &[u8]) {
        assert!(self.try_to_say(handle, to, bytes), "the buffer is full");
    }

    /// Sends a datagram, if there is room.
    pub fn try_to_say(&mut self, handle: SocketHandle, to: (IpAddr, u16), bytes: &[u8]) -> bool {
        let socket = self.sockets.get_mut::<udp::Socket>(handle);
        socket.send_slice(bytes, (smoltcp::wire::IpAddress::from(to.0), to.1)).is_ok()
    }

    /// The next datagram that has come, and from whom.
    pub fn hear(&mut self, handle: SocketHandle) -> Option<(Vec<u8>, (IpAddr, u16))> {
        let (bytes, from) = self.sockets.get_mut::<udp::Socket>(handle).recv().ok()?;
        Some((bytes.to_vec(), (from.endpoint.addr.into(), from.endpoint.port)))
    }

    /// A socket for echo requests with this identifier.
    pub fn ping(&mut self, id: u16) -> SocketHandle {
        let buffer = || icmp::PacketBuffer::new(vec![icmp::PacketMetadata::EMPTY; 16], vec![0; 4096]);
        let mut socket = icmp::Socket::new(buffer(), buffer());
        socket.bind(icmp::Endpoint::Ident(id)).unwrap();
        self.sockets.add(socket)
    }

    /// Sends an IPv4 echo request.
    pub fn ask(&mut self, handle: SocketHandle, id: u16, to: IpAddr) {
        assert!(self.try_to_ask(handle, id, to), "the buffer is full");
    }

    /// Sends an IPv4 echo request, if there is room.
    pub fn try_to_ask(&mut self, handle: SocketHandle, id: u16, to: IpAddr) -> bool {
        let repr = Icmpv4Repr::EchoRequest { ident: id, seq_no: 1, data: b"koi" };
        let socket = self.sockets.get_mut::<icmp::Socket>(handle);
        let Ok(payload) = socket.send(repr.buffer_len(), to.into()) else { return false };
        repr.emit(&mut Icmpv4Packet::new_unchecked(payload), &Default::default());
        true
    }

    /// True when an answer to an echo request waits.
    pub fn answered(&self, handle: SocketHandle) -> bool {
        self.sockets.get::<icmp::Socket>(handle).can_recv()
    }
}

#[derive(Default)]
struct Card {
    incoming: VecDeque<Vec<u8>>,
    outgoing: Vec<Vec<u8>>,
}

impl Device for Card {
    type RxToken<'a> = Received;
    type TxToken<'a> = Sending<'a>;

    fn receive(&mut self, _: smoltcp::time::Instant) -> Option<(Received, Sending<'_>)> {
        let frame = self.incoming.pop_front()?;
        Some((Received(frame), Sending(&mut self.outgoing)))
    }

    fn transmit(&mut self, _: smoltcp::time::Instant) -> Option<Sending<'_>> {
        Some(Sending(&mut self.outgoing))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = 1514;
        capabilities
    }
}

struct Received(Vec<u8>);

impl RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

struct Sending<'a>(&'a mut Vec<Vec<u8>>);

impl TxToken for Sending<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut frame = vec![0; len];
        let result = f(&mut frame);
        self.0.push(frame);
        result
    }
}
