use super::*;
use crate::config;
use crate::conntrack::testing::{TcpText, Text, key, packet};
use crate::node::{Command, Compiled, Offload};
use crate::types::{Duration, PortId, Role, Seed, Standing};
use crate::wire::{FlowKey, FrameBuf, Packet, Parsed, protocol, tcp_flags::*};

const DOCUMENT: &str = r#"
schema = 1
revision = 1
[[node]]
name = "koi"
[[node.port]]
name = "wan"
tap = "t0"
[[node.port]]
name = "lan"
tap = "t1"
[[node.interface]]
name = "wan"
addresses = ["203.0.113.2/24"]
[[node.interface]]
name = "lan"
addresses = ["192.168.1.1/24"]
[[interface]]
name = "wan"
zone = "wan"
port = "wan"
[[interface]]
name = "lan"
zone = "lan"
port = "lan"
[[rule]]
id = 1000000
interface = "lan"
action = "pass"
"#;

const CLIENT: MacAddr = MacAddr([2, 0, 0, 0, 0, 9]);
const SERVER: MacAddr = MacAddr([2, 0, 0, 0, 0, 7]);
const WAN: u8 = 0;
const LAN: u8 = 1;

struct Router {
    shard: Shard,
    out: Outbox,
    now: Instant,
}

impl Router {
    fn new(seed: u64, epoch: u32) -> Router {
        Router::of(DOCUMENT, seed, epoch)
    }

    /// The first node of a document.
    fn of(document: &str, seed: u64, epoch: u32) -> Router {
        let valid = config::load(document).unwrap_or_else(|problems| panic!("{problems:#?}"));
        let node = valid.node(Some("koi")).unwrap();
        let compiled = Arc::new(Compiled::new(Arc::new(valid), node, epoch, vec![Offload::NONE; 3]));
        let now = Instant::from_secs(100);
        let mut router =
            Router { shard: Shard::new(compiled, Seed([seed, 2]), now), out: Outbox::new(3), now };
        for port in [WAN, LAN] {
            router.shard.handle_link(now, PortId(port), true, &mut router.out);
        }
        router
    }

    fn command(&mut self, command: Command) {
        self.shard.handle_command(self.now, command, &mut self.out);
    }

    fn import(&mut self, bytes: Vec<u8>) -> Imported {
        self.shard.import(self.now, &bytes)
    }

    /// A packet comes in; the key and the destination with which it leaves by the other side.
    fn pass(&mut self, port: u8, mut packet: Packet) -> Option<(FlowKey, MacAddr)> {
        let mac = self.shard.compiled.links[usize::from(port)].mac;
        packet.frame.bytes_mut()[..6].copy_from_slice(&mac.0);
        let other = PortId(1 - port);
        self.out.frames(other).0.clear();
        self.shard.handle_frames(self.now, PortId(port), &mut vec![packet.frame], &mut self.out);
        let sent: Vec<FrameBuf> = self.out.frames(other).0.drain(..).collect();
        sent.into_iter().find_map(|frame| match Packet::parse(frame) {
            Ok(Parsed::Ip(packet)) if packet.layout.key.protocol() == protocol::TCP => {
                let mut mac = [0; 6];
                mac.copy_from_slice(&packet.frame.bytes()[..6]);
                Some((packet.layout.key, MacAddr(mac)))
            }
            Ok(Parsed::Ip(_) | Parsed::Arp(_)) | Err(_) => None,
        })
    }
}

/// The same with a second node beside the first.
fn paired() -> String {
    let mut text =
        DOCUMENT.replacen("[[node]]", &format!("[[node]]\npublic_key = \"{}\"", "0a".repeat(32)), 1);
    text += "[[node.port]]\nname = \"sync\"\ntap = \"t2\"\n[pair]\nsync = \"sync\"\npreferred = \"koi\"\n";
    for (vhid, interface, address) in [(1, "wan", "203.0.113.1/24"), (2, "lan", "192.168.1.254/24")] {
        text += &format!("[[virtual_ip]]\ninterface = \"{interface}\"\nvhid = {vhid}\n");
        text += &format!("addresses = [\"{address}\"]\npassword = \"secret\"\n");
    }
    text += &format!("[[node]]\nname = \"other\"\npublic_key = \"{}\"\n", "0b".repeat(32));
    for (port, tap) in [("wan", "u0"), ("lan", "u1"), ("sync", "u2")] {
        text += &format!("[[node.port]]\nname = \"{port}\"\ntap = \"{tap}\"\n");
    }
    for (interface, address) in [("wan", "203.0.113.3/24"), ("lan", "192.168.1.2/24")] {
        text += &format!("[[node.interface]]\nname = \"{interface}\"\naddresses = [\"{address}\"]\n");
    }
    text
}

/// The neighbours, as a peer tells of them.
fn neighbours() -> Vec<u8> {
    let mut chunk = Vec::new();
    flow::begin(&mut chunk);
    for (interface, address, mac) in [(LAN, "192.168.1.10", CLIENT), (WAN, "203.0.113.7", SERVER)] {
        let (interface, address) = (InterfaceId(interface), address.parse().unwrap());
        flow::encode(&Change::Neighbour { interface, address, mac }, &mut chunk);
    }
    chunk
}

fn segment(key: &FlowKey, flags: u8, seq: u32, ack: u32, payload: &[u8]) -> Packet {
    packet(key, &Text::Tcp(TcpText { flags, seq, ack, window: 9000, scale: None }), payload)
}

#[test]
fn a_flow_goes_on_at_the_other_router_without_a_question() {
    let (mut active, mut standby) = (Router::new(1, 1), Router::new(2, 7));
    assert_eq!(
        active.import(neighbours()),
        Imported { taken: 2, refused: 0, malformed: None, ..Imported::default() }
    );
    standby.command(Command::Replicate(Replication::Listen));
    standby.shard.set_passive(standby.now, true);
    active.command(Command::Replicate(Replication::Tell { by_name: false }));
    assert!(active.out.chunks.is_empty(), "not without credit");
    active.command(Command::Grant(100));

    let original = key(protocol::TCP, "192.168.1.10", 4000, "203.0.113.7", 443);
    let (sent, mac) = active.pass(LAN, segment(&original, SYN, 1000, 0, b"")).unwrap();
    assert_eq!((sent.src().to_string().as_str(), mac), ("203.0.113.2", SERVER));
    let reply = sent.inverse();
    assert!(active.pass(WAN, segment(&reply, SYN | ACK, 5000, 1001, b"")).is_some());
    assert!(active.pass(LAN, segment(&original, ACK, 1001, 5001, b"")).is_some());
    while active.shard.poll_timeout().is_some_and(|(at, _)| at == Instant::ZERO) {
        active.shard.handle_timeout(active.now, &mut active.out);
    }
    let chunks = std::mem::take(&mut active.out.chunks);
    assert!(chunks.iter().all(|chunk| chunk.len() <= CHUNK));
    assert!(chunks.iter().any(|chunk| flow::is_complete(chunk)));
    assert_eq!(active.shard.credit, 100 - chunks.len());
    for bytes in chunks {
        let imported = standby.import(bytes);
        assert_eq!((imported.refused, imported.malformed), (0, None));
    }
    assert_eq!(standby.shard.table.len(), 1);

    // The standby takes over: neither side notices, and nobody is asked for a MAC address.
    standby.now += Duration::from_secs(5);
    standby.shard.set_passive(standby.now, false);
    let answer = standby.pass(WAN, segment(&reply, ACK, 2_000_000_000, 1501, b"answer"));
    assert_eq!(answer, Some((original.inverse(), CLIENT)));
    let question = standby.pass(LAN, segment(&original, ACK, 1501, 2_000_000_006, b"question"));
    assert_eq!(question, Some((sent, SERVER)));
}

#[test]
fn what_is_no_change_is_told() {
    let mut router = Router::new(1, 1);
    let told = router.import(vec![9, 9]);
    assert_eq!(
        told,
        Imported { taken: 0, refused: 0, malformed: Some(flow::Malformed::Version), ..Imported::default() }
    );
    // A multicast address is nobody's.
    let mut chunk = Vec::new();
    flow::begin(&mut chunk);
    let (address, mac) = ("192.168.1.10".parse().unwrap(), MacAddr::BROADCAST);
    flow::encode(&Change::Neighbour { interface: InterfaceId(LAN), address, mac }, &mut chunk);
    chunk.push(77);
    let told = router.import(chunk);
    assert_eq!(
        told,
        Imported { taken: 0, refused: 1, malformed: Some(flow::Malformed::Kind), ..Imported::default() }
    );
}

/// pf gives a ping 10 s, and the peer tells of flows that only go on every 30 s.
#[test]
fn a_standby_that_was_just_started_keeps_what_it_is_told_of() {
    let mut active = Router::new(1, 1);
    active.import(neighbours());
    active.command(Command::Replicate(Replication::Tell { by_name: false }));
    active.command(Command::Grant(100));
    let ping = key(protocol::ICMP, "192.168.1.10", 77, "203.0.113.7", 8);
    let mut request = packet(&ping, &Text::Query { request: true }, b"ping");
    request.frame.bytes_mut()[..6].copy_from_slice(&active.shard.compiled.links[usize::from(LAN)].mac.0);
    active.shard.handle_frames(active.now, PortId(LAN), &mut vec![request.frame], &mut active.out);
    assert_eq!(active.shard.table.len(), 1);
    while active.shard.poll_timeout().is_some_and(|(at, _)| at == Instant::ZERO) {
        active.shard.handle_timeout(active.now, &mut active.out);
    }

    let mut standby = Router::of(&paired(), 2, 7);
    standby.command(Command::Replicate(Replication::Listen));
    for bytes in std::mem::take(&mut active.out.chunks) {
        assert_eq!(standby.import(bytes).refused, 0);
    }
    let wait = |router: &mut Router, seconds: u64| {
        for _ in 0..seconds * 2 {
            router.now += Duration::from_millis(500);
            router.shard.handle_timeout(router.now, &mut router.out);
        }
        router.shard.table.len()
    };
    assert_eq!(wait(&mut standby, 100), 1, "while it stands by");
    let until = standby.now + Duration::from_secs(1000);
    standby.shard.set_standing(standby.now, Standing { role: Role::Active, until, ..Standing::ALONE });
    assert_eq!(wait(&mut standby, 9), 1, "from the takeover on, the whole time is left");
    assert_eq!(wait(&mut standby, 60), 0, "and then it is over");
}
