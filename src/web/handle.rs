//! How pages ask the router.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::conntrack::{Cursor, Filter, FlowState, Survey};
use crate::node::snapshot::{DropRow, FlowRow, Snapshot, TalkRow};
use crate::node::{CaptureSink, Command, Compiled, OverloadEntry, PairSnapshot, Reply, RuleCounts};
use crate::route::Status;
use crate::rules::Record;
use crate::types::{Instant, InterfaceId};
use crate::wire::FlowKey;

/// Flows on a page.
pub const PAGE: usize = 100;
/// The last page that can be asked for: a page is there to look, `koi show flows` to search.
pub const LAST_PAGE: usize = 100;
/// Flows looked at between two batches of packets.
const ROUND: usize = 1024;
/// The same, where nothing is made of most of them.
const STRIDE: usize = 4096;
/// At most so many times for one page.
const ROUNDS: usize = 256;

/// How long a page waits for the pair; it is shown without it then.
const PATIENCE: Duration = Duration::from_secs(2);

/// Hands a command to the forward thread; false when too many wait.
type Ask = dyn Fn(Command) -> bool + Send + Sync;

/// Asks the role thread; false when too many wait.
type AskPair = dyn Fn(Reply<PairSnapshot>) -> bool + Send + Sync;

/// Says what is in force.
type InForce = dyn Fn() -> Arc<Compiled> + Send + Sync;

/// Asks the router, from any task.
#[derive(Clone)]
pub struct Handle {
    ask: Arc<Ask>,
    ask_pair: Arc<AskPair>,
    in_force: Arc<InForce>,
}

impl Handle {
    /// A handle that hands its commands to `ask`, and questions about the pair to `ask_pair`; `in_force` knows the
    /// configuration.
    pub fn new(
        ask: impl Fn(Command) -> bool + Send + Sync + 'static,
        ask_pair: impl Fn(Reply<PairSnapshot>) -> bool + Send + Sync + 'static,
        in_force: impl Fn() -> Arc<Compiled> + Send + Sync + 'static,
    ) -> Self {
        Handle { ask: Arc::new(ask), ask_pair: Arc::new(ask_pair), in_force: Arc::new(in_force) }
    }

    /// The configuration in force.
    pub fn in_force(&self) -> Arc<Compiled> {
        (self.in_force)()
    }

    /// The pair; `None` when the threads of the pair are too busy to answer.
    pub async fn pair(&self) -> Option<PairSnapshot> {
        let (sender, receiver) = oneshot::channel();
        (self.ask_pair)(Box::new(move |snapshot| drop(sender.send(snapshot)))).then_some(())?;
        tokio::time::timeout(PATIENCE, receiver).await.ok()?.ok()
    }

    /// Everything but the flows; `None` when the router is too busy to answer.
    pub async fn snapshot(&self) -> Option<Snapshot> {
        let (sender, receiver) = oneshot::channel();
        self.say(Command::Snapshot(Box::new(move |snapshot| drop(sender.send(snapshot)))))?;
        receiver.await.ok()
    }

    /// The same without what may be long; it costs the router so little that it can be asked once a second.
    pub async fn glance(&self) -> Option<Snapshot> {
        self.get(Command::Glance).await
    }

    /// What was counted by rule.
    pub async fn rules(&self) -> Option<RuleCounts> {
        self.get(Command::Rules).await
    }

    /// Records of the firewall log with a higher number than `after`, newest first, and the present time.
    pub async fn log(&self, after: u64, limit: usize) -> Option<(Vec<Record>, Instant)> {
        self.get(|reply| Command::Log { after, limit, reply }).await
    }

    /// What each of at most `most` flows has carried, and whether there are more.
    pub async fn talk(&self, most: usize) -> Option<(Vec<TalkRow>, bool)> {
        let (mut rows, mut cursor) = (Vec::new(), None);
        for _ in 0..most.div_ceil(ROUND) {
            let (found, next): (Vec<TalkRow>, _) =
                self.get(|reply| Command::Talkers { cursor, limit: ROUND, reply }).await?;
            rows.extend(found);
            cursor = next;
            if cursor.is_none() {
                break;
            }
        }
        Some((rows, cursor.is_some()))
    }

    /// A page of [`PAGE`] flows, the first being page 1, and whether there are more.
    pub async fn flows(&self, page: usize) -> Option<(Vec<FlowRow>, bool)> {
        let wanted = page * PAGE;
        let (mut rows, mut cursor) = (Vec::new(), None);
        for _ in 0..ROUNDS {
            let (found, next) = self.some_flows(cursor).await?;
            rows.extend(found);
            cursor = next;
            if cursor.is_none() || rows.len() > wanted {
                break;
            }
        }
        let more = rows.len() > wanted;
        rows.truncate(wanted);
        rows.drain(..rows.len().min(wanted - PAGE));
        Some((rows, more))
    }

    async fn some_flows(&self, cursor: Option<Cursor>) -> Option<(Vec<FlowRow>, Option<Cursor>)> {
        let (sender, receiver) = oneshot::channel();
        let reply = Box::new(move |page| drop(sender.send(page)));
        self.say(Command::Flows { filter: Filter::default(), cursor, limit: ROUND, reply })?;
        receiver.await.ok()
    }

    /// Looks through the connection table, some slots between two batches of packets, until the survey is done.
    pub async fn survey(&self, survey: Survey) -> Option<Survey> {
        let mut survey = Box::new(survey);
        while !survey.is_done() {
            survey = self.get(|reply| Command::Survey { survey, limit: STRIDE, reply }).await?;
        }
        Some(*survey)
    }

    /// The flow that a packet belongs to; `None` when the router is too busy to answer.
    pub async fn find(&self, key: FlowKey) -> Option<Option<FlowState>> {
        self.get(|reply| Command::Find { key, reply }).await
    }

    /// The flow of this number.
    pub async fn flow(&self, id: u64) -> Option<Option<FlowState>> {
        let filter = Filter { id: Some(id), ..Filter::default() };
        let survey = self.survey(Survey::page(filter, None, 1, 1)).await?;
        Some(survey.rows().first().cloned())
    }

    /// How the gateways are, in the document's order.
    pub async fn gateways(&self) -> Option<Vec<Status>> {
        self.get(Command::Gateways).await
    }

    /// Who is in the overload tables.
    pub async fn overloaded(&self) -> Option<Vec<OverloadEntry>> {
        self.get(Command::Overloaded).await
    }

    /// Begins a capture; `None` when the router is too busy.
    pub fn capture(&self, interface: InterfaceId, sink: CaptureSink) -> Option<()> {
        self.say(Command::Capture { interface: Some(interface), sink })
    }

    /// Asks the forward thread; `None` when too many ask.
    async fn get<T: Send + 'static>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Option<T> {
        let (sender, receiver) = oneshot::channel();
        self.say(command(Box::new(move |answer| drop(sender.send(answer)))))?;
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
