//! The story's network with two nodes: a switch each for WAN, LAN and DMZ, the cable between the nodes, three hosts;
//! and everything that may be done to the nodes.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use koi::cluster::role::Request;
use koi::cluster::{Identity, Keyring};
use koi::config;
use koi::conntrack::Filter;
use koi::node::{Compiled, Offload};
use koi::types::MacAddr;
use koi::wire::pair::Version;

use crate::cable::Quality;
use crate::clock::Clock;
use crate::crew::Change;
use crate::host::Host;
use crate::invariants::{self, Invariants};
use crate::ledger::Ledger;
use crate::router::Router;
use crate::seeds::note_run;
use crate::story::{LAN_ANYWHERE, ip};
use crate::stream::Stream;
use crate::traffic::Traffic;
use crate::world::{End, World};

/// Ports of both nodes; the first three are the numbers of their switches as well.
pub const WAN: u8 = 0;
pub const LAN: u8 = 1;
pub const DMZ: u8 = 2;
pub const SYNC: u8 = 3;
pub const PORTS: u8 = 4;
/// Where a switch has its host.
pub const HOST: u8 = 2;
const NAMES: [&str; 2] = ["alpha", "beta"];

/// The network, and what has been done to it.
pub struct Pair {
    pub world: World,
    pub traffic: Traffic,
    /// Numbered datagrams, when a scenario counts them.
    pub stream: Option<Stream>,
    pub invariants: Invariants,
    power: [bool; 2],
    /// By node and port: the cable is out, and both ends know.
    unplugged: [[bool; 4]; 2],
    /// The cable carries nothing, and nobody is told.
    muted: [[bool; 4]; 2],
    gateway_lost: [bool; 2],
    parted: bool,
    /// A node without power takes the link of its peer's sync port with it.
    carrier: bool,
    deaths: usize,
    /// Which flows each node has acknowledged.
    ledger: Ledger,
    served: [bool; 2],
    /// Nodes have died, and one led that did not have the transfer's flow and had never acknowledged it: no program can
    /// keep what nobody has.
    bereft: bool,
    /// Both nodes led for long: neither knows how far the other's packets had brought the windows.
    torn: bool,
    /// What each node speaks, from its next start on.
    pub speaks: [Version; 2],
    /// The keys of each node, from its next start on.
    pub keyrings: [Keyring; 2],
}

fn document(identities: &[Identity; 2]) -> String {
    let node = |index: usize| {
        let last = index + 3;
        let ports: String = ["wan", "lan", "dmz", "sync"]
            .map(|name| format!("[[node.port]]\nname = \"{name}\"\ntap = \"koi-{name}\"\n"))
            .concat();
        format!(
            r#"
[[node]]
name = "{}"
public_key = "{}"
{ports}
[[node.interface]]
name = "wan"
addresses = ["203.0.113.{last}/24", "2001:db8:1::{last}/64"]
[[node.interface]]
name = "lan"
addresses = ["192.168.1.{last}/24", "2001:db8:10::{last}/64"]
[[node.interface]]
name = "dmz"
addresses = ["10.20.0.{last}/24", "2001:db8:20::{last}/64"]
"#,
            NAMES[index],
            identities[index].public()
        )
    };
    let vip = |name: &str, vhid: u8, addresses: &str| {
        format!(
            "[[interface]]\nname = \"{name}\"\nzone = \"{name}\"\nport = \"{name}\"\n\
             [[virtual_ip]]\ninterface = \"{name}\"\nvhid = {vhid}\naddresses = [{addresses}]\npassword = \"plug\"\n"
        )
    };
    let vips = [
        vip("wan", 1, "\"203.0.113.2/24\", \"2001:db8:1::2/64\""),
        vip("lan", 2, "\"192.168.1.1/24\", \"2001:db8:10::1/64\", \"fe80::1/64\""),
        vip("dmz", 3, "\"10.20.0.1/24\", \"2001:db8:20::1/64\""),
    ];
    format!(
        r#"
schema = 1
revision = 1
[system]
hostname = "koi"
[pair]
sync = "sync"
preferred = "alpha"
preempt = false
{}{}{}
[[gateway]]
name = "WAN_GW"
interface = "wan"
address = "203.0.113.1"
default = true
monitor_disable = true
[[gateway]]
name = "WAN_GW6"
interface = "wan"
address = "2001:db8:1::1"
default = true
monitor_disable = true
{LAN_ANYWHERE}
[[rule]]
id = 1000010
interface = "dmz"
action = "block"
destination = "lan net"
[[rule]]
id = 1000011
interface = "dmz"
action = "pass"
source = "dmz net"
"#,
        node(0),
        node(1),
        vips.concat()
    )
}

pub fn identity(index: usize) -> Identity {
    Identity::from_bytes([7 + index as u8; 32])
}

/// The document with these keys, as each node has it.
pub fn compile(identities: &[Identity; 2]) -> [Arc<Compiled>; 2] {
    let valid = config::load(&document(identities)).unwrap_or_else(|problems| panic!("{problems:?}"));
    let valid = Arc::new(valid);
    NAMES.map(|name| {
        let node = valid.node(Some(name)).unwrap();
        Arc::new(Compiled::new(Arc::clone(&valid), node, 1, vec![Offload::NONE; usize::from(PORTS)]))
    })
}

/// The document of both nodes.
pub fn text() -> String {
    document(&[identity(0), identity(1)])
}

/// A document for each node; in a real pair both have the same.
pub fn compile_each(texts: [&str; 2]) -> [Arc<Compiled>; 2] {
    [0, 1].map(|index| {
        let valid = config::load(texts[index]).unwrap_or_else(|problems| panic!("{problems:?}"));
        let node = valid.node(Some(NAMES[index])).unwrap();
        Arc::new(Compiled::new(Arc::new(valid), node, 1, vec![Offload::NONE; usize::from(PORTS)]))
    })
}

/// A node's name in it.
pub fn name(node: usize) -> &'static str {
    NAMES[node]
}

fn compiled(index: usize) -> Arc<Compiled> {
    static BOTH: OnceLock<[Arc<Compiled>; 2]> = OnceLock::new();
    let both = BOTH.get_or_init(|| compile(&[identity(0), identity(1)]));
    Arc::clone(&both[index])
}

impl Pair {
    /// Both nodes started, one active, the other in sync; traffic flows.
    pub fn new(seed: u64) -> Pair {
        Pair::with(seed, Quality::CLEAN)
    }

    /// The same with other cables to the switches.
    pub fn with(seed: u64, quality: Quality) -> Pair {
        let mut pair = Pair::cold(seed, quality);
        (0..2).for_each(|node| pair.start(node, true));
        pair.settle();
        pair.traffic.begin(&mut pair.world);
        // Hosts ask for a neighbour at most once a second.
        pair.run_until(Duration::from_secs(5), "an answer", |pair| pair.traffic.flows());
        pair.run_for(Duration::from_millis(50));
        pair
    }

    /// Nodes that have no power yet.
    pub fn cold(seed: u64, quality: Quality) -> Pair {
        Pair::obeying(seed, quality, [compiled(0), compiled(1)])
    }

    /// The same with another document.
    pub fn obeying(seed: u64, quality: Quality, documents: [Arc<Compiled>; 2]) -> Pair {
        let mut world = World::new(seed);
        let mac = |last: u8| MacAddr([2, 0, 0, 0, 0, last]);
        let sites = [
            ("203.0.113.1/24", "2001:db8:1::1/64", "203.0.113.2", "2001:db8:1::2"),
            ("192.168.1.10/24", "2001:db8:10::10/64", "192.168.1.1", "2001:db8:10::1"),
            ("10.20.0.10/24", "2001:db8:20::10/64", "10.20.0.1", "2001:db8:20::1"),
        ];
        for node in 0..2 {
            let clock = Clock::ahead(Duration::from_secs([77, 5000][node] + seed % 7));
            world.add_node(|seed, now| {
                let links = vec![true; usize::from(PORTS)];
                let mut router = Router::of_pair(
                    (Arc::clone(&documents[node]), identity(node)),
                    seed,
                    now,
                    (clock, links),
                    true,
                );
                router.alive = false;
                router
            });
        }
        for (site, (v4, v6, router4, router6)) in sites.into_iter().enumerate() {
            let switch = world.add_switch();
            // Without an address of the link's own a host would look for its neighbours behind its router.
            let link = format!("fe80::a{site}/64");
            let routers = [ip(router4), ip(router6)];
            let host = Host::new(mac(site as u8 + 1), &[v4, v6, &link], &routers, seed + site as u64);
            let host = world.add_host(host);
            world.connect(End::Host(host), End::Switch(switch, HOST), Quality::CLEAN);
            for node in 0..2 {
                world.connect(End::Router(node, switch as u8), End::Switch(switch, node as u8), quality);
            }
        }
        world.connect(End::Router(0, SYNC), End::Router(1, SYNC), Quality::CLEAN);
        let traffic = Traffic::new(&mut world, 1, 0, seed);
        let clean = quality.loss == 0 && quality.delay + quality.jitter < Duration::from_millis(4);
        let mut pair = Pair {
            invariants: Invariants::new(clean),
            world,
            traffic,
            stream: None,
            power: [false; 2],
            unplugged: Default::default(),
            muted: Default::default(),
            gateway_lost: [false; 2],
            parted: false,
            carrier: seed.is_multiple_of(2),
            deaths: 0,
            ledger: Ledger::default(),
            served: [false; 2],
            bereft: false,
            torn: false,
            speaks: [Version::NEWEST; 2],
            keyrings: [0, 1].map(|node| Keyring::new(identity(node))),
        };
        pair.rewire();
        pair
    }

    // How it goes.

    /// The next thing happens.
    pub fn step(&mut self) {
        assert!(self.world.step(), "nothing will ever happen again");
        self.traffic.advance(&mut self.world);
        if let Some(stream) = &mut self.stream {
            stream.advance(&mut self.world);
        }
        self.keep_ledger();
        if self.invariants.check(&self.world) && self.deaths > 0 && !self.bereft {
            self.look_for_the_transfer();
        }
    }

    /// Notes what was acknowledged, and who takes over: that node must have all that it has acknowledged.
    fn keep_ledger(&mut self) {
        let now = self.world.now;
        self.ledger.rules_change = self.world.has_other_rules();
        for node in 0..2 {
            let Some(crew) = &mut self.world.routers[node].crew else { continue };
            for deed in std::mem::take(&mut crew.deeds) {
                self.ledger.note(now, node, deed);
            }
        }
        for node in 0..2 {
            let Some(crew) = &self.world.routers[node].crew else { continue };
            if crew.helm.role() == koi::types::Role::Standby && crew.courier.synced() {
                self.ledger.prove(node);
            }
        }
        let serving = self.invariants.serving(&self.world);
        for (node, serves) in serving.into_iter().enumerate() {
            match (std::mem::replace(&mut self.served[node], serves), serves) {
                (false, true) => {
                    let wanted = self.ledger.take_over(node);
                    let has = invariants::flows(&self.world.routers[node], now);
                    let lost: Vec<&String> = wanted.iter().filter(|key| !has.contains(*key)).collect();
                    if !lost.is_empty() {
                        self.tell();
                        panic!("node {node} takes over without what it had acknowledged: {lost:?}");
                    }
                }
                (true, false) => self.ledger.step_down(node),
                (true, true) | (false, false) => {}
            }
        }
    }

    /// The leader may lack the transfer's flow when nobody who lives has ever had it.
    fn look_for_the_transfer(&mut self) {
        let Some(node) = self.leader() else { return };
        let tcp = Filter { protocol: Some(6), ..Filter::default() };
        let router = &self.world.routers[node];
        let local = router.clock.local(self.world.now);
        if !router.shard.flows(local, &tcp, None, 1 << 20).0.is_empty() {
            return;
        }
        let inherited = self.ledger.inherited(node).iter().find(|key| key.starts_with("tcp"));
        if let Some(key) = inherited {
            self.tell();
            panic!("node {node} had acknowledged {key}, led with it, and has lost it");
        }
        self.bereft = true;
    }

    pub fn run_for(&mut self, time: Duration) {
        let end = self.world.wake_in(time);
        while self.world.now < end {
            self.step();
        }
    }

    /// As `run_until`, for what takes long to find out: it is asked for at each millisecond, not at each step.
    pub fn look_until(&mut self, limit: Duration, what: &str, mut done: impl FnMut(&Pair) -> bool) {
        let mut look = self.world.now;
        self.run_until(limit, what, |pair| {
            let looks = pair.world.now >= look;
            if looks {
                look = pair.world.now + Duration::from_millis(1);
            }
            looks && done(pair)
        });
    }

    pub fn run_until(&mut self, limit: Duration, what: &str, mut done: impl FnMut(&Pair) -> bool) {
        let deadline = self.world.wake_in(limit);
        while !done(self) {
            if self.world.now >= deadline {
                self.tell();
                panic!("{what}: not within {limit:?} of simulated time");
            }
            self.step();
        }
    }

    /// Runs until one leads and the other could take over at any time.
    pub fn settle(&mut self) {
        self.run_until(Duration::from_secs(15), "a settled pair", Pair::is_settled);
    }

    fn is_settled(&self) -> bool {
        let Some(active) = self.leader() else { return false };
        let crew = self.world.routers[1 - active].crew.as_ref().unwrap();
        let synced = crew.courier.synced() && crew.helm.role() == koi::types::Role::Standby;
        self.world.routers.iter().all(Router::forwards) && synced
    }

    /// The node that serves at this moment, when it is one.
    pub fn leader(&self) -> Option<usize> {
        match self.invariants.serving(&self.world) {
            [true, false] => Some(0),
            [false, true] => Some(1),
            [true, true] | [false, false] => None,
        }
    }

    /// No more traffic; after a while both tables say the same, and the bytes have arrived.
    pub fn finish(&mut self) {
        self.settle();
        self.traffic.stop(&mut self.world);
        self.torn = self.invariants.dual > Duration::from_millis(100);
        self.run_until(Duration::from_secs(60), "the end of a transfer", |pair| {
            pair.bereft || pair.torn || pair.traffic.is_complete()
        });
        self.traffic.check(!self.bereft && !self.torn);
        self.settle();
        self.run_for(Duration::from_millis(1300));
        self.check_tables();
        note_run(self.bereft, self.torn, self.ledger.acknowledged);
    }

    /// The pair is quiet: both tables say the same, and lack nothing that a standby has acknowledged.
    pub fn check_tables(&self) {
        self.invariants.check_tables(&self.world);
        let has = invariants::flows(&self.world.routers[0], self.world.now);
        for node in 0..2 {
            let lost: Vec<&String> = self.ledger.held(node).filter(|key| !has.contains(*key)).collect();
            assert!(lost.is_empty(), "acknowledged by node {node}, and lost on both: {lost:?}");
        }
    }

    /// What was said, for a test that failed.
    pub fn tell(&self) {
        self.invariants.tell(&self.world);
    }

    // What is done to it.

    /// The power goes.
    pub fn power_off(&mut self, node: usize) {
        self.deaths += 1;
        self.power[node] = false;
        self.world.routers[node].alive = false;
        self.rewire();
    }

    /// The router's process dies, and its parent says so.
    pub fn crash(&mut self, node: usize) {
        self.deaths += 1;
        self.world.say_last_word(node);
        self.world.routers[node].alive = false;
        self.rewire();
    }

    /// The node starts, if it is dead; `fresh`: its machine does.
    pub fn start(&mut self, node: usize, fresh: bool) {
        if self.world.routers[node].alive {
            return;
        }
        self.power[node] = true;
        self.ledger.forget(node);
        self.served[node] = false;
        self.world.replace_node(node, |seed, now, before| {
            let (compiled, mut clock, links) = before.remains();
            clock.go_on(now);
            Router::of_pair((compiled, identity(node)), seed, now, (clock, links), fresh)
        });
        self.change(node, Change::Speak(self.speaks[node]));
        if self.keyrings[node].renewal.is_some()
            || self.keyrings[node].identity.public() != identity(node).public()
        {
            self.change(node, Change::Keyring(Box::new(self.keyrings[node].clone())));
        }
        self.rewire();
    }

    /// The node stands still for a while, its clock as well or not.
    pub fn freeze(&mut self, node: usize, time: Duration, stands: bool) {
        let router = &self.world.routers[node];
        if router.is_awake() {
            self.world.stop(node, time, stands);
            self.invariants.note_stop(node, self.world.now + time, stands);
            self.rewire();
        }
    }

    /// The node's machine is put back to what it was in an earlier moment of the same world: a snapshot of a VM. Its own
    /// clock goes on from there.
    pub fn put_back(&mut self, node: usize, mut before: Pair) {
        self.deaths += 1;
        self.ledger.forget(node);
        self.served[node] = false;
        self.world.put_back(node, &mut before.world);
        self.invariants.note_stop(node, self.world.now, true);
        self.rewire();
    }

    /// A cable is pulled out, or put back, and both ends know.
    pub fn unplug(&mut self, node: usize, port: u8, out: bool) {
        self.unplugged[node][usize::from(port)] = out;
        self.rewire();
    }

    /// A cable carries nothing, and nobody knows.
    pub fn mute(&mut self, node: usize, port: u8, muted: bool) {
        self.muted[node][usize::from(port)] = muted;
        self.rewire();
    }

    /// The node does not reach the gateway.
    pub fn lose_gateway(&mut self, node: usize, lost: bool) {
        self.gateway_lost[node] = lost;
        self.rewire();
    }

    /// The nodes do not reach each other.
    pub fn part(&mut self, parted: bool) {
        self.parted = parted;
        self.rewire();
    }

    /// The forward thread gets stuck, or goes on.
    pub fn hang(&mut self, node: usize, hung: bool) {
        let router = &self.world.routers[node];
        if (router.is_awake() || !hung) && router.hung.is_some() != hung {
            self.world.hang(node, hung);
            self.rewire();
        }
    }

    /// All turns of a node come late by up to this many nanoseconds: helm, courier, forward thread.
    pub fn starve(&mut self, node: usize, late: [u64; 3]) {
        self.world.late[node] = late;
        self.rewire();
    }

    pub fn request(&mut self, node: usize, request: Request) {
        let crew = self.world.routers[node].crew.as_mut().unwrap();
        crew.request(request);
        self.rewire();
    }

    /// An operator changes something of the helm.
    pub fn change(&mut self, node: usize, change: Change) {
        let router = &mut self.world.routers[node];
        if let Change::Document(compiled) = &change {
            router.compiled = Arc::clone(compiled);
        }
        router.crew.as_mut().unwrap().change(change);
        self.rewire();
    }

    /// An operator wants all states told anew.
    pub fn tell_again(&mut self, node: usize) {
        let now = self.world.routers[node].clock.local(self.world.now);
        self.world.routers[node].crew.as_mut().unwrap().tell_again(now);
    }

    /// Somebody sets the calendar clock.
    pub fn set_calendar(&mut self, node: usize, ahead: u64) {
        self.world.routers[node].crew.as_mut().unwrap().calendar = ahead;
        self.rewire();
    }

    /// Everything is as it was in the beginning; the dead start.
    pub fn heal(&mut self) {
        self.unplugged = Default::default();
        self.muted = Default::default();
        self.gateway_lost = [false; 2];
        self.parted = false;
        for node in 0..2 {
            self.world.late[node] = [100_000; 3];
            self.hang(node, false);
            self.start(node, true);
            self.request(node, Request::Disable(false));
            self.request(node, Request::Maintenance(false));
        }
        self.rewire();
    }

    /// Brings cables, links and switches to what has been done.
    fn rewire(&mut self) {
        let dark = |pair: &Pair, node: usize, port: u8| {
            let at = usize::from(port);
            !pair.power[node] || pair.unplugged[node][at] || pair.muted[node][at]
        };
        for node in 0..2 {
            for port in WAN..SYNC {
                let cut = dark(self, node, port);
                self.world.cut(End::Router(node, port), cut);
                let up = !self.unplugged[node][usize::from(port)];
                if !up || !self.power[node] {
                    self.world.switches[usize::from(port)].unplug(node as u8);
                }
                self.set_link(node, port, up);
            }
            let blocked = self.gateway_lost[node];
            self.world.switches[usize::from(WAN)].block(node as u8, HOST, blocked);
            let sync = usize::from(SYNC);
            let out = self.unplugged[0][sync] || self.unplugged[1][sync];
            let gone = self.carrier && !self.power[1 - node];
            self.set_link(node, SYNC, !out && !gone);
        }
        let cut = self.parted || dark(self, 0, SYNC) || dark(self, 1, SYNC);
        self.world.cut(End::Router(0, SYNC), cut);
        for switch in &mut self.world.switches {
            switch.block(0, 1, self.parted);
        }
        let clean = [WAN, LAN, DMZ, SYNC].map(|port| {
            let both = (0..2).all(|node| !dark(self, node, port) && self.world.routers[node].is_linked(port));
            let late = self.world.late.iter().any(|late| late[2] > 1_000_000);
            let hung = self.world.routers.iter().any(|router| router.hung.is_some());
            both && !self.parted && (port == SYNC || !late && !hung)
        });
        self.invariants.note_change(&self.world, clean);
    }

    fn set_link(&mut self, node: usize, port: u8, up: bool) {
        if self.world.routers[node].is_linked(port) != up {
            self.world.routers[node].link(self.world.now, port, up);
        }
    }
}
