//! `[[alias]]`: names for addresses and ports.

use super::names::{Unique, unknown};
use super::{Report, Scene};
use crate::config::Aliases;
use crate::config::defaults::{ALIAS_ENTRY_LIMIT, ALIAS_LIMIT, NAME_LIMIT};
use crate::config::model::{Alias, AliasKind, Member, is_alias_name};

/// Words that mean something else where an alias may stand.
const RESERVED: [&str; 8] = ["any", "self", "port", "pass", "tcp", "udp", "icmp", "none"];

pub(super) fn check(scene: &Scene<'_>, report: &mut Report) {
    let config = scene.config;
    report.bound("alias", "aliases", config.aliases.len(), ALIAS_LIMIT);
    let entries = config.aliases.iter().map(|alias| alias.entries.len()).sum();
    report.bound("alias", "entries of aliases", entries, ALIAS_ENTRY_LIMIT);
    let hosts = Aliases::names(config, NAME_LIMIT + 1).len();
    report.bound("alias", "names of hosts", hosts, NAME_LIMIT);
    let mut names = Unique::new("The name", "Give each alias its own name.");
    for (index, alias) in config.aliases.iter().enumerate() {
        let path = format!("alias[{index}]");
        let name_path = format!("{path}.name");
        check_name(scene, &name_path, &alias.name, report);
        names.claim(&name_path, &alias.name, &format!("\"{}\"", alias.name), report);
        check_entries(scene, &path, alias, report);
        check_file(&path, alias, report);
        if scene.aliases.is_circular(alias) {
            let message = format!("The alias \"{}\" leads back to itself.", alias.name);
            report.add(format!("{path}.entries"), message, "Take one of the aliases out of the circle.");
        }
    }
}

fn check_name(scene: &Scene<'_>, path: &str, name: &str, report: &mut Report) {
    if !is_alias_name(name) {
        let remedy = "Write at most 31 letters, digits and _, at least one letter.";
        report.add(path, format!("\"{name}\" is not a name for an alias."), remedy);
    } else if RESERVED.contains(&name) {
        report.add(path, format!("\"{name}\" means something else in rules."), "Choose another name.");
    } else if scene.config.interfaces.iter().any(|interface| interface.name == name) {
        let message = format!("\"{name}\" is the name of an interface.");
        report.add(path, message, "Choose another name, so that rules are not misread.");
    }
}

/// An alias of a file names it, and others have none.
fn check_file(path: &str, alias: &Alias, report: &mut Report) {
    let here = format!("{path}.file");
    match (&alias.file, alias.kind) {
        (Some(file), AliasKind::Urltable) => {
            let whole = file.starts_with('/') && file.len() < 4096 && !file.contains('\0');
            if !whole {
                report.add(
                    here,
                    format!("\"{file}\" is not the whole path of a file."),
                    "Begin with a slash.",
                );
            }
            if !alias.entries.is_empty() {
                let message = "What the file holds are its entries.";
                report.add(format!("{path}.entries"), message, "Write them into the file.");
            }
        }
        (None, AliasKind::Urltable) => {
            report.add(path, "No file says what the alias stands for.", "Write its path: file = \"/...\".");
        }
        (Some(_), AliasKind::Host | AliasKind::Network | AliasKind::Port) => {
            report.add(here, "Only an alias of type \"urltable\" has a file.", "Remove file.");
        }
        (None, AliasKind::Host | AliasKind::Network | AliasKind::Port) => {}
    }
}

fn check_entries(scene: &Scene<'_>, path: &str, alias: &Alias, report: &mut Report) {
    for (index, entry) in alias.entries.iter().enumerate() {
        let path = || format!("{path}.entries[{index}]");
        match entry.member(alias.kind) {
            Ok(Member::Prefix(prefix)) if prefix != prefix.trunc() => {
                let message = format!("{prefix} is not a network: bits behind the prefix length are set.");
                report.add(
                    path(),
                    message,
                    format!("Write \"{}\" or \"{}\".", prefix.trunc(), prefix.addr()),
                );
            }
            Ok(Member::Prefix(_) | Member::Range(_) | Member::Ports(_) | Member::Name(_)) => {}
            Ok(Member::Alias(name)) => match scene.aliases.get(&name) {
                None => {
                    let known = scene.config.aliases.iter().filter(|other| other.kind.mixes(alias.kind));
                    unknown(&path(), "alias", &name, known.map(|alias| alias.name.as_str()), report);
                }
                Some(inner) if !inner.kind.mixes(alias.kind) => {
                    let message = format!("\"{name}\" does not stand for {}.", alias.kind.members());
                    report.add(
                        path(),
                        message,
                        "Ports and addresses do not mix: name an alias of the same kind.",
                    );
                }
                Some(_) => {}
            },
            Err(why) => report.add(path(), why, format!("Write {}.", alias.kind.members())),
        }
    }
}
