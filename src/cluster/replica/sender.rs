//! The end that tells.
//!
//! A chunk is kept until the receiver has it, and counts against the window until it has been applied. What an
//! acknowledgement shows to be missing, while later ones have come, is sent again at once; the oldest ones again after
//! a time without news.

use std::collections::VecDeque;

use super::WINDOW;
use super::datagram::{Datagram, StreamId, WORDS};
use crate::types::{Duration, Instant};
use crate::wire::pair::flow;

/// The shortest time without news after which something is sent again.
const RETRANSMIT: Duration = Duration::from_millis(20);
/// The longest.
const SLOWEST: Duration = Duration::from_secs(1);
/// At most this many are sent again at one time.
const AGAIN: usize = 32;
/// A missing chunk is lost when this many later ones have come: the link hardly reorders.
const REORDERED: u64 = 3;

/// Outputs.
#[derive(Debug, Default)]
pub struct SenderOutbox {
    /// Datagrams for the peer, to be sealed.
    pub datagrams: Vec<Vec<u8>>,
}

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SenderCounters {
    /// Chunks sent, each counted once.
    pub sent: u64,
    /// Chunks sent again.
    pub resent: u64,
    /// Datagrams that belong to another stream, or are none.
    pub foreign: u64,
    /// Acknowledgements of what was never sent.
    pub impossible: u64,
    /// Chunks pushed without credit.
    pub overrun: u64,
}

/// For people.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SenderSnapshot {
    /// The stream.
    pub stream: StreamId,
    /// The peer has answered its beginning.
    pub begun: bool,
    /// Number of the newest chunk.
    pub newest: u64,
    /// The peer has applied everything up to here.
    pub acked: u64,
    /// How long the oldest chunk that the peer has not applied has been waiting.
    pub lag: Duration,
    /// The way there and back.
    pub round_trip: Option<Duration>,
    /// The peer has all that there is.
    pub synced: bool,
    /// What happened.
    pub counters: SenderCounters,
}

/// Why it wants to be called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// No news for too long.
    Retransmit,
}

/// A chunk under way.
struct Pending {
    /// `None` once the receiver has it.
    chunk: Option<Vec<u8>>,
    /// When it was handed over.
    since: Instant,
    /// When it was last sent.
    sent: Instant,
    again: bool,
}

/// The end that tells.
pub struct Sender {
    stream: StreamId,
    begun: bool,
    /// From `acked + 1` on.
    pending: VecDeque<Pending>,
    acked: u64,
    /// The highest number known to have come.
    highest: u64,
    /// The chunk that completes the walk, once it was pushed.
    complete: Option<u64>,
    round_trip: Option<Duration>,
    /// Without news until then something is sent again.
    deadline: Option<Instant>,
    backoff: u32,
    counters: SenderCounters,
}

impl Sender {
    /// A stream begins.
    pub fn new(now: Instant, stream: StreamId, out: &mut SenderOutbox) -> Self {
        out.datagrams.push(Datagram::Begin(stream).encode());
        Sender {
            stream,
            begun: false,
            pending: VecDeque::new(),
            acked: 0,
            highest: 0,
            complete: None,
            round_trip: None,
            deadline: Some(now + RETRANSMIT),
            backoff: 0,
            counters: SenderCounters::default(),
        }
    }

    /// The stream.
    pub const fn stream(&self) -> StreamId {
        self.stream
    }

    /// How many more chunks may be pushed.
    pub fn credit(&self) -> usize {
        if self.begun { WINDOW as usize - self.pending.len().min(WINDOW as usize) } else { 0 }
    }

    /// The number of the newest chunk.
    pub fn newest(&self) -> u64 {
        self.acked + self.pending.len() as u64
    }

    /// The peer has applied everything up to this chunk.
    pub const fn acked(&self) -> u64 {
        self.acked
    }

    /// True when the stream can go on with a receiver that has everything up to `received`: nothing before that is
    /// missing at the other end, and everything after it is still here.
    pub fn can_resume(&self, received: u64) -> bool {
        let numbered = (self.acked + 1..).zip(&self.pending);
        let kept = |(number, pending): (u64, &Pending)| number <= received || pending.chunk.is_some();
        received >= self.acked && numbered.into_iter().all(kept)
    }

    /// The peer has applied a whole walk.
    pub fn synced(&self) -> bool {
        self.complete.is_some_and(|complete| complete <= self.acked)
    }

    /// Sends a chunk. One without [`Sender::credit`] is refused, and the caller must begin a new stream.
    pub fn push(&mut self, now: Instant, chunk: Vec<u8>, out: &mut SenderOutbox) -> bool {
        if self.credit() == 0 {
            self.counters.overrun += 1;
            return false;
        }
        let sequence = self.newest() + 1;
        if flow::is_complete(&chunk) {
            self.complete = Some(sequence);
        }
        out.datagrams.push(Datagram::Data { stream: self.stream, sequence, chunk: &chunk }.encode());
        self.pending.push_back(Pending { chunk: Some(chunk), since: now, sent: now, again: false });
        self.counters.sent += 1;
        if self.deadline.is_none() {
            self.deadline = Some(now + self.patience());
        }
        true
    }

    /// An acknowledgement.
    pub fn handle_datagram(&mut self, now: Instant, bytes: &[u8], out: &mut SenderOutbox) {
        let (received, applied, beyond) = match Datagram::decode(bytes) {
            Some(Datagram::Ack { stream, received, applied, beyond }) if stream == self.stream => {
                (received, applied, beyond)
            }
            Some(
                Datagram::Ack { .. }
                | Datagram::Begin(_)
                | Datagram::Data { .. }
                | Datagram::Differ(..)
                | Datagram::Unknown(..)
                | Datagram::Verdict(..)
                | Datagram::Told { .. }
                | Datagram::Again(_),
            )
            | None => {
                self.counters.foreign += 1;
                return;
            }
        };
        if received > self.newest() || applied > received {
            self.counters.impossible += 1;
            return;
        }
        let news = self.note(now, received, applied, &beyond);
        self.begun = true;
        self.resend_missing(now, out);
        if news {
            self.backoff = 0;
            self.deadline = (!self.pending.is_empty()).then(|| now + self.patience());
        }
    }

    /// Marks what has come and drops what has been applied; true when something is new.
    fn note(&mut self, now: Instant, received: u64, applied: u64, beyond: &[u64; WORDS]) -> bool {
        let mut news = !self.begun;
        let map = (0..WINDOW).filter(|bit| beyond[(bit / 64) as usize] >> (bit % 64) & 1 == 1);
        for sequence in (self.acked + 1..=received).chain(map.map(|bit| received.saturating_add(1 + bit))) {
            let Some(place) = sequence.checked_sub(self.acked + 1) else { continue };
            let Some(pending) = self.pending.get_mut(place as usize) else { continue };
            if pending.chunk.take().is_none() {
                continue;
            }
            news = true;
            // Karn: what was sent twice tells no time.
            if !pending.again {
                let sample = now.since(pending.sent);
                self.round_trip = Some(self.round_trip.map_or(sample, |mean| (mean * 7 + sample) / 8));
            }
            self.highest = self.highest.max(sequence);
        }
        while self.acked < applied && self.pending.pop_front().is_some() {
            self.acked += 1;
            news = true;
        }
        news
    }

    /// Later ones have come.
    fn resend_missing(&mut self, now: Instant, out: &mut SenderOutbox) {
        let pause = self.round_trip.unwrap_or(RETRANSMIT);
        let lost = self.highest.saturating_sub(self.acked + REORDERED) as usize;
        let mut left = AGAIN;
        for (place, pending) in self.pending.iter_mut().enumerate().take(lost) {
            let Some(chunk) = &pending.chunk else { continue };
            if left == 0 || (pending.again && pending.sent + pause > now) {
                continue;
            }
            let sequence = self.acked + 1 + place as u64;
            out.datagrams.push(Datagram::Data { stream: self.stream, sequence, chunk }.encode());
            (pending.sent, pending.again) = (now, true);
            self.counters.resent += 1;
            left -= 1;
        }
    }

    /// Without news for too long, the oldest are sent again; an empty beginning too.
    pub fn handle_timeout(&mut self, now: Instant, out: &mut SenderOutbox) {
        if self.deadline.is_none_or(|deadline| now < deadline) {
            return;
        }
        if !self.begun {
            out.datagrams.push(Datagram::Begin(self.stream).encode());
        }
        let mut left = AGAIN;
        for (place, pending) in self.pending.iter_mut().enumerate() {
            let Some(chunk) = &pending.chunk else { continue };
            if left == 0 {
                break;
            }
            let sequence = self.acked + 1 + place as u64;
            out.datagrams.push(Datagram::Data { stream: self.stream, sequence, chunk }.encode());
            (pending.sent, pending.again) = (now, true);
            self.counters.resent += 1;
            left -= 1;
        }
        if left == AGAIN
            && let Some(pending) = self.pending.front()
        {
            // All has come and is not applied, or that news was lost: the beginning asks for it again.
            debug_assert!(pending.chunk.is_none(), "only what has come is not sent again");
            out.datagrams.push(Datagram::Begin(self.stream).encode());
        }
        self.backoff = (self.backoff + 1).min(6);
        self.deadline = Some(now + self.patience());
    }

    /// How long the oldest chunk that the peer has not applied has been waiting.
    pub fn lag(&self, now: Instant) -> Duration {
        self.pending.front().map_or(Duration::ZERO, |pending| now.since(pending.since))
    }

    /// When [`Sender::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<(Instant, Why)> {
        self.deadline.map(|deadline| (deadline, Why::Retransmit))
    }

    fn patience(&self) -> Duration {
        let twice = self.round_trip.map_or(RETRANSMIT, |mean| mean * 2);
        (twice.max(RETRANSMIT) * (1 << self.backoff)).min(SLOWEST)
    }

    /// For people.
    pub fn snapshot(&self, now: Instant) -> SenderSnapshot {
        SenderSnapshot {
            stream: self.stream,
            begun: self.begun,
            newest: self.newest(),
            acked: self.acked,
            lag: self.lag(now),
            round_trip: self.round_trip,
            synced: self.synced(),
            counters: self.counters,
        }
    }
}
