//! The addresses of an alias, and what they depend on besides the document.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::spans::Spans;
use crate::config::{Aliases, Conditions, Config, Contents};
use crate::wire::dns::Name;

/// The addresses of an alias.
#[derive(Debug)]
pub struct Table {
    /// The alias.
    pub name: String,
    /// Its IPv4 addresses.
    pub inet: Spans<u32>,
    /// Its IPv6 addresses.
    pub inet6: Spans<u128>,
    hosts: Box<[Name]>,
    files: Box<[String]>,
}

impl Table {
    /// What the alias of this name stands for.
    pub(super) fn read(aliases: &Aliases<'_>, name: &str) -> Table {
        let Contents { ranges, hosts, files } = aliases.contents(name);
        Table {
            name: name.into(),
            inet: Spans::of_addresses(ranges.iter().copied()),
            inet6: Spans::of_addresses(ranges),
            hosts: hosts.into(),
            files: files.into(),
        }
    }

    /// It holds the same under both.
    fn is_same(&self, before: &Conditions, now: &Conditions) -> bool {
        self.hosts.iter().all(|name| before.names.get(name) == now.names.get(name))
            && self.files.iter().all(|alias| before.lists.get(alias) == now.lists.get(alias))
    }
}

/// The tables that something compiled refers to, by name.
#[derive(Clone, Debug, Default)]
pub struct Tables(Arc<BTreeMap<String, Arc<Table>>>);

impl Tables {
    /// These.
    pub(super) fn new(tables: impl IntoIterator<Item = Arc<Table>>) -> Tables {
        Tables(Arc::new(tables.into_iter().map(|table| (table.name.clone(), table)).collect()))
    }

    /// The table of this name.
    pub fn get(&self, name: &str) -> Option<&Arc<Table>> {
        self.0.get(name)
    }

    /// All of them hold the same under both.
    pub fn are_same(&self, before: &Conditions, now: &Conditions) -> bool {
        self.0.values().all(|table| table.is_same(before, now))
    }

    /// As they are now; those that hold what they held are not read again.
    pub(super) fn renewed(&self, config: &Config, before: &Conditions, now: &Conditions) -> Tables {
        if self.are_same(before, now) {
            return self.clone();
        }
        let aliases = Aliases::under(config, now);
        Tables::new(self.0.values().map(|table| match table.is_same(before, now) {
            true => Arc::clone(table),
            false => Arc::new(Table::read(&aliases, &table.name)),
        }))
    }
}
