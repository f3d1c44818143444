//! Encoded changes of the connection table, from the forward thread to the thread that sends them to the peer.
//!
//! Invariant: the forward thread hands over only what there is room for ([`ShardEnd::room`]); what finds none stays
//! dirty in the table, so overload is delay and never loss. A chunk belongs to the telling that was in force when it
//! was made; chunks of an older one are not sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_queue::ArrayQueue;

use super::poller::Waker;

/// Chunks that wait; each is a datagram's worth.
const CHUNKS: usize = 256;
/// How long the other end may take to look again. Where one flow follows another, waking it for each would cost the
/// forward thread more than telling it.
pub const LINGER: Duration = Duration::from_micros(500);
/// With so many chunks waiting it is woken all the same.
const HURRY: usize = CHUNKS / 8;

/// Packets that take the way through the active node and wait, in pieces.
const DETOURS: usize = 128;

/// Bits of a chunk's number: more than a stream ever has.
const CHUNK_BITS: u32 = 48;

struct Shared {
    chunks: ArrayQueue<(u32, Vec<u8>)>,
    detours: ArrayQueue<Vec<u8>>,
    /// Number of the telling in force.
    telling: AtomicU32,
    /// What the peer's node has applied: the telling's number, its low 16 bits, above the chunk's.
    acked: AtomicU64,
    /// The forward thread waits for the next of these.
    waits: AtomicBool,
    /// The other end looks at the chunks again by itself, within [`LINGER`].
    attends: AtomicBool,
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
    let shared = Arc::new(Shared {
        chunks: ArrayQueue::new(CHUNKS),
        detours: ArrayQueue::new(DETOURS),
        telling: AtomicU32::new(0),
        acked: AtomicU64::new(0),
        waits: AtomicBool::new(false),
        attends: AtomicBool::new(false),
    });
    (ShardEnd { shared: Arc::clone(&shared), waker }, CourierEnd { shared, wanted: 0 })
}

impl ShardEnd {
    /// How many chunks can be handed over now.
    #[inline]
    pub fn room(&self) -> usize {
        CHUNKS - self.shared.chunks.len()
    }

    /// Hands chunks over. `urgent`: something waits for the peer to have them.
    pub fn send(&self, chunks: &mut Vec<Vec<u8>>, urgent: bool) {
        if chunks.is_empty() {
            return;
        }
        let telling = self.shared.telling.load(Ordering::Acquire);
        let count = chunks.len().min(self.room());
        for chunk in chunks.drain(..count) {
            // Only this end fills the queue, so the room that there was is still there.
            let _ = self.shared.chunks.push((telling, chunk));
        }
        // In this order: who stops attending looks at the queue once more afterwards.
        let attended = self.shared.attends.load(Ordering::SeqCst);
        if urgent || !attended || self.shared.chunks.len() >= HURRY {
            self.waker.wake();
        }
    }
}

impl ShardEnd {
    /// Hands over packets for the peer's node; how many found no room.
    pub fn send_detours(&self, detours: &mut Vec<Vec<u8>>) -> usize {
        if detours.is_empty() {
            return 0;
        }
        let lost = detours.drain(..).filter_map(|piece| self.shared.detours.push(piece).err()).count();
        self.waker.wake();
        lost
    }
}

/// A chunk's number together with that of its telling.
const fn pack(telling: u32, chunk: u64) -> u64 {
    (telling as u64) << CHUNK_BITS | chunk & ((1 << CHUNK_BITS) - 1)
}

impl ShardEnd {
    /// How many chunks of the telling in force the peer's node has applied.
    pub fn acked(&self) -> u64 {
        let acked = self.shared.acked.load(Ordering::SeqCst);
        let chunk = acked & ((1 << CHUNK_BITS) - 1);
        if acked == pack(self.shared.telling.load(Ordering::Acquire), chunk) { chunk } else { 0 }
    }

    /// Whether this end wants to be woken by the next acknowledgement. It must look at [`ShardEnd::acked`] afterwards.
    pub fn set_waiting(&self, waits: bool) {
        if self.shared.waits.load(Ordering::Relaxed) != waits {
            self.shared.waits.store(waits, Ordering::SeqCst);
        }
    }
}

impl CourierEnd {
    /// The peer's node has applied so many chunks of the telling that is wanted; true when the other end waits for
    /// that.
    pub fn acknowledge(&self, chunk: u64) -> bool {
        let acked = pack(self.wanted, chunk);
        self.shared.acked.swap(acked, Ordering::SeqCst) != acked && self.shared.waits.load(Ordering::SeqCst)
    }

    /// The next chunk of the telling that is wanted.
    pub fn chunk(&self) -> Option<Vec<u8>> {
        loop {
            let (telling, chunk) = self.shared.chunks.pop()?;
            if telling == self.wanted {
                return Some(chunk);
            }
        }
    }

    /// Says whether this end will look again within [`LINGER`] without being woken. When it says no, it must look at
    /// [`CourierEnd::is_empty`] afterwards.
    pub fn set_attending(&self, attends: bool) {
        if self.shared.attends.load(Ordering::Relaxed) != attends {
            self.shared.attends.store(attends, Ordering::SeqCst);
        }
    }

    /// The next packet for the peer's node, or a piece of one.
    pub fn detour(&self) -> Option<Vec<u8>> {
        self.shared.detours.pop()
    }

    /// True when none of these waits.
    pub fn has_no_detours(&self) -> bool {
        self.shared.detours.is_empty()
    }

    /// True when no chunk waits, of whatever telling.
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
    use super::super::clock;
    use super::super::poller::Poller;
    use super::*;

    #[test]
    fn an_acknowledgement_counts_for_the_telling_in_force_alone() {
        let (near, mut far) = pair(Poller::new().unwrap().waker());
        assert!(!far.acknowledge(3), "nobody waits");
        assert_eq!(near.acked(), 3);
        near.set_waiting(true);
        assert!(!far.acknowledge(3) && far.acknowledge(4), "only news wake");
        let begun = far.tell_anew();
        far.acknowledge(9);
        assert_eq!(near.acked(), 0, "of a telling that has not begun here");
        begun();
        assert_eq!(near.acked(), 9);
    }

    #[test]
    fn who_attends_is_woken_for_what_is_urgent_or_much() {
        let mut poller = Poller::new().unwrap();
        let (near, far) = pair(poller.waker());
        let mut is_woken_by = |count: usize, urgent: bool| {
            poller.arm();
            near.send(&mut vec![Vec::new(); count], urgent);
            while far.chunk().is_some() {}
            let begin = clock::now();
            poller.wait(Some(Duration::from_millis(20)), &mut Vec::new()).unwrap();
            clock::now().since(begin) < Duration::from_millis(20)
        };
        assert!(is_woken_by(1, false));
        far.set_attending(true);
        assert!(!is_woken_by(1, false));
        assert!(is_woken_by(1, true));
        assert!(is_woken_by(HURRY, false));
        far.set_attending(false);
        assert!(is_woken_by(1, false));
    }

    #[test]
    fn what_finds_no_room_stays_and_what_is_of_an_older_telling_is_not_sent() {
        let (near, mut far) = pair(Poller::new().unwrap().waker());
        let mut chunks: Vec<_> = (0..CHUNKS + 3).map(|number| vec![number as u8]).collect();
        near.send(&mut chunks, false);
        assert_eq!((chunks.len(), near.room()), (3, 0));
        assert_eq!(far.chunk(), Some(vec![0]));
        let begun = far.tell_anew();
        near.send(&mut chunks, false);
        assert_eq!((chunks.len(), far.chunk()), (2, None));
        begun();
        near.send(&mut chunks, false);
        assert_eq!(std::iter::from_fn(|| far.chunk()).count(), 2);
    }
}
