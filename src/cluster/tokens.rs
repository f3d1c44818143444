//! Tokens of programs for the API, as both nodes of a pair hold them.
//!
//! A token is 256 random bits that are shown once; only their hash is kept. It belongs to a user and may never do more than
//! that user may at the moment. Tokens stand beside the document and not in it: a revision that is restored, or a change that
//! nobody has confirmed, must not bring back what was revoked.
//!
//! Invariant: pure, and bounded. Merging the tokens of two nodes gives the same on both, whatever order it happens in, and
//! what is revoked on one stays revoked: it is kept until it would have expired.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use crate::config::life::Author;
use crate::config::model::UserRole;

/// In front of every token, so that people and scanners know one when they see it.
pub const PREFIX: &str = "koi_";
/// Tokens that are good for something, at a time.
pub const LIVE: usize = 64;
/// Tokens at a time, with those that are revoked and not yet forgotten.
pub const ALL: usize = 512;
/// The longest that a token may live, in seconds.
pub const LONGEST: u64 = 366 * DAY;
/// The shortest.
pub const SHORTEST: u64 = 60;
/// Kept for so long beyond its end: the calendars of two nodes may differ.
const GRACE: u64 = DAY;
const DAY: u64 = 86_400;
/// Letters of a name.
const NAME: usize = 64;
/// Hex digits of the hash by which a token is called.
const ID: usize = 12;

/// What a token is for; each one may do all that the ones before it may, as far as its user may.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Looks.
    Read,
    /// Acts on what runs: ends flows, moves the role, confirms a change.
    Operate,
    /// Changes the configuration.
    Configure,
}

impl Scope {
    /// Every one, the smallest first.
    pub const ALL: [Scope; 3] = [Scope::Read, Scope::Operate, Scope::Configure];

    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Scope::Read => "read",
            Scope::Operate => "operate",
            Scope::Configure => "configure",
        }
    }

    /// The least that its user must be for it to be good for anything more than the scope before it.
    pub const fn least(self) -> UserRole {
        match self {
            Scope::Read => UserRole::ReadOnly,
            Scope::Operate | Scope::Configure => UserRole::Operator,
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Scope, String> {
        let found = Scope::ALL.into_iter().find(|scope| scope.name() == text);
        found.ok_or_else(|| format!("\"{text}\" is no scope; write read, operate or configure"))
    }
}

/// What somebody wants a token to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wish {
    /// What it is for, in words.
    pub name: String,
    /// Whose it is.
    pub user: String,
    /// What it may do.
    pub scope: Scope,
    /// Seconds until it expires.
    pub lifetime: u64,
    /// Who makes it.
    pub author: Author,
}

/// A token, without what somebody would need to use it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Token {
    /// What it is called in commands: the beginning of its hash.
    pub id: String,
    /// What it is for, in words.
    pub name: String,
    /// Whose it is.
    pub user: String,
    /// What it may do, as far as its user may.
    pub scope: Scope,
    /// SHA-256 in hex: good enough for 256 random bits, which nobody guesses.
    hash: String,
    /// Seconds since 1970, as all times here.
    pub made_at: u64,
    /// Who made it.
    pub made_by: Author,
    /// From then on it is good for nothing.
    pub expires_at: u64,
    /// Since then it is good for nothing.
    pub revoked_at: Option<u64>,
    /// When it was used last.
    pub used_at: Option<u64>,
}

impl Token {
    /// True while it is good for something.
    pub fn lives(&self, now: u64) -> bool {
        self.revoked_at.is_none() && now < self.expires_at
    }

    /// As it is shown.
    pub fn row(&self, now: u64) -> TokenRow {
        let Token { id, name, user, scope, hash: _, made_at, made_by, expires_at, revoked_at, used_at } =
            self.clone();
        let state = match (revoked_at, now < expires_at) {
            (Some(_), _) => "revoked",
            (None, true) => "active",
            (None, false) => "expired",
        };
        TokenRow { id, name, user, scope, state: state.into(), made_at, made_by, expires_at, used_at }
    }
}

/// A token as it is shown. Times are seconds since 1970.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TokenRow {
    /// What it is called in commands.
    pub id: String,
    /// What it is for, in words.
    pub name: String,
    /// Whose it is.
    pub user: String,
    /// What it may do, as far as its user may.
    pub scope: Scope,
    /// `active`, `expired` or `revoked`.
    pub state: String,
    /// When it was made.
    pub made_at: u64,
    /// Who made it.
    pub made_by: Author,
    /// When it expires.
    pub expires_at: u64,
    /// When it was used last.
    pub used_at: Option<u64>,
}

/// All tokens of a node.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tokens(BTreeMap<String, Token>);

impl Tokens {
    /// Makes a token of this randomness: what is to be shown once, and what is known of it.
    ///
    /// # Errors
    /// When the wish makes no sense, or when there are too many already; in words.
    pub fn make(&mut self, now: u64, random: [u8; 32], wish: Wish) -> Result<(String, Token), String> {
        let Wish { name, user, scope, lifetime, author } = wish;
        self.forget(now);
        if name.trim().is_empty() || name.chars().count() > NAME || name.chars().any(char::is_control) {
            return Err(format!("A token needs a name of at most {NAME} letters."));
        }
        if !(SHORTEST..=LONGEST).contains(&lifetime) {
            let days = LONGEST / DAY;
            return Err(format!("A token lives for a minute at least and for {days} days at most."));
        }
        if self.0.values().filter(|token| token.lives(now)).count() >= LIVE || self.0.len() >= ALL {
            return Err(format!("There are {LIVE} tokens already; revoke one first."));
        }
        let text = format!("{PREFIX}{}", BASE64URL_NOPAD.encode(&random));
        let hash = hash(&text);
        let token = Token {
            id: hash[..ID].to_owned(),
            name,
            user,
            scope,
            hash,
            made_at: now,
            made_by: author,
            expires_at: now + lifetime,
            revoked_at: None,
            used_at: None,
        };
        self.0.insert(token.id.clone(), token.clone());
        Ok((text, token))
    }

    /// The token is good for nothing from now on; `None` when there is none of this id.
    pub fn revoke(&mut self, now: u64, id: &str) -> Option<&Token> {
        let token = self.0.get_mut(id)?;
        token.revoked_at.get_or_insert(now);
        Some(token)
    }

    /// The token that this text is, while it is good for something; that it was asked for is noted. All are compared, each
    /// in the same time.
    pub fn find(&mut self, now: u64, text: &str) -> Option<&Token> {
        let wanted = hash(text);
        let mut found = None;
        for token in self.0.values_mut() {
            if same(token.hash.as_bytes(), wanted.as_bytes()) {
                found = Some(token);
            }
        }
        let token = found.filter(|token| token.lives(now))?;
        token.used_at = Some(now.max(token.used_at.unwrap_or_default()));
        Some(token)
    }

    /// Takes over what the other node knows.
    pub fn merge(&mut self, now: u64, other: &Tokens) {
        self.forget(now);
        let good = |(id, token): &(&String, &Token)| {
            token.id == **id && token.hash.starts_with(id.as_str()) && id.len() == ID && !is_over(token, now)
        };
        for (id, theirs) in other.0.iter().filter(good) {
            let has_room = self.0.len() < ALL;
            match self.0.get_mut(id) {
                Some(ours) => {
                    let revoked = [ours.revoked_at, theirs.revoked_at];
                    ours.revoked_at = revoked.into_iter().flatten().min();
                    ours.used_at = ours.used_at.max(theirs.used_at);
                }
                None if has_room => drop(self.0.insert(id.clone(), theirs.clone())),
                None => {}
            }
        }
    }

    /// As they are shown, the newest first.
    pub fn rows(&self, now: u64) -> Vec<TokenRow> {
        let mut rows: Vec<TokenRow> = self.0.values().map(|token| token.row(now)).collect();
        rows.sort_by(|a, b| b.made_at.cmp(&a.made_at).then_with(|| a.id.cmp(&b.id)));
        rows
    }

    /// The same without when they were used: what both nodes must agree on.
    pub fn agreed(&self) -> Tokens {
        let quiet = |token: &Token| Token { used_at: None, ..token.clone() };
        Tokens(self.0.iter().map(|(id, token)| (id.clone(), quiet(token))).collect())
    }

    fn forget(&mut self, now: u64) {
        self.0.retain(|_, token| !is_over(token, now));
    }
}

fn is_over(token: &Token, now: u64) -> bool {
    now > token.expires_at.saturating_add(GRACE)
}

fn hash(text: &str) -> String {
    HEXLOWER.encode(digest(&SHA256, text.as_bytes()).as_ref())
}

/// Compares in a time that depends on the lengths only.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wish(name: &str, lifetime: u64) -> Wish {
        let author = Author { who: "root".into(), from: "cli".into() };
        Wish { name: name.into(), user: "ada".into(), scope: Scope::Operate, lifetime, author }
    }

    fn random(number: u8) -> [u8; 32] {
        [number; 32]
    }

    #[test]
    fn a_token_is_found_by_its_text_until_it_expires_or_is_revoked() {
        let mut tokens = Tokens::default();
        let (text, made) = tokens.make(1000, random(7), wish("nightly", DAY)).unwrap();
        assert!(text.starts_with("koi_") && text.len() == 47, "{text}");
        assert_eq!(tokens.find(1001, &text).unwrap().id, made.id);
        assert_eq!(tokens.rows(1001)[0].used_at, Some(1001));
        for wrong in
            ["", "koi_", &text[..46], &text.to_uppercase(), &format!("{text}x"), &made.hash, &made.id]
        {
            assert!(tokens.find(1001, wrong).is_none(), "{wrong}");
        }
        assert!(tokens.find(1000 + DAY, &text).is_none(), "expired");
        assert_eq!(tokens.rows(1000 + DAY)[0].state, "expired");
        assert!(tokens.find(1002, &text).is_some());
        assert!(tokens.revoke(1003, "nothing").is_none());
        assert_eq!(tokens.revoke(1003, &made.id).unwrap().revoked_at, Some(1003));
        assert!(tokens.find(1003, &text).is_none());
        assert_eq!(tokens.revoke(1009, &made.id).unwrap().revoked_at, Some(1003), "once");
        let kept = serde_json::to_string(&tokens).unwrap();
        assert!(!kept.contains(&text[4..]), "only its hash is kept");
        assert_eq!(serde_json::from_str::<Tokens>(&kept).unwrap(), tokens);
    }

    #[test]
    fn wishes_and_numbers_have_bounds() {
        let mut tokens = Tokens::default();
        for (name, lifetime) in [("", DAY), ("  ", DAY), ("a\nb", DAY), ("x", 59), ("x", LONGEST + 1)] {
            assert!(tokens.make(0, random(1), wish(name, lifetime)).is_err(), "{name} {lifetime}");
        }
        assert!(tokens.make(0, random(1), wish(&"n".repeat(NAME + 1), DAY)).is_err());
        for number in 0..LIVE {
            tokens.make(0, random(number as u8), wish("x", DAY)).unwrap();
        }
        assert!(tokens.make(0, random(200), wish("x", DAY)).unwrap_err().contains("revoke one"));
        assert!(tokens.make(DAY, random(200), wish("x", DAY)).is_ok(), "the others have expired");
        tokens.make(3 * DAY, random(201), wish("x", DAY)).unwrap();
        assert!(tokens.rows(3 * DAY).len() <= 2, "and are forgotten");
    }

    #[test]
    fn what_is_revoked_stays_so_and_strangers_hashes_are_not_taken() {
        let (mut here, mut there) = (Tokens::default(), Tokens::default());
        let (text, made) = here.make(10, random(3), wish("x", DAY)).unwrap();
        there.merge(10, &here);
        assert!(there.find(11, &text).is_some());
        there.revoke(12, &made.id);
        here.merge(13, &there);
        assert!(here.find(13, &text).is_none());
        here.merge(14, &Tokens(BTreeMap::from([(made.id.clone(), made.clone())])));
        assert!(here.find(14, &text).is_none(), "an old copy does not bring it back");
        let other = Token { hash: "0".repeat(64), ..made };
        let mut empty = Tokens::default();
        empty.merge(10, &Tokens(BTreeMap::from([(other.id.clone(), other)])));
        assert_eq!(empty, Tokens::default());
    }

    proptest! {
        #[test]
        fn merging_commutes_and_repeats(
            ours in prop::collection::vec((0u8..12, any::<bool>()), 0..8),
            theirs in prop::collection::vec((0u8..12, any::<bool>()), 0..8),
        ) {
            let build = |made: &[(u8, bool)], now: u64| {
                let mut tokens = Tokens::default();
                for (number, revoked) in made {
                    let (text, token) = tokens.make(5, random(*number), wish("x", DAY)).unwrap();
                    tokens.find(now, &text);
                    if *revoked {
                        tokens.revoke(now, &token.id);
                    }
                }
                tokens
            };
            let (a, b) = (build(&ours, 20), build(&theirs, 30));
            let (mut ab, mut ba) = (a.clone(), b.clone());
            ab.merge(40, &b);
            ba.merge(40, &a);
            prop_assert_eq!(&ab, &ba);
            let before = ab.clone();
            ab.merge(41, &ba);
            prop_assert_eq!(ab, before);
        }
    }
}
