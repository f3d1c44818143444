//! A small reader of JSON Schema: as much of it as the API's document says.

use serde_json::Value;

/// What is wrong with a value, as far as the schema knows. References lead into `document`.
pub(super) fn faults(document: &Value, schema: &Value, value: &Value, place: &str) -> Vec<String> {
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let target = document.pointer(reference.trim_start_matches('#'));
        return match target {
            Some(target) => faults(document, target, value, place),
            None => vec![format!("{place}: {reference} leads nowhere")],
        };
    }
    if let Some(choices) = schema.get("oneOf").and_then(Value::as_array) {
        let fits = choices.iter().any(|choice| faults(document, choice, value, place).is_empty());
        return if fits { Vec::new() } else { vec![format!("{place}: {value} fits none of them")] };
    }
    let mut found = Vec::new();
    if let Some(kinds) = schema.get("type") {
        let named = |kind: &Value| kind.as_str().is_some_and(|kind| is(value, kind));
        let fits = kinds.as_array().map_or_else(|| named(kinds), |kinds| kinds.iter().any(named));
        if !fits {
            return vec![format!("{place}: {value} is not of type {kinds}")];
        }
    }
    if let Some(words) = schema.get("enum").and_then(Value::as_array)
        && !words.contains(value)
    {
        found.push(format!("{place}: {value} is none of {words:?}"));
    }
    if let (Some(items), Some(values)) = (schema.get("items"), value.as_array()) {
        let each = values.iter().enumerate();
        found.extend(each.flat_map(|(at, value)| faults(document, items, value, &format!("{place}/{at}"))));
    }
    if let Some(fields) = value.as_object() {
        let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
        let missing = required.filter_map(Value::as_str).filter(|key| !fields.contains_key(*key));
        found.extend(missing.map(|key| format!("{place}: {key} is missing")));
        let known = schema.get("properties");
        for (key, value) in fields {
            let place = format!("{place}/{key}");
            match (known.and_then(|known| known.get(key)), schema.get("additionalProperties")) {
                (Some(schema), _) => found.extend(faults(document, schema, value, &place)),
                (None, Some(Value::Bool(false))) => found.push(format!("{place}: not in the document")),
                (None, Some(schema)) => found.extend(faults(document, schema, value, &place)),
                (None, None) if known.is_some() => found.push(format!("{place}: not in the document")),
                (None, None) => {}
            }
        }
    }
    found
}

fn is(value: &Value, kind: &str) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    }
}

#[test]
fn a_value_is_held_to_its_schema() {
    use serde_json::json;
    let schema = json!({
        "type": "object", "required": ["a"], "additionalProperties": false,
        "properties": { "a": { "type": "integer" }, "b": { "oneOf": [{ "enum": ["x"] }, { "type": "null" }] } },
    });
    let count = |value: Value| faults(&json!({}), &schema, &value, "").len();
    assert_eq!([count(json!({ "a": 1 })), count(json!({ "a": 1, "b": null }))], [0, 0]);
    for wrong in
        [json!({}), json!({ "a": "1" }), json!({ "a": 1, "b": "y" }), json!({ "a": 1, "c": 1 }), json!([])]
    {
        assert_eq!(count(wrong.clone()), 1, "{wrong}");
    }
}
