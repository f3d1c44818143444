//! Names: their form, that they differ, and what a misspelt one was meant to be.

use std::collections::HashMap;
use std::hash::Hash;

use super::Report;
use crate::config::nearest::nearest;

/// Words that mean something else in a rule.
const RESERVED: [&str; 6] = ["any", "self", "this", "net", "address", "firewall"];

/// The name of a node, port, interface: it stands in rules, files and commands, so its form is narrow.
pub(super) fn check_name(path: &str, name: &str, report: &mut Report) {
    let form = name.len() <= 31
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-'));
    if !form {
        let remedy = "Write at most 31 lower-case letters, digits, _ and -, a letter first.";
        report.add(path, format!("\"{name}\" is not a usable name."), remedy);
    } else if RESERVED.contains(&name) {
        report.add(path, format!("\"{name}\" means something else in rules."), "Choose another name.");
    }
}

/// A gateway's name, which pfSense writes in capitals.
pub(super) fn check_gateway_name(path: &str, name: &str, report: &mut Report) {
    let form = (1..=31).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    if !form {
        let remedy = "Write at most 31 letters, digits, _ and -.";
        report.add(path, format!("\"{name}\" is not a usable name."), remedy);
    }
}

/// A host name (RFC 1123 section 2.1): labels of letters, digits and hyphens, joined by dots.
pub(super) fn check_hostname(path: &str, name: &str, report: &mut Report) {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    if name.len() > 253 || !name.split('.').all(label) {
        let remedy =
            "Write letters, digits and hyphens, in parts joined by dots, as in \"koi\" or \"fw.example\".";
        report.add(path, format!("\"{name}\" is not a host name."), remedy);
    }
}

/// Things that must differ: reports each later one that equals an earlier one.
pub(super) struct Unique<K> {
    what: &'static str,
    remedy: &'static str,
    first: HashMap<K, String>,
}

impl<K: Eq + Hash> Unique<K> {
    pub(super) fn new(what: &'static str, remedy: &'static str) -> Self {
        Unique { what, remedy, first: HashMap::new() }
    }

    /// `shown` is how the thing appears in the sentence.
    pub(super) fn claim(&mut self, path: &str, key: K, shown: &str, report: &mut Report) {
        match self.first.get(&key) {
            Some(first) => {
                let message = format!("{} {shown} is already taken by {first}.", self.what);
                report.add(path, message, self.remedy);
            }
            None => {
                self.first.insert(key, path.into());
            }
        }
    }
}

/// Reports a name that leads nowhere.
pub(super) fn unknown<'a>(
    path: &str,
    what: &str,
    name: &str,
    known: impl Iterator<Item = &'a str>,
    report: &mut Report,
) {
    let known: Vec<&str> = known.collect();
    let remedy = match (nearest(name, known.iter().copied()), known.as_slice()) {
        (Some(meant), _) => format!("Did you mean \"{meant}\"?"),
        (None, []) => format!("Add a {what} of this name."),
        (None, [only]) => format!("The only one is \"{only}\"."),
        (None, several) => format!("Write one of {}.", several.join(", ")),
    };
    report.add(path, format!("There is no {what} \"{name}\"."), remedy);
}
