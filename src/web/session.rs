//! Who is logged in: a random cookie of 256 bits, kept here as a hash, for an hour without a request and half a day at
//! most.
//!
//! Invariant: pure, and bounded: whoever has been quiet for longest makes room.

use std::collections::HashMap;

use data_encoding::BASE64URL_NOPAD;
use ring::digest::{SHA256, digest};

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
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
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

/// All who are logged in.
#[derive(Default)]
pub(super) struct Sessions {
    sessions: HashMap<Key, Session>,
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

    /// Ends a session.
    pub fn close(&mut self, cookie: &str) {
        self.sessions.remove(&key(cookie));
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

impl Session {
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
            now = now + Duration::from_secs(1800);
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
