//! Router advertisements (RFC 4861 section 6.2): periodic, in answer to solicitations, and a last one.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use crate::types::{Instant, InterfaceId, Ipv6Net, MacAddr, Random, Seed};
use crate::wire::icmpv6::Envelope;
use crate::wire::nd::{self, Message, PrefixInformation, RouterAdvertisement};
use crate::wire::{FrameBuf, Packet};

/// RFC 4861 section 6.2.1: MaxRtrAdvInterval and MinRtrAdvInterval.
const MOST: Duration = Duration::from_secs(600);
const LEAST: Duration = Duration::from_secs(200);
/// AdvDefaultLifetime.
const LIFETIME: u16 = 1800;
/// AdvValidLifetime and AdvPreferredLifetime: 30 days and 7 days.
const VALID: u32 = 2_592_000;
const PREFERRED: u32 = 604_800;
/// MAX_INITIAL_RTR_ADVERTISEMENTS and their interval (section 10).
const INITIAL: u8 = 3;
const INITIAL_INTERVAL: Duration = Duration::from_secs(16);
/// MIN_DELAY_BETWEEN_RAS: no two to the group within this time.
const SPACING: Duration = Duration::from_secs(3);

/// A link on which the router advertises itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AdvertiserLink {
    /// The interface.
    pub id: InterfaceId,
    /// Our MAC address there.
    pub mac: MacAddr,
    /// The MAC address that hosts shall send to: a virtual one where there is one.
    pub source_mac: MacAddr,
    /// Our link-local address there, from which advertisements must come.
    pub link_local: Ipv6Addr,
    /// Largest packet.
    pub mtu: u16,
    /// Prefixes for autoconfiguration.
    pub prefixes: Vec<Ipv6Net>,
}

/// The engine.
pub struct RouterAdvertiser {
    links: Vec<Scheduled>,
    /// Nothing is said while somebody else has the role; what hosts know of the router stays true then.
    leading: bool,
    random: Random,
}

struct Scheduled {
    link: AdvertiserLink,
    up: bool,
    due: Instant,
    last: Option<Instant>,
    initial_left: u8,
}

impl RouterAdvertiser {
    /// An engine for these links, all down.
    pub fn new(links: Vec<AdvertiserLink>, seed: Seed, now: Instant) -> Self {
        let links = links.into_iter().map(|link| Scheduled::new(link, now)).collect();
        RouterAdvertiser { links, leading: true, random: seed.random() }
    }

    /// Other links. A link that stayed as it was keeps its schedule; one that is no more takes its leave.
    pub fn apply(
        &mut self,
        now: Instant,
        links: Vec<AdvertiserLink>,
        out: &mut Vec<(InterfaceId, FrameBuf)>,
    ) {
        let mut before = std::mem::take(&mut self.links);
        for link in links {
            let same = before.iter().position(|old| old.link == link);
            let up = before.iter().any(|old| old.link.id == link.id && old.up);
            match same {
                Some(index) => self.links.push(before.swap_remove(index)),
                None => self.links.push(Scheduled { up, ..Scheduled::new(link, now) }),
            }
        }
        let leading = self.leading;
        let gone =
            |old: &&Scheduled| leading && old.up && !self.links.iter().any(|new| new.link.id == old.link.id);
        out.extend(before.iter().filter(gone).map(|old| old.advertisement(0)));
    }

    /// A link came or went.
    pub fn handle_link(&mut self, now: Instant, interface: InterfaceId, up: bool) {
        for scheduled in self.links.iter_mut().filter(|scheduled| scheduled.link.id == interface) {
            scheduled.up = up;
            // Duplicate address detection has a second before the first one.
            scheduled.due = now + Duration::from_secs(2);
            scheduled.initial_left = INITIAL;
        }
    }

    /// The role came or went. Hosts hear of a new leader at once, and of one that lost the role from its successor.
    pub fn set_leading(&mut self, now: Instant, leading: bool) {
        if leading && !self.leading {
            for scheduled in &mut self.links {
                (scheduled.due, scheduled.initial_left) = (now, INITIAL);
            }
        }
        self.leading = leading;
    }

    /// A host asks for routers: the answer goes to all, soon, and not too often (section 6.2.6).
    pub fn handle_solicitation(&mut self, now: Instant, interface: InterfaceId, packet: &Packet) {
        if !matches!(Message::read(packet), Ok(Message::RouterSolicitation { .. })) {
            return;
        }
        let delay = Duration::from_nanos(self.random.below(500_000_000));
        for scheduled in self.links.iter_mut().filter(|scheduled| scheduled.link.id == interface) {
            let earliest = scheduled.last.map_or(now, |last| last + SPACING).max(now);
            scheduled.due = scheduled.due.min(earliest + delay);
        }
    }

    /// Sends what is due.
    pub fn handle_timeout(&mut self, now: Instant, out: &mut Vec<(InterfaceId, FrameBuf)>) {
        let leading = self.leading;
        let due = |scheduled: &&mut Scheduled| leading && scheduled.up && scheduled.due <= now;
        for scheduled in self.links.iter_mut().filter(due) {
            out.push(scheduled.advertisement(LIFETIME));
            let spread = self.random.below((MOST - LEAST).as_nanos() as u64);
            let mut interval = LEAST + Duration::from_nanos(spread);
            if scheduled.initial_left > 0 {
                scheduled.initial_left -= 1;
                interval = interval.min(INITIAL_INTERVAL);
            }
            scheduled.last = Some(now);
            scheduled.due = now + interval;
        }
    }

    /// When [`RouterAdvertiser::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let sending = self.links.iter().filter(|scheduled| self.leading && scheduled.up);
        sending.map(|scheduled| scheduled.due).min()
    }

    /// The last advertisement: hosts no longer use this router (section 6.2.5).
    pub fn stop(&mut self, out: &mut Vec<(InterfaceId, FrameBuf)>) {
        let sending = self.links.iter().filter(|scheduled| self.leading && scheduled.up);
        out.extend(sending.map(|scheduled| scheduled.advertisement(0)));
        self.links.clear();
    }
}

impl Scheduled {
    fn new(link: AdvertiserLink, now: Instant) -> Self {
        Scheduled { link, up: false, due: now, last: None, initial_left: INITIAL }
    }

    fn advertisement(&self, lifetime: u16) -> (InterfaceId, FrameBuf) {
        let AdvertiserLink { id, mac, source_mac, link_local, mtu, prefixes } = &self.link;
        let message = Message::RouterAdvertisement(RouterAdvertisement {
            hop_limit: 64,
            managed: false,
            other: false,
            lifetime,
            source_mac: Some(*source_mac),
            mtu: Some(u32::from(*mtu)),
        });
        let prefix = |prefix: &Ipv6Net| PrefixInformation {
            prefix: *prefix,
            on_link: true,
            autonomous: true,
            valid: VALID,
            preferred: PREFERRED,
        };
        let prefixes: Vec<PrefixInformation> = prefixes.iter().map(prefix).collect();
        (*id, message.frame(Envelope::to_group(*mac, *link_local, nd::ALL_NODES), &prefixes))
    }
}

impl AdvertiserLink {
    /// The prefixes of a link's addresses that hosts can configure themselves from: those of length 64.
    pub fn prefixes(addresses: impl IntoIterator<Item = IpAddr>) -> Vec<Ipv6Net> {
        let mut nets: Vec<Ipv6Net> = Vec::new();
        for address in addresses {
            if let IpAddr::V6(address) = address
                && !address.is_unicast_link_local()
                && let Ok(net) = Ipv6Net::new(address, 64).map(|net| net.trunc())
                && !nets.contains(&net)
            {
                nets.push(net);
            }
        }
        nets
    }
}
