//! The router as an end: packets to its own addresses, and packets of its own.

use super::Shard;
use super::arrival::Arrival;
use super::outbox::Outbox;
use super::refusal::Refusal;
use crate::host;
use crate::types::{Instant, InterfaceId};
use crate::wire::icmp_error::ErrorCause;
use crate::wire::{Drop, FrameBuf, Packet, Parsed, Transport};

/// At most this many packets wait for the router's own stack within one batch.
const HOST_LIMIT: usize = 256;

impl Shard {
    /// Packets of the router's own stack: filtered, routed and tracked like any other.
    pub fn handle_host_packets(&mut self, now: Instant, packets: &mut Vec<FrameBuf>, out: &mut Outbox) {
        self.take_up_duty(now);
        for mut frame in packets.drain(..) {
            name_family(&mut frame);
            match Packet::parse(frame) {
                Ok(Parsed::Ip(packet)) => {
                    self.batch.push(Arrival { packet, ingress: InterfaceId::SELF, hit: None })
                }
                Ok(Parsed::Arp(frame)) => out.pool.give(frame),
                Err((drop, frame)) => self.lose_frame(now, drop, InterfaceId::SELF, frame, out),
            }
        }
        self.finish(now, out);
    }

    /// A packet for the router itself, which the rules let in. `asked`: of a flow that the router has begun.
    pub(super) fn deliver(
        &mut self,
        now: Instant,
        mut packet: Packet,
        ingress: InterfaceId,
        asked: bool,
        out: &mut Outbox,
    ) {
        match packet.layout.transport {
            Transport::IcmpQuery { request: true } => {
                if host::echo(&mut packet) {
                    let key = packet.layout.key;
                    let hit = self.table.find(&key);
                    self.packet(now, Arrival { packet, ingress: InterfaceId::SELF, hit }, out);
                } else {
                    self.lose(now, Drop::HostClosed, None, ingress, packet, out);
                }
            }
            Transport::IcmpQuery { request: false } if self.take_answer(now, &packet) => {
                out.pool.give(packet.frame);
            }
            Transport::Tcp { .. } | Transport::IcmpQuery { request: false } | Transport::IcmpError { .. } => {
                if out.host.len() < HOST_LIMIT {
                    out.host.push(packet.frame);
                } else {
                    self.lose(now, Drop::HostQueue, None, ingress, packet, out);
                }
            }
            Transport::Udp => {
                if asked && out.host.len() < HOST_LIMIT {
                    return out.host.push(packet.frame);
                }
                if asked {
                    return self.lose(now, Drop::HostQueue, None, ingress, packet, out);
                }
                let refusal = Refusal::told(Drop::HostClosed, ErrorCause::PortUnreachable);
                self.refuse(now, refusal, packet, ingress, out);
            }
            Transport::IcmpOther { .. } | Transport::Other => {
                self.lose(now, Drop::HostClosed, None, ingress, packet, out);
            }
        }
    }
}

/// The stack leaves the Ethernet header empty; the IP version says which type it is.
fn name_family(frame: &mut FrameBuf) {
    let bytes = frame.bytes_mut();
    if bytes.len() > 14 {
        let kind: [u8; 2] = if bytes[14] >> 4 == 4 { [0x08, 0x00] } else { [0x86, 0xdd] };
        bytes[12..14].copy_from_slice(&kind);
    }
}
