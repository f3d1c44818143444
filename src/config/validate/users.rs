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
        let User { name, role: _, password_hash, disabled: _, description: _ } = user;
        let path = format!("user[{index}].name");
        check_user_name(&path, name, report);
        names.claim(&path, name.as_str(), &format!("\"{name}\""), report);
        if PasswordKind::of(password_hash.reveal()).is_none() {
            let remedy = "Set one with \"koi user password\" or on the page of the user.";
            report.add(format!("user[{index}].password_hash"), "This is not the hash of a password.", remedy);
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
