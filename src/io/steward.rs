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
use crate::config::model::Secret;
use crate::config::{self, Config, PasswordKind, Problem, amend};

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

/// The candidate with one change taken out of it; `None` when nothing is left.
///
/// # Errors
/// When there is no such change.
pub fn without(life: &Life, number: usize) -> Result<Option<String>, String> {
    let candidate = life.candidate().ok_or("there is no candidate")?;
    let parse = |text: &str| config::parse(text).map_err(|problems| texts(problems).join("; "));
    let (old, new) = (parse(&life.main().text)?, parse(&candidate.text)?);
    let changes = diff::changes(&old, &new);
    if !(1..=changes.len()).contains(&number) {
        return Err(format!("there is no change {number}; see koi config diff"));
    }
    if changes.len() == 1 {
        return Ok(None);
    }
    let kept = changes.iter().enumerate().filter(|(at, _)| at + 1 != number).map(|(_, change)| change);
    let left = diff::apply(&old, kept).ok_or("the other changes need this one")?;
    Ok(Some(amend::rewrite(&candidate.text, &left)))
}

/// The text that somebody has edited, with the secrets that they did not see.
///
/// # Errors
/// When it is no document.
pub fn edited(text: String, life: &Life) -> Result<String, Vec<String>> {
    let new = config::parse(&text).map_err(texts)?;
    let Ok(old) = config::parse(&life.main().text) else { return Ok(text) };
    let whole = amend::unmask(&new, &old);
    Ok(amend::rewrite(&text, &whole))
}

/// The text in which a user has Koi's own hash for another firewall's.
///
/// # Errors
/// When there is no such user with such a hash.
pub fn with_password(text: &str, name: &str, hash: String) -> Result<String, String> {
    let kind = |hash: &str| PasswordKind::of(hash).map(PasswordKind::is_own);
    let mut new = config::parse(text).map_err(|problems| texts(problems).join("; "))?;
    let user = new.users.iter_mut().find(|user| user.name == name);
    let user =
        user.filter(|user| kind(user.password_hash.reveal()) == Some(false) && kind(&hash) == Some(true));
    user.ok_or("there is no such user with a hash of another firewall")?.password_hash = Secret::new(hash);
    Ok(amend::rewrite(text, &new))
}

/// A revision's record, of a change that is made now.
pub fn record(author: Author, why: String) -> Record {
    Record { at_ms: now_ms(), author, why, ..Record::default() }
}

/// An answer, or why not.
pub fn respond(answer: Result<ConfigAnswer, String>) -> Response {
    answer.map_or_else(Response::Failed, |answer| Response::Config(Box::new(answer)))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::super::files::tests::Scratch;
    use super::*;
    use crate::config::life::Confirm;

    const TEXT: &str = include_str!("../../configs/single.toml");

    fn named(hostname: &str, revision: u64) -> Document {
        let text = amend::set(TEXT, "system.hostname", hostname).unwrap();
        document(amend::renumber(&text, revision).unwrap()).unwrap()
    }

    /// Starts with what lies on the disk.
    fn start(main: &Path) -> (Archive, Life) {
        let archive = Archive::of(main);
        let life = open(&archive, fs::read_to_string(main).unwrap()).unwrap();
        (archive, life)
    }

    /// Does the first `count` steps in a directory of its own, and half of the next one when that writes.
    fn killed_at(count: usize, steps: &[Step], name: &str) -> Scratch {
        let scratch = Scratch::new(&format!("{name}-{count}"));
        let main = scratch.0.join("koi.toml");
        fs::write(&main, TEXT).unwrap();
        let (archive, _) = start(&main);
        archive.run(&steps[..count]).unwrap();
        if let Some(Step::Write(name, bytes)) = steps.get(count) {
            archive.run(&[Step::Write(name.clone(), bytes[..bytes.len() / 2].to_vec())]).unwrap();
        }
        scratch
    }

    #[test]
    fn whenever_it_is_killed_the_disk_holds_one_whole_document_and_the_promise() {
        let (old, new, back) = (document(TEXT.into()).unwrap(), named("new", 2), named("koi", 3));
        for seconds in [None, Some(600)] {
            let first = Scratch::new("killed-first");
            let main = first.0.join("koi.toml");
            fs::write(&main, TEXT).unwrap();
            let (_, mut life) = start(&main);
            let confirm = seconds.map(|seconds| (Confirm { seconds, until_ms: None }, back.text.clone()));
            let candidate = Candidate {
                author: Author { who: "ann".into(), from: "cli".into() },
                text: new.text.clone(),
                base: (1, old.hash.clone()),
            };
            let mut steps = life.edit(Some(candidate));
            let made = record(Author { who: "ann".into(), from: "cli".into() }, "why".into());
            steps.extend(life.stage(&new, made, confirm, false));
            let staged = steps.len();
            steps.extend(life.commit(new.clone(), now_ms()));
            let committed = steps.len();
            steps.extend(life.confirm());
            for count in 0..=steps.len() {
                let scratch = killed_at(count, &steps, "killed");
                let main = scratch.0.join("koi.toml");
                let (_, life) = start(&main);
                let is_new = life.main().hash == new.hash;
                assert!(is_new || life.main().text == TEXT, "step {count}");
                assert_eq!(is_new, count > staged, "step {count}: the rename decides");
                let waits = is_new && seconds.is_some() && count <= committed;
                assert_eq!(life.armed().is_some(), waits, "step {count}: the promise");
                assert!(life.armed().is_none_or(|change| change.left_ms(now_ms()) > 500_000), "step {count}");
                // Everything that the history names can be read, and a second start finds nothing to do.
                let (archive, again) = start(&main);
                assert_eq!((again.main(), again.armed().is_some()), (life.main(), waits), "step {count}");
                for known in life.records() {
                    let text =
                        text(&again, &archive, &Version::Revision(known.revision.to_string())).unwrap();
                    assert_eq!(config::parse(&text).unwrap().hash(), known.hash, "step {count}");
                }
            }
        }
    }

    #[test]
    fn only_the_hash_of_another_firewall_is_exchanged_and_only_for_an_own_one() {
        let own =
            |letter: &str| format!("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0${}", letter.repeat(43));
        let user = |name: &str, hash: &str| {
            format!(
                "\n# {name}\n[[user]]\nname = \"{name}\"\nrole = \"administrator\"\npassword_hash = \"{hash}\"\n"
            )
        };
        let bcrypt = format!("$2y$10${}", "a".repeat(53));
        let text = format!("{TEXT}{}{}", user("a.b", &bcrypt), user("ada", &own("A")));
        let changed = with_password(&text, "a.b", own("B")).unwrap();
        assert_eq!(changed, text.replace(&bcrypt, &own("B")));
        assert!(with_password(&text, "ada", own("B")).is_err(), "it is an own one already");
        assert!(
            with_password(&text, "eve", own("B")).is_err() && with_password(&text, "a.b", bcrypt).is_err()
        );
    }

    #[test]
    fn a_way_back_that_was_begun_is_gone_to_the_end() {
        let (new, back) = (named("new", 2), named("koi", 3));
        let first = Scratch::new("back-first");
        let main = first.0.join("koi.toml");
        fs::write(&main, TEXT).unwrap();
        let (_, mut life) = start(&main);
        let made =
            Record { at_ms: now_ms().saturating_sub(60_000), ..record(Author::default(), String::new()) };
        let confirm = Confirm { seconds: 30, until_ms: None };
        let mut steps = life.stage(&new, made, Some((confirm, back.text.clone())), false);
        steps.extend(life.commit(new.clone(), now_ms().saturating_sub(60_000)));
        let begun = steps.len();
        steps.extend(life.roll_back(back.clone(), now_ms(), Author::default()).concat());
        for count in begun..=steps.len() {
            let scratch = killed_at(count, &steps, "back");
            // The time is over: whatever was done, the start goes back.
            let (_, life) = start(&scratch.0.join("koi.toml"));
            assert_eq!((&life.main().hash, life.armed()), (&back.hash, None), "step {count}");
            assert_eq!(life.records().next_back().map(|last| &last.hash), Some(&back.hash), "step {count}");
        }
    }
}
