//! Encoded changes of the connection table, from the forward thread to the thread that sends them to the peer.
//!
//! Invariant: the forward thread hands over only what there is room for ([`ShardEnd::room`]); what finds none stays
//! dirty in the table, so overload is delay and never loss.

use std::sync::Arc;

use crossbeam_queue::ArrayQueue;

use super::poller::Waker;

/// Chunks that wait; each is a datagram's worth.
const CHUNKS: usize = 256;

/// The forward thread's end.
#[derive(Clone)]
pub struct ShardEnd {
    chunks: Arc<ArrayQueue<Vec<u8>>>,
    waker: Waker,
}

/// The other end.
pub struct CourierEnd {
    chunks: Arc<ArrayQueue<Vec<u8>>>,
}

/// A link to the thread that `waker` wakes.
pub fn pair(waker: Waker) -> (ShardEnd, CourierEnd) {
    let chunks = Arc::new(ArrayQueue::new(CHUNKS));
    (ShardEnd { chunks: Arc::clone(&chunks), waker }, CourierEnd { chunks })
}

impl ShardEnd {
    /// How many chunks can be handed over now.
    #[inline]
    pub fn room(&self) -> usize {
        CHUNKS - self.chunks.len()
    }

    /// Hands chunks over.
    pub fn send(&self, chunks: &mut Vec<Vec<u8>>) {
        if chunks.is_empty() {
            return;
        }
        let count = chunks.len().min(self.room());
        for chunk in chunks.drain(..count) {
            // Only this end fills the queue, so the room that there was is still there.
            let _ = self.chunks.push(chunk);
        }
        self.waker.wake();
    }
}

impl CourierEnd {
    /// The next chunk.
    pub fn chunk(&self) -> Option<Vec<u8>> {
        self.chunks.pop()
    }

    /// True when none waits.
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::super::poller::Poller;
    use super::*;

    #[test]
    fn what_finds_no_room_stays() {
        let (near, far) = pair(Poller::new().unwrap().waker());
        let mut chunks: Vec<_> = (0..CHUNKS + 3).map(|number| vec![number as u8]).collect();
        near.send(&mut chunks);
        assert_eq!((chunks.len(), near.room()), (3, 0));
        assert_eq!(far.chunk(), Some(vec![0]));
        near.send(&mut chunks);
        assert_eq!(chunks.len(), 2);
        assert_eq!(std::iter::from_fn(|| far.chunk()).count(), CHUNKS);
        assert!(far.is_empty());
    }
}
