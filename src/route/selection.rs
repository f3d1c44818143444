//! Which gateway a flow goes by: gateways with weights, groups with tiers, and what of them is up.
//!
//! Invariant: a [`Selection`] is a function of the configuration and of how the gateways are; nothing else is in it, so
//! the two nodes of a pair that see the same select the same.

use std::hash::BuildHasher;
use std::net::IpAddr;

use foldhash::fast::FixedState;

use super::fib::NextHop;
use super::monitor::{MonitorConfig, Status};
use crate::config::model::{KillStates, Trigger};
use crate::rules::Choice;
use crate::types::{Family, GatewayId, InterfaceId};
use crate::wire::FlowKey;

/// Gateways and groups as the document has them, in its order.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct GatewaysConfig {
    /// Gateways.
    pub gateways: Vec<GatewayConfig>,
    /// Groups.
    pub groups: Vec<GroupConfig>,
    /// By family: the group whose first member that is up is the default gateway.
    pub default_groups: [Option<u16>; 2],
    /// By interface and family: the gateway by which answers go back to where flows came from.
    pub replies: Vec<[Option<u16>; 2]>,
    /// Flows of one source go by the same gateway of a tier.
    pub sticky: bool,
    /// Rules whose gateway is down are left out.
    pub skip_rules: bool,
}

/// A gateway.
#[derive(Clone, PartialEq, Debug)]
pub struct GatewayConfig {
    /// Which one.
    pub id: GatewayId,
    /// Where it is.
    pub interface: InterfaceId,
    /// Its address there.
    pub address: IpAddr,
    /// Its share among the gateways of a tier.
    pub weight: u8,
    /// How it is watched.
    pub watch: Watch,
    /// Flows that end when it goes down.
    pub kill: KillStates,
}

/// Whether a gateway is watched.
#[derive(Clone, PartialEq, Debug)]
pub enum Watch {
    /// It counts as up.
    Off,
    /// It counts as down.
    ForcedDown,
    /// It is asked.
    On {
        /// Who is asked.
        target: IpAddr,
        /// How.
        monitor: MonitorConfig,
        /// Bytes behind the header of a probe.
        payload: u16,
        /// What is seen has consequences.
        acts: bool,
    },
}

/// A group.
#[derive(Clone, PartialEq, Debug)]
pub struct GroupConfig {
    /// When a member is left out.
    pub trigger: Trigger,
    /// Tiers and places of gateways.
    pub members: Vec<(u8, u16)>,
    /// Flows of higher tiers end when a lower one is up again.
    pub kill_on_recovery: bool,
}

impl GatewayConfig {
    /// The next hop.
    pub const fn hop(&self) -> NextHop {
        NextHop { interface: self.interface, gateway: Some(self.address) }
    }

    /// What is seen of it has consequences.
    const fn acts(&self) -> bool {
        match self.watch {
            Watch::Off => false,
            Watch::ForcedDown => true,
            Watch::On { acts, .. } => acts,
        }
    }

    /// It can be used, as far as a status says.
    pub const fn is_up(&self, status: Status) -> bool {
        !self.acts() || !status.is_down()
    }
}

impl GroupConfig {
    /// A member that is like this can be used.
    fn takes(&self, gateway: &GatewayConfig, status: Status) -> bool {
        if !gateway.acts() {
            return true;
        }
        let (loss, delay) = match self.trigger {
            Trigger::Down => (false, false),
            Trigger::DownLoss => (true, false),
            Trigger::DownLatency => (false, true),
            Trigger::DownLossLatency => (true, true),
        };
        match status {
            Status::Pending | Status::Online => true,
            Status::Delay => !delay,
            Status::Loss => !loss,
            Status::Down(_) => false,
        }
    }
}

impl GatewaysConfig {
    /// A flow whose rule names `choice` may go by this gateway.
    pub fn includes(&self, choice: Choice, id: GatewayId) -> bool {
        let is = |place: usize| self.gateways.get(place).is_some_and(|gateway| gateway.id == id);
        match choice.place().checked_sub(self.gateways.len()).and_then(|group| self.groups.get(group)) {
            Some(group) => group.members.iter().any(|(_, place)| is(usize::from(*place))),
            None => is(choice.place()),
        }
    }

    /// A flow that the routes lead by a group may go by this gateway.
    pub fn is_default(&self, id: GatewayId) -> bool {
        let choice = |group: &u16| Choice::at((self.gateways.len() + usize::from(*group)) as u16);
        self.default_groups.iter().flatten().any(|group| self.includes(choice(group), id))
    }
}

/// What a gateway or group stands for at present.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Way {
    /// The tier in use; 0 for a gateway by itself, and when none is.
    tier: u8,
    /// Places of gateways, in the order of the document.
    members: Vec<u16>,
}

/// Which gateways are used at present.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Selection {
    gateways: Vec<(GatewayId, NextHop, u8)>,
    /// By [`Choice`].
    ways: Vec<Way>,
    /// By [`Choice`]: rules that name it are left out.
    idle: Vec<bool>,
    defaults: [Option<u16>; 2],
    replies: Vec<[Option<u16>; 2]>,
    sticky: bool,
}

impl Selection {
    /// What `config` comes to when its gateways are like this, in their order; those that are not named are up.
    pub fn new(config: &GatewaysConfig, statuses: &[Status]) -> Self {
        let status = |place: usize| statuses.get(place).copied().unwrap_or(Status::Pending);
        let alone = config.gateways.iter().enumerate().map(|(place, gateway)| {
            let members = if gateway.is_up(status(place)) { vec![place as u16] } else { Vec::new() };
            Way { tier: 0, members }
        });
        let groups = config.groups.iter().map(|group| {
            let takes = |place: &u16| {
                let place = usize::from(*place);
                config.gateways.get(place).is_some_and(|gateway| group.takes(gateway, status(place)))
            };
            let usable: Vec<(u8, u16)> =
                group.members.iter().filter(|(_, place)| takes(place)).copied().collect();
            let tier = usable.iter().map(|(tier, _)| *tier).min().unwrap_or(0);
            let members = usable.into_iter().filter(|(of, _)| *of == tier).map(|(_, place)| place).collect();
            Way { tier, members }
        });
        let ways: Vec<Way> = alone.chain(groups).collect();
        let first = |group: u16| {
            let way = config.gateways.len() + usize::from(group);
            let fallback =
                || config.groups.get(usize::from(group))?.members.iter().min().map(|(_, place)| *place);
            ways.get(way).and_then(|way| way.members.first().copied()).or_else(fallback)
        };
        Selection {
            gateways: config.gateways.iter().map(|it| (it.id, it.hop(), it.weight)).collect(),
            idle: ways.iter().map(|way| config.skip_rules && way.members.is_empty()).collect(),
            defaults: config.default_groups.map(|group| group.and_then(first)),
            replies: config.replies.clone(),
            sticky: config.sticky,
            ways,
        }
    }

    /// By [`Choice`]: rules that name it are left out at present.
    #[inline]
    pub fn idle(&self) -> &[bool] {
        &self.idle
    }

    /// The tier of a group that is in use; 0 when none is.
    pub fn tier(&self, group: usize) -> u8 {
        self.ways.get(self.gateways.len() + group).map_or(0, |way| way.tier)
    }

    /// The gateways that a choice stands for at present.
    pub fn members(&self, choice: Choice) -> impl Iterator<Item = GatewayId> + '_ {
        let members = self.ways.get(choice.place()).map_or(&[][..], |way| &way.members);
        members.iter().filter_map(|place| self.gateways.get(usize::from(*place))).map(|(id, ..)| *id)
    }

    /// The gateway of a choice that a new flow goes by; `None` when all of them are down. Members share the flows by
    /// their weights, and a flow stays where it would be when other members come and go (rendezvous hashing).
    pub fn pick(&self, choice: Choice, key: &FlowKey) -> Option<(GatewayId, NextHop)> {
        let members = &self.ways.get(choice.place())?.members;
        let place = match members[..] {
            [] => return None,
            [only] => only,
            _ => {
                let state = FixedState::with_seed(0);
                let flow = if self.sticky { state.hash_one(key.src()) } else { state.hash_one(key) };
                let best = |place: &u16| {
                    let (id, _, weight) = self.gateways.get(usize::from(*place))?;
                    (0..*weight).map(|share| state.hash_one((flow, id.0, share))).max()
                };
                members.iter().copied().max_by_key(best)?
            }
        };
        let (id, hop, _) = self.gateways.get(usize::from(place))?;
        Some((*id, *hop))
    }

    /// Where the default group of a family leads.
    #[inline]
    pub fn default_hop(&self, family: Family) -> Option<NextHop> {
        let [inet, inet6] = self.defaults;
        let place = match family {
            Family::Inet => inet,
            Family::Inet6 => inet6,
        };
        self.gateways.get(usize::from(place?)).map(|(_, hop, _)| *hop)
    }

    /// The next hop of a gateway, when there is one of this number.
    pub fn hop(&self, id: GatewayId) -> Option<NextHop> {
        self.gateways.iter().find(|(other, ..)| *other == id).map(|(_, hop, _)| *hop)
    }

    /// The gateway behind a next hop.
    #[inline]
    pub fn gateway_of(&self, hop: &NextHop) -> Option<GatewayId> {
        hop.gateway?;
        self.gateways.iter().find(|(_, other, _)| other == hop).map(|(id, ..)| *id)
    }

    /// The gateway by which answers go back that came in by an interface.
    #[inline]
    pub fn reply_gateway(&self, interface: InterfaceId, family: Family) -> Option<(GatewayId, NextHop)> {
        let [inet, inet6] = *self.replies.get(usize::from(interface.0))?;
        let place = match family {
            Family::Inet => inet,
            Family::Inet6 => inet6,
        };
        self.gateways.get(usize::from(place?)).map(|(id, hop, _)| (*id, *hop))
    }
}

#[cfg(test)]
#[path = "selection_tests.rs"]
mod tests;
