//! An upgrade of the pair, as it is told: its journal, who is at it, and how the nodes are. All of it lies in the state
//! directory of the node where it was asked for.
//!
//! Invariant: at most one process of a node is at it, whoever has started that; its hold ends with the process.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::both::{Both, doubts};
use super::program::ProgramNote;
use super::request::Status;
use super::{clock, files};
use crate::cluster::upgrade::{NodeView, Side, View};
use crate::config::Config;
use crate::types::{ReleaseVersion, Role};

/// The release that the pages have taken.
pub const UPLOADED: &str = "release.uploaded";
/// What was done.
const JOURNAL: &str = "upgrade.json";
/// Whoever is at it holds this file.
const AT_WORK: &str = "upgrade.lock";
/// Lines of the journal.
const LINES_MAX: usize = 256;
/// Whoever looks holds the file for a moment, too.
const TRIES: u32 = 10;
const BETWEEN: Duration = Duration::from_millis(20);

/// How an upgrade went.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Journal {
    /// The version of the release.
    pub target: ReleaseVersion,
    /// Where it was asked for.
    #[serde(default)]
    pub node: String,
    /// When it was begun, in milliseconds since 1970.
    #[serde(default)]
    pub at_ms: u64,
    /// Milliseconds since the upgrade was begun, and what happened.
    pub lines: Vec<(u64, String)>,
    /// It has ended: whether all was done.
    pub done: Option<bool>,
}

impl Journal {
    /// Begins now, on that node.
    pub fn begin(target: ReleaseVersion, node: &str) -> Journal {
        Journal { target, node: node.into(), at_ms: clock::calendar_ms(), ..Journal::default() }
    }

    /// What happened, and whether that ends it. False when it was the last thing that was said.
    pub fn note(&mut self, at: Duration, line: &str, done: Option<bool>) -> bool {
        self.done = done;
        if self.lines.last().is_some_and(|(_, last)| last == line) {
            return false;
        }
        // The end is told in any case.
        if self.lines.len() >= LINES_MAX {
            self.lines.pop();
        }
        self.lines.push((at.as_millis() as u64, line.into()));
        true
    }

    /// Writes it to the state directory, where the router reads it.
    ///
    /// # Errors
    /// When that cannot be written to.
    pub fn keep(&self, state: &Path) -> io::Result<()> {
        let path = state.join(JOURNAL);
        files::write_atomically(&path, &serde_json::to_vec(self)?)?;
        files::give_like(&path, state)
    }

    /// How it goes, in words.
    pub fn words(&self, runs: bool) -> &'static str {
        match (runs, self.done) {
            (true, _) => "runs",
            (false, Some(true)) => "is done",
            (false, Some(false)) => "has stopped",
            (false, None) => "was interrupted",
        }
    }
}

/// How the upgrade of a node goes, or went.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Progress {
    /// Somebody is at it.
    pub runs: bool,
    /// The last one that was asked for here.
    pub last: Option<Journal>,
}

impl Progress {
    /// In this state directory.
    pub fn of(state: &Path) -> Progress {
        let text = fs::read(state.join(JOURNAL)).unwrap_or_default();
        Progress { runs: Hold::is_taken(state), last: serde_json::from_slice(&text).ok() }
    }
}

/// Whoever has it is at the upgrade; it ends with the process.
#[derive(Debug)]
pub struct Hold {
    _file: File,
}

impl Hold {
    /// Takes it; `None` when somebody else has it.
    ///
    /// # Errors
    /// When the state directory cannot be written to.
    pub fn take(state: &Path) -> io::Result<Option<Hold>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).mode(0o600);
        // The router may write in this directory: what it leads elsewhere is not followed.
        let file = options.custom_flags(libc::O_NOFOLLOW).open(state.join(AT_WORK))?;
        let owner = fs::metadata(state)?;
        // In a user namespace there may be nobody else.
        let _ = fchown(&file, Some(owner.uid()), Some(owner.gid()));
        for _ in 0..TRIES {
            match file.try_lock() {
                Ok(()) => return Ok(Some(Hold { _file: file })),
                Err(TryLockError::WouldBlock) => clock::pause(BETWEEN),
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
        Ok(None)
    }

    fn is_taken(state: &Path) -> bool {
        let Ok(file) = File::open(state.join(AT_WORK)) else { return false };
        matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
    }
}

/// Both nodes, one of which is `here`, as the engine looks at them.
pub fn look(nodes: &Both<'_>, config: &Config, here: &str) -> View {
    let statuses = [nodes.status(Side::Here), nodes.status(Side::There)];
    let mut lacks: Vec<String> = Vec::new();
    for pair in statuses.iter().flatten().filter_map(|status| status.pair.as_ref()) {
        for doubt in doubts(pair) {
            if !lacks.contains(&doubt) {
                lacks.push(doubt);
            }
        }
    }
    let pair = config.pair.as_ref();
    let preferred = match pair.is_some_and(|pair| pair.preferred == here) {
        true => Side::Here,
        false => Side::There,
    };
    let preempts = pair.is_some_and(|pair| pair.preempt);
    View { nodes: statuses.map(|status| status.and_then(node_view)), lacks, preferred, preempts }
}

fn node_view(status: Status) -> Option<NodeView> {
    let Status { node: name, program, pair, .. } = status;
    let ProgramNote { version, trial, gave_up, trials } = program;
    let role = [Role::Alone, Role::Active, Role::Standby];
    let role = role.into_iter().find(|role| pair.as_ref().is_some_and(|pair| pair.role == role.name()))?;
    Some(NodeView { name, version, trial, gave_up, trials, role })
}

#[cfg(test)]
mod tests {
    use super::super::files::tests::Scratch;
    use super::*;

    fn target() -> ReleaseVersion {
        ReleaseVersion { major: 1, minor: 2, patch: 3 }
    }

    #[test]
    fn one_at_a_time_is_at_it_and_everybody_sees_that() {
        let scratch = Scratch::new("upgrade-hold");
        assert_eq!(Progress::of(&scratch.0), Progress::default());
        let hold = Hold::take(&scratch.0).unwrap();
        assert!(hold.is_some() && Hold::take(&scratch.0).unwrap().is_none());
        assert!(Progress::of(&scratch.0).runs);
        drop(hold);
        assert!(!Progress::of(&scratch.0).runs);
        assert!(Hold::take(&scratch.0).unwrap().is_some());
    }

    #[test]
    fn a_hold_follows_no_link() {
        let scratch = Scratch::new("upgrade-link");
        std::os::unix::fs::symlink("elsewhere", scratch.0.join(AT_WORK)).unwrap();
        assert!(Hold::take(&scratch.0).is_err() && !scratch.0.join("elsewhere").exists());
    }

    #[test]
    fn a_journal_is_read_as_it_was_kept_and_its_end_is_never_lost() {
        let scratch = Scratch::new("upgrade-journal");
        let mut journal = Journal::begin(target(), "alpha");
        assert!(journal.note(Duration::from_millis(5), "first", None));
        assert!(!journal.note(Duration::from_millis(9), "first", None), "said once");
        for number in 0..2 * LINES_MAX {
            journal.note(Duration::from_secs(1), &format!("line {number}"), None);
        }
        journal.note(Duration::from_secs(2), "the end", Some(false));
        journal.keep(&scratch.0).unwrap();
        let Progress { runs, last } = Progress::of(&scratch.0);
        let last = last.unwrap();
        assert_eq!((runs, &last), (false, &journal));
        assert_eq!((last.lines.len(), last.lines[0].0), (LINES_MAX, 5));
        assert_eq!((last.lines[LINES_MAX - 1].1.as_str(), last.words(false)), ("the end", "has stopped"));
        assert_eq!(Journal::default().words(false), "was interrupted");
    }

    #[test]
    fn a_journal_of_the_release_before_is_read() {
        let text = r#"{"target":"1.2.3","lines":[[7,"beta tries 1.2.3."]],"done":true}"#;
        let journal: Journal = serde_json::from_str(text).unwrap();
        assert_eq!((journal.target, journal.lines.len(), journal.at_ms), (target(), 1, 0));
    }
}
