//! What the readers of all sections share: the document that comes of the file, and what is known so far.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use super::super::mapping::Options;
use super::super::report::{Group, Place, Writer};
use super::super::tree::{Element, Product, Tree};
use crate::config::Config;
use crate::config::defaults::{FIRST_RULE_ID, SCHEMA};
use crate::config::model::{AliasKind, Node, Outbound, System};
use crate::types::{Prefix, RuleId};

/// What an object of the document came from.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(in super::super) enum Key {
    /// An interface.
    Interface(String),
    /// An interface group.
    Group(String),
    /// A virtual IP, by interface and VHID.
    Vip(String, u8),
    /// An address that is not the only one of its interface.
    Address(String, IpAddr),
    /// A user.
    User(String),
    /// A schedule.
    Schedule(String),
    /// An alias.
    Alias(String),
    /// A gateway.
    Gateway(String),
    /// A gateway group.
    GatewayGroup(String),
    /// A route.
    Route(Prefix),
    /// A rule or a translation: their numbers are of one space.
    Numbered(RuleId),
}

/// Which element is which object.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Links(HashMap<u32, Key>);

impl Links {
    pub(super) fn set(&mut self, element: &Element, key: Key) {
        self.0.extend(element.at.map(|at| (at, key)));
    }

    /// The object that an element became.
    pub(in super::super) fn get(&self, element: &Element) -> Option<&Key> {
        self.0.get(&element.at?)
    }
}

/// What the report says of an object.
pub(super) struct Told {
    pub(super) group: Group,
    pub(super) what: &'static str,
    pub(super) how: String,
    pub(super) place: Place,
}

pub(super) struct Context<'t> {
    pub(super) tree: &'t Tree,
    pub(super) options: &'t Options,
    pub(super) report: Writer<'t>,
    pub(super) config: Config,
    pub(super) links: Links,
    /// What the report says of each object.
    pub(super) told: HashMap<Key, Told>,
    /// Interfaces and groups: their names there, and here.
    pub(super) names: HashMap<String, String>,
    /// Virtual IPs by the id that others name them with.
    pub(super) vips: HashMap<&'t str, &'t Element>,
    /// Aliases that are in force.
    pub(super) kinds: HashMap<String, AliasKind>,
    /// Aliases that could not be taken over whole.
    pub(super) partial: HashSet<String>,
    /// The numbers that rules of the file have already, by the place of the element.
    pub(super) trackers: HashMap<u32, RuleId>,
    /// Port forwards by the id that their rules name them with.
    pub(super) associated: HashMap<String, RuleId>,
    ids: Ids,
}

impl<'t> Context<'t> {
    pub(super) fn new(tree: &'t Tree, options: &'t Options) -> Context<'t> {
        let node = Node {
            name: options.node.clone(),
            public_key: None,
            loopback: None,
            ports: Vec::new(),
            interfaces: Vec::new(),
        };
        Context {
            tree,
            options,
            report: Writer::new(tree),
            config: Config {
                schema: SCHEMA,
                revision: 1,
                system: System::default(),
                pair: None,
                nodes: vec![node],
                interfaces: Vec::new(),
                virtual_ips: Vec::new(),
                gateways: Vec::new(),
                gateway_groups: Vec::new(),
                routes: Vec::new(),
                interface_groups: Vec::new(),
                aliases: Vec::new(),
                schedules: Vec::new(),
                rules: Vec::new(),
                port_forwards: Vec::new(),
                one_to_ones: Vec::new(),
                npts: Vec::new(),
                outbound: Outbound::default(),
                users: Vec::new(),
                certificates: Vec::new(),
            },
            links: Links::default(),
            told: HashMap::new(),
            names: HashMap::new(),
            vips: vips(tree),
            kinds: HashMap::new(),
            partial: HashSet::new(),
            trackers: HashMap::new(),
            associated: HashMap::new(),
            ids: Ids::default(),
        }
    }

    /// The elements of a list with their paths.
    pub(super) fn list(&self, path: &[&str], name: &'static str) -> Vec<(String, &'t Element)> {
        let Some(section) = self.tree.root.find(path) else { return Vec::new() };
        let elements = section.children.iter().filter(|child| child.is(name) && !child.is_empty());
        let path = path.join("/");
        elements.enumerate().map(|(index, element)| (format!("{path}/{name}[{index}]"), element)).collect()
    }

    /// As many of a list as Koi can have; the others are told.
    pub(super) fn list_up_to(
        &mut self,
        limit: usize,
        path: &[&str],
        name: &'static str,
        what: &'static str,
    ) -> Vec<(String, &'t Element)> {
        let mut list = self.list(path, name);
        for (path, element) in list.drain(limit.min(list.len())..).collect::<Vec<_>>() {
            self.say(Group::Impossible, what, format!("more than {limit} are too many"), &path, element);
        }
        list
    }

    /// True for the name of an alias of this kind that is in force.
    pub(super) fn is_alias(&self, name: &str, of_ports: bool) -> bool {
        self.kinds.get(name).is_some_and(|kind| (*kind == AliasKind::Port) == of_ports)
    }

    /// A flag: pfSense asks whether it is there, OPNsense also what it says.
    pub(super) fn flag(&self, element: &Element, name: &str) -> bool {
        element.child(name).is_some_and(|child| self.is_on(child))
    }

    /// What a flag that is there says.
    pub(super) fn is_on(&self, flag: &Element) -> bool {
        match self.tree.product {
            Product::Pfsense => true,
            Product::Opnsense => flag.text.trim() != "0",
        }
    }

    pub(super) fn say(
        &mut self,
        group: Group,
        what: &'static str,
        how: impl Into<String>,
        path: &str,
        element: &Element,
    ) {
        let place = self.report.place(path, element);
        self.report.add(group, what, how, place);
    }

    /// An object has become part of the document: as it was when nothing had to be adapted.
    pub(super) fn adopt(
        &mut self,
        key: Key,
        what: &'static str,
        path: &str,
        element: &Element,
        adapted: &[String],
    ) {
        let group = if adapted.is_empty() { Group::Imported } else { Group::Adapted };
        self.adopt_as(group, key, what, adapted.join("; "), path, element);
    }

    pub(super) fn adopt_as(
        &mut self,
        group: Group,
        key: Key,
        what: &'static str,
        how: String,
        path: &str,
        element: &Element,
    ) {
        let place = self.report.place(path, element);
        self.report.add(group, what, how.clone(), place.clone());
        self.links.set(element, key.clone());
        self.told.insert(key, Told { group, what, how, place });
    }

    /// The name here of an interface or a group there.
    pub(super) fn interface(&self, name: &str) -> Option<&str> {
        self.names.get(&name.trim().to_ascii_lowercase()).map(String::as_str)
    }

    /// The interface's own addresses.
    pub(super) fn addresses(&self, interface: &str) -> impl Iterator<Item = Prefix> + use<'_> {
        let parts = self.config.nodes.iter().flat_map(|node| &node.interfaces);
        let interface = interface.to_owned();
        parts.filter(move |part| part.name == interface).flat_map(|part| part.addresses.iter().copied())
    }

    /// Keeps the numbers that the file has, so that nobody else takes them. The first of two equal ones counts.
    pub(super) fn claim_trackers(&mut self) {
        for (_, element) in self.list(&["filter"], "rule") {
            let number = element.text_of("tracker").and_then(|text| text.parse().ok());
            let (Some(number), Some(at)) = (number.filter(|number| *number >= FIRST_RULE_ID), element.at)
            else {
                continue;
            };
            if self.ids.used.insert(number) {
                self.trackers.insert(at, RuleId(number));
            }
        }
    }

    /// A number for something that has none.
    pub(super) fn fresh(&mut self) -> RuleId {
        self.ids.fresh()
    }
}

fn vips(tree: &Tree) -> HashMap<&str, &Element> {
    let section = tree.root.child("virtualip");
    let vips = section.into_iter().flat_map(|section| section.all("vip"));
    vips.filter_map(|vip| Some((vip.text_of("uniqid")?, vip))).collect()
}

/// Numbers of rules and translations.
#[derive(Debug)]
struct Ids {
    used: HashSet<u32>,
    next: u32,
}

impl Default for Ids {
    fn default() -> Self {
        Ids { used: HashSet::new(), next: FIRST_RULE_ID }
    }
}

impl Ids {
    fn fresh(&mut self) -> RuleId {
        // A file has fewer elements than there are numbers.
        while !self.used.insert(self.next) {
            self.next = self.next.wrapping_add(1).max(FIRST_RULE_ID);
        }
        RuleId(self.next)
    }
}
