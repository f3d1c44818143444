//! Scenarios run for many seeds; the one that fails is named.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Runs a scenario for every seed; names the seed that fails.
pub fn for_each_seed(scenario: impl Fn(u64)) {
    for_some_seeds(u64::MAX, scenario);
}

/// The same for at most `limit` seeds: for scenarios that take long.
pub fn for_some_seeds(limit: u64, scenario: impl Fn(u64)) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("KOI_SIM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("KOI_SIM_SEEDS").unwrap_or(40).min(limit),
    };
    for seed in seeds {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| scenario(seed))) {
            eprintln!("this was seed {seed}: run it alone with KOI_SIM_SEED={seed}");
            resume_unwind(panic);
        }
    }
}
