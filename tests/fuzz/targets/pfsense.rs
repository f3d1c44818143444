//! Any file is refused with a line, or becomes a document that can be written, whose report says why it is not valid when
//! it is not, and that gives the file back: pfSense reads the same from both.
//!
//! Input: the file.
#![no_main]

use koi::config::pfsense::{self, Options, Origin, crypt, tree};
use koi::config::{self, validate};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok((text, _)) = tree::decode(data) else { return };
    if crypt::is_sealed(&text) {
        // Half a million rounds would leave no time for anything else.
        return;
    }
    let tree = match tree::parse(&text) {
        Ok(tree) => tree,
        Err(problem) => {
            assert!(problem.line.is_some() && problem.column.is_some(), "{problem:?}");
            return;
        }
    };
    let import = pfsense::import(&tree, &Options::default());
    assert_eq!(validate(import.config.clone()).is_ok(), import.report.problems.is_empty());
    let written = import.config.to_toml();
    assert_eq!(config::parse(&written).as_ref(), Ok(&import.config), "{written}");
    let origin = Origin { options: Options::default(), xml: text.clone() };
    let back = pfsense::export(&import.config, Some(&origin), None).expect("the origin is what it was");
    let again = tree::parse(&back.xml).unwrap_or_else(|problem| panic!("{problem}\n{}", back.xml));
    assert_eq!(tree::parse(&again.to_xml()).map(|tree| tree.reading()), Ok(again.reading()));
    // Without an origin there is nothing to lean on.
    let fresh = pfsense::export(&import.config, None, None).expect("a file of its own");
    tree::parse(&fresh.xml).unwrap_or_else(|problem| panic!("{problem}\n{}", fresh.xml));
});
