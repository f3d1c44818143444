//! The parent decides about the configuration: what is asked over the control socket, what the peer says, and what the
//! agreement of the two wants.

use data_encoding::BASE64;

use super::clock;
use super::config_request::{ConfigAnswer, ConfigRequest, Confirmation, Version};
use super::orders::Order;
use super::parent::{NOBODY, Parent, Waiter};
use super::request::{Reloaded, Response};
use super::steward::{self, Standpoint, respond};
use crate::cluster::agreement::{Agreement, Ground, Outbox, Outcome, Peer};
use crate::config::diff;
use crate::config::life::{Author, Candidate, Document, Life, Record};
use crate::config::{self, Config, amend};
use crate::types::{Epoch, Instant};

/// It cannot be answered at once.
type Answer = Result<ConfigAnswer, String>;

impl Parent {
    /// Somebody asks about the configuration.
    pub(super) fn config(&mut self, ticket: u64, request: ConfigRequest) {
        let answer = match request {
            ConfigRequest::Standing => Ok(ConfigAnswer::Standing(steward::standing(&self.agreement))),
            ConfigRequest::Show { version, secrets } => self.show(&version, secrets),
            ConfigRequest::Save { text, base, author } => return self.save(ticket, text, base, author),
            ConfigRequest::Set { path, value, author } => {
                let text = steward::text(self.agreement.life(), &self.archive, &Version::Candidate);
                match text.and_then(|text| amend::set(&text, &path, &value)) {
                    Ok(text) => return self.save(ticket, text, None, author),
                    Err(why) => Err(why),
                }
            }
            ConfigRequest::Discard { change } => self.discard(change),
            ConfigRequest::Diff { from, to } => self.diff(&from, &to),
            ConfigRequest::Apply { version, confirmation, why, author } => {
                return self.apply_version(ticket, &version, confirmation, steward::record(author, why));
            }
            ConfigRequest::KeepPassword { hash, author } => match self.keep_password(ticket, hash, author) {
                Ok(()) => return,
                Err(why) => Err(why),
            },
            ConfigRequest::Confirm => self
                .agree(|agreement, ground, out| agreement.confirm(ground, out))
                .map(|()| ConfigAnswer::Standing(steward::standing(&self.agreement))),
            ConfigRequest::Rollback { .. } if !self.agreement.is_idle() => {
                Err("another change is being made at this moment; try again".into())
            }
            ConfigRequest::Rollback { author } => {
                self.waiting_for_outcome = Some(Waiter::Change(ticket));
                match self.agree(|agreement, ground, out| agreement.roll_back(author, ground, out)) {
                    Ok(()) => return,
                    Err(why) => {
                        self.waiting_for_outcome = None;
                        Err(why)
                    }
                }
            }
            ConfigRequest::History => Ok(self.history()),
            ConfigRequest::Label { revision, label } => self.label(&revision, &label),
            ConfigRequest::Conflicts => Ok(ConfigAnswer::History(self.agreement.life().conflicts().to_vec())),
        };
        self.answer(ticket, respond(answer));
    }

    pub(super) fn answer(&mut self, ticket: u64, response: Response) {
        if let Some(child) = &mut self.child {
            child.order(&Order::Answer { ticket, response: Box::new(response) }, &[]);
        }
    }

    fn history(&self) -> ConfigAnswer {
        ConfigAnswer::History(self.agreement.life().records().cloned().collect())
    }

    fn show(&self, version: &Version, secrets: bool) -> Answer {
        let life = self.agreement.life();
        let text = steward::text(life, &self.archive, version)?;
        let text = if secrets { text } else { amend::mask(&text) };
        let running = || (life.main().revision, life.main().hash.clone());
        let base = match version {
            Version::Candidate => life.candidate().map_or_else(running, |candidate| candidate.base.clone()),
            Version::Running | Version::Revision(_) | Version::Conflict(_) => running(),
        };
        Ok(ConfigAnswer::Text { text, base })
    }

    fn diff(&self, from: &Version, to: &Version) -> Answer {
        let text = |version| steward::text(self.agreement.life(), &self.archive, version);
        steward::difference(&text(from)?, &text(to)?)
    }

    /// The edit was based on another revision.
    fn stale(&self, base: &(u64, String)) -> Option<ConfigAnswer> {
        let life = self.agreement.life();
        if *base == (life.main().revision, life.main().hash.clone()) {
            return None;
        }
        let meant = |record: &&Record| match base.1.as_str() {
            "" => record.revision == base.0,
            hash => record.hash == hash,
        };
        let record = life.records().rev().find(meant);
        let bytes = record.and_then(|record| self.archive.read(&Life::file_of(record)).ok());
        let before = bytes.and_then(|bytes| config::parse(&Life::text_in(&bytes)?).ok());
        let now = config::parse(&life.main().text).ok();
        let rows = before.zip(now).map(|(before, now)| diff::rows(&diff::changes(&before, &now)));
        Some(ConfigAnswer::Stale { revision: life.main().revision, rows: rows.unwrap_or_default() })
    }

    fn save(&mut self, ticket: u64, text: String, base: Option<(u64, String)>, author: Author) {
        let life = self.agreement.life();
        let known = life.candidate().map(|candidate| candidate.base.clone());
        let running = (life.main().revision, life.main().hash.clone());
        let base = base.or(known).unwrap_or(running);
        if let Some(stale) = self.stale(&base) {
            return self.answer(ticket, respond(Ok(stale)));
        }
        let text = match steward::edited(text, self.agreement.life()) {
            Ok(text) => text,
            Err(problems) => return self.answer(ticket, Response::Refused(problems)),
        };
        let answer = self.edit(Some(Candidate { author, text, base }));
        self.answer(ticket, respond(answer));
    }

    /// The candidate is another one; gives what is different then.
    fn edit(&mut self, candidate: Option<Candidate>) -> Answer {
        let before = self.agreement.life().clone();
        let steps = self.agreement.life_mut().edit(candidate);
        if let Err(error) = self.archive.run(&steps) {
            *self.agreement.life_mut() = before;
            return Err(format!("nothing has changed: the files of the configuration: {error}"));
        }
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

    fn label(&mut self, revision: &str, label: &str) -> Answer {
        let life = self.agreement.life();
        let text = steward::text(life, &self.archive, &Version::Revision(revision.into()))?;
        let sequence = life.find(revision).map(|record| record.sequence).unwrap_or_default();
        let before = life.clone();
        let steps = self.agreement.life_mut().label(sequence, label, &text);
        if let Err(error) = self.archive.run(&steps) {
            *self.agreement.life_mut() = before;
            return Err(format!("nothing has changed: the files of the configuration: {error}"));
        }
        Ok(self.history())
    }

    fn apply_version(
        &mut self,
        ticket: u64,
        version: &Version,
        confirmation: Confirmation,
        mut record: Record,
    ) {
        if let (Version::Revision(wanted), "") = (version, record.why.as_str()) {
            record.why = format!("revision {wanted} again");
        }
        let life = self.agreement.life();
        if let (Version::Candidate, Some(candidate)) = (version, life.candidate())
            && let Some(stale) = self.stale(&candidate.base)
        {
            return self.answer(ticket, respond(Ok(stale)));
        }
        let text = match steward::text(life, &self.archive, version) {
            Ok(text) => text,
            Err(why) => return self.answer(ticket, Response::Failed(why)),
        };
        if self.pending.is_some() {
            let why = "another configuration is coming into force at this moment; try again";
            return self.answer(ticket, Response::Failed(why.into()));
        }
        if let Err(problems) = self.propose(Waiter::Change(ticket), &text, confirmation, record) {
            self.answer(ticket, Response::Refused(problems));
        }
    }

    /// The one change that needs no candidate, since nobody means anything else by it. It waits for whoever is working on
    /// one: theirs would be based on an earlier revision.
    fn keep_password(&mut self, ticket: u64, hash: String, author: Author) -> Result<(), String> {
        let life = self.agreement.life();
        if life.candidate().is_some() || life.change().is_some() || self.pending.is_some() {
            return Err("somebody is working on a change".into());
        }
        let text = steward::with_password(&self.text, &author.who, hash)?;
        let record = steward::record(author, "the password is hashed anew".into());
        self.propose(Waiter::Change(ticket), &text, Confirmation::Never, record)
            .map_err(|problems| problems.join("; "))
    }

    fn propose(
        &mut self,
        waiter: Waiter,
        text: &str,
        confirmation: Confirmation,
        record: Record,
    ) -> Result<(), Vec<String>> {
        let revision = self.agreement.life().next_revision();
        let renumbered = amend::renumber(text, revision).unwrap_or_else(|| text.to_owned());
        let new = steward::document(renumbered)?;
        let parse = |text: &str| config::parse(text).map_err(steward::texts);
        let old = parse(&self.text)?;
        let changes = diff::changes(&old, &parse(&new.text)?);
        if changes.is_empty() {
            return Err(vec!["nothing is different from what is in force".into()]);
        }
        let back = amend::renumber(&self.text, revision + 1);
        let confirm = steward::confirm_within(confirmation, &old, &changes).zip(back);
        let now = clock::now();
        if !self.agreement.is_idle() {
            return Err(vec!["another change is being made at this moment; try again".into()]);
        }
        self.waiting_for_outcome = Some(waiter);
        let begun =
            self.agree(|agreement, ground, out| agreement.propose(now, new, record, confirm, ground, out));
        if begun.is_err() {
            self.waiting_for_outcome = None;
        }
        begun
    }

    /// An edited file is a change of both nodes, when it still describes both and the other one is there.
    pub(super) fn is_for_both(&self, text: &str) -> bool {
        let nodes = |config: &Config| {
            let name = |node: &config::model::Node| node.name.clone();
            config.pair.as_ref().map(|_| config.nodes.iter().map(name).collect::<Vec<_>>())
        };
        let (Ok(new), Ok(old)) = (config::load(text), config::parse(&self.text)) else { return false };
        let same = nodes(&new).is_some_and(|both| both.len() == 2 && Some(both) == nodes(&old));
        self.present && same && new.hash() != old.hash()
    }

    /// The file becomes a change of the pair.
    pub(super) fn propose_file(&mut self, ticket: u64, text: String) {
        let author = Author { who: String::new(), from: "file".into() };
        let record = steward::record(author, "the file was edited".into());
        if let Err(problems) = self.propose(Waiter::Reload(ticket), &text, Confirmation::Never, record) {
            self.refuse(ticket, problems);
        }
    }

    /// Asks the agreement, and does what it wants.
    fn agree<T>(&mut self, act: impl FnOnce(&mut Agreement, &mut dyn Ground, &mut Outbox) -> T) -> T {
        let mut out = Outbox::default();
        let Parent { agreement, archive, devices, node, text, .. } = self;
        let mut ground = Standpoint { archive, devices, node, running: text };
        let done = act(agreement, &mut ground, &mut out);
        self.follow(out);
        done
    }

    fn follow(&mut self, out: Outbox) {
        let Outbox { messages, enforce, outcome, notes } = out;
        notes.iter().for_each(|note| tracing::warn!("{note}"));
        for message in messages {
            if let Some(child) = &mut self.child {
                child.order(&Order::Tell { message: BASE64.encode(&message) }, &[]);
            }
        }
        if let Some(outcome) = outcome {
            self.settle(outcome);
        }
        if let Some(document) = enforce {
            self.enforce(document);
        }
    }

    /// What the agreement wants comes into force.
    pub(super) fn enforce(&mut self, document: Document) {
        if self.pending.is_some() {
            self.later = Some(document);
            return;
        }
        match self.prepare(NOBODY, document.text) {
            Ok((mut pending, apply)) => {
                pending.agreed = true;
                self.put_in_force(pending, apply);
            }
            Err(problems) => self.enforced(Err(problems)),
        }
    }

    /// It is in force, or it is not.
    pub(super) fn enforced(&mut self, result: Result<(), Vec<String>>) {
        let now = clock::now();
        self.agree(|agreement, ground, out| agreement.handle_enforced(now, result, ground, out));
    }

    /// Whatever was coming into force will not.
    pub(super) fn lose_pending(&mut self, why: &str) {
        if self.pending.take().is_some_and(|pending| pending.agreed) {
            self.enforced(Err(vec![why.to_owned()]));
        }
    }

    /// An edited file is in force on this node alone.
    pub(super) fn adopted(&mut self, document: Document) {
        let author = Author { who: String::new(), from: "file".into() };
        let record = steward::record(author, "the file was edited".into());
        let now = clock::now();
        let adopted =
            self.agree(|agreement, ground, out| agreement.adopt(now, document, record, ground, out));
        if let Err(error) = adopted {
            tracing::warn!(%error, "the history of the configuration cannot be written");
        }
    }

    /// The document in force may have another peer.
    pub(super) fn look_for_peer(&mut self) {
        let config = config::load(&self.text).ok();
        let peer = config.and_then(|config| config.peer_of(config.node(Some(&self.node)).ok()?));
        self.agreement.set_paired(peer.is_some());
    }

    /// The peer can be spoken to, or not.
    pub(super) fn peer_is(&mut self, present: bool, epoch: Option<u32>) {
        self.present = present;
        let (now, epoch) = (clock::now(), epoch.map(Epoch));
        self.agree(|agreement, _, out| agreement.handle_peer(now, present, epoch, out));
    }

    /// The peer says something.
    pub(super) fn peer_says(&mut self, message: &str) {
        let Ok(bytes) = BASE64.decode(message.as_bytes()) else { return };
        let now = clock::now();
        self.agree(|agreement, ground, out| agreement.handle_message(now, &bytes, ground, out));
    }

    pub(super) fn next_agreement_timer(&self) -> Option<Instant> {
        self.agreement.poll_timeout(clock::now(), steward::now_ms()).map(|(at, _)| at)
    }

    pub(super) fn run_agreement_timers(&mut self, now: Instant) {
        let due = self.agreement.poll_timeout(now, steward::now_ms());
        if due.is_some_and(|(at, _)| at <= now) {
            self.agree(|agreement, ground, out| agreement.handle_timeout(now, ground, out));
        }
    }

    fn settle(&mut self, outcome: Outcome) {
        let Some(waiter) = self.waiting_for_outcome.take() else { return };
        let main = self.agreement.life().main();
        let (revision, hash) = (main.revision, main.hash.clone());
        match (waiter, outcome) {
            (Waiter::Change(ticket), Outcome::Done(peer)) => {
                let confirm_within = steward::standing(&self.agreement).confirm_within;
                let pair = words(&peer);
                let applied = ConfigAnswer::Applied { revision, hash, confirm_within, pair };
                self.answer(ticket, respond(Ok(applied)));
            }
            (Waiter::Change(ticket), Outcome::Refused(problems)) => {
                self.answer(ticket, Response::Refused(problems));
            }
            (Waiter::Reload(ticket), Outcome::Done(_)) => {
                let reloaded = Reloaded { revision, hash, ..Reloaded::default() };
                self.answer(ticket, Response::Reloaded(reloaded));
                self.next_reload();
            }
            (Waiter::Reload(ticket), Outcome::Refused(problems)) => {
                self.refuse(ticket, problems);
                self.next_reload();
            }
        }
    }
}

/// What the peer made of a change.
fn words(peer: &Peer) -> Option<String> {
    match peer {
        Peer::None => None,
        Peer::Same => Some("in force on both nodes".into()),
        Peer::Away => Some("in force here; the peer is away and will be told when it returns".into()),
        Peer::Failed(problems) => Some(format!("in force here; the peer: {}", problems.join("; "))),
    }
}
