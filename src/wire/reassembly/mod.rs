//! Fragments put together again, so that rules, states and translation see whole packets (RFC 815's task; RFC 5722
//! and RFC 8200 section 4.5 for what must not be put together).
//!
//! Invariants: a packet comes out only when each of its bytes arrived exactly once; two fragments that disagree
//! condemn the whole datagram, whatever still arrives of it; memory, datagrams, fragments of one datagram and
//! datagrams of one source are bounded, and a bound evicts the oldest, which is the least likely to be completed.

mod datagram;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};

use datagram::{Added, Datagram, Span};

use super::{Drop, FlowKey, Fragment, FrameBuf, Packet};
use crate::types::{Duration, Instant};

/// At most this many datagrams time out in one call of [`Reassembly::handle_timeout`].
const TIMEOUTS_PER_TURN: usize = 256;

/// What reassembly may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Half-received datagrams.
    pub datagrams: usize,
    /// Half-received datagrams of one source (an IPv4 address, an IPv6 /64).
    pub per_source: usize,
    /// Fragments of one datagram.
    pub fragments: usize,
    /// Bytes of memory.
    pub bytes: usize,
    /// How long the rest of a datagram may take.
    pub timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            datagrams: 4_096,
            per_source: 256,
            fragments: 64,
            bytes: 16 << 20,
            timeout: Duration::from_secs(30),
        }
    }
}

/// What came of the fragments. The caller empties it.
#[derive(Default, Debug)]
pub struct Outbox {
    /// Packets complete again; [`super::Layout::reassembled`] is set.
    pub whole: Vec<Packet>,
    /// First fragments of datagrams that were not completed in time: their senders are told.
    pub timed_out: Vec<Packet>,
    /// Fragments lost, and how many.
    pub dropped: Vec<(Drop, u32)>,
    /// Buffers no longer needed, for the pool.
    pub spent: Vec<FrameBuf>,
}

/// Why reassembly wants to be called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// A half-received datagram has waited long enough.
    FragmentTimeout,
}

/// What the fragments of one datagram have in common (RFC 791 section 3.2; RFC 8200 leaves out the protocol).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Key {
    src: IpAddr,
    dst: IpAddr,
    id: u32,
    protocol: u8,
}

impl Key {
    fn of(packet: &Packet) -> Option<Key> {
        let Fragment::Part { id, protocol, .. } = packet.layout.fragment else { return None };
        let (src, dst) = (packet.layout.key.src(), packet.layout.key.dst());
        let protocol = if matches!(packet.layout.key, FlowKey::V4(_)) { protocol } else { 0 };
        Some(Key { src, dst, id, protocol })
    }
}

/// Half-received datagrams. Ordered maps instead of hash tables: nothing to flood, and sizes are small.
pub struct Reassembly {
    limits: Limits,
    datagrams: BTreeMap<Key, Datagram>,
    /// Birth numbers: the oldest datagram first.
    ages: BTreeMap<u64, Key>,
    /// The same by source.
    sources: BTreeSet<(IpAddr, u64)>,
    births: u64,
    bytes: usize,
}

impl Reassembly {
    /// Nothing received yet.
    pub fn new(limits: Limits) -> Self {
        Reassembly {
            limits,
            datagrams: BTreeMap::new(),
            ages: BTreeMap::new(),
            sources: BTreeSet::new(),
            births: 0,
            bytes: 0,
        }
    }

    /// New limits. Deadlines already set stay; what is too much goes when the next datagram begins.
    pub fn apply(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Half-received datagrams, condemned ones included.
    pub fn len(&self) -> usize {
        self.datagrams.len()
    }

    /// True when nothing waits.
    pub fn is_empty(&self) -> bool {
        self.datagrams.is_empty()
    }

    /// Bytes of memory that waiting fragments take.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// True for a fragment of a datagram of which others wait here.
    pub fn knows(&self, packet: &Packet) -> bool {
        Key::of(packet).is_some_and(|key| self.datagrams.contains_key(&key))
    }

    /// Takes a fragment. A packet that is none passes through.
    pub fn handle_fragment(&mut self, now: Instant, packet: Packet, out: &mut Outbox) {
        let Some(key) = Key::of(&packet) else {
            out.whole.push(packet);
            return;
        };
        let span = match Span::of(&packet) {
            Ok(span) => span,
            Err(drop) => return out.lose(drop, 1, packet.frame),
        };
        if !self.datagrams.contains_key(&key) {
            self.admit(now, key, out);
        }
        let Some(datagram) = self.datagrams.get_mut(&key) else {
            return out.lose(Drop::FragmentLimit, 1, packet.frame);
        };
        let before = datagram.bytes();
        let added = datagram.add(packet, span, self.limits.fragments, out);
        self.bytes = self.bytes - before + datagram.bytes();
        match added {
            Added::Refused => {}
            Added::Waits => {
                while self.bytes > self.limits.bytes {
                    self.evict_oldest(out);
                }
            }
            Added::Complete => {
                if let Some(datagram) = self.remove(&key) {
                    datagram.assemble(out);
                }
            }
        }
    }

    /// Gives up on datagrams whose time is over.
    pub fn handle_timeout(&mut self, now: Instant, out: &mut Outbox) {
        for _ in 0..TIMEOUTS_PER_TURN {
            let Some((deadline, key)) = self.oldest() else { return };
            if deadline > now {
                return;
            }
            let Some(datagram) = self.remove(&key) else { return };
            if datagram.waiting() > 0 {
                out.dropped.push((Drop::FragmentTimeout, datagram.waiting() as u32));
            }
            // RFC 792, RFC 4443 section 3.3: only when the first fragment is there.
            out.timed_out.extend(datagram.into_first());
        }
    }

    /// When [`Reassembly::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<(Instant, Why)> {
        self.oldest().map(|(deadline, _)| (deadline, Why::FragmentTimeout))
    }

    fn oldest(&self) -> Option<(Instant, Key)> {
        let (_, key) = self.ages.first_key_value()?;
        self.datagrams.get(key).map(|datagram| (datagram.deadline, *key))
    }

    /// Begins a datagram; older ones make room for it.
    fn admit(&mut self, now: Instant, key: Key, out: &mut Outbox) {
        let source = source_of(key.src);
        let of_source = (source, 0)..=(source, u64::MAX);
        if self.sources.range(of_source.clone()).count() >= self.limits.per_source {
            let oldest =
                self.sources.range(of_source).next().and_then(|(_, birth)| self.ages.get(birth).copied());
            self.evict(oldest, out);
        }
        while self.datagrams.len() >= self.limits.datagrams.max(1) {
            self.evict_oldest(out);
        }
        let birth = self.births;
        self.births += 1;
        let datagram = Datagram::new(birth, now + self.limits.timeout);
        self.bytes += datagram.bytes();
        self.datagrams.insert(key, datagram);
        self.ages.insert(birth, key);
        self.sources.insert((source, birth));
    }

    fn evict_oldest(&mut self, out: &mut Outbox) {
        let oldest = self.ages.first_key_value().map(|(_, key)| *key);
        self.evict(oldest, out);
    }

    fn evict(&mut self, key: Option<Key>, out: &mut Outbox) {
        let Some(datagram) = key.and_then(|key| self.remove(&key)) else { return };
        if datagram.waiting() > 0 {
            out.dropped.push((Drop::FragmentLimit, datagram.waiting() as u32));
        }
    }

    fn remove(&mut self, key: &Key) -> Option<Datagram> {
        let datagram = self.datagrams.remove(key)?;
        self.ages.remove(&datagram.birth);
        self.sources.remove(&(source_of(key.src), datagram.birth));
        self.bytes -= datagram.bytes();
        Some(datagram)
    }
}

impl Outbox {
    fn lose(&mut self, drop: Drop, count: u32, frame: FrameBuf) {
        self.dropped.push((drop, count));
        self.spent.push(frame);
    }
}

/// Who is charged for a datagram: one host has as many IPv6 addresses as it likes.
fn source_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

#[cfg(test)]
mod tests;
