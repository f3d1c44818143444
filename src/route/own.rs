//! Our own addresses on a link: checked before use (RFC 4862 section 5.4), announced, defended (RFC 5227).

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use super::neighbours::Neighbours;
use super::table::Key;
use super::{Event, Outbox};
use crate::types::{Instant, InterfaceId, MacAddr};

/// RFC 4862 section 5.1: DupAddrDetectTransmits, each followed by RetransTimer.
const SOLICITATIONS: u8 = 1;
const DETECTION: Duration = Duration::from_secs(1);
/// RFC 5227 section 1.1: ANNOUNCE_NUM and ANNOUNCE_INTERVAL; the same serves IPv6.
const ANNOUNCEMENTS: u8 = 2;
const ANNOUNCE_INTERVAL: Duration = Duration::from_secs(2);
/// RFC 5227 section 1.1: DEFEND_INTERVAL.
pub(super) const DEFEND_INTERVAL: Duration = Duration::from_secs(10);
/// An address that somebody else has is tried again, and complained of, this often.
const TRY_AGAIN: Duration = Duration::from_secs(60);

/// Whether an own address may be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Standing {
    /// The link is down.
    Down,
    /// Duplicate address detection: so many solicitations are still to be sent.
    Tentative { left: u8 },
    /// In use; so many announcements are still to be sent.
    Ready { left: u8 },
    /// Somebody else has it.
    Duplicate,
}

/// An own address.
#[derive(Clone, Copy, Debug)]
pub(super) struct Own {
    pub interface: InterfaceId,
    pub address: IpAddr,
    pub standing: Standing,
    /// When the next step is due.
    pub due: Option<Instant>,
    /// Marks our own solicitations of duplicate address detection (RFC 7527).
    pub nonce: [u8; 6],
    /// No defence of the address before then.
    pub quiet_until: Instant,
}

impl Own {
    pub fn is_ready(&self) -> bool {
        matches!(self.standing, Standing::Ready { .. })
    }

    fn new(now: Instant, interface: InterfaceId, address: IpAddr) -> Self {
        Own { interface, address, standing: Standing::Down, due: None, nonce: [0; 6], quiet_until: now }
    }

    /// The address's life begins. IPv4 is used at once: its hosts hear of it by the announcement, and a conflict
    /// shows in their answer.
    fn begin(&mut self, now: Instant) {
        self.due = Some(now);
        self.standing = match self.address {
            IpAddr::V4(_) => Standing::Ready { left: ANNOUNCEMENTS },
            IpAddr::V6(_) => Standing::Tentative { left: SOLICITATIONS },
        };
    }
}

impl<P> Neighbours<P> {
    /// The addresses of new links; those in `before` stay as they are.
    pub(super) fn apply_addresses(&mut self, now: Instant, before: Vec<Own>, out: &mut Outbox<P>) {
        for link in &mut self.links {
            let interface = link.config.id;
            for prefix in &link.config.addresses {
                let address = prefix.addr();
                let known = before.iter().find(|own| own.interface == interface && own.address == address);
                let mut own = known.copied().unwrap_or(Own::new(now, interface, address));
                if link.up && own.standing == Standing::Down {
                    own.begin(now);
                    if address.is_ipv6() {
                        link.membership.join(now);
                    }
                }
                self.own.push(own);
            }
        }
        // Nobody else may stand in the table with an address that is ours now.
        let own = self.own.iter().map(|own| (own.interface, own.address));
        let virtual_ones = self.links.iter().flat_map(|link| {
            link.config.virtual_addresses.iter().map(|known| (link.config.id, known.address))
        });
        let ours: Vec<Key> = own.chain(virtual_ones).collect();
        for key in ours {
            if let Some(index) = self.table.find(&key) {
                let parked = self.table.remove(index);
                self.displaced.extend(parked);
            }
        }
        self.step_memberships(now, out);
        self.step_addresses(now, out);
    }

    /// The addresses of a link that came or went.
    pub(super) fn handle_own_link(
        &mut self,
        now: Instant,
        interface: InterfaceId,
        up: bool,
        out: &mut Outbox<P>,
    ) {
        for own in self.own.iter_mut().filter(|own| own.interface == interface) {
            match up {
                true => own.begin(now),
                false => (own.standing, own.due) = (Standing::Down, None),
            }
        }
        if let Some(link) = self.link_mut(interface) {
            match up {
                true => link.membership.join(now),
                false => link.membership = Default::default(),
            }
        }
        self.step_memberships(now, out);
        self.step_addresses(now, out);
    }

    /// Does what is due for own addresses.
    pub(super) fn step_addresses(&mut self, now: Instant, out: &mut Outbox<P>) {
        for index in 0..self.own.len() {
            if self.own[index].due.is_some_and(|due| due <= now) {
                self.step_address(now, index, out);
            }
        }
        self.reschedule();
    }

    fn step_address(&mut self, now: Instant, index: usize, out: &mut Outbox<P>) {
        let Own { interface, address, standing, .. } = self.own[index];
        match (standing, address) {
            (Standing::Tentative { left: 1.. }, IpAddr::V6(target)) => {
                let noise = self.random.next().to_be_bytes();
                let nonce = [noise[0], noise[1], noise[2], noise[3], noise[4], noise[5]];
                let own = &mut self.own[index];
                own.nonce = nonce;
                own.due = Some(now + DETECTION);
                if let Standing::Tentative { left } = &mut own.standing {
                    *left -= 1;
                }
                self.detect(interface, target, nonce, out);
            }
            // Nobody objected.
            (Standing::Tentative { .. }, _) => {
                self.own[index].standing = Standing::Ready { left: ANNOUNCEMENTS };
                out.events.push(Event::Usable { interface, address });
                self.step_address(now, index, out);
            }
            (Standing::Ready { left: left @ 1.. }, _) => {
                self.announce(interface, address, out);
                let own = &mut self.own[index];
                own.standing = Standing::Ready { left: left - 1 };
                own.due = (left > 1).then_some(now + ANNOUNCE_INTERVAL);
            }
            (Standing::Duplicate, _) => {
                self.own[index].begin(now);
                self.step_address(now, index, out);
            }
            (Standing::Ready { left: 0 } | Standing::Down, _) => self.own[index].due = None,
        }
    }

    /// Somebody else has, or wants, an address of ours.
    pub(super) fn taken(&mut self, now: Instant, index: usize, mac: MacAddr, out: &mut Outbox<P>) {
        let own = &mut self.own[index];
        let (interface, address) = (own.interface, own.address);
        match own.standing {
            Standing::Tentative { .. } => {
                own.standing = Standing::Duplicate;
                own.due = Some(now + TRY_AGAIN);
                out.events.push(Event::Duplicate { interface, address, mac });
                self.reschedule();
            }
            // RFC 5227 section 2.4 (c): a router keeps its address, and says so once in a while.
            Standing::Ready { .. } if own.quiet_until <= now => {
                own.quiet_until = now + DEFEND_INTERVAL;
                out.events.push(Event::Conflict { interface, address, mac });
                self.announce(interface, address, out);
            }
            Standing::Ready { .. } | Standing::Down | Standing::Duplicate => {}
        }
    }

    /// Tells the link that an address is ours.
    fn announce(&self, interface: InterfaceId, address: IpAddr, out: &mut Outbox<P>) {
        match address {
            IpAddr::V4(address) => self.announce_v4(interface, address, out),
            IpAddr::V6(address) => self.announce_v6(interface, address, out),
        }
    }

    pub(super) fn own_index(&self, interface: InterfaceId, address: IpAddr) -> Option<usize> {
        self.own.iter().position(|own| own.interface == interface && own.address == address)
    }

    /// An address of ours on that link that may be used, link-local when there is one.
    pub(super) fn own_v6(&self, interface: InterfaceId) -> Option<Ipv6Addr> {
        let ready = self.own.iter().filter(|own| own.interface == interface && own.is_ready());
        let addresses = ready.filter_map(|own| match own.address {
            IpAddr::V6(address) => Some(address),
            IpAddr::V4(_) => None,
        });
        addresses.min_by_key(|address| !address.is_unicast_link_local())
    }

    /// Looks up when the next step is due.
    pub(super) fn reschedule(&mut self) {
        let own = self.own.iter().filter_map(|own| own.due);
        let memberships = self.links.iter().filter_map(|link| link.membership.due());
        self.next_step = own.chain(memberships).min();
    }
}
