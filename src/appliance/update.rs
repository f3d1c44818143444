//! An update: the other slot is filled, and has itself tried at the next start.
//!
//! Invariant: the slot that runs is never touched; the boot loader hears of the other one only when everything in it is on
//! the disk and was read again from there. A power cut before that leaves the machine as it was.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::image::Image;
use super::options::Options;
use super::partition::{self, Mounted};
use super::slot::{Environment, Slot};
use super::trial;
use crate::cluster::release::{Release, SIZE_MAX, Trust};
use crate::io::machine::Access;
use crate::types::ReleaseVersion;

/// The name of an update on a disk that brings one.
const NAME: &str = "koi.update.signed";
/// Where such a disk is mounted.
const ASIDE: &str = "/run/koi-seed";
/// The version in a slot, for people.
const VERSION: &str = "version";

/// Why there is no update.
#[derive(Debug)]
pub enum Failure {
    /// It must not be installed.
    Refused(String),
    /// This machine cannot.
    Machine(io::Error),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Refused(why) => f.write_str(why),
            Failure::Machine(error) => error.fmt(f),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure::Machine(error)
    }
}

/// An update, read and not checked yet.
///
/// # Errors
/// When there is none.
pub fn read(file: Option<&Path>) -> Result<Vec<u8>, Failure> {
    let bytes = |path: &Path| -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(path)?.take(SIZE_MAX as u64 + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let named =
        |path: &Path, error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    match file {
        Some(path) => Ok(bytes(path).map_err(|error| named(path, error))?),
        None => {
            let missing = || {
                io::Error::new(
                    io::ErrorKind::NotFound,
                    format!("there is no disk called {}", partition::SEED),
                )
            };
            let volume = partition::find(partition::SEED).ok_or_else(missing)?;
            let mounted = Mounted::new(&volume, Path::new(ASIDE), Access::Read)?;
            let path = mounted.path().join(NAME);
            Ok(bytes(&path).map_err(|error| named(Path::new(NAME), error))?)
        }
    }
}

/// What the boot loader says, and what is in the slots.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Standing {
    /// The slot that runs; `None` when this machine was not started from its disk.
    pub running: Option<Slot>,
    /// It is being tried.
    pub on_trial: bool,
    /// The slot that is known to be well.
    pub good: Slot,
    /// The slot that will be tried.
    pub trying: Option<Slot>,
    /// What is in the slots, as they say.
    pub versions: [Option<String>; 2],
}

/// How it stands.
///
/// # Errors
/// When this machine has no slots.
pub fn standing() -> io::Result<Standing> {
    let options = options();
    let boot = trial::mount(Access::Read)?;
    let environment = trial::read(boot.path())?;
    Ok(Standing {
        running: options.slot,
        on_trial: is_on_trial(&options, &environment),
        good: environment.good,
        trying: environment.trying,
        versions: [Slot::A, Slot::B].map(|slot| version_in(boot.path(), slot)),
    })
}

/// What was started on trial is so until it is kept.
fn is_on_trial(options: &Options, environment: &Environment) -> bool {
    options.on_trial && options.slot != Some(environment.good)
}

fn options() -> Options {
    Options::read(&fs::read_to_string("/proc/cmdline").unwrap_or_default())
}

fn version_in(boot: &Path, slot: Slot) -> Option<String> {
    let directory = boot.join(slot.name());
    directory.join("vmlinuz").exists().then(|| {
        let text = fs::read_to_string(directory.join(VERSION)).unwrap_or_default();
        if text.trim().is_empty() { "unknown".into() } else { text.trim().to_owned() }
    })
}

/// Checks an update: its version.
///
/// # Errors
/// When it must not be installed.
pub fn version(bytes: &[u8], trust: &Trust) -> Result<ReleaseVersion, Failure> {
    let checked = trust.check_image(bytes).map_err(|refusal| Failure::Refused(refusal.to_string()))?;
    Ok(checked.0.version)
}

/// Checks an update and fills the other slot with it; it is tried at the next start. Gives the slot.
///
/// # Errors
/// When it must not be installed, or the disk does not take it; the machine goes on as it was.
pub fn install(bytes: &[u8], trust: &Trust) -> Result<(Slot, ReleaseVersion), Failure> {
    let running =
        options().slot.ok_or_else(|| io::Error::other("this machine was not started from a slot"))?;
    if standing()?.on_trial {
        return Err(Failure::Refused(
            "the release that runs is on trial itself; wait until it is kept".into(),
        ));
    }
    let (release, inside) =
        trust.check_image(bytes).map_err(|refusal| Failure::Refused(refusal.to_string()))?;
    let Release { version, .. } = release;
    let image = Image::read(inside).ok_or_else(|| Failure::Refused("the image is not whole".into()))?;
    let boot = trial::mount(Access::Write)?;
    let slot = running.other();
    write_slot(boot.path(), slot, &image, version)?;
    let mut environment = trial::read(boot.path())?;
    environment.attempt(slot);
    trial::write(boot.path(), &environment)?;
    Ok((slot, version))
}

/// Each file is written beside the old one, flushed, and takes its place. The loader is told not to try the slot first.
fn write_slot(boot: &Path, slot: Slot, image: &Image<'_>, version: ReleaseVersion) -> io::Result<()> {
    let mut environment: Environment = trial::read(boot)?;
    if environment.trying.is_some() {
        environment.give_up();
        trial::write(boot, &environment)?;
    }
    let directory = boot.join(slot.name());
    fs::create_dir_all(&directory)?;
    let version = format!("{version}\n");
    let files = [("vmlinuz", image.kernel), ("initrd", image.initramfs), (VERSION, version.as_bytes())];
    // The disk has room for three kernels, so nothing goes before its successor is there.
    for (name, bytes) in files {
        let new = directory.join(format!("{name}.new"));
        write(&new, bytes)?;
        fs::rename(&new, directory.join(name))?;
    }
    File::open(&directory)?.sync_all()?;
    for (name, bytes) in files {
        if !is_same(&directory.join(name), bytes)? {
            return Err(io::Error::other(format!(
                "slot {slot}: {name} is not on the disk as it was written"
            )));
        }
    }
    Ok(())
}

fn write(path: &PathBuf, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    if written.is_err() {
        // Half a file is of no use, and its room is.
        let _ = fs::remove_file(path);
    }
    written
}

fn is_same(path: &Path, bytes: &[u8]) -> io::Result<bool> {
    fs::read(path).map(|read| read == bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::appliance::slot::BLOCK;

    #[test]
    fn a_release_is_on_trial_until_it_is_kept() {
        let options = Options::read("koi.slot=B koi.try=1");
        let mut environment = Environment::read(b"");
        environment.attempt(Slot::B);
        assert!(is_on_trial(&options, &environment));
        assert!(!is_on_trial(&Options::read("koi.slot=A"), &environment), "the good one after three tries");
        environment.keep(Slot::B);
        assert!(!is_on_trial(&options, &environment), "the next update may come");
    }

    #[test]
    fn a_slot_is_filled_and_the_other_one_is_not_touched() {
        let boot = std::env::temp_dir().join(format!("koi-update-{}", std::process::id()));
        let _ = fs::remove_dir_all(&boot);
        fs::create_dir_all(boot.join("grub")).unwrap();
        fs::create_dir_all(boot.join("A")).unwrap();
        fs::write(boot.join("A/vmlinuz"), "old").unwrap();
        fs::write(boot.join("grub/grubenv"), vec![b'#'; BLOCK]).unwrap();
        let mut environment = Environment::read(b"");
        environment.attempt(Slot::B);
        trial::write(&boot, &environment).unwrap();
        let image = Image { kernel: b"kernel", initramfs: b"initramfs" };
        let new = ReleaseVersion { major: 1, minor: 2, patch: 3 };
        write_slot(&boot, Slot::B, &image, new).unwrap();
        assert_eq!(trial::read(&boot).unwrap().trying, None, "what is half written is not tried");
        assert_eq!(fs::read(boot.join("B/vmlinuz")).unwrap(), b"kernel");
        assert_eq!(fs::read(boot.join("A/vmlinuz")).unwrap(), b"old");
        assert_eq!(
            [Slot::A, Slot::B].map(|slot| version_in(&boot, slot)),
            [Some("unknown".into()), Some("1.2.3".into())]
        );
        assert_eq!(fs::read_dir(boot.join("B")).unwrap().count(), 3, "nothing is left over");
        let _ = fs::remove_dir_all(&boot);
    }
}
