//! Passwords at rest: Argon2id with OWASP's costs, in the PHC text form.

use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Argon2, PasswordHash};

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

/// True when `password` is the one behind `hash`; without one the answer is no, and takes as long.
pub(super) fn verify(password: &str, hash: Option<&str>) -> bool {
    let password = password.get(..LONGEST).unwrap_or(password);
    let same = PasswordHash::new(hash.unwrap_or(NOBODY))
        .is_ok_and(|parsed| Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok());
    same && hash.is_some()
}

/// Why nobody should have this password.
///
/// # Errors
/// A sentence for people.
pub fn acceptable_password(name: &str, password: &str) -> Result<(), &'static str> {
    if password.chars().count() < SHORTEST {
        Err("A password has at least 8 characters.")
    } else if password.len() > LONGEST {
        Err("A password has at most 256 bytes.")
    } else if !name.is_empty() && password.to_lowercase().contains(&name.to_lowercase()) {
        Err("A password that contains the name is guessed first.")
    } else if password.chars().all(|c| Some(c) == password.chars().next()) {
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
        assert!(verify("correct horse", Some(&hash)));
        assert!(!verify("correct hors", Some(&hash)) && !verify("", Some(&hash)));
        assert_ne!(hash, hash_password("correct horse").unwrap(), "salted");
        assert!(!verify("correct horse", None) && !verify("correct horse", Some("correct horse")));
        assert!(PasswordHash::new(NOBODY).is_ok(), "or answers about nobody would come sooner");
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
