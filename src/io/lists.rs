//! The files of aliases: the parent, which may read them, copies them into the state directory, where the router may.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::config::defaults::LIST_BYTES;
use crate::config::model::{AddressRange, AliasKind, Config};
use crate::config::{self, List};
use crate::types::{Duration, Instant};

/// The parent looks at the files this often.
const LOOK: Duration = Duration::from_secs(60);

/// Copies files, at the parent's.
#[derive(Default)]
pub struct Copyist {
    /// When each was last changed, as far as it has been copied.
    copied: BTreeMap<PathBuf, SystemTime>,
    /// When to look again; while there are any.
    next: Option<Instant>,
}

impl Copyist {
    /// When to look again.
    pub fn deadline(&self) -> Option<Instant> {
        self.next
    }

    /// Copies what has changed of the files that this text names. A file that cannot be read leaves its last copy.
    pub fn copy(&mut self, now: Instant, text: &str, state: &Path) {
        self.next = None;
        let Ok(config) = config::parse(text) else { return };
        for (name, file) in files(&config) {
            self.next = Some(now + LOOK);
            if let Err(error) = self.copy_one(Path::new(file), &copy_of(state, name)) {
                tracing::warn!(alias = name, file, %error, "the file of an alias cannot be read");
            }
        }
    }

    fn copy_one(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        // A device or a pipe would have us wait for ever.
        let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(from)?;
        let about = file.metadata()?;
        if !about.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file"));
        }
        let changed = about.modified()?;
        if self.copied.get(from) == Some(&changed) && to.exists() {
            return Ok(());
        }
        let mut bytes = Vec::new();
        file.take(LIST_BYTES + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > LIST_BYTES {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is too large"));
        }
        write_readable(to, &bytes)?;
        self.copied.insert(from.to_owned(), changed);
        Ok(())
    }
}

/// In one step. The directory is private, so that "others" is the router alone.
fn write_readable(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("new");
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&temporary)?;
    file.write_all(bytes)?;
    fs::rename(&temporary, path)
}

fn copy_of(state: &Path, alias: &str) -> PathBuf {
    state.join(format!("alias-{alias}.list"))
}

/// Aliases and their files.
fn files(config: &Config) -> impl Iterator<Item = (&str, &str)> {
    let aliases = config.aliases.iter().filter(|alias| alias.kind == AliasKind::Urltable);
    aliases.filter_map(|alias| Some((alias.name.as_str(), alias.file.as_deref()?)))
}

/// What the copies hold, at the router's: of the aliases of the document that was applied last.
#[derive(Default)]
pub struct Lists {
    /// When the copy was changed that was read; none before there was one.
    read: BTreeMap<String, (Option<SystemTime>, List)>,
}

impl Lists {
    /// Another document: what it does not name is forgotten, what is new is read. True when some alias stands for something
    /// else now.
    pub fn apply(&mut self, config: &Config, state: &Path) -> bool {
        let wanted: BTreeSet<&str> = files(config).map(|(name, _)| name).collect();
        let before = self.read.len();
        self.read.retain(|name, _| wanted.contains(name.as_str()));
        let mut changed = self.read.len() != before;
        for name in wanted {
            if !self.read.contains_key(name) {
                self.read.insert(name.into(), (None, List::default()));
                changed = true;
            }
        }
        self.refresh(state) || changed
    }

    /// Reads the copies that have changed; true when some alias stands for something else now.
    pub fn refresh(&mut self, state: &Path) -> bool {
        let mut changed = false;
        for (name, (known, list)) in &mut self.read {
            let path = copy_of(state, name);
            let modified = fs::metadata(&path).and_then(|about| about.modified()).ok();
            if *known == modified {
                continue;
            }
            let mut text = String::new();
            let read = File::open(&path).and_then(|file| file.take(LIST_BYTES).read_to_string(&mut text));
            if read.is_err() && modified.is_some() {
                continue;
            }
            changed = true;
            (*known, *list) = (modified, List::read(&text));
        }
        changed
    }

    /// By alias.
    pub fn ranges(&self) -> BTreeMap<String, Vec<AddressRange>> {
        self.read.iter().map(|(name, (_, list))| (name.clone(), list.ranges.clone())).collect()
    }

    /// What is wrong with an alias's file.
    pub fn trouble(&self, alias: &str) -> Option<String> {
        match self.read.get(alias)? {
            (None, _) => Some("its file has not been read".into()),
            (Some(_), list) => list.trouble(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::files::tests::Scratch;
    use super::*;

    #[test]
    fn files_are_copied_and_read_when_they_change() {
        let scratch = Scratch::new("lists");
        let (file, state) = (scratch.0.join("source.txt"), scratch.0.join("state"));
        fs::create_dir(&state).unwrap();
        let text = format!(
            "schema = 1\nrevision = 1\n[[node]]\nname = \"a\"\n[[node.port]]\nname = \"p\"\n\
             [[alias]]\nname = \"bad\"\ntype = \"urltable\"\nfile = \"{}\"\n",
            file.display()
        );
        let config = config::parse(&text).unwrap();
        let (mut copyist, mut lists) = (Copyist::default(), Lists::default());
        copyist.copy(Instant::ZERO, &text, &state);
        assert!(lists.apply(&config, &state), "it is known to be unknown");
        assert_eq!(lists.trouble("bad").unwrap(), "its file has not been read");
        fs::write(&file, "10.0.0.0/8\nx\n").unwrap();
        copyist.copy(Instant::ZERO, &text, &state);
        assert_eq!(copyist.deadline(), Some(Instant::from_secs(60)));
        assert!(lists.refresh(&state) && !lists.refresh(&state));
        assert_eq!(lists.ranges()["bad"].len(), 1);
        assert!(lists.trouble("bad").unwrap().contains("line 2"));
        fs::remove_file(&file).unwrap();
        copyist.copy(Instant::ZERO, &text, &state);
        assert!(!lists.refresh(&state), "the last copy stays");
        fs::write(&file, "10.0.0.0/8\n192.0.2.1\n").unwrap();
        File::open(&file).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        copyist.copy(Instant::ZERO, &text, &state);
        File::open(copy_of(&state, "bad")).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        assert!(lists.refresh(&state));
        assert_eq!((lists.ranges()["bad"].len(), lists.trouble("bad")), (2, None));
        assert!(!lists.apply(&config, &state), "the same document");
        let without = config::parse(text.split("[[alias]]").next().unwrap()).unwrap();
        assert!(lists.apply(&without, &state) && lists.ranges().is_empty(), "it is not asked for any more");
    }

    #[test]
    fn only_files_are_read() {
        let scratch = Scratch::new("lists-odd");
        let mut copyist = Copyist::default();
        assert!(copyist.copy_one(&scratch.0, &scratch.0.join("to")).is_err(), "a directory");
        assert!(copyist.copy_one(Path::new("/dev/zero"), &scratch.0.join("to")).is_err());
    }
}
