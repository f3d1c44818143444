//! Which slot a key belongs to.
//!
//! The index knows hashes, not keys: 12 bytes for each of a flow's two keys. The 64-bit hash is seeded, so nobody
//! outside can aim at it; should two keys agree all the same, [`FlowIndex::insert`] refuses the second and the
//! record, which holds the whole key, tells the difference on lookup. No guard of the map leaves an expression.
//!
//! Whoever has the index for himself needs no lock. That is not only cheaper: a processor does not begin to fetch what
//! the next look-up needs before the lock of this one is done, so that their cache misses would come one by one.

use std::hash::{BuildHasherDefault, Hash, Hasher};

use dashmap::{DashMap, SharedValue};
use foldhash::SharedSeed;
use foldhash::quality::FoldHasher;

use crate::types::{Family, Seed};
use crate::wire::FlowKey;

/// Growth happens one shard at a time, so many shards make it unnoticeable.
const SHARDS: usize = 1024;

/// Which of a flow's two keys a packet carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// As the packet that began the flow.
    Original,
    /// As the packets that answer.
    Reply,
}

impl Way {
    /// The opposite way.
    #[inline]
    pub const fn other(self) -> Way {
        match self {
            Way::Original => Way::Reply,
            Way::Reply => Way::Original,
        }
    }

    #[inline]
    pub(super) const fn index(self) -> usize {
        self as usize
    }
}

/// The place of a flow's record: family in the top bit, then its number in the slab of that family.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Slot(u32);

impl Slot {
    const INET6: u32 = 1 << 31;
    /// Slab numbers stay below this.
    pub(super) const LIMIT: u32 = 1 << 29;

    pub(super) const fn new(family: Family, number: u32) -> Slot {
        match family {
            Family::Inet => Slot(number),
            Family::Inet6 => Slot(number | Slot::INET6),
        }
    }

    #[inline]
    pub(super) const fn family(self) -> Family {
        if self.0 & Slot::INET6 == 0 { Family::Inet } else { Family::Inet6 }
    }

    #[inline]
    pub(super) const fn number(self) -> usize {
        (self.0 & (Slot::LIMIT - 1)) as usize
    }

    pub(super) const fn raw(self) -> u32 {
        self.0
    }

    pub(super) const fn from_raw(raw: u32) -> Slot {
        Slot(raw)
    }
}

/// A promise of the index: the flow of this slot probably has the key that was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hit {
    /// The flow.
    pub slot: Slot,
    /// Which of its keys.
    pub way: Way,
}

impl Hit {
    const REPLY: u32 = 1 << 30;

    const fn pack(self) -> u32 {
        match self.way {
            Way::Original => self.slot.0,
            Way::Reply => self.slot.0 | Hit::REPLY,
        }
    }

    const fn unpack(value: u32) -> Hit {
        let way = if value & Hit::REPLY == 0 { Way::Original } else { Way::Reply };
        Hit { slot: Slot(value & !Hit::REPLY), way }
    }
}

/// A key's seeded hash, aligned to four bytes so that an entry takes twelve.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct KeyHash([u32; 2]);

impl KeyHash {
    #[inline]
    fn value(self) -> u64 {
        u64::from(self.0[0]) | u64::from(self.0[1]) << 32
    }
}

impl Hash for KeyHash {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.value());
    }
}

/// The key is a hash already.
#[derive(Default)]
struct PassThrough(u64);

impl Hasher for PassThrough {
    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }

    #[inline]
    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
}

/// Both keys of every flow.
pub(super) struct FlowIndex {
    map: DashMap<KeyHash, u32, BuildHasherDefault<PassThrough>>,
    seed: u64,
    shared: SharedSeed,
}

impl FlowIndex {
    pub(super) fn new(seed: Seed) -> Self {
        let map = DashMap::with_hasher_and_shard_amount(BuildHasherDefault::default(), SHARDS);
        FlowIndex { map, seed: seed.0[0], shared: SharedSeed::from_u64(seed.0[1]) }
    }

    #[inline]
    pub(super) fn hash(&self, key: &FlowKey) -> KeyHash {
        let mut hasher = FoldHasher::with_seed(self.seed, &self.shared);
        match key {
            FlowKey::V4(key) => {
                hasher.write_u64(u64::from(u32::from(key.src)) << 32 | u64::from(u32::from(key.dst)));
                hasher.write_u64(ports(key.src_port, key.dst_port, key.protocol));
            }
            FlowKey::V6(key) => {
                hasher.write_u128(u128::from(key.src));
                hasher.write_u128(u128::from(key.dst));
                hasher.write_u64(ports(key.src_port, key.dst_port, key.protocol));
            }
        }
        let hash = hasher.finish();
        KeyHash([hash as u32, (hash >> 32) as u32])
    }

    #[inline]
    pub(super) fn find(&self, key: &FlowKey) -> Option<Hit> {
        self.map.get(&self.hash(key)).map(|value| Hit::unpack(*value))
    }

    /// The same without a lock.
    #[inline]
    pub(super) fn look_up(&mut self, key: &FlowKey) -> Option<Hit> {
        let hash = self.hash(key);
        let place = self.map.determine_shard(hash.value() as usize);
        let shard = self.map.shards_mut()[place].get_mut();
        let (_, value) = shard.get(hash.value(), |(other, _)| *other == hash)?;
        Some(Hit::unpack(*value.get()))
    }

    /// Enters a key; false when one with its hash is there already.
    pub(super) fn insert(&mut self, key: &FlowKey, hit: Hit) -> bool {
        let hash = self.hash(key);
        let place = self.map.determine_shard(hash.value() as usize);
        let shard = self.map.shards_mut()[place].get_mut();
        if shard.get(hash.value(), |(other, _)| *other == hash).is_some() {
            return false;
        }
        shard.insert(hash.value(), (hash, SharedValue::new(hit.pack())), |(other, _)| other.value());
        true
    }

    pub(super) fn remove(&mut self, key: &FlowKey, hit: Hit) {
        let hash = self.hash(key);
        let place = self.map.determine_shard(hash.value() as usize);
        let shard = self.map.shards_mut()[place].get_mut();
        shard.remove_entry(hash.value(), |(other, value)| *other == hash && *value.get() == hit.pack());
    }

    pub(super) fn len(&self) -> usize {
        self.map.len()
    }
}

#[inline]
const fn ports(src: u16, dst: u16, protocol: u8) -> u64 {
    (src as u64) << 32 | (dst as u64) << 16 | protocol as u64
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;
    use crate::wire::protocol;

    fn key(number: u16) -> FlowKey {
        let [high, low] = number.to_be_bytes();
        let (src, dst) = ([10, 0, 0, low].into(), [198, 51, 100, high].into());
        FlowKey::new(protocol::UDP, src, number, dst, 53).unwrap()
    }

    proptest! {
        #[test]
        fn it_is_a_map_with_a_lock_and_without(deeds in prop::collection::vec((0..3u8, 0..600u16, 0..4u32), 1..3000)) {
            let mut index = FlowIndex::new(Seed([3, 4]));
            let mut model = HashMap::new();
            for (deed, number, slot) in deeds {
                let way = if slot % 2 == 0 { Way::Original } else { Way::Reply };
                let hit = Hit { slot: Slot(slot), way };
                match deed {
                    0 => {
                        prop_assert_eq!(index.insert(&key(number), hit), !model.contains_key(&number));
                        model.entry(number).or_insert(hit);
                    }
                    1 => {
                        // Only whoever has entered a key takes it out.
                        index.remove(&key(number), hit);
                        model.retain(|other, held| *other != number || *held != hit);
                    }
                    _ => {
                        prop_assert_eq!(index.find(&key(number)), model.get(&number).copied());
                        prop_assert_eq!(index.look_up(&key(number)), model.get(&number).copied());
                    }
                }
                prop_assert_eq!(index.len(), model.len());
            }
        }
    }
}
