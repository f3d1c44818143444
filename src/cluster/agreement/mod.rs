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

mod message;
#[cfg(test)]
mod tests;

pub use message::{Head, Message, Proposal, Relation};

use crate::config::life::{Author, Confirm, Document, Life, Name, Record, Step};
use crate::types::{Duration, Epoch, Instant};

/// How long the peer may take to prepare, or to say that it has committed.
const PATIENCE: Duration = Duration::from_secs(15);
/// A node in doubt asks this often; nodes that agree compare this often.
const ASK: Duration = Duration::from_secs(2);
/// See [`ASK`].
const COMPARE: Duration = Duration::from_secs(30);
/// A lesson has so many bytes at most; of a longer one the oldest revisions are left out.
const LESSON_MAX: usize = 8 << 20;

/// What a node stands on.
pub trait Ground {
    /// Does the steps in their order, and stops at the first that fails.
    ///
    /// # Errors
    /// Says what has failed.
    fn run(&mut self, steps: &[Step]) -> Result<(), String>;
    /// A file's contents.
    fn read(&self, name: &Name) -> Option<Vec<u8>>;
    /// Looks whether this node could put the document in force; a document's hash is compared with its text.
    ///
    /// # Errors
    /// Every problem.
    fn check(&mut self, document: &Document) -> Result<(), Vec<String>>;
    /// Milliseconds since 1970.
    fn now_ms(&self) -> u64;
}

/// What became of a change that was asked for here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It is in force; what the peer made of it.
    Done(Peer),
    /// It is not.
    Refused(Vec<String>),
}

/// What the peer made of a change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Peer {
    /// There is none.
    None,
    /// It is in force there, too.
    Same,
    /// It is away, and will be told.
    Away,
    /// It could not, and why.
    Failed(Vec<String>),
}

/// Outputs.
#[derive(Debug, Default)]
pub struct Outbox {
    /// Messages for the peer.
    pub messages: Vec<Vec<u8>>,
    /// This document shall come into force; [`Agreement::handle_enforced`] says whether it has.
    pub enforce: Option<Document>,
    /// Of the change that [`Agreement::propose`] has begun.
    pub outcome: Option<Outcome>,
    /// For the log.
    pub notes: Vec<String>,
}

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
    pub fn handle_peer(
        &mut self,
        now: Instant,
        present: bool,
        epoch: Option<Epoch>,
        ground: &mut dyn Ground,
        out: &mut Outbox,
    ) {
        self.epoch = epoch.unwrap_or(self.epoch);
        if std::mem::replace(&mut self.present, present) == present {
            return;
        }
        if present {
            self.hello(now, true, out);
            return;
        }
        match std::mem::replace(&mut self.phase, Phase::Idle) {
            Phase::Asked(proposal, _) => self.enforce(proposal, Peer::Away, ground, out),
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

    /// A change shall be made on both nodes.
    ///
    /// # Errors
    /// When another one is under way; nothing has changed then.
    pub fn propose(
        &mut self,
        now: Instant,
        document: Document,
        record: Record,
        confirm: Option<(u64, String)>,
        ground: &mut dyn Ground,
        out: &mut Outbox,
    ) -> Result<(), Vec<String>> {
        if self.phase != Phase::Idle {
            return Err(vec!["another change is being made at this moment; try again".into()]);
        }
        if self.life.armed().is_some() {
            return Err(vec![
                "the last change waits to be confirmed: confirm it, or roll it back, first".into(),
            ]);
        }
        let record = Record { epoch: self.epoch.0, ..record };
        let base = self.life.main().hash.clone();
        let proposal = Box::new(Proposal { document, base, record, confirm });
        self.stage(&proposal, false, ground)?;
        if self.paired && self.present {
            out.messages.push(Message::Prepare(proposal.clone()).encode());
            self.phase = Phase::Asked(proposal, now + PATIENCE);
        } else {
            let peer = if self.paired { Peer::Away } else { Peer::None };
            self.enforce(proposal, peer, ground, out);
        }
        Ok(())
    }

    fn stage(
        &mut self,
        proposal: &Proposal,
        in_doubt: bool,
        ground: &mut dyn Ground,
    ) -> Result<(), Vec<String>> {
        let Proposal { document, base: _, record, confirm } = proposal;
        ground.check(document)?;
        let before = self.life.clone();
        let confirm = confirm.clone().map(|(seconds, back)| (Confirm { seconds, until_ms: None }, back));
        let steps = self.life.stage(document, record.clone(), confirm, in_doubt);
        ground.run(&steps).map_err(|error| {
            // What was written is of no use; should it stay, the next start finds it.
            let _ = ground.run(&self.life.abort());
            self.life = before;
            vec![format!("nothing has changed: {error}")]
        })
    }

    fn abort(&mut self, ground: &mut dyn Ground) {
        // Should it fail, the next start finds what is left.
        let _ = ground.run(&self.life.abort());
        self.phase = Phase::Idle;
    }

    fn enforce(&mut self, proposal: Box<Proposal>, peer: Peer, _ground: &mut dyn Ground, out: &mut Outbox) {
        out.enforce = Some(proposal.document.clone());
        self.phase = Phase::Enforcing(proposal, peer);
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

    fn enforced(
        &mut self,
        now: Instant,
        proposal: Proposal,
        peer: Peer,
        result: Result<(), Vec<String>>,
        ground: &mut dyn Ground,
        out: &mut Outbox,
    ) {
        let name = proposal.document.hash.clone();
        if let Err(problems) = result.and_then(|()| self.commit(proposal.document, ground, out)) {
            self.abort(ground);
            if peer == Peer::Same {
                out.messages.push(Message::Abort(name).encode());
            }
            out.outcome = Some(Outcome::Refused(problems));
        } else if peer == Peer::Same && self.present {
            out.messages.push(Message::Commit(name.clone()).encode());
            self.phase = Phase::Telling(name, now + PATIENCE);
        } else {
            let peer = if peer == Peer::Same { Peer::Away } else { peer };
            out.outcome = Some(Outcome::Done(peer));
        }
    }

    /// What is in force is in its file; or what was before comes into force again.
    fn commit(
        &mut self,
        document: Document,
        ground: &mut dyn Ground,
        out: &mut Outbox,
    ) -> Result<(), Vec<String>> {
        let before = self.life.clone();
        let steps = self.life.commit(document, ground.now_ms());
        ground.run(&steps).map_err(|error| {
            self.life = before;
            out.enforce = Some(self.life.main().clone());
            vec![error]
        })
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
                    self.enforce(proposal, Peer::Same, ground, out);
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

    fn prepare(&mut self, now: Instant, proposal: Box<Proposal>, ground: &mut dyn Ground, out: &mut Outbox) {
        let name = proposal.document.hash.clone();
        let staged = if self.phase != Phase::Idle || self.life.armed().is_some() {
            Err(vec!["another change is being made there at this moment; try again".into()])
        } else if self.life.main().hash != proposal.base {
            self.hello(now, true, out);
            Err(vec!["it has another configuration at this moment; see koi show pair and try again".into()])
        } else {
            self.stage(&proposal, true, ground)
        };
        let answer = match staged {
            Ok(()) => {
                self.phase = Phase::Prepared(Box::new(proposal.document), now + ASK);
                Message::Ready(name)
            }
            Err(problems) => Message::Refused(name, problems),
        };
        out.messages.push(answer.encode());
    }

    /// What was prepared has happened.
    fn obey(&mut self, document: Document, ground: &mut dyn Ground, out: &mut Outbox) {
        let staged = self.life.change().map(|change| Life::file_of(&change.record));
        let text = || staged.and_then(|name| Life::text_in(&ground.read(&name)?)).unwrap_or_default();
        let text = if document.text.is_empty() { text() } else { document.text };
        let document = Document { text, ..document };
        out.enforce = Some(document.clone());
        self.phase = Phase::Obeying(Box::new(document));
    }

    /// The peer says what it has.
    fn handle_head(&mut self, now: Instant, theirs: &Head, ground: &mut dyn Ground, out: &mut Outbox) {
        if let Phase::Prepared(document, _) = &self.phase {
            let name = document.hash.clone();
            if theirs.hash == name || theirs.chain.contains(&name) {
                let document = (**document).clone();
                return self.obey(document, ground, out);
            }
            if theirs.proposes.as_ref() == Some(&name) {
                return;
            }
            self.abort(ground);
        }
        if self.phase != Phase::Idle {
            return;
        }
        let mine = self.head();
        match mine.compare(theirs) {
            Relation::Equal => {
                self.seen = Some(mine.revision);
                if mine.armed && !theirs.armed {
                    // The peer has heard the confirmation. Should it fail, the next comparison says it again.
                    let _ = ground.run(&self.life.confirm());
                }
            }
            Relation::Ahead | Relation::Wins => {
                self.seen = Some(self.last_common(theirs));
                if theirs.doubts.is_none() {
                    self.teach(theirs, ground, out);
                }
            }
            // The peer teaches when it hears what we have.
            Relation::Behind | Relation::Loses => self.compare_at = Some(now + ASK),
        }
    }

    /// The last revision of ours that the peer has.
    fn last_common(&self, theirs: &Head) -> u64 {
        let known = |record: &&Record| record.hash == theirs.hash || theirs.chain.contains(&record.hash);
        let common = self.life.records().rev().find(known);
        common.map_or(0, |record| record.revision).min(self.life.main().revision.saturating_sub(1))
    }

    /// The peer is told what it has missed.
    fn teach(&self, theirs: &Head, ground: &dyn Ground, out: &mut Outbox) {
        let mut lesson: Vec<(Record, Document)> = Vec::new();
        let mut bytes = 0;
        let own = self.life.records().rev().skip_while(|record| record.hash != self.life.main().hash);
        // The one in force in any case: the peer may have had it, and gone back from it.
        let lacks = |record: &&Record| {
            record.hash == self.life.main().hash
                || (record.hash != theirs.hash && !theirs.chain.contains(&record.hash))
        };
        for record in own.take_while(lacks) {
            let text = match record.hash == self.life.main().hash {
                true => Some(self.life.main().text.clone()),
                false => ground.read(&Life::file_of(record)).and_then(|bytes| Life::text_in(&bytes)),
            };
            let Some(text) = text else { break };
            bytes += text.len();
            if bytes > LESSON_MAX && !lesson.is_empty() {
                break;
            }
            let document = Document { revision: record.revision, hash: record.hash.clone(), text };
            lesson.push((record.clone(), document));
        }
        lesson.reverse();
        let confirm = self.life.armed().and_then(|change| {
            let back = ground.read(&Name::Back).and_then(|bytes| String::from_utf8(bytes).ok())?;
            Some((change.left_ms(ground.now_ms()).div_ceil(1000).max(1), back))
        });
        out.messages.push(Message::Lesson(Box::new(self.head()), lesson, confirm).encode());
    }

    /// The peer has what this node lacks.
    fn learn(
        &mut self,
        now: Instant,
        theirs: &Head,
        mut lesson: Vec<(Record, Document)>,
        confirm: Option<(u64, String)>,
        ground: &mut dyn Ground,
        out: &mut Outbox,
    ) {
        let mine = self.head();
        let relation = mine.compare(theirs);
        let Some((record, document)) = lesson.pop().filter(|(_, document)| document.hash == theirs.hash)
        else {
            return;
        };
        if self.phase != Phase::Idle || matches!(relation, Relation::Equal | Relation::Ahead | Relation::Wins)
        {
            return;
        }
        let mut steps = self.life.confirm();
        if relation == Relation::Loses {
            let why = format!("the peer's revision {} of epoch {} stays", theirs.revision, theirs.epoch);
            let author = Author { who: String::new(), from: "koi".into() };
            let at_ms = ground.now_ms();
            let lost = Record { at_ms, author, why, epoch: mine.epoch, ..Record::default() };
            steps.extend(self.life.keep_conflict(lost));
            out.notes.push(format!(
                "both nodes have changed their configuration: the peer's revision {} stays, this node's revision {} is kept as a conflict",
                theirs.revision, mine.revision
            ));
        }
        for (record, document) in lesson {
            steps.extend(self.life.remember(record, &document.text));
        }
        let proposal = Proposal { document: document.clone(), base: mine.hash, record, confirm };
        let staged = ground
            .run(&steps)
            .map_err(|error| vec![error])
            .and_then(|()| self.stage(&proposal, false, ground));
        match staged {
            Ok(()) => {
                out.enforce = Some(document.clone());
                self.phase = Phase::Learning(Box::new(document));
            }
            Err(problems) => {
                out.notes
                    .push(format!("the peer's configuration cannot be taken over: {}", problems.join("; ")));
                self.compare_at = Some(now + COMPARE);
            }
        }
    }

    /// The change that waits stays, on both nodes.
    ///
    /// # Errors
    /// When nothing waits, or the disk fails.
    pub fn confirm(&mut self, ground: &mut dyn Ground, out: &mut Outbox) -> Result<(), String> {
        if self.life.armed().is_none() {
            return Err("nothing waits to be confirmed".into());
        }
        let before = self.life.clone();
        ground.run(&self.life.confirm()).map_err(|error| {
            self.life = before;
            format!("not confirmed: {error}")
        })?;
        if self.paired && self.present {
            out.messages.push(Message::Confirmed(self.life.main().hash.clone()).encode());
        }
        Ok(())
    }

    /// The change that waits goes back, on both nodes.
    ///
    /// # Errors
    /// When nothing waits, or something else is under way.
    pub fn roll_back(
        &mut self,
        author: Author,
        ground: &mut dyn Ground,
        out: &mut Outbox,
    ) -> Result<(), String> {
        let Some(change) = self.life.armed() else { return Err("nothing waits to be confirmed".into()) };
        if self.phase != Phase::Idle {
            return Err("another change is being made at this moment; try again".into());
        }
        let text = ground.read(&Name::Back).and_then(|bytes| String::from_utf8(bytes).ok());
        let (Some(text), Some(hash)) = (text, change.back.clone()) else {
            return Err("the way back is missing on the disk".into());
        };
        let document = Document { revision: change.record.revision + 1, hash, text };
        out.enforce = Some(document.clone());
        self.phase = Phase::GoingBack(Box::new(document), author);
        Ok(())
    }

    fn gone_back(
        &mut self,
        now: Instant,
        document: Document,
        author: Author,
        result: Result<(), Vec<String>>,
        ground: &mut dyn Ground,
        out: &mut Outbox,
    ) {
        if let Err(problems) = &result {
            out.notes.push(format!("the way back: {}", problems.join("; ")));
        }
        let [first, entry, clean] = self.life.roll_back(document, ground.now_ms(), author);
        let done = ground.run(&first);
        // On a full disk the history misses an entry until the next start; what is in force counts.
        let _ = ground.run(&entry);
        let done = done.and_then(|()| ground.run(&clean));
        let problems = done.err().map(|error| vec![error]).or(result.err());
        let peer = if self.paired { Peer::Away } else { Peer::None };
        out.outcome = Some(problems.map_or(Outcome::Done(peer), Outcome::Refused));
        self.hello(now, true, out);
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
