//! `system/user`, `system/group`: who may use the pages. Their passwords stay theirs: the hashes count until the first login.
//!
//! pfSense gives rights page by page, here there are roles; nobody gets a role that changes what they could not change there.

use super::super::report::Group;
use super::super::tree::Element;
use super::context::{Context, Key};
use crate::config::PasswordKind;
use crate::config::defaults::USER_LIMIT;
use crate::config::model::{Secret, User, UserRole};

/// The right to everything.
const ALL: &str = "page-all";
/// pfSense's own names of the elements that hold a hash, and OPNsense's.
const HASHES: [&str; 4] = ["bcrypt-hash", "sha512-hash", "password", "md5-hash"];

pub(super) fn read(ctx: &mut Context<'_>) {
    let groups = ctx.list(&["system"], "group");
    for (path, element) in ctx.list_up_to(USER_LIMIT, &["system"], "user", "user") {
        user(ctx, &groups, &path, element);
    }
    for (path, group) in groups {
        let rights: Vec<&str> = words(group, "priv").collect();
        let how = match rights.iter().any(|right| right.starts_with("page-")) {
            true => "users have roles here, and its members have those that its rights come to",
            false => "users have roles here, and it has no right to a page",
        };
        ctx.say(Group::Adapted, "group of users", how, &path, group);
    }
}

/// One element for each, or, in OPNsense, several words in one.
fn words<'e>(element: &'e Element, name: &'e str) -> impl Iterator<Item = &'e str> {
    element
        .all(name)
        .flat_map(|element| element.text.split(','))
        .map(str::trim)
        .filter(|word| !word.is_empty())
}

fn user(ctx: &mut Context<'_>, groups: &[(String, &Element)], path: &str, element: &Element) {
    let hash = HASHES.into_iter().find_map(|key| element.text_of(key));
    let name = element.text_of("name").unwrap_or_default();
    let Some(kind) = hash.and_then(PasswordKind::of) else {
        let how = match hash {
            Some(_) => "its password is kept in a way that is not known: set one with koi user password",
            None => "it has no password: set one with koi user password",
        };
        return ctx.say(Group::Inactive, "user", how, path, element);
    };
    let mut adapted = Vec::new();
    let role = role(groups, element, &mut adapted);
    let mut disabled = ctx.flag(element, "disabled");
    for (reason, why) in [
        (role.is_none(), "disabled, since it has no right to a page there"),
        (element.text_of("expires").is_some(), "disabled, since accounts do not expire here"),
    ] {
        if reason && !disabled {
            adapted.push(why.to_owned());
            disabled = true;
        }
    }
    ctx.config.users.push(User {
        name: name.into(),
        role: role.unwrap_or(UserRole::ReadOnly),
        password_hash: Secret::new(hash.unwrap_or_default()),
        totp_secret: None,
        disabled,
        description: element.text_of("descr").unwrap_or_default().into(),
    });
    let known = match kind {
        PasswordKind::Argon2id => "",
        PasswordKind::Bcrypt(_) => {
            "its password counts as it is (bcrypt) and is hashed anew at the first login"
        }
        PasswordKind::Sha512Crypt(_) => {
            "its password counts as it is (SHA-512) and is hashed anew at the first login"
        }
    };
    adapted.extend((!known.is_empty()).then(|| known.to_owned()));
    ctx.adopt(Key::User(name.into()), "user", path, element, &adapted);
}

/// What its own rights and those of its groups come to; none when it may not see a page.
fn role(groups: &[(String, &Element)], user: &Element, adapted: &mut Vec<String>) -> Option<UserRole> {
    let uid = user.text_of("uid").unwrap_or("-");
    let is_member = |group: &Element| {
        words(group, "member").any(|member| member == uid)
            || user.text_of("groupname").is_some_and(|name| group.text_of("name") == Some(name))
    };
    let of_groups =
        groups.iter().filter(|(_, group)| is_member(group)).flat_map(|(_, group)| words(group, "priv"));
    let rights: Vec<&str> = words(user, "priv").chain(of_groups).collect();
    if uid == "0" || rights.contains(&ALL) {
        return Some(UserRole::Administrator);
    }
    let pages = rights.iter().filter(|right| right.starts_with("page-")).count();
    if pages == 0 {
        return None;
    }
    adapted.push(format!("it sees every page and changes nothing; there it has a right to {pages} pages"));
    Some(UserRole::ReadOnly)
}
