//! Whom the document knows, and whether a password is theirs.

use ring::digest::{Context, SHA256};

use super::auth::{Password, USER};
use super::hash;
use crate::config::Config;
use crate::config::model::UserRole;

/// Somebody who may log in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Account {
    pub name: String,
    pub role: UserRole,
    /// Follows from role and password: when it differs, a session of before is over.
    pub stamp: [u8; 32],
}

impl Account {
    /// The account of this name. While the document has no user, that is `admin` alone, with the password of the
    /// first start.
    pub fn find(config: &Config, first: &Password, name: &str) -> Option<Account> {
        let of = |role: UserRole, secret: &str| Account {
            name: name.to_owned(),
            role,
            stamp: stamp(role, secret),
        };
        if config.users.is_empty() {
            return (name == USER).then(|| of(UserRole::Administrator, first.reveal()));
        }
        let user = config.users.iter().find(|user| user.name == name && !user.disabled)?;
        Some(of(user.role, user.password_hash.reveal()))
    }

    /// True when the password of this name is kept in the way of another firewall.
    pub fn is_foreign(config: &Config, name: &str) -> bool {
        config.users.iter().any(|user| user.name == name && hash::is_foreign(user.password_hash.reveal()))
    }

    /// The account, when this is its name and its password. Takes some 30 ms, whoever is asked for; more while users have
    /// hashes of another firewall.
    pub fn verify(config: &Config, first: &Password, name: &str, password: &str) -> Option<Account> {
        let account = Account::find(config, first, name);
        let right = if config.users.is_empty() {
            first.is(password)
        } else {
            let user = config.users.iter().find(|user| user.name == name && !user.disabled);
            let all = config.users.iter().map(|user| user.password_hash.reveal());
            hash::verify(password, user.map(|user| user.password_hash.reveal()), all)
        };
        account.filter(|_| right)
    }
}

fn stamp(role: UserRole, secret: &str) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    context.update(match role {
        UserRole::ReadOnly => b"r",
        UserRole::Operator => b"o",
        UserRole::Administrator => b"a",
    });
    context.update(secret.as_bytes());
    let mut stamp = [0; 32];
    stamp.copy_from_slice(context.finish().as_ref());
    stamp
}
