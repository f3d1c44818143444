//! What must hold of two nodes after each step, whatever is done to them.
//!
//! * **Never two leases at one instant** while some path between the two has been clean for a second: it lost nothing
//!   and delivered within DEAD - LEASE. Without a path no protocol of two can tell death from distance. Outside of
//!   every program's power is a machine whose clock stood still: it wakes with the rest of its lease, until its helm
//!   looks; that long it is excused.
//! * **Never two actives** once all is calm for the dead time and a second.
//! * **Nothing leaves unfiltered**: see `audit`.
//! * **Answers for virtual addresses come from the node that leads**; what a batch had begun may still leave, and a
//!   machine whose clock stood is excused as above.
//! * **Both keys of a flow** are there, or none.
//! * **Queues are bounded.**

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use koi::conntrack::Filter;
use koi::types::{Instant, Role};

use crate::audit::Audit;
use crate::pair::SYNC;
use crate::router::Router;
use crate::story::ip;
use crate::world::{End, World};

/// What a batch has begun leaves within this.
const BATCH: Duration = Duration::from_micros(200);
/// Dead time and a second.
const CALM: Duration = Duration::from_millis(1030);
const SECOND: Duration = Duration::from_secs(1);
/// Rest of a lease with which a machine wakes, and one wake.
const REST: Duration = Duration::from_millis(26);
/// Tables and queues are looked at this often.
const ROUND: Duration = Duration::from_millis(20);

/// Goes on while the world does.
pub struct Invariants {
    /// Cables to the switches lose nothing.
    good_cables: bool,
    clean_since: [Option<Instant>; 4],
    /// Nothing has been done since then.
    calm_since: Instant,
    /// A machine whose clock stands wakes then.
    wakes: [Option<Instant>; 2],
    led: [Option<Instant>; 2],
    /// The node that led last.
    last: Option<usize>,
    /// How often that was another one.
    pub takeovers: usize,
    /// Time that both have led.
    pub dual: Duration,
    looked: Instant,
    before: Instant,
    audit: Audit,
    checked: usize,
    virtual_addresses: Vec<IpAddr>,
}

impl Invariants {
    pub fn new(good_cables: bool) -> Self {
        let virtual_addresses = [
            "203.0.113.2",
            "2001:db8:1::2",
            "192.168.1.1",
            "2001:db8:10::1",
            "fe80::1",
            "10.20.0.1",
            "2001:db8:20::1",
        ];
        Invariants {
            good_cables,
            clean_since: [None; 4],
            calm_since: Instant::ZERO,
            wakes: [None; 2],
            led: [None; 2],
            last: None,
            takeovers: 0,
            dual: Duration::ZERO,
            looked: Instant::ZERO,
            before: Instant::ZERO,
            audit: Audit::default(),
            checked: 0,
            virtual_addresses: virtual_addresses.map(ip).to_vec(),
        }
    }

    /// Something was done; these paths carry everything.
    pub fn note_change(&mut self, world: &World, clean: [bool; 4]) {
        self.calm_since = self.calm_since.max(world.now);
        for (port, since) in self.clean_since.iter_mut().enumerate() {
            let clean = clean[port] && (self.good_cables || port == usize::from(SYNC));
            *since = since.or(Some(world.now)).filter(|_| clean);
        }
    }

    /// A node stands still until then.
    pub fn note_stop(&mut self, node: usize, until: Instant, stands: bool) {
        self.calm_since = self.calm_since.max(until);
        if stands {
            self.wakes[node] = Some(until);
        }
    }

    /// Which nodes serve at this moment.
    pub fn serving(&self, world: &World) -> [bool; 2] {
        [0, 1].map(|node| serves(&world.routers[node], world.now))
    }

    /// Checks everything; true when it was the whole round.
    pub fn check(&mut self, world: &World) -> bool {
        let now = world.now;
        let serving = self.serving(world);
        self.check_leases(world, serving);
        for (node, serves) in serving.into_iter().enumerate() {
            if serves {
                self.led[node] = Some(now);
                if !serving[1 - node] && self.last.replace(node).is_some_and(|last| last != node) {
                    self.takeovers += 1;
                }
            }
        }
        self.check_frames(world);
        let round = now.since(self.looked) >= ROUND;
        if round {
            self.looked = now;
            self.check_actives(world);
            self.audit.go_on(world);
            for router in &world.routers {
                let (keys, states) = (router.shard.keys(), router.shard.states());
                assert_eq!(keys, 2 * states, "a flow has both its keys or none");
                router.crew.as_ref().unwrap().check_queues();
            }
        }
        self.before = now;
        round
    }

    fn late(world: &World) -> Duration {
        Duration::from_nanos(world.late.iter().map(|late| late[0]).sum())
    }

    fn check_leases(&mut self, world: &World, serving: [bool; 2]) {
        if serving != [true; 2] {
            return;
        }
        let now = world.now;
        self.dual += now.since(self.before);
        let late = Self::late(world);
        let clean = self.clean_since.iter().flatten().any(|since| now.since(*since) >= SECOND + late * 6);
        let woke = |at: &Option<Instant>| at.is_some_and(|at| now >= at && now.since(at) <= REST + late);
        if clean && !self.wakes.iter().any(woke) {
            self.tell(world);
            panic!("two leases at {now}");
        }
    }

    fn check_actives(&self, world: &World) {
        let active = |router: &&Router| {
            let role = router.crew.as_ref().map(|crew| crew.helm.role());
            router.is_awake() && role == Some(Role::Active)
        };
        let all_paths = self.clean_since.iter().any(Option::is_some);
        let calm = world.now.since(self.calm_since) > CALM + Self::late(world) * 6;
        if calm && all_paths && world.routers.iter().filter(active).count() > 1 {
            self.tell(world);
            panic!("two actives at {}", world.now);
        }
    }

    fn check_frames(&mut self, world: &World) {
        let late = Self::late(world);
        for (at, from, frame) in &world.seen[self.checked..] {
            let End::Router(node, port) = from else { continue };
            let led = self.led[*node].is_some_and(|led| at.since(led) <= BATCH);
            let woke = self.wakes[*node].is_some_and(|woke| *at >= woke && at.since(woke) <= REST + late);
            if *port != SYNC && !led && !woke && self.is_claim(frame) {
                self.tell(world);
                panic!("node {node} claims a virtual address on port {port} at {at}: {frame:02x?}");
            }
        }
        self.checked = world.seen.len();
    }

    /// The frame comes from a virtual MAC address, or says where a virtual address is.
    fn is_claim(&self, frame: &[u8]) -> bool {
        let ours = |address: IpAddr| self.virtual_addresses.contains(&address);
        let said = match frame.get(12..14) {
            Some([0x08, 0x06]) => {
                frame.get(28..32).and_then(|at| <[u8; 4]>::try_from(at).ok()).map(IpAddr::from)
            }
            Some([0x86, 0xdd]) if frame.get(20) == Some(&58) && frame.get(54) == Some(&136) => {
                frame.get(62..78).and_then(|at| <[u8; 16]>::try_from(at).ok()).map(IpAddr::from)
            }
            Some(_) | None => None,
        };
        frame[6..11] == [0, 0, 0x5e, 0, 1] || said.is_some_and(ours)
    }

    /// The pair is quiet: the standby's flows are the active's.
    pub fn check_tables(&self, world: &World) {
        let [one, other] = [0, 1].map(|node| rows(&world.routers[node], world.now));
        if one != other {
            self.tell(world);
            let only = |a: &BTreeSet<_>, b| format!("{:#?}", a.difference(b).collect::<Vec<_>>());
            panic!("only alpha has {}\nonly beta has {}", only(&one, &other), only(&other, &one));
        }
    }

    /// What was said, in order.
    pub fn tell(&self, world: &World) {
        let mut all = Vec::new();
        for (node, router) in world.routers.iter().enumerate() {
            let Some(crew) = &router.crew else { continue };
            all.extend(crew.notices.iter().map(|(at, notice)| (router.clock.world(*at), node, &notice.text)));
        }
        all.sort();
        for (at, node, text) in all {
            eprintln!("{at} node {node}: {text}");
        }
        eprintln!("{} now", world.now);
    }
}

fn serves(router: &Router, now: Instant) -> bool {
    let Some(crew) = &router.crew else { return false };
    router.is_awake() && crew.standing().leads(router.clock.local(now))
}

/// The flows that pass through, as people see them.
fn rows(router: &Router, now: Instant) -> BTreeSet<(String, String, Option<String>)> {
    let (rows, next) = router.shard.flows(router.clock.local(now), &Filter::default(), None, 1 << 20);
    assert!(next.is_none());
    let through = rows.into_iter().filter(|row| row.ingress != "self" && row.egress != "self");
    through.map(|row| (row.protocol, row.original, row.translated)).collect()
}

/// The keys of the flows that pass through.
pub fn flows(router: &Router, now: Instant) -> BTreeSet<String> {
    rows(router, now).into_iter().map(|(_, original, _)| original).collect()
}
