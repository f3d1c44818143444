//! The log of each node is at its peer, too: a machine that runs from memory would lose the crash that it should explain.
//!
//! Lines travel with the pair's parcels, within a second of being said. A router that dies is explained by the next
//! one, to which the parent tells what it saw ([`super::log_ring::adopt`]).
//!
//! Invariant: one parcel of [`LINES`] lines is under way at most, and nobody waits for it. A line comes once, or twice when
//! the peer had it and could not say so; lines that nobody could take in time are counted in a line of their own.

use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, sync_channel};
use std::time::Duration;

use super::log_ring;
use super::pair_threads::PairHandle;
use super::peer_log::{self, LINES, PeerLog};
use super::post::Fate;
use crate::cluster::parcel::Kind;

/// How often it looks for new lines.
const LOOK: Duration = Duration::from_secs(1);
/// Parcels of the peer's that may wait for the disk; those beyond are lost.
const PARCELS: usize = 16;

/// Starts, in a thread of its own that ends with the process. What the peer says is kept in the working directory.
///
/// # Errors
/// When there can be no other thread.
pub fn start(pair: PairHandle) -> io::Result<()> {
    let (said, heard) = sync_channel(PARCELS);
    pair.listen(Kind::LOG, Box::new(move |bytes| drop(said.try_send(bytes))));
    let mut kept = PeerLog::new(Path::new("."));
    let mut mirror = Mirror { pair, mark: 0, under_way: None };
    let work = move || {
        loop {
            match heard.recv_timeout(LOOK) {
                Ok(parcel) => kept.write(&parcel),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            mirror.look();
        }
    };
    std::thread::Builder::new().name("mirror".into()).spawn(work).map(drop)
}

struct Mirror {
    pair: PairHandle,
    /// The peer has so many lines.
    mark: u64,
    /// What becomes of the parcel under way, and the mark once the peer has it.
    under_way: Option<(Receiver<Fate>, u64)>,
}

impl Mirror {
    fn look(&mut self) {
        if let Some((told, mark)) = &self.under_way {
            match told.try_recv() {
                Ok(Fate::Delivered) => self.mark = *mark,
                Ok(Fate::Failed | Fate::Refused) | Err(TryRecvError::Disconnected) => {}
                Err(TryRecvError::Empty) => return,
            }
            self.under_way = None;
        }
        let (lines, mark) = log_ring::after(self.mark, LINES);
        // A role thread that does not answer says nothing of the peer.
        if lines.is_empty() || !self.pair.snapshot().is_ok_and(|pair| pair.session) {
            return;
        }
        let (tell, told) = sync_channel(1);
        let done = move |fate| {
            // Whoever waits has room for it.
            let _ = tell.try_send(fate);
        };
        self.pair.send_parcel(Kind::LOG, peer_log::parcel(&lines), Box::new(done));
        self.under_way = Some((told, mark));
    }
}
