//! A list of values in a text: values keep the comments above and beside them while others go and come.

use std::collections::{HashMap, HashSet, VecDeque};

use toml_edit::{Array, Value};

use super::comments;

/// A value and what somebody wrote around it.
struct Entry {
    value: Value,
    /// Between the line before and the value.
    above: String,
    /// Behind it, up to the end of its line.
    beside: String,
}

/// The list becomes another one. `there` and `was` are the same list.
pub(super) fn change(there: &mut Array, was: &[Value], wanted: &[Value]) {
    let Taken { opening, mut entries, closing } = take_apart(there);
    let style = style(&entries);
    let spoken: Vec<String> = match was.len() == entries.len() {
        true => was.iter().map(words).collect(),
        false => entries.iter().flatten().map(|entry| words(&entry.value)).collect(),
    };
    let mut pairs = pair(&spoken, &wanted.iter().map(words).collect::<Vec<_>>(), vec![None; wanted.len()]);
    let name = |spoken: &[Value]| spoken.iter().map(called).collect::<Vec<_>>();
    if was.len() == entries.len() {
        pairs = pair(&name(was), &name(wanted), pairs);
    }
    let entry = |(wanted, pair): (&Value, Option<usize>)| {
        let known = pair.and_then(|at| entries.get_mut(at)?.take());
        match known {
            Some(entry) if words(&entry.value) == words(wanted) => entry,
            Some(entry) => Entry { value: wanted.clone(), ..entry },
            None => Entry { value: wanted.clone(), above: style.clone(), beside: String::new() },
        }
    };
    let entries = wanted.iter().zip(pairs).map(entry).collect();
    put_together(there, Taken { opening, entries, closing });
}

/// Old places for new values that have none yet, by what both are called.
fn pair(old: &[String], new: &[String], pairs: Vec<Option<usize>>) -> Vec<Option<usize>> {
    let mut free: HashMap<&str, VecDeque<usize>> = HashMap::new();
    let taken: HashSet<usize> = pairs.iter().flatten().copied().collect();
    for (at, name) in old.iter().enumerate().filter(|(at, _)| !taken.contains(at)) {
        free.entry(name).or_default().push_back(at);
    }
    let take =
        |(pair, name): (Option<usize>, &String)| pair.or_else(|| free.get_mut(name.as_str())?.pop_front());
    pairs.into_iter().zip(new).map(take).collect()
}

/// What a value says, in one form for all ways to write it.
pub(super) fn words(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{:?}", text.value()),
        Value::Integer(number) => number.value().to_string(),
        Value::Float(number) => number.value().to_string(),
        Value::Boolean(flag) => flag.value().to_string(),
        Value::Datetime(moment) => moment.value().to_string(),
        Value::Array(array) => format!("[{}]", array.iter().map(words).collect::<Vec<_>>().join(",")),
        Value::InlineTable(table) => {
            let mut fields: Vec<String> =
                table.iter().map(|(key, value)| format!("{key}={}", words(value))).collect();
            fields.sort_unstable();
            format!("{{{}}}", fields.join(","))
        }
    }
}

/// What people call it: the value of an entry that has also other fields.
fn called(value: &Value) -> String {
    let inside = value
        .as_inline_table()
        .and_then(|table| ["id", "name", "value"].iter().find_map(|key| table.get(key)));
    words(inside.unwrap_or(value))
}

/// A list in its parts.
struct Taken<E> {
    /// Beside the bracket that opens it.
    opening: String,
    entries: Vec<E>,
    /// In front of the bracket that closes it.
    closing: String,
}

fn take_apart(there: &mut Array) -> Taken<Option<Entry>> {
    let mut opening = String::new();
    let mut entries: Vec<Option<Entry>> = Vec::new();
    let mut beside = |entries: &mut Vec<Option<Entry>>, text: &str| match entries.last_mut() {
        Some(Some(entry)) => entry.beside.push_str(text),
        Some(None) | None => opening.push_str(text),
    };
    for value in there.iter() {
        let (line, above) = first_line(comments::above(value.decor()));
        beside(&mut entries, line);
        let suffix = value.decor().suffix().and_then(|suffix| suffix.as_str()).unwrap_or_default();
        let entry = Entry {
            above: above.into(),
            beside: suffix.trim_end().to_owned(),
            value: value.clone().decorated("", ""),
        };
        entries.push(Some(entry));
    }
    let trailing = there.trailing().as_str().unwrap_or_default().to_owned();
    let (line, closing) = first_line(&trailing);
    beside(&mut entries, line);
    let closing = if closing.is_empty() { last_line(there) } else { closing.to_owned() };
    there.clear();
    Taken { opening, entries, closing }
}

/// The comment at the end of a line, and the rest.
fn first_line(text: &str) -> (&str, &str) {
    match text.find('\n') {
        Some(end) if text[..end].contains('#') => text.split_at(end),
        Some(_) | None => ("", text),
    }
}

/// The line of the closing bracket, when no comma stands in front of it.
fn last_line(there: &Array) -> String {
    let last = there.iter().last().and_then(|value| value.decor().suffix()?.as_str()).unwrap_or_default();
    last.rfind('\n').map_or(String::new(), |at| last[at..].to_owned())
}

/// How a new value is set off from the one before it.
fn style(entries: &[Option<Entry>]) -> String {
    let above = entries.iter().flatten().map(|entry| entry.above.as_str()).next_back().unwrap_or_default();
    above.rfind('\n').map_or_else(|| " ".to_owned(), |at| above[at..].to_owned())
}

fn put_together(there: &mut Array, taken: Taken<Entry>) {
    let Taken { opening, entries, closing } = taken;
    let in_lines = entries.iter().any(|entry| entry.above.contains('\n'))
        || entries.iter().any(|entry| entry.beside.contains('#'))
        || opening.contains('#');
    let mut before = opening;
    for (at, Entry { value, above, beside }) in entries.into_iter().enumerate() {
        let above = match (in_lines, above.contains('\n'), at) {
            (true, false, _) => format!("\n{above}"),
            (false, _, 0) => String::new(),
            (true, true, _) | (false, _, _) => above,
        };
        there.push_formatted(value.decorated(format!("{before}{above}"), ""));
        before = beside;
    }
    let closing = if in_lines && !closing.contains('\n') { format!("\n{closing}") } else { closing };
    there.set_trailing_comma(in_lines);
    there.set_trailing(if in_lines { format!("{before}{closing}") } else { String::new() });
}
