//! ICMP errors about flows: which flow, and what the error must look like on the other side.
//!
//! An error quotes a packet as it was sent: after translation. So the inverse of the quoted key is a key by which
//! packets of the flow come in, and the flow is found by it. Whoever sends the error can only have seen the packet
//! if the quoted TCP sequence number is one that is under way (RFC 5927 section 4.1), and has to send it to the source of
//! the quoted packet. An error never refreshes a flow and never ends one (RFC 5382 REQ-10, RFC 5508 REQ-6).

use std::net::IpAddr;

use super::advance::Advance;
use super::index::{Hit, Way};
use super::table::Table;
use crate::wire::icmp_error::Quoted;
use crate::wire::{Drop, FlowKey, Packet, protocol};

/// An ICMP error about a flow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Related {
    /// The flow, and the way of the error: opposite to that of the packet that it quotes.
    pub hit: Hit,
    /// Key of the quoted packet before it was translated: what the quotation must say.
    pub quoted: FlowKey,
    /// What the error's source address must become.
    pub src: IpAddr,
    /// What the error's destination address must become.
    pub dst: IpAddr,
    /// Where packets of this way go. `to` and `rewrite` are about the flow's packets, not about the error.
    pub route: Advance,
    /// What was added to the sequence number that it quotes.
    pub shift: u32,
}

impl Table {
    /// Finds the flow that an ICMP error is about.
    pub fn related(&mut self, error: &Packet, quoted: &Quoted) -> Result<Related, Drop> {
        let related = self.relate(error, quoted);
        if related.is_none() {
            self.counters.icmp_unmatched += 1;
        }
        related.ok_or(Drop::IcmpUnmatched)
    }

    fn relate(&self, error: &Packet, quoted: &Quoted) -> Option<Related> {
        let error = &error.layout.key;
        // CVE-2019-5598: the quotation may fit a flow while the error is addressed to somebody else.
        if error.dst() != quoted.key.src() {
            return None;
        }
        let incoming = quoted.key.inverse();
        let hit = self.find(&incoming).filter(|hit| self.store.holds(hit.slot, hit.way, &incoming))?;
        let Hit { slot, way } = hit;
        let common = self.store.common(slot);
        if common.protocol == protocol::TCP {
            // The client counts the server's data from another beginning.
            let seq = quoted.tcp_seq?.wrapping_sub(self.shift(slot, way.other()).seq);
            if !common.tcp().in_flight(way.other(), seq) {
                return None;
            }
        }
        let before = self.store.key(slot, way.other());
        Some(Related {
            hit,
            quoted: before,
            src: self.error_source(hit, error.src(), &quoted.key, &before),
            dst: before.src(),
            route: self.describe(hit, &incoming),
            shift: self.shift(slot, way.other()).seq,
        })
    }

    /// What the error's source becomes. The quoted packet's destination is hidden like the packet was; and an error
    /// from anywhere behind our translation comes from our address (RFC 5508 REQ-5).
    fn error_source(&self, hit: Hit, src: IpAddr, sent: &FlowKey, before: &FlowKey) -> IpAddr {
        if src == sent.dst() {
            return before.dst();
        }
        let (original, reply) =
            (self.store.key(hit.slot, Way::Original), self.store.key(hit.slot, Way::Reply));
        let (outside, inside) = match hit.way {
            Way::Original => (reply.dst(), original.src()),
            Way::Reply => (original.dst(), reply.src()),
        };
        if outside != inside { outside } else { src }
    }
}
