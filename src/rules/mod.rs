//! What may pass: the document's rules and pfSense's automatic ones, compiled, and asked per new flow.
//!
//! [`compile`] makes a [`Ruleset`] of a valid document; [`Ruleset::decide`] answers one [`Query`] with a
//! [`Decision`]. The order is pf's: of the rules that match, the first quick one decides, and without one the last.
//! Answers of known flows never come here: the connection table remembers the verdict.
//!
//! | file | noun |
//! |---|---|
//! | `places` | what the words of a rule stand for on a node |
//! | `spans`, `set`, `table` | sets of numbers; sets of addresses and ports, with names; what an alias holds |
//! | `criteria` | what a rule looks at |
//! | `draft`, `automatic` | a rule before it is compiled; those that nobody wrote |
//! | `classifier` | which lines match a packet, without asking each |
//! | `addressed`, `book`, `bits`, `line` | its parts: addresses, one look-up per field, sets of lines, the rest of a line |
//! | `lint`, `region` | rules that do less, or more, than their author thinks |
//! | `compile`, `ruleset` | all rules of a node, and what they decide |
//!
//! Invariant: a [`Pass`] can only be had from a ruleset, and a [`Passed`] only with a `Pass`, so a frame that
//! no rule let out cannot be sent.

mod addressed;
mod automatic;
mod bits;
mod bogons;
mod book;
mod classifier;
mod compile;
mod criteria;
mod draft;
mod line;
mod lint;
mod martian;
mod outline;
mod places;
mod query;
mod record;
mod region;
mod ruleset;
mod set;
mod spans;
mod table;
mod verdict;

#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod tests;

pub use automatic::{Setting, id};
pub use classifier::Classifier;
pub use compile::compile;
pub use criteria::{BOTH, Criteria, EITHER_WAY, INWARD, OUTWARD, Scope, Tag, bit, only};
pub use lint::{Finding, Kind, lint};
pub use martian::martian;
pub use places::{Places, families, overload_tables};
pub use query::Query;
pub use record::{Logged, Record};
pub use ruleset::{Decision, RuleInfo, Ruleset};
pub use set::{Members, PortSet, PortTable, Set};
pub use spans::{Address, Number, Spans};
pub use table::{Table, Tables};
pub use verdict::{Choice, Limits, Pass, Passed, Terms, Verdict};
