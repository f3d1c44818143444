//! A list of the document goes back into its section: what is as it was keeps its element, what is another changes only
//! the fields that are, and what Koi has no word for stays behind what it stood behind.

use std::collections::{HashMap, HashSet};

use super::super::read::{Key, Links};
use super::super::tree::Element;

/// One list, before and after.
pub(super) struct Lists<'a, T> {
    /// As an import of the file makes it.
    pub(super) old: &'a [T],
    /// As it shall be.
    pub(super) new: &'a [T],
    /// What names a member.
    pub(super) key: fn(&T) -> Key,
}

/// Puts the list into `parent`, whose elements of this name it is. `write` changes an element, or makes one.
pub(super) fn merge<T: PartialEq>(
    parent: &mut Element,
    name: &str,
    links: &Links,
    lists: &Lists<'_, T>,
    mut write: impl FnMut(Element, Option<&T>, &T) -> Element,
) {
    let Lists { old, new, key } = lists;
    if old == new {
        return;
    }
    let was: HashMap<Key, &T> = old.iter().map(|member| (key(member), member)).collect();
    let stays: HashSet<Key> = new.iter().map(key).collect();
    let (mut others, mut head) = (Vec::new(), Vec::new());
    let mut known: HashMap<Key, (Element, Vec<Element>)> = HashMap::new();
    let mut place = None;
    let mut last: Option<Key> = None;
    for child in std::mem::take(&mut parent.children) {
        if !child.is(name) {
            others.push(child);
            continue;
        }
        place.get_or_insert(others.len());
        match links.get(&child).filter(|key| was.contains_key(key)) {
            Some(key) if stays.contains(key) => {
                last = Some(key.clone());
                known.insert(key.clone(), (child, Vec::new()));
            }
            // It is no longer in the document.
            Some(_) => {}
            None => match last.as_ref().and_then(|key| known.get_mut(key)) {
                Some((_, behind)) => behind.push(child),
                None => head.push(child),
            },
        }
    }
    let mut list = head;
    for member in *new {
        let key = key(member);
        match (known.remove(&key), was.get(&key)) {
            (Some((element, behind)), Some(was)) => {
                list.push(if *was == member { element } else { write(element, Some(was), member) });
                list.extend(behind);
            }
            (Some(_) | None, _) => list.push(write(Element::flag(name), None, member)),
        }
    }
    let place = place.unwrap_or(others.len());
    let behind = others.split_off(place);
    parent.children = others.into_iter().chain(list).chain(behind).collect();
}
