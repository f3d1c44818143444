//! What the agreement is given, and what it gives back.

use crate::config::life::{Document, Name, Step};

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
    /// This document shall come into force; [`super::Agreement::handle_enforced`] says whether it has.
    pub enforce: Option<Document>,
    /// Of the change that [`super::Agreement::propose`] has begun.
    pub outcome: Option<Outcome>,
    /// For the log.
    pub notes: Vec<String>,
}
