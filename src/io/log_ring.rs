//! The last lines of this process's own log, for the page that shows them.
//!
//! Invariant: bounded, in lines and in letters; whoever logs never waits for whoever reads longer than a copy takes.

use std::collections::VecDeque;
use std::fmt::{self, Write};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::clock;

/// Lines that are kept.
const LINES: usize = 2000;
/// Bytes of the longest line.
const LINE: usize = 512;

/// A line.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Line {
    /// Milliseconds since 1970.
    pub at_ms: u64,
    /// `ERROR`, `WARN`, `INFO`, `DEBUG` or `TRACE`.
    pub level: &'static str,
    /// What was said, and about what.
    pub text: String,
}

static RING: Mutex<VecDeque<Line>> = Mutex::new(VecDeque::new());

/// Keeps what is logged.
pub struct Ring;

/// The lines that are kept, the newest first.
pub fn recent() -> Vec<Line> {
    RING.lock().unwrap_or_else(PoisonError::into_inner).iter().rev().cloned().collect()
}

impl<S: Subscriber> Layer<S> for Ring {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut words = Words::default();
        event.record(&mut words);
        let mut text = words.message + &words.fields;
        let mut end = text.len().min(LINE);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        keep(Line { at_ms: clock::calendar_ms(), level: level(*event.metadata().level()), text });
    }
}

fn keep(line: Line) {
    let mut ring = RING.lock().unwrap_or_else(PoisonError::into_inner);
    if ring.len() == LINES {
        ring.pop_front();
    }
    ring.push_back(line);
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
}
