//! What is wrong with a document, where, and what to do about it.

use std::fmt;

use serde::Serialize;

/// One thing that is wrong with a document.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Problem {
    /// Where: `rule[2].destination`, lists counted from zero. Empty when the text is not TOML at all.
    pub path: String,
    /// Line in the text, from one, when there is a text.
    pub line: Option<usize>,
    /// Column in that line, in characters from one.
    pub column: Option<usize>,
    /// What is wrong: a plain sentence.
    pub message: String,
    /// What to do: a plain sentence.
    pub remedy: String,
}

impl Problem {
    /// A problem whose line is not known (yet).
    pub fn new(path: impl Into<String>, message: impl Into<String>, remedy: impl Into<String>) -> Problem {
        Problem {
            path: path.into(),
            line: None,
            column: None,
            message: message.into(),
            remedy: remedy.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Problem { path, line, column, message, remedy } = self;
        if let Some(line) = line {
            write!(f, "line {line}")?;
            if let Some(column) = column {
                write!(f, ", column {column}")?;
            }
            f.write_str(": ")?;
        }
        if !path.is_empty() {
            write!(f, "{path}: ")?;
        }
        write!(f, "{message} {remedy}")
    }
}

impl std::error::Error for Problem {}
