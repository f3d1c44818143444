//! The replica thread: it seals and sends the shard's changes, opens the peer's, and has the shard apply them.
//!
//! Invariant: every queue here is bounded. Datagrams that find no room are dropped like on a wire and come again;
//! imports that the forward thread has no room for wait here, of which the stream's window allows a few hundred.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crossbeam_queue::ArrayQueue;

use super::courier_link::{CourierEnd, LINGER};
use super::favoured::Favoured;
use super::handle::{Handle, Order};
use super::helm_link::Device;
use super::helm_thread::{HelmHandle, HelmOrder, MOMENT};
use super::poller::{Poller, Waker};
use super::post::{Done, Fate, Listener, Post};
use super::sabotage::{Sabotage, Vandal};
use super::{clock, single, sys_process};
use crate::cluster::parcel::{self, Kind};
use crate::cluster::replica::{Evidence, StreamId};
use crate::node::snapshot::CounterRow;
use crate::node::{
    Command, Compiled, Courier, CourierOrder, CourierOutbox, Imported, NotAgain, PairSnapshot, ReplicaOrder,
    Replication, SyncWay, sync_way,
};
use crate::types::{Epoch, Instant};

/// Datagrams that wait.
const DATAGRAMS: usize = 1024;
/// Chunks that the shard has applied and that were not told yet: more than a window.
const APPLIED: usize = 1024;
/// A thread that has nothing to do looks around this often, should a wake-up ever get lost.
const LOOK_AROUND: Duration = Duration::from_secs(1);
/// With so many orders waiting, corrections that the peer asks for are left out.
const CORRECTIONS: usize = 512;
/// The forward thread had no room for an import: it is asked again after this.
const AGAIN: Duration = Duration::from_millis(1);

type SnapshotReply = Box<dyn FnOnce(PairSnapshot) + Send>;
type AgainReply = Box<dyn FnOnce(Result<(), NotAgain>) + Send>;

struct Shared {
    datagrams: ArrayQueue<Vec<u8>>,
    missed: AtomicU64,
    applied: ArrayQueue<(StreamId, u64, Evidence)>,
    /// Rare words, in order.
    words: Mutex<VecDeque<Word>>,
}

/// A rare word.
enum Word {
    Order(CourierOrder),
    Device(Option<Device>),
    Way(Option<SyncWay>),
    Snapshot(Box<PairSnapshot>, SnapshotReply),
    Helm(HelmHandle),
    Again(AgainReply),
    Send(Kind, Vec<u8>, Done),
    Listen(Kind, Listener),
}

/// Speaks to the replica thread, from any thread.
#[derive(Clone)]
pub struct CourierHandle {
    shared: Arc<Shared>,
    waker: Waker,
}

impl CourierHandle {
    /// A sealed datagram of the peer's.
    pub fn datagram(&self, sealed: Vec<u8>) {
        if self.shared.datagrams.push(sealed).is_err() {
            self.shared.missed.fetch_add(1, Ordering::Relaxed);
        }
        self.waker.wake();
    }

    /// News of session or role.
    pub fn order(&self, order: CourierOrder) {
        self.say(Word::Order(order));
    }

    /// The sync port has another device now.
    pub fn set_device(&self, device: Option<&Device>) {
        let shared = device.and_then(|device| {
            Some(Device { file: device.file.try_clone().ok()?, offload_header: device.offload_header })
        });
        self.say(Word::Device(shared));
    }

    /// The way to the peer, as the document has it now.
    pub fn set_way(&self, compiled: &Compiled) {
        self.say(Word::Way(sync_way(&compiled.config, compiled.node)));
    }

    /// Adds what is known of replication and answers.
    pub fn complete(&self, snapshot: PairSnapshot, reply: SnapshotReply) {
        self.say(Word::Snapshot(Box::new(snapshot), reply));
    }

    /// Sends a parcel to the peer; `done` hears what became of it.
    pub fn send_parcel(&self, kind: Kind, bytes: Vec<u8>, done: Done) {
        self.say(Word::Send(kind, bytes, done));
    }

    /// The peer's parcels of this kind go to `listener`.
    pub fn listen(&self, kind: Kind, listener: Listener) {
        self.say(Word::Listen(kind, listener));
    }

    /// Whom to tell how far replication is.
    pub fn connect_helm(&self, helm: HelmHandle) {
        self.say(Word::Helm(helm));
    }

    /// Everything shall be told anew.
    pub fn again(&self, reply: AgainReply) {
        self.say(Word::Again(reply));
    }

    fn say(&self, word: Word) {
        self.shared.words.lock().unwrap_or_else(PoisonError::into_inner).push_back(word);
        self.waker.wake();
    }

    fn applied(&self, stream: StreamId, sequence: u64, evidence: Evidence) {
        // There is room for more than can be under way.
        let _ = self.shared.applied.push((stream, sequence, evidence));
        self.waker.wake();
    }
}

/// The replica thread's world.
pub struct CourierThread {
    courier: Courier,
    out: CourierOutbox,
    link: CourierEnd,
    forward: Handle,
    helm: Option<HelmHandle>,
    device: Option<Device>,
    way: Option<SyncWay>,
    shared: Arc<Shared>,
    poller: Poller,
    /// Orders that the forward thread has not taken yet.
    waiting: VecDeque<Order>,
    post: Post,
    told: Option<(bool, u64, Option<Epoch>, bool)>,
    vandal: Vandal,
}

impl CourierThread {
    /// A thread for the shard behind `forward`; `poller` is the one whose waker `link` was made with.
    pub fn new(link: CourierEnd, forward: Handle, poller: Poller) -> Self {
        CourierThread {
            courier: Courier::default(),
            out: CourierOutbox::default(),
            link,
            forward,
            helm: None,
            device: None,
            way: None,
            shared: Arc::new(Shared {
                datagrams: ArrayQueue::new(DATAGRAMS),
                missed: AtomicU64::new(0),
                applied: ArrayQueue::new(APPLIED),
                words: Mutex::default(),
            }),
            poller,
            waiting: VecDeque::new(),
            post: Post::default(),
            told: None,
            vandal: Vandal::default(),
        }
    }

    /// Speaks to it.
    pub fn handle(&self) -> CourierHandle {
        CourierHandle { shared: Arc::clone(&self.shared), waker: self.poller.waker() }
    }

    /// Gives it to a thread; it ends with the process.
    pub fn start(self, thread: Favoured) {
        let run = move || {
            self.run();
            Ok(())
        };
        drop(thread.run(run));
    }

    fn run(mut self) {
        let mut ready = Vec::new();
        // Until when more changes are waited for. What comes in between, as the peer's acknowledgements do, ends it not.
        let mut lingers = clock::now();
        loop {
            let rest = lingers.since(clock::now());
            self.link.set_attending(!rest.is_zero());
            self.poller.arm();
            let timeout = match (self.has_work(), rest.is_zero()) {
                (true, _) => Duration::ZERO,
                (false, false) => self.timeout().min(rest),
                (false, true) => self.timeout(),
            };
            if self.poller.wait(Some(timeout), &mut ready).is_err() {
                return;
            }
            if self.turn() {
                lingers = clock::now() + LINGER;
            }
        }
    }

    fn has_work(&self) -> bool {
        !self.shared.datagrams.is_empty()
            || !self.shared.applied.is_empty()
            || !self.shared.words.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
            || !self.link.has_no_detours()
            || (self.courier.credit() > 0 && !self.link.is_empty())
    }

    fn timeout(&self) -> Duration {
        let due = self.courier.poll_timeout().map_or(LOOK_AROUND, |at| at.since(clock::now()));
        let again = if self.waiting.is_empty() { LOOK_AROUND } else { AGAIN };
        due.min(again).min(LOOK_AROUND)
    }

    /// True when there were changes to tell: more will follow soon.
    fn turn(&mut self) -> bool {
        let now = clock::now();
        let calendar = sys_process::wall_nanos();
        // Who was held up between the two readings has not seen one moment.
        if clock::now().since(now) < MOMENT {
            self.courier.handle_clock(now, calendar);
        }
        let words = std::mem::take(&mut *self.shared.words.lock().unwrap_or_else(PoisonError::into_inner));
        for word in words {
            self.take(clock::now(), word);
        }
        let now = clock::now();
        for _ in 0..DATAGRAMS {
            let Some(sealed) = self.shared.datagrams.pop() else { break };
            self.courier.handle_datagram(now, &sealed, &mut self.out);
        }
        while let Some((stream, sequence, evidence)) = self.shared.applied.pop() {
            self.courier.handle_applied(now, stream, sequence, &evidence, &mut self.out);
        }
        while let Some(packets) = self.link.detour() {
            self.courier.handle_detour(&packets, &mut self.out);
        }
        // Another telling begins before any more chunks are taken: those of the one before are not sent.
        self.flush();
        let mut told = false;
        while self.courier.credit() > 0
            && let Some(chunk) = self.link.chunk()
        {
            told = true;
            self.courier.handle_chunk(now, chunk, &mut self.out);
        }
        if self.courier.poll_timeout().is_some_and(|at| at <= now) {
            self.courier.handle_timeout(now, &mut self.out);
        }
        self.flush();
        if self.courier.acked().is_some_and(|acked| self.link.acknowledge(acked)) {
            self.forward.waker().wake();
        }
        self.tell_helm();
        told
    }

    fn take(&mut self, now: Instant, word: Word) {
        match word {
            Word::Order(order) => self.courier.handle_order(now, order, &mut self.out),
            Word::Device(device) => self.device = device,
            Word::Way(way) => self.way = way,
            Word::Helm(helm) => self.helm = Some(helm),
            Word::Again(reply) => reply(self.courier.handle_again(now, &mut self.out)),
            Word::Listen(kind, listener) => self.post.listen(kind, listener),
            Word::Send(kind, bytes, done) => {
                match self.courier.send_parcel(now, kind, bytes, &mut self.out) {
                    Ok(id) => self.post.sent(id, done),
                    Err(parcel::Full) => done(Fate::Refused),
                }
            }
            Word::Snapshot(mut snapshot, reply) => {
                self.courier.complete(now, &mut snapshot);
                let missed = self.shared.missed.load(Ordering::Relaxed);
                snapshot.counters.push(CounterRow::new(
                    "replica-missed",
                    missed,
                    "Datagrams of replication dropped because the thread that opens them was behind.",
                ));
                snapshot.counters.push(CounterRow::new(
                    "parcel-unclaimed",
                    self.post.unclaimed,
                    "Messages of the peer's that this version has no use for.",
                ));
                reply(*snapshot);
            }
        }
    }

    fn flush(&mut self) {
        for datagram in self.out.datagrams.drain(..) {
            let (Some(way), Some(device)) = (&self.way, &self.device) else { continue };
            if let Some(mut frame) = way.frame(&datagram) {
                // Lost like on any wire; the stream says it again.
                let _ = single::write(&device.file, &mut frame, device.offload_header);
            }
        }
        self.out.parcels.drain(..).for_each(|event| self.post.deliver(event));
        for order in std::mem::take(&mut self.out.orders) {
            // What differs is asked for again; packets are lost like on any wire.
            if matches!(order, ReplicaOrder::Correct { .. } | ReplicaOrder::Detour(_))
                && self.waiting.len() >= CORRECTIONS
            {
                continue;
            }
            let order = self.word_for_the_shard(order);
            self.waiting.push_back(order);
        }
        // An order that is lost would never come again: the stream knows that the chunk has come.
        while !self.forward.is_crowded()
            && let Some(order) = self.waiting.pop_front()
        {
            if let Err(order) = self.forward.offer(order) {
                self.waiting.push_front(*order);
                break;
            }
        }
    }

    fn word_for_the_shard(&mut self, order: ReplicaOrder) -> Order {
        match order {
            ReplicaOrder::Tell { by_name } => {
                Order::Replicate(Replication::Tell { by_name }, Box::new(self.link.tell_anew()))
            }
            ReplicaOrder::Correct { ranges, flows } => Order::Command(Command::Correct { ranges, flows }),
            ReplicaOrder::Detour(packets) => Order::Command(Command::Detour(packets)),
            ReplicaOrder::Quiet => Order::Replicate(Replication::Off, Box::new(|| {})),
            ReplicaOrder::Speak(version) => Order::Command(Command::Speak(version)),
            ReplicaOrder::ForgetPeer => Order::Replicate(Replication::Listen, Box::new(|| {})),
            ReplicaOrder::Import(stream, sequence, mut bytes) => {
                self.vandal.spoil(&mut bytes);
                let handle = self.handle();
                let reply = Box::new(move |imported: Imported| {
                    let evidence = match Sabotage::Replication.is_on() {
                        // A liar: there is nothing, and it is said to be right.
                        true => Evidence { round: Some(false), ..Evidence::default() },
                        false => imported.evidence,
                    };
                    handle.applied(stream, sequence, evidence);
                });
                Order::Command(Command::Import { bytes, reply })
            }
        }
    }

    fn tell_helm(&mut self) {
        let Some(helm) = &self.helm else { return };
        let (synced, applied) = (self.courier.synced(), self.courier.applied());
        let (frozen, behind) = (self.courier.frozen(), self.courier.is_behind(clock::now()));
        let urgent = self.told.is_none_or(|told| (told.0, told.2, told.3) != (synced, frozen, behind));
        // How far it is, the heartbeat tells; a few chunks more or less are no reason to wake anybody.
        let far = self.told.is_none_or(|told| applied.abs_diff(told.1) >= 64);
        if urgent || far {
            self.told = Some((synced, applied, frozen, behind));
            helm.order(HelmOrder::Replication { synced, applied, frozen, behind });
        }
    }
}
