//! All gateways: who is asked when, how they are, and which of them flows go by.
//!
//! Invariant: between two packets nothing changes; what a change of a gateway asks of flows stands in the outbox.

use std::net::IpAddr;
use std::time::Duration;

use super::monitor::{Monitor, Reason, Report, Status};
use super::selection::{GatewayConfig, GatewaysConfig, Selection, Watch};
use crate::config::model::KillStates;
use crate::rules::Choice;
use crate::types::{GatewayId, Instant, InterfaceId};

/// The first echo identifier of probes; each gateway has its own. As many are kept free of others as there may be gateways.
const FIRST_IDENTIFIER: u16 = 0x4b00;

/// An echo request to be sent by a gateway.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Probe {
    /// The gateway by which it leaves.
    pub gateway: GatewayId,
    /// The interface by which it leaves.
    pub interface: InterfaceId,
    /// Who is asked.
    pub target: IpAddr,
    /// Identifier of the echo.
    pub identifier: u16,
    /// Number of the probe.
    pub sequence: u16,
    /// Bytes behind the header.
    pub payload: u16,
}

/// Flows that are to end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Doomed {
    /// All.
    All,
    /// Those that go by a gateway, or whose answers do.
    By(GatewayId),
    /// Those that went by one of these because better ones were down.
    Failover {
        /// What their rule names; `None` for those that the routes led to.
        choice: Option<Choice>,
        /// The gateways.
        gateways: Vec<GatewayId>,
    },
}

/// What has changed of a gateway.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Change {
    /// Its place in the document.
    pub place: usize,
    /// How it was.
    pub before: Status,
    /// How it is.
    pub after: Status,
}

/// What the gateways say.
#[derive(Debug, Default)]
pub struct GatewaysOutbox {
    /// Probes to be sent.
    pub probes: Vec<Probe>,
    /// Changes to be told.
    pub changes: Vec<Change>,
    /// Flows to be ended.
    pub doomed: Vec<Doomed>,
}

/// A gateway, and what is known of it.
struct Watched {
    monitor: Option<Monitor>,
    status: Status,
    since: Instant,
    /// It answers on its own link, as far as is known.
    reachable: bool,
}

/// A gateway as it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GatewayState {
    /// How it is.
    pub status: Status,
    /// Since when.
    pub since: Instant,
    /// What its probes have come to; `None` when it is not watched.
    pub report: Option<Report>,
}

/// All gateways.
pub struct Gateways {
    config: GatewaysConfig,
    watched: Vec<Watched>,
    selection: Selection,
}

impl Gateways {
    /// Watches the gateways of a configuration.
    pub fn new(config: GatewaysConfig, now: Instant) -> Self {
        let mut gateways = Gateways {
            config: GatewaysConfig::default(),
            watched: Vec::new(),
            selection: Selection::default(),
        };
        gateways.apply(now, config);
        gateways
    }

    /// Another configuration. What is known of a gateway that is watched as before stays known.
    pub fn apply(&mut self, now: Instant, config: GatewaysConfig) {
        let before = std::mem::replace(&mut self.config, config);
        let mut known: Vec<(GatewayConfig, Option<Watched>)> = before
            .gateways
            .into_iter()
            .zip(std::mem::take(&mut self.watched).into_iter().map(Some))
            .collect();
        let reachable: Vec<(GatewayConfig, bool)> = known
            .iter()
            .filter_map(|(old, watched)| Some((old.clone(), watched.as_ref()?.reachable)))
            .collect();
        let count = self.config.gateways.len().max(1) as u32;
        for (place, gateway) in self.config.gateways.iter().enumerate() {
            let same = |old: &GatewayConfig| {
                (old.id, old.interface, old.address, &old.watch)
                    == (gateway.id, gateway.interface, gateway.address, &gateway.watch)
            };
            let kept = known.iter_mut().find(|(old, _)| same(old)).and_then(|(_, watched)| watched.take());
            let hop = |(old, _): &&(GatewayConfig, bool)| old.hop() == gateway.hop();
            let reachable = reachable.iter().find(hop).is_none_or(|(_, reachable)| *reachable);
            let fresh = || Watched { reachable, ..Watched::new(gateway, now, place as u32, count) };
            self.watched.push(kept.unwrap_or_else(fresh));
        }
        self.select();
    }

    /// What flows go by at present.
    #[inline]
    pub fn selection(&self) -> &Selection {
        &self.selection
    }

    /// How each gateway is, in the document's order.
    pub fn statuses(&self) -> Vec<Status> {
        self.watched.iter().map(|watched| watched.status).collect()
    }

    /// How each gateway is, with what its probes have come to.
    pub fn states(&self) -> impl Iterator<Item = GatewayState> + '_ {
        self.watched.iter().map(|watched| GatewayState {
            status: watched.status,
            since: watched.since,
            report: watched.monitor.as_ref().map(Monitor::report),
        })
    }

    /// The gateway whose probes to `target` have this identifier.
    pub fn gateway_of_probe(&self, target: IpAddr, identifier: u16) -> Option<GatewayId> {
        let gateway = self.config.gateways.get(usize::from(identifier.checked_sub(FIRST_IDENTIFIER)?))?;
        match gateway.watch {
            Watch::On { target: asked, .. } if asked == target => Some(gateway.id),
            Watch::On { .. } | Watch::Off | Watch::ForcedDown => None,
        }
    }

    /// A probe could not be sent, for reasons of our own.
    pub fn handle_unsent(&mut self, probe: &Probe) {
        let place = usize::from(probe.identifier.wrapping_sub(FIRST_IDENTIFIER));
        if let Some(monitor) = self.watched.get_mut(place).and_then(|it| it.monitor.as_mut()) {
            monitor.forget(probe.sequence);
        }
    }

    /// An echo reply has come from `target`; false when no probe is waiting for it.
    pub fn handle_answer(&mut self, now: Instant, target: IpAddr, identifier: u16, sequence: u16) -> bool {
        if self.gateway_of_probe(target, identifier).is_none() {
            return false;
        }
        let watched = self.watched.get_mut(usize::from(identifier - FIRST_IDENTIFIER));
        watched.and_then(|it| it.monitor.as_mut()).is_some_and(|it| it.handle_answer(now, sequence))
    }

    /// A gateway answers on its own link, or no longer does. That is known sooner than by any probe.
    pub fn handle_neighbour(
        &mut self,
        now: Instant,
        (interface, address): (InterfaceId, IpAddr),
        reachable: bool,
        out: &mut GatewaysOutbox,
    ) {
        let found =
            self.config.gateways.iter().position(|it| (it.interface, it.address) == (interface, address));
        if let Some(watched) = found.and_then(|place| self.watched.get_mut(place)) {
            watched.reachable = reachable;
            self.judge(now, out);
        }
    }

    /// Sends what is due, and judges.
    pub fn handle_timeout(&mut self, now: Instant, out: &mut GatewaysOutbox) {
        let mut looked = false;
        for (place, (watched, gateway)) in self.watched.iter_mut().zip(&self.config.gateways).enumerate() {
            let (Some(monitor), Watch::On { target, payload, .. }) = (&mut watched.monitor, &gateway.watch)
            else {
                continue;
            };
            if monitor.poll_timeout() > now {
                continue;
            }
            let (probe, look) = monitor.handle_timeout(now);
            looked |= look;
            // What cannot leave is lost.
            if let Some(sequence) = probe.filter(|_| watched.reachable) {
                out.probes.push(Probe {
                    gateway: gateway.id,
                    interface: gateway.interface,
                    target: *target,
                    identifier: FIRST_IDENTIFIER + place as u16,
                    sequence,
                    payload: *payload,
                });
            }
        }
        if looked {
            self.judge(now, out);
        }
    }

    /// When [`Gateways::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.watched.iter().filter_map(|it| it.monitor.as_ref()).map(Monitor::poll_timeout).min()
    }

    /// Says what has changed, and selects anew.
    fn judge(&mut self, now: Instant, out: &mut GatewaysOutbox) {
        let first = out.changes.len();
        for (place, watched) in self.watched.iter_mut().enumerate() {
            let Some(monitor) = &watched.monitor else { continue };
            let after = if watched.reachable { monitor.status() } else { Status::Down(Reason::Neighbour) };
            let before = std::mem::replace(&mut watched.status, after);
            if before != after {
                if before.name() != after.name() {
                    watched.since = now;
                }
                out.changes.push(Change { place, before, after });
            }
        }
        if out.changes.len() == first {
            return;
        }
        let tiers = self.tiers();
        self.select();
        for Change { place, before, after } in &out.changes[first..] {
            self.doom_failed(*place, *before, *after, &mut out.doomed);
        }
        for (group, before) in tiers.into_iter().enumerate() {
            self.doom_failover(group, before, &mut out.doomed);
        }
    }

    /// Flows of the gateways that are down now, as configured; for a node that has just taken over.
    pub fn doom_again(&self, doomed: &mut Vec<Doomed>) {
        for (place, watched) in self.watched.iter().enumerate() {
            self.doom_failed(place, Status::Pending, watched.status, doomed);
        }
    }

    fn doom_failed(&self, place: usize, before: Status, after: Status, doomed: &mut Vec<Doomed>) {
        let Some(gateway) = self.config.gateways.get(place) else { return };
        if !gateway.is_up(before) || gateway.is_up(after) {
            return;
        }
        match gateway.kill {
            KillStates::None => {}
            KillStates::Down => doomed.push(Doomed::By(gateway.id)),
            KillStates::All => doomed.push(Doomed::All),
        }
    }

    /// A better tier than before is in use: flows of the worse ones may have to begin anew.
    fn doom_failover(&self, group: usize, before: u8, doomed: &mut Vec<Doomed>) {
        let after = self.selection.tier(group);
        let Some(config) = self.config.groups.get(group).filter(|it| it.kill_on_recovery) else { return };
        if after == 0 || before != 0 && before <= after {
            return;
        }
        let worse = config.members.iter().filter(|(tier, _)| *tier > after);
        let gateways: Vec<GatewayId> =
            worse.filter_map(|(_, place)| Some(self.config.gateways.get(usize::from(*place))?.id)).collect();
        if gateways.is_empty() {
            return;
        }
        let choice = Choice::at((self.config.gateways.len() + group) as u16);
        if self.config.default_groups.contains(&Some(group as u16)) {
            doomed.push(Doomed::Failover { choice: None, gateways: gateways.clone() });
        }
        doomed.push(Doomed::Failover { choice: Some(choice), gateways });
    }

    fn tiers(&self) -> Vec<u8> {
        (0..self.config.groups.len()).map(|group| self.selection.tier(group)).collect()
    }

    fn select(&mut self) {
        self.selection = Selection::new(&self.config, &self.statuses());
    }
}

impl Watched {
    /// `place` of `count` gateways: their probes are spread over an interval.
    fn new(gateway: &GatewayConfig, now: Instant, place: u32, count: u32) -> Self {
        let (monitor, status) = match &gateway.watch {
            Watch::Off => (None, Status::Online),
            Watch::ForcedDown => (None, Status::Down(Reason::Forced)),
            Watch::On { monitor, .. } => {
                let stagger: Duration = monitor.interval * place / count;
                (Some(Monitor::new(*monitor, now, stagger)), Status::Pending)
            }
        };
        Watched { monitor, status, since: now, reachable: true }
    }
}

#[cfg(test)]
#[path = "gateways_tests.rs"]
mod tests;
