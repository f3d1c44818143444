//! What became of the node's role, when and why: a bounded list for the operator.

use std::collections::VecDeque;
use std::fmt;

use serde::Serialize;

use crate::types::{Epoch, Instant, Role};

/// So many transitions are remembered.
const LENGTH: usize = 64;

/// Why a node's role changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The node started.
    Started,
    /// Nobody was heard while the node listened at its start.
    NobodyHeard,
    /// The peer was silent on every path for the dead time.
    PeerSilent,
    /// The peer's parent said that its router died.
    PeerDied,
    /// The peer handed over.
    PeerResigned,
    /// Neither node was active, and this is the better one.
    Vacant,
    /// This node was better, or preferred, and was not given the role: it asked the peer to step down, which it did.
    Claimed,
    /// The peer has a higher epoch.
    HigherEpoch,
    /// Both were active in one epoch, and the peer is preferred.
    Conflict,
    /// The peer is healthier.
    PeerHealthier,
    /// The preferred node is back, healthy and in sync.
    Preempted,
    /// Maintenance mode.
    Maintenance,
    /// Disabled by an operator.
    Disabled,
    /// Asked by an operator.
    Asked,
    /// The configuration makes, or ends, a pair.
    Configured,
}

impl Cause {
    /// As people read it.
    pub const fn words(self) -> &'static str {
        match self {
            Cause::Started => "started",
            Cause::NobodyHeard => "nobody was heard at the start",
            Cause::PeerSilent => "the peer was silent on every path",
            Cause::PeerDied => "the peer's router died",
            Cause::PeerResigned => "the peer handed over",
            Cause::Vacant => "neither node was active",
            Cause::Claimed => "the peer stepped down on demand",
            Cause::HigherEpoch => "the peer has a higher epoch",
            Cause::Conflict => "both were active and the peer is preferred",
            Cause::PeerHealthier => "the peer is healthier",
            Cause::Preempted => "the preferred node is back",
            Cause::Maintenance => "maintenance mode",
            Cause::Disabled => "disabled",
            Cause::Asked => "asked by an operator",
            Cause::Configured => "the configuration changed",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

/// One change of role.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Transition {
    /// When.
    pub at: Instant,
    /// The role before.
    pub from: Role,
    /// The role after.
    pub to: Role,
    /// The epoch after.
    pub epoch: Epoch,
    /// Why.
    pub cause: Cause,
}

/// The last transitions, the oldest first. It is never empty: it begins with the start.
#[derive(Clone, Debug)]
pub(super) struct Timeline {
    last: Transition,
    before: VecDeque<Transition>,
    /// Transitions that the bound has forgotten.
    pub forgotten: u64,
}

impl Timeline {
    pub fn new(first: Transition) -> Self {
        Timeline { last: first, before: VecDeque::with_capacity(LENGTH), forgotten: 0 }
    }

    pub fn push(&mut self, transition: Transition) {
        if self.before.len() == LENGTH - 1 {
            self.before.pop_front();
            self.forgotten += 1;
        }
        self.before.push_back(std::mem::replace(&mut self.last, transition));
    }

    pub fn last(&self) -> Transition {
        self.last
    }

    pub fn iter(&self) -> impl Iterator<Item = &Transition> {
        self.before.iter().chain([&self.last])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_bounded_and_says_what_it_forgot() {
        let at = |n| Transition {
            at: Instant::from_secs(n),
            from: Role::Standby,
            to: Role::Active,
            epoch: Epoch(n as u32),
            cause: Cause::PeerSilent,
        };
        let mut timeline = Timeline::new(at(0));
        (1..100).for_each(|n| timeline.push(at(n)));
        assert_eq!(timeline.iter().count(), LENGTH);
        assert_eq!(timeline.iter().next().map(|first| first.epoch), Some(Epoch(36)));
        assert_eq!((timeline.last().epoch, timeline.forgotten), (Epoch(99), 36));
    }
}
