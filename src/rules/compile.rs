//! From the document to compiled lines, in pf's order.

use std::sync::Arc;

use super::automatic::{self, ABOUT, Setting};
use super::classifier::Classifier;
use super::criteria::Criteria;
use super::draft::{Draft, Hours, Outcome, Term, ways};
use super::places::{Places, families, overload_tables};
use super::ruleset::{Deed, RuleInfo, Ruleset};
use super::set::PortSet;
use super::verdict::{Limits, Pass, Terms, Verdict};
use crate::config::model::{
    Action, Association, Config, PortForward, Ports, Rule, RuleDirection, StateTimeouts,
};
use crate::config::{Conditions, NodeIndex, Valid};
use crate::types::{Direction, PortRange, RuleId};
use crate::wire::Drop;

/// Compiles the rules that are in force on a node.
pub fn compile(config: &Valid<Config>, node: NodeIndex, conditions: &Conditions) -> Ruleset {
    let places = Places::new(config, node, conditions);
    let all = drafts(config, node, &places);
    let awake = of_drafts(config, &places, &all, &[]);
    if !all.iter().any(Draft::is_asleep) {
        return awake;
    }
    let (asleep, in_force): (Vec<Draft>, Vec<Draft>) = all.into_iter().partition(Draft::is_asleep);
    let ruleset = of_drafts(config, &places, &in_force, &asleep);
    Ruleset { awake: Some(Arc::new(awake)), keeps: config.system.schedules_keep_states, ..ruleset }
}

fn of_drafts(config: &Valid<Config>, places: &Places<'_>, drafts: &[Draft], asleep: &[Draft]) -> Ruleset {
    let mut directory = Directory::new(config, places);
    for draft in drafts.iter().chain(asleep) {
        directory.note(config, draft);
    }
    Ruleset {
        classifier: Classifier::new(drafts.iter().map(|draft| &draft.criteria)),
        deeds: drafts.iter().map(|draft| Deed::new(draft, &directory.infos)).collect(),
        infos: directory.infos.into(),
        tables: places.tables(),
        awake: None,
        keeps: false,
    }
}

/// All rules in force: automatic ones, floating ones, those of groups, those of interfaces.
pub(super) fn drafts(config: &Valid<Config>, node: NodeIndex, places: &Places<'_>) -> Vec<Draft> {
    let mut drafts = automatic::default_deny(places.all(), config.system.logging.default_block);
    drafts.extend(config.interface_ids().flat_map(|on| automatic::before(config, node, on)));
    drafts.extend(automatic::out(places.all(), config.system.logging.default_pass));
    drafts.extend(config.interface_ids().filter_map(|on| automatic::anti_lockout(config, node, on)));
    drafts.extend(config.port_forwards.iter().filter_map(|forward| pass_of_forward(places, forward)));
    let own = |tab: Tab| {
        let in_force = config.rules.iter().filter(|rule| !rule.disabled);
        in_force.filter(move |rule| Tab::of(config, rule) == tab).filter_map(|rule| draft(places, rule))
    };
    // What the document says of all states holds for those of automatic rules as well.
    drafts.iter_mut().for_each(|draft| draft.state.1 = config.system.state_policy);
    drafts.extend(own(Tab::Floating).chain(own(Tab::Group)).chain(own(Tab::Interface)));
    drafts.iter_mut().for_each(|draft| draft.reply_to &= !config.system.disable_reply_to);
    drafts
}

/// The tab that a rule stands on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tab {
    Floating,
    Group,
    Interface,
}

impl Tab {
    fn of(config: &Config, rule: &Rule) -> Tab {
        let is_group = |name: &str| config.interface_groups.iter().any(|group| group.name == name);
        match rule.floating {
            true => Tab::Floating,
            false if rule.interface.names().any(is_group) => Tab::Group,
            false => Tab::Interface,
        }
    }
}

/// A person's own rule; `None` when the port forward that it follows is not in force.
fn draft(places: &Places<'_>, rule: &Rule) -> Option<Draft> {
    let outcome = match rule.action {
        Action::Pass => Outcome::Pass,
        Action::Block => Outcome::Block(Drop::BlockedIn),
        Action::Reject => Outcome::Reject,
        Action::Match => Outcome::Match,
    };
    let criteria = match rule.port_forward {
        Some(id) => of_forward(places, places.forward(id).filter(|forward| !forward.disabled)?)?,
        None => own_criteria(places, rule),
    };
    let criteria = Criteria {
        dscp: rule.dscp,
        tagged: rule.tagged.as_ref().map(|tag| (places.tag(tag), rule.not_tagged)),
        ..criteria
    };
    Some(Draft {
        quick: rule.quick || !rule.floating,
        log: rule.log,
        tag: rule.tag.as_ref().map(|tag| places.tag(tag)),
        allow_options: rule.allow_options,
        state: (rule.state_type, rule.state_policy.unwrap_or(places.state_policy())),
        limits: Limits {
            max_states: rule.max_states,
            max_src_nodes: rule.max_src_nodes,
            max_src_states: rule.max_src_states,
            max_src_conn: rule.max_src_conn,
            max_src_conn_rate: rule.max_src_conn_rate,
            overload: rule.overload.as_deref().and_then(|name| places.overload_table(name)),
            flush: rule.overload_flush,
        },
        terms: Terms {
            timers: (rule.timeouts != StateTimeouts::default()).then(|| rule.timeouts.over(&places.timers())),
            max_mss: rule.max_mss,
        },
        schedule: rule
            .schedule
            .as_ref()
            .map(|name| Hours { name: name.clone(), on: places.is_on(Some(name)) }),
        term: places.term(rule),
        way: rule.gateway.as_ref().and_then(|name| Some((places.choice(name)?, name.clone()))),
        reply_to: !rule.disable_reply_to,
        ..Draft::new(rule.id, outcome, criteria)
    })
}

fn own_criteria(places: &Places<'_>, rule: &Rule) -> Criteria {
    let (source, destination) = (places.set(&rule.source), places.set(&rule.destination));
    let families = families(rule.family, [&source, &destination]);
    Criteria {
        protocol: rule.protocol,
        icmp: rule.icmp_types.clone(),
        source,
        source_port: places.ports(rule.source_port.as_ref()),
        destination,
        destination_port: places.ports(rule.destination_port.as_ref()),
        tcp_flags: rule.tcp_flags,
        ..Criteria::new(places.interfaces(rule.interface.names()), ways(rule.direction), families)
    }
}

/// What a rule looks at that follows a port forward: the flows behind the translation.
fn of_forward(places: &Places<'_>, forward: &PortForward) -> Option<Criteria> {
    let (source, destination) = (places.set(&forward.source), places.target(forward.target.as_ref()?));
    let families = families(forward.family, [&source, &destination]);
    let destination_port = match (&forward.destination_port, forward.local_port) {
        (Some(Ports::Range(range)), Some(local)) => {
            let last = local.saturating_add(range.last() - range.first());
            PortSet::Range(PortRange::new(local, last).unwrap_or(*range))
        }
        (ports, _) => places.ports(ports.as_ref()),
    };
    Some(Criteria {
        protocol: forward.protocol,
        source,
        source_port: places.ports(forward.source_port.as_ref()),
        destination,
        destination_port,
        ..Criteria::new(
            places.interfaces([forward.interface.as_str()].into_iter()),
            ways(RuleDirection::In),
            families,
        )
    })
}

/// The automatic rule of a forward that lets its flows in itself, wherever they come from.
fn pass_of_forward(places: &Places<'_>, forward: &PortForward) -> Option<Draft> {
    let passes = forward.association == Association::Pass && !forward.disabled && !forward.no_redirect;
    passes.then(|| {
        let families = super::criteria::BOTH;
        let all = Criteria::new(places.all(), ways(RuleDirection::In), families);
        Draft::new(forward.id, Outcome::Pass, Criteria { forward: Some(forward.id), ..all })
    })
}

/// What people are told about the rules, gathered while compiling.
struct Directory {
    /// Sorted by id.
    infos: Vec<RuleInfo>,
}

impl Directory {
    /// All rules that can be, not yet in force anywhere.
    fn new(config: &Valid<Config>, places: &Places<'_>) -> Directory {
        let mut infos: Vec<RuleInfo> = ABOUT
            .iter()
            .map(|about| {
                let direction = match about.direction {
                    Direction::In => RuleDirection::In,
                    Direction::Out => RuleDirection::Out,
                };
                RuleInfo { automatic: Some(about.setting), ..info(about.id, about.description, direction) }
            })
            .collect();
        infos.extend(config.rules.iter().map(|rule| RuleInfo {
            text: draft(places, rule).map_or(String::new(), |draft| draft.text()),
            schedule: rule.schedule.clone(),
            term: term_words(rule, places.term(rule)),
            asleep: places.term(rule) == Term::NotNow || !places.is_on(rule.schedule.as_deref()),
            ..info(rule.id, &rule.description, rule.direction)
        }));
        let passing = config.port_forwards.iter().filter(|forward| forward.association == Association::Pass);
        infos.extend(passing.map(|forward| RuleInfo {
            automatic: Some(Setting::PortForward),
            ..info(forward.id, &forward.description, RuleDirection::In)
        }));
        infos.sort_by_key(|info| info.id);
        let mut directory = Directory { infos };
        if let Some(martians) = directory.find(automatic::id::MARTIANS) {
            martians.text = "block in quick from { martians } to { martians }".into();
            martians.interfaces = config.interface_ids().collect();
        }
        if let Some(overload) = directory.find(automatic::id::OVERLOAD) {
            let tables: Vec<String> = overload_tables(config)
                .iter()
                .map(|name| format!("block in log quick from <{name}>"))
                .collect();
            overload.text = tables.join("\n");
            overload.interfaces =
                if tables.is_empty() { Vec::new() } else { config.interface_ids().collect() };
        }
        directory
    }

    fn find(&mut self, id: RuleId) -> Option<&mut RuleInfo> {
        let index = self.infos.binary_search_by_key(&id, |info| info.id).ok()?;
        self.infos.get_mut(index)
    }

    /// This draft is in force.
    fn note(&mut self, config: &Valid<Config>, draft: &Draft) {
        let Some(info) = self.find(draft.id) else { return };
        let mut here =
            config.interface_ids().filter(|on| draft.criteria.interfaces >> on.0 & 1 == 1).peekable();
        // An automatic rule may be several lines, and others on other interfaces: the first one's are told.
        let first = info.interfaces.first().or(here.peek()).copied();
        let is_first = here.peek().is_some_and(|on| Some(*on) == first);
        if info.automatic.is_some() && is_first && info.direction == draft.direction() {
            let separator = if info.text.is_empty() { "" } else { "\n" };
            info.text += separator;
            info.text += &draft.text();
        }
        for on in here {
            if !info.interfaces.contains(&on) {
                info.interfaces.push(on);
            }
        }
        info.pass = pass_of(draft);
        info.limits = draft.limits;
        info.terms = draft.terms;
    }
}

/// The time of a rule, as people read it.
fn term_words(rule: &Rule, term: Term) -> Option<String> {
    let expires = rule.expires.map(|end| match (term, rule.paused_until) {
        (Term::NotNow, None) => format!("expired {end}"),
        (Term::Always | Term::Now | Term::NotNow, _) => format!("expires {end}"),
    });
    let pauses =
        rule.paused_until.filter(|_| term == Term::NotNow).map(|begin| format!("pauses until {begin}"));
    let words: Vec<String> = pauses.into_iter().chain(expires).collect();
    (!words.is_empty()).then(|| words.join(", "))
}

fn info(id: RuleId, description: &str, direction: RuleDirection) -> RuleInfo {
    RuleInfo {
        id,
        description: description.into(),
        automatic: None,
        text: String::new(),
        direction,
        interfaces: Vec::new(),
        schedule: None,
        term: None,
        asleep: false,
        limits: Limits::default(),
        terms: Terms::default(),
        pass: None,
    }
}

fn pass_of(draft: &Draft) -> Option<Pass> {
    match draft.verdict(Direction::In) {
        Some(Verdict::Pass(pass)) => Some(pass),
        Some(Verdict::Block { .. }) | None => None,
    }
}
