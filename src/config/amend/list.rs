//! A list of sections in a text: entries keep their comments while others go, come and change places.

use std::collections::{BTreeMap, BTreeSet};

use toml_edit::{ArrayOfTables, Table};

use super::{comments, order, weave};
use crate::config::diff::longest_rising;

/// The list becomes another one. `there` and `was` are the same list, entry by entry.
pub(super) fn change(
    key: &str,
    there: &mut ArrayOfTables,
    was: &ArrayOfTables,
    wanted: &ArrayOfTables,
    places: &mut order::Places,
) {
    let pairs = pairs(key, was, wanted);
    let common: Vec<usize> = pairs.iter().flatten().copied().collect();
    let stay = longest_rising(&common);
    let mut old: Vec<Option<Table>> = there.iter().cloned().map(Some).collect();
    keep_titles(&mut old, &stay);
    there.clear();
    for (wanted, pair) in wanted.iter().zip(pairs) {
        let known = pair.and_then(|at| Some((at, old.get_mut(at)?.take()?, was.get(at)?)));
        let table = match known {
            Some((at, mut table, was)) => {
                weave::section(&mut table, was, wanted, places);
                if !stay.contains(&at) {
                    places.moves(&table);
                }
                table
            }
            None => {
                let mut table = wanted.clone();
                places.welcome_section(&mut table);
                table
            }
        };
        there.push(table);
    }
}

/// Which old entry each new one is: the one that people call the same, or else the one that stood where it stands and has
/// another name now. Numbers are never given to something else, so what has one is known by it alone.
fn pairs(key: &str, was: &ArrayOfTables, wanted: &ArrayOfTables) -> Vec<Option<usize>> {
    let (old, new) = (names(key, was), names(key, wanted));
    let places: BTreeMap<&str, usize> =
        old.iter().enumerate().map(|(at, name)| (name.as_str(), at)).collect();
    let mut pairs: Vec<Option<usize>> = new.iter().map(|name| places.get(name.as_str()).copied()).collect();
    let mut taken: BTreeSet<usize> = pairs.iter().flatten().copied().collect();
    for (at, entry) in wanted.iter().enumerate() {
        let before = at.checked_sub(1).map_or(Some(0), |before| pairs[before].map(|place| place + 1));
        let stood = before.filter(|_| pairs[at].is_none()).and_then(|place| Some((place, was.get(place)?)));
        let Some((place, stood)) = stood else { continue };
        if is_renamed(stood, entry) && taken.insert(place) {
            pairs[at] = Some(place);
        }
    }
    pairs
}

/// More of both is the same than is not.
fn is_renamed(one: &Table, other: &Table) -> bool {
    let alike = one.iter().filter(|(key, item)| other.get(key).is_some_and(|other| weave::same(item, other)));
    !one.contains_key("id") && alike.count() * 2 >= one.len().max(other.len())
}

/// What people call the entries; each name once.
fn names(key: &str, list: &ArrayOfTables) -> Vec<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let name = |table: &Table| {
        let word = |key: &str| table.get(key).and_then(|item| item.as_value()).map(super::array::words);
        let name = match key {
            "virtual_ip" => {
                word("interface").zip(word("vhid")).map(|(interface, vhid)| interface + ":" + &vhid)
            }
            _ => ["id", "name", "destination", "value"].into_iter().find_map(word),
        };
        let name = name.unwrap_or_default();
        let count = seen.entry(name.clone()).or_default();
        *count += 1;
        format!("{name}#{count}")
    };
    list.iter().map(name).collect()
}

/// Titles above entries that go or move stay where they are: above the next entry that stays.
fn keep_titles(entries: &mut [Option<Table>], stay: &BTreeSet<usize>) {
    let mut titles = String::new();
    for (at, table) in entries.iter_mut().enumerate() {
        let Some(table) = table else { continue };
        if stay.contains(&at) {
            if !titles.is_empty() {
                comments::prepend(table.decor_mut(), &std::mem::take(&mut titles));
            }
            continue;
        }
        let above = comments::above(table.decor()).to_owned();
        let (title, own) = comments::split(&above);
        if !title.is_empty() {
            titles.push_str(title);
            // An empty line parts it from what it stands behind now.
            table.decor_mut().set_prefix(format!("\n{own}"));
        }
    }
}
