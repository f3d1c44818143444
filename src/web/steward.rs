//! The editor of a running router: the draft is the parent's candidate, shared with `koi config` and both nodes.

use std::sync::{Arc, Mutex, MutexGuard};

use super::edit::{Draft, Editor, Rejected};
use super::handle::Handle;
use super::share::{Drafted, Share};
use super::site::lock;
use crate::config::diff::Row;
use crate::config::life::{Author, Record};
use crate::config::{self, Config, Valid, amend};
use crate::io::config_request::{ConfigAnswer, ConfigRequest, Confirmation, Standing, Version};
use crate::io::request::Response;

/// Asks about the configuration, and waits.
type Configure = dyn Fn(ConfigRequest) -> Response + Send + Sync;

/// What the candidate is at this moment.
struct Candidate {
    /// With the comments of whoever wrote it.
    text: String,
    /// What it is based on.
    base: (u64, String),
    document: Arc<Valid<Config>>,
}

/// The edition of a candidate that makes no sense.
const NO_EDITION: &str = "none";

/// Asks the parent.
pub(super) struct Steward {
    handle: Handle,
    configure: Box<Configure>,
    /// One edit at a time; and the candidate that was read last, which is seldom another one.
    last: Mutex<Option<(String, Arc<Valid<Config>>)>>,
    /// How the candidate of this text differs from what was in force with this hash.
    differences: Mutex<Option<(String, String, Vec<String>)>>,
    editing: Mutex<()>,
    /// The pages of the peer, which have the same draft.
    peer: Option<Share>,
    /// The draft that was taken over from them last.
    followed: Mutex<Option<String>>,
}

impl Steward {
    pub fn new(handle: Handle, configure: Box<Configure>, peer: Option<Share>) -> Self {
        let (last, differences, editing, followed) = Default::default();
        Steward { handle, configure, last, differences, editing, peer, followed }
    }

    /// The peer has the same draft from now on: the one that was made of this edition.
    fn tell_draft(&self, edition: &str) {
        let Some(peer) = &self.peer else { return };
        if let Ok(drafted) = self.present() {
            peer.drafted(Drafted { edition: edition.to_owned(), ..drafted });
        }
    }

    /// The draft, for the pages of the peer.
    pub fn present(&self) -> Result<Drafted, Rejected> {
        let author = self.standing()?.candidate;
        let text = match &author {
            Some(_) => Some(self.shown(Version::Candidate)?.0),
            None => None,
        };
        Ok(Drafted { edition: String::new(), text, author: author.unwrap_or_default() })
    }

    /// Takes over the draft of the peer, when ours is the edition that it was made of.
    pub fn follow(&self, drafted: Drafted) -> Result<(), Rejected> {
        let (_guard, candidate) = self.based_on(&drafted.edition)?;
        self.take_over(drafted, candidate.base)
    }

    /// Takes over the draft of the peer, which serves: what it has told may have been lost. A draft that somebody has
    /// made here stays.
    pub fn catch_up(&self, drafted: Drafted) -> Result<(), Rejected> {
        let _guard = lock(&self.editing);
        let own = self.present()?.text;
        if own == drafted.text || own.is_some() && *lock(&self.followed) != own {
            return Ok(());
        }
        let (_, base) = self.shown(Version::Candidate)?;
        self.take_over(drafted, base)
    }

    fn take_over(&self, drafted: Drafted, base: (u64, String)) -> Result<(), Rejected> {
        let Drafted { edition: _, text, author } = drafted;
        match text {
            Some(text) => drop(self.ask(ConfigRequest::Save { text, base: Some(base), author })?),
            None if self.standing()?.candidate.is_some() => {
                self.ask(ConfigRequest::Discard { change: None })?;
            }
            None => {}
        }
        *lock(&self.followed) = self.present()?.text;
        Ok(())
    }

    fn ask(&self, request: ConfigRequest) -> Result<ConfigAnswer, Rejected> {
        match (self.configure)(request) {
            Response::Config(answer) => match *answer {
                ConfigAnswer::Stale { .. } => Err(Rejected::Stale),
                answer @ (ConfigAnswer::Standing(_)
                | ConfigAnswer::Text { .. }
                | ConfigAnswer::Difference { .. }
                | ConfigAnswer::Applied { .. }
                | ConfigAnswer::History(_)) => Ok(answer),
            },
            Response::Refused(problems) => Err(Rejected::Failed(problems.join(" "))),
            Response::Failed(why) => Err(Rejected::Failed(why)),
            _ => Err(unexpected()),
        }
    }

    fn standing(&self) -> Result<Standing, Rejected> {
        match self.ask(ConfigRequest::Standing)? {
            ConfigAnswer::Standing(standing) => Ok(standing),
            _ => Err(unexpected()),
        }
    }

    fn shown(&self, version: Version) -> Result<(String, (u64, String)), Rejected> {
        match self.ask(ConfigRequest::Show { version, secrets: true })? {
            ConfigAnswer::Text { text, base } => Ok((text, base)),
            _ => Err(unexpected()),
        }
    }

    fn difference(&self, from: Version, to: Version) -> Result<Vec<Row>, Rejected> {
        match self.ask(ConfigRequest::Diff { from, to })? {
            ConfigAnswer::Difference { rows, .. } => Ok(rows),
            _ => Err(unexpected()),
        }
    }

    /// The candidate, or what is in force when there is none.
    fn candidate(&self) -> Result<Candidate, Rejected> {
        let (text, base) = self.shown(Version::Candidate)?;
        let document = self.document(&text)?;
        Ok(Candidate { text, base, document })
    }

    /// The document of a text, which is seldom another one than the last.
    fn document(&self, text: &str) -> Result<Arc<Valid<Config>>, Rejected> {
        let mut last = lock(&self.last);
        if let Some((known, document)) = &*last
            && *known == text
        {
            return Ok(Arc::clone(document));
        }
        let document = Arc::new(config::load(text).map_err(Rejected::Problems)?);
        *last = Some((text.to_owned(), Arc::clone(&document)));
        Ok(document)
    }

    /// How the candidate differs from what is in force with this hash. Every page says so, and it is seldom another way.
    fn changes(&self, running: &str, text: &str) -> Result<Vec<String>, Rejected> {
        let mut known = lock(&self.differences);
        if let Some((hash, of, changes)) = &*known
            && hash == running
            && of == text
        {
            return Ok(changes.clone());
        }
        let rows = self.difference(Version::Running, Version::Candidate)?;
        let changes: Vec<String> = rows.into_iter().map(|row| row.words).collect();
        *known = Some((running.to_owned(), text.to_owned(), changes.clone()));
        Ok(changes)
    }

    /// What pages show. A candidate that makes no sense was made elsewhere, and is not edited here.
    fn drafted(&self) -> Result<Draft, Rejected> {
        let standing = self.standing()?;
        let trial = standing.confirm_within.map(|seconds| u32::try_from(seconds).unwrap_or(u32::MAX));
        if standing.candidate.is_none() {
            return Ok(Draft { trial, ..Draft::of(Arc::clone(&self.handle.in_force().config)) });
        }
        let (text, _) = self.shown(Version::Candidate)?;
        let mut changes = self.changes(&standing.hash, &text)?;
        match self.document(&text) {
            Ok(document) => Ok(Draft { changes, trial, ..Draft::of(document) }),
            Err(Rejected::Problems(problems)) => {
                changes.extend(problems.iter().map(ToString::to_string));
                let running = Draft::of(Arc::clone(&self.handle.in_force().config));
                Ok(Draft { changes, trial, edition: NO_EDITION.into(), ..running })
            }
            Err(other) => Err(other),
        }
    }

    /// The candidate must be the edition that an edit is based on.
    fn based_on(&self, edition: &str) -> Result<(MutexGuard<'_, ()>, Candidate), Rejected> {
        let guard = lock(&self.editing);
        let candidate = self.candidate()?;
        if candidate.document.hash() == edition { Ok((guard, candidate)) } else { Err(Rejected::Stale) }
    }

    fn apply_version(
        &self,
        who: &Author,
        version: Version,
        confirmation: Confirmation,
    ) -> Result<(), Rejected> {
        let (why, author) = (String::new(), who.clone());
        self.ask(ConfigRequest::Apply { version, confirmation, why, author }).map(drop)
    }
}

impl Editor for Steward {
    fn draft(&self) -> Draft {
        self.drafted().unwrap_or_else(|rejected| {
            tracing::warn!(?rejected, "the candidate cannot be read");
            Draft::of(Arc::clone(&self.handle.in_force().config))
        })
    }

    fn save(&self, who: &Author, edition: &str, document: Valid<Config>) -> Result<(), Rejected> {
        let (_guard, candidate) = self.based_on(edition)?;
        if document == *self.handle.in_force().config {
            if self.standing()?.candidate.is_some() {
                self.ask(ConfigRequest::Discard { change: None })?;
            }
        } else {
            let text = amend::rewrite(&candidate.text, &document);
            self.ask(ConfigRequest::Save { text, base: Some(candidate.base), author: who.clone() })?;
        }
        self.tell_draft(edition);
        Ok(())
    }

    fn apply(&self, who: &Author, edition: &str, confirm_within: Option<u32>) -> Result<(), Rejected> {
        let _guard = self.based_on(edition)?;
        let within = |seconds: u32| Confirmation::Seconds(seconds.into());
        self.apply_version(who, Version::Candidate, confirm_within.map_or(Confirmation::WhenRisky, within))?;
        self.tell_draft(edition);
        Ok(())
    }

    fn adopt(&self, who: &Author, document: Valid<Config>) -> Result<(), Rejected> {
        if self.standing()?.candidate.is_some() {
            return Err(Rejected::Stale);
        }
        let edition = self.candidate()?.document.hash();
        self.save(who, &edition, document)?;
        self.apply_version(who, Version::Candidate, Confirmation::Never)
    }

    fn confirm(&self) -> Result<(), Rejected> {
        self.ask(ConfigRequest::Confirm).map(drop)
    }

    fn discard(&self, who: &Author) -> Result<(), Rejected> {
        let request = match self.standing()?.confirm_within {
            Some(_) => ConfigRequest::Rollback { author: who.clone() },
            None => ConfigRequest::Discard { change: None },
        };
        let edition = self.candidate().map_or_else(|_| String::new(), |candidate| candidate.document.hash());
        self.ask(request)?;
        self.tell_draft(&edition);
        Ok(())
    }

    fn discard_one(&self, _: &Author, edition: &str, change: usize) -> Result<(), Rejected> {
        let _guard = self.based_on(edition)?;
        self.ask(ConfigRequest::Discard { change: Some(change) })?;
        self.tell_draft(edition);
        Ok(())
    }

    fn label(&self, revision: &str, label: &str) -> Result<(), Rejected> {
        let (revision, label) = (revision.to_owned(), label.to_owned());
        self.ask(ConfigRequest::Label { revision, label }).map(drop)
    }

    fn keep_password(&self, who: &Author, hash: &str) -> Result<(), Rejected> {
        let (author, hash) = (who.clone(), hash.to_owned());
        self.ask(ConfigRequest::KeepPassword { hash, author }).map(drop)
    }

    fn history(&self) -> Result<Vec<Record>, Rejected> {
        match self.ask(ConfigRequest::History)? {
            ConfigAnswer::History(records) => Ok(records),
            _ => Err(unexpected()),
        }
    }

    fn since(&self, revision: &str) -> Result<Vec<Row>, Rejected> {
        self.difference(Version::Revision(revision.to_owned()), Version::Running)
    }

    fn restore(&self, who: &Author, revision: &str) -> Result<(), Rejected> {
        self.apply_version(who, Version::Revision(revision.to_owned()), Confirmation::WhenRisky)
    }

    fn ask_of(&self, edition: &str, request: ConfigRequest) -> Result<ConfigAnswer, Rejected> {
        let _guard = lock(&self.editing);
        match self.candidate() {
            Ok(candidate) if candidate.document.hash() == edition => {}
            // One that makes no sense can still be thrown away.
            Err(Rejected::Problems(_)) if edition == NO_EDITION => {}
            Ok(_) | Err(Rejected::Problems(_)) => return Err(Rejected::Stale),
            Err(rejected) => return Err(rejected),
        }
        let answer = self.ask(request)?;
        self.tell_draft(edition);
        Ok(answer)
    }

    fn text(&self) -> Result<String, Rejected> {
        self.shown(Version::Running).map(|(text, _)| text)
    }
}

fn unexpected() -> Rejected {
    Rejected::Failed("The router answers something else than it was asked.".into())
}
