//! Two nodes that have different documents: who teaches whom.

use super::{ASK, Agreement, COMPARE, Ground, Head, Message, Outbox, Phase, Proposal, Relation};
use crate::config::life::{Author, Document, Life, Name, Record};
use crate::types::Instant;

/// A lesson has so many bytes at most; of a longer one the oldest revisions are left out.
const LESSON_MAX: usize = 8 << 20;

impl Agreement {
    /// The peer says what it has.
    pub(super) fn handle_head(
        &mut self,
        now: Instant,
        theirs: &Head,
        ground: &mut dyn Ground,
        out: &mut Outbox,
    ) {
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
    pub(super) fn last_common(&self, theirs: &Head) -> u64 {
        let known = |record: &&Record| record.hash == theirs.hash || theirs.chain.contains(&record.hash);
        let common = self.life.records().rev().find(known);
        common.map_or(0, |record| record.revision).min(self.life.main().revision.saturating_sub(1))
    }

    /// The peer is told what it has missed.
    pub(super) fn teach(&self, theirs: &Head, ground: &dyn Ground, out: &mut Outbox) {
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
    pub(super) fn learn(
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
}
