//! The courier: states on their way to the peer, and the peer's on their way in.
//!
//! It is the value that the replica thread runs. An active node's shards hand over chunks of changes, which it numbers,
//! seals and sends until they are acknowledged; a standby's gets the peer's chunks in order and hands them to the shard.
//!
//! Invariant: a chunk reaches the peer's shard exactly once and in order, or the stream begins anew with everything. A
//! stream outlives its session: when a new one stands, the peer says how far it is, and only a peer that has forgotten
//! (its router started again) is told everything again.
//!
//! In a handover the stream outlives the roles: the sender of the node that gave the role away goes on until its last
//! word is acknowledged, and the receiver of the new active node takes it, both for [`CEDE`] at most. Meanwhile nothing
//! else is begun in the other direction.

use crate::cluster::channel::{Opener, Sealer};
use crate::cluster::replica::{
    Datagram, Item, Receiver, ReceiverCounters, ReceiverOutbox, Sender, SenderCounters, SenderOutbox,
    StreamId,
};
use crate::cluster::role::CEDE;
use crate::node::snapshot::CounterRow;
use crate::types::{Duration, Epoch, Instant, Role};
use crate::wire::pair::{Space, flow};

use super::helm::{CourierOrder, ReplicationRow};

/// An unanswered question about the stream is asked again after this.
const GREET_AGAIN: Duration = Duration::from_millis(50);

/// A peer that takes longer than this to apply a change is not handed over to.
const BEHIND: Duration = Duration::from_millis(50);

/// Caller-owned outputs of a [`Courier`].
#[derive(Default)]
pub struct CourierOutbox {
    /// Sealed datagrams for the sync port.
    pub datagrams: Vec<Vec<u8>>,
    /// What the shard shall do, in order.
    pub orders: Vec<ReplicaOrder>,
}

/// What the shard shall do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ReplicaOrder {
    /// Tell everything anew, and then what changes.
    Tell,
    /// Tell nothing any more.
    Quiet,
    /// The peer's numbers of flows mean something else from now on.
    ForgetPeer,
    /// Apply a chunk of the peer's, and say so with [`Courier::handle_applied`].
    Import(StreamId, u64, Vec<u8>),
}

/// See the module.
pub struct Courier {
    role: Role,
    epoch: Epoch,
    session: Option<u32>,
    sealer: Option<Sealer>,
    opener: Option<Opener>,
    sender: Option<Sender>,
    /// The first answer in this session says whether the peer still knows the stream; until it comes, the question is
    /// repeated at this time.
    greeting: Option<Instant>,
    receiver: Receiver,
    /// The chunk that completes the peer's walk.
    complete: Option<u64>,
    /// The chunk with which the peer stops to forward.
    frozen: Option<u64>,
    /// This node has handed over; what its shard still tells goes out until then.
    ceding: Option<Instant>,
    /// The last word of that.
    left: Option<u64>,
    /// This node has taken over by a handover: what the peer still tells is taken until then.
    assuming: Option<Instant>,
    unopened: u64,
    /// Datagrams of streams that this node does not listen to at present.
    strays: u64,
    /// Handovers whose last word was not acknowledged in time.
    unfinished: u64,
    sender_out: SenderOutbox,
    receiver_out: ReceiverOutbox,
}

impl Default for Courier {
    fn default() -> Self {
        Courier {
            role: Role::Alone,
            epoch: Epoch(0),
            session: None,
            sealer: None,
            opener: None,
            sender: None,
            greeting: None,
            receiver: Receiver::new(),
            complete: None,
            frozen: None,
            ceding: None,
            left: None,
            assuming: None,
            unopened: 0,
            strays: 0,
            unfinished: 0,
            sender_out: SenderOutbox::default(),
            receiver_out: ReceiverOutbox::default(),
        }
    }
}

impl Courier {
    /// The helm says what is new.
    pub fn handle_order(&mut self, now: Instant, order: CourierOrder, out: &mut CourierOutbox) {
        match order {
            CourierOrder::Session(halves) => {
                let (sealer, opener) = *halves;
                self.session = Some(sealer.session());
                (self.sealer, self.opener) = (Some(sealer), Some(opener));
                self.begin(now, out);
            }
            // What is under way stays so, and is said again in the next session.
            CourierOrder::SessionFell => self.sealer = None,
            CourierOrder::Role(role, epoch) => self.take_role(now, role, epoch, out),
            CourierOrder::Cedes(epoch) => {
                if self.sender.is_some() && self.ceding.is_none() {
                    (self.ceding, self.left) = (Some(now + CEDE), None);
                }
                self.take_role(now, Role::Standby, epoch, out);
            }
        }
        self.flush(out);
    }

    fn take_role(&mut self, now: Instant, role: Role, epoch: Epoch, out: &mut CourierOutbox) {
        if (self.role, self.epoch) == (role, epoch) {
            return;
        }
        let takes_over = (self.role, role) == (Role::Standby, Role::Active);
        self.assuming = (takes_over && self.frozen().is_some()).then(|| now + CEDE);
        if role != Role::Standby {
            self.ceding = None;
        }
        (self.role, self.epoch) = (role, epoch);
        self.complete = None;
        self.begin(now, out);
    }

    /// An active node with a session tells its states, and who has handed over what is left to tell; any other does
    /// not.
    fn begin(&mut self, now: Instant, out: &mut CourierOutbox) {
        match (self.role, self.session, &self.sealer) {
            (Role::Standby, Some(_), Some(_)) if self.ceding.is_some() => {
                if let Some(sender) = &self.sender {
                    self.greeting = Some(now + GREET_AGAIN);
                    self.sender_out.datagrams.push(Datagram::Begin(sender.stream()).encode());
                }
            }
            (Role::Standby, _, _) if self.ceding.is_some() => {}
            (Role::Active, Some(session), Some(_)) => {
                let epoch = u64::from(self.epoch.0);
                match &self.sender {
                    Some(sender) if sender.stream().0 & u64::from(u32::MAX) == epoch => {
                        self.greeting = Some(now + GREET_AGAIN);
                        self.sender_out.datagrams.push(Datagram::Begin(sender.stream()).encode());
                    }
                    Some(_) | None => self.begin_anew(now, session, out),
                }
            }
            // Without a session it is said later.
            (Role::Active, _, _) => {}
            (Role::Alone | Role::Standby, _, _) => self.end(out),
        }
    }

    /// Everything is told again.
    fn begin_anew(&mut self, now: Instant, session: u32, out: &mut CourierOutbox) {
        let stream = StreamId(u64::from(session) << 32 | u64::from(self.epoch.0));
        self.sender = Some(Sender::new(now, stream, &mut self.sender_out));
        self.greeting = None;
        out.orders.push(ReplicaOrder::Tell);
    }

    fn end(&mut self, out: &mut CourierOutbox) {
        (self.greeting, self.ceding, self.left) = (None, None, None);
        if self.sender.take().is_some() {
            out.orders.push(ReplicaOrder::Quiet);
        }
    }

    /// A sealed datagram of replication from the peer.
    pub fn handle_datagram(&mut self, now: Instant, sealed: &[u8], out: &mut CourierOutbox) {
        let opened = self.opener.as_mut().and_then(|opener| opener.open(sealed).ok());
        let Some((Space::Replica, plain)) = opened else {
            self.unopened += 1;
            return;
        };
        match Datagram::decode(&plain) {
            Some(Datagram::Ack { .. }) => self.handle_answer(now, &plain, out),
            Some(Datagram::Begin(stream) | Datagram::Data { stream, .. }) if self.listens(now, stream) => {
                self.receiver.handle_datagram(now, &plain, &mut self.receiver_out);
                self.take_items(out);
            }
            // A role that has changed meanwhile makes the other end's words pointless.
            Some(Datagram::Begin(_) | Datagram::Data { .. }) | None => self.strays += 1,
        }
        self.flush(out);
    }

    /// A standby listens, unless it still speaks itself; who takes over hears the end of that one stream.
    fn listens(&self, now: Instant, stream: StreamId) -> bool {
        match self.role {
            Role::Alone => false,
            Role::Standby => self.ceding.is_none(),
            Role::Active => {
                self.assuming.is_some_and(|until| now < until) && self.receiver.stream() == Some(stream)
            }
        }
    }

    /// The peer says how far it is.
    fn handle_answer(&mut self, now: Instant, plain: &[u8], out: &mut CourierOutbox) {
        let Some(sender) = &mut self.sender else { return };
        if self.greeting.is_some()
            && let Some(Datagram::Ack { stream, received, .. }) = Datagram::decode(plain)
            && stream == sender.stream()
        {
            self.greeting = None;
            if !sender.can_resume(received)
                && let Some(session) = self.session
            {
                return match self.ceding {
                    Some(_) => self.end(out),
                    None => self.begin_anew(now, session, out),
                };
            }
        }
        sender.handle_datagram(now, plain, &mut self.sender_out);
        if self.left.is_some_and(|left| left <= sender.acked()) {
            self.end(out);
        }
    }

    fn take_items(&mut self, out: &mut CourierOutbox) {
        let Some(stream) = self.receiver.stream() else { return };
        for item in self.receiver_out.items.drain(..) {
            match item {
                Item::Begin(_) => {
                    (self.complete, self.frozen) = (None, None);
                    out.orders.push(ReplicaOrder::ForgetPeer);
                }
                Item::Chunk(sequence, chunk) => {
                    if flow::is_complete(&chunk) {
                        self.complete = Some(sequence);
                    }
                    if flow::is_frozen(&chunk) {
                        self.frozen = Some(sequence);
                    }
                    out.orders.push(ReplicaOrder::Import(stream, sequence, chunk));
                }
            }
        }
    }

    /// The shard has applied everything up to this chunk.
    pub fn handle_applied(&mut self, now: Instant, stream: StreamId, sequence: u64, out: &mut CourierOutbox) {
        self.receiver.handle_applied(now, stream, sequence, &mut self.receiver_out);
        self.flush(out);
    }

    /// How many chunks of the present telling the peer's node has applied; `None` when nothing is told.
    pub fn acked(&self) -> Option<u64> {
        self.sender.as_ref().map(Sender::acked)
    }

    /// How many chunks the shard may hand over.
    pub fn credit(&self) -> usize {
        self.sender.as_ref().map_or(0, Sender::credit)
    }

    /// A chunk of changes from the shard.
    pub fn handle_chunk(&mut self, now: Instant, chunk: Vec<u8>, out: &mut CourierOutbox) {
        if let Some(sender) = &mut self.sender {
            let is_last = flow::is_left(&chunk);
            if sender.push(now, chunk, &mut self.sender_out) && is_last {
                self.left = Some(sender.newest());
            }
        }
        self.flush(out);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant, out: &mut CourierOutbox) {
        if self.ceding.is_some_and(|until| until <= now) {
            self.unfinished += 1;
            self.end(out);
        }
        if let Some(sender) = &mut self.sender {
            if self.greeting.is_some_and(|again| again <= now) {
                self.greeting = Some(now + GREET_AGAIN);
                self.sender_out.datagrams.push(Datagram::Begin(sender.stream()).encode());
            }
            sender.handle_timeout(now, &mut self.sender_out);
        }
        self.receiver.handle_timeout(now, &mut self.receiver_out);
        self.flush(out);
    }

    /// When to call [`Courier::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        let sender = self.sender.as_ref().and_then(Sender::poll_timeout).map(|(at, _)| at);
        let receiver = self.receiver.poll_timeout().map(|(at, _)| at);
        sender.into_iter().chain(receiver).chain(self.greeting).chain(self.ceding).min()
    }

    fn flush(&mut self, out: &mut CourierOutbox) {
        let plain = self.sender_out.datagrams.drain(..).chain(self.receiver_out.datagrams.drain(..));
        let Some(sealer) = &mut self.sealer else { return drop(plain) };
        out.datagrams.extend(plain.filter_map(|plain| sealer.seal(Space::Replica, &plain)));
    }

    /// This node's own state for the election: an active node has everything; a standby after a whole walk.
    pub fn synced(&self) -> bool {
        match self.role {
            Role::Alone | Role::Active => true,
            Role::Standby => self.complete.is_some_and(|complete| complete <= self.receiver.applied()),
        }
    }

    /// The epoch in which the peer told everything and stopped to forward, once all of that has been applied.
    pub fn frozen(&self) -> Option<Epoch> {
        let applied = self.frozen.is_some_and(|frozen| frozen <= self.receiver.applied());
        let stream = self.receiver.stream().filter(|_| applied)?;
        Some(Epoch((stream.0 & u64::from(u32::MAX)) as u32))
    }

    /// Changes have waited for the peer for longer than a healthy one needs.
    pub fn is_behind(&self, now: Instant) -> bool {
        self.sender.as_ref().is_some_and(|sender| sender.lag(now) > BEHIND)
    }

    /// The newest chunk of the peer's that this node has applied.
    pub fn applied(&self) -> u64 {
        self.receiver.applied()
    }

    /// What was counted, with a sentence for each. The streams' numbers are those of the present ones.
    pub fn counters(&self, now: Instant) -> Vec<CounterRow> {
        let sender = self.sender.as_ref().map(|sender| sender.snapshot(now).counters).unwrap_or_default();
        let SenderCounters { sent, resent, foreign: unknown, impossible, overrun } = sender;
        let ReceiverCounters { received, repeated, early, foreign, beyond } =
            self.receiver.snapshot().counters;
        [
            ("replica-unopened", self.unopened, "Datagrams of replication that could not be opened."),
            ("replica-sent", sent, "Chunks of states sent to the peer."),
            ("replica-resent", resent, "Chunks of states sent again."),
            ("replica-impossible", impossible, "Acknowledgements of chunks that were never sent."),
            ("replica-overrun", overrun, "Chunks refused because the peer had no room for them."),
            ("replica-received", received, "Chunks of the peer's states received."),
            ("replica-repeated", repeated, "Chunks of the peer's states that had come before."),
            ("replica-early", early, "Chunks of the peer's states that came before their turn."),
            ("replica-beyond", beyond, "Chunks of the peer's states that were too far ahead to keep."),
            (
                "handover-unfinished",
                self.unfinished,
                "Handovers whose last word the peer did not acknowledge in time.",
            ),
            (
                "replica-foreign",
                foreign + unknown + self.strays,
                "Datagrams of another stream of states, or of none.",
            ),
        ]
        .map(|(name, value, meaning)| CounterRow::new(name, value, meaning))
        .into()
    }

    /// For people.
    pub fn snapshot(&self, now: Instant) -> ReplicationRow {
        let receiver = self.receiver.snapshot();
        let mut row = ReplicationRow {
            direction: "off".into(),
            synced: self.synced(),
            applied: receiver.applied,
            newest: receiver.received,
            ..ReplicationRow::default()
        };
        if let Some(sender) = self.sender.as_ref().map(|sender| sender.snapshot(now)) {
            row.direction = "sends".into();
            (row.newest, row.acked, row.synced) = (sender.newest, sender.acked, sender.synced);
            row.lag_us = sender.lag.as_micros() as u64;
            row.resent = sender.counters.resent;
        } else if self.role == Role::Standby && self.opener.is_some() {
            row.direction = "receives".into();
        }
        row
    }
}

#[cfg(test)]
#[path = "courier_tests.rs"]
mod tests;
