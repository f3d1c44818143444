//! The parent's care for the configuration: what a node stands on, and answers that need no router.

use super::archive::Archive;
use super::clock;
use super::config_request::{ConfigAnswer, Confirmation, Standing, Version};
use super::devices::Devices;
use super::orders::Change;
use super::request::Response;
use crate::cluster::agreement::{Agreement, Ground};
use crate::config::diff::{self, unified};
use crate::config::life::{Author, CONFIRM_SECONDS, Candidate, Document, Found, Life, Name, Record, Step};
use crate::config::{self, Config, Problem, amend};

/// The longest wait for a confirmation.
const CONFIRM_MAX: u64 = 24 * 3600;

/// Milliseconds since 1970.
pub fn now_ms() -> u64 {
    clock::wall_seconds() * 1000
}

/// A valid text as a document.
///
/// # Errors
/// Every problem.
pub fn document(text: String) -> Result<Document, Vec<String>> {
    let config = config::load(&text).map_err(texts)?;
    Ok(Document { revision: config.revision, hash: config.hash(), text })
}

/// Problems as they are shown.
pub fn texts(problems: Vec<Problem>) -> Vec<String> {
    problems.iter().map(Problem::to_string).collect()
}

/// What a node stands on: its files, its devices, what is in force.
pub struct Standpoint<'a> {
    /// The files.
    pub archive: &'a Archive,
    /// The devices.
    pub devices: &'a Devices,
    /// Its name.
    pub node: &'a str,
    /// The text in force.
    pub running: &'a str,
}

impl Ground for Standpoint<'_> {
    fn run(&mut self, steps: &[Step]) -> Result<(), String> {
        self.archive.run(steps).map_err(|error| format!("the files of the configuration: {error}"))
    }

    fn read(&self, name: &Name) -> Option<Vec<u8>> {
        self.archive.read(name).ok()
    }

    fn check(&mut self, document: &Document) -> Result<(), Vec<String>> {
        let config = config::load(&document.text).map_err(texts)?;
        if config.hash() != document.hash {
            return Err(vec![
                "the text is not what it is said to be; is the peer of another version?".into(),
            ]);
        }
        let node = config.node(Some(self.node)).map_err(|problem| texts(vec![problem]))?;
        let names =
            |config: &Config| config.interfaces.iter().map(|one| one.name.clone()).collect::<Vec<_>>();
        let before = config::parse(self.running).map(|config| names(&config)).unwrap_or_default();
        if !names(&config).starts_with(&before) {
            return Err(vec![
                "interfaces are gone or in another order; keep it and add new ones at the end, or restart Koi with the new file"
                    .into(),
            ]);
        }
        match self.devices.prepare(&config, node)?.loopback() {
            Change::Kept => Ok(()),
            Change::New | Change::Gone => Err(vec!["node.loopback has changed; restart Koi for that".into()]),
        }
    }

    fn now_ms(&self) -> u64 {
        now_ms()
    }
}

/// Finds the files of a configuration file, and puts right what a crash has left. A change whose time is over is gone
/// back from before anything starts.
///
/// # Errors
/// When the file is no valid document; then every problem.
pub fn open(archive: &Archive, text: String) -> Result<Life, Vec<Problem>> {
    let found = |text: String| {
        let config = config::load(&text)?;
        let main = Document { revision: config.revision, hash: config.hash(), text };
        let inside = archive.read_all().unwrap_or_else(|error| {
            tracing::warn!(%error, "the history of the configuration cannot be read");
            Default::default()
        });
        Ok::<Found, Vec<Problem>>(Found { main, next: archive.read(&Name::Next).ok(), inside })
    };
    let (mut life, steps) = Life::open(found(text)?, now_ms());
    run(archive, &steps);
    let Some(change) = life.armed().filter(|change| change.left_ms(now_ms()) == 0) else { return Ok(life) };
    let back = archive.read(&Name::Back).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    match back.and_then(|text| document(text).ok()) {
        Some(back) => {
            tracing::warn!(
                revision = change.record.revision,
                "nobody has confirmed the configuration: back to the one before"
            );
            let author = Author { who: String::new(), from: "koi".into() };
            life.roll_back(back, now_ms(), author).iter().for_each(|steps| run(archive, steps));
        }
        None => tracing::error!("nobody has confirmed the configuration, and the way back is missing"),
    }
    Ok(life)
}

fn run(archive: &Archive, steps: &[Step]) {
    if let Err(error) = archive.run(steps) {
        tracing::warn!(%error, "the history of the configuration cannot be written");
    }
}

/// How the configuration stands.
pub fn standing(agreement: &Agreement) -> Standing {
    let life = agreement.life();
    let base = |candidate: &Candidate| candidate.base != (life.main().revision, life.main().hash.clone());
    Standing {
        revision: life.main().revision,
        hash: life.main().hash.clone(),
        candidate: life.candidate().map(|candidate| candidate.author.clone()),
        stale: life.candidate().is_some_and(base),
        confirm_within: life.armed().map(|change| change.left_ms(now_ms()).div_ceil(1000)),
        unseen: agreement.unseen(),
        conflicts: life.conflicts().len(),
        pair: agreement.words(),
    }
}

/// A text.
///
/// # Errors
/// When there is none.
pub fn text(life: &Life, archive: &Archive, version: &Version) -> Result<String, String> {
    let read = |name: &Name| {
        let bytes = archive.read(name).map_err(|error| format!("the history: {error}"))?;
        Life::text_in(&bytes).ok_or_else(|| "the history: this is no revision".to_owned())
    };
    match version {
        Version::Running => Ok(life.main().text.clone()),
        Version::Candidate => {
            Ok(life.candidate().map_or(&life.main().text, |candidate| &candidate.text).clone())
        }
        Version::Revision(wanted) => {
            let record = life
                .find(wanted)
                .ok_or_else(|| format!("there is no revision \"{wanted}\"; see koi config history"))?;
            if record.hash == life.main().hash {
                Ok(life.main().text.clone())
            } else {
                read(&Life::file_of(record))
            }
        }
        Version::Conflict(number) => {
            let conflict = life.conflicts().iter().find(|record| record.sequence == *number);
            let record =
                conflict.ok_or_else(|| format!("there is no conflict {number}; see koi config conflicts"))?;
            read(&Life::conflict_file(record))
        }
    }
}

/// What is different between two texts, in words and in text.
///
/// # Errors
/// When the older one is no document.
pub fn difference(from: &str, to: &str) -> Result<ConfigAnswer, String> {
    let old = config::parse(from).map_err(|problems| texts(problems).join("; "))?;
    let new = config::parse(to);
    let (rows, problems) = match new {
        Ok(new) => {
            let rows = diff::rows(&diff::changes(&old, &new));
            (rows, config::load(to).err().map(texts).unwrap_or_default())
        }
        Err(problems) => (Vec::new(), texts(problems)),
    };
    let text = unified(["before", "after"], &amend::mask(from), &amend::mask(to));
    Ok(ConfigAnswer::Difference { rows, text, problems })
}

/// How long a change may wait for its confirmation; `None` when it need not be confirmed.
pub fn confirm_within(confirmation: Confirmation, old: &Config, changes: &[diff::Change]) -> Option<u64> {
    match confirmation {
        Confirmation::Never => None,
        Confirmation::Seconds(seconds) => Some(seconds.clamp(1, CONFIRM_MAX)),
        Confirmation::WhenRisky => {
            changes.iter().any(|change| is_risky(change, old)).then_some(CONFIRM_SECONDS)
        }
    }
}

/// It could lock somebody out.
fn is_risky(change: &diff::Change, old: &Config) -> bool {
    let path = change.path();
    let sections =
        ["node", "interface", "virtual_ip", "gateway", "route", "pair", "system.web", "system.anti_lockout"];
    let of = |section: &&str| {
        path.strip_prefix(*section)
            .is_some_and(|rest| !rest.starts_with(|next: char| next.is_alphanumeric() || next == '_'))
    };
    sections.iter().any(of) || (path.starts_with("rule") && !old.system.anti_lockout)
}

/// The candidate with one change taken out of it; `None` when nothing is left. Comments stay where that can be.
///
/// # Errors
/// When there is no such change.
pub fn without(life: &Life, number: usize) -> Result<Option<String>, String> {
    let candidate = life.candidate().ok_or("there is no candidate")?;
    let parse = |text: &str| config::parse(text).map_err(|problems| texts(problems).join("; "));
    let (old, new) = (parse(&life.main().text)?, parse(&candidate.text)?);
    let changes = diff::changes(&old, &new);
    let change = number.checked_sub(1).and_then(|at| changes.get(at));
    let change = change.ok_or_else(|| format!("there is no change {number}; see koi config diff"))?;
    if changes.len() == 1 {
        return Ok(None);
    }
    let kept = changes.iter().enumerate().filter(|(at, _)| at + 1 != number).map(|(_, change)| change);
    let left = diff::apply(&old, kept).ok_or("the other changes need this one")?;
    let text = change
        .undo_in(&candidate.text)
        .filter(|text| config::parse(text).is_ok_and(|config| diff::changes(&left, &config).is_empty()));
    Ok(Some(text.unwrap_or_else(|| left.to_toml())))
}

/// The text that somebody has edited, with the secrets that they did not see.
///
/// # Errors
/// When it is no document.
pub fn edited(text: String, life: &Life) -> Result<String, Vec<String>> {
    let new = config::parse(&text).map_err(texts)?;
    let Ok(old) = config::parse(&life.main().text) else { return Ok(text) };
    let whole = amend::unmask(&new, &old);
    Ok(if whole == new { text } else { whole.to_toml() })
}

/// A revision's record, of a change that is made now.
pub fn record(author: Author, why: String) -> Record {
    Record { at_ms: now_ms(), author, why, ..Record::default() }
}

/// An answer, or why not.
pub fn respond(answer: Result<ConfigAnswer, String>) -> Response {
    answer.map_or_else(Response::Failed, |answer| Response::Config(Box::new(answer)))
}
