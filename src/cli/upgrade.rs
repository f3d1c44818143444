//! `koi pair upgrade`: the hands of [`crate::cluster::upgrade`].
//!
//! It runs beside the routers, because each of them is started again on the way. When it is interrupted, a program on
//! trial is given up by the node itself; asked again, the upgrade goes on from what it finds.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::nodes::Nodes;
use super::show::release_text;
use super::{Control, fail, print_json};
use crate::cluster::release::Trust;
use crate::cluster::role;
use crate::cluster::upgrade::{Act, Side, Step, Upgrade, View};
use crate::io::program::{self, ProgramNote, ReleaseStep};
use crate::io::request::{Request, Status};
use crate::io::upgrade::{Hold, Journal, Progress, look};
use crate::io::{clock, pace};
use crate::types::ReleaseVersion;

/// The nodes are looked at this often.
const LOOK: Duration = Duration::from_millis(500);

/// Install a release on both nodes, the standby first; stops at the first doubt
#[derive(Debug, Args)]
pub struct UpgradePair {
    /// The signed release
    #[arg(long, value_name = "FILE", required_unless_present = "status")]
    binary: Option<PathBuf>,
    /// Say what the nodes run and how the last upgrade went
    #[arg(long)]
    status: bool,
    /// Print the status as JSON
    #[arg(long, requires = "status")]
    json: bool,
    #[command(flatten)]
    control: Control,
}

/// What `--status --json` prints.
#[derive(Serialize)]
struct Report {
    here: Option<NodeReport>,
    there: Option<NodeReport>,
    last: Option<Journal>,
    runs: bool,
}

#[derive(Serialize)]
struct NodeReport {
    node: String,
    role: String,
    program: ProgramNote,
}

impl UpgradePair {
    /// Runs until all is done, or until the first doubt.
    pub fn run(self) -> ExitCode {
        let UpgradePair { binary, status: _, json, control } = self;
        let nodes = match Nodes::find(&control) {
            Ok(nodes) => nodes,
            Err(code) => return code,
        };
        match binary {
            Some(binary) => upgrade(&nodes, &binary).unwrap_or_else(|code| code),
            None => tell_status(&nodes, json),
        }
    }
}

fn upgrade(nodes: &Nodes<'_>, binary: &Path) -> Result<ExitCode, ExitCode> {
    let wrong = |why: &dyn std::fmt::Display| fail(format!("{}: {why}", binary.display()));
    let held =
        Hold::take(&nodes.state).map_err(|error| fail(format!("{}: {error}", nodes.state.display())))?;
    let Some(_hold) = held else {
        return Err(fail("an upgrade runs already; see koi pair upgrade --status"));
    };
    let release = program::read(binary).map_err(|error| wrong(&error))?;
    let checked = Trust::of(&nodes.config.system).check(&release).map_err(|why| wrong(&why))?;
    let target = checked.version;
    let begun = clock::now();
    let mut engine = Upgrade::new(target, begun);
    let mut journal = Journal::begin(target, &nodes.first.node);
    loop {
        let view = nodes.with(|both| look(both, &nodes.config, &nodes.first.node));
        let now = clock::now();
        let mut step = engine.next(now, &view);
        let mut line = match &step {
            Step::Do(act) => words(&view, act, target),
            Step::Wait(what) => format!("Waiting: {what}."),
            Step::Done(what) | Step::Stop(what) => what.clone(),
        };
        if let Step::Do(act) = &step
            && let Err(why) = carry_out(nodes, act, &release)
        {
            line = format!("{line} That fails: {why}.");
            step = Step::Stop(line.clone());
        }
        let done = match &step {
            Step::Done(_) => Some(true),
            Step::Stop(_) => Some(false),
            Step::Wait(_) | Step::Do(_) => None,
        };
        let at = now.since(begun);
        let said = journal.note(at, &line, done);
        if said {
            println!("{:>6.1} s  {line}", at.as_secs_f64());
        }
        if said || done.is_some() {
            // An upgrade whose journal cannot be written is told on the terminal only.
            let _ = journal.keep(&nodes.state);
        }
        match step {
            Step::Wait(_) | Step::Do(_) => pace::until(clock::now() + LOOK),
            Step::Done(_) => return Ok(ExitCode::SUCCESS),
            Step::Stop(_) => return Err(fail("the upgrade has stopped")),
        }
    }
}

fn carry_out(nodes: &Nodes<'_>, act: &Act, release: &[u8]) -> Result<(), String> {
    let leave = || {
        program::leave(&nodes.state, release).map_err(|error| format!("{}: {error}", nodes.state.display()))
    };
    let answer = match act {
        Act::Install(Side::Here) => {
            leave()?;
            nodes.ask_here(&Request::Release(ReleaseStep::Try))
        }
        Act::Install(Side::There) => {
            leave()?;
            nodes.ask_here(&Request::Install)
        }
        Act::Keep(side) => nodes.ask(*side, Request::Release(ReleaseStep::Keep)),
        Act::Back(side) => nodes.ask(*side, Request::Release(ReleaseStep::Back)),
        // A peer of the release before cannot take over without loss.
        Act::Handover(side) => nodes
            .ask(*side, Request::Role(role::Request::HandOver))
            .or_else(|_| nodes.ask(*side, Request::Role(role::Request::Resign))),
    };
    answer.map(drop)
}

fn words(view: &View, act: &Act, target: ReleaseVersion) -> String {
    let name = |side: Side| {
        let node = &view.nodes[if side == Side::Here { 0 } else { 1 }];
        node.as_ref().map_or("a node", |node| node.name.as_str())
    };
    match act {
        Act::Install(side) => format!("{} tries {target}.", name(*side)),
        Act::Keep(side) => format!("{} is well with {target} and keeps it.", name(*side)),
        Act::Back(side) => format!("{} goes back.", name(*side)),
        Act::Handover(side) => format!("{} gives the role to its peer.", name(*side)),
    }
}

fn tell_status(nodes: &Nodes<'_>, json: bool) -> ExitCode {
    let Progress { runs, last } = Progress::of(&nodes.state);
    let row = |status: Status| NodeReport {
        node: status.node,
        role: status.pair.map(|pair| pair.role).unwrap_or_default(),
        program: status.program,
    };
    let report = Report {
        here: nodes.status(Side::Here).map(row),
        there: nodes.status(Side::There).map(row),
        last,
        runs,
    };
    if json {
        return print_json(&report);
    }
    for node in report.here.iter().chain(&report.there) {
        println!("{} ({}) runs {}", node.node, node.role, release_text(&node.program));
    }
    if report.there.is_none() {
        println!("The other node does not answer.");
    }
    if let Some(journal) = &report.last {
        let Journal { target, lines, .. } = journal;
        println!("\nThe upgrade to {target} {}:", journal.words(runs));
        lines.iter().for_each(|(at, line)| println!("{:>6.1} s  {line}", *at as f64 / 1000.0));
    }
    ExitCode::SUCCESS
}
