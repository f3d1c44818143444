//! The ARP and neighbour discovery tables: one engine, two protocols.
//!
//! Invariant: a packet that waits comes out exactly once: ready, failed or dropped. The table, the packets that
//! wait and the requests are bounded; a scan of an empty network fills the room of the silent only, and displaces
//! nobody who answered.

use std::net::IpAddr;

use super::budget::Budget;
use super::entry::{CLOSELY, Entry, FORGET, HOLD_DOWN, State};
use super::membership::Membership;
use super::own::Own;
use super::table::{Key, Limits, Table};
use super::virtual_ips::{Virtual, VirtualAddress};
use super::{Event, Outbox};
use crate::types::{Instant, InterfaceId, MacAddr, Prefix, Random, Seed};
use crate::wire::Drop;

/// The most entries that one call looks after; the rest is due at once again.
const WORK: usize = 256;

/// A link as this engine sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LinkConfig {
    /// The interface.
    pub id: InterfaceId,
    /// Our MAC address there.
    pub mac: MacAddr,
    /// Our addresses there, with their networks; the link-local one too.
    pub addresses: Vec<Prefix>,
    /// Addresses that are ours while we have the role.
    pub virtual_addresses: Vec<VirtualAddress>,
    /// The MAC address there of the node that has them otherwise.
    pub peer: Option<MacAddr>,
}

/// All links.
#[derive(Clone, Debug, Default)]
pub struct NeighbourConfig {
    /// In the order of their ids.
    pub links: Vec<LinkConfig>,
}

/// A neighbour, as a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
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

/// A link and what goes on there.
pub(super) struct Link {
    pub config: LinkConfig,
    pub up: bool,
    pub budget: Budget,
    pub membership: Membership,
}

/// A gateway: asked for whether or not there is traffic.
pub(super) struct Watched {
    pub key: Key,
    /// What an operator was last told.
    pub reachable: Option<bool>,
}

/// The tables. `P` is a packet that waits.
pub struct Neighbours<P> {
    pub(super) links: Vec<Link>,
    pub(super) own: Vec<Own>,
    pub(super) table: Table<P>,
    pub(super) watched: Vec<Watched>,
    /// Gateways are asked five times a second: somebody compares them with what the peer of a pair reaches.
    pub(super) closely: bool,
    /// One of them is asked, and nothing of it has come in since.
    listens: bool,
    pub(super) virtual_ips: Virtual,
    /// Packets of entries that had to make room, until there is an outbox for them.
    pub(super) displaced: Vec<P>,
    /// When an own address or a membership has something to do.
    pub(super) next_step: Option<Instant>,
    pub(super) random: Random,
}

impl<P> Neighbours<P> {
    /// Empty tables; all links are down until [`Neighbours::handle_link`] says otherwise.
    pub fn new(config: NeighbourConfig, seed: Seed, now: Instant, out: &mut Outbox<P>) -> Self {
        Self::with_limits(config, Limits::ROUTER, seed, now, out)
    }

    pub(super) fn with_limits(
        config: NeighbourConfig,
        limits: Limits,
        seed: Seed,
        now: Instant,
        out: &mut Outbox<P>,
    ) -> Self {
        let mut neighbours = Neighbours {
            links: Vec::new(),
            own: Vec::new(),
            table: Table::new(limits),
            watched: Vec::new(),
            closely: false,
            listens: false,
            virtual_ips: Virtual::none(now),
            displaced: Vec::new(),
            next_step: None,
            random: seed.random(),
        };
        neighbours.apply(now, config, out);
        neighbours
    }

    /// Other links or addresses. What is known of neighbours stays, except behind an interface that is another one
    /// now (its MAC address tells); addresses that are new are checked and announced.
    pub fn apply(&mut self, now: Instant, config: NeighbourConfig, out: &mut Outbox<P>) {
        let mut before = std::mem::take(&mut self.links);
        let mut own = std::mem::take(&mut self.own);
        for config in config.links {
            let known = before.iter().position(|link| link.config.id == config.id);
            let known = known.map(|index| before.swap_remove(index));
            let up = known.as_ref().is_some_and(|link| link.up);
            match known.filter(|link| link.config.mac == config.mac) {
                Some(mut link) => {
                    if link.up && link.config.virtual_addresses != config.virtual_addresses {
                        link.membership.join(now);
                    }
                    self.links.push(Link { config, ..link });
                }
                None => {
                    own.retain(|own| own.interface != config.id);
                    self.flush(now, config.id, out);
                    let (budget, membership) = (Budget::new(now), Membership::default());
                    self.links.push(Link { config, up, budget, membership });
                }
            }
        }
        for gone in before {
            self.flush(now, gone.config.id, out);
        }
        self.apply_addresses(now, own, out);
        self.tend_watched(now, out);
    }

    /// The gateways: they are asked for at once and time and again, and an operator hears when one no longer
    /// answers, or answers again; within a second when they are watched closely.
    pub fn watch(
        &mut self,
        now: Instant,
        gateways: &[(InterfaceId, IpAddr)],
        closely: bool,
        out: &mut Outbox<P>,
    ) {
        self.closely = closely;
        let before = std::mem::take(&mut self.watched);
        for old in &before {
            if let Some(index) = self.table.find(&old.key) {
                self.table.entry(index).watched = false;
            }
        }
        for key in gateways {
            let known = before.iter().find(|old| old.key == *key);
            let reachable = known.and_then(|old| old.reachable);
            self.watched.push(Watched { key: *key, reachable });
        }
        self.tend_watched(now, out);
    }

    /// A link came or went. What is known of neighbours stays through a short interruption, but is confirmed anew.
    pub fn handle_link(&mut self, now: Instant, interface: InterfaceId, up: bool, out: &mut Outbox<P>) {
        let Some(link) = self.link_mut(interface).filter(|link| link.up != up) else { return };
        link.up = up;
        let here = self.table.iter().filter(|(_, entry)| entry.interface == interface);
        let here: Vec<(u16, State)> = here.map(|(index, entry)| (index, entry.state)).collect();
        for (index, state) in here {
            if state.is_usable() {
                self.table.set(now, index, State::Stale, now + FORGET);
            } else if self.table.entry(index).watched {
                // Whoever was never asked has not been silent.
                if state != State::New {
                    self.fail(now, index, out);
                }
            } else {
                let address = self.table.entry(index).address;
                let parked = self.table.remove(index);
                out.failed.extend(parked.into_iter().map(|packet| (interface, address, packet)));
            }
        }
        self.handle_own_link(now, interface, up, out);
        self.tend_watched(now, out);
    }

    /// Forgets all neighbours behind an interface.
    pub fn flush(&mut self, now: Instant, interface: InterfaceId, out: &mut Outbox<P>) {
        let here = self.table.iter().filter(|(_, entry)| entry.interface == interface);
        let here: Vec<u16> = here.map(|(index, _)| index).collect();
        for index in here {
            let parked = self.table.remove(index);
            out.dropped.extend(parked.into_iter().map(|packet| (Drop::NeighbourPending, packet)));
        }
        self.tend_watched(now, out);
    }

    /// Forgets one neighbour; false when it is not known. One that is needed is asked for at once.
    pub fn take_out(&mut self, now: Instant, key: (InterfaceId, IpAddr), out: &mut Outbox<P>) -> bool {
        let Some(index) = self.table.find(&key) else { return false };
        let parked = self.table.remove(index);
        out.dropped.extend(parked.into_iter().map(|packet| (Drop::NeighbourPending, packet)));
        self.tend_watched(now, out);
        true
    }

    /// Asks again, gives up, forgets; checks and announces own addresses.
    pub fn handle_timeout(&mut self, now: Instant, out: &mut Outbox<P>) {
        if self.next_step.is_some_and(|at| at <= now) {
            self.step_addresses(now, out);
            self.step_memberships(now, out);
        }
        for _ in 0..WORK {
            let Some(index) = self.table.due(now) else { break };
            self.expire(now, index, out);
        }
        self.drain_displaced(out);
    }

    /// When [`Neighbours::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let displaced = (!self.displaced.is_empty()).then_some(Instant::ZERO);
        [displaced, self.next_step, self.table.next_deadline()].into_iter().flatten().min()
    }

    /// True when `address` is ours on that link and may be used: the link is up, and nobody else has the address.
    pub fn owns(&self, interface: InterfaceId, address: IpAddr) -> bool {
        self.own_index(interface, address).is_some_and(|index| self.own[index].is_ready())
    }

    /// All neighbours.
    pub fn rows(&self) -> Vec<NeighbourRow> {
        let row = |(_, entry): (u16, &Entry<P>)| NeighbourRow {
            address: entry.address,
            interface: entry.interface,
            mac: entry.state.is_usable().then_some(entry.mac),
            state: entry.state.name(),
        };
        self.table.iter().map(row).collect()
    }

    /// True while it matters whose frames come in: [`Neighbours::overhear`] wants to know of them.
    #[inline]
    pub fn listens(&self) -> bool {
        self.listens
    }

    /// A frame of this station came in by `interface`. Where answers are lost with other packets, a gateway that sends
    /// is none that is dead.
    pub fn overhear(&mut self, now: Instant, interface: InterfaceId, mac: MacAddr) {
        for watched in &self.watched {
            let index = self.table.find(&watched.key).filter(|_| watched.key.0 == interface);
            let Some(index) = index else { continue };
            let entry = self.table.entry(index);
            if matches!(entry.state, State::Probe { .. }) && entry.mac == mac {
                entry.heard = Some(now);
            }
        }
        self.prick_up();
    }

    /// Whether any gateway is asked that has not been heard since.
    pub(super) fn prick_up(&mut self) {
        self.listens = self.closely
            && self.watched.iter().any(|watched| {
                let index = self.table.find(&watched.key);
                let entry = index.and_then(|index| self.table.entries.get(usize::from(index)));
                entry.is_some_and(|entry| {
                    let asked = entry.deadline - CLOSELY;
                    matches!(entry.state, State::Probe { .. })
                        && entry.heard.is_none_or(|heard| heard < asked)
                })
            });
    }

    /// Every gateway has an entry, and a question out when it has to be asked for.
    fn tend_watched(&mut self, now: Instant, out: &mut Outbox<P>) {
        for number in 0..self.watched.len() {
            let key = self.watched[number].key;
            let index = match self.table.find(&key) {
                Some(index) => index,
                None => self.table.insert(now, key, State::New, MacAddr::default(), now + HOLD_DOWN),
            };
            let entry = self.table.entry(index);
            entry.watched = true;
            let silent = matches!(entry.state, State::New | State::Failed);
            if silent && self.is_up(key.0) {
                self.ask(now, index, out);
            }
        }
    }

    pub(super) fn drain_displaced(&mut self, out: &mut Outbox<P>) {
        out.dropped.extend(self.displaced.drain(..).map(|packet| (Drop::NeighbourPending, packet)));
    }

    /// An operator hears of a gateway only what is new.
    pub(super) fn tell_of_gateway(&mut self, key: Key, reachable: bool, out: &mut Outbox<P>) {
        let watched = self.watched.iter_mut().find(|watched| watched.key == key);
        if let Some(watched) = watched.filter(|watched| watched.reachable != Some(reachable)) {
            watched.reachable = Some(reachable);
            let (interface, address) = key;
            out.events.push(Event::Gateway { interface, address, reachable });
        }
    }

    pub(super) fn is_up(&self, interface: InterfaceId) -> bool {
        self.link(interface).is_some_and(|link| link.up)
    }

    pub(super) fn link(&self, interface: InterfaceId) -> Option<&Link> {
        self.links.iter().find(|link| link.config.id == interface)
    }

    pub(super) fn link_mut(&mut self, interface: InterfaceId) -> Option<&mut Link> {
        self.links.iter_mut().find(|link| link.config.id == interface)
    }
}

impl Link {
    /// True when `address` belongs to a network of this link, and may be a station's.
    pub(super) fn is_neighbour(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(v4) => self.config.addresses.iter().any(|net| match net {
                Prefix::V4(net) => {
                    let whole = net.prefix_len() >= 31;
                    net.contains(&v4) && (whole || (v4 != net.network() && v4 != net.broadcast()))
                }
                Prefix::V6(_) => false,
            }),
            IpAddr::V6(v6) => {
                v6.is_unicast_link_local() || self.config.addresses.iter().any(|net| net.contains(&address))
            }
        }
    }
}
