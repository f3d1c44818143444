//! Disks: found by what their file systems call themselves, never by the names of devices.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::label::{self, Kind};
use super::reset;
use crate::io::files;
use crate::io::machine::{self, Access};

/// The partition with the slots.
pub const BOOT: &str = "KOIBOOT";
/// The partition with the configuration.
pub const CONFIG: &str = "KOICONFIG";
/// A disk that brings a first configuration, or an update.
pub const SEED: &str = "KOISEED";

/// Where the configuration is, on whatever disk.
pub const HOME: &str = "/var/lib/koi";
/// The router's own directory in it.
pub const STATE: &str = "/var/lib/koi/state";
/// The log's directory in it.
pub const LOG: &str = "/var/lib/koi/log";
/// The document in it.
pub const DOCUMENT: &str = "/var/lib/koi/config.toml";

/// Where a partition is mounted that cannot be used as it is.
const ASIDE: &str = "/run/koi-aside";
/// Less than this is no room for a document and its history.
const ROOM: u64 = 512 << 10;
/// A file that is taken along into memory.
const COPY_MAX: u64 = 8 << 20;

/// A file system on a disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Volume {
    /// The device.
    pub device: String,
    /// Of which kind.
    pub kind: Kind,
    /// What it calls itself.
    pub label: String,
}

/// Names of the block devices that hold something.
fn devices() -> Vec<String> {
    let entries = fs::read_dir("/sys/class/block").into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.retain(|name| !["loop", "ram", "zram", "fd"].iter().any(|kind| name.starts_with(kind)));
    names.sort();
    names
}

/// The first file system of this name.
pub fn find(wanted: &str) -> Option<Volume> {
    devices().into_iter().find_map(|name| {
        let device = format!("/dev/{name}");
        let mut bytes = Vec::new();
        File::open(&device).ok()?.take(label::ENOUGH as u64).read_to_end(&mut bytes).ok()?;
        let (kind, label) = label::of(&bytes)?;
        (label == wanted).then_some(Volume { device, kind, label })
    })
}

/// A file system that is mounted while this lives.
#[derive(Debug)]
pub struct Mounted(PathBuf);

impl Mounted {
    /// Mounts it.
    ///
    /// # Errors
    /// When the kernel does not take it.
    pub fn new(volume: &Volume, at: &Path, access: Access) -> io::Result<Mounted> {
        fs::create_dir_all(at)?;
        machine::mount(&volume.device, at, volume.kind.name(), access, "")?;
        Ok(Mounted(at.to_owned()))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// It stays mounted after this value.
    pub fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        machine::flush_disks();
        // What still uses it keeps it until then.
        let _ = machine::unmount(&self.0);
    }
}

/// Puts the configuration partition in its place, or memory where that cannot be used. Says what is wrong with it.
///
/// # Errors
/// When there is no memory, either.
pub fn settle() -> io::Result<Option<String>> {
    let home = Path::new(HOME);
    let Some(volume) = find(CONFIG) else {
        let disks = devices();
        let disks =
            if disks.is_empty() { "there is no disk".into() } else { format!("on {}", disks.join(" ")) };
        in_memory(home)?;
        return Ok(Some(format!("missing: no file system called {CONFIG} ({disks})")));
    };
    let mounted = match Mounted::new(&volume, home, Access::Write) {
        Ok(mounted) => mounted,
        Err(error) => {
            in_memory(home)?;
            return Ok(Some(format!("unreadable: {}: {error}", volume.device)));
        }
    };
    if let Err(error) = reset::carry_out(home) {
        tracing::warn!(%error, "not everything is forgotten");
    }
    if !has_room(home) {
        // The log is the first to go.
        let _ = fs::remove_dir_all(LOG);
    }
    if has_room(home) {
        mounted.keep();
        return Ok(None);
    }
    drop(mounted);
    in_memory(home)?;
    let full = format!("full: {} has less than {} KiB left", volume.device, ROOM >> 10);
    match Mounted::new(&volume, Path::new(ASIDE), Access::Read) {
        Ok(aside) => take_along(aside.path(), home),
        // A machine without its document is better than none.
        Err(error) => return Ok(Some(format!("{full}, and cannot be read: {error}"))),
    }
    Ok(Some(full))
}

/// True when the configuration does not survive the next start.
pub fn is_in_memory() -> bool {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let mut kinds = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        (words.next() == Some(HOME)).then(|| words.next())?
    });
    kinds.next_back() == Some("tmpfs")
}

fn has_room(path: &Path) -> bool {
    machine::free_space(path).is_ok_and(|bytes| bytes >= ROOM)
}

fn in_memory(at: &Path) -> io::Result<()> {
    fs::create_dir_all(at)?;
    machine::mount("tmpfs", at, "tmpfs", Access::Write, "mode=0755,size=64m")
}

/// Copies what a router needs; what cannot be read stays behind.
fn take_along(from: &Path, to: &Path) {
    for folder in ["", "state", "config.toml.d"] {
        let target = to.join(folder);
        let made = folder.is_empty() || files::create_private_directory(&target).is_ok();
        let entries = fs::read_dir(from.join(folder)).into_iter().flatten().flatten();
        for entry in entries.filter(|_| made) {
            let small = entry.metadata().is_ok_and(|data| data.is_file() && data.len() <= COPY_MAX);
            if small {
                // A half copy is found out by whoever reads it.
                let _ = fs::copy(entry.path(), target.join(entry.file_name()));
            }
        }
    }
}
