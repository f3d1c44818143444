//! `koi lab`: the network of the story on one machine, built from network namespaces, with real Koi nodes in it.
//!
//! [`network`](Network) says what there is, `story` what must hold. The lab builds the one, tries the other with
//! real TCP, UDP and ICMP of the kernel, and reports; then it keeps serving until it is interrupted.
//!
//! Invariant: nothing outlives the lab. What a killed lab leaves behind, the next one removes before it begins.

mod build;
pub mod checks;
mod claim;
mod network;
mod node;
mod picture;
mod probe;
mod report;
mod services;
mod story;

use std::io::Write;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};

use crate::config;
use crate::io::{sandbox, signals::Signals};
use claim::Claim;
pub use network::Network;
use node::{Event, RunningNode};
use report::Report;

/// The configuration of the lab's nodes.
const CONFIG: &str = include_str!("../../configs/lab.toml");
/// How long a node may take to serve.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How often the lab says how it is while it serves.
const PULSE: Duration = Duration::from_secs(10);

/// What the command line says.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Ends after the checks.
    pub once: bool,
}

/// Where the outcomes go as soon as they are known.
pub type Told<'a> = &'a mut dyn FnMut(&[checks::Outcome]);

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
    let wait = move || drop((signals.wait(), interrupted.send(Event::Interrupted)));
    thread::Builder::new().name("signals".into()).spawn(wait)?;

    let (mut claim, removed) = Claim::take()?;
    let mut report = Report::new(out);
    report.removed(&removed)?;
    let network = Network::story();
    let built = build::build(&network, sandboxed)?;
    report.picture(&network, &config::parse(CONFIG).map_err(|problems| anyhow!("{problems:?}"))?)?;
    let nodes = start(&network, &mut claim, &events)?;
    let outcome = serve(options, &network, &nodes, &happening, &mut report, told);
    // First the nodes, then their network, then the right to have one.
    drop((nodes, built, claim));
    outcome
}

fn start(network: &Network, claim: &mut Claim, events: &Sender<Event>) -> anyhow::Result<Vec<RunningNode>> {
    for host in network.hosts.iter().filter(|host| host.serves) {
        services::start(host.name).with_context(|| format!("the services of {}", host.name))?;
    }
    let start = |node: &network::Node| RunningNode::start(node.name, CONFIG, claim, events.clone());
    network.nodes.iter().map(start).collect()
}

fn serve(
    options: Options,
    network: &Network,
    nodes: &[RunningNode],
    happening: &Receiver<Event>,
    report: &mut Report<'_>,
    told: Told<'_>,
) -> anyhow::Result<bool> {
    for _ in nodes {
        match happening.recv_timeout(START_LIMIT) {
            Ok(event) => react(event, nodes)?,
            Err(_) => bail!("the nodes do not serve within {} s", START_LIMIT.as_secs()),
        }
    }
    let node = nodes.first().context("a network without a node")?;
    let mut outcomes = vec![checks::page(node)];
    report.serving(node, &outcomes[0])?;
    for (title, attempts) in [("Who reaches whom", story::REACHES), ("At what rate", story::RATES)] {
        report.title(title)?;
        for attempt in attempts {
            happening.try_iter().try_for_each(|event| react(event, nodes))?;
            let outcome = checks::reach(attempt, node);
            report.attempt(attempt, &outcome)?;
            outcomes.push(outcome);
        }
    }
    report.title("Refused, as it should be")?;
    let refusals = checks::refusals(story::REFUSED, network, node);
    for (attempt, outcome) in story::REFUSED.iter().zip(&refusals) {
        report.attempt(attempt, outcome)?;
    }
    outcomes.extend(refusals);
    report.verdict(&outcomes)?;
    told(&outcomes);
    if !options.once {
        report.invitation(node)?;
        keep_serving(nodes, happening, report)?;
    }
    Ok(outcomes.iter().all(|outcome| outcome.ok))
}

/// Until somebody wants the lab to end.
fn keep_serving(
    nodes: &[RunningNode],
    happening: &Receiver<Event>,
    report: &mut Report<'_>,
) -> anyhow::Result<()> {
    loop {
        match happening.recv_timeout(PULSE) {
            Ok(Event::Interrupted) => return Ok(report.end()?),
            Ok(event) => react(event, nodes)?,
            Err(RecvTimeoutError::Timeout) => {
                for node in nodes {
                    report.pulse(&node.snapshot()?)?;
                }
            }
            Err(RecvTimeoutError::Disconnected) => bail!("the lab's own threads have ended"),
        }
    }
}

fn react(event: Event, nodes: &[RunningNode]) -> anyhow::Result<()> {
    match event {
        Event::Ready => Ok(()),
        Event::Interrupted => bail!("interrupted"),
        Event::Ended(name) => {
            let words = nodes.iter().find(|node| node.name == name).map(RunningNode::last_words);
            bail!("the node {name} has ended; its last words:\n{}", words.unwrap_or_default())
        }
    }
}
