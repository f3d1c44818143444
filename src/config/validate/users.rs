//! `[[user]]`: accounts.

use super::Report;
use super::names::Unique;
use crate::config::defaults::{ARGON2_MEMORY_LIMIT, ARGON2_PASSES_LIMIT, USER_LIMIT};
use crate::config::model::{Config, User, UserRole};

pub(super) fn check(config: &Config, report: &mut Report) {
    report.bound("user", "users", config.users.len(), USER_LIMIT);
    let mut names = Unique::new("The name", "Give each user its own name.");
    for (index, user) in config.users.iter().enumerate() {
        let User { name, role: _, password_hash, totp_secret, disabled: _, description: _ } = user;
        let path = format!("user[{index}].name");
        check_user_name(&path, name, report);
        names.claim(&path, name.as_str(), &format!("\"{name}\""), report);
        if !is_argon2id(password_hash.reveal()) {
            let remedy = "Set one with \"koi user password\" or on the page of the user.";
            report.add(format!("user[{index}].password_hash"), "This is not the hash of a password.", remedy);
        }
        if totp_secret.as_ref().is_some_and(|secret| !is_base32(secret.reveal())) {
            let remedy = "Write at least 26 letters and digits of base32, or leave it out.";
            report.add(
                format!("user[{index}].totp_secret"),
                "This is not the secret of an authenticator.",
                remedy,
            );
        }
    }
    let can_repair = |user: &User| user.role == UserRole::Administrator && !user.disabled;
    if !config.users.is_empty() && !config.users.iter().any(can_repair) {
        let message = "Nobody could administer this firewall any more.";
        report.add("user", message, "Keep one administrator who is not disabled.");
    }
}

fn check_user_name(path: &str, name: &str, report: &mut Report) {
    let form = (1..=32).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '@' | '_' | '-'));
    if !form {
        let remedy = "Write at most 32 letters, digits, ., @, _ and -, a letter or digit first.";
        report.add(path, format!("\"{name}\" is not a usable name."), remedy);
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

/// At least 128 bits (RFC 4226), perhaps in groups.
fn is_base32(text: &str) -> bool {
    let letters: Vec<char> = text.chars().filter(|letter| *letter != ' ').collect();
    (26..=128).contains(&letters.len())
        && letters.iter().all(|c| c.is_ascii_alphabetic() || ('2'..='7').contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hashes_of_bearable_cost_are_hashes() {
        let hash = "A".repeat(43);
        let text = |costs: &str| format!("$argon2id$v=19${costs}$c2FsdHNhbHRzYWx0${hash}");
        assert!(is_argon2id(&text("m=19456,t=2,p=1")));
        for wrong in
            ["m=4194304,t=2,p=1", "m=19456,t=999,p=1", "m=0,t=2,p=1", "m=1,t=2", "m=1,t=2,p=1,x=1", ""]
        {
            assert!(!is_argon2id(&text(wrong)), "{wrong}");
        }
        let right = text("m=19456,t=2,p=1");
        for wrong in [
            right.replace("argon2id", "argon2i"),
            right.replace("v=19", "v=16"),
            format!("{right}$"),
            right.replace("c2Fs", "c2F!"),
            right[..right.len() - 1].to_owned(),
            "secret".into(),
            String::new(),
        ] {
            assert!(!is_argon2id(&wrong), "{wrong}");
        }
    }
}
