//! The router's part in the pair's agreement about its configuration: it carries messages between the parent, which
//! decides, and the peer, and says whether the peer can be spoken to.

use std::io;
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

/// Starts listening, in a thread of its own that ends with the process.
///
/// # Errors
/// When there can be no other thread.
pub fn start(pair: PairHandle, reporter: Reporter) -> io::Result<()> {
    let (said, heard) = sync_channel(MESSAGES);
    pair.listen(Kind::AGREEMENT, Box::new(move |bytes| drop(said.try_send(bytes))));
    let listening = move || {
        let mut told = None;
        loop {
            let message = heard.recv_timeout(LOOK);
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
    std::thread::Builder::new().name("council".into()).spawn(listening).map(drop)
}

/// A message of the parent's goes to the peer.
pub fn tell(pair: &PairHandle, message: &str) {
    let Ok(bytes) = BASE64.decode(message.as_bytes()) else { return };
    let done = |fate| match fate {
        Fate::Delivered => {}
        // The agreement asks again by itself.
        Fate::Failed | Fate::Refused => tracing::debug!(?fate, "a message about the configuration"),
    };
    pair.send_parcel(Kind::AGREEMENT, bytes, Box::new(done));
}
