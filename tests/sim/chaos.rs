//! Whatever happens in whatever order: what must never happen never does, and afterwards everything works.

use std::time::Duration;

use koi::types::{Random, Seed};

use crate::audit::Audit;
use crate::cable::Quality;
use crate::for_each_seed;
use crate::own_stack::Fetch;
use crate::story::{CLIENT, LAN_ANYWHERE, SERVER, Story, WWW, compile, document, ip, with_state_limit};
use crate::transfers::Transfer;
use crate::world::End;

/// States that the router may hold.
const LIMIT: usize = 300;
const ACTIONS: usize = 40;
const PORTS: u8 = 3;
/// Hosts that try again after half a minute must find the flow that they began: a second one has another port.
const PATIENT: &str = "[system.timeouts]\ntcp_first = 600\ntcp_opening = 600\n";

/// A story that somebody plays havoc with.
struct Chaos {
    story: Story,
    random: Random,
    audit: Audit,
    transfers: Vec<Transfer>,
    fetches: Vec<Fetch>,
    reloads: u32,
    next_port: u16,
    /// Broken and repeated frames as well; else everything that began must come to its end.
    evil: bool,
}

impl Chaos {
    fn new(seed: u64, evil: bool) -> Self {
        let config = with_state_limit(&document(LAN_ANYWHERE, PATIENT), LIMIT as u32);
        let mut story = Story::with(seed, Quality::ROUGH, &config);
        story.world.routers[0].own.page = (0..50_000u32).map(|number| (number % 251) as u8).collect();
        Chaos {
            story,
            random: Seed([seed, 77]).random(),
            audit: Audit::default(),
            transfers: Vec::new(),
            fetches: Vec::new(),
            reloads: 1,
            next_port: 10_000,
            evil,
        }
    }

    /// One thing happens, and the world goes on for a moment.
    fn act(&mut self) {
        match self.random.below(if self.evil { 11 } else { 8 }) {
            0 | 1 => self.begin_transfer(),
            2 => self.fetch(),
            3 => self.ping(),
            4 => self.pull_cable(),
            5 => self.reload(),
            6 => self.flap(),
            7 => self.close_one(),
            8 => self.trespass(),
            9 => self.corrupt(),
            _ => {
                let long = Duration::from_secs(1 << self.random.below(18));
                self.go_on(long);
            }
        }
        let moment = Duration::from_micros(self.random.below(50_000));
        self.go_on(moment);
    }

    fn go_on(&mut self, time: Duration) {
        let world = &mut self.story.world;
        let end = world.wake_in(time);
        while world.now < end && world.step() {
            self.transfers.iter_mut().for_each(|transfer| {
                transfer.advance(world);
            });
            self.fetches.iter_mut().for_each(|fetch| {
                fetch.advance(world);
            });
            assert!(world.routers[0].shard.states() <= LIMIT);
        }
        self.audit.go_on(world);
        let page = &world.routers[0].own.page;
        assert!(self.transfers.iter().all(Transfer::is_right_so_far), "bytes arrived changed");
        assert!(self.fetches.iter().all(|fetch| page.starts_with(&fetch.received)), "the page was changed");
    }

    fn port(&mut self) -> u16 {
        self.next_port += 1;
        self.next_port
    }

    fn begin_transfer(&mut self) {
        let (port, length) = (self.port(), 1 + self.random.below(60_000) as usize);
        let data = (0..length).map(|_| self.random.next() as u8).collect();
        let Story { client, server, www, .. } = self.story;
        let (from, to, address) = match self.random.below(5) {
            0 => (client, server, SERVER),
            1 => (client, server, "2001:db8:1::1"),
            2 => (client, www, WWW),
            3 => (www, server, SERVER),
            _ => (www, server, "2001:db8:1::1"),
        };
        let world = &mut self.story.world;
        self.transfers.push(Transfer::begin(world, from, to, (address, port), port, data));
    }

    fn fetch(&mut self) {
        let (port, client) = (self.port(), self.story.client);
        let address = if port % 2 == 0 { "192.168.1.1" } else { "2001:db8:10::1" };
        self.fetches.push(Fetch::new(&mut self.story.world, client, address, port));
    }

    fn ping(&mut self) {
        let Story { client, server, www, .. } = self.story;
        // A smoltcp host that pings itself asks for its own MAC address and does nothing else any more.
        let (from, own) = [(client, CLIENT), (server, SERVER), (www, WWW)][self.random.below(3) as usize];
        let to = ["192.168.1.1", SERVER, WWW, CLIENT, "203.0.113.2", "198.51.100.7"];
        let to = to[self.random.below(6) as usize];
        let to = ip(if to == own { "192.168.1.1" } else { to });
        let id = self.port();
        let handle = self.story.world.hosts[from].ping(id);
        self.story.world.hosts[from].ask(handle, id, to);
    }

    fn pull_cable(&mut self) {
        let host = End::Host(self.random.below(3) as usize);
        self.story.world.cut(host, true);
        self.outage();
        self.story.world.cut(host, false);
    }

    fn flap(&mut self) {
        let port = self.random.below(u64::from(PORTS)) as u8;
        self.story.world.link(0, port, false);
        self.outage();
        self.story.world.link(0, port, true);
    }

    /// Some time without a link. Honest ones are short: smoltcp's hosts wait up to a minute before they try again,
    /// have forgotten their neighbours by then, and lose what they wanted to say.
    fn outage(&mut self) {
        let limit = if self.evil { 3_000_000 } else { 700_000 };
        let moment = Duration::from_micros(self.random.below(limit));
        self.go_on(moment);
    }

    fn reload(&mut self) {
        self.reloads += 1;
        let rule = "interface = \"wan\"\naction = \"block\"\n";
        let extra = format!("[[rule]]\nid = {}\n{rule}{PATIENT}", 1_000_100 + self.reloads);
        // Sometimes LAN loses its rule for a while: flows end, and that is right.
        let lan = if self.evil && self.random.below(4) == 0 { "" } else { LAN_ANYWHERE };
        let config = with_state_limit(&document(lan, &extra), LIMIT as u32);
        self.story.world.apply(0, compile(&config, self.reloads));
    }

    fn close_one(&mut self) {
        let done = self.transfers.iter().position(Transfer::is_complete);
        if let Some(index) = done {
            let transfer = self.transfers.swap_remove(index);
            transfer.close(&mut self.story.world);
        }
    }

    /// DMZ and WAN try what they must not; the audit watches LAN.
    fn trespass(&mut self) {
        let Story { client, server, www, .. } = self.story;
        let port = self.port();
        let (from, to, address) = match self.random.below(4) {
            0 => (www, client, CLIENT),
            1 => (www, client, "2001:db8:10::10"),
            2 => (server, client, CLIENT),
            _ => (server, www, "2001:db8:20::10"),
        };
        let world = &mut self.story.world;
        let bad = Transfer::begin(world, from, to, (address, port), port, vec![6; 100]);
        self.transfers.push(bad);
        self.go_on(Duration::from_secs(1));
        let bad = self.transfers.pop();
        assert!(bad.is_some_and(|bad| bad.received.is_empty() && !bad.was_accepted(&self.story.world)));
    }

    /// A frame of before comes again, perhaps broken.
    fn corrupt(&mut self) {
        for _ in 0..20 {
            let seen = &self.story.world.seen;
            let (_, from, frame) = &seen[self.random.below(seen.len() as u64) as usize];
            let (from, mut frame) = (*from, frame.clone());
            if frame.is_empty() {
                continue;
            }
            if self.random.below(4) != 0 {
                let at = self.random.below(frame.len() as u64) as usize;
                frame[at] ^= 1 << self.random.below(8);
            }
            if self.random.below(8) == 0 {
                frame.truncate(self.random.below(frame.len() as u64) as usize);
            }
            if let End::Host(_) = from {
                self.story.world.emit(from, frame);
            }
        }
    }

    /// Peace: everything is put back, and works.
    fn end(mut self, seed: u64) {
        self.evil = false;
        self.reload();
        if self.transfers.iter().any(|transfer| !transfer.is_complete()) {
            self.go_on(Duration::from_secs(180));
        }
        self.go_on(Duration::from_secs(1));
        let Story { client, server, .. } = self.story;
        let world = &mut self.story.world;
        // Broken ARP packets may have poisoned the caches of hosts and router, which heal when they are used.
        let handle = world.hosts[client].ping(1);
        world.insist(Duration::from_secs(150), "an answer", |world| {
            world.hosts[client].ask(handle, 1, ip(SERVER));
            world.run_for(Duration::from_secs(2));
            world.hosts[client].answered(handle).then_some(())
        });
        Transfer::new(world, client, server, SERVER, 80, seed).finish(world);
        let mut last = Fetch::new(world, client, "192.168.1.1", 9_999);
        last.finish(world);
        self.audit.go_on(world);
    }
}

#[test]
fn nothing_forbidden_ever_happens_and_everything_begun_is_finished() {
    for_each_seed(|seed| {
        let mut chaos = Chaos::new(seed, false);
        for _ in 0..ACTIONS {
            chaos.act();
        }
        chaos.go_on(Duration::from_secs(180));
        let left = chaos.transfers.iter().filter(|transfer| !transfer.is_complete()).count();
        assert_eq!(left, 0, "of {} transfers", chaos.transfers.len());
        chaos.end(seed);
    });
}

#[test]
fn broken_frames_and_trespassers_change_nothing_for_good() {
    for_each_seed(|seed| {
        let mut chaos = Chaos::new(seed, true);
        for _ in 0..ACTIONS {
            chaos.act();
        }
        chaos.end(seed);
    });
}

#[test]
fn chaos_can_be_played_again() {
    let run = |seed| {
        let mut chaos = Chaos::new(seed, true);
        (0..ACTIONS).for_each(|_| chaos.act());
        chaos.story.world.seen
    };
    assert!(run(5) == run(5), "the same seed, frames and nanoseconds");
    assert!(run(5) != run(6));
}
