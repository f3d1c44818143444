//! Holds the code to the order of its rooms: a module may use only those above it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::{Path, PathBuf};

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
