//! The groups that this router listens to on a link, reported to switches and multicast routers (RFC 3810, RFC 2710).

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use super::Outbox;
use super::neighbours::Neighbours;
use super::own::Standing;
use crate::types::{Instant, InterfaceId};
use crate::wire::mld::{self, Query, Reason, Version};
use crate::wire::{Packet, nd};

/// RFC 3810 section 9: Robustness Variable, Unsolicited Report Interval. The second report, after duplicate address
/// detection, is the one that names a sender (RFC 3590).
const REPORTS: u8 = 2;
const REPORT_INTERVAL: Duration = Duration::from_millis(1500);

/// The group of CARP, which is VRRP's (RFC 5798 section 5.1.2.2).
const CARP: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12);

/// What is still to be reported on a link.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Membership {
    joining: Option<Instant>,
    left: u8,
    answer: Option<(Instant, Version)>,
}

impl Membership {
    /// There are new groups.
    pub fn join(&mut self, now: Instant) {
        (self.joining, self.left) = (Some(now), REPORTS);
    }

    /// When the next report is due.
    pub fn due(&self) -> Option<Instant> {
        self.joining.into_iter().chain(self.answer.map(|(at, _)| at)).min()
    }

    /// The reports that are due now.
    fn step(&mut self, now: Instant) -> [Option<(Reason, Version)>; 2] {
        let joining = self.joining.filter(|at| *at <= now).map(|_| {
            self.left = self.left.saturating_sub(1);
            self.joining = (self.left > 0).then_some(now + REPORT_INTERVAL);
            (Reason::Joined, Version::Two)
        });
        let answer = self.answer.filter(|(at, _)| *at <= now).map(|(_, version)| {
            self.answer = None;
            (Reason::Asked, version)
        });
        [joining, answer]
    }
}

impl<P> Neighbours<P> {
    /// A querier asks who listens: answered at a random moment within the time that it gives (RFC 3810 section 6.2).
    pub(super) fn handle_query(
        &mut self,
        now: Instant,
        interface: InterfaceId,
        packet: &Packet,
        out: &mut Outbox<P>,
    ) {
        let query = match Query::read(packet) {
            Ok(query) => query,
            Err(drop) => return out.counted.push(drop),
        };
        let Query { version, within, group } = query;
        if !group.is_unspecified() && !self.groups(interface).contains(&group) {
            return;
        }
        let delay = Duration::from_nanos(self.random.below(within.as_nanos().clamp(1, 1 << 60) as u64));
        if let Some(link) = self.link_mut(interface).filter(|link| link.up) {
            let pending = link.membership.answer.filter(|(at, _)| *at <= now + delay);
            link.membership.answer = pending.or(Some((now + delay, version)));
        }
        self.reschedule();
    }

    /// Sends the reports that are due.
    pub(super) fn step_memberships(&mut self, now: Instant, out: &mut Outbox<P>) {
        for number in 0..self.links.len() {
            let link = &mut self.links[number];
            let (interface, mac) = (link.config.id, link.config.mac);
            let due = link.membership.step(now);
            if due.iter().all(Option::is_none) {
                continue;
            }
            let groups = self.groups(interface);
            let from = self.own_v6(interface).filter(Ipv6Addr::is_unicast_link_local);
            let from = from.unwrap_or(Ipv6Addr::UNSPECIFIED);
            for (reason, version) in due.into_iter().flatten() {
                match version {
                    Version::One => {
                        let reports = groups.iter().map(|group| mld::report_version_1(mac, from, *group));
                        out.frames.extend(reports.map(|frame| (interface, frame)));
                    }
                    Version::Two => {
                        let reports = mld::reports(mac, from, reason, &groups);
                        out.frames.extend(reports.map(|frame| (interface, frame)));
                    }
                }
            }
        }
        self.reschedule();
    }

    /// All routers, and the groups of our addresses; none on a link without IPv6.
    fn groups(&self, interface: InterfaceId) -> Vec<Ipv6Addr> {
        let mut groups: Vec<Ipv6Addr> = Vec::new();
        for own in self.own.iter().filter(|own| own.interface == interface) {
            if let (IpAddr::V6(address), true) = (own.address, own.standing != Standing::Down) {
                groups.extend([nd::ALL_ROUTERS, nd::solicited_node(address)]);
            }
        }
        // The standby listens too: switches then know the way when it takes over.
        if let Some(link) = self.link(interface).filter(|link| link.up) {
            for known in &link.config.virtual_addresses {
                if let IpAddr::V6(address) = known.address {
                    groups.extend([CARP, nd::ALL_ROUTERS, nd::solicited_node(address)]);
                }
            }
        }
        groups.sort_unstable();
        groups.dedup();
        groups
    }
}
