//! The last lines of this process's own log, for the page that shows them and for the peer. A router's begin with what its
//! parent has said of the one before.
//!
//! Invariant: bounded, in lines and in letters; whoever logs never waits for whoever reads longer than a copy takes.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt::{self, Write};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::clock;
use crate::services::log::date;

/// Lines that are kept.
const LINES: usize = 2000;
/// Bytes of the longest line.
pub const LINE: usize = 512;

/// A line.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Line {
    /// Milliseconds since 1970.
    pub at_ms: u64,
    /// `ERROR`, `WARN`, `INFO`, `DEBUG` or `TRACE`.
    pub level: Cow<'static, str>,
    /// What was said, and about what.
    pub text: String,
}

/// The lines, and how many there were in all.
struct Lines {
    kept: VecDeque<Line>,
    count: u64,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Line { at_ms, level, text } = self;
        write!(f, "{} {level:>5} {text}", date(*at_ms))
    }
}

static RING: Mutex<Lines> = Mutex::new(Lines { kept: VecDeque::new(), count: 0 });

/// Keeps what is logged.
pub struct Ring;

/// The lines that are kept, the newest first.
pub fn recent() -> Vec<Line> {
    RING.lock().unwrap_or_else(PoisonError::into_inner).kept.iter().rev().cloned().collect()
}

/// The lines behind the first `mark` ones, the oldest first and at most `limit`; how many there were with the last of them.
/// What is not kept any more is told in a line.
pub fn after(mark: u64, limit: usize) -> (Vec<Line>, u64) {
    RING.lock().unwrap_or_else(PoisonError::into_inner).after(mark, limit)
}

/// What somebody else has said before this process began to speak.
pub fn adopt(lines: Vec<Line>) {
    lines.into_iter().for_each(keep);
}

impl<S: Subscriber> Layer<S> for Ring {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut words = Words::default();
        event.record(&mut words);
        let mut text = words.message + &words.fields;
        shorten(&mut text);
        keep(Line { at_ms: clock::calendar_ms(), level: level(*event.metadata().level()).into(), text });
    }
}

/// To the longest line.
pub fn shorten(text: &mut String) {
    let mut end = text.len().min(LINE);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
}

fn keep(line: Line) {
    RING.lock().unwrap_or_else(PoisonError::into_inner).keep(line);
}

impl Lines {
    fn keep(&mut self, line: Line) {
        if self.kept.len() == LINES {
            self.kept.pop_front();
        }
        self.kept.push_back(line);
        self.count += 1;
    }

    fn after(&self, mark: u64, limit: usize) -> (Vec<Line>, u64) {
        let forgotten = self.count - self.kept.len() as u64;
        let first = mark.clamp(forgotten, self.count);
        let mut lines: Vec<Line> =
            self.kept.iter().skip((first - forgotten) as usize).take(limit).cloned().collect();
        let last = first + lines.len() as u64;
        if let Some(at_ms) = lines.first().map(|line| line.at_ms).filter(|_| mark < first) {
            let text = format!("{} lines before this one are not kept any more", first - mark);
            lines.insert(0, Line { at_ms, level: "WARN".into(), text });
        }
        (lines, last)
    }
}

fn level(level: Level) -> &'static str {
    match level {
        Level::ERROR => "ERROR",
        Level::WARN => "WARN",
        Level::INFO => "INFO",
        Level::DEBUG => "DEBUG",
        Level::TRACE => "TRACE",
    }
}

/// An event in words.
#[derive(Default)]
struct Words {
    message: String,
    fields: String,
}

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a String cannot fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[test]
    fn the_last_lines_are_kept_with_their_fields_and_bounded() {
        let subscriber = tracing_subscriber::fmt().with_writer(std::io::sink).finish().with(Ring);
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(port = "wan", "the device is gone");
            tracing::debug!("below the level");
            for _ in 0..LINES {
                tracing::info!(number = 7, "{}", "ä".repeat(LINE));
            }
            tracing::error!("the last one");
        });
        let lines = recent();
        assert_eq!(lines.len(), LINES);
        let last = lines.iter().find(|line| line.text == "the last one").unwrap();
        assert_eq!(last.level, "ERROR");
        assert!(lines.iter().all(|line| line.text.len() <= LINE && line.level != "DEBUG"));
    }

    #[test]
    fn whoever_comes_again_hears_what_is_new_and_how_much_was_missed() {
        let mut lines = Lines { kept: VecDeque::new(), count: 0 };
        let line = |number: u64| Line { at_ms: number, level: "INFO".into(), text: number.to_string() };
        let texts = |(lines, mark): (Vec<Line>, u64)| {
            (lines.into_iter().map(|line| line.text).collect::<Vec<_>>().join(" "), mark)
        };
        assert_eq!(texts(lines.after(0, 9)), (String::new(), 0));
        (1..=5).for_each(|number| lines.keep(line(number)));
        assert_eq!(texts(lines.after(0, 3)), ("1 2 3".into(), 3));
        assert_eq!(texts(lines.after(3, 9)), ("4 5".into(), 5));
        assert_eq!(texts(lines.after(5, 9)), (String::new(), 5));
        assert_eq!(texts(lines.after(99, 9)), (String::new(), 5), "a mark of another life");
        (6..=LINES as u64 + 10).for_each(|number| lines.keep(line(number)));
        let (heard, mark) = texts(lines.after(5, 2));
        assert_eq!((heard.as_str(), mark), ("5 lines before this one are not kept any more 11 12", 12));
    }
}
