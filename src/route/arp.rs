//! The IPv4 half: ARP (RFC 826) and conflicts of addresses (RFC 5227).

use std::net::{IpAddr, Ipv4Addr};

use super::Outbox;
use super::neighbours::{Link, Neighbours};
use super::resolve::Heard;
use crate::types::{Instant, InterfaceId, MacAddr, Prefix};
use crate::wire::arp::{Operation, Repr};
use crate::wire::{Drop, FrameBuf};

impl<P> Neighbours<P> {
    /// An ARP frame that came in by `interface`.
    pub fn handle_arp(&mut self, now: Instant, interface: InterfaceId, frame: &[u8], out: &mut Outbox<P>) {
        let Some(link) = self.link(interface) else { return };
        let ours = link.config.mac;
        let Some(arp) = Repr::parse(frame).filter(|arp| is_plausible(link, arp)) else {
            return out.counted.push(Drop::ArpInvalid);
        };
        if arp.sender_mac == ours || !link.up {
            return;
        }
        if let Some(index) = self.own_index(interface, arp.sender.into()) {
            return self.taken(now, index, arp.sender_mac, out);
        }
        if let Some(known) = self.virtual_address(interface, arp.sender.into()) {
            return self.claimed(now, interface, known, arp.sender_mac, out);
        }
        let target = IpAddr::V4(arp.target);
        let mac = self.owns(interface, target).then_some(ours).or_else(|| self.answers(interface, target));
        let for_us = mac.is_some();
        if !arp.sender.is_unspecified() {
            self.hear(now, interface, &arp, for_us, out);
        }
        if let (Operation::Request, Some(sender_mac)) = (arp.operation, mac) {
            let reply = Repr {
                operation: Operation::Reply,
                sender_mac,
                sender: arp.target,
                target_mac: arp.sender_mac,
                target: arp.sender,
            };
            // Only the role sends from a virtual MAC address.
            let mut frame = reply.emit(arp.sender_mac);
            frame[6..12].copy_from_slice(&ours.0);
            out.frames.push((interface, FrameBuf::copy_of(&frame)));
        }
    }

    /// RFC 826: who is known already is brought up to date; who asks for us will hear from us, and gets an entry.
    fn hear(&mut self, now: Instant, interface: InterfaceId, arp: &Repr, for_us: bool, out: &mut Outbox<P>) {
        let key = (interface, IpAddr::V4(arp.sender));
        let known = self.table.find(&key);
        let asked = known.is_some_and(|index| self.table.entry(index).state.is_asked());
        let is_neighbour = self.link(interface).is_some_and(|link| link.is_neighbour(key.1));
        let heard = Heard {
            mac: Some(arp.sender_mac),
            confirmed: asked && for_us && arp.operation == Operation::Reply,
            create: for_us && is_neighbour && arp.operation == Operation::Request,
            overriding: true,
        };
        self.learn(now, key, heard, out);
    }

    /// Tells the link that `address` is ours (RFC 5227 section 2.3).
    pub(super) fn announce_v4(&self, interface: InterfaceId, address: Ipv4Addr, out: &mut Outbox<P>) {
        self.request(interface, address, address, MacAddr::BROADCAST, out);
    }

    /// Asks for an IPv4 neighbour: everybody, or whom we knew.
    pub(super) fn solicit_v4(
        &self,
        interface: InterfaceId,
        target: Ipv4Addr,
        known: Option<MacAddr>,
        out: &mut Outbox<P>,
    ) {
        let Some(link) = self.link(interface).filter(|link| link.up) else { return };
        let addresses = || link.config.addresses.iter().filter(|net| net.addr().is_ipv4());
        // The address whose network the target lives in, else any.
        let near = addresses().find(|net| net.contains(&IpAddr::V4(target)));
        let Some(IpAddr::V4(sender)) = near.or(addresses().next()).map(Prefix::addr) else { return };
        self.request(interface, sender, target, known.unwrap_or(MacAddr::BROADCAST), out);
    }

    fn request(
        &self,
        interface: InterfaceId,
        sender: Ipv4Addr,
        target: Ipv4Addr,
        to: MacAddr,
        out: &mut Outbox<P>,
    ) {
        if let Some(link) = self.link(interface) {
            let sender_mac = link.config.mac;
            let target_mac = MacAddr::default();
            let request = Repr { operation: Operation::Request, sender_mac, sender, target_mac, target };
            out.frames.push((interface, FrameBuf::copy_of(&request.emit(to))));
        }
    }
}

/// Whether a station could say this of itself.
fn is_plausible(link: &Link, arp: &Repr) -> bool {
    let Repr { operation, sender_mac, sender, target_mac: _, target: _ } = *arp;
    let nobody = sender.is_unspecified();
    let everybody = link.config.addresses.iter().any(|own| match own {
        Prefix::V4(net) => net.prefix_len() < 31 && (sender == net.network() || sender == net.broadcast()),
        Prefix::V6(_) => false,
    });
    let station = !sender_mac.is_multicast() && sender_mac != MacAddr::default();
    let wrong = everybody || sender.is_multicast() || sender.is_broadcast() || sender.is_loopback();
    // RFC 5227 section 2.1.1: only a probe, which is a request, comes from nobody.
    station && !wrong && (!nobody || operation == Operation::Request)
}
