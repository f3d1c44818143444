//! The IPv6 half: neighbour discovery (RFC 4861), with RFC 6980's and RFC 5942's caution.

use std::net::{IpAddr, Ipv6Addr};

use super::Outbox;
use super::neighbours::Neighbours;
use super::own::Standing;
use super::resolve::Heard;
use crate::types::{Instant, InterfaceId, MacAddr};
use crate::wire::icmpv6::Envelope;
use crate::wire::nd::{self, Message};
use crate::wire::{Drop, Packet, Transport, mld};

impl<P> Neighbours<P> {
    /// A message of neighbour discovery, or a query for listeners (ICMPv6 types 133 to 137 and 130), that came in by
    /// `interface`.
    pub fn handle_nd(&mut self, now: Instant, interface: InterfaceId, packet: &Packet, out: &mut Outbox<P>) {
        let Some(link) = self.link(interface).filter(|link| link.up) else { return };
        // Looped back by the link, or sent by somebody who pretends to be us: either way nothing to learn. A loop
        // during duplicate address detection is told by its nonce.
        let by = packet.src_mac();
        let pretends = by == link.config.mac;
        if packet.layout.transport == (Transport::IcmpOther { kind: mld::QUERY }) {
            return self.handle_query(now, interface, packet, out);
        }
        let (message, IpAddr::V6(source)) = (Message::read(packet), packet.layout.key.src()) else {
            return out.counted.push(Drop::NdInvalid);
        };
        match message {
            Ok(Message::Solicitation { target, source_mac, nonce }) => {
                let asked = Asked { source, target, source_mac, nonce, by };
                if !pretends || source.is_unspecified() {
                    self.solicited(now, interface, asked, out);
                }
            }
            Ok(Message::Advertisement { target, target_mac, router: _, solicited, overriding }) => {
                if let Some(index) = self.own_index(interface, target.into()) {
                    if !pretends || !self.own[index].is_ready() {
                        self.taken(now, index, target_mac.unwrap_or(by), out);
                    }
                } else if let Some(known) = self.virtual_address(interface, target.into()) {
                    self.claimed(now, interface, known, target_mac.unwrap_or(by), out);
                } else if !pretends {
                    let heard = Heard { mac: target_mac, confirmed: solicited, create: false, overriding };
                    self.learn(now, (interface, target.into()), heard, out);
                }
            }
            // Section 6.2.6: who asks for routers is remembered; the advertiser answers.
            Ok(Message::RouterSolicitation { source_mac }) if !source.is_unspecified() && !pretends => {
                self.remember(now, interface, source, source_mac, out);
            }
            // What other routers say, to hosts, of themselves is no concern of a router.
            Ok(Message::RouterSolicitation { .. } | Message::RouterAdvertisement(_) | Message::Redirect) => {}
            Err(drop) => out.counted.push(drop),
        }
    }

    /// Somebody asks for an address.
    fn solicited(&mut self, now: Instant, interface: InterfaceId, asked: Asked, out: &mut Outbox<P>) {
        let Asked { source, target, source_mac, nonce, by } = asked;
        let detecting = source.is_unspecified();
        let own = self.own_index(interface, target.into());
        match own.map(|index| (index, self.own[index].standing)) {
            None if self.answers(interface, target.into()).is_some() => {}
            Some((_, Standing::Ready { .. })) => {}
            // RFC 4862 section 5.4.3: two want the same address, and neither may have it; unless it was ourselves.
            Some((index, Standing::Tentative { .. }))
                if detecting && nonce != Some(self.own[index].nonce) =>
            {
                return self.taken(now, index, by, out);
            }
            Some((_, Standing::Tentative { .. } | Standing::Down | Standing::Duplicate)) | None => return,
        }
        if !detecting && !self.link(interface).is_some_and(|link| link.is_neighbour(source.into())) {
            // RFC 5942 section 4: who is not on this link is no neighbour, whatever it claims.
            return out.counted.push(Drop::NdInvalid);
        }
        let (to, to_mac) = match detecting {
            true => (nd::ALL_NODES, crate::wire::icmpv6::group_mac(nd::ALL_NODES)),
            false => (source, source_mac.unwrap_or(by)),
        };
        if !detecting {
            self.remember(now, interface, source, source_mac, out);
        }
        self.advertise(interface, target, (to, to_mac), out);
    }

    /// A neighbour told its own MAC address.
    fn remember(
        &mut self,
        now: Instant,
        interface: InterfaceId,
        source: Ipv6Addr,
        mac: Option<MacAddr>,
        out: &mut Outbox<P>,
    ) {
        let is_neighbour = self.link(interface).is_some_and(|link| link.is_neighbour(source.into()));
        let ours = self.own_index(interface, source.into()).is_some()
            || self.virtual_address(interface, source.into()).is_some();
        if mac.is_some() && is_neighbour && !ours {
            let heard = Heard { mac, confirmed: false, create: true, overriding: true };
            self.learn(now, (interface, source.into()), heard, out);
        }
    }

    /// Says that `target` is ours; to a group, without having been asked.
    fn advertise(
        &self,
        interface: InterfaceId,
        target: Ipv6Addr,
        (to, to_mac): (Ipv6Addr, MacAddr),
        out: &mut Outbox<P>,
    ) {
        let Some(link) = self.link(interface) else { return };
        let from_mac = link.config.mac;
        let message = Message::Advertisement {
            target,
            // Only the role sends from a virtual MAC address, but everybody shall know it.
            target_mac: Some(self.answers(interface, target.into()).unwrap_or(from_mac)),
            router: true,
            solicited: !to.is_multicast(),
            overriding: true,
        };
        let envelope = Envelope { from_mac, to_mac, from: target, to };
        out.frames.push((interface, message.frame(envelope, &[])));
    }

    /// Tells the link that an address is ours (section 7.2.6).
    pub(super) fn announce_v6(&self, interface: InterfaceId, address: Ipv6Addr, out: &mut Outbox<P>) {
        let everybody = (nd::ALL_NODES, crate::wire::icmpv6::group_mac(nd::ALL_NODES));
        self.advertise(interface, address, everybody, out);
    }

    /// Asks for an IPv6 neighbour: its group, or whom we knew. While duplicate address detection runs there is no
    /// address to ask from; the next try comes in a second.
    pub(super) fn solicit_v6(
        &self,
        interface: InterfaceId,
        target: Ipv6Addr,
        known: Option<MacAddr>,
        out: &mut Outbox<P>,
    ) {
        let (Some(link), Some(from)) = (self.link(interface), self.own_v6(interface)) else { return };
        let from_mac = link.config.mac;
        let envelope = match known {
            Some(to_mac) => Envelope { from_mac, to_mac, from, to: target },
            None => Envelope::to_group(from_mac, from, nd::solicited_node(target)),
        };
        let message = Message::Solicitation { target, source_mac: Some(from_mac), nonce: None };
        out.frames.push((interface, message.frame(envelope, &[])));
    }

    /// Asks whether anybody has an address that we want.
    pub(super) fn detect(
        &self,
        interface: InterfaceId,
        target: Ipv6Addr,
        nonce: [u8; 6],
        out: &mut Outbox<P>,
    ) {
        let Some(link) = self.link(interface) else { return };
        let group = nd::solicited_node(target);
        let envelope = Envelope::to_group(link.config.mac, Ipv6Addr::UNSPECIFIED, group);
        let message = Message::Solicitation { target, source_mac: None, nonce: Some(nonce) };
        out.frames.push((interface, message.frame(envelope, &[])));
    }
}

/// A solicitation, as far as the answer needs it.
struct Asked {
    source: Ipv6Addr,
    target: Ipv6Addr,
    source_mac: Option<MacAddr>,
    nonce: Option<[u8; 6]>,
    by: MacAddr,
}
