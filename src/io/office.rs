//! The parent without processes, for tests: the life of a configuration with its real agreement, files and answers. What comes
//! into force is given to whoever made it; time passes when it is told so.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::archive::Archive;
use super::clock;
use super::config_request::{ConfigAnswer, ConfigRequest, Version};
use super::request::Response;
use super::steward::{self, respond};
use crate::cluster::agreement::{Agreement, Ground, Outbox, Outcome};
use crate::config::life::{Author, Candidate, Document, Life, Name, Step};
use crate::config::{self, amend, diff};

/// What is done with a text that comes into force.
type Enforce = dyn Fn(&str) + Send + Sync;

/// See the module.
pub struct Office {
    papers: Mutex<Papers>,
    enforce: Box<Enforce>,
    directory: PathBuf,
}

struct Papers {
    agreement: Agreement,
    files: Files,
}

/// The files of the configuration, and a calendar.
struct Files {
    archive: Archive,
    ahead_ms: u64,
}

impl Ground for Files {
    fn run(&mut self, steps: &[Step]) -> Result<(), String> {
        self.archive.run(steps).map_err(|error| error.to_string())
    }

    fn read(&self, name: &Name) -> Option<Vec<u8>> {
        self.archive.read(name).ok()
    }

    fn check(&mut self, document: &Document) -> Result<(), Vec<String>> {
        config::load(&document.text).map(drop).map_err(steward::texts)
    }

    fn now_ms(&self) -> u64 {
        steward::now_ms() + self.ahead_ms
    }
}

impl Office {
    /// With a document in a new directory, which goes away with the value.
    pub fn open(directory: &Path, text: &str, enforce: impl Fn(&str) + Send + Sync + 'static) -> Office {
        let _ = std::fs::remove_dir_all(directory);
        std::fs::create_dir_all(directory).unwrap();
        let file = directory.join("koi.toml");
        std::fs::write(&file, text).unwrap();
        let archive = Archive::of(&file);
        let life =
            steward::open(&archive, text.to_owned()).unwrap_or_else(|problems| panic!("{problems:#?}"));
        let agreement = Agreement::new(life, false, clock::now());
        let papers = Papers { agreement, files: Files { archive, ahead_ms: 0 } };
        Office { papers: Mutex::new(papers), enforce: Box::new(enforce), directory: directory.to_owned() }
    }

    /// Time passes, and what is due then is done.
    pub fn pass(&self, seconds: u64) {
        let mut papers = self.lock();
        papers.files.ahead_ms += seconds * 1000;
        let now = clock::now();
        self.agree(&mut papers, |agreement, files, out| agreement.handle_timeout(now, files, out));
    }

    /// Answers as the parent does.
    pub fn answer(&self, request: ConfigRequest) -> Response {
        let mut papers = self.lock();
        let papers = &mut *papers;
        let answer = match request {
            ConfigRequest::Standing => Ok(ConfigAnswer::Standing(steward::standing(&papers.agreement))),
            ConfigRequest::Show { version, secrets } => papers.show(&version, secrets),
            ConfigRequest::Save { text, base, author } => return papers.save(text, base, author),
            ConfigRequest::Set { path, value, author } => {
                let text = papers.text(&Version::Candidate);
                match text.and_then(|text| amend::set(&text, &path, &value)) {
                    Ok(text) => return papers.save(text, None, author),
                    Err(why) => Err(why),
                }
            }
            ConfigRequest::Discard { change } => papers.discard(change),
            ConfigRequest::Diff { from, to } => papers.diff(&from, &to),
            ConfigRequest::Apply { version, confirmation, why, author } => {
                return self.apply(papers, &version, confirmation, steward::record(author, why));
            }
            ConfigRequest::Confirm => self
                .agree(papers, |agreement, files, out| agreement.confirm(files, out))
                .0
                .map(|()| ConfigAnswer::Standing(steward::standing(&papers.agreement))),
            ConfigRequest::Rollback { author } => {
                match self.agree(papers, |agreement, files, out| agreement.roll_back(author, files, out)) {
                    (Ok(()), outcome) => return papers.applied(outcome),
                    (Err(why), _) => Err(why),
                }
            }
            ConfigRequest::History => Ok(papers.history()),
            ConfigRequest::Label { revision, label } => papers.label(&revision, &label),
            ConfigRequest::Conflicts => Ok(ConfigAnswer::History(Vec::new())),
            ConfigRequest::KeepPassword { .. } => Err("nobody here has another firewall's password".into()),
        };
        respond(answer)
    }

    fn apply(
        &self,
        papers: &mut Papers,
        version: &Version,
        confirmation: super::config_request::Confirmation,
        record: crate::config::life::Record,
    ) -> Response {
        let life = papers.agreement.life();
        if let (Version::Candidate, Some(candidate)) = (version, life.candidate())
            && let Some(stale) = papers.stale(&candidate.base)
        {
            return respond(Ok(stale));
        }
        let text = match papers.text(version) {
            Ok(text) => text,
            Err(why) => return Response::Failed(why),
        };
        let revision = papers.agreement.life().next_revision();
        let running = papers.agreement.life().main().text.clone();
        let new = match steward::document(amend::renumber(&text, revision).unwrap_or(text)) {
            Ok(new) => new,
            Err(problems) => return Response::Refused(problems),
        };
        let (old, document) = (config::parse(&running).unwrap(), config::parse(&new.text).unwrap());
        let changes = diff::changes(&old, &document);
        if changes.is_empty() {
            return Response::Refused(vec!["nothing is different from what is in force".into()]);
        }
        let back = amend::renumber(&running, revision + 1);
        let confirm = steward::confirm_within(confirmation, &old, &changes).zip(back);
        let now = clock::now();
        let proposed = self
            .agree(papers, |agreement, files, out| agreement.propose(now, new, record, confirm, files, out));
        match proposed {
            (Ok(()), outcome) => papers.applied(outcome),
            (Err(problems), _) => Response::Refused(problems),
        }
    }

    /// Asks the agreement, and does what it wants.
    fn agree<T>(
        &self,
        papers: &mut Papers,
        act: impl FnOnce(&mut Agreement, &mut Files, &mut Outbox) -> T,
    ) -> (T, Option<Outcome>) {
        let mut out = Outbox::default();
        let done = act(&mut papers.agreement, &mut papers.files, &mut out);
        let mut outcome = out.outcome.take();
        while let Some(document) = out.enforce.take() {
            (self.enforce)(&document.text);
            papers.agreement.handle_enforced(clock::now(), Ok(()), &mut papers.files, &mut out);
            outcome = out.outcome.take().or(outcome);
        }
        (done, outcome)
    }

    fn lock(&self) -> MutexGuard<'_, Papers> {
        self.papers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Office {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

type Answer = Result<ConfigAnswer, String>;

impl Papers {
    fn text(&self, version: &Version) -> Result<String, String> {
        steward::text(self.agreement.life(), &self.files.archive, version)
    }

    fn show(&self, version: &Version, secrets: bool) -> Answer {
        let text = self.text(version)?;
        let main = self.agreement.life().main();
        let running = (main.revision, main.hash.clone());
        let candidate = self.agreement.life().candidate().filter(|_| *version == Version::Candidate);
        let base = candidate.map_or(running, |candidate| candidate.base.clone());
        Ok(ConfigAnswer::Text { text: if secrets { text } else { amend::mask(&text) }, base })
    }

    fn diff(&self, from: &Version, to: &Version) -> Answer {
        steward::difference(&self.text(from)?, &self.text(to)?)
    }

    fn stale(&self, base: &(u64, String)) -> Option<ConfigAnswer> {
        let main = self.agreement.life().main();
        let revision = main.revision;
        (*base != (revision, main.hash.clone())).then(|| ConfigAnswer::Stale { revision, rows: Vec::new() })
    }

    fn save(&mut self, text: String, base: Option<(u64, String)>, author: Author) -> Response {
        let life = self.agreement.life();
        let known = life.candidate().map(|candidate| candidate.base.clone());
        let base = base.or(known).unwrap_or((life.main().revision, life.main().hash.clone()));
        if let Some(stale) = self.stale(&base) {
            return respond(Ok(stale));
        }
        match steward::edited(text, self.agreement.life()) {
            Ok(text) => respond(self.edit(Some(Candidate { author, text, base }))),
            Err(problems) => Response::Refused(problems),
        }
    }

    fn edit(&mut self, candidate: Option<Candidate>) -> Answer {
        let steps = self.agreement.life_mut().edit(candidate);
        self.files.run(&steps)?;
        self.diff(&Version::Running, &Version::Candidate)
    }

    fn discard(&mut self, change: Option<usize>) -> Answer {
        let life = self.agreement.life();
        let Some(candidate) = life.candidate().cloned() else { return Err("there is no candidate".into()) };
        match change {
            None => self.edit(None),
            Some(number) => {
                let text = steward::without(life, number)?;
                self.edit(text.map(|text| Candidate { text, ..candidate }))
            }
        }
    }

    fn history(&self) -> ConfigAnswer {
        ConfigAnswer::History(self.agreement.life().records().cloned().collect())
    }

    fn label(&mut self, revision: &str, label: &str) -> Answer {
        let text = self.text(&Version::Revision(revision.into()))?;
        let sequence = self.agreement.life().find(revision).map(|record| record.sequence).unwrap_or_default();
        let steps = self.agreement.life_mut().label(sequence, label, &text);
        self.files.run(&steps)?;
        Ok(self.history())
    }

    fn applied(&self, outcome: Option<Outcome>) -> Response {
        let life: &Life = self.agreement.life();
        match outcome {
            Some(Outcome::Done(_)) => {
                let (revision, hash) = (life.main().revision, life.main().hash.clone());
                let left = life.armed().map(|change| change.left_ms(self.files.now_ms()).div_ceil(1000));
                let applied = ConfigAnswer::Applied { revision, hash, confirm_within: left, pair: None };
                respond(Ok(applied))
            }
            Some(Outcome::Refused(problems)) => Response::Refused(problems),
            None => Response::Failed("nothing came of it".into()),
        }
    }
}
