//! The end that sends: the parcel at the front of a queue, a window of its chunks at a time.

use std::collections::VecDeque;

use super::datagram::{Ack, Data, Datagram, WORDS, chunks, range};
use super::{Kind, PARCEL_MAX, PATIENCE, ParcelId, QUEUE, QUEUE_BYTES, WINDOW};
use crate::types::{Duration, Instant};

/// The shortest time without news after which something is sent again.
const RETRANSMIT: Duration = Duration::from_millis(20);
/// The longest.
const SLOWEST: Duration = Duration::from_secs(1);
/// At most this many chunks are sent again at one time.
const AGAIN: usize = 16;
/// A missing chunk is lost when so many later ones have come: the link hardly reorders.
const REORDERED: usize = 3;

/// Why parcels want to be called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// No news for too long.
    Retransmit,
    /// The peer seems to be away.
    GiveUp,
    /// What has come is acknowledged.
    Acknowledge,
}

/// What an acknowledgement was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Answer {
    News,
    Done(ParcelId),
    Foreign,
}

struct Waiting {
    id: ParcelId,
    kind: Kind,
    bytes: Vec<u8>,
    since: Instant,
}

/// A chunk under way.
struct Pending {
    sent: Instant,
    /// To be sent again.
    due: bool,
    again: bool,
    came: bool,
}

impl Pending {
    fn mark(&mut self, now: Instant) {
        (self.sent, self.due, self.again) = (now, true, true);
    }
}

/// The end that sends.
#[derive(Default)]
pub(super) struct Sender {
    queue: VecDeque<Waiting>,
    last: u32,
    /// Every chunk of the front parcel below has come.
    base: u32,
    /// The chunks from `base` on that were sent.
    pending: VecDeque<Pending>,
    /// The receiver's life that the numbers above speak of.
    receiver: Option<u32>,
    heard: Option<Instant>,
    round_trip: Option<Duration>,
    deadline: Option<Instant>,
    backoff: u32,
    pub resent: u64,
}

impl Sender {
    /// `None` when there is no room.
    pub fn queue(&mut self, now: Instant, kind: Kind, bytes: Vec<u8>) -> Option<ParcelId> {
        let waiting: usize = self.queue.iter().map(|parcel| parcel.bytes.len()).sum();
        let fits = bytes.len() <= PARCEL_MAX && waiting + bytes.len() <= QUEUE_BYTES;
        if !fits || self.queue.len() >= QUEUE {
            return None;
        }
        self.last = self.last.checked_add(1)?;
        let id = ParcelId(self.last);
        self.queue.push_back(Waiting { id, kind, bytes, since: now });
        Some(id)
    }

    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// What was sealed before may be lost: it is sent again at once.
    pub fn begin_again(&mut self, now: Instant) {
        self.backoff = 0;
        if !self.pending.is_empty() {
            self.deadline = Some(now);
            self.handle_timeout(now);
        }
    }

    /// Sends what the window has room for, and what is to be sent again.
    pub fn flush(&mut self, now: Instant, life: u32, out: &mut Vec<Vec<u8>>) {
        let Some(parcel) = self.queue.front() else { return };
        let length = parcel.bytes.len();
        let mut say = |index: u32| {
            let bytes = &parcel.bytes[range(length, index)];
            let data =
                Data { life, parcel: parcel.id.0, kind: parcel.kind, length: length as u32, index, bytes };
            out.push(Datagram::Data(data).encode());
        };
        for (index, pending) in (self.base..).zip(&mut self.pending) {
            if std::mem::take(&mut pending.due) && !pending.came {
                say(index);
            }
        }
        let end = chunks(length as u32).min(self.base + WINDOW);
        for index in self.base + self.pending.len() as u32..end {
            say(index);
            self.pending.push_back(Pending { sent: now, due: false, again: false, came: false });
        }
        if self.deadline.is_none() {
            self.deadline = Some(now + self.patience());
        }
    }

    pub fn handle_ack(&mut self, now: Instant, ack: &Ack) -> Answer {
        let Ack { life: _, receiver, parcel, received, beyond } = *ack;
        let Some(front) = self.queue.front().filter(|front| front.id.0 == parcel) else {
            // Most often a second acknowledgement of the parcel before.
            return if parcel <= self.last { Answer::News } else { Answer::Foreign };
        };
        let (id, count) = (front.id, chunks(front.bytes.len() as u32));
        if self.receiver.replace(receiver).is_some_and(|before| before != receiver) {
            self.base = 0;
            self.pending.clear();
            self.deadline = None;
        }
        let sent = self.base + self.pending.len() as u32;
        // A receiver that is new to us may have more than we know of: it has it from us.
        if received > count || (received > sent && sent != 0) {
            return Answer::Foreign;
        }
        self.heard = Some(now);
        if received == count {
            self.drop_front();
            return Answer::Done(id);
        }
        if self.note(now, received, &beyond) {
            self.backoff = 0;
            self.deadline = Some(now + self.patience());
        }
        self.mark_missing(now);
        Answer::News
    }

    /// Marks what has come; true when something is new.
    fn note(&mut self, now: Instant, received: u32, beyond: &[u64; WORDS]) -> bool {
        let (mut news, mut round_trip) = (false, self.round_trip);
        let mut came = |pending: &Pending| {
            news |= !pending.came;
            // Karn: what was sent twice tells no time.
            if !pending.came && !pending.again {
                let sample = now.since(pending.sent);
                round_trip = Some(round_trip.map_or(sample, |mean| (mean * 7 + sample) / 8));
            }
        };
        while self.base < received
            && let Some(pending) = self.pending.pop_front()
        {
            came(&pending);
            self.base += 1;
        }
        if self.base == received {
            for (bit, pending) in self.pending.iter_mut().skip(1).enumerate().take(WINDOW as usize) {
                if beyond[bit / 64] >> (bit % 64) & 1 == 1 {
                    came(pending);
                    pending.came = true;
                }
            }
        }
        self.round_trip = round_trip;
        news
    }

    /// Later ones have come.
    fn mark_missing(&mut self, now: Instant) {
        let pause = self.round_trip.unwrap_or(RETRANSMIT);
        let highest = self.pending.iter().rposition(|pending| pending.came).unwrap_or(0);
        let lost = (highest + 1).saturating_sub(REORDERED);
        let due = |pending: &&mut Pending| !pending.came && (!pending.again || pending.sent + pause <= now);
        for pending in self.pending.iter_mut().take(lost).filter(due).take(AGAIN) {
            pending.mark(now);
            self.resent += 1;
        }
    }

    /// Without news for too long, the oldest chunks are marked to be sent again.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.deadline.is_none_or(|deadline| now < deadline) {
            return;
        }
        for pending in self.pending.iter_mut().filter(|pending| !pending.came).take(AGAIN) {
            pending.mark(now);
            self.resent += 1;
        }
        self.backoff = (self.backoff + 1).min(6);
        self.deadline = (!self.pending.is_empty()).then(|| now + self.patience());
    }

    /// Parcels that the peer was silent for too long about.
    pub fn give_up(&mut self, now: Instant) -> Vec<ParcelId> {
        let mut failed = Vec::new();
        while let Some(front) = self.queue.front()
            && self.give_up_at(front) <= now
        {
            failed.push(front.id);
            self.drop_front();
        }
        failed
    }

    fn give_up_at(&self, parcel: &Waiting) -> Instant {
        self.heard.map_or(parcel.since, |heard| heard.max(parcel.since)) + PATIENCE
    }

    fn drop_front(&mut self) {
        self.queue.pop_front();
        (self.base, self.backoff, self.deadline) = (0, 0, None);
        self.pending.clear();
    }

    pub fn poll_timeout(&self) -> Option<(Instant, Why)> {
        let retransmit = self.deadline.map(|at| (at, Why::Retransmit));
        let give_up = self.queue.front().map(|front| (self.give_up_at(front), Why::GiveUp));
        retransmit.into_iter().chain(give_up).min_by_key(|(at, _)| *at)
    }

    fn patience(&self) -> Duration {
        let twice = self.round_trip.map_or(RETRANSMIT, |mean| mean * 2);
        (twice.max(RETRANSMIT) * (1 << self.backoff)).min(SLOWEST)
    }
}
