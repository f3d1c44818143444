//! Parcels: whole messages of any size up to [`PARCEL_MAX`], from one node to the other, in order.
//!
//! A parcel travels in chunks of [`CHUNK`] bytes, at most [`WINDOW`] of them unacknowledged, so that the stream of states
//! beside it never waits long. Parcels go one after the other. A new session of the channel changes nothing; a peer
//! that has forgotten what had come (its router has been started again) gets the parcel from the beginning.
//!
//! Invariant: a parcel arrives once at most, whole, and after those that were sent before it. [`Event::Delivered`] means
//! that it has arrived; [`Event::Failed`] that nobody can say: the peer was silent for [`PATIENCE`].

mod datagram;
mod receiver;
mod sender;
#[cfg(test)]
mod tests;

use receiver::Receiver;
pub use sender::Why;
use sender::{Answer, Sender};

use crate::types::{Duration, Instant};
use datagram::Datagram;

/// The longest parcel.
pub const PARCEL_MAX: usize = 64 << 20;
/// Bytes of a parcel in one datagram: with all headers it fills a frame of 1500 bytes.
pub const CHUNK: usize = 1400;
/// Chunks that may be under way.
pub const WINDOW: u32 = 128;
/// Parcels that may wait, and their bytes.
pub const QUEUE: usize = 32;
/// See [`QUEUE`].
pub const QUEUE_BYTES: usize = 2 * PARCEL_MAX;
/// A peer that has acknowledged nothing for so long gets no more of the parcel.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// What a parcel is about: who sends and who listens agree on a number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Kind(pub u8);

impl Kind {
    /// The pair's agreement about its configuration.
    pub const AGREEMENT: Kind = Kind(1);
    /// An upgrade of the program.
    pub const UPGRADE: Kind = Kind(2);
    /// Lines of a node's log.
    pub const LOG: Kind = Kind(3);
}

/// A parcel that was sent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ParcelId(pub u32);

/// The parcel is too long, or too much waits already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Full;

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// The peer has sent this.
    Arrived {
        /// What it is about.
        kind: Kind,
        /// All of it.
        bytes: Vec<u8>,
    },
    /// The peer has it.
    Delivered(ParcelId),
    /// The peer is away; it may have it all the same.
    Failed(ParcelId),
}

/// Outputs.
#[derive(Debug, Default)]
pub struct Outbox {
    /// Datagrams for the peer, to be sealed.
    pub datagrams: Vec<Vec<u8>>,
    /// What happened.
    pub events: Vec<Event>,
}

/// What was counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Parcels that the peer has.
    pub delivered: u64,
    /// Parcels that were given up.
    pub failed: u64,
    /// Parcels that came.
    pub arrived: u64,
    /// Parcels that were refused because too much waited.
    pub full: u64,
    /// Chunks sent again.
    pub resent: u64,
    /// Datagrams that are none, or belong to nothing.
    pub foreign: u64,
}

/// Both directions of one node.
#[derive(Default)]
pub struct Parcels {
    /// Tells this life of the node from the ones before; `None` before the first session.
    life: Option<u32>,
    sender: Sender,
    receiver: Receiver,
    counters: Counters,
}

impl Parcels {
    /// The channel has a session. The number of the first one tells this life of the node from all others.
    pub fn handle_session(&mut self, now: Instant, session: u32, out: &mut Outbox) {
        self.life.get_or_insert(session);
        self.sender.begin_again(now);
        self.flush(now, out);
    }

    /// Sends `bytes` once the parcels before have gone.
    ///
    /// # Errors
    /// When there is no room for it.
    pub fn send(
        &mut self,
        now: Instant,
        kind: Kind,
        bytes: Vec<u8>,
        out: &mut Outbox,
    ) -> Result<ParcelId, Full> {
        let Some(id) = self.sender.queue(now, kind, bytes) else {
            self.counters.full += 1;
            return Err(Full);
        };
        self.flush(now, out);
        Ok(id)
    }

    /// A datagram of the peer's, opened.
    pub fn handle_datagram(&mut self, now: Instant, plain: &[u8], out: &mut Outbox) {
        let Some(life) = self.life else { return self.counters.foreign += 1 };
        match Datagram::decode(plain) {
            Some(Datagram::Data(data)) => {
                if let Some(arrived) = self.receiver.handle_data(now, life, &data, &mut out.datagrams) {
                    self.counters.arrived += 1;
                    out.events.push(arrived);
                }
            }
            Some(Datagram::Ack(ack)) if ack.life == life => match self.sender.handle_ack(now, &ack) {
                Answer::News => {}
                Answer::Done(id) => {
                    self.counters.delivered += 1;
                    out.events.push(Event::Delivered(id));
                }
                Answer::Foreign => self.counters.foreign += 1,
            },
            Some(Datagram::Ack(_)) | None => self.counters.foreign += 1,
        }
        self.flush(now, out);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant, out: &mut Outbox) {
        for id in self.sender.give_up(now) {
            self.counters.failed += 1;
            out.events.push(Event::Failed(id));
        }
        self.sender.handle_timeout(now);
        let life = self.life.unwrap_or_default();
        self.receiver.handle_timeout(now, life, &mut out.datagrams);
        self.flush(now, out);
    }

    /// When to call [`Parcels::handle_timeout`], and why.
    pub fn poll_timeout(&self) -> Option<(Instant, Why)> {
        let acknowledge = self.receiver.poll_timeout().map(|at| (at, Why::Acknowledge));
        self.sender.poll_timeout().into_iter().chain(acknowledge).min_by_key(|(at, _)| *at)
    }

    /// Parcels that the peer does not have yet.
    pub fn waiting(&self) -> usize {
        self.sender.waiting()
    }

    /// What was counted.
    pub fn counters(&self) -> Counters {
        Counters { resent: self.sender.resent, ..self.counters }
    }

    fn flush(&mut self, now: Instant, out: &mut Outbox) {
        if let Some(life) = self.life {
            self.sender.flush(now, life, &mut out.datagrams);
        }
    }
}
