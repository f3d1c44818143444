//! A frame's first steps: off the port, to an interface, parsed; the link layer's own business is done here.

use super::Shard;
use super::outbox::Outbox;
use crate::config::model::Fragments;
use crate::conntrack::Hit;
use crate::types::{Instant, InterfaceId, MacAddr, PortId};
use crate::wire::icmp_error::ErrorCause;
use crate::wire::{Drop, Fragment, FrameBuf, Packet, Seen, Transport, ethertype, protocol};

/// A parsed packet, on its way to the rules.
pub struct Arrival {
    /// The packet.
    pub packet: Packet,
    /// The interface by which it came in; [`InterfaceId::SELF`] for the router's own.
    pub ingress: InterfaceId,
    /// The flow that the table knew it by, before the batch was acted upon.
    pub hit: Option<Hit>,
}

impl Shard {
    /// Takes the tag off, finds the interface, parses. What is left goes into the batch.
    pub(super) fn admit(&mut self, now: Instant, port: PortId, mut frame: FrameBuf, out: &mut Outbox) {
        let Some(tag) = take_tag(&mut frame) else {
            return self.lose_frame(now, Drop::ShortFrame, InterfaceId::SELF, frame, out);
        };
        let Some(ingress) = self.compiled.interface(port, tag) else {
            if self.compiled.pair.as_ref().is_some_and(|pair| pair.sync == port) && tag.is_none() {
                return self.admit_cable(now, frame, out);
            }
            return self.lose_frame(now, Drop::UnknownVlan, InterfaceId::SELF, frame, out);
        };
        self.traffic.received(ingress, &frame);
        self.capture(now, ingress, frame.bytes());
        if self.neighbours.listens()
            && let Some(&[a, b, c, d, e, f]) = frame.bytes().get(6..12)
        {
            self.neighbours.overhear(now, ingress, MacAddr([a, b, c, d, e, f]));
        }
        self.enter(now, ingress, frame, out);
    }

    /// A frame that came in by an interface of this node, or of its predecessor.
    pub(super) fn enter(&mut self, now: Instant, ingress: InterfaceId, frame: FrameBuf, out: &mut Outbox) {
        match self.check_station(ingress, &frame) {
            Ok(()) => {}
            Err(Drop::Standby) => return self.leave(now, ingress, frame, out),
            Err(drop) => return self.lose_frame(now, drop, ingress, frame, out),
        }
        match Seen::of(&frame) {
            Ok(Seen::Ip(layout)) => self.admit_packet(now, ingress, Packet { frame, layout }, out),
            Ok(Seen::Arp) => {
                self.share(now, ingress, &frame);
                self.neighbours.handle_arp(now, ingress, frame.bytes(), &mut self.route_out);
                out.pool.give(frame);
            }
            Err(drop) => self.lose_frame(now, drop, ingress, frame, out),
        }
    }

    /// Checks what must hold of any IP packet, and sends fragments to be put together.
    fn admit_packet(&mut self, now: Instant, ingress: InterfaceId, packet: Packet, out: &mut Outbox) {
        if self.is_control(ingress, &packet) {
            return self.hand_over(now, ingress, packet, out);
        }
        // RFC 1812 section 5.3.4: a unicast packet in a link-layer broadcast is not for us to forward.
        let to_group = self.compiled.is_multicast(packet.layout.key.dst());
        if packet.dst_mac().is_multicast() && !to_group {
            return self.lose(now, Drop::Multicast, None, ingress, packet, out);
        }
        if !to_group && self.stands_by(ingress, &packet.layout.key) && !self.completes(&packet) {
            return self.leave(now, ingress, packet.frame, out);
        }
        if self.assumption.holds() && !to_group {
            let Packet { frame, layout } = packet;
            // While the predecessor's ports are not empty yet, what comes in directly waits.
            let Some(frame) = self.hold(now, (ingress, &layout.key), frame, out) else { return };
            return self.check(now, ingress, Packet { frame, layout }, to_group, out);
        }
        self.check(now, ingress, packet, to_group, out);
    }

    /// The rest of the checks, of a packet that is this node's business. `to_group`: it goes to more than one station.
    #[inline]
    fn check(
        &mut self,
        now: Instant,
        ingress: InterfaceId,
        packet: Packet,
        to_group: bool,
        out: &mut Outbox,
    ) {
        // Options are for the rules to allow; where no rule is asked, nobody does.
        let unasked = to_group
            || packet.layout.fragment != Fragment::Whole
            || matches!(packet.layout.transport, Transport::IcmpError { .. });
        if unasked && has_options(&packet) {
            return self.lose(now, Drop::IpOptions, None, ingress, packet, out);
        }
        if !packet.transport_checksum_ok() {
            return self.lose(now, Drop::TransportChecksum, None, ingress, packet, out);
        }
        if packet.layout.fragment != Fragment::Whole {
            let taken = self.compiled.link(ingress).map(|link| link.scrub.fragments);
            if taken == Some(Fragments::Drop) {
                return self.lose(now, Drop::FragmentRefused, None, ingress, packet, out);
            }
            self.reassembly.handle_fragment(now, packet, &mut self.whole);
            return self.drain_reassembly(now, ingress, out);
        }
        // Neighbour discovery, and the question who listens to which group.
        if let Some(kind) = link_message(&packet) {
            // RFC 6980: no fragment header, not even one that says that the packet is whole.
            if kind != LISTENER_QUERY && packet.ip()[6] != protocol::ICMPV6 {
                return self.lose(now, Drop::NdInvalid, None, ingress, packet, out);
            }
            return self.neighbour_discovery(now, ingress, packet, out);
        }
        if to_group {
            return self.lose(now, Drop::Multicast, None, ingress, packet, out);
        }
        self.batch.push(Arrival { packet, ingress, hit: None });
    }

    fn neighbour_discovery(&mut self, now: Instant, ingress: InterfaceId, packet: Packet, out: &mut Outbox) {
        self.share(now, ingress, &packet.frame);
        self.advertiser.handle_solicitation(now, ingress, &packet);
        self.neighbours.handle_nd(now, ingress, &packet, &mut self.route_out);
        out.pool.give(packet.frame);
    }

    /// The rest of a datagram did not come: its sender learns it by the interface that leads to it.
    fn tell_timeout(&mut self, now: Instant, packet: Packet, out: &mut Outbox) {
        if let Some(hop) = self.ways().route(packet.layout.key.src()) {
            self.answer_with_error(now, ErrorCause::ReassemblyTimeout, &packet, hop.interface, out);
        }
        out.pool.give(packet.frame);
    }

    /// Whole datagrams go on as if they had just come in; the rest is counted, and told where the RFCs ask for it.
    pub(super) fn drain_reassembly(&mut self, now: Instant, ingress: InterfaceId, out: &mut Outbox) {
        let mut whole = std::mem::take(&mut self.whole);
        for packet in whole.whole.drain(..) {
            if link_message(&packet).is_some() {
                self.lose(now, Drop::NdInvalid, None, ingress, packet, out);
            } else if packet.transport_checksum_ok() {
                self.batch.push(Arrival { packet, ingress, hit: None });
            } else {
                self.lose(now, Drop::TransportChecksum, None, ingress, packet, out);
            }
        }
        for (reason, packets) in whole.dropped.drain(..) {
            self.drops.count(reason, packets.into());
        }
        for frame in whole.spent.drain(..) {
            out.pool.give(frame);
        }
        for packet in whole.timed_out.drain(..) {
            self.tell_timeout(now, packet, out);
        }
        self.whole = whole;
    }
}

/// IPv4 options; IPv6 has none that a router minds.
pub(super) fn has_options(packet: &Packet) -> bool {
    packet.layout.options && packet.layout.key.dst().is_ipv4()
}

/// Removes an 802.1Q tag: `Some(None)` when there was none (or only a priority), `None` when the frame is too short.
fn take_tag(frame: &mut FrameBuf) -> Option<Option<u16>> {
    let bytes = frame.bytes();
    if bytes.len() < 14 {
        return None;
    }
    if u16::from_be_bytes([bytes[12], bytes[13]]) != ethertype::VLAN {
        return Some(None);
    }
    let tag = u16::from_be_bytes([*bytes.get(14)?, *bytes.get(15)?]) & 0x0fff;
    if bytes.len() < 18 {
        return None;
    }
    frame.cut(12, 4);
    Some((tag != 0).then_some(tag))
}

/// The ICMPv6 type of a multicast listener query.
const LISTENER_QUERY: u8 = 130;

/// The type of a message of neighbour discovery, or of a question who listens to which group.
fn link_message(packet: &Packet) -> Option<u8> {
    match (packet.layout.key.protocol(), packet.layout.transport) {
        (protocol::ICMPV6, Transport::IcmpOther { kind: kind @ (LISTENER_QUERY | 133..=137) }) => Some(kind),
        _ => None,
    }
}
