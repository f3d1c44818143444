//! The courier: states on their way to the peer, and the peer's on their way in.
//!
//! It is the value that the replica thread runs. An active node's shards hand over chunks of changes, which it numbers,
//! seals and sends until they are acknowledged; a standby's gets the peer's chunks in order and hands them to the shard.
//!
//! Invariant: a chunk reaches the peer's shard exactly once and in order, or the stream begins anew with everything. A
//! stream outlives its session: when a new one stands, the peer says how far it is, and only a peer that has forgotten
//! (its router started again) is told everything again.
//!
//! A stream that begins may be by name: a peer that says which stream it told last, from the table that it still has,
//! and that is the one that this node heard last, is told only the names of the flows that both have.
//!
//! In a handover the stream outlives the roles: the sender of the node that gave the role away goes on until its last
//! word is acknowledged, and the receiver of the new active node takes it, both for [`CEDE`] at most. Meanwhile nothing
//! else is begun in the other direction.

use crate::cluster::channel::{Opener, Sealer};
use crate::cluster::parcel::{self, Parcels};
use crate::cluster::replica::{
    Datagram, Evidence, Item, Proof, Receiver, ReceiverOutbox, SLOTS, Sender, SenderOutbox, Slots, StreamId,
    Verdict,
};
use crate::cluster::role::CEDE;
use crate::types::{Duration, Epoch, Instant, Role};
use crate::wire::pair::{Space, Version, flow};

use super::calendar::Calendar;
use super::helm::CourierOrder;

mod begin;
mod report;
#[cfg(test)]
mod tests;
mod walk;

use begin::Beginning;
pub use begin::NotAgain;
use walk::Walk;

/// An unanswered question about the stream is asked again after this.
const GREET_AGAIN: Duration = Duration::from_millis(50);

/// A peer that takes longer than this to apply a change is not handed over to.
const BEHIND: Duration = Duration::from_millis(50);

/// A jump of the calendar clock by more than this may be that of a machine which was put back in time. The helm, which
/// makes a new session then, takes less for one: nobody waits for a session that never comes.
const PUT_BACK: Duration = Duration::from_millis(100);

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
    Tell {
        /// The peer still has the flows that it last told of.
        by_name: bool,
    },
    /// Tell again what the peer does not have the same.
    Correct {
        /// Ranges by their first slots.
        ranges: Vec<u32>,
        /// Single flows.
        flows: Vec<u32>,
    },
    /// Tell nothing any more.
    Quiet,
    /// The peer's numbers of flows mean something else from now on.
    ForgetPeer,
    /// Say only what this release of the pair's protocols has.
    Speak(Version),
    /// Take packets of the peer's own that go through this node, or answers to this node's.
    Detour(Vec<u8>),
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
    /// How the present stream began, or is beginning.
    beginning: Beginning,
    /// The stream that this node's table was last told in.
    told: Option<StreamId>,
    /// How often an operator has wanted everything told anew.
    again: u32,
    /// What the peer knows of both tables being the same, for the present stream, and since when something differs.
    verdict: Verdict,
    differs: Option<Instant>,
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
    /// What the two nodes speak with each other.
    speaks: Version,
    calendar: Calendar,
    proof: Proof,
    /// What the walk through everything has taken.
    walk: Walk,
    unopened: u64,
    /// Datagrams of streams that this node does not listen to, or speak in, at present.
    strays: u64,
    /// Handovers whose last word was not acknowledged in time.
    unfinished: u64,
    /// Packets that take the way through the active node, in another epoch or without a session.
    detours_lost: u64,
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
            beginning: Beginning::default(),
            told: None,
            again: 0,
            verdict: Verdict::default(),
            differs: None,
            greeting: None,
            receiver: Receiver::new(),
            complete: None,
            frozen: None,
            ceding: None,
            left: None,
            assuming: None,
            speaks: Version::OLDEST,
            calendar: Calendar::default(),
            proof: Proof::default(),
            walk: Walk::default(),
            unopened: 0,
            strays: 0,
            unfinished: 0,
            detours_lost: 0,
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

    /// The calendar clock of the machine, at `now`, before anything else of a turn. Who was put back in time would seal
    /// with numbers that were used: nothing is sealed until there is another session.
    pub fn handle_clock(&mut self, now: Instant, calendar_nanos: u64) {
        if self.calendar.look(now, calendar_nanos) > PUT_BACK {
            self.sealer = None;
        }
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
        // The stream of this epoch may have begun before its active node was known here.
        let epoch_of = |stream: StreamId| stream.0 & u64::from(u32::MAX);
        if self.receiver.stream().map(epoch_of) != Some(u64::from(epoch.0)) {
            self.complete = None;
            self.proof.begin(now);
        }
        self.begin(now, out);
    }

    /// True when the peer knows this release of the pair's protocols, and so does this node.
    pub fn peer_speaks(&self, version: Version) -> bool {
        self.speaks >= version
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
            (Role::Active, Some(_), Some(_)) => {
                let epoch = u64::from(self.epoch.0);
                match &self.sender {
                    Some(sender) if sender.stream().0 & u64::from(u32::MAX) == epoch => {
                        self.greeting = Some(now + GREET_AGAIN);
                        self.sender_out.datagrams.push(Datagram::Begin(sender.stream()).encode());
                    }
                    Some(_) | None => self.begin_anew(now),
                }
            }
            // Without a session it is said later.
            (Role::Active, _, _) => {}
            (Role::Alone | Role::Standby, _, _) => self.end(out),
        }
    }

    fn end(&mut self, out: &mut CourierOutbox) {
        (self.greeting, self.ceding, self.left) = (None, None, None);
        self.beginning = Beginning::default();
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
            Some((Space::Detour, plain)) => self.take_detour(&plain, out),
            Some((Space::Heartbeat(_) | Space::Control, _)) | None => self.unopened += 1,
        }
        self.flush(out);
    }

    /// Packets of this node's own for the peer's, or answers to those of the peer's. They are said in the present epoch, or
    /// not at all.
    pub fn handle_detour(&mut self, packets: &[u8], out: &mut CourierOutbox) {
        let known = self.present_epoch().filter(|_| self.peer_speaks(Version(2)));
        let Some((sealer, Epoch(epoch))) = self.sealer.as_mut().zip(known) else {
            return self.detours_lost += 1;
        };
        let plain = [&epoch.to_be_bytes(), packets].concat();
        out.datagrams.extend(sealer.seal(Space::Detour, &plain));
    }

    fn take_detour(&mut self, plain: &[u8], out: &mut CourierOutbox) {
        let said = plain.split_first_chunk::<4>();
        let present = self.present_epoch();
        match said.filter(|(epoch, _)| Some(Epoch(u32::from_be_bytes(**epoch))) == present) {
            Some((_, packets)) => out.orders.push(ReplicaOrder::Detour(packets.to_vec())),
            None => self.detours_lost += 1,
        }
    }

    /// The epoch in which this node leads, or of the active node that it listens to.
    fn present_epoch(&self) -> Option<Epoch> {
        match self.role {
            Role::Alone => None,
            Role::Active => Some(self.epoch),
            Role::Standby => self.receiver.stream().map(|stream| Epoch(stream.0 as u32)),
        }
    }

    fn handle_replication(&mut self, now: Instant, plain: &[u8], out: &mut CourierOutbox) {
        match Datagram::decode(plain) {
            Some(Datagram::Begin(stream) | Datagram::Data { stream, .. }) if self.listens(now, stream) => {
                if self.role == Role::Standby {
                    self.remember(plain);
                }
                self.receiver.handle_datagram(now, plain, &mut self.receiver_out);
                self.take_items(now, out);
            }
            Some(
                Datagram::Ack { .. }
                | Datagram::Told { .. }
                | Datagram::Differ(..)
                | Datagram::Unknown(..)
                | Datagram::Verdict(..)
                | Datagram::Again(_),
            ) if self.sender.is_some() => self.handle_answer(now, plain, out),
            // A role that has changed meanwhile makes the other end's words pointless.
            Some(
                Datagram::Begin(_)
                | Datagram::Data { .. }
                | Datagram::Ack { .. }
                | Datagram::Told { .. }
                | Datagram::Differ(..)
                | Datagram::Unknown(..)
                | Datagram::Verdict(..)
                | Datagram::Again(_),
            )
            | None => self.strays += 1,
        }
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
        let ours = sender.stream();
        match Datagram::decode(plain) {
            Some(Datagram::Ack { stream, received, .. }) if stream == ours => {
                if self.greeting.take().is_some() && !sender.can_resume(received) {
                    return match self.ceding {
                        Some(_) => self.end(out),
                        None => self.begin_anew(now),
                    };
                }
                sender.handle_datagram(now, plain, &mut self.sender_out);
                self.tell(now, out);
                self.walk.note_applied(now, self.acked());
                if self.left.is_some_and(|left| self.acked() >= Some(left)) {
                    self.end(out);
                }
            }
            Some(Datagram::Told { stream, told }) if stream == ours => {
                self.note_told(now, told, out);
            }
            Some(Datagram::Differ(stream, slots)) if stream == ours => {
                out.orders.push(ReplicaOrder::Correct { ranges: slots.iter().collect(), flows: Vec::new() });
            }
            Some(Datagram::Unknown(stream, slots)) if stream == ours => {
                out.orders.push(ReplicaOrder::Correct { ranges: Vec::new(), flows: slots.iter().collect() });
            }
            Some(Datagram::Verdict(stream, verdict)) if stream == ours => self.note_verdict(now, verdict),
            Some(Datagram::Again(stream)) if stream == ours && self.ceding.is_none() => self.tell_again(now),
            Some(
                Datagram::Ack { .. }
                | Datagram::Told { .. }
                | Datagram::Differ(..)
                | Datagram::Unknown(..)
                | Datagram::Verdict(..)
                | Datagram::Again(_)
                | Datagram::Begin(_)
                | Datagram::Data { .. },
            )
            | None => sender.handle_datagram(now, plain, &mut self.sender_out),
        }
    }

    fn note_verdict(&mut self, now: Instant, verdict: Verdict) {
        self.verdict = verdict;
        self.differs = (verdict.differing > 0).then(|| self.differs.unwrap_or(now));
    }

    fn take_items(&mut self, now: Instant, out: &mut CourierOutbox) {
        let Some(stream) = self.receiver.stream() else { return };
        for item in self.receiver_out.items.drain(..) {
            match item {
                Item::Begin(_) => {
                    (self.complete, self.frozen) = (None, None);
                    self.proof.begin(now);
                    self.walk = Walk::begun(now);
                    out.orders.push(ReplicaOrder::ForgetPeer);
                }
                Item::Chunk(sequence, chunk) => {
                    if flow::is_complete(&chunk) {
                        self.complete = Some(sequence);
                    }
                    if flow::is_frozen(&chunk) {
                        self.frozen = Some(sequence);
                    }
                    self.walk.note_chunk(sequence, &chunk);
                    out.orders.push(ReplicaOrder::Import(stream, sequence, chunk));
                }
            }
        }
    }

    /// The shard has applied everything up to this chunk, and this is what the chunk has shown.
    pub fn handle_applied(
        &mut self,
        now: Instant,
        stream: StreamId,
        sequence: u64,
        evidence: &Evidence,
        out: &mut CourierOutbox,
    ) {
        self.receiver.handle_applied(now, stream, sequence, &mut self.receiver_out);
        if self.role == Role::Standby && self.receiver.stream() == Some(stream) {
            self.walk.note_applied(now, Some(sequence));
            let before = self.proof.verdict();
            self.proof.note(now, evidence);
            for slots in evidence.unknown.chunks(SLOTS) {
                self.say_slots(slots, |slots| Datagram::Unknown(stream, slots));
            }
            if evidence.round.is_some() || before != self.proof.verdict() {
                let verdict = Datagram::Verdict(stream, self.proof.verdict());
                self.receiver_out.datagrams.push(verdict.encode());
            }
            self.ask(now);
        }
        self.flush(out);
    }

    /// Asks for what differs.
    fn ask(&mut self, now: Instant) {
        let Some(stream) = self.receiver.stream().filter(|_| self.role == Role::Standby) else { return };
        let ranges = self.proof.ask(now);
        self.say_slots(&ranges, |slots| Datagram::Differ(stream, slots));
    }

    fn say_slots(&mut self, slots: &[u32], datagram: impl for<'a> Fn(Slots<'a>) -> Datagram<'a>) {
        let bytes = Slots::bytes(slots);
        if let Some(slots) = Slots::new(&bytes) {
            self.receiver_out.datagrams.push(datagram(slots).encode());
        }
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
            self.walk.note_chunk(sender.newest() + 1, &chunk);
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
        self.ask_for_told(now, out);
        self.ask(now);
        self.parcels.handle_timeout(now, &mut self.parcels_out);
        self.flush(out);
    }

    /// When to call [`Courier::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        let sender = self.sender.as_ref().and_then(Sender::poll_timeout).map(|(at, _)| at);
        let receiver = self.receiver.poll_timeout().map(|(at, _)| at);
        let proof = self.proof.poll_timeout().filter(|_| self.role == Role::Standby);
        let beginning = self.beginning.poll_timeout();
        let parcels = self.parcels.poll_timeout().map(|(at, _)| at);
        let replica = sender.into_iter().chain(receiver).chain(self.greeting).chain(proof).chain(beginning);
        replica.chain(parcels).chain(self.ceding).min()
    }

    fn flush(&mut self, out: &mut CourierOutbox) {
        out.parcels.append(&mut self.parcels_out.events);
        // A peer of the release before hears what it knows. Parcels that wait for it are given up as if it were silent.
        let known = self.peer_speaks(Version(2));
        let plain = self.sender_out.datagrams.drain(..).chain(self.receiver_out.datagrams.drain(..));
        let plain = plain.filter(|plain| known || Datagram::since(plain) == Version(1));
        let parcels = self.parcels_out.datagrams.drain(..).filter(move |_| known);
        let Some(sealer) = &mut self.sealer else { return drop((plain, parcels)) };
        out.datagrams.extend(plain.filter_map(|plain| sealer.seal(Space::Replica, &plain)));
        out.datagrams.extend(parcels.filter_map(|plain| sealer.seal(Space::Parcel, &plain)));
    }

    /// This node's own state for the election: an active node has everything; a standby after a whole walk, and when
    /// it is proven that its table is the same.
    pub fn synced(&self) -> bool {
        match self.role {
            Role::Alone | Role::Active => true,
            // The release before knows no proof.
            Role::Standby => self.is_complete() && (self.proof.is_proven() || !self.peer_speaks(Version(2))),
        }
    }

    /// A standby has applied the whole walk.
    fn is_complete(&self) -> bool {
        self.complete.is_some_and(|complete| complete <= self.receiver.applied())
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
}
