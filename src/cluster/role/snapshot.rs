//! The elector as rows for people: `koi show pair`, the status page, the API.

use serde::Serialize;

use super::{Cause, Elector, INTERVAL, Lack, RoleCounters};
use crate::types::{Instant, Role};
use crate::wire::pair::Health;

/// What the node knows of its pair. Times are ages, in milliseconds.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct RoleSnapshot {
    /// This node's role.
    pub role: Role,
    /// It serves at this moment.
    pub leads: bool,
    /// Its lease lapsed and it does not yet know whether it may serve.
    pub fenced: bool,
    /// The pair's epoch.
    pub epoch: u32,
    /// It has had its role for so long.
    pub since_ms: u64,
    /// Why it has it.
    pub cause: Cause,
    /// The same in words.
    pub why: &'static str,
    /// Maintenance mode.
    pub maintenance: bool,
    /// Disabled by an operator.
    pub disabled: bool,
    /// Still listening, after the start, for so long.
    pub listens_ms: Option<u64>,
    /// A session with the peer stands.
    pub session: bool,
    /// The pair could fail over now.
    pub redundant: bool,
    /// What that lacks.
    pub lacks: Vec<Lack>,
    /// Silence of this length is death, at present.
    pub dead_ms: u64,
    /// The worst own lateness of late.
    pub lateness_us: u64,
    /// The peer.
    pub peer: Option<PeerRow>,
    /// What the election compares, in its order.
    pub conditions: Vec<ConditionRow>,
    /// The ways between the two.
    pub paths: Vec<PathRow>,
    /// Changes of role, the oldest first.
    pub timeline: Vec<TransitionRow>,
    /// Refused and suffered.
    pub counters: RoleCounters,
}

/// The peer, by its newest heartbeat.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct PeerRow {
    /// It is heard.
    pub alive: bool,
    /// It was last heard so long ago.
    pub heard_ms: Option<u64>,
    /// Its role.
    pub role: Role,
    /// Its epoch.
    pub epoch: u32,
    /// Its preference.
    pub preference: u8,
    /// The worst lateness that it announced.
    pub lateness_us: u32,
    /// It is in maintenance.
    pub maintenance: bool,
    /// It has applied this much of the replication.
    pub applied: u64,
    /// Its version.
    pub version: u16,
}

/// One condition of the election.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct ConditionRow {
    /// Its name.
    pub name: &'static str,
    /// As it is on this node.
    pub present: u8,
    /// As it counts: what got better has to hold first.
    pub own: u8,
    /// As the peer announces it.
    pub peer: Option<u8>,
}

/// One way between the two nodes.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct PathRow {
    /// 0 is the sync port, n + 1 the interface n.
    pub path: u8,
    /// The node's own link is up.
    pub up: bool,
    /// Heartbeats come.
    pub carries: bool,
    /// The last one came so long ago.
    pub heard_ms: Option<u64>,
    /// The peer hears this node on it: its last echo is not old.
    pub echoed: bool,
    /// Heartbeats lost on the way here, of a thousand, in the last seconds.
    pub loss_permille: u16,
    /// How much later than the quickest the latest heartbeat came.
    pub lateness_us: u64,
}

/// One change of role.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct TransitionRow {
    /// So long ago.
    pub ago_ms: u64,
    /// Before.
    pub from: Role,
    /// After.
    pub to: Role,
    /// The epoch after.
    pub epoch: u32,
    /// Why.
    pub cause: Cause,
    /// The same in words.
    pub why: &'static str,
}

/// An echo this many heartbeats behind is old.
const OLD_ECHO: u64 = 10;

impl Elector {
    /// All of it, as it is at `now`.
    pub fn snapshot(&self, now: Instant) -> RoleSnapshot {
        let ago = |at: Instant| now.since(at).as_millis() as u64;
        let last = self.timeline.last();
        RoleSnapshot {
            role: self.role,
            leads: self.standing().leads(now),
            fenced: self.role == Role::Active && self.lease.fenced().is_some(),
            epoch: self.epoch.0,
            since_ms: ago(last.at),
            cause: last.cause,
            why: last.cause.words(),
            maintenance: self.maintenance,
            disabled: self.disabled,
            listens_ms: self
                .listening
                .map(|until| until.since(now).as_millis() as u64)
                .filter(|left| *left > 0),
            session: self.session,
            redundant: self.redundancy.is_full(),
            lacks: self.redundancy.lacks().collect(),
            dead_ms: self.dead_time(now).as_millis() as u64,
            lateness_us: self.lateness(now).as_micros() as u64,
            peer: self.peer_row(now),
            conditions: self.conditions(),
            paths: self.path_rows(now),
            timeline: self.timeline.iter().map(|at| at.row(now)).collect(),
            counters: self.counters,
        }
    }

    fn peer_row(&self, now: Instant) -> Option<PeerRow> {
        let said = self.peer.said.as_ref()?;
        Some(PeerRow {
            alive: self.peer.alive,
            heard_ms: self.peer.heard.map(|heard| now.since(heard).as_millis() as u64),
            role: said.role,
            epoch: said.epoch.0,
            preference: said.preference,
            lateness_us: said.lateness_micros,
            maintenance: said.maintenance,
            applied: said.applied,
            version: said.version,
        })
    }

    fn conditions(&self) -> Vec<ConditionRow> {
        let fields = |health: Health| {
            let Health { forwarding, links, gateways, synced } = health;
            [u8::from(forwarding), links, gateways, u8::from(synced)]
        };
        let (present, own) = (fields(self.own.raw()), fields(self.own.shown()));
        let peer = self.peer.said.as_ref().map(|said| fields(said.health));
        let names = ["forwarding", "links", "gateways", "synced"];
        let row = |(index, name)| ConditionRow {
            name,
            present: present[index],
            own: own[index],
            peer: peer.map(|peer| peer[index]),
        };
        names.into_iter().enumerate().map(row).collect()
    }

    fn path_rows(&self, now: Instant) -> Vec<PathRow> {
        let rows = self.paths.iter().map(|path| PathRow {
            path: path.id.0,
            up: path.up,
            carries: path.carries,
            heard_ms: path.heard.map(|heard| now.since(heard).as_millis() as u64),
            echoed: path.echoed > 0 && self.sequence - path.echoed < OLD_ECHO,
            loss_permille: path.loss_permille(),
            lateness_us: path.lateness(now).as_micros() as u64,
        });
        rows.collect()
    }
}

impl super::Transition {
    fn row(&self, now: Instant) -> TransitionRow {
        let super::Transition { at, from, to, epoch, cause } = *self;
        let ago_ms = now.since(at).as_millis() as u64;
        TransitionRow { ago_ms, from, to, epoch: epoch.0, cause, why: cause.words() }
    }
}

// An echo can be old only after as many intervals.
const _: () = assert!(INTERVAL.as_millis() * OLD_ECHO as u128 >= 100);
