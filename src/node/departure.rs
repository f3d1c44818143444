//! A packet's last steps: the next hop's MAC address, the size, the tag, the port.
//!
//! Invariant: [`Departures::push`] is the only door to a port for an IP packet, and it takes a [`Passed`] one.

use std::net::IpAddr;
use std::sync::Arc;

use super::Shard;
use super::compiled::{Compiled, Link};
use super::outbox::{Answer, Outbox};
use crate::route::NeighbourId;
use crate::rules::{Pass, Passed};
use crate::types::{Instant, InterfaceId, MacAddr, Role};
use crate::wire::coalesce::Coalescer;
use crate::wire::{Drop, FlowKey, FrameBuf, Packet, Parsed, Pool, ethertype, fragment, protocol, segment};

/// ICMPv6: neighbour advertisement.
const ADVERTISEMENT: u8 = 136;

/// A packet that may leave, and where to.
pub struct Departure {
    /// The packet, translated.
    pub packet: Packet,
    /// Why it may leave.
    pub pass: Pass,
    /// Where it came in.
    pub ingress: InterfaceId,
    /// Where it leaves.
    pub egress: InterfaceId,
    /// The next hop.
    pub neighbour: NeighbourId,
    /// The flow as the packet showed it on arrival; an error to its sender must quote that.
    pub original: FlowKey,
}

/// For how long an address is this node's.
#[derive(Clone, Copy)]
pub(super) struct Lease {
    pub until: Instant,
    /// It is shared with a foreign CARP speaker, and not with the peer.
    pub foreign: bool,
}

/// Packets of this batch by interface, where consecutive segments grow together.
pub(super) struct Departures {
    coalescers: Vec<Coalescer>,
    pieces: Vec<FrameBuf>,
    fragment_id: u32,
}

impl Shard {
    /// Sends the packet, or lets it wait for its next hop's MAC address.
    pub(super) fn depart(&mut self, now: Instant, departure: Departure, out: &mut Outbox) {
        match self.neighbours.mac(departure.neighbour, now) {
            Some(mac) => {
                let Departure { packet, pass, ingress, egress, neighbour: _, original: _ } = departure;
                self.transmit(now, packet, pass, [ingress, egress], mac, out);
            }
            None => self.neighbours.park(now, departure.neighbour, departure, &mut self.route_out),
        }
    }

    /// Addresses the frame and puts it with the others that leave by the same interface.
    pub(super) fn transmit(
        &mut self,
        now: Instant,
        mut packet: Packet,
        pass: Pass,
        [ingress, egress]: [InterfaceId; 2],
        next_hop: MacAddr,
        out: &mut Outbox,
    ) {
        let Some(link) = self.compiled.link(egress) else {
            return self.lose(now, Drop::NoRoute, None, ingress, packet, out);
        };
        if !self.is_port_up(link) {
            return self.lose(now, Drop::PortDown, None, ingress, packet, out);
        }
        let header = &mut packet.frame.bytes_mut()[..12];
        header[..6].copy_from_slice(&next_hop.0);
        header[6..].copy_from_slice(&link.mac.0);
        if ingress == InterfaceId::SELF
            && let Some(lease) = self.lease_of(egress, packet.layout.key.src())
        {
            return self.transmit_under_lease(now, egress, Passed::new(packet, pass), lease, out);
        }
        if let Err(reason) = self.departures.push(&self.compiled, egress, Passed::new(packet, pass), out) {
            self.drops.count(reason, 1);
        }
    }

    /// An own packet that speaks for a virtual IP: each of its pieces waits for the edge.
    fn transmit_under_lease(
        &mut self,
        now: Instant,
        egress: InterfaceId,
        packet: Passed<Packet>,
        lease: Lease,
        out: &mut Outbox,
    ) {
        let compiled = Arc::clone(&self.compiled);
        let Some(link) = compiled.link(egress) else { return out.pool.give(packet.into_inner().frame) };
        let mut frames = std::mem::take(&mut self.departures.pieces);
        if let Err(reason) =
            self.departures.cut(&compiled, link, packet.into_inner(), &mut frames, &mut out.pool)
        {
            self.drops.count(reason, 1);
        }
        for frame in frames.drain(..) {
            self.send_answer(now, egress, frame, lease, out);
        }
        self.departures.pieces = frames;
    }

    /// Ends the batch: what was growing together leaves.
    pub(super) fn flush_departures(&mut self, now: Instant, out: &mut Outbox) {
        for index in 0..self.departures.coalescers.len() {
            let id = InterfaceId(index as u8);
            let mut pieces = std::mem::take(&mut self.departures.pieces);
            self.departures.coalescers[index].flush(&mut pieces);
            for frame in pieces.drain(..) {
                self.traffic.sent(id, &frame);
                self.capture(now, id, frame.bytes());
                if let Some(link) = self.compiled.link(id) {
                    send_tagged(link, frame, out);
                }
            }
            self.departures.pieces = pieces;
        }
    }
}

impl Departures {
    pub(super) fn new(compiled: &Compiled, fragment_id: u32) -> Self {
        let mut departures =
            Departures { coalescers: Vec::new(), pieces: Vec::with_capacity(64), fragment_id };
        departures.apply(compiled);
        departures
    }

    /// The interfaces of a new configuration. Called between batches, when nothing waits here.
    pub(super) fn apply(&mut self, compiled: &Compiled) {
        let coalescer = |link: &Link| Coalescer::new(compiled.offload(link.port));
        self.coalescers = compiled.links.iter().map(coalescer).collect();
    }

    /// Takes a packet that policy let pass, in the form that the egress port can send.
    ///
    /// # Errors
    /// When it cannot be brought into that form.
    #[inline]
    fn push(
        &mut self,
        compiled: &Compiled,
        egress: InterfaceId,
        packet: Passed<Packet>,
        out: &mut Outbox,
    ) -> Result<(), Drop> {
        let packet = packet.into_inner();
        let index = usize::from(egress.0);
        let (Some(link), Some(coalescer)) = (compiled.link(egress), self.coalescers.get_mut(index)) else {
            out.pool.give(packet.frame);
            return Err(Drop::NoRoute);
        };
        if fits(compiled, link, &packet) {
            coalescer.push(packet, &mut out.pool);
            return Ok(());
        }
        let mut frames = std::mem::take(&mut self.pieces);
        let cut = self.cut(compiled, link, packet, &mut frames, &mut out.pool);
        let coalescer = &mut self.coalescers[index];
        frames.drain(..).for_each(|frame| coalescer.push_frame(frame));
        self.pieces = frames;
        cut
    }

    /// The packet as frames that the link can take. Unless it fits as it is, every one has a complete checksum.
    ///
    /// # Errors
    /// When it cannot be cut; what was cut before may leave.
    fn cut(
        &mut self,
        compiled: &Compiled,
        link: &Link,
        mut packet: Packet,
        frames: &mut Vec<FrameBuf>,
        pool: &mut Pool,
    ) -> Result<(), Drop> {
        match piece_limit(&packet, link.mtu) {
            None if compiled.offload(link.port).takes(&packet.frame) => {
                frames.push(packet.frame);
                Ok(())
            }
            None => segment::split(packet, pool, frames).map(drop),
            Some(_) if packet.frame.gso.is_some() => {
                segment::split(packet, pool, frames).and_then(|_| self.fragment_each(frames, link.mtu, pool))
            }
            Some(limit) => {
                let cut = self.fragment(&mut packet, limit, pool, frames);
                pool.give(packet.frame);
                cut
            }
        }
    }

    fn fragment(
        &mut self,
        packet: &mut Packet,
        limit: u16,
        pool: &mut Pool,
        into: &mut Vec<FrameBuf>,
    ) -> Result<(), Drop> {
        self.fragment_id = self.fragment_id.wrapping_add(1);
        fragment::split(packet, usize::from(limit), self.fragment_id, pool, into).map(drop)
    }

    /// Segments of a superpacket that are still too large for the link.
    fn fragment_each(&mut self, frames: &mut Vec<FrameBuf>, limit: u16, pool: &mut Pool) -> Result<(), Drop> {
        for frame in std::mem::take(frames) {
            if let Ok(Parsed::Ip(mut packet)) = Packet::parse(frame) {
                let cut = self.fragment(&mut packet, limit, pool, frames);
                pool.give(packet.frame);
                cut?;
            }
        }
        Ok(())
    }
}

/// The link takes the packet as it is.
fn fits(compiled: &Compiled, link: &Link, packet: &Packet) -> bool {
    piece_limit(packet, link.mtu).is_none() && compiled.offload(link.port).takes(&packet.frame)
}

/// The size of the fragments that this packet must leave in; `None` when it fits (a superpacket: its segments).
fn piece_limit(packet: &Packet, mtu: u16) -> Option<u16> {
    if let Some(largest) = packet.layout.reassembled
        && packet.layout.key.dst().is_ipv6()
    {
        // RFC 8200 forbids to fragment in transit; what came in pieces leaves in pieces no larger than it came in.
        return Some(largest.min(mtu));
    }
    (packet.wire_len() > usize::from(mtu)).then_some(mtu)
}

/// The address that an answer of ARP, or a neighbour advertisement, is about.
fn claimed(frame: &FrameBuf) -> Option<IpAddr> {
    let bytes = frame.bytes();
    let kind = u16::from_be_bytes(*bytes.get(12..14)?.first_chunk()?);
    match kind {
        ethertype::ARP => bytes.get(28..32)?.first_chunk::<4>().map(|octets| IpAddr::from(*octets)),
        ethertype::IPV6
            if bytes.get(20) == Some(&protocol::ICMPV6) && bytes.get(54) == Some(&ADVERTISEMENT) =>
        {
            bytes.get(62..78)?.first_chunk::<16>().map(|octets| IpAddr::from(*octets))
        }
        _ => None,
    }
}

/// Puts the 802.1Q tag in and hands the frame to its port.
fn send_tagged(link: &Link, mut frame: FrameBuf, out: &mut Outbox) {
    match tag(link.vlan, &mut frame) {
        true => out.send(link.port, frame),
        false => out.pool.give(frame),
    }
}

/// Puts the 802.1Q tag in, where there is one; false when the frame has no room for it.
pub(super) fn tag(vlan: Option<u16>, frame: &mut FrameBuf) -> bool {
    let Some(tag) = vlan else { return true };
    if !frame.insert(12, 4) {
        return false;
    }
    let [type_hi, type_lo] = ethertype::VLAN.to_be_bytes();
    let [tag_hi, tag_lo] = tag.to_be_bytes();
    frame.bytes_mut()[12..16].copy_from_slice(&[type_hi, type_lo, tag_hi, tag_lo]);
    true
}

impl Shard {
    /// A frame of the link layer itself (ARP, neighbour discovery, router advertisements) leaves.
    pub(super) fn send_link_frame(
        &mut self,
        now: Instant,
        interface: InterfaceId,
        frame: FrameBuf,
        out: &mut Outbox,
    ) {
        let Some(link) = self.compiled.link(interface) else { return out.pool.give(frame) };
        if !self.is_port_up(link) {
            return self.lose_frame(now, Drop::PortDown, interface, frame, out);
        }
        if let Some(lease) = claimed(&frame).and_then(|address| self.lease_of(interface, address)) {
            return self.send_answer(now, interface, frame, lease, out);
        }
        self.traffic.sent(interface, &frame);
        self.capture(now, interface, frame.bytes());
        if let Some(link) = self.compiled.link(interface) {
            send_tagged(link, frame, out);
        }
    }

    /// For how long this node of a pair has an address; `None` for one that does not move.
    fn lease_of(&self, interface: InterfaceId, address: IpAddr) -> Option<Lease> {
        let vip = self.compiled.virtual_ip(address, interface)?;
        match (vip.foreign, self.standing.role) {
            (true, _) => Some(Lease { until: self.standing.foreign_until, foreign: true }),
            (false, Role::Active) => Some(Lease { until: self.standing.until, foreign: false }),
            (false, Role::Alone | Role::Standby) => None,
        }
    }

    /// A frame that speaks for a virtual IP leaves, if the lease still runs when the edge sends it.
    fn send_answer(
        &mut self,
        now: Instant,
        interface: InterfaceId,
        mut frame: FrameBuf,
        lease: Lease,
        out: &mut Outbox,
    ) {
        self.traffic.sent(interface, &frame);
        self.capture(now, interface, frame.bytes());
        let Some(link) = self.compiled.link(interface) else { return out.pool.give(frame) };
        match tag(link.vlan, &mut frame) {
            true => out.answer(Answer { port: link.port, frame, lease }),
            false => out.pool.give(frame),
        }
    }

    pub(super) fn is_port_up(&self, link: &Link) -> bool {
        self.links_up.get(usize::from(link.port.0)).copied().unwrap_or(false)
    }
}
