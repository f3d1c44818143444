use proptest::prelude::*;
use proptest::strategy::ValueTree;

use super::*;
use crate::config::arbitrary::config;
use crate::config::parse;

const SMALL: &str = include_str!("../../../configs/pair.toml");

fn words(edit: impl Fn(&str) -> String) -> Vec<String> {
    let (old, new) = (parse(SMALL).unwrap(), parse(&edit(SMALL)).unwrap());
    let changes = changes(&old, &new);
    assert_eq!(apply(&old, &changes).unwrap(), Config { revision: old.revision, ..new });
    rows(&changes).into_iter().map(|row| row.words).collect()
}

#[test]
fn nothing_is_said_of_equal_documents_or_of_the_revision() {
    assert_eq!(words(str::to_owned), Vec::<String>::new());
    assert_eq!(words(|text| text.replace("revision = 1", "revision = 9")), Vec::<String>::new());
}

#[test]
fn secrets_are_never_said() {
    let old = parse(SMALL).unwrap();
    let mut new = old.clone();
    for vip in &mut new.virtual_ips {
        vip.password = crate::config::model::Secret::new("hidden-from-all");
    }
    let mut added = new.virtual_ips[0].clone();
    added.vhid = crate::types::Vhid(77);
    new.virtual_ips.push(added);
    let said = rows(&changes(&old, &new)).into_iter().map(|row| row.words + &row.path).collect::<String>();
    assert!(
        said.contains("password changed") && said.contains("VHID 77") && said.contains("added"),
        "{said}"
    );
    assert!(!said.contains("hidden-from-all"), "{said}");
}

#[test]
fn a_change_can_be_discarded_alone() {
    let old = parse(SMALL).unwrap();
    let mut new = old.clone();
    new.system.hostname = "other".into();
    new.rules.reverse();
    let all = changes(&old, &new);
    let without = all.iter().filter(|change| change.path() != "system.hostname");
    let kept = apply(&old, without).unwrap();
    assert_eq!((kept.system, kept.rules), (old.system, new.rules));
}

#[test]
fn a_unified_text_has_its_lines_and_places() {
    let old: String = (1..=20).map(|n| format!("{n}\n")).collect();
    let new = old.replace("5\n", "five\n").replace("20\n", "");
    let diff = unified(["a", "b"], &old, &new);
    assert!(diff.starts_with("--- a\n+++ b\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n"), "{diff}");
    assert!(diff.ends_with("-20\n"), "{diff}");
    assert_eq!(unified(["a", "b"], &old, &old), "");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn all_changes_applied_give_the_new_document(old in config(), new in config()) {
        let all = changes(&old, &new);
        prop_assert_eq!(apply(&old, &all), Some(Config { revision: old.revision, ..new }));
    }

    #[test]
    fn any_subset_of_changes_can_be_applied(old in config(), new in config(), pattern: u64) {
        let all = changes(&old, &new);
        let some = all.iter().enumerate().filter(|(at, _)| pattern >> (at % 64) & 1 == 1).map(|(_, change)| change);
        // It may miss what another change brings; it never panics.
        let _ = apply(&old, some);
        let _ = rows(&all);
    }

    #[test]
    fn a_text_diff_can_be_read_back(old in "([a-c]\n){0,12}", new in "([a-c]\n){0,12}") {
        let (before, after): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
        let diff = unified(["a", "b"], &old, &new);
        let body = diff.lines().skip(2).filter(|line| !line.starts_with("@@"));
        let count = |sign: char| body.clone().filter(|line| line.starts_with(sign)).count();
        prop_assert_eq!(after.len() + count('-'), before.len() + count('+'));
        prop_assert_eq!(diff.is_empty(), before == after);
    }
}

#[test]
fn strategies_make_documents() {
    // The properties above say little of equal or empty documents.
    let tree = config().new_tree(&mut proptest::test_runner::TestRunner::deterministic()).unwrap();
    assert!(!tree.current().nodes.is_empty());
}

/// `entries` of an alias is a list of sections when all its members are described, and a list of texts otherwise.
#[test]
fn one_alias_with_an_empty_member_becomes_two_with_members() {
    use crate::config::model::{Alias, AliasEntry, AliasKind};
    let entry =
        |value: &str, description: &str| AliasEntry { value: value.into(), description: description.into() };
    let alias = |name: &str, entries: &[AliasEntry]| Alias {
        file: None,
        name: name.into(),
        kind: AliasKind::Host,
        entries: entries.to_vec(),
        description: String::new(),
    };
    let (empty, plain) = (entry("", ""), entry("10.0.0.1", ""));
    let (described, other) = (entry("10.0.0.2", "printer"), entry("", "nothing"));
    let lists = [
        vec![],
        vec![empty.clone()],
        vec![other.clone()],
        vec![plain.clone()],
        vec![described.clone()],
        vec![empty.clone(), empty.clone()],
        vec![other.clone(), other.clone()],
        vec![empty, plain.clone(), described.clone()],
        vec![described.clone(), described, other],
        vec![plain.clone(), plain],
    ];
    let base = parse(SMALL).unwrap();
    let with = |aliases: Vec<Alias>| Config { aliases, ..base.clone() };
    for old in &lists {
        for (first, second) in lists.iter().flat_map(|first| lists.iter().map(move |second| (first, second)))
        {
            for (was, names) in [("a", ["a", "b"]), ("b", ["a", "b"]), ("a", ["a", "a"]), ("", ["", "b"])] {
                let old = with(vec![alias(was, old)]);
                let new = with(vec![alias(names[0], first), alias(names[1], second)]);
                for (old, new) in [(&old, &new), (&new, &old)] {
                    assert_eq!(apply(old, &changes(old, new)).as_ref(), Some(new));
                }
            }
        }
    }
}
