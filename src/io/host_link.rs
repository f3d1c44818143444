//! Two bounded ways between the forward thread and the thread of the router's own stack.
//!
//! Invariant: nothing waits here. A full queue refuses, the caller counts; buffers come back to where they were
//! taken, so that neither side allocates while packets flow.

use std::sync::{Arc, Mutex, PoisonError};

use crossbeam_queue::ArrayQueue;

use super::poller::Waker;
use crate::host::Counters;
use crate::wire::{FrameBuf, Pool};

/// Packets that wait in one direction.
const CAPACITY: usize = 512;

/// One direction: packets go, their empty buffers come back.
struct Lane {
    packets: ArrayQueue<FrameBuf>,
    empties: ArrayQueue<FrameBuf>,
    /// What the sender has told about itself.
    counters: Mutex<Counters>,
}

impl Lane {
    fn new() -> Arc<Self> {
        Arc::new(Lane {
            packets: ArrayQueue::new(CAPACITY),
            empties: ArrayQueue::new(CAPACITY),
            counters: Mutex::default(),
        })
    }
}

/// One end of the link.
pub struct End {
    outgoing: Arc<Lane>,
    incoming: Arc<Lane>,
    peer: Waker,
}

/// A link between the threads that `first` and `second` wake; gives the end of each.
pub fn pair(first: Waker, second: Waker) -> (End, End) {
    let (there, back) = (Lane::new(), Lane::new());
    let near = End { outgoing: Arc::clone(&there), incoming: Arc::clone(&back), peer: second };
    (near, End { outgoing: back, incoming: there, peer: first })
}

impl End {
    /// Sends `packets` and wakes the other end; gives the number of those that found no room, whose buffers go to
    /// `pool`. Buffers that the other end has emptied go to `pool`, too.
    pub fn send(&self, packets: &mut Vec<FrameBuf>, pool: &mut Pool) -> usize {
        if packets.is_empty() {
            return 0;
        }
        while let Some(empty) = self.outgoing.empties.pop() {
            pool.give(empty);
        }
        let mut refused = 0;
        for packet in packets.drain(..) {
            if let Err(packet) = self.outgoing.packets.push(packet) {
                refused += 1;
                pool.give(packet);
            }
        }
        self.peer.wake();
        refused
    }

    /// Takes at most `limit` packets that the other end has sent, and pays for them with empty buffers from `pool`.
    pub fn receive(&self, into: &mut Vec<FrameBuf>, limit: usize, pool: &mut Pool) {
        let was_full = self.incoming.packets.is_full();
        for _ in 0..limit {
            let Some(packet) = self.incoming.packets.pop() else { break };
            into.push(packet);
            if !self.incoming.empties.is_full() {
                // Full only when the other end has not sent for a while; then the buffer is simply not exchanged.
                let _ = self.incoming.empties.push(pool.take());
            }
        }
        if was_full {
            // The other end may have waited for room.
            self.peer.wake();
        }
    }

    /// How many packets can be sent now.
    pub fn room(&self) -> usize {
        CAPACITY - self.outgoing.packets.len()
    }

    /// Tells the other end what has been done so far.
    pub fn publish(&self, counters: Counters) {
        *self.outgoing.counters.lock().unwrap_or_else(PoisonError::into_inner) = counters;
    }

    /// What the other end has told last.
    pub fn published(&self) -> Counters {
        *self.incoming.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True when packets wait.
    pub fn has_packets(&self) -> bool {
        !self.incoming.packets.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::super::poller::Poller;
    use super::*;

    #[test]
    fn packets_go_buffers_come_back_and_a_full_queue_refuses() {
        let (one, two) = (Poller::new().unwrap(), Poller::new().unwrap());
        let (near, far) = pair(one.waker(), two.waker());
        let (mut near_pool, mut far_pool) = (Pool::new(8), Pool::new(8));
        let mut packets: Vec<_> = (0..CAPACITY + 3).map(|_| FrameBuf::copy_of(&[1])).collect();
        assert_eq!(near.send(&mut packets, &mut near_pool), 3);
        let mut received = Vec::new();
        assert!(far.has_packets() && !near.has_packets());
        far.receive(&mut received, CAPACITY * 2, &mut far_pool);
        assert_eq!(received.len(), CAPACITY);
        assert!(!far.has_packets());
        assert_eq!(near.outgoing.empties.len(), CAPACITY);
        near.send(&mut vec![FrameBuf::copy_of(&[2])], &mut near_pool);
        assert_eq!(near.outgoing.empties.len(), 0);
    }
}
