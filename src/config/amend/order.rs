//! Where sections stand in a text. Each has a number; sections are written in the order of these.

use std::collections::{BTreeSet, HashMap};

use toml_edit::{Item, Table};

use crate::config::schema;

/// New sections are counted from here; those of a text are counted from zero.
const NEW: isize = 1 << 32;

/// Which sections are new or move.
pub(super) struct Places {
    /// A flag that gets its default value says so, instead of going.
    pub(super) says_off: bool,
    next: isize,
    loose: BTreeSet<isize>,
}

impl Places {
    pub(super) fn new(says_off: bool) -> Places {
        Places { says_off, next: 0, loose: BTreeSet::new() }
    }

    /// A new item: its sections have no place yet.
    pub(super) fn welcome(&mut self, item: &mut Item) {
        match item {
            Item::Table(table) => self.welcome_section(table),
            Item::ArrayOfTables(tables) => tables.iter_mut().for_each(|table| self.welcome_section(table)),
            Item::None | Item::Value(_) => {}
        }
    }

    /// A new section, with those in it.
    pub(super) fn welcome_section(&mut self, table: &mut Table) {
        let number = NEW + self.next;
        self.next += 1;
        self.loose.insert(number);
        table.set_position(Some(number));
        table.iter_mut().for_each(|(_, item)| self.welcome(item));
    }

    /// This section stands elsewhere from now on.
    pub(super) fn moves(&mut self, table: &Table) {
        self.loose.extend(table.position());
    }

    /// Numbers all sections anew: those that stayed as they stood, the others behind what they follow.
    pub(super) fn put_in_order(self, root: &mut Table) {
        let mut line = Line { order: Vec::new() };
        let mut kept = Vec::new();
        self.kept(root, &mut kept);
        kept.sort_unstable();
        line.order = kept;
        self.place_in(root, true, &mut line);
        let places: HashMap<isize, isize> = line.order.iter().copied().zip(0..).collect();
        renumber(root, &places);
    }

    /// The numbers of what stays, with everything in it.
    fn kept(&self, table: &Table, kept: &mut Vec<isize>) {
        if table.position().is_some_and(|number| self.loose.contains(&number)) {
            return;
        }
        kept.extend(table.position());
        sections(table).for_each(|(_, section)| self.kept(section, kept));
    }

    fn place_in(&self, table: &Table, is_root: bool, line: &mut Line) {
        let mut last_of: HashMap<&str, &Table> = HashMap::new();
        for (key, section) in sections(table) {
            let is_loose = section.position().is_some_and(|number| self.loose.contains(&number));
            if is_loose {
                // As the lists in it are now, whatever stood first before.
                let mut numbers = Vec::new();
                all(section, &mut numbers);
                let at = match last_of.get(key) {
                    Some(previous) => line.behind(previous),
                    None => line.in_front_of(self.next_kept(table, key)).unwrap_or_else(|| match is_root {
                        true => line.behind_sections_before(table, key),
                        false => line.behind(table),
                    }),
                };
                drop(line.order.splice(at..at, numbers));
            } else {
                self.place_in(section, false, line);
            }
            last_of.insert(key, section);
        }
    }

    /// The first entry of a list that stays.
    fn next_kept<'t>(&self, table: &'t Table, key: &str) -> Option<&'t Table> {
        let list = table.get(key)?.as_array_of_tables()?;
        list.iter().find(|section| section.position().is_some_and(|number| !self.loose.contains(&number)))
    }
}

/// The numbers of sections in the order in which they will stand.
struct Line {
    order: Vec<isize>,
}

impl Line {
    fn place(&self, number: isize) -> Option<usize> {
        self.order.iter().position(|other| *other == number)
    }

    /// The place behind a section and everything in it.
    fn behind(&self, section: &Table) -> usize {
        let mut numbers = Vec::new();
        all(section, &mut numbers);
        numbers
            .into_iter()
            .filter_map(|number| self.place(number))
            .max()
            .map_or(self.order.len(), |at| at + 1)
    }

    fn in_front_of(&self, section: Option<&Table>) -> Option<usize> {
        let mut numbers = Vec::new();
        all(section?, &mut numbers);
        numbers.into_iter().filter_map(|number| self.place(number)).min()
    }

    /// The place behind all sections that come before one of this key in a document.
    fn behind_sections_before(&self, root: &Table, key: &str) -> usize {
        let before = sections(root).filter(|(other, _)| schema::place(other) < schema::place(key));
        let mut numbers: Vec<isize> = root.position().into_iter().collect();
        before.for_each(|(_, section)| all(section, &mut numbers));
        numbers.into_iter().filter_map(|number| self.place(number)).max().map_or(0, |at| at + 1)
    }
}

/// The sections right in a section, with their keys.
fn sections(table: &Table) -> impl Iterator<Item = (&str, &Table)> {
    table.iter().flat_map(|(key, item)| {
        let (one, many) = match item {
            Item::Table(section) => (Some(section), None),
            Item::ArrayOfTables(list) => (None, Some(list.iter())),
            Item::None | Item::Value(_) => (None, None),
        };
        one.into_iter().chain(many.into_iter().flatten()).map(move |section| (key, section))
    })
}

/// The numbers of a section and of all in it, each in front of what is in it.
fn all(table: &Table, numbers: &mut Vec<isize>) {
    numbers.extend(table.position());
    sections(table).for_each(|(_, section)| all(section, numbers));
}

fn renumber(table: &mut Table, places: &HashMap<isize, isize>) {
    let place = table.position().and_then(|number| places.get(&number)).copied();
    table.set_position(place);
    for (_, item) in table.iter_mut() {
        match item {
            Item::Table(section) => renumber(section, places),
            Item::ArrayOfTables(list) => list.iter_mut().for_each(|section| renumber(section, places)),
            Item::None | Item::Value(_) => {}
        }
    }
}
