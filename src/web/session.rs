//! Who is logged in: a random cookie of 256 bits, kept here as a hash, for an hour without a request and half a day at
//! most.
//!
//! Invariant: pure, and bounded: whoever has been quiet for longest makes room.

use std::collections::{HashMap, VecDeque};

use data_encoding::BASE64URL_NOPAD;
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use super::account::Account;
use crate::types::{Duration, Instant};

/// Without a request.
const IDLE: Duration = Duration::from_secs(3600);
/// From the login.
const LONGEST: Duration = Duration::from_secs(12 * 3600);
/// Sessions at a time.
const SESSIONS: usize = 256;
/// Of one account.
const SESSIONS_OF_ONE: usize = 16;

type Key = [u8; 32];

/// Light or dark.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) enum Theme {
    /// As the system prefers.
    #[default]
    System,
    Light,
    Dark,
}

/// Somebody is logged in.
#[derive(Clone, Debug)]
pub(super) struct Session {
    /// Name of the account.
    pub name: String,
    /// See [`Account::stamp`].
    pub stamp: [u8; 32],
    /// Stands in every form.
    pub token: String,
    pub theme: Theme,
    opened: Instant,
    last: Instant,
}

/// A session as the other node of a pair is told of it. Times travel as ages.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Shared {
    /// What is kept of the cookie.
    key: String,
    name: String,
    stamp: String,
    token: String,
    theme: Theme,
    opened_ms: u64,
    last_ms: u64,
}

/// All who are logged in.
#[derive(Default)]
pub(super) struct Sessions {
    sessions: HashMap<Key, Session>,
    /// Those that were ended of late: they do not come back from the other node.
    ended: VecDeque<Key>,
}

impl Sessions {
    /// Opens a session and says what its cookie is. The randomness is for the cookie and the token.
    pub fn open(&mut self, now: Instant, random: [[u8; 32]; 2], account: &Account) -> String {
        self.sessions.retain(|_, session| session.lives(now));
        self.make_room(|session| session.name == account.name, SESSIONS_OF_ONE);
        self.make_room(|_| true, SESSIONS);
        let [cookie, token] = random.map(|bytes| BASE64URL_NOPAD.encode(&bytes));
        let session = Session {
            name: account.name.clone(),
            stamp: account.stamp,
            token,
            theme: Theme::System,
            opened: now,
            last: now,
        };
        self.sessions.insert(key(&cookie), session);
        cookie
    }

    /// The session of this cookie; that it was asked for keeps it alive.
    pub fn find(&mut self, now: Instant, cookie: &str) -> Option<&mut Session> {
        let session = self.sessions.get_mut(&key(cookie)).filter(|session| session.lives(now))?;
        session.last = now;
        Some(session)
    }

    /// The same, for what a page asks by itself: the session stays as idle as it is.
    pub fn peek(&self, now: Instant, cookie: &str) -> Option<&Session> {
        self.sessions.get(&key(cookie)).filter(|session| session.lives(now))
    }

    /// Whose session this is, which stays as idle as it is.
    pub fn holder(&self, now: Instant, key: &str) -> Option<(&str, [u8; 32])> {
        let session = self.sessions.get(&decode(key)?).filter(|session| session.lives(now))?;
        Some((&session.name, session.stamp))
    }

    /// Ends a session.
    pub fn close(&mut self, cookie: &str) {
        self.forget(key(cookie));
    }

    /// Ends a session of which only the key is known.
    pub fn end(&mut self, key: &str) {
        if let Some(key) = decode(key) {
            self.forget(key);
        }
    }

    fn forget(&mut self, key: Key) {
        self.sessions.remove(&key);
        if self.ended.len() >= SESSIONS {
            self.ended.pop_front();
        }
        self.ended.push_back(key);
    }

    /// What the other node is told of a cookie.
    pub fn key_of(cookie: &str) -> String {
        BASE64URL_NOPAD.encode(&key(cookie))
    }

    /// The session of a cookie for the other node.
    pub fn share_one(&self, now: Instant, cookie: &str) -> Option<Shared> {
        let key = key(cookie);
        self.sessions.get(&key).map(|session| session.shared(now, &key))
    }

    /// All sessions for the other node.
    pub fn share(&self, now: Instant) -> Vec<Shared> {
        let alive = self.sessions.iter().filter(|(_, session)| session.lives(now));
        alive.map(|(key, session)| session.shared(now, key)).collect()
    }

    /// Takes over a session of the other node, or when it was last seen there.
    pub fn adopt(&mut self, now: Instant, shared: &Shared) {
        let Some((key, session)) = shared.session(now) else { return };
        if self.ended.contains(&key) || !session.lives(now) {
            return;
        }
        if let Some(known) = self.sessions.get_mut(&key) {
            // Whoever was asked last knows the latest theme.
            if session.last > known.last {
                known.last = session.last;
                known.theme = session.theme;
            }
            return;
        }
        self.make_room(|other| other.name == session.name, SESSIONS_OF_ONE);
        self.make_room(|_| true, SESSIONS);
        self.sessions.insert(key, session);
    }

    fn make_room(&mut self, among: impl Fn(&Session) -> bool, limit: usize) {
        let those = || self.sessions.iter().filter(|(_, session)| among(session));
        if those().count() < limit {
            return;
        }
        if let Some(quiet) = those().min_by_key(|(_, session)| session.last).map(|(key, _)| *key) {
            self.sessions.remove(&quiet);
        }
    }
}

impl Shared {
    fn session(&self, now: Instant) -> Option<(Key, Session)> {
        let ago = |milliseconds: u64| {
            let nanos = milliseconds.checked_mul(1_000_000)?;
            Some(Instant::from_nanos(now.as_nanos().saturating_sub(nanos)))
        };
        let session = Session {
            name: self.name.clone(),
            stamp: decode(&self.stamp)?,
            token: self.token.clone(),
            theme: self.theme,
            opened: ago(self.opened_ms)?,
            last: ago(self.last_ms)?,
        };
        Some((decode(&self.key)?, session))
    }
}

fn decode(text: &str) -> Option<Key> {
    BASE64URL_NOPAD.decode(text.as_bytes()).ok()?.try_into().ok()
}

fn milliseconds(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

impl Session {
    fn shared(&self, now: Instant, key: &Key) -> Shared {
        Shared {
            key: BASE64URL_NOPAD.encode(key),
            name: self.name.clone(),
            stamp: BASE64URL_NOPAD.encode(&self.stamp),
            token: self.token.clone(),
            theme: self.theme,
            opened_ms: milliseconds(now.since(self.opened)),
            last_ms: milliseconds(now.since(self.last)),
        }
    }

    fn lives(&self, now: Instant) -> bool {
        now.since(self.last) < IDLE && now.since(self.opened) < LONGEST
    }
}

/// What is kept of a cookie: whoever reads it cannot become the visitor. Looking a hash up tells nothing about others.
fn key(cookie: &str) -> Key {
    let mut key = [0; 32];
    key.copy_from_slice(digest(&SHA256, cookie.as_bytes()).as_ref());
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::UserRole;

    fn account(name: &str) -> Account {
        Account { name: name.into(), role: UserRole::Operator, stamp: [1; 32] }
    }

    fn random(number: u32) -> [[u8; 32]; 2] {
        let mut bytes = [[0; 32]; 2];
        bytes[0][..4].copy_from_slice(&number.to_be_bytes());
        bytes[1][..4].copy_from_slice(&number.to_le_bytes());
        bytes
    }

    #[test]
    fn a_session_lives_while_it_is_used_but_not_for_ever() {
        let mut sessions = Sessions::default();
        let start = Instant::from_secs(100);
        let cookie = sessions.open(start, random(1), &account("alice"));
        assert_eq!(cookie.len(), 43);
        assert!(sessions.find(start, "other").is_none());
        let (mut now, mut requests) = (start, 0);
        while sessions.find(now, &cookie).is_some() {
            now += Duration::from_secs(1800);
            requests += 1;
        }
        assert_eq!(requests, 24, "12 h");
        let cookie = sessions.open(now, random(2), &account("alice"));
        assert!(sessions.find(now + Duration::from_secs(3599), &cookie).is_some());
        assert!(sessions.find(now + Duration::from_secs(2 * 3600), &cookie).is_none(), "idle");
        let cookie = sessions.open(now, random(3), &account("alice"));
        sessions.close(&cookie);
        assert!(sessions.find(now, &cookie).is_none(), "logged out");
        let shown = format!("{:?}", sessions.sessions);
        assert!(!shown.contains(&cookie), "a cookie is not kept");
    }

    #[test]
    fn whoever_is_quiet_for_longest_makes_room() {
        let mut sessions = Sessions::default();
        let at = |seconds: u32| Instant::from_secs(100) + Duration::from_secs(seconds.into());
        let bob = sessions.open(at(0), random(1000), &account("bob"));
        let cookies: Vec<_> =
            (0..17).map(|n| sessions.open(at(n + 1), random(n), &account("alice"))).collect();
        assert!(sessions.find(at(20), &bob).is_some(), "others are not pushed out by one account");
        assert!(sessions.find(at(20), &cookies[0]).is_none());
        assert!(sessions.find(at(20), &cookies[1]).is_some());
        for n in 0..1000 {
            sessions.open(at(30 + n), random(2000 + n), &account(&format!("user{n}")));
        }
        assert_eq!(sessions.sessions.len(), SESSIONS);
    }
}
