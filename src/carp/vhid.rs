//! The state machine of one VHID: its verbs, and the steps between its states.

use std::net::IpAddr;

use super::alarm::Alarms;
use super::config::Interval;
use super::former::Former;
use super::repeat::Recent;
use super::{Change, Counters, Event, Mode, Outbox, Reason, Snapshot, State, VhidConfig};
use crate::types::{Duration, Family, Instant, Random, Seed};
use crate::wire::carp::{Repr, Signer};

/// Why [`Vhid::handle_timeout`] wants to be called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// The next advertisement is due.
    Advertise,
    /// The master has been silent for too long.
    MasterDown,
    /// The master has been silent in one family.
    FamilySilent,
}

/// A backup's watch over the master's advertisements in one family.
pub(super) struct Watch {
    pub(super) family: Family,
    /// Silence until then is too long.
    pub(super) until: Instant,
    /// The operator knows that this family is silent.
    pub(super) told: bool,
}

/// The engine.
pub struct Vhid {
    pub(super) config: VhidConfig,
    pub(super) signer: Signer,
    /// How the list of addresses was signed before it last changed.
    pub(super) former: Option<Former>,
    /// Since when the peer has signed another list.
    pub(super) differs: Option<Instant>,
    pub(super) random: Random,
    /// Of the last advertisement.
    pub(super) counter: u64,
    pub(super) state: State,
    pub(super) since: Instant,
    reason: Reason,
    up: bool,
    /// What the pair said (paired VHIDs).
    told_master: bool,
    /// Added to the skew (foreign VHIDs).
    demotion: u8,
    /// A master's last advertisement.
    pub(super) advertised: Instant,
    /// Advertisements until the addresses are announced again; zero for never.
    pub(super) announce_in: u8,
    /// A backup's timers.
    pub(super) watches: Vec<Watch>,
    /// A late timer was forgiven since the master was last heard.
    pub(super) forgiven: bool,
    /// When a backup last heard its master, or began to listen for it.
    pub(super) master_heard: Instant,
    master: Option<IpAddr>,
    pub(super) sent: Recent,
    pub(super) heard: Recent,
    pub(super) alarms: Alarms,
    pub(super) counters: Counters,
}

impl Vhid {
    /// A VHID in INIT, its link down.
    pub fn new(config: VhidConfig, seed: Seed, now: Instant) -> Self {
        let mut random = seed.random();
        Vhid {
            signer: Signer::new(&config.password, config.vhid, &config.addresses),
            former: None,
            differs: None,
            config,
            counter: random.next(),
            random,
            state: State::Init,
            since: now,
            reason: Reason::Start,
            up: false,
            told_master: false,
            demotion: 0,
            advertised: now,
            announce_in: 0,
            watches: Vec::new(),
            forgiven: false,
            master_heard: now,
            master: None,
            sent: Recent::default(),
            heard: Recent::default(),
            alarms: Alarms::default(),
            counters: Counters::default(),
        }
    }

    /// Another configuration. The state stays, unless the VHID itself or who elects it changed.
    pub fn apply(&mut self, now: Instant, config: VhidConfig, out: &mut Outbox) {
        self.wake(now, out);
        if config == self.config {
            return;
        }
        let same_mode = match (&self.config.mode, &config.mode) {
            (Mode::Foreign { .. }, Mode::Foreign { .. }) | (Mode::Paired { .. }, Mode::Paired { .. }) => true,
            (Mode::Foreign { .. }, Mode::Paired { .. }) | (Mode::Paired { .. }, Mode::Foreign { .. }) => {
                false
            }
        };
        let same = same_mode && config.vhid == self.config.vhid;
        if !same {
            self.take_leave(out);
            self.change(now, State::Init, Reason::Applied, out);
        }
        let before = std::mem::replace(&mut self.config, config);
        let signer = Signer::new(&self.config.password, self.config.vhid, &self.config.addresses);
        let signed_before = std::mem::replace(&mut self.signer, signer);
        self.remember(now, same, &before, signed_before);
        match self.state {
            State::Init => self.begin(now, Reason::Applied, out),
            State::Backup => self.listen(now),
            State::Master if self.config.addresses == before.addresses => self.advertise(now, out),
            State::Master => self.speak_up(now, out),
        }
    }

    /// The interface's link came or went.
    pub fn handle_link(&mut self, now: Instant, up: bool, out: &mut Outbox) {
        if std::mem::replace(&mut self.up, up) == up {
            return;
        }
        match up {
            true => self.begin(now, Reason::LinkUp, out),
            false => self.change(now, State::Init, Reason::LinkDown, out),
        }
    }

    /// The pair says whether this node has the addresses. A foreign VHID does not listen to it.
    pub fn set_master(&mut self, now: Instant, master: bool, out: &mut Outbox) {
        self.told_master = master;
        match (&self.config.mode, self.state, master) {
            (Mode::Paired { .. }, State::Backup, true) => self.become_master(now, Reason::Told, out),
            (Mode::Paired { .. }, State::Master, false) => self.become_backup(now, Reason::Told, out),
            (Mode::Paired { .. }, State::Init | State::Backup | State::Master, _) => {}
            (Mode::Foreign { .. }, State::Init | State::Backup | State::Master, _) => {}
        }
    }

    /// How unwell this node is, from 0 to 240: added to the skew of a foreign VHID, replacing what was said before.
    pub fn demote(&mut self, now: Instant, by: u8, out: &mut Outbox) {
        self.wake(now, out);
        let before = self.effective_skew();
        self.demotion = by;
        // FreeBSD: the others hear at once, and decide.
        if self.state == State::Master && self.effective_skew() != before {
            self.advertise(now, out);
        }
    }

    /// An advertisement came from `from`. Its form was checked by [`Repr::read`], its digest is checked here, since a
    /// wrong one means something.
    pub fn handle_advert(&mut self, now: Instant, from: IpAddr, advert: &Repr, out: &mut Outbox) {
        self.wake(now, out);
        if advert.vhid != self.config.vhid || self.state == State::Init {
            self.counters.ignored += 1;
            return;
        }
        // A switch that gives us back what we sent must not depose us.
        if self.config.own.contains(&from) {
            self.counters.reflected += 1;
            return self.alarms.tell(now, Event::Repeat { from }, out);
        }
        let is_peer = match &self.config.mode {
            Mode::Foreign { .. } => false,
            Mode::Paired { peer } => peer.contains(&from),
        };
        if !self.signer.verify(advert) {
            return self.refuse(now, from, advert, is_peer, out);
        }
        self.former = None;
        if is_peer {
            self.differs = None;
        }
        self.counters.received += 1;
        if self.is_repeat(now, from, advert, out) {
            return;
        }
        self.master = Some(from);
        match self.config.mode {
            Mode::Foreign { preempt, .. } => self.elect(now, from, advert, preempt, out),
            Mode::Paired { .. } => self.watch(now, from, advert, is_peer, out),
        }
    }

    /// The calendar clock jumped against our own by that much: our own may have stood still.
    pub fn handle_clock_jump(&mut self, now: Instant, by: Duration, out: &mut Outbox) {
        if self.lease().is_some_and(|until| until <= now + by) {
            self.listen_again(now, out);
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant, out: &mut Outbox) {
        self.wake(now, out);
        if self.poll_timeout().is_none_or(|(due, _)| due > now) {
            return;
        }
        match self.state {
            State::Init => {}
            State::Backup => self.step_silence(now, out),
            State::Master => self.advertise(now, out),
        }
    }

    /// When [`Vhid::handle_timeout`] has something to do, and what.
    pub fn poll_timeout(&self) -> Option<(Instant, Why)> {
        match self.state {
            State::Init => None,
            State::Backup => {
                let (due, last) = self.silence_due()?;
                Some((due, if last { Why::MasterDown } else { Why::FamilySilent }))
            }
            State::Master => Some((self.advertised + self.interval().duration(), Why::Advertise)),
        }
    }

    /// A clean stop: a master takes its leave, so that another takes over at once.
    pub fn stop(&mut self, now: Instant, out: &mut Outbox) {
        self.take_leave(out);
        (self.up, self.told_master) = (false, false);
        self.change(now, State::Init, Reason::Stopped, out);
    }

    /// Where the VHID stands.
    pub fn state(&self) -> State {
        self.state
    }

    /// Until when a foreign MASTER has the addresses, if it never gets to say another word: by then another may have
    /// taken over.
    pub fn lease(&self) -> Option<Instant> {
        match (&self.config.mode, self.state) {
            (Mode::Foreign { .. }, State::Master) => Some(self.advertised + self.config.lease()),
            (Mode::Foreign { .. }, State::Init | State::Backup) | (Mode::Paired { .. }, _) => None,
        }
    }

    /// What the VHID is told to be.
    pub fn config(&self) -> &VhidConfig {
        &self.config
    }

    /// As an operator sees it.
    pub fn snapshot(&self, now: Instant) -> Snapshot {
        Snapshot {
            vhid: self.config.vhid,
            state: self.state,
            seconds: now.since(self.since).as_secs(),
            reason: self.reason,
            advskew: self.effective_skew(),
            master: self.master,
            silent: self.is_silent(now),
            counters: self.counters,
        }
    }

    /// A backup that has not heard its master for twice as long as one of another kind would wait for it.
    fn is_silent(&self, now: Instant) -> bool {
        self.state == State::Backup && now.since(self.master_heard) > 2 * self.config.master_down()
    }

    /// The link is up: FreeBSD listens first, whatever it may become.
    fn begin(&mut self, now: Instant, reason: Reason, out: &mut Outbox) {
        if !self.up {
            return;
        }
        self.become_backup(now, reason, out);
        if self.told_master {
            self.set_master(now, true, out);
        }
    }

    /// FreeBSD's order: the state, the advertisement, the announcements.
    pub(super) fn become_master(&mut self, now: Instant, reason: Reason, out: &mut Outbox) {
        self.change(now, State::Master, reason, out);
        self.speak_up(now, out);
    }

    pub(super) fn become_backup(&mut self, now: Instant, reason: Reason, out: &mut Outbox) {
        self.change(now, State::Backup, reason, out);
        self.listen(now);
    }

    /// A backup's timers begin anew; a paired VHID has none.
    pub(super) fn listen(&mut self, now: Instant) {
        self.master_heard = now;
        match self.config.mode {
            Mode::Foreign { .. } => self.watch_all(now + self.config.master_down()),
            Mode::Paired { .. } => {}
        }
    }

    /// The state and nothing of the old one's timers.
    fn change(&mut self, now: Instant, to: State, reason: Reason, out: &mut Outbox) {
        let from = std::mem::replace(&mut self.state, to);
        self.watches.clear();
        self.announce_in = 0;
        if from != to {
            (self.since, self.reason) = (now, reason);
            out.changes.push(Change { from, to, reason });
        }
    }

    /// What we advertise.
    pub(super) fn interval(&self) -> Interval {
        Interval::new(self.config.base(), self.effective_skew())
    }

    /// The skew with the demotion; the pair has its own words for health.
    pub(super) fn effective_skew(&self) -> u8 {
        match self.config.mode {
            Mode::Foreign { .. } => self.config.effective_skew(self.demotion),
            Mode::Paired { .. } => self.config.effective_skew(0),
        }
    }
}
