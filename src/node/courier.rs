//! The courier: states on their way to the peer, and the peer's on their way in.
//!
//! It is the value that the replica thread runs. An active node's shards hand over chunks of changes, which it numbers,
//! seals and sends until they are acknowledged; a standby's gets the peer's chunks in order and hands them to the shard.
//!
//! Invariant: a chunk reaches the peer's shard exactly once and in order, or the stream begins anew with everything. A
//! stream outlives its session: when a new one stands, the peer says how far it is, and only a peer that has forgotten
//! (its router started again) is told everything again.

use crate::cluster::channel::{Opener, Sealer};
use crate::cluster::parcel::{self, Parcels};
use crate::cluster::replica::{
    Datagram, Item, Receiver, ReceiverCounters, ReceiverOutbox, Sender, SenderCounters, SenderOutbox,
    StreamId,
};
use crate::node::snapshot::CounterRow;
use crate::types::{Duration, Epoch, Instant, Role};
use crate::wire::pair::{Space, Version, flow};

use super::helm::{CourierOrder, ReplicationRow};

/// An unanswered question about the stream is asked again after this.
const GREET_AGAIN: Duration = Duration::from_millis(50);

/// Caller-owned outputs of a [`Courier`].
#[derive(Default)]
pub struct CourierOutbox {
    /// Sealed datagrams for the sync port.
    pub datagrams: Vec<Vec<u8>>,
    /// What the shard shall do, in order.
    pub orders: Vec<ReplicaOrder>,
    /// What became of parcels.
    pub parcels: Vec<parcel::Event>,
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
    /// Say only what this release of the pair's protocols has.
    Speak(Version),
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
    /// What the two nodes speak with each other.
    speaks: Version,
    unopened: u64,
    parcels: Parcels,
    sender_out: SenderOutbox,
    receiver_out: ReceiverOutbox,
    parcels_out: parcel::Outbox,
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
            speaks: Version::OLDEST,
            unopened: 0,
            parcels: Parcels::default(),
            sender_out: SenderOutbox::default(),
            receiver_out: ReceiverOutbox::default(),
            parcels_out: parcel::Outbox::default(),
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
                self.parcels.handle_session(now, sealer.session(), &mut self.parcels_out);
                (self.sealer, self.opener) = (Some(sealer), Some(opener));
                self.begin(now, out);
            }
            CourierOrder::Speak(version) => {
                self.speaks = version;
                out.orders.push(ReplicaOrder::Speak(version));
            }
            // What is under way stays so, and is said again in the next session.
            CourierOrder::SessionFell => self.sealer = None,
            CourierOrder::Role(role, epoch) => {
                let changed = (self.role, self.epoch) != (role, epoch);
                (self.role, self.epoch) = (role, epoch);
                if changed {
                    self.complete = None;
                    self.begin(now, out);
                }
            }
        }
        self.flush(out);
    }

    /// True when the peer knows this release of the pair's protocols, and so does this node.
    pub fn peer_speaks(&self, version: Version) -> bool {
        self.speaks >= version
    }

    /// An active node with a session tells its states; any other does not.
    fn begin(&mut self, now: Instant, out: &mut CourierOutbox) {
        match (self.role, self.session, &self.sealer) {
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
        self.greeting = None;
        if self.sender.take().is_some() {
            out.orders.push(ReplicaOrder::Quiet);
        }
    }

    /// A sealed datagram of replication from the peer.
    pub fn handle_datagram(&mut self, now: Instant, sealed: &[u8], out: &mut CourierOutbox) {
        let opened = self.opener.as_mut().and_then(|opener| opener.open(sealed).ok());
        match opened {
            Some((Space::Replica, plain)) => self.handle_replication(now, &plain, out),
            Some((Space::Parcel, plain)) => {
                self.parcels.handle_datagram(now, &plain, &mut self.parcels_out);
            }
            Some((Space::Heartbeat(_) | Space::Control, _)) | None => self.unopened += 1,
        }
        self.flush(out);
    }

    fn handle_replication(&mut self, now: Instant, plain: &[u8], out: &mut CourierOutbox) {
        // A role that has changed meanwhile makes the other end's words pointless.
        match self.role {
            Role::Active => self.handle_answer(now, plain, out),
            Role::Standby => {
                self.receiver.handle_datagram(now, plain, &mut self.receiver_out);
                self.take_items(out);
            }
            Role::Alone => {}
        }
    }

    /// A parcel for the peer; [`CourierOutbox::parcels`] says what became of it.
    ///
    /// # Errors
    /// When it is too long, or too much waits already.
    pub fn send_parcel(
        &mut self,
        now: Instant,
        kind: parcel::Kind,
        bytes: Vec<u8>,
        out: &mut CourierOutbox,
    ) -> Result<parcel::ParcelId, parcel::Full> {
        let sent = self.parcels.send(now, kind, bytes, &mut self.parcels_out);
        self.flush(out);
        sent
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
                return self.begin_anew(now, session, out);
            }
        }
        sender.handle_datagram(now, plain, &mut self.sender_out);
    }

    fn take_items(&mut self, out: &mut CourierOutbox) {
        let Some(stream) = self.receiver.stream() else { return };
        for item in self.receiver_out.items.drain(..) {
            match item {
                Item::Begin(_) => {
                    self.complete = None;
                    out.orders.push(ReplicaOrder::ForgetPeer);
                }
                Item::Chunk(sequence, chunk) => {
                    if flow::is_complete(&chunk) {
                        self.complete = Some(sequence);
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
            sender.push(now, chunk, &mut self.sender_out);
        }
        self.flush(out);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant, out: &mut CourierOutbox) {
        if let Some(sender) = &mut self.sender {
            if self.greeting.is_some_and(|again| again <= now) {
                self.greeting = Some(now + GREET_AGAIN);
                self.sender_out.datagrams.push(Datagram::Begin(sender.stream()).encode());
            }
            sender.handle_timeout(now, &mut self.sender_out);
        }
        self.receiver.handle_timeout(now, &mut self.receiver_out);
        self.parcels.handle_timeout(now, &mut self.parcels_out);
        self.flush(out);
    }

    /// When to call [`Courier::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        let sender = self.sender.as_ref().and_then(Sender::poll_timeout).map(|(at, _)| at);
        let receiver = self.receiver.poll_timeout().map(|(at, _)| at);
        let parcels = self.parcels.poll_timeout().map(|(at, _)| at);
        sender.into_iter().chain(receiver).chain(parcels).chain(self.greeting).min()
    }

    fn flush(&mut self, out: &mut CourierOutbox) {
        out.parcels.append(&mut self.parcels_out.events);
        // A peer of the release before knows no parcels; those that wait for it are given up as if it were silent.
        let known = self.peer_speaks(Version(2));
        let plain = self.sender_out.datagrams.drain(..).chain(self.receiver_out.datagrams.drain(..));
        let parcels = self.parcels_out.datagrams.drain(..).filter(move |_| known);
        let Some(sealer) = &mut self.sealer else { return drop((plain, parcels)) };
        out.datagrams.extend(plain.filter_map(|plain| sealer.seal(Space::Replica, &plain)));
        out.datagrams.extend(parcels.filter_map(|plain| sealer.seal(Space::Parcel, &plain)));
    }

    /// This node's own state for the election: an active node has everything; a standby after a whole walk.
    pub fn synced(&self) -> bool {
        match self.role {
            Role::Alone | Role::Active => true,
            Role::Standby => self.complete.is_some_and(|complete| complete <= self.receiver.applied()),
        }
    }

    /// The newest chunk of the peer's that this node has applied.
    pub fn applied(&self) -> u64 {
        self.receiver.applied()
    }

    /// What was counted, with a sentence for each. The streams' numbers are those of the present ones.
    pub fn counters(&self, now: Instant) -> Vec<CounterRow> {
        let sender = self.sender.as_ref().map(|sender| sender.snapshot(now).counters).unwrap_or_default();
        let SenderCounters { sent, resent, foreign: strays, impossible, overrun } = sender;
        let ReceiverCounters { received, repeated, early, foreign, beyond } =
            self.receiver.snapshot().counters;
        let parcels = self.parcels.counters();
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
            ("replica-foreign", foreign + strays, "Datagrams of another stream of states, or of none."),
            ("parcel-delivered", parcels.delivered, "Messages that the peer has received whole."),
            ("parcel-failed", parcels.failed, "Messages given up because the peer was silent."),
            ("parcel-arrived", parcels.arrived, "Whole messages of the peer's."),
            ("parcel-full", parcels.full, "Messages refused because too many waited for the peer."),
            ("parcel-resent", parcels.resent, "Pieces of messages sent again."),
            ("parcel-foreign", parcels.foreign, "Datagrams of messages that nobody is waiting for."),
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
