//! From an address to a MAC address: entries, packets that wait, questions, answers.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use super::entry::{
    CLOSELY, DELAY, FORGET, HOLD_DOWN, NeighbourId, REACHABLE, RETRANSMIT, State, TOLD, TRIES, TRIES_HEARD,
};
use super::neighbours::Neighbours;
use super::table::Key;
use super::{Event, Outbox};
use crate::types::{Instant, InterfaceId, MacAddr, Prefix};
use crate::wire::Drop;

/// Stations that are asked at once whether they are there.
const PROBED: usize = 8;

/// What a packet told of its sender.
#[derive(Clone, Copy)]
pub(super) struct Heard {
    /// Its MAC address; absent when it said only that it is there.
    pub mac: Option<MacAddr>,
    /// It answered us.
    pub confirmed: bool,
    /// Worth a new entry.
    pub create: bool,
    /// Replaces a different MAC address.
    pub overriding: bool,
}

impl<P> Neighbours<P> {
    /// The entry of a neighbour; made when there is none.
    ///
    /// # Errors
    /// When the address cannot be a neighbour's there ([`Drop::Martian`], [`Drop::Multicast`], [`Drop::NoRoute`]), the
    /// link is down ([`Drop::PortDown`]), too many addresses are new ([`Drop::NeighbourRate`]) or the table has no
    /// room ([`Drop::NeighbourLimit`]).
    pub fn entry(
        &mut self,
        now: Instant,
        interface: InterfaceId,
        address: IpAddr,
    ) -> Result<NeighbourId, Drop> {
        let key = (interface, address);
        if let Some(index) = self.table.find(&key) {
            return Ok(self.table.id(index));
        }
        self.check_address(interface, address)?;
        let link = self.link_mut(interface).ok_or(Drop::NoRoute)?;
        if !link.up {
            return Err(Drop::PortDown);
        }
        if !link.budget.take(now) {
            return Err(Drop::NeighbourRate);
        }
        if !self.make_room_for_silent() {
            return Err(Drop::NeighbourLimit);
        }
        let index = self.table.insert(now, key, State::New, MacAddr::default(), now + HOLD_DOWN);
        Ok(self.table.id(index))
    }

    /// The MAC address of a neighbour, when it may be used. Asked for every packet that leaves.
    #[inline]
    pub fn mac(&mut self, id: NeighbourId, now: Instant) -> Option<MacAddr> {
        let entry = self.table.entries.get_mut(id.index())?;
        if entry.generation != id.generation() || !entry.state.is_usable() {
            return None;
        }
        entry.used = now;
        let mac = entry.mac;
        if entry.state == State::Stale {
            // RFC 4861 section 7.3.3: the first packet to a stale neighbour leads to a question, a little later.
            self.table.set(now, id.index() as u16, State::Delay, now + DELAY);
        }
        Some(mac)
    }

    /// True while the id names a living entry.
    #[inline]
    pub fn is_current(&self, id: NeighbourId) -> bool {
        self.table.living(id).is_some()
    }

    /// A packet waits for the neighbour's MAC address, which is asked for.
    pub fn park(&mut self, now: Instant, id: NeighbourId, packet: P, out: &mut Outbox<P>) {
        self.drain_displaced(out);
        let Some(index) = self.table.living(id) else {
            return out.dropped.push((Drop::NeighbourPending, packet));
        };
        let entry = self.table.entry(index);
        entry.used = now;
        match entry.state {
            State::Failed => out.failed.push((entry.interface, entry.address, packet)),
            State::New => {
                self.ask(now, index, out);
                self.hold(index, packet, out);
            }
            State::Incomplete { .. } => self.hold(index, packet, out),
            State::Reachable | State::Stale | State::Delay | State::Probe { .. } | State::Free => {
                out.ready.push((entry.interface, entry.mac, packet));
            }
        }
    }

    /// Puts a packet with those that wait; the oldest one makes room (RFC 1122 section 2.3.2.2, RFC 4861 section 7.2.2).
    fn hold(&mut self, index: u16, packet: P, out: &mut Outbox<P>) {
        let limits = self.table.limits;
        let oldest = if self.table.entry(index).parked.len() >= limits.parked_each {
            self.table.take_oldest(index)
        } else if self.table.parked >= limits.parked {
            // Of all that wait: a packet for whoever has been silent for longest, who will hardly answer.
            match self.table.longest_awaited().and_then(|index| self.table.take_oldest(index)) {
                Some(oldest) => Some(oldest),
                None => return out.dropped.push((Drop::NeighbourPending, packet)),
            }
        } else {
            None
        };
        out.dropped.extend(oldest.map(|oldest| (Drop::NeighbourPending, oldest)));
        self.table.entry(index).parked.push(packet);
        self.table.parked += 1;
    }

    /// Asks everybody for a neighbour, for the first time.
    pub(super) fn ask(&mut self, now: Instant, index: u16, out: &mut Outbox<P>) {
        let patience = self.patience(index, RETRANSMIT);
        self.table.set(now, index, State::Incomplete { tries: 1 }, now + patience);
        self.solicit(index, None, out);
    }

    /// Asks whom we knew whether it is still there.
    fn probe(&mut self, now: Instant, index: u16, tries: u8, out: &mut Outbox<P>) {
        let mac = self.table.entry(index).mac;
        let patience = self.patience(index, RETRANSMIT);
        self.table.set(now, index, State::Probe { tries }, now + patience);
        self.solicit(index, Some(mac), out);
        self.prick_up();
    }

    /// How often a neighbour is asked before it counts as silent.
    fn tries(&self, now: Instant, index: u16) -> u8 {
        let entry = self.table.entries.get(usize::from(index)).filter(|entry| self.closely && entry.watched);
        let is_heard =
            entry.and_then(|entry| entry.heard).is_some_and(|heard| now.since(heard) < 2 * CLOSELY);
        if is_heard { TRIES_HEARD } else { TRIES }
    }

    /// Asks the stations that were sent to last on a link whether they are there; nothing that is known of them
    /// changes by their silence.
    pub fn probe_known(&mut self, interface: InterfaceId, out: &mut Outbox<P>) {
        let here =
            self.table.iter().filter(|(_, entry)| entry.interface == interface && entry.state.is_usable());
        let mut known: Vec<(Instant, u16)> = here.map(|(index, entry)| (entry.used, index)).collect();
        known.sort_unstable();
        for (_, index) in known.into_iter().rev().take(PROBED) {
            let mac = self.table.entry(index).mac;
            self.solicit(index, Some(mac), out);
        }
    }

    /// How long something may take: as usual, or less for a gateway that is watched closely.
    fn patience(&self, index: u16, usual: Duration) -> Duration {
        let watched = self.table.entries.get(usize::from(index)).is_some_and(|entry| entry.watched);
        if self.closely && watched { CLOSELY } else { usual }
    }

    fn solicit(&mut self, index: u16, known: Option<MacAddr>, out: &mut Outbox<P>) {
        let entry = self.table.entry(index);
        let interface = entry.interface;
        match entry.address {
            IpAddr::V4(target) => self.solicit_v4(interface, target, known, out),
            IpAddr::V6(target) => self.solicit_v6(interface, target, known, out),
        }
    }

    /// The state of one entry has had its time.
    pub(super) fn expire(&mut self, now: Instant, index: u16, out: &mut Outbox<P>) {
        let entry = self.table.entry(index);
        let (watched, state) = (entry.watched, entry.state);
        match state {
            State::Incomplete { tries } if tries < TRIES => {
                let patience = self.patience(index, RETRANSMIT);
                self.table.set(now, index, State::Incomplete { tries: tries + 1 }, now + patience);
                self.solicit(index, None, out);
            }
            State::Incomplete { .. } => self.fail(now, index, out),
            State::Reachable if !watched => self.table.set(now, index, State::Stale, now + FORGET),
            State::Delay | State::Reachable => self.probe(now, index, 1, out),
            State::Probe { tries } if tries < self.tries(now, index) => {
                self.probe(now, index, tries + 1, out)
            }
            // RFC 7048: before a neighbour that is in use is given up, everybody is asked; it may have moved.
            State::Probe { .. } => {
                if self.closely && watched {
                    let key = (self.table.entry(index).interface, self.table.entry(index).address);
                    self.tell_of_gateway(key, false, out);
                }
                if self.make_room_for_silent() {
                    self.ask(now, index, out);
                } else {
                    self.forget(index);
                }
            }
            State::Stale if watched => self.probe(now, index, 1, out),
            State::New | State::Failed if watched => self.ask(now, index, out),
            State::Stale | State::New | State::Failed => self.forget(index),
            State::Free => {}
        }
    }

    /// A neighbour does not answer: who waits for it learns so, and it is left alone for a while.
    pub(super) fn fail(&mut self, now: Instant, index: u16, out: &mut Outbox<P>) {
        let patience = self.patience(index, HOLD_DOWN);
        self.table.set(now, index, State::Failed, now + patience);
        let parked = self.table.take_parked(index);
        let entry = self.table.entry(index);
        let key = (entry.interface, entry.address);
        out.failed.extend(parked.into_iter().map(|packet| (key.0, key.1, packet)));
        self.tell_of_gateway(key, false, out);
    }

    fn forget(&mut self, index: u16) {
        let parked = self.table.remove(index);
        self.displaced.extend(parked);
    }

    /// A neighbour was heard.
    pub(super) fn learn(&mut self, now: Instant, key: Key, heard: Heard, out: &mut Outbox<P>) {
        let Heard { mac, confirmed, create, overriding } = heard;
        let Some(index) = self.table.find(&key) else {
            if let (Some(mac), true) = (mac, create) {
                match self.make_room_for_resolved(now) {
                    true => drop(self.table.insert(now, key, State::Stale, mac, now + FORGET)),
                    false => out.counted.push(Drop::NeighbourLimit),
                }
            }
            return;
        };
        let entry = self.table.entry(index);
        let (state, was_usable, before) = (entry.state, entry.state.is_usable(), entry.mac);
        // RFC 4861 section 7.2.5: an answer without an address is one only to who knows it.
        let Some(mac) = mac.or(was_usable.then_some(before)) else { return };
        let changed = was_usable && before != mac;
        if changed && !overriding {
            // The same section: without "override" a different address only casts doubt.
            if entry.state == State::Reachable {
                self.table.set(now, index, State::Stale, now + FORGET);
            }
            return;
        }
        if !was_usable && !self.make_room_for_resolved(now) {
            return out.counted.push(Drop::NeighbourLimit);
        }
        if changed {
            self.tell_of_move(now, index, mac, out);
        }
        self.table.entry(index).mac = mac;
        let parked = self.table.take_parked(index);
        if confirmed {
            let jitter = Duration::from_nanos(self.random.below(REACHABLE.as_nanos() as u64));
            let patience = self.patience(index, REACHABLE / 2 + jitter);
            self.table.set(now, index, State::Reachable, now + patience);
            self.prick_up();
        } else if !parked.is_empty() {
            self.table.set(now, index, State::Delay, now + DELAY);
        } else if changed || !was_usable {
            self.table.set(now, index, State::Stale, now + FORGET);
        }
        // Also what was only overheard: a peer that takes over a moment later would have to ask for it.
        if changed || !was_usable || confirmed && state != State::Reachable {
            out.met.push((key.0, key.1, mac));
        }
        out.ready.extend(parked.into_iter().map(|packet| (key.0, mac, packet)));
        self.tell_of_gateway(key, true, out);
    }

    /// The peer's node knows a neighbour's MAC address: worth not having to ask at a takeover, and worth no more than
    /// a stale entry. What is known here, or asked for whatever happens, is left alone.
    ///
    /// False when no station on that link can have this address.
    pub fn import(
        &mut self,
        now: Instant,
        interface: InterfaceId,
        address: IpAddr,
        mac: MacAddr,
        out: &mut Outbox<P>,
    ) -> bool {
        if mac.is_multicast() || self.check_address(interface, address).is_err() {
            return false;
        }
        let key = (interface, address);
        let known = self.table.find(&key).map(|index| self.table.entry(index));
        if known.is_none_or(|entry| !entry.watched && !entry.state.is_usable()) {
            let heard = Heard { mac: Some(mac), confirmed: false, create: true, overriding: false };
            self.learn(now, key, heard, out);
        }
        true
    }

    fn tell_of_move(&mut self, now: Instant, index: u16, to: MacAddr, out: &mut Outbox<P>) {
        let entry = self.table.entry(index);
        if entry.told.is_none_or(|told| told + TOLD <= now) {
            entry.told = Some(now);
            let (interface, address, from) = (entry.interface, entry.address, entry.mac);
            out.events.push(Event::Moved { interface, address, from, to });
        }
    }

    /// Room for one more that does not answer; who has been silent for longest goes.
    fn make_room_for_silent(&mut self) -> bool {
        if self.table.is_full_of_silent() {
            let Some(index) = self.table.longest_silent() else { return false };
            self.forget(index);
        }
        true
    }

    /// Room for one more that answers; one that nobody sends to goes.
    fn make_room_for_resolved(&mut self, now: Instant) -> bool {
        if self.table.is_full_of_resolved() {
            let Some(index) = self.table.longest_unused(now) else { return false };
            self.forget(index);
        }
        true
    }

    /// Whether a station on that link could have this address.
    fn check_address(&self, interface: InterfaceId, address: IpAddr) -> Result<(), Drop> {
        let link = self.link(interface).ok_or(Drop::NoRoute)?;
        let addresses = &link.config.addresses;
        if !addresses.iter().any(|own| own.addr().is_ipv4() == address.is_ipv4()) {
            return Err(Drop::NoRoute);
        }
        let everybody = addresses.iter().any(|own| match (own, address) {
            (Prefix::V4(net), IpAddr::V4(v4)) => {
                net.prefix_len() < 31 && (v4 == net.network() || v4 == net.broadcast())
            }
            (Prefix::V4(_) | Prefix::V6(_), IpAddr::V4(_) | IpAddr::V6(_)) => false,
        });
        if everybody || address.is_multicast() || address == Ipv4Addr::BROADCAST {
            return Err(Drop::Multicast);
        }
        let ours = self.own_index(interface, address).is_some();
        if ours || address.is_unspecified() || address.is_loopback() { Err(Drop::Martian) } else { Ok(()) }
    }
}
