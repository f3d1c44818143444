//! Which program the router process is: the one that was started, or a release that was installed since.
//!
//! Releases lie in the state directory, where the router can write, so a file there proves nothing. What is run is a copy
//! in memory, sealed, whose signature has been checked byte for byte: at the installation and at each start.
//!
//! A new release is on trial first. It is kept when somebody says so who has seen that the pair is well; otherwise its
//! predecessor comes back, by itself. The parent stays what it was: it holds the ports, has little to do, and is renewed
//! when the node is started the next time.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{files, sys_process};
use crate::cluster::release::{Release, SIZE_MAX, Trust};
use crate::types::{Duration, Instant, ReleaseVersion};

/// A release that waits to be tried.
pub const NEXT: &str = "release.next";
/// The one that is run.
const KEPT: &str = "release";
/// The one before it.
const BEFORE: &str = "release.before";
/// The highest version that was ever kept.
const FLOOR: &str = "release.floor";
/// How long a release may be on trial after it has begun to serve.
const TRIAL: Duration = Duration::from_secs(240);
/// This program, also when its file has been replaced meanwhile.
const SELF: &str = "/proc/self/exe";

/// A program that can be run.
#[derive(Debug)]
pub struct Program {
    version: ReleaseVersion,
    /// The sealed copy; `None` is the program of the parent.
    copy: Option<File>,
}

impl Program {
    /// The program of this process.
    pub fn own() -> Program {
        Program { version: own_version(), copy: None }
    }

    fn load(path: &Path, trust: &Trust) -> Result<Program, String> {
        let problem = |error: io::Error| format!("{}: {error}", path.display());
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(problem)?;
        file.take(SIZE_MAX as u64 + 1).read_to_end(&mut bytes).map_err(problem)?;
        let Release { kind: _, version, speaks: _, key: _ } =
            trust.check(&bytes).map_err(|refusal| refusal.to_string())?;
        let mut copy = sys_process::anonymous_file().map_err(problem)?;
        copy.write_all(&bytes).map_err(problem)?;
        sys_process::seal(&copy).map_err(problem)?;
        Ok(Program { version, copy: Some(copy) })
    }

    /// Where a child of this process finds it.
    pub fn path(&self) -> PathBuf {
        match &self.copy {
            Some(copy) => format!("/proc/self/fd/{}", copy.as_raw_fd()).into(),
            None => SELF.into(),
        }
    }

    /// Its version.
    pub fn version(&self) -> ReleaseVersion {
        self.version
    }
}

/// The version of this program.
pub fn own_version() -> ReleaseVersion {
    env!("CARGO_PKG_VERSION").parse().unwrap_or_default()
}

/// What the router is told of its own program.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ProgramNote {
    /// Its version.
    pub version: ReleaseVersion,
    /// It is on trial.
    pub trial: bool,
    /// A release that was tried and given up, and why.
    pub gave_up: Option<(ReleaseVersion, String)>,
    /// How many were tried since the parent was started.
    pub trials: u64,
}

/// What shall become of a release.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReleaseStep {
    /// Try the one that waits.
    Try,
    /// Keep the one on trial.
    Keep,
    /// Give it up.
    Back,
}

/// The programs of a node.
#[derive(Debug)]
pub struct Programs {
    directory: PathBuf,
    present: Program,
    /// What was run before the one on trial.
    before: Option<Program>,
    /// When the trial ends; `None` while it has not begun to serve.
    until: Option<Instant>,
    gave_up: Option<(ReleaseVersion, String)>,
    trials: u64,
}

impl Programs {
    /// What was kept, when it may still be trusted and is newer than this program.
    pub fn find(directory: &Path, trust: &Trust) -> Programs {
        let mut present = Program::own();
        let path = directory.join(KEPT);
        if path.exists() {
            match Program::load(&path, trust) {
                Ok(kept) if kept.version > present.version => present = kept,
                Ok(kept) => {
                    tracing::info!(version = %kept.version, "the installed release is not newer than this one")
                }
                Err(why) => tracing::warn!(%why, "the installed release is not run"),
            }
        }
        Programs { directory: directory.into(), present, before: None, until: None, gave_up: None, trials: 0 }
    }

    /// The one to run.
    pub fn present(&self) -> &Program {
        &self.present
    }

    /// What the router is told of it.
    pub fn note(&self) -> ProgramNote {
        ProgramNote {
            version: self.present.version,
            trial: self.before.is_some(),
            gave_up: self.gave_up.clone(),
            trials: self.trials,
        }
    }

    /// When the trial ends.
    pub fn deadline(&self) -> Option<Instant> {
        self.until
    }

    /// From now on the waiting release is the one to run, on trial.
    ///
    /// # Errors
    /// When it must not be.
    pub fn try_next(&mut self, trust: Trust) -> Result<(), String> {
        if self.before.is_some() {
            return Err(format!("version {} is on trial already", self.present.version));
        }
        let floor = fs::read_to_string(self.directory.join(FLOOR)).ok();
        let floor = floor.and_then(|text| text.trim().parse().ok()).unwrap_or_default();
        let next = Program::load(&self.directory.join(NEXT), &trust.at_least(floor))?;
        tracing::warn!(version = %next.version, before = %self.present.version, "a release is tried");
        self.before = Some(std::mem::replace(&mut self.present, next));
        (self.until, self.gave_up) = (None, None);
        self.trials += 1;
        Ok(())
    }

    /// The program serves: its trial runs.
    pub fn serves(&mut self, now: Instant) {
        if self.before.is_some() && self.until.is_none() {
            self.until = Some(now + TRIAL);
        }
    }

    /// The release on trial is kept.
    ///
    /// # Errors
    /// When there is none, or when that cannot be written down; it stays on trial then.
    pub fn keep(&mut self) -> Result<(), String> {
        if self.before.is_none() {
            return Err("no release is on trial".into());
        }
        self.write_down().map_err(|error| format!("the state directory: {error}"))?;
        (self.before, self.until) = (None, None);
        tracing::info!(version = %self.present.version, "the release is kept");
        Ok(())
    }

    fn write_down(&self) -> io::Result<()> {
        let path = |name: &str| self.directory.join(name);
        match fs::rename(path(KEPT), path(BEFORE)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        fs::rename(path(NEXT), path(KEPT))?;
        files::write_atomically(&path(FLOOR), format!("{}\n", self.present.version).as_bytes())
    }

    /// The release on trial is given up, because of that; false when none is.
    pub fn back(&mut self, why: &str) -> bool {
        let Some(before) = self.before.take() else { return false };
        let tried = std::mem::replace(&mut self.present, before);
        tracing::error!(version = %tried.version, back = %self.present.version, why, "the release is given up");
        (self.until, self.gave_up) = (None, Some((tried.version, why.into())));
        true
    }
}

/// Reads a file that may be a release; what is longer than one may be is cut off, and refused when it is checked.
///
/// # Errors
/// When it cannot be read.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(SIZE_MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Gives a release to the node with this state directory; it waits there to be tried.
///
/// # Errors
/// When the directory cannot be written to.
pub fn leave(directory: &Path, bytes: &[u8]) -> io::Result<()> {
    let path = directory.join(NEXT);
    files::write_atomically(&path, bytes)?;
    files::give_like(&path, directory)
}

/// The node with this state directory installs also older releases, down to that version.
///
/// # Errors
/// When the directory cannot be written to.
pub fn allow(directory: &Path, floor: ReleaseVersion) -> io::Result<()> {
    let path = directory.join(FLOOR);
    files::write_atomically(&path, format!("{floor}\n").as_bytes())?;
    files::give_like(&path, directory)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::super::files::tests::Scratch;
    use super::*;
    use crate::cluster::release::SigningKey;
    use crate::config::model::System;
    use crate::wire::pair::Version;

    fn version(minor: u16) -> ReleaseVersion {
        ReleaseVersion { major: 9, minor, patch: 0 }
    }

    fn key() -> SigningKey {
        SigningKey::from_bytes([5; 32]).unwrap()
    }

    fn trust() -> Trust {
        Trust::of(&System { release_keys: vec![key().public()], ..System::default() })
    }

    fn leave_signed(scratch: &Scratch, minor: u16) {
        let program = fs::read("/bin/true").unwrap();
        leave(&scratch.0, &key().sign(&program, version(minor), Version::NEWEST).unwrap()).unwrap();
    }

    #[test]
    fn a_release_is_tried_kept_run_and_found_again() {
        let scratch = Scratch::new("programs");
        let mut programs = Programs::find(&scratch.0, &trust());
        assert_eq!(programs.present().version(), own_version());
        assert!(programs.try_next(trust()).is_err(), "there is none");
        leave_signed(&scratch, 1);
        programs.try_next(trust()).unwrap();
        assert!(programs.note().trial && programs.try_next(trust()).is_err());
        assert!(Command::new(programs.present().path()).status().unwrap().success(), "the copy runs");
        assert_eq!(programs.deadline(), None);
        programs.serves(Instant::from_secs(1));
        programs.serves(Instant::from_secs(9));
        assert_eq!(programs.deadline(), Some(Instant::from_secs(1) + TRIAL));
        programs.keep().unwrap();
        assert!(!programs.note().trial && programs.keep().is_err() && !programs.back("late"));
        assert_eq!(Programs::find(&scratch.0, &trust()).present().version(), version(1));
        let nobody = Trust::of(&System::default());
        assert_eq!(Programs::find(&scratch.0, &nobody).present().version(), own_version());
    }

    #[test]
    fn a_release_that_is_given_up_leaves_what_was_there() {
        let scratch = Scratch::new("given-up");
        leave_signed(&scratch, 3);
        let mut programs = Programs::find(&scratch.0, &trust());
        programs.try_next(trust()).unwrap();
        assert!(programs.back("it did not start"));
        let note = programs.note();
        assert_eq!((note.version, note.trial), (own_version(), false));
        assert_eq!(note.gave_up, Some((version(3), "it did not start".into())));
        // A parent that starts again in the middle of a trial runs what was kept.
        programs.try_next(trust()).unwrap();
        assert_eq!(Programs::find(&scratch.0, &trust()).present().version(), own_version());
    }

    #[test]
    fn what_was_kept_once_is_the_floor_until_an_operator_lowers_it() {
        let scratch = Scratch::new("floor");
        let mut programs = Programs::find(&scratch.0, &trust());
        leave_signed(&scratch, 5);
        programs.try_next(trust()).unwrap();
        programs.keep().unwrap();
        leave_signed(&scratch, 4);
        assert!(programs.try_next(trust()).unwrap_err().contains("9.4.0 is older than 9.5.0"));
        allow(&scratch.0, version(4)).unwrap();
        programs.try_next(trust()).unwrap();
    }

    #[test]
    fn a_changed_file_is_not_run() {
        let scratch = Scratch::new("changed");
        leave_signed(&scratch, 1);
        let path = scratch.0.join(NEXT);
        let mut bytes = fs::read(&path).unwrap();
        bytes[100] ^= 1;
        fs::write(&path, bytes).unwrap();
        let mut programs = Programs::find(&scratch.0, &trust());
        assert!(programs.try_next(trust()).unwrap_err().contains("broken"));
        assert_eq!(programs.present().version(), own_version());
    }
}
