//! When which range of slots has its digest.
//!
//! A round goes through all ranges. The first one of a telling follows at once on its walk; later ones take
//! [`ROUND`], or longer when there are very many slots, a few ranges at a time.

use super::index::Slot;
use super::slab::Store;
use crate::types::{Duration, Family, Instant, Random};
use crate::wire::pair::flow::RANGE;

/// How long a round takes. A difference that comes up behind it is found within this.
const ROUND: Duration = Duration::from_secs(3);
/// Ranges at a time.
pub(super) const AT_ONCE: u32 = 4;
/// The shortest time between two steps.
const PAUSE: Duration = Duration::from_millis(2);

/// See the module's documentation.
pub(super) struct Rounds {
    /// The next slot.
    next: Slot,
    due: Instant,
    /// The first round is not over.
    hurries: bool,
    keys: Random,
}

impl Rounds {
    pub(super) fn new(now: Instant, keys: Random) -> Self {
        Rounds { next: Slot::new(Family::Inet, 0), due: now, hurries: true, keys }
    }

    /// When the next step is due.
    pub(super) const fn due(&self) -> Instant {
        self.due
    }

    /// The first round is not over.
    pub(super) const fn hurries(&self) -> bool {
        self.hurries
    }

    /// A key that nobody could know before.
    pub(super) fn key(&mut self) -> u64 {
        self.keys.next()
    }

    /// The next range: its first slot and its last one. `None` when the round is over; another one begins then.
    pub(super) fn next(&mut self, store: &Store) -> Option<(u32, u32)> {
        let [grown, grown6] = store.grown();
        if self.next.family() == Family::Inet && self.next.number() as u32 >= grown {
            self.next = Slot::new(Family::Inet6, 0);
        }
        let (family, number) = (self.next.family(), self.next.number() as u32);
        let end = match family {
            Family::Inet => grown,
            Family::Inet6 => grown6,
        };
        if number >= end {
            self.next = Slot::new(Family::Inet, 0);
            self.hurries = false;
            return None;
        }
        self.next = Slot::new(family, number.saturating_add(RANGE));
        let last = (number + RANGE - 1).min(end - 1);
        Some((Slot::new(family, number).raw(), Slot::new(family, last).raw()))
    }

    /// A step was made.
    pub(super) fn pace(&mut self, now: Instant, store: &Store) {
        if self.hurries {
            return;
        }
        let steps = store.grown().map(|grown| grown.div_ceil(RANGE)).iter().sum::<u32>().div_ceil(AT_ONCE);
        let pause = (ROUND / steps.max(1)).max(PAUSE);
        // A step that came late does not delay the others, but they do not come in a heap either.
        self.due = (self.due + pause).max(now + pause / 2);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{first, key, pending, table};
    use super::*;
    use crate::types::Seed;
    use crate::wire::protocol;

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    #[test]
    fn a_round_goes_through_all_ranges_of_both_families() {
        let mut table = table(2000);
        for number in 0..700u16 {
            let original = key(protocol::UDP, "10.0.0.1", number, "198.51.100.7", 53);
            table.insert(at(0), pending(original, original.inverse()), &first(&original)).unwrap();
        }
        let original = key(protocol::UDP, "2001:db8::1", 9, "2001:db8::2", 53);
        table.insert(at(0), pending(original, original.inverse()), &first(&original)).unwrap();
        let mut rounds = Rounds::new(at(0), Seed([1, 2]).random());
        let six = 1 << 31;
        for round in 0..3 {
            assert_eq!(rounds.hurries(), round == 0);
            for range in [(0, 255), (256, 511), (512, 699), (six, six)] {
                assert_eq!(rounds.next(&table.store), Some(range));
            }
            assert_eq!(rounds.next(&table.store), None);
        }
    }

    #[test]
    fn later_rounds_take_their_time_and_nothing_comes_in_a_heap() {
        let table = table(10);
        let mut rounds = Rounds::new(at(5), Seed([1, 2]).random());
        rounds.pace(at(5), &table.store);
        assert_eq!(rounds.due(), at(5), "the first round hurries");
        assert_eq!(rounds.next(&table.store), None);
        rounds.pace(at(6), &table.store);
        assert_eq!(rounds.due(), at(3005));
        rounds.pace(at(9000), &table.store);
        assert_eq!(rounds.due(), at(10_500), "late by more than a round");
    }
}
