//! How a stream begins: with an answer that says whether names are enough.

use super::walk::Walk;
use super::{Courier, CourierOutbox, ReplicaOrder};
use crate::cluster::replica::{Datagram, Sender, StreamId, Verdict};
use crate::types::{Duration, Instant, Role};
use crate::wire::pair::Version;

/// Spreads the streams of one session and epoch over all numbers.
const SPREAD: u32 = 0x9e37_79b9;

/// A peer that has not said which stream it told is asked again after this, so many times. One of another release may
/// never say it.
const AGAIN: Duration = Duration::from_millis(50);
const TRIES: u8 = 4;

/// Where a stream that this node tells is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Beginning {
    /// The shard has been told to begin, or there is no stream.
    #[default]
    Over,
    /// The peer has not answered yet.
    Waits {
        /// The peer has the flows that it told this node of, or not, once that is known.
        by_name: Option<bool>,
        /// When it is asked again.
        again: Instant,
        /// How often it has been.
        tries: u8,
    },
}

impl Beginning {
    /// The peer has said which stream it told last; it is the one that this node heard last, or not.
    fn note_told(&mut self, heard: bool) {
        match self {
            Beginning::Waits { by_name: by_name @ None, .. } => *by_name = Some(heard),
            Beginning::Waits { by_name: Some(_), .. } | Beginning::Over => {}
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Beginning::Waits { again, .. } => Some(*again),
            Beginning::Over => None,
        }
    }
}

/// Why not everything can be told anew.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotAgain {
    /// There is nobody to tell, or nobody who tells.
    NoStream,
    /// There is no session with the peer.
    NoSession,
    /// The active node runs a release that cannot be asked.
    OlderPeer,
}

impl std::fmt::Display for NotAgain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            NotAgain::NoStream => "states are not being replicated: there is no peer, or it is not heard",
            NotAgain::OlderPeer => "the active node runs an older release: ask there, or upgrade it",
            NotAgain::NoSession => "there is no session with the peer at present",
        })
    }
}

impl Courier {
    /// Everything is told again, in a stream of its own.
    pub(super) fn begin_anew(&mut self, now: Instant) {
        self.begin_stream(now, false);
    }

    fn begin_stream(&mut self, now: Instant, in_full: bool) {
        let Some(session) = self.session else { return };
        let session = session ^ self.again.wrapping_mul(SPREAD);
        let stream = StreamId(u64::from(session) << 32 | u64::from(self.epoch.0));
        self.sender = Some(Sender::new(now, stream, &mut self.sender_out));
        self.greeting = None;
        // The release before knows no names.
        let known = in_full || !self.peer_speaks(Version(2));
        self.beginning = Beginning::Waits { by_name: known.then_some(false), again: now + AGAIN, tries: 0 };
        (self.verdict, self.differs, self.walk) = (Verdict::default(), None, Walk::begun(now));
    }

    /// The peer says which stream it told last.
    pub(super) fn note_told(&mut self, now: Instant, told: StreamId, out: &mut CourierOutbox) {
        self.beginning.note_told(self.receiver.stream() == Some(told));
        self.tell(now, out);
    }

    /// When the peer has answered, and is known to need names or all, the shard begins.
    pub(super) fn tell(&mut self, now: Instant, out: &mut CourierOutbox) {
        let Beginning::Waits { by_name: Some(by_name), .. } = self.beginning else { return };
        let Some(sender) = self.sender.as_ref().filter(|sender| sender.credit() > 0) else { return };
        self.told = Some(sender.stream());
        self.walk = Walk::begun(now);
        self.beginning = Beginning::Over;
        out.orders.push(ReplicaOrder::Tell { by_name });
    }

    /// What the peer has told last is asked for again, or done without.
    pub(super) fn ask_for_told(&mut self, now: Instant, out: &mut CourierOutbox) {
        let answered = self.sender.as_ref().filter(|sender| sender.credit() > 0).map(Sender::stream);
        let Beginning::Waits { by_name, again, tries } = &mut self.beginning else { return };
        if now < *again {
            return;
        }
        *again = now + AGAIN;
        // Until there is any answer the sender itself asks.
        let Some(stream) = answered else { return };
        *tries += 1;
        if *tries > TRIES {
            *by_name = Some(false);
            return self.tell(now, out);
        }
        self.sender_out.datagrams.push(Datagram::Begin(stream).encode());
    }

    /// A standby answers the beginning of a stream with the one that it told last itself.
    pub(super) fn remember(&mut self, plain: &[u8]) {
        let Some(Datagram::Begin(stream)) = Datagram::decode(plain) else { return };
        let fresh = self.receiver.stream() != Some(stream) || self.receiver.newest() == 0;
        if fresh && self.peer_speaks(Version(2)) {
            let told = self.told.unwrap_or(StreamId(0));
            self.receiver_out.datagrams.push(Datagram::Told { stream, told }.encode());
        }
    }

    /// An operator wants everything told anew, in full. A standby asks its peer for it.
    ///
    /// # Errors
    /// When there is no stream.
    pub fn handle_again(&mut self, now: Instant, out: &mut CourierOutbox) -> Result<(), NotAgain> {
        if self.sealer.is_none() {
            return Err(NotAgain::NoSession);
        }
        match self.role {
            Role::Active if self.sender.is_some() => self.tell_again(now),
            Role::Standby => {
                let stream = self.receiver.stream().ok_or(NotAgain::NoStream)?;
                if !self.peer_speaks(Version(2)) {
                    return Err(NotAgain::OlderPeer);
                }
                self.receiver_out.datagrams.push(Datagram::Again(stream).encode());
            }
            Role::Active | Role::Alone => return Err(NotAgain::NoStream),
        }
        self.flush(out);
        Ok(())
    }

    pub(super) fn tell_again(&mut self, now: Instant) {
        self.again = self.again.wrapping_add(1);
        self.begin_stream(now, true);
    }
}
