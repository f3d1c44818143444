//! The whole router as one value.
//!
//! [`Shard`] is the router (or one worker's share of it), [`Compiled`] the configuration that it obeys, [`Outbox`]
//! what it hands to the edge. `forward.rs` is the packet path.
//!
//! Invariant: nothing here reads a clock, a file or a socket; the same calls give the same bytes.

#[cfg(test)]
mod answer_tests;
mod apply;
mod arrival;
mod assumption;
mod calendar;
mod challenge;
mod command;
mod compiled;
mod courier;
mod deferral;
mod departure;
mod detour;
mod drops;
mod error_rate;
mod explain;
mod forward;
mod gateways;
#[cfg(test)]
mod handover_tests;
mod helm;
mod journal;
mod lapse;
mod limit;
mod line;
mod local;
mod notice;
mod outbox;
mod overload;
mod pair;
mod policy;
mod pressure;
mod rate;
mod refusal;
mod related;
mod relay;
mod replication;
mod report;
mod shard;
mod size;
pub mod snapshot;
mod synproxy;
mod tally;
mod traffic;
mod translate;
mod uplinks;
mod virtual_ip;
mod ways;

pub use command::{CaptureSink, Command, Imported, Replication, Reply};
pub use compiled::{Compiled, Link, RouteOrigin};
pub use courier::{Courier, CourierOutbox, NotAgain, ReplicaOrder};
pub use explain::{Asked, Explanation, Leaving, Question, Step, explain, inside};
pub use helm::{
    CourierOrder, DigestRow, Finding, Helm, HelmNotice, HelmOutbox, MakeEntropy, PairSnapshot, PairingNews,
    PairingOrder, PairingRow, PathRow as PairPathRow, PeerRow as PairPeerRow, Pulse, RangeRow,
    ReplicationRow, TransitionRow, VirtualIpRow as PairVirtualIpRow, WalkRow, Way as SyncWay,
    nothing_arrives, sync_way,
};
pub use journal::log_row;
pub use notice::Notice;
pub use outbox::Outbox;
pub use overload::OverloadEntry;
pub use pair::PairPart;
pub use policy::{
    GroupRow, OverloadRow, Policy, RuleRow, ScheduleRow, TableRow, TranslationRow, overload_rows, policy,
    rule_rows,
};
pub use replication::CHUNK;
pub use report::{flow_row, protocol_name};
pub use shard::{Shard, Why};
pub use tally::{RuleCounts, Tally};
pub use virtual_ip::VirtualIp;

pub use crate::wire::Offload;
