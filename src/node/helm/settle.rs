//! What one engine says, the others hear: until all is said, within a bound.

use super::announcements::Announcement;
use super::doubts::Step;
use super::{CourierOrder, Helm, HelmNotice, HelmOutbox};
use crate::carp;
use crate::cluster::channel::{self, SessionNews};
use crate::cluster::role::{Cause, Event, Transition};
use crate::types::{Ceding, Duration, Epoch, Instant, PathId, PortId, Role};
use crate::wire::FrameBuf;
use crate::wire::pair::{Heartbeat, Space};

/// Rounds after which the rest waits for the next call; two are usual.
const ROUNDS: usize = 8;
/// A peer that is back has its ports up, and has spoken by each of them, within this time.
const RETURN: Duration = Duration::from_secs(1);
/// FreeBSD's net.inet.carp.ifdown_demotion_factor, which is also the most that a skew can be.
const DEMOTION: u8 = 240;
/// The only control message so far: the sender's router has died in this epoch (four bytes follow).
const RESIGNATION: u8 = 1;

impl Helm {
    /// Carries what the engines have said to where it belongs.
    pub(super) fn settle(&mut self, now: Instant, out: &mut HelmOutbox) {
        for _ in 0..ROUNDS {
            let channel::Outbox { datagrams, opened, session } = std::mem::take(&mut self.channel_out);
            let quiet = datagrams.is_empty() && opened.is_empty() && session.is_none();
            for (path, space, plain) in opened {
                self.hear(now, path, space, &plain);
            }
            for (way, datagram) in datagrams {
                self.send(way, &datagram, out);
            }
            if let Some(news) = session {
                self.handle_session(now, news, out);
            }
            if !self.obey_elector(now, out) && quiet {
                break;
            }
        }
        self.tell_speaks(out);
        self.prepare_resignation(out);
    }

    fn tell_speaks(&mut self, out: &mut HelmOutbox) {
        let speaks = self.elector.common_version();
        if speaks != std::mem::replace(&mut self.speaks, speaks) {
            out.courier.push(CourierOrder::Speak(speaks));
        }
    }

    /// What the peer has said, opened.
    fn hear(&mut self, now: Instant, path: PathId, space: Space, plain: &[u8]) {
        match space {
            Space::Heartbeat(_) => {
                if let Some(heartbeat) = Heartbeat::decode(plain) {
                    self.compare_clocks(now, heartbeat.calendar_ms);
                    self.elector.handle_heartbeat(now, path, &heartbeat, &mut self.role_out);
                }
            }
            Space::Control => {
                if let [RESIGNATION, a, b, c, d] = *plain {
                    let epoch = Epoch(u32::from_be_bytes([a, b, c, d]));
                    self.elector.handle_resignation(now, epoch, &mut self.role_out);
                }
            }
            // The courier opens these itself.
            Space::Replica | Space::Parcel | Space::Detour => {}
        }
    }

    fn compare_clocks(&mut self, now: Instant, theirs: u64) {
        if let Some(ours) = self.calendar.millis(now).filter(|_| theirs != 0) {
            self.clocks_apart = Some(Duration::from_millis(ours.abs_diff(theirs)));
        }
    }

    fn handle_session(&mut self, now: Instant, news: SessionNews, out: &mut HelmOutbox) {
        match news {
            SessionNews::Stands(number) => {
                self.session = Some(number);
                self.resignation = None;
                self.elector.handle_session(now, true, &mut self.role_out);
                // Before anything is said in it.
                self.tell_speaks(out);
                if let Some(halves) = self.channel.as_mut().and_then(channel::Channel::replica_halves) {
                    out.courier.push(CourierOrder::Session(Box::new(halves)));
                }
            }
            SessionNews::Fell => {
                self.session = None;
                out.courier.push(CourierOrder::SessionFell);
                self.elector.handle_session(now, false, &mut self.role_out);
            }
        }
    }

    /// True when the elector had said something.
    fn obey_elector(&mut self, now: Instant, out: &mut HelmOutbox) -> bool {
        let crate::cluster::role::RoleOutbox { heartbeats, events, became, renew_session } =
            std::mem::take(&mut self.role_out);
        let mut spoke = !heartbeats.is_empty() || became.is_some() || renew_session;
        // Before anything is sealed: what was lost must not be used again.
        if renew_session && let Some(channel) = &mut self.channel {
            channel.renew(now);
            channel.handle_timeout(now, &mut self.channel_out);
        }
        for event in events {
            match event {
                Event::Path { path, carries } => self.doubt(now, path, carries, out),
                Event::Peer { alive } => {
                    self.doubt_all(now, alive);
                    self.tell_health(now, out);
                    spoke = true;
                }
                Event::Became(_)
                | Event::Fenced { .. }
                | Event::Unfenced
                | Event::Redundancy(_)
                | Event::StaleResignation { .. }
                | Event::Abrupt { .. }
                | Event::Refused { .. } => {}
            }
            out.notices.push(notice(event));
        }
        if became.is_some() {
            self.follow_role(now, out);
        }
        // After the announcements: a peer that hands over relays until it hears of the takeover.
        for (path, mut heartbeat) in heartbeats {
            heartbeat.calendar_ms = self.calendar.millis(now).unwrap_or_default();
            self.send_heartbeat(path, &heartbeat, out);
        }
        spoke
    }

    /// A way through an interface is silent, or carries again.
    fn doubt(&mut self, now: Instant, path: PathId, carries: bool, out: &mut HelmOutbox) {
        let Some(way) = self.ways.iter().find(|way| way.path == path) else { return };
        let Some(interface) = way.interface else { return };
        // Of a peer that is silent everywhere nothing can be concluded about a cable.
        if !carries && self.elector.peer().is_some() && self.conditions.link(way.port) {
            self.doubts.begin(now, interface, way.port);
        } else if let Some(step) = self.doubts.end(interface) {
            self.take_step(now, step, out);
        }
    }

    /// The peer is heard again, or no longer. Whatever is still silent a moment after its return is in doubt.
    fn doubt_all(&mut self, now: Instant, alive: bool) {
        if !alive {
            return self.doubts.end_open();
        }
        for way in &self.ways {
            if let Some(interface) = way.interface
                && self.conditions.link(way.port)
                && !self.elector.carries(way.path)
            {
                self.doubts.begin(now + RETURN, interface, way.port);
            }
        }
    }

    pub(super) fn take_step(&mut self, now: Instant, step: Step, out: &mut HelmOutbox) {
        let (interface, silent) = match step {
            Step::Ask(interface, port) => return out.probes.push((interface, port)),
            Step::Lost(interface) => (interface, true),
            Step::Works(interface) => (interface, false),
        };
        self.conditions.set_silent(interface, silent);
        self.tell_health(now, out);
    }

    fn send_heartbeat(&mut self, path: PathId, heartbeat: &Heartbeat, out: &mut HelmOutbox) {
        let Some(way) = self.ways.iter().find(|way| way.path == path) else { return };
        if !self.conditions.link(way.port) {
            return;
        }
        let Some(channel) = &mut self.channel else { return };
        if let Some(sealed) = channel.seal(Space::Heartbeat(path), &heartbeat.encode()) {
            out.frames.extend(way.frame(&sealed).map(|frame| (way.port, frame)));
        }
    }

    /// CARP and the links follow the role: a new active announces all virtual addresses at once.
    pub(super) fn follow_role(&mut self, now: Instant, out: &mut HelmOutbox) {
        let standing = self.elector.standing();
        let leads = match standing.role {
            Role::Alone | Role::Active => true,
            Role::Standby => false,
        };
        let mut all: Vec<Announcement> = Vec::new();
        for vip in self.vips.iter().filter(|vip| !vip.place.foreign && leads) {
            all.extend(vip.place.announcements());
        }
        match leads {
            true => {
                for announcement in self.announcements.begin(now, &all) {
                    self.announce(announcement, out);
                }
            }
            false => {
                self.announcements.stop();
                // Nor does what was said in the same turn leave after the role: switches would learn it from here.
                out.frames.retain(|(port, frame)| !self.claims(*port, frame));
            }
        }
        for index in 0..self.vips.len() {
            if !self.vips[index].place.foreign {
                let mut carp_out = carp::Outbox::default();
                self.vips[index].engine.set_master(now, leads, &mut carp_out);
                self.say_carp(now, index, carp_out, out);
            }
        }
        out.courier.push(match standing.cedes {
            Ceding::No => CourierOrder::Role(standing.role, standing.epoch),
            Ceding::Relays | Ceding::Drains => CourierOrder::Cedes(standing.epoch),
        });
    }

    /// The links of the ports, as the ways and the virtual IPs see them.
    pub(super) fn tell_links(&mut self, now: Instant, out: &mut HelmOutbox) {
        for way in &self.ways {
            let up = self.conditions.link(way.port);
            self.elector.handle_path(now, way.path, up, &mut self.role_out);
        }
        for index in 0..self.vips.len() {
            let up = self.conditions.link(self.vips[index].place.port);
            let mut carp_out = carp::Outbox::default();
            self.vips[index].engine.handle_link(now, up, &mut carp_out);
            self.say_carp(now, index, carp_out, out);
        }
        self.tell_health(now, out);
    }

    /// How well the node is goes into the election, and to those who share an address with it as FreeBSD tells them: by
    /// advertising less often.
    pub(super) fn tell_health(&mut self, now: Instant, out: &mut HelmOutbox) {
        let reached = self.elector.peer().map(|said| said.health.gateways);
        self.elector.handle_health(now, self.conditions.health(reached), &mut self.role_out);
        let demotion = if self.conditions.is_well() { 0 } else { DEMOTION };
        for index in 0..self.vips.len() {
            if self.vips[index].place.foreign {
                let mut carp_out = carp::Outbox::default();
                self.vips[index].engine.demote(now, demotion, &mut carp_out);
                self.say_carp(now, index, carp_out, out);
            }
        }
    }

    /// An active node leaves a resignation with the parent, one for each session and epoch.
    fn prepare_resignation(&mut self, out: &mut HelmOutbox) {
        let standing = self.elector.standing();
        let wanted = match (standing.role, self.session) {
            (Role::Active, Some(session)) => Some((session, standing.epoch)),
            (Role::Active, None) | (Role::Alone | Role::Standby, _) => None,
        };
        if wanted == self.resignation {
            return;
        }
        self.resignation = wanted;
        let Some((_, epoch)) = wanted else {
            out.resignation = Some(Vec::new());
            return;
        };
        let said = resignation(epoch);
        let mut frames: Vec<(PortId, FrameBuf)> = Vec::new();
        for way in &self.ways {
            let channel = self.channel.as_mut();
            let sealed = channel.and_then(|channel| channel.seal(Space::Control, &said));
            frames.extend(sealed.and_then(|sealed| Some((way.port, way.frame(&sealed)?))));
        }
        out.resignation = Some(frames);
    }
}

fn notice(event: Event) -> HelmNotice {
    let wrong = match &event {
        Event::Became(Transition { cause: Cause::Started, .. }) => false,
        Event::Became(_) | Event::Fenced { .. } => true,
        Event::Peer { alive } => !alive,
        Event::Path { carries, .. } => !carries,
        Event::Redundancy(redundancy) => !redundancy.is_full(),
        Event::Unfenced => false,
        Event::StaleResignation { .. } | Event::Abrupt { .. } | Event::Refused { .. } => true,
    };
    HelmNotice { wrong, place: "pair".into(), text: event.to_string() }
}

/// What the parent says for a router that died in this epoch.
fn resignation(epoch: Epoch) -> [u8; 5] {
    let [a, b, c, d] = epoch.0.to_be_bytes();
    [RESIGNATION, a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::pair::frozen_v1;

    #[test]
    fn a_resignation_is_that_of_version_1() {
        let epoch = Epoch(0x0102_0304);
        assert_eq!(resignation(epoch)[..], frozen_v1::resignation(epoch.0));
    }
}
