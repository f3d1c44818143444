//! The ARP and neighbour discovery tables: one engine, two protocols.
//!
//! Invariant: a packet that waits comes out exactly once: ready, failed or dropped. The table, the packets that
//! wait and the requests per neighbour are bounded; a scan of an empty network fills the room of the unresolved
//! only, and evicts nobody who answered.

use std::net::IpAddr;

use foldhash::HashMap;

use super::entry::{DELAY, Entry, FORGET, HOLD_DOWN, NeighbourId, REACHABLE, RETRANSMIT, State, TRIES};
use super::own::{Own, Standing};
use super::{Event, Outbox};
use crate::types::{Instant, InterfaceId, MacAddr, Prefix, Random, Seed};
use crate::wire::Drop;

/// The most neighbours.
const ENTRIES: usize = 16_384;
/// The most neighbours that have not answered (yet).
const UNRESOLVED: usize = 1024;
/// The most packets that wait for one neighbour.
const PARKED_EACH: usize = 16;
/// The most packets that wait for all of them.
const PARKED: usize = 2048;

/// A link as this engine sees it.
#[derive(Clone, Debug)]
pub struct LinkConfig {
    /// The interface.
    pub id: InterfaceId,
    /// Our MAC address there.
    pub mac: MacAddr,
    /// Our addresses there, with their networks.
    pub addresses: Vec<Prefix>,
}

/// All links.
#[derive(Clone, Debug, Default)]
pub struct NeighbourConfig {
    /// In the order of their ids.
    pub links: Vec<LinkConfig>,
}

/// A neighbour, as a row.
#[derive(Clone, Copy, Debug)]
pub struct NeighbourRow {
    /// Its address.
    pub address: IpAddr,
    /// Where it lives.
    pub interface: InterfaceId,
    /// Its MAC address, when known.
    pub mac: Option<MacAddr>,
    /// `incomplete`, `reachable`, `stale`, `delay`, `probe` or `failed`.
    pub state: &'static str,
}

/// The tables. `P` is a packet that waits.
pub struct Neighbours<P> {
    pub(super) links: Vec<LinkConfig>,
    pub(super) up: Vec<bool>,
    pub(super) own: Vec<Own>,
    entries: Vec<Entry<P>>,
    free: Vec<u16>,
    index: HashMap<(InterfaceId, IpAddr), u16>,
    unresolved: usize,
    parked: usize,
    next: Option<Instant>,
    random: Random,
}

impl<P> Neighbours<P> {
    /// Empty tables; all links are down until [`Neighbours::handle_link`] says otherwise.
    pub fn new(config: NeighbourConfig, seed: Seed, now: Instant, out: &mut Outbox<P>) -> Self {
        let mut neighbours = Neighbours {
            links: Vec::new(),
            up: Vec::new(),
            own: Vec::new(),
            entries: Vec::new(),
            free: Vec::new(),
            index: HashMap::default(),
            unresolved: 0,
            parked: 0,
            next: None,
            random: seed.random(),
        };
        neighbours.apply(now, config, out);
        neighbours
    }

    /// Other links or addresses. What is known of neighbours stays; addresses that are new are announced.
    pub fn apply(&mut self, now: Instant, config: NeighbourConfig, out: &mut Outbox<P>) {
        let before = std::mem::take(&mut self.own);
        self.links = config.links;
        self.up.resize(self.links.len(), false);
        for link in &self.links {
            for prefix in &link.addresses {
                let (interface, address) = (link.id, prefix.addr());
                let known = before.iter().find(|own| own.interface == interface && own.address == address);
                self.own.push(known.copied().unwrap_or(Own {
                    interface,
                    address,
                    standing: Standing::Down,
                    quiet_until: now,
                }));
            }
        }
        for index in 0..self.own.len() {
            let own = self.own[index];
            if own.standing == Standing::Down && self.is_up(own.interface) {
                self.begin_address(now, index, out);
            }
        }
    }

    /// A link came or went. What is known of neighbours stays through a short interruption, but is confirmed anew.
    pub fn handle_link(&mut self, now: Instant, interface: InterfaceId, up: bool, out: &mut Outbox<P>) {
        let Some(flag) = self.up.get_mut(usize::from(interface.0)) else { return };
        *flag = up;
        for index in 0..self.own.len() {
            if self.own[index].interface == interface {
                match up {
                    true => self.begin_address(now, index, out),
                    false => self.own[index].standing = Standing::Down,
                }
            }
        }
        for entry in
            self.entries.iter_mut().filter(|entry| entry.interface == interface && entry.state.is_usable())
        {
            entry.state = State::Stale;
            entry.deadline = now + FORGET;
        }
    }

    /// The entry of a neighbour; made when there is none.
    ///
    /// # Errors
    /// [`Drop::NeighbourLimit`] when the table has no room for another one.
    pub fn entry(
        &mut self,
        now: Instant,
        interface: InterfaceId,
        address: IpAddr,
    ) -> Result<NeighbourId, Drop> {
        if let Some(index) = self.index.get(&(interface, address)) {
            return Ok(NeighbourId::new(*index, self.entries[usize::from(*index)].generation));
        }
        self.insert(now, interface, address, State::Failed, MacAddr::default())
    }

    /// The MAC address of a neighbour, when it may be used. Asked for every packet that leaves.
    #[inline]
    pub fn mac(&mut self, id: NeighbourId, now: Instant) -> Option<MacAddr> {
        let entry = self.entries.get_mut(id.index())?;
        if entry.generation != id.generation() || !entry.state.is_usable() {
            return None;
        }
        entry.used = now;
        if entry.state == State::Stale {
            entry.state = State::Delay;
            entry.deadline = now + DELAY;
            let deadline = entry.deadline;
            let mac = entry.mac;
            self.wake_at(deadline);
            return Some(mac);
        }
        Some(entry.mac)
    }

    /// True while the id names a living entry.
    #[inline]
    pub fn is_current(&self, id: NeighbourId) -> bool {
        self.entries
            .get(id.index())
            .is_some_and(|entry| entry.generation == id.generation() && entry.state != State::Free)
    }

    /// A packet waits for the neighbour's MAC address, which is asked for.
    pub fn park(&mut self, now: Instant, id: NeighbourId, packet: P, out: &mut Outbox<P>) {
        if !self.is_current(id) {
            return out.dropped.push((Drop::NeighbourFailed, packet));
        }
        let entry = &mut self.entries[id.index()];
        match entry.state {
            State::Failed if now < entry.deadline && entry.deadline != Instant::ZERO => {
                return out.failed.push((entry.interface, entry.address, packet));
            }
            State::Failed => {
                entry.state = State::Incomplete { tries: 1 };
                entry.deadline = now + RETRANSMIT;
                let (interface, address, deadline) = (entry.interface, entry.address, entry.deadline);
                self.wake_at(deadline);
                self.solicit(interface, address, None, out);
            }
            State::Incomplete { .. } => {}
            State::Reachable | State::Stale | State::Delay | State::Probe { .. } => {
                return out.ready.push((entry.interface, entry.mac, packet));
            }
            State::Free => return out.dropped.push((Drop::NeighbourFailed, packet)),
        }
        let entry = &mut self.entries[id.index()];
        entry.used = now;
        if entry.parked.len() >= PARKED_EACH || self.parked >= PARKED {
            // RFC 1122 section 2.3.2.2: the latest packet is the one to keep.
            if entry.parked.is_empty() {
                return out.dropped.push((Drop::NeighbourPending, packet));
            }
            out.dropped.push((Drop::NeighbourPending, entry.parked.remove(0)));
            self.parked -= 1;
        }
        entry.parked.push(packet);
        self.parked += 1;
    }

    /// Asks again, gives up, forgets.
    pub fn handle_timeout(&mut self, now: Instant, out: &mut Outbox<P>) {
        if self.next.is_none_or(|next| now < next) {
            return;
        }
        self.next = None;
        for index in 0..self.entries.len() {
            if self.entries[index].state != State::Free {
                if self.entries[index].deadline <= now {
                    self.expire(now, index, out);
                }
                if self.entries[index].state != State::Free {
                    self.wake_at(self.entries[index].deadline.max(Instant::from_nanos(now.as_nanos() + 1)));
                }
            }
        }
        self.finish_detection(now, out);
    }

    /// When [`Neighbours::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.next
    }

    /// All neighbours.
    pub fn rows(&self) -> Vec<NeighbourRow> {
        let living = self.entries.iter().filter(|entry| entry.state != State::Free);
        let row = |entry: &Entry<P>| NeighbourRow {
            address: entry.address,
            interface: entry.interface,
            mac: entry.state.is_usable().then_some(entry.mac),
            state: entry.state.name(),
        };
        living.map(row).collect()
    }

    /// The state of one entry has had its time.
    fn expire(&mut self, now: Instant, index: usize, out: &mut Outbox<P>) {
        let jitter = self.random.below(REACHABLE.as_nanos() as u64 / 4);
        let entry = &mut self.entries[index];
        let (interface, address, mac) = (entry.interface, entry.address, entry.mac);
        match entry.state {
            State::Incomplete { tries } if tries < TRIES => {
                entry.state = State::Incomplete { tries: tries + 1 };
                entry.deadline = now + RETRANSMIT;
                self.solicit(interface, address, None, out);
            }
            State::Incomplete { .. } => {
                entry.state = State::Failed;
                entry.deadline = now + HOLD_DOWN;
                let parked = std::mem::take(&mut entry.parked);
                self.parked -= parked.len();
                out.failed.extend(parked.into_iter().map(|packet| (interface, address, packet)));
            }
            State::Reachable => {
                entry.state = State::Stale;
                entry.deadline = now + FORGET + std::time::Duration::from_nanos(jitter);
            }
            State::Delay => {
                entry.state = State::Probe { tries: 1 };
                entry.deadline = now + RETRANSMIT;
                self.solicit(interface, address, Some(mac), out);
            }
            State::Probe { tries } if tries < TRIES => {
                entry.state = State::Probe { tries: tries + 1 };
                entry.deadline = now + RETRANSMIT;
                self.solicit(interface, address, Some(mac), out);
            }
            // Who sends to it asks everybody anew.
            State::Stale | State::Probe { .. } | State::Failed => self.remove(index),
            State::Free => {}
        }
    }

    /// A neighbour was heard: its MAC address is `mac`.
    pub(super) fn learn(
        &mut self,
        now: Instant,
        key: (InterfaceId, IpAddr),
        heard: Heard,
        out: &mut Outbox<P>,
    ) {
        let Heard { mac, confirmed, create, overriding } = heard;
        let Some(index) = self.index.get(&key).copied() else {
            if create && self.insert(now, key.0, key.1, State::Stale, mac).is_err() {
                out.counted.push(Drop::NeighbourLimit);
            }
            return;
        };
        let jitter = self.random.below(REACHABLE.as_nanos() as u64);
        let entry = &mut self.entries[usize::from(index)];
        let was_usable = entry.state.is_usable();
        let changed = was_usable && entry.mac != mac;
        if changed && !overriding {
            // RFC 4861 section 7.2.5: without "override" a different address only casts doubt.
            if entry.state == State::Reachable {
                entry.state = State::Stale;
                entry.deadline = now + FORGET;
            }
            return;
        }
        if changed {
            out.events.push(Event::Moved { interface: key.0, address: key.1, from: entry.mac, to: mac });
        }
        entry.mac = mac;
        if confirmed {
            entry.state = State::Reachable;
            entry.deadline = now + REACHABLE / 2 + std::time::Duration::from_nanos(jitter);
        } else if changed || !was_usable {
            entry.state = State::Stale;
            entry.deadline = now + FORGET;
        }
        let deadline = entry.deadline;
        let parked = std::mem::take(&mut entry.parked);
        if !was_usable {
            self.unresolved = self.unresolved.saturating_sub(1);
        }
        self.parked -= parked.len();
        self.wake_at(deadline);
        out.ready.extend(parked.into_iter().map(|packet| (key.0, mac, packet)));
    }

    fn insert(
        &mut self,
        now: Instant,
        interface: InterfaceId,
        address: IpAddr,
        state: State,
        mac: MacAddr,
    ) -> Result<NeighbourId, Drop> {
        let unresolved = !state.is_usable();
        if unresolved && self.unresolved >= UNRESOLVED {
            return Err(Drop::NeighbourLimit);
        }
        let index = match self.free.pop() {
            Some(index) => index,
            None if self.entries.len() < ENTRIES => {
                self.entries.push(Entry {
                    generation: 0,
                    state: State::Free,
                    mac,
                    interface,
                    address,
                    deadline: now,
                    used: now,
                    parked: Vec::new(),
                });
                (self.entries.len() - 1) as u16
            }
            None => self.evict().ok_or(Drop::NeighbourLimit)?,
        };
        // An entry that nobody was asked about yet: the first packet asks, whatever the time.
        let deadline = if unresolved { Instant::ZERO } else { now + FORGET };
        let entry = &mut self.entries[usize::from(index)];
        let generation = entry.generation.wrapping_add(1);
        *entry =
            Entry { generation, state, mac, interface, address, deadline, used: now, parked: Vec::new() };
        self.unresolved += usize::from(unresolved);
        self.index.insert((interface, address), index);
        self.wake_at(if unresolved { now + HOLD_DOWN } else { deadline });
        Ok(NeighbourId::new(index, generation))
    }

    /// Frees the entry that has gone unused for longest, among those that are stale.
    fn evict(&mut self) -> Option<u16> {
        let stale = self.entries.iter().enumerate().filter(|(_, entry)| entry.state == State::Stale);
        let oldest = stale.min_by_key(|(_, entry)| entry.used).map(|(index, _)| index)?;
        self.remove(oldest);
        self.free.pop()
    }

    fn remove(&mut self, index: usize) {
        let entry = &mut self.entries[index];
        self.unresolved -= usize::from(!entry.state.is_usable()).min(self.unresolved);
        entry.state = State::Free;
        self.parked -= entry.parked.len();
        entry.parked.clear();
        self.index.remove(&(entry.interface, entry.address));
        self.free.push(index as u16);
    }

    pub(super) fn wake_at(&mut self, at: Instant) {
        self.next = Some(self.next.map_or(at, |next| next.min(at)));
    }

    pub(super) fn is_up(&self, interface: InterfaceId) -> bool {
        self.up.get(usize::from(interface.0)).copied().unwrap_or(false)
    }

    pub(super) fn link(&self, interface: InterfaceId) -> Option<&LinkConfig> {
        self.links.get(usize::from(interface.0))
    }
}

/// What a packet told of its sender.
#[derive(Clone, Copy)]
pub(super) struct Heard {
    pub mac: MacAddr,
    /// It answered us.
    pub confirmed: bool,
    /// Worth a new entry.
    pub create: bool,
    /// Replaces a different MAC address.
    pub overriding: bool,
}
