//! What is different between two documents, change by change, in words.
//!
//! Items of a list are known by what people call them (a rule by its id, a gateway by its name), so an inserted rule is
//! one change and not a hundred. Applying all changes to the old document gives the new one; applying some of them is how
//! a single change is discarded. Secrets are compared and never shown.

mod item;
mod list;
mod text;
mod words;

use serde::Serialize;
use serde_json::{Map, Value};

use super::Config;
pub use item::names;
pub(super) use list::longest_rising;
pub use text::unified;
pub use words::{MASK, is_secret};

/// A step on the way to a value.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Step {
    /// A field of a section.
    Field(String),
    /// An item of a list of sections: what people call it.
    Item(String),
}

/// What happened there.
#[derive(Clone, PartialEq, Debug)]
pub enum Kind {
    /// A value is another one; `None` stands for its default.
    Set(Option<Value>, Option<Value>),
    /// An item is new; it follows the named one.
    Added(Value, Option<String>),
    /// An item is gone.
    Removed(Value),
    /// An item stands elsewhere: it follows the named one now.
    Moved(Option<String>),
}

/// One change.
#[derive(Clone, PartialEq, Debug)]
pub struct Change {
    /// Where.
    pub path: Vec<Step>,
    /// What.
    pub kind: Kind,
    /// The item that it belongs to as it was or is, for words.
    about: Value,
}

/// A change as it is shown.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, serde::Deserialize)]
pub struct Row {
    /// Counts from one.
    pub number: usize,
    /// `rule[1000010].port`
    pub path: String,
    /// A sentence without a full stop.
    pub words: String,
}

/// Every change from `old` to `new`, in the order of the document. The revision is none.
pub fn changes(old: &Config, new: &Config) -> Vec<Change> {
    let (mut old, mut new) = (value_of(old), value_of(new));
    for document in [&mut old, &mut new] {
        if let Value::Object(map) = document {
            map.remove("revision");
        }
    }
    let mut found = Vec::new();
    compare(&mut Vec::new(), &old, &new, &Value::Null, &mut found);
    found
}

/// As they are shown.
pub fn rows(changes: &[Change]) -> Vec<Row> {
    let row = |(at, change): (usize, &Change)| Row {
        number: at + 1,
        path: change.path(),
        words: change.to_string(),
    };
    changes.iter().enumerate().map(row).collect()
}

/// `old` with these changes; `None` when what comes of it is no document. One whose place is gone changes nothing.
pub fn apply<'c>(old: &Config, changes: impl IntoIterator<Item = &'c Change>) -> Option<Config> {
    let mut value = value_of(old);
    item::tag(&mut value);
    // Removals first, so that what follows the removed finds its place.
    let (mut last, mut placed) = (Vec::new(), Vec::new());
    for change in changes {
        match &change.kind {
            Kind::Removed(_) => list::remove(&mut value, &change.path),
            Kind::Set(..) => last.push(change),
            Kind::Added(..) | Kind::Moved(_) => placed.push(change),
        }
    }
    placed.into_iter().for_each(|change| list::place(&mut value, change));
    last.into_iter().for_each(|change| set(&mut value, change));
    item::untag(&mut value);
    serde_json::from_value(value).ok()
}

fn value_of(config: &Config) -> Value {
    // Every field has a JSON form; see `Config::hash`.
    let mut value = serde_json::to_value(config).unwrap_or_default();
    // Whole sections with their default values are not written out; their fields are what people look for.
    if let Value::Object(document) = &mut value {
        fill(document, "outbound", &config.outbound);
        if let Value::Object(system) = fill(document, "system", &config.system) {
            fill(system, "web", &config.system.web);
            fill(system, "timeouts", &config.system.timeouts);
        }
    }
    value
}

fn fill<'v>(section: &'v mut Map<String, Value>, key: &str, what: &impl Serialize) -> &'v mut Value {
    section.entry(key).or_insert_with(|| serde_json::to_value(what).unwrap_or_default())
}

fn compare(path: &mut Vec<Step>, old: &Value, new: &Value, about: &Value, found: &mut Vec<Change>) {
    let (Value::Object(before), Value::Object(after)) = (old, new) else { return };
    let fields = words::in_order(before, after);
    for field in fields {
        path.push(Step::Field(field.clone()));
        let pair = (before.get(&field), after.get(&field));
        if is_items(pair.0)
            && is_items(pair.1)
            && [pair.0, pair.1].iter().flatten().any(|side| side.is_array())
        {
            let items = |side: Option<&Value>| side.and_then(Value::as_array).cloned().unwrap_or_default();
            list::compare(path, &field, &items(pair.0), &items(pair.1), found);
        } else if let (Some(section @ Value::Object(_)), Some(other @ Value::Object(_))) = pair {
            compare(path, section, other, about, found);
        } else if pair.0 != pair.1 {
            let kind = Kind::Set(pair.0.cloned(), pair.1.cloned());
            found.push(Change { path: path.clone(), kind, about: about.clone() });
        }
        path.pop();
    }
}

/// A list of sections, or none.
fn is_items(value: Option<&Value>) -> bool {
    match value {
        Some(Value::Array(items)) => items.iter().all(Value::is_object),
        Some(_) => false,
        None => true,
    }
}

/// The section that holds what the path ends with.
fn holder<'v>(value: &'v mut Value, path: &[Step]) -> Option<&'v mut Value> {
    let [path @ .., _] = path else { return None };
    let mut value = value;
    for step in path {
        value = match step {
            Step::Field(name) => value.as_object_mut()?.get_mut(name)?,
            Step::Item(name) => {
                let items = value.as_array_mut()?;
                let at = item::find(items, name)?;
                &mut items[at]
            }
        };
    }
    Some(value)
}

fn set(value: &mut Value, change: &Change) {
    let (Kind::Set(_, to), Some(Step::Field(field))) = (&change.kind, change.path.last()) else { return };
    let Some(Value::Object(section)) = holder(value, &change.path) else { return };
    put(section, field, to.clone());
}

fn put(section: &mut Map<String, Value>, field: &str, value: Option<Value>) {
    match value {
        Some(value) => section.insert(field.into(), value),
        None => section.remove(field),
    };
}

#[cfg(test)]
mod tests;
