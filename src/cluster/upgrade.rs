//! An upgrade of the pair, as one engine without hands: the standby first, the proof that it is well, a handover, the
//! other node, and back to where the document wants the role.
//!
//! [`Upgrade::next`] looks at both nodes and says what to do. It derives that from what it sees, not from what it has
//! done: so an upgrade that was interrupted, by whatever, goes on when it is asked for again.
//!
//! Invariant: a program is installed on a standby alone, while its peer serves and nothing is lacking; the role moves only
//! to a node that lacks nothing; whatever else happens ends the upgrade with a sentence and leaves the pair as it is.

use std::fmt;

use crate::types::{Duration, Instant, ReleaseVersion, Role};

/// The pair must lack nothing for so long before the next step.
pub const SETTLED: Duration = Duration::from_secs(3);
/// What a step brings about must be seen within this time.
const PATIENCE: Duration = Duration::from_secs(90);
/// Before anything has been changed, nobody waits for so long.
const AT_FIRST: Duration = Duration::from_secs(20);
/// A handover that does not come about is asked for this often.
const HANDOVERS: u8 = 2;

/// Which node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// The one where the upgrade was asked for.
    Here,
    /// Its peer.
    There,
}

impl Side {
    const fn other(self) -> Side {
        match self {
            Side::Here => Side::There,
            Side::There => Side::Here,
        }
    }

    const fn index(self) -> usize {
        match self {
            Side::Here => 0,
            Side::There => 1,
        }
    }
}

/// One node, as it says of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeView {
    /// Its name.
    pub name: String,
    /// What it runs.
    pub version: ReleaseVersion,
    /// On trial: it goes back to what it ran before unless it is told to keep it.
    pub trial: bool,
    /// A version that it has tried and given up, and why.
    pub gave_up: Option<(ReleaseVersion, String)>,
    /// How many releases it had tried when its present program was started.
    pub trials: u64,
    /// Its role.
    pub role: Role,
}

/// Both nodes at a moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct View {
    /// By [`Side`]; a node that cannot be asked at present is not there.
    pub nodes: [Option<NodeView>; 2],
    /// What a fail-over would lack now, in words; empty when it lacks nothing.
    pub lacks: Vec<String>,
    /// Who wins ties.
    pub preferred: Side,
    /// It takes the role back by itself.
    pub preempts: bool,
}

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Act {
    /// Give this node the program; it runs it on trial.
    Install(Side),
    /// This node keeps the program that it has on trial.
    Keep(Side),
    /// This node goes back to what it ran before.
    Back(Side),
    /// This node, which is active, gives the role to its peer.
    Handover(Side),
}

/// What comes next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// Nothing yet; for what, and look again.
    Wait(String),
    /// This, and look again.
    Do(Act),
    /// All is done.
    Done(String),
    /// A doubt: what it is, and how the pair is left.
    Stop(String),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Wait(what) | Step::Done(what) | Step::Stop(what) => f.write_str(what),
            Step::Do(Act::Install(_)) => f.write_str("installing"),
            Step::Do(Act::Keep(_)) => f.write_str("keeping"),
            Step::Do(Act::Back(_)) => f.write_str("going back"),
            Step::Do(Act::Handover(_)) => f.write_str("handing over"),
        }
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Upgrade {
    target: ReleaseVersion,
    /// Since when the pair has lacked nothing, both nodes seen.
    well: Option<Instant>,
    /// When the last act was done, or the upgrade begun.
    since: Instant,
    /// Nothing has been changed so far.
    untouched: bool,
    handovers: u8,
    /// By side: told to install, when it had tried so many, and not seen with the program since.
    installing: [Option<u64>; 2],
    /// The doubt that ends the upgrade when the node that was on trial has gone back.
    doubt: Option<String>,
}

impl Upgrade {
    /// An upgrade of both nodes to `target`.
    pub fn new(target: ReleaseVersion, now: Instant) -> Self {
        Upgrade {
            target,
            well: None,
            since: now,
            untouched: true,
            handovers: 0,
            installing: [None; 2],
            doubt: None,
        }
    }

    /// What comes next, given what is.
    pub fn next(&mut self, now: Instant, view: &View) -> Step {
        if let Some(doubt) = self.doubt.take() {
            return Step::Stop(doubt);
        }
        let [Some(here), Some(there)] = &view.nodes else {
            self.well = None;
            return self.wait(now, "both nodes answer");
        };
        let nodes = [here, there];
        if let Some(step) = self.given_up(nodes) {
            return step;
        }
        for (node, installing) in nodes.iter().zip(&mut self.installing) {
            installing.take_if(|_| node.version == self.target);
        }
        let well = view.lacks.is_empty() && self.installing == [None, None];
        self.well = if well { self.well.or(Some(now)) } else { None };
        let Some(active) = active(nodes) else { return self.wait(now, "one node is active") };
        if let Some(newer) = nodes.iter().find(|node| node.version > self.target) {
            let NodeView { name, version, .. } = newer;
            return Step::Stop(format!("{name} runs {version}, which is newer. {}", self.left()));
        }
        if self.well.is_none_or(|since| now.since(since) < SETTLED) {
            return self.until_well(now, view, nodes);
        }
        self.advance(now, view, nodes, active)
    }

    /// The pair is well: the next act.
    fn advance(&mut self, now: Instant, view: &View, nodes: [&NodeView; 2], active: Side) -> Step {
        let target = self.target;
        let node = |side: Side| nodes[side.index()];
        for side in [active.other(), active] {
            if node(side).trial && node(side).version == target {
                return self.act(now, Act::Keep(side));
            }
        }
        if node(active.other()).version < target {
            self.installing[active.other().index()] = Some(node(active.other()).trials);
            return self.act(now, Act::Install(active.other()));
        }
        if node(active).version < target {
            return self.hand_over(now, active, node(active.other()));
        }
        if active == view.preferred {
            return Step::Done(format!("Both nodes run {target}, and {} serves.", node(active).name));
        }
        if view.preempts && now.since(self.since) < PATIENCE {
            return Step::Wait(format!("{} takes the role back by itself", node(view.preferred).name));
        }
        if self.untouched {
            return Step::Done(format!("Both nodes run {target} already."));
        }
        self.hand_over(now, active, node(active.other()))
    }

    fn hand_over(&mut self, now: Instant, active: Side, to: &NodeView) -> Step {
        if self.handovers >= HANDOVERS * 2 {
            return Step::Stop(format!("{} does not take the role. {}", to.name, self.left()));
        }
        self.handovers += 1;
        self.act(now, Act::Handover(active))
    }

    fn act(&mut self, now: Instant, act: Act) -> Step {
        (self.since, self.untouched, self.well) = (now, false, None);
        Step::Do(act)
    }

    /// A node that has tried the program and gone back is the plainest doubt.
    fn given_up(&self, nodes: [&NodeView; 2]) -> Option<Step> {
        for (node, installing) in nodes.iter().zip(self.installing) {
            if let Some((version, why)) = &node.gave_up
                && installing.is_some_and(|before| before != node.trials)
                && *version == self.target
                && node.version != self.target
            {
                let NodeView { name, version: now, .. } = node;
                let left = self.left();
                return Some(Step::Stop(format!("{name} has gone back to {now} by itself: {why}. {left}")));
            }
        }
        None
    }

    fn until_well(&mut self, now: Instant, view: &View, nodes: [&NodeView; 2]) -> Step {
        let lacks = match (&view.lacks[..], self.installing) {
            ([], [None, None]) => return self.wait(now, "the pair has been well for a while"),
            ([], _) => "the new program does not run yet".into(),
            (lacks, _) => lacks.join(", "),
        };
        if now.since(self.since) < self.patience() {
            return Step::Wait(lacks);
        }
        let stop = format!("{lacks}. {}", self.left());
        // Whoever has the program on trial goes back at once and not when its own patience ends.
        match [Side::Here, Side::There].into_iter().find(|side| nodes[side.index()].trial) {
            Some(side) => {
                self.doubt = Some(stop);
                Step::Do(Act::Back(side))
            }
            None => Step::Stop(stop),
        }
    }

    fn wait(&self, now: Instant, what: &str) -> Step {
        if now.since(self.since) < self.patience() {
            return Step::Wait(format!("until {what}"));
        }
        Step::Stop(format!("It does not come about that {what}. {}", self.left()))
    }

    fn patience(&self) -> Duration {
        if self.untouched { AT_FIRST } else { PATIENCE }
    }

    fn left(&self) -> &'static str {
        match self.untouched {
            true => "Nothing has been changed.",
            false => {
                "The upgrade stops here: a program on trial is given up by itself, what was kept stays; ask for the \
                 upgrade again to go on, or see koi pair upgrade --status."
            }
        }
    }
}

/// What an upgrade from this on would do when nothing goes wrong.
///
/// # Errors
/// Says why there would be none.
pub fn plan(view: &View, target: ReleaseVersion) -> Result<Vec<Act>, String> {
    let [Some(here), Some(there)] = &view.nodes else { return Err("both nodes must answer".into()) };
    let nodes = [here, there];
    if let Some(NodeView { name, version, .. }) = nodes.iter().find(|node| node.version > target) {
        return Err(format!("{name} runs {version}, which is newer than {target}"));
    }
    if nodes.iter().all(|node| node.version == target && !node.trial) {
        return Err(format!("both nodes run {target} already"));
    }
    let Some(active) = active(nodes) else { return Err("one node must be active".into()) };
    let mut acts = Vec::new();
    let mut renew = |side: Side, before: Option<Act>| {
        let node = nodes[side.index()];
        if node.version < target {
            acts.extend(before);
            acts.extend([Act::Install(side), Act::Keep(side)]);
        } else if node.trial {
            acts.push(Act::Keep(side));
        }
    };
    renew(active.other(), None);
    renew(active, Some(Act::Handover(active)));
    let moved = acts.contains(&Act::Handover(active));
    let serves = if moved { active.other() } else { active };
    // Whoever takes the role back by itself is not told to.
    if serves != view.preferred && !view.preempts {
        acts.push(Act::Handover(serves));
    }
    Ok(acts)
}

/// What that act will be, in words.
pub fn will(view: &View, act: &Act, target: ReleaseVersion) -> String {
    let name = |side: Side| view.nodes[side.index()].as_ref().map_or("a node", |node| node.name.as_str());
    match act {
        Act::Install(side) => {
            format!("{} is started again with {target}, on trial, while its peer serves.", name(*side))
        }
        Act::Keep(side) => format!(
            "When the pair has lacked nothing for {} s, {} keeps it; if it does not do well, it goes back by itself and \
             the upgrade stops.",
            SETTLED.as_secs(),
            name(*side)
        ),
        Act::Back(side) => format!("{} goes back to what it ran before.", name(*side)),
        Act::Handover(side) => {
            format!("{} hands the role to {}, without losing a packet.", name(*side), name(side.other()))
        }
    }
}

/// The only active node.
fn active(nodes: [&NodeView; 2]) -> Option<Side> {
    match nodes.map(|node| node.role) {
        [Role::Active, Role::Standby] => Some(Side::Here),
        [Role::Standby, Role::Active] => Some(Side::There),
        [Role::Alone | Role::Active | Role::Standby, _] => None,
    }
}

#[cfg(test)]
#[path = "upgrade_tests.rs"]
mod tests;
