//! Echo requests of the router's own that somebody has asked for, one at a time.

use std::net::IpAddr;

use super::Shard;
use super::arrival::Arrival;
use super::command::Reply;
use super::outbox::Outbox;
use crate::types::{Duration, Family, Instant, InterfaceId};
use crate::wire::{Packet, Parsed, echo};

/// By this identifier an answer is known; gateways are asked by others.
const IDENTIFIER: u16 = 0x5069;
/// Bytes behind the header.
const PAYLOAD: u16 = 56;
/// Requests that wait for their answer; the oldest gives way.
const WAITING: usize = 16;

/// See the module.
#[derive(Default)]
pub struct Pings {
    last: u16,
    waiting: Vec<Waiting>,
}

struct Waiting {
    target: IpAddr,
    sequence: u16,
    sent: Instant,
    reply: Reply<Duration>,
}

impl Pings {
    fn begin(&mut self, now: Instant, target: IpAddr, reply: Reply<Duration>) -> u16 {
        self.last = self.last.wrapping_add(1);
        if self.waiting.len() == WAITING {
            self.waiting.remove(0);
        }
        self.waiting.push(Waiting { target, sequence: self.last, sent: now, reply });
        self.last
    }

    /// An answer has come; false when nobody has waited for it.
    pub fn handle_answer(&mut self, now: Instant, from: IpAddr, identifier: u16, sequence: u16) -> bool {
        let is_it = |waiting: &Waiting| waiting.target == from && waiting.sequence == sequence;
        let found = self.waiting.iter().position(is_it).filter(|_| identifier == IDENTIFIER);
        let Some(found) = found else { return false };
        let Waiting { sent, reply, .. } = self.waiting.remove(found);
        reply(now.since(sent));
        true
    }
}

impl Shard {
    /// Asks a station; the reply comes with the answer, or never.
    pub(super) fn ping(&mut self, now: Instant, target: IpAddr, reply: Reply<Duration>, out: &mut Outbox) {
        let interface = self.ways().route(target).map(|hop| hop.interface);
        let own = interface.and_then(|interface| self.compiled.link(interface)?.primary(Family::of(target)));
        let Some(own) = own else { return };
        let sequence = self.pings.begin(now, target, reply);
        let frame = echo::request([own, target], (IDENTIFIER, sequence), PAYLOAD, &mut out.pool);
        if let Some(Ok(Parsed::Ip(packet))) = frame.map(Packet::parse) {
            self.batch.push(Arrival { packet, ingress: InterfaceId::SELF, hit: None });
        }
        self.finish(now, out);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;

    #[test]
    fn each_answer_is_for_the_request_that_it_answers() {
        let mut pings = Pings::default();
        let (start, target) = (Instant::from_secs(5), "192.0.2.1".parse().unwrap());
        let (sender, answers) = sync_channel(64);
        let begin = |pings: &mut Pings, now| {
            let sender = sender.clone();
            pings.begin(now, target, Box::new(move |time| sender.try_send(time).unwrap()))
        };
        let later = start + Duration::from_millis(7);
        let (one, two) = (begin(&mut pings, start), begin(&mut pings, later));
        assert!(!pings.handle_answer(later, "192.0.2.2".parse().unwrap(), IDENTIFIER, one));
        assert!(!pings.handle_answer(later, target, IDENTIFIER + 1, one));
        assert!(pings.handle_answer(later, target, IDENTIFIER, one));
        assert!(!pings.handle_answer(later, target, IDENTIFIER, one), "once");
        assert_eq!(answers.try_recv(), Ok(Duration::from_millis(7)));
        for _ in 0..WAITING {
            begin(&mut pings, later);
        }
        assert!(!pings.handle_answer(later, target, IDENTIFIER, two), "it has given way");
    }
}
