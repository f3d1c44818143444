//! Words of the pair: who is who, and what the packet path may do at present.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Instant, MacAddr};

/// A node, by its public key: the first eight bytes of the key's hash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct NodeId(pub u64);

/// Counts the takeovers of a pair; whoever hears a higher one steps down.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Epoch(pub u32);

impl Epoch {
    /// The epoch of the next takeover.
    pub const fn next(self) -> Epoch {
        Epoch(self.0.saturating_add(1))
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A virtual host id of CARP, 1 to 255.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Vhid(pub u8);

impl Vhid {
    /// The virtual MAC address that follows from the id.
    pub const fn mac(self) -> MacAddr {
        MacAddr([0x00, 0x00, 0x5e, 0x00, 0x01, self.0])
    }
}

impl fmt::Display for Vhid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A way between the two nodes: 0 is the sync port, n + 1 the interface n.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct PathId(pub u8);

impl PathId {
    /// The sync port.
    pub const SYNC: PathId = PathId(0);
}

/// What a node is in its pair.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// There is no pair: it forwards whatever happens.
    #[default]
    Alone,
    /// It forwards and has the virtual addresses.
    Active,
    /// It is ready to.
    Standby,
}

impl Role {
    /// As people read it.
    pub const fn name(self) -> &'static str {
        match self {
            Role::Alone => "alone",
            Role::Active => "active",
            Role::Standby => "standby",
        }
    }
}

/// What a node that hands its role over still does for its successor.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Ceding {
    /// Nothing: it does not hand over.
    #[default]
    No,
    /// What it would have forwarded as the active node, it passes on to the other one.
    Relays,
    /// The same while the other one leads already: what is left in the ports.
    Drains,
}

/// What the packet path may do, read once a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Standing {
    /// The node's role.
    pub role: Role,
    /// The pair's epoch.
    pub epoch: Epoch,
    /// The end of the lease: from then on an active node does nothing more for others.
    pub until: Instant,
    /// A bit for each virtual IP, in the order of the document, that is shared with a foreign CARP speaker and MASTER
    /// here.
    pub foreign: u64,
    /// From then on those bits say nothing, since another may have taken over.
    pub foreign_until: Instant,
    /// What a standby that has just handed over still does.
    pub cedes: Ceding,
}

impl Standing {
    /// A node without a pair.
    pub const ALONE: Standing = Standing {
        role: Role::Alone,
        epoch: Epoch(0),
        until: Instant::ZERO,
        foreign: 0,
        foreign_until: Instant::ZERO,
        cedes: Ceding::No,
    };

    /// True when this node may forward and has the pair's virtual addresses at `now`.
    #[inline]
    pub fn leads(&self, now: Instant) -> bool {
        match self.role {
            Role::Alone => true,
            Role::Active => now < self.until,
            Role::Standby => false,
        }
    }

    /// True when this node has the virtual IP number `index` at `now`. One that is shared with a foreign speaker has
    /// its bit; a node that does nothing for others has neither kind.
    #[inline]
    pub fn answers(&self, now: Instant, index: u8, foreign: bool) -> bool {
        match foreign {
            true => now < self.foreign_until && self.foreign >> (index & 63) & 1 != 0,
            false => self.leads(now),
        }
    }
}
