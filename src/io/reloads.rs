//! Those who have asked for a reload over the control socket and wait for its outcome.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::request::Response;

/// Tickets and where their outcomes go.
#[derive(Default)]
pub struct Reloads {
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    last: u64,
    tickets: HashMap<u64, SyncSender<Response>>,
}

impl Reloads {
    /// A new ticket, never zero, and where its outcome will come. The number of waiting connections bounds the
    /// number of tickets.
    pub fn register(&self) -> (u64, Receiver<Response>) {
        let (sender, receiver) = sync_channel(1);
        let mut waiting = self.lock();
        waiting.last += 1;
        let ticket = waiting.last;
        waiting.tickets.insert(ticket, sender);
        (ticket, receiver)
    }

    /// Whoever holds the ticket learns the outcome, or waits no more.
    pub fn settle(&self, ticket: u64, outcome: Response) {
        if let Some(sender) = self.lock().tickets.remove(&ticket) {
            // Nobody waits any more: the connection has ended.
            let _ = sender.try_send(outcome);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // The map is whole whatever a panicking thread was doing.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_ticket_gets_its_own_outcome_once() {
        let reloads = Reloads::default();
        let ((first, one), (second, two)) = (reloads.register(), reloads.register());
        assert!(first != 0 && first != second);
        reloads.settle(second, Response::Failed("two".into()));
        reloads.settle(second, Response::Failed("again".into()));
        reloads.settle(99, Response::Failed("nobody".into()));
        assert!(one.try_recv().is_err());
        assert!(matches!(two.try_recv(), Ok(Response::Failed(text)) if text == "two"));
        assert!(two.try_recv().is_err());
    }
}
