//! Edits of the text that leave the rest of it, comments included, as it is. A text of an older version of the format
//! becomes one of the present version with the first edit.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diff::{MASK, is_secret};
use super::migrate::present;
use super::model::Config;

mod array;
mod comments;
mod list;
mod order;
mod weave;

pub use weave::rewrite;

/// The text with another revision; `None` when it has none.
pub fn renumber(text: &str, revision: u64) -> Option<String> {
    let text = &*present(text);
    let span = value_at(text, "revision")?;
    Some(format!("{}{revision}{}", &text[..span.start], &text[span.end..]))
}

/// The text with another value at a path like `rule[2].description` or `node[alpha].loopback`, which must have one; a value that
/// is no TOML is taken for a text.
///
/// # Errors
/// Says why not.
pub fn set(text: &str, path: &str, value: &str) -> Result<String, String> {
    let text = &*present(text);
    let written = if DeValue::parse(value).is_ok() {
        value.to_owned()
    } else {
        toml::Value::String(value.into()).to_string()
    };
    if let Some(span) = value_at(text, path) {
        return Ok(format!("{}{written}{}", &text[..span.start], &text[span.end..]));
    }
    let Some((section, key)) = path.rsplit_once('.') else {
        return Ok(format!("{path} = {written}\n{text}"));
    };
    match line_for(text, section) {
        Some(at) => Ok(format!("{}{key} = {written}\n{}", &text[..at], &text[at..])),
        None if section.contains('[') => Err(format!("there is no section \"{section}\"")),
        None => Ok(format!("{}\n\n[{section}]\n{key} = {written}\n", text.trim_end())),
    }
}

/// The text without its secrets.
pub fn mask(text: &str) -> String {
    let mut spans = Vec::new();
    match DeTable::parse(text) {
        Ok(table) => secrets_of(table.get_ref(), &mut spans),
        // Not to be read, so that nobody can tell what in it is secret: whole lines go.
        Err(_) => {
            let mut at = 0;
            for line in text.split_inclusive('\n') {
                if line.split('=').next().is_some_and(|key| is_secret(key.trim().trim_matches('"'))) {
                    let start = at + line.find('=').map_or(0, |equals| equals + 1);
                    spans.push(start..at + line.trim_end().len());
                }
                at += line.len();
            }
        }
    }
    spans.sort_by_key(|span: &Range<usize>| span.start);
    let mut masked = text.to_owned();
    for span in spans.into_iter().rev() {
        masked.replace_range(span, &format!("\"{MASK}\""));
    }
    masked
}

/// `edited`, in which a masked secret stands for the one that `original` has at the same place.
pub fn unmask(edited: &Config, original: &Config) -> Config {
    let mut edited = edited.clone();
    for vip in edited.virtual_ips.iter_mut().filter(|vip| vip.password.reveal() == MASK) {
        let same =
            |known: &&super::model::VirtualIp| (&known.interface, known.vhid) == (&vip.interface, vip.vhid);
        if let Some(known) = original.virtual_ips.iter().find(same) {
            vip.password = known.password.clone();
        }
    }
    for user in edited.users.iter_mut().filter(|user| user.password_hash.reveal() == MASK) {
        if let Some(known) = original.users.iter().find(|known| known.name == user.name) {
            user.password_hash = known.password_hash.clone();
        }
    }
    let masked =
        |secret: &Option<super::model::Secret>| secret.as_ref().is_some_and(|it| it.reveal() == MASK);
    for user in edited.users.iter_mut().filter(|user| masked(&user.totp_secret)) {
        if let Some(known) = original.users.iter().find(|known| known.name == user.name) {
            user.totp_secret.clone_from(&known.totp_secret);
        }
    }
    if masked(&edited.system.notification.secret) {
        edited.system.notification.secret.clone_from(&original.system.notification.secret);
    }
    for entry in edited.certificates.iter_mut().filter(|entry| entry.private_key.reveal() == MASK) {
        if let Some(known) = original.certificates.iter().find(|known| known.name == entry.name) {
            entry.private_key = known.private_key.clone();
        }
    }
    edited
}

/// Where the value at a path stands.
fn value_at(text: &str, path: &str) -> Option<Range<usize>> {
    let root = DeTable::parse(text).ok()?;
    let (section, key) = path.rsplit_once('.').unwrap_or(("", path));
    Some(section_at(root.get_ref(), section)?.get(key)?.span())
}

/// Where a line with another key of a section can stand: in front of its first one.
fn line_for(text: &str, section: &str) -> Option<usize> {
    let root = DeTable::parse(text).ok()?;
    let table = section_at(root.get_ref(), section)?;
    let plain = table.iter().filter(|(_, value)| !holds_sections(value.get_ref()));
    let first = plain.map(|(key, _)| key.span().start).min()?;
    Some(text[..first].rfind('\n').map_or(0, |newline| newline + 1))
}

fn holds_sections(value: &DeValue<'_>) -> bool {
    match value {
        DeValue::Table(_) => true,
        DeValue::Array(items) => items.iter().any(|item| item.get_ref().is_table()),
        _ => false,
    }
}

fn section_at<'t, 'i>(root: &'t DeTable<'i>, path: &str) -> Option<&'t DeTable<'i>> {
    let mut table = root;
    for part in path.split('.').filter(|part| !part.is_empty()) {
        table = match part.strip_suffix(']').and_then(|part| part.split_once('[')) {
            None => table.get(part)?.get_ref().as_table()?,
            Some((list, wanted)) => {
                let items = table.get(list)?.get_ref().as_array()?;
                let named = items.iter().find(|item| is_called(item, wanted));
                let counted = wanted.parse::<usize>().ok().and_then(|at| items.get(at));
                named.or(counted)?.get_ref().as_table()?
            }
        };
    }
    Some(table)
}

/// By id, name, destination, or the number of the virtual host.
fn is_called(item: &Spanned<DeValue<'_>>, wanted: &str) -> bool {
    let Some(table) = item.get_ref().as_table() else { return false };
    ["id", "name", "destination", "vhid"].into_iter().any(|key| match table.get(key).map(Spanned::get_ref) {
        Some(DeValue::String(text)) => text == wanted,
        Some(DeValue::Integer(number)) => number.as_str() == wanted,
        _ => false,
    })
}

fn secrets_of(table: &DeTable<'_>, spans: &mut Vec<Range<usize>>) {
    for (key, value) in table {
        match value.get_ref() {
            _ if is_secret(key.get_ref()) => spans.push(value.span()),
            DeValue::Table(table) => secrets_of(table, spans),
            DeValue::Array(items) => {
                items
                    .iter()
                    .filter_map(|item| item.get_ref().as_table())
                    .for_each(|table| secrets_of(table, spans));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    const TEXT: &str = include_str!("../../../configs/pair.toml");

    #[test]
    fn an_edit_leaves_comments_and_changes_one_value() {
        let edited = set(TEXT, "system.hostname", "other").unwrap();
        assert_eq!(parse(&edited).unwrap().system.hostname, "other");
        let edited = renumber(&edited, 77).unwrap();
        let (before, after) = (parse(TEXT).unwrap(), parse(&edited).unwrap());
        assert_eq!(after.revision, 77);
        assert_eq!(after.rules, before.rules);
        let comments = |text: &str| text.lines().filter(|line| line.starts_with('#')).count();
        assert_eq!(comments(TEXT), comments(&edited));
        // A key that was not there, in a section that has a name.
        let rule = &before.rules[0];
        let path = format!("rule[{}].log", rule.id.0);
        assert!(!rule.log && parse(&set(TEXT, &path, "true").unwrap()).unwrap().rules[0].log);
        assert!(set(TEXT, "rule[nothing].log", "true").is_err());
        // A section that was not there.
        let edited = set(TEXT, "system.web.port", "8443").unwrap();
        assert_eq!(parse(&edited).unwrap().system.web.port, 8443);
    }

    #[test]
    fn no_secret_is_left() {
        let config = parse(TEXT).unwrap();
        let masked = mask(TEXT);
        let broken = mask(&format!("{TEXT}\n[[["));
        for vip in &config.virtual_ips {
            assert!(!masked.contains(vip.password.reveal()) && !broken.contains(vip.password.reveal()));
        }
        assert_eq!(unmask(&parse(&masked).unwrap(), &config), config);
    }
}
