//! A field of a form: a row of a table.

use serde_json::{Value, json};

/// A field: what it is called, what it means, where it stands in the document, how it is written.
#[derive(Clone, Copy)]
pub(in crate::web) struct Field {
    /// Below the section's base.
    pub path: &'static str,
    pub label: &'static str,
    /// A sentence.
    pub help: &'static str,
    pub kind: Kind,
    pub required: bool,
    /// Cannot be changed once the entry exists.
    pub fixed: bool,
}

/// How a field is written.
#[derive(Clone, Copy)]
pub(in crate::web) enum Kind {
    /// A line of text; what it is when empty.
    Text { default: &'static str },
    /// A line of text with suggestions: addresses and interfaces as rules know them.
    Endpoint,
    /// A number; what it is when empty.
    Number { default: &'static str },
    /// A tick; what it is when the document says nothing, and the words beside it.
    Flag { default: bool, words: &'static str },
    /// One of these: value and words. The first is what it is when the document says nothing.
    Choice(&'static [(&'static str, &'static str)]),
    /// Any of these: value and words.
    Several(&'static [(&'static str, &'static str)]),
    /// The name of a time zone.
    Zone,
    /// Yes, no, or what these words say.
    Maybe(&'static str),
    /// A port, a range or an alias of ports.
    Ports,
    /// The name of an entry of one of these lists of the document.
    Name(&'static [&'static str]),
    /// One text a line.
    Lines,
    /// One text a line, with words for people behind it.
    Entries,
    /// A text that is not shown; when nothing is written, it stays.
    Secret,
    /// A text of several lines, kept as it is.
    Block,
    /// The same, not shown; when nothing is written, it stays.
    SecretBlock,
    /// A new password, twice; when nothing is written, the old one stays.
    Password,
}

/// A field that may be left empty.
pub(in crate::web) const fn field(
    path: &'static str,
    label: &'static str,
    kind: Kind,
    help: &'static str,
) -> Field {
    Field { path, label, help, kind, required: false, fixed: false }
}

/// A field that must be filled in.
pub(in crate::web) const fn required(
    path: &'static str,
    label: &'static str,
    kind: Kind,
    help: &'static str,
) -> Field {
    Field { required: true, ..field(path, label, kind, help) }
}

/// A field that must be filled in when the entry is made, and stays.
pub(in crate::web) const fn fixed(
    path: &'static str,
    label: &'static str,
    kind: Kind,
    help: &'static str,
) -> Field {
    Field { fixed: true, ..required(path, label, kind, help) }
}

/// A line of text.
pub(in crate::web) const TEXT: Kind = Kind::Text { default: "" };
/// The field for people.
pub(in crate::web) const DESCRIPTION: Field =
    field("description", "Description", TEXT, "For people; it changes nothing.");
/// The field that keeps an entry out of force.
pub(in crate::web) const DISABLED: Field = field(
    "disabled",
    "Disabled",
    Kind::Flag { default: false, words: "Keep this entry, but not in force" },
    "What is disabled stays in the list and does nothing.",
);

/// What a form says about a place in the document.
pub(super) enum Reading {
    /// As it is.
    Keep,
    /// Nothing, so the default.
    Nothing,
    /// This.
    Value(Value),
}

impl Kind {
    /// What was filled in. What does not fit stands there as a text, and the reader of documents says what is wrong.
    pub(super) fn read<'p>(self, mut texts: impl Iterator<Item = &'p str>) -> Reading {
        if let Kind::Several(_) = self {
            let chosen: Vec<Value> = texts.filter(|text| !text.is_empty()).map(Value::from).collect();
            return if chosen.is_empty() { Reading::Nothing } else { Reading::Value(chosen.into()) };
        }
        let text = texts.next().unwrap_or_default().trim();
        let written = |value: Value| if text.is_empty() { Reading::Nothing } else { Reading::Value(value) };
        match self {
            Kind::Flag { .. } => Reading::Value((!text.is_empty()).into()),
            Kind::Lines => Reading::Value(text.split_whitespace().map(Value::from).collect()),
            Kind::Number { .. } => written(text.parse::<i64>().map_or_else(|_| text.into(), Value::from)),
            Kind::Maybe(_) => written(match text {
                "true" => true.into(),
                "false" => false.into(),
                other => other.into(),
            }),
            Kind::Text { .. }
            | Kind::Endpoint
            | Kind::Ports
            | Kind::Choice(_)
            | Kind::Zone
            | Kind::Name(_) => written(text.into()),
            Kind::Entries => Reading::Value(text.lines().filter_map(entry).collect()),
            Kind::Block => written(lines(text).into()),
            Kind::Secret | Kind::SecretBlock if text.is_empty() => Reading::Keep,
            // Nobody sees it, so that it cannot be emptied otherwise.
            Kind::Secret if text == "-" => Reading::Nothing,
            Kind::Secret => Reading::Value(text.into()),
            Kind::SecretBlock => Reading::Value(lines(text).into()),
            Kind::Password | Kind::Several(_) => Reading::Keep,
        }
    }
}

/// A browser ends lines in its own way.
fn lines(text: &str) -> String {
    text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// A line as a value, or with a description behind it as a table.
fn entry(line: &str) -> Option<Value> {
    let line = line.trim();
    match line.split_once(char::is_whitespace) {
        Some((value, description)) => {
            Some(json!({ "value": value, "description": description.trim_start() }))
        }
        None => (!line.is_empty()).then(|| line.into()),
    }
}

/// A value of the document as a person writes it.
pub(in crate::web) fn text_of(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(list)) => {
            list.iter().map(|item| text_of(Some(item))).collect::<Vec<_>>().join("\n")
        }
        Some(Value::Bool(flag)) => flag.to_string(),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::Object(table)) => {
            let texts = ["value", "description"].map(|key| text_of(table.get(key)));
            texts.join(" ").trim_end().to_owned()
        }
    }
}
