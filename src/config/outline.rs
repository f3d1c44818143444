//! The document's shape for programs: its sections with their paths, and a JSON Schema of each.
//!
//! Both come from the table of the document's keys, so that a new key is there as soon as it can be written. What a key takes
//! is asked of the key itself.

use serde_json::{Map, Value, json};
use toml::de::DeTable;

use super::schema::{DOCUMENT, Field, Shape, Try};

/// What is tried where a number could stand: a rule's id is a large one.
const NUMBERS: [&str; 4] = ["1", "600", "1000000", "0"];

/// A step on the way to a section.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Part {
    /// The key.
    pub field: &'static str,
    /// It holds a list of sections.
    pub is_list: bool,
}

/// A section of the document, or a list of sections.
#[derive(Clone, PartialEq, Debug)]
pub struct Section {
    /// How it is reached. A section inside an entry of a list has the list on its way.
    pub parts: Vec<Part>,
    /// The schema of the section, or of an entry of the list.
    pub schema: Value,
    /// Its entries have numbers that stay with them.
    pub numbered: bool,
}

impl Section {
    /// It is a list of sections.
    pub fn is_list(&self) -> bool {
        self.parts.last().is_some_and(|part| part.is_list)
    }
}

/// Every section, outer ones first.
pub fn sections() -> Vec<Section> {
    let mut found = Vec::new();
    collect(&mut Vec::new(), DOCUMENT, &mut found);
    found
}

/// The schema of the whole document.
pub fn document() -> Value {
    table(DOCUMENT)
}

fn collect(parts: &mut Vec<Part>, fields: &'static [Field], found: &mut Vec<Section>) {
    for field in fields {
        let (inner, is_list) = match &field.shape {
            Shape::Table(inner) => (*inner, false),
            Shape::Tables(inner) => (*inner, true),
            Shape::Value(_) | Shape::List(_) => continue,
        };
        parts.push(Part { field: field.key, is_list });
        let numbered = inner.iter().any(|field| field.key == "id");
        found.push(Section { parts: parts.clone(), schema: table(inner), numbered });
        collect(parts, inner, found);
        parts.pop();
    }
}

fn table(fields: &[Field]) -> Value {
    let properties: Map<String, Value> =
        fields.iter().map(|field| (field.key.to_owned(), schema_of(field))).collect();
    let required: Vec<&str> = fields.iter().filter(|field| field.required).map(|field| field.key).collect();
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn schema_of(field: &Field) -> Value {
    match &field.shape {
        Shape::Value(attempt) => value(field, *attempt),
        Shape::List(attempt) => json!({
            "type": "array", "items": value(field, *attempt), "description": description(field),
        }),
        Shape::Table(fields) => table(fields),
        Shape::Tables(fields) => json!({ "type": "array", "items": table(fields) }),
    }
}

/// What a value may be: whatever the key takes of each kind.
fn value(field: &Field, attempt: Try) -> Value {
    let takes = |text: &str| accepts(attempt, text);
    let words = quoted(field.write).filter(|word| takes(&format!("\"{word}\"")));
    let examples: Vec<&str> = words.collect();
    let text = !examples.is_empty()
        || ["1", "x", "192.0.2.1", "192.0.2.0/24"].iter().any(|text| takes(&format!("\"{text}\"")));
    let mut kinds = Vec::new();
    for (kind, there) in [
        ("boolean", takes("true")),
        ("integer", NUMBERS.iter().any(|number| takes(number))),
        ("string", text),
        ("array", takes("[\"x\"]")),
        ("object", takes("{ value = \"192.0.2.1\" }")),
    ] {
        if there {
            kinds.push(kind);
        }
    }
    let mut schema = json!({ "description": description(field) });
    match kinds.as_slice() {
        [] => schema["type"] = "string".into(),
        [one] => schema["type"] = (*one).into(),
        several => schema["type"] = json!(several),
    }
    if !examples.is_empty() {
        schema["examples"] = json!(examples);
    }
    schema
}

fn accepts(attempt: Try, text: &str) -> bool {
    let line = format!("v = {text}");
    DeTable::parse(&line)
        .is_ok_and(|table| table.get_ref().get("v").is_some_and(|value| attempt(value).is_ok()))
}

/// The words between quotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('"').skip(1).step_by(2)
}

/// Without advice that only concerns the text form.
fn description(field: &Field) -> String {
    field.write.replace(", without quotes", "").replace(" in quotes", "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn properties(path: &[&str]) -> Value {
        let at = |section: &Section| section.parts.iter().map(|part| part.field).eq(path.iter().copied());
        sections().into_iter().find(at).unwrap().schema["properties"].clone()
    }

    #[test]
    fn every_section_has_its_path() {
        let found = sections();
        let paths: Vec<String> = found
            .iter()
            .map(|section| {
                let part = |part: &Part| format!("{}{}", part.field, if part.is_list { "[]" } else { "" });
                section.parts.iter().map(part).collect::<Vec<_>>().join(".")
            })
            .collect();
        for path in
            ["system", "system.web", "node[]", "node[].interface[]", "rule[]", "outbound.rule[]", "user[]"]
        {
            assert!(paths.iter().any(|known| known == path), "{path}: {paths:?}");
        }
        let numbered =
            |name: &str| found.iter().any(|section| section.parts[0].field == name && section.numbered);
        assert!(numbered("rule") && !numbered("gateway"));
    }

    #[test]
    fn a_key_says_what_it_takes() {
        let rule = properties(&["rule"]);
        assert_eq!(rule["id"]["type"], "integer");
        assert_eq!(rule["log"]["type"], "boolean");
        assert_eq!(
            (&rule["action"]["type"], &rule["action"]["examples"][0]),
            (&json!("string"), &json!("pass"))
        );
        assert_eq!(rule["icmp_types"]["type"], "array");
        assert_eq!(properties(&["system"])["state_limit"]["type"], "integer");
        assert_eq!(properties(&["node"])["port"]["type"], "array");
        assert_eq!(properties(&["user"])["password_hash"]["type"], "string");
        assert_eq!(document()["required"], json!(["schema", "revision", "node"]));
    }
}
