//! What an item of a list is called.

use std::collections::BTreeMap;

use serde_json::Value;

/// A name for each item, unique in its list.
pub fn names(list: &str, items: &[Value]) -> Vec<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let name = |item| {
        let name = name(list, item);
        let count = seen.entry(name.clone()).or_default();
        *count += 1;
        if *count == 1 { name } else { format!("{name}#{count}") }
    };
    items.iter().map(name).collect()
}

fn name(list: &str, item: &Value) -> String {
    let text = |key: &str| match &item[key] {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    if list == "virtual_ip" {
        return format!("{}:{}", text("interface").unwrap_or_default(), text("vhid").unwrap_or_default());
    }
    ["id", "name", "destination"].into_iter().find_map(text).unwrap_or_else(|| item.to_string())
}

/// The field of an item that holds its name while changes are applied. No document can have such a field.
const TAG: &str = "\0";

/// Every item knows its name: it keeps it while others go and come.
pub(super) fn tag(value: &mut Value) {
    let Value::Object(section) = value else { return };
    for (field, value) in section {
        match value {
            Value::Array(items) if items.iter().all(Value::is_object) => {
                let names = names(field, items);
                for (item, name) in items.iter_mut().zip(names) {
                    tag(item);
                    call(item, name);
                }
            }
            Value::Object(_) => tag(value),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {}
        }
    }
}

/// The item has this name from now on.
pub(super) fn call(item: &mut Value, name: String) {
    if let Value::Object(section) = item {
        section.insert(TAG.into(), Value::String(name));
    }
}

/// Where the item of this name is.
pub(super) fn find(items: &[Value], name: &str) -> Option<usize> {
    items.iter().position(|item| item.get(TAG).and_then(Value::as_str) == Some(name))
}

/// The names go again.
pub(super) fn untag(value: &mut Value) {
    match value {
        Value::Object(section) => {
            section.remove(TAG);
            section.values_mut().for_each(untag);
        }
        Value::Array(items) => items.iter_mut().for_each(untag),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
