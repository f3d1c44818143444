//! What the pages share: the router, who is logged in, who guesses, what was done.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::sync::Semaphore;

use super::account::Account;
use super::audit::{Audit, Deed};
use super::auth::Password;
use super::captures::Captures;
use super::edit::{Draft, Editor, Rejected};
use super::events::Events;
use super::form::tree;
use super::handle::Handle;
use super::hash::hash_anew;
use super::import::Waiting;
use super::kept::Kept;
use super::pairing::Offer;
use super::preferences::Preferences;
use super::rule_report::Review;
use super::session::Sessions;
use super::share::Share;
use super::throttle::{Throttle, network};
use super::totp;
use super::upgrade;
use crate::cluster::release::Release;
use crate::config::life::Author;
use crate::config::model::Zone;
use crate::config::{Config, Valid};
use crate::io::clock;
use crate::io::drill::Report;
use crate::io::engine::PairSeat;
use crate::io::request::{Request, Response};
use crate::io::token_store::TokenStore;
use crate::types::{Duration, Instant};

/// Hashes of passwords, and documents that are read, at a time: more would starve everybody else.
const WORKERS: usize = 2;
/// Questions to the desk at a time; the others wait for their turn.
const ASKERS: usize = 2;
/// Bytes of a name that are looked at.
const NAME: usize = 64;

/// Asks the desk what the control socket can be asked, and waits.
pub(super) type Desk = dyn Fn(Request) -> Response + Send + Sync;

/// A document, and its tree.
type Tree = (Arc<Valid<Config>>, Arc<Value>);

/// What the handlers need.
#[derive(Clone)]
pub struct Site {
    /// Asks the router.
    pub handle: Handle,
    /// The password of the first start.
    pub first: Password,
    /// Tells the time.
    pub clock: fn() -> Instant,
    /// The loopback address on which this is served, if it is.
    pub loopback: Option<SocketAddr>,
    pub(super) sessions: Arc<Mutex<Sessions>>,
    editor: Option<Arc<dyn Editor>>,
    sources: Arc<Mutex<Throttle<IpAddr>>>,
    accounts: Arc<Mutex<Throttle<String>>>,
    audit: Arc<Mutex<Audit>>,
    /// The step of the one-time code that each user has used last.
    codes: Arc<Mutex<HashMap<String, u64>>>,
    /// A file that waits to be taken over.
    pub(super) import: Arc<Mutex<Option<Waiting>>>,
    /// Asks the pair.
    pub(super) pair: Option<Arc<PairSeat>>,
    /// A code that is shown to a second node.
    pub(super) offer: Arc<Mutex<Option<Offer>>>,
    /// Speaks with the pages of the peer.
    pub(super) share: Option<Share>,
    /// The tree of the document that was shown last.
    tree: Arc<Mutex<Option<Tree>>>,
    /// When something was put in force on trial the last time.
    pub(super) applied: Arc<Mutex<Option<Instant>>>,
    workers: Arc<Semaphore>,
    desk: Option<Arc<Desk>>,
    /// The state directory.
    pub(super) state: PathBuf,
    askers: Arc<Semaphore>,
    /// The tokens of programs.
    pub(super) tokens: Option<Arc<TokenStore>>,
    /// Captures that pages and programs have begun.
    pub(super) captures: Arc<Captures>,
    /// A drill that runs, or the last one.
    pub(super) drill: Arc<Mutex<Option<Report>>>,
    /// A release that waits for an upgrade of the pair.
    pub(super) release: Arc<Mutex<Option<Release>>>,
    /// What was last heard of an upgrade that was asked for on the peer.
    pub(super) peers_upgrade: Arc<Mutex<Option<upgrade::Known>>>,
    /// One release at a time is taken: it is long.
    pub(super) uploads: Arc<Semaphore>,
    /// How users want their pages.
    pub(super) preferences: Arc<Preferences>,
    /// What moves on pages.
    pub(super) events: Arc<Events>,
    /// What the rules in force are like.
    pub(super) review: Arc<Kept<Review>>,
    /// The document in force for somebody who helps.
    pub(super) support: Arc<Kept<String>>,
    /// Who shows tokens that are none.
    pub(super) strangers: Arc<Mutex<Throttle<IpAddr>>>,
}

/// Why somebody is not logged in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refused {
    /// After so many mistakes, only in a while.
    Wait(Duration),
    /// There is no such name with such a password.
    Wrong,
    /// Until there is a user, only somebody inside may log in.
    Outside,
}

impl Site {
    /// A site in front of this router. Without an editor its pages change nothing.
    pub fn new(
        handle: Handle,
        editor: Option<Arc<dyn Editor>>,
        first: Password,
        clock: fn() -> Instant,
    ) -> Self {
        Site {
            handle,
            first,
            clock,
            loopback: None,
            sessions: Arc::default(),
            editor,
            sources: Arc::default(),
            accounts: Arc::default(),
            audit: Arc::default(),
            codes: Arc::default(),
            import: Arc::default(),
            pair: None,
            offer: Arc::default(),
            share: None,
            tree: Arc::default(),
            applied: Arc::default(),
            workers: Arc::new(Semaphore::new(WORKERS)),
            desk: None,
            state: PathBuf::from("."),
            askers: Arc::new(Semaphore::new(ASKERS)),
            tokens: None,
            captures: Arc::default(),
            drill: Arc::default(),
            release: Arc::default(),
            peers_upgrade: Arc::default(),
            uploads: Arc::new(Semaphore::new(1)),
            preferences: Arc::default(),
            events: Arc::default(),
            review: Arc::default(),
            support: Arc::default(),
            strangers: Arc::default(),
        }
    }

    /// With somebody who answers what the control socket can be asked, and the tokens of programs.
    pub fn with_desk(mut self, desk: Arc<Desk>, tokens: Arc<TokenStore>) -> Self {
        (self.desk, self.tokens) = (Some(desk), Some(tokens));
        self
    }

    /// Asks what the control socket can be asked.
    pub(super) async fn ask(&self, request: Request) -> Response {
        let Some(desk) = self.desk.clone() else {
            return Response::Failed("Nobody answers that here.".into());
        };
        // Whoever loses patience leaves the question at work, and its place taken.
        let permit = Arc::clone(&self.askers).acquire_owned().await;
        let asking = move || {
            let _permit = permit;
            desk(request)
        };
        let asked = tokio::task::spawn_blocking(asking).await;
        asked.unwrap_or_else(|_| Response::Failed("The question has failed; the log says why.".into()))
    }

    /// The configuration in force.
    pub(super) fn config(&self) -> Arc<Valid<Config>> {
        Arc::clone(&self.handle.in_force().config)
    }

    /// Name of this node.
    pub(super) fn node_name(&self) -> String {
        let in_force = self.handle.in_force();
        in_force.config.node_part(in_force.node).name.clone()
    }

    /// Who answers what the control socket can be asked.
    pub(super) fn desk(&self) -> Option<Arc<Desk>> {
        self.desk.clone()
    }

    /// For whoever edits later on.
    pub(super) fn editor(&self) -> Option<Arc<dyn Editor>> {
        self.editor.clone()
    }

    /// True when pages can change something.
    pub(super) fn is_editable(&self) -> bool {
        self.editor.is_some()
    }

    /// Whose name and password these are.
    pub(super) async fn log_in(
        &self,
        from: IpAddr,
        name: &str,
        password: &str,
        code: &str,
    ) -> Result<Account, Refused> {
        let name = name.chars().take(NAME).collect::<String>();
        self.may_try(from, &name)?;
        if self.config().users.is_empty() && !self.is_inside(from) {
            return Err(Refused::Outside);
        }
        let permit = self.workers.acquire().await;
        // Whoever asks many times at once finds the doors shut by the first answers.
        self.may_try(from, &name)?;
        let (config, first) = (self.config(), self.first.clone());
        let (asked, given) = (name.clone(), password.to_owned());
        let verify = move || Account::verify(&config, &first, &asked, &given);
        let found = tokio::task::spawn_blocking(verify).await.ok().flatten();
        drop(permit);
        match found.filter(|account| self.has_right_code(&account.name, code)) {
            Some(account) => {
                lock(&self.sources).succeeded(&network(from));
                lock(&self.accounts).succeeded(&name);
                Ok(self.with_own_hash(from, account, password).await)
            }
            None => {
                let now = (self.clock)();
                lock(&self.sources).failed(now, network(from));
                if !self.is_inside(from) {
                    lock(&self.accounts).failed(now, name.clone());
                }
                tracing::warn!(%from, "a wrong password for the pages");
                self.note(&name, from, "gave a wrong name or password");
                Err(Refused::Wrong)
            }
        }
    }

    /// True when the user needs no one-time code, or this is one that was not used yet.
    fn has_right_code(&self, name: &str, code: &str) -> bool {
        let config = self.config();
        let user = config.users.iter().find(|user| user.name == name);
        let Some(secret) = user.and_then(|user| user.totp_secret.as_ref()) else { return true };
        let mut used = lock(&self.codes);
        used.retain(|known, _| config.users.iter().any(|user| user.name == *known));
        let last = used.get(name).copied().unwrap_or(0);
        let step = totp::check(secret.reveal(), code, clock::wall_seconds(), last);
        step.map(|step| used.insert(name.to_owned(), step)).is_some()
    }

    /// Now that the password is known, it is kept in Koi's own way if it was not; the account as it is then.
    async fn with_own_hash(&self, from: IpAddr, account: Account, password: &str) -> Account {
        if !Account::is_foreign(&self.config(), &account.name) {
            return account;
        }
        let author = Author { who: account.name.clone(), from: from.to_string() };
        let password = password.to_owned();
        let kept = self.edit(move |editor| {
            let hash = hash_anew(&password).map_err(|error| Rejected::Failed(format!("{error:#}")))?;
            editor.keep_password(&author, &hash)
        });
        if let Err(rejected) = kept.await {
            tracing::info!(?rejected, user = account.name, "the password is hashed anew at another login");
            return account;
        }
        self.note(&account.name, from, "logged in for the first time: the password is hashed anew");
        Account::find(&self.config(), &self.first, &account.name).unwrap_or(account)
    }

    /// Mistakes from outside slow an account down for everybody outside, and never for its owner on a LAN.
    fn may_try(&self, from: IpAddr, name: &str) -> Result<(), Refused> {
        let now = (self.clock)();
        let of_source = lock(&self.sources).wait(now, &network(from));
        let of_account = lock(&self.accounts).wait(now, &name.to_owned()).filter(|_| !self.is_inside(from));
        match of_source.max(of_account) {
            Some(wait) => Err(Refused::Wait(wait)),
            None => Ok(()),
        }
    }

    /// On this machine, or in a network of a LAN.
    fn is_inside(&self, address: IpAddr) -> bool {
        let config = self.config();
        let is_lan = |name: &str| {
            config.interfaces.iter().any(|interface| interface.name == name && interface.zone == Zone::Lan)
        };
        let parts = config.nodes.iter().flat_map(|node| &node.interfaces).filter(|part| is_lan(&part.name));
        address.is_loopback()
            || parts.flat_map(|part| &part.addresses).any(|prefix| prefix.contains(&address))
    }

    /// Writes down what somebody did.
    pub(super) fn note(&self, who: &str, from: IpAddr, what: impl Into<String>) {
        let deed = Deed { at: clock::wall_seconds(), who: who.to_owned(), from, what: what.into() };
        lock(&self.audit).note(deed);
    }

    /// The same, for somebody whom the configuration's history knows. The desk has told the log already.
    pub(super) fn note_author(&self, author: &Author, what: impl Into<String>) {
        let from = author.from.parse().unwrap_or(IpAddr::from([0, 0, 0, 0]));
        let deed = Deed { at: clock::wall_seconds(), who: author.who.clone(), from, what: what.into() };
        lock(&self.audit).keep(deed);
    }

    /// What was done of late, the newest first.
    pub(super) fn deeds(&self) -> Vec<Deed> {
        lock(&self.audit).deeds().cloned().collect()
    }

    /// What is being edited: what is in force, when there is no editor.
    pub(super) async fn draft(&self) -> Draft {
        match &self.editor {
            Some(editor) => {
                let editor = Arc::clone(editor);
                let drafted = tokio::task::spawn_blocking(move || editor.draft()).await;
                drafted.unwrap_or_else(|_| Draft::of(self.config()))
            }
            None => Draft::of(self.config()),
        }
    }

    /// The tree of a draft. It is seldom another one than for the page before.
    pub(super) fn tree(&self, draft: &Draft) -> Arc<Value> {
        let mut known = lock(&self.tree);
        if let Some((document, tree)) = &*known
            && Arc::ptr_eq(document, &draft.document)
        {
            return Arc::clone(tree);
        }
        let tree = Arc::new(tree::tree(&draft.document));
        *known = Some((Arc::clone(&draft.document), Arc::clone(&tree)));
        tree
    }

    /// Does what takes long elsewhere, a few at a time; `None` when it has failed.
    pub(super) async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let permit = Arc::clone(&self.workers).acquire_owned().await.ok()?;
        let working = move || {
            let _permit = permit;
            work()
        };
        tokio::task::spawn_blocking(working).await.ok()
    }

    /// Edits; what takes long is done elsewhere, and a few at a time.
    pub(super) async fn edit<T: Send + 'static>(
        &self,
        edit: impl FnOnce(&dyn Editor) -> Result<T, Rejected> + Send + 'static,
    ) -> Result<T, Rejected> {
        let Some(editor) = self.editor.clone() else { return Err(Rejected::NotHere) };
        let permit = Arc::clone(&self.workers).acquire_owned().await;
        let editing = move || {
            let _permit = permit;
            edit(&*editor)
        };
        let done = tokio::task::spawn_blocking(editing).await;
        done.unwrap_or_else(|_| Err(Rejected::Failed("The change has failed; the log says why.".into())))
    }
}

/// The value is whole whatever a panicking handler was doing.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
