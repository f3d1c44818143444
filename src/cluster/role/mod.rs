//! Who serves: heartbeat, lease, fence and election, as one engine without a clock.
//!
//! [`Elector`] is told what is heard and gives heartbeats to send. The rules that keep two nodes from serving at the
//! same time are these, and each stands where it is applied:
//!
//! * A lease begins with a heartbeat and is shorter than the silence after which the peer takes over ([`LEASE`],
//!   [`DEAD`]). So while one path carries every heartbeat within the difference, a node that stops, for any reason,
//!   has lost its lease before the other one leads.
//! * Nobody takes a role that is not known to be free. Whoever wants it and is not given it raises the epoch **as a
//!   standby** (a claim) and waits until the peer is heard to have stepped down.
//! * What a node does because of something heard is done only while the peer is known to have heard what this node
//!   says of itself at present (the echo in its heartbeats).
//! * Steps down are made at once, in whatever verb learns the reason; steps up in [`Elector::handle_timeout`] alone.
//!   The caller reads what there is, says so ([`Elector::handle_drained`]), and then calls it: so a node that comes
//!   back from a stall acts on the last word, not on the first one in its queue.
//!
//! After each verb the caller publishes [`Elector::standing`] **before** it sends what the outbox holds.

mod counters;
mod decide;
mod elector;
mod handover;
mod health;
mod lateness;
mod lease;
mod paths;
mod redundancy;
mod request;
mod snapshot;
mod timeline;

#[cfg(test)]
mod tests;

pub use counters::RoleCounters;
pub use elector::{Elector, RoleConfig};
pub use handover::CEDE;
pub use redundancy::{Lack, Redundancy};
pub use request::{Refusal, Request};
pub use snapshot::{ConditionRow, PathRow, PeerRow, RoleSnapshot, TransitionRow};
pub use timeline::{Cause, Transition};

use std::fmt;

use crate::types::{Duration, Epoch, Instant, NodeId, PathId, Role};
use crate::wire::pair::Heartbeat;

/// A heartbeat goes out on every path this often.
pub const INTERVAL: Duration = Duration::from_millis(10);
/// Silence on all paths for three intervals, plus what the nodes' own lateness explains, is death.
pub const DEAD: Duration = Duration::from_millis(30);
/// Lateness explains at most this much silence.
pub const WIDEST: Duration = Duration::from_millis(400);
/// A lease runs this long from its renewal.
pub const LEASE: Duration = Duration::from_millis(25);
/// A node that finds itself alone at its start listens this long.
pub const LISTEN: Duration = Duration::from_secs(3);

/// What the elector says.
#[derive(Debug, Default)]
pub struct RoleOutbox {
    /// Heartbeats to seal and send.
    pub heartbeats: Vec<(PathId, Heartbeat)>,
    /// What an operator, or the rest of the node, should know.
    pub events: Vec<Event>,
    /// The role that the node has now, if it changed.
    pub became: Option<Role>,
    /// A new handshake is needed before anything more is sealed.
    pub renew_session: bool,
}

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// The role changed.
    Became(Transition),
    /// The lease lapsed: the node had not run, or not spoken, for this long. It serves nobody until it knows more.
    Fenced {
        /// Since the last renewal.
        after: Duration,
    },
    /// The fence is lifted: nobody had taken over.
    Unfenced,
    /// The peer is heard again, or no longer.
    Peer {
        /// It is heard.
        alive: bool,
    },
    /// Heartbeats come on a path again, or no longer. A path whose link is up and that is silent while others carry
    /// is a reason to ask who else is still there.
    Path {
        /// Which.
        path: PathId,
        /// They come.
        carries: bool,
    },
    /// What a fail-over would lack is not what it was.
    Redundancy(Redundancy),
    /// The other node's resignation, or its parent's, is of an epoch that is over.
    StaleResignation {
        /// Its epoch.
        epoch: Epoch,
    },
    /// The role is given away at once, since a handover is not possible: what comes until the other node serves is lost.
    Abrupt {
        /// Why it is not.
        refusal: Refusal,
    },
    /// A request was not followed.
    Refused {
        /// What was asked.
        request: Request,
        /// Why not.
        refusal: Refusal,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Became(Transition { at: _, from, to, epoch, cause }) => {
                write!(f, "{} (was {}), epoch {epoch}: {cause}", to.name(), from.name())
            }
            Event::Fenced { after } => write!(f, "the lease lapsed after {} ms", after.as_millis()),
            Event::Unfenced => f.write_str("the lease is back: nobody had taken over"),
            Event::Peer { alive: true } => f.write_str("the peer is heard"),
            Event::Peer { alive: false } => f.write_str("the peer is silent on every path"),
            Event::Path { path, carries: true } => write!(f, "path {} carries", path.0),
            Event::Path { path, carries: false } => write!(f, "path {} is silent", path.0),
            Event::Redundancy(redundancy) => write!(f, "{redundancy}"),
            Event::StaleResignation { epoch } => write!(f, "ignored a resignation of epoch {epoch}"),
            Event::Abrupt { refusal } => write!(f, "gives the role away without a handover: {refusal}"),
            Event::Refused { request, refusal } => write!(f, "cannot {request}: {refusal}"),
        }
    }
}

/// Why [`Elector::handle_timeout`] wants to be called.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Why {
    /// The next heartbeat is due.
    Heartbeat,
    /// The peer will have been silent for the dead time.
    Silence,
    /// Something heard may change the role.
    Heard,
    /// A condition will have held long enough.
    Held,
}

/// Who wins between two nodes that are alike: preference, then the number.
fn precedes(own: (u8, NodeId), other: (u8, NodeId)) -> bool {
    own > other
}

/// For timers that count since when something holds.
#[derive(Clone, Copy, Debug, Default)]
struct Since(Option<Instant>);

impl Since {
    fn update(&mut self, now: Instant, holds: bool) {
        self.0 = if holds { self.0.or(Some(now)) } else { None };
    }

    fn due(&self, after: Duration) -> Option<Instant> {
        self.0.map(|since| since + after)
    }

    fn has_held(&self, now: Instant, after: Duration) -> bool {
        self.due(after).is_some_and(|due| due <= now)
    }
}
