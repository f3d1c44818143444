//! `interface.scrub`: what is put right in packets before anybody looks at them (pf's `scrub`).

use serde::{Deserialize, Serialize};

use super::is_default;

/// `scrub` of an interface, for what comes in and what leaves by it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Scrub {
    /// IPv4 packets that must not be fragmented may be (pf's `no-df`).
    #[serde(skip_serializing_if = "is_default")]
    pub no_df: bool,
    /// IPv4 packets get random identifications (`random-id`).
    #[serde(skip_serializing_if = "is_default")]
    pub random_id: bool,
    /// What comes in with a lower TTL or hop limit gets this one (`min-ttl`).
    #[serde(skip_serializing_if = "is_default")]
    pub min_ttl: Option<u8>,
    /// What becomes of fragments that come in.
    #[serde(skip_serializing_if = "is_default")]
    pub fragments: Fragments,
}

/// What becomes of fragments.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fragments {
    /// They are put together before the rules are asked.
    #[default]
    Reassemble,
    /// They are dropped.
    Drop,
}
