//! `system/user`: whose password pfSense can verify.

use super::super::read::Key;
use super::super::tree::Element;
use super::Scene;
use super::merge::{Lists, merge};
use super::patch::Patch;
use crate::config::PasswordKind;
use crate::config::model::{User, UserRole};

/// The first number of a user of one's own there.
const FIRST_UID: u32 = 2000;

pub(super) fn write(scene: &mut Scene<'_>) {
    let (old, new, links) = (scene.old, scene.new, scene.links);
    if old.users == new.users {
        return;
    }
    let is_known = |user: &User| old.users.iter().any(|other| other.name == user.name);
    let (users, strangers): (Vec<User>, Vec<User>) =
        new.users.iter().cloned().partition(|user| is_known(user) || element_of(user).is_some());
    for user in strangers {
        scene.lacks("user", "pfSense does not know the way in which passwords are kept here", &user.name);
    }
    let mut section = scene.take("system");
    let numbers = section.all("user").filter_map(|user| user.text_of("uid")?.parse::<u32>().ok());
    let mut next = numbers.max().map_or(FIRST_UID, |last| last.saturating_add(1).max(FIRST_UID));
    let first = next;
    let lists = Lists { old: &old.users, new: &users, key: |it| Key::User(it.name.clone()) };
    merge(&mut section, "user", links, &lists, |element, was, user| {
        if was.is_none() {
            next = next.saturating_add(1);
        }
        self::user(scene, element, was, user, next.saturating_sub(1))
    });
    if next != first {
        section.put(Element::leaf("nextuid", &next.to_string(), scene.entities));
    }
    scene.give(section);
}

/// What holds such a hash there.
fn element_of(user: &User) -> Option<&'static str> {
    match PasswordKind::of(user.password_hash.reveal())? {
        PasswordKind::Argon2id => None,
        PasswordKind::Bcrypt(_) => Some("bcrypt-hash"),
        PasswordKind::Sha512Crypt(_) => Some("sha512-hash"),
    }
}

fn user(scene: &mut Scene<'_>, element: Element, was: Option<&User>, user: &User, uid: u32) -> Element {
    let mut patch = Patch::new(element, scene.entities);
    patch.text(was.is_none(), "name", Some(user.name.clone()));
    patch.text(
        was.is_none_or(|was| was.description != user.description),
        "descr",
        Some(user.description.clone()),
    );
    patch.text(was.is_none(), "scope", Some("user".into()));
    patch.text(was.is_none(), "uid", Some(uid.to_string()));
    let administers = user.role == UserRole::Administrator;
    patch.text(was.is_none() && administers, "priv", Some("page-all".into()));
    if was.map_or(!administers, |was| was.role != user.role) {
        let how = "pfSense gives rights page by page: give them there";
        scene.lacks("role of a user", how, &user.name);
    }
    patch.flag(was.is_none_or(|was| was.disabled != user.disabled), "disabled", user.disabled);
    if was.is_none_or(|was| was.password_hash != user.password_hash) {
        match element_of(user) {
            Some(name) => {
                for other in ["bcrypt-hash", "sha512-hash", "md5-hash", "password"] {
                    patch.text(other != name, other, None);
                }
                patch.text(true, name, Some(user.password_hash.reveal().to_owned()));
            }
            None => {
                let how =
                    "pfSense does not know the way in which it is kept here; there it stays what it was";
                scene.lacks("password of a user", how, &user.name);
            }
        }
    }
    patch.element
}
