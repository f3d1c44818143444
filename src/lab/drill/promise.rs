//! What each drill promises, and whether the trials kept it.

use std::time::Duration;

use super::background::Census;
use super::fault::Drill;
use super::figures::{Gap, Spread, millis};
use super::machine::STILL;
use super::ping::Count;
use super::traffic::Load;
use super::trial::{Stray, Trial};

/// How long two may act for the pair at a takeover: what is on its way counts as well.
const DUAL: Duration = Duration::from_millis(1);
/// The same where a node that was asleep lets a batch slip: for how long depends on when the scheduler lets it.
const DUAL_ON_WAKING: Duration = Duration::from_millis(5);
/// That batch (`BATCH` in `io::forward`).
const ESCAPE: usize = 64;
/// The same after a partition has healed.
const DUAL_AFTER_SPLIT: Duration = Duration::from_secs(1);
/// From this many flows on, a TCP session may not stall longer than this when the power goes.
const MANY_FLOWS: usize = 200_000;
const STALL: Duration = Duration::from_millis(300);
/// A standby that knew nothing has everything within this, a million flows as well.
const PROVEN: Duration = Duration::from_secs(3);
/// A gap may be longer than the promise by this many times the stillness on its account: a node is taken for dead, and
/// comes back.
const EXCUSE: u32 = 10;
/// Of the pings a hundred a second, these may be lost when the power goes.
const PINGS: u64 = 10;

/// What a drill promises.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Promise {
    /// Of 100 gaps, 95 are at most this.
    pub gap: Duration,
    /// How often the traffic goes over to the other node, in each step.
    pub takeovers: &'static [usize],
    /// How long two nodes may act for the pair.
    pub dual: Duration,
}

impl Drill {
    /// What it promises.
    pub fn promise(self) -> Promise {
        let of = |gap, takeovers| Promise { gap: Duration::from_millis(gap), takeovers, dual: DUAL };
        match self {
            Drill::Control => of(20, &[0]),
            Drill::PowerOff => of(50, &[1]),
            Drill::Crash => of(60, &[1]),
            Drill::Freeze => Promise { dual: DUAL_ON_WAKING, ..of(150, &[1, 0]) },
            Drill::UnplugWan | Drill::UnplugLan => of(50, &[1]),
            Drill::UnplugSilent => of(100, &[1]),
            Drill::UnplugSync => of(20, &[0]),
            Drill::GatewayDead => of(1500, &[1]),
            // Who forwards during a partition is for the hosts to choose, and any number of changes of it.
            Drill::Split => Promise { dual: DUAL_AFTER_SPLIT, ..of(1000, &[]) },
            Drill::Stall => of(150, &[0, 1]),
            // How late packets are is for the machine's scheduler to say; that nobody takes over is the promise.
            Drill::Load => of(1000, &[0]),
            Drill::Handover => of(50, &[1]),
            // What it is about begins when the node comes back; how sudden failures go, the other drills say.
            Drill::Return => of(100, &[1, 0, 0, 1]),
            Drill::RestartBoth => of(50, &[1, 0, 0, 1, 0]),
            Drill::Resync => of(20, &[0]),
            // Once there; and back, where the document prefers the other node.
            Drill::Upgrade => of(60, &[]),
            Drill::Change => of(50, &[0, 0]),
            Drill::Rotate => of(50, &[0]),
        }
    }
}

/// True when a trial says nothing: it did not keep the promise while a processor of the machine was not there for about as
/// long as a node may be silent. A gap of many times that has another cause.
pub fn is_void(drill: Drill, load: Load, trial: &Trial) -> bool {
    let excused = drill.promise().gap + EXCUSE * trial.still;
    trial.still >= STILL
        && trial.gap.longest <= excused
        && !broken(drill, load, std::slice::from_ref(trial)).is_empty()
}

/// What of a drill's promise the trials did not keep, in words.
pub fn broken(drill: Drill, load: Load, trials: &[Trial]) -> Vec<String> {
    let Promise { gap, takeovers, dual } = drill.promise();
    let mut broken = Vec::new();
    let gaps: Vec<f64> = trials.iter().map(|trial| millis(trial.gap.longest)).collect();
    let spread = Spread::of(&gaps);
    if spread.p95 > millis(gap) {
        broken.push(format!("the gap is {} ms (p95), more than {} ms", spread.p95, millis(gap)));
    }
    let slow = trials.iter().fold(Count::default(), |sum, trial| sum.and(trial.pings[1]));
    // A ping each second falls into a gap of 30 ms once in 33 times.
    let unlucky = 1 + trials.len() as u64 / 10;
    if drill == Drill::PowerOff && slow.lost > unlucky {
        broken.push(format!("{} of {} pings, one a second, had no answer", slow.lost, slow.sent));
    }
    for (number, trial) in trials.iter().enumerate() {
        let before = broken.len();
        let mut say = |what: String| broken.push(format!("trial {}: {what}", number + 1));
        if trial.survived < load.sessions {
            say(format!("{} of {} TCP sessions went on", trial.survived, load.sessions));
        }
        if trial.flows_before < load.flows || trial.flows_after < trial.flows_before {
            let (before, after) = (trial.flows_before, trial.flows_after);
            let [lost_before, lost_after] = trial
                .census
                .map(|Census { alive: _, anew, silent }| format!("{anew} translated anew, {silent} silent"));
            say(format!(
                "of {} flows, {before} lived before ({lost_before}) and {after} afterwards ({lost_after})",
                load.flows
            ));
        }
        if !takeovers.is_empty() && trial.takeovers != takeovers {
            say(format!("takeovers {:?} instead of {takeovers:?}", trial.takeovers));
        }
        let Gap { lost, twice, late, .. } = trial.flawless;
        if lost + twice + late > 0 {
            say(format!("of the streams {lost} messages were lost, {twice} came twice, {late} late"));
        }
        if trial.dual > dual {
            say(format!("two nodes acted for the pair for {} ms", millis(trial.dual)));
        }
        if drill.wakes() && trial.escaped > ESCAPE {
            say(format!("{} messages escaped from a node that had been replaced", trial.escaped));
        }
        if let (Some(first), true) = (trial.stray_answers.first(), drill != Drill::Split) {
            let (count, Stray { kind, after, place, others }) = (trial.stray_answers.len(), first);
            let [after, before, still] = [*after, others.0, others.1].map(millis);
            say(format!(
                "{count} answers for virtual addresses from the wrong node, the first ({kind:?} of {place}) after \
                 {after} ms, when the other one had forwarded for {before} ms and went on for {still} ms"
            ));
        }
        if drill == Drill::PowerOff && trial.pings[0].lost > PINGS {
            say(format!("{} of {} pings had no answer", trial.pings[0].lost, trial.pings[0].sent));
        }
        if drill == Drill::PowerOff && load.flows >= MANY_FLOWS && trial.stall > STALL {
            say(format!("a TCP session heard nothing for {} ms", millis(trial.stall)));
        }
        if matches!(drill, Drill::Resync | Drill::Change | Drill::Rotate) && trial.lost > 0 {
            say(format!("{} messages were lost", trial.lost));
        }
        if drill == Drill::Resync {
            if trial.returning.longest > gap {
                say(format!(
                    "while the standby was told, the gap was {} ms",
                    millis(trial.returning.longest)
                ));
            }
            match trial.proven {
                None => say("that both nodes have the same states was not proven".into()),
                Some(proven) if proven > PROVEN => {
                    say(format!("it took {} ms until both nodes had the same states", millis(proven)));
                }
                Some(_) => {}
            }
        }
        trial.notes.iter().for_each(|note| say(note.clone()));
        if broken.len() > before {
            broken.extend(trial.log.iter().cloned());
        }
    }
    broken
}

#[cfg(test)]
mod tests {
    use super::super::figures::Gap;
    use super::super::sighting::Kind;
    use super::*;

    const LOAD: Load = Load { sessions: 10, flows: 100, rate: 1000 };

    fn good(drill: Drill) -> Trial {
        Trial {
            gap: Gap { longest: Duration::from_millis(20), ..Gap::default() },
            survived: 10,
            flows_before: 100,
            flows_after: 100,
            takeovers: drill.promise().takeovers.to_vec(),
            proven: Some(Duration::from_millis(900)),
            ..Trial::default()
        }
    }

    #[test]
    fn a_good_trial_keeps_every_promise() {
        for drill in Drill::ALL {
            assert_eq!(broken(drill, LOAD, &[good(drill), good(drill)]), [""; 0], "{}", drill.name());
            let steps = drill.steps().len();
            assert!([0, steps].contains(&drill.promise().takeovers.len()), "{}", drill.name());
        }
    }

    #[test]
    fn a_broken_promise_of_a_machine_that_stood_still_says_nothing() {
        let cases = [
            (20, 14, false),
            (20, 900, false),
            (51, 14, false),
            (51, 15, true),
            (200, 15, true),
            (201, 15, false),
            (4_000, 16, false),
        ];
        for (gap, still, void) in cases {
            let mut trial = good(Drill::PowerOff);
            trial.gap.longest = Duration::from_millis(gap);
            trial.still = Duration::from_millis(still);
            assert_eq!(is_void(Drill::PowerOff, LOAD, &trial), void, "{gap} {still}");
        }
    }

    #[test]
    fn each_part_of_the_promise_can_be_broken() {
        type Spoil = fn(&mut Trial);
        let spoils: [(&str, Spoil); 10] = [
            ("the gap is", |trial| trial.gap.longest = Duration::from_millis(51)),
            ("TCP sessions", |trial| trial.survived = 9),
            ("99 lived before", |trial| (trial.flows_before, trial.flows_after) = (99, 99)),
            ("and 99 afterwards", |trial| trial.flows_after = 99),
            ("takeovers [0]", |trial| trial.takeovers = vec![0]),
            ("two nodes", |trial| trial.dual = Duration::from_millis(2)),
            ("wrong node", |trial| {
                let (kind, after, place) = (Kind::Answer, Duration::ZERO, "beta at lan".into());
                trial.stray_answers = vec![Stray { kind, after, place, others: (after, after) }];
            }),
            ("one a second", |trial| trial.pings[1] = Count { sent: 3, lost: 2 }),
            ("11 of 300", |trial| trial.pings[0] = Count { sent: 300, lost: 11 }),
            ("oh", |trial| trial.notes.push("oh".into())),
        ];
        for (why, spoil) in spoils {
            let mut trial = Trial { log: vec!["what alpha said".into()], ..good(Drill::PowerOff) };
            spoil(&mut trial);
            let mut broken = broken(Drill::PowerOff, LOAD, &[good(Drill::PowerOff), trial]);
            let log = broken.pop_if(|line| *line == "what alpha said");
            // These are of all trials together.
            assert_eq!(log.is_none(), ["the gap is", "one a second"].contains(&why));
            assert!(broken.len() == 1 && broken[0].contains(why), "{why}: {broken:?}");
        }
        let spoils: [(&str, Spoil); 4] = [
            ("2 messages", |trial| trial.lost = 2),
            ("while the standby", |trial| trial.returning.longest = Duration::from_millis(21)),
            ("not proven", |trial| trial.proven = None),
            ("took 4000 ms", |trial| trial.proven = Some(Duration::from_secs(4))),
        ];
        for (why, spoil) in spoils {
            let mut trial = good(Drill::Resync);
            spoil(&mut trial);
            let broken = broken(Drill::Resync, LOAD, &[trial]);
            assert!(broken.len() == 1 && broken[0].contains(why), "{why}: {broken:?}");
        }
        let mut awake = good(Drill::Freeze);
        awake.escaped = ESCAPE;
        assert_eq!(broken(Drill::Freeze, LOAD, &[awake.clone()]), [""; 0]);
        awake.escaped += 1;
        assert_eq!(broken(Drill::Freeze, LOAD, &[awake]).len(), 1);
        for drill in [Drill::Resync, Drill::Change, Drill::Rotate] {
            let lossy = Trial { lost: 1, ..good(drill) };
            assert_eq!(broken(drill, LOAD, &[lossy]), ["trial 1: 1 messages were lost"], "{}", drill.name());
        }
        let mut slow = good(Drill::PowerOff);
        (slow.stall, slow.flows_before, slow.flows_after) = (Duration::from_secs(1), 200_000, 200_000);
        assert_eq!(broken(Drill::PowerOff, Load { flows: 200_000, ..LOAD }, &[slow]).len(), 1);
    }
}
