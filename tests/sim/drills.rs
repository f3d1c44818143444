//! The lab's drills, by their names, in simulated time: what the traffic notices is within what each promises.

use std::time::Duration;

use koi::types::MacAddr;
use koi::wire::arp;

use crate::for_some_seeds;
use crate::pair::{DMZ, LAN, Pair, SYNC, WAN};
use crate::world::End;

/// Seeds of each.
const SEEDS: u64 = 10;

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A pair, and the node that leads it.
fn drill(scenario: impl Fn(&mut Pair, usize)) {
    for_some_seeds(SEEDS, |seed| {
        let mut pair = Pair::new(seed);
        let active = pair.leader().unwrap();
        pair.run_for(millis(seed * 37 % 100));
        pair.traffic.take_gap(pair.world.now);
        pair.invariants.takeovers = 0;
        scenario(&mut pair, active);
        pair.heal();
        pair.finish();
    });
}

impl Pair {
    /// The fault has happened: for a while datagrams may be missing for this long, and this often another one leads.
    fn promises(&mut self, time: Duration, gap: Duration, takeovers: usize) {
        self.run_for(time);
        let seen = self.traffic.take_gap(self.world.now);
        if seen > gap || self.invariants.takeovers != takeovers {
            self.tell();
        }
        assert!(seen <= gap, "silence of {seen:?}, more than {gap:?}");
        assert_eq!(self.invariants.takeovers, takeovers, "takeovers");
        self.invariants.takeovers = 0;
    }
}

#[test]
fn nothing_happens_without_a_fault() {
    drill(|pair, _| {
        pair.promises(millis(2000), millis(20), 0);
        assert!(pair.traffic.pings - pair.traffic.answers <= 1, "every ping is answered");
    });
}

#[test]
fn power_off() {
    drill(|pair, active| {
        pair.power_off(active);
        pair.promises(millis(1500), millis(50), 1);
    });
}

#[test]
fn crash() {
    drill(|pair, active| {
        pair.crash(active);
        pair.promises(millis(1000), millis(60), 1);
        pair.start(active, false);
        pair.settle();
        pair.promises(millis(10), millis(20), 0);
    });
}

#[test]
fn freeze() {
    drill(|pair, active| {
        pair.freeze(active, millis(1000), active == 0);
        pair.promises(millis(900), millis(150), 1);
        pair.promises(millis(1000), millis(150), 0);
    });
}

#[test]
fn unplug_wan() {
    drill(|pair, active| {
        pair.unplug(active, WAN, true);
        pair.promises(millis(1000), millis(50), 1);
    });
}

#[test]
fn unplug_lan() {
    drill(|pair, active| {
        pair.unplug(active, LAN, true);
        pair.promises(millis(1000), millis(50), 1);
    });
}

#[test]
fn unplug_dmz() {
    drill(|pair, active| {
        pair.unplug(active, DMZ, true);
        pair.promises(millis(1000), millis(50), 1);
    });
}

#[test]
fn hang() {
    drill(|pair, active| {
        pair.hang(active, true);
        // Stuck after 100 ms, which is looked for every 20.
        pair.promises(millis(1000), millis(180), 1);
        pair.hang(active, false);
        pair.promises(millis(1000), millis(20), 0);
    });
}

#[test]
fn unplug_silent() {
    drill(|pair, active| {
        pair.mute(active, WAN, true);
        pair.promises(millis(1500), millis(100), 1);
    });
}

#[test]
fn unplug_sync() {
    drill(|pair, active| {
        pair.unplug(active, SYNC, true);
        pair.promises(millis(1500), millis(20), 0);
        assert_eq!([0, 1].map(|node| is_stale(pair, node)), [true; 2]);
        pair.unplug(active, SYNC, false);
        pair.promises(millis(1000), millis(20), 0);
        assert_eq!([0, 1].map(|node| is_stale(pair, node)), [false; 2]);
    });
}

/// What `koi show pair` says of replication.
fn is_stale(pair: &Pair, node: usize) -> bool {
    let router = &pair.world.routers[node];
    let (crew, now) = (router.crew.as_ref().unwrap(), router.clock.local(pair.world.now));
    let mut snapshot = crew.helm.snapshot(now);
    crew.courier.complete(now, &mut snapshot);
    snapshot.replication.stale
}

#[test]
fn gateway_dead() {
    drill(|pair, active| {
        pair.lose_gateway(active, true);
        pair.promises(millis(3000), millis(1500), 1);
    });
}

#[test]
fn split() {
    drill(|pair, _| {
        pair.part(true);
        pair.run_for(millis(1500));
        pair.part(false);
        pair.run_for(millis(1200));
        assert!(pair.traffic.take_gap(pair.world.now) <= millis(1000));
        assert!(pair.leader().is_some(), "one leads");
    });
}

#[test]
fn stall() {
    drill(|pair, active| {
        for node in 0..2 {
            pair.starve(node, [4_000_000, 20_000_000, 8_000_000]);
        }
        pair.promises(millis(1000), millis(150), 0);
        pair.freeze(active, millis(200), false);
        pair.promises(millis(1000), millis(150), 1);
    });
}

/// What a batch has begun to say for a virtual address is not said by a node that wakes up after its lease.
#[test]
fn a_node_that_stood_still_in_the_middle_of_an_answer_does_not_give_it() {
    for_some_seeds(SEEDS * 4, |seed| {
        let mut pair = Pair::new(seed);
        let active = pair.leader().unwrap();
        let mac = pair.world.hosts[usize::from(LAN)].mac;
        let asks = arp::Repr {
            operation: arp::Operation::Request,
            sender_mac: mac,
            sender: "192.168.1.10".parse().unwrap(),
            target_mac: MacAddr([0; 6]),
            target: "192.168.1.1".parse().unwrap(),
        };
        pair.world.emit(End::Host(usize::from(LAN)), asks.emit(MacAddr([0xff; 6])).to_vec());
        pair.run_for(Duration::from_micros(seed * 13 % 250));
        pair.freeze(active, millis(200), false);
        pair.run_for(millis(600));
        pair.finish();
    });
}
