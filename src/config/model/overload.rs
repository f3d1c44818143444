//! What becomes of sources that make connections too fast.

use serde::{Deserialize, Serialize};

/// So many connections in so many seconds, written `15/5`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SourceRate {
    /// Connections.
    pub count: u32,
    /// Seconds.
    pub seconds: u32,
}

impl TryFrom<String> for SourceRate {
    type Error = String;

    fn try_from(text: String) -> Result<SourceRate, String> {
        let number = |part: &str| part.trim().parse::<u32>().ok().filter(|number| *number > 0);
        let (count, seconds) = text.split_once('/').ok_or("a rate is a number and seconds, as in 15/5")?;
        match (number(count), number(seconds)) {
            (Some(count), Some(seconds)) => Ok(SourceRate { count, seconds }),
            (Some(_) | None, Some(_) | None) => Err(format!("\"{text}\" is no rate such as 15/5")),
        }
    }
}

impl From<SourceRate> for String {
    fn from(rate: SourceRate) -> String {
        format!("{}/{}", rate.count, rate.seconds)
    }
}

/// What happens to the flows that a source has when it gets into an overload table.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Flush {
    /// They go on.
    #[default]
    None,
    /// Those of the same rule end (pf's `flush`).
    Rule,
    /// All of them end (`flush global`, as pfSense has it).
    All,
}
