//! Which of the peer's flows are which of ours, by slot.
//!
//! Invariant: the two maps are each other's inverse, and name living flows of ours only.

use super::index::Slot;
use crate::wire::pair::flow::RANGE;

const NONE: u32 = u32::MAX;
/// The highest number of a peer's slot in a family: more than the largest table has.
const LIMIT: u32 = 1 << 26;

/// See the module's documentation.
#[derive(Default)]
pub(super) struct Mirror {
    /// By family and number of the peer's slot: ours.
    theirs: [Vec<u32>; 2],
    /// By family and number of our slot: the peer's.
    ours: [Vec<u32>; 2],
    /// How many flows are bound.
    bound: u32,
    /// The range that is being told, and which of its slots were.
    range: Option<(u32, u32, [u64; RANGE as usize / 64])>,
    /// The peer has told all: where the search for flows that it did not tell of is.
    pub(super) sweep: Option<Option<Slot>>,
}

/// Family and number of a slot that the peer names; `None` when no table has it.
const fn place(raw: u32) -> Option<(usize, usize)> {
    let number = raw & !(1 << 31);
    if number < LIMIT { Some(((raw >> 31) as usize, number as usize)) } else { None }
}

fn get(maps: &[Vec<u32>; 2], raw: u32) -> Option<u32> {
    let (family, number) = place(raw)?;
    maps[family].get(number).copied().filter(|other| *other != NONE)
}

fn put(maps: &mut [Vec<u32>; 2], raw: u32, value: u32) {
    let Some((family, number)) = place(raw) else { return };
    let map = &mut maps[family];
    if number >= map.len() {
        if value == NONE {
            return;
        }
        map.resize(number + 1, NONE);
    }
    map[number] = value;
}

impl Mirror {
    /// True when a table may have such a slot.
    pub(super) fn may_be(theirs: u32) -> bool {
        place(theirs).is_some()
    }

    /// Our slot of the flow in this slot of the peer.
    pub(super) fn ours(&self, theirs: u32) -> Option<Slot> {
        get(&self.theirs, theirs).map(Slot::from_raw)
    }

    /// True when the peer tells of the flow in this slot of ours.
    pub(super) fn knows(&self, ours: Slot) -> bool {
        get(&self.ours, ours.raw()).is_some()
    }

    /// The peer's slot of the flow in this slot of ours.
    pub(super) fn theirs(&self, ours: Slot) -> Option<u32> {
        get(&self.ours, ours.raw())
    }

    /// How many flows the peer tells of.
    pub(super) const fn bound(&self) -> u32 {
        self.bound
    }

    /// The flow in the peer's slot is that in ours.
    pub(super) fn bind(&mut self, theirs: u32, ours: Slot) {
        if let Some(before) = get(&self.ours, ours.raw()).filter(|before| *before != theirs) {
            put(&mut self.theirs, before, NONE);
        }
        if let Some(before) = get(&self.theirs, theirs).filter(|before| *before != ours.raw()) {
            put(&mut self.ours, before, NONE);
            self.bound -= 1;
        }
        self.bound += u32::from(get(&self.ours, ours.raw()).is_none());
        put(&mut self.theirs, theirs, ours.raw());
        put(&mut self.ours, ours.raw(), theirs);
        if let Some((first, last, told)) = &mut self.range
            && (*first..=*last).contains(&theirs)
        {
            let at = theirs - *first;
            told[(at / 64) as usize] |= 1 << (at % 64);
        }
    }

    /// Flows of ours in slots that the peer does not even have; it has so many.
    pub(super) fn beyond(&self, grown: [u32; 2]) -> Vec<Slot> {
        let rest = self.theirs.iter().zip(grown).filter_map(|(map, grown)| map.get(grown as usize..));
        rest.flatten().filter(|ours| **ours != NONE).map(|ours| Slot::from_raw(*ours)).collect()
    }

    /// The flow in this slot of ours has ended.
    pub(super) fn forget(&mut self, ours: Slot) {
        if let Some(theirs) = get(&self.ours, ours.raw()) {
            put(&mut self.theirs, theirs, NONE);
            put(&mut self.ours, ours.raw(), NONE);
            self.bound -= 1;
        }
    }

    /// The peer begins to tell a range.
    pub(super) fn begin_range(&mut self, first: u32, last: u32) {
        self.range = Some((first, last, [0; RANGE as usize / 64]));
    }

    /// It has told all of it: what it did not tell of.
    pub(super) fn end_range(&mut self, first: u32, last: u32) -> Vec<Slot> {
        let Some((begun, _, told)) = self.range.take().filter(|(a, b, _)| (*a, *b) == (first, last)) else {
            return Vec::new();
        };
        let untold = (first..=last).filter(|slot| {
            let at = slot - begun;
            at < RANGE && told[(at / 64) as usize] >> (at % 64) & 1 == 0
        });
        untold.filter_map(|slot| self.ours(slot)).collect()
    }
}
