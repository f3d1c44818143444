//! Every field has a test that shows its effect: `tests/fields/coverage.txt` names it.

use std::path::Path;

use super::schema::{DOCUMENT, Field, Shape};

const LIST: &str = include_str!("../../tests/fields/coverage.txt");

#[test]
fn every_field_has_a_test_that_shows_its_effect() {
    let mut fields = Vec::new();
    leaves("", DOCUMENT, &mut fields);
    let mut listed = Vec::new();
    for line in LIST.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let [field, file, test] = line.split_whitespace().collect::<Vec<_>>()[..] else {
            panic!("a line is field, file, test: {line}")
        };
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let source = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(source.contains(&format!("fn {test}(")), "{field}: no test {test} in {file}");
        listed.push(field.to_owned());
    }
    fields.sort_unstable();
    listed.sort_unstable();
    assert_eq!(listed, fields, "the list has every field once");
}

fn leaves(above: &str, fields: &[Field], found: &mut Vec<String>) {
    for field in fields {
        let path = format!("{above}{}", field.key);
        match field.shape {
            Shape::Table(inner) | Shape::Tables(inner) => leaves(&format!("{path}."), inner, found),
            Shape::Value(_) | Shape::List(_) => found.push(path),
        }
    }
}
