//! What other suites and the standards ask of such a router, one case a row, in a small language.
//!
//! A [`Case`] has the name of the row that it is for, a set-up, and a script; `bench` runs it on a router on the bench, a
//! line at a time. The other files are tables of cases by subject. Rows that other tests of ours cover, or that do not
//! apply, stand in `rows.txt` with the place or the reason; [`rows`] holds the list and the tables together and says how
//! many rows have a test.

mod bench;
mod errors;
mod filter;
mod forward;
mod fragments;
mod language;
mod nat;
mod packet;
#[path = "../../fields/rig.rs"]
#[allow(dead_code, reason = "the bench of another test; not all of it is needed here")]
mod rig;
mod rows;
mod tcp;

/// A case.
pub struct Case {
    /// The rows that it is for, by the names of `rows.txt`.
    pub rows: &'static [&'static str],
    /// The document's rules and the like.
    pub set_up: SetUp,
    /// What happens, a line at a time.
    pub script: &'static str,
}

/// What a router is like.
#[derive(Clone, Copy)]
pub struct SetUp {
    /// It translates to its WAN address.
    pub nat: bool,
    /// Lines for `[system]`.
    pub system: &'static str,
    /// Rules and other sections.
    pub rules: &'static str,
}

/// LAN may go anywhere; nothing is translated.
pub const ROUTED: SetUp = SetUp { nat: false, system: "", rules: LAN_OUT };
/// LAN may go anywhere, translated.
pub const NAT: SetUp = SetUp { nat: true, ..ROUTED };

pub const LAN_OUT: &str = "[[rule]]\nid = 1000001\ninterface = \"lan\"\naction = \"pass\"\n";

pub const fn routed(rules: &'static str) -> SetUp {
    SetUp { rules, ..ROUTED }
}

pub const fn nat(rules: &'static str) -> SetUp {
    SetUp { rules, ..NAT }
}

/// Runs a table; says which case and which line was wrong.
pub fn run(cases: &[Case]) {
    let mut wrong = Vec::new();
    for case in cases {
        if let Err(why) = bench::Bench::new(&case.set_up).run(case.script) {
            wrong.push(format!("{:?}: {why}", case.rows));
        }
    }
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}
