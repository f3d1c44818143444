//! Who refers to whom in the document's tree: where a name is used, and another name everywhere at once.
//!
//! Invariant: what stands in [`PLACES`] is all that the document knows of names; a test renames everything in a document
//! that uses every place, and nothing is left over.

use std::collections::HashMap;

use serde_json::Value;

use super::form::tree;

/// What has a name that others write.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Noun {
    Alias,
    Interface,
    Gateway,
    Certificate,
    Schedule,
}

/// How a name stands in a text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Form {
    /// Alone.
    Bare,
    /// Alone or behind `! `.
    Negated,
    /// As `lan net` or `lan address`, perhaps behind `! `.
    Endpoint,
    /// In front of a stroke and a tier.
    Tier,
    /// Alone, in a part of the same thing.
    Own,
}

/// Every place: which name, how it stands there, and where; `[]` is each entry of a list.
static PLACES: &[(Noun, Form, &str)] = {
    use Form::{Bare, Endpoint, Negated, Own, Tier};
    use Noun::{Alias, Certificate, Gateway, Interface, Schedule};
    &[
        (Alias, Bare, "alias[].entries[]"),
        (Alias, Negated, "rule[].source"),
        (Alias, Negated, "rule[].source_port"),
        (Alias, Negated, "rule[].destination"),
        (Alias, Negated, "rule[].destination_port"),
        (Alias, Negated, "port_forward[].source"),
        (Alias, Negated, "port_forward[].source_port"),
        (Alias, Negated, "port_forward[].destination"),
        (Alias, Negated, "port_forward[].destination_port"),
        (Alias, Bare, "port_forward[].target"),
        (Alias, Negated, "one_to_one[].destination"),
        (Alias, Negated, "outbound.rule[].source"),
        (Alias, Negated, "outbound.rule[].source_port"),
        (Alias, Negated, "outbound.rule[].destination"),
        (Alias, Negated, "outbound.rule[].destination_port"),
        (Alias, Bare, "outbound.rule[].target"),
        (Interface, Own, "node[].interface[].name"),
        (Interface, Bare, "virtual_ip[].interface"),
        (Interface, Bare, "gateway[].interface"),
        (Interface, Bare, "interface_group[].members[]"),
        (Interface, Bare, "rule[].interface[]"),
        (Interface, Bare, "port_forward[].interface"),
        (Interface, Bare, "one_to_one[].interface"),
        (Interface, Bare, "npt[].interface"),
        (Interface, Bare, "outbound.rule[].interface"),
        (Interface, Endpoint, "rule[].source"),
        (Interface, Endpoint, "rule[].destination"),
        (Interface, Endpoint, "port_forward[].source"),
        (Interface, Endpoint, "port_forward[].destination"),
        (Interface, Endpoint, "one_to_one[].destination"),
        (Interface, Endpoint, "outbound.rule[].source"),
        (Interface, Endpoint, "outbound.rule[].destination"),
        (Gateway, Bare, "route[].gateway"),
        (Gateway, Bare, "rule[].gateway"),
        (Gateway, Tier, "gateway_group[].members[]"),
        (Certificate, Bare, "system.web.certificate"),
        (Schedule, Bare, "rule[].schedule"),
    ]
};

/// Where a name is used: paths in the document.
pub(super) fn uses(tree: &Value, noun: Noun, name: &str) -> Vec<String> {
    let mut found = Vec::new();
    each(tree, noun, |path, form, text| {
        if form != Form::Own && parts(form, text).is_some_and(|(_, known, _)| known == name) {
            found.push(path.to_owned());
        }
    });
    found
}

/// How often each name is used.
pub(super) fn counts(tree: &Value, noun: Noun) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    each(tree, noun, |_, form, text| {
        if let (true, Some((_, name, _))) = (form != Form::Own, parts(form, text)) {
            *counts.entry(name.to_owned()).or_default() += 1;
        }
    });
    counts
}

/// Writes another name wherever the old one stands.
pub(super) fn rename(tree: &mut Value, noun: Noun, old: &str, new: &str) {
    let mut places = Vec::new();
    each(tree, noun, |path, form, text| {
        if let Some((before, name, after)) = parts(form, text)
            && name == old
        {
            places.push((path.to_owned(), format!("{before}{new}{after}")));
        }
    });
    for (path, text) in places {
        tree::set(tree, &path, Some(text.into()));
    }
}

/// Calls `found` for every text in which such a name may stand.
fn each(tree: &Value, noun: Noun, mut found: impl FnMut(&str, Form, &str)) {
    for (_, form, pattern) in PLACES.iter().filter(|(of, ..)| *of == noun) {
        expand(tree, pattern, String::new(), &mut |path, text| found(path, *form, text));
    }
}

fn expand(value: &Value, pattern: &str, path: String, found: &mut dyn FnMut(&str, &str)) {
    if pattern.is_empty() {
        return match value {
            Value::String(text) => found(&path, text),
            // A member of an alias with words for people.
            Value::Object(table) => {
                if let Some(Value::String(text)) = table.get("value") {
                    found(&format!("{path}.value"), text);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => {}
        };
    }
    let (step, rest) = pattern.split_once('.').unwrap_or((pattern, ""));
    let (key, every) = step.strip_suffix("[]").map_or((step, false), |key| (key, true));
    let Some(inner) = value.get(key) else { return };
    let path = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match (every, inner) {
        (true, Value::Array(entries)) => {
            for (index, entry) in entries.iter().enumerate() {
                expand(entry, rest, format!("{path}[{index}]"), found);
            }
        }
        // A list, or one text in its place.
        (true, Value::String(_)) | (false, _) => expand(inner, rest, path, found),
        (true, Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) => {}
    }
}

/// What stands before a name, the name, and what stands behind it.
fn parts(form: Form, text: &str) -> Option<(&str, &str, &str)> {
    let bare = |text| match form {
        Form::Bare | Form::Tier | Form::Own => ("", text),
        Form::Negated | Form::Endpoint => {
            let rest = str::strip_prefix(text, "! ").unwrap_or(text);
            (&text[..text.len() - rest.len()], rest)
        }
    };
    let (before, rest) = bare(text);
    match form {
        Form::Bare | Form::Own | Form::Negated => Some((before, rest, "")),
        Form::Tier => {
            let (name, _) = rest.split_once('|')?;
            Some((before, name, &rest[name.len()..]))
        }
        Form::Endpoint => {
            let name = rest.strip_suffix(" net").or_else(|| rest.strip_suffix(" address"))?;
            Some((before, name, &rest[name.len()..]))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Config};

    /// Every place is used here.
    const TEXT: &str = r#"
schema = 1
revision = 1
[system.web]
certificate = "bought"
[[certificate]]
name = "bought"
certificate = """
-----BEGIN CERTIFICATE-----
-----END CERTIFICATE-----
"""
private_key = """
-----BEGIN PRIVATE KEY-----
-----END PRIVATE KEY-----
"""
[[node]]
name = "fw"
[[node.port]]
name = "p"
tap = "koi-p"
[[node.port]]
name = "q"
tap = "koi-q"
[[node.interface]]
name = "out"
addresses = ["198.51.100.2/24", "2001:db8:1::2/64"]
[[node.interface]]
name = "in"
addresses = ["192.168.1.1/24", "2001:db8:10::1/64"]
[[interface]]
name = "out"
zone = "wan"
port = "p"
[[interface]]
name = "in"
zone = "lan"
port = "q"
[[virtual_ip]]
interface = "in"
vhid = 7
addresses = ["192.168.1.250/24"]
password = "secret"
foreign = true
[[interface_group]]
name = "all"
members = ["out", "in"]
[[gateway]]
name = "GW"
interface = "out"
address = "198.51.100.1"
[[gateway_group]]
name = "group"
members = ["GW|1"]
default = true
[[route]]
destination = "10.9.0.0/16"
gateway = "GW"
[[alias]]
name = "hosts"
type = "host"
entries = ["192.168.1.7", { value = "more", description = "the others" }]
[[alias]]
name = "more"
type = "host"
entries = ["192.168.1.8"]
[[alias]]
name = "ports"
type = "port"
entries = ["443"]
[[rule]]
id = 1000000
interface = "in"
action = "pass"
family = "inet"
protocol = "tcp"
source = "! hosts"
source_port = "ports"
destination = "! in address"
destination_port = "ports"
gateway = "GW"
schedule = "daytime"
[[schedule]]
name = "daytime"
[[schedule.time_range]]
hours = "8:00-17:00"
[[rule]]
id = 1000001
floating = true
interface = ["in", "out"]
action = "block"
source = "in net"
destination = "hosts"
[[port_forward]]
id = 1000002
interface = "out"
protocol = "tcp"
source = "! hosts"
source_port = "ports"
destination = "out address"
destination_port = "ports"
target = "hosts"
[[one_to_one]]
id = 1000003
interface = "out"
external = "198.51.100.9"
internal = "192.168.1.9/32"
destination = "hosts"
[[npt]]
id = 1000004
interface = "out"
source = "fd00:1::/48"
destination = "2001:db8:9::/48"
[outbound]
mode = "manual"
[[outbound.rule]]
id = 1000005
interface = "out"
protocol = "udp"
source = "in net"
source_port = "ports"
destination = "hosts"
destination_port = "ports"
target = "more"
"#;

    fn renamed(config: &Config, names: &[(Noun, &str, &str)]) -> Config {
        let mut tree = tree::tree(config);
        for (noun, old, new) in names {
            rename(&mut tree, *noun, old, new);
            let list = match noun {
                Noun::Alias => "alias",
                Noun::Interface => "interface",
                Noun::Gateway => "gateway",
                Noun::Certificate => "certificate",
                Noun::Schedule => "schedule",
            };
            let index = tree::list(&tree, list).iter().position(|entry| entry["name"] == *old).unwrap();
            tree::set(&mut tree, &format!("{list}[{index}].name"), Some((*new).into()));
        }
        let config = tree::check(&tree).unwrap_or_else(|problems| panic!("{problems:#?}"));
        config.into_inner()
    }

    #[test]
    fn a_new_name_stands_everywhere_and_back_again() {
        let config = config::load(TEXT).unwrap_or_else(|problems| panic!("{problems:#?}")).into_inner();
        let names = [
            (Noun::Alias, "hosts", "machines"),
            (Noun::Alias, "more", "others"),
            (Noun::Alias, "ports", "doors"),
            (Noun::Interface, "in", "office"),
            (Noun::Interface, "out", "line"),
            (Noun::Gateway, "GW", "PROVIDER"),
            (Noun::Certificate, "bought", "made"),
            (Noun::Schedule, "daytime", "business"),
        ];
        let other = renamed(&config, &names);
        let text = other.to_toml();
        for (_, old, _) in names {
            let stands = |line: &&str| {
                let values = line.split_once('=').map_or("", |(_, value)| value);
                values.split(['"', ' ', '|']).any(|word| word == old)
            };
            assert_eq!(text.lines().find(stands), None, "{old}");
        }
        let back = names.map(|(noun, old, new)| (noun, new, old));
        assert_eq!(renamed(&other, &back), config);
    }

    #[test]
    fn uses_are_found_and_counted_and_likenesses_are_not_uses() {
        let config = config::load(TEXT).unwrap();
        let tree = tree::tree(&config);
        assert_eq!(
            uses(&tree, Noun::Alias, "more"),
            ["alias[0].entries[1].value", "outbound.rule[0].target"]
        );
        assert_eq!(
            uses(&tree, Noun::Gateway, "GW"),
            ["route[0].gateway", "rule[0].gateway", "gateway_group[0].members[0]"]
        );
        assert!(uses(&tree, Noun::Alias, "host").is_empty() && uses(&tree, Noun::Alias, "in").is_empty());
        assert_eq!(counts(&tree, Noun::Alias)["ports"], 6);
        let interfaces = counts(&tree, Noun::Interface);
        assert_eq!(interfaces["in"], uses(&tree, Noun::Interface, "in").len());
        // Every place of the table is in the text.
        for (noun, _, pattern) in PLACES {
            let mut found = 0;
            expand(&tree, pattern, String::new(), &mut |_, _| found += 1);
            assert!(found > 0, "{noun:?} {pattern}");
        }
    }
}
