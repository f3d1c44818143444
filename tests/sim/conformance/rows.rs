//! Which rows have a test, and where.

use std::collections::BTreeSet;
use std::path::Path;

use super::{errors, filter, forward, fragments, nat, tcp};

const LIST: &str = include_str!("rows.txt");

/// Each row once: its name, and `here`, or a file of ours with the name of a test, or `-` and why it does not apply.
#[test]
fn every_row_is_accounted_for() {
    let tables =
        [errors::cases(), filter::cases(), forward::cases(), fragments::cases(), nat::cases(), tcp::cases()];
    let here: BTreeSet<&str> =
        tables.iter().flat_map(|cases| cases.iter()).flat_map(|case| case.rows.iter().copied()).collect();
    let (mut listed, mut tested, mut apart, mut open) = (BTreeSet::new(), 0, 0, Vec::new());
    for line in LIST.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (row, place) = line.split_once(" | ").unwrap_or_else(|| panic!("{line}"));
        assert!(listed.insert(row), "{row} stands there twice");
        match place.split_once(' ') {
            None if place == "here" => {
                assert!(here.contains(row), "{row}: no case has this row");
                tested += 1;
            }
            Some(("-", _)) => apart += 1,
            Some(("open", _)) => open.push(row),
            Some((file, test)) => {
                let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
                let source =
                    std::fs::read_to_string(&path).unwrap_or_else(|why| panic!("{row}: {file}: {why}"));
                assert!(source.contains(test), "{row}: {file} has no {test}");
                tested += 1;
            }
            None => panic!("{line}"),
        }
    }
    let unlisted: Vec<_> = here.iter().filter(|row| !listed.contains(*row)).collect();
    assert!(unlisted.is_empty(), "not in rows.txt: {unlisted:#?}");
    let (rows, open) = (listed.len(), open.len());
    assert_eq!(rows, tested + open + apart);
    let count = format!("# rows {rows}: tested {tested}, open {open}, do not apply {apart}");
    assert!(LIST.lines().any(|line| line == count), "the list says something else than: {count}");
}
