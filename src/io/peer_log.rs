//! What the peer's log said, kept by this node: the peer may run from memory, or have no disk any more.
//!
//! Invariant: bounded in size, whatever the peer sends; nothing in it is believed but shown.

use std::io;
use std::path::Path;

use super::log_ring::{self, Line};
use super::rotated::{self, Rotated};

/// The present file in the state directory; the one before has a number behind it. A line of JSON for each.
pub const NAME: &str = "peer.log";
/// Bytes of a file, and how many there are.
const SIZE: u64 = 256 << 10;
const COUNT: u8 = 2;
/// Lines in a parcel.
pub const LINES: usize = 100;
/// The longest parcel that is read.
const PARCEL: usize = 256 << 10;
/// What a line may call itself.
const LEVELS: [&str; 5] = ["ERROR", "WARN", "INFO", "DEBUG", "TRACE"];

/// Lines as they travel.
pub fn parcel(lines: &[Line]) -> Vec<u8> {
    // Numbers and texts always have a JSON form.
    serde_json::to_vec(lines).unwrap_or_default()
}

/// The lines of a parcel; none when it makes no sense.
fn lines(parcel: &[u8]) -> Vec<Line> {
    let sensible = parcel.len() <= PARCEL;
    let lines: Vec<Line> =
        sensible.then(|| serde_json::from_slice(parcel).ok()).flatten().unwrap_or_default();
    // One more: the line that says how many are missing.
    lines.into_iter().take(LINES + 1).map(plain).collect()
}

fn plain(line: Line) -> Line {
    let Line { at_ms, level, text } = line;
    let level = LEVELS.into_iter().find(|known| *known == level).unwrap_or("INFO").into();
    let mut text: String =
        text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    log_ring::shorten(&mut text);
    Line { at_ms, level, text }
}

/// The files.
pub struct PeerLog {
    file: Rotated,
    /// What was wrong last; it is told once.
    trouble: Option<io::ErrorKind>,
}

impl PeerLog {
    /// In this directory.
    pub fn new(directory: &Path) -> PeerLog {
        PeerLog { file: Rotated::new(directory, NAME), trouble: None }
    }

    /// Writes what the peer has sent. What cannot be written is lost, and the reason told once.
    pub fn write(&mut self, parcel: &[u8]) {
        let text: Vec<u8> = lines(parcel).iter().filter_map(|line| serde_json::to_vec(line).ok()).fold(
            Vec::new(),
            |mut text, line| {
                text.extend(line);
                text.push(b'\n');
                text
            },
        );
        if text.is_empty() {
            return;
        }
        match self.file.append(&text, SIZE, COUNT) {
            Ok(()) => self.trouble = None,
            Err(error) => {
                if self.trouble.replace(error.kind()) != Some(error.kind()) {
                    tracing::warn!(%error, "the peer's log cannot be written");
                }
            }
        }
    }
}

/// The last lines, the latest last.
pub fn tail(directory: &Path, limit: usize) -> Vec<Line> {
    let text = rotated::read_latest(directory, NAME);
    // A line that was cut is none.
    let all: Vec<Line> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    all[all.len().saturating_sub(limit)..].to_vec()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::files::tests::Scratch;
    use super::*;

    fn line(number: u64, text: &str) -> Line {
        Line { at_ms: number, level: "WARN".into(), text: text.into() }
    }

    #[test]
    fn what_the_peer_says_is_kept_in_order_and_bounded() {
        let scratch = Scratch::new("peer-log");
        let mut log = PeerLog::new(&scratch.0);
        assert!(tail(&scratch.0, 5).is_empty());
        for number in 0..20_u64 {
            let some: Vec<Line> =
                (0..LINES as u64).map(|at| line(number * 100 + at, &"x".repeat(400))).collect();
            log.write(&parcel(&some));
        }
        let shown = tail(&scratch.0, 3);
        assert_eq!(shown.iter().map(|line| line.at_ms).collect::<Vec<_>>(), [1997, 1998, 1999]);
        let all = tail(&scratch.0, usize::MAX);
        assert!(all.windows(2).all(|two| two[0].at_ms + 1 == two[1].at_ms) && all.len() < 1500);
        let files: Vec<_> = fs::read_dir(&scratch.0).unwrap().flatten().collect();
        assert_eq!(files.len(), usize::from(COUNT));
        assert!(files.iter().all(|file| file.metadata().unwrap().len() <= SIZE));
    }

    #[test]
    fn a_peer_that_sends_nonsense_leaves_short_plain_lines_or_nothing() {
        let scratch = Scratch::new("peer-log-nonsense");
        let mut log = PeerLog::new(&scratch.0);
        for nonsense in [&b""[..], b"{}", b"[1]", b"\xff", &vec![b'['; PARCEL + 1]] {
            log.write(nonsense);
        }
        assert!(!scratch.0.join(NAME).exists());
        let odd =
            Line { at_ms: 1, level: "<b>".into(), text: format!("a\n\x1b[31m{}", "\u{e4}".repeat(900)) };
        log.write(&parcel(&vec![odd; LINES + 20]));
        let kept = tail(&scratch.0, usize::MAX);
        assert_eq!(kept.len(), LINES + 1);
        assert_eq!(kept[0].level, "INFO");
        assert!(kept[0].text.starts_with("a  [31m\u{e4}") && kept[0].text.len() <= log_ring::LINE);
        fs::write(scratch.0.join(NAME), "{\"at_ms\":1,\"level\":\"INFO\",\"text\":\"whole\"}\n{\"at_")
            .unwrap();
        assert_eq!(tail(&scratch.0, 9).len(), 1, "the power failed while it was written");
    }
}
