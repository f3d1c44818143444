//! The node's health as a set of named conditions, from which [`Health`] is computed anew each time.
//!
//! Invariant: nothing is counted up or down, so nothing can get stuck; each condition is what was last said of it.

use crate::types::{InterfaceId, PortId};
use crate::wire::pair::Health;

/// What is known of the node itself.
#[derive(Clone, Debug)]
pub struct Conditions {
    /// The forwarding loop turns.
    pub forwarding: bool,
    /// By port: its link carries frames.
    links: Vec<bool>,
    /// The interfaces that must work, with their ports.
    critical: Vec<(InterfaceId, PortId)>,
    /// The interfaces without which the node is of little use to those who share an address with it: those with virtual
    /// IPs, and those with gateways.
    needed: Vec<(InterfaceId, PortId)>,
    /// Interfaces whose links are up and that hear nobody.
    silent: Vec<InterfaceId>,
    /// By gateway, in the order of the document: it answers; `None` until that is known.
    gateways: Vec<Option<bool>>,
    /// The node has the peer's states.
    pub synced: bool,
}

impl Conditions {
    /// A node whose links are down until somebody says otherwise.
    pub fn new(ports: usize, critical: Vec<(InterfaceId, PortId)>, gateways: usize) -> Self {
        Conditions {
            forwarding: true,
            links: vec![false; ports],
            critical,
            needed: Vec::new(),
            silent: Vec::new(),
            gateways: vec![None; gateways],
            synced: false,
        }
    }

    /// Another configuration; what is known stays known. `gateways` says of each which one it was before.
    pub fn apply(
        &mut self,
        ports: usize,
        critical: Vec<(InterfaceId, PortId)>,
        needed: Vec<(InterfaceId, PortId)>,
        gateways: impl Iterator<Item = Option<usize>>,
    ) {
        self.links.resize(ports, false);
        (self.critical, self.needed) = (critical, needed);
        // Several virtual IPs of an interface share its fate.
        self.critical.sort_unstable();
        self.critical.dedup();
        let known = |before: Option<usize>| before.and_then(|at| self.gateways.get(at)).copied().flatten();
        self.gateways = gateways.map(known).collect();
    }

    /// The link of a port came or went. The port may be one of a configuration that is still to come.
    pub fn set_link(&mut self, port: PortId, up: bool) {
        let index = usize::from(port.0);
        if index >= self.links.len() {
            self.links.resize(index + 1, false);
        }
        self.links[index] = up;
    }

    /// True when the port carries frames.
    pub fn link(&self, port: PortId) -> bool {
        self.links.get(usize::from(port.0)).copied().unwrap_or(false)
    }

    /// Nobody is heard on an interface although its link is up, or somebody is again.
    pub fn set_silent(&mut self, interface: InterfaceId, silent: bool) {
        self.silent.retain(|known| *known != interface);
        if silent {
            self.silent.push(interface);
        }
    }

    /// A gateway answers, or no longer does.
    pub fn set_gateway(&mut self, index: usize, reachable: bool) {
        if let Some(gateway) = self.gateways.get_mut(index) {
            *gateway = Some(reachable);
        }
    }

    fn works(&self, (id, port): &(InterfaceId, PortId)) -> bool {
        self.link(*port) && !self.silent.contains(id)
    }

    /// Nothing is wrong that a foreign speaker should know of: FreeBSD's demotion. Of several gateways one is enough,
    /// since with whoever else has the address nobody can be compared, and one that was not asked yet is no fault.
    pub fn is_well(&self) -> bool {
        let gateways =
            self.gateways.is_empty() || self.gateways.iter().any(|answers| *answers != Some(false));
        self.forwarding && gateways && self.needed.iter().all(|needed| self.works(needed))
    }

    /// All in all. Gateways of which nothing is known yet count as answering, but no more of them than make up for what
    /// the peer reaches: a node that has just started must not seem to reach what its peer knows to be dead.
    pub fn health(&self, reached_by_peer: Option<u8>) -> Health {
        let count = |what: usize| u8::try_from(what).unwrap_or(u8::MAX);
        let gateways = |answers| count(self.gateways.iter().filter(|known| **known == answers).count());
        let (answering, unknown) = (gateways(Some(true)), gateways(None));
        Health {
            forwarding: self.forwarding,
            links: count(self.critical.iter().filter(|critical| self.works(critical)).count()),
            gateways: match reached_by_peer {
                Some(theirs) => answering.max(theirs.min(answering.saturating_add(unknown))),
                None => answering.saturating_add(unknown),
            },
            synced: self.synced,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_is_what_was_last_said() {
        let critical = vec![(InterfaceId(0), PortId(0)), (InterfaceId(1), PortId(2))];
        let mut conditions = Conditions::new(4, critical, 2);
        let health = Health { forwarding: true, links: 0, gateways: 2, synced: false };
        assert_eq!(conditions.health(None), health);
        for theirs in [0, 1, 2] {
            assert_eq!(conditions.health(Some(theirs)).gateways, theirs, "as many as the peer, at first");
        }
        for port in 0..4 {
            conditions.set_link(PortId(port), true);
        }
        conditions.set_gateway(0, true);
        conditions.set_gateway(1, false);
        conditions.set_gateway(9, false);
        conditions.synced = true;
        assert_eq!(conditions.health(None), Health { forwarding: true, links: 2, gateways: 1, synced: true });
        conditions.set_silent(InterfaceId(0), true);
        assert_eq!(conditions.health(None).links, 1);
        conditions.set_silent(InterfaceId(0), false);
        conditions.set_link(PortId(2), false);
        conditions.set_link(PortId(1), false);
        assert_eq!(conditions.health(None).links, 1);
        // Ports are told before the configuration that has them.
        conditions.set_link(PortId(5), true);
        let needed = vec![(InterfaceId(0), PortId(5)), (InterfaceId(3), PortId(0))];
        conditions.apply(6, needed[..1].to_vec(), needed, [None, Some(1), Some(0)].into_iter());
        assert_eq!(conditions.health(None).gateways, 2, "one answers, one is silent, one is unknown");
        assert_eq!([0, 1, 2, 3].map(|theirs| conditions.health(Some(theirs)).gateways), [1, 1, 2, 2]);
        assert_eq!((conditions.health(None).links, conditions.link(PortId(4))), (1, false));
        assert!(conditions.is_well(), "one of three gateways answers");
        conditions.set_gateway(2, false);
        assert!(conditions.is_well(), "the first one may");
        type Harm = fn(&mut Conditions, bool);
        let harms: [Harm; 4] = [
            |conditions, well| conditions.forwarding = well,
            |conditions, well| conditions.set_link(PortId(0), well),
            |conditions, well| conditions.set_silent(InterfaceId(3), !well),
            |conditions, well| (0..3).for_each(|index| conditions.set_gateway(index, well)),
        ];
        for harm in harms {
            harm(&mut conditions, false);
            assert!(!conditions.is_well());
            harm(&mut conditions, true);
            assert!(conditions.is_well());
        }
    }
}
