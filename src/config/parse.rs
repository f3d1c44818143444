//! From text to the plain model, with every mistake found in one go.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue, Deserializer, Error};

use super::migrate::migrate;
use super::nearest::nearest;
use super::schema::{self, Field, Shape};
use super::{Config, Problem, Valid, defaults, validate};

/// So many problems of a text are told; more would only take time.
const PROBLEMS: usize = 1000;

/// Reads a text as a document. Does not check its sense; see [`validate`].
pub fn parse(text: &str) -> Result<Config, Vec<Problem>> {
    match migrate(text) {
        Some(migrated) => read(&migrated.text).map(|(config, _)| config).map_err(without_places),
        None => read(text).map(|(config, _)| config),
    }
}

/// Reads a text and checks its sense; problems carry their lines.
pub fn load(text: &str) -> Result<Valid<Config>, Vec<Problem>> {
    match migrate(text) {
        Some(migrated) => load_present(&migrated.text).map_err(without_places),
        None => load_present(text),
    }
}

fn load_present(text: &str) -> Result<Valid<Config>, Vec<Problem>> {
    let (config, places) = read(text)?;
    validate(config).map_err(|mut problems| {
        for problem in &mut problems {
            (problem.line, problem.column) = places.find(&problem.path);
        }
        problems.sort_by_key(|problem| problem.line);
        problems
    })
}

/// The lines are those of a text that nobody has.
fn without_places(problems: Vec<Problem>) -> Vec<Problem> {
    problems.into_iter().map(|problem| Problem { line: None, column: None, ..problem }).collect()
}

fn read(text: &str) -> Result<(Config, Places<'_>), Vec<Problem>> {
    let (root, errors) = DeTable::parse_recoverable(text);
    let mut walk = Walk { places: Places::new(text), problems: Vec::new() };
    if !errors.is_empty() {
        for error in &errors {
            walk.refuse(error.span(), "", sentence(error.message()), "Correct the TOML there.");
        }
        return Err(walk.finish());
    }
    if let Some(problem) = other_schema(root.get_ref()) {
        walk.refuse(Some(problem.0), "schema", problem.1, problem.2);
        return Err(walk.finish());
    }
    walk.table("", root.span(), root.get_ref(), schema::DOCUMENT);
    if !walk.problems.is_empty() {
        return Err(walk.finish());
    }
    match Config::deserialize(Deserializer::from(root)) {
        Ok(config) => Ok((config, walk.places)),
        Err(error) => {
            walk.refuse(error.span(), "", sentence(error.message()), "Correct the value there.");
            Err(walk.finish())
        }
    }
}

/// A document of a newer version is refused for that alone: its other keys would only make noise.
fn other_schema(root: &DeTable<'_>) -> Option<(Range<usize>, String, String)> {
    let value = root.get("schema")?;
    let number = value.get_ref().as_integer()?.as_str();
    if number.parse() == Ok(defaults::SCHEMA) {
        return None;
    }
    Some((
        value.span(),
        format!("This is a document of schema version {number}."),
        format!("This release reads schema version {}; use the release that wrote it.", defaults::SCHEMA),
    ))
}

/// Where each path stands in the text.
struct Places<'t> {
    text: &'t str,
    /// Where each line begins.
    lines: Vec<usize>,
    spans: BTreeMap<String, usize>,
}

impl<'t> Places<'t> {
    fn new(text: &'t str) -> Self {
        let ends = text.match_indices('\n').map(|(at, _)| at + 1);
        Places { text, lines: std::iter::once(0).chain(ends).collect(), spans: BTreeMap::new() }
    }

    /// Line and column of a path, or of the nearest table around it (for a key that is missing).
    fn find(&self, path: &str) -> (Option<usize>, Option<usize>) {
        let mut path = path;
        loop {
            if let Some(offset) = self.spans.get(path) {
                let (line, column) = self.position(*offset);
                return (Some(line), Some(column));
            }
            match path.rfind(['.', '[']) {
                Some(end) => path = &path[..end],
                None => return (None, None),
            }
        }
    }

    fn position(&self, offset: usize) -> (usize, usize) {
        let line = self.lines.partition_point(|start| *start <= offset).max(1);
        let start = self.lines.get(line - 1).copied().unwrap_or_default();
        let before = self.text.get(start..offset).unwrap_or_default();
        (line, before.chars().count() + 1)
    }
}

/// A walk over the text along the schema.
struct Walk<'t> {
    places: Places<'t>,
    problems: Vec<Problem>,
}

impl Walk<'_> {
    fn finish(mut self) -> Vec<Problem> {
        self.problems.sort_by_key(|problem| (problem.line, problem.column));
        self.problems
    }

    fn refuse(
        &mut self,
        span: Option<Range<usize>>,
        path: &str,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        if self.problems.len() >= PROBLEMS {
            return;
        }
        let mut problem = Problem::new(path, message, remedy);
        if let Some(span) = span {
            let (line, column) = self.places.position(span.start);
            (problem.line, problem.column) = (Some(line), Some(column));
        }
        self.problems.push(problem);
    }

    fn table(&mut self, path: &str, span: Range<usize>, table: &DeTable<'_>, fields: &[Field]) {
        for (key, value) in table {
            let here = join(path, key.get_ref());
            match fields.iter().find(|field| field.key == key.get_ref().as_ref()) {
                Some(field) => {
                    self.places.spans.insert(here.clone(), value.span().start);
                    self.field(&here, value, field);
                }
                None => self.unknown(key.span(), &here, key.get_ref(), fields),
            }
        }
        for field in fields.iter().filter(|field| field.required && !table.contains_key(field.key)) {
            let message = format!("\"{}\" is missing.", field.key);
            self.refuse(Some(span.clone()), &join(path, field.key), message, write(field));
        }
    }

    fn field(&mut self, path: &str, value: &Spanned<DeValue<'_>>, field: &Field) {
        match (&field.shape, value.get_ref()) {
            (Shape::Value(attempt), _) => self.value(path, value, field, attempt(value)),
            (Shape::List(attempt), DeValue::Array(list)) => {
                for (index, item) in list.iter().enumerate() {
                    let here = format!("{path}[{index}]");
                    self.places.spans.insert(here.clone(), item.span().start);
                    self.value(&here, item, field, attempt(item));
                }
            }
            (Shape::Table(fields), DeValue::Table(table)) => self.table(path, value.span(), table, fields),
            (Shape::Tables(fields), DeValue::Array(list)) => {
                for (index, item) in list.iter().enumerate() {
                    let here = format!("{path}[{index}]");
                    self.places.spans.insert(here.clone(), item.span().start);
                    match item.get_ref() {
                        DeValue::Table(table) => self.table(&here, item.span(), table, fields),
                        other => self.wrong_kind(&here, item.span(), other, field),
                    }
                }
            }
            (Shape::List(_) | Shape::Table(_) | Shape::Tables(_), other) => {
                self.wrong_kind(path, value.span(), other, field);
            }
        }
    }

    fn value(&mut self, path: &str, value: &Spanned<DeValue<'_>>, field: &Field, attempt: Result<(), Error>) {
        let Err(error) = attempt else { return };
        // Our own types say "what is wrong; what to write".
        let what = error.message();
        let what = what.split_once("; ").map_or(what, |(what, _)| what);
        let what = ["u8", "u16", "u32", "u64"].iter().fold(what.to_owned(), |what, name| {
            what.strip_suffix(name).map_or(what.clone(), |rest| format!("{rest}a whole number in its range"))
        });
        let message = match value.get_ref() {
            DeValue::String(text) if !what.contains(text.as_ref()) => {
                format!("\"{text}\" does not fit here: {}", sentence(&what))
            }
            _ => sentence(&what),
        };
        self.refuse(Some(value.span()), path, message, write(field));
    }

    fn wrong_kind(&mut self, path: &str, span: Range<usize>, found: &DeValue<'_>, field: &Field) {
        let message = format!("{} does not fit here.", sentence(found.type_str()).trim_end_matches('.'));
        self.refuse(Some(span), path, message, write(field));
    }

    fn unknown(&mut self, span: Range<usize>, path: &str, key: &str, fields: &[Field]) {
        let remedy = match nearest(key, fields.iter().map(|field| field.key)) {
            Some(meant) => format!("Did you mean \"{meant}\"?"),
            None => {
                let known: Vec<&str> = fields.iter().map(|field| field.key).collect();
                format!("Remove it; known here are {}.", known.join(", "))
            }
        };
        self.refuse(Some(span), path, format!("\"{key}\" is not known here."), remedy);
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.into() } else { format!("{path}.{key}") }
}

fn write(field: &Field) -> String {
    format!("Write {}.", field.write)
}

/// With a capital letter in front and a full stop behind.
fn sentence(text: &str) -> String {
    let text = text.trim().trim_end_matches('.').replace('`', "\"").replace('\n', "; ");
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => format!("{}{}.", first.to_uppercase(), letters.as_str()),
        None => text,
    }
}
