//! The life of a change: candidate, staged, in force, perhaps waiting to be confirmed, history.
//!
//! A change is *staged* first: everything that needs room on the disk is written, and nothing is different yet. When it
//! is in force, it is *committed* by a rename. A change that must be confirmed has its way back written before that, so
//! that going back is a rename, too, and works on a full disk. What is under way stands in one small file (`change`),
//! which says after a crash what to do:
//!
//! | configuration file | `change` | then |
//! |---|---|---|
//! | the old one | staged here | it never happened |
//! | the old one | staged for the peer | in doubt: the peer is asked |
//! | the new one | to be confirmed | the rest of the time runs; when it is over, back |
//! | the new one | otherwise | it has happened |
//! | another one | any | it went back, or somebody has edited the file |
//!
//! Invariant: at any moment the configuration file is one whole document: the one before, or the one after.

mod change;
mod disk;
mod record;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use change::{Change, Confirm};
pub use disk::{Name, Step, put, take_away};
pub use record::{Author, Record};

use super::amend;
use record::{decode, encode};

/// So many revisions are kept at least, and so many at most.
pub const KEPT: usize = 200;
/// See [`KEPT`].
pub const KEPT_MAX: usize = 1000;
/// Beyond [`KEPT`], they may have so many bytes.
pub const KEPT_BYTES: usize = 64 << 20;
/// So many versions that lost a conflict are kept.
pub const CONFLICTS: usize = 20;
/// Seconds to confirm when nobody has said how many.
pub const CONFIRM_SECONDS: u64 = 60;

const CHANGE: &str = "change";
const CANDIDATE: &str = "candidate.toml";

/// A document as it lies in its file.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Document {
    /// Its number.
    pub revision: u64,
    /// Its canonical hash.
    pub hash: String,
    /// Its text, with comments.
    pub text: String,
}

/// What somebody is working on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Candidate {
    /// Who was the last to edit it.
    pub author: Author,
    /// Its text.
    pub text: String,
    /// The document that it was made from: revision and hash.
    pub base: (u64, String),
}

#[derive(Serialize, Deserialize)]
struct CandidateLine {
    author: Author,
    base: (u64, String),
}

/// What the files hold: the configuration file, and the directory beside it. Files of other names are nobody's.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The configuration file.
    pub main: Document,
    /// What will be the configuration file.
    pub next: Option<Vec<u8>>,
    /// The files of the directory.
    pub inside: BTreeMap<String, Vec<u8>>,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Life {
    main: Document,
    /// Oldest first. Their texts stay on the disk.
    records: Vec<(Record, usize)>,
    conflicts: Vec<Record>,
    candidate: Option<Candidate>,
    change: Option<Change>,
    sequence: u64,
}

impl Life {
    /// What was found, and what is to be done about what a crash has left behind. Harmless when it is not done.
    pub fn open(found: Found, now_ms: u64) -> (Life, Vec<Step>) {
        let Found { main, next, inside } = found;
        let records = |prefix: &str| {
            let files = inside.iter().filter(|(name, _)| name.starts_with(prefix));
            let known = files.filter_map(|(_, bytes)| Some((decode::<Record>(bytes)?.0, bytes.len())));
            let mut known: Vec<(Record, usize)> = known.collect();
            known.sort_by_key(|(record, _)| record.sequence);
            known
        };
        let candidate = inside.get(CANDIDATE).and_then(|bytes| {
            let (line, text) = decode::<CandidateLine>(bytes)?;
            Some(Candidate { author: line.author, text: text.into(), base: line.base })
        });
        let (records, lost) = (records("revision-"), records("conflict-"));
        let last = records.iter().chain(&lost).map(|(record, _)| record.sequence).max();
        let mut life = Life {
            main,
            sequence: last.unwrap_or_default(),
            records,
            conflicts: lost.into_iter().map(|(record, _)| record).collect(),
            candidate,
            change: inside.get(CHANGE).and_then(|bytes| serde_json::from_slice(bytes).ok()),
        };
        let staged = life.change.as_ref().and_then(|change| {
            let Name::Inside(file) = Life::file_of(&change.record) else { return None };
            decode::<Record>(inside.get(&file)?).map(|(_, text)| text.as_bytes())
        });
        let whole = staged.is_some() && staged == next.as_deref();
        let steps = life.recover(now_ms, whole);
        (life, steps)
    }

    /// `whole`: everything of the staged change has been written.
    fn recover(&mut self, now_ms: u64, whole: bool) -> Vec<Step> {
        let Some(change) = self.change.clone() else { return Vec::new() };
        let is_new = change.record.hash == self.main.hash;
        if change.previous == self.main.hash && change.in_doubt && whole {
            return Vec::new();
        }
        if is_new && change.confirm.is_some() {
            if let Some(change) = &mut self.change {
                change.restart(now_ms);
            }
            return self.ensure_recorded(now_ms);
        }
        let mut steps = Vec::new();
        if !is_new {
            // Its entry was written before it was in force; unless it was once.
            if change.previous == self.main.hash {
                steps.extend(self.forget(change.record.sequence));
            } else if change.back.as_deref() == Some(&self.main.hash)
                && self.records().all(|record| record.hash != self.main.hash)
            {
                steps.extend(self.record(change.undoing(now_ms)));
            }
        }
        steps.extend(self.ensure_recorded(now_ms));
        self.change = None;
        steps.extend(clean());
        steps
    }

    /// The document in force, as its file has it.
    pub fn main(&self) -> &Document {
        &self.main
    }

    /// What somebody is working on.
    pub fn candidate(&self) -> Option<&Candidate> {
        self.candidate.as_ref()
    }

    /// The change that is staged or waits to be confirmed.
    pub fn change(&self) -> Option<&Change> {
        self.change.as_ref()
    }

    /// The change that waits to be confirmed.
    pub fn armed(&self) -> Option<&Change> {
        self.change.as_ref().filter(|change| change.confirm.is_some() && change.record.hash == self.main.hash)
    }

    /// The history, oldest first.
    pub fn records(&self) -> impl DoubleEndedIterator<Item = &Record> + Clone {
        self.records.iter().map(|(record, _)| record)
    }

    /// Versions of this node that lost against the peer's.
    pub fn conflicts(&self) -> &[Record] {
        &self.conflicts
    }

    /// The newest record of a revision or a label.
    pub fn find(&self, wanted: &str) -> Option<&Record> {
        let number = wanted.parse().ok();
        self.records().rev().find(|record| Some(record.revision) == number || record.label == wanted)
    }

    /// The file of a revision.
    pub fn file_of(record: &Record) -> Name {
        Name::Inside(format!("revision-{:06}.toml", record.sequence))
    }

    /// The file of a version that lost.
    pub fn conflict_file(record: &Record) -> Name {
        Name::Inside(format!("conflict-{:06}.toml", record.sequence))
    }

    /// The text in such a file.
    pub fn text_in(bytes: &[u8]) -> Option<String> {
        decode::<Record>(bytes).map(|(_, text)| text.to_owned())
    }

    /// Somebody goes on working on a candidate; `None` throws it away.
    pub fn edit(&mut self, candidate: Option<Candidate>) -> Vec<Step> {
        let steps = match &candidate {
            Some(Candidate { author, text, base }) => {
                let line = CandidateLine { author: author.clone(), base: base.clone() };
                put(Name::Inside(CANDIDATE.into()), encode(&line, text))
            }
            None => take_away(Name::Inside(CANDIDATE.into())),
        };
        self.candidate = candidate;
        steps
    }

    /// The number of the next revision.
    pub fn next_revision(&self) -> u64 {
        self.records().map(|record| record.revision).max().unwrap_or_default().max(self.main.revision) + 1
    }

    /// Everything for a change is written; nothing is different yet.
    /// With `confirm` comes the text that it goes back to.
    pub fn stage(
        &mut self,
        document: &Document,
        record: Record,
        confirm: Option<(Confirm, String)>,
        in_doubt: bool,
    ) -> Vec<Step> {
        let mut steps = self.ensure_recorded(record.at_ms);
        let mut record = Record { revision: document.revision, hash: document.hash.clone(), ..record }.tidy();
        self.sequence += 1;
        record.sequence = self.sequence;
        let (confirm, back) = confirm.unzip();
        let change = Change {
            record: record.clone(),
            previous: self.main.hash.clone(),
            confirm,
            back: back.as_deref().and_then(|text| Some(super::parse(text).ok()?.hash())),
            in_doubt,
        };
        steps.extend(put(Name::Inside(CHANGE.into()), serde_json::to_vec(&change).unwrap_or_default()));
        steps.extend(put(Life::file_of(&record), encode(&record, &document.text)));
        if let Some(back) = back {
            steps.push(Step::Write(Name::Back, back.into_bytes()));
        }
        steps.extend([Step::Write(Name::Next, document.text.clone().into_bytes()), Step::Flush]);
        let size = document.text.len();
        self.records.push((record, size));
        self.change = Some(change);
        steps
    }

    /// The staged change is in force: from now on it is what a start begins with. Needs no room.
    pub fn commit(&mut self, document: Document, now_ms: u64) -> Vec<Step> {
        let mut steps = vec![Step::Rename(Name::Next, Name::Main), Step::Flush];
        self.main = document;
        match &mut self.change {
            Some(change) if change.confirm.is_some() => {
                change.in_doubt = false;
                change.begin(now_ms);
            }
            Some(_) | None => {
                self.change = None;
                steps.extend(clean());
            }
        }
        let candidate = self.candidate.as_ref();
        let text = candidate.and_then(|candidate| amend::renumber(&candidate.text, self.main.revision));
        if text.as_ref() == Some(&self.main.text) {
            self.candidate = None;
            steps.extend(take_away(Name::Inside(CANDIDATE.into())));
        }
        steps.extend(self.thin_out());
        steps
    }

    /// The staged change does not come into force.
    pub fn abort(&mut self) -> Vec<Step> {
        let Some(change) = self.change.take() else { return Vec::new() };
        let mut steps = self.forget(change.record.sequence);
        steps.extend(clean());
        steps
    }

    /// The change that waits stays.
    pub fn confirm(&mut self) -> Vec<Step> {
        if self.armed().is_none() {
            return Vec::new();
        }
        self.change = None;
        clean()
    }

    /// Nobody has confirmed, or somebody wants it back: the way back is the configuration file from now on, and in force
    /// when the caller has seen to that. The second part, the entry in the history, may fail on a full disk; the first and
    /// the third need no room.
    pub fn roll_back(&mut self, back: Document, now_ms: u64, author: Author) -> [Vec<Step>; 3] {
        let Some(change) = self.change.take() else { return [Vec::new(), Vec::new(), Vec::new()] };
        let first = vec![Step::Rename(Name::Back, Name::Main), Step::Flush];
        self.main = back;
        let record = Record { author, ..change.undoing(now_ms) };
        let (revision, hash) = (self.main.revision, self.main.hash.clone());
        [first, self.record(Record { revision, hash, ..record }), clean()]
    }

    /// Somebody has put another document into the file, and it is in force.
    pub fn adopt(&mut self, document: Document, record: Record) -> Vec<Step> {
        let mut steps = self.ensure_recorded(record.at_ms);
        let new = document.hash != self.main.hash;
        self.main = document;
        if self.change.take().is_some() {
            steps.extend(clean());
        }
        if new {
            let Document { revision, hash, text: _ } = &self.main;
            steps.extend(self.record(Record { revision: *revision, hash: hash.clone(), ..record }));
            steps.extend(self.thin_out());
        }
        steps
    }

    /// A revision of the peer's that was never in force here goes into the history.
    pub fn remember(&mut self, record: Record, text: &str) -> Vec<Step> {
        if self.records().any(|known| known.hash == record.hash) {
            return Vec::new();
        }
        self.sequence += 1;
        let record = Record { sequence: self.sequence, ..record }.tidy();
        let steps = put(Life::file_of(&record), encode(&record, text));
        self.records.push((record, text.len()));
        steps
    }

    /// This node's version loses against the peer's and is kept.
    pub fn keep_conflict(&mut self, record: Record) -> Vec<Step> {
        self.sequence += 1;
        let Document { revision, hash, text } = &self.main;
        let record =
            Record { sequence: self.sequence, revision: *revision, hash: hash.clone(), ..record }.tidy();
        let mut steps = put(Life::conflict_file(&record), encode(&record, text));
        self.conflicts.push(record);
        if self.conflicts.len() > CONFLICTS {
            steps.push(Step::Remove(Life::conflict_file(&self.conflicts.remove(0))));
        }
        steps
    }

    /// A revision is called by this name from now on; `text` is what its file holds.
    pub fn label(&mut self, sequence: u64, label: &str, text: &str) -> Vec<Step> {
        let Some((record, _)) = self.records.iter_mut().find(|(record, _)| record.sequence == sequence)
        else {
            return Vec::new();
        };
        record.label = label.into();
        *record = record.clone().tidy();
        put(Life::file_of(record), encode(record, text))
    }

    /// The document in force is in the history.
    fn ensure_recorded(&mut self, now_ms: u64) -> Vec<Step> {
        if self.records().any(|record| record.hash == self.main.hash) {
            return Vec::new();
        }
        let author = Author { who: String::new(), from: "file".into() };
        let (revision, hash) = (self.main.revision, self.main.hash.clone());
        let why = "found in the file".to_owned();
        self.record(Record { revision, hash, at_ms: now_ms, author, why, ..Record::default() })
    }

    fn record(&mut self, record: Record) -> Vec<Step> {
        self.sequence += 1;
        let record = Record { sequence: self.sequence, ..record }.tidy();
        let steps = put(Life::file_of(&record), encode(&record, &self.main.text));
        self.records.push((record, self.main.text.len()));
        steps
    }

    fn forget(&mut self, sequence: u64) -> Vec<Step> {
        let Some(at) = self.records.iter().position(|(record, _)| record.sequence == sequence) else {
            return Vec::new();
        };
        let (record, _) = self.records.remove(at);
        vec![Step::Remove(Life::file_of(&record))]
    }

    /// The oldest go, except those with a label.
    fn thin_out(&mut self) -> Vec<Step> {
        let mut steps = Vec::new();
        loop {
            let bytes: usize = self.records.iter().map(|(_, size)| size).sum();
            let many = self.records.len() > KEPT_MAX || (self.records.len() > KEPT && bytes > KEPT_BYTES);
            let oldest = self.records.iter().find(|(record, _)| record.label.is_empty());
            let Some((record, _)) = oldest.filter(|_| many).cloned() else { return steps };
            steps.extend(self.forget(record.sequence));
        }
    }
}

/// Nothing is under way any more. First the word that says so.
fn clean() -> Vec<Step> {
    let mut steps = take_away(Name::Inside(CHANGE.into()));
    steps.extend([Step::Remove(Name::Next), Step::Remove(Name::Back), Step::Flush]);
    steps
}
