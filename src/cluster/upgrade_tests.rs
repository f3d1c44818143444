//! A model of two nodes under the engine: restarts, trials, crashes at every step.

use proptest::prelude::*;

use super::*;

const OLD: ReleaseVersion = ReleaseVersion { major: 1, minor: 0, patch: 0 };
const NEW: ReleaseVersion = ReleaseVersion { major: 1, minor: 1, patch: 0 };
const NEWER: ReleaseVersion = ReleaseVersion { major: 1, minor: 2, patch: 0 };

/// A node of the model: what it runs, and when it is back from a restart.
struct Node {
    kept: ReleaseVersion,
    trial: Option<ReleaseVersion>,
    gave_up: Option<(ReleaseVersion, String)>,
    trials: u64,
    down: u64,
    /// Not in sync for so many more seconds.
    filling: u64,
}

struct Pair {
    nodes: [Node; 2],
    active: usize,
    /// The new program does not come up on this node.
    broken: Option<usize>,
    /// It comes up, but never in sync.
    unwell: Option<usize>,
    acts: Vec<Act>,
}

impl Pair {
    fn new(active: usize) -> Pair {
        let node = || Node { kept: OLD, trial: None, gave_up: None, trials: 0, down: 0, filling: 0 };
        Pair { nodes: [node(), node()], active, broken: None, unwell: None, acts: Vec::new() }
    }

    fn restart(&mut self, who: usize) {
        (self.nodes[who].down, self.nodes[who].filling) = (3, 5);
        if self.active == who && self.nodes[1 - who].down == 0 {
            self.active = 1 - who;
        }
    }

    /// Power fails: what was on trial is forgotten.
    fn crash(&mut self, who: usize) {
        if self.nodes[who].trial.take().is_some() {
            self.nodes[who].gave_up = Some((NEW, "the machine was started again".into()));
        }
        self.restart(who);
    }

    fn pass_a_second(&mut self) {
        for who in 0..2 {
            let broken = self.broken == Some(who);
            let node = &mut self.nodes[who];
            node.down = node.down.saturating_sub(1);
            node.filling = if self.unwell == Some(who) && node.trial.is_some() {
                5
            } else {
                node.filling.saturating_sub(1)
            };
            if broken && node.down == 0 && node.trial.take().is_some() {
                node.gave_up = Some((NEW, "the router process ended".into()));
                self.restart(who);
            }
        }
        if self.nodes[self.active].down > 0 && self.nodes[1 - self.active].down == 0 {
            self.active = 1 - self.active;
        }
    }

    fn view(&self) -> View {
        let row = |who: usize| {
            let node = &self.nodes[who];
            (node.down == 0).then(|| NodeView {
                name: ["alpha", "beta"][who].into(),
                version: node.trial.unwrap_or(node.kept),
                trial: node.trial.is_some(),
                gave_up: node.gave_up.clone(),
                trials: node.trials,
                role: if self.active == who { Role::Active } else { Role::Standby },
            })
        };
        let unwell = self.nodes.iter().any(|node| node.down > 0 || node.filling > 0);
        let lacks = if unwell { vec!["the standby has not all states".into()] } else { Vec::new() };
        View { nodes: [row(0), row(1)], lacks, preferred: Side::Here, preempts: false }
    }

    /// Does it, and holds the engine to its promise.
    fn obey(&mut self, act: Act) {
        let well = self.view().lacks.is_empty();
        match &act {
            Act::Install(side) => {
                let who = side.index();
                assert!(
                    self.active != who && well,
                    "installed on the active node, or on a pair that is not well"
                );
                self.nodes[who].trial = Some(NEW);
                self.nodes[who].trials += 1;
                self.restart(who);
            }
            Act::Keep(side) => {
                assert!(well, "kept what is not proven");
                let node = &mut self.nodes[side.index()];
                node.kept = node.trial.take().unwrap();
            }
            Act::Back(side) => {
                self.nodes[side.index()].trial = None;
                self.restart(side.index());
            }
            Act::Handover(side) => {
                assert!(self.active == side.index() && well, "the role goes to a node that is not well");
                self.active = 1 - self.active;
            }
        }
        self.acts.push(act);
    }
}

/// Runs an upgrade, with crashes at these seconds; gives the last step.
fn run(pair: &mut Pair, crashes: &[(u64, usize)]) -> Step {
    let mut upgrade = Upgrade::new(NEW, Instant::ZERO);
    for second in 0..2_000 {
        for (_, who) in crashes.iter().filter(|(at, _)| *at == second) {
            pair.crash(*who);
        }
        match upgrade.next(Instant::from_secs(second), &pair.view()) {
            Step::Wait(_) => {}
            Step::Do(act) => pair.obey(act),
            last @ (Step::Done(_) | Step::Stop(_)) => return last,
        }
        pair.pass_a_second();
    }
    panic!("it does not end: {:?}", pair.acts);
}

#[test]
fn the_standby_first_then_the_other_then_back_by_preference() {
    let mut pair = Pair::new(0);
    assert!(matches!(run(&mut pair, &[]), Step::Done(text) if text.contains("alpha serves")));
    use Side::{Here, There};
    let expected = [
        Act::Install(There),
        Act::Keep(There),
        Act::Handover(Here),
        Act::Install(Here),
        Act::Keep(Here),
        Act::Handover(There),
    ];
    assert_eq!(pair.acts, expected);
    let mut pair = Pair::new(1);
    assert!(matches!(run(&mut pair, &[]), Step::Done(_)));
    assert_eq!(
        pair.acts.len(),
        5,
        "the preferred one is upgraded first and has the role at the end: {:?}",
        pair.acts
    );
}

#[test]
fn a_program_that_does_not_come_up_stops_it_and_the_other_node_is_untouched() {
    for (broken, unwell, words) in
        [(Some(1), None, "gone back to 1.0.0"), (None, Some(1), "has not all states")]
    {
        let mut pair = Pair { broken, unwell, ..Pair::new(0) };
        let Step::Stop(why) = run(&mut pair, &[]) else { panic!("it went on") };
        assert!(why.contains(words) && why.contains("stops here"), "{why}");
        assert_eq!((pair.active, pair.nodes[0].kept, pair.nodes[1].kept), (0, OLD, OLD));
        assert_eq!(pair.nodes[1].trial, None, "it does not stay on trial");
    }
}

#[test]
fn a_pair_that_is_not_well_is_not_touched() {
    let mut pair = Pair::new(0);
    pair.nodes[1].filling = 1_000;
    let Step::Stop(why) = run(&mut pair, &[]) else { panic!("it went on") };
    assert!(why.contains("Nothing has been changed") && pair.acts.is_empty(), "{why}");
    let mut pair = Pair::new(0);
    pair.nodes[1].kept = NEWER;
    assert!(matches!(run(&mut pair, &[]), Step::Stop(why) if why.contains("newer")));
    assert!(pair.acts.is_empty());
}

#[test]
fn an_interrupted_upgrade_goes_on() {
    let mut pair = Pair::new(1);
    (pair.nodes[0].kept, pair.nodes[1].kept) = (NEW, OLD);
    assert!(matches!(run(&mut pair, &[]), Step::Done(_)));
    assert_eq!(pair.acts, [Act::Handover(Side::There), Act::Install(Side::There), Act::Keep(Side::There)]);
    pair.acts.clear();
    assert!(matches!(run(&mut pair, &[]), Step::Done(_)));
    assert!(pair.acts.is_empty(), "there is nothing left to be done");
}

proptest! {
    /// Whoever crashes, whenever: it ends, the promises hold on the way, and asked again it is finished.
    #[test]
    fn a_crash_at_any_step_leaves_one_active_and_can_be_gone_on_from(
        active in 0usize..2,
        crashes in proptest::collection::vec((0u64..80, 0usize..2), 0..3),
    ) {
        let mut pair = Pair::new(active);
        let first = run(&mut pair, &crashes);
        if let Step::Done(_) = first {
            prop_assert_eq!((pair.nodes[0].kept, pair.nodes[1].kept), (NEW, NEW));
        }
        for _ in 0..200 {
            pair.pass_a_second();
        }
        // The model's own trial ends with the upgrade that began it.
        for node in &mut pair.nodes {
            node.trial = None;
        }
        let second = run(&mut pair, &[]);
        prop_assert!(matches!(second, Step::Done(_)), "{:?} after {:?}", second, first);
        prop_assert_eq!((pair.nodes[0].kept, pair.nodes[1].kept, pair.active), (NEW, NEW, 0));
    }
}

#[test]
fn the_plan_is_what_is_done() {
    for active in 0..2 {
        for (here, there) in [(OLD, OLD), (NEW, OLD), (OLD, NEW)] {
            let mut pair = Pair::new(active);
            (pair.nodes[0].kept, pair.nodes[1].kept) = (here, there);
            let planned = plan(&pair.view(), NEW).unwrap();
            assert!(matches!(run(&mut pair, &[]), Step::Done(_)));
            assert_eq!(pair.acts, planned, "{active} {here} {there}");
        }
    }
    let mut pair = Pair::new(0);
    let said = will(&pair.view(), &Act::Handover(Side::Here), NEW);
    assert_eq!(said, "alpha hands the role to beta, without losing a packet.");
    let refused = |pair: &Pair, target| plan(&pair.view(), target).unwrap_err();
    assert_eq!(refused(&pair, OLD), "both nodes run 1.0.0 already");
    pair.nodes[1].kept = NEWER;
    assert_eq!(refused(&pair, NEW), "beta runs 1.2.0, which is newer than 1.1.0");
    pair.nodes[1].down = 9;
    assert_eq!(refused(&pair, NEW), "both nodes must answer");
}
