//! `koi pair drill`: see [`crate::io::drill`].

use std::net::IpAddr;
use std::process::ExitCode;

use clap::Args;

use super::nodes::Nodes;
use super::{Control, fail, print_json};
use crate::io::clock;
use crate::io::drill::{self, Plan, Report, Round};
use crate::io::prober::Tally;

/// Move the role on the running pair, measure what that does, and keep a report
#[derive(Debug, Args)]
pub struct DrillPair {
    /// The active router process dies instead of handing over
    #[arg(long)]
    crash: bool,
    /// So many times, there and back
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=50))]
    count: u8,
    /// Send echo requests from this machine to an address behind the pair, a thousand a second
    #[arg(long, value_name = "ADDRESS")]
    probe: Option<IpAddr>,
    /// List the reports that are kept
    #[arg(long, conflicts_with_all = ["crash", "count", "probe"])]
    list: bool,
    /// Print a report that is kept
    #[arg(long, value_name = "NUMBER", conflicts_with_all = ["crash", "count", "probe", "list"])]
    show: Option<u32>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    control: Control,
}

impl DrillPair {
    /// Runs it, or tells of those that were run.
    pub fn run(self) -> ExitCode {
        let DrillPair { crash, count, probe, list, show, json, control } = self;
        let nodes = match Nodes::find(&control) {
            Ok(nodes) => nodes,
            Err(code) => return code,
        };
        let reports = drill::reports(&nodes.state);
        if list {
            return tell_list(&reports, json);
        }
        if let Some(number) = show {
            return match reports.iter().find(|report| report.number == number) {
                Some(report) => tell(report, json),
                None => fail(format!("there is no report {number}; see koi pair drill --list")),
            };
        }
        let plan = Plan { crash, count, probe };
        let (report, kept) =
            nodes.with(|both| drill::run(both, plan, &nodes.first.node, &nodes.state, |_| {}));
        if let Err(error) = kept {
            eprintln!("koi: the report cannot be kept: {error}");
        }
        let told = tell(&report, json);
        if report.ok { told } else { ExitCode::FAILURE }
    }
}

fn tell_list(reports: &[Report], json: bool) -> ExitCode {
    if json {
        return print_json(&reports);
    }
    let now = clock::calendar_ms();
    for report in reports {
        let Report { number, at_ms, drill, rounds, ok, .. } = report;
        let minutes = now.saturating_sub(*at_ms) / 60_000;
        let worst = report.slowest_ms();
        let how = if *ok { "as it should be" } else { "BROKEN" };
        println!(
            "{number:>4}  {minutes} min ago  {drill}, {} times, slowest {worst} ms: {how}",
            rounds.len()
        );
    }
    ExitCode::SUCCESS
}

fn tell(report: &Report, json: bool) -> ExitCode {
    if json {
        return print_json(report);
    }
    println!("Drill {} ({}), asked for on {}", report.number, report.drill, report.node);
    for round in &report.rounds {
        let Round { from, to, epoch_before, epoch_after, takeover_ms, why, quiet, probes, counted } = round;
        println!("\n{from} -> {to}, epoch {epoch_before} -> {epoch_after}");
        println!("  {to} served after {takeover_ms} ms ({why})");
        for (when, tally) in [("while nothing happened", quiet), ("while the role moved", probes)] {
            let Some(Tally { sent, lost, silence_ms, sender_gap_ms }) = tally else { continue };
            println!(
                "  requests {when}: {lost} of {sent} without an answer, longest silence {silence_ms:.1} ms (this machine \
                 itself was late by up to {sender_gap_ms:.1} ms)"
            );
        }
        let counted: Vec<String> = counted.iter().map(|(name, value)| format!("{name} {value}")).collect();
        println!("  counted: {}", counted.join(", "));
    }
    if report.probe.is_none() {
        println!(
            "\nNothing outside was asked: give --probe an address behind the pair to measure what hosts notice."
        );
    }
    report.broken.iter().for_each(|broken| println!("✗ {broken}"));
    ExitCode::SUCCESS
}
