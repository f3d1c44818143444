//! What pfSense's reader makes of an element: two files with equal readings are the same configuration.

use std::collections::BTreeMap;

use super::{Element, words};

/// An element as pfSense holds it in memory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reading {
    /// A text, or nothing.
    Text(String),
    /// Further elements by their lower-case names. Only lists have more than one of a name.
    Node(BTreeMap<String, Vec<Reading>>),
}

impl Reading {
    /// Reads an element.
    pub fn of(element: &Element) -> Reading {
        let mut node: BTreeMap<String, Vec<Reading>> = BTreeMap::new();
        for child in &element.children {
            let name = child.name.to_ascii_lowercase();
            let reading = Reading::of(child);
            // Empty members of a list are dropped, though the list is there.
            let list = node.entry(name).or_default();
            if !(words::repeats(&child.name) && reading.is_empty()) {
                list.push(reading);
            }
        }
        if node.is_empty() {
            Reading::Text(element.text.trim_matches(['\t', '\r', '\n']).into())
        } else {
            Reading::Node(node)
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Reading::Text(text) => text.is_empty(),
            Reading::Node(node) => node.is_empty(),
        }
    }
}
