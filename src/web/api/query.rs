//! What stands behind the question mark: known keys only, each once.

use axum::extract::Query as Parsed;
use axum::http::Uri;
use serde_json::{Value, json};

use super::problem::{Outcome, Problem};

/// A key that a route knows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parameter {
    pub name: &'static str,
    pub takes: Takes,
    pub about: &'static str,
}

/// What a key takes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Takes {
    Text,
    /// A number up to this one.
    Number(u64),
    Flag,
}

/// A key.
pub(super) const fn parameter(name: &'static str, takes: Takes, about: &'static str) -> Parameter {
    Parameter { name, takes, about }
}

impl Takes {
    /// As a JSON Schema.
    pub fn schema(self) -> Value {
        match self {
            Takes::Text => json!({ "type": "string" }),
            Takes::Number(most) => json!({ "type": "integer", "minimum": 0, "maximum": most }),
            Takes::Flag => json!({ "type": "boolean" }),
        }
    }

    fn fits(self, text: &str) -> Result<(), String> {
        match self {
            Takes::Text => Ok(()),
            Takes::Number(most) => match text.parse::<u64>() {
                Ok(number) if number <= most => Ok(()),
                Ok(_) | Err(_) => Err(format!("Write a number from 0 to {most}.")),
            },
            Takes::Flag => match text {
                "true" | "false" => Ok(()),
                _ => Err("Write true or false.".into()),
            },
        }
    }
}

/// What was asked for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// What this address asks for, of keys that are known.
    pub fn read(uri: &Uri, known: &[Parameter]) -> Outcome<Query> {
        let pairs = Parsed::<Vec<(String, String)>>::try_from_uri(uri);
        let Ok(Parsed(pairs)) = pairs else {
            return Err(Problem::malformed("?", "The query cannot be read.", "Write it as key=value."));
        };
        for (at, (key, value)) in pairs.iter().enumerate() {
            let place = format!("?{key}");
            let Some(parameter) = known.iter().find(|parameter| parameter.name == key) else {
                let names: Vec<&str> = known.iter().map(|parameter| parameter.name).collect();
                let remedy = match names.is_empty() {
                    true => "Leave it out.".to_owned(),
                    false => format!("Known here are {}.", names.join(", ")),
                };
                return Err(Problem::malformed(place, format!("\"{key}\" is not known here."), remedy));
            };
            if pairs[..at].iter().any(|(before, _)| before == key) {
                return Err(Problem::malformed(
                    place,
                    format!("\"{key}\" stands there twice."),
                    "Write it once.",
                ));
            }
            if let Err(remedy) = parameter.takes.fits(value) {
                return Err(Problem::malformed(place, format!("\"{value}\" does not fit here."), remedy));
            }
        }
        Ok(Query(pairs))
    }

    /// What a key says.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A number, or what it is by itself.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.text(name)?.parse().ok()
    }

    /// A flag that is off by itself.
    pub fn flag(&self, name: &str) -> bool {
        self.text(name) == Some("true")
    }

    /// A value of a kind of its own.
    ///
    /// # Errors
    /// When it is no such value.
    pub fn parse<T>(&self, name: &str, read: impl Fn(&str) -> Result<T, String>) -> Outcome<Option<T>> {
        let wrong = |text: &str, why: String| {
            Problem::malformed(format!("?{name}"), format!("\"{text}\" does not fit here."), capital(&why))
        };
        self.text(name).map(|text| read(text).map_err(|why| wrong(text, why))).transpose()
    }
}

/// As a sentence.
fn capital(text: &str) -> String {
    let mut letters = text.trim_end_matches('.').chars();
    letters.next().map_or_else(String::new, |first| format!("{}{}.", first.to_uppercase(), letters.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[Parameter] =
        &[parameter("limit", Takes::Number(10), "How many."), parameter("all", Takes::Flag, "All of them.")];

    #[test]
    fn only_known_keys_are_read_each_once_and_within_its_bounds() {
        let read = |query: &str| Query::read(&format!("/x{query}").parse().unwrap(), KNOWN);
        let query = read("?limit=7&all=true").unwrap();
        assert_eq!((query.number("limit"), query.flag("all"), query.text("none")), (Some(7), true, None));
        assert_eq!(read(""), Ok(Query::default()));
        for wrong in
            ["?limits=7", "?limit=11", "?limit=-1", "?limit=", "?all=yes", "?limit=1&limit=2", "?=", "?x"]
        {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
