//! What the control plane asks of a shard, between two batches.

use std::net::IpAddr;
use std::sync::Arc;

use super::compiled::Compiled;
use super::overload::OverloadEntry;
use super::snapshot::{DropRow, FlowRow, Snapshot, TalkRow};
use super::tally::RuleCounts;
use crate::cluster::replica::Evidence;
use crate::conntrack::{Cursor, Filter, FlowState, Survey};
use crate::route::Status;
use crate::rules::Record;
use crate::types::{Instant, InterfaceId};
use crate::wire::FlowKey;
use crate::wire::pair::Version;
use crate::wire::pair::flow::Malformed;

/// Where an answer goes. Called once, on the forward thread: it must only hand the value over.
pub type Reply<T> = Box<dyn FnOnce(T) + Send>;

/// A copy of every frame of an interface, for `koi capture`. False ends the capture.
pub type CaptureSink = Box<dyn FnMut(Instant, &[u8]) -> bool + Send>;

/// Which way changes go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Replication {
    /// No way.
    Off,
    /// To the peer's node: everything is told, then what changes.
    Tell {
        /// The peer's node still has the flows that it last told this one of; it needs only their names.
        by_name: bool,
    },
    /// From the peer's node, whose stream begins: what it told before means nothing any more.
    Listen,
}

/// What became of a chunk.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Imported {
    /// Changes taken over.
    pub taken: u32,
    /// Changes refused; the table counts why.
    pub refused: u32,
    /// The rest of the chunk is not in this node's language.
    pub malformed: Option<Malformed>,
    /// What it has shown of both tables being the same.
    pub evidence: Evidence,
}

/// A bounded piece of work.
pub enum Command {
    /// Put a configuration in force.
    Apply(Arc<Compiled>, Reply<()>),
    /// The same configuration under other circumstances: other rules and translations, and nothing else.
    Renew(Arc<Compiled>, Reply<()>),
    /// Everything but the flows.
    Snapshot(Reply<Snapshot>),
    /// The same without routes and neighbours: what the document bounds, so that it can be looked at once a second.
    Glance(Reply<Snapshot>),
    /// How much goes to and from each host, by the flows that there are.
    Talkers {
        /// Where the last round ended; `None` at first.
        cursor: Option<Cursor>,
        /// Looks at this many flows at most.
        limit: usize,
        /// A row for each flow, and where to go on.
        reply: Reply<(Vec<TalkRow>, Option<Cursor>)>,
    },
    /// How the gateways are, in the document's order.
    Gateways(Reply<Vec<Status>>),
    /// A page of flows.
    Flows {
        /// Which ones.
        filter: Filter,
        /// Where the last page ended; `None` at first.
        cursor: Option<Cursor>,
        /// Looks at this many flows at most.
        limit: usize,
        /// Rows, and where the next page begins (`None` at the end).
        reply: Reply<(Vec<FlowRow>, Option<Cursor>)>,
    },
    /// Go on with a look through the connection table.
    Survey {
        /// It, which comes back.
        survey: Box<Survey>,
        /// Looks at this many slots at most.
        limit: usize,
        /// Where it goes.
        reply: Reply<Box<Survey>>,
    },
    /// The flow that a packet belongs to.
    Find {
        /// Its key.
        key: FlowKey,
        /// The flow, when there is one.
        reply: Reply<Option<FlowState>>,
    },
    /// End flows.
    Kill {
        /// Which ones.
        filter: Filter,
        /// Where the last round ended; `None` at first.
        cursor: Option<Cursor>,
        /// Looks at this many flows at most.
        limit: usize,
        /// How many there were, and where to go on.
        reply: Reply<(usize, Option<Cursor>)>,
    },
    /// The recent drops, newest first.
    Drops(Reply<Vec<DropRow>>),
    /// Who is in the overload tables.
    Overloaded(Reply<Vec<OverloadEntry>>),
    /// Empty an overload table.
    EmptyTable {
        /// Its name; all of them when absent.
        table: Option<String>,
        /// How many sources got out; `None` when there is no such table.
        reply: Reply<Option<usize>>,
    },
    /// Forget a neighbour: whoever needs it asks for it anew.
    Forget {
        /// Where it is.
        interface: InterfaceId,
        /// Who it is.
        address: IpAddr,
        /// False when it was not known.
        reply: Reply<bool>,
    },
    /// Records of the firewall log, newest first.
    Log {
        /// Those with a higher number.
        after: u64,
        /// So many at most.
        limit: usize,
        /// Them, and the present time.
        reply: Reply<(Vec<Record>, Instant)>,
    },
    /// What was counted by rule.
    Rules(Reply<RuleCounts>),
    /// Changes that the peer's node tells, in the order of its stream.
    Import {
        /// A chunk.
        bytes: Vec<u8>,
        /// What became of it.
        reply: Reply<Imported>,
    },
    /// Packets of the peer's own that go through this node, or answers to this node's.
    Detour(Vec<u8>),
    /// Tell the peer's node of changes, listen to it, or neither.
    Replicate(Replication),
    /// The peer's node knows this release of the pair's protocols, and so does this one.
    Speak(Version),
    /// Tell the peer's node again what it does not have the same: ranges by their first slots, and single flows.
    Correct {
        /// Ranges.
        ranges: Vec<u32>,
        /// Flows.
        flows: Vec<u32>,
    },
    /// Ask the stations behind an interface whether they are there.
    Probe(InterfaceId),
    /// The peer's node has room for so many more chunks.
    Grant(usize),
    /// Begin a capture.
    Capture {
        /// The interface; all when absent.
        interface: Option<InterfaceId>,
        /// Receives the frames.
        sink: CaptureSink,
    },
}
