//! Two shards, one of which hands over to the other.

use std::sync::Arc;

use super::*;
use crate::config;
use crate::conntrack::testing::{Text, key, packet};
use crate::types::{Ceding, Duration, Epoch, Instant, MacAddr, PortId, Role, Seed, Standing};
use crate::wire::pair::Version;
use crate::wire::{ChecksumState, Drop, FrameBuf, Gso, GsoKind, Packet, Parsed, arp};

const WAN: u8 = 0;
const LAN: u8 = 1;

struct Router {
    shard: Shard,
    out: Outbox,
    compiled: Arc<Compiled>,
}

/// The node that leads, its peer, and the stream between them.
struct Pair {
    nodes: [Router; 2],
    now: Instant,
    told: Vec<Vec<u8>>,
}

fn router(name: &str, now: Instant, offload: Offload) -> Router {
    let valid = config::load(include_str!("../../configs/pair.toml")).unwrap();
    let node = valid.node(Some(name)).unwrap();
    let compiled = Arc::new(Compiled::new(Arc::new(valid), node, 1, vec![offload; 4]));
    let shard = Shard::new(Arc::clone(&compiled), Seed([1, 2]), now);
    let mut router = Router { shard, out: Outbox::new(4), compiled };
    for port in [WAN, LAN] {
        router.shard.handle_link(now, PortId(port), true, &mut router.out);
    }
    router
}

impl Pair {
    fn new() -> Pair {
        Pair::with(Offload::NONE)
    }

    fn with(offload: Offload) -> Pair {
        let now = Instant::from_secs(100);
        let nodes = [router("alpha", now, offload), router("beta", now, offload)];
        let mut pair = Pair { nodes, now, told: Vec::new() };
        pair.stand(0, Role::Active, Ceding::No);
        pair.stand(1, Role::Standby, Ceding::No);
        for node in 0..2 {
            pair.command(node, Command::Speak(Version::NEWEST));
        }
        pair.command(0, Command::Replicate(Replication::Tell { by_name: false }));
        pair.command(1, Command::Replicate(Replication::Listen));
        pair.command(0, Command::Grant(1000));
        for node in 0..2 {
            pair.meet_gateway(node);
        }
        // The walk, and the first round of digests.
        pair.pass(5);
        pair.tell();
        pair
    }

    fn stand(&mut self, node: usize, role: Role, cedes: Ceding) {
        let until = Instant::from_secs(1_000_000);
        let standing = Standing { role, epoch: Epoch(1), until, cedes, ..Standing::ALONE };
        self.nodes[node].shard.set_standing(self.now, standing);
    }

    fn command(&mut self, node: usize, command: Command) {
        let Router { shard, out, .. } = &mut self.nodes[node];
        shard.handle_command(self.now, command, out);
        self.told.append(&mut out.chunks);
    }

    fn meet_gateway(&mut self, node: usize) {
        let mac = self.nodes[node].compiled.links[usize::from(WAN)].mac;
        let answer = arp::Repr {
            operation: arp::Operation::Reply,
            sender_mac: MacAddr([2, 0, 0, 0, 0, 7]),
            sender: "198.51.100.1".parse().unwrap(),
            target_mac: mac,
            target: "198.51.100.3".parse().unwrap(),
        };
        self.frames(node, WAN, vec![FrameBuf::copy_of(&answer.emit(mac))]);
    }

    fn frames(&mut self, node: usize, port: u8, mut frames: Vec<FrameBuf>) {
        let Router { shard, out, .. } = &mut self.nodes[node];
        shard.handle_frames(self.now, PortId(port), &mut frames, out);
        self.told.append(&mut out.chunks);
    }

    /// Time goes on for both.
    fn pass(&mut self, millis: u64) {
        for _ in 0..millis.max(1) * 10 {
            self.now += Duration::from_micros(if millis == 0 { 0 } else { 100 });
            for Router { shard, out, .. } in &mut self.nodes {
                for _ in 0..50 {
                    if shard.poll_timeout().is_none_or(|(at, _)| at > self.now) {
                        break;
                    }
                    shard.handle_timeout(self.now, out);
                }
            }
            let Router { out, .. } = &mut self.nodes[0];
            self.told.append(&mut out.chunks);
        }
    }

    /// The second node hears what the first one has told; how many changes it did not take.
    fn tell(&mut self) -> u32 {
        let mut refused = 0;
        for bytes in std::mem::take(&mut self.told) {
            let Router { shard, out, .. } = &mut self.nodes[1];
            let (sender, receiver) = std::sync::mpsc::channel();
            let reply = Box::new(move |imported: Imported| sender.send(imported.refused).unwrap());
            shard.handle_command(self.now, Command::Import { bytes, reply }, out);
            refused += receiver.recv().unwrap();
        }
        refused
    }

    /// The ports of the first node are empty, if it wants to know.
    fn empty(&mut self) -> bool {
        let Router { shard, out, .. } = &mut self.nodes[0];
        let wanted = shard.wants_empty_ports(self.now);
        shard.handle_emptied(self.now, out);
        self.told.append(&mut out.chunks);
        wanted
    }

    /// What has left by WAN: the last byte of each, which is its number.
    fn left(&mut self, node: usize) -> Vec<u8> {
        let frames = self.nodes[node].out.frames(PortId(WAN)).0.drain(..);
        let ip = frames.filter_map(|frame| match Packet::parse(frame) {
            Ok(Parsed::Ip(packet)) if packet.layout.key.protocol() == 17 => {
                packet.frame.bytes().last().copied()
            }
            Ok(Parsed::Ip(_) | Parsed::Arp(_)) | Err(_) => None,
        });
        ip.collect()
    }

    fn lost(&self, node: usize, drop: Drop) -> u64 {
        self.nodes[node].shard.drops_of(drop)
    }

    fn hand_over(&mut self) {
        self.stand(0, Role::Standby, Ceding::Relays);
        self.pass(1);
    }
}

/// A client's datagram to the internet, as it comes to the virtual MAC address of LAN.
fn datagram(number: u8) -> FrameBuf {
    let mut packet = packet(&key(17, "192.168.1.10", 5000, "192.0.2.9", 53), &Text::Udp, &[1, 2, number]);
    packet.frame.bytes_mut()[..6].copy_from_slice(&[0, 0, 0x5e, 0, 1, 2]);
    packet.frame
}

#[test]
fn what_comes_during_a_handover_leaves_by_the_other_node_once_and_in_order() {
    let mut pair = Pair::new();
    pair.frames(0, LAN, vec![datagram(1)]);
    assert_eq!(pair.left(0), [1]);
    pair.hand_over();
    pair.frames(0, LAN, vec![datagram(2), datagram(3)]);
    assert_eq!(pair.tell(), 0);
    assert_eq!((pair.left(0), pair.left(1)), (vec![], vec![]), "neither leads");
    // The second node leads. What comes to it directly waits for what still comes to the first one.
    pair.stand(1, Role::Active, Ceding::No);
    pair.frames(1, LAN, vec![datagram(6)]);
    pair.frames(0, LAN, vec![datagram(4)]);
    pair.tell();
    assert_eq!(pair.left(1), [2, 3, 4]);
    pair.stand(0, Role::Standby, Ceding::Drains);
    assert!(!pair.empty(), "a switch may not know of it yet");
    pair.pass(3);
    pair.frames(0, LAN, vec![datagram(5)]);
    assert!(pair.empty());
    pair.tell();
    assert_eq!(pair.left(1), [5, 6]);
    // A late one still comes through, until the first node has said its last word.
    pair.frames(0, LAN, vec![datagram(7)]);
    pair.tell();
    assert_eq!(pair.left(1), [7]);
    pair.pass(40);
    pair.frames(0, LAN, vec![datagram(8)]);
    assert_eq!((pair.tell(), pair.left(1)), (0, vec![]));
    assert_eq!((pair.lost(0, Drop::Standby), pair.lost(1, Drop::Standby)), (1, 0));
    pair.frames(1, LAN, vec![datagram(9)]);
    assert_eq!(pair.left(1), [9]);
}

#[test]
fn a_superpacket_is_passed_on_whole() {
    let mut pair = Pair::with(Offload { tcp: true, udp: true });
    pair.hand_over();
    let key = key(17, "192.168.1.10", 5000, "192.0.2.9", 53);
    let mut big = packet(&key, &Text::Udp, &vec![7; 40_000]).frame;
    big.bytes_mut()[..6].copy_from_slice(&[0, 0, 0x5e, 0, 1, 2]);
    big.checksum = ChecksumState::Partial { start: 34, offset: 6 };
    big.gso = Some(Gso { kind: GsoKind::Udp, ecn: false, size: 1400 });
    let len = big.len();
    pair.frames(0, LAN, vec![big]);
    assert!(pair.told.len() > 20 && pair.told.iter().all(|chunk| chunk.len() <= CHUNK));
    pair.tell();
    pair.stand(1, Role::Active, Ceding::No);
    pair.pass(0);
    let frames: Vec<FrameBuf> = pair.nodes[1].out.frames(PortId(WAN)).0.drain(..).collect();
    let big = frames.iter().find(|frame| frame.gso.is_some()).unwrap();
    assert_eq!((big.len(), big.gso.unwrap().size), (len, 1400));
}

#[test]
fn a_role_that_comes_back_brings_what_was_not_passed_on() {
    let mut pair = Pair::new();
    // The peer has no room: nothing is handed over.
    pair.command(0, Command::Replicate(Replication::Tell { by_name: false }));
    pair.told.clear();
    pair.hand_over();
    pair.frames(0, LAN, vec![datagram(1), datagram(2)]);
    assert!(pair.told.is_empty() && pair.left(0).is_empty());
    pair.stand(0, Role::Active, Ceding::No);
    pair.frames(0, LAN, vec![datagram(3)]);
    assert_eq!(pair.left(0), [1, 2, 3]);
    // Nor is it kept for a role that is gone.
    pair.hand_over();
    pair.frames(0, LAN, vec![datagram(4)]);
    pair.stand(0, Role::Standby, Ceding::No);
    pair.pass(1);
    assert_eq!((pair.left(0), pair.lost(0, Drop::Standby)), (vec![], 1));
}

#[test]
fn outside_of_a_handover_nothing_is_passed_on_to_anybody() {
    let mut pair = Pair::new();
    pair.hand_over();
    pair.frames(0, LAN, vec![datagram(1)]);
    let stream = std::mem::take(&mut pair.told);
    // Without its beginning.
    pair.told = stream[stream.len() - 1..].to_vec();
    assert_eq!((pair.tell(), pair.lost(1, Drop::RelayStray)), (1, 1));
    // To a node that leads already.
    pair.stand(1, Role::Active, Ceding::No);
    pair.told = stream.clone();
    assert!(pair.tell() >= 2);
    assert!(pair.left(1).is_empty());
    // To one that does not take over: it forgets.
    pair.stand(1, Role::Standby, Ceding::No);
    pair.told = stream;
    pair.tell();
    pair.pass(700);
    pair.stand(1, Role::Active, Ceding::No);
    pair.pass(1);
    assert!(pair.left(1).is_empty());
}

#[test]
fn a_giver_that_dies_leaves_what_it_has_passed_on() {
    let mut pair = Pair::new();
    pair.hand_over();
    pair.frames(0, LAN, vec![datagram(1)]);
    pair.tell();
    pair.stand(1, Role::Active, Ceding::No);
    pair.frames(1, LAN, vec![datagram(2)]);
    assert_eq!(pair.left(1), [1]);
    pair.pass(70);
    assert_eq!(pair.left(1), [2], "it is not held for ever");
}

#[test]
fn what_waits_is_bounded() {
    let mut pair = Pair::new();
    pair.command(0, Command::Replicate(Replication::Tell { by_name: false }));
    pair.told.clear();
    pair.hand_over();
    for _ in 0..2000 {
        pair.frames(0, LAN, (0..100).map(datagram).collect());
    }
    assert!(pair.lost(0, Drop::RelayFull) > 0);
    pair.stand(0, Role::Active, Ceding::No);
    pair.pass(1);
    let back = pair.left(0).len() as u64;
    assert_eq!(back + pair.lost(0, Drop::RelayFull), 200_000);
}
