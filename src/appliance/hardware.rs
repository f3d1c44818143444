//! The machine's devices: their modules are loaded as the kernel names them, at the start, when it is their turn, and
//! whenever one is plugged in.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use super::modules::Modules;
use super::turn::Turn;
use super::uevent::{self, Uevent};
use crate::io::machine;

/// Rounds in which modules bring devices that want modules.
const ROUNDS: usize = 6;
/// Messages taken in one call.
const MESSAGES: usize = 256;
/// `ENOBUFS`.
const NO_BUFFERS: i32 = 105;

/// See the module.
#[derive(Debug)]
pub struct Hardware {
    directory: PathBuf,
    modules: Modules,
    /// Files that were tried, and aliases that were asked for.
    done: HashSet<String>,
    events: File,
    /// Devices up to this turn have what they want.
    turn: Turn,
    /// Modules that were loaded.
    pub loaded: usize,
}

impl Hardware {
    /// What is on board for the kernel that runs.
    ///
    /// # Errors
    /// When the kernel does not tell about its devices.
    pub fn open() -> io::Result<Hardware> {
        let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
        let directory = Path::new("/lib/modules").join(release.trim());
        let read = |name: &str| fs::read_to_string(directory.join(name)).unwrap_or_default();
        let modules = Modules::new(&read("modules.alias"), &read("modules.dep"));
        Ok(Hardware {
            directory,
            modules,
            done: HashSet::new(),
            events: machine::device_events()?,
            turn: Turn::Cards,
            loaded: 0,
        })
    }

    /// Ready to read when a device came or went.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.events.as_fd()
    }

    /// Loads modules by their names; those that are not on board are passed over.
    pub fn load(&mut self, names: &[&str]) {
        names.iter().for_each(|name| self.load_one(name));
    }

    /// Loads what the devices want whose turn has come: those that are there, and those that appear by that.
    pub fn coldplug(&mut self, turn: Turn) {
        self.turn = self.turn.max(turn);
        for _ in 0..ROUNDS {
            let before = self.loaded;
            aliases().iter().for_each(|alias| self.serve(alias));
            if self.loaded == before {
                return;
            }
        }
    }

    /// Takes what the kernel has said, and loads what new devices want.
    pub fn hear(&mut self) -> Vec<Uevent> {
        let mut heard = Vec::new();
        let mut message = [0; 8192];
        for _ in 0..MESSAGES {
            match self.events.read(&mut message) {
                Ok(len) => heard.extend(uevent::read(&message[..len])),
                // We were slow and have missed some.
                Err(error) if error.raw_os_error() == Some(NO_BUFFERS) => self.coldplug(self.turn),
                Err(_) => break,
            }
        }
        for alias in heard.iter().filter(|event| event.is_new).filter_map(|event| event.alias.clone()) {
            self.serve(&alias);
        }
        heard
    }

    fn serve(&mut self, alias: &str) {
        if Turn::of(alias) > self.turn || !self.done.insert(alias.to_owned()) {
            return;
        }
        let names: Vec<String> = self.modules.wanted(alias).into_iter().map(str::to_owned).collect();
        names.iter().for_each(|name| self.load_one(name));
    }

    fn load_one(&mut self, name: &str) {
        let files: Vec<String> = self.modules.chain(name).into_iter().map(str::to_owned).collect();
        for file in files {
            if !self.done.insert(file.clone()) {
                continue;
            }
            let loaded =
                File::open(self.directory.join(&file)).and_then(|open| machine::load_module(&open, ""));
            match loaded {
                Ok(()) => self.loaded += 1,
                // Many drivers look for their device themselves, and say so when there is none.
                Err(error) => tracing::debug!(file, %error, "a module is not loaded"),
            }
        }
    }
}

/// What all devices want.
fn aliases() -> Vec<String> {
    let folders = |path: &Path| fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut found = Vec::new();
    for bus in folders(Path::new("/sys/bus")) {
        for device in folders(&bus.join("devices")) {
            if let Ok(alias) = fs::read_to_string(device.join("modalias")) {
                found.push(alias.trim().to_owned());
            }
        }
    }
    found
}
