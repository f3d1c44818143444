//! How a password is kept, which its hash says itself.

use super::defaults::{
    ARGON2_MEMORY_LIMIT, ARGON2_PASSES_LIMIT, BCRYPT_COST_RANGE, SHA512_CRYPT_ROUNDS,
    SHA512_CRYPT_ROUNDS_RANGE,
};

/// What made a hash. Koi makes those of Argon2id; the others come with the users of another firewall, and count until
/// somebody logs in with them for the first time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PasswordKind {
    /// Argon2id in the PHC text form.
    Argon2id,
    /// bcrypt, as pfSense and OPNsense keep passwords: its cost.
    Bcrypt(u32),
    /// SHA-512 crypt, as pfSense can keep them: its rounds.
    Sha512Crypt(u32),
}

impl PasswordKind {
    /// What made this hash; `None` for something else, and for a hash whose verification would take too long.
    pub fn of(hash: &str) -> Option<PasswordKind> {
        match hash.as_bytes() {
            [b'$', b'2', ..] => bcrypt(hash).map(PasswordKind::Bcrypt),
            [b'$', b'6', b'$', ..] => sha512_crypt(hash).map(PasswordKind::Sha512Crypt),
            _ => is_argon2id(hash).then_some(PasswordKind::Argon2id),
        }
    }

    /// True for what Koi makes itself.
    pub const fn is_own(self) -> bool {
        matches!(self, PasswordKind::Argon2id)
    }
}

/// `$argon2id$v=19$m=...,t=...,p=...$salt$hash`, with costs that a login may have.
fn is_argon2id(text: &str) -> bool {
    let mut parts = text.split('$');
    let [Some(""), Some("argon2id"), Some("v=19"), Some(costs), Some(salt), Some(hash), None] =
        std::array::from_fn(|_| parts.next())
    else {
        return false;
    };
    let base64 = |text: &str, lengths: std::ops::RangeInclusive<usize>| {
        lengths.contains(&text.len())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '/'))
    };
    let mut costs = costs.split(',');
    let mut cost = |key: &str, limit: u32| {
        let number = costs.next().and_then(|cost| cost.strip_prefix(key)?.parse::<u32>().ok());
        number.is_some_and(|number| (1..=limit).contains(&number))
    };
    cost("m=", ARGON2_MEMORY_LIMIT)
        && cost("t=", ARGON2_PASSES_LIMIT)
        && cost("p=", 4)
        && costs.next().is_none()
        && base64(salt, 11..=64)
        && base64(hash, 43..=86)
}

/// `$2y$10$` and 53 letters: 22 of the salt, 31 of the hash.
fn bcrypt(text: &str) -> Option<u32> {
    let mut parts = text.split('$');
    let [Some(""), Some("2a" | "2b" | "2y"), Some(cost), Some(rest), None] =
        std::array::from_fn(|_| parts.next())
    else {
        return None;
    };
    let cost =
        (cost.len() == 2).then(|| cost.parse().ok())?.filter(|cost| BCRYPT_COST_RANGE.contains(cost))?;
    (rest.len() == 53 && is_crypt_base64(rest)).then_some(cost)
}

/// `$6$salt$hash`, or with `rounds=...$` in front of the salt.
fn sha512_crypt(text: &str) -> Option<u32> {
    let rest = text.strip_prefix("$6$")?;
    let (rounds, rest) = match rest.strip_prefix("rounds=") {
        None => (SHA512_CRYPT_ROUNDS, rest),
        Some(rest) => {
            let (rounds, rest) = rest.split_once('$')?;
            (rounds.parse().ok()?, rest)
        }
    };
    let (salt, hash) = rest.split_once('$')?;
    let fits = SHA512_CRYPT_ROUNDS_RANGE.contains(&rounds)
        && (1..=16).contains(&salt.len())
        && is_crypt_base64(salt)
        && hash.len() == 86
        && is_crypt_base64(hash);
    fits.then_some(rounds)
}

/// crypt's own letters.
fn is_crypt_base64(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hashes_of_bearable_cost_are_hashes() {
        let hash = "A".repeat(43);
        let text = |costs: &str| format!("$argon2id$v=19${costs}$c2FsdHNhbHRzYWx0${hash}");
        let right = text("m=19456,t=2,p=1");
        assert_eq!(PasswordKind::of(&right), Some(PasswordKind::Argon2id));
        for wrong in
            ["m=4194304,t=2,p=1", "m=19456,t=999,p=1", "m=0,t=2,p=1", "m=1,t=2", "m=1,t=2,p=1,x=1", ""]
        {
            assert_eq!(PasswordKind::of(&text(wrong)), None, "{wrong}");
        }
        for wrong in [
            right.replace("argon2id", "argon2i"),
            right.replace("v=19", "v=16"),
            format!("{right}$"),
            right.replace("c2Fs", "c2F!"),
            right[..right.len() - 1].to_owned(),
            "secret".into(),
            String::new(),
        ] {
            assert_eq!(PasswordKind::of(&wrong), None, "{wrong}");
        }
    }

    #[test]
    fn hashes_of_other_firewalls_are_known_by_their_form() {
        let (letters, long) = ("a".repeat(53), "b".repeat(86));
        for (text, kind) in [
            (format!("$2y$10${letters}"), Some(PasswordKind::Bcrypt(10))),
            (format!("$2b$12${letters}"), Some(PasswordKind::Bcrypt(12))),
            (format!("$2a$04${letters}"), Some(PasswordKind::Bcrypt(4))),
            (format!("$2y$31${letters}"), None),
            (format!("$2y$3${letters}"), None),
            (format!("$2x$10${letters}"), None),
            (format!("$2y$10${letters}a"), None),
            (format!("$2y$10${}", letters.replace("aaa", "a-a")), None),
            (format!("$6$salt${long}"), Some(PasswordKind::Sha512Crypt(5000))),
            (format!("$6$rounds=10000$salt${long}"), Some(PasswordKind::Sha512Crypt(10_000))),
            (format!("$6$rounds=999999999$salt${long}"), None),
            (format!("$6$rounds=x$salt${long}"), None),
            (format!("$6$saltsaltsaltsalts${long}"), None),
            (format!("$6$salt${long}$"), None),
            (format!("$5$salt${long}"), None),
            ("$6$salt$".into(), None),
            ("$1$salt$hash".into(), None),
        ] {
            assert_eq!(PasswordKind::of(&text), kind, "{text}");
        }
    }
}
