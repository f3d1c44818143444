//! JSON Schemas, small ones: most are taken from values of the very kind that is answered, so that they cannot say what is not
//! so.

use serde::Serialize;
use serde_json::{Map, Value, json};

/// A text.
pub(super) fn text(about: &str) -> Value {
    json!({ "type": "string", "description": about })
}

/// A whole number that is not negative.
pub(super) fn number(about: &str) -> Value {
    json!({ "type": "integer", "minimum": 0, "description": about })
}

/// True or false.
pub(super) fn flag(about: &str) -> Value {
    json!({ "type": "boolean", "description": about })
}

/// One of these words.
pub(super) fn one_of(words: &[&str], about: &str) -> Value {
    json!({ "type": "string", "enum": words, "description": about })
}

/// A list.
pub(super) fn list(items: Value) -> Value {
    json!({ "type": "array", "items": items })
}

/// Nothing, or that.
pub(super) fn maybe(schema: Value) -> Value {
    json!({ "oneOf": [schema, { "type": "null" }] })
}

/// Keys of any name, with values of this kind.
pub(super) fn map_of(values: Value) -> Value {
    json!({ "type": "object", "additionalProperties": values })
}

/// Whatever stands there.
pub(super) fn anything() -> Value {
    json!({})
}

/// A schema that stands elsewhere in the document.
pub(super) fn named(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// An object with exactly these keys, of which the first ones must be there.
pub(super) fn object(required: &[(&str, Value)], optional: &[(&str, Value)]) -> Value {
    let all = required.iter().chain(optional);
    let properties: Map<String, Value> =
        all.map(|(key, schema)| ((*key).to_owned(), schema.clone())).collect();
    let required: Vec<&str> = required.iter().map(|(key, _)| *key).collect();
    json!({
        "type": "object", "properties": properties, "required": required, "additionalProperties": false,
    })
}

/// The schema of values like this one. Of an empty list and of nothing it says no more than that.
pub(super) fn like(sample: &impl Serialize) -> Value {
    infer(&serde_json::to_value(sample).unwrap_or_default())
}

fn infer(sample: &Value) -> Value {
    match sample {
        Value::Null => anything(),
        Value::Bool(_) => json!({ "type": "boolean" }),
        Value::Number(number) if number.is_f64() => json!({ "type": "number" }),
        Value::Number(_) => json!({ "type": "integer" }),
        Value::String(_) => json!({ "type": "string" }),
        Value::Array(items) => list(items.first().map_or_else(anything, infer)),
        Value::Object(fields) => {
            let properties: Map<String, Value> =
                fields.iter().map(|(key, value)| (key.clone(), infer(value))).collect();
            let required: Vec<&String> = fields.keys().collect();
            json!({ "type": "object", "properties": properties, "required": required })
        }
    }
}
