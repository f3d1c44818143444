//! What is done to the nodes: each fault is a few steps, and can be undone.

use std::time::Duration;

use anyhow::{Context, ensure};

use super::change;
use super::readiness;
use super::upgrade;
use super::worker::Worker;
use crate::cluster::role;
use crate::io::process::Blow;
use crate::io::request::Request;
use crate::io::{clock, pace};
use crate::lab::build;
use crate::lab::claim::Claim;
use crate::lab::interruption;
use crate::lab::network::{Network, namespace};
use crate::lab::node::RunningNode;
use crate::lab::nodes::Nodes;

/// Where the silent fault and that of the gateway are.
const WAN: &str = "wan";
const LAN: &str = "lan";
const SYNC: &str = "sync";
/// The provider's router, and its port at the switch.
const GATEWAY: &str = "gateway";
/// A node that is preferred takes its role again within this, once it is ready.
const RETURN: Duration = Duration::from_secs(20);
/// How many rules the document of `change` has.
const MANY_RULES: usize = 10_000;
/// How long the pulse of `stall` lasts.
const PULSE: Duration = Duration::from_millis(200);

/// A drill.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Drill {
    /// Nothing happens: what the apparatus itself measures.
    Control,
    /// The active node loses its power: all its processes and its links go at once.
    PowerOff,
    /// The active node's router process dies, and its parent knows.
    Crash,
    /// The active node stands still, and goes on later.
    Freeze,
    /// The active node's WAN cable is pulled.
    UnplugWan,
    /// The active node's LAN cable is pulled.
    UnplugLan,
    /// The active node's WAN carries nothing any more, and its link stays up.
    UnplugSilent,
    /// The cable between the nodes is pulled.
    UnplugSync,
    /// The active node does not reach the provider's router any more; its peer does.
    GatewayDead,
    /// The nodes do not reach each other at all; later they do.
    Split,
    /// All processors are busy; later the active node is paused for 200 ms.
    Stall,
    /// All processors are busy for a minute.
    Load,
    /// The active node hands over.
    Handover,
    /// The active node loses its power, comes back, and takes the role again.
    Return,
    /// Each node ends and is started again, the other one serving meanwhile.
    RestartBoth,
    /// The standby node loses its power and comes back knowing nothing: it is told all flows while they go on.
    Resync,
    /// Both nodes get a newer release, one after the other.
    Upgrade,
    /// Both nodes get a configuration with 10,000 rules.
    Change,
    /// Both nodes get new keys.
    Rotate,
}

/// One thing that is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Act {
    /// Nothing.
    Nothing,
    /// SIGKILL of router and parent, and their ports down.
    PowerOff,
    /// SIGKILL of what the parent has started.
    KillRouter,
    /// SIGSTOP of all its processes.
    Stop,
    /// SIGCONT of all its processes.
    Go,
    /// Both, with a pulse between them.
    Pause,
    /// Link down.
    Unplug(&'static str),
    /// Link up.
    Plug(&'static str),
    /// The switch neither takes nor gives anything at the node's port.
    Mute(&'static str),
    /// It does again.
    Unmute(&'static str),
    /// The switch gives nothing from the node to the gateway or back.
    LoseGateway,
    /// It does again.
    FindGateway,
    /// The switches give nothing from node to node.
    Part,
    /// They do again.
    Join,
    /// Threads that never wait, two for each processor.
    Hog,
    /// They end.
    Relax,
    /// The node is started again.
    Start,
    /// `koi pair handover` on the active node.
    HandOver,
    /// The standby node ends cleanly and is started again.
    RestartStandby,
    /// The same of the active one, which hands over by itself.
    RestartActive,
    /// Each node says that the other one could take its place.
    AwaitReady,
    /// The node has taken its role again: by itself where it is preferred, by a handover otherwise.
    AwaitReturn,
    /// `koi pair upgrade` with a release of this very program, called newer.
    Upgrade,
    /// A configuration with so many rules in all comes into force on both nodes.
    FillUp(usize),
    /// The configuration before that one does.
    TakeRulesBack,
    /// `koi pair rotate`.
    Rotate,
}

impl Drill {
    /// All of them.
    pub const ALL: [Drill; 19] = [
        Drill::Control,
        Drill::PowerOff,
        Drill::Crash,
        Drill::Freeze,
        Drill::UnplugWan,
        Drill::UnplugLan,
        Drill::UnplugSilent,
        Drill::UnplugSync,
        Drill::GatewayDead,
        Drill::Split,
        Drill::Stall,
        Drill::Load,
        Drill::Handover,
        Drill::Return,
        Drill::RestartBoth,
        Drill::Resync,
        Drill::Upgrade,
        Drill::Change,
        Drill::Rotate,
    ];

    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Drill::Control => "control",
            Drill::PowerOff => "power-off",
            Drill::Crash => "crash",
            Drill::Freeze => "freeze",
            Drill::UnplugWan => "unplug-wan",
            Drill::UnplugLan => "unplug-lan",
            Drill::UnplugSilent => "unplug-silent",
            Drill::UnplugSync => "unplug-sync",
            Drill::GatewayDead => "gateway-dead",
            Drill::Split => "split",
            Drill::Stall => "stall",
            Drill::Load => "load",
            Drill::Handover => "handover",
            Drill::Return => "return",
            Drill::RestartBoth => "restart-both",
            Drill::Resync => "resync",
            Drill::Upgrade => "upgrade",
            Drill::Change => "change",
            Drill::Rotate => "rotate",
        }
    }

    /// What is done, and how long is looked at what comes of it. In most drills there is one step; in the others the
    /// second one undoes the first.
    pub fn steps(self) -> Vec<(Act, Duration)> {
        let seconds = Duration::from_secs;
        match self {
            Drill::Control => vec![(Act::Nothing, seconds(3))],
            Drill::PowerOff => vec![(Act::PowerOff, seconds(3))],
            Drill::Crash => vec![(Act::KillRouter, seconds(3))],
            Drill::Freeze => vec![(Act::Stop, seconds(2)), (Act::Go, seconds(2))],
            Drill::UnplugWan => vec![(Act::Unplug(WAN), seconds(3))],
            Drill::UnplugLan => vec![(Act::Unplug(LAN), seconds(3))],
            Drill::UnplugSilent => vec![(Act::Mute(WAN), seconds(3))],
            Drill::UnplugSync => vec![(Act::Unplug(SYNC), seconds(3))],
            Drill::GatewayDead => vec![(Act::LoseGateway, seconds(4))],
            Drill::Split => vec![(Act::Part, seconds(3)), (Act::Join, seconds(3))],
            Drill::Stall => vec![(Act::Hog, seconds(5)), (Act::Pause, seconds(3))],
            Drill::Load => vec![(Act::Hog, seconds(60))],
            Drill::Handover => vec![(Act::HandOver, seconds(2))],
            Drill::Return => vec![
                (Act::PowerOff, seconds(2)),
                (Act::Start, seconds(1)),
                (Act::AwaitReady, seconds(1)),
                (Act::AwaitReturn, seconds(2)),
            ],
            Drill::RestartBoth => vec![
                (Act::HandOver, seconds(1)),
                (Act::RestartStandby, seconds(1)),
                (Act::AwaitReady, seconds(1)),
                (Act::RestartActive, seconds(1)),
                (Act::AwaitReady, seconds(1)),
            ],
            Drill::Resync => vec![(Act::PowerOff, seconds(2))],
            Drill::Upgrade => vec![(Act::Upgrade, seconds(3))],
            Drill::Change => vec![(Act::FillUp(MANY_RULES), seconds(2)), (Act::TakeRulesBack, seconds(2))],
            Drill::Rotate => vec![(Act::Rotate, seconds(3))],
        }
    }

    /// What is done afterwards, so that all is as it was.
    pub fn mending(self) -> Vec<Act> {
        match self {
            Drill::Handover | Drill::Return | Drill::RestartBoth | Drill::Change | Drill::Rotate => vec![],
            Drill::Control | Drill::Crash | Drill::Freeze | Drill::Split | Drill::Upgrade => vec![],
            Drill::PowerOff | Drill::Resync => vec![Act::Start],
            Drill::UnplugWan => vec![Act::Plug(WAN)],
            Drill::UnplugLan => vec![Act::Plug(LAN)],
            Drill::UnplugSilent => vec![Act::Unmute(WAN)],
            Drill::UnplugSync => vec![Act::Plug(SYNC)],
            Drill::GatewayDead => vec![Act::FindGateway],
            Drill::Stall | Drill::Load => vec![Act::Relax],
        }
    }

    /// The switch at whose port nobody hears what the node says meanwhile.
    pub fn deaf(self) -> Option<&'static str> {
        match self {
            Drill::UnplugSilent => Some(WAN),
            Drill::Control
            | Drill::PowerOff
            | Drill::Crash
            | Drill::Freeze
            | Drill::UnplugWan
            | Drill::UnplugLan
            | Drill::UnplugSync
            | Drill::GatewayDead
            | Drill::Split
            | Drill::Stall
            | Drill::Load
            | Drill::Handover
            | Drill::Return
            | Drill::RestartBoth
            | Drill::Resync
            | Drill::Upgrade
            | Drill::Change
            | Drill::Rotate => None,
        }
    }

    /// The step from which on not one message of the streams may be lost, come twice, or out of its order.
    pub fn flawless_from(self) -> Option<usize> {
        match self {
            Drill::Handover | Drill::RestartBoth | Drill::Upgrade | Drill::Change | Drill::Rotate => Some(0),
            Drill::Return => Some(1),
            Drill::Control
            | Drill::PowerOff
            | Drill::Crash
            | Drill::Freeze
            | Drill::UnplugWan
            | Drill::UnplugLan
            | Drill::UnplugSilent
            | Drill::UnplugSync
            | Drill::GatewayDead
            | Drill::Split
            | Drill::Stall
            | Drill::Load => None,
            Drill::Resync => None,
        }
    }

    /// A node that was asleep goes on in the last step, and must find out that it has been replaced.
    pub fn wakes(self) -> bool {
        self == Drill::Freeze
    }

    /// It happens to the standby node, not to the active one.
    pub fn strikes_standby(self) -> bool {
        self == Drill::Resync
    }
}

impl std::str::FromStr for Drill {
    type Err = String;

    fn from_str(text: &str) -> Result<Drill, String> {
        Drill::ALL.into_iter().find(|drill| drill.name() == text).ok_or_else(|| {
            let names = Drill::ALL.map(Drill::name).join(", ");
            format!("there is no drill \"{text}\"; there are {names}, and all")
        })
    }
}

/// Those to whom things are done.
pub struct Scene<'a> {
    /// The network.
    pub network: &'a Network,
    /// The nodes.
    pub nodes: &'a mut Nodes,
    /// The lab's right to start processes.
    pub claim: &'a mut Claim,
    /// The node that it happens to.
    pub victim: usize,
    /// Threads that never wait.
    pub hogs: Vec<Worker>,
}

impl Scene<'_> {
    /// Does it.
    ///
    /// # Errors
    /// When it cannot be done; the scene is then in between.
    pub fn act(&mut self, act: Act) -> anyhow::Result<()> {
        let victim = self.victim;
        match act {
            Act::Nothing => Ok(()),
            Act::PowerOff => self.power_off(),
            Act::KillRouter => self.hit(Blow::Kill, 1),
            Act::Stop => self.hit(Blow::Stop, 0),
            Act::Go => self.hit(Blow::Go, 0),
            Act::Pause => {
                self.hit(Blow::Stop, 0)?;
                pace::until(clock::now() + PULSE);
                self.hit(Blow::Go, 0)
            }
            Act::Unplug(switch) => self.set_port(victim, switch, "down"),
            Act::Plug(switch) => self.set_port(victim, switch, "up"),
            Act::Mute(switch) => self.let_pass(victim, switch, false),
            Act::Unmute(switch) => self.let_pass(victim, switch, true),
            Act::LoseGateway => self.part_from_gateway("on"),
            Act::FindGateway => self.part_from_gateway("off"),
            Act::Part => self.part("on"),
            Act::Join => self.part("off"),
            Act::Hog => self.hog(),
            Act::Relax => {
                self.hogs.clear();
                Ok(())
            }
            Act::Start => self.nodes.start_again(victim, self.claim),
            Act::HandOver => self.hand_over(),
            Act::RestartStandby => self.restart("standby"),
            Act::RestartActive => self.restart("active"),
            Act::AwaitReady => readiness::wait(self.nodes, None),
            Act::AwaitReturn => self.await_return(),
            Act::Upgrade => upgrade::run(self.nodes, victim, self.claim),
            Act::FillUp(total) => change::fill_up(self.nodes, total),
            Act::TakeRulesBack => change::take_back(self.nodes),
            Act::Rotate => change::rotate(self.nodes, victim),
        }
    }

    /// The node that says that this is its role.
    fn node_that_is(&self, role: &str) -> anyhow::Result<usize> {
        let is = |node: &RunningNode| node.word().is_ok_and(|word| word.role == role);
        self.nodes.all.iter().position(is).with_context(|| format!("no node is {role}"))
    }

    fn hand_over(&self) -> anyhow::Result<()> {
        let node = &self.nodes.all[self.node_that_is("active")?];
        node.ask(&Request::Role(role::Request::HandOver)).context("koi pair handover").map(drop)
    }

    fn restart(&mut self, role: &str) -> anyhow::Result<()> {
        let node = self.node_that_is(role)?;
        self.nodes.start_again(node, self.claim)
    }

    fn await_return(&self) -> anyhow::Result<()> {
        if self.nodes.document.text.contains("preempt = false") {
            return self.hand_over();
        }
        let limit = clock::now() + RETURN;
        while self.node_that_is("active").ok() != Some(self.victim) {
            ensure!(clock::now() < limit, "the node does not take its role again");
            interruption::wait_until(clock::now() + PULSE)?;
        }
        Ok(())
    }

    /// Hits the victim's processes; `skip` leaves out the first of them, which is the parent.
    fn hit(&mut self, blow: Blow, skip: usize) -> anyhow::Result<()> {
        let node = self.nodes.all.get(self.victim).context("there is no such node")?;
        // All are aimed at before the first is hit.
        let targets = node.targets()?;
        targets.iter().skip(skip).try_for_each(|target| target.hit(blow)).context("hitting the node")
    }

    fn power_off(&mut self) -> anyhow::Result<()> {
        let victim = self.victim;
        let node = self.nodes.all.get_mut(victim).context("there is no such node")?;
        node.expect_its_end();
        // A process that sees another one die might still say a last word, which a machine without power cannot.
        self.hit(Blow::Stop, 0)?;
        self.hit(Blow::Kill, 0)?;
        for (netns, tap) in self.ports(victim, None) {
            // A device that Koi has made is gone with the process.
            drop(build::batch(&netns, &[format!("link set {tap} down")]));
        }
        Ok(())
    }

    /// The devices of a node: the namespace of the switch, and the name.
    fn ports(&self, node: usize, switch: Option<&str>) -> Vec<(String, String)> {
        let wanted = switch.map(namespace);
        let ports = self.nodes.document.config.nodes.get(node).into_iter().flat_map(|node| &node.ports);
        let places = ports.filter_map(|port| Some((port.netns.clone()?, port.tap.clone()?)));
        places.filter(|(netns, _)| wanted.as_ref().is_none_or(|wanted| wanted == netns)).collect()
    }

    fn port(&self, node: usize, switch: &str) -> anyhow::Result<(String, String)> {
        self.ports(node, Some(switch)).pop().with_context(|| format!("no port at the switch {switch}"))
    }

    fn set_port(&self, node: usize, switch: &str, how: &str) -> anyhow::Result<()> {
        let (netns, tap) = self.port(node, switch)?;
        build::batch(&netns, &[format!("link set {tap} {how}")])
    }

    fn let_pass(&self, node: usize, switch: &str, on: bool) -> anyhow::Result<()> {
        let (netns, tap) = self.port(node, switch)?;
        build::let_pass(&netns, &tap, on)
    }

    /// A bridge gives nothing from one isolated port to another.
    fn part_from_gateway(&self, how: &str) -> anyhow::Result<()> {
        let how = format!("type bridge_slave isolated {how}");
        build::batch(&namespace(WAN), &[format!("link set {GATEWAY} {how}")])?;
        self.set_port(self.victim, WAN, &how)
    }

    fn part(&self, how: &str) -> anyhow::Result<()> {
        for switch in &self.network.switches {
            let lines: Vec<String> = (0..self.nodes.all.len())
                .flat_map(|node| self.ports(node, Some(switch.name)))
                .map(|(_, tap)| format!("link set {tap} type bridge_slave isolated {how}"))
                .collect();
            build::batch(&namespace(switch.name), &lines)?;
        }
        Ok(())
    }

    fn hog(&mut self) -> anyhow::Result<()> {
        let processors = std::thread::available_parallelism()?.get();
        for _ in 0..2 * processors {
            self.hogs.push(Worker::start("hog", None, |running| {
                while running.goes_on() {
                    std::hint::spin_loop();
                }
                Ok(())
            })?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drills_have_names_and_what_is_done_is_undone() {
        for drill in Drill::ALL {
            assert_eq!(drill.name().parse(), Ok(drill));
            let mut acts: Vec<Act> = drill.steps().into_iter().map(|(act, _)| act).collect();
            acts.extend(drill.mending());
            let undone = |act: Act| match act {
                Act::PowerOff => Some(Act::Start),
                Act::Stop => Some(Act::Go),
                Act::Unplug(switch) => Some(Act::Plug(switch)),
                Act::Mute(switch) => Some(Act::Unmute(switch)),
                Act::LoseGateway => Some(Act::FindGateway),
                Act::Part => Some(Act::Join),
                Act::Hog => Some(Act::Relax),
                Act::Nothing
                | Act::KillRouter
                | Act::Go
                | Act::Pause
                | Act::Plug(_)
                | Act::Unmute(_)
                | Act::FindGateway
                | Act::Join
                | Act::Relax
                | Act::Start
                | Act::HandOver
                | Act::RestartStandby
                | Act::RestartActive
                | Act::AwaitReady
                | Act::AwaitReturn => None,
                Act::FillUp(_) => Some(Act::TakeRulesBack),
                Act::TakeRulesBack | Act::Upgrade | Act::Rotate => None,
            };
            for other in acts.iter().filter_map(|act| undone(*act)) {
                assert!(acts.contains(&other), "{}: {other:?}", drill.name());
            }
        }
        assert!("power".parse::<Drill>().unwrap_err().contains("power-off"));
    }
}
