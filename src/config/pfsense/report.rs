//! What an import did with everything that it found: nothing is left out in silence.

use std::collections::HashMap;

use serde::Serialize;

use super::mapping::Mapped;
use super::tree::{Element, Product, Tree};
use crate::config::Problem;

/// The most places that a finding names; its count goes on.
const PLACES_LIMIT: usize = 100;

/// What became of a file.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Report {
    /// Whose file it was.
    pub product: Product,
    /// The version of its format.
    pub version: Option<String>,
    /// In force as it was.
    pub imported: Vec<Finding>,
    /// In force, in another way than there.
    pub adapted: Vec<Finding>,
    /// Kept, so that an export gives it back, but without effect here.
    pub kept_inactive: Vec<Finding>,
    /// What Koi cannot do.
    pub not_possible: Vec<Finding>,
    /// Which port of this machine takes the place of which device there.
    pub mapping: Vec<Mapped>,
    /// What would become true.
    pub effect: Effect,
    /// What must be corrected in the document before it can be in force.
    pub problems: Vec<Problem>,
}

/// What would become true.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Effect {
    /// Interfaces with their addresses.
    pub interfaces: Vec<String>,
    /// Filter rules, tab by tab.
    pub tabs: Vec<Tab>,
    /// Port forwards that are in force.
    pub port_forwards: usize,
    /// 1:1 mappings that are in force.
    pub one_to_one: usize,
    /// Prefix translations that are in force.
    pub npt: usize,
    /// Outbound NAT: its mode, and its own mappings that are in force.
    pub outbound: String,
    /// Virtual IPs, with their addresses.
    pub virtual_ips: Vec<String>,
    /// Gateways.
    pub gateways: Vec<String>,
    /// Static routes.
    pub routes: usize,
    /// Aliases.
    pub aliases: usize,
    /// Users with their roles; never their hashes.
    pub users: Vec<String>,
}

/// One tab of rules.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Tab {
    /// The interface, the group, or `floating`.
    pub name: String,
    /// Rules in force.
    pub active: usize,
    /// Rules that are not.
    pub disabled: usize,
}

/// Several things of a kind that fared alike.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Finding {
    /// What they are.
    pub what: String,
    /// How they were adapted, why they have no effect. Empty when there is nothing to say.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub how: String,
    /// How many.
    pub count: usize,
    /// Where they stand; at most a hundred.
    pub places: Vec<Place>,
}

/// Where something stands in the file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Place {
    /// `filter/rule[3]`, lists counted from zero.
    pub path: String,
    /// Its line, from one.
    pub line: Option<usize>,
    /// What people call it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
}

/// The four groups.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Group {
    Imported,
    Adapted,
    Inactive,
    Impossible,
}

impl Report {
    pub(super) fn new(tree: &Tree) -> Report {
        Report {
            product: tree.product,
            version: tree.version.clone(),
            imported: Vec::new(),
            adapted: Vec::new(),
            kept_inactive: Vec::new(),
            not_possible: Vec::new(),
            mapping: Vec::new(),
            effect: Effect::default(),
            problems: Vec::new(),
        }
    }

    /// True when no device waits for somebody to say what takes its place.
    pub fn is_mapped(&self) -> bool {
        self.mapping.iter().all(|mapped| mapped.port.is_some())
    }

    fn group_mut(&mut self, group: Group) -> &mut Vec<Finding> {
        match group {
            Group::Imported => &mut self.imported,
            Group::Adapted => &mut self.adapted,
            Group::Inactive => &mut self.kept_inactive,
            Group::Impossible => &mut self.not_possible,
        }
    }

    /// How many things are in a group.
    pub fn count(findings: &[Finding]) -> usize {
        findings.iter().map(|finding| finding.count).sum()
    }
}

/// A report that is being written: findings of a kind come together.
pub(super) struct Writer<'t> {
    pub(super) tree: &'t Tree,
    pub(super) report: Report,
    index: HashMap<(Group, &'static str, String), usize>,
}

impl<'t> Writer<'t> {
    pub(super) fn new(tree: &'t Tree) -> Writer<'t> {
        Writer { tree, report: Report::new(tree), index: HashMap::new() }
    }

    /// A place for an element at a path.
    pub(super) fn place(&self, path: impl Into<String>, element: &Element) -> Place {
        let name = ["descr", "description", "name"].into_iter().find_map(|key| element.text_of(key));
        Place { path: path.into(), line: self.tree.line(element), name: name.unwrap_or_default().into() }
    }

    /// Says what became of something.
    pub(super) fn add(&mut self, group: Group, what: &'static str, how: impl Into<String>, place: Place) {
        let how = how.into();
        let key = (group, what, how);
        let index = self.index.get(&key).copied();
        let findings = self.report.group_mut(group);
        match index.and_then(|index| findings.get_mut(index)) {
            Some(finding) => {
                finding.count += 1;
                if finding.places.len() < PLACES_LIMIT {
                    finding.places.push(place);
                }
            }
            None => {
                findings.push(Finding {
                    what: what.into(),
                    how: key.2.clone(),
                    count: 1,
                    places: vec![place],
                });
                let index = findings.len() - 1;
                self.index.insert(key, index);
            }
        }
    }

    /// Something was said of an object that is not true after all.
    pub(super) fn retract(&mut self, group: Group, what: &'static str, how: String, path: &str) {
        let index = self.index.get(&(group, what, how)).copied();
        let finding = index.and_then(|index| self.report.group_mut(group).get_mut(index));
        if let Some(finding) = finding {
            finding.count = finding.count.saturating_sub(1);
            finding.places.retain(|place| place.path != path);
        }
    }

    /// The report, without what was retracted whole.
    pub(super) fn finish(mut self) -> Report {
        for group in [Group::Imported, Group::Adapted, Group::Inactive, Group::Impossible] {
            self.report.group_mut(group).retain(|finding| finding.count > 0);
        }
        self.report
    }
}
