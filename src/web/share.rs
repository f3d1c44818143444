//! What the pages of both nodes of a pair know in common: who is logged in, how they want their pages, the draft, the certificate,
//! and drills. So a browser on a shared address goes on after a failover.
//!
//! Whoever logs in or out is told to the peer at once, and everything is asked for now and then, so that what was lost on
//! the way, and when somebody was last seen, comes over too. Words travel sealed, over the channel of the pair.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::certificate::Certificate;
use super::preferences::{Preferences, Preferred};
use super::session::{Sessions, Shared};
use super::site::lock;
use crate::config::life::Author;
use crate::io::clock;
use crate::io::drill::Report;

/// How often everything is asked for.
pub(super) const ROUND: Duration = Duration::from_secs(10);

/// Says something to the peer and waits; `None` when there is no answer.
type Tell = dyn Fn(String) -> Option<String> + Send + Sync;

/// What is said.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Words {
    /// Somebody has logged in, or something about them is another one now.
    Open(Shared),
    /// Somebody has logged out: the key of the session.
    Close(String),
    /// The draft is another one now.
    Draft(Drafted),
    /// Somebody wants their pages otherwise.
    Prefer(Preferred),
    /// A drill has begun, has gone on or has ended.
    Drill(Report),
    /// What does the other one know?
    All,
}

/// A draft, or that there is none any more.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Drafted {
    /// The edition that it was made of; empty when nobody knows any more.
    pub edition: String,
    pub text: Option<String>,
    pub author: Author,
}

/// What is answered.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Answer {
    Done,
    All(Box<Known>),
}

/// What the pages of a node know.
#[derive(Serialize, Deserialize)]
pub(super) struct Known {
    sessions: Vec<Shared>,
    pub certificate: Option<Certificate>,
    /// Absent from a node of the release before, and when it cannot be read.
    #[serde(default)]
    pub draft: Option<Drafted>,
    /// A peer of the release before knows none.
    #[serde(default)]
    preferences: Vec<Preferred>,
}

/// What a node says of its own pages when it is asked for everything.
pub(super) struct Own {
    pub certificate: Option<Certificate>,
    pub draft: Option<Drafted>,
}

/// Speaks with the pages of the peer.
#[derive(Clone)]
pub(super) struct Share {
    tell: Arc<Tell>,
}

impl Share {
    pub fn new(tell: impl Fn(String) -> Option<String> + Send + Sync + 'static) -> Share {
        Share { tell: Arc::new(tell) }
    }

    /// Tells the peer of a session. Nobody waits for that.
    pub fn opened(&self, session: Shared) {
        self.say(Words::Open(session));
    }

    /// Tells the peer that a session is over.
    pub fn closed(&self, key: String) {
        self.say(Words::Close(key));
    }

    /// Tells the peer of a draft, and waits until it has it: the next one must not overtake it.
    pub fn drafted(&self, drafted: Drafted) {
        if let Ok(words) = serde_json::to_string(&Words::Draft(drafted)) {
            // A peer that is away has another draft when it comes back: its own.
            let _ = (self.tell)(words);
        }
    }

    /// Tells the peer how somebody wants their pages. Nobody waits for that.
    pub fn preferred(&self, preferred: Preferred) {
        self.say(Words::Prefer(preferred));
    }

    /// Tells the peer of a drill, and waits until it knows.
    pub fn drilled(&self, report: &Report) {
        if let Ok(words) = serde_json::to_string(&Words::Drill(report.clone())) {
            // A peer that does not hear it shows it when it is told again.
            let _ = (self.tell)(words);
        }
    }

    fn say(&self, words: Words) {
        let Ok(words) = serde_json::to_string(&words) else { return };
        let tell = Arc::clone(&self.tell);
        tokio::task::spawn_blocking(move || tell(words));
    }

    /// Takes over who is logged in at the peer, and how they want their pages; gives what else it knows.
    pub fn catch_up(&self, sessions: &Mutex<Sessions>, preferences: &Preferences) -> Option<Known> {
        let answer = (self.tell)(serde_json::to_string(&Words::All).ok()?)?;
        match serde_json::from_str(&answer).ok()? {
            Answer::All(mut known) => {
                let preferred = std::mem::take(&mut known.preferences);
                preferred.into_iter().for_each(|preferred| preferences.adopt(preferred));
                let now = clock::now();
                let mut sessions = lock(sessions);
                known.sessions.iter().for_each(|session| sessions.adopt(now, session));
                Some(*known)
            }
            Answer::Done => None,
        }
    }
}

/// Who answers the peer's pages, and with what.
pub(super) struct Answering<'a> {
    pub sessions: &'a Mutex<Sessions>,
    pub preferences: &'a Preferences,
    /// Reads what this node has.
    pub own: &'a dyn Fn() -> Own,
    /// Takes over a draft.
    pub follow: &'a dyn Fn(Drafted),
    /// Hears of a drill.
    pub drilled: &'a dyn Fn(Report),
}

/// Answers the peer's pages.
pub(super) fn answer(with: &Answering<'_>, words: &str) -> Option<String> {
    let Answering { sessions, preferences, own, follow, drilled } = with;
    let now = clock::now();
    let answer = match serde_json::from_str(words).ok()? {
        Words::Open(session) => {
            lock(sessions).adopt(now, &session);
            Answer::Done
        }
        Words::Close(key) => {
            lock(sessions).end(&key);
            Answer::Done
        }
        Words::Draft(drafted) => {
            follow(drafted);
            Answer::Done
        }
        Words::Prefer(preferred) => {
            preferences.adopt(preferred);
            Answer::Done
        }
        Words::Drill(report) => {
            drilled(report);
            Answer::Done
        }
        Words::All => {
            let Own { certificate, draft } = own();
            let (sessions, preferences) = (lock(sessions).share(now), preferences.all());
            Answer::All(Box::new(Known { sessions, certificate, draft, preferences }))
        }
    };
    serde_json::to_string(&answer).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::UserRole;
    use crate::web::account::Account;

    fn account() -> Account {
        Account { name: "ada".into(), role: UserRole::Administrator, stamp: [7; 32] }
    }

    fn nothing() -> Own {
        Own { certificate: None, draft: None }
    }

    #[test]
    fn the_peer_knows_who_is_logged_in_and_out() {
        let (ours, theirs) =
            (Arc::new(Mutex::new(Sessions::default())), Arc::new(Mutex::new(Sessions::default())));
        let cookie = lock(&ours).open(clock::now(), [[1; 32], [2; 32]], &account());
        let peer = Arc::clone(&ours);
        let of = |sessions: &Mutex<Sessions>, words: &str| {
            let preferences = &Preferences::default();
            let (own, follow, drilled) = (&nothing, &drop, &drop);
            answer(&Answering { sessions, preferences, own, follow, drilled }, words)
        };
        let share = Share::new(move |words| of(&peer, &words));
        let kept = Preferences::default();
        share.catch_up(&theirs, &kept);
        let found = lock(&theirs).find(clock::now(), &cookie).cloned().unwrap();
        assert_eq!((found.name.as_str(), found.stamp), ("ada", [7; 32]));
        assert_eq!(found.token, lock(&ours).find(clock::now(), &cookie).unwrap().token);
        // What was logged out here does not come back from there.
        lock(&theirs).close(&cookie);
        share.catch_up(&theirs, &kept);
        assert!(lock(&theirs).find(clock::now(), &cookie).is_none());
        let said = serde_json::to_string(&Words::Close(Sessions::key_of(&cookie))).unwrap();
        assert!(of(&ours, &said).is_some());
        assert!(lock(&ours).find(clock::now(), &cookie).is_none());
        assert!(of(&ours, "nonsense").is_none());
    }
}
