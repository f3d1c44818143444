//! What came of a drill: for programs and for people.

use std::io::{self, Write};

use serde::Serialize;

use super::fault::Drill;
use super::figures::{Spread, millis};
use super::ping::Count;
use super::promise;
use super::traffic::Load;
use super::trial::Trial;

/// The outcome of a drill.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Summary {
    /// Its name.
    pub drill: &'static str,
    /// How often it was tried.
    pub trials: usize,
    /// Further trials that say nothing, since the machine stood still in them.
    pub void: usize,
    /// The longest time for which a processor of the machine was not there, in each trial.
    pub machine_still_ms: Spread,
    /// The worst gap of the streams in each trial.
    pub gap_ms: Spread,
    /// The same while nothing happened.
    pub control_gap_ms: Spread,
    /// The same while the node came back.
    pub return_gap_ms: Spread,
    /// Messages of the streams that were lost around the fault.
    pub messages_lost: u64,
    /// Of drills in which nothing may be missing: messages that were, that came twice, that came out of their order.
    pub messages_flawed: [u64; 3],
    /// The longest time between two messages at a sender; it should be a millisecond.
    pub sender_gap_ms: f64,
    /// Pings around the fault, both kinds together.
    pub ping_sent: u64,
    /// Those without an answer.
    pub ping_lost: u64,
    /// Of these, one a second.
    pub ping_slow: Count,
    /// TCP sessions in all trials together.
    pub tcp_sessions: usize,
    /// Those that went on.
    pub tcp_survived: usize,
    /// The longest time in which a session heard nothing, its spacing taken off, in each trial.
    pub tcp_stall_ms: Spread,
    /// The longest time in which the bulk transfer heard nothing, in each trial.
    pub bulk_stall_ms: Spread,
    /// Background flows that lived before, in all trials together.
    pub flows_before: usize,
    /// Those that lived afterwards.
    pub flows_after: usize,
    /// From the beginning of the stream of states until both nodes were proven to have the same, as the standby says.
    pub proven_ms: Spread,
    /// From the start of a node until both say that it could take over.
    pub back_ms: Spread,
    /// The longest time for which two nodes acted for the pair.
    pub dual_master_ms: f64,
    /// The most that a node which had been asleep still forwarded after waking.
    pub escaped: usize,
    /// Answers for virtual addresses from the wrong node.
    pub stray_answers: usize,
    /// Megabytes of memory that the router had which was to crash, at most.
    pub resident_mb: f64,
    /// The promise was kept.
    pub ok: bool,
    /// What was not kept.
    pub broken: Vec<String>,
}

impl Summary {
    /// Of all trials of a drill that came to their end, and why the last one did not.
    pub fn of(drill: Drill, load: Load, trials: &[Trial], void: usize, failed: Option<String>) -> Summary {
        let spread = |value: fn(&Trial) -> f64| Spread::of(&trials.iter().map(value).collect::<Vec<_>>());
        let total = |value: fn(&Trial) -> usize| trials.iter().map(value).sum::<usize>();
        let pings =
            |index: usize| trials.iter().fold(Count::default(), |sum, trial| sum.and(trial.pings[index]));
        let both = pings(0).and(pings(1));
        let mut broken = promise::broken(drill, load, trials);
        broken.extend(failed);
        Summary {
            drill: drill.name(),
            trials: trials.len(),
            void,
            machine_still_ms: spread(|trial| millis(trial.still)),
            gap_ms: spread(|trial| millis(trial.gap.longest)),
            control_gap_ms: spread(|trial| millis(trial.control.longest)),
            return_gap_ms: spread(|trial| millis(trial.returning.longest)),
            // In a resync the fault is only the beginning.
            messages_lost: trials
                .iter()
                .map(|trial| if drill == Drill::Resync { trial.lost } else { trial.gap.lost })
                .sum(),
            messages_flawed: [
                trials.iter().map(|trial| trial.flawless.lost).sum(),
                trials.iter().map(|trial| trial.flawless.twice).sum(),
                trials.iter().map(|trial| trial.flawless.late).sum(),
            ],
            sender_gap_ms: spread(|trial| millis(trial.gap.sender)).max,
            ping_sent: both.sent,
            ping_lost: both.lost,
            ping_slow: pings(1),
            tcp_sessions: load.sessions * trials.len(),
            tcp_survived: total(|trial| trial.survived),
            tcp_stall_ms: spread(|trial| millis(trial.stall)),
            bulk_stall_ms: spread(|trial| millis(trial.bulk_stall)),
            flows_before: total(|trial| trial.flows_before),
            flows_after: total(|trial| trial.flows_after),
            proven_ms: spread(|trial| millis(trial.proven.unwrap_or_default())),
            back_ms: spread(|trial| millis(trial.back)),
            dual_master_ms: spread(|trial| millis(trial.dual)).max,
            escaped: trials.iter().map(|trial| trial.escaped).max().filter(|_| drill.wakes()).unwrap_or(0),
            stray_answers: total(|trial| trial.stray_answers.len()),
            resident_mb: trials.iter().map(|trial| trial.resident_mb).fold(0.0, f64::max),
            ok: broken.is_empty() && !trials.is_empty(),
            broken,
        }
    }

    /// A few lines for people.
    ///
    /// # Errors
    /// When `out` does not take them.
    pub fn tell(&self, out: &mut dyn Write) -> io::Result<()> {
        let spread = |spread: &Spread| {
            format!("median {:7.2}   p95 {:7.2}   max {:7.2}  ms", spread.median, spread.p95, spread.max)
        };
        writeln!(out, "\n{} ({} trials)", self.drill, self.trials)?;
        if self.void > 0 {
            writeln!(out, "  that say nothing            {}", self.void)?;
        }
        writeln!(out, "  longest gap in a stream     {}", spread(&self.gap_ms))?;
        writeln!(out, "    while nothing happened    {}", spread(&self.control_gap_ms))?;
        writeln!(out, "    while the node came back  {}", spread(&self.return_gap_ms))?;
        writeln!(out, "  longest stall of a session  {}", spread(&self.tcp_stall_ms))?;
        writeln!(out, "    of the bulk transfer      {}", spread(&self.bulk_stall_ms))?;
        writeln!(out, "  TCP sessions that went on   {} of {}", self.tcp_survived, self.tcp_sessions)?;
        writeln!(out, "  flows that lived on         {} of {}", self.flows_after, self.flows_before)?;
        writeln!(out, "  pings without an answer     {} of {}", self.ping_lost, self.ping_sent)?;
        writeln!(out, "  messages lost               {}", self.messages_lost)?;
        if self.proven_ms.max > 0.0 {
            writeln!(out, "  same states proven after    {}", spread(&self.proven_ms))?;
            writeln!(out, "  the standby was back after  {}", spread(&self.back_ms))?;
        }
        writeln!(out, "  two masters for             {:.2} ms", self.dual_master_ms)?;
        if self.escaped > 0 {
            writeln!(out, "  messages that escaped       {}", self.escaped)?;
        }
        if self.resident_mb > 0.0 {
            writeln!(out, "  the router's memory         {:.0} MB", self.resident_mb)?;
        }
        for broken in &self.broken {
            writeln!(out, "  ✗ {broken}")?;
        }
        if self.ok {
            writeln!(out, "  ✓ the promise is kept")?;
        }
        out.flush()
    }
}

/// One line for a trial as soon as it is over.
///
/// # Errors
/// When `out` does not take it.
pub fn line(out: &mut dyn Write, number: usize, trial: &Trial) -> io::Result<()> {
    let gaps: Vec<String> =
        trial.streams.iter().map(|(name, gap)| format!("{name} {:.2}", millis(gap.longest))).collect();
    let (before, sender) = (millis(trial.control.longest), millis(trial.gap.sender));
    let (lost, pings) = (trial.gap.lost, trial.pings[0].and(trial.pings[1]));
    writeln!(
        out,
        "  trial {number}: gaps in ms: {}; before {before:.2}; lost {lost}; pings lost {} of {}; sender {sender:.2}; machine {:.2}",
        gaps.join(", "),
        pings.lost,
        pings.sent,
        millis(trial.still)
    )?;
    out.flush()
}

/// That the last trial says nothing, and what may tell more.
///
/// # Errors
/// When `out` does not take it.
pub fn void(out: &mut dyn Write, trial: &Trial) -> io::Result<()> {
    let still = millis(trial.still);
    writeln!(
        out,
        "  which says nothing: a processor of this machine was not there for {still:.2} ms; again"
    )?;
    for line in trial.log.iter().filter(|_| trial.gap.lost > 0) {
        writeln!(out, "    {line}")?;
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::super::figures::Gap;
    use super::*;

    #[test]
    fn the_object_has_the_fields_that_were_promised() {
        let gap = Gap { longest: std::time::Duration::from_millis(7), ..Gap::default() };
        let trial = Trial { gap, takeovers: vec![0], survived: 3, ..Trial::default() };
        let summary = Summary::of(
            Drill::Control,
            Load { sessions: 3, flows: 0, rate: 1000 },
            &[trial.clone(), trial],
            1,
            None,
        );
        let json = serde_json::to_value(&summary).unwrap();
        for field in [
            "drill",
            "trials",
            "void",
            "machine_still_ms",
            "ping_sent",
            "ping_lost",
            "tcp_sessions",
            "tcp_survived",
            "flows_before",
            "flows_after",
            "dual_master_ms",
            "ok",
        ] {
            assert!(json.get(field).is_some(), "{field}");
        }
        assert_eq!(json["gap_ms"]["p95"], 7.0);
        assert_eq!((json["tcp_survived"].as_u64(), json["ok"].as_bool()), (Some(6), Some(true)));
        let load = Load { sessions: 3, flows: 0, rate: 1000 };
        assert!(!Summary::of(Drill::Control, load, &[], 0, None).ok, "untried is not kept");
        assert_eq!(Summary::of(Drill::Control, load, &[], 0, Some("no".into())).broken, ["no"]);
        let mut text = Vec::new();
        summary.tell(&mut text).unwrap();
        assert!(String::from_utf8(text).unwrap().contains("6 of 6"));
    }
}
