//! Which page shows a place of the document, and what people call what is there.

use serde_json::Value;

use super::collection::Collection;
use super::form::{text_of, tree};
use super::guard::percent_encode;
use super::pages::{COLLECTIONS, SETTINGS};

/// Something on a page.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Whereabouts {
    /// What it is called.
    pub words: String,
    /// Its description.
    pub about: String,
    /// The page.
    pub path: String,
}

/// Where this path of the document is shown.
pub(super) fn find(tree: &Value, place: &str) -> Option<Whereabouts> {
    let in_list = COLLECTIONS.iter().find_map(|collection| {
        let rest = place.strip_prefix(collection.list)?.strip_prefix('[')?;
        let index: usize = rest.split_once(']')?.0.parse().ok()?;
        entry(collection, tree, index)
    });
    in_list.or_else(|| {
        let has = |base: &str| place.strip_prefix(base).is_some_and(|rest| rest.starts_with('.'));
        let found = SETTINGS.iter().find(|table| table.sections.iter().any(|(_, base, _)| has(base)))?;
        Some(Whereabouts { words: found.title.to_owned(), about: String::new(), path: found.slug.to_owned() })
    })
}

/// An entry of a list.
pub(super) fn entry(collection: &Collection, tree: &Value, index: usize) -> Option<Whereabouts> {
    let entry = tree::list(tree, collection.list).get(index)?;
    let key = collection.key_of(index, entry);
    let name = match text_of(entry.get("name")) {
        name if name.is_empty() && collection.key.is_empty() => (index + 1).to_string(),
        name if name.is_empty() => key.clone(),
        name => name,
    };
    Some(Whereabouts {
        words: format!("{} {name}", collection.one),
        about: text_of(entry.get("description")),
        path: format!("{}/edit/{}", collection.slug, percent_encode(&key)),
    })
}
