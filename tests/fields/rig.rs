//! A router on the bench: frames in by hand, frames out in the hand. Stations on every port answer ARP and
//! neighbour discovery.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use etherparse::PacketBuilder;
use koi::config;
use koi::node::{Command, Compiled, Offload, Outbox, Shard};
use koi::types::{Instant, MacAddr, PortId, Seed, WallTime};
use koi::wire::{FrameBuf, Packet, Parsed};

/// The MAC address of every station.
pub const STATION: MacAddr = MacAddr([2, 0xaa, 0, 0, 0, 1]);

pub struct Rig {
    pub shard: Shard,
    out: Outbox,
    pub now: Instant,
    macs: Vec<MacAddr>,
}

/// A frame that came out.
pub struct Sent {
    pub port: u8,
    pub bytes: Vec<u8>,
}

impl Sent {
    /// The frame as an IP packet, when it is one.
    pub fn ip(&self) -> Option<Packet> {
        match Packet::parse(FrameBuf::copy_of(&self.bytes)) {
            Ok(Parsed::Ip(packet)) => Some(packet),
            Ok(Parsed::Arp(_)) | Err(_) => None,
        }
    }
}

/// As it is at a moment of the calendar.
pub fn compile_at(document: &str, epoch: u32, at: &str) -> Compiled {
    let compiled = compile(document, epoch);
    let conditions = config::Conditions::at(&compiled.config, wall(at));
    compiled.renewed(epoch, Arc::new(conditions))
}

/// A moment of the calendar in UTC: `2026-11-23 09:00`.
pub fn wall(at: &str) -> WallTime {
    let civil: jiff::civil::DateTime = at.parse().unwrap();
    let seconds = jiff::tz::TimeZone::UTC.to_timestamp(civil).unwrap().as_second();
    WallTime::from_secs(seconds as u64)
}

pub fn compile(document: &str, epoch: u32) -> Compiled {
    let valid = config::load(document).unwrap_or_else(|problems| panic!("{problems:#?}"));
    let node = valid.node(None).or_else(|_| valid.node(Some("alpha"))).unwrap();
    let ports = valid.node_part(node).ports.len();
    Compiled::new(Arc::new(valid), node, epoch, vec![Offload::NONE; ports])
}

impl Rig {
    pub fn new(document: &str) -> Self {
        Rig::with(compile(document, 1))
    }

    pub fn with(compiled: Compiled) -> Self {
        let ports = compiled.offloads.len();
        let macs = (0..ports)
            .map(|port| compiled.links.iter().find(|link| link.port == PortId(port as u8)))
            .map(|link| link.map_or(MacAddr::default(), |link| link.mac))
            .collect();
        let now = Instant::from_secs(100);
        let mut rig = Rig {
            shard: Shard::new(Arc::new(compiled), Seed([1, 2]), now),
            out: Outbox::new(ports),
            now,
            macs,
        };
        for port in 0..ports {
            rig.shard.handle_link(now, PortId(port as u8), true, &mut rig.out);
        }
        rig.wait(Duration::from_secs(5));
        rig
    }

    /// Puts another document in force.
    pub fn apply(&mut self, document: &str, epoch: u32) {
        self.put_in_force(compile(document, epoch));
    }

    /// Puts it in force.
    pub fn put_in_force(&mut self, compiled: Compiled) {
        let command = Command::Apply(Arc::new(compiled), Box::new(|()| {}));
        self.shard.handle_command(self.now, command, &mut self.out);
    }

    /// The same document under other circumstances.
    pub fn renew(&mut self, compiled: Compiled) {
        let command = Command::Renew(Arc::new(compiled), Box::new(|()| {}));
        self.shard.handle_command(self.now, command, &mut self.out);
    }

    /// A piece of work from the control plane.
    pub fn command(&mut self, command: Command) -> Vec<Sent> {
        self.shard.handle_command(self.now, command, &mut self.out);
        self.collect()
    }

    /// How many chunks for the peer have been made since this was last asked.
    pub fn chunks(&mut self) -> u64 {
        self.out.chunks.drain(..).count() as u64
    }

    /// The peer has applied so many chunks.
    pub fn acked(&mut self, chunks: u64) -> Vec<Sent> {
        self.shard.handle_acked(self.now, chunks, &mut self.out);
        self.collect()
    }

    /// What the role is given: the number of the interface (255 for the cable of the pair) and the frame.
    pub fn control(&mut self) -> Vec<(u8, Vec<u8>)> {
        self.out.control.drain(..).map(|(interface, frame)| (interface.0, frame.bytes().to_vec())).collect()
    }

    /// The router ends.
    pub fn stop(&mut self) -> Vec<Sent> {
        self.shard.handle_stop(self.now, &mut self.out);
        self.collect()
    }

    /// What the router's own stack is given.
    pub fn host(&mut self) -> usize {
        self.out.host.drain(..).count()
    }

    /// A packet of the router's own stack.
    pub fn own_packet(&mut self, ip: Vec<u8>) -> Vec<Sent> {
        let frame = FrameBuf::copy_of(&[&[0; 14], &ip[..]].concat());
        self.shard.handle_host_packets(self.now, &mut vec![frame], &mut self.out);
        self.collect()
    }

    /// A frame comes in; returns the IP packets (and other frames) that go out, neighbours answered.
    pub fn frame(&mut self, port: u8, frame: &[u8]) -> Vec<Sent> {
        self.shard.handle_frames(self.now, PortId(port), &mut vec![FrameBuf::copy_of(frame)], &mut self.out);
        self.collect()
    }

    /// As [`Rig::frame`], but no station answers.
    pub fn frame_unanswered(&mut self, port: u8, frame: &[u8]) -> Vec<Sent> {
        self.shard.handle_frames(self.now, PortId(port), &mut vec![FrameBuf::copy_of(frame)], &mut self.out);
        self.shard.release_answers(self.now, &mut self.out);
        let mut sent = Vec::new();
        for port in 0..self.macs.len() as u8 {
            let (frames, _) = self.out.frames(PortId(port));
            sent.extend(frames.drain(..).map(|frame| Sent { port, bytes: frame.bytes().to_vec() }));
        }
        sent
    }

    /// An IP packet comes in from a station; the builder gives everything behind the Ethernet header.
    pub fn packet(&mut self, port: u8, ip: Vec<u8>) -> Vec<Sent> {
        let kind = if ip[0] >> 4 == 4 { [8, 0] } else { [0x86, 0xdd] };
        let frame = [&self.macs[usize::from(port)].0[..], &STATION.0, &kind, &ip].concat();
        self.frame(port, &frame)
    }

    /// Time passes; what is due is done.
    pub fn wait(&mut self, time: Duration) -> Vec<Sent> {
        let end = self.now + time;
        let mut sent = self.collect();
        while let Some((at, _)) = self.shard.poll_timeout().filter(|(at, _)| *at <= end) {
            self.now = self.now.max(at);
            self.shard.handle_timeout(self.now, &mut self.out);
            sent.extend(self.collect());
        }
        self.now = end;
        sent
    }

    fn collect(&mut self) -> Vec<Sent> {
        let mut sent = Vec::new();
        for _ in 0..8 {
            self.shard.release_answers(self.now, &mut self.out);
            let mut answers = Vec::new();
            for port in 0..self.macs.len() as u8 {
                let (frames, pool) = self.out.frames(PortId(port));
                for frame in frames.drain(..) {
                    let bytes = frame.bytes().to_vec();
                    pool.give(frame);
                    match neighbour_answer(&bytes) {
                        Some(answer) => answers.push((port, answer)),
                        None => sent.push(Sent { port, bytes }),
                    }
                }
            }
            if answers.is_empty() {
                break;
            }
            for (port, answer) in answers {
                self.shard.handle_frames(
                    self.now,
                    PortId(port),
                    &mut vec![FrameBuf::copy_of(&answer)],
                    &mut self.out,
                );
            }
        }
        sent
    }
}

/// The answer to an ARP request or a neighbour solicitation for a station's address (never one of the router's).
fn neighbour_answer(frame: &[u8]) -> Option<Vec<u8>> {
    let tag = if frame[12..14] == [0x81, 0] { 4 } else { 0 };
    let ours = MacAddr(frame[6..12].try_into().ok()?);
    let header = |kind: [u8; 2]| {
        let mut header = [&ours.0[..], &STATION.0].concat();
        header.extend_from_slice(&frame[12..12 + tag]);
        header.extend_from_slice(&kind);
        header
    };
    let body = &frame[14 + tag..];
    match frame[12 + tag..14 + tag] {
        [8, 6] if body[6..8] == [0, 1] && body[14..18] != body[24..28] && body[14..18] != [0; 4] => {
            let mut reply = header([8, 6]);
            reply.extend_from_slice(&[0, 1, 8, 0, 6, 4, 0, 2]);
            reply.extend_from_slice(&STATION.0);
            reply.extend_from_slice(&body[24..28]);
            reply.extend_from_slice(&body[8..18]);
            Some(reply)
        }
        [0x86, 0xdd] if body[6] == 58 && body[40] == 135 && body[8..24] != [0; 16] => {
            let target: [u8; 16] = body[48..64].try_into().ok()?;
            let asker: [u8; 16] = body[8..24].try_into().ok()?;
            let mut message = vec![136, 0, 0, 0, 0x60, 0, 0, 0];
            message.extend_from_slice(&target);
            message.extend_from_slice(&[2, 1]);
            message.extend_from_slice(&STATION.0);
            let pseudo = koi::wire::checksum::pseudo_header(
                IpAddr::from(target),
                IpAddr::from(asker),
                58,
                message.len() as u32,
            );
            let sum = !koi::wire::checksum::add(pseudo, koi::wire::checksum::sum(&message));
            message[2..4].copy_from_slice(&sum.to_be_bytes());
            let mut reply = header([0x86, 0xdd]);
            reply.extend_from_slice(&[0x60, 0, 0, 0, 0, message.len() as u8, 58, 255]);
            reply.extend_from_slice(&target);
            reply.extend_from_slice(&asker);
            reply.extend_from_slice(&message);
            Some(reply)
        }
        _ => None,
    }
}

/// A UDP packet, IP header first.
pub fn udp(from: (&str, u16), to: (&str, u16), payload: &[u8]) -> Vec<u8> {
    build(from.0, to.0, |builder, out| builder.udp(from.1, to.1).write(out, payload).unwrap())
}

/// A TCP SYN with an MSS option.
pub fn syn(from: (&str, u16), to: (&str, u16), mss: u16) -> Vec<u8> {
    build(from.0, to.0, |builder, out| {
        let options = [etherparse::TcpOptionElement::MaximumSegmentSize(mss)];
        builder.tcp(from.1, to.1, 1000, 64000).syn().options(&options).unwrap().write(out, &[]).unwrap();
    })
}

/// A TCP segment.
pub fn tcp(from: (&str, u16), to: (&str, u16), flags: &str, seq: u32, ack: u32) -> Vec<u8> {
    build(from.0, to.0, |builder, out| {
        let mut step = builder.tcp(from.1, to.1, seq, 64000);
        for flag in flags.chars() {
            step = match flag {
                'S' => step.syn(),
                'A' => step.ack(ack),
                'F' => step.fin(),
                'R' => step.rst(),
                other => panic!("{other}"),
            };
        }
        step.write(out, &[]).unwrap();
    })
}

/// An ICMP echo request.
pub fn echo(from: &str, to: &str, id: u16) -> Vec<u8> {
    build(from, to, |builder, out| match from.contains(':') {
        false => builder.icmpv4_echo_request(id, 1).write(out, b"koi").unwrap(),
        true => builder.icmpv6_echo_request(id, 1).write(out, b"koi").unwrap(),
    })
}

/// The answer to an echo request over IPv4.
pub fn echo_answer(from: &str, to: &str, id: u16) -> Vec<u8> {
    build(from, to, |builder, out| builder.icmpv4_echo_reply(id, 1).write(out, b"koi").unwrap())
}

fn build(
    from: &str,
    to: &str,
    write: impl FnOnce(etherparse::PacketBuilderStep<etherparse::IpHeaders>, &mut Vec<u8>),
) -> Vec<u8> {
    let mut out = Vec::new();
    let builder = match (from.parse().unwrap(), to.parse().unwrap()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => PacketBuilder::ipv4(from.octets(), to.octets(), 64),
        (IpAddr::V6(from), IpAddr::V6(to)) => PacketBuilder::ipv6(from.octets(), to.octets(), 64),
        (from, to) => panic!("{from} {to}"),
    };
    write(builder, &mut out);
    out
}
