//! The tokens of this node in a file of its state directory, for all who ask.
//!
//! Invariant: what was answered is on the disk: a token that was shown survives a power cut, and so does its end. Only when it
//! was used last may be some minutes old there.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::token_request::{TokenAnswer, TokenRequest, owner};
use super::{clock, entropy, files};
use crate::cluster::tokens::{Token, TokenRow, Tokens, Wish};
use crate::config::Config;
use crate::types::Instant;

/// Name of the file, in the state directory.
pub const FILE: &str = "tokens.json";
/// The longest file.
const FILE_MAX: u64 = 1 << 20;
/// The time of the last use is written this often.
const SETTLING: Duration = Duration::from_secs(300);

/// Tells the calendar's time in seconds.
type Calendar = dyn Fn() -> u64 + Send + Sync;

/// See the module.
pub struct TokenStore {
    path: PathBuf,
    calendar: Box<Calendar>,
    shelf: Mutex<Shelf>,
    changed: Condvar,
}

#[derive(Default)]
struct Shelf {
    tokens: Tokens,
    /// Counts what both nodes must know.
    changes: u64,
    /// Uses since the last write, and when that was.
    used: bool,
    written: Option<Instant>,
}

impl TokenStore {
    /// The tokens of this file. One that cannot be read holds none: then nobody is let in by it.
    pub fn open(path: &Path) -> Arc<TokenStore> {
        TokenStore::with_calendar(path, clock::wall_seconds)
    }

    /// The same, by another calendar.
    pub fn with_calendar(path: &Path, calendar: impl Fn() -> u64 + Send + Sync + 'static) -> Arc<TokenStore> {
        let tokens = read(path).unwrap_or_else(|error| {
            tracing::error!(%error, "{} cannot be read: no token is good any more", path.display());
            Tokens::default()
        });
        let shelf = Mutex::new(Shelf { tokens, ..Shelf::default() });
        let changed = Condvar::new();
        Arc::new(TokenStore { path: path.to_owned(), calendar: Box::new(calendar), shelf, changed })
    }

    /// Answers a question under this document; `share` tells the peer what is new, if there is one.
    ///
    /// # Errors
    /// When it makes no sense or cannot be done, in words.
    pub fn answer(
        &self,
        config: &Config,
        request: TokenRequest,
        share: impl FnOnce() -> Option<bool>,
    ) -> Result<TokenAnswer, String> {
        Ok(match request {
            TokenRequest::Create { name, scope, lifetime, user, author } => {
                let user = owner(config, user.as_deref(), scope)?;
                let wish = Wish { name, user, scope, lifetime, author: author.clone() };
                let (token, row) = self.make(wish)?;
                tracing::info!(
                    target: "audit", who = %author.who, from = %author.from,
                    "made the token {} ({}) of {} to {scope}", row.id, row.name, row.user
                );
                TokenAnswer::Made { token, row, shared: share() }
            }
            TokenRequest::List => TokenAnswer::Rows(self.rows()),
            TokenRequest::Revoke { id, author } => {
                let row = self.revoke(&id)?.ok_or_else(|| format!("there is no token \"{id}\""))?;
                tracing::info!(
                    target: "audit", who = %author.who, from = %author.from,
                    "revoked the token {id} ({}) of {}", row.name, row.user
                );
                TokenAnswer::Revoked { row, shared: share() }
            }
            TokenRequest::Merge(theirs) => TokenAnswer::Known(self.merge(&theirs)),
        })
    }

    /// Makes a token; its text is shown once and nowhere kept.
    ///
    /// # Errors
    /// When the wish makes no sense or cannot be written down; in words.
    pub fn make(&self, wish: Wish) -> Result<(String, TokenRow), String> {
        let mut random = [0; 32];
        entropy::fill(&mut random).map_err(|error| error.to_string())?;
        let now = (self.calendar)();
        let mut shelf = self.lock();
        let before = shelf.tokens.clone();
        let (text, token) = shelf.tokens.make(now, random, wish)?;
        if let Err(error) = self.write(&mut shelf) {
            shelf.tokens = before;
            return Err(format!("no token was made: the state directory: {error}"));
        }
        self.announce(&mut shelf);
        Ok((text, token.row(now)))
    }

    /// Ends a token, at once; `None` when there is none of this id.
    ///
    /// # Errors
    /// When that cannot be written down: it has ended, but may be back after a restart.
    pub fn revoke(&self, id: &str) -> Result<Option<TokenRow>, String> {
        let now = (self.calendar)();
        let mut shelf = self.lock();
        let Some(row) = shelf.tokens.revoke(now, id).map(|token| token.row(now)) else { return Ok(None) };
        let written = self.write(&mut shelf);
        self.announce(&mut shelf);
        written.map_err(|error| {
            format!("the token has ended, but that could not be written down: the state directory: {error}")
        })?;
        Ok(Some(row))
    }

    /// The token that this text is, while it is good for something.
    pub fn find(&self, text: &str) -> Option<Token> {
        let mut shelf = self.lock();
        let token = shelf.tokens.find((self.calendar)(), text).cloned();
        shelf.used |= token.is_some();
        token
    }

    /// As they are shown, the newest first.
    pub fn rows(&self) -> Vec<TokenRow> {
        self.lock().tokens.rows((self.calendar)())
    }

    /// What the peer is told, and a number that grows when it has to be told more.
    pub fn all(&self) -> (Tokens, u64) {
        let shelf = self.lock();
        (shelf.tokens.clone(), shelf.changes)
    }

    /// Takes over what the peer knows; gives what both know then.
    pub fn merge(&self, theirs: &Tokens) -> Tokens {
        let mut shelf = self.lock();
        let before = shelf.tokens.agreed();
        shelf.tokens.merge((self.calendar)(), theirs);
        if shelf.tokens.agreed() != before {
            // What is not written now is told again after a restart.
            if let Err(error) = self.write(&mut shelf) {
                tracing::warn!(%error, "the tokens of the peer cannot be written down");
            }
            self.announce(&mut shelf);
        }
        shelf.tokens.clone()
    }

    /// Waits until there is something new after `known` to be told, or for so long; writes down late what was used.
    pub fn wait(&self, known: u64, patience: Duration) {
        let shelf = self.lock();
        let news = |shelf: &mut Shelf| shelf.changes == known;
        let waited = self.changed.wait_timeout_while(shelf, patience, news);
        let mut shelf = waited.unwrap_or_else(PoisonError::into_inner).0;
        let settled = shelf.written.is_none_or(|at| clock::now().since(at) >= SETTLING);
        if shelf.used
            && settled
            && let Err(error) = self.write(&mut shelf)
        {
            tracing::warn!(%error, "the tokens cannot be written down");
        }
    }

    fn write(&self, shelf: &mut Shelf) -> io::Result<()> {
        let text = serde_json::to_vec(&shelf.tokens)?;
        files::write_atomically(&self.path, &text)?;
        (shelf.used, shelf.written) = (false, Some(clock::now()));
        Ok(())
    }

    fn announce(&self, shelf: &mut Shelf) {
        shelf.changes += 1;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Shelf> {
        // The value is whole whatever a panicking thread was doing.
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(path: &Path) -> io::Result<Tokens> {
    match std::fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Tokens::default()),
        Err(error) => return Err(error),
        Ok(metadata) if metadata.len() > FILE_MAX => {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is too long"));
        }
        Ok(_) => {}
    }
    Ok(serde_json::from_slice(&std::fs::read(path)?)?)
}

#[cfg(test)]
mod tests {
    use super::super::files::tests::Scratch;
    use super::*;
    use crate::cluster::tokens::Scope;

    fn wish(name: &str) -> Wish {
        let (user, author) = ("ada".into(), Default::default());
        Wish { name: name.into(), user, scope: Scope::Read, lifetime: 3600, author }
    }

    #[test]
    fn tokens_and_their_end_survive_a_restart() {
        let scratch = Scratch::new("tokens");
        let path = scratch.0.join(FILE);
        let store = TokenStore::open(&path);
        let (text, row) = store.make(wish("one")).unwrap();
        assert!(store.find(&text).is_some() && store.find("koi_x").is_none());
        let again = TokenStore::open(&path);
        assert_eq!(again.find(&text).map(|token| token.id), Some(row.id.clone()));
        assert_eq!(again.revoke("nothing"), Ok(None));
        assert_eq!(again.revoke(&row.id).unwrap().unwrap().state, "revoked");
        assert!(again.find(&text).is_none() && TokenStore::open(&path).find(&text).is_none());
        std::fs::write(&path, "{").unwrap();
        assert!(TokenStore::open(&path).find(&text).is_none(), "a damaged file lets nobody in");
    }

    #[test]
    fn what_cannot_be_written_down_is_not_made() {
        let store = TokenStore::open(Path::new("/nowhere/at/all/tokens.json"));
        assert!(store.make(wish("one")).unwrap_err().contains("state directory"));
        assert!(store.rows().is_empty());
    }

    #[test]
    fn two_nodes_come_to_know_the_same() {
        let scratch = Scratch::new("merge");
        let stores = ["a", "b"].map(|name| TokenStore::open(&scratch.0.join(name)));
        let (text, row) = stores[0].make(wish("one")).unwrap();
        stores[1].make(wish("two")).unwrap();
        let told = stores[1].merge(&stores[0].all().0);
        stores[0].merge(&told);
        assert_eq!(stores[0].all().0, stores[1].all().0);
        stores[1].revoke(&row.id).unwrap();
        let before = stores[0].all().1;
        stores[0].merge(&stores[1].all().0);
        assert!(stores[0].find(&text).is_none() && stores[0].all().1 > before);
        stores[0].merge(&stores[1].all().0);
        assert_eq!(stores[0].all().1, before + 1, "nothing new is no news");
    }
}
