//! A new document in an old text: values, sections and entries that are another are changed, everything else stays as
//! somebody wrote it, comments included.
//!
//! Three trees meet: the text, the document that it is, and the document that it shall be, the last two in their
//! canonical form. Where those two agree, the text is not touched; so defaults that somebody wrote out, other spellings
//! and the order of sections stay, too.

use toml_edit::{DocumentMut, Item, Table, TableLike, Value};

use super::{array, comments, list, order};
use crate::config::migrate::present;
use crate::config::{Config, parse};

/// The document as a text that keeps what it can of an old one. What comes out is always this document.
pub fn rewrite(text: &str, new: &Config) -> String {
    let text = &*present(text);
    let woven =
        parse(text).ok().and_then(|old| if old == *new { Some(text.into()) } else { weave(text, &old, new) });
    woven.filter(|text| parse(text).is_ok_and(|read| read == *new)).unwrap_or_else(|| new.to_toml())
}

fn weave(text: &str, old: &Config, new: &Config) -> Option<String> {
    let mut document: DocumentMut = text.parse().ok()?;
    let canonical = |config: &Config| config.to_toml().parse::<DocumentMut>().ok();
    let (old, new) = (canonical(old)?, canonical(new)?);
    let mut places = order::Places::default();
    section(document.as_table_mut(), old.as_table(), new.as_table(), &mut places);
    places.put_in_order(document.as_table_mut());
    Some(document.to_string())
}

/// One section: what is gone goes, what is another is changed, what is new comes last.
pub(super) fn section(
    text: &mut dyn TableLike,
    old: &dyn TableLike,
    new: &dyn TableLike,
    places: &mut order::Places,
) {
    let gone: Vec<(&str, &Item)> = old.iter().filter(|(key, _)| !new.contains_key(key)).collect();
    for (key, was) in gone {
        take_out(text, key, was);
    }
    for (key, wanted) in new.iter() {
        match (text.get_mut(key), old.get(key)) {
            (Some(_), Some(was)) if same(was, wanted) => {}
            (Some(there), Some(was)) => change(key, there, was, wanted, places),
            (Some(there), None) => replace(there, wanted),
            (None, _) => {
                let mut item = wanted.clone();
                places.welcome(&mut item);
                text.insert(key, item);
            }
        }
    }
}

/// The field has its default value from now on. A flag says so; anything else goes.
fn take_out(text: &mut dyn TableLike, key: &str, was: &Item) {
    let Some(there) = text.get_mut(key) else { return };
    if let Some(on) = was.as_bool() {
        return replace(there, &toml_edit::value(!on));
    }
    let keys: Vec<String> = text.iter().map(|(key, _)| key.to_owned()).collect();
    let next = keys.iter().skip_while(|other| *other != key).nth(1).cloned();
    let above = text.key(key).and_then(|key| key.leaf_decor().prefix()?.as_str()).unwrap_or_default();
    let (kept, _) = comments::split(above);
    let kept = kept.to_owned();
    text.remove(key);
    if let Some(mut next) = next.as_deref().and_then(|next| text.key_mut(next))
        && !kept.is_empty()
    {
        comments::prepend(next.leaf_decor_mut(), &kept);
    }
}

fn change(key: &str, there: &mut Item, was: &Item, wanted: &Item, places: &mut order::Places) {
    if let (Some(there), Item::ArrayOfTables(was), Item::ArrayOfTables(wanted)) =
        (there.as_array_of_tables_mut(), was, wanted)
    {
        return list::change(key, there, was, wanted, places);
    }
    if let (Some(there), Some(was), Some(wanted)) =
        (there.as_table_like_mut(), was.as_table_like(), wanted.as_table_like())
    {
        return section(there, was, wanted, places);
    }
    match (there.as_array_mut(), values(was), values(wanted)) {
        (Some(there), Some(was), Some(wanted)) => array::change(there, &was, &wanted),
        _ => replace(there, wanted),
    }
}

/// A list, also one of sections, as the values that it is when it is written in one line.
fn values(item: &Item) -> Option<Vec<Value>> {
    match item {
        Item::Value(Value::Array(array)) => Some(array.iter().cloned().collect()),
        Item::ArrayOfTables(tables) => Some(tables.clone().into_array().into_iter().collect()),
        Item::None | Item::Table(_) | Item::Value(_) => None,
    }
}

/// Another value in the same place, between the same comments.
fn replace(there: &mut Item, wanted: &Item) {
    let decor = there.as_value().map(|value| value.decor().clone());
    *there = wanted.clone();
    if let (Some(value), Some(decor)) = (there.as_value_mut(), decor) {
        *value.decor_mut() = decor;
    }
}

/// Do both say the same?
pub(super) fn same(one: &Item, other: &Item) -> bool {
    match (one, other) {
        (Item::Value(one), Item::Value(other)) => same_value(one, other),
        (Item::Table(one), Item::Table(other)) => same_section(one, other),
        (Item::ArrayOfTables(one), Item::ArrayOfTables(other)) => {
            one.len() == other.len()
                && one.iter().zip(other.iter()).all(|(one, other)| same_section(one, other))
        }
        (Item::None | Item::Value(_) | Item::Table(_) | Item::ArrayOfTables(_), _) => false,
    }
}

fn same_section(one: &Table, other: &Table) -> bool {
    one.len() == other.len()
        && one.iter().all(|(key, item)| other.get(key).is_some_and(|other| same(item, other)))
}

fn same_value(one: &Value, other: &Value) -> bool {
    array::words(one) == array::words(other)
}

#[cfg(test)]
mod tests;
