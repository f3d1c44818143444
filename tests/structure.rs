//! Holds the code to the order of its rooms: a module may use only those above it. And the crates that it is built from to
//! what `.deny.toml` says of them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// From the bottom of the house to its roof, as `src/lib.rs` tells it.
const ORDER: &[&str] = &[
    "types",
    "wire",
    "config",
    "rules",
    "conntrack",
    "nat",
    "route",
    "carp",
    "cluster",
    "host",
    "services",
    "node",
    "io",
    "web",
    "lab",
    "appliance",
    "cli",
];

fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

/// The modules that a source text names after `crate::`.
fn uses(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.trim_start().starts_with("//")).flat_map(|line| {
        line.match_indices("crate::").map(move |(at, found)| {
            let rest = &line[at + found.len()..];
            rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default()
        })
    })
}

#[test]
fn every_module_uses_only_those_above_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut wrong = Vec::new();
    for file in &files {
        let inside = file.strip_prefix(&root).unwrap();
        let module =
            inside.components().next().unwrap().as_os_str().to_str().unwrap().trim_end_matches(".rs");
        let Some(place) = ORDER.iter().position(|name| *name == module) else { continue };
        for used in uses(&fs::read_to_string(file).unwrap()) {
            if ORDER.iter().position(|name| *name == used).is_some_and(|other| other > place) {
                wrong.push(format!("{}: {module} uses {used}", inside.display()));
            }
        }
    }
    assert!(files.len() > 20, "the sources were found");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn unsafe_code_lives_in_io_alone() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let unsafe_outside: Vec<_> = files
        .iter()
        .filter(|file| !file.starts_with(root.join("io")))
        .filter(|file| {
            let text = fs::read_to_string(file).unwrap();
            text.lines().any(|line| !line.trim_start().starts_with("//") && line.contains("unsafe "))
        })
        .collect();
    assert!(unsafe_outside.is_empty(), "{unsafe_outside:?}");
}

/// A crate of the tree.
struct Crate {
    name: String,
    version: String,
    license: String,
    source: Option<String>,
    wildcards: Vec<String>,
}

/// Everything that `Cargo.lock` brings on Linux, tests included; without a network.
fn crates() -> Vec<Crate> {
    let words = ["metadata", "--locked", "--offline", "--format-version", "1"];
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(words).args(["--filter-platform", "x86_64-unknown-linux-gnu"]);
    let said = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&said.stdout).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let packages = metadata["packages"].as_array().unwrap().iter();
    let crates = packages.map(|package| Crate {
        name: text(&package["name"]),
        version: text(&package["version"]),
        license: text(&package["license"]),
        source: package["source"].as_str().map(String::from),
        wildcards: package["dependencies"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|dependency| dependency["req"] == "*" && dependency["path"].is_null())
            .map(|dependency| text(&dependency["name"]))
            .collect(),
    });
    crates.collect()
}

/// An SPDX expression holds when all of what it joins by AND, and one of what it joins by OR, is allowed. `/` is an old OR.
fn is_allowed(expression: &str, allowed: &[&str]) -> bool {
    let expression = expression.trim();
    let split = |word: &str| -> Option<(String, String)> {
        let (mut depth, at) = (0, expression.char_indices());
        let found = at.filter(|(index, letter)| {
            depth += i32::from(*letter == '(') - i32::from(*letter == ')');
            depth == 0 && expression[*index..].starts_with(word)
        });
        let at = found.map(|(index, _)| index).next()?;
        Some((expression[..at].into(), expression[at + word.len()..].into()))
    };
    if let Some((one, other)) = split(" OR ").or_else(|| split("/")) {
        return is_allowed(&one, allowed) || is_allowed(&other, allowed);
    }
    if let Some((one, other)) = split(" AND ") {
        return is_allowed(&one, allowed) && is_allowed(&other, allowed);
    }
    match expression.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        Some(inside) => is_allowed(inside, allowed),
        None => allowed.contains(&expression),
    }
}

/// `crate` or `crate:<VERSION`, as the list of bans has them.
fn is_banned(ban: &str, Crate { name, version, .. }: &Crate) -> bool {
    let numbers = |text: &str| -> Vec<u64> { text.split('.').map_while(|part| part.parse().ok()).collect() };
    match ban.split_once(":<") {
        Some((banned, below)) => banned == name && numbers(version) < numbers(below),
        None => {
            assert!(!ban.contains(':'), "{ban}: of versions only those below one can be banned here");
            ban == name
        }
    }
}

fn strings<'a>(value: &'a toml::Value, key: &str) -> Vec<&'a str> {
    value[key].as_array().unwrap().iter().map(|entry| entry.as_str().unwrap()).collect()
}

/// Licences, bans, wildcards and sources; who has cargo-deny learns of advisories, too.
#[test]
fn the_crates_are_what_deny_toml_allows() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let deny: toml::Value = toml::from_str(&fs::read_to_string(root.join(".deny.toml")).unwrap()).unwrap();
    let allowed = strings(&deny["licenses"], "allow");
    let bans: Vec<&str> =
        deny["bans"]["deny"].as_array().unwrap().iter().map(|ban| ban["crate"].as_str().unwrap()).collect();
    assert_eq!(deny["bans"]["wildcards"].as_str(), Some("deny"));
    let crates = crates();
    assert!(crates.len() > 100, "{} crates", crates.len());
    let mut wrong = Vec::new();
    for it in &crates {
        let Crate { name, version, license, source, wildcards } = it;
        if !is_allowed(license, &allowed) {
            wrong.push(format!("{name} {version}: licence {license}"));
        }
        wrong.extend(
            bans.iter()
                .filter(|ban| is_banned(ban, it))
                .map(|ban| format!("{name} {version}: banned by {ban}")),
        );
        match source.as_deref() {
            None => wrong.extend(wildcards.iter().map(|on| format!("{name} takes any version of {on}"))),
            Some("registry+https://github.com/rust-lang/crates.io-index") => {}
            Some(other) => wrong.push(format!("{name} {version} comes from {other}")),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn licences_and_bans_are_read_as_they_are_meant() {
    let allowed = ["MIT", "Apache-2.0", "Unicode-3.0"];
    for good in
        ["MIT", "MIT OR GPL-3.0", "GPL-3.0/MIT", "(MIT OR GPL-3.0) AND Unicode-3.0", "GPL-3.0 AND ISC OR MIT"]
    {
        assert!(is_allowed(good, &allowed), "{good}");
    }
    for bad in [
        "",
        "GPL-3.0",
        "MIT AND GPL-3.0",
        "(MIT OR ISC) AND GPL-3.0",
        "Apache-2.0 WITH LLVM-exception",
        "MITX",
    ] {
        assert!(!is_allowed(bad, &allowed), "{bad}");
    }
    let version = |version: &str| Crate {
        name: "tokio".into(),
        version: version.into(),
        license: String::new(),
        source: None,
        wildcards: Vec::new(),
    };
    assert!(is_banned("tokio:<1", &version("0.3.7")) && !is_banned("tokio:<1", &version("1.0.0")));
    assert!(is_banned("tokio:<0.3", &version("0.2.25")) && !is_banned("tokio:<0.3", &version("0.3.0")));
    assert!(is_banned("tokio", &version("9.0.0")) && !is_banned("openssl-sys", &version("9.0.0")));
}
