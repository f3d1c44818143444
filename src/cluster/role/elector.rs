//! The engine's state and its verbs.

use std::collections::VecDeque;

use super::handover::Handing;
use super::health::{OwnHealth, Rank};
use super::lateness::Worst;
use super::lease::{Fence, Lease};
use super::paths::Paths;
use super::timeline::Timeline;
use super::{
    Cause, DEAD, Event, INTERVAL, LEASE, LISTEN, Redundancy, Refusal, Request, RoleCounters, RoleOutbox,
    Since, Transition, WIDEST, Why,
};
use crate::types::{Ceding, Duration, Epoch, Instant, NodeId, PathId, Role, Standing};
use crate::wire::pair::{Health, Heartbeat, Version};

/// A change of the configuration takes effect on one node before the other; so long, that is no difference.
const DIFFER: Duration = Duration::from_secs(3);
/// A router that was started again while its machine kept running listens this long.
const LISTEN_AGAIN: Duration = Duration::from_millis(300);
/// The send times of so many heartbeats are remembered, to know how old an echo is.
const REMEMBERED: usize = 64;
/// So many heartbeats in a row that are older than the newest one: the peer counts anew.
const OLD_IN_A_ROW: u8 = 3;
/// A lapse shorter than this is too short for a dead peer to have started and taken over: it would listen longer.
const BRIEF: Duration = Duration::from_millis(200);
/// One that has been silent for less may only have stood still. It may have come back within the lapse, and takes over
/// as soon as it has heard nothing for the dead time.
const STOOD: Duration = Duration::from_millis(700);
/// After a stall that the widening of the dead time does not cover, the peer's silence counts from the waking: it may
/// have been fenced meanwhile, and could not speak before this node answers its handshake.
const STALL: Duration = Duration::from_millis(WIDEST.as_millis() as u64 / 2);
/// Whether the paths have been read to their ends is looked at this often while the peer seems to be dead,
const LOOK: Duration = Duration::from_millis(1);
/// and this often when that has taken as long.
const READING: Duration = Duration::from_millis(100);
/// A path is called silent after at least this long: three heartbeats lost in a row are no reason for an alarm.
const PATH_SILENT: Duration = Duration::from_millis(50);

/// What the elector is told of the pair.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RoleConfig {
    /// This node.
    pub node: NodeId,
    /// The other one; none, and the node is alone.
    pub peer: Option<NodeId>,
    /// Higher wins ties.
    pub preference: u8,
    /// The preferred node comes back after having been healthy and in sync for this long.
    pub preempt: Option<Duration>,
    /// The ways between the two.
    pub paths: Vec<PathId>,
    /// The machine was started: nothing is known of the peer, and the node listens for 3 s. Otherwise the router
    /// alone was started again, and 300 ms are enough.
    pub fresh: bool,
}

/// What is known of the peer.
#[derive(Clone, Debug, Default)]
pub(super) struct Peer {
    /// Its newest heartbeat.
    pub said: Option<Heartbeat>,
    /// When it was last heard, on whatever path.
    pub heard: Option<Instant>,
    /// It is heard: its silence has not yet been long enough, or not yet been proven.
    pub alive: bool,
    /// The newest heartbeat of ours that it has heard.
    pub echoed: u64,
    /// What it speaks; unknown at the beginning of a session, since it may have been started as another release.
    pub version: Option<Version>,
    /// Its parent said that it is dead.
    pub buried: bool,
    /// Heartbeats in a row that were older than `said`.
    pub old_in_a_row: u8,
}

/// The engine: one node's part in the election.
#[derive(Clone, Debug)]
pub struct Elector {
    pub(super) config: RoleConfig,
    pub(super) role: Role,
    pub(super) epoch: Epoch,
    pub(super) lease: Lease,
    pub(super) peer: Peer,
    pub(super) paths: Paths,
    pub(super) own: OwnHealth,
    pub(super) maintenance: bool,
    pub(super) disabled: bool,
    /// Heartbeats can be sealed.
    pub(super) session: bool,
    /// A standby that has just started takes nothing by silence before this.
    pub(super) listening: Option<Instant>,
    /// Silence counts from here at the earliest.
    pub(super) floor: Instant,
    /// This node has given the role up, in this epoch, and says so until somebody has it.
    pub(super) resigned: bool,
    /// When this node raised the epoch to be given the role.
    pub(super) claim: Option<Instant>,
    /// This node leaves a vacant role to the other one until then.
    pub(super) yields: Instant,
    pub(super) better: Since,
    pub(super) plainly_better: Since,
    pub(super) preempting: Since,
    pub(super) vacant: Since,
    /// The peer hands over.
    pub(super) offered: Since,
    pub(super) handing: Handing,
    /// The number of our newest heartbeat.
    pub(super) sequence: u64,
    /// The first heartbeat that says what this node is now: role, epoch, rank.
    pub(super) stated: u64,
    sent: VecDeque<(u64, Instant)>,
    spoke: Instant,
    /// There is something new to say.
    news: bool,
    /// Something heard may change the role.
    pub(super) heard: bool,
    next: Instant,
    pub(super) seen: Instant,
    late: Worst,
    renew: bool,
    config_hash: u64,
    /// Since when the peer's document has been another one.
    differ: Option<Instant>,
    applied: u64,
    /// What this node speaks.
    version: Version,
    pub(super) redundancy: Redundancy,
    pub(super) timeline: Timeline,
    pub(super) counters: RoleCounters,
}

impl Elector {
    /// A node that starts: alone without a peer, else a standby that listens.
    pub fn new(config: RoleConfig, now: Instant) -> Self {
        let (role, listen) = match (config.peer, config.fresh) {
            (None, _) => (Role::Alone, None),
            (Some(_), true) => (Role::Standby, Some(now + LISTEN)),
            (Some(_), false) => (Role::Standby, Some(now + LISTEN_AGAIN)),
        };
        let first = Transition { at: now, from: role, to: role, epoch: Epoch(0), cause: Cause::Started };
        Elector {
            paths: Paths::new(&config.paths, now),
            config,
            role,
            epoch: Epoch(0),
            lease: Lease::default(),
            peer: Peer::default(),
            own: OwnHealth::new(now),
            maintenance: false,
            disabled: false,
            session: false,
            listening: listen,
            floor: now,
            resigned: false,
            claim: None,
            yields: now,
            better: Since::default(),
            plainly_better: Since::default(),
            preempting: Since::default(),
            vacant: Since::default(),
            offered: Since::default(),
            handing: Handing::default(),
            sequence: 0,
            stated: 1,
            sent: VecDeque::with_capacity(REMEMBERED),
            spoke: Instant::ZERO,
            news: false,
            heard: false,
            next: now,
            seen: now,
            late: Worst::default(),
            renew: false,
            config_hash: 0,
            differ: None,
            applied: 0,
            version: Version::NEWEST,
            redundancy: Redundancy::from(|_| false),
            timeline: Timeline::new(first),
            counters: RoleCounters::default(),
        }
    }

    /// Another configuration. A node that was alone and becomes one of a pair goes on serving: its peer is the one
    /// that starts, or the epochs decide.
    pub fn apply(&mut self, now: Instant, config: RoleConfig, out: &mut RoleOutbox) {
        self.begin(now, out);
        self.paths.apply(now, &config.paths);
        let before = std::mem::replace(&mut self.config, config);
        self.own.count_anew();
        if before.peer != self.config.peer {
            (self.peer, self.session, self.floor) = (Peer::default(), false, now);
            self.paths.forget_sequences();
            // What was healthy alone is no measure: what is told next counts at once, as it does for the peer.
            self.own = OwnHealth::new(now);
        }
        match (before.peer, self.config.peer) {
            (None, Some(_)) => {
                self.epoch = self.epoch.next();
                self.next = now;
                self.lease.begin(now);
                self.turn(now, Role::Active, Cause::Configured, out);
            }
            (Some(_), None) => {
                (self.listening, self.resigned, self.claim) = (None, false, None);
                self.turn(now, Role::Alone, Cause::Configured, out);
            }
            (None, None) | (Some(_), Some(_)) => {}
        }
        self.state();
        self.end(now, out);
    }

    /// Both nodes have new keys, and numbers that follow from them; otherwise they are who they were.
    pub fn rename(&mut self, node: NodeId, peer: Option<NodeId>) {
        if self.config.peer.is_some() && peer.is_some() {
            (self.config.node, self.config.peer) = (node, peer);
        }
    }

    /// The peer says something of itself: opened, so it is the peer that says it.
    pub fn handle_heartbeat(
        &mut self,
        now: Instant,
        path: PathId,
        heartbeat: &Heartbeat,
        out: &mut RoleOutbox,
    ) {
        self.begin(now, out);
        if !self.paths.hear(now, path, heartbeat) || self.config.peer.is_none() {
            self.counters.unknown_paths += 1;
            return self.end(now, out);
        }
        (self.peer.heard, self.peer.buried) = (Some(now), false);
        if !self.peer.alive {
            self.peer.alive = true;
            self.heard = true;
            out.events.push(Event::Peer { alive: true });
        }
        if self.is_news(heartbeat) {
            self.learn(now, heartbeat, out);
        }
        self.end(now, out);
    }

    /// The same heartbeat comes on every path, and may be overtaken.
    fn is_news(&mut self, heartbeat: &Heartbeat) -> bool {
        let newest = self.peer.said.as_ref().map_or(0, |said| said.sequence);
        if heartbeat.sequence > newest {
            self.peer.old_in_a_row = 0;
            return true;
        }
        if heartbeat.sequence < newest {
            self.counters.late_heartbeats += 1;
            self.peer.old_in_a_row += 1;
        }
        let counts_anew = self.peer.old_in_a_row >= OLD_IN_A_ROW;
        if counts_anew {
            self.peer.old_in_a_row = 0;
            self.paths.forget_sequences();
        }
        counts_anew
    }

    fn learn(&mut self, now: Instant, heartbeat: &Heartbeat, out: &mut RoleOutbox) {
        let told = |said: &Heartbeat| (said.role, said.epoch, said.resigns, said.handover, Rank::of(said));
        let (said, says) = (self.peer.said.as_ref().map(told), told(heartbeat));
        let before = self.peer.echoed;
        self.peer.echoed = self.paths.echo(&heartbeat.heard, self.sequence);
        let answers = before < self.stated && self.peer.echoed >= self.stated;
        self.heard |= said != Some(says) || answers;
        self.peer.version = Some(Version(heartbeat.version));
        self.peer.said = Some(heartbeat.clone());
        self.give_way(now, heartbeat, out);
    }

    /// The reader of a path has found nothing more at `now`; what it found before has been handed over.
    pub fn handle_drained(&mut self, now: Instant, path: PathId) {
        self.paths.drained(now, path);
    }

    /// The node's own health, recomputed from named conditions.
    pub fn handle_health(&mut self, now: Instant, health: Health, out: &mut RoleOutbox) {
        self.begin(now, out);
        let before = self.rank();
        self.own.set(now, health);
        if self.rank() != before {
            self.state();
        }
        self.end(now, out);
    }

    /// The node's own link of a path.
    pub fn handle_path(&mut self, now: Instant, path: PathId, up: bool, out: &mut RoleOutbox) {
        self.begin(now, out);
        self.heard |= self.paths.set_link(now, path, up);
        self.end(now, out);
    }

    /// The channel stands, or has fallen. A new session is told with `true` even when there was one before.
    pub fn handle_session(&mut self, now: Instant, up: bool, out: &mut RoleOutbox) {
        self.begin(now, out);
        self.session = up;
        if up {
            // It is new, so a lapse that is noticed only now does not ask for another one.
            self.renew = false;
            // The peer may have started again: its sequence, and what it heard of ours, begin anew.
            self.paths.forget_sequences();
            (self.peer.echoed, self.peer.version) = (0, None);
            if let Some(said) = &mut self.peer.said {
                said.sequence = 0;
            }
            self.news = true;
        }
        self.end(now, out);
    }

    /// The machine's clock says that this node's own stood still, or went back: it was paused, copied or reverted.
    pub fn handle_clock_jump(&mut self, now: Instant, by: Duration, out: &mut RoleOutbox) {
        self.begin(now, out);
        self.counters.clock_jumps += 1;
        self.floor = now;
        if self.role == Role::Active {
            self.raise_fence(now, by, out);
        }
        self.ask_for_session();
        self.state();
        self.end(now, out);
    }

    /// An operator asks.
    ///
    /// # Errors
    /// When the request cannot be followed. That it was is no promise that the other node takes the role.
    pub fn handle_request(
        &mut self,
        now: Instant,
        request: Request,
        out: &mut RoleOutbox,
    ) -> Result<(), Refusal> {
        self.begin(now, out);
        let followed = self.follow(now, request, out);
        if let Err(refusal) = followed {
            out.events.push(Event::Refused { request, refusal });
        }
        self.end(now, out);
        followed
    }

    fn follow(&mut self, now: Instant, request: Request, out: &mut RoleOutbox) -> Result<(), Refusal> {
        if self.config.peer.is_none() {
            return Err(Refusal::NoPair);
        }
        match request {
            Request::Maintenance(on) => {
                self.maintenance = on;
                self.state();
            }
            Request::Disable(on) => {
                self.disabled = on;
                self.claim = None;
                if on && self.role == Role::Active {
                    self.give(now, Cause::Disabled, out);
                }
                self.state();
            }
            Request::Resign => self.resign_if_asked(now, out)?,
            Request::HandOver => self.hand_over_if_asked(now, out)?,
            Request::TakeOver => self.take_if_asked(now)?,
        }
        self.heard = true;
        Ok(())
    }

    /// The peer's parent says that its router died. It was sealed for one epoch and counts in that one.
    pub fn handle_resignation(&mut self, now: Instant, epoch: Epoch, out: &mut RoleOutbox) {
        self.begin(now, out);
        if epoch == self.epoch && self.config.peer.is_some() {
            self.bury(out);
        } else {
            self.counters.stale_resignations += 1;
            out.events.push(Event::StaleResignation { epoch });
        }
        self.end(now, out);
    }

    /// The hash of the node's document, for the heartbeat.
    pub fn handle_config_hash(&mut self, hash: u64) {
        self.config_hash = hash;
    }

    /// The newest replicated sequence that this node has applied, for the heartbeat.
    pub fn handle_applied(&mut self, applied: u64) {
        self.applied = applied;
    }

    /// This node speaks as an earlier release would.
    pub fn set_version(&mut self, version: Version) {
        self.version = version;
    }

    /// What the two nodes speak with each other: the oldest, until the peer has said what it is.
    pub fn common_version(&self) -> Version {
        let common = self.peer.version.and_then(|version| self.version.with(version));
        common.unwrap_or(Version::OLDEST)
    }

    /// Does what is due: the election, then the heartbeat. Early or twice is harmless.
    pub fn handle_timeout(&mut self, now: Instant, out: &mut RoleOutbox) {
        self.begin(now, out);
        if self.config.peer.is_some() {
            let before = self.rank();
            self.own.settle(now);
            if self.rank() != before {
                self.state();
            }
            self.heard = false;
            self.decide(now, out);
            self.tell_paths(now, out);
            if now >= self.next {
                self.news = true;
            }
        }
        self.end(now, out);
    }

    /// When [`Elector::handle_timeout`] has something to do, and why.
    pub fn poll_timeout(&self) -> Option<(Instant, Why)> {
        self.config.peer?;
        let mut due = (self.next, Why::Heartbeat);
        if self.heard {
            due = due.min((self.seen, Why::Heard));
        }
        let silence = self.silence();
        if self.peer.alive {
            let at = match silence > self.seen || self.paths.are_drained(silence) {
                true => silence,
                // Somebody is in the middle of reading.
                false if self.seen < silence + READING => self.seen + LOOK,
                false => self.seen + READING,
            };
            due = due.min((at, Why::Silence));
        }
        let held = self.holds().chain(self.own.due()).chain(self.listening);
        let held = held.filter(|at| *at > self.seen).min();
        Some(held.map_or(due, |at| due.min((at, Why::Held))))
    }

    /// What the packet path may do.
    pub fn standing(&self) -> Standing {
        match self.role {
            Role::Alone => Standing::ALONE,
            role @ (Role::Active | Role::Standby) => {
                let cedes = if role == Role::Standby { self.handing.ceding() } else { Ceding::No };
                Standing { role, epoch: self.epoch, until: self.lease.until(), cedes, ..Standing::ALONE }
            }
        }
    }

    /// The peer's newest heartbeat, while it is heard.
    pub fn peer(&self) -> Option<&Heartbeat> {
        self.peer.said.as_ref().filter(|_| self.peer.alive)
    }

    /// Heartbeats come by this path.
    pub fn carries(&self, path: PathId) -> bool {
        self.paths.carries(path)
    }

    /// What a fail-over would lack.
    pub fn redundancy(&self) -> Redundancy {
        self.redundancy
    }

    /// Every verb begins by noticing that the node is late, and that its lease is over, whatever else it brings.
    pub(super) fn begin(&mut self, now: Instant, out: &mut RoleOutbox) {
        self.seen = self.seen.max(now);
        let late = now.since(self.next);
        if self.config.peer.is_some() {
            self.late.note(now, late);
            if late >= STALL {
                self.floor = now;
            }
        }
        if self.role == Role::Active && self.lease.has_lapsed(now) {
            let after = now.since(self.lease.until()) + LEASE;
            self.raise_fence(now, after, out);
            if self.session {
                self.ask_for_session();
            }
        }
    }

    /// Every verb ends by saying what is new.
    pub(super) fn end(&mut self, now: Instant, out: &mut RoleOutbox) {
        if self.config.peer.is_some() {
            if self.news {
                self.speak(now, out);
            }
            self.differ = self.config_hash_differs().then(|| self.differ.unwrap_or(now));
            let redundancy = self.redundancy_now();
            if redundancy != self.redundancy {
                self.redundancy = redundancy;
                out.events.push(Event::Redundancy(redundancy));
            }
        }
        if std::mem::take(&mut self.renew) {
            out.renew_session = true;
        }
    }

    /// What was heard before the lapse is not believed, and neither is our own account of it.
    fn raise_fence(&mut self, now: Instant, after: Duration, out: &mut RoleOutbox) {
        self.counters.fences += 1;
        self.lease.fence(Fence { since: now, brief: self.is_gone(now, after) && after < BRIEF });
        self.floor = now;
        self.state();
        out.events.push(Event::Fenced { after });
    }

    /// The peer was dead before the lapse began, and does not only stand still.
    fn is_gone(&self, now: Instant, lapse: Duration) -> bool {
        let heard = self.peer.heard.map(|heard| now.since(heard));
        !self.peer.alive && heard.is_none_or(|heard| heard > lapse + STOOD)
    }

    fn ask_for_session(&mut self) {
        (self.session, self.renew) = (false, true);
    }

    /// What this node says of itself has changed: nothing is done before the peer has heard it.
    pub(super) fn state(&mut self) {
        self.stated = self.sequence + 1;
        self.news = true;
    }

    /// A heartbeat goes out now.
    pub(super) fn say(&mut self) {
        self.news = true;
    }

    pub(super) fn rank(&self) -> Rank {
        Rank::new(self.announced(), self.maintenance)
    }

    /// A disabled node does not forward for the pair, and its peer must not count on it.
    fn announced(&self) -> Health {
        let health = self.own.shown();
        Health { forwarding: health.forwarding && !self.disabled, ..health }
    }

    /// The newest echo is not older than `age`: so long ago at most, the peer heard us and was what it says.
    pub(super) fn is_heard_within(&self, now: Instant, age: Duration) -> bool {
        let sent = self.sent.iter().rev().find(|(sequence, _)| *sequence == self.peer.echoed);
        sent.is_some_and(|(_, at)| now.since(*at) < age)
    }

    /// This node has sent heartbeats without a gap that the lease would not bear.
    pub(super) fn has_spoken(&self, now: Instant) -> bool {
        now.since(self.spoke) < LEASE
    }

    /// The lease is renewed by what is sent: a node that cannot speak to a live peer must let it lapse.
    fn speak(&mut self, now: Instant, out: &mut RoleOutbox) {
        self.news = false;
        self.next = now + INTERVAL;
        if self.role == Role::Active && (self.session || !self.peer.alive) {
            self.lease.renew(now);
        }
        if !self.session {
            return;
        }
        if self.role == Role::Active && !self.has_spoken(now) {
            self.stated = self.sequence + 1;
        }
        self.sequence += 1;
        self.spoke = now;
        if self.sent.len() == REMEMBERED {
            self.sent.pop_front();
        }
        self.sent.push_back((self.sequence, now));
        let heartbeat = self.heartbeat(now);
        out.heartbeats.extend(self.paths.iter().map(|path| (path.id, heartbeat.clone())));
    }

    fn heartbeat(&self, now: Instant) -> Heartbeat {
        Heartbeat {
            epoch: self.epoch,
            role: self.role,
            preference: self.config.preference,
            health: self.announced(),
            sequence: self.sequence,
            sent: now.as_nanos(),
            heard: self.paths.heard(),
            lateness_micros: u32::try_from(self.lateness(now).as_micros()).unwrap_or(u32::MAX),
            resigns: self.resigned,
            maintenance: self.maintenance,
            config_hash: self.config_hash,
            applied: self.applied,
            version: self.version.0,
            // Whoever sends it knows the calendar.
            calendar_ms: 0,
            handover: self.handover(),
        }
    }

    pub(super) fn turn(&mut self, now: Instant, to: Role, cause: Cause, out: &mut RoleOutbox) {
        let transition = Transition { at: now, from: self.role, to, epoch: self.epoch, cause };
        self.role = to;
        self.handing.end();
        self.timeline.push(transition);
        self.counters.forgotten_transitions = self.timeline.forgotten;
        out.events.push(Event::Became(transition));
        out.became = Some(to);
    }

    /// The worst own lateness of late, the present one included.
    pub fn lateness(&self, now: Instant) -> Duration {
        let present = self.config.peer.map_or(Duration::ZERO, |_| now.since(self.next));
        self.late.get(now).max(present)
    }

    /// How long a silence must be to be death. While both are late by less than a lease together, the later one counts:
    /// who reads late has read everything before it judges. A node that was later than its lease had to shake hands
    /// before it could speak again: two more messages, each as late as the rest.
    pub(super) fn dead_time(&self, now: Instant) -> Duration {
        let peer = self.peer.said.as_ref().map_or(0, |said| said.lateness_micros);
        let (own, peer) = (self.lateness(now), Duration::from_micros(u64::from(peer)));
        let late = if own + peer > LEASE { (own + peer) * 2 } else { own.max(peer) };
        DEAD + late.min(WIDEST)
    }

    fn tell_paths(&mut self, now: Instant, out: &mut RoleOutbox) {
        let silent = self.dead_time(now).max(PATH_SILENT);
        while let Some((path, carries)) = self.paths.turn(now, silent) {
            out.events.push(Event::Path { path, carries });
        }
    }

    /// The documents differ, and not only because one is being changed on both nodes.
    pub(super) fn configurations_differ(&self) -> bool {
        self.differ.is_some_and(|since| self.seen.since(since) >= DIFFER)
    }

    /// One node has a document that the other one will have in a moment.
    pub(super) fn is_being_changed(&self) -> bool {
        self.config_hash_differs() && !self.configurations_differ()
    }

    fn config_hash_differs(&self) -> bool {
        self.peer.said.as_ref().is_some_and(|said| said.config_hash != self.config_hash)
    }

    pub(super) fn version_differs(&self) -> bool {
        self.peer.said.as_ref().is_some_and(|said| self.version.with(Version(said.version)).is_none())
    }
}
