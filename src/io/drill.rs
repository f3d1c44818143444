//! A drill: the role moves on a running pair, and what that did is measured and kept.
//!
//! What is measured: when the other node served, by its own account; what the nodes counted meanwhile; and, with an address to
//! probe, what came of a thousand echo requests a second from this machine. Those prove something of the pair only when their
//! way leads through it, which nobody can know from here: without them the report says that nothing outside was asked.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;
use std::{fs, io};

use serde::{Deserialize, Serialize};

use super::both::{Both, doubts};
use super::prober::{Prober, Tally};
use super::request::Request;
use super::{clock, files, pace};
use crate::cluster::role;
use crate::cluster::upgrade::Side;
use crate::node::PairSnapshot;
use crate::types::{Instant, Role};

/// The reports, in the state directory, and how many are kept.
const FILE: &str = "drills.json";
const KEPT: usize = 32;
/// The pair must be well for so long before the role moves, and become so within a while.
const SETTLED: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_secs(90);
/// While the role moves the nodes are looked at this often.
const CLOSELY: Duration = Duration::from_millis(20);
const LOOK: Duration = Duration::from_millis(500);
/// Nothing happens for so long before; what follows is watched for so long.
const BEFORE: Duration = Duration::from_secs(2);
const AFTER: Duration = Duration::from_secs(3);
/// Answers that are later than this are none.
const LATE: Duration = Duration::from_secs(1);

/// So long may the role take to move, and answers stay away; in milliseconds. That a machine which asks is late is
/// allowed for.
const HANDOVER_SILENCE: f64 = 50.0;
const HANDOVER_TAKES: u64 = 500;
const CRASH_SILENCE: f64 = 200.0;
const CRASH_TAKES: u64 = 300;

/// A drill.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// Counts the drills of this node.
    pub number: u32,
    /// Milliseconds since 1970.
    pub at_ms: u64,
    /// Where it was asked for.
    pub node: String,
    /// `handover` or `crash`.
    pub drill: String,
    /// Where the echo requests went; without, nothing outside was asked.
    pub probe: Option<IpAddr>,
    /// Each time that the role moved.
    pub rounds: Vec<Round>,
    /// Everything went as it should.
    pub ok: bool,
    /// What did not.
    pub broken: Vec<String>,
    /// It is not over.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub runs: bool,
}

impl Report {
    /// The longest takeover, in milliseconds.
    pub fn slowest_ms(&self) -> u64 {
        self.rounds.iter().map(|round| round.takeover_ms).max().unwrap_or(0)
    }
}

/// The role moved once.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Round {
    /// Who gave the role.
    pub from: String,
    /// Who took it.
    pub to: String,
    /// The epoch before.
    pub epoch_before: u32,
    /// And after.
    pub epoch_after: u32,
    /// From the order until the other node served, by that one's account.
    pub takeover_ms: u64,
    /// Why it took over, in its words.
    pub why: String,
    /// Requests while nothing happened.
    pub quiet: Option<Tally>,
    /// Requests while the role moved.
    pub probes: Option<Tally>,
    /// What the nodes counted from before until after, by name, both together. A crash begins the counting anew.
    pub counted: BTreeMap<String, u64>,
}

/// A drill as it is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Plan {
    /// The active router process dies instead of handing over.
    pub crash: bool,
    /// So many times, there and back.
    pub count: u8,
    /// Echo requests go from this machine to this address.
    pub probe: Option<IpAddr>,
}

/// Runs a drill and keeps its report in the state directory; `tell` hears of it at the beginning, after each round and at the
/// end. `node` is where it was asked for. Says whether the report could be kept, too.
pub fn run(
    nodes: &Both<'_>,
    plan: Plan,
    node: &str,
    state: &Path,
    mut tell: impl FnMut(&Report),
) -> (Report, io::Result<()>) {
    let mut report = Report {
        number: reports(state).iter().map(|report| report.number).max().unwrap_or(0) + 1,
        at_ms: clock::calendar_ms(),
        node: node.to_owned(),
        drill: if plan.crash { "crash".into() } else { "handover".into() },
        probe: plan.probe,
        runs: true,
        ..Report::default()
    };
    tell(&report);
    report.broken = match rounds(nodes, plan, &mut report, &mut tell) {
        Ok(()) => broken(&report),
        Err(why) => vec![why],
    };
    report.ok = report.broken.is_empty();
    report.runs = false;
    let kept = keep(state, &report);
    tell(&report);
    (report, kept)
}

/// The role moves so often.
fn rounds(
    nodes: &Both<'_>,
    plan: Plan,
    report: &mut Report,
    tell: &mut impl FnMut(&Report),
) -> Result<(), String> {
    let Plan { crash, count, probe } = plan;
    let prober = probe.map(Prober::start).transpose().map_err(|error| format!("the probes: {error}"))?;
    for _ in 0..count {
        let pairs = well(nodes)?;
        report.rounds.push(round(nodes, crash, &pairs, prober.as_ref())?);
        tell(report);
    }
    well(nodes).map(drop)
}

/// Waits until both nodes are well, and gives what each says.
fn well(nodes: &Both<'_>) -> Result<[PairSnapshot; 2], String> {
    let begun = clock::now();
    let (mut since, mut why) = (None::<Instant>, "the nodes do not answer".to_owned());
    while clock::now().since(begun) < PATIENCE {
        let now = clock::now();
        match (nodes.pair(Side::Here), nodes.pair(Side::There)) {
            (Some(here), Some(there)) => {
                let doubts = [doubts(&here), doubts(&there)].concat();
                let roles = [&here, &there].iter().filter(|pair| pair.role == Role::Active.name()).count();
                if doubts.is_empty() && roles == 1 {
                    if now.since(*since.get_or_insert(now)) >= SETTLED {
                        return Ok([here, there]);
                    }
                } else {
                    since = None;
                    why = doubts.first().cloned().unwrap_or_else(|| "not one node is active".into());
                }
            }
            (_, _) => since = None,
        }
        pace::until(now + LOOK);
    }
    Err(format!("the pair is not well: {why}"))
}

fn round(
    nodes: &Both<'_>,
    crash: bool,
    before: &[PairSnapshot; 2],
    prober: Option<&Prober>,
) -> Result<Round, String> {
    let here_leads = before[0].role == Role::Active.name();
    let (from, to) = if here_leads { (Side::Here, Side::There) } else { (Side::There, Side::Here) };
    let [old, new] = if here_leads { [&before[0], &before[1]] } else { [&before[1], &before[0]] };
    let quiet = clock::now();
    pace::until(quiet + BEFORE);
    let struck = clock::now();
    let order = if crash { Request::Crash } else { Request::Role(role::Request::HandOver) };
    match nodes.ask(from, order) {
        // Who has died does not answer.
        Ok(_) => {}
        Err(_) if crash => {}
        Err(why) => return Err(why),
    }
    let (takeover_ms, epoch_after, why) = follow(nodes, to, struck, old.epoch)?;
    pace::until(clock::now() + AFTER);
    let end = clock::now();
    pace::until(end + LATE);
    let tally = |from, to| prober.map(|prober| prober.tally(from, to));
    let after = [nodes.pair(Side::Here), nodes.pair(Side::There)];
    Ok(Round {
        from: old.node.clone(),
        to: new.node.clone(),
        epoch_before: old.epoch,
        epoch_after,
        takeover_ms,
        why,
        quiet: tally(quiet, struck),
        probes: tally(struck, end),
        counted: growth(before, &after),
    })
}

/// Waits until that node serves in a later epoch; gives how long that took by its own account, the epoch, and why.
fn follow(nodes: &Both<'_>, to: Side, struck: Instant, epoch: u32) -> Result<(u64, u32, String), String> {
    while clock::now().since(struck) < PATIENCE {
        if let Some(pair) = nodes.pair(to).filter(|pair| pair.leads && pair.epoch > epoch) {
            let passed = clock::now().since(struck).as_millis() as u64;
            return Ok((passed.saturating_sub(pair.since_ms), pair.epoch, pair.why));
        }
        pace::until(clock::now() + CLOSELY);
    }
    Err("the other node does not serve".into())
}

fn growth(before: &[PairSnapshot; 2], after: &[Option<PairSnapshot>; 2]) -> BTreeMap<String, u64> {
    let mut grown = BTreeMap::new();
    for (before, after) in before.iter().zip(after) {
        for row in after.iter().flat_map(|after| &after.counters) {
            let was =
                before.counters.iter().find(|known| known.name == row.name).map_or(0, |known| known.value);
            let more = row.value.saturating_sub(was);
            if more > 0 {
                *grown.entry(row.name.clone()).or_insert(0) += more;
            }
        }
    }
    grown
}

fn broken(report: &Report) -> Vec<String> {
    let mut broken = Vec::new();
    for (number, round) in report.rounds.iter().enumerate() {
        let (silence, takes) = match report.drill.as_str() {
            "handover" => (HANDOVER_SILENCE, HANDOVER_TAKES),
            _ => (CRASH_SILENCE, CRASH_TAKES),
        };
        if round.takeover_ms > takes {
            let took = round.takeover_ms;
            broken.push(format!("round {}: the role moved within {took} ms, more than {takes}", number + 1));
        }
        if let Some(probes) = round.probes {
            let Tally { sent, lost, silence_ms, sender_gap_ms } = probes;
            // A thousand a second: of a crash, what falls into the silence may be lost.
            let most = if report.drill == "handover" { 0.0 } else { silence };
            if lost as f64 > most {
                broken.push(format!("round {}: {lost} of {sent} requests had no answer", number + 1));
            }
            if sent == 0 || silence_ms > silence + sender_gap_ms {
                broken.push(format!(
                    "round {}: no answer came for {silence_ms:.1} ms, more than {silence:.0}",
                    number + 1
                ));
            }
        }
        if round.quiet.is_some_and(|quiet| quiet.sent > 0 && quiet.lost == quiet.sent) {
            broken.push(format!("round {}: nobody answered even while nothing happened", number + 1));
        }
    }
    broken
}

/// The reports that are kept.
pub fn reports(state: &Path) -> Vec<Report> {
    let text = fs::read(state.join(FILE)).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

/// Keeps a report beside the others, instead of one of the same node and time.
///
/// # Errors
/// When it cannot be written.
pub fn keep(state: &Path, report: &Report) -> io::Result<()> {
    let mut all = reports(state);
    all.retain(|known| (&known.node, known.at_ms) != (&report.node, report.at_ms));
    all.push(report.clone());
    let kept = &all[all.len().saturating_sub(KEPT)..];
    let path = state.join(FILE);
    files::write_atomically(&path, &serde_json::to_vec(kept)?)?;
    files::give_like(&path, state)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::snapshot::CounterRow;

    #[test]
    fn what_was_counted_is_the_growth_of_both_nodes() {
        let pair = |values: &[(&'static str, u64)]| PairSnapshot {
            counters: values.iter().map(|(name, value)| CounterRow::new(name, *value, "x")).collect(),
            ..PairSnapshot::default()
        };
        let before = [pair(&[("sent", 5), ("lost", 1)]), pair(&[("sent", 7)])];
        let after = [Some(pair(&[("sent", 9), ("lost", 1)])), Some(pair(&[("sent", 8), ("new", 2)]))];
        let grown = growth(&before, &after);
        assert_eq!(grown, BTreeMap::from([("sent".to_owned(), 5), ("new".to_owned(), 2)]));
        assert!(growth(&before, &[None, Some(pair(&[("sent", 0)]))]).is_empty());
    }

    #[test]
    fn a_loss_breaks_a_handover_and_silence_breaks_every_drill() {
        let tally = |sent, lost| Some(Tally { sent, lost, ..Tally::default() });
        let report = |drill: &str, quiet, probes| Report {
            drill: drill.into(),
            rounds: vec![Round { quiet, probes, ..Round::default() }],
            ..Report::default()
        };
        assert!(broken(&report("handover", tally(9, 0), tally(9, 0))).is_empty());
        assert!(broken(&report("handover", None, None)).is_empty());
        assert_eq!(broken(&report("handover", tally(9, 0), tally(9, 1))).len(), 1);
        assert!(broken(&report("crash", tally(9, 0), tally(9, 1))).is_empty());
        assert_eq!(broken(&report("crash", tally(9, 9), tally(9, 9))).len(), 1);
    }

    #[test]
    fn what_a_crash_may_cost_is_bounded() {
        let moved = Tally { sent: 3000, lost: 60, silence_ms: 60.0, sender_gap_ms: 2.0 };
        let report = |drill: &str, probes: Tally, takeover_ms| Report {
            drill: drill.into(),
            rounds: vec![Round { probes: Some(probes), takeover_ms, ..Round::default() }],
            ..Report::default()
        };
        assert!(broken(&report("crash", moved, 60)).is_empty());
        let cases: [(&str, Tally, u64, usize); 6] = [
            ("all lost", Tally { lost: 3000, silence_ms: 3000.0, ..moved }, 60, 2),
            ("half of them, scattered", Tally { lost: 1500, ..moved }, 60, 1),
            ("one long silence", Tally { silence_ms: 203.0, ..moved }, 60, 1),
            (
                "as long as the asking machine was late",
                Tally { silence_ms: 203.0, sender_gap_ms: 9.0, ..moved },
                60,
                0,
            ),
            ("nobody served for long", moved, 301, 1),
            ("nothing was asked", Tally { sent: 0, lost: 0, ..moved }, 60, 1),
        ];
        for (what, probes, takes, count) in cases {
            assert_eq!(broken(&report("crash", probes, takes)).len(), count, "{what}");
        }
        assert!(broken(&report("handover", Tally { lost: 0, silence_ms: 9.0, ..moved }, 9)).is_empty());
        assert_eq!(broken(&report("handover", Tally { lost: 0, ..moved }, 501)).len(), 2);
    }

    #[test]
    fn so_many_reports_are_kept() {
        let directory = std::env::temp_dir().join(format!("koi-test-drills-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        assert!(reports(&directory).is_empty());
        for number in 0..40 {
            keep(&directory, &Report { number, at_ms: number.into(), ..Report::default() }).unwrap();
        }
        let again = Report { number: 39, at_ms: 39, ok: true, ..Report::default() };
        keep(&directory, &again).unwrap();
        let kept = reports(&directory);
        assert_eq!((kept.len(), kept.last()), (KEPT, Some(&again)));
        let _ = fs::remove_dir_all(directory);
    }
}
