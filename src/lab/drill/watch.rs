//! Watches the nodes from outside: what comes out of their devices at the switches.
//!
//! One socket in each switch's namespace sees what the devices of both nodes give; which of them it was, the kernel
//! says. A device that goes away with its node and comes back is known again by its name, which is asked for with every
//! batch of frames; one that has gone by then is what it was.

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;

use super::mastership;
use super::sighting::{self, Sighting};
use super::worker::{Running, Worker};
use crate::config::Config;
use crate::io::poller::Poller;
use crate::io::{clock, netns, pace, stamped};
use crate::lab::network::{Network, namespace};
use crate::types::Instant;

/// How long a watcher sleeps when nothing comes.
const NAP: Duration = Duration::from_millis(20);
/// Sightings that are kept: ten minutes of streams.
const SIGHTINGS: usize = 4_000_000;

/// What was seen so far.
#[derive(Default)]
struct Seen {
    sightings: Vec<Sighting>,
    /// Sightings beyond the bound.
    missed: u64,
}

/// The watchers; they end with this value.
pub struct Watch {
    seen: Arc<Mutex<Seen>>,
    _workers: Vec<Worker>,
}

/// A device of a node at a switch.
struct Place {
    device: String,
    node: usize,
}

impl Watch {
    /// Begins to watch the nodes of a configuration.
    ///
    /// # Errors
    /// When a namespace may not be watched.
    pub fn start(network: &Network, config: &Config, virtual_ips: &[IpAddr]) -> anyhow::Result<Watch> {
        let seen: Arc<Mutex<Seen>> = Arc::default();
        let mut workers = Vec::new();
        for (switch, part) in network.switches.iter().enumerate() {
            let netns = namespace(part.name);
            let places = places(config, &netns);
            let open = || stamped::watch(&sighting::filter());
            let socket = netns::within(Some(&netns), open).with_context(|| format!("watching {netns}"))?;
            let virtual_ips = virtual_ips.to_vec();
            let eyes = Eyes { switch, socket, places, nodes: HashMap::new(), virtual_ips };
            let told = Arc::clone(&seen);
            let watch = move |running: &Running| eyes.watch(&told, running);
            workers.push(Worker::start("watch", None, watch)?);
        }
        Ok(Watch { seen, _workers: workers })
    }

    /// What was seen since an instant.
    pub fn since(&self, at: Instant) -> Vec<Sighting> {
        let seen = lock(&self.seen);
        seen.sightings.iter().filter(|sighting| sighting.at >= at).copied().collect()
    }

    /// Sightings that were not kept.
    pub fn missed(&self) -> u64 {
        lock(&self.seen).missed
    }

    /// Forgets what was before this instant.
    pub fn forget_before(&self, at: Instant) {
        lock(&self.seen).sightings.retain(|sighting| sighting.at >= at);
    }

    /// The node that forwards now.
    pub fn leader(&self) -> Option<usize> {
        mastership::leader(&self.since(clock::now() - Duration::from_millis(300)))
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

fn places(config: &Config, netns: &str) -> Vec<Place> {
    let mut places = Vec::new();
    for (node, part) in config.nodes.iter().enumerate() {
        let here = part.ports.iter().filter(|port| port.netns.as_deref() == Some(netns));
        places.extend(here.filter_map(|port| port.tap.clone()).map(|device| Place { device, node }));
    }
    places
}

/// The watcher of one switch.
struct Eyes {
    switch: usize,
    socket: OwnedFd,
    places: Vec<Place>,
    /// The nodes of the devices, by number; none for devices of hosts.
    nodes: HashMap<u32, Option<usize>>,
    virtual_ips: Vec<IpAddr>,
}

impl Eyes {
    fn watch(mut self, seen: &Mutex<Seen>, running: &Running) -> io::Result<()> {
        let mut poller = Poller::new()?;
        poller.add(0, self.socket.as_fd());
        let (mut ready, mut batch) = (Vec::new(), Vec::new());
        while running.goes_on() {
            poller.wait(Some(NAP), &mut ready)?;
            self.look(&mut batch)?;
            let mut seen = lock(seen);
            let room = SIGHTINGS.saturating_sub(seen.sightings.len()).min(batch.len());
            seen.missed += (batch.len() - room) as u64;
            seen.sightings.extend(batch.drain(..).take(room));
            drop(seen);
            // The kernel keeps the frames and their times meanwhile.
            pace::until(clock::now() + NAP / 4);
        }
        Ok(())
    }

    fn look(&mut self, batch: &mut Vec<Sighting>) -> io::Result<()> {
        let mut frame = [0; stamped::SNAP_LEN];
        let mut asked = HashSet::new();
        while let Some(received) = stamped::receive(self.socket.as_fd(), &mut frame)? {
            if asked.insert(received.interface) {
                self.ask(received.interface);
            }
            let Some(&Some(node)) = self.nodes.get(&received.interface) else { continue };
            let bytes = &frame[..received.len.min(frame.len())];
            if let Some(kind) = sighting::classify(bytes, &self.virtual_ips) {
                batch.push(Sighting { at: received.at, node, switch: self.switch, kind });
            }
        }
        Ok(())
    }

    fn ask(&mut self, interface: u32) {
        // A device that has gone was known by this number when its frames came.
        let Ok(name) = stamped::interface_name(self.socket.as_fd(), interface) else { return };
        let place = self.places.iter().find(|place| place.device == name);
        self.nodes.insert(interface, place.map(|place| place.node));
    }
}
