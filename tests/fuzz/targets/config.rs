//! Any text is a valid document or a list of problems; a valid one survives being written, read and edited, with its hash,
//! and compiles.
//!
//! Input: the text.
#![no_main]

use std::sync::Arc;

use koi::config;
use koi::node::{Compiled, Offload};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let valid = match config::load(text) {
        Ok(valid) => valid,
        Err(problems) => return check_problems(text, &problems),
    };
    let written = valid.to_toml();
    let again = config::load(&written).unwrap_or_else(|problems| panic!("{written}\n{problems:#?}"));
    assert_eq!(again, valid, "{written}");
    assert_eq!(again.hash(), valid.hash());
    assert_eq!(again.to_toml(), written);
    let mut other = valid.clone().into_inner();
    other.system.hostname = "fuzzed".into();
    other.rules.reverse();
    other.aliases.iter_mut().for_each(|alias| alias.entries.reverse());
    other.users.clear();
    let rewritten = config::amend::rewrite(text, &other);
    assert_eq!(config::parse(&rewritten).as_ref(), Ok(&other), "{text}\n---\n{rewritten}");
    let valid = Arc::new(valid);
    for part in &valid.nodes {
        let node = valid.node(Some(&part.name)).expect("its own name");
        let offloads = vec![Offload::default(); part.ports.len()];
        let compiled = Compiled::new(Arc::clone(&valid), node, 1, offloads);
        assert_eq!(compiled.links.len(), valid.interfaces.len());
    }
});

fn check_problems(text: &str, problems: &[config::Problem]) {
    assert!(!problems.is_empty());
    let lines = text.matches('\n').count() + 1;
    for problem in problems {
        assert!(!problem.to_string().is_empty() && !problem.message.is_empty());
        assert!(problem.line.is_none_or(|line| (1..=lines).contains(&line)), "{problem:?}");
        assert!(problem.column.is_none_or(|column| column > 0), "{problem:?}");
    }
}
