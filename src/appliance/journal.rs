//! The log of the machine: what its processes say, in a few files of bounded size on the configuration partition.
//!
//! What warns is flushed to the disk at once (not more than once in a while), so that the log explains a crash.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::io::rotated::{self, Rotated};
use crate::types::{Duration, Instant};

/// Name of the present file; older ones have a number behind it.
const NAME: &str = "koi.log";
/// Bytes after which a new file is begun, and how many there are.
const SIZE: u64 = 512 << 10;
const COUNT: u8 = 4;
/// The disk is asked to flush this often at most.
const FLUSH: Duration = Duration::from_secs(1);
/// The longest line.
const LINE: usize = 4096;

/// See the module.
#[derive(Debug)]
pub struct Journal {
    directory: PathBuf,
    file: Rotated,
    flushed: Instant,
    /// Something is not on the disk yet that should be.
    urgent: bool,
    /// Lines that could not be written.
    pub lost: u64,
    /// What has come of a line that is not whole yet.
    rest: Vec<u8>,
}

impl Journal {
    /// Files in this directory, which is made when there is something to write.
    pub fn new(directory: &Path) -> Journal {
        Journal {
            directory: directory.into(),
            file: Rotated::new(directory, NAME),
            flushed: Instant::ZERO,
            urgent: false,
            lost: 0,
            rest: Vec::new(),
        }
    }

    /// Takes what a process has said; gives the whole lines.
    pub fn take(&mut self, now: Instant, bytes: &[u8]) -> Vec<String> {
        self.rest.extend_from_slice(bytes);
        let mut lines = Vec::new();
        while let Some(end) = self.rest.iter().position(|&byte| byte == b'\n').or_else(|| self.too_long()) {
            let line: Vec<u8> = self.rest.drain(..=end.min(self.rest.len() - 1)).collect();
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            self.write(now, &line);
            lines.push(line);
        }
        lines
    }

    fn too_long(&self) -> Option<usize> {
        (self.rest.len() >= LINE).then_some(LINE - 1)
    }

    /// Writes a line. What cannot be written is counted.
    pub fn write(&mut self, now: Instant, line: &str) {
        self.urgent |= ["WARN", "ERROR", "koi: "].iter().any(|word| line.contains(word));
        if self.append(line).is_err() {
            self.lost += 1;
        }
        self.flush(now);
    }

    /// When something is to be flushed.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.urgent.then_some(self.flushed + FLUSH)
    }

    /// Flushes what is urgent, when it is time.
    pub fn flush(&mut self, now: Instant) {
        if self.urgent && now >= self.flushed + FLUSH {
            (self.urgent, self.flushed) = (false, now);
            self.file.flush();
        }
    }

    /// Lets go of the file.
    pub fn close(&mut self) {
        self.file.close();
    }

    fn append(&mut self, line: &str) -> io::Result<()> {
        if !self.file.is_open() {
            fs::create_dir_all(&self.directory)?;
        }
        if !self.file.fits(line.len() + 1, SIZE) {
            // The old one is not looked after any more.
            self.file.flush();
        }
        self.file.append(format!("{line}\n").as_bytes(), SIZE, COUNT)
    }
}

/// The last lines of the log in this directory.
pub fn tail(directory: &Path, lines: usize) -> Vec<String> {
    let text = rotated::read_latest(directory, NAME);
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].iter().map(|line| (*line).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("koi-journal-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        path
    }

    #[test]
    fn lines_are_whole_and_files_bounded() {
        let directory = scratch("bounded");
        let mut journal = Journal::new(&directory);
        let now = Instant::from_secs(5);
        assert!(journal.take(now, b"half").is_empty());
        assert_eq!(journal.take(now, b" a line\nand\n"), ["half a line", "and"]);
        assert_eq!(tail(&directory, 1), ["and"]);
        for number in 0..40_000 {
            journal.write(now, &format!("{number:0>99}"));
        }
        let files: Vec<_> = fs::read_dir(&directory).unwrap().flatten().collect();
        assert_eq!(files.len(), usize::from(COUNT));
        assert!(files.iter().all(|file| file.metadata().unwrap().len() <= SIZE + 200));
        assert!(tail(&directory, 3)[2].ends_with("39999"));
        assert_eq!(journal.take(now, &[b'x'; 3 * LINE]).len(), 3, "no line is endless");
        let _ = fs::remove_dir_all(&directory);
    }

    #[test]
    fn what_warns_is_flushed_soon_and_a_lost_disk_is_counted() {
        let directory = scratch("urgent");
        let mut journal = Journal::new(&directory);
        let now = Instant::from_secs(5);
        journal.write(now, "2026 WARN something");
        assert_eq!(journal.poll_timeout(), None, "it was flushed");
        journal.write(now, "2026 ERROR more");
        assert_eq!(journal.poll_timeout(), Some(now + FLUSH));
        journal.flush(now + FLUSH);
        assert_eq!(journal.poll_timeout(), None);
        let _ = fs::remove_dir_all(&directory);
        let mut nowhere = Journal::new(Path::new("/proc/no/such"));
        nowhere.write(now, "x");
        assert_eq!(nowhere.lost, 1);
    }
}
