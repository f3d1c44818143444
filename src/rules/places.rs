//! What the words of a rule stand for on a node: endpoints, ports, interfaces, tags.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::automatic::own_addresses;
use super::criteria::{BOTH, Tag, bit, only};
use super::draft::Term;
use super::set::{Members, PortSet, PortTable, Set};
use super::spans::Spans;
use super::table::{Table, Tables};
use super::verdict::Choice;
use crate::config::model::{
    AddressRange, Config, Endpoint, Place, Ports, Rule, RuleFamily, StatePolicy, Target, Timeouts,
};
use crate::config::{Aliases, Conditions, NodeIndex, Valid};
use crate::types::{Family, PortRange, Prefix, RuleId};

/// The words of a document, looked up for one node. Each alias is read once.
pub struct Places<'a> {
    config: &'a Valid<Config>,
    node: NodeIndex,
    conditions: &'a Conditions,
    aliases: Aliases<'a>,
    tables: RefCell<HashMap<String, Arc<Table>>>,
    port_tables: RefCell<HashMap<String, Arc<PortTable>>>,
    tags: Vec<&'a str>,
    overloads: Vec<&'a str>,
}

impl<'a> Places<'a> {
    /// Those of `config` on `node`.
    pub fn new(config: &'a Valid<Config>, node: NodeIndex, conditions: &'a Conditions) -> Self {
        let tags = config.rules.iter().flat_map(|rule| [&rule.tag, &rule.tagged]).flatten();
        let tags: BTreeSet<&str> = tags.map(String::as_str).collect();
        Places {
            config,
            node,
            conditions,
            aliases: Aliases::under(config, conditions),
            tables: RefCell::default(),
            port_tables: RefCell::default(),
            tags: tags.into_iter().collect(),
            overloads: overload_tables(config),
        }
    }

    /// The addresses of an endpoint.
    pub fn set(&self, endpoint: &Endpoint) -> Set {
        let (config, node) = (self.config, self.node);
        let members = match &endpoint.place {
            Place::Any => Members::Everything,
            Place::Prefix(prefix) => Members::Networks(vec![prefix.trunc()]),
            Place::Range(range) => Members::Range(*range),
            Place::Alias(name) => Members::Alias(self.table(name)),
            Place::Net(name) => {
                let addresses = config.interface_id(name).map_or(&[][..], |id| config.addresses(node, id));
                Members::Networks(addresses.iter().map(Prefix::trunc).collect())
            }
            Place::Address(name) => Members::Networks(
                config.interface_id(name).map_or(Vec::new(), |id| own_addresses(config, node, id)),
            ),
            Place::ThisFirewall => Members::Networks(
                config.interface_ids().flat_map(|id| own_addresses(config, node, id)).collect(),
            ),
        };
        Set { not: endpoint.not, members }
    }

    /// The addresses of a target.
    pub fn target(&self, target: &Target) -> Set {
        let members = match target {
            Target::Prefix(prefix) => Members::Networks(vec![*prefix]),
            Target::Range(range) => Members::Range(*range),
            Target::Alias(name) => Members::Alias(self.table(name)),
        };
        Set { not: false, members }
    }

    /// The same, one after the other as they are written.
    pub fn target_ranges(&self, target: &Target) -> Vec<AddressRange> {
        match target {
            Target::Prefix(prefix) => vec![AddressRange::from(*prefix)],
            Target::Range(range) => vec![*range],
            Target::Alias(name) => {
                // It is among those that were read.
                self.table(name);
                self.aliases.addresses(name)
            }
        }
    }

    /// The tables that were read so far.
    pub fn tables(&self) -> Tables {
        Tables::new(self.tables.borrow().values().cloned())
    }

    fn table(&self, name: &str) -> Arc<Table> {
        let mut tables = self.tables.borrow_mut();
        let table = tables.entry(name.into());
        Arc::clone(table.or_insert_with(|| Arc::new(Table::read(&self.aliases, name))))
    }

    /// The ports of a rule.
    pub fn ports(&self, ports: Option<&Ports>) -> PortSet {
        match ports {
            None => PortSet::ANY,
            Some(Ports::Range(range)) => PortSet::Range(*range),
            Some(Ports::Alias(name)) => {
                let mut tables = self.port_tables.borrow_mut();
                let table = tables.entry(name.clone()).or_insert_with(|| {
                    let ports = self.aliases.ports(name).into_iter();
                    let ports = Spans::of(ports.map(|range: PortRange| (range.first(), range.last())));
                    Arc::new(PortTable { name: name.clone(), ports })
                });
                PortSet::Alias(Arc::clone(table))
            }
        }
    }

    /// The bits of interfaces and interface groups; of all interfaces when none is named.
    pub fn interfaces<'n>(&self, names: impl Iterator<Item = &'n str>) -> u128 {
        let mut none = true;
        let mut bits = 0;
        for name in names {
            none = false;
            let group = self.config.interface_groups.iter().find(|group| group.name == name);
            let members = group.map_or(&[][..], |group| &group.members);
            let ids = members.iter().map(String::as_str).chain([name]);
            bits |= ids.filter_map(|name| self.config.interface_id(name)).fold(0, |bits, id| bits | bit(id));
        }
        if none { self.all() } else { bits }
    }

    /// The bits of all interfaces.
    pub fn all(&self) -> u128 {
        self.config.interface_ids().fold(0, |bits, id| bits | bit(id))
    }

    /// Whether flows are bound to their interfaces, where a rule does not say.
    pub fn state_policy(&self) -> StatePolicy {
        self.config.system.state_policy
    }

    /// pf's timers, where a rule does not say.
    pub(super) fn timers(&self) -> Timeouts {
        self.config.system.timers()
    }

    /// The place of an overload table among all of them.
    pub(super) fn overload_table(&self, name: &str) -> Option<u8> {
        self.overloads.binary_search(&name).ok().map(|place| place as u8)
    }

    /// The gateway or gateway group of this name.
    pub fn choice(&self, name: &str) -> Option<Choice> {
        let gateways = self.config.gateways.iter().map(|gateway| &gateway.name);
        let mut names = gateways.chain(self.config.gateway_groups.iter().map(|group| &group.name));
        names.position(|other| other == name).map(|place| Choice::at(place as u16))
    }

    /// A tag by its name.
    pub fn tag(&self, name: &str) -> Tag {
        Tag(self.tags.binary_search(&name).map_or(0, |index| index as u16 + 1))
    }

    /// Is a rule with this schedule in its hours?
    pub(super) fn is_on(&self, schedule: Option<&str>) -> bool {
        self.conditions.is_on(schedule)
    }

    /// In which of its times a rule is.
    pub(super) fn term(&self, rule: &Rule) -> Term {
        match (
            rule.expires.is_some() || rule.paused_until.is_some(),
            self.conditions.resting.contains(&rule.id),
        ) {
            (false, _) => Term::Always,
            (true, false) => Term::Now,
            (true, true) => Term::NotNow,
        }
    }

    /// The port forward of this id.
    pub(super) fn forward(&self, id: RuleId) -> Option<&'a crate::config::model::PortForward> {
        self.config.port_forwards.iter().find(|forward| forward.id == id)
    }
}

/// The overload tables that rules name, in order.
pub fn overload_tables(config: &Config) -> Vec<&str> {
    let names: BTreeSet<&str> = config.rules.iter().filter_map(|rule| rule.overload.as_deref()).collect();
    names.into_iter().collect()
}

/// The families of a rule. One that names an address is about that address's family, also when it says "everything but".
pub fn families(family: RuleFamily, sets: [&Set; 2]) -> &'static [Family] {
    match family {
        RuleFamily::Inet => only(Family::Inet),
        RuleFamily::Inet6 => only(Family::Inet6),
        RuleFamily::Inet46 => sets.into_iter().find_map(Set::family).map_or(BOTH, only),
    }
}
