//! What may pass: the document's rules and pfSense's automatic ones, compiled, and asked per new flow.
//!
//! [`compile`] makes a [`Ruleset`] of a valid document; [`Ruleset::evaluate`] answers one [`Query`] with a
//! [`Verdict`]. First match wins; the last rule of every list blocks. Answers of known flows never come here:
//! the connection table remembers the verdict.
//!
//! Invariant: a [`Pass`] can only be had from a ruleset, and a [`Passed`] only with a `Pass`, so a frame that
//! no rule let out cannot be sent.

mod automatic;
mod bogons;
mod compile;
mod draft;
mod line;
mod martian;
mod query;
mod ruleset;
mod verdict;

#[cfg(test)]
mod tests;

pub use automatic::{Setting, id};
pub use compile::compile;
pub use martian::martian;
pub use query::Query;
pub use ruleset::{RuleInfo, Ruleset};
pub use verdict::{Pass, Passed, Verdict};
