//! The router's part in handshakes that it completes for a server; what they are is `conntrack/proxy.rs`.

use super::Shard;
use super::departure::Departure;
use super::outbox::Outbox;
use crate::conntrack::{Advance, Handshake, Hit, Redeemed, Way};
use crate::nat;
use crate::rules::Pass;
use crate::types::{Instant, InterfaceId};
use crate::wire::handshake::Segment;
use crate::wire::{FlowKey, Fragment, Packet, Transport, normal, tcp_flags};

impl Shard {
    /// An ACK that brings a cookie back becomes the SYN that it was the answer to.
    pub(super) fn redeem(
        &mut self,
        now: Instant,
        packet: &mut Packet,
        ingress: InterfaceId,
        out: &mut Outbox,
    ) -> Option<Redeemed> {
        if ingress == InterfaceId::SELF {
            return None;
        }
        let redeemed = self.table.redeem(now, packet)?;
        let Transport::Tcp { seq, window, .. } = packet.layout.transport else { return None };
        let (flags, mss) = (tcp_flags::SYN, Some(redeemed.mss));
        let syn = Segment { flags, seq: seq.wrapping_sub(1), ack: 0, window, mss };
        let hops = packet.layout.hop_limit;
        let mut made = syn.build(&packet.layout.key, out.pool.take())?;
        normal::set_hop_limit(&mut made, hops);
        let frame = std::mem::replace(packet, made).frame;
        out.pool.give(frame);
        Some(redeemed)
    }

    /// Whether a new connection begins with a cookie instead of a flow, and what that is.
    pub(super) fn cookie(&mut self, now: Instant, packet: &Packet, pass: Option<Pass>) -> Option<u32> {
        let first = tcp_flags::SYN | tcp_flags::ACK;
        let is_first = matches!(packet.layout.transport,
            Transport::Tcp { flags, .. } if flags & first == tcp_flags::SYN)
            && packet.layout.fragment == Fragment::Whole;
        let pass = pass.filter(|pass| is_first && !pass.is_stateless() && !pass.is_sloppy())?;
        if !pass.is_proxied() && !self.table.wants_cookies() {
            return None;
        }
        self.table.cookie(now, packet)
    }

    /// Answers a SYN with a cookie. The window is closed until the server's is known.
    pub(super) fn answer_with_cookie(
        &mut self,
        now: Instant,
        cookie: u32,
        syn: &Packet,
        ingress: InterfaceId,
        out: &mut Outbox,
    ) {
        let Transport::Tcp { seq, .. } = syn.layout.transport else { return };
        let key = syn.layout.key;
        let answer = Segment {
            flags: tcp_flags::SYN | tcp_flags::ACK,
            seq: cookie,
            ack: seq.wrapping_add(1),
            window: 0,
            mss: Some(self.offered_mss(&key, ingress)),
        };
        self.answer_with_segment(now, &answer, &key, ingress, out);
    }

    /// A segment in the name of whom `key` leads to, back to its source.
    pub(super) fn answer_with_segment(
        &mut self,
        now: Instant,
        answer: &Segment,
        key: &FlowKey,
        ingress: InterfaceId,
        out: &mut Outbox,
    ) {
        if let Some(packet) = answer.build(&key.inverse(), out.pool.take()) {
            self.send_error(now, packet, ingress, out);
        }
    }

    /// What the way to the server takes, as far as this router knows it.
    fn offered_mss(&self, key: &FlowKey, ingress: InterfaceId) -> u16 {
        let headers = if key.dst().is_ipv4() { 40 } else { 60 };
        let egress = self.compiled.fib.lookup(key.dst()).map(|hop| hop.interface);
        let sizes = [Some(ingress), egress].into_iter().flatten().filter_map(|id| {
            let link = self.compiled.link(id)?;
            Some(link.mss.unwrap_or(link.mtu).min(link.mtu))
        });
        sizes.min().unwrap_or(1500).saturating_sub(headers)
    }

    /// Sends what a handshake needs, to either end.
    pub(super) fn go_on_with_handshake(
        &mut self,
        now: Instant,
        hit: Hit,
        handshake: Handshake,
        out: &mut Outbox,
    ) {
        for (way, segment) in handshake.sends.into_iter().flatten() {
            self.send_on_flow(now, Hit { way, ..hit }, &segment, out);
        }
    }

    /// A segment of the router's own, on the way of a flow, as that end knows it.
    fn send_on_flow(&mut self, now: Instant, hit: Hit, segment: &Segment, out: &mut Outbox) {
        let admission = self.table.admission(hit);
        let (key, toward) = match hit.way {
            Way::Original => (admission.outside, admission.egress),
            Way::Reply => (admission.original.inverse(), admission.ingress),
        };
        let route = self.table.route(hit);
        let Ok(neighbour) = self.next_hop(now, hit, &route) else { return };
        let Some(mut packet) = segment.build(&key, out.pool.take()) else { return };
        self.clamp_mss(&mut packet, [admission.ingress, admission.egress]);
        let (pass, ingress) = (route.pass, InterfaceId::SELF);
        let departure = Departure { packet, pass, ingress, egress: toward, neighbour, original: key };
        self.depart(now, departure, out);
    }

    /// Gives a packet the key and the numbers of the other side.
    #[inline]
    pub(super) fn translate(packet: &mut Packet, advance: &Advance) {
        advance.shift.apply(packet);
        if advance.rewrite {
            nat::rewrite(packet, &advance.to);
        }
    }
}
