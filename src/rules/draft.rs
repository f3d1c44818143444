//! A rule on its way to being compiled: what it looks at, what it does, and words for people.

use super::criteria::{Criteria, EITHER_WAY, Tag};
use super::verdict::{Choice, Limits, Pass, Terms, Verdict};
use crate::config::model::{Protocol, RuleDirection, StatePolicy, StateType};
use crate::types::{Direction, Family, RuleId};
use crate::wire::{Drop, tcp_flags};

/// One rule.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub id: RuleId,
    pub outcome: Outcome,
    /// The first match decides, not the last.
    pub quick: bool,
    pub log: bool,
    /// What a match carries from here on.
    pub tag: Option<Tag>,
    /// Packets may have IP options.
    pub allow_options: bool,
    /// How flows are tracked.
    pub state: (StateType, StatePolicy),
    /// How many.
    pub limits: Limits,
    /// What else it says of them.
    pub terms: Terms,
    /// In whose hours it is in force, and whether these are now.
    pub schedule: Option<Hours>,
    /// Whether it is in force for a time only, and that is now.
    pub term: Term,
    /// The gateway or group by which they leave.
    pub way: Option<(Choice, String)>,
    /// Answers go back by the gateway of the WAN by which they came in.
    pub reply_to: bool,
    pub criteria: Criteria,
}

/// The schedule of a rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Hours {
    pub name: String,
    pub on: bool,
}

/// When a rule is in force, its schedule apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Term {
    /// Always.
    #[default]
    Always,
    /// For a time, and that is now.
    Now,
    /// For a time, and that is not now.
    NotNow,
}

/// What happens to a match.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    Pass,
    /// Dropped without a word.
    Block(Drop),
    /// Dropped, and the sender is told.
    Reject,
    /// Nothing yet.
    Match,
}

impl Draft {
    /// A rule whose first match decides.
    pub(super) fn new(id: RuleId, outcome: Outcome, criteria: Criteria) -> Draft {
        let state = (StateType::Keep, StatePolicy::IfBound);
        Draft {
            id,
            outcome,
            quick: true,
            log: false,
            tag: None,
            allow_options: false,
            state,
            limits: Limits::default(),
            terms: Terms::default(),
            schedule: None,
            term: Term::Always,
            way: None,
            reply_to: true,
            criteria,
        }
    }

    /// Its hours are over, or have not come yet.
    pub(super) fn is_asleep(&self) -> bool {
        self.term == Term::NotNow || self.schedule.as_ref().is_some_and(|hours| !hours.on)
    }

    /// The answer to a match that crosses this way; `None` when the rule does not decide.
    pub(super) fn verdict(&self, direction: Direction) -> Option<Verdict> {
        let Draft { id: rule, outcome, log, .. } = *self;
        let blocked = match direction {
            Direction::In => Drop::BlockedIn,
            Direction::Out => Drop::BlockedOut,
        };
        match outcome {
            Outcome::Pass => {
                let (state, policy) = self.state;
                let pass = Pass::new(rule).logged(log).with_options(self.allow_options);
                let pass = pass.tracked(state, policy).limited(!self.limits.is_none());
                let choice = self.way.as_ref().map(|(choice, _)| *choice);
                let pass = pass.timed(self.terms.timers.is_some());
                let mut pass = pass.by(choice).without_reply_to(!self.reply_to);
                if self.begins_anywhere() {
                    pass = pass.picked_up_anywhere();
                }
                Some(Verdict::Pass(pass))
            }
            Outcome::Block(Drop::BlockedIn) => {
                Some(Verdict::Block { rule, drop: blocked, log, reject: false })
            }
            Outcome::Block(drop) => Some(Verdict::Block { rule, drop, log, reject: false }),
            Outcome::Reject => Some(Verdict::Block { rule, drop: blocked, log, reject: true }),
            Outcome::Match => None,
        }
    }

    /// pf makes a state of a SYN alone, unless the rule says which flags it wants.
    fn begins_anywhere(&self) -> bool {
        self.criteria.tcp_flags.is_some_and(|flags| {
            let first = tcp_flags::SYN | tcp_flags::ACK;
            flags.out_of & first != first || flags.set & first != tcp_flags::SYN
        })
    }

    /// The way that it looks at, as a rule would say it.
    pub(super) fn direction(&self) -> RuleDirection {
        match self.criteria.directions {
            [Direction::In] => RuleDirection::In,
            [Direction::Out] => RuleDirection::Out,
            _ => RuleDirection::Any,
        }
    }

    /// The rule in pf's words.
    pub(super) fn text(&self) -> String {
        let mut text = String::from(match self.outcome {
            Outcome::Pass => "pass",
            Outcome::Block(_) => "block",
            Outcome::Reject => "block return",
            Outcome::Match => "match",
        });
        text += match self.direction() {
            RuleDirection::In => " in",
            RuleDirection::Out => " out",
            RuleDirection::Any => "",
        };
        text += if self.log { " log" } else { "" };
        text += if self.quick { " quick" } else { "" };
        text += &self.way.as_ref().map_or(String::new(), |(_, name)| format!(" route-to {name}"));
        let Criteria { families, protocol, source, source_port, destination, destination_port, .. } =
            &self.criteria;
        match families {
            [Family::Inet] => text += " inet",
            [Family::Inet6] => text += " inet6",
            _ => {}
        }
        if *protocol != Protocol::Any {
            text += &format!(" proto {}", String::from(*protocol));
        }
        text += &format!(" from {source}{source_port} to {destination}{destination_port}");
        text + &self.headers()
    }

    /// What it says about headers, and what it does besides.
    fn headers(&self) -> String {
        let Criteria { icmp, tcp_flags, dscp, scope, .. } = &self.criteria;
        let mut text = String::new();
        let kinds: Vec<String> = icmp.iter().map(|kind| String::from(*kind)).collect();
        match kinds.as_slice() {
            [] => {}
            [one] => text += &format!(" icmp-type {one}"),
            several => text += &format!(" icmp-type {{ {} }}", several.join(" ")),
        }
        if let Some(flags) = tcp_flags {
            text += &format!(" flags {}", String::from(*flags));
        }
        if let Some(dscp) = dscp {
            text += &format!(" dscp {}", String::from(*dscp));
        }
        if self.allow_options {
            text += " allow-opts";
        }
        text += match self.state.0 {
            StateType::Keep => "",
            StateType::Sloppy => " sloppy state",
            StateType::Synproxy => " synproxy state",
            StateType::None => " no state",
        };
        let Limits { max_states, max_src_nodes, max_src_states, max_src_conn, max_src_conn_rate, .. } =
            self.limits;
        for (word, most) in [
            ("max", max_states),
            ("max-src-nodes", max_src_nodes),
            ("max-src-states", max_src_states),
            ("max-src-conn", max_src_conn),
            ("max-mss", self.terms.max_mss.map(u32::from)),
        ] {
            text += &most.map_or(String::new(), |most| format!(" {word} {most}"));
        }
        if let Some(rate) = max_src_conn_rate {
            text += &format!(" max-src-conn-rate {}", String::from(rate));
        }
        text += match self.state.1 {
            StatePolicy::IfBound => "",
            StatePolicy::Floating => " (floating)",
        };
        text += scope.remark();
        text + &self.schedule.as_ref().map_or(String::new(), |hours| format!(" # schedule {}", hours.name))
    }
}

/// The direction of a rule as the ways it looks at.
pub(super) const fn ways(direction: RuleDirection) -> &'static [Direction] {
    match direction {
        RuleDirection::In => super::criteria::INWARD,
        RuleDirection::Out => super::criteria::OUTWARD,
        RuleDirection::Any => EITHER_WAY,
    }
}
