//! What is done with a section of the document, or with an entry of a list.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::call::{Call, Reply};
use super::config;
use super::edit::{More, edit};
use super::problem::{Kind, Outcome, Problem};
use crate::config::diff::names;
use crate::config::outline::Section;
use crate::web::collection::{Collection, next_id};
use crate::web::form::tree;
use crate::web::pages::COLLECTIONS;

/// Where the section of a path is in a tree.
fn locate(tree: &Value, section: &Section, path: &[(String, String)]) -> Outcome<String> {
    let mut place = String::new();
    for (at, part) in section.parts.iter().enumerate() {
        if !place.is_empty() {
            place.push('.');
        }
        place.push_str(part.field);
        if part.is_list && at + 1 < section.parts.len() {
            let index = find(tree, &place, part.field, path)?;
            place.push_str(&format!("[{index}]"));
        }
    }
    Ok(place)
}

/// The entry of a list that the path names.
fn find(tree: &Value, place: &str, field: &str, path: &[(String, String)]) -> Outcome<usize> {
    let key = path.iter().find(|(name, _)| name == field).map_or("", |(_, key)| key.as_str());
    of_name(tree, place, field, key)
}

fn of_name(tree: &Value, place: &str, field: &str, key: &str) -> Outcome<usize> {
    let found = names(field, tree::list(tree, place)).iter().position(|name| name == key);
    found.ok_or_else(|| {
        Problem::new(Kind::Missing, format!("There is no {} \"{key}\".", field.replace('_', " ")))
    })
}

fn field_of(section: &Section) -> &'static str {
    section.parts.last().map_or("", |part| part.field)
}

/// The section, or its entry that the path names.
fn locate_all(
    tree: &Value,
    section: &Section,
    path: &[(String, String)],
    entry: bool,
) -> Outcome<(String, Option<usize>)> {
    let place = locate(tree, section, path)?;
    let index = entry.then(|| find(tree, &place, field_of(section), path)).transpose()?;
    Ok((place, index))
}

/// Shows a section, or an entry of it.
pub(super) async fn show(call: Call, section: Arc<Section>, entry: bool) -> Outcome<Reply> {
    let (_, config, tree) = config::document(&call).await?;
    let (place, index) = locate_all(&tree, &section, &call.path, entry)?;
    let place = index.map_or(place.clone(), |index| format!("{place}[{index}]"));
    let empty = if section.is_list() { Value::Array(Vec::new()) } else { Value::Object(Map::new()) };
    let value = tree::get(&tree, &place).cloned().unwrap_or(empty);
    Ok(Reply::json(&value)?.of_edition(config.hash()))
}

/// Replaces it.
pub(super) async fn put(call: Call, section: Arc<Section>, entry: bool) -> Outcome<Reply> {
    let value: Value = call.json()?;
    let fits = if entry || !section.is_list() { value.is_object() } else { value.is_array() };
    if !fits {
        return Err(Problem::malformed(
            "/",
            "This is no such section.",
            "Send an object, or a list for a list.",
        ));
    }
    let path = call.path.clone();
    edit(&call, format!("replaced {}", called(&call, &section)), move |tree| {
        let (place, index) = locate_all(tree, &section, &path, entry)?;
        let place = index.map_or(place.clone(), |index| format!("{place}[{index}]"));
        tree::set(tree, &place, Some(value));
        Ok(More::new())
    })
    .await
}

/// Merges something into it, or moves it.
pub(super) async fn patch(call: Call, section: Arc<Section>, entry: bool) -> Outcome<Reply> {
    let change: Map<String, Value> = call.json()?;
    let (path, position) = (call.path.clone(), call.query.parse("position", position)?);
    edit(&call, format!("changed {}", called(&call, &section)), move |tree| {
        let (place, index) = locate_all(tree, &section, &path, entry)?;
        let target = index.map_or(place.clone(), |index| format!("{place}[{index}]"));
        let mut value = tree::get(tree, &target).cloned().unwrap_or_else(|| Value::Object(Map::new()));
        merge(&mut value, Value::Object(change));
        tree::set(tree, &target, Some(value));
        if let (Some(index), Some(position)) = (index, position) {
            let field = field_of(&section);
            let item =
                tree::list_mut(tree, &place).filter(|list| index < list.len()).map(|list| list.remove(index));
            let to = position.among(tree, &place, field)?;
            if let (Some(list), Some(item)) = (tree::list_mut(tree, &place), item) {
                list.insert(to.min(list.len()), item);
            }
        }
        Ok(More::new())
    })
    .await
}

/// Adds an entry.
pub(super) async fn post(call: Call, section: Arc<Section>) -> Outcome<Reply> {
    let mut item: Map<String, Value> = call.json()?;
    let (path, position) =
        (call.path.clone(), call.query.parse("position", position)?.unwrap_or(Position::Bottom));
    edit(&call, format!("added an entry to {}", called(&call, &section)), move |tree| {
        let (place, _) = locate_all(tree, &section, &path, false)?;
        if section.numbered && !item.contains_key("id") {
            item.insert("id".into(), next_id(tree).into());
        }
        let field = field_of(&section);
        let at = position.among(tree, &place, field)?;
        let list = tree::list_mut(tree, &place)
            .ok_or_else(|| Problem::new(Kind::Missing, "There is no such list."))?;
        let at = at.min(list.len());
        list.insert(at, Value::Object(item));
        let key = names(field, list).get(at).cloned().unwrap_or_default();
        if let Some(collection) = collection(&section) {
            (collection.made)(tree, at);
        }
        Ok(More::from_iter([("key".to_owned(), key.into())]))
    })
    .await
}

/// Takes it away.
pub(super) async fn delete(call: Call, section: Arc<Section>, entry: bool) -> Outcome<Reply> {
    let path = call.path.clone();
    edit(&call, format!("took away {}", called(&call, &section)), move |tree| {
        let (place, index) = locate_all(tree, &section, &path, entry)?;
        match index {
            None => tree::set(tree, &place, None),
            Some(index) => {
                let list = tree::list_mut(tree, &place);
                let gone = list.filter(|list| index < list.len()).map(|list| list.remove(index));
                if let (Some(collection), Some(gone)) = (collection(&section), gone) {
                    (collection.gone)(tree, &gone);
                }
            }
        }
        Ok(More::new())
    })
    .await
}

/// The page that has this list, with what it does besides when entries come and go.
fn collection(section: &Section) -> Option<&'static Collection> {
    let path = section.parts.iter().map(|part| part.field).collect::<Vec<_>>().join(".");
    COLLECTIONS.iter().copied().find(|collection| collection.list == path)
}

/// As the audit log calls it: `rule 1000010`, `node alpha interface`.
fn called(call: &Call, section: &Section) -> String {
    let words = section.parts.iter().flat_map(|part| {
        let key = call.path(part.field).to_owned();
        [part.field.to_owned(), key]
    });
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Where an entry goes.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Position {
    Top,
    Bottom,
    Before(String),
    After(String),
}

fn position(text: &str) -> Result<Position, String> {
    match text.split_once(':') {
        None if text == "top" => Ok(Position::Top),
        None if text == "bottom" => Ok(Position::Bottom),
        Some(("before", key)) => Ok(Position::Before(key.into())),
        Some(("after", key)) => Ok(Position::After(key.into())),
        None | Some(_) => Err("write top, bottom, before:KEY or after:KEY".into()),
    }
}

impl Position {
    fn among(&self, tree: &Value, place: &str, field: &str) -> Outcome<usize> {
        match self {
            Position::Top => Ok(0),
            Position::Bottom => Ok(tree::list(tree, place).len()),
            Position::Before(key) => of_name(tree, place, field, key),
            Position::After(key) => Ok(of_name(tree, place, field, key)? + 1),
        }
    }
}

/// A merge patch (RFC 7396): tables are merged, everything else is replaced, null takes away.
pub(super) fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(fields) = target else { return };
    for (key, value) in patch {
        if value.is_null() {
            fields.remove(&key);
        } else {
            merge(fields.entry(key).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn patches_merge_as_the_standard_says() {
        // RFC 7396, appendix A.
        for (original, patch, result) in [
            (json!({"a":"b"}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"b"}), json!({"b":"c"}), json!({"a":"b","b":"c"})),
            (json!({"a":"b"}), json!({"a":null}), json!({})),
            (json!({"a":"b","b":"c"}), json!({"a":null}), json!({"b":"c"})),
            (json!({"a":["b"]}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"c"}), json!({"a":["b"]}), json!({"a":["b"]})),
            (json!({"a":{"b":"c"}}), json!({"a":{"b":"d","c":null}}), json!({"a":{"b":"d"}})),
            (json!({"a":[{"b":"c"}]}), json!({"a":[1]}), json!({"a":[1]})),
            (json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"])),
            (json!({"e":null}), json!({"a":1}), json!({"e":null,"a":1})),
            (json!([1, 2]), json!({"a":"b","c":null}), json!({"a":"b"})),
            (json!({}), json!({"a":{"bb":{"ccc":null}}}), json!({"a":{"bb":{}}})),
        ] {
            let mut target = original.clone();
            merge(&mut target, patch.clone());
            assert_eq!(target, result, "{original} {patch}");
        }
    }

    #[test]
    fn positions_are_words_or_neighbours() {
        assert_eq!(position("after:1000010"), Ok(Position::After("1000010".into())));
        assert_eq!(position("top"), Ok(Position::Top));
        for wrong in ["", "up", "after", "behind:1"] {
            assert!(position(wrong).is_err(), "{wrong}");
        }
    }
}
