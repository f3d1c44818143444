//! One trial of a drill: a while in which nothing happens, then the fault, then everything as it was.

use std::time::Duration;

use anyhow::ensure;

use super::background::Census;
use super::fault::{Act, Drill, Scene};
use super::figures::{Gap, Window};
use super::mastership;
use super::ping::Count;
use super::readiness;
use super::sighting::{Kind, Sighting};
use super::traffic::{Load, Traffic};
use super::whereabouts::Whereabouts;
use crate::io::clock;
use crate::lab::interruption;
use crate::lab::node::RunningNode;
use crate::types::Instant;

/// How long nothing happens.
const CONTROL: Duration = Duration::from_secs(2);
/// How long messages that were sent in a window may take to arrive.
const SETTLE: Duration = Duration::from_millis(300);
/// How long a node that came back is watched.
const RETURN: Duration = Duration::from_secs(1);

/// An answer for a virtual address from the wrong node.
#[derive(Clone, Debug)]
pub struct Stray {
    /// What it was.
    pub kind: Kind,
    /// How long after the last step began; zero before.
    pub after: Duration,
    /// The node that sent it, and at which switch.
    pub place: String,
    /// For how long the other node had forwarded by then, and still did.
    pub others: (Duration, Duration),
}

/// What was measured in one trial.
#[derive(Clone, Debug, Default)]
pub struct Trial {
    /// The worst of all streams while nothing happened.
    pub control: Gap,
    /// The worst of all streams around the fault.
    pub gap: Gap,
    /// The worst of all streams from the step on from which none may miss anything.
    pub flawless: Gap,
    /// Messages lost from the fault until all was as before.
    pub lost: u64,
    /// Each stream around the fault, by name.
    pub streams: Vec<(String, Gap)>,
    /// At the very end, something came in every stream.
    pub streams_go_on: bool,
    /// The worst of all streams while the node came back.
    pub returning: Gap,
    /// What the standby says: the time from the beginning of the stream of states until both nodes were proven to
    /// have the same.
    pub proven: Option<Duration>,
    /// From its start until both nodes say that it could take over.
    pub back: Duration,
    /// Pings a hundred a second and one a second.
    pub pings: [Count; 2],
    /// TCP sessions that go on.
    pub survived: usize,
    /// The longest time in which a TCP session, and the transfer, heard nothing.
    pub stall: Duration,
    /// The same of the bulk transfer.
    pub bulk_stall: Duration,
    /// Background flows that were answered before.
    pub flows_before: usize,
    /// Background flows that were answered afterwards, with the translation that they had.
    pub flows_after: usize,
    /// What became of all of them, before and afterwards.
    pub census: [Census; 2],
    /// How long two nodes acted for the pair.
    pub dual: Duration,
    /// What the struck node still forwarded in the last step.
    pub escaped: usize,
    /// Answers for virtual addresses from the node that did not forward.
    pub stray_answers: Vec<Stray>,
    /// How often the traffic went over to the other node, in each step.
    pub takeovers: Vec<usize>,
    /// Megabytes of memory that the router had which was to crash.
    pub resident_mb: f64,
    /// The longest time for which a processor of the machine was not there.
    pub still: Duration,
    /// What the nodes logged around the fault, and where packets were dropped: no figure comes from it, but it may
    /// explain one.
    pub log: Vec<String>,
    /// What was wrong, in words.
    pub notes: Vec<String>,
}

impl Trial {
    /// True when all traffic goes on, so that another trial can begin with it.
    pub fn is_whole(&self, load: Load) -> bool {
        let flows = self.flows_before.min(self.flows_after) == load.flows;
        flows && self.survived == load.sessions && self.streams_go_on && self.notes.is_empty()
    }
}

/// Runs one trial.
///
/// # Errors
/// When the nodes do not become ready, or something cannot be done to them. What does not hold is no error.
pub fn run(drill: Drill, scene: &mut Scene<'_>, traffic: &Traffic) -> anyhow::Result<Trial> {
    readiness::wait(scene.nodes, Some(&traffic.watch))?;
    let before = traffic.background.count()?;
    let mut trial = Trial { flows_before: before.alive, census: [before, before], ..Trial::default() };
    traffic.forget_before(clock::now());
    let quiet = watch_for(CONTROL)?;
    trial.control = worst(&traffic.streams.gaps(quiet));
    let leader = traffic.watch.leader();
    ensure!(leader.is_some(), "nobody forwards");
    scene.victim = leader.unwrap_or_default();
    if drill.strikes_standby() {
        ensure!(scene.nodes.all.len() == 2, "there is no standby node");
        scene.victim = 1 - scene.victim;
    }
    traffic.sessions.reset();
    traffic.bulk.reset();

    if drill == Drill::Crash {
        let kib = scene.nodes.all.get(scene.victim).and_then(RunningNode::resident_kib);
        trial.resident_mb = kib.unwrap_or(0) as f64 / 1024.0;
    }
    let whereabouts = Whereabouts::now(scene.network, scene.nodes);
    let logged: Vec<usize> = scene.nodes.all.iter().map(RunningNode::log_lines).collect();
    let struck = clock::now();
    let mut begins = Vec::new();
    for (act, time) in drill.steps() {
        begins.push(clock::now());
        scene.act(act)?;
        interruption::wait_until(clock::now() + time)?;
    }
    let around = Window { from: struck - SETTLE, to: clock::now() };
    let survey = traffic.sessions.survey()?;
    let bulk = traffic.bulk.tally();
    interruption::wait_until(around.to + SETTLE)?;
    trial.streams = traffic.streams.gaps(around);
    trial.gap = worst(&trial.streams);
    if let Some(from) = drill.flawless_from().and_then(|step| begins.get(step)) {
        let window = Window { from: *from, ..around };
        trial.flawless = worst(&traffic.streams.gaps(window));
    }
    trial.pings = traffic.pings.counts(around);
    (trial.survived, trial.stall, trial.bulk_stall) = (survey.alive, survey.stall, bulk.stall);
    trial.notes.extend(survey.why);
    trial.notes.extend(bulk.broken.map(|why| format!("the bulk transfer: {why}")));
    let after = traffic.background.count()?;
    (trial.flows_after, trial.census[1]) = (after.alive, after);

    let seen = heard(drill, scene, traffic.watch.since(struck - CONTROL));
    trial.takeovers = steps(&begins, around.to).map(|step| mastership::takeovers(&seen, step)).collect();
    // While the nodes cannot know of each other, there are two; what counts begins when they can.
    let from = begins.last().copied().filter(|_| drill == Drill::Split).unwrap_or(struck);
    let from = Window { from, ..around };
    trial.dual = mastership::dual(&seen, from);
    let last = Window { from: begins.last().copied().unwrap_or(struck), ..around };
    let stray = |(Sighting { at, node, switch, kind }, others): (Sighting, Window)| {
        let node = scene.nodes.all.get(node).map_or("?", |node| &node.name);
        let switch = scene.network.switches.get(switch).map_or("?", |switch| switch.name);
        let others = (at.since(others.from), others.to.since(at));
        Stray { kind, after: at.since(last.from), place: format!("{node} at {switch}"), others }
    };
    trial.stray_answers =
        mastership::stray_answers(&seen, from, drill.promise().dual).into_iter().map(stray).collect();
    trial.escaped = mastership::forwarded(&seen, scene.victim, last);
    let nodes = scene.nodes.all.iter().zip(logged);
    trial.log = nodes.flat_map(|(node, lines)| node.logged_after(lines)).collect();
    if trial.gap.lost > 0 {
        trial.log.extend(trial.streams.iter().filter_map(missing));
        let found = Whereabouts::now(scene.network, scene.nodes);
        trial.log.push(format!("meanwhile {}", found.since(&whereabouts).join(", ")));
    }
    if traffic.watch.missed() > 0 {
        trial.notes.push("more was seen at the switches than could be kept".into());
    }

    mend(drill, scene, traffic, struck, &mut trial)?;
    trial.still = traffic.machine.stood_still(Window { from: struck - CONTROL - SETTLE, to: clock::now() });
    Ok(trial)
}

/// What a stream lost, and when that was sent.
fn missing((name, gap): &(String, Gap)) -> Option<String> {
    let (first, last) = gap.missing?;
    Some(format!("{name}: {} lost, sent from {} to {}", gap.lost, time_of_day(first), time_of_day(last)))
}

/// As logs have it: UTC, with microseconds.
fn time_of_day(at: Instant) -> String {
    let micros =
        clock::machine_wall().as_nanos().saturating_sub(clock::now().since(at).as_nanos() as u64) / 1000;
    let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
    format!("{:02}:{:02}:{:02}.{micros:06}", seconds / 3600 % 24, seconds / 60 % 60, seconds % 60)
}

/// Makes everything as it was, and looks what that does.
fn mend(
    drill: Drill,
    scene: &mut Scene<'_>,
    traffic: &Traffic,
    struck: Instant,
    trial: &mut Trial,
) -> anyhow::Result<()> {
    let from = clock::now();
    for act in drill.mending() {
        scene.act(act)?;
    }
    let mended: &[Act] = &drill.mending();
    if !mended.is_empty() || matches!(drill, Drill::Crash | Drill::Upgrade) {
        readiness::wait(scene.nodes, Some(&traffic.watch))?;
        trial.back = clock::now().since(from);
    }
    if drill == Drill::Resync {
        let standby = scene.nodes.all.get(scene.victim);
        trial.proven = standby.map(RunningNode::word).transpose()?.and_then(|word| word.proven);
    }
    let back = Window { from, to: clock::now().max(from + RETURN) };
    interruption::wait_until(back.to + SETTLE)?;
    trial.returning = worst(&traffic.streams.gaps(back));
    let whole = Window { from: struck - SETTLE, to: back.to };
    trial.lost = traffic.streams.gaps(whole).iter().map(|(_, gap)| gap.lost).sum();
    let last = Window { from: back.to - SETTLE, to: back.to };
    trial.streams_go_on = worst(&traffic.streams.gaps(last)).longest < SETTLE / 2;
    Ok(())
}

/// Returns when it is over.
fn watch_for(time: Duration) -> anyhow::Result<Window> {
    let from = clock::now();
    let window = Window { from, to: from + time };
    interruption::wait_until(window.to + SETTLE)?;
    Ok(window)
}

fn worst(gaps: &[(String, Gap)]) -> Gap {
    gaps.iter().fold(Gap::default(), |sum, (_, gap)| sum.and(*gap))
}

/// From each begin to the next one.
fn steps(begins: &[Instant], end: Instant) -> impl Iterator<Item = Window> {
    let ends = begins.iter().skip(1).copied().chain([end]);
    begins.iter().zip(ends).map(|(from, to)| Window { from: *from, to })
}

/// Without what a node said where nobody could hear it.
fn heard(drill: Drill, scene: &Scene<'_>, mut seen: Vec<Sighting>) -> Vec<Sighting> {
    let deaf = drill.deaf().and_then(|name| scene.network.switches.iter().position(|part| part.name == name));
    seen.retain(|sighting| Some(sighting.switch) != deaf || sighting.node != scene.victim);
    seen
}
