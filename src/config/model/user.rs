//! `[[user]]`: who may see and change this firewall.

use serde::{Deserialize, Serialize};

use super::{Secret, is_default};

/// The account that there is while the document has no user.
pub const FIRST_USER: &str = "admin";

/// `[[user]]`: an account for the pages.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// What is typed to log in.
    pub name: String,
    /// What it may do.
    pub role: UserRole,
    /// Argon2id in the PHC text form; bcrypt or SHA-512 crypt when it came from another firewall and nobody has logged in
    /// with it yet.
    pub password_hash: Secret,
    /// Base32: whoever logs in also types the code that an authenticator makes of it (RFC 6238).
    #[serde(default, skip_serializing_if = "is_default")]
    pub totp_secret: Option<Secret>,
    /// Kept, but may not log in.
    #[serde(default, skip_serializing_if = "is_default")]
    pub disabled: bool,
    /// For people.
    #[serde(default, skip_serializing_if = "is_default")]
    pub description: String,
}

/// What a user may do; each role may do all that the ones before it may.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UserRole {
    /// Looks.
    ReadOnly,
    /// Changes what packets meet: interfaces, addresses, routes, rules, translation.
    Operator,
    /// Changes everything: also the system, the pair and the users.
    Administrator,
}
