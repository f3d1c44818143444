//! The document as a tree whose places have the same paths as problems: `rule[2].destination`.

use serde_json::{Map, Value};

use crate::config::{self, Config, Problem, Valid};

/// A step of a path.
enum Step<'p> {
    Key(&'p str),
    Index(usize),
}

/// The steps of a path. What is not a number between brackets leads nowhere.
fn steps(path: &str) -> impl Iterator<Item = Step<'_>> {
    path.split(['.', '[']).filter(|part| !part.is_empty()).map(|part| match part.strip_suffix(']') {
        Some(index) => Step::Index(index.parse().unwrap_or(usize::MAX)),
        None => Step::Key(part),
    })
}

/// The document as a tree.
pub(in crate::web) fn tree(config: &Config) -> Value {
    serde_json::to_value(config).unwrap_or_default()
}

/// What stands at a path.
pub(in crate::web) fn get<'t>(tree: &'t Value, path: &str) -> Option<&'t Value> {
    steps(path).try_fold(tree, |value, step| match step {
        Step::Key(key) => value.get(key),
        Step::Index(index) => value.get(index),
    })
}

/// The list at a path; empty when there is none.
pub(in crate::web) fn list<'t>(tree: &'t Value, path: &str) -> &'t [Value] {
    get(tree, path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The list at a path, to change it; made when there is none. `None` when something else is there.
pub(in crate::web) fn list_mut<'t>(tree: &'t mut Value, path: &str) -> Option<&'t mut Vec<Value>> {
    let value = place(tree, path)?;
    if value.is_null() {
        *value = Value::Array(Vec::new());
    }
    value.as_array_mut()
}

/// Writes a value at a path, or takes away what is there. Tables on the way are made.
pub(in crate::web) fn set(tree: &mut Value, path: &str, value: Option<Value>) {
    match value {
        Some(value) => {
            if let Some(place) = place(tree, path) {
                *place = value;
            }
        }
        None => {
            let (parent, key) = path.rsplit_once('.').unwrap_or(("", path));
            if get(tree, parent).is_some_and(|table| table.get(key).is_some())
                && let Some(Value::Object(table)) = place(tree, parent)
            {
                table.remove(key);
            }
        }
    }
}

/// The place of a path. A list grows by one at its end; what is further out has no place.
fn place<'t>(tree: &'t mut Value, path: &str) -> Option<&'t mut Value> {
    steps(path).try_fold(tree, |value, step| match step {
        Step::Key(key) => {
            if value.is_null() {
                *value = Value::Object(Map::new());
            }
            Some(value.as_object_mut()?.entry(key).or_insert(Value::Null))
        }
        Step::Index(index) => {
            if value.is_null() {
                *value = Value::Array(Vec::new());
            }
            let list = value.as_array_mut()?;
            if index == list.len() {
                list.push(Value::Null);
            }
            list.get_mut(index)
        }
    })
}

/// Reads the tree as a person's text would be read: every problem at once, each with its path.
pub(in crate::web) fn check(tree: &Value) -> Result<Valid<Config>, Vec<Problem>> {
    let text = toml::to_string(tree).map_err(|error| {
        vec![Problem::new("", format!("This cannot be written down: {error}."), "Correct what you wrote.")]
    })?;
    config::load(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_survives_the_tree() {
        for text in [
            include_str!("../../../configs/pair.toml"),
            include_str!("../../../configs/lab.toml"),
            include_str!("../../../configs/single.toml"),
            include_str!("../../../configs/dmz.toml"),
        ] {
            let config = config::load(text).unwrap();
            assert_eq!(check(&tree(&config)).unwrap(), config);
        }
    }

    #[test]
    fn paths_lead_to_what_problems_name() {
        let config = config::load(include_str!("../../../configs/pair.toml")).unwrap();
        let mut tree = tree(&config);
        assert_eq!(get(&tree, "node[1].name").unwrap(), "beta");
        assert_eq!(get(&tree, "node[1].interface[0].addresses[0]").unwrap(), "198.51.100.4/24");
        for nowhere in ["node[7].name", "node[x]", "node.name", "nothing", "system.hostname.more"] {
            assert!(get(&tree, nowhere).is_none(), "{nowhere}");
        }
        assert_eq!(get(&tree, ""), Some(&tree));
        set(&mut tree, "system.web.port", Some(8443.into()));
        set(&mut tree, "pair.preempt_delay", None);
        set(&mut tree, "pair.nothing", None);
        set(&mut tree, "absent.table", None);
        set(&mut tree, "rule[999].id", Some(1.into()));
        assert!(get(&tree, "absent").is_none(), "taking away makes nothing");
        let changed = check(&tree).unwrap();
        assert_eq!((changed.system.web.port, changed.pair.as_ref().unwrap().preempt_delay), (8443, 30));
        set(&mut tree, "interface[1].zone", Some("elsewhere".into()));
        let problems = check(&tree).unwrap_err();
        assert_eq!(problems[0].path, "interface[1].zone");
    }
}
