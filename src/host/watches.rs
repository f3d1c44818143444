//! Who waits for an answer to a packet that he has made himself: ping, traceroute, a name, a port.
//!
//! A watch names the packets that it has sent by their keys. Whatever answers one of them is seen by it: an echo, a
//! datagram, what a TCP says to a SYN, an ICMP error that quotes it.
//!
//! Invariant: bounded: so many watches, so many packets of each, so many sightings that wait.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::task::Waker;

use crate::types::Instant;
use crate::wire::{FlowKey, Packet, Transport, datagram, icmp_error, tcp_flags};

/// Watches at a time.
const WATCHES: usize = 8;
/// Packets of a watch.
pub const KEYS: usize = 128;
/// Sightings that wait.
const WAITING: usize = 256;

/// Names a watch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WatchId(u64);

/// Something that answers a packet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sighting {
    /// When it came.
    pub at: Instant,
    /// Who says it.
    pub from: IpAddr,
    /// The packet that it answers.
    pub key: FlowKey,
    /// What it says.
    pub what: Seen,
}

/// What answers a packet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Seen {
    /// An echo, with its sequence number.
    Echo(u16),
    /// A datagram.
    Datagram(Vec<u8>),
    /// The port is open.
    Open,
    /// The port is closed.
    Closed,
    /// An ICMP error: type and code.
    Error(u8, u8),
}

struct Watch {
    id: WatchId,
    keys: Vec<FlowKey>,
    seen: VecDeque<Sighting>,
    waker: Waker,
}

/// All watches.
#[derive(Default)]
pub(super) struct Watches {
    list: Vec<Watch>,
    made: u64,
}

impl Watches {
    /// A watch for packets with these keys; `None` when there are too many.
    pub fn begin(&mut self, keys: Vec<FlowKey>, waker: Waker) -> Option<WatchId> {
        if self.list.len() >= WATCHES || keys.len() > KEYS {
            return None;
        }
        self.made += 1;
        let id = WatchId(self.made);
        self.list.push(Watch { id, keys, seen: VecDeque::new(), waker });
        Some(id)
    }

    pub fn end(&mut self, id: WatchId) {
        self.list.retain(|watch| watch.id != id);
    }

    /// What a watch has seen since it was last asked.
    pub fn take(&mut self, id: WatchId) -> Vec<Sighting> {
        let watch = self.list.iter_mut().find(|watch| watch.id == id);
        watch.map_or_else(Vec::new, |watch| watch.seen.drain(..).collect())
    }

    /// A packet has come for the router; true when a watch has waited for it.
    pub fn see(&mut self, now: Instant, packet: &Packet) -> bool {
        if self.list.is_empty() {
            return false;
        }
        let Some((key, what)) = answer(packet) else { return false };
        let mut seen = false;
        for watch in self.list.iter_mut().filter(|watch| watch.keys.contains(&key)) {
            seen = true;
            if watch.seen.len() < WAITING {
                let from = packet.layout.key.src();
                watch.seen.push_back(Sighting { at: now, from, key, what: what.clone() });
                watch.waker.wake_by_ref();
            }
        }
        seen
    }
}

/// The key of the packet that this one answers, and what it says.
fn answer(packet: &Packet) -> Option<(FlowKey, Seen)> {
    let asked = packet.layout.key.inverse();
    match packet.layout.transport {
        Transport::IcmpQuery { request: false } => {
            let sequence = packet.transport().get(6..8)?.try_into().ok()?;
            Some((asked, Seen::Echo(u16::from_be_bytes(sequence))))
        }
        Transport::Udp => Some((asked, Seen::Datagram(datagram::payload(packet)?.to_vec()))),
        Transport::Tcp { flags, .. } if flags & tcp_flags::RST != 0 => Some((asked, Seen::Closed)),
        Transport::Tcp { flags, .. } if flags & tcp_flags::SYN != 0 => Some((asked, Seen::Open)),
        Transport::IcmpError { kind, code } => {
            Some((icmp_error::quoted(packet).ok()?.key, Seen::Error(kind, code)))
        }
        Transport::Tcp { .. }
        | Transport::IcmpQuery { request: true }
        | Transport::IcmpOther { .. }
        | Transport::Other => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::icmp_error::ErrorCause;
    use crate::wire::{FrameBuf, Parsed, Pool, echo, probe};

    fn parsed(frame: FrameBuf) -> Packet {
        let Ok(Parsed::Ip(packet)) = Packet::parse(frame) else { panic!("no packet") };
        packet
    }

    #[test]
    fn answers_reach_whoever_asked_and_nobody_else() {
        let mut pool = Pool::new(4);
        let ends = ["192.0.2.1".parse().unwrap(), "192.0.2.9".parse().unwrap()];
        let request = echo::request(ends, (77, 3), 8, &mut pool).unwrap();
        let packet = parsed(FrameBuf::copy_of(request.bytes()));
        let mut watches = Watches::default();
        let waker = Waker::noop();
        let id = watches.begin(vec![packet.layout.key], waker.clone()).unwrap();
        let other = watches.begin(Vec::new(), waker.clone()).unwrap();
        let error =
            icmp_error::build(&ErrorCause::TtlExceeded, &packet, "198.51.100.1".parse().unwrap(), &mut pool);
        assert!(watches.see(Instant::ZERO, &parsed(error.unwrap())));
        let mut reply = parsed(request);
        assert!(!watches.see(Instant::ZERO, &reply), "a request answers nothing");
        assert!(crate::host::echo(&mut reply));
        assert!(watches.see(Instant::ZERO, &reply));
        let seen: Vec<_> = watches.take(id).into_iter().map(|seen| (seen.from, seen.what)).collect();
        let expected = [("198.51.100.1".parse().unwrap(), Seen::Error(11, 0)), (ends[1], Seen::Echo(3))];
        assert_eq!(seen, expected);
        assert!(watches.take(id).is_empty() && watches.take(other).is_empty());
        watches.end(id);
        assert!(!watches.see(Instant::ZERO, &reply));
    }

    #[test]
    fn what_a_port_says_is_seen() {
        let (from, to) = ("192.0.2.1:4000".parse().unwrap(), "192.0.2.9:443".parse().unwrap());
        let syn = parsed(probe::syn(from, to, 7).unwrap());
        let mut watches = Watches::default();
        let id = watches.begin(vec![syn.layout.key], Waker::noop().clone()).unwrap();
        // The other side's SYN with our ports turned round.
        let back = parsed(probe::syn(to, from, 9).unwrap());
        assert!(watches.see(Instant::ZERO, &back));
        assert_eq!(watches.take(id)[0].what, Seen::Open);
    }

    #[test]
    fn there_are_only_so_many() {
        let mut watches = Watches::default();
        let ids: Vec<_> = (0..20).filter_map(|_| watches.begin(Vec::new(), Waker::noop().clone())).collect();
        assert_eq!(ids.len(), WATCHES);
        watches.end(ids[0]);
        assert!(watches.begin(Vec::new(), Waker::noop().clone()).is_some());
    }
}
