//! What a packet must satisfy to be forwarded: it has hops left and fits the next link; and what is put right in it before.

use super::Shard;
use super::refusal::Refusal;
use crate::config::model::Scrub;
use crate::rules::Pass;
use crate::types::InterfaceId;
use crate::wire::icmp_error::ErrorCause;
use crate::wire::{Drop, Packet, Transport, mss, normal, tcp_flags};

impl Shard {
    /// RFC 1812 section 5.3.1, RFC 8200 section 3 (hop limit); RFC 1191 and RFC 8201 (size).
    #[inline]
    pub(super) fn check_forwardable(
        &self,
        packet: &Packet,
        ingress: InterfaceId,
        egress: InterfaceId,
    ) -> Result<(), Refusal> {
        if ![InterfaceId::SELF, InterfaceId::PEER].contains(&ingress) && packet.layout.hop_limit <= 1 {
            return Err(Refusal::told(Drop::TtlExceeded, ErrorCause::TtlExceeded));
        }
        let mtu = self.compiled.link(egress).map_or(0, |link| link.mtu);
        // What came in pieces may leave in pieces; in IPv6 no larger ones, and none of them cut again.
        let size = match (packet.layout.reassembled, packet.layout.dont_fragment) {
            (None, true) => packet.wire_len(),
            (Some(largest), true) => usize::from(largest),
            (_, false) => 0,
        };
        if size > usize::from(mtu) {
            return Err(Refusal::told(Drop::FragmentNeeded, ErrorCause::FragmentNeeded { mtu }));
        }
        Ok(())
    }

    /// Puts right what both interfaces ask for (pf's `scrub`). What the router says itself is right.
    #[inline]
    pub(super) fn normalise(&mut self, packet: &mut Packet, [ingress, egress]: [InterfaceId; 2]) {
        let scrub = |id: InterfaceId| self.compiled.link(id).map_or(Scrub::default(), |link| link.scrub);
        let (coming, going) = (scrub(ingress), scrub(egress));
        if coming == Scrub::default() && going == Scrub::default() || ingress == InterfaceId::SELF {
            return;
        }
        if coming.no_df || going.no_df {
            normal::clear_dont_fragment(packet);
        }
        if coming.random_id || going.random_id {
            normal::identify(packet, self.identifications.next() as u16);
        }
        if let Some(least) = coming.min_ttl {
            normal::raise_hop_limit(packet, least);
        }
    }

    /// Clamps the MSS of a SYN to what its rules ask for.
    #[inline]
    pub(super) fn clamp_mss_to(&self, packet: &mut Packet, passes: [Pass; 2]) {
        let Transport::Tcp { flags, .. } = packet.layout.transport else { return };
        if flags & tcp_flags::SYN == 0 {
            return;
        }
        let of = |pass: &Pass| self.compiled.ruleset.rule(pass.rule())?.terms.max_mss;
        if let Some(value) = passes.iter().filter_map(of).min() {
            mss::clamp(packet, value);
        }
    }

    /// Clamps the MSS of a SYN to what both interfaces ask for.
    #[inline]
    pub(super) fn clamp_mss(&self, packet: &mut Packet, interfaces: [InterfaceId; 2]) {
        let Transport::Tcp { flags, .. } = packet.layout.transport else { return };
        if flags & tcp_flags::SYN == 0 {
            return;
        }
        let asked = interfaces.iter().filter_map(|id| self.compiled.link(*id)?.mss).min();
        if let Some(value) = asked {
            let headers = if packet.layout.key.dst().is_ipv4() { 40 } else { 60 };
            mss::clamp(packet, value.saturating_sub(headers));
        }
    }
}
