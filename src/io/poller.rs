//! Waiting: for frames, for commands, or for the time of the next timer, with nanosecond precision.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::sys::{self, PollEntry};

/// Wakes the thread that waits in a [`Poller`]. Cheap while that thread is awake anyway.
#[derive(Clone)]
pub struct Waker {
    shared: Arc<Shared>,
}

struct Shared {
    counter: File,
    /// True from the moment the thread decides to sleep until somebody has woken it.
    armed: AtomicBool,
}

impl Waker {
    /// Makes the thread look at its queues (again). Call it after the queue was filled.
    pub fn wake(&self) {
        if self.shared.armed.swap(false, Ordering::SeqCst) {
            // The counter can only be full when the thread has been woken 2^64 times already.
            let _ = (&self.shared.counter).write(&1u64.to_ne_bytes());
        }
    }
}

/// A descriptor that has something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ready {
    /// The name that [`Poller::add`] gave it.
    pub token: usize,
    /// Something is wrong with it.
    pub failed: bool,
}

/// The set of descriptors that one thread waits for.
///
/// It uses `ppoll`, not `epoll`: a router has a handful of ports, and an epoll set costs the sender of every single
/// frame a callback under a lock, also while nobody sleeps.
pub struct Poller {
    shared: Arc<Shared>,
    entries: Vec<PollEntry>,
    tokens: Vec<usize>,
}

impl Poller {
    /// A poller that waits for its waker only.
    ///
    /// # Errors
    /// When the kernel has no descriptor left.
    pub fn new() -> io::Result<Self> {
        let counter = sys::event_counter()?;
        let entries = vec![PollEntry::readable(counter.as_fd())];
        let shared = Arc::new(Shared { counter, armed: AtomicBool::new(false) });
        Ok(Poller { shared, entries, tokens: Vec::new() })
    }

    /// A handle that wakes this poller from any thread.
    pub fn waker(&self) -> Waker {
        Waker { shared: Arc::clone(&self.shared) }
    }

    /// Forgets all descriptors but the waker's.
    pub fn clear(&mut self) {
        self.entries.truncate(1);
        self.tokens.clear();
    }

    /// Also waits for `fd`; [`Poller::wait`] reports it as `token`. The caller keeps `fd` open until the next
    /// [`Poller::clear`].
    pub fn add(&mut self, token: usize, fd: BorrowedFd<'_>) {
        self.entries.push(PollEntry::readable(fd));
        self.tokens.push(token);
    }

    /// Announces that this thread is about to sleep: from now on a [`Waker`] makes a system call. Look at the queues
    /// once more after this and before [`Poller::wait`].
    pub fn arm(&self) {
        self.shared.armed.store(true, Ordering::SeqCst);
    }

    /// Waits until a descriptor is ready, the waker wakes, or the time is over (`None`: no limit); puts the tokens of
    /// the ready descriptors into `ready`.
    ///
    /// # Errors
    /// When the kernel refuses the set.
    pub fn wait(&mut self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()> {
        ready.clear();
        let count = sys::poll(&mut self.entries, timeout)?;
        self.shared.armed.store(false, Ordering::SeqCst);
        if count == 0 {
            return Ok(());
        }
        if self.entries[0].ready() {
            let _ = (&self.shared.counter).read(&mut [0; 8]);
        }
        let sources = self.entries[1..].iter().zip(&self.tokens);
        let found = sources.filter(|(entry, _)| entry.ready());
        ready.extend(found.map(|(entry, &token)| Ready { token, failed: entry.failed() }));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::clock;
    use super::*;

    #[test]
    fn a_waker_ends_a_wait_and_only_once() {
        let mut poller = Poller::new().unwrap();
        let waker = poller.waker();
        let mut ready = Vec::new();
        waker.wake();
        poller.wait(Some(Duration::ZERO), &mut ready).unwrap();
        poller.arm();
        let thread = std::thread::spawn(move || waker.wake());
        poller.wait(None, &mut ready).unwrap();
        thread.join().unwrap();
        assert!(ready.is_empty());
        let before = clock::now();
        poller.wait(Some(Duration::from_micros(300)), &mut ready).unwrap();
        let waited = clock::now().since(before);
        assert!(waited >= Duration::from_micros(300), "{waited:?}");
    }

    #[test]
    fn ready_descriptors_are_named_and_forgotten_ones_are_not() {
        let mut poller = Poller::new().unwrap();
        let (quiet, loud) = (sys::event_counter().unwrap(), sys::event_counter().unwrap());
        (&loud).write_all(&1u64.to_ne_bytes()).unwrap();
        poller.add(3, quiet.as_fd());
        poller.add(7, loud.as_fd());
        let mut ready = Vec::new();
        poller.wait(None, &mut ready).unwrap();
        assert_eq!(ready, [Ready { token: 7, failed: false }]);
        poller.clear();
        poller.wait(Some(Duration::ZERO), &mut ready).unwrap();
        assert!(ready.is_empty());
    }
}
