use std::sync::Arc;

use super::*;
use crate::config;
use crate::conntrack::testing::{Text, key, packet};
use crate::node::{Command, Compiled, Offload, Replication};
use crate::types::{Epoch, MacAddr, PortId, Role, Seed, Standing};
use crate::wire::{Drop, FrameBuf, arp};

const WAN: u8 = 0;
const LAN: u8 = 1;

struct Router {
    shard: Shard,
    out: Outbox,
    now: Instant,
}

impl Router {
    /// The active node of a pair, whose neighbours are known and whose peer's node has been told everything.
    fn new(defer: bool) -> Router {
        let text = include_str!("../../configs/pair.toml");
        let text = text.replace("defer = false", if defer { "defer = true" } else { "defer = false" });
        let valid = config::load(&text).unwrap_or_else(|problems| panic!("{problems:#?}"));
        let node = valid.node(Some("alpha")).unwrap();
        let compiled = Arc::new(Compiled::new(Arc::new(valid), node, 1, vec![Offload::NONE; 3]));
        let now = Instant::from_secs(100);
        let shard = Shard::new(compiled, Seed([1, 2]), now);
        let mut router = Router { shard, out: Outbox::new(3), now };
        router.lead(Role::Active);
        for port in [WAN, LAN] {
            router.shard.handle_link(now, PortId(port), true, &mut router.out);
        }
        // The gateway, which was asked for when the link came up, answers.
        let link = &router.shard.compiled.links[usize::from(WAN)];
        let answer = arp::Repr {
            operation: arp::Operation::Reply,
            sender_mac: MacAddr([2, 0, 0, 0, 0, 7]),
            sender: "198.51.100.1".parse().unwrap(),
            target_mac: link.mac,
            target: "198.51.100.3".parse().unwrap(),
        };
        let frame = FrameBuf::copy_of(&answer.emit(link.mac));
        router.shard.handle_frames(now, PortId(WAN), &mut vec![frame], &mut router.out);
        router.command(Command::Replicate(Replication::Tell { by_name: false }));
        router.command(Command::Grant(1000));
        router.command(Command::Grant(0));
        assert!(!router.shard.has_to_tell());
        router
    }

    fn lead(&mut self, role: Role) {
        let until = Instant::from_secs(1_000_000);
        self.shard.set_standing(self.now, Standing { role, epoch: Epoch(1), until, ..Standing::ALONE });
    }

    fn command(&mut self, command: Command) {
        self.shard.handle_command(self.now, command, &mut self.out);
    }

    /// A datagram of a client; how many packets leave by WAN.
    fn datagram(&mut self, port: u16) -> usize {
        let key = key(17, "192.168.1.10", port, "192.0.2.9", 53);
        let mut packet = packet(&key, &Text::Udp, b"?");
        let mac = self.shard.compiled.links[usize::from(LAN)].mac;
        packet.frame.bytes_mut()[..6].copy_from_slice(&mac.0);
        self.shard.handle_frames(self.now, PortId(LAN), &mut vec![packet.frame], &mut self.out);
        self.left()
    }

    fn acked(&mut self, chunks: u64) -> usize {
        self.shard.handle_acked(self.now, chunks, &mut self.out);
        self.left()
    }

    fn wait(&mut self, time: Duration) -> usize {
        self.now += time;
        self.shard.handle_timeout(self.now, &mut self.out);
        self.left()
    }

    fn left(&mut self) -> usize {
        let frames = self.out.frames(PortId(WAN)).0.drain(..);
        frames.filter(|frame| frame.bytes()[12..14] == [8, 0] && frame.bytes()[23] == 17).count()
    }

    fn told(&self) -> u64 {
        self.shard.deferral.told
    }
}

#[test]
fn without_defer_the_first_packet_leaves_at_once() {
    let mut router = Router::new(false);
    assert_eq!(router.datagram(5000), 1);
    assert!(!router.shard.has_deferred());
}

#[test]
fn with_defer_it_leaves_when_the_peer_knows_the_flow() {
    let mut router = Router::new(true);
    assert_eq!(router.datagram(5000), 0);
    assert!(router.shard.has_deferred());
    let told = router.told();
    assert_eq!((router.acked(told - 1), router.acked(told)), (0, 1));
    assert!(!router.shard.has_deferred());
    assert_eq!(router.datagram(5000), 1, "the flow's second packet never waits");
    // A flow whose record found no credit waits for the chunk that it will be in.
    let told = router.told();
    router.shard.credit = 0;
    assert_eq!(router.datagram(5001), 0);
    assert_eq!(router.acked(told), 0);
    router.command(Command::Grant(1));
    assert_eq!((router.told(), router.left(), router.acked(told + 1)), (told + 1, 0, 1));
    assert_eq!(router.shard.deferral.counters.late, 0);
}

#[test]
fn it_waits_no_longer_than_the_limit_and_no_packet_overtakes_it() {
    let mut router = Router::new(true);
    assert_eq!((router.datagram(5000), router.wait(LIMIT - Duration::from_millis(1))), (0, 0));
    assert_eq!(router.shard.deferral.poll_timeout(), Some(router.now + Duration::from_millis(1)));
    assert_eq!(router.wait(Duration::from_millis(1)), 1);
    assert_eq!((router.datagram(5001), router.datagram(5001)), (0, 2));
    let DeferralCounters { held, late, crowded, hurried } = router.shard.deferral.counters;
    assert_eq!((held, late, crowded, hurried), (2, 1, 0, 1));
}

#[test]
fn when_too_many_wait_the_next_one_does_not() {
    let mut router = Router::new(true);
    let sent: usize = (0..ROOM as u16 + 2).map(|port| router.datagram(6000 + port)).sum();
    assert_eq!((sent, router.shard.deferral.counters.crowded), (2, 2));
    let told = router.told();
    assert_eq!(router.acked(told), ROOM);
}

#[test]
fn nobody_waits_for_a_peer_that_is_told_nothing_and_a_standby_sends_nothing() {
    let mut router = Router::new(true);
    assert_eq!(router.datagram(5000), 0);
    router.command(Command::Replicate(Replication::Off));
    assert_eq!(router.left(), 1, "the telling that it waited for is over");
    assert_eq!(router.datagram(5001), 1);
    router.command(Command::Replicate(Replication::Tell { by_name: false }));
    router.command(Command::Grant(100));
    assert_eq!((router.datagram(5002), router.shard.acked()), (0, 0));
    router.lead(Role::Standby);
    assert_eq!((router.wait(LIMIT), router.shard.drops_of(Drop::Standby)), (0, 1));
}
