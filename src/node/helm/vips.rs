//! The virtual IPs as the helm works with them: one CARP engine each, and where its frames go.

use std::net::{IpAddr, Ipv6Addr};

use super::announcements::Announcement;
use crate::carp::{self, Mode, Vhid, VhidConfig};
use crate::config::model::VirtualMac;
use crate::config::{Config, NodeIndex, Valid};
use crate::types::{Duration, Instant, InterfaceId, MacAddr, PortId, Prefix, Seed};

/// An alarm is told again every ten seconds as long as its cause lasts; one of this age is over.
const ALARM_HOLDS: Duration = Duration::from_secs(30);

/// A virtual IP with its engine.
pub struct Vip {
    /// The engine.
    pub engine: Vhid,
    /// Where it lives.
    pub place: Place,
    /// What was wrong, and when that was last seen: one of each kind.
    alarms: Vec<(Instant, Alarm)>,
}

/// What is wrong with a virtual IP on its segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Alarm {
    /// The engine says so.
    Carp(carp::Event),
    /// This node's own advertisements come back.
    Reflected,
    /// A speaker of VRRP has the same number, and with it the same MAC address.
    Vrrp(IpAddr),
}

impl Vip {
    /// Keeps the newest alarm of its kind; true when none of it held any more.
    pub fn note_alarm(&mut self, now: Instant, alarm: Alarm) -> bool {
        let is_new = !self.present_alarms(now).any(|old| old.kind() == alarm.kind());
        self.alarms.retain(|(_, old)| old.kind() != alarm.kind());
        self.alarms.push((now, alarm));
        is_new
    }

    /// Those whose cause may still be there.
    pub fn present_alarms(&self, now: Instant) -> impl Iterator<Item = Alarm> + '_ {
        self.alarms.iter().filter(move |(at, _)| now.since(*at) < ALARM_HOLDS).map(|(_, alarm)| *alarm)
    }
}

impl Alarm {
    const fn kind(&self) -> u8 {
        match self {
            Alarm::Carp(carp::Event::ListsDiffer { .. }) => 0,
            Alarm::Carp(carp::Event::BadDigest { .. }) => 1,
            Alarm::Carp(carp::Event::Stranger { .. }) => 2,
            Alarm::Carp(carp::Event::OtherMaster { .. }) => 3,
            Alarm::Carp(carp::Event::FamilySilent { .. }) => 4,
            Alarm::Reflected => 5,
            Alarm::Vrrp(_) => 6,
            Alarm::Carp(carp::Event::Repeat { .. }) => 7,
        }
    }
}

/// Where a virtual IP lives on this node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// The interface.
    pub interface: InterfaceId,
    /// Its name.
    pub name: String,
    /// Its port.
    pub port: PortId,
    /// The MAC address that the virtual addresses live at.
    pub mac: MacAddr,
    /// The node's own MAC address.
    pub own_mac: MacAddr,
    /// Shared with a speaker that is not our peer.
    pub foreign: bool,
    /// The virtual addresses.
    pub addresses: Vec<IpAddr>,
}

impl Place {
    /// What a takeover says here.
    pub fn announcements(&self) -> impl Iterator<Item = Announcement> + '_ {
        let Place { interface, mac, addresses, .. } = self;
        addresses.iter().map(|address| Announcement { interface: *interface, mac: *mac, address: *address })
    }
}

/// The virtual IPs of the document, in its order, and what each has to say about it. Engines of those that stayed what
/// they are go on.
pub fn vips(
    config: &Valid<Config>,
    node: NodeIndex,
    before: Vec<Vip>,
    seed: Seed,
    now: Instant,
) -> Vec<(Vip, carp::Outbox)> {
    let mut before: Vec<Option<Vip>> = before.into_iter().map(Some).collect();
    let one = |(index, (interface, vip)): (usize, (InterfaceId, &crate::config::model::VirtualIp))| {
        let own_mac = config.mac(node, interface);
        let place = Place {
            interface,
            name: config.interface_name(interface).to_owned(),
            port: config.port_id(node, interface),
            mac: match vip.mac {
                VirtualMac::Virtual => vip.vhid.mac(),
                VirtualMac::Own => own_mac,
            },
            own_mac,
            foreign: vip.foreign,
            addresses: vip.addresses.iter().map(Prefix::addr).collect(),
        };
        let mode = match vip.foreign {
            true => Mode::Foreign { preempt: vip.preempt.unwrap_or(true), peer: vip.peer },
            false => Mode::Paired {
                peer: config.peer_of(node).map_or(Vec::new(), |peer| own_addresses(config, peer, interface)),
            },
        };
        let wanted = VhidConfig {
            vhid: vip.vhid,
            addresses: place.addresses.clone(),
            password: vip.password.reveal().to_owned(),
            advbase: vip.advbase,
            advskew: config.advskew(node, vip),
            own: own_addresses(config, node, interface),
            mode,
        };
        let same = before.iter_mut().find(|old| {
            old.as_ref().is_some_and(|old| {
                old.place.name == config.interface_name(interface) && old.engine.config().vhid == vip.vhid
            })
        });
        let mut out = carp::Outbox::default();
        let vip = match same.and_then(Option::take) {
            Some(mut old) => {
                old.engine.apply(now, wanted, &mut out);
                Vip { place, ..old }
            }
            None => {
                let engine = Vhid::new(wanted, seed.derive(index as u64), now);
                Vip { engine, place, alarms: Vec::new() }
            }
        };
        (vip, out)
    };
    config.virtual_ips().enumerate().map(one).collect()
}

/// A node's own addresses on an interface, the link-local one first of its family: CARP over IPv6 comes from there.
fn own_addresses(config: &Valid<Config>, node: NodeIndex, interface: InterfaceId) -> Vec<IpAddr> {
    let link_local: Ipv6Addr = config.link_local(node, interface);
    let configured = config.addresses(node, interface).iter().map(Prefix::addr);
    std::iter::once(IpAddr::V6(link_local)).chain(configured).collect()
}
