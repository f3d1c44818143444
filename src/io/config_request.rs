//! What can be asked of the configuration, and what comes back.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::config::diff::Row;
use crate::config::life::{Author, Record};
use crate::node::Finding;

/// Which text.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Version {
    /// The one in force.
    Running,
    /// What somebody is working on; the one in force when there is none.
    Candidate,
    /// A revision of the history: its number or its label.
    Revision(String),
    /// A version that lost against the peer's: its number.
    Conflict(u64),
}

impl FromStr for Version {
    type Err = String;

    /// `running`, `candidate`, `conflict:NUMBER`; anything else is a revision's number or label.
    fn from_str(text: &str) -> Result<Version, String> {
        Ok(match text {
            "running" => Version::Running,
            "candidate" => Version::Candidate,
            other => match other.strip_prefix("conflict:") {
                Some(number) => Version::Conflict(number.parse().map_err(|_| "conflict: wants a number")?),
                None => Version::Revision(other.into()),
            },
        })
    }
}

/// How a change is confirmed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Confirmation {
    /// When it could lock somebody out.
    #[default]
    WhenRisky,
    /// Not at all.
    Never,
    /// Within so many seconds.
    Seconds(u64),
}

/// A question about the configuration, or a change of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConfigRequest {
    /// How it stands; answered by [`ConfigAnswer::Standing`].
    Standing,
    /// A text; answered by [`ConfigAnswer::Text`].
    Show {
        /// Which.
        version: Version,
        /// With its secrets.
        secrets: bool,
    },
    /// The candidate is this text from now on; answered by [`ConfigAnswer::Difference`].
    Save {
        /// The text, in which a masked secret stands for the one in force.
        text: String,
        /// Revision and hash that the edit was based on; one that is not in force is refused.
        base: Option<(u64, String)>,
        /// Who.
        author: Author,
    },
    /// One value of the candidate is another one; answered by [`ConfigAnswer::Difference`].
    Set {
        /// Where, as in `rule[1000010].log`.
        path: String,
        /// What, as TOML or as a text.
        value: String,
        /// Who.
        author: Author,
    },
    /// The candidate, or one change of it, is thrown away; answered by [`ConfigAnswer::Difference`].
    Discard {
        /// The number of the change.
        change: Option<usize>,
    },
    /// What is different; answered by [`ConfigAnswer::Difference`].
    Diff {
        /// Before.
        from: Version,
        /// After.
        to: Version,
    },
    /// A version comes into force; answered by [`ConfigAnswer::Applied`].
    Apply {
        /// Which.
        version: Version,
        /// Confirmed how.
        confirmation: Confirmation,
        /// Why.
        why: String,
        /// Who.
        author: Author,
    },
    /// A user has shown the password that another firewall's hash stands for: Koi's own takes its place, in force at once;
    /// answered by [`ConfigAnswer::Applied`].
    KeepPassword {
        /// Of Argon2id.
        hash: String,
        /// The user.
        author: Author,
    },
    /// The change that waits stays; answered by [`ConfigAnswer::Standing`].
    Confirm,
    /// The change that waits goes back at once; answered by [`ConfigAnswer::Applied`].
    Rollback {
        /// Who.
        author: Author,
    },
    /// The history, newest last; answered by [`ConfigAnswer::History`].
    History,
    /// A revision gets a name; answered by [`ConfigAnswer::History`].
    Label {
        /// Its number.
        revision: String,
        /// The name.
        label: String,
    },
    /// Versions that lost against the peer's; answered by [`ConfigAnswer::History`].
    Conflicts,
}

/// How the configuration stands.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Standing {
    /// The revision in force.
    pub revision: u64,
    /// Its hash.
    pub hash: String,
    /// Somebody is working on a candidate.
    pub candidate: Option<Author>,
    /// The candidate was based on another revision than the one in force.
    pub stale: bool,
    /// Seconds that are left to confirm what is in force.
    pub confirm_within: Option<u64>,
    /// Revisions that the peer has not seen: the first and the last.
    pub unseen: Option<(u64, u64)>,
    /// Versions that lost against the peer's.
    pub conflicts: usize,
    /// What the pair says of itself, when this node belongs to one.
    pub pair: Option<String>,
}

impl Standing {
    /// What somebody should know of who looks at the pair.
    pub fn findings(&self) -> Vec<Finding> {
        let Standing {
            revision,
            confirm_within,
            unseen,
            conflicts,
            hash: _,
            candidate: _,
            stale: _,
            pair: _,
        } = self;
        let waits = confirm_within.map(|seconds| Finding {
            what: format!("Revision {revision} of the configuration goes back by itself in {seconds} s."),
            remedy: "Run `koi config confirm` on either node to keep it.".into(),
        });
        let missed = unseen.map(|(first, last)| Finding {
            what: match first == last {
                true => format!("The peer has not seen revision {last} of the configuration."),
                false => format!("The peer has not seen revisions {first} to {last} of the configuration."),
            },
            remedy: "It is told when it returns; see `koi config history`.".into(),
        });
        let lost = (*conflicts > 0).then(|| Finding {
            what: format!(
                "Both nodes were changed while they could not speak; {conflicts} versions of this node lost."
            ),
            remedy: "See `koi config conflicts` and `koi config diff running conflict:NUMBER`.".into(),
        });
        waits.into_iter().chain(missed).chain(lost).collect()
    }
}

/// What comes back.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConfigAnswer {
    /// How it stands.
    Standing(Standing),
    /// A text.
    Text {
        /// The text.
        text: String,
        /// What an edit of it is based on.
        base: (u64, String),
    },
    /// What is different.
    Difference {
        /// In words.
        rows: Vec<Row>,
        /// In text; secrets are masked.
        text: String,
        /// What is wrong with the newer one.
        problems: Vec<String>,
    },
    /// It is in force.
    Applied {
        /// Its number.
        revision: u64,
        /// Its hash.
        hash: String,
        /// Seconds to confirm it.
        confirm_within: Option<u64>,
        /// What became of it on the peer.
        pair: Option<String>,
    },
    /// The document in force is not the one that the edit was based on.
    Stale {
        /// The revision in force.
        revision: u64,
        /// What has changed since.
        rows: Vec<Row>,
    },
    /// Revisions.
    History(Vec<Record>),
}
