//! `[[user]]`: accounts.

use super::Report;
use super::names::Unique;
use crate::config::PasswordKind;
use crate::config::defaults::USER_LIMIT;
use crate::config::model::{Config, User, UserRole};

pub(super) fn check(config: &Config, report: &mut Report) {
    report.bound("user", "users", config.users.len(), USER_LIMIT);
    let mut names = Unique::new("The name", "Give each user its own name.");
    for (index, user) in config.users.iter().enumerate() {
        let User { name, role: _, password_hash, totp_secret, disabled: _, description: _ } = user;
        let path = format!("user[{index}].name");
        check_user_name(&path, name, report);
        names.claim(&path, name.as_str(), &format!("\"{name}\""), report);
        if PasswordKind::of(password_hash.reveal()).is_none() {
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

/// At least 128 bits (RFC 4226), perhaps in groups.
fn is_base32(text: &str) -> bool {
    let letters: Vec<char> = text.chars().filter(|letter| *letter != ' ').collect();
    (26..=128).contains(&letters.len())
        && letters.iter().all(|c| c.is_ascii_alphabetic() || ('2'..='7').contains(c))
}
