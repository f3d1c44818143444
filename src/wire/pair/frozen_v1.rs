//! Version 1 of the pair's protocols, as its release wrote it: an encoder that shares nothing with the present one and
//! is never changed again. What it writes must be read for as long as version 1 is the release before.
//!
//! When version 3 comes, a frozen version 2 takes its place.

use std::net::IpAddr;

/// A heartbeat. `health`: forwarding, links, gateways, synced.
pub struct Heartbeat<'a> {
    pub epoch: u32,
    /// 0 alone, 1 active, 2 standby.
    pub role: u8,
    pub preference: u8,
    pub health: [u8; 4],
    pub sequence: u64,
    pub sent: u64,
    pub heard: &'a [(u8, u64)],
    pub lateness_micros: u32,
    pub resigns: bool,
    pub maintenance: bool,
    pub config_hash: u64,
    pub applied: u64,
    pub calendar_ms: u64,
}

impl Heartbeat<'_> {
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![1];
        number(self.epoch.into(), &mut bytes);
        bytes.push(self.role);
        bytes.push(self.preference);
        bytes.extend(self.health);
        number(self.sequence, &mut bytes);
        number(self.sent, &mut bytes);
        number(self.heard.len() as u64, &mut bytes);
        for (path, sequence) in self.heard {
            bytes.push(*path);
            number(*sequence, &mut bytes);
        }
        number(self.lateness_micros.into(), &mut bytes);
        bytes.extend([u8::from(self.resigns), u8::from(self.maintenance)]);
        number(self.config_hash, &mut bytes);
        number(self.applied, &mut bytes);
        number(1, &mut bytes);
        number(self.calendar_ms, &mut bytes);
        bytes
    }
}

/// A translated UDP flow over IPv4: the reply key's destination and port are its own.
pub struct Udp {
    pub slot: u32,
    pub generation: u16,
    pub from: ([u8; 4], u16),
    pub to: ([u8; 4], u16),
    pub translated: ([u8; 4], u16),
    pub interfaces: [u8; 2],
    pub rules: [u32; 2],
    pub traffic: [u8; 2],
    pub packets: [u32; 2],
    pub bytes: [u64; 2],
    pub age: u32,
    pub idle: u32,
}

impl Udp {
    pub fn encode(&self, into: &mut Vec<u8>) {
        into.extend([1, 0x02 | 0x08, 17]);
        into.extend(self.slot.to_be_bytes());
        into.extend(self.generation.to_be_bytes());
        into.extend(self.from.0);
        into.extend(self.to.0);
        into.extend(self.from.1.to_be_bytes());
        into.extend(self.to.1.to_be_bytes());
        into.extend(self.translated.0);
        into.extend(self.translated.1.to_be_bytes());
        into.extend(self.interfaces);
        self.rules.iter().for_each(|rule| into.extend(rule.to_be_bytes()));
        into.push(self.traffic[0] | self.traffic[1] << 3);
        self.packets.iter().for_each(|count| number((*count).into(), into));
        self.bytes.iter().for_each(|count| number(*count, into));
        number(self.age.into(), into);
        number(self.idle.into(), into);
        into.push(0);
    }
}

/// One end of a TCP connection.
pub struct TcpEnd {
    pub phase: u8,
    pub low: u32,
    pub high: u32,
    pub acked: u32,
    pub window: u16,
    /// 15: none.
    pub scale: u8,
}

/// An untranslated TCP connection over IPv6 whose rule on the way in logs.
pub struct Tcp6 {
    pub slot: u32,
    pub generation: u16,
    pub from: ([u8; 16], u16),
    pub to: ([u8; 16], u16),
    pub interfaces: [u8; 2],
    pub rules: [u32; 2],
    pub ends: [TcpEnd; 2],
    pub packets: [u32; 2],
    pub bytes: [u64; 2],
    pub age: u32,
    pub idle: u32,
}

impl Tcp6 {
    pub fn encode(&self, into: &mut Vec<u8>) {
        into.extend([1, 0x10 | 0x20, 6]);
        into.extend(self.slot.to_be_bytes());
        into.extend(self.generation.to_be_bytes());
        into.extend(self.from.0);
        into.extend(self.to.0);
        into.extend(self.from.1.to_be_bytes());
        into.extend(self.to.1.to_be_bytes());
        into.extend(self.interfaces);
        self.rules.iter().for_each(|rule| into.extend(rule.to_be_bytes()));
        let [a, b] = &self.ends;
        into.extend([a.phase | b.phase << 3, a.scale | b.scale << 4]);
        for end in [a, b] {
            into.extend(end.low.to_be_bytes());
            into.extend(end.high.to_be_bytes());
            into.extend(end.acked.to_be_bytes());
            into.extend(end.window.to_be_bytes());
        }
        self.packets.iter().for_each(|count| number((*count).into(), into));
        self.bytes.iter().for_each(|count| number(*count, into));
        number(self.age.into(), into);
        number(self.idle.into(), into);
        into.push(0);
    }
}

pub fn begin(into: &mut Vec<u8>) {
    into.push(1);
}

pub fn close(slot: u32, generation: u16, into: &mut Vec<u8>) {
    into.push(2);
    into.extend(slot.to_be_bytes());
    into.extend(generation.to_be_bytes());
}

/// The begin of a range of slots, or its end.
pub fn range(ends: bool, first: u32, last: u32, into: &mut Vec<u8>) {
    into.push(if ends { 4 } else { 3 });
    into.extend(first.to_be_bytes());
    into.push((last - first) as u8);
}

pub fn complete(into: &mut Vec<u8>) {
    into.push(5);
}

pub fn neighbour(interface: u8, address: IpAddr, mac: [u8; 6], into: &mut Vec<u8>) {
    into.extend([6, interface]);
    match address {
        IpAddr::V4(v4) => {
            into.push(4);
            into.extend(v4.octets());
        }
        IpAddr::V6(v6) => {
            into.push(6);
            into.extend(v6.octets());
        }
    }
    into.extend(mac);
}

/// The replication's datagrams: a stream begins, a chunk, an acknowledgement.
pub fn stream_begin(stream: u64) -> Vec<u8> {
    [&[1][..], &stream.to_be_bytes()].concat()
}

pub fn stream_data(stream: u64, sequence: u64, chunk: &[u8]) -> Vec<u8> {
    [&[2][..], &stream.to_be_bytes(), &sequence.to_be_bytes(), chunk].concat()
}

pub fn stream_ack(stream: u64, received: u64, applied: u64, beyond: &[u64; 4]) -> Vec<u8> {
    let mut bytes =
        [&[3][..], &stream.to_be_bytes(), &received.to_be_bytes(), &applied.to_be_bytes()].concat();
    beyond.iter().for_each(|word| bytes.extend(word.to_be_bytes()));
    bytes
}

/// The envelope in front of a sealed message.
pub fn envelope(space: u8, session: u32, counter: u64) -> Vec<u8> {
    [&[1, 1, space, 0][..], &session.to_be_bytes(), &counter.to_be_bytes()].concat()
}

/// The one control message: the sender's router has died in this epoch.
pub fn resignation(epoch: u32) -> Vec<u8> {
    [&[1][..], &epoch.to_be_bytes()].concat()
}

fn number(mut number: u64, into: &mut Vec<u8>) {
    while number > 0x7f {
        into.push(number as u8 | 0x80);
        number >>= 7;
    }
    into.push(number as u8);
}

/// What version 1 writes is read as what it means, and what is meant for version 1 is written as it would.
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::super::{Envelope, Health, Heartbeat as Now, Kind, Space, Version, flow};
    use super::*;
    use crate::types::{Epoch, InterfaceId, MacAddr, PathId, Role, RuleId};
    use crate::wire::FlowKey;
    use crate::wire::pair::flow::{Change, FlowRecord, Progress};

    fn frozen() -> Heartbeat<'static> {
        Heartbeat {
            epoch: 300,
            role: 2,
            preference: 200,
            health: [1, 2, 1, 0],
            sequence: 1_000_000,
            sent: u64::MAX,
            heard: &[(0, 999_999), (3, 130)],
            lateness_micros: 128,
            resigns: false,
            maintenance: true,
            config_hash: 5,
            applied: 6,
            calendar_ms: 1_800_000_000_000,
        }
    }

    fn present() -> Now {
        // By way of the bytes, so that a field that is added later needs no change here.
        let mut now = Now::decode(&frozen().encode()).unwrap();
        now.version = 1;
        now
    }

    #[test]
    fn the_frozen_bytes_are_those_of_the_release() {
        let expected = [
            1, 0xac, 2, 2, 200, 1, 2, 1, 0, 0xc0, 0x84, 0x3d, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
            0xff, 1, 2, 0, 0xbf, 0x84, 0x3d, 3, 0x82, 1, 0x80, 1, 0, 1, 5, 6, 1, 0x80, 0xa0, 0xf1, 0xc2,
            0xb1, 0x34,
        ];
        assert_eq!(frozen().encode(), expected);
    }

    #[test]
    fn a_heartbeat_of_version_1_is_understood() {
        let heard = Now::decode(&frozen().encode()).unwrap();
        assert_eq!((heard.epoch, heard.role, heard.preference), (Epoch(300), Role::Standby, 200));
        assert_eq!(heard.health, Health { forwarding: true, links: 2, gateways: 1, synced: false });
        assert_eq!((heard.sequence, heard.sent), (1_000_000, u64::MAX));
        assert_eq!(heard.heard, [(PathId(0), 999_999), (PathId(3), 130)]);
        assert_eq!((heard.lateness_micros, heard.resigns, heard.maintenance), (128, false, true));
        assert_eq!((heard.config_hash, heard.applied, heard.version), (5, 6, 1));
        assert_eq!(heard.calendar_ms, 1_800_000_000_000);
        assert_eq!(Version::NEWEST.with(Version(heard.version)), Some(Version(1)));
        for len in 0..frozen().encode().len() {
            assert_eq!(Now::decode(&frozen().encode()[..len]), None, "{len} bytes");
        }
    }

    #[test]
    fn version_1_understands_the_present_heartbeat() {
        // It reads its own fields and passes over what comes behind them.
        let encoded = present().encode();
        assert!(encoded.starts_with(&frozen().encode()), "{encoded:?}");
        assert!(encoded.len() <= 1_200, "version 1 refuses longer ones");
    }

    fn udp() -> Udp {
        Udp {
            slot: 70_000,
            generation: 3,
            from: ([192, 168, 1, 10], 5353),
            to: ([198, 51, 100, 7], 53),
            translated: ([203, 0, 113, 2], 61_000),
            interfaces: [0, 1],
            rules: [1, 2],
            traffic: [2, 1],
            packets: [200, 1],
            bytes: [70_000, 300],
            age: 200,
            idle: 0,
        }
    }

    fn udp_record() -> FlowRecord {
        let v4 = |octets: [u8; 4]| IpAddr::V4(Ipv4Addr::from(octets));
        let udp = udp();
        FlowRecord {
            slot: udp.slot,
            generation: udp.generation,
            original: FlowKey::new(17, v4(udp.from.0), udp.from.1, v4(udp.to.0), udp.to.1).unwrap(),
            reply: FlowKey::new(17, v4(udp.to.0), udp.to.1, v4(udp.translated.0), udp.translated.1).unwrap(),
            interfaces: udp.interfaces.map(InterfaceId),
            rules: udp.rules.map(|rule| (RuleId(rule), false)),
            gateways: [None; 2],
            progress: Progress::Other { traffic: udp.traffic, repeated: false },
            packets: udp.packets,
            bytes: udp.bytes,
            age: udp.age,
            idle: udp.idle,
            proxied: None,
        }
    }

    fn tcp_ends() -> [TcpEnd; 2] {
        let end = |phase, scale| TcpEnd { phase, low: 7, high: u32::MAX, acked: 9, window: 65_535, scale };
        [end(4, 7), end(5, 15)]
    }

    fn tcp() -> Tcp6 {
        Tcp6 {
            slot: 9,
            generation: 65_535,
            from: ([0x20; 16], 1024),
            to: ([0x21; 16], 443),
            interfaces: [1, 0],
            rules: [1_000_001, u32::MAX],
            ends: tcp_ends(),
            packets: [u32::MAX, 1],
            bytes: [(1 << 48) - 1, 0],
            age: 86_400,
            idle: 127,
        }
    }

    fn tcp_record() -> FlowRecord {
        let v6 = |octets: [u8; 16]| IpAddr::V6(Ipv6Addr::from(octets));
        let tcp = tcp();
        let original = FlowKey::new(6, v6(tcp.from.0), tcp.from.1, v6(tcp.to.0), tcp.to.1).unwrap();
        let end = |end: TcpEnd| flow::TcpEnd {
            phase: end.phase,
            low: end.low,
            high: end.high,
            acked: end.acked,
            window: end.window,
            scale: Some(end.scale).filter(|scale| *scale != 15),
        };
        FlowRecord {
            slot: tcp.slot,
            generation: tcp.generation,
            original,
            reply: original.inverse(),
            interfaces: tcp.interfaces.map(InterfaceId),
            rules: [(RuleId(tcp.rules[0]), true), (RuleId(tcp.rules[1]), false)],
            gateways: [None; 2],
            progress: Progress::Tcp(tcp.ends.map(end)),
            packets: tcp.packets,
            bytes: tcp.bytes,
            age: tcp.age,
            idle: tcp.idle,
            proxied: None,
        }
    }

    /// Each change that version 1 has.
    fn changes() -> (Vec<u8>, Vec<Change>) {
        let mut bytes = Vec::new();
        begin(&mut bytes);
        udp().encode(&mut bytes);
        tcp().encode(&mut bytes);
        close(5, 6, &mut bytes);
        range(false, 256, 511, &mut bytes);
        range(true, 256, 511, &mut bytes);
        complete(&mut bytes);
        let (four, six): (IpAddr, IpAddr) = (Ipv4Addr::new(10, 0, 0, 1).into(), Ipv6Addr::LOCALHOST.into());
        neighbour(1, four, [2, 0, 0, 0, 0, 1], &mut bytes);
        neighbour(2, six, [2, 0, 0, 0, 0, 2], &mut bytes);
        let neighbour =
            |interface, address, mac| Change::Neighbour { interface: InterfaceId(interface), address, mac };
        let changes = vec![
            Change::Upsert(Box::new(udp_record())),
            Change::Upsert(Box::new(tcp_record())),
            Change::Close { slot: 5, generation: 6 },
            Change::RangeBegin { first: 256, last: 511 },
            Change::RangeEnd { first: 256, last: 511 },
            Change::Complete,
            neighbour(1, four, MacAddr([2, 0, 0, 0, 0, 1])),
            neighbour(2, six, MacAddr([2, 0, 0, 0, 0, 2])),
        ];
        (bytes, changes)
    }

    #[test]
    fn every_change_of_version_1_is_understood_and_written_as_it_would() {
        let (bytes, changes) = changes();
        let read: Result<Vec<Change>, _> = flow::decode(&bytes).collect();
        assert_eq!(read, Ok(changes.clone()));
        let mut written = Vec::new();
        flow::begin(&mut written);
        changes.iter().for_each(|change| flow::encode(change, &mut written));
        assert_eq!(written, bytes);
        assert!(changes.iter().all(|change| change.since() == Version(1)));
    }

    #[test]
    fn the_envelope_is_that_of_version_1() {
        let sealed = Envelope { kind: Kind::Sealed, space: 129, session: 7, counter: 8 };
        assert_eq!(sealed.emit()[..], envelope(129, 7, 8));
        assert_eq!(Envelope::parse(&envelope(129, 7, 8)), Some((sealed, &[][..])));
        let numbers = [Space::Heartbeat(PathId(5)), Space::Replica, Space::Control].map(Space::number);
        assert_eq!(numbers, [Some(5), Some(128), Some(129)]);
    }

    proptest! {
        #[test]
        fn any_heartbeat_of_version_1_means_the_same_now(
            (epoch, sequence, sent, applied) in any::<(u32, u64, u64, u64)>(),
            heard in proptest::collection::vec((0u8..64, any::<u64>()), 0..64),
            (resigns, maintenance, lateness_micros) in any::<(bool, bool, u32)>(),
        ) {
            let old = Heartbeat {
                epoch, sequence, sent, applied, resigns, maintenance, lateness_micros, heard: &heard, ..frozen()
            };
            let now = Now::decode(&old.encode()).unwrap();
            prop_assert_eq!((now.epoch.0, now.sequence, now.sent, now.applied), (epoch, sequence, sent, applied));
            prop_assert_eq!((now.resigns, now.maintenance, now.lateness_micros), (resigns, maintenance, lateness_micros));
            let paths: Vec<(u8, u64)> = now.heard.iter().map(|(path, sequence)| (path.0, *sequence)).collect();
            prop_assert_eq!(paths, heard.clone());
            prop_assert!(now.encode().starts_with(&old.encode()));
        }
    }
}
