//! Virtual addresses on a link: answered for while they are ours, never detected, announced or taught. Whoever has
//! the role announces them; the virtual MAC address is the same on either node, so nobody learns anything.

use std::net::IpAddr;

use super::neighbours::Neighbours;
use super::own::DEFEND_INTERVAL;
use super::{Event, Outbox};
use crate::types::{Instant, InterfaceId, MacAddr};

/// A virtual address as this engine sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VirtualAddress {
    /// The address.
    pub address: IpAddr,
    /// What answers say its MAC address is.
    pub mac: MacAddr,
    /// The number of the virtual IP that it belongs to, below 64.
    pub index: u8,
    /// Shared with a foreign speaker of CARP, which may announce it with whatever MAC address it has.
    pub foreign: bool,
}

/// Which virtual IPs are answered for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Virtual {
    answered: u64,
    /// No complaint about a virtual IP before then.
    quiet_until: [Instant; 64],
}

impl Virtual {
    pub fn none(now: Instant) -> Self {
        Virtual { answered: 0, quiet_until: [now; 64] }
    }
}

impl<P> Neighbours<P> {
    /// From now on the virtual IPs whose bits are set are ours, and no others.
    pub fn set_answered(&mut self, bits: u64) {
        self.virtual_ips.answered = bits;
    }

    /// The virtual address of that link, whoever has it at present.
    pub(super) fn virtual_address(&self, interface: InterfaceId, address: IpAddr) -> Option<VirtualAddress> {
        let addresses = &self.link(interface)?.config.virtual_addresses;
        addresses.iter().find(|known| known.address == address).copied()
    }

    /// The MAC address that a question for a virtual address is answered with, while it is ours.
    pub(super) fn answers(&self, interface: InterfaceId, address: IpAddr) -> Option<MacAddr> {
        let known = self.virtual_address(interface, address)?;
        (self.virtual_ips.answered >> (known.index & 63) & 1 != 0).then_some(known.mac)
    }

    /// Somebody says that it has a virtual address. That is the peer's business and a foreign speaker's; anybody
    /// else is told of.
    pub(super) fn claimed(
        &mut self,
        now: Instant,
        interface: InterfaceId,
        known: VirtualAddress,
        mac: MacAddr,
        out: &mut Outbox<P>,
    ) {
        let Some(link) = self.link(interface) else { return };
        let friends = [Some(known.mac), Some(link.config.mac), link.config.peer];
        if known.foreign || friends.contains(&Some(mac)) || self.answers(interface, known.address).is_none() {
            return;
        }
        let quiet_until = &mut self.virtual_ips.quiet_until[usize::from(known.index & 63)];
        if *quiet_until <= now {
            *quiet_until = now + DEFEND_INTERVAL;
            out.events.push(Event::Conflict { interface, address: known.address, mac });
        }
    }
}
