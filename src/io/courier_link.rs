//! Encoded changes of the connection table, from the forward thread to the thread that sends them to the peer.
//!
//! Invariant: the forward thread hands over only what there is room for ([`ShardEnd::room`]); what finds none stays
//! dirty in the table, so overload is delay and never loss. A chunk belongs to the telling that was in force when it
//! was made; chunks of an older one are not sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crossbeam_queue::ArrayQueue;

use super::poller::Waker;

/// Chunks that wait; each is a datagram's worth.
const CHUNKS: usize = 256;

struct Shared {
    chunks: ArrayQueue<(u32, Vec<u8>)>,
    /// Number of the telling in force.
    telling: AtomicU32,
}

/// The forward thread's end.
#[derive(Clone)]
pub struct ShardEnd {
    shared: Arc<Shared>,
    waker: Waker,
}

/// The other end.
pub struct CourierEnd {
    shared: Arc<Shared>,
    wanted: u32,
}

/// A link to the thread that `waker` wakes.
pub fn pair(waker: Waker) -> (ShardEnd, CourierEnd) {
    let shared = Arc::new(Shared { chunks: ArrayQueue::new(CHUNKS), telling: AtomicU32::new(0) });
    (ShardEnd { shared: Arc::clone(&shared), waker }, CourierEnd { shared, wanted: 0 })
}

impl ShardEnd {
    /// How many chunks can be handed over now.
    #[inline]
    pub fn room(&self) -> usize {
        CHUNKS - self.shared.chunks.len()
    }

    /// Hands chunks over.
    pub fn send(&self, chunks: &mut Vec<Vec<u8>>) {
        if chunks.is_empty() {
            return;
        }
        let telling = self.shared.telling.load(Ordering::Acquire);
        let count = chunks.len().min(self.room());
        for chunk in chunks.drain(..count) {
            // Only this end fills the queue, so the room that there was is still there.
            let _ = self.shared.chunks.push((telling, chunk));
        }
        self.waker.wake();
    }
}

impl CourierEnd {
    /// The next chunk of the telling that is wanted.
    pub fn chunk(&self) -> Option<Vec<u8>> {
        loop {
            let (telling, chunk) = self.shared.chunks.pop()?;
            if telling == self.wanted {
                return Some(chunk);
            }
        }
    }

    /// True when none waits, of whatever telling.
    pub fn is_empty(&self) -> bool {
        self.shared.chunks.is_empty()
    }

    /// Everything is to be told anew: gives what the forward thread must call when it begins with that.
    pub fn tell_anew(&mut self) -> impl FnOnce() + Send + use<> {
        self.wanted = self.wanted.wrapping_add(1);
        let (shared, wanted) = (Arc::clone(&self.shared), self.wanted);
        move || shared.telling.store(wanted, Ordering::Release)
    }
}

#[cfg(test)]
mod tests {
    use super::super::poller::Poller;
    use super::*;

    #[test]
    fn what_finds_no_room_stays_and_what_is_of_an_older_telling_is_not_sent() {
        let (near, mut far) = pair(Poller::new().unwrap().waker());
        let mut chunks: Vec<_> = (0..CHUNKS + 3).map(|number| vec![number as u8]).collect();
        near.send(&mut chunks);
        assert_eq!((chunks.len(), near.room()), (3, 0));
        assert_eq!(far.chunk(), Some(vec![0]));
        let begun = far.tell_anew();
        near.send(&mut chunks);
        assert_eq!((chunks.len(), far.chunk()), (2, None));
        begun();
        near.send(&mut chunks);
        assert_eq!(std::iter::from_fn(|| far.chunk()).count(), 2);
    }
}
