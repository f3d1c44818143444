//! The firewall log on disk: a line of JSON for each record, in files that are begun anew when they are full.

use std::io;
use std::path::Path;

use super::rotated::Rotated;
use crate::config::model::Logging;
use crate::services::log::LogRow;

/// Name of the present file; older ones have a number behind it.
const NAME: &str = "filter.log";

/// The files.
pub struct LogFile {
    file: Rotated,
    /// Bytes after which a new one is begun.
    limit: u64,
    count: u8,
    /// Records that could not be written.
    pub lost: u64,
    /// What was wrong last; it is told once.
    trouble: Option<io::ErrorKind>,
}

impl LogFile {
    /// Files in this directory, opened when there is something to write.
    pub fn new(directory: &Path) -> Self {
        let Logging { file_size, file_count, .. } = Logging::default();
        LogFile {
            file: Rotated::new(directory, NAME),
            limit: file_size.into(),
            count: file_count,
            lost: 0,
            trouble: None,
        }
    }

    /// Of this size, and so many of them, from now on.
    pub fn apply(&mut self, logging: &Logging) {
        (self.limit, self.count) = (logging.file_size.into(), logging.file_count);
    }

    /// Writes records. What cannot be written is counted, and the reason told once.
    pub fn write(&mut self, rows: &[LogRow]) {
        if rows.is_empty() {
            return;
        }
        let mut text = Vec::new();
        for row in rows {
            // A row of texts and numbers always has a JSON form.
            if serde_json::to_writer(&mut text, row).is_ok() {
                text.push(b'\n');
            }
        }
        match self.file.append(&text, self.limit, self.count) {
            Ok(()) => self.trouble = None,
            Err(error) => {
                self.lost += rows.len() as u64;
                if self.trouble.replace(error.kind()) != Some(error.kind()) {
                    tracing::warn!(%error, "the firewall log cannot be written");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::files::tests::Scratch;
    use super::*;

    fn rows(first: u64, count: u64) -> Vec<LogRow> {
        (first..first + count).map(|id| LogRow { id, ..LogRow::default() }).collect()
    }

    /// The numbers of the records in a file.
    fn ids(path: &Path) -> Vec<u64> {
        let text = fs::read_to_string(path).unwrap();
        text.lines().map(|line| serde_json::from_str::<LogRow>(line).unwrap().id).collect()
    }

    #[test]
    fn files_are_bounded_in_size_and_number() {
        let scratch = Scratch::new("log-file");
        let mut log = LogFile::new(&scratch.0);
        log.apply(&Logging { file_size: 1000, file_count: 3, ..Logging::default() });
        for id in 1..=30 {
            log.write(&rows(id, 1));
        }
        let names = ["filter.log", "filter.log.1", "filter.log.2"].map(|name| scratch.0.join(name));
        assert_eq!(fs::read_dir(&scratch.0).unwrap().count(), 3);
        assert!(names.iter().all(|path| fs::metadata(path).unwrap().len() <= 1000));
        let all: Vec<u64> = names.iter().rev().flat_map(|path| ids(path)).collect();
        let expected: Vec<u64> = (31 - all.len() as u64..=30).collect();
        assert_eq!(all, expected, "in order, the oldest gone");
        log.apply(&Logging { file_size: 1000, file_count: 1, ..Logging::default() });
        log.write(&rows(31, 3));
        log.write(&rows(34, 3));
        assert_eq!(fs::read_dir(&scratch.0).unwrap().count(), 1);
        assert_eq!(log.lost, 0);
    }

    #[test]
    fn a_restart_goes_on_where_it_was_and_a_lost_directory_is_counted() {
        let scratch = Scratch::new("log-file-again");
        LogFile::new(&scratch.0).write(&rows(1, 2));
        LogFile::new(&scratch.0).write(&rows(3, 1));
        assert_eq!(ids(&scratch.0.join(NAME)), [1, 2, 3]);
        let mut log = LogFile::new(&scratch.0.join("nowhere"));
        log.write(&rows(1, 5));
        assert_eq!(log.lost, 5);
    }
}
