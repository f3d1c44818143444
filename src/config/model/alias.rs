//! `[[alias]]`: a name for addresses or ports.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::endpoint::AddressRange;
use super::is_default;
use crate::types::{PortRange, Prefix};
use crate::wire::dns::Name;

/// `[[alias]]`: a name that rules write where addresses or ports stand.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alias {
    /// The name.
    pub name: String,
    /// What it stands for.
    #[serde(rename = "type")]
    pub kind: AliasKind,
    /// A file with its members, one a line, that each node reads from its own disk (pfSense's URL tables).
    #[serde(default, skip_serializing_if = "is_default")]
    pub file: Option<String>,
    /// Its members; other aliases of its type among them.
    #[serde(default, skip_serializing_if = "is_default")]
    pub entries: Vec<AliasEntry>,
    /// For people.
    #[serde(default, skip_serializing_if = "is_default")]
    pub description: String,
}

/// What an alias stands for, in pfSense's words.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AliasKind {
    /// Addresses, ranges of addresses, and names of hosts.
    Host,
    /// Networks, addresses, ranges of addresses, and names of hosts.
    Network,
    /// Ports and ranges of ports.
    Port,
    /// The networks, addresses and ranges of addresses of a file.
    Urltable,
}

/// A member of an alias: a text, or `{ value = "...", description = "..." }`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct AliasEntry {
    /// An address, a network, a range, a port, the name of a host or of another alias.
    pub value: String,
    /// For people.
    pub description: String,
}

/// The two ways to write a member.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Plain(String),
    Described(Described),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Described {
    value: String,
    description: String,
}

/// A member, read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Member {
    /// A network or an address.
    Prefix(Prefix),
    /// From one address to another.
    Range(AddressRange),
    /// Ports.
    Ports(PortRange),
    /// All addresses of a host.
    Name(Name),
    /// All members of another alias.
    Alias(String),
}

impl AliasEntry {
    /// Reads the value as a member of an alias of type `kind`.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn member(&self, kind: AliasKind) -> Result<Member, String> {
        let value = self.value.as_str();
        match kind {
            AliasKind::Port => {
                if let Ok(range) = value.replace(':', "-").parse() {
                    return Ok(Member::Ports(range));
                }
            }
            AliasKind::Host | AliasKind::Network | AliasKind::Urltable => {
                if let Ok(address) = value.parse::<IpAddr>() {
                    return Ok(Member::Prefix(Prefix::from(address)));
                }
                if let Ok(range) = value.parse() {
                    return Ok(Member::Range(range));
                }
                if let (AliasKind::Network | AliasKind::Urltable, Ok(prefix)) =
                    (kind, value.parse::<Prefix>())
                {
                    return Ok(Member::Prefix(prefix));
                }
                if let (AliasKind::Host | AliasKind::Network, Some(name)) = (kind, host_name(value)) {
                    return Ok(Member::Name(name));
                }
            }
        }
        if is_alias_name(value) && kind != AliasKind::Urltable {
            return Ok(Member::Alias(value.into()));
        }
        Err(format!("\"{value}\" is not {}.", kind.members()))
    }
}

impl AliasKind {
    /// What may stand in it, in words.
    pub const fn members(self) -> &'static str {
        match self {
            AliasKind::Host => "an address, a range of addresses, the name of a host or an alias",
            AliasKind::Network => {
                "a network, an address, a range of addresses, the name of a host or an alias"
            }
            AliasKind::Port => "a port, a range of ports or an alias",
            AliasKind::Urltable => "a network, an address or a range of addresses",
        }
    }

    /// May names of hosts stand in it?
    pub const fn has_names(self) -> bool {
        matches!(self, AliasKind::Host | AliasKind::Network)
    }

    /// As it is written.
    pub const fn word(self) -> &'static str {
        match self {
            AliasKind::Host => "host",
            AliasKind::Network => "network",
            AliasKind::Port => "port",
            AliasKind::Urltable => "urltable",
        }
    }

    /// True when one may be a member of the other.
    pub const fn mixes(self, other: AliasKind) -> bool {
        matches!(self, AliasKind::Port) == matches!(other, AliasKind::Port)
    }
}

/// The name of a host has a dot in it, or it would be an alias's, and a letter in its last part, or it would be a
/// misspelt address.
pub fn host_name(text: &str) -> Option<Name> {
    let last = text.trim_end_matches('.').rsplit('.').next().unwrap_or(text);
    let is_name = text.contains('.') && last.bytes().any(|byte| byte.is_ascii_alphabetic());
    if is_name { Name::new(text) } else { None }
}

/// pfSense's form of a name: letters, digits and underscores, a letter among them, fewer than 32. Digits alone would
/// be a port.
pub fn is_alias_name(name: &str) -> bool {
    (1..32).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && name.bytes().any(|byte| byte.is_ascii_alphabetic())
}

impl From<Written> for AliasEntry {
    fn from(written: Written) -> AliasEntry {
        match written {
            Written::Plain(value) => AliasEntry { value, description: String::new() },
            Written::Described(Described { value, description }) => AliasEntry { value, description },
        }
    }
}

impl From<AliasEntry> for Written {
    fn from(entry: AliasEntry) -> Written {
        let AliasEntry { value, description } = entry;
        if description.is_empty() {
            Written::Plain(value)
        } else {
            Written::Described(Described { value, description })
        }
    }
}
