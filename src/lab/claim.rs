//! One lab at a time: the lab's directory, its lock, and the run file that tells the next lab what a dead one has
//! left behind.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

use super::build;
use crate::io::files;
use crate::io::process::Identity;

/// The lab's directory.
const DIRECTORY: &str = "/run/koi-lab";
const LOCK: &str = "lock";
const RUN: &str = "run.json";
/// How long a process of a dead lab may take to end.
const GRACE: Duration = Duration::from_secs(6);

/// What is written down for the next lab.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Run {
    /// The lab itself.
    lab: u32,
    /// What it has started.
    processes: Vec<Identity>,
}

/// The right to be the lab of this machine. Its directory goes away with it.
#[derive(Debug)]
pub struct Claim {
    /// The lab's directory.
    pub directory: PathBuf,
    run: Run,
    _lock: File,
}

impl Claim {
    /// Takes it, and removes what a dead lab has left behind. Gives what was removed, in words.
    ///
    /// # Errors
    /// When another lab runs, or when something cannot be removed.
    pub fn take() -> anyhow::Result<(Claim, Vec<String>)> {
        let directory = PathBuf::from(DIRECTORY);
        let lock = lock(&directory)?;
        let removed = sweep(&directory)?;
        let run = Run { lab: std::process::id(), processes: Vec::new() };
        let claim = Claim { directory, run, _lock: lock };
        claim.write()?;
        Ok((claim, removed))
    }

    /// Writes down a process that the next lab ends if we cannot.
    ///
    /// # Errors
    /// When the run file cannot be written.
    pub fn note(&mut self, process: Identity) -> anyhow::Result<()> {
        self.run.processes.push(process);
        self.write()
    }

    fn write(&self) -> anyhow::Result<()> {
        let text = serde_json::to_vec(&self.run)?;
        let path = self.directory.join(RUN);
        files::write_atomically(&path, &text).with_context(|| path.display().to_string())
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // The next lab removes what could not be removed now.
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn lock(directory: &Path) -> anyhow::Result<File> {
    let path = directory.join(LOCK);
    loop {
        fs::create_dir_all(directory).with_context(|| directory.display().to_string())?;
        let file = File::options().create(true).truncate(false).write(true).open(&path);
        let file = file.with_context(|| path.display().to_string())?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                let run = read(directory);
                bail!("another lab runs here (process {}); end that one first, with Ctrl-C", run.lab);
            }
            Err(fs::TryLockError::Error(error)) => return Err(error).context(LOCK),
        }
        // The lab before us may have removed the file between our opening and our locking it.
        let same = |there: fs::Metadata| file.metadata().is_ok_and(|ours| ours.ino() == there.ino());
        if fs::metadata(&path).is_ok_and(same) {
            return Ok(file);
        }
    }
}

fn read(directory: &Path) -> Run {
    let text = fs::read(directory.join(RUN)).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

fn sweep(directory: &Path) -> anyhow::Result<Vec<String>> {
    let mut removed = Vec::new();
    for process in read(directory).processes {
        if process.end(GRACE).with_context(|| format!("process {} of a dead lab", process.pid))? {
            removed.push(format!("process {}", process.pid));
        }
    }
    removed.extend(build::sweep()?.into_iter().map(|name| format!("namespace {name}")));
    for entry in fs::read_dir(directory)?.flatten().filter(|entry| entry.file_name() != LOCK) {
        let path = entry.path();
        let result = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        match result {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).with_context(|| path.display().to_string());
            }
            Ok(()) | Err(_) => {}
        }
    }
    Ok(removed)
}
