//! The file of an alias: a network, an address or a range of addresses in each line.
//!
//! Invariant: total. Whatever the file holds, the good lines are taken, at most so many, and the first bad ones are told.

use super::defaults::LIST_LIMIT;
use super::model::{AddressRange, AliasEntry, AliasKind, Member};

/// Bad lines that are told.
const TOLD: usize = 5;
/// The longest part of a bad line that is told.
const SHOWN: usize = 60;

/// What a file holds.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct List {
    /// Its addresses.
    pub ranges: Vec<AddressRange>,
    /// How many lines make no sense.
    pub bad: usize,
    /// The first of these: number and text.
    pub told: Vec<(usize, String)>,
    /// Lines beyond the bound, which are not looked at.
    pub beyond: usize,
}

impl List {
    /// Reads a file. A comment begins with `#` or `;`.
    pub fn read(text: &str) -> List {
        let mut list = List::default();
        for (index, line) in text.lines().enumerate() {
            let line = line.split(['#', ';']).next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            if list.ranges.len() >= LIST_LIMIT {
                list.beyond += 1;
                continue;
            }
            match range(line) {
                Some(range) => list.ranges.push(range),
                None => {
                    list.bad += 1;
                    if list.told.len() < TOLD {
                        list.told.push((index + 1, line.chars().take(SHOWN).collect()));
                    }
                }
            }
        }
        list
    }

    /// What is wrong with it, in words.
    pub fn trouble(&self) -> Option<String> {
        let List { ranges: _, bad, told, beyond } = self;
        let lines: Vec<String> = told.iter().map(|(line, text)| format!("line {line}: \"{text}\"")).collect();
        let more = if *bad > told.len() { ", and more" } else { "" };
        let mut parts = Vec::new();
        if *bad > 0 {
            parts.push(format!("{bad} lines make no sense ({}{more})", lines.join(", ")));
        }
        if *beyond > 0 {
            parts.push(format!("{beyond} lines beyond the first {LIST_LIMIT} are left out"));
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}

fn range(line: &str) -> Option<AddressRange> {
    let entry = AliasEntry { value: line.into(), description: String::new() };
    match entry.member(AliasKind::Urltable).ok()? {
        // Lists are often careless with the bits behind the length.
        Member::Prefix(prefix) => Some(AddressRange::from(prefix.trunc())),
        Member::Range(range) => Some(range),
        Member::Ports(_) | Member::Name(_) | Member::Alias(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn good_lines_are_taken_and_bad_ones_told() {
        let text = "# Offices\n10.0.0.0/8\n 192.0.2.1 ; Post\n\n2001:db8::/32\r\n198.51.100.1-198.51.100.9\n\
                    10.1.2.3/8\nnonsense\n300.0.0.1\nwww.example.org";
        let list = List::read(text);
        let ranges: Vec<String> = list.ranges.iter().map(AddressRange::to_string).collect();
        assert_eq!(
            ranges,
            [
                "10.0.0.0-10.255.255.255",
                "192.0.2.1-192.0.2.1",
                "2001:db8::-2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
                "198.51.100.1-198.51.100.9",
                "10.0.0.0-10.255.255.255"
            ]
        );
        assert_eq!((list.bad, list.told[0].clone()), (3, (8, "nonsense".into())));
        let trouble = list.trouble().unwrap();
        assert!(trouble.starts_with("3 lines make no sense (line 8: \"nonsense\", line 9:"), "{trouble}");
        assert_eq!(List::read("10.0.0.1").trouble(), None);
    }

    proptest! {
        #[test]
        fn anything_may_stand_in_it(text in "[ -~\\n]{0,200}") {
            let list = List::read(&text);
            prop_assert!(list.ranges.len() + list.bad <= text.lines().count());
            prop_assert!(list.told.len() <= TOLD);
        }
    }
}
