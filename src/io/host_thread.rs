//! The thread of the router's own stack, and what it shares with those who read and write connections.
//!
//! Whoever holds the stack runs it: a page that is being written is cut into packets by the thread that writes it, and
//! only packets that arrive, and timers, need this thread.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::clock;
use super::host_link::End;
use super::poller::Poller;
use crate::host::{Counters, Stack};
use crate::types::Instant;
use crate::wire::FrameBuf;

/// Packets taken in one turn.
const BATCH: usize = 256;
/// A thread that has nothing to do looks around this often, should a wake-up ever get lost.
const LOOK_AROUND: Duration = Duration::from_secs(1);

/// The stack, its link to the forward thread, and its waker.
#[derive(Clone)]
pub struct HostHandle {
    shared: Arc<Mutex<Shared>>,
    waker: super::poller::Waker,
}

struct Shared {
    stack: Stack,
    link: End,
    incoming: Vec<FrameBuf>,
    outgoing: Vec<FrameBuf>,
    refused: u64,
    /// The counters that the forward thread knows.
    told: Counters,
    /// The thread looks again at this time without being woken.
    asleep_until: Instant,
}

/// The stack, held; it is run when it is let go.
pub struct Held<'a> {
    shared: MutexGuard<'a, Shared>,
    waker: &'a super::poller::Waker,
}

impl HostHandle {
    /// Starts the thread. `link` is the end of the link to the forward thread, whose own waker is `poller`'s.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(stack: Stack, link: End, mut poller: Poller) -> io::Result<HostHandle> {
        let waker = poller.waker();
        let shared = Shared {
            stack,
            link,
            incoming: Vec::new(),
            outgoing: Vec::new(),
            refused: 0,
            told: Counters::default(),
            asleep_until: Instant::ZERO,
        };
        let handle = HostHandle { shared: Arc::new(Mutex::new(shared)), waker };
        let thread = handle.clone();
        std::thread::Builder::new().name("host".into()).spawn(move || thread.run(&mut poller))?;
        Ok(handle)
    }

    /// Takes hold of the stack.
    pub fn hold(&self) -> Held<'_> {
        Held { shared: self.lock(), waker: &self.waker }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, poller: &mut Poller) {
        let mut ready = Vec::new();
        loop {
            poller.arm();
            let timeout = {
                let mut shared = self.lock();
                let timeout = shared.turn();
                shared.asleep_until = clock::now() + timeout;
                timeout
            };
            if poller.wait(Some(timeout), &mut ready).is_err() {
                return;
            }
        }
    }
}

impl Shared {
    /// Runs the stack once; says how long it may sleep.
    fn turn(&mut self) -> Duration {
        let now = clock::now();
        let Shared { stack, link, incoming, outgoing, refused, told, asleep_until: _ } = self;
        link.receive(incoming, BATCH, stack.pool());
        for packet in incoming.drain(..) {
            stack.handle_packet(now, packet);
        }
        stack.poll(now, link.room(), outgoing);
        *refused += link.send(outgoing, stack.pool()) as u64;
        let counters = Counters { unsent: *refused, ..stack.counters() };
        if *told != counters {
            *told = counters;
            link.publish(counters);
        }
        // Without room, the forward thread wakes us when it has made some.
        if link.has_packets() || (stack.wants_room() && link.room() > 0) {
            return Duration::ZERO;
        }
        stack.poll_timeout().map_or(LOOK_AROUND, |at| at.since(clock::now()).min(LOOK_AROUND))
    }
}

impl Held<'_> {
    /// The stack.
    pub fn stack(&mut self) -> &mut Stack {
        &mut self.shared.stack
    }

    /// Runs the stack now: what was written goes out.
    pub fn run(&mut self) {
        let timeout = self.shared.turn();
        // The thread's own sleep may be longer than the timers that were just set.
        if clock::now() + timeout < self.shared.asleep_until {
            self.waker.wake();
        }
    }
}
