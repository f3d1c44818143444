//! What can be asked of the tokens of programs, and what comes back.

use serde::{Deserialize, Serialize};

use crate::cluster::tokens::{Scope, TokenRow, Tokens};
use crate::config::Config;
use crate::config::life::Author;
use crate::config::model::{FIRST_USER, UserRole};

/// A question about tokens, or something that becomes of them.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TokenRequest {
    /// A new one; answered by [`TokenAnswer::Made`].
    Create {
        /// What it is for, in words.
        name: String,
        /// What it may do.
        scope: Scope,
        /// Seconds until it expires.
        lifetime: u64,
        /// Whose it is; the only administrator's when nobody is named.
        user: Option<String>,
        /// Who makes it.
        author: Author,
    },
    /// Every one; answered by [`TokenAnswer::Rows`].
    List,
    /// One ends, at once; answered by [`TokenAnswer::Revoked`].
    Revoke {
        /// Which.
        id: String,
        /// Who ends it.
        author: Author,
    },
    /// What the peer knows; answered by [`TokenAnswer::Known`].
    Merge(Tokens),
}

/// What comes back.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TokenAnswer {
    /// It was made.
    Made {
        /// What a program shows. It is nowhere kept.
        token: String,
        /// What is known of it.
        row: TokenRow,
        /// The peer knows it, too; absent when there is no peer.
        shared: Option<bool>,
    },
    /// The newest first.
    Rows(Vec<TokenRow>),
    /// It has ended.
    Revoked {
        /// The token.
        row: TokenRow,
        /// The peer knows it, too; absent when there is no peer. One that is away is told when it is back.
        shared: Option<bool>,
    },
    /// What both nodes know then.
    Known(Tokens),
}

/// Whose a new token is.
///
/// # Errors
/// When there is no such user, or one whose role makes the scope senseless; in words.
pub fn owner(config: &Config, wanted: Option<&str>, scope: Scope) -> Result<String, String> {
    if config.users.is_empty() {
        return match wanted {
            None | Some(FIRST_USER) => Ok(FIRST_USER.into()),
            Some(name) => {
                Err(format!("There is no user \"{name}\"; before the first user there is {FIRST_USER}."))
            }
        };
    }
    let active = || config.users.iter().filter(|user| !user.disabled);
    let user = match wanted {
        Some(name) => active()
            .find(|user| user.name == name)
            .ok_or_else(|| format!("There is no user \"{name}\" who may log in."))?,
        None => {
            let mut administrators = active().filter(|user| user.role == UserRole::Administrator);
            match (administrators.next(), administrators.next()) {
                (Some(only), None) => only,
                (_, _) => return Err("There are several administrators; say whose it is.".into()),
            }
        }
    };
    if user.role < scope.least() {
        return Err(format!("{} may only look; a token to {scope} would be of no use.", user.name));
    }
    Ok(user.name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    #[test]
    fn a_token_is_somebodys_and_not_for_more_than_they_may() {
        let text = include_str!("../../configs/single.toml");
        let hash = format!("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0${}", "A".repeat(43));
        let user = |name: &str, role: &str, more: &str| {
            format!("[[user]]\nname = \"{name}\"\nrole = \"{role}\"\npassword_hash = \"{hash}\"\n{more}\n")
        };
        let nobody = parse(text).unwrap();
        assert_eq!(owner(&nobody, None, Scope::Configure), Ok("admin".into()));
        assert!(owner(&nobody, Some("ada"), Scope::Read).is_err());
        let one = [text, &user("ada", "administrator", ""), &user("rita", "read-only", "")].concat();
        let gone = user("otto", "operator", "disabled = true");
        let some = parse(&[one.as_str(), &gone].concat()).unwrap();
        for (wanted, scope, whose) in [
            (None, Scope::Configure, Some("ada")),
            (Some("ada"), Scope::Read, Some("ada")),
            (Some("rita"), Scope::Read, Some("rita")),
            (Some("rita"), Scope::Operate, None),
            (Some("otto"), Scope::Read, None),
            (Some("admin"), Scope::Read, None),
        ] {
            assert_eq!(owner(&some, wanted, scope).ok().as_deref(), whose, "{wanted:?} {scope}");
        }
        let two = parse(&[one.as_str(), &user("eva", "administrator", "")].concat()).unwrap();
        assert!(owner(&two, None, Scope::Read).unwrap_err().contains("several"));
        assert_eq!(owner(&two, Some("eva"), Scope::Read), Ok("eva".into()));
    }
}
