//! Digests between two tables: nothing that is covered may change unseen, what differs heals, what does not is never
//! said to.

use proptest::prelude::*;

use super::super::index::Way;
use super::super::replication_tests::{Pair, at, flow_key, reply_key, rows, settle};
use super::super::table::{Pending, Table};
use super::super::testing::{first, key, pending, table};
use super::super::timer::{Tick, Traffic};
use super::super::witness::Via;
use super::*;
use crate::rules::Pass;
use crate::types::RuleId;
use crate::wire::pair::flow::{self, RANGE, Walked};
use crate::wire::protocol;

/// Something happens to a record that nobody does.
#[derive(Clone, Copy, Debug)]
enum Damage {
    Identity,
    Binding,
    Rule,
    Interface,
    Progress,
    Missing,
    Extra,
}

/// To the nth flow of the pair in a table; false when there is none.
fn spoil(table: &mut Table, now: u64, nth: usize, damage: Damage) -> bool {
    let mut slots = Vec::new();
    let mut place = None;
    while let Some(slot) = table.store.walk(place) {
        place = Some(slot);
        if table.store.common(slot).is_shared() {
            slots.push(slot);
        }
    }
    if let Damage::Extra = damage {
        let original = key(protocol::UDP, "10.77.0.1", nth as u16, "198.51.100.7", 53);
        return table.insert(at(now), pending(original, original.inverse()), &first(&original)).is_ok();
    }
    let Some(&slot) = slots.get(nth % slots.len().max(1)) else { return false };
    match damage {
        Damage::Identity => table.store.spoil_port(slot, Way::Original),
        Damage::Binding => table.store.spoil_port(slot, Way::Reply),
        Damage::Rule => {
            let before = table.store.common(slot).witness();
            let witness =
                table.witnesses.hold([Pass::forged(RuleId(77)), Pass::forged(RuleId(2))], Via::default());
            table.store.common_mut(slot).set_witness(witness);
            table.witnesses.release(before);
        }
        Damage::Interface => table.store.common_mut(slot).interfaces[1].0 ^= 4,
        Damage::Progress => {
            let common = table.store.common_mut(slot);
            let other = match common.traffic() {
                [_, Traffic::None] => [Traffic::Single; 2],
                [_, Traffic::Single | Traffic::Multiple] => [Traffic::Single, Traffic::None],
            };
            common.set_traffic(other);
        }
        Damage::Missing => table.remove(slot),
        Damage::Extra => {}
    }
    true
}

fn digest(table: &Table) -> Digest {
    of_range(&table.store, &table.witnesses, 5, 0, RANGE - 1)
}

#[test]
fn every_covered_field_changes_the_digest_and_no_other_does() {
    type Change = fn(&mut Table, Slot);
    let covered: [(&str, Change); 8] = [
        ("original key", |table, slot| table.store.spoil_port(slot, Way::Original)),
        ("reply key", |table, slot| table.store.spoil_port(slot, Way::Reply)),
        ("protocol", |table, slot| table.store.common_mut(slot).protocol = protocol::TCP),
        ("class", |table, slot| table.store.common_mut(slot).class = Class::UdpOneWay),
        ("progress", |table, slot| table.store.common_mut(slot).set_traffic([Traffic::Multiple; 2])),
        ("interface in", |table, slot| table.store.common_mut(slot).interfaces[0].0 += 1),
        ("interface out", |table, slot| table.store.common_mut(slot).interfaces[1].0 += 1),
        ("rules", |table, slot| {
            let witness =
                table.witnesses.hold([Pass::forged(RuleId(2)), Pass::forged(RuleId(1))], Via::default());
            table.store.common_mut(slot).set_witness(witness);
        }),
    ];
    let other: [(&str, Change); 5] = [
        ("counters", |table, slot| table.store.common_mut(slot).count(Way::Reply, 3, 400)),
        ("times", |table, slot| {
            let common = table.store.common_mut(slot);
            (common.seen, common.created) = (Tick(9), Tick(7));
        }),
        ("epoch", |table, slot| table.store.common_mut(slot).epoch += 1),
        ("next hop", |table, slot| table.store.common_mut(slot).next_hop = [8, 9]),
        ("marks", |table, slot| {
            let common = table.store.common_mut(slot);
            common.set_dirty(true);
            common.set_told();
            common.set_relearn(true);
        }),
    ];
    for inet6 in [false, true] {
        let (src, dst) = if inet6 { ("2001:db8::1", "2001:db8::2") } else { ("10.0.0.1", "198.51.100.7") };
        let original = key(protocol::UDP, src, 4000, dst, 53);
        let begin = || {
            let mut table = table(10);
            let hit = table.insert(at(1), pending(original, original.inverse()), &first(&original)).unwrap();
            (table, hit.slot)
        };
        let of = |table: &Table, slot: Slot| {
            of_range(&table.store, &table.witnesses, 5, slot.raw(), slot.raw() + 255)
        };
        let (table, slot) = begin();
        let before = of(&table, slot);
        assert_eq!(before.count, 1);
        let named = |name| mixed(&table.store, &table.witnesses, 5, name, slot).unwrap();
        assert_ne!(named(0), named(1), "the name of the slot");
        assert_ne!(of_range(&table.store, &table.witnesses, 6, slot.raw(), slot.raw() + 255).sum, before.sum);
        for (what, change) in covered {
            let (mut table, slot) = begin();
            change(&mut table, slot);
            assert_ne!(of(&table, slot).sum, before.sum, "{what}");
        }
        for (what, change) in other {
            let (mut table, slot) = begin();
            change(&mut table, slot);
            assert_eq!(of(&table, slot), before, "{what}");
        }
    }
}

/// The other node may run another release.
#[test]
fn what_a_flow_is_mixed_down_to_is_part_of_the_protocol() {
    let mut table = table(10);
    let v4 = key(protocol::UDP, "10.0.0.1", 4000, "198.51.100.7", 53);
    table.insert(at(1), pending(v4, v4.inverse()), &first(&v4)).unwrap();
    let slot = Slot::from_raw(0);
    let mut expected = 5;
    for (addresses, ports) in
        [(0x0a00_0001_c633_6407, 4000 << 16 | 53), (0xc633_6407_0a00_0001, 53 << 16 | 4000)]
    {
        expected = mix(expected, addresses, ports);
    }
    // Rules 1 and 2; slot 0, UDP, class 7, one packet of the original way; interfaces 1 and 0.
    let [InterfaceId(a), InterfaceId(b)] = table.store.common(slot).interfaces;
    expected = mix(expected, 1 << 32 | 2, 17 << 16 | 7 << 8 | 1);
    expected = mix(expected, u64::from(a) << 8 | u64::from(b), 5);
    assert_eq!(mixed(&table.store, &table.witnesses, 5, 0, slot), Some(expected));
}

#[test]
fn the_routers_own_flows_are_not_in_it() {
    let mut table = table(10);
    let empty = digest(&table);
    let own = key(protocol::UDP, "203.0.113.3", 123, "198.51.100.1", 123);
    let mine = Pending { egress: InterfaceId::SELF, ends_here: true, ..pending(own, own.inverse()) };
    table.insert(at(1), mine, &first(&own)).unwrap();
    assert_eq!((digest(&table), empty.count, empty.sum), (empty, 0, 0));
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        Just(Damage::Identity),
        Just(Damage::Binding),
        Just(Damage::Rule),
        Just(Damage::Interface),
        Just(Damage::Progress),
        Just(Damage::Missing),
        Just(Damage::Extra),
    ]
}

/// The tables, as the slow and plain way to compare them sees them.
fn are_equal(pair: &Pair) -> bool {
    rows(&pair.active) == rows(&pair.standby)
}

impl Pair {
    /// A second passes: what waits is told, and the standby asks for what differs.
    fn second(&mut self) {
        self.now += 1;
        for table in [&mut self.active, &mut self.standby] {
            settle(table, self.now);
        }
        for _ in 0..40 {
            self.take();
            settle(&mut self.standby, self.now);
            self.ask();
        }
    }

    /// Whatever differs is found and healed within five seconds.
    fn heals(&mut self) {
        for _ in 0..5 {
            self.second();
        }
        assert!(are_equal(self), "{:#?}\n{:#?}", rows(&self.active), rows(&self.standby));
        assert!(self.differing.is_empty(), "{:?}", self.differing);
        for table in [&self.active, &self.standby] {
            assert_eq!(table.keys(), 2 * table.len());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whatever_happens_to_the_standbys_table_is_found_and_healed(
        flows in prop::collection::vec((0usize..40, 0usize..3), 1..60),
        damages in prop::collection::vec((damage(), 0usize..40), 1..6),
        meanwhile in prop::collection::vec((0usize..40, 0usize..3), 0..10),
    ) {
        let mut pair = Pair::new(100);
        for (number, nth) in flows {
            (0..=nth).for_each(|nth| pair.packet(number, nth));
        }
        pair.drain();
        pair.may_differ = true;
        // A key of a flow that nobody tells of would lead nowhere for ever.
        let (extra, spoiling): (Vec<_>, Vec<_>) =
            damages.into_iter().partition(|(damage, _)| matches!(damage, Damage::Extra));
        for (damage, nth) in spoiling.into_iter().chain(extra) {
            spoil(&mut pair.standby, pair.now, nth, damage);
        }
        let (spoilt, rounds) = (!are_equal(&pair), pair.rounds);
        let quiet = meanwhile.is_empty();
        for (number, nth) in meanwhile {
            pair.packet(number, nth);
        }
        let corrected = pair.active.counters().corrected + pair.standby.counters().import_strays;
        pair.heals();
        prop_assert!(pair.rounds > rounds);
        let found = pair.active.counters().corrected + pair.standby.counters().import_strays > corrected;
        prop_assert!(found || !spoilt || !quiet, "nobody noticed");
    }

    #[test]
    fn tables_that_are_the_same_are_never_said_to_differ(
        events in prop::collection::vec((0usize..40, 0usize..7, 0u64..3), 1..200),
        limit in 0usize..20,
    ) {
        let mut pair = Pair::new(limit);
        for (number, nth, seconds) in events {
            pair.packet(number, nth);
            if nth == 6 {
                pair.now += seconds;
                settle(&mut pair.active, pair.now);
                settle(&mut pair.standby, pair.now);
            }
            // Whatever is told here and not, a digest that says otherwise fails the test.
            if nth % 3 > 0 {
                pair.take();
            }
        }
        pair.drain();
    }

    #[test]
    fn after_a_change_of_roles_names_are_enough_for_what_both_have(
        flows in prop::collection::vec((0usize..40, 0usize..3), 1..60),
        since in prop::collection::vec((0usize..40, 0usize..3), 0..10),
        damages in prop::collection::vec((damage(), 0usize..40), 0..3),
    ) {
        let mut pair = Pair::new(100);
        for (number, nth) in flows {
            (0..=nth).for_each(|nth| pair.packet(number, nth));
        }
        pair.drain();
        let common = pair.active.len();
        // The old active goes on without being heard; the new one does as well.
        let (extra, spoiling): (Vec<_>, Vec<_>) =
            damages.into_iter().partition(|(damage, _)| matches!(damage, Damage::Extra));
        for (damage, nth) in spoiling.into_iter().chain(extra) {
            spoil(&mut pair.active, pair.now, nth, damage);
        }
        pair.swap_by_name(100);
        for (number, nth) in since {
            pair.packet(number, nth);
        }
        pair.drain_and_heal();
        pair.heals();
        let Walked { full, known } = pair.walked;
        prop_assert!((full + known) as usize >= common.min(pair.active.len()).saturating_sub(1), "{full} {known} {common}");
    }
}

#[test]
fn names_take_a_fraction_of_what_flows_take() {
    let mut pair = Pair::new(10_000);
    for number in 0..900u16 {
        let original = key(protocol::UDP, "10.0.0.1", number, "198.51.100.7", 53);
        let outside = key(protocol::UDP, "198.51.100.7", 53, "203.0.113.2", 50_000 + number);
        pair.active.insert(at(100), pending(original, outside), &first(&original)).unwrap();
    }
    pair.drain();
    assert_eq!(pair.walked, Walked { full: 900, known: 0 }, "they came before the walk was over");
    pair.swap(10_000);
    pair.drain();
    let in_full = pair.bytes;
    assert_eq!(pair.walked, Walked { full: 900, known: 0 });
    pair.swap_by_name(10_000);
    pair.drain();
    assert_eq!(pair.walked, Walked { full: 0, known: 900 });
    assert!(pair.bytes * 3 < in_full, "{} of {in_full}", pair.bytes);
    assert_eq!(pair.standby.counters().import_known, 900);
}

#[test]
fn a_standby_that_lost_its_flows_is_told_them_in_full() {
    let mut pair = Pair::new(100);
    for number in 0..40 {
        pair.packet(number, 0);
    }
    pair.drain();
    let flows = pair.active.len();
    pair.active = table(1000);
    pair.swap_by_name(100);
    pair.drain_and_heal();
    assert_eq!(pair.walked.known as usize, flows);
    assert_eq!(pair.standby.counters().import_unknown, flows as u64);
    assert!(flow_key(1) != reply_key(1) && pair.standby.find(&flow_key(1)).is_some());
}

/// `cargo test --release --lib digest -- --ignored --nocapture`
#[test]
#[ignore = "a measurement, for a release build and a quiet machine"]
#[allow(clippy::print_stdout, clippy::disallowed_methods, reason = "figures for people, of real time")]
fn figures() {
    use std::time::{Duration, Instant};
    const FLOWS: u32 = 1 << 20;
    let mut pair = Pair::new(1 << 16);
    (pair.active, pair.standby) = (table(2 * FLOWS), table(2 * FLOWS));
    pair.begin(1 << 16);
    for number in 0..FLOWS {
        let source = format!("10.{}.{}.{}", number >> 16 & 255, number >> 8 & 255, number & 255);
        let original = key(protocol::UDP, &source, 4000, "198.51.100.7", 53);
        let outside = key(protocol::UDP, "198.51.100.7", 53, &source.replacen("10.", "11.", 1), 9);
        pair.active.insert(at(100), pending(original, outside), &first(&original)).unwrap();
    }
    let (mut encoding, mut importing, mut chunks) = (Duration::ZERO, Duration::ZERO, 0);
    let mut chunk = Vec::new();
    pair.begin(1 << 16);
    while pair.active.has_changes() {
        let begun = Instant::now();
        let some = pair.active.take_changes(at(100), 1400, &mut chunk);
        encoding += begun.elapsed();
        let begun = Instant::now();
        if some {
            chunks += 1;
            for change in flow::decode(&chunk) {
                let resolve = |rule, _| Some(Pass::forged(rule));
                pair.standby.import(at(100), 9, &change.unwrap(), &resolve).unwrap();
            }
        }
        importing += begun.elapsed();
    }
    println!("{FLOWS} flows in {chunks} chunks: made in {encoding:?}, taken in {importing:?}");
    let ranges = FLOWS / RANGE;
    let begun = Instant::now();
    let mut sum = 0u64;
    for range in 0..ranges {
        let first = range * RANGE;
        sum ^= of_range(&pair.active.store, &pair.active.witnesses, 5, first, first + RANGE - 1).sum;
    }
    let each = begun.elapsed() / ranges;
    // A round takes three seconds.
    let share = (each * ranges).as_secs_f64() / 3.0 * 100.0;
    println!("a digest of a range of the active's: {each:?}, {share:.2} % of a processor ({sum:x})");
    assert!(share <= 2.0, "digests of a million states take {share:.2} % of a processor");
    let begun = Instant::now();
    for range in 0..ranges {
        let first = range * RANGE;
        let theirs = of_range(&pair.active.store, &pair.active.witnesses, 5, first, first + RANGE - 1);
        let change = flow::Change::Digest(theirs);
        pair.standby.import(at(100), 9, &change, &|_, _| None).unwrap();
    }
    let both = begun.elapsed() / ranges;
    println!("the same of the standby's, through its mirror: {:?}", both.saturating_sub(each));
}
