//! Aliases looked up by name, and what they come to when the aliases in them are followed.
//!
//! Invariant: every walk ends, also in a document whose aliases go round in circles.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::model::{AddressRange, Alias, AliasKind, Member, host_name};
use super::{Conditions, Config};
use crate::types::{PortRange, Prefix};
use crate::wire::dns::Name;

/// What an alias comes to, and where that stands.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Contents {
    /// Addresses, those that names and files stand for included.
    pub ranges: Vec<AddressRange>,
    /// Names of hosts in it.
    pub hosts: Vec<Name>,
    /// It and the aliases in it that have a file.
    pub files: Vec<String>,
}

/// The aliases of a document by name.
pub struct Aliases<'a> {
    by_name: HashMap<&'a str, &'a Alias>,
    conditions: Option<&'a Conditions>,
}

impl<'a> Aliases<'a> {
    /// Those of `config`, without what is not written in it.
    pub fn new(config: &'a Config) -> Self {
        let by_name = config.aliases.iter().map(|alias| (alias.name.as_str(), alias)).collect();
        Aliases { by_name, conditions: None }
    }

    /// Those of `config`, names and files standing for what they do at present.
    pub fn under(config: &'a Config, conditions: &'a Conditions) -> Self {
        Aliases { conditions: Some(conditions), ..Aliases::new(config) }
    }

    /// The alias of this name.
    pub fn get(&self, name: &str) -> Option<&'a Alias> {
        self.by_name.get(name).copied()
    }

    /// Every address that an alias stands for; nothing when there is no such alias.
    pub fn addresses(&self, name: &str) -> Vec<AddressRange> {
        self.contents(name).ranges
    }

    /// Every address that an alias stands for, and what that depends on besides the document.
    pub fn contents(&self, name: &str) -> Contents {
        let (mut ranges, mut hosts) = (Vec::new(), Vec::new());
        let seen = self.walk(name, |member| match member {
            Member::Prefix(prefix) => ranges.push(AddressRange::from(prefix)),
            Member::Range(range) => ranges.push(range),
            Member::Name(name) => {
                ranges.extend(self.of_name(&name));
                hosts.push(name);
            }
            Member::Ports(_) | Member::Alias(_) => {}
        });
        let has_file = |alias: &&&Alias| alias.kind == AliasKind::Urltable;
        let files = seen.iter().filter_map(|name| self.by_name.get(name));
        let files = files.filter(has_file).map(|alias| alias.name.clone()).collect();
        Contents { ranges, hosts, files }
    }

    /// Every port that an alias stands for.
    pub fn ports(&self, name: &str) -> Vec<PortRange> {
        let mut ranges = Vec::new();
        self.walk(name, |member| match member {
            Member::Ports(range) => ranges.push(range),
            Member::Prefix(_) | Member::Range(_) | Member::Name(_) | Member::Alias(_) => {}
        });
        ranges
    }

    /// The names of hosts that stand in any alias, at most `limit`.
    pub fn names(config: &Config, limit: usize) -> BTreeSet<Name> {
        let mut names = BTreeSet::new();
        for alias in config.aliases.iter().filter(|alias| alias.kind.has_names()) {
            // Whatever starts as an address does is none; asking that first keeps a long list cheap.
            let entries = alias.entries.iter().filter(|entry| host_name(&entry.value).is_some());
            let found = entries.filter_map(|entry| match entry.member(alias.kind) {
                Ok(Member::Name(name)) => Some(name),
                Ok(Member::Prefix(_) | Member::Range(_) | Member::Ports(_) | Member::Alias(_)) | Err(_) => {
                    None
                }
            });
            names.extend(found.take(limit - names.len()));
        }
        names
    }

    fn of_name(&self, name: &Name) -> impl Iterator<Item = AddressRange> + use<'a> {
        let found = self.conditions.and_then(|conditions| conditions.names.get(name));
        found.into_iter().flatten().map(|address| AddressRange::from(Prefix::from(*address)))
    }

    /// Shows each member of the alias and of the aliases in it, once; gives the names of all these aliases.
    fn walk(&self, name: &str, mut show: impl FnMut(Member)) -> HashSet<&'a str> {
        let mut seen = HashSet::new();
        let mut waiting: Vec<String> = vec![name.into()];
        while let Some(name) = waiting.pop() {
            let Some(alias) = self.get(&name) else { continue };
            if !seen.insert(alias.name.as_str()) {
                continue;
            }
            let listed = self.conditions.and_then(|conditions| conditions.lists.get(&alias.name));
            if let (AliasKind::Urltable, Some(listed)) = (alias.kind, listed) {
                listed.iter().for_each(|range| show(Member::Range(*range)));
            }
            for entry in &alias.entries {
                match entry.member(alias.kind) {
                    Ok(Member::Alias(inner)) => waiting.push(inner),
                    Ok(member) => show(member),
                    Err(_) => {}
                }
            }
        }
        seen
    }

    /// True when following the alias leads back to it.
    pub fn is_circular(&self, alias: &Alias) -> bool {
        let mut seen = HashSet::new();
        let mut waiting = self.inner(alias);
        while let Some(next) = waiting.pop() {
            if next.name == alias.name {
                return true;
            }
            if seen.insert(next.name.as_str()) {
                waiting.extend(self.inner(next));
            }
        }
        false
    }

    fn inner(&self, alias: &Alias) -> Vec<&'a Alias> {
        // An entry that starts as an address does is none; asking that first keeps a long list cheap.
        let named = alias.entries.iter().filter(|entry| !entry.value.contains(['.', ':', '/']));
        named
            .filter_map(|entry| match entry.member(alias.kind) {
                Ok(Member::Alias(name)) => self.get(&name),
                Ok(Member::Prefix(_) | Member::Range(_) | Member::Ports(_) | Member::Name(_)) | Err(_) => {
                    None
                }
            })
            .collect()
    }

    /// True when the alias stands for ports.
    pub fn is_of_ports(&self, name: &str) -> Option<bool> {
        self.get(name).map(|alias| alias.kind == AliasKind::Port)
    }
}
