//! Forms as tables of fields.
//!
//! A form is sections of [`Field`]s, each with its place in the document. What was filled in is written into the
//! document's tree at those places ([`fill`]), the tree is read as a person's text would be ([`tree::check`]), and every
//! problem goes back to the field that it names ([`Form::tell`]). A name of an input is the path in the document.

mod field;
pub(super) mod tree;

use serde_json::Value;

use field::Reading;
pub(super) use field::{DESCRIPTION, DISABLED, Field, Kind, TEXT, field, fixed, required, text_of};

use super::hash;
use super::visitor::Posted;
use crate::config::defaults::TIMEZONE;
use crate::config::{Problem, calendar};

/// Fields that stand together in the document.
pub(super) struct Section {
    pub title: String,
    /// Path of the table that the fields are in.
    pub base: String,
    pub fields: &'static [Field],
}

impl Section {
    /// A section at this place.
    pub fn new(title: impl Into<String>, base: impl Into<String>, fields: &'static [Field]) -> Section {
        Section { title: title.into(), base: base.into(), fields }
    }

    fn path(&self, field: &Field) -> String {
        if self.base.is_empty() { field.path.to_owned() } else { format!("{}.{}", self.base, field.path) }
    }
}

/// A form as it is shown.
pub(super) struct Form {
    pub groups: Vec<Group>,
    /// What is wrong and belongs to no field.
    pub problems: Vec<String>,
}

/// A section as it is shown.
pub(super) struct Group {
    pub title: String,
    pub rows: Vec<Row>,
}

/// A field as it is shown.
pub(super) struct Row {
    /// Path in the document.
    pub name: String,
    /// For labels.
    pub id: String,
    pub label: &'static str,
    pub help: &'static str,
    pub required: bool,
    pub control: Control,
    pub error: Option<String>,
}

/// What a person writes in.
pub(super) enum Control {
    /// A line.
    Line { value: String, default: String, suggestions: Vec<String>, number: bool },
    /// Lines.
    Area { value: String },
    /// A tick.
    Tick { ticked: bool, words: &'static str },
    /// Any of several.
    Ticks { options: Vec<Choice> },
    /// One of several.
    Select { options: Vec<Choice> },
    /// What cannot be changed.
    Fixed { value: String },
    /// A secret; whether there is one.
    Secret { present: bool },
    /// A secret of several lines; whether there is one.
    SecretArea { present: bool },
    /// A password, twice; whether there is one.
    Password { present: bool },
}

/// An option.
pub(super) struct Choice {
    pub value: String,
    pub words: String,
    pub selected: bool,
}

/// Writes what was filled in into the tree. Only passwords are judged here: the tree holds their hashes.
pub(super) fn fill(sections: &[Section], posted: &Posted, tree: &mut Value, is_new: bool) -> Vec<Problem> {
    let mut problems = Vec::new();
    for section in sections {
        for field in section.fields.iter().filter(|field| is_new || !field.fixed) {
            let path = section.path(field);
            if let Kind::Password = field.kind {
                match new_password(&path, section, posted, is_new) {
                    Ok(Some(hash)) => tree::set(tree, &path, Some(hash.into())),
                    Ok(None) => {}
                    Err(why) => problems.push(Problem::new(path, why, "")),
                }
                continue;
            }
            match field.kind.read(posted.all(&path)) {
                Reading::Keep => {}
                Reading::Nothing => tree::set(tree, &path, None),
                Reading::Value(value) => tree::set(tree, &path, Some(value)),
            }
        }
    }
    problems
}

/// The hash of a new password; `None` when the old one stays.
fn new_password(
    path: &str,
    section: &Section,
    posted: &Posted,
    is_new: bool,
) -> Result<Option<String>, String> {
    let field = |name: &str| posted.get(name).unwrap_or_default();
    let (password, again) = (field(path), field(&format!("{path}.again")));
    if password.is_empty() && again.is_empty() {
        return if is_new { Err("Set a password.".into()) } else { Ok(None) };
    }
    if password != again {
        return Err("The two are not the same.".into());
    }
    hash::acceptable_password(field(&format!("{}.name", section.base)), password)?;
    hash::hash_password(password).map(Some).map_err(|error| format!("{error:#}"))
}

impl Form {
    /// Shows what stands in the tree.
    pub fn new(sections: &[Section], tree: &Value, is_new: bool) -> Form {
        let group = |section: &Section| Group {
            title: section.title.clone(),
            rows: section.fields.iter().map(|field| Row::new(section, field, tree, is_new)).collect(),
        };
        Form { groups: sections.iter().map(group).collect(), problems: Vec::new() }
    }

    /// Puts each problem to its field.
    pub fn tell(mut self, problems: &[Problem]) -> Form {
        for problem in problems {
            let text = sentence(problem);
            let rows = self.groups.iter_mut().flat_map(|group| &mut group.rows);
            let rows: Vec<&mut Row> = rows.collect();
            let is_within = |row: &&mut Row| problem.path.contains('[') && is_at(&row.name, &problem.path);
            let place = rows.iter().position(|row| is_at(&problem.path, &row.name));
            // What is said of a list of the entry itself stands at the first field in it.
            let place = place.or_else(|| rows.iter().position(is_within));
            match place.and_then(|place| rows.into_iter().nth(place)) {
                Some(row) => {
                    let before = row.error.take().map_or_else(String::new, |before| before + " ");
                    row.error = Some(before + &text);
                }
                None if problem.path.is_empty() => self.problems.push(text),
                None => self.problems.push(format!("{}: {text}", problem.path)),
            }
        }
        self
    }

    /// How many fields are wrong, and what else is.
    pub fn wrong(&self) -> usize {
        let rows = self.groups.iter().flat_map(|group| &group.rows);
        rows.filter(|row| row.error.is_some()).count() + self.problems.len()
    }
}

/// True when the path of a problem is that of a field, or leads into it.
fn is_at(problem: &str, field: &str) -> bool {
    problem.strip_prefix(field).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// What is wrong and what to do, without the advice that is about TOML.
pub(super) fn sentence(problem: &Problem) -> String {
    let mut remedy = problem.remedy.clone();
    for quotes in [", in quotes", " in quotes", ", without quotes"] {
        remedy = remedy.replace(quotes, "");
    }
    format!("{} {remedy}", problem.message).trim_end().to_owned()
}

impl Row {
    fn new(section: &Section, field: &Field, tree: &Value, is_new: bool) -> Row {
        let name = section.path(field);
        let id = name.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        let value = tree::get(tree, &name);
        let control = if field.fixed && !is_new {
            Control::Fixed { value: text_of(value) }
        } else {
            control(field, value, tree)
        };
        let (label, help, required) = (field.label, field.help, field.required);
        Row { name, id, label, help, required, control, error: None }
    }
}

fn control(field: &Field, value: Option<&Value>, tree: &Value) -> Control {
    let text = text_of(value);
    let line = |default: &str, suggestions, number| Control::Line {
        value: text.clone(),
        default: default.to_owned(),
        suggestions,
        number,
    };
    match field.kind {
        Kind::Text { default } => line(default, Vec::new(), false),
        Kind::Endpoint => line("any", endpoints(tree), false),
        Kind::Ports => line("any", aliases(tree, true), false),
        Kind::Number { default } => line(default, Vec::new(), true),
        Kind::Flag { default, words } => {
            Control::Tick { ticked: value.and_then(Value::as_bool).unwrap_or(default), words }
        }
        Kind::Choice(options) => {
            select(options.iter().map(|(value, words)| (*value, (*words).into())), &text)
        }
        Kind::Several(options) => Control::Ticks { options: several(options, value) },
        Kind::Zone => line(TIMEZONE, calendar::zones(), false),
        Kind::Maybe(words) => {
            select([("", words.into()), ("true", "Yes".into()), ("false", "No".into())].into_iter(), &text)
        }
        Kind::Name(lists) => {
            let entries = lists.iter().flat_map(|list| tree::list(tree, list));
            let names = entries.filter_map(|entry| entry.get("name")?.as_str());
            let blank = if field.required { "Choose one" } else { "None" };
            select([("", blank.to_owned())].into_iter().chain(names.map(|name| (name, name.into()))), &text)
        }
        Kind::Lines | Kind::Entries | Kind::Block => Control::Area { value: text },
        Kind::SecretBlock => Control::SecretArea { present: value.is_some() },
        Kind::Secret => Control::Secret { present: value.is_some() },
        Kind::Password => Control::Password { present: value.is_some() },
    }
}

/// What does not stand among the options is one, too: a form must not change what nobody touched.
fn select<'o>(options: impl Iterator<Item = (&'o str, String)>, text: &str) -> Control {
    let mut options: Vec<Choice> = options
        .map(|(value, words)| Choice { value: value.to_owned(), selected: value == text, words })
        .collect();
    if !text.is_empty() && !options.iter().any(|option| option.selected) {
        options.push(Choice { value: text.to_owned(), words: text.to_owned(), selected: true });
    }
    Control::Select { options }
}

/// What does not stand among the options is one, too.
fn several(options: &[(&str, &str)], value: Option<&Value>) -> Vec<Choice> {
    let chosen: Vec<String> =
        value.and_then(Value::as_array).into_iter().flatten().map(|item| text_of(Some(item))).collect();
    let others = chosen.iter().filter(|text| !options.iter().any(|(value, _)| value == text));
    let others = others.map(|text| Choice { value: text.clone(), words: text.clone(), selected: true });
    let is_chosen = |value: &str| chosen.iter().any(|text| text == value);
    let known = options.iter().map(|(value, words)| Choice {
        value: (*value).to_owned(),
        words: (*words).to_owned(),
        selected: is_chosen(value),
    });
    known.chain(others.collect::<Vec<_>>()).collect()
}

/// Suggestions of a field; with more, a page would be little else.
const SUGGESTIONS: usize = 300;

/// What may stand in an endpoint, apart from addresses.
fn endpoints(tree: &Value) -> Vec<String> {
    let mut words = vec!["any".to_owned(), "this firewall".to_owned()];
    for entry in tree::list(tree, "interface") {
        if let Some(name) = entry.get("name").and_then(Value::as_str) {
            words.extend([format!("{name} net"), format!("{name} address")]);
        }
    }
    words.extend(aliases(tree, false));
    words.truncate(SUGGESTIONS);
    words
}

/// Names of the aliases of ports, or of those of addresses.
fn aliases(tree: &Value, of_ports: bool) -> Vec<String> {
    let those = tree::list(tree, "alias").iter();
    let those = those.filter(|alias| (text_of(alias.get("type")) == "port") == of_ports);
    those.map(|alias| text_of(alias.get("name"))).take(SUGGESTIONS).collect()
}

#[cfg(test)]
mod tests;
