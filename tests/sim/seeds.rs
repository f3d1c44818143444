//! Scenarios run for many seeds; the one that fails is named.

use std::cell::Cell;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// The seeds of every day: for these, scenarios that take long have a number of their own.
const EVERY_DAY: u64 = 200;

thread_local! {
    /// Of the scenario that runs: pairs that ran to their end, those of them that had lost flows which nobody had
    /// acknowledged, those where both nodes had led for long, and flows acknowledged in all of them.
    static TOLD: Cell<[u64; 4]> = const { Cell::new([0; 4]) };
}

/// A run of a pair has ended.
pub fn note_run(bereft: bool, torn: bool, acknowledged: usize) {
    let [runs, lost, both, flows] = TOLD.get();
    TOLD.set([runs + 1, lost + u64::from(bereft), both + u64::from(torn), flows + acknowledged as u64]);
}

/// Runs a scenario for every seed; names the seed that fails.
pub fn for_each_seed(scenario: impl Fn(u64)) {
    run(0..number("KOI_SIM_SEEDS").unwrap_or(40), scenario);
}

/// The same for so many of the [`EVERY_DAY`] ones, and for more when there are more: for scenarios that take long.
pub fn for_some_seeds(every_day: u64, scenario: impl Fn(u64)) {
    run(0..share(every_day, number("KOI_SIM_SEEDS").unwrap_or(40)), scenario);
}

/// How many seeds a scenario gets that has so many every day.
fn share(every_day: u64, seeds: u64) -> u64 {
    match seeds {
        0..=EVERY_DAY => seeds.min(every_day),
        more => every_day.saturating_mul(more) / EVERY_DAY,
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

fn run(seeds: std::ops::Range<u64>, scenario: impl Fn(u64)) {
    let seeds = number("KOI_SIM_SEED").map_or(seeds, |seed| seed..seed + 1);
    TOLD.set([0; 4]);
    for seed in seeds {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| scenario(seed))) {
            eprintln!("this was seed {seed}: run it alone with KOI_SIM_SEED={seed}");
            resume_unwind(panic);
        }
    }
    let [runs, lost, both, flows] = TOLD.get();
    if runs > 0 {
        let name = std::thread::current().name().unwrap_or_default().to_owned();
        // Not by the macro: a test that passes says it, too.
        let _ = writeln!(
            std::io::stderr(),
            "{name}: {runs} pairs, {flows} flows acknowledged; bereft of what nobody had acknowledged: {lost}; torn: {both}"
        );
    }
}

#[test]
fn more_seeds_are_more_for_every_scenario() {
    for (every_day, seeds, expected) in [
        (6, 200, 6),
        (6, 2000, 60),
        (80, 2000, 800),
        (80, 40, 40),
        (200, 2000, 2000),
        (2, 20, 2),
        (1, 300, 1),
    ] {
        assert_eq!(share(every_day, seeds), expected, "{every_day} of {seeds}");
    }
}
