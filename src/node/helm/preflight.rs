//! What people look for when a pair does not do what it should, looked for by the node itself.
//!
//! Invariant: a finding is something that an operator can put right, and says how. What heals by itself, or what
//! `validate` refuses in the document (a mask or an address that does not fit its interface), is none.

use serde::{Deserialize, Serialize};

use super::snapshot::{PairSnapshot, PathRow, VirtualIpRow};
use super::vips::Alarm;
use crate::carp;
use crate::cluster::role::Lack;
use crate::types::{Duration, Family};

/// Heartbeats lost, of a thousand: more is a sick cable.
const LOSS_PERMILLE: u16 = 10;
/// Later than this, a path or a node is too slow for a takeover that nobody notices.
const LATE_US: u64 = 10_000;
/// Clocks further apart make logs of the two nodes hard to compare.
const CLOCKS_APART: Duration = Duration::from_secs(1);

/// Something to put right.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Finding {
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

/// What is known besides the snapshot.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts<'a> {
    /// What a fail-over would lack.
    pub lacks: &'a [Lack],
    /// Alarms that still hold, with the number of their virtual IP.
    pub alarms: &'a [(usize, Alarm)],
    /// Gateways of the document.
    pub gateways: usize,
    /// This node is the preferred one.
    pub preferred: bool,
    /// The preferred node takes the role back by itself.
    pub preempts: bool,
    /// The role thread runs before all ordinary ones.
    pub real_time: Option<bool>,
    /// How far the nodes' calendars are apart.
    pub clocks_apart: Option<Duration>,
}

/// Everything that is to be put right, the segments first.
pub fn findings(pair: &PairSnapshot, facts: &Facts) -> Vec<Finding> {
    let mut found = Found(Vec::new());
    for (index, alarm) in facts.alarms {
        if let Some(vip) = pair.virtual_ips.get(*index) {
            found.segment(vip, *alarm);
        }
    }
    if pair.paired && pair.peer_name.is_some() {
        found.lacks(facts);
        found.paths(pair);
        pair.unheard().for_each(|vip| found.unheard(vip));
        found.gateways(pair, facts);
        found.machine(pair, facts);
        found.preference(pair, facts);
    }
    found.0
}

/// That nothing is heard of a virtual IP whose owner is.
pub fn nothing_arrives(interface: &str, vhid: u8, mac: &str) -> String {
    format!("VHID {vhid} on {interface} ({mac}): nothing that the other node sends from it arrives.")
}

struct Found(Vec<Finding>);

impl Found {
    fn add(&mut self, what: impl Into<String>, remedy: impl Into<String>) {
        self.0.push(Finding { what: what.into(), remedy: remedy.into() });
    }

    /// The segment of a virtual IP.
    fn segment(&mut self, vip: &VirtualIpRow, alarm: Alarm) {
        let VirtualIpRow { interface, vhid, .. } = vip;
        let name = format!("VHID {vhid} on {interface}");
        match alarm {
            Alarm::Carp(carp::Event::ListsDiffer { from }) => self.add(
                format!("{name}: {from} signs another list of addresses, or with another password."),
                "Make addresses and password of this virtual IP the same on both.",
            ),
            Alarm::Carp(carp::Event::BadDigest { from }) => self.add(
                format!("{name}: {from} advertises the same number with another password or other addresses."),
                "Find who that is; give one of the two another VHID, or both the same addresses and password.",
            ),
            Alarm::Carp(carp::Event::Stranger { from }) => self.add(
                format!("{name}: {from}, which is not the peer, advertises it with the right password."),
                "Choose another VHID here or there, or declare the virtual IP foreign if the two shall share it.",
            ),
            Alarm::Carp(carp::Event::OtherMaster { from }) => self.add(
                format!("{name}: {from} is MASTER as well."),
                "See that the two hear each other on this segment, and that nobody else uses the VHID.",
            ),
            Alarm::Carp(carp::Event::FamilySilent { family }) => {
                let family = match family {
                    Family::Inet => "IPv4",
                    Family::Inet6 => "IPv6",
                };
                self.add(
                    format!("{name}: the master's {family} advertisements do not arrive."),
                    "Have the switch let multicast through: switch IGMP and MLD snooping and storm control off for this segment, or exempt CARP's groups.",
                );
            }
            Alarm::Carp(carp::Event::Repeat { from }) => self.add(
                format!("{name}: an advertisement of {from} was heard again."),
                "Look for a loop, or for somebody who replays what he has recorded.",
            ),
            Alarm::Reflected => self.add(
                format!("{name}: this node's own advertisements come back."),
                "Look for a loop; on VMware set Net.ReversePathFwdCheckPromisc to 1 where a port group is promiscuous and has two uplinks.",
            ),
            Alarm::Vrrp(from) => self.add(
                format!("{name}: {from} uses the same number for VRRP, and so the same MAC address."),
                "Choose another VHID here, or another virtual router id there.",
            ),
        }
    }

    /// Own MAC addresses get through there, and the virtual one does not: the addresses are lost in a takeover.
    fn unheard(&mut self, vip: &VirtualIpRow) {
        self.add(
            nothing_arrives(&vip.interface, vip.vhid, &vip.mac),
            "Take port security and MAC filters off both nodes' switch ports; on a vSwitch allow promiscuous mode, MAC changes and forged transmits, or MAC learning. Where that may not be, let the virtual IP use the nodes' own MAC addresses.",
        );
    }

    /// What a fail-over would lack and somebody has to bring.
    fn lacks(&mut self, facts: &Facts) {
        for lack in facts.lacks {
            match lack {
                Lack::PeerSilent => self.add(
                    "The peer is silent on every path.",
                    "See whether it runs and has power; when it does, look at the cable between the sync ports, and whether each node's document has the other's public key.",
                ),
                Lack::VersionsDiffer => self.add(
                    "The nodes run releases of Koi that do not understand each other.",
                    "Install one release on both; neighbouring ones work together.",
                ),
                Lack::ConfigurationsDiffer => self.add(
                    "The nodes have different configurations.",
                    "A change is made on both at once, and told to a node that was away when it is back: wait a moment. If it stays so, `koi config conflicts` shows what one of them kept from the time when they did not hear each other, and `koi show status` on each shows the hash in force; make the change again where it is missing.",
                ),
                Lack::Maintenance => {
                    self.add("A node is in maintenance.", "End it there with `koi pair maintenance off`.");
                }
                Lack::Disabled => self.add("This node is disabled.", "Enable it with `koi pair enable`."),
                // What these come from has findings of its own, or passes.
                Lack::NoSession
                | Lack::SyncDown
                | Lack::NotSynced
                | Lack::StandbyUnwell
                | Lack::NobodyActive => {}
            }
        }
    }

    /// The ways between the nodes, the first of which is the sync port.
    fn paths(&mut self, pair: &PairSnapshot) {
        let peer_is_heard = pair.peer.as_ref().is_some_and(|peer| peer.alive);
        for (number, path) in pair.paths.iter().enumerate() {
            let PathRow { name, up, carries, echoed, heard_ms: _, loss_permille, lateness_us } = path;
            let sync = number == 0;
            match (up, carries) {
                (false, _) if sync => self.add(
                    "The sync port has no link: states are not replicated.",
                    "Look at its cable, and at the port of the other node.",
                ),
                (false, _) => self.add(format!("{name} has no link."), "Look at its cable and its switch port."),
                (true, false) if peer_is_heard && sync => self.add(
                    "The sync port has a link, but the peer is not heard on it: states are not replicated.",
                    "See that the two sync ports are connected with each other, in the same VLAN and with nothing between them that filters.",
                ),
                (true, false) if peer_is_heard => self.add(
                    format!("{name} has a link, but the peer is not heard on it."),
                    "See that both nodes are in the same VLAN there; switch port security off for their switch ports, and on a vSwitch allow forged transmits, MAC changes and promiscuous mode.",
                ),
                (true, false) => {}
                (true, true) if !echoed => self.add(
                    format!("On {name} the peer is heard, but does not hear this node."),
                    "Look for port security or a filter at this node's switch port, and on a vSwitch allow forged transmits and MAC changes.",
                ),
                (true, true) => {}
            }
            if *carries && *loss_permille > LOSS_PERMILLE {
                let percent = f64::from(*loss_permille) / 10.0;
                self.add(
                    format!("{name} loses {percent:.1} % of the heartbeats."),
                    "Look for errors at the ports, a bad cable, or a link that is full.",
                );
            }
            if *carries && *lateness_us > LATE_US {
                let late = *lateness_us as f64 / 1000.0;
                self.add(
                    format!("Heartbeats on {name} are up to {late:.1} ms late."),
                    "Look for a link that is full, or for a machine that has too little processor time.",
                );
            }
        }
    }

    fn gateways(&mut self, pair: &PairSnapshot, facts: &Facts) {
        if facts.gateways == 0 {
            return self.add(
                "The configuration has no gateway, so a dead uplink goes unnoticed.",
                "Add a [[gateway]] for the uplink.",
            );
        }
        let Some(row) = pair.conditions.iter().find(|row| row.name == "gateways") else { return };
        let peer = row.peer.filter(|_| pair.peer.as_ref().is_some_and(|peer| peer.alive));
        let remedy = "Look at the cable, the VLAN and the switch port of the node that does not reach it.";
        match (row.own, peer) {
            (0, Some(0) | None) => {
                self.add("No gateway answers.", "Look at the uplink, and at the gateway itself.")
            }
            (own, Some(peer)) if own > peer => {
                self.add("A gateway answers this node and not the peer.", remedy)
            }
            (own, Some(peer)) if own < peer => {
                self.add("A gateway answers the peer and not this node.", remedy)
            }
            (_, _) => {}
        }
    }

    /// The machines.
    fn machine(&mut self, pair: &PairSnapshot, facts: &Facts) {
        if facts.real_time == Some(false) {
            self.add(
                "The machine does not let the role thread run before all others: load can make it late.",
                "Let Koi's service use real-time priorities (systemd: LimitRTPRIO=50; a container: --ulimit rtprio=50).",
            );
        }
        let peer = pair.peer.as_ref().map(|peer| u64::from(peer.lateness_us));
        for (who, lateness) in [("This node", Some(pair.lateness_us)), ("The peer", peer)] {
            if let Some(late) = lateness.filter(|late| *late > LATE_US) {
                self.add(
                    format!("{who} is up to {:.1} ms late with its own timers.", late as f64 / 1000.0),
                    "Give the machine more processor time: a reservation for a VM, fewer neighbours, real-time priority.",
                );
            }
        }
        if let Some(apart) = facts.clocks_apart.filter(|apart| *apart > CLOCKS_APART) {
            self.add(
                format!("The clocks of the nodes are {:.1} s apart.", apart.as_secs_f64()),
                "Let both machines follow the same time servers (NTP).",
            );
        }
    }

    /// The preferred node should serve while it can.
    fn preference(&mut self, pair: &PairSnapshot, facts: &Facts) {
        let peer_is_heard = pair.peer.as_ref().is_some_and(|peer| peer.alive);
        let serves_instead = match (facts.preferred, pair.role.as_str()) {
            (true, "standby") | (false, "active") => peer_is_heard,
            (_, _) => false,
        };
        let explained = pair.maintenance || pair.disabled || facts.lacks.contains(&Lack::Maintenance);
        if serves_instead && !explained {
            let remedy = match facts.preempts {
                true => {
                    "It takes the role back when it has been healthy and in sync for preempt_delay; `koi pair takeover` on it does so now."
                }
                false => "When that is not wanted, run `koi pair takeover` on it, or set preempt = true.",
            };
            self.add("The preferred node is not the active one.", remedy);
        }
    }
}

#[cfg(test)]
#[path = "preflight_tests.rs"]
mod tests;
