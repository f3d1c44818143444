//! Passwords at rest: Argon2id with OWASP's costs, in the PHC text form. Those of another firewall are verified as they
//! are, and hashed anew as soon as somebody has shown the password.

use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Argon2, PasswordHash};
use sha_crypt::ShaCrypt;

use crate::config::PasswordKind;
use crate::io::entropy;

/// The shortest password of a user (NIST SP 800-63B).
const SHORTEST: usize = 8;
/// The longest: more only keeps the processor busy.
const LONGEST: usize = 256;
/// Nobody's: verifying against it takes as long as against anybody's.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Hashes a password, with fresh salt. Takes some 30 ms.
///
/// # Errors
/// When there is no salt to be had.
pub fn hash_password(password: &str) -> anyhow::Result<String> {
    let mut salt = [0; 16];
    entropy::fill(&mut salt)?;
    let hash: PasswordHash = Argon2::default()
        .hash_password_with_salt(password.as_bytes(), &salt)
        .map_err(|error| anyhow::anyhow!("the password cannot be hashed: {error}"))?;
    Ok(hash.to_string())
}

/// The hash that Koi keeps of a password which somebody has logged in with.
///
/// # Errors
/// When there is no salt to be had.
pub(super) fn hash_anew(password: &str) -> anyhow::Result<String> {
    hash_password(known(password))
}

/// As much of it as counts.
fn known(password: &str) -> &str {
    password.get(..LONGEST).unwrap_or(password)
}

/// True when `password` is the one behind `hash`; without one the answer is no. It takes as long as for anybody else of
/// `all`, which are the hashes of all users: Argon2id is computed for everybody, and so is the most costly hash of another
/// firewall while there is one.
pub(super) fn verify<'h>(password: &str, hash: Option<&str>, all: impl Iterator<Item = &'h str>) -> bool {
    let password = known(password);
    let foreign = hash.filter(|hash| is_foreign(hash));
    let own = hash.filter(|_| foreign.is_none());
    let is_own = verify_argon2id(password, own.unwrap_or(NOBODY));
    let costly = all.filter(|hash| is_foreign(hash)).max_by_key(|hash| cost(hash));
    let is_foreign = foreign.or(costly).is_some_and(|hash| verify_foreign(password, hash));
    (own.is_some() && is_own) || (foreign.is_some() && is_foreign)
}

/// True for a hash that another firewall has made.
pub(super) fn is_foreign(hash: &str) -> bool {
    PasswordKind::of(hash).is_some_and(|kind| !kind.is_own())
}

/// About how long it takes to verify, in rounds of SHA-512 crypt.
fn cost(hash: &str) -> u64 {
    match PasswordKind::of(hash) {
        None | Some(PasswordKind::Argon2id) => 0,
        // A cost of 10 takes some 50 ms, and as long as 50 000 rounds.
        Some(PasswordKind::Bcrypt(cost)) => 50 << cost,
        Some(PasswordKind::Sha512Crypt(rounds)) => rounds.into(),
    }
}

fn verify_argon2id(password: &str, hash: &str) -> bool {
    PasswordHash::new(hash)
        .is_ok_and(|parsed| Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok())
}

/// Both crates compare in constant time. Their hashes were read by [`PasswordKind`], which bounds their costs.
fn verify_foreign(password: &str, hash: &str) -> bool {
    match PasswordKind::of(hash) {
        None | Some(PasswordKind::Argon2id) => false,
        Some(PasswordKind::Bcrypt(_)) => bcrypt::verify(password, hash).unwrap_or(false),
        Some(PasswordKind::Sha512Crypt(_)) => {
            ShaCrypt::SHA512.verify_password(password.as_bytes(), hash).is_ok()
        }
    }
}

/// Why nobody should have this password.
///
/// # Errors
/// A sentence for people.
pub fn acceptable_password(name: &str, password: &str) -> Result<(), &'static str> {
    let first = password.chars().next();
    if password.chars().count() < SHORTEST {
        Err("A password has at least 8 characters.")
    } else if password.len() > LONGEST {
        Err("A password has at most 256 bytes.")
    } else if !name.is_empty() && password.to_lowercase().contains(&name.to_lowercase()) {
        Err("A password that contains the name is guessed first.")
    } else if password.chars().all(|letter| Some(letter) == first) {
        Err("A password of one character only is guessed first.")
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_password_fits_its_hash() {
        let hash = hash_password("correct horse").unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        let verify = |password: &str, hash: Option<&str>| verify(password, hash, hash.into_iter());
        assert!(verify("correct horse", Some(&hash)));
        assert!(!verify("correct hors", Some(&hash)) && !verify("", Some(&hash)));
        assert_ne!(hash, hash_password("correct horse").unwrap(), "salted");
        assert!(!verify("correct horse", None) && !verify("correct horse", Some("correct horse")));
        assert!(PasswordHash::new(NOBODY).is_ok(), "or answers about nobody would come sooner");
    }

    /// Of Drepper's specification, and of OpenBSD's and PHP's tests.
    #[test]
    fn passwords_of_other_firewalls_count() {
        for (password, hash) in [
            ("rasmuslerdorf", "$2a$07$usesomesillystringfore2uDLvp1Ii2e./U9C8sBjqp8I90dH6hi"),
            ("U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
            ("U*U*U", "$2y$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a"),
            (
                "Hello world!",
                "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
            ),
            (
                "Hello world!",
                "$6$rounds=10000$saltstringsaltst$OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sbHbbMCVNSnCM/UrjmM0Dp8vOuZeHBy/YTBmSK6H9qs/y3RnOaw5v.",
            ),
        ] {
            let all = || [hash].into_iter();
            assert!(is_foreign(hash), "{hash}");
            assert!(verify(password, Some(hash), all()), "{hash}");
            assert!(!verify("Hello world", Some(hash), all()) && !verify(password, None, all()), "{hash}");
        }
    }

    #[test]
    fn passwords_that_are_guessed_first_are_refused() {
        for (password, fine) in [
            ("correct horse", true),
            ("sevenxx", false),
            ("xxAliceyyy", false),
            ("aaaaaaaaaaaa", false),
            ("äöüäöüäö", true),
        ] {
            assert_eq!(acceptable_password("alice", password).is_ok(), fine, "{password}");
        }
        assert!(acceptable_password("", &"ab".repeat(200)).is_err());
    }
}
