//! The state table: every flow that the rules let through, once, under two keys.
//!
//! A flow is one record. Its *original* key is that of the packet that began it, as it came in; its *reply* key
//! is that of the packets that answer, as they come in. Translation is the difference between the two: a packet
//! that goes the original way leaves as the inverse of the reply key, and the other way round. So one record
//! says everything that NAT needs, and nothing else remembers a translation.
//!
//! A packet takes three steps, so that the cache misses of a batch overlap:
//!
//! 1. [`Table::find`] asks only the index. It yields a [`Hit`]: a slot and a [`Way`], by a 64-bit seeded hash.
//! 2. [`Table::touch`] reads the record early and does nothing with it.
//! 3. [`Table::advance`] compares the whole key with the record, runs the state machine, counts and refreshes.
//!
//! Invariants: both keys of a flow are in the index, or neither; a record is reached only by a packet whose whole
//! key it holds, whatever the hash says and whatever happened between the steps; nothing allocates per packet on
//! the established path; every loop has a bound, every refusal a counter.
//!
//! | file | noun |
//! |---|---|
//! | `table` | the flows of one worker: insert, remove, limits |
//! | `index` | which slot a key belongs to |
//! | `record`, `slab` | one flow in memory, and all of them |
//! | `advance` | what a packet does to its flow |
//! | `segment`, `tcp` | the window machine, with its inequalities numbered |
//! | `timer`, `chains` | pf's timers, and the wheel and queues that remember them |
//! | `sources` | half-open flows per source |
//! | `related` | ICMP errors about flows |
//! | `witness` | the verdicts of rules and the gateways, shared by flows |
//! | `usage`, `bounded` | what rules with limits have in use, in a map of a bounded size |
//! | `pressure` | timers that are shorter when there are many flows |
//! | `proxy`, `cookie`, `siphash` | handshakes that the router completes, and SYNs that leave no trace |
//! | `readmit` | flows under a new configuration |
//! | `list`, `survey` | what people are shown, and what they kill |
//! | `changes`, `ranges`, `writer` | what the peer of a pair has to be told |
//! | `import`, `mirror` | what the peer tells, and which of its flows are which of ours |
//! | `digest`, `rounds` | what both tables must have in common, and when it is compared |

mod advance;
mod bounded;
mod chains;
mod changes;
mod cookie;
mod digest;
mod import;
mod index;
mod list;
mod mappings;
mod mirror;
mod pressure;
mod proxy;
mod ranges;
mod readmit;
mod record;
mod related;
mod rounds;
mod segment;
mod siphash;
mod slab;
mod sources;
mod survey;
mod table;
mod tcp;
mod timer;
mod usage;
mod witness;
mod writer;

#[cfg(test)]
mod replication_tests;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use advance::{Advance, Challenge, Step};
pub use changes::Backlog;
pub use cookie::{CookieRoot, Redeemed};
pub use import::{Refused, Taken};
pub use index::{Hit, Slot, Way};
pub use list::{Cursor, Filter, FlowState, Stage};
pub use proxy::Handshake;
pub use readmit::Admission;
pub use related::Related;
pub use survey::{By, Group, Sum, Survey};
pub use table::{ConntrackConfig, Counters, NO_HOP, Pending, Table, Why};
pub use usage::{Connected, Usage};
pub use witness::{RuleTotals, Via};
