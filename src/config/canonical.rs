//! The document's one text form, its one hash, and the addresses that follow from names.

use std::fmt::Write;

use ring::digest::{Context, SHA256, digest};

use super::Config;
use super::model::Node;
use crate::types::MacAddr;

impl Config {
    /// The document as TOML, without what has its default value. Reading it gives the same document.
    pub fn to_toml(&self) -> String {
        // Strings, numbers, flags and lists of tables: TOML has a form for each. Only a revision above
        // 2^63 would not fit, and revisions count changes from one.
        toml::to_string(self).expect("every field has a TOML form")
    }

    /// The canonical hash: SHA-256 in hex of the document's sense. Comments, the order of keys, spelling and
    /// written-out defaults change nothing; any change in sense, or in the order of rules, does.
    pub fn hash(&self) -> String {
        let canonical = serde_json::to_vec(self).expect("every field has a JSON form");
        let mut hex = String::with_capacity(64);
        for byte in digest(&SHA256, &canonical).as_ref() {
            // Writing to a String cannot fail.
            let _ = write!(hex, "{byte:02x}");
        }
        hex
    }
}

/// The MAC address of an interface on a node, when the node has the interface.
pub(super) fn mac_of(node: &Node, interface: &str) -> Option<MacAddr> {
    let part = node.interfaces.iter().find(|part| part.name == interface)?;
    Some(part.mac.unwrap_or_else(|| mac_for(&node.name, interface)))
}

/// The MAC address of an interface that has none configured: always the same for the same two names,
/// unicast and locally administered.
pub fn mac_for(node: &str, interface: &str) -> MacAddr {
    let mut context = Context::new(&SHA256);
    context.update(b"koi mac\0");
    context.update(node.as_bytes());
    context.update(b"\0");
    context.update(interface.as_bytes());
    let hash = context.finish();
    let mut mac = MacAddr::default();
    mac.0.copy_from_slice(&hash.as_ref()[..6]);
    mac.0[0] = mac.0[0] & !0x01 | 0x02;
    mac
}
