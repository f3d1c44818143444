//! The IPv4 half: ARP (RFC 826), address conflicts (RFC 5227).

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use super::neighbours::{Heard, Neighbours};
use super::own::Standing;
use super::{Event, Outbox};
use crate::types::{Instant, InterfaceId, MacAddr, Prefix};
use crate::wire::arp::{Operation, Repr};
use crate::wire::{Drop, FrameBuf};

/// RFC 5227 section 2.4: DEFEND_INTERVAL.
const DEFEND_INTERVAL: Duration = Duration::from_secs(10);

impl<P> Neighbours<P> {
    /// An ARP frame that came in by `interface`.
    pub fn handle_arp(&mut self, now: Instant, interface: InterfaceId, frame: &[u8], out: &mut Outbox<P>) {
        let Some(link) = self.link(interface) else { return };
        let ours = link.mac;
        let Some(arp) = Repr::parse(frame).filter(|arp| !arp.sender_mac.is_multicast()) else {
            return out.counted.push(Drop::ArpInvalid);
        };
        if arp.sender_mac == ours {
            return;
        }
        if let Some(index) = self.own_index(interface, arp.sender.into()) {
            return self.conflict(now, index, arp.sender_mac, out);
        }
        let on_link = arp.sender.is_unspecified()
            || link
                .addresses
                .iter()
                .any(|net| net.contains(&IpAddr::V4(arp.sender)) && !is_network(net, arp.sender));
        if !on_link || arp.sender.is_multicast() {
            return out.counted.push(Drop::ArpInvalid);
        }
        let for_us = self.own_index(interface, arp.target.into());
        if !arp.sender.is_unspecified() {
            let heard = Heard {
                mac: arp.sender_mac,
                confirmed: arp.operation == Operation::Reply && for_us.is_some(),
                create: for_us.is_some() && arp.operation == Operation::Request,
                overriding: true,
            };
            self.learn(now, (interface, arp.sender.into()), heard, out);
        }
        if let (Operation::Request, Some(index)) = (arp.operation, for_us)
            && self.own[index].standing == Standing::Ready
        {
            let reply = Repr {
                operation: Operation::Reply,
                sender_mac: ours,
                sender: arp.target,
                target_mac: arp.sender_mac,
                target: arp.sender,
            };
            out.frames.push((interface, FrameBuf::copy_of(&reply.emit(arp.sender_mac))));
        }
    }

    /// Tells the link that `address` is ours (RFC 5227 section 2.3).
    pub(super) fn announce_v4(&self, interface: InterfaceId, address: Ipv4Addr, out: &mut Outbox<P>) {
        if let Some(link) = self.link(interface) {
            let announcement = Repr {
                operation: Operation::Request,
                sender_mac: link.mac,
                sender: address,
                target_mac: MacAddr::default(),
                target: address,
            };
            out.frames.push((interface, FrameBuf::copy_of(&announcement.emit(MacAddr::BROADCAST))));
        }
    }

    /// Asks for an IPv4 neighbour; everybody, or whom we knew.
    pub(super) fn solicit_v4(
        &self,
        interface: InterfaceId,
        target: Ipv4Addr,
        known: Option<MacAddr>,
        out: &mut Outbox<P>,
    ) {
        let Some(link) = self.link(interface) else { return };
        let addresses = link.addresses.iter().filter(|net| net.addr().is_ipv4());
        // The address whose network the target lives in, else any.
        let near = addresses.clone().find(|net| net.contains(&IpAddr::V4(target)));
        let Some(IpAddr::V4(sender)) = near.or(addresses.clone().next()).map(Prefix::addr) else { return };
        let request = Repr {
            operation: Operation::Request,
            sender_mac: link.mac,
            sender,
            target_mac: MacAddr::default(),
            target,
        };
        out.frames.push((interface, FrameBuf::copy_of(&request.emit(known.unwrap_or(MacAddr::BROADCAST)))));
    }

    /// Somebody else uses an address of ours. It is defended once in a while, and told.
    pub(super) fn conflict(&mut self, now: Instant, index: usize, mac: MacAddr, out: &mut Outbox<P>) {
        let own = &mut self.own[index];
        let (interface, address) = (own.interface, own.address);
        if now < own.quiet_until {
            return;
        }
        own.quiet_until = now + DEFEND_INTERVAL;
        out.events.push(Event::Duplicate { interface, address, mac });
        if own.standing == Standing::Ready {
            self.announce(interface, address, out);
        }
    }

    pub(super) fn own_index(&self, interface: InterfaceId, address: IpAddr) -> Option<usize> {
        self.own.iter().position(|own| own.interface == interface && own.address == address)
    }
}

/// The network's own number or its broadcast address: nobody's.
fn is_network(net: &Prefix, address: Ipv4Addr) -> bool {
    match net {
        Prefix::V4(net) => net.prefix_len() < 31 && (address == net.network() || address == net.broadcast()),
        Prefix::V6(_) => false,
    }
}
