//! The life of a change, as the pages see it: a draft beside what is in force, and what may be done with it.

use std::sync::Arc;

use crate::config::diff::Row;
use crate::config::life::{Author, Record};
use crate::config::{Config, Problem, Valid};
use crate::io::config_request::{ConfigAnswer, ConfigRequest};

/// Keeps the draft. Calls may take as long as files take, and are made where waiting is allowed.
pub trait Editor: Send + Sync {
    /// What is being edited.
    fn draft(&self) -> Draft;

    /// Makes this document the draft.
    ///
    /// # Errors
    /// When the draft is not the edition any more that this is based on, or cannot be kept.
    fn save(&self, who: &Author, edition: &str, document: Valid<Config>) -> Result<(), Rejected>;

    /// Puts the draft in force; with a number of seconds, only until then unless somebody confirms.
    ///
    /// # Errors
    /// When it cannot be put in force; then nothing has changed.
    fn apply(&self, who: &Author, edition: &str, confirm_within: Option<u32>) -> Result<(), Rejected>;

    /// Puts this document in force, without a trial: what it is about has happened already.
    ///
    /// # Errors
    /// When somebody is working on another one, or it is not possible.
    fn adopt(&self, who: &Author, document: Valid<Config>) -> Result<(), Rejected>;

    /// What was put in force on trial stays.
    ///
    /// # Errors
    /// When nothing is on trial.
    fn confirm(&self) -> Result<(), Rejected>;

    /// What is on trial goes back at once; when nothing is, the draft is forgotten.
    ///
    /// # Errors
    /// When that is not possible.
    fn discard(&self, who: &Author) -> Result<(), Rejected>;

    /// One change of the draft is forgotten: its number, from 1.
    ///
    /// # Errors
    /// When there is no such change any more.
    fn discard_one(&self, who: &Author, edition: &str, change: usize) -> Result<(), Rejected>;

    /// A revision gets a name.
    ///
    /// # Errors
    /// When there is no such revision.
    fn label(&self, revision: &str, label: &str) -> Result<(), Rejected>;

    /// The user's password, which was kept in the way of another firewall, is kept as this hash from now on. That is no draft:
    /// it is in force at once.
    ///
    /// # Errors
    /// When it is not possible now, as while somebody is working on a change.
    fn keep_password(&self, who: &Author, hash: &str) -> Result<(), Rejected>;

    /// What was in force, the newest last.
    ///
    /// # Errors
    /// When nobody knows.
    fn history(&self) -> Result<Vec<Record>, Rejected>;

    /// How what is in force differs from a revision.
    ///
    /// # Errors
    /// When there is no such revision.
    fn since(&self, revision: &str) -> Result<Vec<Row>, Rejected>;

    /// Puts a revision in force again.
    ///
    /// # Errors
    /// When that is not possible.
    fn restore(&self, who: &Author, revision: &str) -> Result<(), Rejected>;

    /// Asks for something to be done with the draft, which must still be this edition.
    ///
    /// # Errors
    /// When it is not, or when that is not possible.
    fn ask_of(&self, _edition: &str, _request: ConfigRequest) -> Result<ConfigAnswer, Rejected> {
        Err(Rejected::NotHere)
    }

    /// The text in force, secrets included.
    ///
    /// # Errors
    /// When nobody knows.
    fn text(&self) -> Result<String, Rejected>;
}

/// What is being edited.
#[derive(Clone)]
pub struct Draft {
    /// The document.
    pub document: Arc<Valid<Config>>,
    /// Which one it is: an edit says what it was based on.
    pub edition: String,
    /// How it differs from what is in force, in words.
    pub changes: Vec<String>,
    /// What is in force goes back after so many seconds, unless somebody confirms.
    pub trial: Option<u32>,
}

impl Draft {
    /// A draft that changes nothing.
    pub fn of(document: Arc<Valid<Config>>) -> Draft {
        Draft { edition: document.hash(), document, changes: Vec::new(), trial: None }
    }
}

/// Why nothing was changed.
#[derive(Clone, PartialEq, Debug)]
pub enum Rejected {
    /// Somebody else has edited in between.
    Stale,
    /// The document would not make sense.
    Problems(Vec<Problem>),
    /// It was not possible, in words.
    Failed(String),
    /// What it is about is not there any more.
    Gone,
    /// This router's pages edit nothing.
    NotHere,
}
