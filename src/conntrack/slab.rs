//! All flows in memory: records in chunks that never move.
//!
//! Invariant: a slot that was handed out once stays readable for ever; when no flow lives there its class is
//! `Vacant`. A chunk is reserved whole and filled record by record, so growing never stalls a packet.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::bounded::Bounded;
use super::chains::Link;
use super::digest::Mixed;
use super::index::{Slot, Way};
use super::proxy::Proxy;
use super::record::{Common, Ends, Record};
use super::timer::Class;
use crate::types::{Family, Seed};
use crate::wire::FlowKey;

/// Records in a chunk.
const CHUNK: usize = 1 << SHIFT;
const SHIFT: u32 = 10;

/// Records of one family.
struct Slab<A> {
    chunks: Vec<Vec<Record<A>>>,
    /// The number given back last (it is still in the cache); its link leads to the one before.
    free: Option<u32>,
    grown: u32,
}

impl<A: Copy> Slab<A> {
    const fn new() -> Self {
        Slab { chunks: Vec::new(), free: None, grown: 0 }
    }

    #[inline]
    fn get(&self, number: usize) -> &Record<A> {
        &self.chunks[number >> SHIFT][number & (CHUNK - 1)]
    }

    #[inline]
    fn get_mut(&mut self, number: usize) -> &mut Record<A> {
        &mut self.chunks[number >> SHIFT][number & (CHUNK - 1)]
    }

    /// Stores a record, with the generation of its slot. `None` when there are no more numbers.
    fn insert(&mut self, mut record: Record<A>) -> Option<u32> {
        if let Some(number) = self.free {
            let place = self.get_mut(number as usize);
            record.common.generation = place.common.generation;
            record.common.set_dirty(place.common.is_dirty());
            let before = place.common.link.free();
            *place = record;
            self.free = before;
            return Some(number);
        }
        let number = self.grown;
        if number >= Slot::LIMIT {
            return None;
        }
        if number as usize & (CHUNK - 1) == 0 {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        self.chunks.last_mut()?.push(record);
        self.grown += 1;
        Some(number)
    }

    fn remove(&mut self, number: usize) {
        let link = Link::to_free(self.free);
        let common = &mut self.get_mut(number).common;
        let (generation, dirty) = (common.generation.wrapping_add(1), common.is_dirty());
        *common = Common::VACANT;
        common.generation = generation;
        common.set_dirty(dirty);
        common.link = link;
        self.free = Some(number as u32);
    }
}

/// Records of both families.
pub(super) struct Store {
    v4: Slab<Ipv4Addr>,
    v6: Slab<Ipv6Addr>,
    /// What few flows have beside their record, by slot: our own numbers, so the hash needs no secret.
    pub(super) proxies: Bounded<u32, Proxy>,
}

impl Store {
    pub(super) fn new() -> Self {
        Store { v4: Slab::new(), v6: Slab::new(), proxies: Bounded::new(0, Seed([0; 2])) }
    }

    /// What is known of a handshake that the router made.
    pub(super) fn proxy(&self, slot: Slot) -> Option<Proxy> {
        self.proxies.get(&slot.raw()).copied()
    }

    /// The router makes, or has made, the handshake of this flow; false when there is no room for that.
    pub(super) fn set_proxy(&mut self, slot: Slot, proxy: Proxy) -> bool {
        let stored = self.proxies.insert(slot.raw(), proxy);
        if stored {
            self.common_mut(slot).set_proxied();
        }
        stored
    }

    /// Stores a flow. `None` when its keys are of different families or protocols, or memory for slots is used up.
    pub(super) fn insert(&mut self, original: &FlowKey, reply: &FlowKey, mut common: Common) -> Option<Slot> {
        common.protocol = original.protocol();
        let number = match (original, reply) {
            (FlowKey::V4(a), FlowKey::V4(b)) if a.protocol == b.protocol => {
                self.v4.insert(Record { ends: [Ends::<Ipv4Addr>::of(a), Ends::<Ipv4Addr>::of(b)], common })?
            }
            (FlowKey::V6(a), FlowKey::V6(b)) if a.protocol == b.protocol => {
                self.v6.insert(Record { ends: [Ends::<Ipv6Addr>::of(a), Ends::<Ipv6Addr>::of(b)], common })?
            }
            (FlowKey::V4(_) | FlowKey::V6(_), FlowKey::V4(_) | FlowKey::V6(_)) => return None,
        };
        Some(Slot::new(original.family(), number))
    }

    pub(super) fn remove(&mut self, slot: Slot) {
        if self.common(slot).is_proxied() {
            self.proxies.remove(&slot.raw());
        }
        match slot.family() {
            Family::Inet => self.v4.remove(slot.number()),
            Family::Inet6 => self.v6.remove(slot.number()),
        }
    }

    #[inline]
    pub(super) fn common(&self, slot: Slot) -> &Common {
        match slot.family() {
            Family::Inet => &self.v4.get(slot.number()).common,
            Family::Inet6 => &self.v6.get(slot.number()).common,
        }
    }

    #[inline]
    pub(super) fn common_mut(&mut self, slot: Slot) -> &mut Common {
        match slot.family() {
            Family::Inet => &mut self.v4.get_mut(slot.number()).common,
            Family::Inet6 => &mut self.v6.get_mut(slot.number()).common,
        }
    }

    #[inline]
    pub(super) fn key(&self, slot: Slot, way: Way) -> FlowKey {
        match slot.family() {
            Family::Inet => {
                let record = self.v4.get(slot.number());
                record.ends[way.index()].key(record.common.protocol)
            }
            Family::Inet6 => {
                let record = self.v6.get(slot.number());
                record.ends[way.index()].key(record.common.protocol)
            }
        }
    }

    /// Both keys of this slot, mixed into what was mixed so far.
    #[inline]
    pub(super) fn mix_ends(&self, slot: Slot, so_far: u64) -> u64 {
        match slot.family() {
            Family::Inet => {
                let [original, reply] = &self.v4.get(slot.number()).ends;
                reply.mix_into(original.mix_into(so_far))
            }
            Family::Inet6 => {
                let [original, reply] = &self.v6.get(slot.number()).ends;
                reply.mix_into(original.mix_into(so_far))
            }
        }
    }

    /// A port of this slot's record becomes another one, as if memory had failed: the index does not know.
    #[cfg(test)]
    pub(super) fn spoil_port(&mut self, slot: Slot, way: Way) {
        match slot.family() {
            Family::Inet => self.v4.get_mut(slot.number()).ends[way.index()].src_port ^= 0x4000,
            Family::Inet6 => self.v6.get_mut(slot.number()).ends[way.index()].src_port ^= 0x4000,
        }
    }

    /// True when the flow of this slot has this key: what the index can only promise.
    #[inline]
    pub(super) fn holds(&self, slot: Slot, way: Way, key: &FlowKey) -> bool {
        match (slot.family(), key) {
            (Family::Inet, FlowKey::V4(key)) => {
                let Record { ends, common } = self.v4.get(slot.number());
                ends[way.index()] == Ends::<Ipv4Addr>::of(key)
                    && common.protocol == key.protocol
                    && common.class != Class::Vacant
            }
            (Family::Inet6, FlowKey::V6(key)) => {
                let Record { ends, common } = self.v6.get(slot.number());
                ends[way.index()] == Ends::<Ipv6Addr>::of(key)
                    && common.protocol == key.protocol
                    && common.class != Class::Vacant
            }
            (Family::Inet, FlowKey::V6(_)) | (Family::Inet6, FlowKey::V4(_)) => false,
        }
    }

    /// Reads a record early, so that all of it is on its way into the cache.
    #[inline]
    pub(super) fn touch(&self, slot: Slot) -> u64 {
        match slot.family() {
            Family::Inet => self.v4.get(slot.number()).touch(),
            Family::Inet6 => self.v6.get(slot.number()).touch(),
        }
    }

    /// The slot after `slot` in the order of a listing: all of IPv4, then all of IPv6. `None` at the end.
    pub(super) fn walk(&self, after: Option<Slot>) -> Option<Slot> {
        let (family, next) = match after {
            None => (Family::Inet, 0),
            Some(slot) => (slot.family(), slot.number() as u32 + 1),
        };
        match family {
            Family::Inet if next < self.v4.grown => Some(Slot::new(Family::Inet, next)),
            Family::Inet if self.v6.grown > 0 => Some(Slot::new(Family::Inet6, 0)),
            Family::Inet6 if next < self.v6.grown => Some(Slot::new(Family::Inet6, next)),
            Family::Inet | Family::Inet6 => None,
        }
    }

    /// How many slots each family has, vacant ones included: IPv4, IPv6.
    pub(super) const fn grown(&self) -> [u32; 2] {
        [self.v4.grown, self.v6.grown]
    }

    /// The slot that a raw number names, when it exists.
    pub(super) fn slot(&self, raw: u32) -> Option<Slot> {
        let slot = Slot::from_raw(raw);
        let grown = match slot.family() {
            Family::Inet => self.v4.grown,
            Family::Inet6 => self.v6.grown,
        };
        (slot.number() < grown as usize && slot.raw() == Slot::new(slot.family(), slot.number() as u32).raw())
            .then_some(slot)
    }
}
