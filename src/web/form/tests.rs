use serde_json::{Value, json};

use super::*;
use crate::web::pages::{COLLECTIONS, SETTINGS};

/// Something else than what stands there.
fn other(kind: Kind, now: &str) -> String {
    let other = match kind {
        Kind::Several(options) => {
            return options.iter().map(|(value, _)| *value).find(|value| *value != now).unwrap().into();
        }
        Kind::Text { .. }
        | Kind::Zone
        | Kind::Endpoint
        | Kind::Ports
        | Kind::Name(_)
        | Kind::Block
        | Kind::Secret
        | Kind::SecretBlock => "other",
        Kind::Number { .. } => "12345",
        Kind::Flag { .. } => return if now.is_empty() { "yes".into() } else { String::new() },
        Kind::Choice(options) => options.iter().map(|(value, _)| *value).find(|value| *value != now).unwrap(),
        Kind::Maybe(_) => "false",
        Kind::Lines => "one\r\ntwo",
        Kind::Entries => "one the first\r\ntwo",
        Kind::Password => "battery staple",
    };
    other.into()
}

/// What a browser would send for this form as it stands.
fn as_it_stands(form: &Form) -> Vec<(String, String)> {
    let rows = form.groups.iter().flat_map(|group| &group.rows);
    let value = |row: &Row| match &row.control {
        Control::Line { value, .. } | Control::Area { value } | Control::Fixed { value } => value.clone(),
        Control::Tick { ticked: true, .. } => "yes".into(),
        Control::Tick { ticked: false, .. }
        | Control::Secret { .. }
        | Control::SecretArea { .. }
        | Control::Password { .. } => String::new(),
        // The first of them, if any: a browser would send each.
        Control::Ticks { options } => {
            let chosen = options.iter().find(|option| option.selected);
            chosen.map(|option| option.value.clone()).unwrap_or_default()
        }
        Control::Select { options } => {
            let chosen = options.iter().find(|option| option.selected).or(options.first());
            chosen.map(|option| option.value.clone()).unwrap_or_default()
        }
    };
    rows.map(|row| (row.name.clone(), value(row))).collect()
}

/// Fills in a form as it stands but for one field; the tree must change there and nowhere else.
fn each_field_changes_the_tree(sections: &[Section], tree: &Value) -> usize {
    let standing = as_it_stands(&Form::new(sections, tree, true));
    let filled = |posted: Vec<(String, String)>| {
        let mut tree = tree.clone();
        fill(sections, &Posted(posted), &mut tree, true);
        tree
    };
    let unchanged = filled(standing.clone());
    let mut count = 0;
    for section in sections {
        for field in section.fields {
            let path = section.path(field);
            let mut posted = standing.clone();
            let slot = posted.iter_mut().find(|(name, _)| *name == path).unwrap();
            slot.1 = other(field.kind, &slot.1);
            let again = (format!("{path}.again"), slot.1.clone());
            posted.push(again);
            let changed = filled(posted);
            assert_ne!(tree::get(&changed, &path), tree::get(&unchanged, &path), "{path}");
            let mut healed = changed.clone();
            tree::set(&mut healed, &path, tree::get(&unchanged, &path).cloned());
            let mut expected = unchanged.clone();
            // An empty table on the way says as much as none.
            for tree in [&mut healed, &mut expected] {
                let (parent, _) = path.rsplit_once('.').unwrap();
                if tree::get(tree, parent)
                    .is_some_and(|table| table.as_object().is_some_and(|table| table.is_empty()))
                {
                    tree::set(tree, parent, None);
                }
            }
            assert_eq!(healed, expected, "{path} changes something else");
            count += 1;
        }
    }
    count
}

#[test]
fn each_field_of_each_form_changes_the_document_there_and_nowhere_else() {
    let config = crate::config::load(include_str!("../../../configs/pair.toml")).unwrap();
    let mut count = 0;
    for settings in SETTINGS {
        let sections =
            settings.sections.iter().map(|(title, base, fields)| Section::new(*title, *base, fields));
        count += each_field_changes_the_tree(&sections.collect::<Vec<_>>(), &tree::tree(&config));
    }
    for collection in COLLECTIONS {
        let mut tree = tree::tree(&config);
        let index = collection.insert(&mut tree, None, "lan", false).unwrap();
        (collection.made)(&mut tree, index);
        count += each_field_changes_the_tree(&collection.sections(&tree, index, true), &tree);
    }
    assert!(count > 60, "{count}");
}

#[test]
fn a_problem_goes_to_the_field_that_it_names() {
    static FIELDS: &[Field] = &[field("name", "Name", TEXT, ""), field("names", "Names", Kind::Lines, "")];
    let sections = [Section::new("", "list[1]", FIELDS)];
    let form = Form::new(&sections, &json!({}), true).tell(&[
        Problem::new("list[1].names[3]", "Bad.", "Write a name in quotes."),
        Problem::new("list[1].names", "Also bad.", ""),
        Problem::new("list[0].name", "Elsewhere.", "Go."),
        Problem::new("", "Everywhere.", ""),
    ]);
    assert_eq!(form.groups[0].rows[0].error, None);
    assert_eq!(form.groups[0].rows[1].error.as_deref(), Some("Bad. Write a name. Also bad."));
    assert_eq!(form.problems, ["list[0].name: Elsewhere. Go.", "Everywhere."]);
    assert_eq!(form.wrong(), 3);
}

#[test]
fn a_select_keeps_what_is_not_among_its_options() {
    static FIELDS: &[Field] = &[field("mode", "Mode", Kind::Choice(&[("a", "A"), ("b", "B")]), "")];
    let sections = [Section::new("", "it", FIELDS)];
    let form = Form::new(&sections, &json!({ "it": { "mode": "c" } }), false);
    assert_eq!(as_it_stands(&form), [("it.mode".to_owned(), "c".to_owned())]);
}
