//! `koi lab`: the network of the story on one machine, built from network namespaces, with real Koi nodes in it.
//!
//! [`network`](Network) says what there is, `story` what must hold. The lab builds the one, tries the other with
//! real TCP, UDP and ICMP of the kernel, and reports; where the nodes are a pair, it pulls the plug on one of them
//! while traffic goes through. Then it keeps serving until it is interrupted. A [`Play`] may be less than that.
//!
//! Invariant: nothing outlives the lab. What a killed lab leaves behind, the next one removes before it begins.

mod build;
pub mod checks;
mod claim;
mod document;
pub mod drill;
mod interruption;
mod keys;
mod network;
mod node;
mod nodes;
mod picture;
mod probe;
mod report;
mod services;
mod story;
mod word;

use std::io::Write;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail, ensure};

use crate::io::{clock, sandbox, signals::Signals};
use claim::Claim;
use document::{Document, Preemption};
use drill::{Drill, Load, Machine, Plan, Summary};
pub use network::Network;
use node::{Event, RunningNode};
use nodes::Nodes;
use report::Report;

/// The configuration of the lab's nodes.
const CONFIG: &str = include_str!("../../configs/lab.toml");
/// How long a node may take to serve.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How long the lab waits between two questions.
const BREATH: Duration = Duration::from_millis(100);
/// How often the lab says how it is while it serves.
const PULSE: Duration = Duration::from_secs(10);

/// What is done with the lab once its nodes run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Play {
    /// The checks and the story, then it ends.
    Once,
    /// The same, then it serves until somebody wants it to end.
    Story,
    /// It serves at once.
    Serve,
    /// These drills, then it ends.
    Drills(Plan),
}

/// What the command line says.
#[derive(Clone, Debug)]
pub struct Options {
    /// What is to be done.
    pub play: Play,
    /// The nodes' document; without one, the example's.
    pub document: Option<String>,
    /// This node speaks as the release before would.
    pub old: Option<String>,
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub enum News<'a> {
    /// Of the checks.
    Checks(&'a [checks::Outcome]),
    /// Of the drills.
    Drills(&'a [Summary]),
}

/// Where the outcomes go as soon as they are known.
pub type Told<'a> = &'a mut dyn FnMut(News<'_>);

/// What the lab shows of a pair by itself.
fn story_of_a_pair() -> Plan {
    Plan { drills: vec![Drill::PowerOff], trials: 1, load: Load { sessions: 100, flows: 1000, rate: 1000 } }
}

/// Runs the lab, tells people about it on `out` and `told` about the outcomes. True when all checks hold.
///
/// # Errors
/// When the network cannot be built, or a node dies. Checks that do not hold are no error.
pub fn run(options: Options, out: &mut dyn Write, told: Told<'_>) -> anyhow::Result<bool> {
    let sandboxed = !sandbox::is_root_of_the_machine();
    if sandboxed {
        sandbox::enter().context("the lab needs root, or user namespaces")?;
        writeln!(out, "Not root: everything happens in a user namespace of the lab's own.")?;
    }
    // Before any thread is started, so that no thread takes a signal.
    let signals = Signals::ends().context("signals")?;
    let (events, happening) = mpsc::channel();
    let interrupted = events.clone();
    let wait = move || {
        let _ = signals.wait();
        interruption::happens();
        // Who does not listen any more is about to end.
        let _ = interrupted.send(Event::Interrupted);
    };
    thread::Builder::new().name("signals".into()).spawn(wait)?;

    let (mut claim, removed) = Claim::take()?;
    let mut report = Report::new(out);
    report.removed(&removed)?;
    let example = options.document.as_deref().unwrap_or(CONFIG);
    let (preemption, flows) = match &options.play {
        Play::Once | Play::Story | Play::Serve => (Preemption::AsWritten, 0),
        Play::Drills(Plan { drills, trials: _, load }) => match drills.as_slice() {
            [Drill::Return] => (Preemption::Soon, load.flows),
            _ => (Preemption::Never, load.flows),
        },
    };
    let mut document = Document::prepare(example, &claim.directory, preemption, flows)?;
    document.old.clone_from(&options.old);
    let network = Network::story(&document.config);
    let built = build::build(&network, sandboxed)?;
    report.picture(&network, &document.config)?;
    for host in network.hosts.iter().filter(|host| host.serves) {
        services::start(host.name).with_context(|| format!("the services of {}", host.name))?;
    }
    let nodes = Nodes::start(document, &mut claim, events)?;
    let mut lab = Lab { network, nodes, claim, happening };
    let outcome = lab.serve(&options, &mut report, told);
    // First the nodes, then their network, then the right to have one.
    let Lab { network: _, nodes, claim, happening: _ } = lab;
    drop((nodes, built, claim));
    outcome
}

/// What there is while the lab runs.
struct Lab {
    network: Network,
    nodes: Nodes,
    claim: Claim,
    happening: Receiver<Event>,
}

impl Lab {
    fn serve(&mut self, options: &Options, report: &mut Report<'_>, told: Told<'_>) -> anyhow::Result<bool> {
        for _ in &self.nodes.all {
            match self.happening.recv_timeout(START_LIMIT) {
                Ok(event) => react(event, &self.nodes)?,
                Err(_) => bail!("the nodes do not serve within {} s", START_LIMIT.as_secs()),
            }
        }
        let ok = match &options.play {
            Play::Drills(plan) => {
                let summaries = self.drill(plan, report)?;
                told(News::Drills(&summaries));
                return Ok(summaries.iter().all(|summary| summary.ok));
            }
            Play::Once => return self.story(report, told),
            Play::Story => self.story(report, told)?,
            Play::Serve => self.pages(report)?.iter().all(|page| page.ok),
        };
        report.invitation(self.first()?)?;
        self.keep_serving(report)?;
        Ok(ok)
    }

    /// The checks, and what becomes of traffic when a pair loses a node.
    fn story(&mut self, report: &mut Report<'_>, told: Told<'_>) -> anyhow::Result<bool> {
        let mut ok = self.check(report, told)?;
        if self.nodes.all.len() > 1 {
            ok &= self.drill(&story_of_a_pair(), report)?.iter().all(|summary| summary.ok);
        }
        Ok(ok)
    }

    fn first(&self) -> anyhow::Result<&RunningNode> {
        self.nodes.all.first().context("a network without a node")
    }

    /// The node that serves; of a pair, the one that says so first.
    fn active(&self) -> anyhow::Result<&RunningNode> {
        let begin = clock::now();
        while self.nodes.all.len() > 1 && clock::now().since(begin) < START_LIMIT {
            let mut nodes = self.nodes.all.iter();
            if let Some(node) = nodes.find(|node| node.word().is_ok_and(|word| word.is_active())) {
                return Ok(node);
            }
            interruption::wait_until(clock::now() + BREATH)?;
        }
        ensure!(self.nodes.all.len() < 2, "no node is active within {} s", START_LIMIT.as_secs());
        self.first()
    }

    /// Where the page of each node is, and whether it is shown.
    fn pages(&self, report: &mut Report<'_>) -> anyhow::Result<Vec<checks::Outcome>> {
        let mut outcomes = Vec::new();
        for node in &self.nodes.all {
            let page = checks::page(node);
            report.serving(node, &page)?;
            outcomes.push(page);
        }
        Ok(outcomes)
    }

    fn check(&self, report: &mut Report<'_>, told: Told<'_>) -> anyhow::Result<bool> {
        let node = self.active()?;
        let mut outcomes = self.pages(report)?;
        for (title, attempts) in [("Who reaches whom", story::REACHES), ("At what rate", story::RATES)] {
            report.title(title)?;
            for attempt in attempts {
                self.happening.try_iter().try_for_each(|event| react(event, &self.nodes))?;
                let outcome = checks::reach(attempt, node);
                report.attempt(attempt, &outcome)?;
                outcomes.push(outcome);
            }
        }
        report.title("Refused, as it should be")?;
        let refusals = checks::refusals(story::REFUSED, &self.network, &self.nodes.all);
        for (attempt, outcome) in story::REFUSED.iter().zip(&refusals) {
            report.attempt(attempt, outcome)?;
        }
        outcomes.extend(refusals);
        report.verdict(&outcomes)?;
        told(News::Checks(&outcomes));
        Ok(outcomes.iter().all(|outcome| outcome.ok))
    }

    fn drill(&mut self, plan: &Plan, report: &mut Report<'_>) -> anyhow::Result<Vec<Summary>> {
        let happening = &self.happening;
        let mut check = |nodes: &Nodes| happening.try_iter().try_for_each(|event| react(event, nodes));
        let those = (&self.network, &mut self.nodes, &mut self.claim);
        drill::run(plan, those, report.out(), &mut check)
    }

    /// Until somebody wants the lab to end.
    fn keep_serving(&self, report: &mut Report<'_>) -> anyhow::Result<()> {
        let machine = Machine::start().context("threads")?;
        let mut pulse = clock::now();
        loop {
            match self.happening.recv_timeout(PULSE) {
                Ok(Event::Interrupted) => return Ok(report.end()?),
                Ok(event) => react(event, &self.nodes)?,
                Err(RecvTimeoutError::Timeout) => {
                    if let Some(still) = machine.disturbance(pulse) {
                        report.disturbance(still)?;
                    }
                    pulse = clock::now();
                    for node in &self.nodes.all {
                        // One that is too busy, or stopped by a drill, answers later; one that has died is heard of.
                        match node.snapshot() {
                            Ok(now) => report.pulse(&now)?,
                            Err(why) => report.silence(&node.name, &why)?,
                        }
                    }
                }
                Err(RecvTimeoutError::Disconnected) => bail!("the lab's own threads have ended"),
            }
        }
    }
}

fn react(event: Event, nodes: &Nodes) -> anyhow::Result<()> {
    match event {
        Event::Ready => Ok(()),
        Event::Interrupted => bail!("interrupted"),
        Event::Ended(process) => match nodes.all.iter().find(|node| node.should_run_as(process)) {
            None => Ok(()),
            Some(node) => {
                bail!("the node {} has ended; its last words:\n{}", node.name, node.last_words())
            }
        },
    }
}
