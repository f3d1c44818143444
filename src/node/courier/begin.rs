//! How a stream begins: with an answer that says whether names are enough.

use super::walk::Walk;
use super::{Courier, CourierOutbox, ReplicaOrder};
use crate::cluster::replica::{Datagram, Sender, StreamId, Verdict};
use crate::types::{Instant, Role};
use crate::wire::pair::Version;

/// Spreads the streams of one session and epoch over all numbers.
const SPREAD: u32 = 0x9e37_79b9;

/// Where a stream that this node tells is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Beginning {
    /// The shard has been told to begin, or there is no stream.
    #[default]
    Over,
    /// The peer has not answered yet.
    Waits {
        /// An operator wants everything told in full.
        in_full: bool,
        /// The peer has the flows that it told this node of.
        by_name: bool,
    },
}

impl Beginning {
    /// The peer has said which stream it told last; it is the one that this node heard last, or not.
    pub(super) fn note_told(&mut self, heard: bool) {
        if let Beginning::Waits { in_full, by_name } = self {
            *by_name = heard && !*in_full;
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
        self.beginning = Beginning::Waits { in_full, by_name: false };
        (self.verdict, self.differs, self.walk) = (Verdict::default(), None, Walk::begun(now));
    }

    /// The peer has answered: now the shard begins.
    pub(super) fn tell(&mut self, now: Instant, out: &mut CourierOutbox) {
        if let Beginning::Waits { in_full: _, by_name } = std::mem::take(&mut self.beginning) {
            self.told = self.sender.as_ref().map(Sender::stream);
            self.walk = Walk::begun(now);
            out.orders.push(ReplicaOrder::Tell { by_name });
        }
    }

    /// A standby answers the beginning of a stream with the one that it told last itself.
    pub(super) fn remember(&mut self, plain: &[u8]) {
        let Some(Datagram::Begin(stream)) = Datagram::decode(plain) else { return };
        let fresh = self.receiver.stream() != Some(stream) || self.receiver.newest() == 0;
        if let Some(told) = self.told.filter(|_| fresh && self.peer_speaks(Version(2))) {
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
