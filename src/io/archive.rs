//! The files of the configuration: the steps of its life, done on a disk.
//!
//! They lie beside the configuration file, in a directory of the same name with `.d` behind it, for root alone.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::files;
use crate::config::life::{Name, Step};

/// The longest file that is read at a start.
const FILE_MAX: u64 = 33 << 20;

/// See the module.
#[derive(Clone, Debug)]
pub struct Archive {
    main: PathBuf,
    directory: PathBuf,
}

impl Archive {
    /// The files of this configuration file; nothing is made before the first step.
    pub fn of(main: &Path) -> Archive {
        let mut directory = main.as_os_str().to_owned();
        directory.push(".d");
        Archive { main: main.to_owned(), directory: directory.into() }
    }

    /// What the directory holds; nothing, when there is none.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read_all(&self) -> io::Result<BTreeMap<String, Vec<u8>>> {
        let entries = match fs::read_dir(&self.directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
            result => result?,
        };
        let mut found = BTreeMap::new();
        for entry in entries {
            let entry = entry?;
            let metadata = entry.metadata()?;
            if let Some(name) = entry.file_name().to_str()
                && metadata.is_file()
                && metadata.len() <= FILE_MAX
            {
                found.insert(name.to_owned(), fs::read(entry.path())?);
            }
        }
        Ok(found)
    }

    /// One file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(&self, name: &Name) -> io::Result<Vec<u8>> {
        fs::read(self.path(name))
    }

    /// Does the steps in their order.
    ///
    /// # Errors
    /// At the first that fails; the others are not done.
    pub fn run(&self, steps: &[Step]) -> io::Result<()> {
        if !steps.is_empty() {
            files::create_private_directory(&self.directory)?;
        }
        steps.iter().try_for_each(|step| self.step(step))
    }

    fn step(&self, step: &Step) -> io::Result<()> {
        match step {
            Step::Write(name, bytes) => {
                let path = self.path(name);
                let written = write(&path, bytes);
                if written.is_err() {
                    // Half a file is of no use, and its room is.
                    let _ = fs::remove_file(&path);
                }
                written
            }
            Step::Rename(from, to) => fs::rename(self.path(from), self.path(to)),
            Step::Remove(name) => remove(&self.path(name)),
            Step::Flush => {
                File::open(&self.directory)?.sync_all()?;
                File::open(files::directory_of(&self.main))?.sync_all()
            }
        }
    }

    fn path(&self, name: &Name) -> PathBuf {
        let beside = |suffix: &str| {
            let mut hidden = std::ffi::OsString::from(".");
            hidden.push(self.main.file_name().unwrap_or_default());
            hidden.push(suffix);
            self.main.with_file_name(hidden)
        };
        match name {
            Name::Main => self.main.clone(),
            Name::Next => beside(".next"),
            Name::Back => beside(".back"),
            Name::Inside(name) => self.directory.join(name),
        }
    }
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    remove(path)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::files::tests::Scratch;
    use super::*;
    use crate::config::life::put;

    #[test]
    fn steps_are_done_and_everything_is_private() {
        let scratch = Scratch::new("archive");
        let main = scratch.0.join("koi.toml");
        fs::write(&main, "old").unwrap();
        let archive = Archive::of(&main);
        assert!(archive.read_all().unwrap().is_empty());
        archive.run(&put(Name::Inside("change".into()), b"under way".to_vec())).unwrap();
        archive.run(&[Step::Write(Name::Next, b"new".to_vec()), Step::Flush]).unwrap();
        assert_eq!(fs::read(&main).unwrap(), b"old");
        archive.run(&[Step::Rename(Name::Next, Name::Main), Step::Flush, Step::Remove(Name::Back)]).unwrap();
        assert_eq!(fs::read(&main).unwrap(), b"new");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&main), mode(&scratch.0.join("koi.toml.d"))), (0o600, 0o700));
        assert_eq!(archive.read_all().unwrap().into_keys().collect::<Vec<_>>(), ["change"]);
        assert!(archive.run(&[Step::Rename(Name::Back, Name::Main)]).is_err());
        assert_eq!(fs::read(&main).unwrap(), b"new");
    }

    #[test]
    fn a_full_disk_is_an_error_and_changes_nothing() {
        let scratch = Scratch::new("full");
        let main = scratch.0.join("koi.toml");
        fs::write(&main, "old").unwrap();
        let archive = Archive::of(&main);
        // A name that cannot be made stands for a disk that has no room.
        let steps = put(Name::Inside("x".repeat(300)), b"new".to_vec());
        archive.run(&[Step::Write(Name::Next, b"new".to_vec())]).unwrap();
        assert!(archive.run(&steps).is_err());
        assert_eq!(fs::read(&main).unwrap(), b"old");
        archive.run(&[Step::Remove(Name::Next), Step::Flush]).unwrap();
    }
}
