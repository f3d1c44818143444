//! Whatever is edited, the document that comes out is the one that was meant, and comments stand where they stood.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::config::arbitrary::config;
use crate::config::diff;
use crate::config::model::{Action, AliasEntry, Rule};
use crate::types::RuleId;

const TEXT: &str = include_str!("../../../../configs/dmz.toml");

fn edited(edit: impl FnOnce(&mut Config)) -> String {
    let mut new = parse(TEXT).unwrap();
    edit(&mut new);
    let text = rewrite(TEXT, &new);
    assert_eq!(parse(&text).unwrap(), new);
    text
}

/// The comment lines of a text.
fn remarks(text: &str) -> Vec<&str> {
    text.lines().filter(|line| line.starts_with('#')).collect()
}

#[test]
fn what_is_the_same_is_left_alone() {
    assert_eq!(edited(|_| {}), TEXT);
    // Defaults that somebody wrote out, and other spellings.
    let text = TEXT.replace("vlan = 20", "vlan = 0x14\nmtu = 1_500 # as ever");
    let mut new = parse(&text).unwrap();
    new.interfaces[0].description = "Elsewhere".into();
    assert_eq!(rewrite(&text, &new), text.replace("\"Provider\"", "\"Elsewhere\""));
}

#[test]
fn values_change_between_their_comments() {
    let text = edited(|new| {
        new.system.state_limit = 400_000;
        new.interfaces[0].mss = Some(1400);
        new.interfaces[0].block_private = false;
        new.system.web.port = 8443;
    });
    assert!(text.contains("state_limit = 400000                # states in the connection table"), "{text}");
    assert!(text.contains("mss = 1400                          # the provider's line"), "{text}");
    assert!(
        text.contains("block_private = false\n") && text.contains("\n[system.web]\nport = 8443\n"),
        "{text}"
    );
    assert_eq!(remarks(&text), remarks(TEXT));
    let place = |what: &str| text.find(what).unwrap();
    assert!(place("[system]") < place("[system.web]") && place("[system.web]") < place("[[node]]"));
}

#[test]
fn entries_go_and_come_and_change_places_with_their_comments() {
    let text = edited(|new| {
        let at = |new: &Config, id| new.rules.iter().position(|rule| rule.id == RuleId(id)).unwrap();
        // The first below a title moves to the end, and something new comes to the front.
        let first = at(new, 1_000_010);
        let moved = new.rules.remove(first);
        new.rules.push(moved);
        new.rules.insert(0, Rule::new(RuleId(1_700_000), "lan", Action::Block));
        new.gateways.retain(|gateway| gateway.name != "WANGW");
    });
    assert_eq!(remarks(&text), remarks(TEXT), "{text}");
    let place = |what: &str| text.find(what).unwrap_or_else(|| panic!("{what}: {text}"));
    assert!(place("# --- DMZ") < place("id = 1000011"));
    assert!(place("id = 1700000") < place("id = 1000000") && place("id = 1000011") < place("id = 1000010"));
    assert!(!text.contains("\n\n\n"), "{text}");
}

#[test]
fn an_entry_of_another_name_is_still_the_same() {
    let text = edited(|new| {
        new.gateways
            .iter_mut()
            .filter(|gateway| gateway.name == "LABGW")
            .for_each(|it| it.name = "LAB".into());
        new.routes.iter_mut().for_each(|route| route.gateway = "LAB".into());
    });
    assert!(text.contains(
        "# A router in the office that leads to the laboratory's network.\n[[gateway]]\nname = \"LAB\""
    ));
}

#[test]
fn values_in_a_list_keep_the_comments_beside_them() {
    let list = "\n[[alias]] # names\nname = \"hosts\"\ntype = \"host\"\nentries = [ # all of them\n    # the old ones\n    \
                \"10.0.0.1\", # printer\n    \"10.0.0.2\", # scanner\n    \"10.0.0.3\", # camera\n    # the end\n]\n";
    let text = format!("{TEXT}{list}");
    let mut new = parse(&text).unwrap();
    let entry =
        |value: &str, description: &str| AliasEntry { value: value.into(), description: description.into() };
    new.aliases[0].entries =
        vec![entry("10.0.0.3", ""), entry("10.0.0.9", "new"), entry("10.0.0.1", "in the hall")];
    let text = rewrite(&text, &new);
    assert_eq!(parse(&text).unwrap(), new);
    let end = text[text.find("[[alias]]").unwrap()..].to_owned();
    assert_eq!(
        end,
        "[[alias]] # names\nname = \"hosts\"\ntype = \"host\"\nentries = [ # all of them\n    \"10.0.0.3\", # camera\n    \
         { value = \"10.0.0.9\", description = \"new\" },\n    # the old ones\n    \
         { value = \"10.0.0.1\", description = \"in the hall\" }, # printer\n    # the end\n]\n"
    );
    new.aliases[0].entries.clear();
    assert_eq!(parse(&rewrite(&text, &new)).unwrap(), new);
}

#[test]
fn sections_in_one_line_are_sections() {
    let text = TEXT.replace(
        "[system]\nhostname = \"fw.example\"\nstate_limit = 500000 ",
        "system.hostname = \"fw.example\"\nsystem.state_limit = 500000 ",
    );
    let mut new = parse(&text).unwrap();
    new.system.hostname = "other.example".into();
    new.system.anti_lockout = !new.system.anti_lockout;
    let text = rewrite(&text, &new);
    assert!(parse(&text).unwrap() == new && text.contains("system.hostname = \"other.example\""), "{text}");
    assert_eq!(remarks(&text), remarks(TEXT));
}

#[test]
fn a_flag_that_may_be_absent_goes() {
    let text = include_str!("../../../../configs/pair.toml");
    let text = text.replacen("[[virtual_ip]]", "# first\n[[virtual_ip]]\npreempt = true", 1);
    let mut new = parse(&text).unwrap();
    assert!(new.virtual_ips[0].preempt.is_some());
    new.virtual_ips[0].preempt = None;
    assert_eq!(rewrite(&text, &new), text.replacen("\npreempt = true", "", 1));
}

#[test]
fn a_text_that_is_no_document_makes_room_for_one_that_is() {
    let new = parse(TEXT).unwrap();
    for text in ["", "[[[", "schema = 1"] {
        assert_eq!(rewrite(text, &new), new.to_toml());
    }
}

/// Every line that says something, under a name that it keeps: the names of its sections, and its key.
fn lines(text: &str) -> Vec<(String, usize)> {
    let rows: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    let (mut header, mut inside) = (String::new(), None::<&str>);
    let mut parents: Vec<String> = Vec::new();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for (at, row) in rows.iter().enumerate() {
        if let Some(mark) = inside {
            inside = inside.filter(|_| !row.contains(mark));
            continue;
        }
        // A string of several lines begins on the line after its mark.
        inside = ["\"\"\"", "'''"].into_iter().find(|mark| row.ends_with(mark));
        if row.starts_with('#') || row.is_empty() {
            continue;
        }
        if row.starts_with('[') {
            let key = row.trim_matches(['[', ']']);
            parents.truncate(key.matches('.').count());
            // Entries of one name are told apart by counting.
            let name = format!("{}{key}<{}>", parents.concat(), called(key, &rows[at + 1..]));
            let count = seen.entry(name).or_default();
            *count += 1;
            parents.push(format!("{key}<{}#{count}>", called(key, &rows[at + 1..])));
            header = parents.concat();
        }
        let key = row.split(" = ").next().unwrap_or_default();
        found.push((format!("{header}{key}"), at));
    }
    found
}

/// What the section that begins there is called.
fn called(key: &str, rows: &[&str]) -> String {
    let rows = rows.iter().take_while(|row| !row.starts_with('['));
    let fields: BTreeMap<&str, &str> = rows.filter_map(|row| row.split_once(" = ")).collect();
    let names: &[&str] =
        if key == "virtual_ip" { &["interface", "vhid"] } else { &["id", "name", "destination", "value"] };
    let mut words = names.iter().filter_map(|name| fields.get(name).copied());
    if key == "virtual_ip" { words.collect() } else { words.next().unwrap_or_default().to_owned() }
}

/// Those names that stand for one line only.
fn unique(text: &str) -> BTreeMap<String, usize> {
    let mut seen: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    lines(text).into_iter().for_each(|(name, at)| seen.entry(name).or_default().push(at));
    seen.into_iter().filter(|(_, places)| places.len() == 1).map(|(name, places)| (name, places[0])).collect()
}

/// A comment above every line.
fn commented(text: &str) -> String {
    let places: BTreeMap<usize, usize> = lines(text).into_iter().map(|(_, at)| at).zip(0..).collect();
    let line = |(at, line): (usize, &str)| match places.get(&at) {
        Some(number) => format!("# remark {number}\n{line}\n"),
        None => format!("{line}\n"),
    };
    text.lines().enumerate().map(line).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn comments_above_what_stays_stay(old in config(), other in config(), pattern: u64, turned: bool) {
        let all = diff::changes(&old, &other);
        let some = all.iter().enumerate().filter(|(at, _)| pattern >> (at % 64) & 1 == 1).map(|(_, change)| change);
        let mut new = diff::apply(&old, some).unwrap_or(other);
        if turned {
            new.rules.reverse();
            new.virtual_ips.reverse();
        }
        let text = commented(&old.to_toml());
        // In a string of several lines there is no room for comments; some are hard to tell from sections.
        prop_assume!(parse(&text).is_ok_and(|same| same == old));
        // Going is right for every field.
        let woven = weave(&text, &old, &new, false).unwrap();
        let read = parse(&woven);
        prop_assert_eq!(read.as_ref(), Ok(&new), "{}", woven);
        let rewritten = rewrite(&text, &new);
        prop_assert_eq!(&parse(&rewritten).unwrap(), &new);
        let (before, after, meant) = (unique(&text), unique(&rewritten), unique(&new.to_toml()));
        let above = |text: &str, at: usize| text.lines().nth(at - 1).unwrap_or_default().to_owned();
        // Of two sections that are called the same, as in no valid document, either may be the one that stays.
        let twice = |name: &str| before.contains_key(&name.replacen("#1>", "#2>", 1)) && name.contains("#1>");
        for (name, at) in before.iter().filter(|(name, _)| meant.contains_key(*name) && !twice(name)) {
            let remark = above(&text, *at);
            let there = after.get(name).map(|at| above(&rewritten, *at));
            prop_assert_eq!(there, Some(remark), "{} in\n{}", name, rewritten);
        }
    }
}
