//! What a node says of itself and its pair. The lab believes it only when it waits for something; figures never come
//! from it.

use std::time::Duration;

use serde_json::Value;

/// What `koi show pair --json` says, as far as the lab wants to know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Word {
    /// The node's role; empty when it does not say.
    pub role: String,
    /// The pair could lose a node now.
    pub redundant: bool,
    /// How long it took to prove that both nodes have the same states.
    pub proven: Option<Duration>,
}

impl Word {
    /// Reads it.
    pub fn read(said: &Value) -> Word {
        let role = find(said, "role", &Value::as_str).unwrap_or_default().to_owned();
        Word {
            role,
            redundant: find(said, "redundant", &Value::as_bool).unwrap_or(false),
            proven: find(said, "proven_after_ms", &Value::as_u64).map(Duration::from_millis),
        }
    }

    /// True when it serves.
    pub fn is_active(&self) -> bool {
        self.role == "active"
    }
}

/// The field of this name and kind, at the top or below it; what is said of the peer does not count.
fn find<'a, T>(said: &'a Value, name: &str, read: &dyn Fn(&'a Value) -> Option<T>) -> Option<T> {
    let fields = said.as_object()?;
    let own = fields.get(name).and_then(read);
    let mut below = fields.iter().filter(|(key, _)| *key != "peer");
    own.or_else(|| below.find_map(|(_, part)| find(part, name, read)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_node_does_not_say_is_not_assumed() {
        let said = json!({"role": "standby", "redundant": true});
        let word = Word { role: "standby".into(), redundant: true, proven: None };
        assert_eq!(Word::read(&said), word);
        assert_eq!(Word::read(&json!({"peer": {"role": "active"}, "role": said})), word);
        assert_eq!(
            Word::read(&json!({"redundant": "yes"})),
            Word { role: String::new(), redundant: false, proven: None }
        );
        let said = json!({"replication": {"digests": {"proven_after_ms": 70}}});
        assert_eq!(Word::read(&said).proven, Some(Duration::from_millis(70)));
    }
}
