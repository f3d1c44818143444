//! A change as a person would say it, in pfSense's words.

use std::fmt;

use serde_json::{Map, Value};

use super::{Change, Kind, Step};
use crate::config::schema;

/// What stands for a secret.
pub const MASK: &str = "***";
/// A list that is longer is not shown whole.
const SHOWN: usize = 120;

/// Keys whose values must not be seen.
const SECRETS: [&str; 4] = ["password", "password_hash", "secret", "private_key"];

/// True for the name of a field that holds a secret.
pub fn is_secret(field: &str) -> bool {
    SECRETS.iter().any(|secret| field.ends_with(secret))
}

/// The fields of both, in the order in which the document has them.
pub(super) fn in_order(before: &Map<String, Value>, after: &Map<String, Value>) -> Vec<String> {
    let mut fields: Vec<String> = before.keys().chain(after.keys()).cloned().collect();
    fields.sort_by_key(|field| (schema::place(field), field.clone()));
    fields.dedup();
    fields
}

impl Change {
    /// Where: `rule[1000010].port`.
    pub fn path(&self) -> String {
        let mut text = String::new();
        for step in &self.path {
            match step {
                Step::Field(name) if text.is_empty() => text.push_str(name),
                Step::Field(name) => text.extend([".", name]),
                Step::Item(name) => text.extend(["[", name, "]"]),
            }
        }
        text
    }

    /// The item that the change is about, from outside in: `node alpha, port wan`.
    fn subject(&self) -> String {
        let mut parts: Vec<String> = Vec::new();
        let items: Vec<usize> =
            (0..self.path.len()).filter(|at| matches!(self.path[*at], Step::Item(_))).collect();
        for at in &items {
            let (Some(Step::Field(list)), Step::Item(name)) = (self.path.get(at - 1), &self.path[*at]) else {
                continue;
            };
            let last = Some(at) == items.last();
            parts.push(if last { item(list, name, &self.about) } else { format!("{} {name}", noun(list)) });
        }
        parts.join(", ")
    }

    /// The field that the change is about: `timeouts: tcp established`.
    fn field(&self) -> String {
        let from = self.path.iter().rposition(|step| matches!(step, Step::Item(_))).map_or(0, |at| at + 1);
        let field = |step: &Step| match step {
            Step::Field(name) | Step::Item(name) => spoken(name),
        };
        self.path[from..].iter().map(field).collect::<Vec<_>>().join(" ")
    }

    fn is_secret(&self) -> bool {
        matches!(self.path.last(), Some(Step::Field(field)) if is_secret(field))
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subject = self.subject();
        match &self.kind {
            Kind::Added(_, Some(previous)) if self.has_order() => {
                write!(f, "{subject} added after {previous}")
            }
            Kind::Added(..) => write!(f, "{subject} added"),
            Kind::Removed(_) => write!(f, "{subject} removed"),
            Kind::Moved(Some(previous)) => write!(f, "{subject} moved behind {previous}"),
            Kind::Moved(None) => write!(f, "{subject} moved to the top"),
            Kind::Set(before, after) => {
                if !subject.is_empty() {
                    write!(f, "{subject}: ")?;
                }
                if self.is_secret() {
                    return write!(f, "{} changed", self.field());
                }
                let (was, is) = (before.as_ref(), after.as_ref());
                write!(f, "{}: {} -> {}", self.field(), beside(was, is), beside(is, was))
            }
        }
    }
}

impl Change {
    /// The order of rules matters, that of gateways does not.
    fn has_order(&self) -> bool {
        let list = self.path.iter().rev().nth(1);
        matches!(list, Some(Step::Field(list)) if list == "rule")
    }
}

fn noun(list: &str) -> String {
    match list {
        "virtual_ip" => "virtual IP".into(),
        other => spoken(other),
    }
}

fn spoken(key: &str) -> String {
    key.replace('_', " ")
}

fn item(list: &str, name: &str, about: &Value) -> String {
    let text = |key: &str| about[key].as_str().filter(|text| !text.is_empty());
    let called = match (list, text("description")) {
        ("virtual_ip", _) => {
            let first = about["addresses"].get(0).and_then(Value::as_str).unwrap_or(name);
            return format!(
                "virtual IP {first} (VHID {} on {})",
                about["vhid"],
                text("interface").unwrap_or("?")
            );
        }
        (_, Some(description)) if list == "rule" => format!("'{description}'"),
        (_, Some(_) | None) => name.to_owned(),
    };
    match text("interface").filter(|_| list == "rule") {
        Some(interface) => format!("{} {called} on {interface}", noun(list)),
        None => format!("{} {called}", noun(list)),
    }
}

/// A value; a default in the words that fit the other one.
fn beside(value: Option<&Value>, other: Option<&Value>) -> String {
    match (value, other) {
        (None, Some(Value::Bool(true))) => "off".into(),
        (None, Some(Value::Bool(false))) => "on".into(),
        (None, Some(Value::String(_) | Value::Array(_) | Value::Object(_))) => "none".into(),
        (None, Some(Value::Number(_) | Value::Null) | None) | (Some(_), _) => shown(value),
    }
}

fn shown(value: Option<&Value>) -> String {
    let text = match value {
        None | Some(Value::Null) => return "default".into(),
        Some(Value::Bool(true)) => "on".into(),
        Some(Value::Bool(false)) => "off".into(),
        Some(Value::String(text)) => text.clone(),
        Some(number @ Value::Number(_)) => number.to_string(),
        Some(Value::Array(items)) => {
            items.iter().map(|item| shown(Some(item))).collect::<Vec<_>>().join(", ")
        }
        Some(Value::Object(section)) => {
            let field = |(key, value): (&String, &Value)| {
                let value = if is_secret(key) { MASK.into() } else { shown(Some(value)) };
                format!("{} {value}", spoken(key))
            };
            section.iter().map(field).collect::<Vec<_>>().join(", ")
        }
    };
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}
