//! Logs: lines for people or JSON, on standard error, and the last of them in memory.

use std::io::{self, IsTerminal};

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::log_ring::Ring;

/// The variable that chooses how much is logged: `error`, `warn`, `info`, `debug` or `trace`.
pub const LEVEL_VARIABLE: &str = "KOI_LOG";

/// How a log line looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl Format {
    /// The word that the command line takes.
    pub const fn name(self) -> &'static str {
        match self {
            Format::Text => "text",
            Format::Json => "json",
        }
    }
}

/// Starts logging. Only the first call in a process has an effect.
pub fn start(format: Format) {
    let wanted = std::env::var(LEVEL_VARIABLE).ok().and_then(|word| word.parse().ok());
    let builder = tracing_subscriber::fmt()
        .with_max_level(wanted.unwrap_or(LevelFilter::INFO))
        .with_writer(io::stderr)
        .with_target(false);
    // An error says that logging has been started already.
    let _ = match format {
        Format::Text => builder.with_ansi(io::stderr().is_terminal()).finish().with(Ring).try_init(),
        Format::Json => builder.json().flatten_event(true).finish().with(Ring).try_init(),
    };
}
