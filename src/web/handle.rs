//! How pages ask the router.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::conntrack::{Cursor, Filter};
use crate::node::Command;
use crate::node::snapshot::{DropRow, FlowRow, Snapshot};

/// Hands a command to the forward thread; false when too many wait.
type Ask = dyn Fn(Command) -> bool + Send + Sync;

/// Asks the router, from any task.
#[derive(Clone)]
pub struct Handle {
    ask: Arc<Ask>,
}

impl Handle {
    /// A handle that hands its commands to `ask`.
    pub fn new(ask: impl Fn(Command) -> bool + Send + Sync + 'static) -> Self {
        Handle { ask: Arc::new(ask) }
    }

    /// Everything but the flows; `None` when the router is too busy to answer.
    pub async fn snapshot(&self) -> Option<Snapshot> {
        let (sender, receiver) = oneshot::channel();
        self.say(Command::Snapshot(Box::new(move |snapshot| drop(sender.send(snapshot)))))?;
        receiver.await.ok()
    }

    /// The first flows.
    pub async fn flows(&self, cursor: Option<Cursor>, limit: usize) -> Option<Vec<FlowRow>> {
        let (sender, receiver) = oneshot::channel();
        let reply = Box::new(move |(rows, _): (Vec<FlowRow>, Option<Cursor>)| drop(sender.send(rows)));
        self.say(Command::Flows { filter: Filter::default(), cursor, limit, reply })?;
        receiver.await.ok()
    }

    /// The recent drops, newest first.
    pub async fn drops(&self) -> Option<Vec<DropRow>> {
        let (sender, receiver) = oneshot::channel();
        self.say(Command::Drops(Box::new(move |rows| drop(sender.send(rows)))))?;
        receiver.await.ok()
    }

    fn say(&self, command: Command) -> Option<()> {
        (self.ask)(command).then_some(())
    }
}
