//! The end that listens.
//!
//! Chunks come out in order, each once. An acknowledgement goes out at once after a pause, when something is missing or
//! came twice, and after [`EVERY`] chunks; else when the first one has waited for [`DELAY`].

use std::collections::VecDeque;

use super::WINDOW;
use super::datagram::{Datagram, StreamId, WORDS};
use crate::types::{Duration, Instant};

/// The most chunks that one acknowledgement is for.
const EVERY: u64 = 32;
/// The longest that one waits for others.
const DELAY: Duration = Duration::from_millis(2);
/// Streams that are over and known to be.
const PAST: usize = 8;

/// Outputs.
#[derive(Debug, Default)]
pub struct ReceiverOutbox {
    /// Datagrams for the peer, to be sealed.
    pub datagrams: Vec<Vec<u8>>,
    /// What to do, in this order.
    pub items: Vec<Item>,
}

/// What came in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Item {
    /// Another stream: what follows tells everything anew, and slots mean something else.
    Begin(StreamId),
    /// The next chunk. [`Receiver::applied`] is told when it has been applied.
    Chunk(u64, Vec<u8>),
}

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ReceiverCounters {
    /// Chunks given out.
    pub received: u64,
    /// Chunks that had come before.
    pub repeated: u64,
    /// Chunks that came before their turn.
    pub early: u64,
    /// Datagrams of other streams, or none at all.
    pub foreign: u64,
    /// Chunks beyond the window.
    pub beyond: u64,
}

/// For people.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReceiverSnapshot {
    /// The stream, when there is one.
    pub stream: Option<StreamId>,
    /// Everything up to here has come.
    pub received: u64,
    /// Everything up to here has been applied.
    pub applied: u64,
    /// What happened.
    pub counters: ReceiverCounters,
}

/// Why it wants to be called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// An acknowledgement is due.
    Acknowledge,
}

/// The end that listens.
#[derive(Default)]
pub struct Receiver {
    stream: Option<StreamId>,
    past: VecDeque<StreamId>,
    received: u64,
    applied: u64,
    /// From `received + 1` on: what came early.
    early: VecDeque<Option<Vec<u8>>>,
    /// Chunks that nothing was said about, and until when that may stay so.
    unsaid: u64,
    deadline: Option<Instant>,
    said: Option<Instant>,
    counters: ReceiverCounters,
}

impl Receiver {
    /// One that waits for a stream to begin.
    pub fn new() -> Self {
        Receiver::default()
    }

    /// The stream that it listens to.
    pub const fn stream(&self) -> Option<StreamId> {
        self.stream
    }

    /// Everything up to this chunk has come.
    pub const fn newest(&self) -> u64 {
        self.received
    }

    /// Everything up to this chunk has been applied.
    pub const fn applied(&self) -> u64 {
        self.applied
    }

    /// Something from the peer.
    pub fn handle_datagram(&mut self, now: Instant, bytes: &[u8], out: &mut ReceiverOutbox) {
        match Datagram::decode(bytes) {
            Some(Datagram::Begin(stream)) => self.begin(now, stream, out),
            Some(Datagram::Data { stream, sequence, chunk }) if self.stream == Some(stream) => {
                self.data(now, sequence, chunk, out);
            }
            Some(
                Datagram::Data { .. }
                | Datagram::Ack { .. }
                | Datagram::Differ(..)
                | Datagram::Unknown(..)
                | Datagram::Verdict(..)
                | Datagram::Told { .. }
                | Datagram::Again(_),
            )
            | None => self.counters.foreign += 1,
        }
    }

    fn begin(&mut self, now: Instant, stream: StreamId, out: &mut ReceiverOutbox) {
        if self.past.contains(&stream) {
            self.counters.foreign += 1;
            return;
        }
        if self.stream != Some(stream) {
            if let Some(over) = self.stream.replace(stream) {
                self.past.push_back(over);
                if self.past.len() > PAST {
                    self.past.pop_front();
                }
            }
            (self.received, self.applied, self.unsaid) = (0, 0, 0);
            self.early.clear();
            out.items.push(Item::Begin(stream));
        }
        self.acknowledge(now, out);
    }

    fn data(&mut self, now: Instant, sequence: u64, chunk: &[u8], out: &mut ReceiverOutbox) {
        let place = match sequence.checked_sub(self.received + 1) {
            Some(place) if sequence <= self.applied + WINDOW => place as usize,
            Some(_) => {
                self.counters.beyond += 1;
                return;
            }
            None => {
                // What we said was lost.
                self.counters.repeated += 1;
                return self.acknowledge(now, out);
            }
        };
        if place >= self.early.len() {
            self.early.resize(place + 1, None);
        }
        if self.early[place].is_some() {
            self.counters.repeated += 1;
            return self.acknowledge(now, out);
        }
        self.early[place] = Some(chunk.to_vec());
        self.counters.early += u64::from(place > 0);
        while let Some(Some(_)) = self.early.front() {
            if let Some(chunk) = self.early.pop_front().flatten() {
                self.received += 1;
                self.counters.received += 1;
                out.items.push(Item::Chunk(self.received, chunk));
            }
        }
        self.unsaid += 1;
        let quiet = self.said.is_none_or(|said| said + DELAY <= now);
        if self.unsaid >= EVERY || quiet || !self.early.is_empty() {
            self.acknowledge(now, out);
        } else if self.deadline.is_none() {
            self.deadline = Some(now + DELAY);
        }
    }

    /// The table has taken everything up to this chunk of the present stream.
    pub fn handle_applied(
        &mut self,
        now: Instant,
        stream: StreamId,
        sequence: u64,
        out: &mut ReceiverOutbox,
    ) {
        if self.stream != Some(stream) || sequence <= self.applied || sequence > self.received {
            return;
        }
        self.unsaid += sequence - self.applied;
        self.applied = sequence;
        if self.unsaid >= EVERY || self.applied == self.received {
            self.acknowledge(now, out);
        } else if self.deadline.is_none() {
            self.deadline = Some(now + DELAY);
        }
    }

    /// Says what has waited long enough.
    pub fn handle_timeout(&mut self, now: Instant, out: &mut ReceiverOutbox) {
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.acknowledge(now, out);
        }
    }

    /// When [`Receiver::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<(Instant, Why)> {
        self.deadline.map(|deadline| (deadline, Why::Acknowledge))
    }

    fn acknowledge(&mut self, now: Instant, out: &mut ReceiverOutbox) {
        let Some(stream) = self.stream else { return };
        let mut beyond = [0; WORDS];
        for (place, chunk) in self.early.iter().enumerate() {
            if chunk.is_some() && place < WINDOW as usize {
                beyond[place / 64] |= 1 << (place % 64);
            }
        }
        let ack = Datagram::Ack { stream, received: self.received, applied: self.applied, beyond };
        out.datagrams.push(ack.encode());
        (self.unsaid, self.deadline, self.said) = (0, None, Some(now));
    }

    /// For people.
    pub const fn snapshot(&self) -> ReceiverSnapshot {
        let Receiver { stream, received, applied, counters, .. } = self;
        ReceiverSnapshot { stream: *stream, received: *received, applied: *applied, counters: *counters }
    }
}
