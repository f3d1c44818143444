//! One configuration for both nodes: prepare on both, then commit or abort on both.
//!
//! ```text
//!   proposer                                     peer
//!   stages (on its disk)
//!      ------------- prepare ------------------>  checks its own part, stages
//!      <------------ ready / refused -----------
//!   in force, commits (on its disk)               in doubt until it hears
//!      ------------- commit ------------------->  in force, commits
//!      <------------ committed -----------------
//! ```
//!
//! * **The proposer's disk decides.** A peer that was prepared and hears no more asks; what the proposer has in force says
//!   whether the change has happened.
//! * **A peer that is away** is told when it returns: the revisions that it has missed, in their order.
//! * **Both have changed** while they could not speak: the version of the higher epoch stays (then the higher revision, then
//!   the hash), on both; the other one is kept and shown.
//! * **A change to be confirmed** is armed on both nodes. Going back needs no word: each node goes back to the same text by
//!   itself. A confirmation anywhere is worth more than a going back that did not know of it.
//!
//! Invariant: after any crash, and once the two can speak, both have the same document in force; what was said to be in
//! force is in the history of both, or kept as the loser of a conflict.

mod commit;
#[cfg(test)]
mod frozen_v2;
mod ground;
mod message;
mod promise;
mod replay;
#[cfg(test)]
mod tests;

pub use ground::{Ground, Outbox, Outcome, Peer};
pub use message::{Head, Message, Proposal, Relation};

use crate::config::life::{Author, Document, Life, Record};
use crate::types::{Duration, Epoch, Instant};

/// How long the peer may take to prepare, or to say that it has committed.
const PATIENCE: Duration = Duration::from_secs(15);
/// A node in doubt asks this often; nodes that agree compare this often.
const ASK: Duration = Duration::from_secs(2);
/// See [`ASK`].
const COMPARE: Duration = Duration::from_secs(30);

/// Why it wants to be called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// The peer should have answered.
    Answer,
    /// The two compare what they have.
    Compare,
    /// Nobody has confirmed.
    Deadline,
}

/// What is under way.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Phase {
    Idle,
    /// Our own change: the peer was asked.
    Asked(Box<Proposal>, Instant),
    /// Our own change comes into force; the peer is ready, or away.
    Enforcing(Box<Proposal>, Peer),
    /// Our own change is in force, the peer's answer is due.
    Telling(String, Instant),
    /// The peer's change was prepared; asked again at that time.
    Prepared(Box<Document>, Instant),
    /// The peer's change comes into force.
    Obeying(Box<Document>),
    /// What the peer has is taken over.
    Learning(Box<Document>),
    /// Our change was not confirmed and goes back.
    GoingBack(Box<Document>, Author),
}

/// See the module.
pub struct Agreement {
    life: Life,
    phase: Phase,
    /// There is a peer in the document.
    paired: bool,
    /// It can be spoken to.
    present: bool,
    epoch: Epoch,
    /// The last revision that the peer is known to have.
    seen: Option<u64>,
    /// The peer's last word is older than a change of ours.
    compare_at: Option<Instant>,
}

impl Agreement {
    /// A node that starts with what its files hold.
    pub fn new(life: Life, paired: bool, now: Instant) -> Agreement {
        let phase = match life.change().filter(|change| change.in_doubt) {
            Some(change) => {
                let Record { revision, hash, .. } = change.record.clone();
                // The text is in the history's file.
                Phase::Prepared(Box::new(Document { revision, hash, text: String::new() }), now)
            }
            None => Phase::Idle,
        };
        Agreement { life, phase, paired, present: false, epoch: Epoch(0), seen: None, compare_at: None }
    }

    /// The files.
    pub fn life(&self) -> &Life {
        &self.life
    }

    /// The files, for an edit of a candidate or a label.
    pub fn life_mut(&mut self) -> &mut Life {
        &mut self.life
    }

    /// The peer can be spoken to, or not; and the pair's epoch, when somebody knows it.
    pub fn handle_peer(&mut self, now: Instant, present: bool, epoch: Option<Epoch>, out: &mut Outbox) {
        self.epoch = epoch.unwrap_or(self.epoch);
        if std::mem::replace(&mut self.present, present) == present {
            return;
        }
        if present {
            self.hello(now, true, out);
            return;
        }
        match std::mem::replace(&mut self.phase, Phase::Idle) {
            Phase::Asked(proposal, _) => self.enforce(proposal, Peer::Away, out),
            Phase::Telling(..) => out.outcome = Some(Outcome::Done(Peer::Away)),
            other => self.phase = other,
        }
    }

    /// The document has a peer, or none.
    pub fn set_paired(&mut self, paired: bool) {
        self.paired = paired;
    }

    /// True when a change can begin.
    pub fn is_idle(&self) -> bool {
        self.phase == Phase::Idle
    }

    /// Revisions that the peer has not seen, while it is away: the first and the last.
    pub fn unseen(&self) -> Option<(u64, u64)> {
        let last = self.life.main().revision;
        let seen = self.seen.filter(|seen| *seen < last)?;
        self.paired.then_some((seen + 1, last))
    }

    /// What the pair says of its configuration.
    pub fn words(&self) -> Option<String> {
        let words = match (&self.phase, self.unseen()) {
            (Phase::Prepared(document, _), _) => format!(
                "revision {} was prepared; the peer has not said yet whether it is in force",
                document.revision
            ),
            (_, Some((first, last))) if first == last => format!("the peer has not seen revision {last}"),
            (_, Some((first, last))) => format!("the peer has not seen revisions {first} to {last}"),
            (_, None) if !self.present => "the peer is away".into(),
            (_, None) if self.seen.is_some() => "both nodes have the same configuration".into(),
            (_, None) => "the peer has not said yet what it has".into(),
        };
        self.paired.then_some(words)
    }

    /// What [`Outbox::enforce`] named is in force; or it is not, and what was before still is.
    pub fn handle_enforced(
        &mut self,
        now: Instant,
        result: Result<(), Vec<String>>,
        ground: &mut dyn Ground,
        out: &mut Outbox,
    ) {
        match (std::mem::replace(&mut self.phase, Phase::Idle), result) {
            (Phase::Enforcing(proposal, peer), result) => {
                self.enforced(now, *proposal, peer, result, ground, out)
            }
            (Phase::Obeying(document), result) => {
                let name = document.hash.clone();
                let problems =
                    result.and_then(|()| self.commit(*document, ground, out)).err().unwrap_or_default();
                if problems.is_empty() {
                    self.seen = Some(self.life.main().revision);
                } else {
                    self.abort(ground);
                }
                out.messages.push(Message::Committed(name, problems).encode());
            }
            (Phase::Learning(document), result) => {
                if let Err(problems) = result.and_then(|()| self.commit(*document, ground, out)) {
                    out.notes.push(format!("the peer's configuration: {}", problems.join("; ")));
                    self.abort(ground);
                } else {
                    self.seen = Some(self.life.main().revision);
                }
                self.hello(now, true, out);
            }
            (Phase::GoingBack(document, author), result) => {
                self.gone_back(now, *document, author, result, ground, out)
            }
            (other, _) => self.phase = other,
        }
    }

    /// The peer says something.
    pub fn handle_message(&mut self, now: Instant, bytes: &[u8], ground: &mut dyn Ground, out: &mut Outbox) {
        let Some(message) = Message::decode(bytes).filter(|_| self.paired) else { return };
        match message {
            Message::Hello(theirs, asks) => {
                if asks {
                    self.hello(now, false, out);
                }
                self.handle_head(now, &theirs, ground, out);
            }
            Message::Prepare(proposal) => self.prepare(now, proposal, ground, out),
            Message::Ready(name) => match std::mem::replace(&mut self.phase, Phase::Idle) {
                Phase::Asked(proposal, _) if proposal.document.hash == name => {
                    self.enforce(proposal, Peer::Same, out);
                }
                other => self.phase = other,
            },
            Message::Refused(name, problems) => {
                if matches!(&self.phase, Phase::Asked(proposal, _) if proposal.document.hash == name) {
                    self.abort(ground);
                    let problems = problems.iter().map(|problem| format!("the peer: {problem}"));
                    out.outcome = Some(Outcome::Refused(problems.collect()));
                }
            }
            Message::Commit(name) => match std::mem::replace(&mut self.phase, Phase::Idle) {
                Phase::Prepared(document, _) if document.hash == name => self.obey(*document, ground, out),
                other => self.phase = other,
            },
            Message::Committed(name, problems) => {
                if matches!(&self.phase, Phase::Telling(told, _) if *told == name) {
                    self.phase = Phase::Idle;
                    self.seen = Some(self.life.main().revision).filter(|_| problems.is_empty()).or(self.seen);
                    let peer = if problems.is_empty() { Peer::Same } else { Peer::Failed(problems) };
                    out.outcome = Some(Outcome::Done(peer));
                }
            }
            Message::Abort(name) => {
                if matches!(&self.phase, Phase::Prepared(document, _) if document.hash == name) {
                    self.abort(ground);
                }
            }
            Message::Confirmed(hash) => {
                if self.life.main().hash == hash {
                    // Should it fail, the next comparison says it again.
                    let _ = ground.run(&self.life.confirm());
                }
            }
            Message::Lesson(head, lesson, confirm) => self.learn(now, &head, lesson, confirm, ground, out),
        }
    }

    /// Somebody has put another document into the file, and it is in force on this node alone.
    ///
    /// # Errors
    /// When the history cannot be written.
    pub fn adopt(
        &mut self,
        now: Instant,
        document: Document,
        record: Record,
        ground: &mut dyn Ground,
        out: &mut Outbox,
    ) -> Result<(), String> {
        if self.phase != Phase::Idle {
            return Ok(());
        }
        let record = Record { epoch: self.epoch.0, ..record };
        let steps = self.life.adopt(document, record);
        let done = ground.run(&steps);
        self.hello(now, true, out);
        done
    }

    fn head(&self) -> Head {
        let proposes = match &self.phase {
            Phase::Asked(proposal, _) | Phase::Enforcing(proposal, _) => Some(proposal.document.hash.clone()),
            Phase::Idle
            | Phase::Telling(..)
            | Phase::Prepared(..)
            | Phase::Obeying(_)
            | Phase::Learning(_)
            | Phase::GoingBack(..) => None,
        };
        Head { proposes, ..Head::of(&self.life) }
    }

    fn hello(&mut self, now: Instant, asks: bool, out: &mut Outbox) {
        if self.paired && self.present {
            self.compare_at = Some(now + COMPARE);
            out.messages.push(Message::Hello(Box::new(self.head()), asks).encode());
        }
    }

    /// When to call [`Agreement::handle_timeout`], and why; `now_ms` is the calendar's time.
    pub fn poll_timeout(&self, now: Instant, now_ms: u64) -> Option<(Instant, Why)> {
        let answer = match &self.phase {
            Phase::Asked(_, at) | Phase::Telling(_, at) => Some((*at, Why::Answer)),
            Phase::Prepared(_, at) if self.present => Some((*at, Why::Answer)),
            Phase::Idle
            | Phase::Prepared(..)
            | Phase::Enforcing(..)
            | Phase::Obeying(_)
            | Phase::Learning(_)
            | Phase::GoingBack(..) => None,
        };
        let compare = self.compare_at.filter(|_| self.present).map(|at| (at, Why::Compare));
        let armed = self.life.armed().filter(|_| self.phase == Phase::Idle);
        let deadline =
            armed.map(|change| (now + Duration::from_millis(change.left_ms(now_ms)), Why::Deadline));
        answer.into_iter().chain(compare).chain(deadline).min_by_key(|(at, _)| *at)
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant, ground: &mut dyn Ground, out: &mut Outbox) {
        match &mut self.phase {
            Phase::Asked(proposal, at) if *at <= now => {
                out.messages.push(Message::Abort(proposal.document.hash.clone()).encode());
                self.abort(ground);
                let words = "the peer is there and does not answer; nothing has changed".to_owned();
                out.outcome = Some(Outcome::Refused(vec![words]));
            }
            Phase::Telling(_, at) if *at <= now => {
                self.phase = Phase::Idle;
                out.outcome = Some(Outcome::Done(Peer::Failed(vec!["it has not answered yet".into()])));
                self.hello(now, true, out);
            }
            Phase::Prepared(_, at) if *at <= now && self.present => {
                *at = now + ASK;
                self.hello(now, true, out);
            }
            Phase::Idle
            | Phase::Asked(..)
            | Phase::Telling(..)
            | Phase::Prepared(..)
            | Phase::Enforcing(..)
            | Phase::Obeying(_)
            | Phase::Learning(_)
            | Phase::GoingBack(..) => {}
        }
        if self.compare_at.is_some_and(|at| at <= now) {
            self.compare_at = None;
            self.hello(now, true, out);
        }
        let now_ms = ground.now_ms();
        if self.phase == Phase::Idle
            && self.life.armed().is_some_and(|change| change.left_ms(now_ms) == 0)
            && let Err(error) = self.roll_back(Author { who: String::new(), from: "koi".into() }, ground, out)
        {
            out.notes.push(format!("nobody has confirmed the change, and it cannot go back: {error}"));
        }
    }
}
