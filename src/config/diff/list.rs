//! Lists whose items have names.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::item::{self, names};
use super::{Change, Kind, Step, holder};

pub(super) fn compare(
    path: &mut Vec<Step>,
    list: &str,
    old: &[Value],
    new: &[Value],
    found: &mut Vec<Change>,
) {
    let (before, after) = (names(list, old), names(list, new));
    let places: BTreeMap<&str, usize> =
        before.iter().enumerate().map(|(at, name)| (name.as_str(), at)).collect();
    let kept: BTreeSet<&str> = after.iter().map(String::as_str).collect();
    let mut note = |path: &[Step], name: &str, kind: Kind, about: &Value| {
        let mut path = path.to_vec();
        path.push(Step::Item(name.into()));
        found.push(Change { path, kind, about: about.clone() });
    };
    for (name, item) in before.iter().zip(old).filter(|(name, _)| !kept.contains(name.as_str())) {
        note(path, name, Kind::Removed(item.clone()), item);
    }
    let common: Vec<usize> = after.iter().filter_map(|name| places.get(name.as_str()).copied()).collect();
    let stay = longest_rising(&common);
    let mut previous: Option<&String> = None;
    for (name, item) in after.iter().zip(new) {
        match places.get(name.as_str()) {
            None => note(path, name, Kind::Added(item.clone(), previous.cloned()), item),
            Some(at) if !stay.contains(at) => note(path, name, Kind::Moved(previous.cloned()), item),
            Some(_) => {}
        }
        previous = Some(name);
    }
    for (name, item) in after.iter().zip(new) {
        let Some(at) = places.get(name.as_str()) else { continue };
        path.push(Step::Item(name.clone()));
        super::compare(path, &old[*at], item, item, found);
        path.pop();
    }
}

/// The most numbers that rise from left to right: these items stay, the others have moved.
pub(in crate::config) fn longest_rising(numbers: &[usize]) -> BTreeSet<usize> {
    // `tails[n]`: where the best chain of n + 1 numbers ends.
    let (mut tails, mut before) = (Vec::<usize>::new(), vec![None; numbers.len()]);
    for (at, number) in numbers.iter().enumerate() {
        let length = tails.partition_point(|tail| numbers[*tail] < *number);
        before[at] = length.checked_sub(1).map(|length| tails[length]);
        if length == tails.len() { tails.push(at) } else { tails[length] = at }
    }
    let mut chain = BTreeSet::new();
    let mut at = tails.last().copied();
    while let Some(here) = at {
        chain.insert(numbers[here]);
        at = before[here];
    }
    chain
}

pub(super) fn remove(value: &mut Value, path: &[Step]) {
    if let Some((items, at)) = find(value, path) {
        items.remove(at);
    }
}

/// Puts an added or moved item behind the one that it follows; at the end when that is not there.
pub(super) fn place(value: &mut Value, change: &Change) {
    let (item, follows) = match &change.kind {
        Kind::Added(item, follows) => {
            let mut item = item.clone();
            item::tag(&mut item);
            if let Some(Step::Item(name)) = change.path.last() {
                item::call(&mut item, name.clone());
            }
            (item, follows)
        }
        Kind::Moved(follows) => {
            let Some((items, at)) = find(value, &change.path) else { return };
            (items.remove(at), follows)
        }
        Kind::Set(..) | Kind::Removed(_) => return,
    };
    let [.., Step::Field(list), Step::Item(_)] = &change.path[..] else { return };
    let Some(section) = holder(value, &change.path[..change.path.len() - 1]) else { return };
    let Some(section) = section.as_object_mut() else { return };
    let entry = section.entry(list.clone()).or_insert_with(|| Value::Array(Vec::new()));
    let Some(items) = entry.as_array_mut() else { return };
    let at = match follows {
        None => 0,
        Some(name) => item::find(items, name).map_or(items.len(), |at| at + 1),
    };
    items.insert(at, item);
}

fn find<'v>(value: &'v mut Value, path: &[Step]) -> Option<(&'v mut Vec<Value>, usize)> {
    let [.., Step::Item(name)] = path else { return None };
    let items = holder(value, path)?.as_array_mut()?;
    let at = item::find(items, name)?;
    Some((items, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_that_can_stays() {
        for (numbers, stay) in [
            (vec![], vec![]),
            (vec![0, 1, 2], vec![0, 1, 2]),
            (vec![2, 0, 1], vec![0, 1]),
            (vec![1, 2, 0], vec![1, 2]),
            (vec![3, 2, 1, 0], vec![0]),
        ] {
            assert_eq!(longest_rising(&numbers).into_iter().collect::<Vec<_>>(), stay, "{numbers:?}");
        }
    }
}
