//! Tells what happens on the forward thread: to the log, and to the parent, who can open devices again.
//!
//! Invariant: the forward thread never waits for whoever reads the log. It hands over; a thread of its own speaks.
//! Notices that find too many others waiting are left out; what happens to a port never is.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};

use super::handle::{PortEvent, PortListener};
use super::orders::Report;
use super::router::Reporter;
use crate::node::Notice;
use crate::types::PortId;

/// Notices that may wait for the log.
const WAITING: usize = 256;

/// The speaking end.
pub struct Herald {
    names: Arc<Mutex<Vec<String>>>,
    reporter: Reporter,
}

impl Herald {
    /// Starts the thread; it ends with the listener. `names` are those of the ports, in the order of their ids.
    ///
    /// # Errors
    /// When there can be no other thread.
    pub fn start(names: Arc<Mutex<Vec<String>>>, reporter: Reporter) -> io::Result<PortListener> {
        let herald = Herald { names, reporter };
        let (sender, receiver) = mpsc::channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let theirs = Arc::clone(&waiting);
        std::thread::Builder::new().name("herald".into()).spawn(move || herald.run(receiver, &theirs))?;
        Ok(Box::new(move |event| {
            let crowded = waiting.load(Ordering::Relaxed) >= WAITING;
            if crowded && matches!(event, PortEvent::Notice(_)) {
                return;
            }
            waiting.fetch_add(1, Ordering::Relaxed);
            // The thread lives as long as this sender does.
            let _ = sender.send(event);
        }))
    }

    fn run(&self, receiver: Receiver<PortEvent>, waiting: &AtomicUsize) {
        for event in receiver {
            waiting.fetch_sub(1, Ordering::Relaxed);
            self.tell(event);
        }
    }

    fn tell(&self, event: PortEvent) {
        match event {
            PortEvent::Gone(id) => {
                let name = self.name(id);
                tracing::warn!(port = name, "the device is gone");
                self.reporter.say(&Report::Gone { name });
            }
            PortEvent::NotAttached(id, error) => {
                let name = self.name(id);
                // Without privileges that is how it is; the parent has them.
                if error.kind() == io::ErrorKind::PermissionDenied {
                    tracing::debug!(port = name, %error, "the parent shall open the device");
                } else {
                    tracing::warn!(port = name, %error, "the device cannot be attached");
                }
                self.reporter.say(&Report::Back { name });
            }
            PortEvent::Attached(id) => {
                tracing::info!(port = self.name(id), "the device is attached again");
            }
            PortEvent::Notice(Notice { wrong: true, interface, text }) => tracing::warn!(interface, "{text}"),
            PortEvent::Notice(Notice { wrong: false, interface, text }) => {
                tracing::info!(interface, "{text}");
            }
        }
    }

    fn name(&self, id: PortId) -> String {
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.get(usize::from(id.0)).cloned().unwrap_or_default()
    }
}
