//! The peer's desk, as this one asks it: over the channel of the pair, so nobody else asks and nobody else answers.
//!
//! Invariant: what may be asked is a closed list ([`is_for_peers`]), and at most [`AT_ONCE`] questions are answered at a
//! time. A question that gets no answer in time has perhaps been followed; whoever asks looks again.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::pair_threads::PairHandle;
use super::post::Fate;
use super::request::{Request, Response};
use super::token_request::TokenRequest;
use super::{clock, pace, program};
use crate::cluster::parcel::Kind;
use crate::cluster::release::Trust;

/// How long an answer may take; a program has a longer way than words.
const PATIENCE: Duration = Duration::from_secs(5);
const PATIENCE_PROGRAM: Duration = Duration::from_secs(45);
/// A session that fell may take so long to stand again, and is looked for this often.
const SESSION: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(20);
/// Questions that are answered at a time.
const AT_ONCE: usize = 4;
/// The longest question or answer in words.
const WORDS_MAX: usize = 4 << 20;

/// What a message is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum What {
    /// A [`Request`] as JSON.
    Question,
    /// A [`Response`] as JSON.
    Answer,
    /// A release to be tried.
    Program,
}

impl What {
    const fn number(self) -> u8 {
        match self {
            What::Question => 1,
            What::Answer => 2,
            What::Program => 3,
        }
    }

    const fn from_number(number: u8) -> Option<What> {
        match number {
            1 => Some(What::Question),
            2 => Some(What::Answer),
            3 => Some(What::Program),
            _ => None,
        }
    }
}

/// What, a number that the answer repeats, and the rest.
fn message(what: What, number: u32, rest: &[u8]) -> Vec<u8> {
    [&[what.number()][..], &number.to_be_bytes(), rest].concat()
}

fn parse(bytes: &[u8]) -> Option<(What, u32, &[u8])> {
    let (&what, rest) = bytes.split_first()?;
    let (number, rest) = rest.split_first_chunk()?;
    Some((What::from_number(what)?, u32::from_be_bytes(*number), rest))
}

/// True for what one node may ask of the other.
pub fn is_for_peers(request: &Request) -> bool {
    match request {
        Request::Status
        | Request::Pair
        | Request::Release(_)
        | Request::Upgrading
        | Request::Role(_)
        | Request::Keys(_)
        | Request::Pages(_)
        | Request::Tokens(TokenRequest::Merge(_))
        | Request::Crash => true,
        Request::Snapshot
        | Request::Count { .. }
        | Request::Policy
        | Request::Explain(_)
        | Request::ExplainLog { .. }
        | Request::Log { .. }
        | Request::SystemLog { .. }
        | Request::Services
        | Request::Inquire(_)
        | Request::Power(_)
        | Request::Flows { .. }
        | Request::Kill { .. }
        | Request::EmptyTable { .. }
        | Request::Forget { .. }
        | Request::Drops
        | Request::Reload
        | Request::Resync
        | Request::Config(_)
        | Request::Offer
        | Request::Join { .. }
        | Request::Peer(_)
        | Request::Install
        | Request::Upgrade
        | Request::Tokens(TokenRequest::Create { .. } | TokenRequest::List | TokenRequest::Revoke { .. })
        | Request::Capture { .. } => false,
    }
}

/// Answers questions of the peer's; called in a thread of its own.
pub type Answering = dyn Fn(Request) -> Response + Send + Sync;
/// Whom this node trusts at present.
pub type Trusting = dyn Fn() -> Trust + Send + Sync;

/// See the module.
#[derive(Clone)]
pub struct Colleague {
    pair: PairHandle,
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Default)]
struct Waiting {
    last: u32,
    answers: BTreeMap<u32, SyncSender<Response>>,
}

impl Colleague {
    /// Nobody answers the peer's questions yet.
    pub fn new(pair: PairHandle) -> Self {
        // Answers to the questions of an earlier life are nobody's.
        let last = clock::now().as_nanos() as u32;
        let waiting = Waiting { last, answers: BTreeMap::new() };
        Colleague { pair, waiting: Arc::new(Mutex::new(waiting)) }
    }

    /// From now on the peer's questions are answered.
    pub fn serve(&self, answering: Arc<Answering>, trusting: Arc<Trusting>) {
        let (busy, this) = (Arc::new(AtomicUsize::new(0)), self.clone());
        let listener = move |bytes: Vec<u8>| {
            let Some((what, number, rest)) = parse(&bytes) else { return };
            let words = || rest.len() <= WORDS_MAX;
            match what {
                What::Answer if words() => this.settle(number, rest),
                What::Question if words() => match serde_json::from_slice::<Request>(rest) {
                    Ok(request) if is_for_peers(&request) => {
                        let answering = Arc::clone(&answering);
                        this.work(&busy, number, Box::new(move || answering(request)));
                    }
                    Ok(_) | Err(_) => {
                        this.reply(number, &Response::Failed("a peer does not ask that".into()))
                    }
                },
                What::Program => {
                    let (answering, trusting) = (Arc::clone(&answering), Arc::clone(&trusting));
                    let program = rest.to_vec();
                    this.work(&busy, number, Box::new(move || install(&program, &*answering, &*trusting)));
                }
                What::Answer | What::Question => {}
            }
        };
        self.pair.listen(Kind::UPGRADE, Box::new(listener));
    }

    /// Asks the peer and waits.
    ///
    /// # Errors
    /// When it does not answer, or may not be asked that.
    pub fn ask(&self, request: &Request) -> Result<Response, String> {
        if !is_for_peers(request) {
            return Err("a peer is not asked that".into());
        }
        let words = serde_json::to_vec(request).map_err(|error| error.to_string())?;
        self.say(What::Question, &words, PATIENCE)
    }

    /// Gives the peer a release to try.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn install(&self, release: &[u8]) -> Result<Response, String> {
        self.say(What::Program, release, PATIENCE_PROGRAM)
    }

    fn say(&self, what: What, rest: &[u8], patience: Duration) -> Result<Response, String> {
        self.await_session()?;
        let (sender, receiver) = sync_channel(1);
        let number = {
            let mut waiting = self.lock();
            waiting.last = waiting.last.wrapping_add(1);
            let number = waiting.last;
            waiting.answers.insert(number, sender);
            number
        };
        let this = self.clone();
        let done = move |fate| match fate {
            Fate::Delivered => {}
            Fate::Failed | Fate::Refused => drop(this.lock().answers.remove(&number)),
        };
        self.pair.send_parcel(Kind::UPGRADE, message(what, number, rest), Box::new(done));
        let answer = receiver.recv_timeout(patience);
        self.lock().answers.remove(&number);
        answer.map_err(|_| "the peer does not answer".to_owned())
    }

    /// One that fell, because a node had stood still for a moment, is made anew in another one.
    fn await_session(&self) -> Result<(), String> {
        let patience = clock::now() + SESSION;
        while !self.pair.snapshot()?.session {
            if clock::now() >= patience {
                return Err("there is no session with the peer".into());
            }
            pace::until(clock::now() + LOOK);
        }
        Ok(())
    }

    /// A thread waits for the answer; the one that hears parcels must not.
    fn work(&self, busy: &Arc<AtomicUsize>, number: u32, work: Box<dyn FnOnce() -> Response + Send>) {
        if busy.fetch_add(1, Ordering::Relaxed) >= AT_ONCE {
            busy.fetch_sub(1, Ordering::Relaxed);
            return self.reply(number, &Response::Failed("too many questions of the peer's at once".into()));
        }
        let (this, counted) = (self.clone(), Arc::clone(busy));
        let working = move || {
            let response = work();
            this.reply(number, &response);
            counted.fetch_sub(1, Ordering::Relaxed);
        };
        if std::thread::Builder::new().name("colleague".into()).spawn(working).is_err() {
            busy.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn reply(&self, number: u32, response: &Response) {
        let words = serde_json::to_vec(response).unwrap_or_default();
        // When it is lost, whoever asked asks again.
        self.pair.send_parcel(Kind::UPGRADE, message(What::Answer, number, &words), Box::new(drop));
    }

    fn settle(&self, number: u32, words: &[u8]) {
        let Ok(response) = serde_json::from_slice(words) else { return };
        if let Some(sender) = self.lock().answers.remove(&number) {
            // Whoever waited has lost patience.
            let _ = sender.try_send(response);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        // The map is whole whatever a panicking thread was doing.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The parent checks it again; what would be refused need not be written down.
fn install(release: &[u8], answering: &Answering, trusting: &Trusting) -> Response {
    if let Err(refusal) = trusting().check(release) {
        return Response::Failed(refusal.to_string());
    }
    match program::leave(".".as_ref(), release) {
        Ok(()) => answering(Request::Release(program::ReleaseStep::Try)),
        Err(error) => Response::Failed(format!("the state directory: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::request::FlowFilter;
    use super::*;

    #[test]
    fn messages_are_read_as_they_were_written_and_nonsense_is_nothing() {
        for what in [What::Question, What::Answer, What::Program] {
            assert_eq!(parse(&message(what, 7, b"rest")), Some((what, 7, &b"rest"[..])));
        }
        for nonsense in [&b""[..], &[1, 2], &[1, 0, 0, 0], &[0, 0, 0, 0, 1], &[4, 0, 0, 0, 1]] {
            assert_eq!(parse(nonsense), None);
        }
    }

    #[test]
    fn a_peer_may_not_kill_flows_or_pair_or_ask_on() {
        assert!(is_for_peers(&Request::Status) && is_for_peers(&Request::Pair));
        let filter = FlowFilter::default();
        for no in [
            Request::Kill { filter },
            Request::Offer,
            Request::Peer(Box::new(Request::Status)),
            Request::Reload,
            Request::Upgrade,
            Request::Tokens(TokenRequest::List),
        ] {
            assert!(!is_for_peers(&no), "{no:?}");
        }
    }
}
