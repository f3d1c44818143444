//! The IPv6 half: neighbour discovery (RFC 4861), duplicate address detection (RFC 4862), what an address needs at
//! its birth on either family.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use super::neighbours::{Heard, Neighbours};
use super::own::Standing;
use super::{Event, Outbox};
use crate::types::{Instant, InterfaceId, MacAddr};
use crate::wire::nd::{self, Envelope, Message};
use crate::wire::{Drop, Fragment, FrameBuf, Packet};

/// RFC 4862 section 5.1: one solicitation, one second.
const DETECTION: Duration = Duration::from_secs(1);

impl<P> Neighbours<P> {
    /// A neighbour discovery message that came in by `interface`.
    pub fn handle_nd(&mut self, now: Instant, interface: InterfaceId, packet: &Packet, out: &mut Outbox<P>) {
        let (IpAddr::V6(source), IpAddr::V6(destination)) =
            (packet.layout.key.src(), packet.layout.key.dst())
        else {
            return;
        };
        // RFC 4861 section 7.1: a hop limit of 255 proves that the message is from this link; RFC 6980: no fragments.
        let whole = packet.layout.fragment == Fragment::Whole && packet.layout.reassembled.is_none();
        let message =
            if packet.layout.hop_limit == 255 && whole { Message::parse(packet.transport()) } else { None };
        match message {
            Some(Message::Solicitation { target, source_mac }) => {
                // Duplicate address detection goes to the group and names no sender.
                if source.is_unspecified() && (source_mac.is_some() || !destination.is_multicast()) {
                    return out.counted.push(Drop::NdInvalid);
                }
                self.solicited(
                    now,
                    interface,
                    Asked { source, target, source_mac, by: packet.src_mac() },
                    out,
                );
            }
            Some(Message::Advertisement { target, target_mac, router: _, solicited, overriding }) => {
                if destination.is_multicast() && solicited {
                    return out.counted.push(Drop::NdInvalid);
                }
                if let Some(index) = self.own_index(interface, target.into()) {
                    return self.taken(now, index, target_mac.unwrap_or(packet.src_mac()), out);
                }
                if let Some(mac) = target_mac {
                    let heard = Heard { mac, confirmed: solicited, create: false, overriding };
                    self.learn(now, (interface, target.into()), heard, out);
                }
            }
            // Answered by the advertiser; what other routers say of themselves is no concern of a router.
            Some(Message::RouterSolicitation | Message::RouterAdvertisement) => {}
            None => out.counted.push(Drop::NdInvalid),
        }
    }

    fn solicited(&mut self, now: Instant, interface: InterfaceId, asked: Asked, out: &mut Outbox<P>) {
        let Asked { source, target, source_mac, by } = asked;
        let Some(link) = self.link(interface) else { return };
        let ours = link.mac;
        if by == ours {
            return;
        }
        let Some(index) = self.own_index(interface, target.into()) else { return };
        let standing = self.own[index].standing;
        if let (true, Standing::Tentative(_)) = (source.is_unspecified(), standing) {
            return self.taken(now, index, by, out);
        }
        if standing != Standing::Ready {
            return;
        }
        let (to, to_mac) = match source_mac {
            _ if source.is_unspecified() => (nd::ALL_NODES, nd::group_mac(nd::ALL_NODES)),
            Some(mac) => {
                let heard = Heard { mac, confirmed: false, create: true, overriding: true };
                self.learn(now, (interface, source.into()), heard, out);
                (source, mac)
            }
            None => (source, by),
        };
        let envelope = Envelope { from_mac: ours, to_mac, from: target, to };
        let reply = nd::advertisement(envelope, target, !source.is_unspecified());
        out.frames.push((interface, FrameBuf::copy_of(&reply)));
    }

    /// Somebody else has, or wants, an address of ours.
    fn taken(&mut self, now: Instant, index: usize, mac: MacAddr, out: &mut Outbox<P>) {
        let own = &mut self.own[index];
        match own.standing {
            Standing::Tentative(_) => {
                own.standing = Standing::Duplicate;
                let (interface, address) = (own.interface, own.address);
                out.events.push(Event::Duplicate { interface, address, mac });
            }
            Standing::Ready => self.conflict(now, index, mac, out),
            Standing::Down | Standing::Duplicate => {}
        }
    }

    /// Asks for a neighbour of either family.
    pub(super) fn solicit(
        &self,
        interface: InterfaceId,
        target: IpAddr,
        known: Option<MacAddr>,
        out: &mut Outbox<P>,
    ) {
        match target {
            IpAddr::V4(target) => self.solicit_v4(interface, target, known, out),
            IpAddr::V6(target) => self.solicit_v6(interface, target, known, out),
        }
    }

    fn solicit_v6(
        &self,
        interface: InterfaceId,
        target: Ipv6Addr,
        known: Option<MacAddr>,
        out: &mut Outbox<P>,
    ) {
        let Some(link) = self.link(interface) else { return };
        let ready = |own: &&super::own::Own| own.interface == interface && own.standing == Standing::Ready;
        let link_local = self.own.iter().filter(ready).find_map(|own| match own.address {
            IpAddr::V6(address) if address.is_unicast_link_local() => Some(address),
            IpAddr::V6(_) | IpAddr::V4(_) => None,
        });
        // While detection runs there is no address to ask from; the next try comes in a second.
        let Some(from) = link_local else { return };
        let group = nd::solicited_node(target);
        let (to, to_mac) = match known {
            Some(mac) => (target, mac),
            None => (group, nd::group_mac(group)),
        };
        let envelope = Envelope { from_mac: link.mac, to_mac, from, to };
        out.frames.push((interface, FrameBuf::copy_of(&nd::solicitation(envelope, target))));
    }

    /// An address comes into use: IPv4 is announced at once, IPv6 is first asked for.
    pub(super) fn begin_address(&mut self, now: Instant, index: usize, out: &mut Outbox<P>) {
        let own = &mut self.own[index];
        let (interface, address) = (own.interface, own.address);
        match address {
            IpAddr::V4(_) => {
                own.standing = Standing::Ready;
                self.announce(interface, address, out);
            }
            IpAddr::V6(target) => {
                own.standing = Standing::Tentative(now + DETECTION);
                self.wake_at(now + DETECTION);
                let Some(link) = self.link(interface) else { return };
                let (from_mac, from) = (link.mac, Ipv6Addr::UNSPECIFIED);
                let group = nd::solicited_node(target);
                let join = nd::join(from_mac, from, &[group, nd::ALL_ROUTERS]);
                out.frames.push((interface, FrameBuf::copy_of(&join)));
                let envelope = Envelope { from_mac, to_mac: nd::group_mac(group), from, to: group };
                out.frames.push((interface, FrameBuf::copy_of(&nd::solicitation(envelope, target))));
            }
        }
    }

    /// Nobody objected: addresses whose detection is over come into use.
    pub(super) fn finish_detection(&mut self, now: Instant, out: &mut Outbox<P>) {
        for index in 0..self.own.len() {
            let own = self.own[index];
            match own.standing {
                Standing::Tentative(until) if until <= now => {
                    self.own[index].standing = Standing::Ready;
                    self.announce(own.interface, own.address, out);
                }
                Standing::Tentative(until) => self.wake_at(until),
                Standing::Down | Standing::Ready | Standing::Duplicate => {}
            }
        }
    }

    /// Tells the link that an address is ours.
    pub(super) fn announce(&self, interface: InterfaceId, address: IpAddr, out: &mut Outbox<P>) {
        match address {
            IpAddr::V4(address) => self.announce_v4(interface, address, out),
            IpAddr::V6(target) => {
                let Some(link) = self.link(interface) else { return };
                let to_mac = nd::group_mac(nd::ALL_NODES);
                let envelope = Envelope { from_mac: link.mac, to_mac, from: target, to: nd::ALL_NODES };
                let frame = nd::advertisement(envelope, target, false);
                out.frames.push((interface, FrameBuf::copy_of(&frame)));
            }
        }
    }
}

/// A solicitation, as far as the answer needs it.
struct Asked {
    source: Ipv6Addr,
    target: Ipv6Addr,
    source_mac: Option<MacAddr>,
    by: MacAddr,
}
