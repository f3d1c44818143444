//! A node that stood still, and what had come meanwhile.

use std::sync::Arc;

use super::*;
use crate::config;
use crate::conntrack::testing::{Text, key, packet};
use crate::node::{Command, Compiled, Replication};
use crate::types::{Epoch, MacAddr, PortId, Seed};
use crate::wire::{Offload, Packet, Parsed, arp};

const WAN: PortId = PortId(0);
const LAN: PortId = PortId(1);

/// The active node, and hosts around it.
struct Node {
    shard: Shard,
    out: Outbox,
    now: Instant,
}

impl Node {
    fn new() -> Node {
        Node::of(include_str!("../../configs/pair.toml"))
    }

    fn of(document: &str) -> Node {
        let valid = config::load(document).unwrap_or_else(|problems| panic!("{problems:#?}"));
        let node = valid.node(Some("alpha")).unwrap();
        let compiled = Arc::new(Compiled::new(Arc::new(valid), node, 1, vec![Offload::NONE; 4]));
        let now = Instant::from_secs(100);
        let mut node = Node { shard: Shard::new(compiled, Seed([1, 2]), now), out: Outbox::new(4), now };
        for port in [WAN, LAN] {
            node.shard.handle_link(now, port, true, &mut node.out);
        }
        node.lead();
        let answer = arp::Repr {
            operation: arp::Operation::Reply,
            sender_mac: MacAddr([2, 0, 0, 0, 0, 7]),
            sender: "198.51.100.1".parse().unwrap(),
            target_mac: node.mac(WAN),
            target: "198.51.100.3".parse().unwrap(),
        };
        node.come(WAN, FrameBuf::copy_of(&answer.emit(node.mac(WAN))));
        node
    }

    fn mac(&self, port: PortId) -> MacAddr {
        self.shard.compiled.links[usize::from(port.0)].mac
    }

    fn stand(&mut self, role: Role, until: Instant) {
        self.stand_in(Epoch(1), role, until);
    }

    fn stand_in(&mut self, epoch: Epoch, role: Role, until: Instant) {
        self.shard.set_standing(self.now, Standing { role, epoch, until, ..Standing::ALONE });
    }

    /// The lease runs again.
    fn lead(&mut self) {
        self.stand(Role::Active, self.now + Duration::from_millis(25));
    }

    fn come(&mut self, port: PortId, frame: FrameBuf) {
        self.shard.handle_frames(self.now, port, &mut vec![frame], &mut self.out);
    }

    /// A datagram with that number from LAN to the world.
    fn send(&mut self, number: u8) {
        let flow = key(17, "192.168.1.10", 5000, "192.0.2.9", 53);
        let mut frame = packet(&flow, &Text::Udp, &[1, 2, number]).frame;
        // The virtual MAC address of LAN.
        frame.bytes_mut()[..6].copy_from_slice(&[0, 0, 0x5e, 0, 1, 2]);
        self.come(LAN, frame);
    }

    /// What is due, and then the numbers that have left.
    fn left(&mut self) -> Vec<u8> {
        for _ in 0..50 {
            if self.shard.poll_timeout().is_none_or(|(at, _)| at > self.now) {
                break;
            }
            self.shard.handle_timeout(self.now, &mut self.out);
        }
        let numbers = self.out.frames(WAN).0.drain(..).filter_map(|frame| match Packet::parse(frame) {
            Ok(Parsed::Ip(packet)) if packet.layout.key.protocol() == 17 => {
                packet.frame.bytes().last().copied()
            }
            Ok(_) | Err(_) => None,
        });
        numbers.collect()
    }

    fn lost(&self) -> u64 {
        self.shard.drops_of(Drop::Standby)
    }

    /// The lease is over: nobody noticed for so long.
    fn stand_still(&mut self) {
        self.now += Duration::from_millis(26);
    }
}

#[test]
fn what_comes_without_a_lease_goes_on_with_the_next_one_in_its_order() {
    let mut node = Node::new();
    node.send(1);
    assert_eq!(node.left(), [1]);
    node.stand_still();
    node.send(2);
    node.send(3);
    assert_eq!((node.left(), node.lost()), (vec![], 0));
    node.now += Duration::from_millis(3);
    node.lead();
    node.send(4);
    assert_eq!((node.left(), node.lost()), (vec![2, 3, 4], 0));
    node.send(5);
    assert_eq!(node.left(), [5]);
}

#[test]
fn without_another_frame_the_lease_itself_lets_it_go_on() {
    let mut node = Node::new();
    node.stand_still();
    node.send(1);
    node.lead();
    assert_eq!(node.left(), [1]);
}

#[test]
fn what_was_about_to_leave_leaves_before_it() {
    let mut node = Node::new();
    node.send(1);
    let began = node.now;
    node.stand_still();
    let holds = node.shard.standing();
    assert!(node.shard.is_overtaken(began, node.now, holds));
    node.shard.withdraw(node.now, holds, &mut node.out);
    assert!(node.out.is_empty(), "nothing leaves without a lease");
    node.send(2);
    node.lead();
    assert_eq!((node.left(), node.lost()), (vec![1, 2], 0));
}

#[test]
fn when_the_peer_serves_nothing_of_it_leaves() {
    let mut node = Node::new();
    node.stand_still();
    node.send(1);
    node.send(2);
    node.stand(Role::Standby, Instant::ZERO);
    assert_eq!((node.left(), node.lost()), (vec![], 2));
    node.lead();
    node.send(3);
    assert_eq!(node.left(), [3], "and not later either");
}

#[test]
fn it_waits_no_longer_than_it_is_worth() {
    let mut node = Node::new();
    node.stand_still();
    node.send(1);
    node.now += PATIENCE;
    assert_eq!((node.left(), node.lost()), (vec![], 1));
    node.send(2);
    assert_eq!((node.left(), node.lost()), (vec![], 2), "nor does what comes then");
    node.lead();
    node.send(3);
    assert_eq!(node.left(), [3]);
    node.stand_still();
    node.send(4);
    node.lead();
    assert_eq!(node.left(), [4], "the next time is another one");
}

/// Who asks for an address of the pair's hears of it when the lease runs again, and not after a second.
#[test]
fn a_question_waits_too() {
    let mut node = Node::new();
    node.stand_still();
    let request = arp::Repr {
        operation: arp::Operation::Request,
        sender_mac: MacAddr([2, 0, 0, 0, 0, 9]),
        sender: "192.168.1.10".parse().unwrap(),
        target_mac: MacAddr([0; 6]),
        target: "192.168.1.1".parse().unwrap(),
    };
    node.come(LAN, FrameBuf::copy_of(&request.emit(MacAddr([0xff; 6]))));
    assert!(!node.out.has_answers());
    node.lead();
    assert!(node.left().is_empty());
    assert!(node.out.has_answers());
}

/// The role was lost and won back between two looks: what came before is old.
#[test]
fn a_lease_of_another_epoch_is_not_waited_for() {
    let mut node = Node::new();
    node.stand_still();
    node.send(1);
    node.stand_in(Epoch(3), Role::Active, node.now + Duration::from_millis(25));
    node.send(2);
    assert_eq!((node.left(), node.lost()), (vec![2], 1));
}

/// What was let pass by the rules before, and the numbers of ports before, are not for those of now.
#[test]
fn another_configuration_ends_it() {
    let mut node = Node::new();
    node.send(1);
    node.stand_still();
    let holds = node.shard.standing();
    node.shard.withdraw(node.now, holds, &mut node.out);
    node.send(2);
    let compiled = Arc::clone(&node.shard.compiled);
    node.shard.handle_command(node.now, Command::Apply(compiled, Box::new(|()| {})), &mut node.out);
    node.lead();
    assert!(node.left().is_empty());
    node.send(3);
    assert_eq!(node.left(), [3]);
}

/// The fence falls, and the standby asks for the role: the packet path sees both at once.
#[test]
fn what_waits_is_passed_on_in_a_handover() {
    let mut node = Node::new();
    node.shard.handle_command(
        node.now,
        Command::Replicate(Replication::Tell { by_name: false }),
        &mut node.out,
    );
    node.stand_still();
    node.send(1);
    node.send(2);
    let standing =
        Standing { role: Role::Standby, cedes: Ceding::Relays, epoch: Epoch(1), ..Standing::ALONE };
    node.shard.set_standing(node.now, standing);
    assert_eq!((node.left(), node.lost()), (vec![], 0));
    // Nobody takes over, and the role comes back.
    node.lead();
    assert_eq!((node.left(), node.lost()), (vec![1, 2], 0));
}

/// A first packet that waits for the peer goes before what came later.
#[test]
fn first_packets_keep_their_place() {
    let document = include_str!("../../configs/pair.toml").replace("defer = false", "defer = true");
    let mut node = Node::of(&document);
    node.shard.handle_command(
        node.now,
        Command::Replicate(Replication::Tell { by_name: false }),
        &mut node.out,
    );
    for credit in [1000, 0] {
        node.shard.handle_command(node.now, Command::Grant(credit), &mut node.out);
    }
    node.send(1);
    assert!(node.left().is_empty() && node.shard.has_deferred(), "it waits for the peer");
    node.stand_still();
    node.send(2);
    // It has waited for the peer for long enough, and there is no lease.
    assert!(node.left().is_empty());
    node.lead();
    let mut left = node.left();
    node.now += Duration::from_millis(20);
    left.extend(node.left());
    assert_eq!((left, node.lost()), (vec![1, 2], 0));
}

/// A handover fails, and the lease with which the role comes back is over when the packet path looks.
#[test]
fn what_nobody_took_over_waits_for_the_lease() {
    let mut node = Node::new();
    let replicate = Command::Replicate(Replication::Tell { by_name: false });
    node.shard.handle_command(node.now, replicate, &mut node.out);
    let standing =
        Standing { role: Role::Standby, cedes: Ceding::Relays, epoch: Epoch(1), ..Standing::ALONE };
    node.shard.set_standing(node.now, standing);
    node.send(1);
    node.stand(Role::Active, node.now);
    assert_eq!((node.left(), node.lost()), (vec![], 0));
    node.lead();
    assert_eq!((node.left(), node.lost()), (vec![1], 0));
}
