//! What the two nodes say to each other about their configuration.

use serde::{Deserialize, Serialize};

use crate::config::life::{Document, Life, Record};

/// The form of these messages; a peer that speaks another one is not understood.
const FORM: u8 = 1;
/// How many revisions back two nodes look for a common one.
const CHAIN: usize = 256;

/// A change that both nodes shall make.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Proposal {
    /// The new document. Its hash is the name of the change.
    pub document: Document,
    /// Hash of the document that it replaces.
    pub base: String,
    /// What is known of it.
    pub record: Record,
    /// Seconds within which it must be confirmed, and the text that it goes back to.
    pub confirm: Option<(u64, String)>,
}

/// What a node has in force, and how it came to it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Head {
    /// Hash of the document.
    pub hash: String,
    /// Its number.
    pub revision: u64,
    /// The pair's epoch in which it was made.
    pub epoch: u32,
    /// It was made because this one was not confirmed.
    pub undoes: Option<String>,
    /// It waits to be confirmed.
    pub armed: bool,
    /// The documents before, newest first.
    pub chain: Vec<String>,
    /// A change that this node is about to make.
    pub proposes: Option<String>,
    /// A change that was prepared here, of which this node does not know whether it has happened.
    pub doubts: Option<String>,
}

/// How two documents stand to each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Relation {
    /// They are the same.
    Equal,
    /// The peer does not have this node's yet.
    Ahead,
    /// This node does not have the peer's yet.
    Behind,
    /// Both have changed; this node's stays.
    Wins,
    /// Both have changed; the peer's stays.
    Loses,
}

impl Head {
    /// What this node has in force.
    pub fn of(life: &Life) -> Head {
        let main = life.main();
        let staged =
            life.change().filter(|change| change.record.hash != main.hash).map(|change| &change.record);
        let records = || {
            life.records()
                .rev()
                .filter(|record| Some(record.sequence) != staged.map(|staged| staged.sequence))
        };
        let own = records().find(|record| record.hash == main.hash);
        let before = records().skip_while(|record| record.hash != main.hash).skip(1);
        Head {
            hash: main.hash.clone(),
            revision: main.revision,
            epoch: own.map_or(0, |record| record.epoch),
            undoes: own.and_then(|record| record.undoes.clone()),
            armed: life.armed().is_some(),
            chain: before.map(|record| record.hash.clone()).take(CHAIN).collect(),
            proposes: None,
            doubts: life.change().filter(|change| change.in_doubt).map(|change| change.record.hash.clone()),
        }
    }

    fn has(&self, hash: &str) -> bool {
        self.hash == hash || self.chain.iter().any(|known| known == hash)
    }

    /// How this node's stands to the peer's. Both sides come to the same end.
    pub fn compare(&self, theirs: &Head) -> Relation {
        if self.hash == theirs.hash {
            return Relation::Equal;
        }
        // Whoever undid a change by itself did not know that it was confirmed.
        if self.confirms(theirs) {
            return Relation::Ahead;
        }
        if theirs.confirms(self) {
            return Relation::Behind;
        }
        if self.has(&theirs.hash) {
            return Relation::Ahead;
        }
        if theirs.has(&self.hash) {
            return Relation::Behind;
        }
        let rank = |head: &Head| (head.epoch, head.revision, head.hash.clone());
        if rank(self) > rank(theirs) { Relation::Wins } else { Relation::Loses }
    }

    /// The other one has undone what is confirmed here.
    fn confirms(&self, other: &Head) -> bool {
        let Some(undone) = &other.undoes else { return false };
        self.undoes.is_none() && self.has(undone) && !(self.armed && self.hash == *undone)
    }
}

/// A message.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Message {
    /// This is what I have; with a flag, tell me what you have.
    Hello(Box<Head>, bool),
    /// Write this down, so that it can be put in force whatever happens.
    Prepare(Box<Proposal>),
    /// It is written down.
    Ready(String),
    /// It cannot be put in force here: why.
    Refused(String, Vec<String>),
    /// Put it in force.
    Commit(String),
    /// It is in force; or it is not, with what is wrong.
    Committed(String, Vec<String>),
    /// It will not happen.
    Abort(String),
    /// This document has been confirmed.
    Confirmed(String),
    /// What you do not have, oldest first; the last one is in force here and, with seconds and a text to go back to, waits
    /// to be confirmed.
    Lesson(Box<Head>, Vec<(Record, Document)>, Option<(u64, String)>),
}

impl Message {
    /// As bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![FORM];
        // Plain data has a form in any case.
        bytes.extend(postcard::to_allocvec(self).unwrap_or_default());
        bytes
    }

    /// From bytes; `None` for what is none.
    pub fn decode(bytes: &[u8]) -> Option<Message> {
        let (form, rest) = bytes.split_first()?;
        if *form == FORM { postcard::from_bytes(rest).ok() } else { None }
    }
}
