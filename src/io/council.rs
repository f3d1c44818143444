//! The router's part in the pair's agreement about its configuration: it carries messages between the parent, which
//! decides, and the peer, and says whether the peer can be spoken to.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use data_encoding::BASE64;

use super::orders::Report;
use super::pair_threads::PairHandle;
use super::post::Fate;
use super::router::Reporter;
use crate::cluster::parcel::Kind;

/// Messages of the peer's that may wait; one that is lost is said again.
const MESSAGES: usize = 64;
/// How often it looks whether the peer is there.
const LOOK: Duration = Duration::from_millis(500);

/// See the module.
pub struct Council {
    pair: PairHandle,
    /// A message did not reach the peer.
    lost: Arc<AtomicBool>,
}

/// Starts listening, in a thread of its own that ends with the process.
///
/// # Errors
/// When there can be no other thread.
pub fn start(pair: PairHandle, reporter: Reporter) -> io::Result<Council> {
    let (said, heard) = sync_channel(MESSAGES);
    pair.listen(Kind::AGREEMENT, Box::new(move |bytes| drop(said.try_send(bytes))));
    let council = Council { pair: pair.clone(), lost: Arc::default() };
    let lost = Arc::clone(&council.lost);
    let listening = move || {
        let mut told = None;
        loop {
            let message = heard.recv_timeout(LOOK);
            // It was away for a moment, which nobody may have seen: what it was asked is not answered any more.
            if let (true, Some((_, epoch))) = (lost.swap(false, Ordering::Relaxed), told.take()) {
                reporter.say(&Report::Peer { present: false, epoch });
            }
            // A role thread that does not answer says nothing of the peer.
            if let Ok(snapshot) = pair.snapshot() {
                let present = snapshot.session && snapshot.peer.is_some_and(|peer| peer.alive);
                let now = (present, snapshot.epoch);
                if told.replace(now) != Some(now) {
                    reporter.say(&Report::Peer { present, epoch: snapshot.epoch });
                }
            }
            match message {
                Ok(bytes) => reporter.say(&Report::Heard { message: BASE64.encode(&bytes) }),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    };
    std::thread::Builder::new().name("council".into()).spawn(listening)?;
    Ok(council)
}

impl Council {
    /// A message of the parent's goes to the peer.
    pub fn tell(&self, message: &str) {
        let Ok(bytes) = BASE64.decode(message.as_bytes()) else { return };
        let lost = Arc::clone(&self.lost);
        let done = move |fate| match fate {
            Fate::Delivered => {}
            Fate::Failed => lost.store(true, Ordering::Relaxed),
            // The agreement asks again by itself.
            Fate::Refused => tracing::debug!("a message about the configuration finds no room"),
        };
        self.pair.send_parcel(Kind::AGREEMENT, bytes, Box::new(done));
    }
}
