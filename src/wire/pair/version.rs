//! Which release of the pair's protocols a node speaks, and what two nodes speak with each other.
//!
//! A node announces its own release in every heartbeat, knows the one before it, and says to its peer only what both
//! know. A peer that has not been heard yet is taken for the oldest. So nobody has to skip what it does not know: it is
//! never told, and what comes all the same is refused.

use std::fmt;

/// A release of the pair's protocols; the greater one is newer.
///
/// 1. Heartbeats, the states of flows, resignations.
/// 2. In addition: digests, relayed packets, parcels, and what is built on them: the shared configuration, releases, keys;
///    overload tables and the root of SYN cookies; the standby's own packets.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Version(pub u16);

impl Version {
    /// What this program speaks by itself.
    pub const NEWEST: Version = Version(2);
    /// What it speaks with the release before it.
    pub const OLDEST: Version = Version(1);

    /// What two nodes speak with each other; `None` when they cannot.
    pub fn with(self, peer: Version) -> Option<Version> {
        let (older, newer) = (self.min(peer), self.max(peer));
        (newer.0 - older.0 <= Version::NEWEST.0 - Version::OLDEST.0 && older >= Version::OLDEST)
            .then_some(older)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_in_time_speak_the_older_ones_release() {
        for (own, peer, both) in [(2, 2, Some(2)), (2, 1, Some(1)), (1, 2, Some(1)), (1, 1, Some(1))] {
            assert_eq!(Version(own).with(Version(peer)), both.map(Version), "{own} {peer}");
        }
        // One that comes next knows us; two ahead, or before the first, nobody promises anything.
        assert_eq!(Version(2).with(Version(3)), Some(Version(2)));
        for (own, peer) in [(2, 0), (2, 4), (0, 0), (1, u16::MAX)] {
            assert_eq!(Version(own).with(Version(peer)), None, "{own} {peer}");
        }
    }
}
