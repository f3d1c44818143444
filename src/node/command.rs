//! What the control plane asks of a shard, between two batches.

use std::sync::Arc;

use super::compiled::Compiled;
use super::snapshot::{DropRow, FlowRow, Snapshot};
use crate::conntrack::{Cursor, Filter};
use crate::types::{Instant, InterfaceId};

/// Where an answer goes. Called once, on the forward thread: it must only hand the value over.
pub type Reply<T> = Box<dyn FnOnce(T) + Send>;

/// A copy of every frame of an interface, for `koi capture`. False ends the capture.
pub type CaptureSink = Box<dyn FnMut(Instant, &[u8]) -> bool + Send>;

/// A bounded piece of work.
pub enum Command {
    /// Put a configuration in force.
    Apply(Arc<Compiled>, Reply<()>),
    /// Everything but the flows.
    Snapshot(Reply<Snapshot>),
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
    /// Begin a capture.
    Capture {
        /// The interface; all when absent.
        interface: Option<InterfaceId>,
        /// Receives the frames.
        sink: CaptureSink,
    },
}
