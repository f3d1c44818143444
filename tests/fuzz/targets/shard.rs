//! A whole router: any frames on its ports, any time between them, links that come and go. What leaves is sound, fits
//! its link, comes from us and hides what is inside; tables stay within their bounds.
//!
//! Input: orders of one byte (the highest bit: which port) and what they need; see `Router::step`.
#![no_main]

use std::net::IpAddr;
use std::sync::Arc;

use koi::config;
use koi::node::{Command, Compiled, Offload, Outbox, Shard};
use koi::types::{Duration, Instant, PortId, Seed};
use koi::wire::icmpv6::Envelope;
use koi::wire::nd::Message;
use koi::wire::{Fragment, FrameBuf, Packet, Parsed, Transport, arp, ethertype, tcp_flags};
use koi_fuzz::{Input, Repair, assert_layout, deviation, ip, make_partial};
use libfuzzer_sys::fuzz_target;

/// Every station's MAC address.
const STATION: [u8; 6] = [2, 0xaa, 0, 0, 0, 1];
const WAN: u8 = 0;
const LAN: u8 = 1;
const DMZ_TAG: u16 = 20;

thread_local! {
    static COMPILED: [Arc<Compiled>; 2] = [compile(1), compile(2)];
}

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let mut router = Router::new();
    for _ in 0..64 {
        if input.is_empty() {
            break;
        }
        router.step(&mut input);
    }
    router.check_tables();
});

fn compile(epoch: u32) -> Arc<Compiled> {
    let valid = config::load(include_str!("../document.toml")).expect("the document is valid");
    let node = valid.node(None).expect("it has one node");
    Arc::new(Compiled::new(Arc::new(valid), node, epoch, vec![Offload::NONE; 2]))
}

struct Router {
    shard: Shard,
    compiled: Arc<Compiled>,
    out: Outbox,
    now: Instant,
    /// The last frames that left, tag and all.
    sent: Vec<(u8, Vec<u8>)>,
}

impl Router {
    fn new() -> Self {
        let compiled = COMPILED.with(|both| Arc::clone(&both[0]));
        let now = Instant::from_secs(100);
        let shard = Shard::new(Arc::clone(&compiled), Seed([1, 2]), now);
        let mut router = Router { shard, compiled, out: Outbox::new(2), now, sent: Vec::new() };
        router.link(WAN, true);
        router.link(LAN, true);
        router.wait(Duration::from_secs(3));
        router
    }

    fn step(&mut self, input: &mut Input<'_>) {
        let order = input.byte();
        let port = order >> 7;
        match order & 7 {
            0 | 1 => self.frame(port, order, input),
            2 => self.answer(),
            3 => self.reply(order, input),
            4 => self.wait(Duration::from_millis(input.word().into())),
            5 => self.wait(Duration::from_secs(input.word().into())),
            6 => self.link(port, order & 8 == 0),
            _ if order & 8 == 0 => self.host(input),
            _ => self.apply(order),
        }
    }

    /// A frame comes in. 8: as it is; otherwise it is addressed to us and its sums are repaired. 16: behind the tag of
    /// the third interface. 32, when repaired: with an offload header; the edge believes
    /// its peer's kernel about checksums.
    fn frame(&mut self, port: u8, order: u8, input: &mut Input<'_>) {
        let offload = order & (8 | 32) == 32;
        let header = if offload { input.take(10) } else { &[] };
        let mut bytes = input.piece().to_vec();
        let tagged = order & 16 != 0;
        if order & 8 == 0 && bytes.len() >= 14 {
            let mac = self.mac(port, tagged);
            bytes[..6].copy_from_slice(&mac);
            Repair::ALL.apply(&mut bytes);
            if header.first().is_some_and(|flags| flags & 1 != 0) {
                make_partial(&mut bytes);
            }
            if tagged {
                bytes.splice(12..12, [0x81, 0, 0, DMZ_TAG as u8]);
            }
        }
        let whole = [header, &bytes].concat();
        let mut frame = self.out.pool.take();
        frame.receive_area(offload)[..whole.len()].copy_from_slice(&whole);
        if frame.received(whole.len(), offload) {
            self.feed(port, frame);
        }
    }

    fn mac(&self, port: u8, tagged: bool) -> [u8; 6] {
        let vlan = tagged.then_some(DMZ_TAG);
        let mut links = self.compiled.links.iter();
        links.find(|link| link.port == PortId(port) && link.vlan == vlan).map_or([0xff; 6], |link| link.mac.0)
    }

    fn feed(&mut self, port: u8, frame: FrameBuf) {
        self.shard.handle_frames(self.now, PortId(port), &mut vec![frame], &mut self.out);
        self.collect();
    }

    /// Neighbours answer what they were asked last.
    fn answer(&mut self) {
        for (port, frame) in std::mem::take(&mut self.sent) {
            if let Some(answer) = neighbour_answer(&frame) {
                self.feed(port, FrameBuf::copy_of(&answer));
            }
        }
    }

    /// The receiver of the last packet answers it: the way back through translation.
    fn reply(&mut self, order: u8, input: &mut Input<'_>) {
        let last = self.sent.iter().rev().find_map(|(port, frame)| Some((*port, swapped(frame)?)));
        let Some((port, mut frame)) = last else { return };
        if order & 8 != 0 {
            let at = usize::from(input.byte()) % frame.len();
            frame[at] ^= input.byte();
            Repair::ALL.apply(&mut frame);
        }
        self.feed(port, FrameBuf::copy_of(&frame));
    }

    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        for _ in 0..32 {
            let due = self.shard.poll_timeout().map(|(at, _)| at).filter(|at| *at < end);
            self.now = due.unwrap_or(end).max(self.now);
            self.shard.handle_timeout(self.now, &mut self.out);
            self.collect();
            if self.now == end {
                break;
            }
        }
        self.now = end;
    }

    fn link(&mut self, port: u8, up: bool) {
        self.shard.handle_link(self.now, PortId(port), up, &mut self.out);
        self.collect();
    }

    /// A packet of the router's own stack.
    fn host(&mut self, input: &mut Input<'_>) {
        let mut bytes = input.piece().to_vec();
        from_us(&mut bytes);
        Repair::ALL.apply(&mut bytes);
        if ip(FrameBuf::copy_of(&bytes)).is_none_or(|packet| deviation(&packet) != (0, 0)) {
            return;
        }
        let mut frame = self.out.pool.take();
        frame.set(&bytes);
        self.shard.handle_host_packets(self.now, &mut vec![frame], &mut self.out);
        self.collect();
    }

    fn apply(&mut self, order: u8) {
        self.compiled = COMPILED.with(|both| Arc::clone(&both[usize::from(order >> 4 & 1)]));
        let command = Command::Apply(Arc::clone(&self.compiled), Box::new(|()| {}));
        self.shard.handle_command(self.now, command, &mut self.out);
        self.collect();
    }

    fn collect(&mut self) {
        self.shard.release_answers(self.now, &mut self.out);
        for port in [WAN, LAN] {
            let (frames, pool) = self.out.frames(PortId(port));
            for frame in frames.drain(..) {
                check(&self.compiled, port, &frame);
                self.sent.push((port, frame.bytes().to_vec()));
                pool.give(frame);
            }
        }
        for frame in self.out.host.drain(..) {
            let packet = ip(frame).expect("the stack gets packets");
            assert_layout(&packet);
            assert_eq!(deviation(&packet), (0, 0));
            self.out.pool.give(packet.frame);
        }
        assert!(self.out.is_empty());
        let excess = self.sent.len().saturating_sub(64);
        self.sent.drain(..excess);
    }

    fn check_tables(&mut self) {
        let (sender, receiver) = std::sync::mpsc::channel();
        let reply = Box::new(move |snapshot| drop(sender.send(snapshot)));
        self.shard.handle_command(self.now, Command::Snapshot(reply), &mut self.out);
        let snapshot = receiver.try_recv().expect("an answer at once");
        let states = snapshot.states;
        assert!(states.current <= states.limit);
        assert_eq!(states.current, states.inserted - states.removed);
        assert!(snapshot.neighbours.len() <= 16_384);
    }
}

/// The router's own stack sends from its own addresses, with hops left.
fn from_us(frame: &mut [u8]) {
    match frame.get(12..14) {
        Some([8, 0]) if frame.len() >= 34 => {
            frame[22] = 64;
            frame[26..30].copy_from_slice(&[198, 51, 100, 2]);
        }
        Some([0x86, 0xdd]) if frame.len() >= 54 => {
            frame[21] = 64;
            frame[22..38].copy_from_slice(&[0x20, 1, 0xd, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
        }
        Some(_) | None => {}
    }
}

/// A frame that leaves.
fn check(compiled: &Compiled, port: u8, frame: &FrameBuf) {
    assert!(frame.gso.is_none(), "the port has no offloads");
    let mut bytes = frame.bytes().to_vec();
    let tag = (bytes[12..14] == [0x81, 0]).then(|| u16::from_be_bytes([bytes[14], bytes[15]]));
    if tag.is_some() {
        bytes.drain(12..16);
    }
    let link = compiled.links.iter().find(|link| link.port == PortId(port) && link.vlan == tag);
    let link = link.expect("an interface of ours");
    assert_eq!(bytes[6..12], link.mac.0);
    let packet = match Packet::parse(FrameBuf::copy_of(&bytes)) {
        Ok(Parsed::Ip(packet)) => packet,
        Ok(Parsed::Arp(frame)) => {
            let repr = arp::Repr::parse(frame.bytes()).expect("sensible ARP");
            return assert!(link.addresses.iter().any(|net| net.addr() == IpAddr::V4(repr.sender)));
        }
        Err((reason, _)) => panic!("{reason:?}: {bytes:02x?}"),
    };
    assert_layout(&packet);
    assert_eq!(deviation(&packet), (0, 0), "{:?} {bytes:02x?}", packet.layout);
    assert!(packet.ip().len() <= usize::from(link.mtu));
    assert!(packet.layout.hop_limit > 0);
    assert!(packet.layout.fragment == Fragment::Whole || packet.ip().len() > 20);
    if let (WAN, IpAddr::V4(src)) = (port, packet.layout.key.src()) {
        // Automatic outbound translation covers the networks that the router knows inside.
        let inside = matches!(src.octets(), [192, 168, 1, _] | [172, 16, 0, _]);
        assert!(!inside, "{:?} shows what is inside", packet.layout.key);
    }
}

/// The answer to an ARP request or a neighbour solicitation for a station's address.
fn neighbour_answer(frame: &[u8]) -> Option<Vec<u8>> {
    let tag = if frame[12..14] == ethertype::VLAN.to_be_bytes() { &frame[12..16] } else { &[] };
    let plain = [&frame[..12], &frame[12 + tag.len()..]].concat();
    let ours = koi::types::MacAddr(frame[6..12].try_into().ok()?);
    let station = koi::types::MacAddr(STATION);
    let mut answer = match Packet::parse(FrameBuf::copy_of(&plain)) {
        Ok(Parsed::Arp(frame)) => {
            let asked = arp::Repr::parse(frame.bytes())?;
            if asked.sender == asked.target || asked.operation != arp::Operation::Request {
                return None;
            }
            let reply = arp::Repr {
                operation: arp::Operation::Reply,
                sender_mac: station,
                sender: asked.target,
                target_mac: asked.sender_mac,
                target: asked.sender,
            };
            reply.emit(ours).to_vec()
        }
        Ok(Parsed::Ip(packet)) => {
            let Ok(Message::Solicitation { target, source_mac: Some(_), nonce: _ }) = Message::read(&packet)
            else {
                return None;
            };
            let IpAddr::V6(to) = packet.layout.key.src() else { return None };
            let message = Message::Advertisement {
                target,
                target_mac: Some(station),
                router: false,
                solicited: true,
                overriding: true,
            };
            message
                .frame(Envelope { from_mac: station, to_mac: ours, from: target, to }, &[])
                .bytes()
                .to_vec()
        }
        Err(_) => return None,
    };
    answer.splice(12..12, tag.iter().copied());
    Some(answer)
}

/// The same packet on its way back: MAC and IP addresses and ports swapped, a SYN answered, acknowledgements right.
fn swapped(frame: &[u8]) -> Option<Vec<u8>> {
    if frame[12..14] == ethertype::VLAN.to_be_bytes() {
        return None;
    }
    let packet = ip(FrameBuf::copy_of(frame)).filter(|packet| packet.layout.fragment == Fragment::Whole)?;
    let (l3, l4) = (usize::from(packet.layout.l3), usize::from(packet.layout.l4));
    let mut back = frame.to_vec();
    let swap = |back: &mut [u8], at: usize, len: usize| {
        for index in at..at + len {
            back.swap(index, index + len);
        }
    };
    swap(&mut back, 0, 6);
    match packet.layout.key.src() {
        IpAddr::V4(_) => swap(&mut back, l3 + 12, 4),
        IpAddr::V6(_) => swap(&mut back, l3 + 8, 16),
    }
    match packet.layout.transport {
        Transport::Tcp { flags, seq, ack, header_len, .. } => {
            swap(&mut back, l4, 2);
            let began = flags & (tcp_flags::SYN | tcp_flags::FIN) != 0;
            let payload = packet.transport().len() - usize::from(header_len);
            let next = seq.wrapping_add(payload as u32).wrapping_add(u32::from(began));
            let number = if flags & tcp_flags::ACK != 0 { ack } else { 0x0102_0304 };
            back[l4 + 4..l4 + 8].copy_from_slice(&number.to_be_bytes());
            back[l4 + 8..l4 + 12].copy_from_slice(&next.to_be_bytes());
            back[l4 + 13] |= tcp_flags::ACK;
            if flags & (tcp_flags::SYN | tcp_flags::ACK) == tcp_flags::SYN | tcp_flags::ACK {
                back[l4 + 13] = tcp_flags::ACK;
            }
        }
        Transport::Udp => swap(&mut back, l4, 2),
        Transport::IcmpQuery { request: true } => {
            back[l4] = if packet.layout.key.src().is_ipv4() { back[l4].saturating_sub(8) } else { 129 };
        }
        _ => return None,
    }
    Repair::ALL.apply(&mut back);
    Some(back)
}
