//! Whether the pair could fail over now: a fact that follows from others, and an alarm when it changes.
//!
//! A pair that cannot fail over must not look healthy.

use std::fmt;

use serde::Serialize;

/// Something that a fail-over would need.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Lack {
    /// The peer is not heard on any path.
    PeerSilent,
    /// There is no session with the peer.
    NoSession,
    /// The sync port does not carry.
    SyncDown,
    /// The standby has not all states.
    NotSynced,
    /// The standby is less healthy than the active.
    StandbyUnwell,
    /// The two nodes speak versions that do not go together.
    VersionsDiffer,
    /// The two nodes have different documents.
    ConfigurationsDiffer,
    /// A node is in maintenance.
    Maintenance,
    /// This node is disabled.
    Disabled,
    /// No node is active.
    NobodyActive,
}

impl Lack {
    /// Each, the gravest first.
    pub(super) const ALL: [Lack; 10] = [
        Lack::PeerSilent,
        Lack::NoSession,
        Lack::SyncDown,
        Lack::NotSynced,
        Lack::StandbyUnwell,
        Lack::VersionsDiffer,
        Lack::ConfigurationsDiffer,
        Lack::Maintenance,
        Lack::Disabled,
        Lack::NobodyActive,
    ];

    /// As people read it.
    pub const fn words(self) -> &'static str {
        match self {
            Lack::PeerSilent => "the peer is not heard",
            Lack::NoSession => "there is no session with the peer",
            Lack::SyncDown => "the sync port does not carry",
            Lack::NotSynced => "the standby has not all states",
            Lack::StandbyUnwell => "the standby is less healthy than the active",
            Lack::VersionsDiffer => "the versions do not go together",
            Lack::ConfigurationsDiffer => "the configurations differ",
            Lack::Maintenance => "a node is in maintenance",
            Lack::Disabled => "this node is disabled",
            Lack::NobodyActive => "no node is active",
        }
    }
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

/// What is lacking; redundant when nothing is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Redundancy(u16);

impl Redundancy {
    /// Lacking those of [`Lack`] for which `lacks` holds.
    pub(super) fn from(lacks: impl Fn(Lack) -> bool) -> Self {
        let bits = Lack::ALL.iter().enumerate().filter(|(_, lack)| lacks(**lack));
        Redundancy(bits.fold(0, |bits, (index, _)| bits | 1 << index))
    }

    /// The pair could fail over now, and nobody would notice.
    pub fn is_full(self) -> bool {
        self.0 == 0
    }

    /// What is lacking, the gravest first.
    pub fn lacks(self) -> impl Iterator<Item = Lack> {
        Lack::ALL
            .into_iter()
            .enumerate()
            .filter(move |(index, _)| self.0 & 1 << index != 0)
            .map(|(_, lack)| lack)
    }
}

impl fmt::Display for Redundancy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_full() {
            return f.write_str("redundant");
        }
        f.write_str("no redundancy: ")?;
        for (number, lack) in self.lacks().enumerate() {
            let comma = if number > 0 { ", " } else { "" };
            write!(f, "{comma}{lack}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lacks_are_told_in_order() {
        let some = Redundancy::from(|lack| matches!(lack, Lack::NotSynced | Lack::PeerSilent));
        assert_eq!(some.lacks().collect::<Vec<_>>(), [Lack::PeerSilent, Lack::NotSynced]);
        assert_eq!(some.to_string(), "no redundancy: the peer is not heard, the standby has not all states");
        assert!(Redundancy::from(|_| false).is_full());
        assert_eq!(Redundancy::from(|_| true).lacks().count(), Lack::ALL.len());
    }
}
