//! The compiled rules of a node.

use std::sync::Arc;

use super::automatic::{Setting, id};
use super::classifier::Classifier;
use super::criteria::Tag;
use super::draft::Draft;
use super::martian::martian;
use super::query::Query;
use super::table::Tables;
use super::verdict::{Choice, Limits, Pass, Terms, Verdict};
use crate::config::model::RuleDirection;
use crate::config::{Conditions, Config};
use crate::types::{Direction, InterfaceId, RuleId};
use crate::wire::Drop;

/// The compiled rules of a node. Built by [`super::compile`], never changed.
#[derive(Debug)]
pub struct Ruleset {
    pub(super) classifier: Classifier,
    /// By line of the classifier, in pf's order.
    pub(super) deeds: Arc<[Deed]>,
    /// Sorted by id.
    pub(super) infos: Arc<[RuleInfo]>,
    /// The aliases that rules name.
    pub(super) tables: Tables,
    /// What the rules would be if those out of their hours were in them; absent when all are.
    pub(super) awake: Option<Arc<Ruleset>>,
    /// Flows of rules that are out of their hours live on.
    pub(super) keeps: bool,
}

/// What a rule does to a match.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deed {
    /// By direction; `None` when it decides nothing.
    verdicts: [Option<Verdict>; 2],
    quick: bool,
    log: bool,
    tag: Option<Tag>,
    /// The gateway or group that it names.
    choice: Option<Choice>,
    /// The rule's place in the directory.
    place: usize,
}

impl Deed {
    pub(super) fn new(draft: &Draft, infos: &[RuleInfo]) -> Deed {
        let place = infos.binary_search_by_key(&draft.id, |info| info.id);
        Deed {
            place: place.unwrap_or(usize::MAX),
            verdicts: [Direction::In, Direction::Out].map(|direction| draft.verdict(direction)),
            quick: draft.quick,
            log: draft.log,
            tag: draft.tag,
            choice: draft.way.as_ref().map(|(choice, _)| *choice),
        }
    }
}

/// A verdict, and the tag that the packet has got on the way to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Decision {
    /// What becomes of the packet.
    pub verdict: Verdict,
    /// What the rules on the other side get to see.
    pub tag: Tag,
}

/// A rule as people see it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RuleInfo {
    /// Its stable number.
    pub id: RuleId,
    /// What it is for.
    pub description: String,
    /// The setting that owns it; `None` for a rule of the document's own.
    pub automatic: Option<Setting>,
    /// In pf's words, a line for each part; an automatic rule's as it is on its first interface.
    pub text: String,
    /// Which way packets cross the interface.
    pub direction: RuleDirection,
    /// Where it is in force, in its hours; empty for a disabled rule.
    pub interfaces: Vec<InterfaceId>,
    /// The schedule in whose hours it is in force.
    pub schedule: Option<String>,
    /// The time in which it is in force, in words, when there is one.
    pub term: Option<String>,
    /// It is out of its hours.
    pub asleep: bool,
    /// How many flows it may have.
    pub limits: Limits,
    /// What it says of them besides.
    pub terms: Terms,
    /// What it would give a match when that is to pass.
    pub(super) pass: Option<Pass>,
}

impl Ruleset {
    /// The same rules, in the same hours, when names and files stand for something else. Only tables that hold
    /// something else are read again, and of the classifier only what looks at addresses is made again.
    pub fn renewed(&self, config: &Config, before: &Conditions, now: &Conditions) -> Ruleset {
        self.with_tables(&self.tables.renewed(config, before, now))
    }

    fn with_tables(&self, tables: &Tables) -> Ruleset {
        let Ruleset { classifier, deeds, infos, tables: _, awake, keeps } = self;
        Ruleset {
            classifier: classifier.with_tables(tables),
            deeds: Arc::clone(deeds),
            infos: Arc::clone(infos),
            tables: tables.clone(),
            awake: awake.as_ref().map(|awake| Arc::new(awake.with_tables(tables))),
            keeps: *keeps,
        }
    }

    /// Decides, with every gateway in use. Everything that comes in is first held against [`martian`]. Then as in pf: of the rules that match, the
    /// first quick one decides, and without one the last; on the way each may tag and log.
    pub fn decide(&self, query: &Query) -> Decision {
        self.decide_among(query, &[], |_| {})
    }

    /// Decides, and shows the place of each rule that matched on the way; see [`Ruleset::place`]. Rules whose way out
    /// is `idle`, by its [`Choice`], are left out.
    pub fn decide_among(&self, query: &Query, idle: &[bool], mut seen: impl FnMut(usize)) -> Decision {
        let (way, drop) = match query.direction {
            Direction::In => (0, Drop::BlockedIn),
            Direction::Out => (1, Drop::BlockedOut),
        };
        if let (Direction::In, Some(drop)) = (query.direction, martian(&query.key)) {
            let verdict = Verdict::Block { rule: id::MARTIANS, drop, log: false, reject: false };
            return Decision { verdict, tag: query.tag };
        }
        // Every interface has rules that block; one that does not exist has none.
        let mut verdict = Verdict::Block { rule: id::DEFAULT_DENY_INET, drop, log: true, reject: false };
        let (mut tag, mut noted) = (query.tag, false);
        self.classifier.walk(query, &mut tag, |line, tag| {
            let deed = &self.deeds[line];
            if deed.choice.is_some_and(|choice| idle.get(choice.place()) == Some(&true)) {
                return true;
            }
            seen(deed.place);
            *tag = deed.tag.unwrap_or(*tag);
            match deed.verdicts[way] {
                Some(decided) => verdict = decided,
                None => noted |= deed.log,
            }
            !deed.quick
        });
        if noted {
            verdict = match verdict {
                Verdict::Pass(pass) => Verdict::Pass(pass.logged(true)),
                Verdict::Block { rule, drop, log: _, reject } => {
                    Verdict::Block { rule, drop, log: true, reject }
                }
            };
        }
        Decision { verdict, tag }
    }

    /// Decides about a flow that exists, which `rule` once let through.
    pub fn decide_again(&self, query: &Query, rule: RuleId, idle: &[bool]) -> Decision {
        match &self.awake {
            Some(awake) if self.keeps && self.rule(rule).is_some_and(|info| info.asleep) => {
                awake.decide_among(query, idle, |_| {})
            }
            Some(_) | None => self.decide_among(query, idle, |_| {}),
        }
    }

    /// The rules as they would be if all were in their hours; `None` when they are.
    pub fn awake(&self) -> Option<&Ruleset> {
        self.awake.as_deref()
    }

    /// The verdict alone.
    pub fn evaluate(&self, query: &Query) -> Verdict {
        self.decide(query).verdict
    }

    /// A rule as people see it.
    pub fn rule(&self, id: RuleId) -> Option<&RuleInfo> {
        self.infos.get(self.place(id)?)
    }

    /// The place of a rule among all of them.
    pub fn place(&self, id: RuleId) -> Option<usize> {
        self.infos.binary_search_by_key(&id, |info| info.id).ok()
    }

    /// All rules, automatic ones included, by id.
    pub fn rules(&self) -> impl Iterator<Item = &RuleInfo> {
        self.infos.iter()
    }

    /// The rules in force in the order in which they are asked, each once, and whether a match decides at once.
    pub fn in_order(&self) -> impl Iterator<Item = (&RuleInfo, bool)> {
        let mut seen = vec![false; self.infos.len()];
        self.deeds.iter().filter_map(move |deed| {
            let info = self.infos.get(deed.place)?;
            let before = std::mem::replace(seen.get_mut(deed.place)?, true);
            (!before).then_some((info, deed.quick))
        })
    }

    /// The pass of a rule for a flow that it once let through; `None` when the rule is gone, disabled, or
    /// blocks now.
    pub fn recall(&self, id: RuleId, direction: Direction) -> Option<Pass> {
        let info = self.rule(id).filter(|info| !info.interfaces.is_empty() && !info.asleep)?;
        let this_way = match info.direction {
            RuleDirection::In => direction == Direction::In,
            RuleDirection::Out => direction == Direction::Out,
            RuleDirection::Any => true,
        };
        info.pass.filter(|_| this_way)
    }
}
