//! From the document to lists of compiled lines.

use super::automatic::{self, ABOUT};
use super::draft::{BOTH, Draft, Outcome, Set};
use super::line::List;
use super::ruleset::{Filter, RuleInfo, Ruleset};
use super::verdict::{Pass, Verdict};
use crate::config::model::{Action, Config, Endpoint, Place, Rule, RuleFamily};
use crate::config::{NodeIndex, Valid};
use crate::types::{Direction, Family, InterfaceId, PortRange, Prefix, RuleId};
use crate::wire::Drop;

/// Compiles the rules that are in force on a node.
pub fn compile(config: &Valid<Config>, node: NodeIndex) -> Ruleset {
    let mut directory = Directory::new(config, node);
    let filters = config
        .interface_ids()
        .map(|on| {
            let inward = inward(config, node, on);
            let outward: Vec<Draft> =
                automatic::out().into_iter().chain(automatic::default_deny(Direction::Out)).collect();
            directory.note(on, Direction::In, &inward);
            directory.note(on, Direction::Out, &outward);
            [&inward, &outward].map(|drafts| Filter { inet: List::new(drafts), inet6: List::new(drafts) })
        })
        .collect();
    Ruleset { filters, infos: directory.infos.into_boxed_slice() }
}

/// The way into an interface: automatic rules, the interface's own, default deny.
fn inward(config: &Valid<Config>, node: NodeIndex, on: InterfaceId) -> Vec<Draft> {
    let name = config.interface_name(on);
    let own = config.rules.iter().filter(|rule| rule.interface == name && !rule.disabled);
    let mut drafts = automatic::before(config, node, on);
    drafts.extend(own.map(|rule| draft(config, node, rule)));
    drafts.extend(automatic::default_deny(Direction::In));
    drafts
}

fn draft(config: &Valid<Config>, node: NodeIndex, rule: &Rule) -> Draft {
    let outcome = match rule.action {
        Action::Pass => Outcome::Pass,
        Action::Block => Outcome::Block(Drop::BlockedIn),
    };
    Draft {
        log: rule.log,
        protocol: rule.protocol,
        source: set(config, node, &rule.source),
        source_port: rule.source_port.unwrap_or(PortRange::ANY),
        destination: set(config, node, &rule.destination),
        destination_port: rule.destination_port.unwrap_or(PortRange::ANY),
        ..Draft::new(rule.id, outcome, families(rule))
    }
}

/// A rule that names an address is about that address's family, also when it says "everything but".
fn families(rule: &Rule) -> &'static [Family] {
    match rule.family {
        RuleFamily::Inet => automatic::only(Family::Inet),
        RuleFamily::Inet6 => automatic::only(Family::Inet6),
        RuleFamily::Inet46 => match (&rule.source.place, &rule.destination.place) {
            (Place::Prefix(prefix), _) | (_, Place::Prefix(prefix)) => match prefix {
                Prefix::V4(_) => automatic::only(Family::Inet),
                Prefix::V6(_) => automatic::only(Family::Inet6),
            },
            _ => BOTH,
        },
    }
}

fn set(config: &Valid<Config>, node: NodeIndex, endpoint: &Endpoint) -> Set {
    let interface = |name: &str| config.interface_id(name);
    let networks = match &endpoint.place {
        Place::Any => None,
        Place::Prefix(prefix) => Some(vec![prefix.trunc()]),
        Place::Net(name) => {
            let addresses = interface(name).map_or(&[][..], |id| config.addresses(node, id));
            Some(addresses.iter().map(Prefix::trunc).collect())
        }
        Place::Address(name) => {
            Some(interface(name).map_or(Vec::new(), |id| automatic::own_addresses(config, node, id)))
        }
        Place::ThisFirewall => {
            Some(config.interface_ids().flat_map(|id| automatic::own_addresses(config, node, id)).collect())
        }
    };
    Set { not: endpoint.not, networks }
}

/// What people are told about the rules, gathered while compiling.
struct Directory {
    /// Sorted by id.
    infos: Vec<RuleInfo>,
}

impl Directory {
    /// All rules that can be, not yet in force anywhere.
    fn new(config: &Valid<Config>, node: NodeIndex) -> Directory {
        let mut infos: Vec<RuleInfo> = ABOUT
            .iter()
            .map(|about| RuleInfo {
                automatic: Some(about.setting),
                ..info(about.id, about.description, about.direction)
            })
            .collect();
        infos.extend(config.rules.iter().map(|rule| RuleInfo {
            text: draft(config, node, rule).text(Direction::In),
            ..info(rule.id, &rule.description, Direction::In)
        }));
        infos.sort_by_key(|info| info.id);
        let mut directory = Directory { infos };
        if let Some(martians) = directory.find(automatic::id::MARTIANS) {
            martians.text = "block in quick from { martians } to { martians }".into();
            martians.interfaces = config.interface_ids().collect();
        }
        directory
    }

    fn find(&mut self, id: RuleId) -> Option<&mut RuleInfo> {
        let index = self.infos.binary_search_by_key(&id, |info| info.id).ok()?;
        self.infos.get_mut(index)
    }

    /// These drafts are in force on an interface.
    fn note(&mut self, on: InterfaceId, direction: Direction, drafts: &[Draft]) {
        for draft in drafts {
            let Some(info) = self.find(draft.id) else { continue };
            if info.interfaces.last() != Some(&on) {
                info.interfaces.push(on);
            }
            // An automatic rule may be several lines, and others on other interfaces: the first one's are told.
            if info.automatic.is_some() && info.interfaces.len() == 1 && info.direction == direction {
                let separator = if info.text.is_empty() { "" } else { "\n" };
                info.text += separator;
                info.text += &draft.text(direction);
            }
            info.pass = pass_of(draft);
        }
    }
}

fn info(id: RuleId, description: &str, direction: Direction) -> RuleInfo {
    RuleInfo {
        id,
        description: description.into(),
        automatic: None,
        text: String::new(),
        direction,
        interfaces: Vec::new(),
        pass: None,
    }
}

fn pass_of(draft: &Draft) -> Option<Pass> {
    match draft.verdict() {
        Verdict::Pass(pass) => Some(pass),
        Verdict::Block { .. } => None,
    }
}
