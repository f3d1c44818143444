//! ICMP errors: they belong to the flow whose packet they quote, and are translated with it (RFC 5508 section 4).

use super::Shard;
use super::forward::Onward;
use super::refusal::Refusal;
use crate::conntrack::Related;
use crate::nat;
use crate::types::{Instant, InterfaceId};
use crate::wire::icmp_error::Quoted;
use crate::wire::{Drop, Packet, icmp_error};

impl Shard {
    /// An ICMP error that came in by `ingress`, or that the router's own stack sent.
    pub(super) fn related(
        &mut self,
        now: Instant,
        packet: &mut Packet,
        ingress: InterfaceId,
    ) -> Result<Onward, Refusal> {
        let quoted = icmp_error::quoted(packet)?;
        let related = self.table.related(packet, &quoted)?;
        if self.table.admission(related.hit).epoch != self.compiled.epoch {
            self.readmit(related.hit)?;
            // The flow's verdicts and next hops are others now.
            let related = self.table.related(packet, &quoted)?;
            return self.relate(now, packet, ingress, &quoted, &related);
        }
        self.relate(now, packet, ingress, &quoted, &related)
    }

    fn relate(
        &mut self,
        now: Instant,
        packet: &mut Packet,
        ingress: InterfaceId,
        quoted: &Quoted,
        related: &Related,
    ) -> Result<Onward, Refusal> {
        let route = related.route;
        // The error must come by the interface that the quoted packet left by.
        if ingress != route.ingress {
            return Err(Refusal::silent(Drop::IcmpUnmatched));
        }
        if route.egress == InterfaceId::SELF {
            nat::rewrite_error(packet, quoted, related);
            return Ok(Onward::Deliver { asked: false });
        }
        if route.egress == InterfaceId::PEER {
            nat::rewrite_error(packet, quoted, related);
            let goes_on = self.go_on_with_detour(related.hit, &route);
            return goes_on.ok_or(Refusal::silent(Drop::DetourStray));
        }
        self.check_forwardable(packet, ingress, route.egress)?;
        let neighbour = self.next_hop(now, related.hit, &route)?;
        nat::rewrite_error(packet, quoted, related);
        Ok(Onward::Forward { egress: route.egress, neighbour, pass: route.pass, first: false })
    }
}
